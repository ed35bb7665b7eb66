"""The updates of adaptive and regularised optimizers: one formula each, four operations of it.

A formula gets stretches of the state and of the gradient, all of one size, and changes the state in place. From it come
the update of a whole variable, block by block, and that of some rows, each by reference and by handle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np

from ckpt.core.cells import opened, renewed
from ckpt.core.dtypes import INDEX, NUMERIC
from ckpt.ops.training import by_handle, check_rows, each_block, update

Formula = Callable[..., None]


def _family(
    name: str, inputs: str, *, of_rows: bool = True, **attrs: Any
) -> Callable[..., Formula]:
    """Decorator: `Apply<name>`, `SparseApply<name>` and both with `Resource` before, from a formula.

    Args:
        name: of the optimizer, in TensorFlow's type names.
        inputs: of the dense update; references come first, the gradient is called `grad` or `delta`.
        of_rows: whether TensorFlow has the update of some rows.
        attrs: further attributes and their defaults, as in `op`.
    """

    def define(formula: Formula) -> Formula:
        whole = _whole(formula, *_places(inputs))
        update(f"Apply{name}", inputs, T=NUMERIC, **attrs)(whole)
        if of_rows:
            rows = _of_rows(formula, *_places(inputs))
            named = inputs.replace("delta: T", "grad: T").replace(
                "grad: T", "grad: T, indices: Tindices"
            )
            update(f"SparseApply{name}", named, T=NUMERIC, Tindices=INDEX, **attrs)(rows)
        return formula

    return define


def _places(inputs: str) -> tuple[int, int]:
    """(number of references, place of the gradient) in the inputs of an update."""
    parts = [part.split(":") for part in inputs.split(", ")]
    states = sum("&" in kind for _, kind in parts)
    return states, next(i for i, (name, _) in enumerate(parts) if name in ("grad", "delta"))


def _whole(formula: Formula, states: int, place: int) -> Formula:
    @wraps(formula)
    def kernel(*given, **attrs):
        cells, grad = given[:states], given[place]
        scalars = given[states:place] + given[place + 1 :]
        for cell in cells:
            cell.check_shape(grad)
        with renewed(*cells) as state:
            each_block(lambda *block: formula(*block, *scalars, **attrs), *state, grad)

    return kernel


def _of_rows(formula: Formula, states: int, place: int) -> Formula:
    @wraps(formula)
    def kernel(*given, **attrs):
        cells, grad, indices = given[:states], given[place], given[place + 1]
        scalars = given[states:place] + given[place + 2 :]
        with opened(*cells) as state:
            for array in state:
                check_rows(array, grad, indices)
            for rows in _turns(indices):
                at = indices[rows]
                parts = [array[at] for array in state]
                formula(*parts, grad[rows], *scalars, **attrs)
                for array, part in zip(state, parts, strict=True):
                    array[at] = part

    return kernel


def _turns(indices: Any) -> Iterator[slice]:
    """Which of the indices to serve together: all of them, or one after the other where one is named twice."""
    if np.unique(indices).size == indices.size:
        yield slice(None)
    else:
        yield from (slice(i, i + 1) for i in range(indices.size))


@_family("Adagrad", "var: &T, accum: &T, lr: T, grad: T", update_slots=True)
def adagrad(var, accum, grad, lr, *, update_slots):
    """accum += grad ** 2; var -= lr * grad / sqrt(accum).

    Source: Duchi, Hazan & Singer 2011, http://jmlr.org/papers/v12/duchi11a.html.
    """
    if update_slots:
        accum += grad * grad
    var -= lr * grad / np.sqrt(accum)


@_family("AdagradV2", "var: &T, accum: &T, lr: T, epsilon: T, grad: T", update_slots=True)
def adagrad_v2(var, accum, grad, lr, epsilon, *, update_slots):
    """accum += grad ** 2; var -= lr * grad / (sqrt(accum) + epsilon)."""
    if update_slots:
        accum += grad * grad
    var -= lr * grad / (np.sqrt(accum) + epsilon)


@_family(
    "AdagradDA",
    "var: &T, gradient_accumulator: &T, gradient_squared_accumulator: &T, grad: T, lr: T, l1: T, l2: T, "
    "global_step: int64",
)
def adagrad_da(var, total, squares, grad, lr, l1, l2, global_step):
    """The dual average: var solves a regularised problem over the sum of all gradients so far.

    Source: Duchi, Hazan & Singer 2011, http://jmlr.org/papers/v12/duchi11a.html, section 5.
    """
    total += grad
    squares += grad * grad
    step = grad.dtype.type(global_step)
    var[...] = -lr * _shrunk(total, l1 * step) / (l2 * step * lr + np.sqrt(squares))


@_family(
    "Adadelta",
    "var: &T, accum: &T, accum_update: &T, lr: T, rho: T, epsilon: T, grad: T",
)
def adadelta(var, accum, accum_update, grad, lr, rho, epsilon):
    """Steps of the size that the last ones had: both squares, of gradients and of steps, are running means.

    Source: Zeiler 2012, arXiv:1212.5701.
    """
    _averaged(accum, grad * grad, rho)
    step = np.sqrt(accum_update + epsilon) / np.sqrt(accum + epsilon) * grad
    var -= lr * step
    _averaged(accum_update, step * step, rho)


@_family(
    "RMSProp",
    "var: &T, ms: &T, mom: &T, lr: T, rho: T, momentum: T, epsilon: T, grad: T",
)
def rms_prop(var, ms, mom, grad, lr, rho, momentum, epsilon):
    """The gradient over the root of the running mean of its square, with momentum.

    Source: Hinton, http://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf.
    """
    ms += (grad * grad - ms) * (1 - rho)
    _moved(var, mom, lr * grad / np.sqrt(ms + epsilon), momentum)


@_family(
    "CenteredRMSProp",
    "var: &T, mg: &T, ms: &T, mom: &T, lr: T, rho: T, momentum: T, epsilon: T, grad: T",
)
def centered_rms_prop(var, mg, ms, mom, grad, lr, rho, momentum, epsilon):
    """As RMSProp, by the variance instead of the mean square. Source: Graves 2013, arXiv:1308.0850, section 4.2."""
    ms += (grad * grad - ms) * (1 - rho)
    mg += (grad - mg) * (1 - rho)
    _moved(var, mom, lr * grad / np.sqrt(ms - mg * mg + epsilon), momentum)


@_family(
    "Ftrl",
    "var: &T, accum: &T, linear: &T, grad: T, lr: T, l1: T, l2: T, lr_power: T",
    multiply_linear_by_lr=False,
)
def ftrl(var, accum, linear, grad, lr, l1, l2, lr_power, *, multiply_linear_by_lr):
    """Follow the regularised leader, per coordinate.

    Source: McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches", algorithm 1.
    """
    _followed(var, accum, linear, grad, grad, lr, l1, l2, lr_power, multiply_linear_by_lr)


@_family(
    "FtrlV2",
    "var: &T, accum: &T, linear: &T, grad: T, lr: T, l1: T, l2: T, l2_shrinkage: T, lr_power: T",
    multiply_linear_by_lr=False,
)
def ftrl_v2(var, accum, linear, grad, lr, l1, l2, l2_shrinkage, lr_power, *, multiply_linear_by_lr):
    """As Ftrl; besides, the gradient of l2_shrinkage * var ** 2 enters `linear`, not `accum`."""
    shrinking = grad + 2 * l2_shrinkage * var
    _followed(var, accum, linear, grad, shrinking, lr, l1, l2, lr_power, multiply_linear_by_lr)


@_family("ProximalGradientDescent", "var: &T, alpha: T, l1: T, l2: T, delta: T")
def proximal_gradient_descent(var, delta, alpha, l1, l2):
    """Gradient descent, then the proximal step for l1 and l2.

    Source: Duchi & Singer 2009, "Efficient Learning using Forward-Backward Splitting".
    """
    var[...] = _shrunk(var - alpha * delta, alpha * l1) / (1 + alpha * l2)


@_family("ProximalAdagrad", "var: &T, accum: &T, lr: T, l1: T, l2: T, grad: T")
def proximal_adagrad(var, accum, grad, lr, l1, l2):
    """As ProximalGradientDescent, with Adagrad's step sizes."""
    accum += grad * grad
    proximal_gradient_descent(var, grad, lr / np.sqrt(accum), l1, l2)


@_family(
    "AdaMax",
    "var: &T, m: &T, v: &T, beta1_power: T, lr: T, beta1: T, beta2: T, epsilon: T, grad: T",
    of_rows=False,
)
def ada_max(var, m, v, grad, beta1_power, lr, beta1, beta2, epsilon):
    """Adam by the largest gradient that is not yet forgotten. Source: Kingma & Ba 2014, arXiv:1412.6980, section 7.1."""
    m += (grad - m) * (1 - beta1)
    np.maximum(beta2 * v, np.abs(grad), out=v)
    var -= lr / (1 - beta1_power) * (m / (v + epsilon))


@_family(
    "AddSign",
    "var: &T, m: &T, lr: T, alpha: T, sign_decay: T, beta: T, grad: T",
    of_rows=False,
)
def add_sign(var, m, grad, lr, alpha, sign_decay, beta):
    """The gradient, larger where it agrees in sign with its running mean. Source: Bello et al. 2017, arXiv:1709.07417."""
    _averaged(m, grad, beta)
    var -= lr * (alpha + sign_decay * np.sign(grad) * np.sign(m)) * grad


@_family(
    "PowerSign",
    "var: &T, m: &T, lr: T, logbase: T, sign_decay: T, beta: T, grad: T",
    of_rows=False,
)
def power_sign(var, m, grad, lr, logbase, sign_decay, beta):
    """As AddSign, with a power of the agreement. Source: Bello et al. 2017, arXiv:1709.07417."""
    _averaged(m, grad, beta)
    var -= lr * np.exp(logbase * sign_decay * np.sign(grad) * np.sign(m)) * grad


def _averaged(mean: Any, value: Any, decay: Any) -> None:
    """mean = decay * mean + (1 - decay) * value, in place."""
    mean *= decay
    mean += value * (1 - decay)


def _moved(var: Any, mom: Any, step: Any, momentum: Any) -> None:
    """mom = momentum * mom + step; var -= mom."""
    mom *= momentum
    mom += step
    var -= mom


def _shrunk(value: Any, by: Any) -> Any:
    """The value, nearer to zero by `by`; zero where that is farther than zero."""
    return value - np.minimum(np.maximum(value, -by), by) if np.any(by) else value


def _rooted(accum: Any, lr_power: Any) -> Any:
    """accum ** -lr_power, of which the square root is the usual case and many times as fast."""
    return np.sqrt(accum) if lr_power == -0.5 else accum**-lr_power


def _followed(
    var: Any,
    accum: Any,
    linear: Any,
    grad: Any,
    pull: Any,
    lr: Any,
    l1: Any,
    l2: Any,
    lr_power: Any,
    is_scaled: bool,
) -> None:
    """One step of Ftrl, of which `pull` enters `linear`; that holds lr times as much where `is_scaled`."""
    before = _rooted(accum, lr_power)
    accum += grad * grad
    after = _rooted(accum, lr_power)
    scale, rate = (lr, lr.dtype.type(1)) if is_scaled else (lr.dtype.type(1), lr)
    linear += scale * pull - (after - before) / rate * var
    quadratic = after / rate + 2 * l2 * scale
    edge = l1 * scale
    var.fill(0)
    np.divide(-_shrunk(linear, edge), quadratic, out=var, where=np.abs(linear) > edge)


@by_handle(
    "ApplyAdamWithAmsgrad",
    "var: &T, m: &T, v: &T, vhat: &T, beta1_power: T, beta2_power: T, lr: T, beta1: T, beta2: T, epsilon: T, grad: T",
    T=NUMERIC,
)
def adam_with_amsgrad(var, m, v, vhat, beta1_power, beta2_power, lr, beta1, beta2, epsilon, grad):
    """Adam with a step size that never grows again. Source: Reddi, Kale & Kumar 2018, arXiv:1904.09237."""
    for cell in (var, m, v, vhat):
        cell.check_shape(grad)
    alpha = lr * np.sqrt(1 - beta2_power) / (1 - beta1_power)

    def formula(x, mean, square, largest, g):
        mean += (g - mean) * (1 - beta1)
        square += (g * g - square) * (1 - beta2)
        np.maximum(largest, square, out=largest)
        x -= alpha * mean / (np.sqrt(largest) + epsilon)

    with renewed(var, m, v, vhat) as state:
        each_block(formula, *state, grad)
