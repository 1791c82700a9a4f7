"""Networks that tell numbers: in the labels' own unit, at any size, and through files of weights."""

import pytest
import torch
from safetensors.torch import save_file

from juyi.errors import SettingError
from juyi.nets import LabelScale, build_network, default_network


def rows(n=20, columns=4):
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(0))


def test_a_network_tells_numbers_in_their_own_unit():
    net = build_network("linear", rows(), 1, labels=LabelScale(100.0, 7.0))
    said = net.head(net.features(rows()))
    torch.testing.assert_close(net(rows()), 100 + 7 * said)
    assert build_network("linear", rows(), 1).label_scale is None


def test_standardising_and_telling_are_inverse():
    scale, y = LabelScale(-3.0, 1e6), torch.linspace(-1e6, 1e6, 11)
    torch.testing.assert_close(scale(scale.standardised(y)), y, rtol=1e-5, atol=1.0)


def test_numbers_of_few_columns_are_told_by_a_linear_network():
    assert default_network(rows(), numbers=True) == "linear"
    assert default_network(rows(columns=17), numbers=True) == default_network(rows(), numbers=False) == "mlp"
    assert default_network(torch.zeros(1, 1, 28, 28, dtype=torch.uint8), numbers=True) == "dann_mnist"


def test_a_file_of_weights_brings_the_scale_with_its_head(tmp_path):
    one = build_network("mlp", rows(), 1, labels=LabelScale(5.0, 2.0))
    save_file(one.state_dict(), tmp_path / "one.safetensors")
    other = build_network("mlp", rows(), 1, labels=LabelScale(), weights=str(tmp_path / "one.safetensors"))
    torch.testing.assert_close(other(rows()), one(rows()))


def test_the_body_of_a_network_of_classes_serves_for_numbers_and_the_other_way(tmp_path):
    classes = build_network("mlp", rows(), 3)
    numbers = build_network("mlp", rows(), 1, labels=LabelScale(5.0, 2.0))
    for name, given, wanted in (("classes", classes, 1), ("numbers", numbers, 3)):
        save_file(given.state_dict(), tmp_path / f"{name}.safetensors")
        labels = LabelScale(1.0, 9.0) if wanted == 1 else None
        made = build_network("mlp", rows(), wanted, labels=labels, weights=str(tmp_path / f"{name}.safetensors"))
        torch.testing.assert_close(made.features(rows()), given.features(rows()))
        assert "but not the head, which is new" in made.notes[0]
        assert labels is None or (made.label_scale.mean.item(), made.label_scale.spread.item()) == (1.0, 9.0)


def test_a_file_that_does_not_fit_is_still_refused(tmp_path):
    state = build_network("mlp", rows(), 1, labels=LabelScale()).state_dict()
    save_file({**state, "body.9.weight": torch.zeros(1)}, tmp_path / "odd.safetensors")
    with pytest.raises(SettingError, match=r"it holds body\.9\.weight besides"):
        build_network("mlp", rows(), 1, labels=LabelScale(), weights=str(tmp_path / "odd.safetensors"))
