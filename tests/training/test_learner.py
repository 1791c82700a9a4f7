"""Shared options of learning: dropout, the limit of weights, shifts; where they act, and what is refused."""

import pytest
import torch
from torch import nn

from juyi.adapt import SourceOnly
from juyi.augmentation import make_view
from juyi.check.common import shifted_domains
from juyi.errors import SettingError
from juyi.training.learner import Limit

QUICK = {"net": "mlp-32-16", "epochs": 20, "batch": 60, "precision": "float32", "device": "cpu", "batch_norm": "none"}


def lengths(net):
    return torch.cat([layer.weight.flatten(1).norm(dim=1) for layer in net.modules() if isinstance(layer, nn.Linear)])


def test_no_unit_has_longer_weights_than_the_limit():
    source, _ = shifted_domains()
    free = SourceOnly(learning_rate=0.05, **QUICK).fit(source)
    held = SourceOnly(learning_rate=0.05, max_norm=0.7, **QUICK).fit(source)
    assert lengths(free.net_).max() > 1.0
    assert lengths(held.net_).max() <= 0.7 + 1e-5
    assert held.score(source) > 0.9


def test_the_limit_shortens_and_turns_nothing():
    layers = nn.Sequential(nn.Linear(4, 3), nn.Conv2d(2, 5, 3))
    before = [layer.weight.detach().clone() for layer in layers]
    Limit([[layers]], 0.5)()
    for layer, old in zip(layers, before, strict=True):
        new, long = layer.weight.detach().flatten(1), old.flatten(1)
        assert torch.allclose(new / new.norm(dim=1, keepdim=True), long / long.norm(dim=1, keepdim=True), atol=1e-6)
        assert torch.allclose(new.norm(dim=1), long.norm(dim=1).clamp(max=0.5), atol=1e-6)


def test_dropout_acts_in_training_alone():
    source, _ = shifted_domains()
    fitted = SourceOnly(dropout=0.5, **QUICK).fit(source)
    shares = {layer.p for layer in fitted.net_.modules() if isinstance(layer, nn.Dropout)}
    assert shares == {0.5}
    assert (fitted.scores(source) == fitted.scores(source)).all()
    without = SourceOnly(**QUICK).fit(source)
    assert not torch.equal(fitted.net_.head.weight, without.net_.head.weight)


def test_dropout_needs_a_place():
    source, _ = shifted_domains()
    with pytest.raises(SettingError, match=r"--dropout 0\.5: network mlp has no dropout layer; use mlp-WIDTH-WIDTH"):
        SourceOnly(**{**QUICK, "net": "mlp", "dropout": 0.5}).fit(source)


def test_a_shift_needs_augmentation():
    source, _ = shifted_domains()
    with pytest.raises(SettingError, match="--shift: shifts images that are augmented; add --augment weak"):
        SourceOnly(shift=2, **QUICK).fit(source)


@pytest.mark.parametrize("shift", [1, 2])
def test_images_are_shifted_by_whole_pixels_up_to_the_shift(shift):
    x = torch.zeros(400, 1, 15, 15, dtype=torch.uint8)
    x[:, :, 7, 7] = 255
    moved = make_view("weak", shift=shift)(x)
    places = moved.flatten(1).argmax(1)
    rows, columns = places // 15 - 7, places % 15 - 7
    assert set(rows.tolist()) == set(columns.tolist()) == set(range(-shift, shift + 1))
    assert torch.allclose(moved.sum((1, 2, 3)), torch.tensor(255.0), atol=0.1)
