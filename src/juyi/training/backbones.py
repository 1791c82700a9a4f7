"""Through what one looks at the rows: the network of a run, a named one with weights, one of the hub, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from juyi.data.domain import Domain
from juyi.data.shapes import conform
from juyi.errors import DataError, SettingError, nearest
from juyi.nets import NETWORKS, build_network, is_hub
from juyi.runs import RunFolder
from juyi.training import Served, read_run

PIXELS = "pixels"
BATCH_NORMS = ("none", "shared", "domain")
AS_THEY_ARE = "as they are"
"""Vectors need no backbone."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """A name, and the network behind it, if there is one.

    Attributes:
        name: what a person calls it.
        served: the network; None for pixels and for vectors as they are.
        run: the record of the run that it is from, or None.
        folder: the folder of that run.
        has_head: whether its scores are those of classes that it has learnt.
        adapted: whether it has learnt from a target.
        notes: what was done.
    """

    name: str
    served: Served | None = None
    run: dict[str, Any] | None = None
    folder: RunFolder | None = None
    has_head: bool = False
    adapted: bool = False
    notes: tuple[str, ...] = ()

    def rows(self, domain: Domain, side: str) -> np.ndarray:
        """Return the features of rows that come from a side (`source` or `target`), N×d.

        Raises:
            DataError: a feature is not finite.
        """
        assert self.served is not None
        found = self.served.features(domain, side)
        if not np.isfinite(found).all():
            raise DataError(f"{self.name}: gives features of {domain.name} that are not finite; take another backbone")
        return found


def is_backbone(name: str) -> bool:
    """Tell whether a candidate is a backbone, and no data: pixels, a run, a model of a run, a network of the hub.

    A set of data of the hub names a split, and has an @.

    Example:
        >>> [is_backbone(name) for name in ("pixels", "hub/someone/net", "hub/someone/set@train", "digits@train")]
        [True, True, False, False]
    """
    return name == PIXELS or name in NETWORKS or _run_of(name) is not None or (is_hub(name) and "@" not in name)


def find_backbone(
    name: str | Served, example: Domain, outputs: int, weights: str | None = None, net: Any = None
) -> Backbone:
    """Return the backbone that a person names.

    Args:
        name: `pixels`, the folder of a finished run, `RUN/models/NAME`, a named network, `module:factory`, `hub/NAME`,
            or a network.
        example: rows of the source, to whose shape a network is fitted.
        outputs: how many classes there are; at least 1.
        weights: a safetensors file, for a named network or `module:factory`.
        net: `module:factory`, if the run's network is one of one's own.

    Raises:
        SettingError: there is no such backbone, or it does not fit.
        RunFolderError: the run is not finished, or damaged.
    """
    if isinstance(name, Served):
        _refuse(weights, "the network that was given has its weights; drop it")
        return Backbone(f"the network {name.net.name}", name, has_head=True)
    if name == PIXELS:
        _refuse(weights, "pixels have no weights; drop it, or name a network with --backbone")
        return Backbone(PIXELS if example.is_images else AS_THEY_ARE)
    if (found := _run_of(name)) is not None:
        _refuse(weights, f"the model of {name} has its weights; drop it")
        return _of_run(name, *found, net)
    bare = name in NETWORKS or (":" in name and not is_hub(name))  # a network without weights
    if not bare and not is_hub(name):
        kinds = (
            "pixels, the folder of a finished run, RUN/models/NAME, hub/NAME, or a named network or module:factory "
            "with --weights"
        )
        known = [PIXELS, *NETWORKS]
        raise SettingError(f"--backbone {name}: there is no such backbone; {nearest(name, known)}; it can be {kinds}")
    if bare and weights is None:
        raise SettingError(f"--backbone {name}: is not trained by its name alone; give its --weights, or name a run")
    return _built(name, example, max(1, outputs), weights)


def _built(name: str, example: Domain, outputs: int, weights: str | None) -> Backbone:
    """Build a network; a named one with the batch norm, and for the channels, that its weights have."""
    channels = example.x.shape[1:2] if example.is_images else ()
    other = {(1,): ((1,), (3,)), (3,): ((3,), (1,))}.get(channels, (channels,))
    variants = [(count, kind) for count in other for kind in BATCH_NORMS] if name in NETWORKS else [(channels, "none")]
    first: SettingError | None = None
    for count, kind in variants:
        shape = (*count, *example.x.shape[2:]) if example.is_images else example.x.shape[1:]
        rows = torch.from_numpy(
            np.ascontiguousarray(conform(example.select(np.arange(min(example.size, 500))), shape).x)
        )
        try:
            network = build_network(name, rows, outputs, weights=weights, batch_norm=kind)
        except SettingError as error:
            first = first or error
            continue
        served = Served(network.eval(), shape, range(outputs), example.columns)
        return Backbone(name, served, notes=network.notes)
    assert first is not None
    raise SettingError(str(first).replace("--net", "--backbone")) from first


def _refuse(weights: str | None, why: str) -> None:
    if weights is not None:
        raise SettingError(f"--weights {weights}: {why}")


def _run_of(name: str) -> tuple[Path, str | None] | None:
    """Find the run, and the model in it, that a path means; None if it means neither."""
    path = Path(name)
    if (path / "run.json").is_file():
        return path, None
    if path.parent.name == "models" and (path.parent.parent / "run.json").is_file():
        return path.parent.parent, path.name.removesuffix(".safetensors").removesuffix(".json")
    return None


def _of_run(name: str, path: Path, model: str | None, net: Any) -> Backbone:
    folder = RunFolder.open(path)
    record = folder.read_finished()
    if model is not None and not (folder.models / f"{model}.json").is_file():
        there = sorted(entry.stem for entry in folder.models.glob("*.json"))
        raise SettingError(f"--backbone {name}: the run has no model called {model}; {nearest(model, there)}")
    served = read_run(folder, model, net)
    learnt_from_target = "target" in (record.get("data") or {}) and (model or record.get("serves")) != "source_only"
    return Backbone(name, served, record, folder, has_head=True, adapted=learnt_from_target)


def sides_of(backbone: Backbone, sources: Sequence[Domain], target: Domain) -> list[np.ndarray]:
    """Return the features of each source, and at the end of the target, by a network."""
    return [*(backbone.rows(one, "source") for one in sources), backbone.rows(target, "target")]
