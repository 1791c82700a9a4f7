"""What models cost: counted by hand, timed by a clock that the test holds, and budgets that are kept."""

from itertools import count

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from juyi.errors import SettingError
from juyi.nets import Network, Standardise, build_network
from juyi.portable import count_sizes, measure_latency, peak_activations, write_onnx
from juyi.portable.budget import (
    FOR_FEATURES,
    FOR_IMAGES,
    Budget,
    Candidate,
    Costs,
    Family,
    Meter,
    _last,
    candidates,
    refuse_budget,
)
from juyi.training import Served

pytest.importorskip("onnxruntime")


def test_multiplications_by_hand():
    row = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    net = build_network("lenet5", row, 10)
    convolutions = 28 * 28 * 25 * 6 + 10 * 10 * 25 * 6 * 16
    assert count_sizes(net, row).macs == convolutions + 400 * 120 + 120 * 84 + 84 * 10
    assert count_sizes(net, row).parameters == 61_706
    assert net.training  # as it was


class Skip(nn.Module):
    """A value that is needed much later has to be held until then."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        return (x + self.second(torch.relu(self.second(x)))).flatten(1)


def test_what_is_needed_later_is_held(tmp_path):
    net = Network(Standardise(torch.zeros(1), torch.ones(1)), Skip(), nn.Linear(256, 2), 256, 2, "own").eval()
    path = write_onnx(Served(net, (1, 8, 8), ("a", "b")), tmp_path / "model.onnx")
    assert peak_activations(path) == 3 * 4 * 64 * 4  # x, what relu is given, and what it gives: 4 maps of 8 × 8 floats


def test_calls_are_timed_by_turns():
    order, now = [], count()

    def clock():
        return next(now) * 10**6

    times = {"one": 0, "two": 3}

    def call(name):
        order.append(name)
        for _ in range(times[name]):
            next(now)

    found = measure_latency(
        {name: (lambda name=name: call(name)) for name in times}, series=3, rounds=4, warm_up=2, clock=clock
    )
    assert order == ["one", "two"] * (2 + 3 * 4)
    assert (found["one"].median, found["two"].median) == (1.0, 4.0)
    assert found["one"].calls == 12 and found["two"].spread == 0.0


def test_one_slow_series_does_not_move_the_median_but_the_spread():
    now, calls = [0], count()

    def call():
        now[0] += 10**6 if next(calls) >= 4 else 9 * 10**6  # the first series is slow

    found = measure_latency({"a": call}, series=3, rounds=4, warm_up=0, clock=lambda: now[0])["a"]
    assert (found.median, found.spread) == (1.0, 8.0)


@pytest.mark.parametrize(
    "words, wanted",
    [
        ({"parameters": "50k"}, Budget(parameters=50_000)), ({"parameters": "1.5M"}, Budget(parameters=1_500_000)),
        ({"bytes": "200kB"}, Budget(bytes=200_000)), ({"bytes": "512"}, Budget(bytes=512)),
        ({"macs": "2m"}, Budget(macs=2_000_000)), ({"latency": "5ms"}, Budget(latency=5.0)),
        ({"latency": "250us"}, Budget(latency=0.25)), ({"latency": "0.1 s"}, Budget(latency=100.0)),
    ],
    ids=str,
)  # fmt: skip
def test_limits_are_read_as_people_write_them(words, wanted):
    assert Budget.read(**words) == wanted and wanted
    assert not Budget.read()


@pytest.mark.parametrize(
    "words, option",
    [({"parameters": "many"}, "max-params"), ({"parameters": "0"}, "max-params"), ({"bytes": "5 parsec"}, "max-bytes"),
     ({"latency": "5"}, "max-latency"), ({"latency": "-5ms"}, "max-latency"), ({"macs": ""}, "max-macs"),
     ({"macs": "1e5"}, "max-macs"), ({"bytes": "1kBB"}, "max-bytes")],
    ids=str,
)  # fmt: skip
def test_limits_that_are_none_are_one_line(words, option):
    with pytest.raises(
        SettingError, match=rf"--{option} .*: is no number above 0 with a unit that is known; give such"
    ):
        Budget.read(**words)


@given(st.text(max_size=12))
def test_any_text_is_a_limit_or_an_error(text):
    try:
        assert Budget.read(parameters=text).parameters >= 0
    except SettingError as error:
        assert "\n" not in str(error) or "\n" in text


@given(st.integers(1, 300), st.integers(0, 300))
def test_halving_finds_what_counting_finds(length, fitting):
    asked = []

    def fits(place):
        asked.append(place)
        return place < fitting

    slow = max((place for place in range(length) if place < fitting), default=None)
    assert _last(length, fits) == slow
    assert len(asked) <= 2 + length.bit_length()


def meter(budget, shape=(1, 28, 28), outputs=10):
    kind = torch.uint8 if len(shape) == 3 else torch.float32
    x = torch.zeros(2, *shape, dtype=kind)
    return Meter(lambda name: build_network(name, x, outputs), shape, [str(i) for i in range(outputs)], budget)


@pytest.mark.parametrize(
    "families, shape", [(FOR_IMAGES, (1, 28, 28)), (FOR_IMAGES, (3, 32, 32)), (FOR_FEATURES, (20,))]
)
@pytest.mark.parametrize("budget", [Budget(parameters=5_000), Budget(macs=300_000, parameters=40_000)], ids=str)
def test_candidates_are_the_widest_that_keep_the_budget(families, shape, budget):
    asked = meter(budget, shape)
    found, missed = candidates(families, asked)
    assert found and not (missed and families is FOR_FEATURES)
    for candidate in found:
        assert budget.kept_by(asked.count(candidate.name)) and budget.kept_by(candidate.costs)
        family = next(f for f in families if candidate.name in map(f.at, range(len(f.widths))))
        place = next(i for i in range(len(family.widths)) if family.at(i) == candidate.name)
        if place + 1 < len(family.widths):
            assert not budget.kept_by(asked.count(family.at(place + 1)))


def test_a_student_is_no_larger_than_its_teacher():
    found, _ = candidates(FOR_IMAGES, meter(Budget(macs=10**9)), most_parameters=3_000)
    assert found and all(candidate.costs.parameters <= 3_000 for candidate in found)


def test_bytes_are_those_of_the_file():
    budget = Budget(bytes=20_000)
    asked = meter(budget)
    found, _ = candidates([Family("mlp-WIDTH-WIDTH", tuple("123456789"))], asked)
    assert 15_000 < found[0].costs.bytes <= 20_000


def test_what_no_student_keeps_names_the_nearest():
    asked = meter(Budget(parameters=20))
    found, missed = candidates(FOR_IMAGES, asked)
    assert not found and len(missed) == 3
    line = str(refuse_budget(asked.budget, missed))
    assert line == "--max-params 20: no student is so small; the nearest is cnn_small-0.01 with 60"


def test_a_latency_that_nothing_keeps_is_said():
    missed = [Candidate("a", Costs(1, 1, 10, 2.0)), Candidate("b", Costs(1, 1, 10, 1.5))]
    line = str(refuse_budget(Budget(latency=1.0), missed))
    assert line == "--max-latency 1.0: no student is so small; the nearest is b with 1.5"
