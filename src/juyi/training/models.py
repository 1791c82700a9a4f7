"""Model files: weights as safetensors, what they are as JSON beside them; reading one runs no code from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from juyi.errors import ForeignFileError, SettingError
from juyi.nets import NETWORKS, Network, build_network
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
        classes: the names of the classes, or None for regression.
        layers: the settings `batch_norm` and `standardise` with which the network was built.
        columns: the names of the features of a table, in order, so that predicting can refuse another order.
    """
    write_tensors(folder / f"{name}.safetensors", net.state_dict(), {"model": name})
    content = {
        "network": net.name,
        "shape": list(shape),
        "outputs": net.outputs,
        "classes": None if classes is None else list(classes),
        "columns": None if columns is None else list(columns),
        **layers,
    }
    write_json(folder / f"{name}.json", content)


def read_model(folder: Path, name: str, net: nn.Module | str | None = None) -> tuple[Network, dict[str, Any]]:
    """Read a model that `write_model` wrote: the network, ready to serve, and its description.

    Only named networks are built from the description.  A network of one's own has to be given again, as `net`,
    since a file must not say what code to run.

    Raises:
        ForeignFileError: a file is absent, damaged, tampered with, or was not written by Juyi.
        SettingError: the model needs a network of one's own.
    """
    if Path(name).name != name:
        raise ForeignFileError(f"{folder}: has no model called {name!r}")
    path = folder / f"{name}.json"
    description = read_json(path)
    weights, _ = read_tensors(folder / f"{name}.safetensors")
    try:
        shape = tuple(int(length) for length in description["shape"])
        outputs, named = int(description["outputs"]), description["network"]
        if len(shape) not in (1, 3) or not all(0 < n < 10**6 for n in (*shape, outputs)):
            raise ValueError("its shape is impossible")
        layers = {key: str(description[key]) for key in ("batch_norm", "standardise")}
        if layers["batch_norm"] not in ("none", "shared", "domain") or layers["standardise"] not in ("source", "image"):
            raise ValueError("its layers are unknown")
        if not isinstance(named, str):
            raise ValueError("its network has no name")
        classes = description["classes"]
        if classes is not None and (not isinstance(classes, list) or len(classes) != outputs):
            raise ValueError("its classes do not fit its outputs")
        if classes is not None and not all(isinstance(label, str) for label in classes):
            raise ValueError("its classes are no words")
        columns = description["columns"]
        if columns is not None and not (isinstance(columns, list) and all(isinstance(c, str) for c in columns)):
            raise ValueError("its columns are no words")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ForeignFileError(f"{path}: is not the description of a model of Juyi ({error!r})") from error
    if net is None:
        if named not in NETWORKS:
            raise SettingError(
                f"{path}: its network {named!r} is not built in; give it again with --net module:factory"
            )
        net = named
    kind = torch.uint8 if len(shape) == 3 else torch.float32
    try:
        if net == named:
            # Built without memory, so that a tampered shape takes none; the weights of the file are put into it.
            with torch.device("meta"):
                network = build_network(net, torch.zeros((1, *shape), dtype=kind), outputs, **layers)
            expected = {key: value.dtype for key, value in network.state_dict().items()}
            network.load_state_dict(weights, assign=True)
            wrong = [key for key, dtype in expected.items() if weights[key].dtype != dtype]
            if wrong:
                raise RuntimeError(f"{wrong[0]} is {weights[wrong[0]].dtype}, not {expected[wrong[0]]}")
        else:
            network = build_network(net, torch.zeros((1, *shape), dtype=kind), outputs, **layers)
            network.load_state_dict(weights)
    except (RuntimeError, SettingError) as error:
        if net != named and isinstance(error, SettingError):
            raise
        first = str(error).splitlines()[-1].strip()
        raise ForeignFileError(f"{folder / name}.safetensors: does not fit its description ({first})") from error
    return network.eval(), description
