"""Networks of the Hugging Face hub, by name or from a folder, through `transformers` (the optional extra `hub`).

No code of a repository or a folder is run, and no pickle is read: the classes are those of the installed library,
chosen by `model_type`, and weights come from safetensors alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from juyi.errors import ForeignFileError, SettingError
from juyi.nets.hub_files import (
    Preprocessing,
    checked_description,
    config_fields,
    hub_folder,
    image_sizes,
    kept_fields,
    preprocessing,
)
from juyi.nets.inputs import Inputs, Size, channels_said, channels_wanted, fitting_size, size_said
from juyi.nets.network import Network
from juyi.nets.normalisation import Standardise
from juyi.nets.own import find_head, own_scale, take_off

NOT_FIT = ("timm_wrapper", "shieldgemma2", "perceiver", "imagegpt", "vit_mae")
"""Kinds that need another library, take no pixels, or hide a part of the image at random."""


class HubBody(nn.Module):
    """A model of `transformers` as a body: floats N×C×H×W in, features N×width out.

    Args:
        model: the model.
        features: which: `classifier` (what would enter its classifier, which is taken off), `pooler` (its pooled
            output), `first` (the first token, where it is one of the class), `mean` (the mean over space or tokens).
    """

    def __init__(self, model: nn.Module, features: str) -> None:
        super().__init__()
        self.model = model
        self.kind = features

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, N×width."""
        found = self.model(pixel_values=x)
        if self.kind == "classifier":
            scores: Tensor = found.logits
            return scores
        if self.kind == "pooler":
            pooled: Tensor = found.pooler_output
            return pooled.flatten(1)
        last: Tensor = found.last_hidden_state
        if self.kind == "first":
            return last[:, 0]
        return last.flatten(2).mean(2) if last.dim() == 4 else last.mean(1)


def hub_network(place: str, x: Tensor, outputs: int | None) -> Network:
    """Return a network whose body is that of a classifier of the hub, with its weights, and whose head is new.

    Channels, size and scale are brought to what the body was trained on, as far as `preprocessor_config.json` and
    the configuration tell; else the scale is the data's own, and images become as large as its strides need.

    Args:
        place: `hub/NAME`, or the path of a folder with `config.json` and safetensors.
        x: rows of the source, N×C×H×W uint8.
        outputs: the number of classes; None keeps the head that it was trained with.

    Raises:
        SettingError: `transformers` is missing, nothing is found, or it is no network for images.
    """
    if x.dim() != 4:
        raise SettingError(f"--net {place}: is a network for images, but the data are features; use mlp")
    folder = hub_folder(place)
    model_type, fields = config_fields(folder, place)
    said = preprocessing(folder, place)
    with _quiet(place):
        config = _config(model_type, fields, place)
        kind, features = _model_class(model_type, place)
        model, missing = _pretrained(kind, folder, config, place)
    if any(key.startswith("pooler.") for key in missing) and getattr(model, "pooler", None) is not None:
        model.pooler = None  # it was not trained
        missing = [key for key in missing if not key.startswith("pooler.")]
    model.eval()
    channels = channels_wanted(model, x.shape[1])
    scale = said.scale(channels) or own_scale(x, channels)
    size = _size(model, x, scale, channels, image_sizes(said, config), place)
    inputs = Inputs(scale, channels, size, said.reverse)
    features = features or _features(model, inputs(x[:1].cpu()), place)
    if features in ("first", "mean") and hasattr(model, "pooler"):
        model.pooler = None  # it has no say
    body = HubBody(model, features)
    head = find_head(body, lambda: body(inputs(x[:1].cpu())), place) if features == "classifier" else None
    new = None if head is None or outputs is None else head.removeprefix("model.") + "."
    left = [key for key in missing if new is None or not key.startswith(new)]
    if left:
        raise SettingError(f"--net {place}: its files lack {_listed(left)}; give a folder with all its weights")
    old = take_off(body, head)[1] if head else None
    width = old.in_features if old else _width(body, inputs(x[:1].cpu()))
    if outputs is None and old is None:
        raise SettingError(f"--net {place}: is no classifier: it has no trained head; name one that has")
    layer = old if outputs is None and old else nn.Linear(width, outputs or 0)
    network = Network(inputs, body.train(), layer, width, layer.out_features, place)
    network.head_name = head.removeprefix("model.") if head else None
    network.hub = {
        "model_type": model_type, "config": kept_fields(config), "features": features, "head": network.head_name,
        "width": width, "channels": channels, "size": None if size is None else list(size), "reverse": said.reverse,
    }  # fmt: skip
    network.notes = (_told(model_type, x, channels, size, said, layer, outputs is None),)
    return network


def rebuild_hub(description: Any, outputs: int, where: str) -> Network:
    """Build a network again from what `Network.hub` held, without its weights, and without any file or the hub.

    Args:
        description: from a model's JSON file: nothing in it is trusted.
        outputs: the number of classes.
        where: the file, for errors.

    Raises:
        ForeignFileError: the description names anything but a known kind of network and plain settings of it.
        SettingError: `transformers` is missing.
    """
    checked_description(description, where)
    with _quiet(where):
        try:
            config = _config(description["model_type"], description["config"], where)
            unknown = sorted(set(description["config"]) - set(kept_fields(config)))
            if unknown:
                raise SettingError(f"its network has no setting {unknown[0]}")
            kind, _ = _model_class(description["model_type"], where)
            model = kind(config)
            if description["features"] != "classifier" and hasattr(model, "pooler"):
                model.pooler = model.pooler if description["features"] == "pooler" else None
            body = HubBody(model, description["features"])
            head = description["head"]
            width = int(description["width"])
            if head is not None and take_off(body, f"model.{head}")[1].in_features != width:
                raise SettingError("its head has another width")
        except Exception as error:  # whatever the library raises for settings that fit nothing
            if isinstance(error, SettingError) and "pip install" in str(error):
                raise
            raise ForeignFileError(f"{where}: is not the description of a model of Juyi ({_first(error)})") from error
    channels, size = int(description["channels"]), description["size"]
    scale = Standardise(torch.zeros(channels), torch.ones(channels))
    inputs = Inputs(scale, channels, None if size is None else (size[0], size[1]), description["reverse"])
    network = Network(inputs, body, nn.Linear(width, outputs), width, outputs, description["model_type"])
    network.hub, network.head_name = description, head
    return network


def _config(model_type: str, fields: dict[str, Any], place: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.for_model(model_type, **fields)
    except Exception as error:
        raise SettingError(f"--net {place}: its config.json cannot be used ({_first(error)})") from error


def _model_class(model_type: str, place: str) -> tuple[Any, str | None]:
    """The library's own class for a kind of network, and `classifier` if it is one; None if it only gives features."""
    import transformers
    from transformers.models.auto import modeling_auto

    for names, features in (
        (modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES, "classifier"),
        (modeling_auto.MODEL_MAPPING_NAMES, None),
    ):
        named = names.get(model_type) if model_type not in NOT_FIT else None
        if named is not None:
            kind = getattr(transformers, named if isinstance(named, str) else named[0])
            if getattr(kind, "main_input_name", None) == "pixel_values":
                return kind, features
    raise SettingError(f"--net {place}: {model_type} is no network for images that can be used here; name another")


def _pretrained(kind: Any, folder: Path, config: Any, place: str) -> tuple[Any, list[str]]:
    """Read the weights; also return the names of those that the files lack."""
    try:
        model, information = kind.from_pretrained(
            folder, config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True,
            local_files_only=True,
        )  # fmt: skip
    except Exception as error:
        raise SettingError(f"--net {place}: its weights cannot be read ({_first(error)})") from error
    return model, sorted(information["missing_keys"])


def _size(
    model: nn.Module, x: Tensor, scale: Standardise, channels: int, wanted: list[Size], place: str
) -> Size | None:
    def run(size: Size | None) -> object:
        with torch.no_grad():
            return model(pixel_values=Inputs(scale, channels, size)(x[:1].cpu()))

    native = (int(x.shape[2]), int(x.shape[3]))
    try:
        return fitting_size(model, run, native, wanted)
    except Exception as error:
        raise SettingError(
            f"--net {place}: cannot take images of shape {tuple(x.shape[1:])} at any size ({_first(error)})"
        ) from error


def _features(model: Any, x: Tensor, place: str) -> str:
    """Choose what are the features of a model without a classifier."""
    with torch.no_grad():
        found = model(pixel_values=x)
    pooled, last = getattr(found, "pooler_output", None), getattr(found, "last_hidden_state", None)
    if pooled is not None and pooled.flatten(1).shape[1] == pooled.shape[1]:
        return "pooler"
    if not isinstance(last, Tensor) or last.dim() not in (3, 4):
        raise SettingError(f"--net {place}: gives no features that could be pooled; name another")
    token = any(name.rpartition(".")[2] == "cls_token" for name, _ in model.named_parameters())
    return "first" if token and last.dim() == 3 else "mean"


def _width(body: nn.Module, x: Tensor) -> int:
    with torch.no_grad():
        return int(body.eval()(x).shape[1])


def _told(
    model_type: str, x: Tensor, channels: int, size: Size | None, said: Preprocessing, head: nn.Linear, kept: bool
) -> str:
    parts = channels_said(x.shape[1], channels) + size_said((int(x.shape[2]), int(x.shape[3])), size)
    parts.append("scaled as it was trained" if said.tells_scale else "scaled by the source's mean and spread")
    parts.append(f"head {'kept' if kept else 'new'}, {head.in_features}→{head.out_features}")
    return f"hub network {model_type}: {', '.join(parts)}"


@contextlib.contextmanager
def _quiet(place: str) -> Iterator[None]:
    """Let `transformers` print nothing; say how it is installed where it is not."""
    try:
        from transformers.utils import logging
    except ImportError as error:
        raise SettingError(
            f"--net {place}: needs the transformers library; install it with: pip install 'juyi[hub]'"
        ) from error
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:200]}" if lines else type(error).__name__
