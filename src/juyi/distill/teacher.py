"""A trained classifier as distillation sees it: it answers, and shows what its last linear layer is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from juyi.errors import SettingError
from juyi.nets import Network, Standardise
from juyi.nets.own import find_head
from juyi.training.serving import fingerprint_of


class Look(NamedTuple):
    """What a teacher says of rows: scores (logits), N×C, and features, N×d, from which its last layer makes them."""

    scores: Tensor
    features: Tensor


class Teacher:
    """A trained classifier that is asked and never changed.

    Its features are read by a hook on its last `nn.Linear`, so that any module will do.  Where a softmax comes after
    that layer, the layer's own output are the scores.

    Args:
        net: raw rows (uint8 images or floats of the same range, N×C×H×W; or features, N×d) in, scores, N×C, out.
        shape: of one row.
        classes: the names of the classes, in the order of the scores.
        name: what a person calls it.
        scale: how the network itself standardises raw rows; noise begins, and generators end, on that scale.
        columns: the names of the features of a table, if they are known.
        gradients: whether gradients reach its input; not so for a file that gives predictions only.
        probabilities: whether `net` answers with probabilities; their logarithms are then the scores.

    Attributes:
        notes: what was found out about it, a sentence each.
        named: whether its classes have names; else they are numbers, and data may name them.
        examined: whether it was asked random rows (`juyi.distill.teachers.foreign.examine`).
        exact: whether its scores are what its last linear layer gives, though a softmax comes after that.
        log_probabilities: whether it ends in log_softmax.
        count: the number of its parameters, where `net` does not show them.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> teacher = Teacher(net, (4,), ("a", "b", "c"))
        >>> look = teacher.look(torch.zeros(2, 4))
        >>> look.scores.shape, look.features.shape, teacher.last.weight.shape
        (torch.Size([2, 3]), torch.Size([2, 8]), torch.Size([3, 8]))
    """

    def __init__(
        self,
        net: nn.Module,
        shape: Sequence[int],
        classes: Sequence[str],
        *,
        name: str = "the teacher",
        scale: Standardise | None = None,
        columns: Sequence[str] = (),
        gradients: bool = True,
        probabilities: bool = False,
    ) -> None:
        self.net = net.eval().requires_grad_(False)
        self.shape, self.classes, self.columns = tuple(shape), tuple(map(str, classes)), tuple(columns)
        self.name, self.gradients, self.probabilities = name, gradients, probabilities
        channels = self.shape[0]
        self.scale = scale or Standardise(torch.zeros(channels), torch.ones(channels))
        if len(self.scale.mean) != channels:  # the network makes other channels of them
            mean, spread = self.scale.mean.mean(), self.scale.spread.mean()
            self.scale = Standardise(mean.repeat(channels), spread.repeat(channels))
        self.notes: tuple[str, ...] = ()
        self.named, self.examined, self.exact, self.log_probabilities = True, False, False, False
        self.count: int | None = None
        self._last: nn.Linear | None = None
        self._seen: Look | None = None

    @property
    def is_image_model(self) -> bool:
        """Whether its rows are images."""
        return len(self.shape) == 3

    @property
    def parameters(self) -> int:
        """The number of its parameters."""
        return sum(p.numel() for p in self.net.parameters()) if self.count is None else self.count

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with any weight, and with the names of the classes."""
        return fingerprint_of(self.net, self.shape, self.classes)

    def to(self, device: torch.device) -> Teacher:
        """Move it to a device, and return it."""
        self.net.to(device)
        self.scale.to(device)
        return self

    def scores(self, x: Tensor) -> Tensor:
        """Return the scores, N×C, of raw rows; gradients reach `x` if it asks for them."""
        if self.exact:
            return self.look(x).scores.float()
        found: Tensor = self.net(self._fit(x)).float()
        self._seen = None
        return found.clamp(min=1e-12).log() if self.probabilities else found

    def look(self, x: Tensor) -> Look:
        """Return scores and features of raw rows.

        Raises:
            SettingError: it has no last linear layer.
        """
        _ = self.last
        self.net(self._fit(x))
        seen, self._seen = self._seen, None
        assert seen
        return seen

    @property
    def last(self) -> nn.Linear:
        """Its last linear layer, whose weights are C×d.

        Raises:
            SettingError: there is none, or something comes after it.
        """
        if self._last is None:
            if not self.gradients:
                raise SettingError(
                    f"{self.name}: gives predictions only, so nothing can be made of what is inside it; give DATA "
                    "(hinton needs no more than predictions), or the model itself: a run, weights, or a .pt2 file"
                )
            row = torch.zeros(2, *self.shape, device=self.device)
            found = find_head(
                self.net, lambda: self.net(row), self.name, what="TEACHER",
                softmax=self.probabilities or self.log_probabilities,
                mend="use hinton with DATA, which needs no more than predictions, or a model that ends in an nn.Linear",
            )  # fmt: skip
            layer = self.net.get_submodule(found)
            assert isinstance(layer, nn.Linear)
            layer.register_forward_hook(self._remember)
            self._last = layer
        return self._last

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return next((p.device for p in self.net.parameters()), torch.device("cpu"))

    def _fit(self, x: Tensor) -> Tensor:
        """Rows as any network takes them: floats, one after another in memory."""
        return x if isinstance(self.net, Network) else x.float().contiguous()

    def _remember(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._seen = Look(output, inputs[0])
