"""Batches of SequenceExample messages, taken apart into tensors: one context and named lists of features each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape
from ckpt.core.texts import text_of
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.ops import examples

TYPES = Attr("list(type)", [], allowed=examples.TYPES, minimum=0)
SPLITS = Attr("list(type)", [], allowed=frozenset({dtypes.int32, dtypes.int64}), minimum=0)
SHAPES = Attr("list(shape)", [], minimum=0)
COUNT = Attr("int", 0, minimum=0)


@dataclass(frozen=True)
class _Batch:
    """The messages of a batch, and how errors name each."""

    messages: list[Any]
    wheres: list[str]

    @classmethod
    def of(cls, serialized: Any, names: Any) -> _Batch:
        """The messages in strings. Raises InvalidArgumentError for other bytes."""
        rows = np.ravel(np.asarray(serialized, object)).tolist()
        labels = [n.decode("utf-8", "replace") for n in np.ravel(np.asarray(names, object)).tolist()]  # fmt: skip
        wheres = [f"Name: {label}, " for label in labels or ["<unknown>"] * len(rows)]
        parsed = [
            examples._message("SequenceExample", row, where)
            for row, where in zip(rows, wheres, strict=True)
        ]
        return cls(parsed, wheres)

    def context(self, key: str, dtype: Any) -> list[Any]:
        """The values of one context feature, of each message."""
        return [
            examples._sparse_values(m.context, key, dtype, where)
            for m, where in zip(self.messages, self.wheres, strict=True)
        ]

    def context_dense(self, key: str, dtype: Any, shape: Any, default: Any) -> Any:
        """One context feature of known shape: [batch, *shape]."""
        shape = TensorShape(shape)
        parts = [
            examples._dense(m.context, key, dtype, shape, default, where)
            for m, where in zip(self.messages, self.wheres, strict=True)
        ]
        return examples._stacked(parts, shape, dtype, default)

    def steps(self, key: str, dtype: Any) -> list[list[Any]]:
        """The values of each step of one feature list, of each message."""
        return [
            [
                examples._step(feature, key, dtype, place, where)
                for place, feature in enumerate(examples._steps(m.feature_lists.feature_list, key))
            ]
            for m, where in zip(self.messages, self.wheres, strict=True)
        ]

    def sequences(self, key: str, dtype: Any, shape: Any, may_miss: bool) -> tuple[Any, Any]:
        """(one feature list of equal steps, filled up with zeros [batch, longest, *shape]; how many steps there are)."""
        sizes = TensorShape(shape).sizes
        parts = [
            examples._sequence(m.feature_lists.feature_list, key, dtype, sizes, {key} if may_miss else set(), where)
            for m, where in zip(self.messages, self.wheres, strict=True)
        ]  # fmt: skip
        lengths = np.array([len(part) for part in parts], np.int64)
        return examples._stacked(parts, TensorShape([None, *(sizes or ())]), dtype, None), lengths


def _sparse_steps(rows: list[list[Any]], dtype: Any) -> tuple[Any, Any, Any]:
    """Feature lists of any lengths as one sparse tensor [batch, steps, values]."""
    indices = [
        (row, place, i)
        for row, steps in enumerate(rows)
        for place, step in enumerate(steps)
        for i in range(len(step))
    ]
    flat = [step for steps in rows for step in steps]
    longest = max((len(steps) for steps in rows), default=0)
    widest = max((len(step) for step in flat), default=0)
    values = np.concatenate(flat) if flat else examples._array([], dtype)
    return np.array(indices, np.int64).reshape(-1, 3), values, np.array([len(rows), longest, widest], np.int64)  # fmt: skip


def _splits(lengths: Any, kind: Any) -> Any:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(kind.as_numpy_dtype)


def _joined(parts: list[Any], dtype: Any) -> Any:
    return np.concatenate(parts) if parts else examples._array([], dtype)


def _parsed(batch: _Batch, keys: dict[str, list[str]], defaults: Any, may_miss: Any, a: Any) -> list[Any]:  # fmt: skip
    """All outputs but the ragged ones, in the order of the signatures; `a` are the attributes."""
    context = [
        examples._ragged(batch.context(key, dtype), dtype)
        for key, dtype in zip(keys["context_sparse"], a["context_sparse_types"], strict=True)
    ]
    context_dense = [
        batch.context_dense(key, dtype, shape, default)
        for key, dtype, shape, default in zip(
            keys["context_dense"], a["Tcontext_dense"], a["context_dense_shapes"], defaults, strict=True
        )
    ]  # fmt: skip
    lists = [
        _sparse_steps(batch.steps(key, dtype), dtype)
        for key, dtype in zip(keys["list_sparse"], a["feature_list_sparse_types"], strict=True)
    ]
    dense = [
        batch.sequences(key, dtype, shape, bool(may))
        for key, dtype, shape, may in zip(
            keys["list_dense"], a["feature_list_dense_types"], a["feature_list_dense_shapes"], may_miss, strict=True
        )
    ]  # fmt: skip
    values, lengths = zip(*dense, strict=True) if dense else ((), ())
    return [examples._in_columns(context, context_dense), examples._in_columns(lists, [*values, *lengths])]  # fmt: skip


COUNTS: dict[str, Any] = {
    "Ncontext_sparse": COUNT, "Tcontext_dense": TYPES, "context_sparse_types": TYPES,
}  # fmt: skip
LISTS: dict[str, Any] = {
    "context_dense_shapes": SHAPES, "Nfeature_list_sparse": COUNT, "Nfeature_list_dense": COUNT,
    "feature_list_dense_types": TYPES, "feature_list_sparse_types": TYPES,
}  # fmt: skip
OUT_CONTEXT = (
    "context_sparse_indices: Ncontext_sparse * int64, context_sparse_values: context_sparse_types..., "
    "context_sparse_shapes: Ncontext_sparse * int64, context_dense_values: Tcontext_dense..., "
)
OUT_LISTS = (
    "feature_list_sparse_indices: Nfeature_list_sparse * int64, "
    "feature_list_sparse_values: feature_list_sparse_types..., "
    "feature_list_sparse_shapes: Nfeature_list_sparse * int64, "
    "feature_list_dense_values: feature_list_dense_types..., "
    "feature_list_dense_lengths: Nfeature_list_dense * int64"
)


@op(
    "ParseSequenceExample",
    f"serialized: string, debug_name: string, context_dense_defaults: Tcontext_dense... -> {OUT_CONTEXT}{OUT_LISTS}",
    feature_list_dense_missing_assumed_empty=examples.KEYS, context_sparse_keys=examples.KEYS,
    context_dense_keys=examples.KEYS, feature_list_sparse_keys=examples.KEYS, feature_list_dense_keys=examples.KEYS,
    Ncontext_dense=COUNT, **COUNTS, **LISTS, feature_list_dense_shapes=SHAPES,
)  # fmt: skip
def parse_sequence_example_v1(
    serialized, names, *defaults, feature_list_dense_missing_assumed_empty, context_sparse_keys, context_dense_keys,
    feature_list_sparse_keys, feature_list_dense_keys, context_sparse_types, Tcontext_dense, context_dense_shapes,
    feature_list_dense_types, feature_list_sparse_types, feature_list_dense_shapes,
):  # fmt: skip
    """The contexts and the feature lists of a batch of SequenceExamples; the keys are attributes."""
    named = {
        "context_sparse": context_sparse_keys, "context_dense": context_dense_keys,
        "list_sparse": feature_list_sparse_keys, "list_dense": feature_list_dense_keys,
    }  # fmt: skip
    keys = {kind: [text_of(key) for key in found] for kind, found in named.items()}
    empty = {text_of(key) for key in feature_list_dense_missing_assumed_empty}
    attrs = {
        "context_sparse_types": context_sparse_types, "Tcontext_dense": Tcontext_dense,
        "context_dense_shapes": context_dense_shapes, "feature_list_dense_types": feature_list_dense_types,
        "feature_list_sparse_types": feature_list_sparse_types, "feature_list_dense_shapes": feature_list_dense_shapes,
    }  # fmt: skip
    batch = _Batch.of(serialized, names)
    context, lists = _parsed(batch, keys, defaults, [key in empty for key in keys["list_dense"]], attrs)  # fmt: skip
    return [*context, *lists]


@op(
    "ParseSequenceExampleV2",
    "serialized: string, debug_name: string, context_sparse_keys: string, context_dense_keys: string, "
    "context_ragged_keys: string, feature_list_sparse_keys: string, feature_list_dense_keys: string, "
    "feature_list_ragged_keys: string, feature_list_dense_missing_assumed_empty: bool, "
    f"context_dense_defaults: Tcontext_dense... -> {OUT_CONTEXT}"
    "context_ragged_values: context_ragged_value_types..., context_ragged_row_splits: context_ragged_split_types..., "
    f"{OUT_LISTS}, feature_list_ragged_values: feature_list_ragged_value_types..., "
    "feature_list_ragged_outer_splits: feature_list_ragged_split_types..., "
    "feature_list_ragged_inner_splits: feature_list_ragged_split_types...",
    **COUNTS, context_ragged_value_types=TYPES, context_ragged_split_types=SPLITS, **LISTS,
    feature_list_ragged_value_types=TYPES, feature_list_ragged_split_types=SPLITS, feature_list_dense_shapes=SHAPES,
)  # fmt: skip
def parse_sequence_example_op(
    serialized, names, c_sparse, c_dense, c_ragged, l_sparse, l_dense, l_ragged, may_miss, *defaults,
    context_sparse_types, Tcontext_dense, context_ragged_value_types, context_ragged_split_types,
    context_dense_shapes, feature_list_dense_types, feature_list_sparse_types, feature_list_ragged_value_types,
    feature_list_ragged_split_types, feature_list_dense_shapes,
):  # fmt: skip
    """The contexts and the feature lists of a batch of SequenceExamples.

    Raises InvalidArgumentError for what does not fit, naming the message and the key.
    """
    named = {
        "context_sparse": c_sparse, "context_dense": c_dense, "list_sparse": l_sparse, "list_dense": l_dense,
        "context_ragged": c_ragged, "list_ragged": l_ragged,
    }  # fmt: skip
    keys = {kind: examples._texts(np.ravel(found)) for kind, found in named.items()}
    attrs = {
        "context_sparse_types": context_sparse_types, "Tcontext_dense": Tcontext_dense,
        "context_dense_shapes": context_dense_shapes, "feature_list_dense_types": feature_list_dense_types,
        "feature_list_sparse_types": feature_list_sparse_types, "feature_list_dense_shapes": feature_list_dense_shapes,
    }  # fmt: skip
    batch = _Batch.of(serialized, names)
    context, lists = _parsed(batch, keys, defaults, np.ravel(may_miss), attrs)
    rows = [
        batch.context(key, dtype)
        for key, dtype in zip(keys["context_ragged"], context_ragged_value_types, strict=True)
    ]
    steps = [
        batch.steps(key, dtype)
        for key, dtype in zip(keys["list_ragged"], feature_list_ragged_value_types, strict=True)
    ]
    flat = [[step for own in of_key for step in own] for of_key in steps]
    kinds = feature_list_ragged_split_types
    return [
        *context,
        *[_joined(parts, dtype) for parts, dtype in zip(rows, context_ragged_value_types)],
        *[_splits([len(p) for p in parts], k) for parts, k in zip(rows, context_ragged_split_types)],
        *lists,
        *[_joined(parts, dtype) for parts, dtype in zip(flat, feature_list_ragged_value_types)],
        *[_splits([len(own) for own in of_key], k) for of_key, k in zip(steps, kinds)],
        *[_splits([len(step) for step in parts], k) for parts, k in zip(flat, kinds)],
    ]  # fmt: skip


def _shapes(serialized, Ncontext_sparse, Nfeature_list_sparse, context_dense_shapes, feature_list_dense_shapes):  # fmt: skip
    """(the shapes of the context's outputs, those of the feature lists')."""
    count = serialized.shape[0].value if serialized.shape.rank == 1 else None
    context = Ncontext_sparse * [(None, 2)] + Ncontext_sparse * [(None,)] + Ncontext_sparse * [(2,)]
    context += [TensorShape([count]).concatenate(shape) for shape in context_dense_shapes]
    n = Nfeature_list_sparse
    lists = n * [(None, 3)] + n * [(None,)] + n * [(3,)]
    lists += [TensorShape([count, None]).concatenate(shape) for shape in feature_list_dense_shapes]
    return context, lists + [(count,)] * len(feature_list_dense_shapes)


@parse_sequence_example_v1.shape
def parse_sequence_example_v1_shape(
    serialized, *_, Ncontext_sparse, Nfeature_list_sparse, context_dense_shapes, feature_list_dense_shapes
):  # fmt: skip
    context, lists = _shapes(
        serialized, Ncontext_sparse, Nfeature_list_sparse, context_dense_shapes, feature_list_dense_shapes
    )  # fmt: skip
    return [*context, *lists]


@parse_sequence_example_op.shape
def parse_sequence_example_shape(
    serialized, *_, Ncontext_sparse, Nfeature_list_sparse, context_dense_shapes, feature_list_dense_shapes,
    context_ragged_value_types, feature_list_ragged_value_types,
):  # fmt: skip
    context, lists = _shapes(
        serialized, Ncontext_sparse, Nfeature_list_sparse, context_dense_shapes, feature_list_dense_shapes
    )  # fmt: skip
    count = serialized.shape[0].value if serialized.shape.rank == 1 else None
    splits = (None if count is None else count + 1,)
    c, n = len(context_ragged_value_types), len(feature_list_ragged_value_types)
    return [
        *context, *[(None,)] * c, *[splits] * c, *lists, *[(None,)] * n, *[splits] * n, *[(None,)] * n
    ]  # fmt: skip


for _opdef in (parse_sequence_example_v1, parse_sequence_example_op):
    _opdef.no_gradient(examples.NO_GRADIENT)
