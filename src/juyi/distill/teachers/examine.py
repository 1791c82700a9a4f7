"""Ask a teacher some random rows, to see whether it is one, and what its answers look like."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from juyi.distill.teacher import Teacher
from juyi.errors import ClassesDifferError, SettingError
from juyi.nets import Inputs, Network, Standardise

ROWS = 16
"""So many random rows are asked."""


def examine(teacher: Teacher) -> Teacher:
    """Ask a teacher that a person has made some random rows, once; return it.

    Raises:
        SettingError: it fails, gives no scores, or holds numbers that are not finite.
        ClassesDifferError: it has another number of scores than there are classes.
    """
    if teacher.examined:
        return teacher
    where = f"TEACHER {teacher.name}"
    check_weights(teacher.net, where)
    said = answers(teacher.net, teacher.shape, where, teacher.scale, teacher.device)
    if said.shape[1] != len(teacher.classes):
        raise ClassesDifferError(
            f"{where}: gives {said.shape[1]} scores, but has {len(teacher.classes)} classes; name all of them, in order"
        )
    find_ending(teacher, said)
    return teacher


def scale_of(net: nn.Module) -> Standardise | None:
    """How a network standardises its rows; None where it does not say."""
    layer = net.standardise if isinstance(net, Network) else None
    layer = layer.scale if isinstance(layer, Inputs) else layer
    return layer if isinstance(layer, Standardise) else None


def check_weights(net: nn.Module, where: str) -> None:
    """Raise a `SettingError` if a weight is not finite; other numbers of a network may be infinite."""
    for name, value in net.named_parameters():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise SettingError(
                f"{where}: its {name} holds numbers that are not finite, so it is damaged; train it again"
            )
    for name, other in net.named_buffers():
        if other.is_floating_point() and bool(other.isnan().any()):
            raise SettingError(
                f"{where}: its {name} holds numbers that are not finite, so it is damaged; train it again"
            )


def answers(
    net: nn.Module, shape: Sequence[int], where: str, scale: Standardise | None = None,
    device: torch.device | None = None,
) -> Tensor:  # fmt: skip
    """Return what a network gives of some random rows, N×C.

    Raises:
        SettingError: it fails, or gives no finite scores.
    """
    random = torch.Generator().manual_seed(0)
    x = torch.rand(ROWS, *shape, generator=random) * 255
    if len(shape) == 1:
        x = torch.randn(ROWS, *shape, generator=random)
        x = x if scale is None else x * scale.spread.cpu() + scale.mean.cpu()
    try:
        with torch.no_grad():
            found = net(x if device is None else x.to(device))
    except Exception as error:  # a network of one's own may raise anything
        first = next((layer for layer in net.modules() if isinstance(layer, nn.Conv2d)), None)
        hint = ""
        if len(shape) == 3 and first is not None and first.in_channels != shape[0]:
            hint = f", such as {first.in_channels}x{shape[1]}x{shape[2]}"
        raise SettingError(
            f"{where}: fails on rows of shape {shape_said(shape)} ({_first(error)}); say what it takes with "
            f"--teacher-shape{hint}"
        ) from error
    if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != ROWS:
        what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise SettingError(
            f"{where}: gives {what} for {ROWS} rows, and no scores N×classes; let its forward give the scores alone"
        )
    if found.shape[1] < 2:
        raise SettingError(f"{where}: gives one score a row; a teacher gives one for each class, two or more")
    if not bool(found.isfinite().all()):
        raise SettingError(f"{where}: gives scores that are not finite; it is damaged, or its scale is another")
    return found.float()


def find_ending(teacher: Teacher, said: Tensor) -> None:
    """See from a teacher's answers whether a softmax comes last, and let its scores be what comes before it."""
    teacher.examined = True
    sums = said.double().sum(1) if not teacher.probabilities else torch.ones(1)
    logs = said.double().logsumexp(1).abs().max() < 1e-4 and bool((said <= 1e-6).all())
    if (bool((said >= 0).all()) and bool((sums - 1).abs().max() < 1e-3)) or teacher.probabilities:
        teacher.probabilities = True
        with contextlib.suppress(SettingError):
            _ = teacher.last
            teacher.exact = True
        how = "the scores before it are used" if teacher.exact else "the logarithms of its probabilities are used"
        teacher.notes += (f"{teacher.name}: ends in a softmax; {how}",)
    elif logs:
        teacher.log_probabilities = True
        teacher.notes += (f"{teacher.name}: ends in log_softmax, which changes nothing",)
    elif bool((said >= 0).all()) and bool((said <= 1).all()):
        teacher.notes += (
            f"{teacher.name}: all its scores are between 0 and 1, as after a sigmoid, so its soft answers are flat; "
            "let it give what comes before",
        )


def shape_said(shape: Sequence[int | None]) -> str:
    """Write a shape, with ? for a length that may vary.

    >>> shape_said((1, None, 28))
    '1×?×28'
    """
    return "×".join("?" if length is None else str(length) for length in shape)


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
