"""Small functions of the nn group that join other operations: dense layers, swish, Poisson loss."""

from __future__ import annotations

import math
from typing import Any

from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import activation, casting, compare, constants, elementwise, matmul


def xw_plus_b(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """matmul(x, weights) + biases; x: [batch, in], weights: [in, out], biases: [out]."""
    with name_scope(name, "xw_plus_b", [x, weights, biases]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        weights = convert.convert_to_tensor(weights, name="weights")
        biases = convert.convert_to_tensor(biases, name="biases")
        return activation.bias_add(matmul.matmul(x, weights), biases, name=scope)


def relu_layer(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """relu(matmul(x, weights) + biases)."""
    with name_scope(name, "relu_layer", [x, weights, biases]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        weights = convert.convert_to_tensor(weights, name="weights")
        biases = convert.convert_to_tensor(biases, name="biases")
        return activation.relu(activation.bias_add(matmul.matmul(x, weights), biases), name=scope)


def swish(features: Any, beta: Any = 1.0) -> Tensor:
    """features * sigmoid(beta * features); Ramachandran et al. 2017, arXiv:1710.05941."""
    features = convert.convert_to_tensor(features, name="features")
    scaled = (
        features
        if isinstance(beta, float) and beta == 1.0
        else features * casting.cast(beta, features.dtype)
    )
    return features * elementwise.sigmoid(scaled)


def log_poisson_loss(
    targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None
) -> Tensor:
    """exp(log_input) - log_input * targets, with Stirling's term log(targets!) where the whole loss is asked for.

    Raises ValueError when the shapes differ.
    """
    with name_scope(name, "log_poisson_loss", [log_input, targets]):
        log_input = convert.convert_to_tensor(log_input, name="log_input")
        targets = convert.convert_to_tensor(targets, name="targets")
        if not targets.shape.is_compatible_with(log_input.shape):
            raise ValueError(
                f"`log_input` and `targets` must have the same shape, received ({log_input.shape} vs {targets.shape})."
            )
        loss = elementwise.exp(log_input) - log_input * targets
        if not compute_full_loss:
            return loss
        half = constants.constant(0.5, dtype=targets.dtype.base_dtype)
        circle = constants.constant(2 * math.pi, dtype=targets.dtype.base_dtype)
        leading = targets * elementwise.log(targets) - targets
        stirling = leading + half * elementwise.log(circle * targets)
        zeros, ones = constants.zeros_like(targets), constants.ones_like(targets)
        small = compare.logical_and(
            compare.greater_equal(targets, zeros), compare.less_equal(targets, ones)
        )
        return loss + compare.where(small, zeros, stirling)
