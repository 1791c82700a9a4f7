"""What a run says of the machine and the versions that it ran on."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch


def now() -> str:
    """The time, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """The versions of Juyi and of what its figures hang on."""
    names = ("juyi", "torch", "numpy", "scikit-learn", "pillow")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor, cores, threads and device."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = [line for line in information.read_text(errors="replace").splitlines() if line.startswith("model name")]
        processor = lines[0].partition(":")[2].strip() if lines else processor
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"processor": processor, "cores": os.cpu_count(), "threads": torch.get_num_threads(), "device": name}


def peak_memory() -> int | None:
    """The most memory, in bytes, that this process has held since it began; None where the system does not tell.

    It is the whole process: libraries, data, and every model of the run, also the one without transfer.  A GPU's own
    memory is not in it.  Linux's VmHWM is preferred, since `ru_maxrss` is inherited: in a process that a large one
    started, it is at least the large one's.

    Example:
        >>> peak = peak_memory()
        >>> peak is None or peak > 2**20
        True
    """
    status = Path("/proc/self/status")
    for line in status.read_text(errors="replace").splitlines() if status.exists() else []:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, others kibibytes
