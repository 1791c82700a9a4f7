"""How good features become while they are learnt: measured after each epoch, also by labels that are only watched."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from juyi.augmentation import Crops, find_look
from juyi.data.domain import Domain
from juyi.data.splits import subset_rows
from juyi.measure import alignment, lidar, neighbour_scores, rank_me, uniformity
from juyi.nets import Network
from juyi.pretrain.base import Pretrainer
from juyi.pretrain.request import Given
from juyi.runs import RunFolder
from juyi.runs.files import read_json, write_json
from juyi.training import Rows, Silent, StageRun, choose_device, compute
from juyi.training.batches import seed_torch

IMAGES, VIEWED, VIEWS = 1_000, 100, 10
"""Images whose features are measured, and of these the ones of which so many views are compared."""
KNOWN, ASKED = 4_000, 1_000
"""Of the labelled images, how many vote and are asked about after an epoch; at the end, all of them."""
NEIGHBOURS, TEMPERATURE = 200, 0.1
VIEWS_BETWEEN = 40_000
"""So many views are learnt from, at least, between two looks: looking costs a few percent of learning."""
_VIEWS_OF_WATCHER = 7_919


class Watch(Silent):
    """Measures the features at the end of epochs, says so, and writes it into the run's `records`.

    On few images not after every epoch, but each time that 40,000 views were learnt from, and after the last.

    Args:
        folder: the run.
        model: what is learning.
        measures: what is measured, and how.
        console: where it is said.
    """

    def __init__(self, folder: RunFolder, model: str, measures: Measures, console: Console) -> None:
        self.folder, self.model, self.measures, self.console = folder, model, measures, console
        self.every = -(-VIEWS_BETWEEN // measures.views_an_epoch)

    def step_done(self, run: StageRun) -> None:
        """Measure at the end of an epoch, if it is time."""
        if not run.at_epoch_end or (run.epoch % self.every and run.epoch < run.stage.epochs):
            return
        net = run.stage.serves or next(owner for owner in run.state.owners if isinstance(owner, Network))
        found = self.measures.of(net)
        path = self.folder.records / f"{self.model}-{run.number}-{run.epoch:04d}.json"
        write_json(path, {"epoch": run.epoch, "stage": run.stage.name, **found})
        said = f"epoch {run.epoch}: effective rank {found['rank_me']:.1f} of {net.width}"
        if "neighbours" in found:
            said += f", {found['neighbours']:.1%} of the watched images right by their neighbours"
        self.console.print(f"{self.model}: {said}", highlight=False)
        for warning in collapse(found, net.width):
            self.console.print(f"{self.model}: {warning}", highlight=False)


class Measures:
    """What is measured of a backbone, on the same rows and views each time."""

    def __init__(self, method: Pretrainer, given: Given) -> None:
        self.device, self.seed = choose_device(method.device), method.random_state
        self.views_an_epoch = given.images.size * method.views
        self.crops = Crops(find_look(method.look_name(given.images)))
        self.images = self._some(given.images, IMAGES)
        self.known = None if given.known is None else self._some(given.known, KNOWN)
        self.asked = None if given.asked is None else self._some(given.asked, ASKED)
        self.classes = len(given.known.classes or ()) if given.known else 0

    def _some(self, domain: Domain, most: int) -> Rows:
        return self.rows(domain.select(subset_rows(domain.size, min(most, domain.size), self.seed)))

    def rows(self, domain: Domain) -> Rows:
        """Images on the device, to be measured."""
        return Rows(domain, self.device)

    def of(self, net: Network) -> dict[str, float]:
        """Effective ranks, alignment, uniformity; with labels the share that their neighbours foretell."""
        every, few = np.arange(self.images.size), np.arange(min(VIEWED, self.images.size))
        one, other = (self._viewed(net, every, view) for view in range(2))
        views = np.stack([self._viewed(net, few, view) for view in range(2, 2 + VIEWS)], 1)
        found = {
            "rank_me": rank_me(self.features(net, self.images)),
            "lidar": lidar(views),
            "alignment": alignment(one, other),
            "uniformity": uniformity(one),
        }
        if self.known is not None and self.asked is not None:
            found["neighbours"] = float(self.right(net, self.known, self.asked).mean())
        return found

    def right(self, net: Network, known: Rows, asked: Rows) -> np.ndarray:
        """Of which asked images the nearest known ones foretell the class, bool, N."""
        votes = neighbour_scores(
            self.features(net, known), known.y.cpu().numpy(), self.features(net, asked), self.classes,
            k=NEIGHBOURS, temperature=TEMPERATURE,
        )  # fmt: skip
        found: np.ndarray = votes.argmax(1) == asked.y.cpu().numpy()
        return found

    def features(self, net: Network, rows: Rows) -> np.ndarray:
        """The features of images as they are."""
        found: np.ndarray = compute(net, rows, np.arange(rows.size), net.features).numpy()
        return found

    def _viewed(self, net: Network, index: np.ndarray, view: int) -> np.ndarray:
        seed_torch(self.device, self.seed, _VIEWS_OF_WATCHER, view)  # the loop seeds each step anew
        found: np.ndarray = compute(net, self.images, index, lambda x: net.features(self.crops(x))).numpy()
        return found

    def pictured(self, images: Domain, count: int) -> np.ndarray:
        """Views of the first images, n×count×C×H×W, uint8, for people to look at."""
        seed_torch(self.device, self.seed, _VIEWS_OF_WATCHER)
        x: Tensor = Rows(images, torch.device("cpu")).x
        seen = self.crops(x.repeat_interleave(count, 0)).round().to(torch.uint8)
        return seen.numpy().reshape(len(x), count, *images.x.shape[1:])


def collapse(found: dict[str, float], width: int) -> list[str]:
    """Say so where all images have nearly the same features.

    Example:
        >>> collapse({"rank_me": 40.0, "uniformity": -2.0}, 64)
        []
        >>> collapse({"rank_me": 1.2, "uniformity": -0.001}, 64)[0].split(":")[0]
        'the features have collapsed'
    """
    if found["rank_me"] >= 1.5 and found["uniformity"] <= -0.05:
        return []
    return [
        f"the features have collapsed: they fill {found['rank_me']:.1f} of {width} dimensions, so the backbone finds "
        "all images alike; try a smaller --learning-rate, a larger --batch, or --method vicreg"
    ]


def read_watched(folder: RunFolder, model: str) -> list[dict[str, Any]]:
    """What was measured after each epoch, in order."""
    paths = sorted(folder.records.glob(f"{model}-*-*.json"))
    found: list[dict[str, Any]] = [read_json(path) for path in paths]
    return found
