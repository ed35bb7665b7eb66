"""The updates of optimizers, each one operation, as in TensorFlow's core/ops/training_ops.cc."""

from __future__ import annotations

import numpy as np

from ckpt.core.dtypes import NUMERIC
from ckpt.graph.opdef import op


def _first_shape(var, *rest):
    return [var.shape]


@op("ApplyGradientDescent", "var: &T, alpha: T, delta: T -> out: &T", T=NUMERIC, use_locking=False)
def apply_gradient_descent(var, alpha, delta):
    """var -= alpha * delta."""
    var.check_shape(delta)
    var.write(var.read() - alpha * delta)
    return var


@op(
    "ApplyMomentum",
    "var: &T, accum: &T, lr: T, grad: T, momentum: T -> out: &T",
    T=NUMERIC,
    use_locking=False,
    use_nesterov=False,
)
def apply_momentum(var, accum, lr, grad, momentum, *, use_nesterov):
    """accum = momentum * accum + grad; var -= lr * accum, or with Nesterov lr * (grad + momentum * accum)."""
    var.check_shape(grad)
    velocity = momentum * accum.read() + grad
    step = lr * grad + (lr * momentum) * velocity if use_nesterov else lr * velocity
    updated = var.read() - step
    accum.write(velocity)
    var.write(updated)
    return var


@op(
    "ApplyAdam",
    "var: &T, m: &T, v: &T, beta1_power: T, beta2_power: T, lr: T, beta1: T, beta2: T, epsilon: T, grad: T -> out: &T",
    T=NUMERIC,
    use_locking=False,
    use_nesterov=False,
)
def apply_adam(
    var, m, v, beta1_power, beta2_power, lr, beta1, beta2, epsilon, grad, *, use_nesterov
):
    """One step of Adam with bias-corrected step size.

    Source: Kingma & Ba 2014, arXiv:1412.6980, the variant before section 2.1 (epsilon hat), as TensorFlow has it.
    """
    var.check_shape(grad)
    one = grad.dtype.type(1)
    alpha = lr * np.sqrt(one - beta2_power) / (one - beta1_power)
    first, second = m.read(), v.read()
    first = first + (grad - first) * (one - beta1)
    second = second + (grad * grad - second) * (one - beta2)
    direction = first * beta1 + grad * (one - beta1) if use_nesterov else first
    updated = var.read() - (direction * alpha) / (np.sqrt(second) + epsilon)
    m.write(first)
    v.write(second)
    var.write(updated)
    return var


for _update in (apply_gradient_descent, apply_momentum, apply_adam):
    _update.shape(_first_shape)
    _update.stateful()
    _update.no_gradient("updates are not differentiable")
