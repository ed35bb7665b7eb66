"""Arithmetic element by element, with its operators. Gradients are those of TensorFlow's python/ops/math_grad.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import (
    COMPLEX,
    FLOATING,
    INDEX,
    INTEGER,
    NUMERIC,
    REAL,
    SIGNED,
    bool_,
    string,
    uint8,
)
from ckpt.core.errors import InvalidArgumentError, UnimplementedError
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor, operator
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.sparse import SparseTensor
from ckpt.ops import compare, constants, matmul, reduction, tensor_list
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
        _refuse_zero(x, x)
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
real_div = binary(
    "RealDiv",
    "true_divide",
    NUMERIC,
    lambda x, y, z, dz: (
        real_div(dz, conj_of(y)),
        dz * real_div(real_div(-conj_of(x), conj_of(y)), conj_of(y)),
    ),
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


def _refuse_zero(x, y):
    if y.dtype.kind in "iu" and x.size and np.any(np.equal(y, 0)):  # no x, no division
        raise InvalidArgumentError(None, None, "Integer division by zero")


def _div(x, y):
    if x.dtype.kind in "iu":
        _refuse_zero(x, y)
        quotient = np.floor_divide(x, y)
        return quotient + ((np.mod(x, y) != 0) & ((x < 0) != (y < 0))).astype(x.dtype)
    return np.divide(x, y)


def _floor_div(x, y):
    _refuse_zero(x, y)
    return np.floor_divide(x, y) if x.dtype.kind in "iu" else np.floor(np.divide(x, y))


def _floor_mod(x, y):
    _refuse_zero(x, y)
    return np.mod(x, y)


def _truncate_div(x, y):
    quotient = _div(x, y)
    return np.trunc(quotient) if quotient.dtype.kind in "fV" else quotient


def _truncate_mod(x, y):
    _refuse_zero(x, y)
    return np.fmod(x, y)


div_op = binary(
    "Div",
    _div,
    NUMERIC,
    lambda x, y, z, dz: (
        div_op(dz, conj_of(y)),
        dz * div_op(div_op(-conj_of(x), conj_of(y)), conj_of(y)),
    ),
)
truncate_div = binary("TruncateDiv", _truncate_div, NUMERIC, lambda x, y, z, dz: (None, None))
floor_div = binary("FloorDiv", _floor_div, NUMERIC, lambda x, y, z, dz: (None, None))
floor_mod = binary(
    "FloorMod", _floor_mod, REAL, lambda x, y, z, dz: (dz, dz * neg(floor_div(x, y)))
)
mod_op = binary("Mod", _truncate_mod, FLOATING | INDEX, UNDEFINED)
truncate_mod = binary("TruncateMod", _truncate_mod, FLOATING | INDEX, UNDEFINED)
div_no_nan_op = binary(
    "DivNoNan",
    lambda x, y: np.where(
        np.equal(y, 0), x.dtype.type(0), np.divide(x, np.where(np.equal(y, 0), y.dtype.type(1), y))
    ).astype(x.dtype),
    FIELD,
    lambda x, y, z, dz: (div_no_nan(dz, y), dz * div_no_nan(div_no_nan(-x, y), y)),
)


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


@op("Cast", "x: SrcT -> y: DstT", Truncate=False)
def cast_op(x, *, DstT):  # TensorFlow's attribute
    """`x` with its elements converted to DstT; complex numbers lose their imaginary part for real DstT."""
    kind, x = DstT.as_numpy_dtype, np.asarray(x)
    if x.dtype.hasobject != (kind is np.object_):
        source = dtypes.as_dtype(x.dtype).name
        raise UnimplementedError(None, None, f"Cast {source} to {DstT.name} is not supported")
    if np.iscomplexobj(x) and not DstT.is_complex:
        x = np.real(x)
    return x.astype(kind)


cast_op.shape(same_shape)


@cast_op.grad
def cast_grad(node, dy):
    source, target = node.inputs[0].dtype.base_dtype, dy.dtype.base_dtype
    differentiable = FIELD
    if source in differentiable and target in differentiable:
        return [cast(dy, source)]
    return [None]


@op("ClipByValue", "t: T, clip_value_min: T, clip_value_max: T -> output: T", T=NUMERIC)
def clip_by_value_op(xp, t, low, high):
    """`t` with values below `clip_value_min` or above `clip_value_max` replaced by these."""
    return xp.minimum(xp.maximum(t, low), high)


@clip_by_value_op.shape
def clip_by_value_shape(t, low, high):
    return [t.shape]


@clip_by_value_op.grad
def clip_by_value_grad(node, dy):
    t, low, high = node.inputs
    nothing = constants.zeros_like(dy)
    below, above = compare.less(t, low), compare.greater(t, high)
    inside = compare.select_v2(compare.logical_or(below, above), nothing, dy)
    return [
        inside,
        reduction.unbroadcast(low, t, compare.select_v2(below, dy, nothing), None)[0],
        reduction.unbroadcast(high, t, compare.select_v2(above, dy, nothing), None)[0],
    ]


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


def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """`x` converted to `dtype`; `x` itself when it has that dtype."""
    base = dtypes.as_dtype(dtype).base_dtype
    if isinstance(x, Tensor) and x.dtype == base:
        return x
    with name_scope(name, "Cast", [x]) as scope:
        if isinstance(x, SparseTensor):
            sparse: Any = SparseTensor(x.indices, cast(x.values, base, name=scope), x.dense_shape)
            return sparse
        x = convert.convert_to_tensor(x, name="x")
        if x.dtype.base_dtype == base:
            return x
        return cast_op(x, DstT=base, name=scope)


def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """`value` clipped to what both dtypes can hold, then cast; of complex numbers the real part becomes a real number.

    Raises TypeError for truth values and strings, which have no range.
    """
    from ckpt.ops import complex_numbers  # which builds on this module

    with name_scope(name, "saturate_cast", [value]) as scope:
        value = convert.convert_to_tensor(value, name="value")
        dtype = dtypes.as_dtype(dtype).base_dtype
        if value.dtype.base_dtype in COMPLEX:
            if dtype in COMPLEX:
                return cast(value, dtype, name=scope)
            value = complex_numbers.real(value)
        held = value.dtype.base_dtype
        low, high = _common_range(held, dtype.real_dtype)
        limits = (convert.convert_to_tensor(v, dtype=held) for v in (low, high))
        return cast(clip_by_value_op(value, *limits, name="clamp"), dtype, name=scope)


def _common_range(held: Any, target: Any) -> tuple[Any, Any]:
    """The least and the greatest value of `held` that `target` can hold."""
    low, high = max(held.min, target.min), min(held.max, target.max)
    if not held.is_floating:
        return low, high
    kind = held.as_numpy_dtype
    least, most = kind(low), kind(high)
    if float(least) < low:  # rounded out of the target's range
        least = np.nextafter(least, kind(0))
    if float(most) > high:
        most = np.nextafter(most, kind(0))
    return least, most


def applied(name: str, x: Any, y: Any, function: Any) -> Any:
    """What Python's operator gives that is the operation `function` of both sides, called `name`."""
    with name_scope(None, name, [x, y]) as scope:
        x, y = operands(x, y)
        return function(x, y, name=scope)


def operands(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both sides of a binary operator as tensors: a plain value takes the dtype of the tensor beside it."""
    if isinstance(x, Tensor):
        if isinstance(y, Tensor):
            return x, y  # the operation says whether they go together
        return x, convert.convert_to_tensor(y, dtype=x.dtype.base_dtype, name="y")
    if isinstance(y, Tensor):
        return convert.convert_to_tensor(x, dtype=y.dtype.base_dtype, name="x"), y
    left = convert.convert_to_tensor(x, name="x") if hasattr(x, "dtype") else None
    if left is not None:
        return left, convert.convert_to_tensor(y, dtype=left.dtype.base_dtype, name="y")
    right = convert.convert_to_tensor(y, name="y")
    return convert.convert_to_tensor(x, dtype=right.dtype.base_dtype, name="x"), right


@operator("__add__")
def _add_operator(x, y):
    def added(a, b, name):
        return (add_v1 if a.dtype.base_dtype == string else add_v2)(a, b, name=name)

    return applied("add", x, y, added)


@operator("__sub__")
def _sub_operator(x, y):
    return applied("sub", x, y, sub)


@operator("__mul__")
def _mul_operator(x, y):
    return applied("mul", x, y, _multiply)


def _multiply(x: Tensor, y: Tensor, name: str) -> Tensor:
    """x * y; of truth values whether both hold, computed in int32 as TensorFlow does."""
    if x.dtype.base_dtype == bool_:
        return cast(mul(cast(x, dtypes.int32), cast(y, dtypes.int32), name=name), bool_)
    return mul(x, y, name=name)


@operator("__truediv__")
def _truediv_operator(x, y):
    return applied("truediv", x, y, _true_divide)


@operator("__div__")
def _div_operator(x, y):
    return applied("div", x, y, div_op)


@operator("__floordiv__")
def _floordiv_operator(x, y):
    return applied("floordiv", x, y, floor_div)


@operator("__mod__")
def _mod_operator(x, y):
    return applied("mod", x, y, floor_mod)


@operator("__pow__")
def _pow_operator(x, y):
    return applied("pow", x, y, pow_op)


@operator("__matmul__")
def _matmul_operator(x, y):
    return applied("matmul", x, y, matmul.matmul)


@operator("__neg__")
def _neg_operator(x):
    return neg(x)


@operator("__abs__")
def _abs_operator(x):
    return abs_(x)


def as_floating(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors of one dtype, integers among them as floats: float32 up to 16 bits, else float64."""
    dtype = tensors[0].dtype.base_dtype
    if dtype not in INTEGER:
        return tensors
    target = dtypes.float32 if dtype.size <= 2 else dtypes.float64
    return tuple(cast(x, target) for x in tensors)


def _true_divide(x: Tensor, y: Tensor, name: str) -> Tensor:
    if x.dtype.base_dtype == bool_:
        raise TypeError(f"`x` and `y` must be numeric, got {x.dtype.base_dtype.name}")
    return real_div(*as_floating(x, y), name=name)


def truediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y as Python 3 divides: integers become float32 or float64 first."""
    with name_scope(name, "truediv", [x, y]) as scope:
        return _true_divide(*operands(x, y), name=scope)


def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y as Python 3 divides."""
    if name is not None:
        return truediv(x, y, name)
    return convert.convert_to_tensor(x) / y


def div(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y as Python 2 divides: integers round down."""
    with name_scope(name, "div", [x, y]) as scope:
        x, y = operands(x, y)
        if x.dtype.is_integer:
            return floor_div(x, y, name=scope)
        return real_div(x, y, name=scope)


def floordiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x // y, rounded towards minus infinity."""
    with name_scope(name, "floordiv", [x, y]) as scope:
        return floor_div(*operands(x, y), name=scope)


def div_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, and 0 where y is 0; integers are divided as floats."""
    with name_scope(name, "div_no_nan", [x, y]) as scope:
        return div_no_nan_op(*as_floating(*operands(x, y)), name=scope)


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
            return complex_abs(x, name=scope)
        return abs_op(x, name=scope)


@op(
    "ComplexAbs",
    "x: T -> y: Tout",
    T=Attr("type", dtypes.complex64, COMPLEX),
    Tout=Attr("type", dtypes.float32, frozenset({dtypes.float32, dtypes.float64})),
)
def complex_abs_op(xp, x):
    """The length of complex numbers."""
    return xp.abs(x)


complex_abs_op.shape(same_shape)


@complex_abs_op.grad
def complex_abs_grad(node, dy):
    x = node.inputs[0]
    return [cast(div_no_nan_op(dy, node.outputs[0]), x.dtype) * x]


def complex_abs(x: Tensor, name: str | None = None) -> Tensor:
    """The length of complex numbers, in their real dtype."""
    return complex_abs_op(x, Tout=x.dtype.base_dtype.real_dtype, name=name)


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


@op("BroadcastGradientArgs", "s0: T, s1: T -> r0: T, r1: T", T=Attr("type", dtypes.int32, INDEX))
def broadcast_gradient_args(s0, s1):
    """Over which axes the gradients of two inputs of shapes s0 and s1 must be summed."""
    rank = max(len(s0), len(s1))
    a = [1] * (rank - len(s0)) + [int(v) for v in s0]
    b = [1] * (rank - len(s1)) + [int(v) for v in s1]
    r0 = [i for i in range(rank) if a[i] == 1 and (b[i] != 1 or i < rank - len(s0) or a[i] == b[i])]
    r1 = [i for i in range(rank) if b[i] == 1 and (a[i] != 1 or i < rank - len(s1) or a[i] == b[i])]
    return np.array(r0, s0.dtype), np.array(r1, s0.dtype)


broadcast_gradient_args.shape(lambda a, b: [[None], [None]])
broadcast_gradient_args.no_gradient("axes are integers")
