"""Jacobians twice: as `gradients` builds them and by central differences, to compare them in tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ckpt.graph.operation import Tensor
from ckpt.graph.stack import get_default_session
from ckpt.model.gradients import gradients
from ckpt.ops.constants import constant

Matrix = Any


def compute_gradient(
    x: Any, x_shape: Any, y: Tensor, y_shape: Sequence[int], x_init_value: Any = None, delta: float = 1e-3,
    init_targets: Any = None, extra_feed_dict: Any = None,
) -> Any:  # fmt: skip
    """(theoretical, numeric) Jacobians of `y` by `x`, both [size of x, size of y]; a list of pairs for a list of `x`.

    Needs a default session, in which `init_targets` run first. The numeric one takes central differences of width
    2 * `delta` around `x_init_value` (random values where None). Complex numbers count as two real ones.
    Raises RuntimeError without a default session.
    """
    session = get_default_session()
    if session is None:
        raise RuntimeError(
            "compute_gradient needs a default session: `with tf.Session():` or `self.session()`"
        )
    if init_targets is not None:
        session.run(init_targets)
    is_list = isinstance(x, list)
    tensors = x if is_list else [x]
    shapes = x_shape if is_list else [x_shape]
    given = x_init_value if is_list else [x_init_value]
    starts = [
        _start(tensor, shape, value)
        for tensor, shape, value in zip(
            tensors, shapes, given or [None] * len(tensors), strict=True
        )
    ]
    feeds = dict(zip(tensors, starts, strict=True)) | dict(extra_feed_dict or {})
    pairs = [
        (
            _theoretical(session, tensor, y, y_shape, feeds),
            _numeric(session, tensor, y, feeds, delta),
        )
        for tensor in tensors
    ]
    return pairs if is_list else pairs[0]


def compute_gradient_error(*args: Any, **kwargs: Any) -> float:
    """The greatest difference between the two Jacobians of `compute_gradient`, which takes the same arguments."""
    found = compute_gradient(*args, **kwargs)
    pairs = found if isinstance(found, list) else [found]
    return float(max(np.max(np.abs(a - b), initial=0.0) for a, b in pairs))


def _start(tensor: Tensor, shape: Any, value: Any) -> Any:
    kind = tensor.dtype.base_dtype.as_numpy_dtype
    if value is not None:
        return np.array(value, kind)
    random = np.random.default_rng(0)
    drawn = random.standard_normal(tuple(shape))
    return (
        drawn + 1j * random.standard_normal(tuple(shape)) if np.dtype(kind).kind == "c" else drawn
    ).astype(kind)


def _parts(array: Any) -> Any:
    """A flat view of the real numbers in an array, complex ones as two."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def _theoretical(session: Any, x: Tensor, y: Tensor, y_shape: Sequence[int], feeds: Any) -> Matrix:
    kind = y.dtype.base_dtype.as_numpy_dtype
    seed = np.zeros(tuple(y_shape), kind)
    fed = constant(seed)
    (derivative,) = gradients(y, x, fed)
    columns = []
    for i in range(_parts(seed).size):
        _parts_of = seed.copy()
        _parts(_parts_of)[i] = 1
        if derivative is None:
            columns.append(np.zeros(_parts(feeds[x]).size))
            continue
        columns.append(_dense(session.run(derivative, feeds | {fed: _parts_of}), feeds[x]))
    return np.stack(columns, axis=1) if columns else np.zeros((_parts(feeds[x]).size, 0))


def _dense(found: Any, like: Any) -> Matrix:
    if hasattr(found, "indices"):  # rows of an IndexedSlices
        rows = np.zeros_like(like)
        np.add.at(rows, found.indices, found.values)
        found = rows
    return _parts(found).astype(np.float64)


def _numeric(session: Any, x: Tensor, y: Tensor, feeds: Any, delta: float) -> Matrix:
    start = feeds[x]
    rows = []
    for i in range(_parts(start).size):
        sides = []
        for sign in (1, -1):
            moved = start.copy()
            _parts(moved)[i] += sign * delta
            sides.append(_parts(session.run(y, feeds | {x: moved})).astype(np.float64))
        rows.append((sides[0] - sides[1]) / (2 * delta))
    return np.stack(rows)
