"""Sparse tensors as rows of three: how they travel through datasets, and as strings."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import DataLossError, InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.signature import Attr
from ckpt.graph.sparse import SparseTensor, convert_to_tensor_or_sparse_tensor
from ckpt.wire import tensor_proto

FORM = Attr("type", dtypes.string, allowed=frozenset({dtypes.string, dtypes.variant}))


def _row(parts, out_type):
    made = np.empty(3, object)
    for i, part in enumerate(parts):
        array = np.asarray(part)
        is_variant = out_type == dtypes.variant
        made[i] = array if is_variant else _bytes_of(array)
    return made


def _bytes_of(array):
    """The bytes of a TensorProto whose content is one block, as TensorFlow's kernels make it also of single values."""
    from ckpt.wire import messages as pb  # protobuf is needed for strings only

    dtype = dtypes.as_dtype(array.dtype)
    message = pb.TensorProto(dtype=dtype.as_datatype_enum)
    message.tensor_shape.SetInParent()
    for size in array.shape:
        message.tensor_shape.dim.add(size=size)
    message.tensor_content = _string_block(array) if dtype == dtypes.string else array.tobytes()
    return message.SerializeToString()


def _string_block(strings):
    """All lengths as varints, then all strings."""
    lengths = bytearray()
    for string in strings.tolist():
        size = len(string)
        while size > 127:
            lengths.append(size & 127 | 128)
            size >>= 7
        lengths.append(size)
    return bytes(lengths) + b"".join(strings.tolist())


def _strings_of(block, count):
    """The strings of a block. Raises InvalidArgumentError where it is cut off."""
    lengths, place = [], 0
    for _ in range(count):
        size, shift = 0, 0
        while True:
            byte = block[place] if place < len(block) and shift < 63 else None
            if byte is None:
                raise InvalidArgumentError(None, None, "serialized strings are cut off")
            size |= (byte & 127) << shift
            place, shift = place + 1, shift + 7
            if byte < 128:
                break
        lengths.append(size)
    if place + sum(lengths) != len(block):
        raise InvalidArgumentError(None, None, "serialized strings are cut off")
    found = np.empty(count, object)
    for i, size in enumerate(lengths):
        found[i] = block[place : place + size]
        place += size
    return found


def _part(value):
    if not isinstance(value, bytes):
        return value
    from google.protobuf.message import DecodeError

    from ckpt.wire import messages as pb  # protobuf is needed for strings only

    try:
        message = pb.TensorProto.FromString(value)
    except DecodeError as error:
        raise InvalidArgumentError(
            None, None, f"Could not parse serialized_sparse as TensorProtos: {error}"
        ) from error
    if message.dtype == pb.DT_STRING and message.tensor_content:
        sizes = [dim.size for dim in message.tensor_shape.dim]
        if len(sizes) != 1 or not 0 <= sizes[0] <= len(message.tensor_content):
            raise InvalidArgumentError(
                None, None, f"serialized values have the shape {sizes}, which {len(message.tensor_content)} bytes do not fill"
            )  # fmt: skip
        return _strings_of(message.tensor_content, sizes[0])
    try:
        return tensor_proto.ndarray_from_tensor_proto(message)
    except DataLossError as error:
        raise InvalidArgumentError(None, None, f"serialized_sparse: {error}") from error


@op("SerializeSparse",
    "sparse_indices: int64, sparse_values: T, sparse_shape: int64 -> serialized_sparse: out_type", out_type=FORM)  # fmt: skip
def serialize_sparse_op(indices, values, shape, *, out_type):
    """A row of three: the indices, the values and the shape, each as a variant or as the bytes of a TensorProto."""
    return _row((indices, values, shape), out_type)


serialize_sparse_op.shape(lambda indices, values, shape, *, out_type: [
    None if out_type == dtypes.variant else (3,)
])  # fmt: skip


@op("SerializeManySparse",
    "sparse_indices: int64, sparse_values: T, sparse_shape: int64 -> serialized_sparse: out_type", out_type=FORM)  # fmt: skip
def serialize_many_sparse_op(indices, values, shape, *, out_type):
    """A row of three for each slice along the first dimension."""
    if len(shape) < 2:
        raise InvalidArgumentError(
            None, None, f"Rank of input SparseTensor should be > 1, but saw rank: {len(shape)}"
        )
    count = int(shape[0])
    made = np.empty((count, 3), object)
    for number in range(count):
        chosen = indices[:, 0] == number
        made[number] = _row((indices[chosen, 1:], values[chosen], shape[1:]), out_type)
    return made


serialize_many_sparse_op.shape(lambda indices, values, shape, *, out_type: [
    None if out_type == dtypes.variant else (None, 3)
])  # fmt: skip


@op("DeserializeSparse",
    "serialized_sparse: Tserialized -> sparse_indices: int64, sparse_values: dtype, sparse_shape: int64",
    Tserialized=FORM, dtype=Attr("type"))  # fmt: skip
def deserialize_sparse_op(serialized, *, dtype):
    """The parts of the sparse tensor of a row of three, or of many rows stacked, which may differ in shape."""
    return _joined(np.asarray(serialized), dtype)


@op("DeserializeManySparse",
    "serialized_sparse: string -> sparse_indices: int64, sparse_values: dtype, sparse_shape: int64", dtype=Attr("type"))  # fmt: skip
def deserialize_many_sparse_op(serialized, *, dtype):
    """The parts of the sparse tensor whose slices the rows are."""
    return _joined(np.asarray(serialized), dtype)


def _joined(rows, dtype):
    if rows.ndim == 0 or rows.shape[-1] != 3:
        raise InvalidArgumentError(
            None, None, f"Serialized sparse must have 3 as the last dimension, has shape {list(rows.shape)}"
        )  # fmt: skip
    kind = object if dtype == dtypes.string else np.dtype(dtype.as_numpy_dtype)
    outer = rows.shape[:-1]
    indices, values, shapes = [], [], []
    for place in np.ndindex(*outer):
        own, held, shape = map(_part, rows[place])
        if held.dtype != kind:
            raise InvalidArgumentError(
                None, None, f"Requested SparseTensor of type {dtype.name} but the serialized one has {held.dtype.name}"
            )  # fmt: skip
        if shapes and len(shape) != len(shapes[0]):
            raise InvalidArgumentError(
                None,
                None,
                f"Inconsistent rank across SparseTensors: {len(shapes[0])} and {len(shape)}",
            )
        before = np.broadcast_to(np.array(place, np.int64), (len(own), len(place)))
        indices.append(np.concatenate([before, own], axis=1))
        values.append(held)
        shapes.append(shape)
    if not shapes:
        raise InvalidArgumentError(
            None, None, f"there is no sparse tensor in shape {list(rows.shape)}"
        )
    whole = np.array([*outer, *np.max(np.stack(shapes), axis=0)], np.int64)
    return np.concatenate(indices), np.concatenate(values), whole


def _parts_shape(serialized):
    return [(None, None), (None,), (None,)]


deserialize_sparse_op.shape(_parts_shape)


@deserialize_many_sparse_op.shape
def deserialize_many_sparse_shape(serialized):
    serialized.shape.merge_with([None, 3])
    return _parts_shape(serialized)


for _opdef in (
    serialize_sparse_op,
    serialize_many_sparse_op,
    deserialize_sparse_op,
    deserialize_many_sparse_op,
):
    _opdef.no_gradient(UNDEFINED)


def serialize_sparse(sp_input: Any, name: str | None = None, out_type: Any = dtypes.string) -> Any:
    """A sparse tensor as a vector of three strings."""
    sparse = convert_to_tensor_or_sparse_tensor(sp_input)
    return serialize_sparse_op(
        sparse.indices, sparse.values, sparse.dense_shape, name=name, out_type=out_type
    )


def serialize_many_sparse(sp_input: Any, name: str | None = None, out_type: Any = dtypes.string) -> Any:  # fmt: skip
    """The rows of a sparse tensor of rank 2 or more as strings [rows, 3], of which batches can be made."""
    sparse = convert_to_tensor_or_sparse_tensor(sp_input)
    return serialize_many_sparse_op(
        sparse.indices, sparse.values, sparse.dense_shape, name=name, out_type=out_type
    )


def deserialize_many_sparse(
    serialized_sparse: Any, dtype: Any, rank: int | None = None, name: str | None = None
) -> SparseTensor:
    """Strings [rows, 3] as one sparse tensor, of a rank greater by one than theirs; `rank` is its own, where known."""
    indices, values, shape = deserialize_many_sparse_op(serialized_sparse, dtype=dtype, name=name)
    indices.set_shape(TensorShape([None, rank]))
    shape.set_shape(TensorShape([rank]))
    return SparseTensor(indices, values, shape)
