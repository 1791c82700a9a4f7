"""Fill a network with the weights of a file: all of it, or all but the head; never a part in silence."""

from __future__ import annotations

from pathlib import Path

import safetensors
import torch
from torch import Tensor

from juyi.errors import SettingError
from juyi.nets.network import Network
from juyi.nets.normalisation import SOURCE, TARGET, DomainBatchNorm

HEAD = ("head.", "label_scale.")
"""What the head's tensors begin with: what it says of a number means something at its own scale alone."""
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")


def fill(network: Network, path: str) -> None:
    """Put the tensors of a safetensors file into a network, by name, and note what was done.

    The file is a model that Juyi wrote (`body.`, `head.`, `standardise.`, `label_scale.`), or the state dict of the
    module that the body was made of.  Running values of ordinary batch norm go to both domains.  A head of another
    shape, or none, leaves the network's head new, which is noted; anything else that does not fit is an error.

    Raises:
        SettingError: the file is absent, damaged or a pickle, or does not fit.
    """
    stored = read_weights(path)
    own, aliases = network.state_dict(), _aliases(network)
    found: dict[str, Tensor] = {}
    unexpected: list[str] = []
    for name, value in stored.items():
        places = aliases.get(name, [name])
        found |= {place: value for place in places if place in own}
        unexpected += [name for place in places if place not in own]
    for name in [name for name in own if name.endswith("_seen") and name not in found]:
        if name.replace("_seen", "_mean") in found:  # ordinary batch norm: as if the source had been seen
            found[name] = torch.tensor(name.endswith(f"{SOURCE}_seen"))
    head = [name for name in own if name.startswith(HEAD)]
    foreign = [name for name in unexpected if any(to.startswith(HEAD) for to in aliases.get(name, [name]))]
    unexpected = [name for name in unexpected if name not in foreign]
    fits = not foreign and all(name in found and found[name].shape == own[name].shape for name in head)
    if not fits:
        found = {name: value for name, value in found.items() if name not in head}
    _check(network, own, found, unexpected, path)
    with torch.no_grad():
        for name, value in found.items():
            own[name].copy_(value)
    said = "" if fits else ", but not the head, which is new: the file's " + _why(own, stored, aliases, head)
    network.notes += (f"weights from {path}: {len(found):,} tensors{said}",)


def read_weights(path: str, option: str = "--weights") -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name, all of them finite.

    Args:
        path: of the file.
        option: what named it, for errors.

    Raises:
        SettingError: it is absent, damaged or a pickle, or holds no tensor, or numbers that are not finite.
    """
    place, where = Path(path), f"{option} {path}"
    if place.is_dir():
        raise SettingError(f"{where}: is a folder; name a file, such as {place / 'models' / 'dann.safetensors'}")
    if place.suffix in PICKLES:
        raise SettingError(
            f"{where}: is a pickle, which may run any code, so it is not read; if you trust it, convert it: "
            f"python -c \"import torch, safetensors.torch as s; s.save_file(torch.load('{path}', weights_only=True), "
            f"'{place.with_suffix('.safetensors')}')\""
        )
    try:
        with safetensors.safe_open(place, framework="pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError as error:
        raise SettingError(f"{where}: there is no such file; restore it, or name another") from error
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise SettingError(f"{where}: is damaged or is no safetensors file ({error})") from error
    return checked_weights(stored, where)


def checked_weights(stored: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the tensors of a file without what torch's wrappers put before all of their names.

    Raises:
        SettingError: there is none, or one holds numbers that are not finite.
    """
    if not stored:
        raise SettingError(f"{where}: holds no tensor")
    for name, value in stored.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise SettingError(f"{where}: {name} holds numbers that are not finite, so it is damaged")
    for wrapper in ("module.", "_orig_mod."):  # for many devices; of a compiled module
        if all(name.startswith(wrapper) for name in stored):
            stored = {name.removeprefix(wrapper): value for name, value in stored.items()}
    return stored


def _aliases(network: Network) -> dict[str, list[str]]:
    """What each tensor of the network may be called in a file; its own name counts before any other."""
    exact = {name: [name] for name in network.state_dict()}
    named = dict(exact)
    for path, layer in network.named_modules():
        if isinstance(layer, DomainBatchNorm):
            for ordinary, ours in (("running_mean", "mean"), ("running_var", "variance")):
                named[f"{path}.{ordinary}"] = [f"{path}.{domain}_{ours}" for domain in (SOURCE, TARGET)]
            named[f"{path}.num_batches_tracked"] = []
    if network.head_name:
        named |= {f"{network.head_name}.{part}": [f"head.{part}"] for part in ("weight", "bias")}
    shorter: dict[str, list[str]] = {}
    for start in ("body.", "body.model."):
        shorter |= {name.removeprefix(start): to for name, to in named.items() if name.startswith(start)}
    return {**shorter, **named, **exact}


def _check(
    network: Network, own: dict[str, Tensor], found: dict[str, Tensor], unexpected: list[str], path: str
) -> None:
    """Raise a `SettingError` unless every tensor but the head's is there, with its shape, and no other is."""
    may_lack = (*HEAD, "standardise.")
    missing = [n for n in own if n not in found and not n.startswith(may_lack) and not n.endswith("batches_tracked")]
    other = [name for name, value in found.items() if value.shape != own[name].shape]
    kinds = [n for n, v in found.items() if v.is_floating_point() != own[n].is_floating_point() and n not in other]
    wrong = [f"it lacks {_listed(missing)}"] if missing else []
    wrong += [f"it holds {_listed(unexpected)} besides"] if unexpected else []
    if other:
        shapes = f"{tuple(found[other[0]].shape)} there and {tuple(own[other[0]].shape)} here"
        wrong.append(f"{other[0]} has shape {shapes}" + (f" (and {len(other) - 1:,} more)" if len(other) > 1 else ""))
    wrong += [f"{_listed(kinds)} is of another number type"] if kinds else []
    if wrong:
        apart = any(name.endswith(("source_mean", "running_mean")) for name in (*missing, *unexpected))
        options = "--net and --batch-norm" if apart else "--net"
        raise SettingError(
            f"--weights {path}: does not fit --net {network.name}: {'; '.join(wrong)}; "
            f"give the {options} that it was written with"
        )


def _why(own: dict[str, Tensor], stored: dict[str, Tensor], aliases: dict[str, list[str]], head: list[str]) -> str:
    for name, value in stored.items():
        for to in aliases.get(name, []):
            if to in head and value.shape != own[to].shape:
                return f"{name} has shape {tuple(value.shape)}, not {tuple(own[to].shape)}"
    return "head is absent or of another kind"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
