"""Weights from a safetensors file: all of it, or all but the head, or an error; never a part in silence."""

import copy

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from juyi.errors import SettingError
from juyi.nets import build_network
from juyi.training import write_model

SHAPE = (1, 28, 28)


def images(rows=8, seed=0):
    return torch.randint(0, 256, (rows, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def trained(batch_norm="domain", outputs=3, seed=7):
    """A network of which each weight, running value and flag differs from a new one's."""
    torch.manual_seed(seed)
    net = build_network("cnn_small", images() // 2, outputs, batch_norm=batch_norm)
    net(images(seed=1), "source"), net(images(seed=2) // 3, "target")
    return net


def stored(folder, net):
    write_model(folder, "dann", net, SHAPE, [str(i) for i in range(net.outputs)], {})
    return str(folder / "dann.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("batch_norm", ["none", "shared", "domain"])
def test_a_model_of_juyis_own_comes_back_to_the_bit_with_its_statistics(tmp_path, batch_norm):
    old = trained(batch_norm)
    path = stored(tmp_path, old)
    net = build_network("cnn_small", images(), 3, batch_norm=batch_norm, weights=path)
    assert same(net.state_dict(), old.state_dict())
    if batch_norm == "domain":
        assert bool(net.body[1].source_seen) and bool(net.body[1].target_seen)
    assert torch.equal(net.eval()(images()), old.eval()(images()))
    assert net.notes == (f"weights from {path}: {len(old.state_dict())} tensors",)


def test_a_head_of_other_classes_is_left_new_and_said(tmp_path):
    old = trained()
    path = stored(tmp_path, old)
    torch.manual_seed(3)
    fresh = build_network("cnn_small", images(), 5, batch_norm="domain")
    torch.manual_seed(3)
    net = build_network("cnn_small", images(), 5, batch_norm="domain", weights=path)
    assert same(net.body.state_dict(), old.body.state_dict())
    assert same(net.head.state_dict(), fresh.head.state_dict())  # all of it, though one of its layers would fit
    assert "but not the head, which is new: the file's head.2.bias has shape (3,), not (5,)" in net.notes[0]


def test_a_backbone_without_a_head_is_enough(tmp_path):
    old = trained()
    save_file({k: v for k, v in old.state_dict().items() if k.startswith("body.")}, tmp_path / "b.safetensors")
    net = build_network("cnn_small", images(), 3, batch_norm="domain", weights=str(tmp_path / "b.safetensors"))
    assert same(net.body.state_dict(), old.body.state_dict())
    assert net.notes[0].endswith("but not the head, which is new: the file's head is absent or of another kind")


class Plain(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(1, 3, 5), nn.BatchNorm2d(3), nn.Linear(3, classes)

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize("start", ["", "module."])
@pytest.mark.parametrize("batch_norm", ["shared", "domain"])
@pytest.mark.parametrize("tracked", [True, False])
def test_a_plain_state_dict_of_ones_own_module_fits_by_name(tmp_path, batch_norm, start, tracked):
    old = Plain()
    old(torch.randn(9, 1, 28, 28))
    content = {start + k: v.clone() for k, v in old.state_dict().items() if tracked or not k.endswith("tracked")}
    save_file(content, tmp_path / "w.safetensors")
    net = build_network(Plain(), images(), 4, batch_norm=batch_norm, weights=str(tmp_path / "w.safetensors")).eval()
    for domain in ("source", "target"):
        torch.testing.assert_close(net(images(), domain), old.eval()(net.standardise(images())))
    if batch_norm == "domain":
        layer = net.body.norm
        assert bool(layer.source_seen) and not bool(layer.target_seen)
        assert torch.equal(layer.target_variance, old.norm.running_var)


def test_half_precision_is_widened(tmp_path):
    old = trained("none")
    path = tmp_path / "h.safetensors"
    save_file({k: v.half() for k, v in old.state_dict().items()}, path)
    net = build_network("cnn_small", images(), 3, batch_norm="none", weights=str(path))
    assert (
        torch.equal(net.body[0].weight, old.body[0].weight.half().float()) and net.body[0].weight.dtype == torch.float
    )


def changed(**entries):
    return lambda stored: {**stored, **entries}


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: {k: v for k, v in s.items() if k != "body.0.weight"}, "it lacks body.0.weight; give the --net"),
        (lambda s: {k: v for k, v in s.items() if "body.4" not in k}, "it lacks body.4.weight, body.4.bias"),
        (changed(more=torch.zeros(2)), "it holds more besides"),
        (changed(**{"body.0.bias": torch.zeros(2)}), "body.0.bias has shape (2,) there and (32,) here"),
        (changed(**{"body.0.bias": torch.zeros(32, dtype=torch.int64)}), "body.0.bias is of another number type"),
        (changed(**{"body.0.bias": torch.full((32,), torch.nan)}), "body.0.bias holds numbers that are not finite"),
        (lambda s: {"x": torch.zeros(1)}, "it lacks body.0.weight, body.0.bias, body.1.weight and "),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_and_changes_nothing(tmp_path, change, words):
    path = tmp_path / "w.safetensors"
    save_file(change(trained().state_dict()), path)
    with pytest.raises(SettingError) as caught:
        build_network("cnn_small", images(), 3, batch_norm="domain", weights=str(path))
    assert words in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_another_kind_of_batch_norm_is_named_as_such(tmp_path):
    with pytest.raises(SettingError, match="give the --net and --batch-norm that it was written with"):
        build_network("cnn_small", images(), 3, batch_norm="shared", weights=stored(tmp_path, trained("domain")))


@pytest.mark.parametrize(
    "name, content, words",
    [
        (
            "w.pt",
            b"x",
            "is a pickle, which may run any code, so it is not read; if you trust it, convert it: python -c",
        ),
        ("w.pth", b"x", "s.save_file(torch.load("),
        ("gone.safetensors", None, "there is no such file; restore it, or name another"),
        ("w.safetensors", b"no", "is damaged or is no safetensors file"),
        ("w.pickled", b"\x80\x04N.", "is damaged or is no safetensors file"),
        (".", None, "is a folder; name a file, such as"),
    ],
)
def test_a_file_that_is_no_safetensors(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingError) as caught:
        build_network("lenet5", images(), 3, weights=str(tmp_path / name))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_the_line_that_converts_a_pickle_works(tmp_path):
    import shlex
    import subprocess
    import sys

    old = Plain()
    torch.save(old.state_dict(), tmp_path / "w.pth")
    with pytest.raises(SettingError) as caught:
        build_network(Plain(), images(), 4, weights=str(tmp_path / "w.pth"))
    line = shlex.split(str(caught.value).partition("convert it: ")[2])
    subprocess.run([sys.executable, *line[1:]], check=True)
    net = build_network(Plain(), images(), 4, weights=str(tmp_path / "w.safetensors"))
    assert torch.equal(net.head.weight, old.fc.weight)


def test_the_given_network_is_not_filled_itself(tmp_path):
    given, other = Plain(), Plain()
    before = copy.deepcopy(given.state_dict())
    save_file(other.state_dict(), tmp_path / "w.safetensors")
    build_network(given, images(), 4, weights=str(tmp_path / "w.safetensors"))
    assert same(before, given.state_dict())


@pytest.mark.parametrize("head", ["own", "cosine"])
def test_a_head_of_another_make_is_left_new_as_a_whole(tmp_path, head):
    """A bias without a place used to end in a KeyError."""
    old, new = Plain(), Plain()
    if head == "own":
        new.fc = nn.Linear(3, 4, bias=False)
    save_file(old.state_dict(), tmp_path / "w.safetensors")
    net = build_network(new, images(), 4, head=head, weights=str(tmp_path / "w.safetensors"))
    assert "but not the head, which is new" in net.notes[-1]
    assert torch.equal(net.body.conv.weight, old.conv.weight)
    if head == "own":
        assert torch.equal(net.head.weight, new.fc.weight)
