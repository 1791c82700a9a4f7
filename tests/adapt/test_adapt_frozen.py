"""Frozen parts keep every bit through whole methods, and weights are where learning begins."""

import numpy as np
import pytest
import torch
from torch import nn

from juyi.adapt import METHODS, Adapter
from juyi.data import Domain
from juyi.errors import SettingError
from juyi.training import Checkpoint, declared, write_model

QUICK = {"batch": 16, "precision": "float32", "device": "cpu"}
SHAPE = (1, 12, 12)


def domain(seed, shift=0, labelled=True, rows=48):
    random = np.random.default_rng(seed)
    y = np.arange(rows) % 3
    x = random.integers(0, 100, (rows, *SHAPE)) + shift
    for row, code in enumerate(y):
        x[row, :, 4 * code : 4 * code + 4] += 100
    mask = np.full(rows, labelled) if labelled in (True, False) else np.arange(rows) < labelled
    return Domain(x.astype(np.uint8), y, mask, ("a", "b", "c"), name=f"d{seed}")


class Net(nn.Module):
    """Batch norm and dropout: a frozen part has statistics that could move, and randomness to be switched off."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5)),
            nn.Sequential(nn.Conv2d(4, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU()),
            nn.Flatten(),
        )
        self.head = nn.Linear(6 * 4 * 4, 3)
        self.width = 6 * 4 * 4


def fitted(method: type[Adapter], net, **settings):
    epochs = {name: 1 for name in declared(method) if name.endswith("epochs")}
    target = domain(1, shift=30, labelled=6 if method.needs_target_labels else False)
    return method(**{**QUICK, **epochs, "net": net, **settings}).fit(domain(0), target=target)


def started():
    torch.manual_seed(0)
    net = Net()
    net.head(net.body(torch.randn(32, 1, 12, 12)))  # running values of its own
    return net


@pytest.mark.parametrize("batch_norm", ["domain", "shared"])
@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_frozen_part_keeps_every_bit_and_the_rest_learns(name, batch_norm):
    net = started()
    model = fitted(METHODS[name], net, freeze="body.0", batch_norm=batch_norm)
    found, first = model.net_.body, net.body
    ours = found[0].state_dict()
    assert torch.equal(found[0][0].weight, first[0][0].weight) and torch.equal(found[0][0].bias, first[0][0].bias)
    assert torch.equal(found[0][1].weight, first[0][1].weight)
    for mine, theirs in (("mean", "running_mean"), ("variance", "running_var")):
        for key in (f"1.source_{mine}", f"1.target_{mine}") if batch_norm == "domain" else (f"1.{theirs}",):
            assert torch.equal(ours[key], first[0][1].state_dict()[theirs]), key
    if batch_norm == "domain":
        assert not bool(ours["1.target_seen"])
    assert not torch.equal(found[1][0].weight, first[1][0].weight)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_frozen_body_is_a_linear_probe_or_a_clear_error(name):
    """A method that changes the body alone in some stage has nothing to do there."""
    net = started()
    try:
        model = fitted(METHODS[name], net, freeze="body")
    except SettingError as error:
        assert str(error).startswith("--freeze: leaves ") or "has only frozen ones" in str(error), error
        assert name in ("adabn", "adda", "shot"), name
        return
    before = {k: v for k, v in net.body.state_dict().items() if not k.endswith(("mean", "var", "tracked"))}
    after = model.net_.body.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert not torch.equal(next(model.net_.head.parameters()), net.head.weight)


def test_a_frozen_run_that_was_killed_goes_on_to_the_same_bits(tmp_path):
    method = METHODS["adda"]
    settings = {**QUICK, "epochs": 1, "adversarial_epochs": 1, "freeze": "body.0", "net": started()}
    source, target = domain(0), domain(1, shift=30, labelled=False)
    whole = method(**settings).learn(source, target).net_.state_dict()

    class Killed(Exception):
        pass

    class Kill:
        """A watcher that ends the run after so many steps."""

        def __init__(self, steps):
            self.steps = steps

        def step_done(self, run):
            self.steps -= 1
            if not self.steps:
                raise Killed

        stage_begins = stage_ends = rewind = lambda self, _: None
        mark = dict

    for steps in (1, 4, 5):
        checkpoint = Checkpoint(tmp_path / str(steps), every=0.0)
        with pytest.raises(Killed):
            method(**settings).learn(source, target, watcher=Kill(steps), checkpoint=checkpoint)
        resumed = method(**settings).learn(source, target, checkpoint=Checkpoint(tmp_path / str(steps)))
        assert all(torch.equal(value, resumed.net_.state_dict()[key]) for key, value in whole.items())


def test_learning_begins_from_the_weights_of_an_earlier_run(tmp_path):
    """With everything but the head frozen, the features are those of the earlier run, to the bit."""
    source, target = domain(0), domain(1, shift=30, labelled=False)
    settings = {**QUICK, "epochs": 1, "net": "cnn_small"}
    earlier = METHODS["dann"](**settings).fit(source, target=target)
    write_model(tmp_path, "dann", earlier.net_, SHAPE, ["a", "b", "c"], earlier.layers)
    weights = str(tmp_path / "dann.safetensors")
    later = METHODS["source_only"](**settings, weights=weights, freeze="body", random_state=5).fit(
        source, target=target
    )
    for rows, name in ((source, "source"), (target, "target")):
        one, other = (m._served().features(rows, name) for m in (earlier, later))
        assert np.array_equal(one, other)
    assert not torch.equal(later.net_.head[0].weight, earlier.net_.head[0].weight)


def test_statistics_taken_anew_leave_frozen_layers_alone():
    net = started()
    model = fitted(METHODS["adabn"], net, freeze="body.0")
    layers = model.net_.body
    assert torch.equal(layers[0][1].target_mean, net.body[0][1].running_mean)
    assert not torch.equal(layers[1][1].target_mean, net.body[1][1].running_mean)
