"""What a model costs whatever runs it: parameters, multiplications, bytes, the most that is held at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from juyi.nets import Network


@dataclass(frozen=True)
class Sizes:
    """What a network costs whatever runs it.

    Attributes:
        parameters: how many numbers it has learnt.
        macs: multiplications, each with an addition, for one row: those of convolutions and matrix products.
    """

    parameters: int
    macs: int


def count_sizes(network: Network, row: torch.Tensor) -> Sizes:
    """Count parameters and multiplications of a network for one raw row, 1×C×H×W or 1×d.

    Example:
        >>> from juyi.nets import build_network
        >>> row = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
        >>> count_sizes(build_network("lenet5", row, 10), row)
        Sizes(parameters=61706, macs=416520)
    """
    modes = [(layer, layer.training) for layer in network.modules()]
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(row.to(_device(network)))
    for layer, mode in modes:
        layer.training = mode
    return Sizes(sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2)


def peak_activations(path: Path | str) -> int:
    """Return the bytes that values between operations take at most, for one row, in an ONNX file's own order.

    A value is held from the operation that makes it to the last one that needs it, the input from the start; weights
    are not counted, nor what an operation needs while it works.

    Example:
        >>> import tempfile, juyi
        >>> from juyi.portable import write_onnx
        >>> digits = juyi.load("digits@train[:200]")
        >>> fitted = juyi.adapt.SourceOnly(net="lenet5", epochs=1).fit(digits)
        >>> peak_activations(write_onnx(fitted, Path(tempfile.mkdtemp()) / "model.onnx"))  # 6 maps of 28 × 28, twice
        37632
    """
    import onnx

    model = onnx.load(path)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    for value in [*model.graph.output, *model.graph.value_info]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = 1
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = {v.name: _bytes(v) for v in [*graph.input, *graph.value_info, *graph.output]}
    last = {name: place for place, node in enumerate(graph.node) for name in node.input}
    last |= {value.name: len(graph.node) for value in graph.output}
    held = {value.name for value in graph.input}
    most = 0
    for place, node in enumerate(graph.node):
        held |= {name for name in node.output if name in sizes}
        most = max(most, sum(sizes[name] for name in held))
        held = {name for name in held if last.get(name, -1) > place}
    return most


def _bytes(value: Any) -> int:
    import onnx

    tensor = value.type.tensor_type
    count = 1
    for dim in tensor.shape.dim:
        count *= max(1, dim.dim_value)
    return count * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize)


def _device(network: nn.Module) -> torch.device:
    return next((p.device for p in network.parameters()), torch.device("cpu"))
