"""Networks of one's own: a module with its parts, or any classifier, whose head is found by running it."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from juyi.errors import SettingError
from juyi.nets.inputs import Inputs, Size, channels_said, channels_wanted, fitting_size, size_said, with_channels
from juyi.nets.network import Network, scale_stride, standardiser
from juyi.nets.normalisation import Standardise

PARTS = ("body", "head", "width")


def own_network(net: str | nn.Module, x: Tensor, outputs: int, standardise: str) -> Network:
    """Return the network of `module:factory`, or of a module, which is copied and never changed.

    What has `body`, `head` and `width` is taken as it says.  Any other `nn.Module` is run once: its last
    `nn.Linear` is the head, which is replaced where it has another number of outputs, and the rest is the body.

    Raises:
        SettingError: it cannot be imported, made or run, or its head cannot be found.
    """
    if isinstance(net, str):
        name = net
        made, told = make_module(net, tuple(x.shape[1:]), outputs)
    else:
        name, made, told = type(net).__name__, copy.deepcopy(net), False
    if isinstance(made, Network):
        return made
    if all(hasattr(made, part) for part in PARTS):
        scale = standardiser(x, standardise == "image")
        return Network(scale, made.body, made.head, int(made.width), outputs, name)
    if not isinstance(made, nn.Module):
        raise SettingError(
            f"--net {name}: gives a {type(made).__name__}, but a torch.nn.Module is needed, "
            f"or something with the attributes {', '.join(PARTS)}"
        )
    return _whole(made, name, x, outputs, standardise, told)


def make_module(path: str, shape: tuple[int, ...], outputs: int | None, option: str = "--net") -> tuple[Any, bool]:
    """Import a factory and call it; tell whether it was given shape and outputs, or takes nothing.

    Args:
        path: `module:factory`.
        shape: of one row, for a factory that wants it.
        outputs: the number of classes, likewise; None where it is not known.
        option: what named it, for errors.

    Raises:
        SettingError: it cannot be imported or called, or wants to know what is not known.
    """
    module_name, _, attribute = path.partition(":")
    try:
        factory = importlib.import_module(module_name)
        for part in attribute.split("."):
            factory = getattr(factory, part)
    except Exception as error:  # a module of one's own may raise anything
        raise SettingError(
            f"{option} {path}: cannot be imported ({_words(error)}); it is read from the Python path"
        ) from error
    if not callable(factory):
        raise SettingError(f"{option} {path}: is a {type(factory).__name__}, and no function that makes a network")
    told = _takes_shape(factory)
    if told and outputs is None:
        raise SettingError(f"{option} {path}: asks for its number of classes; say how many with --teacher-classes")
    try:
        return (factory(shape, outputs) if told else factory()), told
    except Exception as error:
        call = f"{attribute}({shape}, {outputs})" if told else f"{attribute}()"
        raise SettingError(f"{option} {path}: {call} failed ({_words(error)}); mend it") from error


def _takes_shape(factory: Callable[..., Any]) -> bool:
    """Whether a factory is to be called with (shape, outputs): not where it needs no argument and names no shape."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):  # built in
        return True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = any(p.default is p.empty for p in positional)
    return needed or any(p.kind is p.VAR_POSITIONAL for p in parameters) or "shape" in [p.name for p in positional]


def _whole(module: nn.Module, name: str, x: Tensor, outputs: int, standardise: str, told: bool) -> Network:
    """Fit a classifier that is one piece: its channels, its size, its head."""
    by_image, said = standardise == "image", list[str]()
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    inputs: nn.Module
    if x.dim() == 4:
        wanted = channels_wanted(module, x.shape[1])
        scale = own_scale(x, wanted, by_image)

        def run(size: Size | None) -> object:
            with torch.no_grad():
                return module(Inputs(scale, wanted, size)(x[:1].to(scale.mean.device)))

        native = (int(x.shape[2]), int(x.shape[3]))
        try:
            size = fitting_size(module, run, native, [native] if told else ())
        except Exception as error:
            raise SettingError(
                f"--net {name}: fails on an input of shape {tuple(x.shape[1:])}, resized or not ({_words(error)}); "
                "mend it"
            ) from error
        said += channels_said(x.shape[1], wanted) + size_said(native, size)
        inputs = scale if wanted == x.shape[1] and size is None else Inputs(scale, wanted, size)
    else:
        inputs = standardiser(x, by_image)
    head_name = find_head(module, lambda: module(inputs(x[:1].cpu())), name)
    for layer, mode in modes:
        layer.training = mode
    body, old = take_off(module, head_name)
    head = old if old.out_features == outputs else nn.Linear(old.in_features, outputs, old.bias is not None)
    change = "kept" if head is old else f"new (it had {old.out_features} outputs)"
    said.append(f"head {head_name or 'itself'} {change}, {old.in_features}→{outputs}")
    network = Network(inputs, body, head, old.in_features, outputs, name)
    network.head_name = head_name or None
    network.notes = (f"network {name}: {', '.join(said)}",)
    return network


def own_scale(x: Tensor, channels: int, by_image: bool = False) -> Standardise:
    """The `Standardise` layer of the data's own mean and spread, after they are brought to these channels."""
    if x.shape[1] == channels:
        return standardiser(x, by_image)
    return standardiser(with_channels(x[:: scale_stride(len(x))], channels), by_image)


def find_head(
    module: nn.Module,
    run: Callable[[], object],
    name: str,
    *,
    what: str = "--net",
    softmax: bool = False,
    mend: str = "give it the attributes body, head and width, so that nothing has to be found",
) -> str:
    """Find the name of the `nn.Linear` whose output is that of the whole module.

    Args:
        module: a classifier, in eval mode.
        run: sends one row through it and returns the scores.
        name: for errors.
        what: the option that named the module, for errors.
        softmax: whether a softmax (or its logarithm) may come after it.
        mend: what to do where none is found, for errors.

    Raises:
        SettingError: there is none, or something comes after it; the error says which.
    """
    calls: list[tuple[nn.Module, Tensor]] = []

    def look(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append((layer, output))

    linear: dict[nn.Module, str] = {
        layer: path for path, layer in module.named_modules() if isinstance(layer, nn.Linear)
    }
    hooks = [layer.register_forward_hook(look) for layer in linear]
    try:
        with torch.no_grad():
            scores = run()
    except Exception as error:
        raise SettingError(f"{what} {name}: fails on one row of the data ({_words(error)}); mend it") from error
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(scores, Tensor) or scores.dim() != 2:
        found = f"shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else f"a {type(scores).__name__}"
        raise SettingError(f"{what} {name}: gives {found} for one row, and no scores N×classes; {mend}")
    if not calls:
        raise SettingError(f"{what} {name}: has no nn.Linear that could be its head; {mend}")
    layer, output = calls[-1]
    ends = [output, output.softmax(-1), output.log_softmax(-1)] if softmax else [output]
    same = (torch.allclose(end, scores, rtol=0, atol=1e-5 if softmax else 0) for end in ends)
    if output.shape != scores.shape or not any(same):
        raise SettingError(
            f"{what} {name}: its scores are not what its last nn.Linear ({linear[layer]}) gives: something comes after "
            f"it (a softmax?); leave that away, or {mend}"
        )
    if sum(called is layer for called, _ in calls) > 1:
        raise SettingError(f"{what} {name}: its last nn.Linear ({linear[layer]}) is used more than once; {mend}")
    return linear[layer]


def take_off(module: nn.Module, head_name: str) -> tuple[nn.Module, nn.Linear]:
    """Take the head off, in place: return what is left, which gives features, and the head.

    Example:
        >>> body, head = take_off(nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), "1")
        >>> body, head.in_features
        (Sequential(
          (0): ReLU()
          (1): Identity()
        ), 3)
    """
    head = module.get_submodule(head_name)
    assert isinstance(head, nn.Linear)
    if not head_name:
        return nn.Identity(), head
    for parent in list(module.modules()):  # under every name that it has
        for leaf, child in list(parent._modules.items()):
            if child is head:
                setattr(parent, leaf, nn.Identity())
    return module, head


def _words(error: Exception) -> str:
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0]}" if first else type(error).__name__
