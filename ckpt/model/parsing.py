"""Parsing of Example and SequenceExample messages by a description of their features: `tf.parse_example` and its kin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.sparse import SparseTensor
from ckpt.ops import constants, examples, joining, sequence_examples, shaping, sparse_tensors


class FixedLenFeature(NamedTuple):
    """A feature of one shape and dtype; examples without it get `default_value`, or are an error where it is None."""

    shape: Any
    dtype: Any
    default_value: Any = None


class VarLenFeature(NamedTuple):
    """A feature of any length, which becomes a SparseTensor."""

    dtype: Any


class FixedLenSequenceFeature(NamedTuple):
    """Any number of parts of one shape: dense, padded with `default_value` to the longest of a batch."""

    shape: Any
    dtype: Any
    allow_missing: bool = False
    default_value: Any = None


class SparseFeature(NamedTuple):
    """A SparseTensor of `size`, whose indices and values are features: `index_key` is one key, or one for each axis."""

    index_key: Any
    value_key: str
    dtype: Any
    size: Any
    already_sorted: bool = False


class _Wanted:
    """What an operation is asked for: keys with dtypes, and for dense ones shapes and defaults."""

    def __init__(self) -> None:
        self.sparse: dict[str, Any] = {}
        self.dense: dict[str, tuple[Any, TensorShape, Any]] = {}
        self.missing_empty: list[str] = []

    def add_sparse(self, key: str, dtype: Any) -> None:
        """Ask for a feature of any length."""
        kind = dtypes.as_dtype(dtype)
        if self.sparse.setdefault(key, kind) != kind:
            raise ValueError(f"Conflicting type {kind.name} vs {self.sparse[key].name} for feature {key}.")  # fmt: skip

    @property
    def sparse_keys(self) -> list[str]:
        """Their keys, sorted."""
        return sorted(self.sparse)

    @property
    def dense_keys(self) -> list[str]:
        """The keys of dense features, sorted."""
        return sorted(self.dense)

    def dense_column(self, place: int) -> list[Any]:
        """Dtypes (0), shapes (1) or defaults (2) of the dense features, by key."""
        return [self.dense[key][place] for key in self.dense_keys]


def _wanted(features: Mapping[str, Any], allowed: Any, in_sequence: bool) -> _Wanted:
    """The features as columns. Raises ValueError naming the key of one that cannot be."""
    found = _Wanted()
    for key in sorted(features):
        feature: Any = features[key]
        if not isinstance(feature, allowed):
            raise ValueError(f"Unsupported {type(feature).__name__} {feature} for key '{key}'")
        if feature.dtype is None:
            raise ValueError(f"Missing type for feature {key}. Received feature={feature}.")
        if isinstance(feature, VarLenFeature):
            found.add_sparse(key, feature.dtype)
        elif isinstance(feature, SparseFeature):
            for index_key in _index_keys(feature):
                found.add_sparse(index_key, dtypes.int64)
            found.add_sparse(feature.value_key, feature.dtype)
        else:
            found.dense[key] = _dense(key, feature, in_sequence, found)
    both = sorted(set(found.sparse) & set(found.dense))
    if both:
        raise ValueError(f"Dense and sparse keys must not intersect; intersection: {both}")
    return found


def _dense(
    key: str, feature: Any, in_sequence: bool, found: _Wanted
) -> tuple[Any, TensorShape, Any]:
    if feature.shape is None:
        raise ValueError(f"Missing shape for feature {key}. Received feature={feature}.")
    dtype, shape = dtypes.as_dtype(feature.dtype), as_shape(feature.shape)
    sizes = shape.as_list()
    if isinstance(feature, FixedLenFeature) and sizes and sizes[0] is None:
        raise ValueError(
            f"First dimension of shape for feature {key} unknown. Consider using FixedLenSequenceFeature. "
            f"Received feature={feature}."
        )
    if None in sizes:
        raise ValueError(
            f"All dimensions of shape for feature {key} need to be known but received {sizes}."
        )
    if isinstance(feature, FixedLenSequenceFeature):
        if in_sequence:
            if feature.allow_missing:
                found.missing_empty.append(key)
            if feature.default_value is not None:
                raise ValueError(f"Unsupported: default_value of FixedLenSequenceFeature for {key}")  # fmt: skip
            return dtype, shape, None
        if not feature.allow_missing:
            raise ValueError("Unsupported: FixedLenSequenceFeature requires allow_missing to be True.")  # fmt: skip
        return dtype, TensorShape([None]).concatenate(shape), feature.default_value
    return dtype, shape, feature.default_value


def _index_keys(feature: SparseFeature) -> list[str]:
    return list(feature.index_key) if isinstance(feature.index_key, (list, tuple)) else [feature.index_key]  # fmt: skip


def _defaults(wanted: _Wanted) -> list[Tensor]:
    """The defaults as tensors: empty where there is none, one value where the length is open."""
    made = []
    for key in wanted.dense_keys:
        dtype, shape, value = wanted.dense[key]
        is_open = bool(shape.sizes) and shape.as_list()[0] is None
        if value is None:
            value = ("" if dtype == dtypes.string else 0) if is_open else []
            made.append(constants.constant(value, dtype))
            continue
        tensor = convert.convert_to_tensor(value, dtype, name=f"key_{_name_of(key)}")
        made.append(tensor if is_open else shaping.reshape(tensor, shape.as_list()))
    return made


def _name_of(key: str) -> str:
    return "".join(c if c.isalnum() or c in "_.-" else "_" for c in key)


def _flat(groups: Any) -> list[Tensor]:
    return [tensor for group in groups for tensor in group]


def _by_key(wanted: _Wanted, outputs: list[Tensor]) -> dict[str, Any]:
    """The outputs of an operation by key."""
    count = len(wanted.sparse)
    triples = zip(outputs[:count], outputs[count : 2 * count], outputs[2 * count : 3 * count], strict=True)  # fmt: skip
    found: dict[str, Any] = dict(zip(wanted.sparse_keys, (SparseTensor(*t) for t in triples), strict=True))  # fmt: skip
    found.update(zip(wanted.dense_keys, outputs[3 * count :], strict=True))
    return found


def _asked(features: Mapping[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What was asked for: sparse features are put together from the features of their indices and values."""
    return {
        key: _assembled(feature, found) if isinstance(feature, SparseFeature) else found[key]
        for key, feature in sorted(features.items())
    }


def _assembled(feature: SparseFeature, found: dict[str, SparseTensor]) -> SparseTensor:
    parts = [found[key] for key in _index_keys(feature)]
    sizes = list(feature.size) if isinstance(feature.size, (list, tuple)) else [feature.size]
    if len(sizes) != len(parts):
        raise ValueError(f"As many sizes as index keys are needed: {sizes}, {feature.index_key}")
    columns = [shaping.expand_dims(part.values, 1) for part in parts]
    size: Any = constants.constant(sizes, dtypes.int64)
    if parts[0].indices.shape.as_list()[1] == 2:  # a batch: the row comes first
        columns.insert(0, parts[0].indices[:, :1])
        size = joining.concat([parts[0].dense_shape[:1], size], 0)
    made = SparseTensor(joining.concat(columns, 1), found[feature.value_key].values, size)
    return made if feature.already_sorted else sparse_tensors.sparse_reorder(made)


FLAT = (FixedLenFeature, VarLenFeature, SparseFeature, FixedLenSequenceFeature)


def parse_example(
    serialized: Any, features: Mapping[str, Any], name: str | None = None, example_names: Any = None
) -> dict[str, Any]:
    """The features of a batch of serialized Examples: `serialized` is strings [batch], the result a dict by key.

    FixedLenFeature: [batch, *shape]; VarLenFeature: SparseTensor [batch, longest]; FixedLenSequenceFeature (with
    `allow_missing`): [batch, longest, *shape]; SparseFeature: SparseTensor [batch, *size]. Raises ValueError for features
    that cannot be; running is an InvalidArgumentError, with the example's name and the key, for messages that do not fit.
    """
    if not features:
        raise ValueError(f"Argument `features` cannot be None or falsy. Got {features}")
    wanted = _wanted(features, FLAT, False)
    with name_scope(name, "ParseExample", [serialized, example_names]):
        batch = convert.convert_to_tensor(serialized, dtypes.string, name="serialized")
        if batch.shape.rank == 0:
            return parse_single_example(batch, features)
        names = constants.constant([], dtypes.string) if example_names is None else convert.convert_to_tensor(
            example_names, dtypes.string)  # fmt: skip
        outputs = examples.parse_example_op(
            batch, names, wanted.sparse_keys, wanted.dense_keys, _defaults(wanted),
            sparse_types=[wanted.sparse[key] for key in wanted.sparse_keys], Tdense=wanted.dense_column(0),
            dense_shapes=wanted.dense_column(1), name="ParseExample",
        )  # fmt: skip
        return _asked(features, _by_key(wanted, _flat(outputs)))


def parse_single_example(
    serialized: Any, features: Mapping[str, Any], name: str | None = None, example_names: Any = None
) -> dict[str, Any]:
    """The features of one serialized Example, a string scalar: like `parse_example` without the axis of the batch."""
    if not features:
        raise ValueError("Missing features.")
    wanted = _wanted(features, FLAT, False)
    with name_scope(name, "ParseSingleExample", [serialized, example_names]):
        one = convert.convert_to_tensor(serialized, dtypes.string, name="serialized")
        if one.shape.rank not in (None, 0):
            raise ValueError("Input serialized must be a scalar")
        outputs = examples.parse_single_example_op(
            one, _defaults(wanted), num_sparse=len(wanted.sparse), sparse_keys=wanted.sparse_keys,
            dense_keys=wanted.dense_keys, sparse_types=[wanted.sparse[key] for key in wanted.sparse_keys],
            Tdense=wanted.dense_column(0), dense_shapes=wanted.dense_column(1), name="ParseSingleExample",
        )  # fmt: skip
        return _asked(features, _by_key(wanted, _flat(outputs)))


def parse_single_sequence_example(
    serialized: Any, context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None, example_name: Any = None, name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """The context and the sequences of one serialized SequenceExample: two dicts by key.

    Context features are as in `parse_single_example`; sequences are FixedLenSequenceFeature ([steps, *shape]) or
    VarLenFeature (SparseTensor [steps, longest]). Raises ValueError for no features and for those that cannot be.
    """
    if not context_features and not sequence_features:
        raise ValueError(
            "Both context_features and sequence_features are None, but at least one should have values."
        )
    context_features, sequence_features = context_features or {}, sequence_features or {}
    context = _wanted(context_features, (FixedLenFeature, VarLenFeature, SparseFeature), False)
    lists = _wanted(sequence_features, (FixedLenSequenceFeature, VarLenFeature), True)
    with name_scope(name, "ParseSingleSequenceExample", [serialized, example_name]):
        one = convert.convert_to_tensor(serialized, dtypes.string, name="serialized")
        outputs = _flat(
            examples.parse_single_sequence_example_op(
                one, constants.constant(lists.missing_empty, dtypes.string), context.sparse_keys,
                context.dense_keys, lists.sparse_keys, lists.dense_keys, _defaults(context), example_name or "",
                context_sparse_types=[context.sparse[key] for key in context.sparse_keys],
                Tcontext_dense=context.dense_column(0), context_dense_shapes=context.dense_column(1),
                feature_list_sparse_types=[lists.sparse[key] for key in lists.sparse_keys],
                feature_list_dense_types=lists.dense_column(0),
                feature_list_dense_shapes=lists.dense_column(1), name="ParseSingleSequenceExample",
            )
        )  # fmt: skip
        end = 3 * len(context.sparse) + len(context.dense)
        return (
            _asked(context_features, _by_key(context, outputs[:end])),
            _asked(sequence_features, _by_key(lists, outputs[end:])),
        )


def parse_sequence_example(
    serialized: Any, context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None, example_names: Any = None, name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:  # fmt: skip
    """The contexts, the sequences and the lengths of those of one shape, of serialized SequenceExamples [batch].

    Features are as in `parse_single_sequence_example`, with an axis for the batch in front: sequences are
    [batch, longest, *shape], filled up with zeros, or SparseTensors [batch, steps, longest]. Raises ValueError for no
    features and for those that cannot be.
    """
    if not (context_features or sequence_features):
        raise ValueError(
            "Both `context_features` and `sequence_features` argument are None, but at least one should have values."
        )
    context_features, sequence_features = context_features or {}, sequence_features or {}
    context = _wanted(context_features, (FixedLenFeature, VarLenFeature, SparseFeature), False)
    lists = _wanted(sequence_features, (FixedLenSequenceFeature, VarLenFeature), True)
    with (
        name_scope(name, "ParseSequenceExample", [serialized, example_names]),
        name_scope(None, "ParseSequenceExample"),
    ):
        batch = convert.convert_to_tensor(serialized, dtypes.string, name="serialized")
        none = np.array([], object)
        outputs = _flat(
            sequence_examples.parse_sequence_example_op(
                batch, none if example_names is None else example_names, _words(context.sparse_keys),
                _words(context.dense_keys), none, _words(lists.sparse_keys), _words(lists.dense_keys), none,
                np.array([key in lists.missing_empty for key in lists.dense_keys], bool), _defaults(context),
                Ncontext_sparse=len(context.sparse), Nfeature_list_sparse=len(lists.sparse),
                Nfeature_list_dense=len(lists.dense), Tcontext_dense=context.dense_column(0),
                context_sparse_types=[context.sparse[key] for key in context.sparse_keys],
                context_dense_shapes=context.dense_column(1), feature_list_dense_types=lists.dense_column(0),
                feature_list_sparse_types=[lists.sparse[key] for key in lists.sparse_keys],
                feature_list_dense_shapes=lists.dense_column(1), name="ParseSequenceExampleV2",
            )
        )  # fmt: skip
        start = 3 * len(context.sparse) + len(context.dense)
        end = len(outputs) - len(lists.dense)
        return (
            _asked(context_features, _by_key(context, outputs[:start])),
            _asked(sequence_features, _by_key(lists, outputs[start:end])),
            dict(zip(lists.dense_keys, outputs[end:], strict=True)),
        )


def _words(keys: list[str]) -> Any:
    """Keys as a vector of strings, also where there is none."""
    found = np.empty(len(keys), object)
    found[:] = [key.encode() for key in keys]
    return found
