"""Operations on the bits of integers, and the operators that they share with truth values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ckpt.core.dtypes import INTEGER, bool_
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor, operator
from ckpt.ops import compare, operators
from ckpt.ops.families import binary, same_shape, unary

NONE = "bits have no derivative"

bitwise_and = binary("BitwiseAnd", "bitwise_and", INTEGER, NONE)
bitwise_or = binary("BitwiseOr", "bitwise_or", INTEGER, NONE)
bitwise_xor = binary("BitwiseXor", "bitwise_xor", INTEGER, NONE)
invert = unary("Invert", "bitwise_not", INTEGER, NONE)


def _shift(function):
    def kernel(x, y):
        """Shifts outside of the width are clamped to it, as TensorFlow does."""
        limit = np.asarray(x).dtype.itemsize * 8 - 1
        return function(x, np.clip(y, 0, limit).astype(np.asarray(y).dtype))

    return kernel


left_shift = binary("LeftShift", _shift(np.left_shift), INTEGER, NONE)
right_shift = binary("RightShift", _shift(np.right_shift), INTEGER, NONE)


@op("PopulationCount", "x: T -> y: uint8", T=INTEGER)
def population_count(x):
    """How many bits of each integer are set."""
    flat = np.ascontiguousarray(x).reshape(*np.shape(x), 1).view(np.uint8)
    return np.unpackbits(flat, axis=-1).sum(axis=-1).astype(np.uint8)


population_count.shape(same_shape)
population_count.no_gradient(NONE)


def _enter_operator(
    name: str, logical: Callable[..., Tensor], bitwise: Callable[..., Tensor]
) -> None:
    """Let the operator `name` be `logical` of truth values and `bitwise` of integers."""

    def function(x: Tensor, y: Tensor, name: str) -> Tensor:
        if x.dtype.base_dtype == bool_:
            return logical(x, y, name=name)
        return bitwise(x, y)

    operator(f"__{name}__")(lambda x, y: operators.applied(name, x, y, function))


_enter_operator("and", compare.logical_and, bitwise_and)
_enter_operator("or", compare.logical_or, bitwise_or)
_enter_operator("xor", compare.logical_xor, bitwise_xor)


@operator("__invert__")
def _invert_operator(x):
    return compare.logical_not(x) if x.dtype.base_dtype == bool_ else invert(x)
