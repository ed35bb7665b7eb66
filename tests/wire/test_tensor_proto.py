"""TensorProto against `tf.make_tensor_proto`, and values that do not fit their shape."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

from ckpt.core.dtypes import as_dtype
from ckpt.core.errors import DataLossError, InvalidArgumentError, UnimplementedError
from ckpt.wire import messages as pb
from ckpt.wire.tensor_proto import ndarray_from_tensor_proto, tensor_proto

ROWS = json.loads(
    (pathlib.Path(__file__).parents[2] / "fixtures" / "wire" / "tensor_protos.json").read_text()
)


def array_of(row):
    if row["dtype"] == "string":
        array = np.empty(len(row["data"]), object)
        array[:] = [bytes.fromhex(item) for item in row["data"]]
    else:
        array = np.frombuffer(bytes.fromhex(row["data"]), as_dtype(row["dtype"]).as_numpy_dtype)
    return array.reshape(row["shape"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['dtype']}{row['shape']}")
def test_arrays_become_the_bytes_that_tensorflow_writes_and_come_back(row):
    array = array_of(row)
    message = tensor_proto(array, row["dtype"])
    assert message.SerializeToString(deterministic=True).hex() == row["proto"]
    back = ndarray_from_tensor_proto(message)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tolist() == array.tolist()


def test_the_last_value_repeats():
    message = tensor_proto(np.float32([1, 2]), shape=[2, 2])
    assert ndarray_from_tensor_proto(message).tolist() == [[1, 2], [2, 2]]


def test_no_value_at_all_means_zeros():
    message = pb.TensorProto(dtype=pb.DT_STRING)
    message.tensor_shape.dim.add(size=2)
    assert ndarray_from_tensor_proto(message).tolist() == [b"", b""]
    message.dtype = pb.DT_INT16
    assert ndarray_from_tensor_proto(message).tolist() == [0, 0]


def test_text_becomes_utf8_bytes():
    back = ndarray_from_tensor_proto(tensor_proto(np.array(["é", "a"]), "string"))
    assert back.tolist() == ["é".encode(), b"a"]


def sized(*sizes, **fields):
    message = pb.TensorProto(**fields)
    for size in sizes:
        message.tensor_shape.dim.add(size=size)
    return message


@pytest.mark.parametrize(
    "message",
    [
        sized(1 << 40, dtype=pb.DT_FLOAT, float_val=[1.0]),
        sized(1 << 62, 1 << 62, dtype=pb.DT_STRING),
        sized(0, 1 << 62, 1 << 62, dtype=pb.DT_FLOAT),
        sized(-1, dtype=pb.DT_FLOAT),
        sized(3, dtype=pb.DT_FLOAT, tensor_content=b"\0" * 11),
        sized(1, dtype=pb.DT_FLOAT, float_val=[1.0, 2.0]),
        sized(1, dtype=pb.DT_COMPLEX64, scomplex_val=[1.0]),
        sized(dtype=99),
        sized(),
    ],
    ids=str,
)
def test_values_that_cannot_be_are_refused_without_allocating_them(message):
    with pytest.raises(DataLossError):
        ndarray_from_tensor_proto(message)


def test_handles_are_no_values():
    with pytest.raises(UnimplementedError, match="resource"):
        ndarray_from_tensor_proto(sized(dtype=pb.DT_RESOURCE))


def test_too_many_values_for_a_shape_are_refused():
    with pytest.raises(InvalidArgumentError):
        tensor_proto(np.zeros(3), shape=[2])
