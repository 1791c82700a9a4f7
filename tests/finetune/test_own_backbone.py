"""A backbone of one's own: module:factory with its weights."""

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import juyi
from juyi import finetune
from juyi.errors import SettingError
from juyi.finetune import Linear, Request
from juyi.training import read_run

CODE = """
from types import SimpleNamespace
from torch import nn

def make():
    body = [nn.Conv2d(1, 4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 12), nn.ReLU()]
    return nn.Sequential(*body, nn.Linear(12, 7))

def maps(shape, outputs):
    return SimpleNamespace(body=nn.Conv2d(1, 4, 5, 3), head=nn.Linear(4, outputs), width=4)
"""


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A module with factories, and the weights of one of them, trained elsewhere."""
    (tmp_path / "my_backbone.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_backbone

    with torch.random.fork_rng():
        torch.manual_seed(3)
        save_file(my_backbone.make().state_dict(), tmp_path / "trained.safetensors")
    yield str(tmp_path / "trained.safetensors")
    sys.modules.pop("my_backbone", None)


def go(weights, out, backbone="my_backbone:make", **more):
    request = Request(backbone, "digits@train[:100]", labels_per_class=3, **more)
    return finetune.run(request, Linear(weights=weights, precision="float32", device="cpu"), out=out)


def test_a_backbone_of_ones_own_serves_with_a_new_head(weights, tmp_path):
    folder = go(weights, tmp_path / "run", beside=False)
    with pytest.raises(SettingError, match="--net module:factory"):
        read_run(folder)  # code is run where a person names it, never because a file does
    served = read_run(folder, net="my_backbone:make")
    test = juyi.load("digits@test[:50]")
    assert served.scores(test).shape == (50, 10)
    import my_backbone
    from safetensors.torch import load_file

    module = my_backbone.make()
    module.load_state_dict(load_file(weights))
    scaled = served.net.standardise(torch.from_numpy(test.x))
    wanted = module[:5](scaled).detach().numpy()
    np.testing.assert_allclose(served.features(test), wanted, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_a_backbone_is_refused_in_a_line(weights, tmp_path):
    with pytest.raises(SettingError, match=r"my_backbone:make: is not trained by its name alone; give its --weights"):
        go(None, tmp_path / "run")
    with pytest.raises(SettingError, match=r"--backbone my_backbone:maps.*\(1, 28, 28\)"):
        go(weights, tmp_path / "run", backbone="my_backbone:maps")
    assert not (tmp_path / "run").exists()
