"""Strings as tensors of bytes: join, split, convert, search, hash."""

from __future__ import annotations

import base64
import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import INDEX, NUMERIC, bool_
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape, broadcast
from ckpt.core.texts import bytes_of
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.sparse import SparseTensor
from ckpt.ops import constants, indexing, reduction, shaping
from ckpt.ops.families import same_shape

NONE = "strings have no derivative"
UNIT = Attr("string", "BYTE", frozenset({"BYTE", "UTF8_CHAR"}))


def each(function: Callable[..., Any], *inputs: Any, dtype: Any = object) -> Any:
    """`function` of the elements of the inputs, broadcast together; numbers come as Python's."""
    arrays = [np.asarray(x) for x in inputs]
    shape = np.broadcast_shapes(*[a.shape for a in arrays])
    count = math.prod(shape)
    columns = [
        itertools.repeat(a.item(), count) if a.size == 1 else np.broadcast_to(a, shape).ravel().tolist()
        for a in arrays
    ]  # fmt: skip
    return np.fromiter(map(function, *columns), dtype, count).reshape(shape)


@op("StringJoin", "inputs: N * string -> output: string", N=Attr("int", minimum=0), separator="")
def string_join_op(*inputs, separator):
    """The strings of the inputs, joined element by element."""
    sizes = {np.shape(x) for x in inputs if np.ndim(x)}
    if len(sizes) > 1:
        raise InvalidArgumentError(None, None, f"Input shapes do not match: {sorted(sizes)}")
    glue = bytes_of(separator)
    return each(lambda *parts: glue.join(parts), *inputs)


@string_join_op.shape
def string_join_shape(*inputs):
    found = TensorShape.of(())
    for tensor in inputs:
        if tensor.shape.rank is None:
            return [TensorShape(None)]
        if tensor.shape.rank:
            found = found.merge_with(tensor.shape) if found.rank else tensor.shape
    return [found]


string_join_op.no_gradient(NONE)


def string_join(inputs: Any, separator: str = "", name: str | None = None) -> Tensor:
    """The strings of a list of tensors, joined element by element."""
    return string_join_op(list(inputs), separator=separator, name=name)


def _flat_split(rows: list[list[bytes]]) -> list[Any]:
    """Rows of tokens as indices, values and dense shape."""
    counts = np.fromiter(map(len, rows), np.int64, len(rows))
    total = int(counts.sum())
    row = np.repeat(np.arange(len(rows)), counts)
    column = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    values = np.fromiter(itertools.chain.from_iterable(rows), object, total)
    return [np.stack([row, column], 1), values, np.array([len(rows), counts.max(initial=0)])]


@op(
    "StringSplit",
    "input: string, delimiter: string -> indices: int64, values: string, shape: int64",
    skip_empty=True,
)
def string_split_op(x, delimiter, *, skip_empty):
    """Each string of a vector cut at any character of `delimiter` (between all characters where it is empty)."""
    if np.ndim(x) != 1:
        raise InvalidArgumentError(
            None, None, f"input must be a vector, got shape: {list(np.shape(x))}"
        )
    if np.ndim(delimiter):
        raise InvalidArgumentError(
            None, None, f"delimiter must be a scalar, got shape: {list(np.shape(delimiter))}"
        )
    marks = bytes(np.asarray(delimiter).item())
    if not marks:
        return _flat_split([[text[i : i + 1] for i in range(len(text))] for text in x.tolist()])
    if len(marks) == 1:
        parts = [text.split(marks) for text in x.tolist()]
    else:
        parts = list(map(re.compile(b"[" + re.escape(marks) + b"]").split, x.tolist()))
    if skip_empty:
        return _flat_split([[part for part in row if part] for row in parts])
    # an empty string has nothing to split, not one empty token
    return _flat_split([[] if row == [b""] else row for row in parts])


@string_split_op.shape
def string_split_shape(x, delimiter):
    x.shape.with_rank(1)
    delimiter.shape.with_rank(0)
    return [(None, 2), (None,), (2,)]


string_split_op.no_gradient(NONE)


@op(
    "StringSplitV2",
    "input: string, sep: string -> indices: int64, values: string, shape: int64",
    maxsplit=-1,
)
def string_split_v2_op(x, sep, *, maxsplit):
    """Each string of a vector cut at `sep` as Python's split does; at white space where `sep` is empty."""
    mark = bytes(np.asarray(sep).item()) or None
    return _flat_split([text.split(mark, maxsplit) for text in x.tolist()])


string_split_v2_op.shape(lambda x, sep: [(None, 2), (None,), (2,)])
string_split_v2_op.no_gradient(NONE)


@op(
    "Substr",
    "input: string, pos: T, len: T -> output: string",
    T=Attr("type", allowed=INDEX),
    unit=UNIT,
)
def substr_op(x, pos, length, *, unit):
    """`len` bytes or characters of each string from `pos` on; negative positions count from the end."""

    def cut(text, start, count):
        whole = text.decode("utf-8") if unit == "UTF8_CHAR" else text
        at = start + len(whole) if start < 0 else start
        if not 0 <= at <= len(whole):
            raise InvalidArgumentError(
                None,
                None,
                f"pos {start} out of range for string b'{text.decode('latin-1')}' at index 0",
            )
        part = whole[at : at + max(count, 0)]
        return part.encode("utf-8") if isinstance(part, str) else part

    return each(cut, x, pos, length)


substr_op.shape(lambda x, pos, length: [broadcast(x.shape, broadcast(pos.shape, length.shape))])
substr_op.no_gradient(NONE)


def substr(input: Any, pos: Any, len: Any, name: str | None = None, unit: str = "BYTE") -> Tensor:
    """`len` bytes or characters of each string from `pos` on."""
    return substr_op(input, pos, len, unit=unit, name=name)


@op(
    "ReduceJoin",
    "inputs: string, reduction_indices: int32 -> output: string",
    keep_dims=False,
    separator="",
)
def reduce_join_op(x, axis, *, keep_dims, separator):
    """The strings along the axes named, joined: the first axis named runs fastest."""
    x = np.asarray(x)
    axes = [int(a) for a in np.asarray(axis).reshape(-1)]
    for a in axes:
        if not -x.ndim <= a < x.ndim:
            raise InvalidArgumentError(
                None, None, f"Invalid reduction dimension {a} for input with {x.ndim} dimension(s)"
            )
    axes = [a % x.ndim for a in axes]
    if len(set(axes)) != len(axes):
        raise InvalidArgumentError(None, None, f"Duplicate reduction dimension {axes}")
    kept = [i for i in range(x.ndim) if i not in axes]
    moved = x.transpose([*kept, *reversed(axes)]).reshape([*(x.shape[i] for i in kept), -1])
    glue = bytes_of(separator)
    found = np.empty(moved.shape[:-1], object)
    for index in np.ndindex(found.shape):
        found[index] = glue.join(moved[index].tolist())
    return np.expand_dims(found, tuple(sorted(axes))) if keep_dims else found


reduce_join_op.shape(reduction.reduction_shape)
reduce_join_op.no_gradient(NONE)


def reduce_join(
    inputs: Any = None, axis: Any = None, keep_dims: Any = None, separator: str = "",
    name: str | None = None, reduction_indices: Any = None, keepdims: Any = None,
) -> Tensor:  # fmt: skip
    """The strings along `axis` (all axes where None), joined."""
    at = reduction_indices if axis is None else axis
    keep = bool(keepdims if keepdims is not None else keep_dims)
    with name_scope(None, "ReduceJoin", [inputs, at]):
        x = convert.convert_to_tensor(inputs, name="inputs")
        if at is None and x.shape.rank is not None:
            at = constants.constant(np.arange(x.shape.rank, dtype=np.int32)[::-1])
        elif at is None:
            at = indexing.range_(shaping.rank(x) - 1, -1, -1)
        return reduce_join_op(x, at, keep_dims=keep, separator=separator, name=name)


@op(
    "AsString",
    "input: T -> output: string",
    T=NUMERIC | {bool_, dtypes.string},
    precision=-1,
    scientific=False,
    shortest=False,
    width=-1,
    fill="",
)
def as_string_op(x, *, precision, scientific, shortest, width, fill):
    """Each number as C's printf writes it: %d, %f, %e or %g."""
    if scientific and shortest:
        raise InvalidArgumentError(None, None, "Cannot specify both scientific and shortest")
    if len(fill) > 1:
        raise InvalidArgumentError(
            None, None, f"Fill string must be one or fewer characters, got: {fill}"
        )
    kind = np.asarray(x).dtype.kind
    number = "e" if scientific else "g" if shortest else "f"
    head = "%" + fill + (str(width) if width > -1 else "")
    form = head + (f".{precision}" if precision > -1 else "") + number

    whole, parts = (head + "d").encode(), ("(" + form + "," + form + ")").encode()
    real = form.encode()
    written = {
        "O": lambda value: value,
        "b": lambda value: b"true" if value else b"false",
        "i": lambda value: whole % value,
        "u": lambda value: whole % value,
        "c": lambda value: parts % (value.real, value.imag),
    }
    return each(written.get(kind, lambda value: real % float(value)), x)


as_string_op.shape(same_shape)
as_string_op.no_gradient(NONE)


def as_string(
    input: Any, precision: int = -1, scientific: bool = False, shortest: bool = False,
    width: int = -1, fill: str = "", name: str | None = None,
) -> Tensor:  # fmt: skip
    """Each number as a string, as C's printf writes it."""
    return as_string_op(
        input, precision=precision, scientific=scientific, shortest=shortest, width=width,
        fill=fill, name=name,
    )  # fmt: skip


@op(
    "StringToNumber",
    "string_tensor: string -> output: out_type",
    out_type=Attr(
        "type",
        dtypes.float32,
        frozenset(
            {
                dtypes.float32,
                dtypes.float64,
                dtypes.int32,
                dtypes.int64,
                dtypes.uint32,
                dtypes.uint64,
            }
        ),
    ),
)
def string_to_number_op(x, *, out_type):
    """The number that each string spells."""
    kind = np.dtype(out_type.as_numpy_dtype)
    is_real = kind.kind == "f"
    least, most = (0, 0) if is_real else (np.iinfo(kind).min, np.iinfo(kind).max)

    def parsed(text):
        try:
            if b"_" in text:
                raise ValueError
            if is_real:
                return float(text)
            value = int(text)
            if not least <= value <= most:
                raise ValueError
            return value
        except ValueError:
            raise InvalidArgumentError(
                None,
                None,
                f"StringToNumberOp could not correctly convert string: {text.decode('latin-1')}",
            ) from None

    return each(parsed, x, dtype=kind)


string_to_number_op.shape(same_shape)
string_to_number_op.no_gradient(NONE)


def string_to_number(
    string_tensor: Any = None,
    out_type: Any = dtypes.float32,
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """The number that each string spells."""
    given = input if string_tensor is None else string_tensor
    return string_to_number_op(given, out_type=out_type, name=name)


@op("EncodeBase64", "input: string -> output: string", pad=False)
def encode_base64(x, *, pad):
    """Each string in the web-safe alphabet of base64."""
    return each(
        lambda t: base64.urlsafe_b64encode(t) if pad else base64.urlsafe_b64encode(t).rstrip(b"="),
        x,
    )


encode_base64.shape(same_shape)
encode_base64.no_gradient(NONE)


@op("DecodeBase64", "input: string -> output: string")
def decode_base64(x):
    """Each string decoded from web-safe base64, padded or not."""

    def decoded(text):
        if not re.fullmatch(rb"[A-Za-z0-9_-]*={0,2}", text) or len(text.rstrip(b"=")) % 4 == 1:
            raise InvalidArgumentError(None, None, "Invalid character found in base64.")
        bare = text.rstrip(b"=")
        return base64.urlsafe_b64decode(bare + b"=" * (-len(bare) % 4))

    return each(decoded, x)


decode_base64.shape(same_shape)
decode_base64.no_gradient(NONE)


@op(
    "RegexReplace",
    "input: string, pattern: string, rewrite: string -> output: string",
    replace_global=True,
)
def regex_replace_op(x, pattern, rewrite, *, replace_global):
    r"""Each string with what matches `pattern` replaced; \1 in `rewrite` is the first group."""
    found, words = _compiled(pattern), bytes(np.asarray(rewrite).item())
    words = re.sub(rb"\\0", rb"\\g<0>", words)
    return each(lambda t: found.sub(words, t, count=0 if replace_global else 1), x)


regex_replace_op.shape(same_shape)
regex_replace_op.no_gradient(NONE)


def _compiled(pattern):
    text = bytes(np.asarray(pattern).item())
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidArgumentError(
            None, None, f"Invalid pattern: {text!r}, error: {error}"
        ) from None


def regex_replace(
    input: Any, pattern: Any, rewrite: Any, replace_global: bool = True, name: str | None = None
) -> Tensor:
    """Each string with what matches `pattern` replaced by `rewrite`."""
    return regex_replace_op(input, pattern, rewrite, replace_global=replace_global, name=name)


@op("RegexFullMatch", "input: string, pattern: string -> output: bool")
def regex_full_match(x, pattern):
    """True for each string that matches `pattern` as a whole."""
    found = _compiled(pattern)
    return each(lambda t: found.fullmatch(t) is not None, x, dtype=bool)


regex_full_match.shape(same_shape)
regex_full_match.no_gradient(NONE)


@op("StaticRegexFullMatch", "input: string -> output: bool", pattern=Attr("string"))
def static_regex_full_match(x, *, pattern):
    """True for each string that matches `pattern` as a whole."""
    return regex_full_match.kernel(x, bytes_of(pattern))


static_regex_full_match.shape(same_shape)
static_regex_full_match.no_gradient(NONE)


@op("StringLength", "input: string -> output: int32", unit=UNIT)
def string_length_op(x, *, unit):
    """How many bytes or characters each string has."""
    return each(
        lambda t: len(t.decode("utf-8", "replace") if unit == "UTF8_CHAR" else t), x, dtype=np.int32
    )


string_length_op.shape(same_shape)
string_length_op.no_gradient(NONE)


def string_length(input: Any, name: str | None = None, unit: str = "BYTE") -> Tensor:
    """How many bytes or characters each string has."""
    return string_length_op(input, unit=unit, name=name)


@op("StringStrip", "input: string -> output: string")
def string_strip(x):
    """Each string without white space at its ends."""
    return each(lambda t: t.strip(), x)


string_strip.shape(same_shape)
string_strip.no_gradient(NONE)


def string_split(
    source: Any, sep: Any = None, skip_empty: bool = True, delimiter: Any = None,
    result_type: str = "SparseTensor", name: str | None = None,
) -> SparseTensor:  # fmt: skip
    """The tokens of each string of a vector, cut at any character of `sep` (or `delimiter`; " "), as a SparseTensor.

    Raises ValueError where both are given, and for another `result_type`: there are no ragged tensors.
    """
    if sep is not None and delimiter is not None:
        raise ValueError("Cannot specify both 'delimiter' and 'sep'.")
    if result_type != "SparseTensor":
        raise ValueError("ckpt has no ragged tensors: result_type must be 'SparseTensor'")
    marks = sep if sep is not None else delimiter if delimiter is not None else " "
    with name_scope(name, "StringSplit", [source]):
        mark = convert.convert_to_tensor(marks, dtype=dtypes.string)
        given = convert.convert_to_tensor(source, dtype=dtypes.string)
        return SparseTensor(*string_split_op(given, mark, skip_empty=skip_empty))
