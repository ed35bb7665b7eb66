"""Places in sorted rows, repeated elements, and positions in flattened arrays."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import ANY, Attr
from ckpt.ops import (
    casting,
    compare,
    constants,
    cumulative,
    indexing,
    joining,
    reduction,
    shaping,
)

OUT = Attr("type", dtypes.int32, INDEX)
SIDES = {"left": "LowerBound", "right": "UpperBound"}


def _bound(type_name: str, side: Any, doc: str) -> Any:
    def kernel(rows, values, *, out_type):
        if rows.ndim != 2 or values.ndim != 2 or len(rows) != len(values):
            raise InvalidArgumentError(
                None, None, "Leading dim_size of both tensors must match, and both must be matrices: "
                f"{list(rows.shape)} and {list(values.shape)}",
            )  # fmt: skip
        found = np.empty(values.shape, out_type.as_numpy_dtype)
        for i, (row, wanted) in enumerate(zip(rows, values, strict=True)):
            found[i] = np.searchsorted(row, wanted, side=side)
        return found

    kernel.__doc__ = doc
    opdef = op(type_name, "sorted_inputs: T, values: T -> output: out_type", T=ANY, out_type=OUT)(
        kernel
    )
    opdef.shape(lambda rows, values: [values.shape.with_rank(2)])
    return opdef.no_gradient("positions have no derivative")


lower_bound = _bound(
    "LowerBound", "left", "Before which element of its row each value would stand."
)
upper_bound = _bound("UpperBound", "right", "Behind which equal elements each value would stand.")


def searchsorted(
    sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = dtypes.int32,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Where in each sorted row (the last axis) the values of the same row would stand: [..., values].

    Before equal elements for side "left", behind them for "right". Raises ValueError for another side.
    """
    if side not in SIDES:
        raise ValueError(f"Argument `side` must be either 'right' or 'left'. Received: {side}.")
    opdef = lower_bound if side == "left" else upper_bound
    with name_scope(name, "SearchSorted", [sorted_sequence, values]):
        rows = convert.convert_to_tensor(sorted_sequence)
        wanted = convert.convert_to_tensor(values, rows.dtype)
        flat = [
            shaping.reshape(x, joining.stack([-1, shaping.shape(x)[-1]])) for x in (rows, wanted)
        ]
        return shaping.reshape(opdef(*flat, out_type=out_type), shaping.shape(wanted))


def repeat(input: Any, repeats: Any, axis: int | None = None, name: str | None = None) -> Tensor:
    """Each element along `axis` as often as `repeats` (a number, or one per element) says; flattened where None."""
    with name_scope(name, "Repeat", [input, repeats]):
        x = convert.convert_to_tensor(input, name="input")
        if axis is None:
            x, axis = shaping.reshape(x, [-1]), 0
        counts = casting.cast(convert.convert_to_tensor(repeats, name="repeats"), dtypes.int32)
        if counts.shape.rank == 0:
            counts = constants.fill([shaping.shape(x)[axis]], counts)
        elif counts.shape.rank == 1 and counts.shape[0].value == 1:
            counts = constants.fill([shaping.shape(x)[axis]], counts[0])
        ends = cumulative.cumsum(counts)
        places = indexing.range_(reduction.reduce_sum(counts))
        chosen = upper_bound(ends[None, :], places[None, :])[0]
        return indexing.gather(x, chosen, axis=axis)


@op("UnravelIndex", "indices: Tidx, dims: Tidx -> output: Tidx", Tidx=OUT)
def unravel_index(indices, dims):
    """The position along each axis of an array of shape `dims` of positions in its flattened form: [axes, n]."""
    whole = int(np.prod(dims))
    if np.any((indices < 0) | (indices >= whole)):
        raise InvalidArgumentError(
            None, None, f"index is out of bound as with dims {dims.tolist()}"
        )
    found = np.unravel_index(indices, tuple(dims.tolist()))
    return np.stack([np.asarray(part) for part in found]).astype(indices.dtype)


@unravel_index.shape
def unravel_index_shape(indices, dims):
    axes = None if dims.shape.sizes is None else dims.shape.with_rank(1).sizes[0]
    if indices.shape.rank == 0:
        return [(axes,)]
    return [None if indices.shape.rank is None else (axes, indices.shape.num_elements())]


unravel_index.no_gradient("positions have no derivative")


@op("Timestamp", "-> ts: float64")
def timestamp():
    """Seconds since 1970, when it runs."""
    return np.float64(time.time())


timestamp.shape(lambda: [()])
timestamp.stateful()
timestamp.no_gradient("time has no inputs")


def where_v2(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """`x` where `condition`, else `y`, all broadcast together; where both are None the positions that are true.

    Raises ValueError when only one of them is given.
    """
    if (x is None) != (y is None):
        raise ValueError("x and y must both be non-None or both be None.")
    with name_scope(name, "WhereV2" if x is None else "SelectV2", [condition, x, y]) as scope:
        condition = convert.convert_to_tensor(condition, name="condition")
        if x is None:
            return indexing.where_op(condition, name=scope)
        return compare.select_v2(condition, x, y, name=scope)
