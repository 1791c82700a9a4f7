"""Networks of one's own that the tests of teachers name as `foreign_nets:FACTORY`, and what these tests share."""

import pytest
import torch
from torch import nn

from juyi.errors import SettingError


def small(classes=10, channels=1):
    """A small network with batch norm, which takes images of 1×8×8."""
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Dropout(),
        nn.Linear(144, classes),
    )  # fmt: skip


def trained(seed=0, **given):
    """The same, as if it had learnt: with running values that are not those of the start."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = small(**given)
        net[1].running_mean.normal_()
        net[1].running_var.uniform_(0.5, 2.0)
    return net.eval()


def told(shape, outputs):
    """A factory that asks for shape and outputs."""
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], outputs))


def number():
    """No network."""
    return 3


class Pair(nn.Module):
    """Gives a tuple."""

    def __init__(self):
        super().__init__()
        self.net = small()

    def forward(self, x):
        """Scores and rows."""
        return self.net(x), x


def refusal(call, *words, error=SettingError):
    """Check that the call is refused in one line that says these words."""
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text
    return text
