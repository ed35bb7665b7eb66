"""Strings that hold numbers, rows of tables or whole tensors, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import DataLossError, InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr

NO_GRADIENT = "strings have no derivative"
RAW = frozenset({
    dtypes.float16, dtypes.float32, dtypes.float64, dtypes.int32, dtypes.uint16, dtypes.uint8, dtypes.int16,
    dtypes.int8, dtypes.int64, dtypes.complex64, dtypes.complex128, dtypes.bool_, dtypes.bfloat16,
})  # fmt: skip
CSV = frozenset({dtypes.float32, dtypes.float64, dtypes.int32, dtypes.int64, dtypes.string})


@op(
    "DecodeRaw",
    "bytes: string -> output: out_type",
    out_type=Attr("type", allowed=RAW),
    little_endian=True,
)
def decode_raw_op(data, *, out_type, little_endian):
    """The bytes of each string as numbers along a new last axis. Raises InvalidArgumentError unless all are equally long."""
    data = np.asarray(data, object)
    kind = np.dtype(out_type.as_numpy_dtype)
    strings = data.reshape(-1).tolist()
    if not strings:
        return np.empty((*data.shape, 0), kind)
    length = len(strings[0])
    for place, string in enumerate(strings):
        if len(string) != length:
            raise InvalidArgumentError(
                None, None,
                f"DecodeRaw requires input strings to all be the same size, but element {place} has size "
                f"{len(string)} != {length}",
            )  # fmt: skip
    if length % kind.itemsize:
        raise InvalidArgumentError(
            None, None,
            f"Input to DecodeRaw has length {length} that is not a multiple of {kind.itemsize}, the size of "
            f"{out_type.name}",
        )  # fmt: skip
    joined = b"".join(strings)
    if out_type == dtypes.bool_:
        found = np.frombuffer(joined, np.uint8) != 0
    else:
        found = np.frombuffer(joined, kind)
        if not little_endian:
            parts = kind.itemsize // 2 if kind.kind == "c" else kind.itemsize
            found = np.frombuffer(joined, np.uint8).reshape(-1, parts)[:, ::-1].tobytes()
            found = np.frombuffer(found, kind)
    return found.reshape(*data.shape, length // kind.itemsize)


decode_raw_op.shape(lambda data: [data.shape.concatenate(TensorShape([None]))])


@op("SerializeTensor", "tensor: T -> serialized: string", T=Attr("type"))
def serialize_tensor_op(tensor, *, T):
    """The tensor as a TensorProto message."""
    from ckpt.wire import messages  # protobuf is loaded only when messages are used

    array = np.ascontiguousarray(tensor)
    message = messages.TensorProto(dtype=T.as_datatype_enum)
    message.tensor_shape.SetInParent()
    for size in np.shape(tensor):
        message.tensor_shape.dim.add(size=size)
    if dtypes.string == T:
        message.string_val.extend(np.asarray(tensor, object).reshape(-1).tolist())
    else:
        message.tensor_content = array.tobytes()
    return message.SerializeToString()


serialize_tensor_op.shape(lambda tensor: [()])


@op("ParseTensor", "serialized: string -> output: out_type", out_type=Attr("type"))
def parse_tensor_op(serialized, *, out_type):
    """The tensor in a TensorProto message. Raises InvalidArgumentError for other bytes, and for another dtype."""
    from google.protobuf.message import DecodeError  # as above

    from ckpt.wire import messages
    from ckpt.wire.tensor_proto import ndarray_from_tensor_proto

    if np.ndim(serialized):
        raise InvalidArgumentError(
            None, None, f"Expected `serialized` to be a scalar, got shape: {list(np.shape(serialized))}"
        )  # fmt: skip
    data = np.asarray(serialized, object).item()
    try:
        message = messages.TensorProto.FromString(data)
        found = ndarray_from_tensor_proto(message)
    except (DecodeError, DataLossError) as error:
        raise InvalidArgumentError(
            None, None, f"Could not parse `serialized` as TensorProto: {error}"
        ) from error
    if message.dtype != out_type.as_datatype_enum:
        raise InvalidArgumentError(
            None, None,
            f"Type mismatch between parsed tensor ({dtypes.as_dtype(message.dtype).name}) and dtype ({out_type.name})",
        )  # fmt: skip
    return found


parse_tensor_op.shape(lambda serialized: [None])


@op(
    "DecodeCSV", "records: string, record_defaults: OUT_TYPE... -> output: OUT_TYPE...",
    OUT_TYPE=Attr("list(type)", minimum=1, allowed=CSV), field_delim=",", use_quote_delim=True, na_value="",
    select_cols=Attr("list(int)", []),
)  # fmt: skip
def decode_csv_op(
    records, *defaults, OUT_TYPE, field_delim, use_quote_delim, na_value, select_cols
):
    """The fields of each record (RFC 4180) as one tensor a column; a default stands for what is missing.

    Raises InvalidArgumentError for another number of fields, for what is no number, and for what is missing without
    a default.
    """
    delimiter = field_delim.encode() if isinstance(field_delim, str) else field_delim
    if len(delimiter) != 1:
        raise InvalidArgumentError(None, None, "field_delim should be only 1 char")
    missing = {b"", na_value.encode() if isinstance(na_value, str) else na_value}
    records = np.asarray(records, object)
    columns: list = [[] for _ in defaults]
    for row, record in enumerate(records.reshape(-1).tolist()):
        fields = csv_fields(record, delimiter, use_quote_delim)
        if select_cols:
            fields = [fields[place] for place in select_cols if place < len(fields)]
        if len(fields) != len(defaults):
            raise InvalidArgumentError(
                None, None, f"Expect {len(defaults)} fields but have {len(fields)} in record {row}"
            )
        for place, (field, default, dtype) in enumerate(
            zip(fields, defaults, OUT_TYPE, strict=True)
        ):
            columns[place].append(csv_value(field, missing, default, dtype, place, row))
    return [
        np.array(column, dtype.as_numpy_dtype if dtype != dtypes.string else object).reshape(records.shape)
        for column, dtype in zip(columns, OUT_TYPE, strict=True)
    ]  # fmt: skip


_SPECIAL = re.compile(rb'["\r\n]')


@cache
def _limits(dtype: dtypes.DType) -> tuple[int, int]:
    return int(dtype.min), int(dtype.max)


def csv_value(field, missing, default, dtype, place, record):
    """The value of a field in the dtype of its column. Raises InvalidArgumentError for others, naming the record.

    `record` is its number, or None.
    """
    if field in missing:
        if np.size(default) == 0:
            raise InvalidArgumentError(
                None, None, f"Field {place} is required but missing in {_named(record)}!"
            )
        return np.asarray(default).reshape(-1)[0]
    if dtype == dtypes.string:
        return field
    try:
        if b"_" in field:
            raise ValueError
        if dtype.is_floating:
            return float(field)
        number = int(field)
        least, most = _limits(dtype)
        if not least <= number <= most:
            raise ValueError
    except ValueError:
        kind = "float" if dtype == dtypes.float32 else dtype.name
        text = field.decode("utf-8", "backslashreplace")
        raise InvalidArgumentError(
            None, None, f"Field {place} in {_named(record)} is not a valid {kind}: {text}"
        ) from None
    return number


def _named(record: int | None) -> str:
    return "record" if record is None else f"record {record}"


def csv_fields(record: bytes, delimiter: bytes, quotes: bool) -> list[bytes]:
    """The fields of one record; an empty record has none. Raises InvalidArgumentError for misplaced quotes."""
    if not record:
        return []
    if not quotes or not _SPECIAL.search(record):
        return record.split(delimiter)
    fields = []
    at, end = 0, len(record)
    while at <= end:
        if record[at : at + 1] == b'"':
            field, at = _quoted(record, at + 1, delimiter)
        else:
            stop = record.find(delimiter, at)
            stop = end if stop < 0 else stop
            field, at = record[at:stop], stop
            if any(mark in field for mark in (b'"', b"\n", b"\r")):
                raise InvalidArgumentError(
                    None, None, "Unquoted fields cannot have quotes/CRLFs inside"
                )
        fields.append(field)
        at += 1  # over the delimiter, or past the end
    return fields


def _quoted(record: bytes, at: int, delimiter: bytes) -> tuple[bytes, int]:
    """A quoted field whose text begins at `at`, and where its end is."""
    parts = []
    while True:
        stop = record.find(b'"', at)
        if stop < 0:
            raise InvalidArgumentError(
                None, None, "Quoted field has to end with quote followed by delim or end"
            )
        parts.append(record[at:stop])
        behind = record[stop + 1 : stop + 2]
        if behind == b'"':
            parts.append(b'"')
            at = stop + 2
        elif behind in (b"", delimiter):
            return b"".join(parts), stop + 1
        else:
            raise InvalidArgumentError(
                None, None, "Quote inside a string has to be escaped by another quote"
            )


decode_csv_op.shape(lambda records, *defaults: [records.shape] * len(defaults))
for _opdef in (decode_raw_op, serialize_tensor_op, parse_tensor_op, decode_csv_op):
    _opdef.no_gradient(NO_GRADIENT)


def decode_raw(
    input_bytes: Any = None, out_type: Any = None, little_endian: bool = True, name: str | None = None,
    bytes: Any = None,
) -> Tensor:  # fmt: skip
    """The bytes of each string as numbers of `out_type`: shape [..., length / size].

    When running, InvalidArgumentError unless all strings have one length, a multiple of the size of a number.
    """
    data = bytes if input_bytes is None else input_bytes
    found: Tensor = decode_raw_op(data, out_type=out_type, little_endian=little_endian, name=name)
    return found


def serialize_tensor(tensor: Any, name: str | None = None) -> Tensor:
    """The tensor as a string scalar: a TensorProto message, which `parse_tensor` reads."""
    found: Tensor = serialize_tensor_op(tensor, name=name)
    return found


def parse_tensor(serialized: Any, out_type: Any, name: str | None = None) -> Tensor:
    """The tensor of dtype `out_type` in a serialized TensorProto; InvalidArgumentError, when running, for anything else."""
    found: Tensor = parse_tensor_op(serialized, out_type=out_type, name=name)
    return found


def decode_csv(
    records: Any, record_defaults: Sequence[Any], field_delim: str = ",", use_quote_delim: bool = True,
    name: str | None = None, na_value: str = "", select_cols: Sequence[int] | None = None,
) -> list[Tensor]:  # fmt: skip
    """The columns of records of text (RFC 4180, one record a string): a tensor of the records' shape for each.

    A column has the dtype of its default, float32, float64, int32, int64 or string; an empty default means that no field
    may be empty (or `na_value`). `select_cols` are the columns wanted, in rising order (ValueError).
    """
    if select_cols is not None and any(first >= second for first, second in pairwise(select_cols)):
        raise ValueError("select_cols is not strictly increasing.")
    if select_cols is not None and select_cols and select_cols[0] < 0:
        raise ValueError("select_cols contains negative values.")
    if select_cols is not None and len(select_cols) != len(record_defaults):
        raise ValueError("Length of select_cols and record_defaults do not match.")
    found: list[Tensor] = decode_csv_op(
        records, record_defaults, field_delim=field_delim, use_quote_delim=use_quote_delim, na_value=na_value,
        select_cols=list(select_cols or []), name=name,
    )  # fmt: skip
    return found
