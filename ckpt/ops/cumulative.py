"""Running sums and products along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, INDEX, NUMERIC
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph import convert
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import division, elementwise


def _scanned(x, axis, exclusive, reverse, accumulate, start):
    """`accumulate` along the axis; exclusive: without the element itself; reverse: from the end on."""
    if not -np.ndim(x) <= int(axis) < np.ndim(x):
        raise InvalidArgumentError(
            None,
            None,
            f"ScanOp: Expected scan axis in the range [{-np.ndim(x)}, {np.ndim(x)}), but got {int(axis)}",
        )
    values = np.moveaxis(x, int(axis), 0)
    values = values[::-1] if reverse else values
    if exclusive and len(values):
        first = np.full((1, *values.shape[1:]), start, dtype=values.dtype)
        values = np.concatenate([first, values[:-1]])
    wide = (
        values.astype(np.float32)
        if values.dtype.itemsize == 2 and values.dtype.kind in "fV"
        else values
    )
    found = accumulate(wide).astype(x.dtype)
    return np.ascontiguousarray(np.moveaxis(found[::-1] if reverse else found, 0, int(axis)))


def _scan(type_name: str, accumulate: Any, start: Any, kinds: Any, doc: str) -> OpDef:
    def kernel(x, axis, *, exclusive, reverse):
        return _scanned(x, axis, exclusive, reverse, accumulate, start)

    kernel.__doc__ = doc
    opdef = op(
        type_name,
        "x: T, axis: Tidx -> out: T",
        exclusive=False,
        reverse=False,
        T=kinds,
        Tidx=Attr("type", dtypes.int32, INDEX),
    )(kernel)

    @opdef.shape
    def rule(x, axis):
        value, rank = constant_value(axis), x.shape.rank
        if value is not None and rank is not None and not -rank <= int(value) < rank:
            raise ShapeError(f"Shape must be at least rank {int(value) + 1} but is rank {rank}")
        return [x.shape]

    return opdef


cumsum_op = _scan(
    "Cumsum", lambda v: np.cumsum(v, axis=0), 0, NUMERIC, "The running sum along `axis`."
)
cumprod_op = _scan(
    "Cumprod", lambda v: np.cumprod(v, axis=0), 1, NUMERIC, "The running product along `axis`."
)
cumulative_logsumexp_op = _scan(
    "CumulativeLogsumexp",
    lambda v: np.logaddexp.accumulate(v, axis=0),
    -np.inf,
    FLOATING,
    "log of the running sum of exp(x) along `axis`, without overflow.",
)


def _flags(node) -> dict[str, bool]:
    return {"exclusive": node.attrs["exclusive"], "reverse": not node.attrs["reverse"]}


@cumsum_op.grad
def cumsum_grad(node, dy):
    return [cumsum_op(dy, node.inputs[1], **_flags(node)), None]


@cumprod_op.grad
def cumprod_grad(node, dy):
    x, axis = node.inputs
    exclusive, reverse = node.attrs["exclusive"], node.attrs["reverse"]
    product = cumprod_op(x, axis, exclusive=exclusive, reverse=reverse)
    total = cumsum_op(product * dy, axis, exclusive=exclusive, reverse=not reverse)
    return [division.div_no_nan(total, x), None]


@cumulative_logsumexp_op.grad
def cumulative_logsumexp_grad(node, dy):
    """The gradients are summed as logarithms of their positive and negative parts, as TensorFlow does."""
    from ckpt.ops import compare, constants  # only this rule selects

    x, axis = node.inputs
    y = node.outputs[0]
    least = constants.constant(dy.dtype.min, dtype=dy.dtype.base_dtype)
    zero = constants.constant(0, dtype=dy.dtype.base_dtype)
    parts = []
    for sided in (dy, -dy):
        positive = compare.greater(sided, zero)
        safe = compare.select_v2(positive, sided, constants.ones_like(sided))
        logs = compare.select_v2(positive, elementwise.log(safe), least)
        summed = cumulative_logsumexp_op(logs - y, axis, **_flags(node))
        parts.append(elementwise.exp(summed + x))
    return [parts[0] - parts[1], None]


def cumsum(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """The running sum along `axis`; `exclusive` leaves the element itself out, `reverse` sums from the end."""
    with name_scope(name, "Cumsum", [x]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        return cumsum_op(x, axis, exclusive=exclusive, reverse=reverse, name=scope)


def cumprod(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """The running product along `axis`; `exclusive` leaves the element itself out, `reverse` starts at the end."""
    with name_scope(name, "Cumprod", [x]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        return cumprod_op(x, axis, exclusive=exclusive, reverse=reverse, name=scope)


def cumulative_logsumexp(
    x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """log of the running sum of exp(x) along `axis`."""
    with name_scope(name, "CumulativeLogsumexp", [x]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        return cumulative_logsumexp_op(x, axis, exclusive=exclusive, reverse=reverse, name=scope)
