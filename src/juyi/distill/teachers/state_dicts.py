"""Read the weights of a network of one's own from a file that may come from anyone, and fill the network with them."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from juyi.distill.teachers.archives import PlainArchive
from juyi.errors import SettingError
from juyi.nets.weights import PICKLES, checked_weights, read_weights

WITHIN = ("state_dict", "model_state_dict", "model")
"""What the weights are called in a file that holds other things besides."""


def read_state(path: str, option: str = "--teacher-weights") -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, or of a state dict that `torch.save` wrote, by name.

    Of a pickle, plain tensors are read and nothing else, so that no code in it runs.

    Raises:
        SettingError: the file is absent, damaged, or holds anything but tensors.
    """
    if Path(path).suffix not in PICKLES:
        return read_weights(path, option)
    where = f"{option} {path}"
    safe = (
        f"save its weights where you trust it, torch.save(model.state_dict(), {Path(path).name!r}) or safetensors, "
        "and name its factory"
    )
    if not Path(path).is_file():
        raise SettingError(f"{where}: there is no such file; restore it, or name another")
    if zipfile.is_zipfile(path) and any(name.startswith("code/") for name in PlainArchive(path, where).names):
        raise SettingError(f"{where}: is a TorchScript program, which is not read; {safe}, or use torch.export")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"a pickle of {named[1]}" if named else "damaged, or a pickle of more than tensors"
        raise SettingError(f"{where}: is {what}, which may run any code, so it is not read; {safe}") from error
    except Exception as error:  # whatever a damaged file makes torch raise
        raise SettingError(f"{where}: is damaged, or holds no weights ({_first(error)}); restore it") from error
    return checked_weights(_tensors(found, where, safe), where)


def _tensors(found: Any, where: str, safe: str) -> dict[str, Tensor]:
    for key in WITHIN:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    if not isinstance(found, Mapping):
        raise SettingError(f"{where}: holds a {type(found).__name__}, and no weights by name; {safe}")
    other = [str(name) for name, value in found.items() if not isinstance(name, str) or not _is_plain(value)]
    if other:
        raise SettingError(f"{where}: holds {other[0][:60]}, which is no plain tensor, beside its weights; {safe}")
    return dict(found)


def _is_plain(value: Any) -> bool:
    """Whether it is a tensor whose numbers all lie in memory."""
    plain = isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"
    return plain and not value.is_quantized


def fill_state(net: nn.Module, stored: dict[str, Tensor], where: str, factory: str) -> None:
    """Put weights into a network: each of its tensors, and no others.

    Raises:
        SettingError: one is missing, has another shape, or is there besides.
    """
    own = net.state_dict()
    missing = [name for name in own if name not in stored and not name.endswith("num_batches_tracked")]
    besides = [name for name in stored if name not in own]
    other = [name for name, value in stored.items() if name in own and own[name].shape != value.shape]
    wrong = [f"it lacks {_listed(missing)}"] if missing else []
    wrong += [f"it holds {_listed(besides)} besides"] if besides else []
    if other:
        wrong.append(
            f"{other[0]} has shape {tuple(stored[other[0]].shape)} there and {tuple(own[other[0]].shape)} here"
        )
    if wrong:
        raise SettingError(f"{where}: does not fit {factory}: {'; '.join(wrong)}; name the factory that made it")
    net.load_state_dict(stored, strict=False)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
