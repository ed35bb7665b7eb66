"""Complex numbers and their parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX, NUMERIC
from ckpt.graph import convert
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.ops import casting, compare, constants, division, elementwise, unbroadcasting
from ckpt.ops.families import broadcast_shape, same_shape

COMPLEX_TYPE = Attr("type", dtypes.complex64, COMPLEX)
PART_TYPE = Attr("type", dtypes.float32, frozenset({dtypes.float32, dtypes.float64}))
COMPLEX_OF = {dtypes.float32: dtypes.complex64, dtypes.float64: dtypes.complex128}


@op("Complex", "real: T, imag: T -> out: Tout", T=PART_TYPE, Tout=COMPLEX_TYPE)
def complex_op(real, imag, *, Tout):  # TensorFlow's attribute
    """real + i · imag."""
    out = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imag)), Tout.as_numpy_dtype)
    out.real, out.imag = real, imag
    return out


complex_op.shape(broadcast_shape)


@complex_op.grad
def complex_grad(node, dy):
    x, y = node.inputs
    return unbroadcasting.unbroadcast(x, y, real(dy), imag(dy))


def _part(type_name: str, kernel: Any, gradient: Any) -> OpDef:
    """One real number of each complex one; `gradient(x, dy)` builds dx."""
    opdef = op(type_name, "input: T -> output: Tout", T=COMPLEX_TYPE, Tout=PART_TYPE)(kernel)
    opdef.shape(same_shape)
    opdef.grad(lambda node, dy: [gradient(node.inputs[0], dy)])
    return opdef


def _zero(like: Tensor) -> Tensor:
    return constants.constant(0, dtype=like.dtype.base_dtype)


real_op = _part("Real", lambda x: np.real(x), lambda x, dy: complex_(dy, _zero(dy)))
imag_op = _part("Imag", lambda x: np.imag(x), lambda x, dy: complex_(_zero(dy), dy))
angle_op = _part(
    "Angle",
    lambda x: np.angle(x).astype(np.real(x).dtype),
    lambda x, dy: (
        elementwise.neg(complex_(dy, _zero(dy)))
        * elementwise.reciprocal(complex_(imag(x), real(x)))
    ),
)


def complex_(real: Any, imag: Any, name: str | None = None) -> Tensor:
    """real + i · imag. Raises TypeError for parts that are not both float32 or both float64."""
    with name_scope(name, "Complex", [real, imag]) as scope:
        real = convert.convert_to_tensor(real, name="real")
        imag = convert.convert_to_tensor(imag, name="imag")
        kind = COMPLEX_OF.get(real.dtype.base_dtype)
        if kind is None or imag.dtype.base_dtype != real.dtype.base_dtype:
            raise TypeError(
                f"real and imag have incorrect types: {real.dtype.name} {imag.dtype.name}"
            )
        return complex_op(real, imag, Tout=kind, name=scope)


def real(input: Any, name: str | None = None) -> Tensor:
    """The real part; real numbers are returned as they are."""
    with name_scope(name, "Real", [input]) as scope:
        x = convert.convert_to_tensor(input, name="input")
        if x.dtype.base_dtype in COMPLEX:
            return real_op(x, Tout=x.dtype.base_dtype.real_dtype, name=scope)
        if x.dtype.base_dtype not in NUMERIC:
            raise TypeError(f"input must be a numeric tensor, but got tensor with dtype {x.dtype}")
        return x


def imag(input: Any, name: str | None = None) -> Tensor:
    """The imaginary part; zeros for real numbers."""
    with name_scope(name, "Imag", [input]) as scope:
        x = convert.convert_to_tensor(input, name="input")
        if x.dtype.base_dtype in COMPLEX:
            return imag_op(x, Tout=x.dtype.base_dtype.real_dtype, name=scope)
        return constants.zeros_like(x)


def angle(input: Any, name: str | None = None) -> Tensor:
    """The argument of complex numbers in (-π, π]; for real ones 0 or π."""
    with name_scope(name, "Angle", [input]) as scope:
        x = convert.convert_to_tensor(input, name="input")
        if x.dtype.base_dtype in COMPLEX:
            return angle_op(x, Tout=x.dtype.base_dtype.real_dtype, name=scope)
        is_negative = compare.less(x, 0.0)
        pi = np.pi * constants.ones_like(x)
        return compare.select(is_negative, pi, constants.zeros_like(x))


@op("ComplexAbs", "x: T -> y: Tout", T=COMPLEX_TYPE, Tout=PART_TYPE)
def complex_abs_op(xp, x):
    """The length of complex numbers."""
    return xp.abs(x)


complex_abs_op.shape(same_shape)


@complex_abs_op.grad
def complex_abs_grad(node, dy):
    x = node.inputs[0]
    return [casting.cast(division.div_no_nan_op(dy, node.outputs[0]), x.dtype) * x]


def complex_abs(x: Tensor, name: str | None = None) -> Tensor:
    """The length of complex numbers, in their real dtype."""
    return complex_abs_op(x, Tout=x.dtype.base_dtype.real_dtype, name=name)
