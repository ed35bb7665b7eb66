"""Arithmetic element by element. Gradients are those of TensorFlow's python/ops/math_grad.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import (
    COMPLEX,
    FLOATING,
    INDEX,
    NUMERIC,
    REAL,
    SIGNED,
    string,
    uint8,
)
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.sparse import SparseTensor
from ckpt.ops import compare, complex_numbers, constants, division, tensor_list
from ckpt.ops.families import binary, have_equal_shapes, same_shape, unary

FIELD = FLOATING | COMPLEX
SIGNED_NUMERIC = FIELD | SIGNED
ZERO_GRADIENT = lambda x, y, dy: None  # a row of the table below


def conj_of(x: Tensor) -> Tensor:
    """The conjugate where `x` is complex, else `x`: what gradients of analytic functions multiply by."""
    return conj(x) if x.dtype.base_dtype in COMPLEX else x


conj_op = unary(
    "Conj",
    "conj",
    Attr("type", dtypes.complex64, COMPLEX),
    lambda x, y, dy: conj(dy),
    "input: T -> output: T",
)
neg = unary("Neg", "negative", SIGNED_NUMERIC, lambda x, y, dy: neg(dy))
abs_op = unary("Abs", "abs", FLOATING | SIGNED, lambda x, y, dy: dy * sign(x))
sign = unary("Sign", lambda x: _sign(x), SIGNED_NUMERIC, lambda x, y, dy: constants.zeros_like(x))
square = unary(
    "Square", "square", NUMERIC, lambda x, y, dy: mul(dy, mul(conj_of(x), _two(x))), late=True
)
exp = unary("Exp", "exp", FIELD, lambda x, y, dy: dy * conj_of(y))
expm1 = unary("Expm1", "expm1", FIELD, lambda x, y, dy: dy * exp(conj_of(x)), late=True)
log = unary("Log", "log", FIELD, lambda x, y, dy: dy * reciprocal(conj_of(x)), late=True)
log1p = unary("Log1p", "log1p", FIELD, lambda x, y, dy: dy * reciprocal(1 + conj_of(x)), late=True)
sin = unary("Sin", "sin", FIELD, lambda x, y, dy: dy * cos(conj_of(x)), late=True)
cos = unary("Cos", "cos", FIELD, lambda x, y, dy: -dy * sin(conj_of(x)), late=True)
tan = unary(
    "Tan", "tan", FIELD, lambda x, y, dy: square(reciprocal(cos(conj_of(x)))) * dy, late=True
)
asin = unary(
    "Asin", "arcsin", FIELD, lambda x, y, dy: dy * reciprocal(sqrt(_one_minus_square(x))), late=True
)
acos = unary("Acos", "arccos", FIELD, lambda x, y, dy: _acos_grad(x, dy), late=True)
atan = unary(
    "Atan", "arctan", FIELD, lambda x, y, dy: dy * reciprocal(_one_plus_square(x)), late=True
)
sinh = unary("Sinh", "sinh", FIELD, lambda x, y, dy: dy * cosh(conj_of(x)), late=True)
cosh = unary("Cosh", "cosh", FIELD, lambda x, y, dy: dy * sinh(conj_of(x)), late=True)
asinh = unary("Asinh", "arcsinh", FIELD, lambda x, y, dy: dy / cosh(conj_of(y)), late=True)
acosh = unary("Acosh", "arccosh", FIELD, lambda x, y, dy: dy / sinh(conj_of(y)), late=True)
atanh = unary(
    "Atanh", "arctanh", FIELD, lambda x, y, dy: dy * reciprocal(_one_minus_square(x)), late=True
)
floor = unary("Floor", "floor", FLOATING, ZERO_GRADIENT)
ceil = unary("Ceil", "ceil", FLOATING, ZERO_GRADIENT)
rint = unary("Rint", "rint", FLOATING, ZERO_GRADIENT)
round_op = unary(
    "Round",
    lambda xp, x: xp.round(x) if x.dtype.kind in "fcV" else x,
    SIGNED_NUMERIC,
    ZERO_GRADIENT,
)
is_nan = op("IsNan", "x: T -> y: bool", T=FLOATING)(lambda xp, x: xp.isnan(x))
is_inf = op("IsInf", "x: T -> y: bool", T=FLOATING)(lambda xp, x: xp.isinf(x))
is_finite = op("IsFinite", "x: T -> y: bool", T=FLOATING)(lambda xp, x: xp.isfinite(x))
for _test in (is_nan, is_inf, is_finite):
    _test.shape(same_shape)
    _test.no_gradient("a truth value has no derivative")


def _sign(x):
    if np.iscomplexobj(x):
        size = np.abs(x)
        return np.where(size == 0, 0, x / np.where(size == 0, 1, size)).astype(x.dtype)
    return np.sign(x)


def _two(x: Tensor) -> Tensor:
    return constants.constant(2, dtype=x.dtype.base_dtype)


def _one_minus_square(x: Tensor) -> Tensor:
    squared = square(conj_of(x))
    return sub(constants.constant(1, dtype=x.dtype.base_dtype), squared)


def _one_plus_square(x: Tensor) -> Tensor:
    squared = square(conj_of(x))
    return add_v2(constants.constant(1, dtype=x.dtype.base_dtype), squared, name="Add")


def _acos_grad(x: Tensor, dy: Tensor) -> Tensor:
    slope = reciprocal(sqrt(_one_minus_square(x)))
    return -dy * slope


def _reciprocal(xp, x):
    if x.dtype.kind in "iu":
        division.refuse_zero(x, x)
    return (xp.ones((), x.dtype) / x).astype(x.dtype)


reciprocal = unary(
    "Reciprocal", _reciprocal, SIGNED_NUMERIC, lambda x, y, dy: reciprocal_grad(y, dy)
)
inv = unary("Inv", _reciprocal, SIGNED_NUMERIC, lambda x, y, dy: reciprocal_grad(y, dy))
sqrt = unary("Sqrt", "sqrt", FIELD, lambda x, y, dy: sqrt_grad(y, dy))
rsqrt = unary(
    "Rsqrt", lambda xp, x: xp.reciprocal(xp.sqrt(x)), FIELD, lambda x, y, dy: rsqrt_grad(y, dy)
)
tanh = unary("Tanh", "tanh", FIELD, lambda x, y, dy: tanh_grad(conj_of(y), dy))
sigmoid = unary(
    "Sigmoid", lambda xp, x: _sigmoid(xp, x), FIELD, lambda x, y, dy: sigmoid_grad(conj_of(y), dy)
)


for _mapped in (neg, sign, square, sin, tan, asin, atan, asinh, atanh, sqrt, tanh):
    _mapped.maps_sparse = True  # those of TensorFlow's that take a SparseTensor: f(0) = 0


def _sigmoid(xp, x):
    one = x.dtype.type(1)
    return one / (one + xp.exp(-x))


def _conj(x):
    """The conjugate of an array; real arrays as they are, without a copy."""
    return x.conj() if x.dtype.kind == "c" else x


def _activation_grad(type_name, kernel, second):
    """`z = kernel(y, dy)`: the gradient of a function of which the output y says everything."""
    opdef = op(type_name, "y: T, dy: T -> z: T", T=FIELD)(kernel)
    opdef.shape(lambda y, dy: [y.shape.merge_with(dy.shape)])

    @opdef.grad
    def rule(node, dz):
        return second(node.inputs[0], node.inputs[1], dz)

    return opdef


reciprocal_grad = _activation_grad(
    "ReciprocalGrad",
    lambda y, dy: -dy * _conj(y) * _conj(y),
    lambda y, dy, dz: [dz * -2.0 * conj_of(dy) * conj_of(y), reciprocal_grad(conj_of(y), dz)],
)
sqrt_grad = _activation_grad(
    "SqrtGrad",
    lambda y, dy: dy * y.dtype.type(0.5) / _conj(y),
    lambda y, dy, dz: [-(dz * conj_of(sqrt_grad(y, dy) / y)), 0.5 * dz / conj_of(y)],
)
rsqrt_grad = _activation_grad(
    "RsqrtGrad",
    lambda y, dy: y.dtype.type(-0.5) * dy * _conj(y * y * y),
    lambda y, dy, dz: [-1.5 * dz * conj_of(dy) * square(conj_of(y)), rsqrt_grad(conj_of(y), dz)],
)
tanh_grad = _activation_grad(
    "TanhGrad",
    lambda y, dy: dy * (y.dtype.type(1) - y * y),
    lambda y, dy, dz: [dz * -2.0 * conj_of(dy) * conj_of(y), tanh_grad(conj_of(y), dz)],
)
sigmoid_grad = _activation_grad(
    "SigmoidGrad",
    lambda y, dy: dy * y * (y.dtype.type(1) - y),
    lambda y, dy, dz: [
        conj_of(dy) * dz - 2.0 * (conj_of(dy) * dz) * conj_of(y),
        sigmoid_grad(conj_of(y), dz),
    ],
)


def _both(x, y, z, dz):
    return dz, dz


add_v1 = binary("Add", "add", SIGNED_NUMERIC | {string, uint8}, _both, equal_shapes=True)
add_v2 = binary("AddV2", "add", NUMERIC, _both, equal_shapes=True)
sub = binary("Sub", "subtract", NUMERIC, lambda x, y, z, dz: (dz, -dz), equal_shapes=True)
mul = binary(
    "Mul",
    "multiply",
    NUMERIC,
    lambda x, y, z, dz: _mul_grad(x, y, dz),
    equal_shapes=True,
)
maximum = binary(
    "Maximum", "maximum", REAL, lambda x, y, z, dz: _masked(compare.greater_equal, x, y, dz)
)
minimum = binary(
    "Minimum", "minimum", REAL, lambda x, y, z, dz: _masked(compare.less_equal, x, y, dz)
)
squared_difference = binary(
    "SquaredDifference",
    lambda x, y: _squared_difference(x, y),
    FIELD | INDEX,
    lambda x, y, z, dz: _squared_difference_grad(x, y, dz),
    equal_shapes=True,
)
atan2 = binary(
    "Atan2", "arctan2", FLOATING, lambda y, x, z, dz: _atan2_grad(y, x, dz), "y: T, x: T -> z: T"
)


def _mul_grad(x: Tensor, y: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    if dz.dtype.base_dtype in (dtypes.float32, dtypes.int32) and have_equal_shapes(x, y):
        return mul(dz, y), mul(dz, x)
    return mul(dz, conj_of(y)), mul(conj_of(x), dz)


def _atan2_grad(y: Tensor, x: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    with control_dependencies([dz]):
        per_square = dz / (square(y) + square(x))
        return x * per_square, -y * per_square


def _squared_difference(x, y):
    difference = np.subtract(x, y)
    return (
        np.conj(difference) * difference if np.iscomplexobj(difference) else difference * difference
    )


def _squared_difference_grad(x: Tensor, y: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    with control_dependencies([dz]):
        twice = mul(constants.constant(2.0, dtype=dz.dtype.base_dtype, name="scalar"), dz)
        dx = twice * (x - y)
    return dx, -dx


def _masked(test: Any, x: Tensor, y: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    nothing = constants.zeros_like(dz)
    mask = test(x, y)
    return compare.select_v2(mask, dz, nothing), compare.select_v2(mask, nothing, dz)


def _pow(x, y):
    if x.dtype.kind in "iu" and np.any(np.less(y, 0)):
        raise InvalidArgumentError(
            None, None, "Integers to negative integer powers are not allowed"
        )
    return np.power(x, y)


def _pow_grad(x: Tensor, y: Tensor, z: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    x, y, z = conj_of(x), conj_of(y), conj_of(z)
    dx = dz * y * pow_op(x, y - 1)
    nonzero = compare.not_equal(x, 0) if x.dtype.base_dtype in COMPLEX else compare.greater(x, 0)
    safe = compare.select(nonzero, x, constants.ones_like(x))
    logarithm = compare.select(nonzero, log(safe), constants.zeros_like(x))
    return dx, dz * z * logarithm


pow_op = binary("Pow", _pow, SIGNED_NUMERIC, _pow_grad)


@op("AddN", "inputs: N * T -> sum: T", T=NUMERIC | {dtypes.variant})
def add_n_op(*inputs):
    """The sum of the inputs, all of one shape."""
    if len(inputs) == 1:
        return inputs[0]
    if tensor_list.is_variant(inputs[0]):
        return tensor_list.summed(inputs)
    total = np.add(inputs[0], inputs[1])
    for part in inputs[2:]:
        if total.shape != part.shape:
            raise InvalidArgumentError(
                None,
                None,
                f"Inputs to AddN must have the same shape: {total.shape} and {part.shape}",
            )
        total = total + part
    return total


@add_n_op.shape
def add_n_shape(*inputs):
    found = inputs[0].shape
    for tensor in inputs[1:]:
        found = found.merge_with(tensor.shape)
    return [found]


@add_n_op.grad
def add_n_grad(node, dy):
    return [dy] * len(node.inputs)


def add(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x + y, element by element with broadcasting; strings are concatenated."""
    if isinstance(x, Tensor) and isinstance(y, Tensor):  # one node is made: no scope is needed
        wanted = "Add" if name is None else name
        return (add_v1 if x._dtype.base_dtype is string else add_v2)(x, y, name=wanted)
    with name_scope(name, "Add", [x]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        y = convert.convert_to_tensor(y, name="y", preferred_dtype=x.dtype.base_dtype)
        return (add_v1 if x.dtype.base_dtype == string else add_v2)(x, y, name=scope)


def add_n(inputs: Any, name: str | None = None) -> Tensor:
    """The sum of a list of tensors of one shape and dtype. Raises ValueError for an empty list."""
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise ValueError(
            "inputs must be a list of at least one Tensor/IndexedSlices with the same dtype and shape"
        )
    tensors = [convert.convert_to_tensor(v) for v in inputs]
    kinds = [t.dtype.base_dtype.name for t in tensors]
    if len(set(kinds)) > 1:
        raise TypeError(
            f"Tensors in list passed to 'inputs' of 'AddN' Op have types [{', '.join(kinds)}] that don't all match."
        )
    if len(tensors) == 1:
        return identity_named(tensors[0], name)
    return add_n_op(tensors, name=name)


def identity_named(tensor: Tensor, name: str | None) -> Tensor:
    """`tensor`, or an Identity of it when a name is asked for."""
    from ckpt.ops import control  # control sums nothing; only this direction exists

    return control.identity(tensor, name=name) if name else tensor


def pow_(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x to the power of y, element by element."""
    with name_scope(name, "Pow", [x]) as scope:
        return pow_op(x, y, name=scope)


def abs_(x: Any, name: str | None = None) -> Tensor:
    """The absolute value; of complex numbers their length."""
    if isinstance(x, SparseTensor):
        mapped: Any = x.with_values(abs_(x.values, name))
        return mapped
    with name_scope(name, "Abs", [x]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        if x.dtype.base_dtype in COMPLEX:
            return complex_numbers.complex_abs(x, name=scope)
        return abs_op(x, name=scope)


def conj(x: Any, name: str | None = None) -> Tensor:
    """The complex conjugate; real numbers are returned as they are."""
    x = convert.convert_to_tensor(x, name="x")
    if x.dtype.base_dtype in COMPLEX:
        return conj_op(x, name=name)
    if x.dtype.base_dtype not in NUMERIC | {dtypes.variant}:
        raise TypeError(f"Expected numeric or variant tensor, got dtype {x.dtype.name}.")
    return x


def round_(x: Any, name: str | None = None) -> Tensor:
    """To the nearest integer, halves to even; integers are returned as they are."""
    x = convert.convert_to_tensor(x, name="x")
    return x if x.dtype.is_integer else round_op(x, name=name)
