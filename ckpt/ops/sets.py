"""Sets in the last axis of tensors (intersection, difference, union, size) and the edit distance of sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ckpt.core.dtypes import int8, int16, int32, int64, string, uint8, uint16
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape, unknown_shape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import ANY, Attr
from ckpt.graph.sparse import SparseTensor, SparseTensorValue
from ckpt.graph.static import constant_value_as_shape
from ckpt.ops.sparse_parts import in_order
from ckpt.ops.sparse_tensors import as_sparse, parts

MEMBERS = frozenset({int8, int16, int32, int64, uint8, uint16, string})
RESULT = "result_indices: int64, result_values: T, result_shape: int64"
NONE = "members of sets have no derivative"
OPERATIONS: dict[str, Callable[[set[Any], set[Any]], set[Any]]] = {
    "a-b": lambda a, b: a - b,
    "b-a": lambda a, b: b - a,
    "intersection": lambda a, b: a & b,
    "union": lambda a, b: a | b,
}
ATTRS = {"T": MEMBERS, "set_operation": Attr("string"), "validate_indices": True}


def _rows(
    indices: Any, values: Any, shape: Any, is_checked: bool
) -> dict[tuple[int, ...], set[Any]]:
    """The sets of a sparse tensor by the position of their row."""
    if is_checked and not np.array_equal(in_order(indices), np.arange(len(indices))):
        raise InvalidArgumentError(None, None, "indices are out of order: use sparse.reorder")
    if is_checked and np.any((indices < 0) | (indices >= shape)):
        raise InvalidArgumentError(
            None, None, f"an index is out of bounds of {np.asarray(shape).tolist()}"
        )
    found: dict[tuple[int, ...], set[Any]] = {}
    for row, value in zip(indices.tolist(), values.tolist(), strict=True):
        found.setdefault(tuple(row[:-1]), set()).add(value)
    return found


def _dense_rows(values: Any) -> dict[tuple[int, ...], set[Any]]:
    if values.ndim < 2:
        raise InvalidArgumentError(None, None, f"a set needs rank >= 2, got {list(values.shape)}")
    return {place: set(values[place].tolist()) for place in np.ndindex(values.shape[:-1])}


def _groups(a_shape: Any, b_shape: Any) -> tuple[int, ...]:
    a, b = (tuple(int(s) for s in shape[:-1]) for shape in (a_shape, b_shape))
    if a != b:
        raise InvalidArgumentError(
            None,
            None,
            f"Mismatched group shapes {list(a)} vs {list(b)}: all but the last axis must agree",
        )
    return a


def _combined(a: Any, b: Any, groups: tuple[int, ...], operation: str, dtype: Any) -> list[Any]:
    function = OPERATIONS.get(operation.lower())
    if function is None:
        raise InvalidArgumentError(None, None, f"Invalid set_operation {operation}.")
    places, members, width = [], [], 0
    nothing: set[Any] = set()
    for place in _in_groups(a, b):
        result = sorted(function(a.get(place, nothing), b.get(place, nothing)))
        width = max(width, len(result))
        places += [(*place, i) for i in range(len(result))]
        members += result
    indices = np.array(places, np.int64).reshape(-1, len(groups) + 1)
    values = np.empty(len(members), dtype)
    values[:] = members
    return [indices, values, np.array([*groups, width], np.int64)]


def _in_groups(a: Any, b: Any) -> Iterator[tuple[int, ...]]:
    yield from sorted({*a, *b})


def _result_shape(*shapes: TensorShape) -> list[Any]:
    ranks = [s.rank for s in shapes if s.rank is not None]
    rank = ranks[0] if ranks else None
    return [(None, rank), (None,), (rank,)]


@op("DenseToDenseSetOperation", f"set1: T, set2: T -> {RESULT}", **ATTRS)
def dense_to_dense_op(a, b, *, set_operation):
    """The set operation on the last axes of two dense tensors."""
    groups = _groups(a.shape, b.shape)
    return _combined(_dense_rows(a), _dense_rows(b), groups, set_operation, a.dtype)


@dense_to_dense_op.shape
def dense_to_dense_shape(a, b):
    for groups in (a.shape, b.shape):
        groups.with_rank_at_least(2)
    if a.shape.rank is not None and b.shape.rank is not None:
        TensorShape(a.shape[:-1]).assert_is_compatible_with(b.shape[:-1])
    return _result_shape(a.shape, b.shape)


@op(
    "DenseToSparseSetOperation",
    f"set1: T, set2_indices: int64, set2_values: T, set2_shape: int64 -> {RESULT}",
    **ATTRS,
)
def dense_to_sparse_op(a, indices, values, shape, *, set_operation, validate_indices):
    """The set operation on the last axes of a dense and a sparse tensor."""
    groups = _groups(a.shape, shape)
    rows = _rows(indices, values, shape, validate_indices)
    return _combined(_dense_rows(a), rows, groups, set_operation, a.dtype)


dense_to_sparse_op.shape(lambda a, *_: _result_shape(a.shape))


@op(
    "SparseToSparseSetOperation",
    "set1_indices: int64, set1_values: T, set1_shape: int64, set2_indices: int64, set2_values: T, "
    f"set2_shape: int64 -> {RESULT}",
    **ATTRS,
)
def sparse_to_sparse_op(a_i, a_v, a_s, b_i, b_v, b_s, *, set_operation, validate_indices):
    """The set operation on the last axes of two sparse tensors."""
    groups = _groups(a_s, b_s)
    a, b = _rows(a_i, a_v, a_s, validate_indices), _rows(b_i, b_v, b_s, validate_indices)
    return _combined(a, b, groups, set_operation, a_v.dtype)


@sparse_to_sparse_op.shape
def sparse_to_sparse_shape(a_i, a_v, a_s, b_i, b_v, b_s):
    known = [s.shape.with_rank(1).as_list()[0] for s in (a_s, b_s)]
    return _result_shape(*map(unknown_shape, known))


@op(
    "SetSize", "set_indices: int64, set_values: T, set_shape: int64 -> size: int32", T=MEMBERS,
    validate_indices=True,
)  # fmt: skip
def set_size_op(indices, values, shape, *, validate_indices):
    """How many different values each row (all but the last axis) has."""
    found = np.zeros([int(s) for s in shape[:-1]], np.int32)
    for place, members in _rows(indices, values, shape, validate_indices).items():
        found[place] = len(members)
    return found


@set_size_op.shape
def set_size_shape(indices, values, shape):
    known = constant_value_as_shape(shape)
    return [None if known.sizes is None else known.sizes[:-1]]


for _opdef in (dense_to_dense_op, dense_to_sparse_op, sparse_to_sparse_op, set_size_op):
    _opdef.no_gradient(NONE)


def _is_sparse(value: Any) -> bool:
    return isinstance(value, (SparseTensor, SparseTensorValue))


def _operation(a: Any, b: Any, operation: str, is_checked: bool) -> SparseTensor:
    a = as_sparse(a) if _is_sparse(a) else convert.convert_to_tensor(a, name="a")
    b = as_sparse(b) if _is_sparse(b) else convert.convert_to_tensor(b, name="b")
    attrs: dict[str, Any] = {"set_operation": operation, "validate_indices": is_checked}
    if _is_sparse(a) and not _is_sparse(b):
        turned = {"a-b": "b-a", "b-a": "a-b"}.get(operation, operation)
        attrs["set_operation"] = turned
        return SparseTensor(*dense_to_sparse_op(b, *parts(a), **attrs))
    if _is_sparse(a):
        return SparseTensor(*sparse_to_sparse_op(*parts(a), *parts(b), **attrs))
    if _is_sparse(b):
        return SparseTensor(*dense_to_sparse_op(a, *parts(b), **attrs))
    return SparseTensor(*dense_to_dense_op(a, b, **attrs))


def set_size(a: Any, validate_indices: bool = True) -> Tensor:
    """How many different values each row of the sparse tensor `a` has: int32 [rows...]."""
    return set_size_op(*parts(as_sparse(a)), validate_indices=validate_indices)


def set_intersection(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """What both have, row by row of the last axis; `a` and `b` are dense or sparse, the result is sparse."""
    return _operation(a, b, "intersection", validate_indices)


def set_difference(
    a: Any, b: Any, aminusb: bool = True, validate_indices: bool = True
) -> SparseTensor:
    """What `a` has and `b` has not (the other way round where `aminusb` is false), row by row."""
    return _operation(a, b, "a-b" if aminusb else "b-a", validate_indices)


def set_union(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """What one of both has, row by row of the last axis."""
    return _operation(a, b, "union", validate_indices)


H = "hypothesis_indices: int64, hypothesis_values: T, hypothesis_shape: int64"
R = "truth_indices: int64, truth_values: T, truth_shape: int64"


def _sequences(indices: Any, values: Any) -> dict[tuple[int, ...], list[Any]]:
    found: dict[tuple[int, ...], list[Any]] = {}
    for row, value in zip(indices.tolist(), values.tolist(), strict=True):
        found.setdefault(tuple(row[:-1]), []).append(value)
    return found


def _distance(a: list[Any], b: list[Any]) -> int:
    """Source: Levenshtein distance, row by row (Wagner and Fischer 1974)."""
    before = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        now = [i]
        for j, y in enumerate(b, 1):
            now.append(min(before[j] + 1, now[-1] + 1, before[j - 1] + (x != y)))
        before = now
    return before[-1]


@op("EditDistance", f"{H}, {R} -> output: float32", T=ANY, normalize=True)
def edit_distance_op(h_i, h_v, h_s, t_i, t_v, t_s, *, normalize):
    """How many insertions, deletions and substitutions turn each hypothesis into its truth."""
    if len(h_s) != len(t_s) or len(h_s) < 2:
        raise InvalidArgumentError(
            None,
            None,
            f"hypothesis and truth need the same rank of at least 2, got {len(h_s)} and {len(t_s)}",
        )
    sizes = [int(max(a, b)) for a, b in zip(h_s[:-1], t_s[:-1], strict=True)]
    hypotheses, truths = _sequences(h_i, h_v), _sequences(t_i, t_v)
    found = np.zeros(sizes, np.float32)
    for place in {*hypotheses, *truths}:
        a, b = hypotheses.get(place, []), truths.get(place, [])
        distance = float(_distance(a, b))
        if normalize:
            distance = distance / len(b) if b else (np.inf if a else 0.0)
        found[place] = distance
    return found


@edit_distance_op.shape
def edit_distance_shape(h_i, h_v, h_s, t_i, t_v, t_s):
    a, b = constant_value_as_shape(h_s), constant_value_as_shape(t_s)
    if a.sizes is None or b.sizes is None:
        return [TensorShape(None)]
    pairs = zip(a.sizes[:-1], b.sizes[:-1], strict=True)
    return [[None if None in pair else max(pair) for pair in pairs]]


edit_distance_op.no_gradient("distances are counts")


def edit_distance(
    hypothesis: Any, truth: Any, normalize: bool = True, name: str = "edit_distance"
) -> Tensor:
    """The Levenshtein distance of the sequences in two sparse tensors [rows..., time]: float32 [rows...].

    Divided by the length of the truth with `normalize`. Raises TypeError when one of both is not sparse.
    """
    both = [*parts(as_sparse(hypothesis)), *parts(as_sparse(truth))]
    return edit_distance_op(*both, normalize=normalize, name=name)
