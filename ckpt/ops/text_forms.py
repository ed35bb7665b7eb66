"""Strings in other forms: upper and lower case, encodings, templates filled with tensors, and printing them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.core.texts import bytes_of, text_of
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.sparse import SparseTensor
from ckpt.graph.static import constant_value
from ckpt.ops import shaping, text
from ckpt.ops.families import same_shape

NONE = "strings have no derivative"
ENCODINGS = {"UTF-8": "utf-8", "UTF-16-BE": "utf-16-be", "UTF-32-BE": "utf-32-be"}
ERRORS = Attr("string", "replace", frozenset({"strict", "replace", "ignore"}))


def _cased(type_name: str, function: str, doc: str) -> Any:
    def kernel(x, *, encoding):
        if encoding not in ("", "utf-8"):
            raise InvalidArgumentError(
                None, None, f"only utf-8 or '' (no encoding) is supported, received: {encoding!r}"
            )
        if not encoding:
            return text.each(lambda t: getattr(t, function)(), x)
        return text.each(lambda t: getattr(t.decode("utf-8", "replace"), function)().encode(), x)

    kernel.__doc__ = doc
    opdef = op(type_name, "input: string -> output: string", encoding="")(kernel)
    opdef.shape(same_shape)
    return opdef.no_gradient(NONE)


string_lower = _cased(
    "StringLower", "lower", "Each string in lower case: of ASCII, or of all letters where utf-8."
)
string_upper = _cased(
    "StringUpper", "upper", "Each string in upper case: of ASCII, or of all letters where utf-8."
)


@op(
    "UnicodeTranscode", "input: string -> output: string", input_encoding=Attr("string"),
    output_encoding=Attr("string", allowed=frozenset(ENCODINGS)), errors=ERRORS, replacement_char=65533,
    replace_control_characters=False,
)  # fmt: skip
def unicode_transcode(
    x, *, input_encoding, output_encoding, errors, replacement_char, replace_control_characters
):
    """Each string in another encoding; what cannot be read is replaced, left out, or an InvalidArgumentError."""
    source = ENCODINGS.get(input_encoding.upper(), input_encoding)

    def transcoded(data):
        try:
            found = data.decode(source, "strict" if errors == "strict" else errors)
        except UnicodeDecodeError:
            raise InvalidArgumentError(None, None, "Invalid formatting on input string") from None
        except LookupError:
            raise InvalidArgumentError(
                None, None, f"Could not create converter for input encoding: {input_encoding}"
            ) from None
        if errors == "replace":
            found = found.replace("\ufffd", chr(replacement_char))
        if replace_control_characters:
            found = "".join(chr(replacement_char) if _is_control(c) else c for c in found)
        return found.encode(ENCODINGS[output_encoding])

    return text.each(transcoded, x)


def _is_control(character: str) -> bool:
    return ord(character) <= 0x1F or ord(character) == 0x7F


unicode_transcode.shape(same_shape)
unicode_transcode.no_gradient(NONE)


@op(
    "UnsortedSegmentJoin",
    "inputs: string, segment_ids: Tindices, num_segments: Tnumsegments -> output: string",
    separator="",
    Tindices=Attr("type", allowed=dtypes.INDEX),
    Tnumsegments=Attr("type", dtypes.int32, dtypes.INDEX),
)
def unsorted_segment_join_op(x, ids, count, *, separator):
    """The strings of each segment, joined in their order."""
    count, glue = int(count), bytes_of(separator)
    if np.shape(x)[: np.ndim(ids)] != np.shape(ids):
        raise InvalidArgumentError(
            None,
            None,
            f"segment_ids.shape = {list(np.shape(ids))} does not prefix-match data.shape = {list(x.shape)}",
        )
    tail = x.shape[np.ndim(ids) :]
    rows = x.reshape(-1, int(np.prod(tail)))
    found: list[list[list[bytes]]] = [[[] for _ in range(rows.shape[1])] for _ in range(count)]
    for place, row in zip(np.reshape(ids, -1).tolist(), rows, strict=True):
        if not 0 <= place < count:
            raise InvalidArgumentError(
                None, None, f"segment_ids: {place} is out of range [0, {count})"
            )
        for column, value in enumerate(row):
            found[place][column].append(value)
    joined = np.empty((count, rows.shape[1]), object)
    for place in np.ndindex(joined.shape):
        joined[place] = glue.join(found[place[0]][place[1]])
    return joined.reshape(count, *tail)


@unsorted_segment_join_op.shape
def unsorted_segment_join_shape(x, ids, count):
    known = constant_value(count)
    if x.shape.sizes is None or ids.shape.rank is None:
        return [TensorShape(None)]
    return [[None if known is None else int(known), *x.shape.sizes[ids.shape.rank :]]]


unsorted_segment_join_op.no_gradient(NONE)


def _number(value: Any) -> str:
    """As few digits as give the number back: 6 or 9 of a float32, 15 or 17 of a float64."""
    if np.isnan(value):
        return "-nan" if np.signbit(value) else "nan"
    short, long = (15, 17) if value.dtype == np.float64 else (6, 9)
    found = f"{float(value):.{short}g}"
    return found if value.dtype.type(float(found)) == value else f"{float(value):.{long}g}"


def _element(value: Any) -> str:
    if isinstance(value, bytes):
        return f'"{text_of(value)}"'
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if np.iscomplexobj(value):
        return "?"
    return _number(value) if np.asarray(value).dtype.kind not in "iu" else str(value)


def shown(value: Any, summarize: int) -> str:
    """`value` in brackets, of long axes only the first and last `summarize` elements (all where negative)."""
    array = np.asarray(value)
    return _shown(array, summarize, array.ndim) if array.ndim else _element(array[()])


def _shown(array: Any, summarize: int, whole: int) -> str:
    count = len(array)
    cut = 0 <= 2 * summarize < count
    kept = [*range(summarize), *range(count - summarize, count)] if cut else list(range(count))
    if array.ndim == 1:
        parts, glue = [_element(array[i]) for i in kept], " "
    else:
        parts = [_shown(array[i], summarize, whole) for i in kept]
        glue = "\n" * (array.ndim - 1) + " " * (whole - array.ndim + 1)
    if cut:
        parts.insert(summarize, "...")
    return f"[{glue.join(parts)}]"


@op(
    "StringFormat", "inputs: T... -> output: string", T=Attr("list(type)", minimum=0), template="%s",
    placeholder="%s", summarize=3,
)  # fmt: skip
def string_format_op(*inputs, template, placeholder, summarize):
    """`template` with each `placeholder` replaced by an input, written out."""
    parts = template.split(placeholder)
    if len(parts) != len(inputs) + 1:
        raise InvalidArgumentError(
            None,
            None,
            f"num placeholders in template and num inputs must match: {len(parts) - 1} vs. {len(inputs)}",
        )
    values = [shown(value, summarize) for value in inputs]
    whole = parts[0] + "".join(v + part for v, part in zip(values, parts[1:], strict=True))
    return np.array(bytes_of(whole), object)


@string_format_op.shape
def string_format_shape(*inputs, template, placeholder):
    if template.count(placeholder) != len(inputs):
        raise ValueError(
            f"num placeholders in template and num inputs must match: {template.count(placeholder)} vs. {len(inputs)}"
        )
    return [()]


string_format_op.no_gradient(NONE)


@op("PrintV2", "input: string ->", output_stream="stderr", end="\n")
def print_v2(ctx, x, *, output_stream, end):
    """Write a string to stderr, stdout, or (file://path) at the end of a file."""
    line = np.asarray(x).item().decode("utf-8", "replace") + end
    if output_stream.startswith("file://"):
        with Path(output_stream.removeprefix("file://")).open("a", encoding="utf-8") as file:
            file.write(line)
    else:
        stream = sys.stdout if output_stream in ("stdout", "sys.stdout") else sys.stderr
        stream.write(line)
    return ()


print_v2.shape(lambda x: [])
print_v2.writes_files(attr="output_stream", when=lambda stream: stream.startswith("file://"))
print_v2.no_gradient("printing has no result")


def string_format(
    template: str, inputs: Any, placeholder: str = "{}", summarize: int | None = 3,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """`template` with each `placeholder` replaced by one of `inputs` (a tensor or a list of tensors), written out.

    Raises ValueError where their numbers differ.
    """
    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if template.count(placeholder) != len(given):
        raise ValueError(
            f"The template expects {template.count(placeholder)} tensors, but the inputs only has {len(given)}. "
            "Please ensure the number of placeholders in template matches inputs length."
        )
    return string_format_op(
        given, template=template, placeholder=placeholder, name=name,
        summarize=-1 if summarize is None else summarize,
    )  # fmt: skip


def _template(value: Any, tensors: list[Any], mark: str) -> str:
    """How `value` is written, with `mark` in the place of each tensor, which is added to `tensors`."""
    if isinstance(value, dict):
        items = (f"{key!r}: {_template(v, tensors, mark)}" for key, v in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(_template(v, tensors, mark) for v in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, SparseTensor):
        held = ", ".join(
            _template(p, tensors, mark) for p in (value.indices, value.values, value.dense_shape)
        )
        return f"SparseTensor({held})"
    if isinstance(value, Tensor) or hasattr(value, "_as_graph_element"):
        tensors.append(value)
        return mark
    return repr(value)


def print_(
    *inputs: Any, output_stream: Any = None, summarize: int | None = 3, sep: str = " ",
    end: str | None = "\n", name: str | None = None,
) -> Operation:  # fmt: skip
    """An operation that, run, writes `inputs` (tensors, nests of them, plain values): `with control_dependencies([...])`.

    `output_stream` is sys.stderr (also where None), sys.stdout or "file://path"; long axes show their first and last `summarize` elements.
    Raises ValueError for another stream.
    """
    streams = {id(None): "stderr", id(sys.stdout): "stdout", id(sys.stderr): "stderr"}
    stream = output_stream if isinstance(output_stream, str) else streams.get(id(output_stream), "")
    if stream not in ("stdout", "stderr") and not stream.startswith("file://"):
        raise ValueError(f"Unsupported output stream: {output_stream!r}")
    line = (
        inputs[0]
        if len(inputs) == 1 and _is_text(inputs[0])
        else _line(inputs, summarize, sep, name)
    )
    made: Operation = print_v2(
        line, output_stream=stream, end="" if end is None else end, name=name
    )
    return made


def _is_text(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == dtypes.string and value.shape.rank == 0


def _line(inputs: tuple[Any, ...], summarize: int | None, sep: str, name: str | None) -> Tensor:
    """What `print_` writes of `inputs`, as the node that makes it of tensors."""
    tensors: list[Any] = []
    written = [v if isinstance(v, str) else _template(v, tensors, "{}") for v in inputs]
    mark = "{}"
    while any(mark in v for v in inputs if isinstance(v, str)):
        mark = f"<{mark}>"
    if mark != "{}":
        tensors = []
        written = [v if isinstance(v, str) else _template(v, tensors, mark) for v in inputs]
    return string_format_op(
        tensors, template=sep.join(written), placeholder=mark, summarize=-1 if summarize is None else summarize,
        name=name and f"{name}_format",
    )  # fmt: skip


def string_split_v1(
    input: Any = None, sep: Any = None, maxsplit: int = -1, result_type: str = "SparseTensor",
    source: Any = None, name: str | None = None,
) -> SparseTensor:  # fmt: skip
    """The tokens of each string of a vector, cut as Python's `split` cuts, as a SparseTensor."""
    if result_type != "SparseTensor":
        raise ValueError("ckpt has no ragged tensors: result_type must be 'SparseTensor'")
    with name_scope(name, "StringSplit", [input]):
        given = convert.convert_to_tensor(source if input is None else input, dtypes.string)
        if given.shape.rank == 0:
            given = shaping.expand_dims(given, 0)
        sep = convert.convert_to_tensor("" if sep is None else sep, dtype=dtypes.string)
        found = text.string_split_v2_op(given, sep, maxsplit=maxsplit)
        return SparseTensor(*found)


def unsorted_segment_join(
    inputs: Any, segment_ids: Any, num_segments: Any, separator: str = "", name: str | None = None
) -> Tensor:
    """The strings of each of `num_segments` segments, joined in their order."""
    return unsorted_segment_join_op(
        inputs, segment_ids, num_segments, separator=separator, name=name
    )
