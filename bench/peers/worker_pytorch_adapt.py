"""pytorch-adapt: its datasets, its DataloaderCreator, and its DANN through Ignite or in a plain loop (its README)."""

from __future__ import annotations

import common
import numpy as np
import torch

common.make_torchvision_importable()

import torchvision.transforms as T  # noqa: E402
from pytorch_adapt.adapters import DANN  # noqa: E402
from pytorch_adapt.containers import Models, Optimizers  # noqa: E402
from pytorch_adapt.datasets import (  # noqa: E402
    CombinedSourceAndTargetDataset,
    DataloaderCreator,
    SourceDataset,
    TargetDataset,
)
from pytorch_adapt.frameworks.ignite import Ignite  # noqa: E402
from pytorch_adapt.hooks import DANNHook  # noqa: E402
from pytorch_adapt.utils.common_functions import batch_to_device  # noqa: E402
from pytorch_adapt.weighters import MeanWeighter  # noqa: E402

request = common.asked()
counter = common.Counter(request.get("count", False))
source, labels, target = common.arrays(request)
if request["form"] == "pictures":
    transform = T.Compose([T.ToTensor(), T.Normalize((0.5,) * 3, (0.5,) * 3)])
    sides = [common.Pictures(source, labels, transform), common.Pictures(target, labels, transform)]
else:
    truth = torch.from_numpy(labels)
    sides = [torch.utils.data.TensorDataset(torch.from_numpy(common.floats(x)), truth) for x in (source, target)]

clock = common.Clock()
datasets = {"train": CombinedSourceAndTargetDataset(SourceDataset(sides[0]), TargetDataset(sides[1]))}
creator = DataloaderCreator(batch_size=common.BATCH, num_workers=request["workers"])
models = Models({"G": common.trunk(), "C": common.label_head(), "D": common.critic(torch.nn.Flatten(0))})
optimizers = Optimizers((torch.optim.SGD, {"lr": common.LEARNING_RATE, "momentum": common.MOMENTUM}))
# The losses of the others: the labels' loss, and the mean of the domains'; its own default is the mean of the three.
weighter = MeanWeighter(weights={"src_domain_loss": 0.5, "target_domain_loss": 0.5}, scale=3.0)
if request["loop"] == "ignite":
    adapter = DANN(models=models, optimizers=optimizers, hook_kwargs={"weighter": weighter})
    Ignite(adapter).run(datasets, dataloader_creator=creator, max_epochs=request["epochs"])
else:
    optimizers.create_with(models)
    hook = DANNHook(list(optimizers.values()), weighter=weighter)
    loader = creator(**datasets)["train"]
    for _ in range(request["epochs"]):
        models.train()
        for data in loader:
            data = batch_to_device(data, torch.device("cpu"))
            hook({**models, **data})
spent = clock.stop()


def scores(images: np.ndarray) -> torch.Tensor:
    return models["C"](models["G"](torch.from_numpy(common.floats(images))))


common.report(
    request,
    spent,
    len(target) // common.BATCH,
    common.label_loss(request, scores),
    counter,
    ("pytorch-adapt", "pytorch-ignite", "torch", "torchvision", "numpy"),
)
