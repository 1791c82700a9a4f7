"""Many processes as one: gradients are summed by `torch.distributed`, rank 0 writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """Which process this is (`rank`), of how many (`count`)."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """True for the one process that shows and writes."""
        return self.rank == 0


def join_processes() -> Processes:
    """Join the processes that `torchrun` started (gloo on CPUs, nccl on GPUs); alone, return one of one."""
    if not torch.distributed.is_available():
        return Processes()
    if not torch.distributed.is_initialized():
        if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "MASTER_ADDR" not in os.environ:
            return Processes()
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return Processes(torch.distributed.get_rank(), torch.distributed.get_world_size())


def leave_processes() -> None:
    """Leave the group that `join_processes` joined, if any."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def average_gradients(parameters: Sequence[Tensor], loss: Tensor, processes: Processes) -> Tensor:
    """Replace each gradient by its mean over all processes, in one flat message; return the mean loss.

    A flag a parameter goes along: a gradient that is absent here but present elsewhere counts as zero; one that
    is absent everywhere stays None, so that momentum and weight decay leave the parameter alone, as in one
    process.
    """
    if processes.count == 1:
        return loss.detach()
    flags = torch.tensor([float(p.grad is not None) for p in parameters], device=loss.device)
    parts = [p.grad.reshape(-1) if p.grad is not None else torch.zeros_like(p).reshape(-1) for p in parameters]
    flat = torch.cat([*(part.float() for part in parts), flags, loss.detach().float().reshape(1)])
    torch.distributed.all_reduce(flat)
    flat /= processes.count
    start = 0
    present = flat[-1 - len(parameters) : -1]
    for number, parameter in enumerate(parameters):
        values = flat[start : start + parameter.numel()]
        start += parameter.numel()
        if present[number] > 0:
            gradient = torch.empty_like(parameter)
            gradient.copy_(values.view(parameter.shape))
            parameter.grad = gradient
    return flat[-1]


def share_from_first(tensors: Sequence[Tensor], processes: Processes) -> None:
    """Give every process rank 0's values of these tensors (running statistics, which gradients do not cover)."""
    if processes.count > 1:
        for tensor in tensors:
            dense = tensor.detach().contiguous()  # channels-last weights cannot be sent as they lie
            torch.distributed.broadcast(dense, 0)
            tensor.detach().copy_(dense)


def take_from_first(value: T, processes: Processes) -> T:
    """Return rank 0's `value` on every process: what only the first one read from its disk."""
    if processes.count == 1:
        return value
    held = [value if processes.is_first else None]
    torch.distributed.broadcast_object_list(held, 0)
    received: T = held[0]  # type: ignore[assignment]
    return received
