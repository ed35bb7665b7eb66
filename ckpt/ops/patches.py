"""The arithmetic of convolution on arrays: windows laid out as matrices, and their products. Knows no operation.

Images are [batch, rows, columns, channels], filters [rows, columns, channels, outputs].
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ckpt.core.errors import InvalidArgumentError
from ckpt.ops.windows import Axis

PATCH_BYTES = 1 << 21
"""How many bytes of patches are laid out at a time: what the caches between the cores and memory hold."""


def _padding(count: int, x, rows: Axis, columns: Axis):
    """Zeros for `count` images of `x` with a margin as wide as windows reach, and where in them the images go.

    (None, ()) where no window reaches beyond an image.
    """
    high, low = rows.before, max(rows.after, 0)
    left, right = columns.before, max(columns.after, 0)
    if not (high or low or left or right):
        return None, ()
    _, h, w, c = x.shape
    wide = np.zeros((count, h + high + low, w + left + right, c), x.dtype)
    return wide, (slice(high, high + h), slice(left, left + w))


def _patches(x, rows: Axis, columns: Axis):
    """The windows of a padded image as a view [batch, rows, columns, window rows, window columns, channels]."""
    n, h, w, c = x.strides
    return as_strided(
        x,
        (x.shape[0], rows.count, columns.count, rows.window, columns.window, x.shape[3]),
        (n, h * rows.stride, w * columns.stride, h * rows.dilation, w * columns.dilation, c),
        writeable=False,
    )


def _is_pointwise(rows: Axis, columns: Axis) -> bool:
    return rows.window == columns.window == rows.stride == columns.stride == 1 and not (
        rows.before or rows.after or columns.before or columns.after
    )


def _step(batch: int, bytes_each: int) -> int:
    """How many images have patches that fit in PATCH_BYTES; at least one."""
    return max(1, min(batch, PATCH_BYTES // max(bytes_each, 1)))


def _chunks(batch: int, step: int):
    """Slices of the batch, `step` images each."""
    for start in range(0, batch, step):
        yield slice(start, min(start + step, batch))


def _patch_matrices(x, rows: Axis, columns: Axis):
    """(slice of the batch, matrix [positions, window elements]) until the batch is through; the next overwrites it."""
    if _is_pointwise(rows, columns):
        yield slice(0, x.shape[0]), x.reshape(-1, x.shape[3])
        return
    width = rows.window * columns.window * x.shape[3]
    positions = rows.count * columns.count
    step = _step(x.shape[0], positions * width * x.dtype.itemsize)
    wide, inside = _padding(step, x, rows, columns)
    memory = np.empty(step * positions * width, x.dtype)
    for part in _chunks(x.shape[0], step):
        images = x[part]
        if wide is not None:
            wide[(slice(len(images)), *inside)] = images
            images = wide[: len(images)]
        windows = _patches(images, rows, columns)
        # With few channels, runs along the output columns are longer than those along the window.
        is_turned = x.shape[3] * columns.window < columns.count
        if is_turned:
            windows = windows.transpose(3, 4, 5, 0, 1, 2)
        laid_out = memory[: windows.size].reshape(windows.shape)
        laid_out[...] = windows
        yield part, laid_out.reshape(width, -1).T if is_turned else laid_out.reshape(-1, width)


def _grouped(x, filters):
    """How many groups the channels of `x` fall into for these filters. Raises InvalidArgumentError if none fits."""
    depth, wanted = x.shape[3], filters.shape[2]
    if wanted == 0 or depth % wanted or filters.shape[3] % (depth // wanted):
        raise InvalidArgumentError(
            None, None, f"input depth must be evenly divisible by filter depth: {depth} vs {wanted}"
        )
    return depth // wanted


def convolve(x, filters, rows: Axis, columns: Axis):
    """The convolution of `x` with `filters`, in groups of channels where the filters have fewer."""
    groups = _grouped(x, filters)
    if groups > 1:
        parts = zip(np.split(x, groups, axis=3), np.split(filters, groups, axis=3), strict=True)
        return np.concatenate([convolve(a, f, rows, columns) for a, f in parts], axis=3)
    y = np.empty((x.shape[0], rows.count, columns.count, filters.shape[3]), x.dtype)
    matrix = filters.reshape(-1, filters.shape[3])
    for part, patches in _patch_matrices(x, rows, columns):
        np.matmul(patches, matrix, out=y[part].reshape(-1, matrix.shape[1]))
    return y


def filter_gradient(x, sizes, dy, rows: Axis, columns: Axis):
    """The gradient of `convolve` by filters of these sizes."""
    groups = x.shape[3] // sizes[2]
    if groups > 1:
        size = (*sizes[:3], sizes[3] // groups)
        parts = zip(np.split(x, groups, axis=3), np.split(dy, groups, axis=3), strict=True)
        return np.concatenate(
            [filter_gradient(a, size, d, rows, columns) for a, d in parts], axis=3
        )
    total = None
    for part, patches in _patch_matrices(x, rows, columns):
        product = np.matmul(patches.T, np.ascontiguousarray(dy[part]).reshape(-1, sizes[3]))
        total = product if total is None else np.add(total, product, out=total)
    return np.zeros(sizes, x.dtype) if total is None else total.reshape(sizes)


def input_gradient(sizes, filters, dy, rows: Axis, columns: Axis):
    """The gradient of `convolve` by an image of these sizes."""
    groups = sizes[3] // filters.shape[2]
    if groups > 1:
        size = (*sizes[:3], sizes[3] // groups)
        parts = zip(np.split(filters, groups, axis=3), np.split(dy, groups, axis=3), strict=True)
        return np.concatenate([input_gradient(size, f, d, rows, columns) for f, d in parts], axis=3)
    dy = np.ascontiguousarray(dy)
    if _is_pointwise(rows, columns):
        return np.matmul(dy.reshape(-1, dy.shape[3]), filters[0, 0].T).reshape(sizes)
    if rows.stride == columns.stride == 1 and dy.shape[3] <= 2 * sizes[3]:
        return convolve(dy, _turned(filters), *(_opposite(axis) for axis in (rows, columns)))
    return _scattered(sizes, filters, dy, rows, columns)


def _turned(filters):
    """The filters rotated by half a turn, with inputs and outputs exchanged."""
    return np.ascontiguousarray(filters[::-1, ::-1].transpose(0, 1, 3, 2))


def _opposite(axis: Axis) -> Axis:
    """The windows over the output that each input element of a convolution with stride 1 is in."""
    return Axis(axis.count, axis.window, 1, axis.dilation, axis.reach - 1 - axis.before, axis.size)


def _scattered(sizes, filters, dy, rows: Axis, columns: Axis):
    dx = np.zeros(sizes, dy.dtype)
    taps = [(r, c) for r in rows.taps() for c in columns.taps()]
    step = _step(dy.shape[0], rows.count * columns.count * sizes[3] * dy.dtype.itemsize)
    for part in _chunks(dy.shape[0], step):
        flat = dy[part].reshape(-1, dy.shape[3])
        shape = (part.stop - part.start, rows.count, columns.count, sizes[3])
        for (i, in_rows, out_rows), (j, in_columns, out_columns) in taps:
            share = np.matmul(flat, filters[i, j].T).reshape(shape)
            dx[part, in_rows, in_columns] += share[:, out_rows, out_columns]
    return dx
