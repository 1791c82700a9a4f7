"""Networks of one's own, as `module:factory` finds them."""

from torch import nn

from juyi.nets import Parts


def tiny(shape, outputs):
    return Parts(nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], 6)), 6, nn.Linear(6, outputs))


def without_head(shape, outputs):
    return nn.Sequential(nn.Linear(3, outputs))


def wrong_classes(shape, outputs):
    return Parts(nn.Sequential(nn.Flatten(), nn.LazyLinear(6)), 6, nn.Linear(6, outputs + 1))


def wrong_width(shape, outputs):
    return Parts(nn.Sequential(nn.Flatten(), nn.LazyLinear(6)), 7, nn.LazyLinear(outputs))


def lazy(shape, outputs):
    return Parts(nn.Sequential(nn.Flatten(), nn.LazyLinear(6)), 6, nn.LazyLinear(outputs))
