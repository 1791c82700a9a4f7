"""tllib: `train` of its own script, examples/domain_adaptation/image_classification/dann.py, on our network and data.

JUYI_TLLIB names a copy of the repository.  Its sources are not changed; the three names that newer libraries took
away and that its imports or its reversal ask for are put back beforehand (below).
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import typing
from pathlib import Path

import common
import numpy as np
import torch
import torch.utils.data.dataset

common.make_torchvision_importable()

import torchvision.models.resnet  # noqa: E402
from torch.optim import SGD  # noqa: E402
from torch.optim.lr_scheduler import LambdaLR  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

np.float = float
torch.utils.data.dataset.T_co = typing.TypeVar("T_co", covariant=True)
torchvision.models.resnet.model_urls = collections.defaultdict(str)
root = Path(os.environ["JUYI_TLLIB"])
sys.path[:0] = [str(root), str(root / "examples/domain_adaptation/image_classification")]

import dann as script  # noqa: E402
import utils  # noqa: E402
from tllib.alignment.dann import DomainAdversarialLoss  # noqa: E402
from tllib.modules.classifier import Classifier  # noqa: E402
from tllib.utils.data import ForeverDataIterator  # noqa: E402

request = common.asked()
counter = common.Counter(request.get("count", False))
source, labels, target = common.arrays(request)
steps = len(target) // common.BATCH
args = argparse.Namespace(
    lr=common.LEARNING_RATE, lr_gamma=0.001, lr_decay=0.75, trade_off=1.0, iters_per_epoch=steps, print_freq=100
)
transform = utils.get_train_transform(  # what the script's Digits commands ask for
    "res.", random_horizontal_flip=False, resize_size=28, norm_mean=(0.5,) * 3, norm_std=(0.5,) * 3
)
sides = [common.Pictures(source, labels, transform), common.Pictures(target, labels, transform)]

clock = common.Clock()
iterators = [
    ForeverDataIterator(
        DataLoader(side, batch_size=common.BATCH, shuffle=True, num_workers=request["workers"], drop_last=True)
    )
    for side in sides
]
backbone = common.trunk()
backbone.out_features = 768
classifier = Classifier(
    backbone, common.CLASSES, head=common.label_head(), pool_layer=torch.nn.Identity(), finetune=False
)
critic = common.critic(torch.nn.Sigmoid())
optimizer = SGD(
    [*classifier.get_parameters(), {"params": critic.parameters(), "lr": 1.0}], args.lr, momentum=common.MOMENTUM
)
scheduler = LambdaLR(optimizer, lambda x: args.lr * (1.0 + args.lr_gamma * float(x)) ** (-args.lr_decay))
adversary = DomainAdversarialLoss(critic)
for epoch in range(request["epochs"]):
    script.train(*iterators, classifier, adversary, optimizer, scheduler, epoch, args)
spent = clock.stop()


def scores(images: np.ndarray) -> torch.Tensor:
    return classifier.eval()(torch.from_numpy(common.floats(images)))


common.report(
    request,
    spent,
    steps,
    common.label_loss(request, scores),
    counter,
    ("torch", "torchvision", "timm", "pillow", "numpy"),
)
