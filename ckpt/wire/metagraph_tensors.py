"""Tensors of a `.meta` file: [dtype name, sizes, content], of which nothing is made before it is seen to fit.

Must not know graphs or records. Source of the layout: docs/formats/metagraph.md.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ckpt.core.dtypes import BY_NAME, DType
from ckpt.core.shapes import TensorShape
from ckpt.wire.metagraph_body import Damage, MsgpackErrors, parsed, unpackb
from ckpt.wire.metagraph_budget import UNLIMITED, Budget
from ckpt.wire.metagraph_places import ARRAY, BIN, SMALL, Places, array_of, header
from ckpt.wire.metagraph_tree import shown

Array = np.ndarray[Any, Any]

LONGEST_SHAPE = 4096  # bytes: 450 sizes of the longest kind
_LONGEST_NAME = 64  # bytes of a dtype's name
_TOGETHER = 4096  # strings that are built at once while they are small
SEEN = np.zeros((), np.float32)
"""Stands for any tensor that was only looked at."""
SEEN.flags.writeable = False


def read_type(name: Any) -> DType:
    """The dtype called `name`."""
    found = BY_NAME.get(name) if isinstance(name, str) else None
    if found is None:
        raise Damage(f"{shown(name)} is no dtype that ckpt knows")
    return found


def read_shape(raw: Any) -> TensorShape:
    """The shape of a list of sizes, or of None."""
    if raw is None:
        return TensorShape.of(None)
    if type(raw) is not list or not all(
        [size is None or (type(size) is int and size >= 0) for size in raw]
    ):
        raise Damage(f"{shown(raw)} is no shape")
    return TensorShape.of(tuple(raw))


def read_tensor(raw: Any) -> Array:
    """The array of [dtype name, sizes, content], read-only; the content must be exactly as long as they say."""
    if type(raw) is not list or len(raw) != 3:
        raise Damage(f"{shown(raw)} is no tensor")
    dtype, shape, content = read_type(raw[0]), read_shape(raw[1]), raw[2]
    count = _count(dtype, shape)
    flat: Array
    if dtype.name == "string":
        if type(content) is not list or not all([type(item) is bytes for item in content]):
            raise Damage("a tensor of strings must hold a list of byte strings")
        _check_strings(len(content), count, shape)
        flat = np.empty(count, object)
        flat[:] = content
    else:
        found = len(content) if isinstance(content, (bytes, bytearray)) else None
        _check_bytes(found, dtype, count, shape)
        flat = np.frombuffer(content, dtype.as_numpy_dtype)
    return _shaped(flat, shape)


def large_tensor(data: bytes | memoryview, *, looks: bool, budget: Budget = UNLIMITED) -> Array:
    """The same of the msgpack value `data`, if the budget allows its strings; with `looks`, one that stands for it."""
    view = memoryview(data)
    with MsgpackErrors():
        places = Places(view)
        if places.read_array_header() != 3:
            raise Damage("a tensor is no list of three")
        begin, sizes, content, end = places.ends(3)
        if end != len(view) or sizes - begin > _LONGEST_NAME or content - sizes > LONGEST_SHAPE:
            raise Damage("a tensor is no list of a dtype, a shape and its content")
        dtype = read_type(parsed(view[begin:sizes], no_extension))
        shape = read_shape(parsed(view[sizes:content], no_extension))
        count = _count(dtype, shape)
        kind, found, at = header(view, content)
        if dtype.name != "string":
            _check_bytes(found if kind == BIN else None, dtype, count, shape)
            array = _shaped(np.frombuffer(view[at:end], dtype.as_numpy_dtype), shape)
            return SEEN if looks else _shaped(array.copy(), shape)
        if kind != ARRAY:
            raise Damage("a tensor of strings must hold a list of byte strings")
        _check_strings(found, count, shape)
        budget.spend(count)
        strings = None if looks else np.empty(count, object)
        _read_strings(view, at, count, strings)
        return SEEN if strings is None else _shaped(strings, shape)


def _read_strings(view: memoryview, begin: int, count: int, out: Array | None) -> None:
    """The `count` strings that begin there, into `out` where they are wanted; no more than a few are made before they are
    seen to be such."""
    places, number = Places(view, begin), 0
    while number < count:
        ends = places.ends(min(count - number, _TOGETHER))
        if ends[-1] - ends[0] <= SMALL:
            found = unpackb(array_of(view[ends[0] : ends[-1]], len(ends) - 1), no_extension)
        else:
            found = [_one_string(view, a, b, looks=out is None) for a, b in pairwise(ends)]
        if not all([type(item) is bytes for item in found]):
            raise Damage("a tensor of strings must hold a list of byte strings")
        if out is not None:
            out[number : number + len(found)] = found
        number += len(found)


def _one_string(view: memoryview, begin: int, end: int, *, looks: bool) -> Any:
    kind, _, at = header(view, begin)
    if kind != BIN:
        return None
    return b"" if looks else bytes(view[at:end])


def no_extension(code: int, data: bytes) -> Any:
    """Raise Damage: where a shape or tensor stands, nothing of ours may be inside."""
    raise Damage(f"extension type {code} inside a shape or tensor")


def _count(dtype: DType, shape: TensorShape) -> int:
    """How many elements there must be."""
    count = shape.num_elements()
    if count is None or not dtype.is_numpy_compatible:
        raise Damage(f"no value can have dtype {dtype.name} and shape {shape}")
    return count


def check_strings(dtype: Any, sizes: Any) -> int:
    """How many strings a tensor of this dtype and these sizes must hold."""
    kind = read_type(dtype)
    if kind.name != "string":
        raise Damage(f"a tensor of {kind.name} must hold bytes")
    return _count(kind, read_shape(sizes))


def _check_strings(found: int, count: int, shape: TensorShape) -> None:
    if found != count:
        raise Damage(f"{found} strings for a tensor of shape {shape}")


def _check_bytes(found: int | None, dtype: DType, count: int, shape: TensorShape) -> None:
    if found != count * dtype.size:
        what = "no bytes" if found is None else found
        raise Damage(f"{dtype.name} of shape {shape} needs {count * dtype.size} bytes, not {what}")


def _shaped(flat: Array, shape: TensorShape) -> Array:
    sizes: Any = shape.sizes
    try:
        array = flat.reshape(sizes)
    except ValueError as error:  # an empty tensor with a size that no array can have
        raise Damage(f"shape {shape}: {error}") from error
    array.flags.writeable = False
    return array
