"""Activations, softmax and biases. Gradients are those of TensorFlow's python/ops/nn_grad.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.dtypes import FLOATING, NUMERIC, REAL, float32
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.ops import casting, compare, constants, elementwise, indexing, joining, reduction, shaping
from ckpt.ops.families import same_shape

SELU_SCALE = 1.0507009873554804934193349852946
SELU_SCALE_ALPHA = 1.7580993408473768599402175208123
"""Klambauer et al. 2017, "Self-Normalizing Neural Networks", arXiv:1706.02515, equation (14)."""

ROW = 1 << 13
"""Elements that are compared with zeros at a time."""

FORMATS = Attr("string", "NHWC", frozenset({"NHWC", "NCHW"}))


def _activation(type_name, kernel, kinds, gradient, **attrs):
    """`activations = kernel(features)`; `gradient(node, dy)` builds the gradient by the features."""
    opdef = op(type_name, "features: T -> activations: T", T=kinds, **attrs)(kernel)
    opdef.shape(same_shape)
    opdef.grad(lambda node, dy: [gradient(node, dy)])
    return opdef


def _backprop(type_name, kernel, kinds, second, other="features", **attrs):
    """`backprops = kernel(gradients, features)`; `second(node, dz)` builds the gradients by both."""
    opdef = op(type_name, f"gradients: T, {other}: T -> backprops: T", T=kinds, **attrs)(kernel)
    opdef.shape(lambda dy, x: [dy.shape.merge_with(x.shape)])
    if isinstance(second, str):
        return opdef.no_gradient(second)
    opdef.grad(second)
    return opdef


def _as_kind(y, x):
    """`y` in the dtype of `x`: numpy widens where a scalar of its own takes part."""
    return y if y.dtype == x.dtype else y.astype(x.dtype)


def _through(opdef_of):
    """The second derivative of a gradient that is linear in `gradients` and has no other."""

    def second(node, dz):
        x = node.inputs[1]
        return [opdef_of()(dz, x), constants.zeros_like(x)]

    return second


def _relu(x):
    """x where it is positive, 0 elsewhere."""
    flat = x.reshape(-1)  # numpy compares with a row of zeros three times as fast as with one zero
    zeros = np.zeros(min(flat.size, ROW), x.dtype)
    if flat.size <= ROW:
        return np.maximum(flat, zeros).reshape(x.shape)
    y = np.empty_like(flat)
    whole = flat.size - flat.size % ROW
    np.maximum(flat[:whole].reshape(-1, ROW), zeros, out=y[:whole].reshape(-1, ROW))
    np.maximum(flat[whole:], zeros[: flat.size - whole], out=y[whole:])
    return y.reshape(x.shape)


relu = _activation("Relu", _relu, REAL, lambda node, dy: relu_grad(dy, node.outputs[0]))
relu_grad = _backprop("ReluGrad", lambda dy, x: dy * (x > 0), REAL, _through(lambda: relu_grad))
relu6_op = _activation(
    "Relu6", lambda xp, x: xp.minimum(xp.maximum(x, x.dtype.type(0)), x.dtype.type(6)), REAL,
    lambda node, dy: relu6_grad(dy, node.outputs[0]),
)  # fmt: skip
relu6_grad = _backprop(
    "Relu6Grad", lambda dy, x: dy * ((x > 0) & (x < 6)), REAL, _through(lambda: relu6_grad)
)


def _leaky(x, *, alpha):
    """x where it is positive, alpha * x where it is negative; alpha is a float32, as all attributes in files."""
    return np.where(x > 0, x, x.dtype.type(np.float32(alpha)) * x)


def _leaky_backprop(dy, x, *, alpha):
    """`gradients` where the features are positive, alpha * gradients elsewhere."""
    return np.where(x > 0, dy, dy.dtype.type(np.float32(alpha)) * dy)


def _leaky_second(node, dz):
    x = node.inputs[1]
    return [leaky_relu_grad(dz, x, alpha=node.attrs["alpha"]), constants.zeros_like(x)]


FLOAT = Attr("type", float32, FLOATING)
leaky_relu_op = _activation(
    "LeakyRelu", _leaky, FLOAT, lambda node, dy: leaky_relu_grad(dy, node.inputs[0], alpha=node.attrs["alpha"]),
    alpha=0.2,
)  # fmt: skip
leaky_relu_grad = _backprop("LeakyReluGrad", _leaky_backprop, FLOAT, _leaky_second, alpha=0.2)


def _elu(x):
    """x where it is positive, exp(x) - 1 where it is negative."""
    return np.where(x < 0, np.exp(np.minimum(x, x.dtype.type(0))) - x.dtype.type(1), x)


def _elu_backprop(dy, y):
    """The gradient of Elu by its features, from its output."""
    return np.where(y < 0, dy * (y + y.dtype.type(1)), dy)


def _selu(x):
    """A scaled Elu whose output keeps mean 0 and variance 1."""
    scale, alpha = x.dtype.type(SELU_SCALE), x.dtype.type(SELU_SCALE_ALPHA)
    return np.where(
        x < 0, alpha * (np.exp(np.minimum(x, x.dtype.type(0))) - x.dtype.type(1)), scale * x
    )


def _selu_backprop(dy, y):
    """The gradient of Selu by its features, from its output."""
    scale, alpha = y.dtype.type(SELU_SCALE), y.dtype.type(SELU_SCALE_ALPHA)
    return np.where(y < 0, dy * (y + alpha), scale * dy)


def _bent_second(opdef_of):
    """The second derivative of Elu and Selu: the output's share is the gradient itself where it is negative."""

    def second(node, dz):
        dy, y = node.inputs
        bent = compare.where(compare.less(y, 0), dz * dy, constants.zeros_like(y))
        return [opdef_of()(dz, y), bent]

    return second


elu = _activation("Elu", _elu, FLOATING, lambda node, dy: elu_grad(dy, node.outputs[0]))
elu_grad = _backprop("EluGrad", _elu_backprop, FLOATING, _bent_second(lambda: elu_grad), "outputs")
selu = _activation("Selu", _selu, FLOATING, lambda node, dy: selu_grad(dy, node.outputs[0]))
selu_grad = _backprop(
    "SeluGrad", _selu_backprop, FLOATING, _bent_second(lambda: selu_grad), "outputs"
)


def _softplus(x):
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-np.abs(x)))


def _softplus_backprop(dy, x):
    """The gradient of Softplus by its features."""
    with np.errstate(over="ignore"):
        return dy / (np.exp(-x) + x.dtype.type(1))


def _softplus_second(node, dz):
    dy, x = node.inputs
    d2x = dz * dy / (elementwise.exp(-x) + 2.0 + elementwise.exp(x))
    return [softplus_grad(dz, x), d2x]


softplus = _activation(
    "Softplus", _softplus, FLOATING, lambda node, dy: dy * elementwise.sigmoid(node.inputs[0])
)
softplus_grad = _backprop("SoftplusGrad", _softplus_backprop, FLOATING, _softplus_second)
softsign = _activation(
    "Softsign", lambda x: x / (np.abs(x) + x.dtype.type(1)), FLOATING,
    lambda node, dy: softsign_grad(dy, node.inputs[0]),
)  # fmt: skip
softsign_grad = _backprop(
    "SoftsignGrad",
    lambda dy, x: dy / np.square(np.abs(x) + x.dtype.type(1)),
    FLOATING,
    UNDEFINED,
)


def shifted(x):
    """`x` minus the largest element of its last axis, so that exp cannot overflow."""
    return x - x.max(axis=-1, keepdims=True, initial=-np.inf).astype(x.dtype, copy=False)


def wide(x):
    """`x` for arithmetic with sums: float32 for 16-bit floats."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def _rank_one_or_more(logits):
    return [logits.shape.with_rank_at_least(1)]


def _softmax(logits):
    """exp(logits), scaled so that the last axis sums to 1."""
    y = np.exp(shifted(wide(logits)))
    y /= y.sum(axis=-1, keepdims=True)
    return _as_kind(y, logits)


def _log_softmax(logits):
    """The logarithm of Softmax."""
    y = shifted(wide(logits))
    y = y - np.log(np.exp(y).sum(axis=-1, keepdims=True))
    return _as_kind(y, logits)


softmax_op = op("Softmax", "logits: T -> softmax: T", T=FLOATING)(_softmax)
softmax_op.shape(_rank_one_or_more)
log_softmax_op = op("LogSoftmax", "logits: T -> logsoftmax: T", T=FLOATING)(_log_softmax)
log_softmax_op.shape(_rank_one_or_more)


@softmax_op.grad
def softmax_grad(node, dy):
    y = node.outputs[0]
    return [(dy - reduction.reduce_sum(dy * y, -1, keepdims=True)) * y]


@log_softmax_op.grad
def log_softmax_grad(node, dy):
    y = elementwise.exp(node.outputs[0])
    return [dy - reduction.reduce_sum(dy, -1, keepdims=True) * y]


def _along_channels(bias, rank, data_format):
    """`bias` in a shape that broadcasts along the channels of a value of this rank."""
    return bias.reshape(-1, *(1,) * (rank - 2)) if data_format == "NCHW" else bias


@op("BiasAdd", "value: T, bias: T -> output: T", T=NUMERIC, data_format=FORMATS)
def bias_add_op(xp, value, bias, *, data_format):
    """`value` plus the vector `bias` along the channels: the last axis, or the second one for NCHW."""
    axis = 1 if data_format == "NCHW" else -1
    if bias.ndim != 1 or value.ndim < 2 or value.shape[axis] != bias.shape[0]:
        raise InvalidArgumentError(
            None, None, f"Must provide as many biases as the channel dimension of the input tensor: "
            f"{list(bias.shape)} vs. {list(value.shape)} in {data_format}"
        )  # fmt: skip
    return value + _along_channels(bias, value.ndim, data_format)


@bias_add_op.shape
def bias_add_shape(value, bias, *, data_format):
    value.shape.with_rank_at_least(3 if data_format == "NCHW" else 2)
    (channels,) = bias.shape.with_rank(1).sizes
    sizes = value.shape.sizes
    if sizes is None:
        return [value.shape]
    axis = 1 if data_format == "NCHW" else len(sizes) - 1
    if channels is not None and sizes[axis] not in (None, channels):
        raise ShapeError(f"Dimensions must be equal, but are {sizes[axis]} and {channels}")
    return [tuple(channels if i == axis and s is None else s for i, s in enumerate(sizes))]


@bias_add_op.grad
def bias_add_op_grad(node, dy):
    return [dy, bias_add_grad_op(dy, data_format=node.attrs["data_format"])]


@op("BiasAddGrad", "out_backprop: T -> output: T", T=NUMERIC, data_format=FORMATS)
def bias_add_grad_op(dy, *, data_format):
    """The gradient of BiasAdd by its bias: the sum over all axes but the channels."""
    if data_format == "NCHW":
        axes = (0, *range(2, dy.ndim))
        return _as_kind(np.sum(wide(dy), axis=axes, dtype=_sum_kind(dy)), dy)
    flat = dy.reshape(-1, dy.shape[-1])
    if dy.dtype.kind == "f" and dy.dtype.itemsize > 2:
        return reduction.sum_of_rows(flat)
    return _as_kind(np.sum(wide(flat), axis=0, dtype=_sum_kind(dy)), dy)


def _sum_kind(dy):
    return np.float32 if dy.dtype.itemsize == 2 and dy.dtype.kind not in "iu" else dy.dtype


@bias_add_grad_op.shape
def bias_add_grad_shape(dy, *, data_format):
    dy.shape.with_rank_at_least(3 if data_format == "NCHW" else 2)
    if dy.shape.sizes is None:
        return [(None,)]
    return [(dy.shape.sizes[1 if data_format == "NCHW" else -1],)]


@bias_add_grad_op.grad
def bias_add_grad_op_grad(node, dz):
    (dy,) = node.inputs
    shape, bias_shape = shaping.shape(dy), shaping.shape(dz)
    if node.attrs["data_format"] == "NCHW":
        kept = joining.concat(
            [constants.ones_like(shape[:1]), bias_shape, constants.ones_like(shape[2:])], 0
        )
        times = joining.concat([shape[:1], [1], shape[2:]], 0)
    else:
        kept = joining.concat([constants.ones_like(shape[:-1]), bias_shape], 0)
        times = joining.concat([shape[:-1], [1]], 0)
    return [shaping.tile(shaping.reshape(dz, kept), times)]


@op("L2Loss", "t: T -> output: T", T=FLOATING)
def l2_loss(t):
    """Half the sum of the squares of all elements."""
    flat = wide(np.asarray(t)).reshape(-1)
    return t.dtype.type(np.dot(flat, flat) * flat.dtype.type(0.5))


l2_loss.shape(lambda t: [()])


@l2_loss.grad
def l2_loss_grad(node, dy):
    return [node.inputs[0] * dy]


def relu6(features: Any, name: str | None = None) -> Tensor:
    """The features, cut off below 0 and above 6."""
    with name_scope(name, "Relu6", [features]) as scope:
        return relu6_op(convert.convert_to_tensor(features, name="features"), name=scope)


def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Tensor:
    """The features where they are positive, `alpha` times them where they are negative; integers become float32."""
    with name_scope(name, "LeakyRelu", [features, alpha]) as scope:
        features = convert.convert_to_tensor(features, name="features")
        if features.dtype.is_integer:
            features = casting.cast(features, float32)
        if isinstance(alpha, np.ndarray):
            alpha = alpha.item()
        return leaky_relu_op(features, alpha=alpha, name=scope)


def crelu(features: Any, name: str | None = None, axis: int = -1) -> Tensor:
    """Relu of the features and of their negatives, joined along `axis`."""
    with name_scope(name, "CRelu", [features]) as scope:
        features = convert.convert_to_tensor(features, name="features")
        return relu(joining.concat([features, -features], axis, name=scope))


def bias_add(
    value: Any, bias: Any, data_format: str | None = None, name: str | None = None
) -> Tensor:
    """`value` plus the vector `bias` along the channels. Raises ValueError for an unknown `data_format`."""
    with name_scope(name, "BiasAdd", [value, bias]) as scope:
        if data_format is not None:
            if not data_format.startswith("NC") and not (
                data_format.startswith("N") and data_format.endswith("C")
            ):
                raise ValueError(
                    f"`data_format` must be of the form `N...C` or `NC...`, got {data_format}"
                )
            data_format = "NCHW" if data_format.startswith("NC") else "NHWC"
        value = convert.convert_to_tensor(value, name="input")
        bias = convert.convert_to_tensor(bias, dtype=value.dtype.base_dtype, name="bias")
        return bias_add_op(value, bias, data_format=data_format or "NHWC", name=scope)


def _axis_argument(axis: Any, dim: Any) -> int:
    if axis is not None and dim is not None:
        raise ValueError("Cannot specify both 'axis' and 'dim'")
    found = axis if axis is not None else dim
    return -1 if found is None else int(found)


def _over_last(opdef, logits: Any, axis: int, name: str | None) -> Tensor:
    """`opdef` over `axis`, moved to the end and back where it is another one."""
    logits = convert.convert_to_tensor(logits)
    rank = logits.shape.rank
    if axis == -1 or (rank is not None and axis == rank - 1):
        return opdef(logits, name=name)
    if rank is None:
        raise ValueError(
            f"softmax over axis {axis} of a tensor of unknown rank; only the last axis (-1) is possible"
        )
    if not -rank <= axis < rank:
        raise InvalidArgumentError(
            None, None, f"`dim` must be in the range [{-rank}, {rank}), got {axis}"
        )
    axis %= rank
    constants.constant(rank, name="Rank")  # TensorFlow asks twice
    rank_tensor = shaping.rank(logits)
    last = opdef(shaping.transpose(logits, swapped_with_last(rank_tensor, axis)))
    return shaping.transpose(last, swapped_with_last(rank_tensor, axis), name=name or "transpose")


def swapped_with_last(rank: Tensor, axis: int) -> Tensor:
    """The permutation that exchanges `axis` with the last one."""
    last = elementwise.sub(rank, 1)
    return joining.concat(
        [indexing.range_(axis), [last], indexing.range_(axis + 1, last), [axis]], 0
    )


def softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """exp(logits), scaled so that `axis` (the last one where None) sums to 1."""
    return _over_last(softmax_op, logits, _axis_argument(axis, dim), name)


def log_softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """The logarithm of `softmax`, computed without overflow."""
    return _over_last(log_softmax_op, logits, _axis_argument(axis, dim), name)
