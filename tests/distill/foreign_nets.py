"""Networks of one's own that the tests of teachers name as `foreign_nets:FACTORY`."""

import torch
from torch import nn


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
