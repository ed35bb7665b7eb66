"""Examples: messages of named features, taken apart into tensors. Dense features have one shape, sparse ones any length."""

from __future__ import annotations

import math

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.core.texts import text_of
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr

NO_GRADIENT = "messages have no derivative"
KINDS = {"int64_list": dtypes.int64, "float_list": dtypes.float32, "bytes_list": dtypes.string}
TYPES = frozenset(KINDS.values())
SPOKEN = {dtypes.int64: "int64", dtypes.float32: "float", dtypes.string: "string"}
LIST = Attr("list(type)", allowed=TYPES, minimum=0)
SHAPES = Attr("list(shape)", minimum=0)
COUNT = Attr("int", minimum=0)
KEYS = Attr("list(string)", minimum=0)


def _message(kind, data, where):
    """The message in `data`. Raises InvalidArgumentError for other bytes."""
    from google.protobuf.message import DecodeError

    from ckpt.wire import messages  # protobuf is loaded only when messages are used

    try:
        return getattr(messages, kind).FromString(data)
    except DecodeError as error:
        raise InvalidArgumentError(
            None, None, f"{where}Could not parse {kind} input, value: {data[:60]!r}"
        ) from error


def _values(feature, dtype, where):
    """The values of a feature as an array [count], None where it holds none. Raises InvalidArgumentError for others."""
    kind = None if feature is None else feature.WhichOneof("kind")
    if kind is None:
        return None
    if KINDS[kind] != dtype:
        raise InvalidArgumentError(
            None, None,
            f"{where}.  Data types don't match. Data type: {SPOKEN[KINDS[kind]]} but expected type: {SPOKEN[dtype]}",
        )  # fmt: skip
    return _array(list(getattr(feature, kind).value), dtype)


def _array(values, dtype):
    if dtype != dtypes.string:
        return np.array(values, dtype.as_numpy_dtype)
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _held(features, key):
    return features.feature.get(key)


def _dense(features, key, dtype, shape, default, name):
    """A dense feature in its shape, whose first size may be open. Raises InvalidArgumentError where it does not fit."""
    sizes = shape.sizes
    values = _values(_held(features, key), dtype, f"{name}Key: {key}")
    if sizes and sizes[0] is None:
        values = _array([], dtype) if values is None else values
        stride = math.prod(sizes[1:])
        if stride == 0 or len(values) % stride:
            raise InvalidArgumentError(
                None, None,
                f"{name}Key: {key}.  Number of {SPOKEN[dtype]} values is not a multiple of stride length. Saw "
                f"{len(values)} values but output shape is: {_brackets(sizes)}",
            )  # fmt: skip
        return values.reshape(-1, *sizes[1:])
    if values is None:
        if np.size(default) == 0:
            raise InvalidArgumentError(
                None, None,
                f"{name}Feature: {key} (data type: {SPOKEN[dtype]}) is required but could not be found.",
            )  # fmt: skip
        if np.size(default) == 1:
            return np.full(sizes, np.reshape(default, -1)[0], np.asarray(default).dtype)
        return np.reshape(default, sizes)
    if len(values) != math.prod(sizes):
        raise InvalidArgumentError(
            None, None,
            f"{name}Key: {key}.  Number of {SPOKEN[dtype]} values != expected.  Values size: {len(values)} but "
            f"output shape: {_brackets(sizes)}",
        )  # fmt: skip
    return values.reshape(sizes)


def _brackets(sizes):
    return f"[{','.join('?' if size is None else str(size) for size in sizes)}]"


def _stacked(parts, shape, dtype, default):
    """The dense features of a batch; where the first size is open, padded to the longest with the default."""
    sizes = shape.sizes
    if not (sizes and sizes[0] is None):
        return np.stack(parts) if parts else _blank((0, *sizes), dtype, None)
    longest = max((len(part) for part in parts), default=0)
    batch = _blank((len(parts), longest, *sizes[1:]), dtype, default)
    for row, part in enumerate(parts):
        batch[row, : len(part)] = part
    return batch


def _blank(sizes, dtype, default):
    if default is not None and np.size(default):
        return np.full(sizes, np.reshape(default, -1)[0], np.asarray(default).dtype)
    if dtype == dtypes.string:
        return np.full(sizes, b"", object)
    return np.zeros(sizes, dtype.as_numpy_dtype)


def _ragged(parts, dtype):
    """(indices, values, shape) of rows of different lengths as one sparse tensor."""
    lengths = [len(part) for part in parts]
    indices = np.array(
        [(row, place) for row, length in enumerate(lengths) for place in range(length)], np.int64
    ).reshape(-1, 2)
    values = np.concatenate(parts) if parts else _array([], dtype)
    return indices, values, np.array([len(parts), max(lengths, default=0)], np.int64)


def _sparse_values(features, key, dtype, name):
    found = _values(_held(features, key), dtype, f"{name}Key: {key}")
    return _array([], dtype) if found is None else found


def _in_columns(triples, dense):
    """Outputs in the order of the signature: all indices, all values, all shapes, all dense values."""
    indices, values, shapes = zip(*triples, strict=True) if triples else ((), (), ())
    return [*indices, *values, *shapes, *dense]


def _texts(arrays):
    return [text_of(np.asarray(array, object).item()) for array in arrays]


def _examples(serialized, names):
    """(features, what begins a message about them) of each Example of a batch."""
    rows = np.ravel(np.asarray(serialized, object)).tolist()
    labels = [
        label.decode("utf-8", "replace") for label in np.ravel(np.asarray(names, object)).tolist()
    ]
    wheres = [f"Name: {label}, " for label in labels or ["<unknown>"] * len(rows)]
    return [(_message("Example", row, where).features, where) for row, where in zip(rows, wheres, strict=True)]  # fmt: skip


def _lists(examples, key, dtype):
    """The values of one feature of each example; none where it is missing."""
    return [_sparse_values(features, key, dtype, where) for features, where in examples]


def _sparse_columns(examples, keys, types):
    return [_ragged(_lists(examples, key, t), t) for key, t in zip(keys, types, strict=True)]


def _dense_columns(examples, keys, types, shapes, defaults):
    found = []
    for key, dtype, sizes, default in zip(keys, types, shapes, defaults, strict=True):
        shape = TensorShape(sizes)
        parts = [_dense(features, key, dtype, shape, default, where) for features, where in examples]  # fmt: skip
        found.append(_stacked(parts, shape, dtype, default))
    return found


@op(
    "ParseExample",
    "serialized: string, names: string, sparse_keys: Nsparse * string, dense_keys: Ndense * string, "
    "dense_defaults: Tdense... -> sparse_indices: Nsparse * int64, sparse_values: sparse_types..., "
    "sparse_shapes: Nsparse * int64, dense_values: Tdense...",
    Nsparse=COUNT, Ndense=COUNT, sparse_types=LIST, Tdense=LIST, dense_shapes=SHAPES,
)  # fmt: skip
def parse_example_op(serialized, names, *rest, Nsparse, Ndense, sparse_types, Tdense, dense_shapes):
    """The features of a batch of Example messages. Raises InvalidArgumentError for what does not fit, naming the example."""
    sparse_keys = _texts(rest[:Nsparse])
    dense_keys = _texts(rest[Nsparse : Nsparse + Ndense])
    examples = _examples(serialized, names)
    triples = _sparse_columns(examples, sparse_keys, sparse_types)
    dense = _dense_columns(examples, dense_keys, Tdense, dense_shapes, rest[Nsparse + Ndense :])
    return _in_columns(triples, dense)


@parse_example_op.shape
def parse_example_shape(serialized, names, *rest, Nsparse, dense_shapes):
    count = serialized.shape[0].value if serialized.shape.rank == 1 else None
    sparse = [(None, 2)] * Nsparse + [(None,)] * Nsparse + [(2,)] * Nsparse
    return [*sparse, *(TensorShape([count]).concatenate(shape) for shape in dense_shapes)]


@op(
    "ParseExampleV2",
    "serialized: string, names: string, sparse_keys: string, dense_keys: string, ragged_keys: string, "
    "dense_defaults: Tdense... -> sparse_indices: num_sparse * int64, sparse_values: sparse_types..., "
    "sparse_shapes: num_sparse * int64, dense_values: Tdense..., ragged_values: ragged_value_types..., "
    "ragged_row_splits: ragged_split_types...",
    Tdense=LIST, num_sparse=COUNT, sparse_types=LIST, ragged_value_types=LIST,
    ragged_split_types=Attr("list(type)", allowed=frozenset({dtypes.int32, dtypes.int64}), minimum=0), dense_shapes=SHAPES,
)  # fmt: skip
def parse_example_v2_op(
    serialized, names, sparse_keys, dense_keys, ragged_keys, *defaults, sparse_types, Tdense, ragged_value_types,
    ragged_split_types, dense_shapes,
):  # fmt: skip
    """The features of a batch of Example messages, or of one where `serialized` is a scalar.

    Ragged features are all values, and where those of each example begin. Raises InvalidArgumentError for what does not
    fit, naming the example.
    """
    sparse, dense, ragged = (_texts(np.ravel(keys).tolist()) for keys in (sparse_keys, dense_keys, ragged_keys))  # fmt: skip
    examples = _examples(serialized, names)
    lists = [_lists(examples, key, t) for key, t in zip(ragged, ragged_value_types, strict=True)]
    values = [np.concatenate([_array([], t), *parts]) for parts, t in zip(lists, ragged_value_types, strict=True)]  # fmt: skip
    if np.ndim(serialized) == 0:
        ((features, where),) = examples
        triples = [_vector(_sparse_values(features, key, t, where)) for key, t in zip(sparse, sparse_types, strict=True)]  # fmt: skip
        columns = [column[0] for column in _dense_columns(examples, dense, Tdense, dense_shapes, defaults)]  # fmt: skip
        splits = [np.zeros(0, t.as_numpy_dtype) for t in ragged_split_types]
    else:
        triples = _sparse_columns(examples, sparse, sparse_types)
        columns = _dense_columns(examples, dense, Tdense, dense_shapes, defaults)
        splits = [
            np.cumsum([0, *map(len, parts)], dtype=t.as_numpy_dtype)
            for parts, t in zip(lists, ragged_split_types, strict=True)
        ]
    return [*_in_columns(triples, columns), *values, *splits]


@parse_example_v2_op.shape
def parse_example_v2_shape(
    serialized, names, sparse_keys, dense_keys, ragged_keys, *defaults, num_sparse, ragged_value_types, dense_shapes
):  # fmt: skip
    rank = serialized.shape.rank
    lead = None if rank is None else TensorShape(serialized.shape.sizes)
    order = None if rank is None else rank + 1
    sparse = [(None, order)] * num_sparse + [(None,)] * num_sparse + [(order,)] * num_sparse
    dense = [None if lead is None else lead.concatenate(shape) for shape in dense_shapes]
    count = lead[0].value if lead is not None and rank == 1 else None
    splits = (
        None if rank is None else (0,) if rank == 0 else (None if count is None else count + 1,)
    )
    ragged = [(None,)] * len(ragged_value_types) + [splits] * len(ragged_value_types)
    return [*sparse, *dense, *ragged]


@op(
    "ParseSingleExample",
    "serialized: string, dense_defaults: Tdense... -> sparse_indices: num_sparse * int64, "
    "sparse_values: sparse_types..., sparse_shapes: num_sparse * int64, dense_values: Tdense...",
    num_sparse=COUNT, sparse_keys=KEYS, dense_keys=KEYS, sparse_types=LIST, Tdense=LIST, dense_shapes=SHAPES,
)  # fmt: skip
def parse_single_example_op(
    serialized, *defaults, sparse_keys, dense_keys, sparse_types, Tdense, dense_shapes
):
    """The features of one Example message. Raises InvalidArgumentError for what does not fit."""
    features = _message("Example", np.asarray(serialized, object).item(), "").features
    triples = [
        _vector(_sparse_values(features, text_of(key), dtype, ""))
        for key, dtype in zip(sparse_keys, sparse_types, strict=True)
    ]
    dense = [
        _dense(features, text_of(key), dtype, TensorShape(shape), default, "")
        for key, dtype, shape, default in zip(dense_keys, Tdense, dense_shapes, defaults, strict=True)
    ]  # fmt: skip
    return _in_columns(triples, dense)


@parse_single_example_op.shape
def parse_single_example_shape(serialized, *defaults, num_sparse, dense_shapes):
    sparse = [(None, 1)] * num_sparse + [(None,)] * num_sparse + [(1,)] * num_sparse
    return [*sparse, *map(TensorShape, dense_shapes)]


def _vector(values):
    """(indices, values, shape) of values as a sparse vector without gaps."""
    count = len(values)
    return np.arange(count, dtype=np.int64).reshape(-1, 1), values, np.array([count], np.int64)


@op(
    "ParseSingleSequenceExample",
    "serialized: string, feature_list_dense_missing_assumed_empty: string, "
    "context_sparse_keys: Ncontext_sparse * string, context_dense_keys: Ncontext_dense * string, "
    "feature_list_sparse_keys: Nfeature_list_sparse * string, feature_list_dense_keys: Nfeature_list_dense * string, "
    "context_dense_defaults: Tcontext_dense..., debug_name: string -> "
    "context_sparse_indices: Ncontext_sparse * int64, context_sparse_values: context_sparse_types..., "
    "context_sparse_shapes: Ncontext_sparse * int64, context_dense_values: Tcontext_dense..., "
    "feature_list_sparse_indices: Nfeature_list_sparse * int64, "
    "feature_list_sparse_values: feature_list_sparse_types..., "
    "feature_list_sparse_shapes: Nfeature_list_sparse * int64, feature_list_dense_values: feature_list_dense_types...",
    Ncontext_sparse=Attr("int", 0, minimum=0), Ncontext_dense=Attr("int", 0, minimum=0),
    Nfeature_list_sparse=Attr("int", 0, minimum=0), Nfeature_list_dense=Attr("int", 0, minimum=0),
    context_sparse_types=Attr("list(type)", [], allowed=TYPES, minimum=0),
    Tcontext_dense=Attr("list(type)", [], allowed=TYPES, minimum=0),
    feature_list_dense_types=Attr("list(type)", [], allowed=TYPES, minimum=0),
    context_dense_shapes=Attr("list(shape)", [], minimum=0),
    feature_list_sparse_types=Attr("list(type)", [], allowed=TYPES, minimum=0),
    feature_list_dense_shapes=Attr("list(shape)", [], minimum=0),
)  # fmt: skip
def parse_single_sequence_example_op(
    serialized, missing_empty, *rest, Ncontext_sparse, Ncontext_dense, Nfeature_list_sparse, Nfeature_list_dense,
    context_sparse_types, Tcontext_dense, feature_list_dense_types, context_dense_shapes, feature_list_sparse_types,
    feature_list_dense_shapes,
):  # fmt: skip
    """The context and the feature lists of one SequenceExample. Raises InvalidArgumentError for what does not fit."""
    *inputs, label = rest
    inputs = iter(inputs)
    counts = (Ncontext_sparse, Ncontext_dense, Nfeature_list_sparse, Nfeature_list_dense)
    keys = [_texts([next(inputs) for _ in range(count)]) for count in counts]
    defaults = list(inputs)
    label = np.ravel(np.asarray(label, object))
    name = label[0].decode("utf-8", "replace") if len(label) and label[0] else "<unknown>"
    where = f"Name: {name}, "
    message = _message("SequenceExample", np.asarray(serialized, object).item(), where)
    lists = message.feature_lists.feature_list
    may_miss = set(_texts(np.ravel(np.asarray(missing_empty, object))))
    context = [
        _vector(_sparse_values(message.context, key, dtype, where))
        for key, dtype in zip(keys[0], context_sparse_types, strict=True)
    ]
    context_dense = [
        _dense(message.context, key, dtype, TensorShape(shape), default, where)
        for key, dtype, shape, default in zip(
            keys[1], Tcontext_dense, context_dense_shapes, defaults, strict=True
        )
    ]
    sequences = [
        _ragged([_step(f, key, dtype, i, where) for i, f in enumerate(_steps(lists, key))], dtype)
        for key, dtype in zip(keys[2], feature_list_sparse_types, strict=True)
    ]
    dense = [
        _sequence(lists, key, dtype, TensorShape(shape).sizes, may_miss, where)
        for key, dtype, shape in zip(
            keys[3], feature_list_dense_types, feature_list_dense_shapes, strict=True
        )
    ]
    return [*_in_columns(context, context_dense), *_in_columns(sequences, dense)]


def _steps(lists, key):
    return list(lists[key].feature) if key in lists else []


def _step(feature, key, dtype, place, where):
    found = _values(feature, dtype, f"{where}Feature list: {key}, Index: {place}")
    return _array([], dtype) if found is None else found


def _sequence(lists, key, dtype, sizes, may_miss, where):
    """A feature list of equally large steps: [steps, *sizes]."""
    if key not in lists and key not in may_miss:
        raise InvalidArgumentError(
            None, None,
            f"{where}Feature list '{key}' is required but could not be found.  Did you mean to include it in "
            "feature_list_dense_missing_assumed_empty or feature_list_dense_defaults?",
        )  # fmt: skip
    steps = [_step(f, key, dtype, i, where) for i, f in enumerate(_steps(lists, key))]
    for place, step in enumerate(steps):
        if len(step) != math.prod(sizes):
            raise InvalidArgumentError(
                None, None,
                f"{where}Key: {key}, Index: {place}.  Number of {SPOKEN[dtype]} values != expected.  values size: "
                f"{len(step)} but output shape: {_brackets(sizes)}",
            )  # fmt: skip
    return np.stack([s.reshape(sizes) for s in steps]) if steps else _blank((0, *sizes), dtype, None)  # fmt: skip


@parse_single_sequence_example_op.shape
def parse_single_sequence_example_shape(
    serialized, *rest, Ncontext_sparse, Nfeature_list_sparse, context_dense_shapes, feature_list_dense_shapes
):  # fmt: skip
    context = Ncontext_sparse * [(None, 1)] + Ncontext_sparse * [(None,)] + Ncontext_sparse * [(1,)]
    lists = Nfeature_list_sparse * [(None, 2)] + Nfeature_list_sparse * [(None,)] + Nfeature_list_sparse * [(2,)]  # fmt: skip
    dense = [TensorShape([None]).concatenate(shape) for shape in feature_list_dense_shapes]
    return [*context, *map(TensorShape, context_dense_shapes), *lists, *dense]


for _opdef in (
    parse_example_op,
    parse_example_v2_op,
    parse_single_example_op,
    parse_single_sequence_example_op,
):
    _opdef.no_gradient(NO_GRADIENT)
