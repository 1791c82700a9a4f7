"""lightly: SimCLR as its documentation writes it: its transform, its projection head, its loss, torch's loader."""

from __future__ import annotations

import common
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

common.make_torchvision_importable()

from lightly.loss import NTXentLoss  # noqa: E402
from lightly.models.modules import SimCLRProjectionHead  # noqa: E402
from lightly.transforms import SimCLRTransform  # noqa: E402

request = common.asked()
counter = common.Counter(request.get("count", False))
photographs, kinds = common.photographs_of(request)
# What its own benchmark on CIFAR-10 asks for: no blur, half the jitter; crops from a fifth of the picture as in Juyi.
transform = SimCLRTransform(input_size=32, gaussian_blur=0.0, cj_strength=0.5, min_scale=0.2)

clock = common.Clock()
loader = DataLoader(
    common.Pictures(photographs, kinds, transform), batch_size=common.SIMCLR_BATCH, shuffle=True, drop_last=True,
    num_workers=request["workers"],
)  # fmt: skip
backbone, head = common.small_airbench(), SimCLRProjectionHead(128, 512, 128)
model = nn.Sequential(backbone, head)
criterion = NTXentLoss(temperature=common.SIMCLR_TEMPERATURE)
optimizer = torch.optim.SGD(model.parameters(), lr=common.SIMCLR_RATE, momentum=common.MOMENTUM)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, request["epochs"])
for _ in range(request["epochs"]):
    for (first, second), _ in loader:
        loss = criterion(model(first), model(second))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scheduler.step()
spent = clock.stop()


def features(images: np.ndarray) -> torch.Tensor:
    mean, spread = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return backbone.eval()((x - mean) / spread)


steps = len(photographs) // common.SIMCLR_BATCH
packages = ("lightly", "torch", "torchvision", "pillow", "numpy")
common.report(request, spent, steps, common.neighbours(request, features), counter, packages)
