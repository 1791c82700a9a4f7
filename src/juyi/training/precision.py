"""Choose where to compute and how precisely: measured once, said, and remembered in the run."""

from __future__ import annotations

import copy
import time
from functools import lru_cache

import torch

from juyi.errors import SettingError
from juyi.nets import SOURCE, Network
from juyi.training.batches import Batch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu` or `cuda` names.

    Raises:
        SettingError: there is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingError("--device cuda: torch sees no GPU on this machine; use --device cpu")
    return torch.device(name)


def choose_precision(name: str, net: Network, batch: Batch, device: torch.device) -> torch.dtype:
    """Return the number type in which a step computes: the one named, or for `auto` the faster one.

    `auto` times a forward and backward pass of this network on this batch in float32 and under bfloat16
    autocast, and takes bfloat16 only where it gains a quarter or more and the processor has instructions for it;
    so the choice does not hang on a lucky measurement.  Within a process it is made once for a network and shape.
    """
    if name != "auto":
        return DTYPES[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if not _has_bfloat16() or not any(p.requires_grad for p in net.parameters()):  # nothing is trained by gradients
        return torch.float32
    key = (net.name, str(net), tuple(batch.x.shape))
    if key not in _CHOSEN:
        seconds = _time(net, batch, device)
        gain = seconds[torch.float32] / seconds[torch.bfloat16]
        _CHOSEN[key] = torch.bfloat16 if gain >= 1.25 else torch.float32
    return _CHOSEN[key]


_CHOSEN: dict[tuple[object, ...], torch.dtype] = {}


@lru_cache(maxsize=1)
def _has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself (without, autocast is several times slower)."""
    return "amx_bf16" in _flags() or "avx512_bf16" in _flags()


def _flags() -> str:
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123 (a device file)
            return next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return ""


def _time(net: Network, batch: Batch, device: torch.device) -> dict[torch.dtype, float]:
    """The least time of seven forward and backward passes on a copy of the network, in seconds, for each number type.

    They take turns, so that a machine which is busy for a moment slows both.
    """
    trial, best = copy.deepcopy(net).train(), dict.fromkeys(DTYPES.values(), float("inf"))
    with torch.random.fork_rng(devices=[]):
        for _ in range(7):
            for dtype in best:
                start = time.perf_counter()
                with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                    loss = trial(batch.x, SOURCE).float().square().mean()
                loss.backward()
                best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best
