"""A trained network at work: raw rows in, scores, features and predictions out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from juyi.data import as_domain, conform
from juyi.data.classes import adopt_classes, for_regression
from juyi.data.domain import Domain
from juyi.data.doors import check_order
from juyi.errors import ClassesDifferError, NoClassesError, SettingError
from juyi.nets import TARGET, Network, is_hub
from juyi.runs import RunFolder
from juyi.training.batches import Rows
from juyi.training.models import read_model


class Served:
    """A network with the shape of its inputs and the names of its classes.

    Args:
        net: the network.
        shape: of one input, C×H×W or d; other images are brought to it.
        classes: what `predict` answers, one a score; none where the network tells a number.
        columns: the names of the features of a table, in order; a table with the same in another order is refused.
        layers: the settings `batch_norm`, `standardise` and `head` with which the network was built, where known.
    """

    def __init__(
        self,
        net: Network,
        shape: Sequence[int],
        classes: Sequence[Any] | np.ndarray,
        columns: Sequence[str] | None = None,
        layers: Mapping[str, str] | None = None,
    ) -> None:
        self.net, self.shape, self.classes = net, tuple(shape), np.asarray(classes)
        self.columns = tuple(columns or ())
        self.layers = dict(layers or {})

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with any weight, and with the names of the classes."""
        return fingerprint_of(self.net, self.shape, self.classes.tolist())

    @property
    def tells_numbers(self) -> bool:
        """Whether the network tells a number, in the labels' unit, and no class."""
        return self.net.label_scale is not None

    def fit_shape(self, domain: Domain) -> Domain:
        """Bring a domain to the shape of the model; another kind, or columns in another order, are refused."""
        check_order(domain, self.columns, "the model")
        return conform(domain, self.shape)

    def adopt(self, domain: Domain) -> Domain:
        """Bring a domain to the shape and the classes of the model; a class that it does not know is refused."""
        self.check_classifier()
        domain = self.fit_shape(domain)
        if self.tells_numbers:
            return for_regression(domain, Domain(domain.x, np.zeros(domain.size, np.float32), name="the model"))
        known = Domain(domain.x, classes=tuple(str(label) for label in self.classes), name="the model")
        adopted = adopt_classes(domain, known)
        if adopted.classes != known.classes:
            raise ClassesDifferError(
                f"{domain.name}: has classes that the model does not know; it knows {', '.join(known.classes or ())}"
            )
        return adopted

    def scores(self, X: Any, domain: str = TARGET) -> np.ndarray:
        """Return the scores (logits), N×C, float32, of rows that come from `domain`; or the numbers, N×1."""
        return self._compute(X, lambda x: self.net(x, domain))

    def features(self, X: Any, domain: str = TARGET) -> np.ndarray:
        """Return the features, N×width, float32, of rows that come from `domain`."""
        return self._compute(X, lambda x: self.net.features(x, domain))

    def predict_proba(self, X: Any, domain: str = TARGET) -> np.ndarray:
        """Return the probabilities of the classes, N×C, each row summing to 1.

        Raises:
            SettingError: the model tells numbers.
        """
        self.check_classifier()
        if self.tells_numbers:
            raise SettingError("the model tells numbers, which have no probabilities; use predict")
        return softmax(self.scores(X, domain))

    def predict(self, X: Any, domain: str = TARGET) -> np.ndarray:
        """Return the most probable class of each row, N; or the number, float32, N."""
        self.check_classifier()
        scores = self.scores(X, domain)
        predicted: np.ndarray = scores[:, 0] if self.tells_numbers else self.classes[scores.argmax(1)]
        return predicted

    def check_classifier(self, where: str | None = None) -> None:
        """Raise a `NoClassesError` if it is a backbone, which answers nothing; `where` says what asks."""
        if self.net.is_backbone:
            raise NoClassesError(where)

    def _compute(self, X: Any, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        rows = Rows(self.fit_shape(as_domain(X)), next(iter(self.net.state_dict().values())).device)
        computed: np.ndarray = compute(self.net, rows, np.arange(rows.size), function).numpy()
        return computed


def fingerprint_of(net: nn.Module, shape: Sequence[int], classes: Sequence[Any]) -> str:
    """Return 16 hexadecimal digits that change with any weight of a network, and with what goes in and comes out."""
    digest = hashlib.sha256(repr((tuple(shape), classes)).encode())
    for value in net.state_dict().values():
        digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).data)
    return digest.hexdigest()[:16]


def compute(
    net: Network, rows: Rows, index: np.ndarray, function: Callable[[Tensor], Tensor], batch: int = 500
) -> Tensor:
    """Apply `function` to these rows, some at a time, without gradients and in eval mode; float32, on the CPU."""
    modes = [(layer, layer.training) for layer in net.modules()]
    batch = min(batch, net.rows_at_once)
    net.eval()
    with torch.no_grad():
        starts = range(0, len(index), batch)
        parts = [function(rows.take(index[start : start + batch]).x).float().cpu() for start in starts]
    for layer, mode in modes:
        layer.training = mode
    return torch.cat(parts)


def compute_rows(function: Callable[[Tensor], Tensor], rows: Rows, batch: int = 500) -> Tensor:
    """Apply `function`, of a model that is in eval mode, to all rows, some at a time, without gradients; float32."""
    index = np.arange(rows.size)
    with torch.no_grad():
        return torch.cat([function(rows.take(index[start : start + batch]).x).float() for start in index[::batch]])


def read_run(folder: RunFolder | str, model: str | None = None, net: nn.Module | str | None = None) -> Served:
    """Return the model that serves in a run folder (or the one named), ready to predict.

    Args:
        folder: the run, or its path.
        model: a name in the run's `models`, `source_only` say; None is the one that serves.
        net: the network, if it is one of your own.

    Raises:
        RunFolderError: there is no such run.
        ForeignFileError: a file is absent, damaged, tampered with, or was not written by Juyi.
    """
    folder = folder if isinstance(folder, RunFolder) else RunFolder.open(folder)
    network, description = read_model(folder.models, model or str(folder.read().get("serves")), net)
    layers = {layer: description[layer] for layer in ("batch_norm", "standardise")} | {
        "head": description.get("head", "own")
    }
    return Served(network, description["shape"], description["classes"] or (), description["columns"], layers)


def given_again(folder: RunFolder, began_with: nn.Module | str, net: nn.Module | str | None) -> nn.Module | str:
    """The network to go on with; code of one's own is run only where the person names it, not the file."""
    if net is None and ":" in str(began_with) and not is_hub(str(began_with)):
        raise SettingError(
            f"{folder.path}: its network {began_with} is one of your own; give it again with --net module:factory"
        )
    if isinstance(net, str) and net != began_with:
        raise SettingError(f"--net {net}: {folder.path} began with {began_with}; give that, or start a new run")
    return began_with if net is None else net


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return exp(s) / Σ exp(s) of each row."""
    probabilities: np.ndarray = torch.softmax(torch.from_numpy(scores), dim=1).numpy()
    return probabilities
