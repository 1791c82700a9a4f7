"""What the files of a network of the Hugging Face hub say; nothing in them is trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from juyi.errors import ForeignFileError, SettingError
from juyi.nets.inputs import Size
from juyi.nets.normalisation import Standardise

FILES = ["config.json", "preprocessor_config.json", "*.safetensors", "model.safetensors.index.json"]
"""What is fetched: no code, and no pickle."""
FORBIDDEN = ("auto_map", "attn_implementation", "experts_implementation", "kernel_config", "backbone", "quantization")
"""Settings with these words in their names can make the library fetch or run other code, or other weights."""
LOST = ("_name_or_path", "dtype", "torch_dtype", "architectures", "transformers_version")
"""Settings that say where a file came from, not what the network is."""


def is_hub(net: str) -> bool:
    """Whether a name means a network of the hub: `hub/NAME`, or an existing folder."""
    return net.startswith("hub/") or Path(net).is_dir()


def hub_folder(place: str) -> Path:
    """Return the folder with the files of a network, fetched from the hub if it is `hub/NAME`.

    Raises:
        SettingError: it cannot be fetched, or there is no `config.json` or no safetensors in it.
    """
    folder = Path(place)
    if place.startswith("hub/") and not folder.is_dir():
        folder = _fetched(place)
    if not (folder / "config.json").is_file():
        raise SettingError(f"--net {place}: is a folder without config.json; name one that save_pretrained wrote")
    if not any(folder.glob("*.safetensors")):
        raise SettingError(
            f"--net {place}: holds no safetensors (pickles are not read); save it with save_pretrained again"
        )
    return folder


def _fetched(place: str) -> Path:
    try:
        import huggingface_hub
    except ImportError as error:
        raise SettingError(
            f"--net {place}: needs the transformers library; install it with: pip install 'juyi[hub]'"
        ) from error
    try:
        return Path(huggingface_hub.snapshot_download(place.removeprefix("hub/"), allow_patterns=FILES))
    except Exception as error:  # HTTP, names, files: all mean that nothing was fetched
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise SettingError(f"--net {place}: cannot be fetched ({why}); check the name and the network") from error


def config_fields(folder: Path, place: str) -> tuple[str, dict[str, Any]]:
    """Return `model_type` and the other settings of `config.json`, without what could fetch or run anything."""
    content = _read(folder / "config.json", place)
    model_type = content.pop("model_type", None)
    if not isinstance(model_type, str):
        raise SettingError(f"--net {place}: its config.json names no model_type, so the library cannot build it")
    harmless: dict[str, Any] = _harmless(content)
    return model_type, harmless


def hub_classes(folder: Path, place: str) -> tuple[str, ...] | None:
    """Return the names that `id2label` of `config.json` gives the classes, in order; None where it names none.

    The library's own `LABEL_0` is no name.  A name that stands twice gets its number besides.
    """
    named = _read(folder / "config.json", place).get("id2label")
    if not isinstance(named, Mapping):
        return None
    found = [named.get(str(code)) for code in range(len(named))]
    if not found or not all(isinstance(name, str) for name in found):
        raise SettingError(f"--net {place}: its config.json names its classes (id2label) in no order")
    if found == [f"LABEL_{code}" for code in range(len(found))]:
        return None
    return tuple(f"{name} ({code})" if found.count(name) > 1 else str(name) for code, name in enumerate(found))


def _harmless(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {k: _harmless(v) for k, v in value.items() if k not in LOST and not _forbidden(k)}


def _forbidden(key: object) -> bool:
    return not isinstance(key, str) or any(word in key for word in FORBIDDEN)


def kept_fields(config: Any) -> dict[str, Any]:
    """The settings that make a network of its kind, as plain JSON; what the library does not know is left out."""
    from transformers import PretrainedConfig

    known = set(type(config)().to_dict()) - set(PretrainedConfig().to_dict())
    found: dict[str, Any] = json.loads(json.dumps(_harmless(config.to_dict())))
    return {key: value for key, value in found.items() if key in known}


def checked_description(description: Any, where: str) -> None:
    """Raise a `ForeignFileError` unless a description has the form in which Juyi writes it, and modest numbers."""
    try:
        if set(description) != {"model_type", "config", "features", "head", "width", "channels", "size", "reverse"}:
            raise ValueError("it has other entries")
        kind, size = description["features"], description["size"]
        if kind not in ("classifier", "pooler", "first", "mean") or (kind == "classifier") != bool(description["head"]):
            raise ValueError("its features are unknown")
        if not isinstance(description["model_type"], str) or not isinstance(description["reverse"], bool):
            raise ValueError("its kind is unknown")
        if size is not None and (len(size) != 2 or not all(_whole(side, 4096) for side in size)):
            raise ValueError("its size is impossible")
        if not _whole(description["width"], 10**6) or not _whole(description["channels"], 1000):
            raise ValueError("its width is impossible")
        if not isinstance(description["config"], dict):
            raise ValueError("its settings are no table")
        _check_setting("config", description["config"], 0)
    except (KeyError, TypeError, ValueError) as error:
        raise ForeignFileError(f"{where}: is not the description of a model of Juyi ({error})") from error


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def _check_setting(name: str, value: Any, depth: int) -> None:
    if depth > 5 or (isinstance(value, dict | list) and len(value) > 10_000):
        raise ValueError(f"its setting {name} is too large")
    if isinstance(value, dict):
        for key, part in value.items():
            if _forbidden(key):
                raise ValueError(f"its setting {key} is not allowed")
            _check_setting(key, part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check_setting(name, part, depth + 1)
    elif isinstance(value, int | float):
        counts_layers = any(word in name for word in ("layer", "depth", "block", "repeat", "stage"))
        if not abs(value) <= (1000 if counts_layers else 10**7):
            raise ValueError(f"its setting {name} is too large")
    elif value is not None and not isinstance(value, str):
        raise TypeError(f"its setting {name} is no plain value")


@dataclass(frozen=True)
class Preprocessing:
    """What `preprocessor_config.json` says: how pixels (0 to 255) were scaled, to which size, in which order.

    Args:
        mean: in pixels, one a channel or one for all; None where nothing is said.
        spread: what is divided by, in pixels, likewise.
        size: height and width, or None.
        reverse: channels in reverse order (BGR).
    """

    mean: tuple[float, ...] | None = None
    spread: tuple[float, ...] | None = None
    size: Size | None = None
    reverse: bool = False

    @property
    def tells_scale(self) -> bool:
        """Whether it says how pixels were scaled."""
        return self.mean is not None

    def scale(self, channels: int) -> Standardise | None:
        """The layer that scales so, for this many channels; None where nothing is said."""
        if self.mean is None or self.spread is None:
            return None
        mean, spread = (torch.tensor(value).expand(channels).clone() for value in (self.mean, self.spread))
        return Standardise(mean, spread)


def preprocessing(folder: Path, place: str) -> Preprocessing:
    """Read `preprocessor_config.json`, where there is one.

    A pixel p became (p · rescale_factor − 1 if rescale_offset) and then (· − image_mean) / image_std, each where
    the file says so; that is (p − m) / s in one step.

    Raises:
        SettingError: the file is damaged.
    """
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return Preprocessing()
    content = _read(path, place)
    try:
        size = _pixels(content.get("crop_size") if content.get("do_center_crop", True) else None)
        size = size or _pixels(content.get("size"))
        size = None if content.get("do_resize") is False and not content.get("do_center_crop") else size
        reverse = bool(content.get("do_flip_channel_order", False))
        normalises = content.get("do_normalize") is not False and "image_mean" in content and "image_std" in content
        if not normalises and "do_rescale" not in content:
            return Preprocessing(size=size, reverse=reverse)
        factor = float(content.get("rescale_factor") or 1 / 255) if content.get("do_rescale") is not False else 1.0
        offset = 1.0 if content.get("rescale_offset") else 0.0
        mean = _numbers(content["image_mean"]) if normalises else [0.0]
        deviation = _numbers(content["image_std"]) if normalises else [1.0]
        found = Preprocessing(
            tuple((m + offset) / factor for m in mean), tuple(d / factor for d in deviation), size, reverse
        )
        if not all(map(math.isfinite, (*found.mean, *found.spread))) or min(found.spread) <= 0:  # type: ignore[misc, arg-type]
            raise ValueError("its scale is impossible")
        return found
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise SettingError(f"--net {place}: its preprocessor_config.json cannot be used ({error})") from error


def image_sizes(said: Preprocessing, config: Any) -> list[Size]:
    """The sizes for which a network was made, the surest first."""
    named = [getattr(part, "image_size", None) for part in (config, getattr(config, "vision_config", None))]
    return [size for size in (said.size, *(_pixels(value) for value in named)) if size is not None]


def _pixels(value: Any) -> Size | None:
    """Height and width of 224, [224, 224], {"height": 224, "width": 224} or {"shortest_edge": 224}."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        value = value.get("shortest_edge", [value.get("height"), value.get("width")])
    sides = [value, value] if isinstance(value, int) else list(value)
    if len(sides) != 2 or not all(_whole(side, 4096) for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def _numbers(value: Any) -> list[float]:
    return [float(value)] if isinstance(value, int | float) else [float(number) for number in value]


def _read(path: Path, place: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError(f"--net {place}: its {path.name} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise SettingError(f"--net {place}: its {path.name} is no table")
    return content
