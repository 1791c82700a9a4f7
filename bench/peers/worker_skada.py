"""SKADA: its deep DANN on float32 arrays, as its example fits it."""

from __future__ import annotations

import common
import numpy as np
import torch
from skada.deep import DANN
from skada.deep.modules import GradientReversalLayer
from torch import nn

request = common.asked()
counter = common.Counter(request.get("count", False))


class Net(nn.Module):
    """The trunk and the head, with a layer by whose name SKADA finds the features."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = common.trunk(), common.label_head()

    def forward(self, x, sample_weight=None):
        return self.head(self.features(x))


class Critic(nn.Module):
    """The critic behind SKADA's own reversal (its DomainClassifier ends in a softmax over one unit: always 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = common.critic(nn.Sigmoid())

    def forward(self, x, sample_weight=None):
        return self.classifier(GradientReversalLayer.apply(x, 1.0)).squeeze()


source, labels, target = common.arrays(request)
X = np.concatenate([common.floats(source), common.floats(target)])
y = np.concatenate([labels, np.full(len(target), -1)]).astype(np.int64)
sample_domain = np.repeat([1, -2], [len(source), len(target)])

clock = common.Clock()
net = DANN(
    Net(), layer_name="features", domain_classifier=Critic(), reg=0.5, batch_size=common.BATCH,
    max_epochs=request["epochs"], train_split=False, lr=common.LEARNING_RATE, optimizer=torch.optim.SGD,
    optimizer__momentum=common.MOMENTUM, iterator_train__num_workers=request["workers"],
)  # fmt: skip
net.fit(X, y, sample_domain=sample_domain)
spent = clock.stop()


def scores(images: np.ndarray) -> torch.Tensor:
    return net.module_.base_module_.eval()(torch.from_numpy(common.floats(images)))


common.report(
    request,
    spent,
    len(target) // common.BATCH,
    common.label_loss(request, scores),
    counter,
    ("skada", "skorch", "torch", "numpy"),
)
