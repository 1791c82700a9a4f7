"""What a teacher's batch norm remembers of its data: the mean and the variance of every channel before each layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from juyi.distill.teacher import Teacher
from juyi.errors import SettingError
from juyi.nets import DomainBatchNorm
from juyi.nets.normalisation import BATCH_NORMS, serving_statistics


def gaussian_gap(mean: Tensor, variance: Tensor, kept_mean: Tensor, kept_variance: Tensor) -> Tensor:
    """Return mean_c KL(N(m, v) ‖ N(μ, σ²)) = mean_c [((m − μ)² + v) / σ² − 1 − log(v / σ²)] / 2, over the channels.

    It is 0 where the statistics are equal, and has no unit, so that layers of any size weigh alike.

    Args:
        mean: m, C, of the rows that are looked at.
        variance: v, C.
        kept_mean: μ, C, the running mean.
        kept_variance: σ², C, the running variance.

    Example:
        >>> one, two = torch.ones(1), torch.full((1,), 2.0)
        >>> gaussian_gap(one, two, one, two).item(), round(gaussian_gap(two, one, one, one).item(), 3)
        (0.0, 0.5)
    """
    ratio = (variance + 1e-5) / (kept_variance + 1e-5)
    return ((mean - kept_mean).square() / (kept_variance + 1e-5) + ratio - 1 - ratio.log()).mean() / 2


class KeptStatistics:
    """The running statistics of a teacher's batch norm, and how far those of other rows are from them.

    Args:
        teacher: a model with batch norm that keeps running values.

    Raises:
        SettingError: it has none.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 3))
        >>> teacher = Teacher(net, (2,), "abc")
        >>> gaps = []
        >>> with KeptStatistics(teacher).watched(gaps):
        ...     scores = teacher.scores(torch.randn(8, 2))
        >>> len(gaps)
        1
    """

    def __init__(self, teacher: Teacher) -> None:
        self.layers = [layer for layer in teacher.net.modules() if isinstance(layer, BATCH_NORMS) and _keeps(layer)]
        if not self.layers:
            raise SettingError(
                f"{teacher.name}: has no batch norm, so there are no statistics to match; use dafl or dfad, which "
                "need none, or a teacher that was trained with --batch-norm shared"
            )

    @contextmanager
    def watched(self, gaps: list[Tensor]) -> Iterator[None]:
        """While the teacher sees rows, put the gap of every layer into this list, in order."""

        def see(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].float()
            variance, mean = torch.var_mean(x, dim=[d for d in range(x.dim()) if d != 1], correction=0)
            gaps.append(gaussian_gap(mean, variance, *serving_statistics(layer)))

        hooks = [layer.register_forward_pre_hook(see) for layer in self.layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _keeps(layer: nn.Module) -> bool:
    return isinstance(layer, DomainBatchNorm) or layer.running_mean is not None
