"""The updates of optimizers, each one operation, as in TensorFlow's core/ops/training_ops.cc.

They work in place, block by block, so that each block is read and written while it is in the processor's cache; blocks of
large variables are divided among threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np

from ckpt.core.cells import opened, renewed
from ckpt.core.dtypes import INDEX, NUMERIC
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.threads import cpu_count, side_by_side
from ckpt.graph.opdef import UNDEFINED, OpDef, op

BLOCK = 1 << 15
"""Elements per block: six arrays of this many float32 fit a cache of 1 MiB, and numpy's own overhead is small."""

LARGE = 1 << 19
"""Elements for each thread that are worth it: some tenths of a millisecond of work."""


def each_block(formula: Callable[..., None], *arrays: Any, scratch: int = 0) -> None:
    """Call the formula with the same short stretches of all arrays, in row-major order, and that many arrays to scribble on.

    Large arrays are divided among threads, which changes no bit: what a formula makes of an element depends on it alone.
    A pair of `renewed` is the array in which the formula finds the old values: copied stretch by stretch, while they are
    in the processor's cache anyway, they cost little more than the memory.
    """
    pairs = [array if type(array) is tuple else (array, None) for array in arrays]
    flat = [np.reshape(array, -1) for array, _ in pairs]
    old = [None if array is None else np.reshape(array, -1) for _, array in pairs]
    copied = [pair for pair in zip(flat, old, strict=True) if pair[1] is not None]
    size = flat[0].size
    threads = min(cpu_count(), size // LARGE)
    if threads < 2:
        _blocks_of(formula, flat, copied, scratch, 0, size)
        return
    share = -(-size // (threads * BLOCK)) * BLOCK
    side_by_side([
        partial(_blocks_of, formula, flat, copied, scratch, start, min(start + share, size))
        for start in range(0, size, share)
    ])  # fmt: skip


def _blocks_of(
    formula: Callable[..., None],
    flat: list[Any],
    copied: list[tuple[Any, Any]],
    scratch: int,
    start: int,
    stop: int,
) -> None:
    length = min(BLOCK, stop - start)
    free = [np.empty(length, flat[0].dtype) for _ in range(scratch)]
    for at in range(start, stop, BLOCK):
        end = min(at + BLOCK, stop)
        for new, old in copied:
            new[at:end] = old[at:end]
        formula(*[array[at:end] for array in flat], *[array[: end - at] for array in free])


def _shape_rule(inputs: str) -> Callable[..., list[Any]]:
    """The shape of the variable, which all states have, and the gradient of the whole where there is one."""
    parts = [part.split(": ") for part in inputs.split(", ")]
    of_rows = any(name == "indices" for name, _ in parts)
    alike = [
        place
        for place, (name, kind) in enumerate(parts)
        if "&" in kind or (name in ("grad", "delta") and not of_rows)
    ]

    def rule(*tensors: Any) -> list[Any]:
        shape = tensors[0].shape
        for place in alike[1:]:
            shape = shape.merge_with(tensors[place].shape)
        return [shape]

    return rule


def update(type_name: str, inputs: str, **attrs: Any) -> Callable[[Callable[..., Any]], OpDef]:
    """Decorator: the kernel, which changes cells in place, is the update `type_name` by reference and, with
    `Resource` before its name, the same by handle. Gives the one by reference."""

    def define(kernel: Callable[..., Any]) -> OpDef:
        @wraps(kernel)
        def by_reference(var, *rest, **given):
            kernel(var, *rest, **given)
            return var

        made = op(type_name, f"{inputs} -> out: &T", use_locking=False, **attrs)(by_reference)
        made.shape(_shape_rule(inputs))
        made.stateful().no_gradient(UNDEFINED)
        by_handle(type_name, inputs, **attrs)(kernel)
        return made

    return define


def by_handle(type_name: str, inputs: str, **attrs: Any) -> Callable[[Callable[..., Any]], OpDef]:
    """Decorator: the kernel, which changes cells in place, is the update `Resource<type_name>`."""

    def define(kernel: Callable[..., Any]) -> OpDef:
        @wraps(kernel)
        def of_cells(*cells, **given):
            kernel(*cells, **given)
            return ()

        made = op(
            f"Resource{type_name}",
            inputs.replace("&T", "resource") + " ->",
            use_locking=False,
            **attrs,
        )(of_cells)
        made.shape(lambda *inputs: [])
        return made.stateful().no_gradient(UNDEFINED)

    return define


@update(
    "ApplyGradientDescent",
    "var: &T, alpha: T, delta: T",
    T=NUMERIC,
)
def apply_gradient_descent(var, alpha, delta):
    """var -= alpha * delta."""
    var.check_shape(delta)

    def formula(v, d, step):
        v -= np.multiply(d, alpha, out=step)

    with renewed(var) as (value,):
        each_block(formula, value, delta, scratch=1)


@update(
    "ApplyMomentum",
    "var: &T, accum: &T, lr: T, grad: T, momentum: T",
    T=NUMERIC,
    use_nesterov=False,
)
def apply_momentum(var, accum, lr, grad, momentum, *, use_nesterov):
    """accum = momentum * accum + grad; var -= lr * accum, or with Nesterov lr * (grad + momentum * accum)."""
    var.check_shape(grad)
    accum.check_shape(grad)

    def formula(x, a, g, step):
        a *= momentum
        a += g
        if use_nesterov:
            np.multiply(a, lr * momentum, out=step)
            step += lr * g
        else:
            np.multiply(a, lr, out=step)
        x -= step

    with renewed(var, accum) as state:
        each_block(formula, *state, grad, scratch=1)


@update(
    "SparseApplyMomentum",
    "var: &T, accum: &T, lr: T, grad: T, indices: Tindices, momentum: T",
    T=NUMERIC,
    Tindices=INDEX,
    use_nesterov=False,
)
def sparse_apply_momentum(var, accum, lr, grad, indices, momentum, *, use_nesterov):
    """As ApplyMomentum, for the rows `indices` alone; a row that is named twice moves twice."""
    with opened(var, accum) as (value, velocity):
        check_rows(value, grad, indices)
        once = np.unique(indices).size == indices.size
        for rows in [slice(None)] if once else range(indices.size):
            at, g = indices[rows], grad[rows]
            a = velocity[at] * momentum + g
            velocity[at] = a
            value[at] -= lr * g + (lr * momentum) * a if use_nesterov else lr * a


def check_rows(array: Any, rows: Any, indices: Any) -> None:
    """Raise InvalidArgumentError unless there is one row per index, and each index is a row of `array`."""
    if np.ndim(indices) != 1 or np.shape(rows) != (np.size(indices), *array.shape[1:]):
        raise InvalidArgumentError(
            None,
            None,
            f"grad must have one row of shape {list(array.shape[1:])} per index, got grad of shape "
            f"{list(np.shape(rows))} for indices of shape {list(np.shape(indices))}",
        )
    wrong = np.flatnonzero((indices < 0) | (indices >= array.shape[0]))
    if wrong.size:
        raise InvalidArgumentError(
            None,
            None,
            f"Index {indices[wrong[0]]} at offset {wrong[0]} in indices is out of range [0, {array.shape[0]})",
        )


@update(
    "ApplyAdam",
    "var: &T, m: &T, v: &T, beta1_power: T, beta2_power: T, lr: T, beta1: T, beta2: T, epsilon: T, grad: T",
    T=NUMERIC,
    use_nesterov=False,
)
def apply_adam(
    var, m, v, beta1_power, beta2_power, lr, beta1, beta2, epsilon, grad, *, use_nesterov
):
    """One step of Adam with bias-corrected step size.

    Source: Kingma & Ba 2014, arXiv:1412.6980, the variant before section 2.1 (epsilon hat), as TensorFlow has it.
    """
    for cell in (var, m, v):
        cell.check_shape(grad)
    one = grad.dtype.type(1)
    alpha = lr * np.sqrt(one - beta2_power) / (one - beta1_power)

    def formula(x, mean, square, g, step, size):
        np.subtract(g, mean, out=step)
        step *= one - beta1
        mean += step
        np.multiply(g, g, out=step)
        step -= square
        step *= one - beta2
        square += step
        np.sqrt(square, out=size)
        size += epsilon
        if use_nesterov:
            np.multiply(mean, beta1, out=step)
            step += g * (one - beta1)
            step *= alpha
        else:
            np.multiply(mean, alpha, out=step)
        step /= size
        x -= step

    with renewed(var, m, v) as state:
        each_block(formula, *state, grad, scratch=2)
