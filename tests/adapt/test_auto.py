"""Auto: the budget is kept by leaving out and shortening, its models stand in the folder, what serves is said."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import juyi
from juyi.adapt import METHODS, Request
from juyi.adapt.auto import Auto, seconds, share_out
from juyi.adapt.settle import answer, ask
from juyi.check.adapter import small
from juyi.check.common import shifted_domains
from juyi.data import withhold_labels
from juyi.errors import SettingError
from juyi.training import read_run


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=8), st.floats(0.01, 1e5))
def test_the_budget_is_kept_and_the_first_come_first(costs, budget):
    names = ["source_only", *(f"m{k}" for k in range(len(costs) - 1))]
    named = dict(zip(names, costs, strict=True))
    shares = share_out(named, budget)
    assert list(shares) == names and all(0 <= share <= 1 for share in shares.values())
    assert sum(shares[name] * named[name] for name in names) <= budget * (1 + 1e-9)
    trained = [shares[name] > 0 for name in names[1:]]
    assert trained == sorted(trained, reverse=True)  # nobody is trained after one who was left out
    if sum(costs) <= budget and costs[0] <= budget / 2:
        assert set(shares.values()) == {1.0}


@pytest.mark.parametrize("word", ["", "ten", "-5m", "5d", "m", "1e3", "5 m 3"])
def test_what_is_no_time_is_refused(word):
    with pytest.raises(SettingError, match="is no time"):
        Auto(budget=word).check_hyperparameters()


def test_times_are_read():
    assert [seconds(word) for word in ("90", "90s", "1.5m", "2h", "0")] == [90, 90, 90, 7200, 0]


@pytest.mark.parametrize(
    ("candidates", "words"),
    [
        ("mmc", "did you mean mcc"),
        ("auto", "is no method that it could try"),
        ("mme", "is no method"),
        (",", "names no method"),
    ],
)
def test_candidates_that_cannot_be_tried_are_refused(candidates, words):
    with pytest.raises(SettingError, match=words):
        Auto(candidates=candidates).check_hyperparameters()


def test_a_budget_too_small_for_all_leaves_out_the_last_and_shortens():
    source, target = shifted_domains()
    model = small(Auto, epochs=400, budget="1s", candidates="mcc,cdan,dann").fit(source, target=withhold_labels(target))
    assert "dann" not in model.candidates_ and "mcc" in model.candidates_
    assert model.epochs_["dann"] == 0 and 0 < model.epochs_["mcc"] < 400
    assert any("left out" in remark for remark in model.remarks_)


def test_methods_that_the_network_does_not_suit_are_left_out():
    source, target = shifted_domains()
    auto = small(Auto, batch_norm="none", candidates="adabn,mcc").fit(source, target=withhold_labels(target))
    assert set(auto.candidates_) == {"source_only", "mcc"}


def test_on_a_shift_that_all_learn_the_choice_serves_and_is_said_to_have_helped():
    source, target = shifted_domains()
    auto = small(Auto, epochs=20, candidates="mcc,cdan,deep_coral,dann").fit(source, target=withhold_labels(target))
    assert auto.choice_.serves == auto.choice_.name != "source_only"
    assert auto.choice_.evidence[auto.choice_.name].answer == "helped"
    assert auto.score(target) > 0.9


def test_where_there_is_no_shift_source_only_serves():
    source, _ = shifted_domains()
    same = juyi.Domain(source.x[::-1].copy(), classes=source.classes, name="the same")
    auto = small(Auto, epochs=20, candidates="mcc,cdan,deep_coral").fit(source, target=same)
    assert auto.choice_.serves == "source_only"


def test_a_run_keeps_every_candidate_and_says_who_serves(tmp_path):
    source, target = shifted_domains()
    names = np.array(["a", "b", "c"])
    for domain, name in ((source, "there"), (target, "here")):
        rows = [",".join([*(f"f{k}" for k in range(8)), "kind"])]
        rows += [",".join([*map(str, x), str(names[y])]) for x, y in zip(domain.x, domain.y, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(rows))
    request = Request(
        str(tmp_path / "there.csv"), str(tmp_path / "here.csv"), str(tmp_path / "here.csv"), label="kind", rehearse=True
    )
    method = small(Auto, epochs=15, candidates="mcc,cdan,deep_coral")
    folder = juyi.adapt.run(request, method, out=tmp_path / "run")
    record = json.loads((folder.path / "run.json").read_text())
    kept = {"source_only", "mcc", "cdan", "deep_coral"}
    assert {path.stem for path in folder.models.glob("*.safetensors")} == kept
    assert {r["model"] for r in record["results"] if r["on"]["role"] == "test"} == kept
    assert record["serves"] == record["choice"]["serves"] == record["choice"]["name"] != "source_only"
    assert record["verdict"]["answer"] == "helped" and record["verdict"]["evidence"] == "test_labels"
    assert record["verdict"]["sentence"].endswith(f"{record['serves']} serves.")
    assert record["without_labels"]["evidence"]["answer"] == "helped" and record["rehearsal"]["n"] > 50
    known = record["without_labels"]["accuracy"]
    assert known["mcc"]["value"] is None and known["source_only"]["value"] is not None
    truth = {r["model"]: r["value"] for r in record["results"] if r["on"]["role"] == "test"}
    assert all(known[name]["low"] - 0.05 <= truth[name] <= known[name]["high"] + 0.05 for name in kept)
    served = read_run(folder)
    assert np.mean(served.predict(target) == names[target.y]) == pytest.approx(truth[record["serves"]])


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_says_which_models_it_leaves(name):
    assert list(METHODS[name]().leaves(name)) == [name]  # unfitted: itself alone


def test_what_labels_settle_decides_who_serves(tmp_path):
    """Without a jury source only serves; labels that say the candidate helped put it in its place."""
    source, target = shifted_domains()
    for domain, name in ((source, "there"), (target, "here")):
        rows = [",".join([*(f"f{k}" for k in range(8)), "kind"])]
        rows += [",".join([*map(str, x), "abc"[y]]) for x, y in zip(domain.x, domain.y, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(rows))
    request = Request(str(tmp_path / "there.csv"), str(tmp_path / "here.csv"), label="kind")
    folder = juyi.adapt.run(request, small(Auto, epochs=15, candidates="mcc"), out=tmp_path / "run")
    assert folder.read()["serves"] == "source_only" and folder.read()["choice"]["judged"] == "mcc"
    ask(folder, methods=METHODS)
    lines = (folder.settle / "ask.csv").read_text().splitlines()
    filled = [f"{line.rstrip(',')},{'abc'[target.y[int(line.split(',')[1])]]}" for line in lines[1:]]
    (tmp_path / "filled.csv").write_text("\n".join([lines[0], *filled]) + "\n")
    answer(folder, tmp_path / "filled.csv", methods=METHODS)
    assert folder.read()["verdict"]["answer"] == "helped" and folder.read()["serves"] == "mcc"
