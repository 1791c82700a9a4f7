"""Parts of a network that stay as they are, to the bit: parameters and running statistics."""

from __future__ import annotations

import difflib

from torch import nn

from juyi.errors import SettingError
from juyi.nets.network import Network


def freeze(network: Network, names: str) -> None:
    """Mark parts of a network as frozen, and note how much that is.

    A frozen part is not trained, and stays in eval mode while the rest is in training mode, so that its batch norm
    keeps its statistics and its dropout is off.  The mark is an attribute of each module (`juyi_frozen`), which a deep
    copy keeps.

    Args:
        network: what is marked, in place; earlier marks are forgotten.
        names: of modules, separated by commas: `body`, or `body.0,body.1`; each with all that is below it.

    Raises:
        SettingError: there is no such part, or nothing would be left to train.

    Example:
        >>> import torch
        >>> from juyi.nets import build_network
        >>> net = build_network("lenet", torch.zeros(2, 1, 28, 28, dtype=torch.uint8), 10)
        >>> freeze(net, "body")
        >>> len(trainable(net)), net.notes
        (2, ('frozen: body, 426,070 of 431,080 parameters',))
    """
    thaw(network)
    asked = [name.strip() for name in names.split(",") if name.strip()]
    if not asked:
        raise SettingError(f"--freeze {names!r}: names no part; parts are {_parts(network, '')}")
    known = dict(network.named_modules())
    for name in asked:
        if name not in known:
            raise SettingError(f"--freeze {name}: the network has no such part; {_near(network, name)}")
        for module in known[name].modules():
            module.juyi_frozen = True
    every = {id(p): p.numel() for p in network.parameters()}
    left = {id(p) for p in trainable(network)}
    if not left:
        raise SettingError(f"--freeze {names}: would leave nothing to train; leave the head, or a part of the body")
    frozen = sum(count for key, count in every.items() if key not in left)
    network.notes += (f"frozen: {', '.join(asked)}, {frozen:,} of {sum(every.values()):,} parameters",)


def thaw(module: nn.Module) -> None:
    """Take all marks away."""
    for part in module.modules():
        part.__dict__.pop("juyi_frozen", None)


def frozen_parts(module: nn.Module) -> list[nn.Module]:
    """The module and the modules below it that are marked as frozen."""
    return [part for part in module.modules() if getattr(part, "juyi_frozen", False)]


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that may be trained: they ask for gradients, and no frozen part holds them."""
    held = {id(p) for part in frozen_parts(module) for p in part.parameters(recurse=False)}
    return [p for p in module.parameters() if p.requires_grad and id(p) not in held]


def _near(network: Network, name: str) -> str:
    """Name the part that was meant, or those that there are where the name goes wrong."""
    known = [path for path, _ in network.named_modules() if path.startswith(("body", "head"))]
    parent = name
    while parent and parent not in known:
        parent = parent.rpartition(".")[0]
    start = f"{parent}." if parent else ""
    below = [child for child, _ in network.get_submodule(parent).named_children()]
    close = difflib.get_close_matches(name.removeprefix(start).partition(".")[0], below, n=1)
    close = [start + child for child in close]
    if not parent and not close:  # the start was left away, maybe
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else f"parts are {_parts(network, parent)}"


def _parts(network: Network, parent: str) -> str:
    module = network.get_submodule(parent)
    start = f"{parent}." if parent else ""
    names = [start + name for name, child in module.named_children() if any(True for _ in child.parameters())]
    return ", ".join(names[:12]) + (f" and {len(names) - 12:,} more" if len(names) > 12 else "") if names else parent
