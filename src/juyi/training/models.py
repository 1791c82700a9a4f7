"""Model files: weights as safetensors, what they are as JSON beside them; reading one runs no code from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from juyi.errors import ForeignFileError, SettingError
from juyi.nets import NETWORKS, Inputs, LabelScale, Network, build_network, rebuild_hub
from juyi.nets.build import fit_head
from juyi.nets.heads import is_head
from juyi.runs.files import read_json, read_tensors, write_json, write_tensors


def write_model(
    folder: Path,
    name: str,
    net: Network,
    shape: Sequence[int],
    classes: Sequence[str] | None,
    layers: dict[str, str],
    columns: Sequence[str] | None = None,
) -> None:
    """Write `NAME.safetensors` and `NAME.json`.

    Args:
        folder: the run's `models`.
        name: of the method, or of the client.
        net: what serves.
        shape: of one input, C×H×W or d.
        classes: the names of the classes; none, or None, for numbers, and for a backbone.
        layers: the settings `batch_norm` and `head` with which the network was built; how it standardises rows is
            taken from itself, since a student has that from its teacher.
        columns: the names of the features of a table, in order, so that predicting can refuse another order.
    """
    write_tensors(folder / f"{name}.safetensors", net.state_dict(), {"model": name})
    content: dict[str, Any] = {
        "network": net.name,
        "shape": list(shape),
        "outputs": net.outputs,
        "classes": list(classes) if classes else None,
        "columns": None if columns is None else list(columns),
        **layers,
        "standardise": "image" if standardises_by_image(net) else "source",
    }
    if net.hub is not None:
        content["hub"] = net.hub
    write_json(folder / f"{name}.json", content)


def standardises_by_image(net: Network) -> bool:
    """Whether a network standardises each image by its own mean and spread."""
    layer = net.standardise.scale if isinstance(net.standardise, Inputs) else net.standardise
    return bool(getattr(layer, "by_image", False))


def read_model(folder: Path, name: str, net: nn.Module | str | None = None) -> tuple[Network, dict[str, Any]]:
    """Read a model that `write_model` wrote: the network, ready to serve, and its description.

    Named networks are built from the description, and those of the hub from the settings in it by the installed
    library; no code is named there.  A network of one's own has to be given again, as `net`, since a file must not
    say what code to run.

    Raises:
        ForeignFileError: a file is absent, damaged, tampered with, or was not written by Juyi.
        SettingError: the model needs a network of one's own.
    """
    if Path(name).name != name:
        raise ForeignFileError(f"{folder}: has no model called {name!r}")
    path = folder / f"{name}.json"
    description = read_json(path)
    weights, _ = read_tensors(folder / f"{name}.safetensors")
    shape, outputs, named, layers = _checked(description, path)
    where = f"{folder / name}.safetensors"
    numbers = description["classes"] is None and layers["head"] != "none"
    if net in (None, named) and named in NETWORKS:
        network = _named(named, shape, outputs, layers, weights, where, numbers)
    elif net in (None, named) and "hub" in description:
        network = _of_the_hub(description["hub"], outputs, layers, weights, path, where, numbers)
        network.name = named
    elif net is None:
        raise SettingError(f"{path}: its network {named!r} is not built in; give it again with --net module:factory")
    else:
        network = build_network(net, blank_row(shape), outputs, labels=LabelScale() if numbers else None, **layers)
        _check_fit(network, weights, where)
        network.load_state_dict(weights)
    return network.eval(), description


def _checked(description: Any, path: Path) -> tuple[tuple[int, ...], int, str, dict[str, str]]:
    """Check a description; return the shape of one input, the outputs, the network's name, and its layers."""
    try:
        shape = tuple(int(length) for length in description["shape"])
        outputs, named = int(description["outputs"]), description["network"]
        if len(shape) not in (1, 3) or not all(0 < n < 10**6 for n in (*shape, outputs)):
            raise ValueError("its shape is impossible")
        layers = {key: str(description[key]) for key in ("batch_norm", "standardise")}
        layers["head"] = str(description.get("head", "own"))  # older files do not say
        if (
            not is_head(layers["head"])
            or layers["batch_norm"] not in ("none", "shared", "domain")
            or layers["standardise"] not in ("source", "image")
        ):
            raise ValueError("its layers are unknown")
        if not isinstance(named, str):
            raise ValueError("its network has no name")
        classes = description["classes"]
        told = outputs if layers["head"] == "none" and classes is None else 1 if classes is None else len(classes)
        if told != outputs or not isinstance(classes, list | None):
            raise ValueError("its classes do not fit its outputs")
        if classes is not None and not all(isinstance(label, str) for label in classes):
            raise ValueError("its classes are no words")
        columns = description["columns"]
        if columns is not None and not (isinstance(columns, list) and all(isinstance(c, str) for c in columns)):
            raise ValueError("its columns are no words")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ForeignFileError(f"{path}: is not the description of a model of Juyi ({error!r})") from error
    return shape, outputs, named, layers


def blank_row(shape: Sequence[int]) -> Tensor:
    """Return one raw row of zeros: pixels, or features."""
    return torch.zeros((1, *shape), dtype=torch.uint8 if len(shape) == 3 else torch.float32)


def _named(
    named: str,
    shape: Sequence[int],
    outputs: int,
    layers: dict[str, str],
    weights: dict[str, Tensor],
    where: str,
    numbers: bool,
) -> Network:
    """Build a named network without memory, so that a tampered shape takes none, and put the file's weights into it."""
    try:
        with torch.device("meta"):
            network = build_network(
                named, blank_row(shape), outputs, labels=LabelScale() if numbers else None, **layers
            )
    except (RuntimeError, SettingError) as error:
        first = str(error).splitlines()[-1].strip()
        raise ForeignFileError(f"{where}: does not fit its description ({first})") from error
    _check_fit(network, weights, where)
    network.load_state_dict(weights, assign=True)
    return network


def _of_the_hub(
    hub: Any, outputs: int, layers: dict[str, str], weights: dict[str, Tensor], path: Path, where: str, numbers: bool
) -> Network:
    """Build a network of the hub from the settings in its description: first without memory, to see whether it fits."""

    def build() -> Network:
        network = rebuild_hub(hub, outputs, str(path))
        if layers["batch_norm"] == "domain":
            network.split_batch_norm()
        fit_head(network, layers["head"])
        network.label_scale = LabelScale() if numbers else None
        return network

    with torch.device("meta"):
        _check_fit(build(), weights, where)
    with torch.random.fork_rng(devices=[]):  # its first weights are drawn, and replaced
        network = build()
    network.load_state_dict(weights)
    return network


def _check_fit(network: Network, weights: dict[str, Tensor], where: str) -> None:
    """Raise a `ForeignFileError` unless the file has each tensor of the network, in its shape and type, and no more."""
    expected = network.state_dict()
    wrong = [f"it lacks {key}" for key in expected if key not in weights]
    wrong += [f"it holds {key} besides" for key in weights if key not in expected]
    for key in [key for key in expected if key in weights]:
        found, wanted = weights[key], expected[key]
        if found.shape != wanted.shape:
            wrong.append(f"{key} has shape {tuple(found.shape)}, not {tuple(wanted.shape)}")
        elif found.dtype != wanted.dtype:
            wrong.append(f"{key} is {found.dtype}, not {wanted.dtype}")
    if wrong:
        raise ForeignFileError(f"{where}: does not fit its description ({wrong[0]})")
