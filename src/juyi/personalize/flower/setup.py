"""With what everything begins: the settings, the network and its weights, as the server says them to each client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from juyi.data import Domain
from juyi.errors import DataError, ForeignFileError, SettingError
from juyi.nets import NETWORKS, Network
from juyi.nets.normalisation import Standardise
from juyi.personalize.base import Personaliser
from juyi.personalize.simulation import build
from juyi.personalize.vector import Vector
from juyi.training import check_known, command_name
from juyi.training.machine import versions
from juyi.training.recording import settings_of

SCALE = "scale."
"""Before the names of the tensors by which inputs are scaled."""


@dataclass(frozen=True)
class Form:
    """What rows look like, for all clients alike.

    Args:
        shape: of a row.
        classes: the names of the classes.
        columns: the names of the columns; of images none.
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...]
    columns: tuple[str, ...] = ()

    @classmethod
    def read(cls, content: Any) -> Form:
        """Read what `vars` gave.

        Raises:
            ForeignFileError: it is no such thing.
        """
        try:
            shape = tuple(int(size) for size in content["shape"])
            classes, columns = (tuple(str(name) for name in content[key]) for key in ("classes", "columns"))
        except (KeyError, TypeError, ValueError) as error:
            raise ForeignFileError(f"message: does not say what rows look like ({error})") from error
        if len(shape) not in (1, 3) or not all(0 < size <= 100_000 for size in shape) or not classes:
            raise ForeignFileError(f"message: rows of shape {shape} and {len(classes)} classes are no rows")
        return cls(shape, classes, columns)

    def empty(self) -> Domain:
        """Two rows of this form, with nothing in them."""
        x = np.zeros((2, *self.shape), np.uint8 if len(self.shape) == 3 else np.float32)
        return Domain(x, np.zeros(2, np.int64), classes=self.classes, columns=self.columns or None, name="form")


def build_for(method: Personaliser, form: Form, scale: Mapping[str, Tensor] | None = None) -> Network:
    """Build the network for rows of a form, scaled as is said, on the CPU.

    Args:
        method: whose settings say which.
        form: what rows look like.
        scale: the state of what scales inputs; None leaves it as rows of zeros would have it.

    Raises:
        ForeignFileError: the scale does not fit.
    """
    net = build(method, form.empty())
    if scale is not None:
        try:
            net.standardise.load_state_dict(dict(scale))
        except RuntimeError as error:
            raise ForeignFileError("message: scales inputs otherwise than this network does") from error
    return net


def scales_by_rows(net: Network) -> Standardise | None:
    """What scales inputs by the mean and spread of all clients' rows; None where nothing does."""
    layers = [layer for layer in net.standardise.modules() if isinstance(layer, Standardise)]
    return layers[0] if layers and not layers[0].by_image else None


def moments(x: np.ndarray) -> dict[str, Tensor]:
    """How many values, their mean, and the sum of squared deviations from it, of each column or channel.

    Example:
        >>> moments(np.array([[1.0], [3.0]]))["squares"]
        tensor([2.], dtype=torch.float64)
    """
    values = (x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1]) if x.ndim == 4 else x).astype(np.float64)
    mean = values.mean(0)
    squares = np.square(values - mean).sum(0)
    return {
        "count": torch.tensor([len(values)]), "mean": torch.from_numpy(mean), "squares": torch.from_numpy(squares)
    }  # fmt: skip


def put_together(found: Sequence[Mapping[str, Tensor]]) -> tuple[Tensor, Tensor]:
    """Mean and spread over all clients' rows, from each one's moments: as if the rows lay together.

    Σ n_i m_i / n, and the root of Σ (s_i + n_i (m_i − m)²) / n.

    Example:
        >>> put_together([moments(np.array([[1.0], [3.0]])), moments(np.array([[5.0]]))])
        (tensor([3.], dtype=torch.float64), tensor([1.6330], dtype=torch.float64))
    """
    counts = torch.stack([one["count"] for one in found]).double()
    means, squares = (torch.stack([one[name] for one in found]) for name in ("mean", "squares"))
    mean = (counts * means).sum(0) / counts.sum()
    spread = ((squares + counts * (means - mean).square()).sum(0) / counts.sum()).sqrt()
    return mean, torch.where(spread > 1e-6, spread, 1.0)


def setup_note(method: Personaliser, form: Form, precision: str) -> dict[str, Any]:
    """What a client is told, once, of what is learnt."""
    return {
        "juyi": own_version(),
        "method": command_name(type(method)),
        "hyperparameters": settings_of(method),
        "form": vars(form),
        "precision": precision,
    }


def setup_tensors(model: Vector) -> dict[str, Tensor]:
    """The weights with which everything begins, and how inputs are scaled."""
    scale = {f"{SCALE}{name}": value for name, value in model.net.standardise.state_dict().items()}
    return {"beginning": model.copy("all"), **scale}


def own_version() -> str:
    """The version of Juyi on this machine."""
    return str(versions()["juyi"])


def check_version(other: Any, whose: str) -> None:
    """Refuse another version of Juyi.

    Raises:
        SettingError: it is another.
    """
    if other != own_version():
        raise SettingError(
            f"{whose}: has Juyi {str(other)[:40]}, and here is {own_version()}; install one version on every machine"
        )


def method_from(
    note: Mapping[str, Any], methods: Mapping[str, type[Personaliser]], own_net: str | None
) -> Personaliser:
    """Make the method that a server names.

    What it names is a name among Juyi's own; code of one's own and files are used only where the node itself says so.

    Raises:
        ForeignFileError: there is no such method.
        SettingError: a setting is not allowed.
    """
    kind, given = methods.get(str(note.get("method"))), note.get("hyperparameters")
    if kind is None or not isinstance(given, dict):
        raise ForeignFileError(f"message: names method {note.get('method')!r}, which this node does not have")
    check_known(kind, given)
    method = kind(**{**given, "weights": None, "device": "auto"})
    if method.net != "auto" and method.net not in NETWORKS and method.net != own_net:
        raise SettingError(
            f"network {method.net}: is none of Juyi's own; if this node is to use it, start it with net={method.net!r}"
        )
    method.check_hyperparameters()
    return method


def check_size(model: Vector, beginning: Tensor) -> None:
    """Refuse weights of another network.

    Raises:
        DataError: they are as many as no network of this kind has.
    """
    if beginning.shape != model.values.shape or beginning.dtype != torch.float32:
        raise DataError(
            f"network {model.net.name}: has {model.values.numel():,} values here, and the server's has "
            f"{beginning.numel():,}; use the same version and the same data form"
        )
