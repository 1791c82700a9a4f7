"""A network in one vector: what is shared, averaged and kept apart are stretches of it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from juyi.errors import SettingError
from juyi.nets import Network, trainable

NORMALISATIONS = (nn.modules.batchnorm._BatchNorm,)
"""Layers that `norm` means: told by their type, since names (`downsample.1`) do not tell."""


class Vector:
    """The weights and running statistics of a network, laid one after the other; the network computes with them.

    The order makes a stretch of every part that methods tell apart, so that a part is a view and never a copy:

        statistics | scale and shift of batch norm | the rest of the body | head
        `norm`     = statistics, scale and shift          `body` = all but the head
        `weights`  = all but the statistics               `rest` = all but `norm`

    What scales the inputs is not in it: it is the same for all and does not learn.

    Args:
        net: the network; its tensors are moved into the vector.

    Example:
        >>> from juyi.nets import build_network
        >>> model = Vector(build_network("lenet5", torch.zeros(2, 1, 28, 28, dtype=torch.uint8), 10))
        >>> model["head"].numel(), model["body"].numel() + model["head"].numel() == model["all"].numel()
        (850, True)
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        norms = {id(layer) for layer in net.modules() if isinstance(layer, NORMALISATIONS)}
        groups: list[list[Tensor]] = [[], [], [], []]
        for module in (*net.body.modules(), *net.head.modules()):
            in_head = any(module is part for part in net.head.modules())
            for buffer in module._buffers.values():
                if buffer is not None and buffer.is_floating_point():
                    groups[0 if id(module) in norms else 3 if in_head else 2].append(buffer)
            for parameter in module._parameters.values():
                if parameter is not None:
                    groups[1 if id(module) in norms else 3 if in_head else 2].append(parameter)
        ends = [0]
        for group in groups:
            ends.append(ends[-1] + sum(tensor.numel() for tensor in group))
        self._parts = {
            "all": slice(0, ends[4]), "statistics": slice(0, ends[1]), "norm": slice(0, ends[2]),
            "body": slice(0, ends[3]), "head": slice(ends[3], ends[4]), "weights": slice(ends[1], ends[4]),
            "rest": slice(ends[2], ends[4]),
        }  # fmt: skip
        first = next(net.parameters(), None)
        if first is None:
            raise SettingError(f"--net {net.name}: has no weights, so there is nothing to learn")
        self.learnable = trainable(net)
        self.values = torch.empty(ends[4], dtype=torch.float32, device=first.device)
        at = 0
        for tensor in (tensor for group in groups for tensor in group):
            at = self._move(tensor, at)

    def _move(self, tensor: Tensor, at: int) -> int:
        """Let a tensor of the network lie in the vector from `at` on; return where it ends."""
        end = at + tensor.numel()
        place = self.values[at:end]
        if tensor.dim() == 4:  # channels-last, as convolutions are computed
            n, c, h, w = tensor.shape
            view = place.view(n, h, w, c).permute(0, 3, 1, 2)
        else:
            view = place.view(tensor.shape)
        view.copy_(tensor.detach())
        tensor.data = view
        return end

    def __reduce__(self) -> tuple[type[Vector], tuple[Network]]:
        """Pickled or copied, the tensors would no longer lie in one vector: they are laid there again."""
        net = copy.deepcopy(self.net)
        for tensor in (*net.parameters(), *net.buffers()):
            tensor.data = tensor.data.clone()
        return Vector, (net,)

    def __getitem__(self, part: str) -> Tensor:
        """A part as it now is: a view, which changes as the network learns."""
        return self.values[self._parts[part]]

    def __setitem__(self, part: str, values: Tensor) -> None:
        """Put other values into a part."""
        self.values[self._parts[part]].copy_(values)

    def copy(self, part: str) -> Tensor:
        """A copy of a part."""
        return self[part].clone()

    def piece(self, values: Tensor, parameter: Tensor) -> Tensor:
        """The piece of a vector like `all` that stands where a parameter of the network stands, in its shape."""
        at = (parameter.data_ptr() - self.values.data_ptr()) // self.values.element_size()
        return values.as_strided(parameter.shape, parameter.stride(), values.storage_offset() + at)
