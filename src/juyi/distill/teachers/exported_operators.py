"""Which operators an exported program may call: those that classifiers need, all of them mere arithmetic.

Everything else is refused: among torch's operators are some that read and write files.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any

import torch

from juyi.errors import SettingError

_ATEN = """
relu relu6 hardtanh hardswish hardsigmoid silu mish gelu elu selu celu leaky_relu prelu _prelu_kernel softplus tanh
sigmoid log_sigmoid glu threshold softmax _softmax log_softmax _log_softmax
conv1d conv2d conv3d convolution _convolution conv_transpose1d conv_transpose2d conv_transpose3d
linear addmm mm bmm matmul baddbmm einsum dot mv outer
batch_norm _native_batch_norm_legit_no_training layer_norm native_layer_norm group_norm native_group_norm
instance_norm rms_norm linalg_vector_norm norm
max_pool1d max_pool2d max_pool3d max_pool2d_with_indices avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d
view reshape _unsafe_view flatten unflatten permute transpose t numpy_T squeeze unsqueeze expand expand_as repeat
repeat_interleave cat concat stack hstack vstack split split_with_sizes chunk unbind slice select narrow index
index_select gather roll flip pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad2d movedim swapaxes
contiguous clone alias detach lift_fresh_copy _to_copy to type_as view_as reshape_as float pixel_shuffle
pixel_unshuffle channel_shuffle im2col unfold embedding upsample_bilinear2d upsample_nearest2d upsample_bicubic2d
add sub mul div rsub neg pow sqrt rsqrt exp log log1p log2 abs sign square reciprocal clamp clamp_min clamp_max
minimum maximum min max amin amax mean sum prod var std var_mean std_mean cumsum argmax argmin topk erf sin cos floor
ceil round trunc floor_divide remainder where masked_fill eq ne lt le gt ge logical_and logical_or logical_not any all
bitwise_and bitwise_or bitwise_not isnan tril triu logsumexp addcmul lerp
zeros ones full zeros_like ones_like full_like new_zeros new_ones new_full arange scalar_tensor linspace
scaled_dot_product_attention dropout feature_dropout alpha_dropout sym_size sym_numel
"""
ATEN = frozenset(_ATEN.split())
"""Operators of `torch.ops.aten` by name."""
MAKERS = frozenset({"zeros", "ones", "full", "arange", "scalar_tensor", "linspace"})
"""Those that make a tensor of numbers; all others are given one."""
_IN_PLACE = """
relu_ relu6_ hardtanh_ hardswish_ hardsigmoid_ silu_ mish_ elu_ selu_ celu_ leaky_relu_ tanh_ sigmoid_ add_ sub_ mul_
div_ clamp_ clamp_min_ clamp_max_ dropout_ detach_
"""
IN_PLACE = frozenset(_IN_PLACE.split())
"""Those that change what they are given, which must be something that the program has computed."""
_VIEWS = """
view reshape flatten unflatten permute transpose t numpy_T squeeze unsqueeze expand expand_as movedim swapaxes
contiguous alias detach to type_as view_as reshape_as float slice select narrow split split_with_sizes chunk
unbind unfold dropout feature_dropout alpha_dropout _to_copy
"""
VIEWS = frozenset(_VIEWS.split())
"""Those whose result may lie in the memory of what they are given."""
CHECKS = frozenset({"_assert_scalar", "_assert_tensor_metadata", "_assert_async", "sym_constrain_range_for_size",
                    "sym_constrain_range"})  # fmt: skip
"""Those that only check; they are left out."""
_PLAIN: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in (
        "add", "sub", "mul", "floordiv", "mod", "truediv", "neg", "getitem", "eq", "ne", "lt", "le", "gt", "ge", "and_",
    )},
    **{f"torch.sym_{name}": getattr(torch, f"sym_{name}") for name in ("max", "min", "int", "float", "not")},
    **{f"math.{name}": getattr(math, name) for name in ("floor", "ceil", "trunc", "sqrt")},
}  # fmt: skip


def operator_of(target: Any, where: str) -> tuple[str, Callable[..., Any]] | None:
    """Return name and function of what a step of a program calls; None for a mere check.

    Raises:
        SettingError: it is none that may be called.

    Example:
        >>> operator_of("torch.ops.aten.relu.default", "a.pt2")
        ('relu', <OpOverload(op='aten.relu', overload='default')>)
        >>> operator_of("torch.ops.aten.from_file.default", "a.pt2")
        Traceback (most recent call last):
        ...
        juyi.errors.SettingError: a.pt2: calls torch.ops.aten.from_file.default, which is not allowed in a teacher; ...
    """
    if isinstance(target, str) and target in _PLAIN:
        return target, _PLAIN[target]
    found = re.fullmatch(r"torch\.ops\.aten\.([A-Za-z0-9_]{1,60})\.([A-Za-z0-9_]{1,60})", str(target))
    if found:
        name, overload = found.groups()
        if name in CHECKS:
            return None
        function = getattr(getattr(torch.ops.aten, name, None), overload, None)
        if isinstance(function, torch._ops.OpOverload):
            schema = function._schema
            of_tensors = name in MAKERS or any("Tensor" in str(argument.type) for argument in schema.arguments)
            plain = name in ATEN and not schema.is_mutable
            if of_tensors and (plain or (name in IN_PLACE and not _writes_elsewhere(schema))):
                return name, function
    raise SettingError(
        f"{where}: calls {str(target)[:80]}, which is not allowed in a teacher; export the model in eval mode, made of "
        "torch's own layers, or bring it as module:factory with --teacher-weights"
    )


def _writes_elsewhere(schema: Any) -> bool:
    """Whether it changes anything but its first argument."""
    return any(a.alias_info is not None and a.alias_info.is_write for a in schema.arguments[1:])
