"""Fourier and cosine transforms over the last one, two or three axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED, OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import (
    casting,
    complex_numbers,
    constants,
    elementwise,
    indexing,
    joining,
    reversing,
    shaping,
)

REAL = frozenset({dtypes.float32, dtypes.float64})
TCOMPLEX, TREAL = Attr("type", dtypes.complex64, COMPLEX), Attr("type", dtypes.float32, REAL)
SUFFIXES = {1: "", 2: "2D", 3: "3D"}


def _size(x: Tensor, axes: int) -> Tensor:
    """How many elements the transformed axes have, as a complex or real number of the dtype of `x`."""
    sizes = shaping.shape(x)[-axes:]
    total = indexing.gather(sizes, 0)
    for axis in range(1, axes):
        total = total * sizes[axis]
    return casting.cast(total, x.dtype.real_dtype)


def _scaled(x: Tensor, factor: Tensor) -> Tensor:
    return x * casting.cast(factor, x.dtype)


def _complex_pair(axes: int) -> tuple[OpDef, OpDef]:
    over = tuple(range(-axes, 0))

    def forward(x):
        return np.fft.fftn(_checked(x, axes), axes=over).astype(x.dtype)

    def backward(x):
        return np.fft.ifftn(_checked(x, axes), axes=over).astype(x.dtype)

    words = f"over the last {axes} axes" if axes > 1 else "over the last axis"
    forward.__doc__ = f"The discrete Fourier transform {words}."
    backward.__doc__ = f"The inverse of the discrete Fourier transform {words}."
    found = []
    for prefix, kernel in (("FFT", forward), ("IFFT", backward)):
        opdef = op(
            prefix + SUFFIXES[axes], "input: Tcomplex -> output: Tcomplex", Tcomplex=TCOMPLEX
        )(kernel)
        opdef.shape(lambda x: [x.shape.with_rank_at_least(axes)])
        found.append(opdef)
    fft, ifft = found
    fft.grad(lambda node, dy: [_scaled(ifft(dy), _size(dy, axes))])
    ifft.grad(lambda node, dy: [_scaled(fft(dy), 1 / _size(dy, axes))])
    return fft, ifft


def _checked(x: Any, axes: int) -> Any:
    if np.ndim(x) < axes:
        raise InvalidArgumentError(
            None, None, f"Input must have rank of at least {axes} but got: {list(np.shape(x))}"
        )
    return x


def _cut(x: Any, sizes: list[int]) -> Any:
    """The last axes cut off to `sizes`. Raises InvalidArgumentError where one is shorter."""
    for axis, size in zip(range(-len(sizes), 0), sizes, strict=True):
        if x.shape[axis] < size:
            raise InvalidArgumentError(
                None, None, f"Input dimension {x.ndim + axis} must have length of at least {size} but got: "
                f"{x.shape[axis]}",
            )  # fmt: skip
        x = np.take(x, np.arange(size), axis=axis) if x.shape[axis] > size else x
    return x


def _lengths(length: Any, axes: int) -> list[int]:
    sizes = np.asarray(length).tolist()
    if np.shape(length) != (axes,):
        raise InvalidArgumentError(
            None, None, f"fft_length must have shape [{axes}], got {list(np.shape(length))}"
        )
    return [int(s) for s in sizes]


def _real_pair(axes: int) -> tuple[OpDef, OpDef]:
    over = tuple(range(-axes, 0))
    words = f"over the last {axes} axes" if axes > 1 else "over the last axis"

    def forward(x, length, *, Tcomplex):
        sizes = _lengths(length, axes)
        found = np.fft.rfftn(_cut(_checked(x, axes), sizes), sizes, axes=over)
        return found.astype(Tcomplex.as_numpy_dtype)

    def backward(x, length, *, Treal):
        sizes = _lengths(length, axes)
        held = _cut(_checked(x, axes), [*sizes[:-1], sizes[-1] // 2 + 1])
        return np.fft.irfftn(held, sizes, axes=over).astype(Treal.as_numpy_dtype)

    forward.__doc__ = (
        f"The Fourier transform {words} of real numbers: the half that says everything."
    )
    backward.__doc__ = (
        f"Real numbers {words} from the half of a Fourier transform that `rfft` keeps."
    )
    rfft = op(
        "RFFT" + SUFFIXES[axes], "input: Treal, fft_length: int32 -> output: Tcomplex",
        Treal=TREAL, Tcomplex=TCOMPLEX,
    )(forward)  # fmt: skip
    irfft = op(
        "IRFFT" + SUFFIXES[axes], "input: Tcomplex, fft_length: int32 -> output: Treal",
        Treal=TREAL, Tcomplex=TCOMPLEX,
    )(backward)  # fmt: skip

    def shape_rule(is_half):
        def rule(x, length):
            sizes = x.shape.with_rank_at_least(axes).sizes
            if sizes is None:
                return [TensorShape(None)]
            given = constant_value(length)
            last = [None] * axes if given is None else [int(s) for s in given]
            if is_half and last[-1] is not None:
                last[-1] = last[-1] // 2 + 1 if last[-1] else 0
            return [[*sizes[:-axes], *last]]

        return rule

    rfft.shape(shape_rule(True))
    irfft.shape(shape_rule(False))
    if axes == 1:
        rfft.grad(_rfft_grad)
        irfft.grad(_irfft_grad)
    elif axes == 2:
        rfft.grad(_rfft2d_grad)
        irfft.grad(_irfft2d_grad)
    else:
        rfft.no_gradient(UNDEFINED)
        irfft.no_gradient(UNDEFINED)
    return rfft, irfft


def _doubles(size: Tensor, dtype: Any) -> Tensor:
    """1 for the frequencies that stand alone, 2 for those that stand for their mirror image too."""
    half = size // 2 + 1
    places = indexing.range_(0, half)
    is_odd = size % 2
    alone = casting.cast(places > 0, dtypes.int32) * casting.cast(
        places < half - 1 + is_odd, dtypes.int32
    )
    return casting.cast(1 + alone, dtype)


def _rfft_grad_of(node, dy, transform, axes):
    """y = the first half of the transform F x, so that dx is the real part of F dy, dy filled up with zeros."""
    x, length = node.inputs
    filled = _filled(dy, length, axes)
    # the adjoint of F is N times its inverse
    found = complex_numbers.real(transform(filled))
    factor = casting.cast(_product(length, axes), found.dtype)
    return [_back_to(found * factor, x, axes), None]


def _product(length: Tensor, axes: int) -> Tensor:
    total = length[0]
    for axis in range(1, axes):
        total = total * length[axis]
    return total


def _back_to(dx: Tensor, x: Tensor, axes: int) -> Tensor:
    """`dx` in the shape of `x`: what was cut off gets zeros."""
    return _filled(dx, shaping.shape(x)[-axes:], axes)


def _filled(x: Tensor, sizes: Tensor, axes: int) -> Tensor:
    """`x` with zeros behind its last axes, so that none is shorter than `sizes`."""
    known = constant_value(sizes)
    have = None if x.shape.sizes is None else x.shape.sizes[-axes:]
    if known is not None and have is not None and None not in have:
        if all(h >= k for h, k in zip(have, np.asarray(known).tolist(), strict=True)):
            return x
    missing = elementwise.maximum(sizes - shaping.shape(x)[-axes:], 0)
    ends = joining.stack([constants.zeros_like(missing), missing], axis=1)
    before = constants.zeros(joining.stack([shaping.rank(x) - axes, 2]), dtypes.int32)
    filled = reversing.pad(x, joining.concat([before, ends], 0))
    if x.shape.sizes is not None:
        filled.set_shape([*x.shape.sizes[:-axes], *[None] * axes])
    return filled


def _rfft_grad(node, dy):
    return _rfft_grad_of(node, dy, ifft, 1)


def _rfft2d_grad(node, dy):
    return _rfft_grad_of(node, dy, ifft2d, 2)


def _irfft_grad_of(node, dy, transform, axes):
    """x = irfft(y): each frequency that also stands for its mirror image counts twice, divided by the size."""
    y, length = node.inputs
    found = transform(dy, length)
    factor = _doubles(length[-1], dy.dtype) / casting.cast(_product(length, axes), dy.dtype)
    return [_back_to(found * casting.cast(factor, found.dtype), y, axes), None]


def _irfft_grad(node, dy):
    return _irfft_grad_of(node, dy, rfft_op, 1)


def _irfft2d_grad(node, dy):
    return _irfft_grad_of(node, dy, rfft2d_op, 2)


fft, ifft = _complex_pair(1)
fft2d, ifft2d = _complex_pair(2)
fft3d, ifft3d = _complex_pair(3)
rfft_op, irfft_op = _real_pair(1)
rfft2d_op, irfft2d_op = _real_pair(2)
rfft3d_op, irfft3d_op = _real_pair(3)


def _front(opdef: OpDef, axes: int, name: str, is_inverse: bool) -> Any:
    def transform(input_tensor: Any, fft_length: Any = None, name: str | None = None) -> Tensor:
        with name_scope(name, default, [input_tensor, fft_length]) as scope:
            x = convert.convert_to_tensor(
                input_tensor, None if is_inverse else dtypes.float32
                if not hasattr(input_tensor, "dtype") else None,
            )  # fmt: skip
            allowed = COMPLEX if is_inverse else REAL
            if x.dtype not in allowed:
                raise ValueError(
                    f"{opdef.type} requires {sorted(map(repr, allowed))} inputs, got: {x}"
                )
            is_whole = fft_length is None
            if is_whole:
                sizes = shaping.shape(x)[-axes:]
                if is_inverse:
                    sizes = joining.concat(
                        [sizes[:-1], elementwise.maximum(0, 2 * (sizes[-1:] - 1))], 0
                    )
                fft_length = sizes
            length = convert.convert_to_tensor(fft_length, dtypes.int32)
            if not length.shape.is_compatible_with([axes]):
                raise ShapeError(f"Dimension must be {axes} but is {length.shape[0]} for '{scope}'")
            kinds = (
                {"Treal": x.dtype.real_dtype} if is_inverse
                else {"Tcomplex": dtypes.complex128 if x.dtype == dtypes.float64 else dtypes.complex64}
            )  # fmt: skip
            held = joining.concat([length[:-1], length[-1:] // 2 + 1], 0) if is_inverse else length
            found = opdef(_filled(x, held, axes), length, name=scope, **kinds)
            known = constant_value(length)
            if is_whole and known is None and x.shape.sizes is not None and not is_inverse:
                last = x.shape.sizes[-1]
                tail = None if last is None else last // 2 + 1
                found.set_shape([*x.shape.sizes[:-1], tail])
            return found

    default = name
    transform.__doc__ = opdef.__doc__
    transform.__name__ = name
    return transform


rfft = _front(rfft_op, 1, "rfft", False)
irfft = _front(irfft_op, 1, "irfft", True)
rfft2d = _front(rfft2d_op, 2, "rfft2d", False)
irfft2d = _front(irfft2d_op, 2, "irfft2d", True)
rfft3d = _front(rfft3d_op, 3, "rfft3d", False)
irfft3d = _front(irfft3d_op, 3, "irfft3d", True)


OFFSETS = {1: (0.0, 0.0), 2: (0.5, 0.0), 3: (0.0, 0.5), 4: (0.5, 0.5)}
"""For each type of cosine transform, what is added to the places of samples and of frequencies."""


def _cosines(places: Any, size: Any, kind: int, norm: str | None, xp: Any) -> Any:
    """The matrix C of the transform y = x C of type `kind`; [n, k]. `places`: 0 to size - 1, in float64.

    They are arrays with numpy as `xp`, tensors with `elementwise`. Source: the definitions of DCT I to IV.
    """
    at_sample, at_frequency = OFFSETS[kind]
    period = size - 1 if kind == 1 else size
    angles = (places + at_sample)[:, None] * (places + at_frequency) * (math.pi / period)
    found = 2 * xp.cos(angles)
    is_first = 1 - xp.sign(places)
    if kind == 1:
        is_last = 1 - xp.sign(period - places)
        found = found * (1 - (is_first + is_last) / 2)[:, None]
    if kind == 3:
        found = found * (1 - is_first / 2)[:, None]
    if norm != "ortho":
        return found
    if kind == 2:
        found = found * (1 - is_first * (1 - math.sqrt(0.5)))
    if kind == 3:
        found = found * (1 - is_first * (1 - math.sqrt(2)))[:, None]
    return found * xp.sqrt(0.5 / size)


def _cosine_matrix(count: Any, kind: int, norm: str | None, dtype: Any) -> Tensor:
    if not isinstance(count, Tensor):
        known = _cosines(np.arange(count, dtype=np.float64), count, kind, norm, np)
        return constants.constant(known, dtype=dtype)
    places, size = (casting.cast(x, dtypes.float64) for x in (indexing.range_(count), count))
    return casting.cast(_cosines(places, size, kind, norm, elementwise), dtype)


def _check_dct(kind: Any, axis: Any, norm: Any, n: int | None, size: int | None) -> None:
    if axis != -1:
        raise NotImplementedError(f"axis must be -1. Got: {axis}")
    if n is not None and n < 1:
        raise ValueError("n should be a positive integer or None")
    if kind not in (1, 2, 3, 4):
        raise ValueError("Types I, II, III and IV (I)DCT are supported.")
    if kind == 1 and norm == "ortho":
        raise ValueError("Normalization is not supported for the Type-I DCT.")
    if kind == 1 and size is not None and size < 2:
        raise ValueError("DCT-I requires the dimension to be greater than one.")
    if norm not in (None, "ortho"):
        raise ValueError(f"Unknown normalization. Expected None or 'ortho', got: {norm}")


def dct(
    input: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The cosine transform of type I to IV over the last axis, cut off or filled up with zeros to `n` elements.

    Raises ValueError for another type or norm.
    """
    from ckpt.ops import matmul

    with name_scope(name, "dct", [input]):
        x = convert.convert_to_tensor(input, name="input")
        size = None if x.shape.rank is None else x.shape[-1].value
        _check_dct(type, axis, norm, n, n or size)
        known = n or size
        count = shaping.shape(x)[-1] if known is None else known
        if n is not None:
            x = x[..., :n]
        rows = shaping.shape(x)[-1] if size is None else min(size, count)
        matrix = _cosine_matrix(count, type, norm, x.dtype)[:rows]
        flat = shaping.reshape(x, joining.stack([-1, rows]))
        shape = joining.concat([shaping.shape(x)[:-1], joining.stack([count])], 0)
        found = shaping.reshape(matmul.matmul(flat, matrix), shape)
        if x.shape.sizes is not None:
            found.set_shape([*x.shape.sizes[:-1], known])
        return found


def idct(
    input: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The inverse of `dct` but for a factor: type III undoes type II, and the reverse; I and IV undo themselves."""
    return dct(input, {2: 3, 3: 2}.get(type, type), n, axis, norm, name or "idct")
