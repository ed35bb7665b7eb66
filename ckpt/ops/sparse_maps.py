"""Sparse tensors kept under a number, so that they can go through a queue, and a batch of them as one sparse tensor."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr

PLACE = {"container": "", "shared_name": ""}
NO_GRADIENT = "numbers of kept tensors have no derivative"


class _Map:
    """Sparse tensors (indices, values, shape) by number; each can be taken once."""

    def __init__(self, dtype) -> None:
        self.dtype = dtype
        self._held: dict = {}
        self._next = 0
        self._lock = threading.Lock()

    def add(self, parts) -> list[int]:
        """Keep these; their numbers."""
        with self._lock:
            numbers = list(range(self._next, self._next + len(parts)))
            self._next += len(parts)
            self._held.update(zip(numbers, parts, strict=True))
        return numbers

    def take(self, numbers, name) -> list:
        """What is kept under `numbers`, which is forgotten. Raises InvalidArgumentError listing those that are not there."""
        with self._lock:
            missing = [number for number in numbers if number not in self._held]
            if missing:
                raise InvalidArgumentError(
                    None, None, f"Unable to find SparseTensor: {', '.join(map(str, missing))} in map: {name}"
                )  # fmt: skip
            return [self._held.pop(number) for number in numbers]


def _map(ctx, container, shared_name, dtype):
    name = shared_name or ctx.node.name
    found = ctx.resource("sparse_map", container, name, lambda: _Map(dtype))
    if found.dtype != dtype:
        raise InvalidArgumentError(
            None, None, f"The map {name} keeps values of {found.dtype.name}, not {dtype.name}"
        )
    return found


def _check(indices, values, shape):
    if indices.ndim != 2 or values.ndim != 1 or shape.ndim != 1 or indices.shape != (
        len(values), len(shape),
    ):  # fmt: skip
        raise InvalidArgumentError(
            None, None,
            f"Not a sparse tensor: indices {list(indices.shape)}, values {list(values.shape)}, shape {list(shape.shape)}",
        )  # fmt: skip


SPARSE = "sparse_indices: int64, sparse_values: T, sparse_shape: int64"


@op("AddSparseToTensorsMap", f"{SPARSE} -> sparse_handle: int64", T=Attr("type"), **PLACE)
def add_sparse(ctx, indices, values, shape, *, T, container, shared_name):
    """Keep a sparse tensor and return its number."""
    indices, values, shape = (np.array(part) for part in (indices, values, shape))
    _check(indices, values, shape)
    return np.int64(_map(ctx, container, shared_name, T).add([(indices, values, shape)])[0])


@op("AddManySparseToTensorsMap", f"{SPARSE} -> sparse_handles: int64", T=Attr("type"), **PLACE)
def add_many_sparse(ctx, indices, values, shape, *, T, container, shared_name):
    """Keep the slices of a sparse tensor along its first axis and return their numbers."""
    indices, values, shape = (np.array(part) for part in (indices, values, shape))
    _check(indices, values, shape)
    if len(shape) < 1:
        raise InvalidArgumentError(None, None, "A sparse scalar has no slices to keep")
    if len(indices) and (indices[:, 0].min() < 0 or indices[:, 0].max() >= shape[0]):
        raise InvalidArgumentError(
            None, None, f"Indices of the first axis must be in [0, {shape[0]}), got {indices[:, 0].tolist()}"
        )  # fmt: skip
    order = np.argsort(indices[:, 0], kind="stable")
    bounds = np.searchsorted(indices[order, 0], np.arange(int(shape[0]) + 1))
    places = [order[start:end] for start, end in pairwise(bounds)]
    parts = [(indices[place, 1:], values[place], shape[1:]) for place in places]
    return np.array(_map(ctx, container, shared_name, T).add(parts), np.int64)


@op(
    "TakeManySparseFromTensorsMap",
    "sparse_handles: int64 -> sparse_indices: int64, sparse_values: dtype, sparse_shape: int64",
    dtype=Attr("type"), **PLACE,
)  # fmt: skip
def take_many_sparse(ctx, handles, *, dtype, container, shared_name):
    """The kept tensors of these numbers, one after the other along a new first axis, each as large as the largest."""
    name = shared_name or ctx.node.name
    parts = _map(ctx, container, shared_name, dtype).take(np.ravel(handles).tolist(), name)
    if not parts:
        raise InvalidArgumentError(None, None, "Must have at least 1 serialized SparseTensor, input matrix has 0 rows")  # fmt: skip
    ranks = {len(shape) for _, _, shape in parts}
    if len(ranks) > 1:
        raise InvalidArgumentError(
            None, None, f"Inconsistent rank across SparseTensors: {', '.join(map(str, sorted(ranks)))}"
        )  # fmt: skip
    rows = np.repeat(np.arange(len(parts)), [len(values) for _, values, _ in parts])
    indices = np.concatenate([indices for indices, _, _ in parts])
    values = np.concatenate([values for _, values, _ in parts])
    largest = np.max([shape for _, _, shape in parts], axis=0)
    kind = object if dtype == dtypes.string else dtype.as_numpy_dtype
    return (
        np.column_stack([rows, indices]).astype(np.int64),
        values.astype(kind, copy=False),
        np.concatenate([[len(parts)], largest]).astype(np.int64),
    )


add_sparse.shape(lambda indices, values, shape: [()])
add_many_sparse.shape(lambda indices, values, shape: [(None,)])
take_many_sparse.shape(lambda handles: [(None, None), (None,), (None,)])
for _opdef in (add_sparse, add_many_sparse, take_many_sparse):
    _opdef.no_gradient(NO_GRADIENT)
