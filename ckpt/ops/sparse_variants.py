"""Sparse tensors as rows of three: how they travel through datasets, and as strings."""

from __future__ import annotations

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import UNDEFINED, op
from ckpt.graph.signature import Attr
from ckpt.wire import tensor_proto

FORM = Attr("type", dtypes.string, allowed=frozenset({dtypes.string, dtypes.variant}))


def _row(parts, out_type):
    made = np.empty(3, object)
    for i, part in enumerate(parts):
        array = np.asarray(part)
        is_variant = out_type == dtypes.variant
        made[i] = array if is_variant else tensor_proto.tensor_proto(array).SerializeToString()
    return made


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
    return tensor_proto.ndarray_from_tensor_proto(message)


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
deserialize_many_sparse_op.shape(_parts_shape)
for _opdef in (
    serialize_sparse_op,
    serialize_many_sparse_op,
    deserialize_sparse_op,
    deserialize_many_sparse_op,
):
    _opdef.no_gradient(UNDEFINED)
