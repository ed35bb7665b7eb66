"""The values of one tensor as text for people, as CSV and as JSON, or as numpy's own file. Must not know files.

Numbers are written as short as they can be read back: 0.1, not 0.10000000149011612, for a float32.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_ROWS = 10_000  # numbers that become text at once


def as_text(array: Array, *, full: bool) -> str:
    """As numpy prints it; `full` leaves nothing out."""
    shown = _plain(_with_text(array))
    if not full:
        return np.array2string(shown, max_line_width=100) + "\n"
    text = np.array2string(
        shown, threshold=max(shown.size, 1), floatmode="unique", max_line_width=100
    )
    return text + "\n"


def as_csv(array: Array) -> Iterator[str]:
    """A line per row of the last axis, in the order of the elements; a scalar is one line. In pieces of many lines."""
    width = array.shape[-1] if array.ndim else 1
    rows = array.reshape(-1, width) if width else array.reshape(0, 1)
    step = max(1, _ROWS // max(width, 1))
    for first in range(0, len(rows), step):
        words = _words(rows[first : first + step])
        yield "".join([",".join(map(_cell, row)) + "\n" for row in words.tolist()])


def _cell(word: str) -> str:
    """A field of CSV by RFC 4180: quoted where it is empty or holds what separates fields or lines."""
    quoted = word.replace('"', '""')
    return f'"{quoted}"' if not word or any(mark in word for mark in ',"\r\n') else word


def as_json(name: str, dtype: str, array: Array) -> Iterator[str]:
    """One document, in pieces. What JSON has no number for is text ("nan", "inf"), complex numbers are [real, imaginary]."""
    head = {"name": name, "dtype": dtype, "shape": list(array.shape)}
    yield json.dumps(head)[:-1] + ', "values": '
    yield from _nested(array)
    yield "}\n"


def _nested(array: Array) -> Iterator[str]:
    if array.ndim == 0:
        yield _json_words(array.reshape(1))[0]
    elif array.ndim == 1:
        pieces = [array[at : at + _ROWS] for at in range(0, len(array), _ROWS)]
        yield "["
        for number, piece in enumerate(pieces):
            yield (", " if number else "") + ", ".join(_json_words(piece))
        yield "]"
    else:
        yield "["
        for number, part in enumerate(array):
            yield ", " if number else ""
            yield from _nested(part)
        yield "]"


def _json_words(array: Array) -> list[str]:
    if array.dtype.kind == "b":
        return [str(value).lower() for value in array.tolist()]
    if array.dtype == object:
        return list(map(json.dumps, _words(array).tolist()))
    if array.dtype.kind == "c":
        real, imaginary = (_json_words(part) for part in (array.real, array.imag))
        return [f"[{a}, {b}]" for a, b in zip(real, imaginary, strict=True)]
    plain = _plain(array)
    words: list[str] = _words(plain).tolist()
    finite = np.isfinite(plain).tolist()
    return [word if fine else f'"{word}"' for word, fine in zip(words, finite, strict=True)]


def _words(array: Array) -> Array:
    """Each element as text."""
    if array.dtype == object:
        return _with_text(array)
    return _plain(array).astype(str).astype(object)


def _plain(array: Array) -> Array:
    """The same values in a dtype of numpy's own: those of ml_dtypes are all exact as float32 or int8."""
    array = _integers(array)
    if array.dtype.isbuiltin != 2:
        return array
    return array.astype(np.int8 if "int" in array.dtype.name else np.float32)


def _integers(array: Array) -> Array:
    """Quantized integers, which have one field, as the integers that they are; others as they are."""
    return array if array.dtype.names is None else array[array.dtype.names[0]]


def _with_text(array: Array) -> Array:
    """Strings decoded; bytes that are no UTF-8 are escaped."""
    if array.dtype != object:
        return array
    out = np.empty(array.size, object)
    out[:] = [item.decode("utf-8", "backslashreplace") for item in array.reshape(-1).tolist()]
    return out.reshape(array.shape)


def as_npy(array: Array) -> bytes:
    """numpy's own file format; strings as fixed-width bytes, since no object is pickled. Raises TypeError where it cannot."""
    plain = array.astype(bytes) if array.dtype == object else _integers(array)
    if plain.dtype.isbuiltin == 2:
        raise TypeError(f"numpy's files have no {array.dtype}")
    held = io.BytesIO()
    np.save(held, plain, allow_pickle=False)
    return held.getvalue()
