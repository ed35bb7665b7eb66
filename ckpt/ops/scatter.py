"""Writing to some rows or elements of a variable: the Scatter operations, by reference and by handle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ckpt.core.cells import opened
from ckpt.core.dtypes import NUMERIC, as_dtype
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.rows import combine_rows
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import ANY
from ckpt.ops.resource import handle_shape
from ckpt.ops.state import INDEX_TYPE, is_resource_like, reference

ORDERED = frozenset(
    as_dtype(n) for n in ("float16", "bfloat16", "float32", "float64", "int32", "int64")
)

Apply = Callable[[Any, Any, Any], None]


def _set(array: Any, rows: Any, updates: Any) -> None:
    array[rows] = updates


def _divide(array: Any, rows: Any, updates: Any) -> None:
    function = np.floor_divide if array.dtype.kind in "iu" else np.true_divide
    combine_rows(function, array, rows, updates)


APPLY: dict[str, Apply] = {
    "Update": _set,
    "Add": partial(combine_rows, np.add),
    "Sub": partial(combine_rows, np.subtract),
    "Mul": partial(combine_rows, np.multiply),
    "Div": _divide,
    "Min": partial(combine_rows, np.minimum),
    "Max": partial(combine_rows, np.maximum),
}


def scatter_rows(array: Any, indices: Any, updates: Any, apply: Apply) -> None:
    """Apply `updates` (one per index, or one scalar for all) to the rows `indices` of `array`, in place.

    Raises InvalidArgumentError, and changes nothing, for a row that is not there and for updates of another shape.
    """
    indices = np.asarray(indices)
    bad = (indices < 0) | (indices >= array.shape[0])
    if np.any(bad):
        at = np.argwhere(bad)[0]
        raise InvalidArgumentError(
            None,
            None,
            f"indices[{','.join(map(str, at))}] = {indices[tuple(at)]} is not in [0, {array.shape[0]})",
        )
    if np.ndim(updates) and np.shape(updates) != indices.shape + array.shape[1:]:
        raise InvalidArgumentError(
            None,
            None,
            f"Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = [], got updates.shape "
            f"{list(np.shape(updates))}, indices.shape {list(indices.shape)}, params.shape {list(array.shape)}",
        )
    apply(array, indices, updates)


def scatter_elements(array: Any, indices: Any, updates: Any, apply: Apply) -> None:
    """Apply `updates` to the parts of `array` that the last axis of `indices` points to, in place.

    Raises InvalidArgumentError, and changes nothing, for a part that is not there and for updates of another shape.
    """
    indices = np.asarray(indices)
    depth = indices.shape[-1]
    flat = indices.reshape(-1, depth).astype(np.int64)
    sizes = np.array(array.shape[:depth])
    bad = ((flat < 0) | (flat >= sizes)).any(axis=1) if depth else np.zeros(len(flat), bool)
    if bad.any():
        row = int(np.argmax(bad))
        at = np.unravel_index(row, indices.shape[:-1]) if indices.ndim > 1 else ()
        raise InvalidArgumentError(
            None,
            None,
            f"indices[{','.join(map(str, at))}] = [{', '.join(map(str, flat[row]))}] does not index into shape "
            f"[{','.join(map(str, array.shape))}]",
        )
    wanted = (*indices.shape[:-1], *array.shape[depth:])
    if np.shape(updates) != wanted:
        raise InvalidArgumentError(
            None,
            None,
            f"Must have updates.shape = indices.shape[:-1] + params.shape[{depth}:] = {list(wanted)}, got "
            f"{list(np.shape(updates))}",
        )
    rows = (
        np.ravel_multi_index(tuple(flat.T), array.shape[:depth])
        if depth
        else np.zeros(len(flat), np.intp)
    )
    parts = array.reshape(int(np.prod(array.shape[:depth])), *array.shape[depth:])
    apply(parts, rows, np.reshape(updates, (len(flat), *array.shape[depth:])))


def _row_shapes(whole: TensorShape, indices: Tensor, updates: Tensor) -> TensorShape:
    if updates.shape.rank != 0:
        wanted = indices.shape.concatenate(
            TensorShape.of(None if whole.sizes is None else whole.sizes[1:])
        )
        updates.shape.merge_with(wanted)
    return whole


def element_shapes(whole: TensorShape, indices: Tensor, updates: Tensor) -> TensorShape:
    """The shape of the whole. Raises ShapeError when indices and updates do not fit together and into it."""
    if whole.sizes is None or indices.shape.sizes is None or updates.shape.sizes is None:
        return whole
    depth = indices.shape.sizes[-1]
    outer = TensorShape.of(indices.shape.sizes[:-1])
    rank = len(indices.shape.sizes) - 1
    if not TensorShape.of(updates.shape.sizes[:rank]).is_compatible_with(outer):
        raise ShapeError(
            f"Dimensions [0,{rank}) of indices[shape={indices.shape}] must match dimensions [0,{rank}) of "
            f"updates[shape={updates.shape}]"
        )
    if depth is None:
        return whole
    inner = TensorShape.of(whole.sizes[depth:])
    if not TensorShape.of(updates.shape.sizes[rank:]).is_compatible_with(inner):
        raise ShapeError(
            f"Dimensions [{depth},{len(whole.sizes)}) of input[shape={whole}] must match dimensions "
            f"[{rank},{len(updates.shape.sizes)}) of updates[shape={updates.shape}]"
        )
    return whole


def _define(kind: str, by_element: bool) -> tuple[OpDef, OpDef]:
    """The operation by reference and the one by handle."""
    apply = APPLY[kind]
    scatter = scatter_elements if by_element else scatter_rows
    shaped = element_shapes if by_element else _row_shapes
    allowed: Any = ANY if kind == "Update" else ORDERED if kind in ("Min", "Max") else NUMERIC

    def kernel(ref, indices, updates):
        with opened(ref) as (value,):
            scatter(value, indices, updates, apply)
        return ref

    def resource_kernel(ref, indices, updates):
        with opened(ref) as (value,):
            scatter(value, indices, updates, apply)
        return ()

    words = "elements" if by_element else "rows"
    kernel.__doc__ = f"{kind} {words} of the variable and return its reference."
    resource_kernel.__doc__ = f"{kind} {words} of the variable."
    name = f"ScatterNd{kind}" if by_element else f"Scatter{kind}"
    more: dict[str, Any] = {"bad_indices_policy": ""} if by_element else {}
    by_ref = op(
        name,
        "ref: &T, indices: Tindices, updates: T -> output_ref: &T",
        T=allowed,
        Tindices=INDEX_TYPE,
        use_locking=kind == "Update",
        **more,
    )(kernel)
    by_ref.shape(lambda ref, indices, updates: [shaped(ref.shape, indices, updates)])
    by_ref.stateful().no_gradient("assignments are not differentiable")
    if by_element:
        signature = "ref: resource, indices: Tindices, updates: T ->"
        attrs: dict[str, Any] = {"T": ANY, "use_locking": True, **more}
    else:
        signature = "resource: resource, indices: Tindices, updates: dtype ->"
        attrs = {"dtype": ANY if kind == "Update" else NUMERIC}
    by_handle = op(f"Resource{name}", signature, Tindices=INDEX_TYPE, **attrs)(resource_kernel)

    def resource_shape(ref, indices, updates):
        shaped(handle_shape(ref), indices, updates)
        return []

    by_handle.shape(resource_shape)
    by_handle.stateful().no_gradient("assignments are not differentiable")
    return by_ref, by_handle


ROWS = {kind: _define(kind, by_element=False) for kind in APPLY}
ELEMENTS = {kind: _define(kind, by_element=True) for kind in ("Update", "Add", "Sub", "Min", "Max")}


def _scatter(
    kind: tuple[OpDef, OpDef],
    ref: Any,
    indices: Any,
    updates: Any,
    use_locking: bool | None,
    name: str | None,
) -> Any:
    by_ref, by_handle = kind
    if is_resource_like(ref):
        updates = convert.convert_to_tensor(updates, dtype=ref.dtype)
        return ref._after(by_handle(ref.handle, indices, updates, name=name))
    attrs = {} if use_locking is None else {"use_locking": use_locking}
    return by_ref(reference(ref), indices, updates, name=name, **attrs)


def scatter_update(
    ref: Any, indices: Any, updates: Any, use_locking: bool = True, name: str | None = None
) -> Any:
    """Set the rows `indices` of a variable when run; returns its reference."""
    return _scatter(ROWS["Update"], ref, indices, updates, use_locking, name)


def scatter_add(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Any:
    """Add to the rows `indices` of a variable when run; rows named twice add up."""
    return _scatter(ROWS["Add"], ref, indices, updates, use_locking, name)


def scatter_sub(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Any:
    """Subtract from the rows `indices` of a variable when run."""
    return _scatter(ROWS["Sub"], ref, indices, updates, use_locking, name)


def scatter_mul(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Any:
    """Multiply the rows `indices` of a variable when run."""
    return _scatter(ROWS["Mul"], ref, indices, updates, use_locking, name)


def scatter_div(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Any:
    """Divide the rows `indices` of a variable when run."""
    return _scatter(ROWS["Div"], ref, indices, updates, use_locking, name)


def scatter_min(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Any:
    """Lower the rows `indices` of a variable to `updates` where these are smaller, when run."""
    return _scatter(ROWS["Min"], ref, indices, updates, use_locking, name)


def scatter_max(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Any:
    """Raise the rows `indices` of a variable to `updates` where these are larger, when run."""
    return _scatter(ROWS["Max"], ref, indices, updates, use_locking, name)


def scatter_nd_update(
    ref: Any, indices: Any, updates: Any, use_locking: bool = True, name: str | None = None
) -> Any:
    """Set the elements or slices of a variable that the last axis of `indices` points to, when run."""
    return _scatter(ELEMENTS["Update"], ref, indices, updates, use_locking, name)


def scatter_nd_add(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Any:
    """Add to the elements or slices of a variable that the last axis of `indices` points to, when run."""
    return _scatter(ELEMENTS["Add"], ref, indices, updates, use_locking, name)


def scatter_nd_sub(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Any:
    """Subtract from the elements or slices of a variable that the last axis of `indices` points to, when run."""
    return _scatter(ELEMENTS["Sub"], ref, indices, updates, use_locking, name)
