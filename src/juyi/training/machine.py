"""What a run says of the machine and the versions that it ran on."""

from __future__ import annotations

import os
import platform
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
