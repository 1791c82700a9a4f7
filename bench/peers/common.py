"""What every worker shares: the data, the network written plainly, and the line that it prints.

A worker is `python worker_NAME.py '{"data": "FILE.npz", "epochs": 2, ...}'`, in the environment of its library.  Its
clock starts when its data lie in memory and all is imported, and stops when the network is trained: it prints START
and waits for a line, and prints STOP.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib import metadata

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

BATCH, LEARNING_RATE, MOMENTUM, CLASSES = 64, 0.01, 0.9, 10
SIMCLR_BATCH, SIMCLR_RATE, SIMCLR_TEMPERATURE = 128, 0.06, 0.2


def trunk() -> nn.Sequential:
    """Juyi's `dann_mnist` without batch norm: convolutions of 32 and 48 maps; 768 features of 3×28×28 floats."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 48, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    )


def label_head() -> nn.Sequential:
    """Its label head."""
    return nn.Sequential(nn.Linear(768, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, CLASSES))


def small_airbench() -> nn.Sequential:
    """Juyi's `airbench-0.5` for 3×32×32 floats: 128 features."""
    layers: list[nn.Module] = [nn.Conv2d(3, 12, 2), nn.BatchNorm2d(12), nn.ReLU()]
    for inputs, maps in ((12, 32), (32, 128), (128, 128)):
        layers += [nn.Conv2d(inputs, maps, 3, 1, 1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(maps), nn.ReLU()]
        layers += [nn.Conv2d(maps, maps, 3, 1, 1, bias=False), nn.BatchNorm2d(maps), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def critic(*last: nn.Module) -> nn.Sequential:
    """Its critic, and what a library wants after it."""
    return nn.Sequential(nn.Linear(768, 100), nn.ReLU(), nn.Linear(100, 1), *last)


def arrays(request: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The source's images (N×28×28, uint8) and labels, and the target's images (N×28×28×3, uint8)."""
    with np.load(request["data"]) as file:
        return file["source"], file["labels"], file["target"]


def photographs_of(request: dict) -> tuple[np.ndarray, np.ndarray]:
    """The photographs (N×32×32×3, uint8) and their classes, which nothing learns from."""
    with np.load(request["data"]) as file:
        return file["photographs"], file["kinds"]


def floats(images: np.ndarray) -> np.ndarray:
    """Images as float32, N×3×28×28, from -1 to 1: what ToTensor and Normalize(0.5, 0.5) make of them."""
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, -1)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / 127.5 - 1


class Pictures(torch.utils.data.Dataset):
    """Images in memory that become PIL pictures and go through `transform`, as torchvision's MNIST does it."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform) -> None:
        self.images, self.labels, self.transform = images, labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index]).convert("RGB")), self.labels[index]


def make_torchvision_importable() -> None:
    """Declare two operators that torchvision's binary for GPUs cannot load beside torch for CPUs; neither is called."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    make_torchvision_importable.library = library  # it lives as long as the process


class Counter:
    """Counts the images that go through the first convolution with gradients, while `on`; off, it costs nothing."""

    def __init__(self, on: bool) -> None:
        self.images = 0
        if on:
            nn.modules.module.register_module_forward_hook(self.look)

    def look(self, module: nn.Module, inputs: tuple, _: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d) and module.in_channels == 3 and torch.is_grad_enabled():
            self.images += len(inputs[0])


class Clock:
    """Seconds from the moment when the worker is told to go on; the processor's are this process' and its loaders'.

    The wall's hold the pauses in which other workers had their turn; `speed.py` knows those, and takes them off.
    """

    def __init__(self) -> None:
        print("\nSTART", flush=True)
        sys.stdin.readline()  # until it is this worker's turn
        self.wall, self.processor = time.perf_counter(), self._processor()

    def _processor(self) -> float:
        return sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )

    def stop(self) -> dict[str, float]:
        """The seconds of both kinds."""
        wall, processor = time.perf_counter() - self.wall, self._processor() - self.processor
        print("\nSTOP", flush=True)
        return {"wall_seconds": round(wall, 4), "processor_seconds": round(processor, 4)}


def report(request: dict, spent: dict, epochs_steps: int, learnt: dict, counter: Counter, packages: tuple) -> None:
    """Print the result: seconds, steps, what shows that it learnt, versions."""
    steps = request["epochs"] * epochs_steps
    seen = counter.images
    result = {
        **spent,
        "steps": steps,
        **learnt,
        "threads": torch.get_num_threads(),
        "versions": {name: metadata.version(name) for name in packages},
    }
    if seen:
        result["images_a_step"] = round(seen / steps, 2)
    print("\nRESULT " + json.dumps(result))


def label_loss(request: dict, scores: Callable) -> dict:
    """The label loss on the first 2,000 source rows after training."""
    images, labels, _ = arrays(request)
    with torch.no_grad():
        logits = torch.as_tensor(scores(images[:2000]))
    return {"label_loss_after": round(float(cross_entropy(logits, torch.from_numpy(labels[:2000]))), 4)}


def neighbours(request: dict, features: Callable) -> dict:
    """The share of 1,000 photographs that are of the class of the nearest, by the cosine, of 2,000 others."""
    photographs, kinds = photographs_of(request)
    with torch.no_grad():
        found = torch.nn.functional.normalize(torch.as_tensor(features(photographs[:3000])).float())
    nearest = (found[2000:] @ found[:2000].T).argmax(1).numpy()
    return {"nearest_neighbour_right": round(float((kinds[nearest] == kinds[2000:3000]).mean()), 4)}


def asked() -> dict:
    """What the worker is asked for; it sets the number of threads and one seed."""
    request = json.loads(sys.argv[1])
    torch.set_num_threads(request["threads"])
    torch.manual_seed(0)
    np.random.seed(0)
    return request
