"""A model as a file that other programs run: written and checked, in eight-bit integers, read, counted, timed."""

from juyi.portable.int8 import write_int8
from juyi.portable.latency import Latency, measure_latency
from juyi.portable.reading import OnnxModel
from juyi.portable.sizes import Sizes, count_sizes, peak_activations
from juyi.portable.writing import Comparison, compare, write_onnx

__all__ = [
    "Comparison",
    "Latency",
    "OnnxModel",
    "Sizes",
    "compare",
    "count_sizes",
    "measure_latency",
    "peak_activations",
    "write_int8",
    "write_onnx",
]
