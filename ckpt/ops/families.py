"""Builders for operations that differ in one function: a member is one line. Knows no member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt.core import shapes
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.signature import Attr
from ckpt.ops import reduction

Kernel = Callable[..., Any]


def same_shape(x, *_):
    """The shape rule of operations that work element by element on their first input."""
    return [x.shape]


def broadcast_shape(x, y):
    """The shape rule of operations that broadcast two inputs."""
    return [shapes.broadcast(x.shape, y.shape)]


def scalar_shape(*_):
    """The shape rule of operations that give a scalar."""
    return [TensorShape.of(())]


def unary(
    type_name: str,
    kernel: Kernel | str,
    kinds: frozenset | Attr,
    gradient: Kernel | str,
    signature: str = "x: T -> y: T",
) -> OpDef:
    """`y = kernel(x)`, element by element. `kernel` may be the name of a function of the array namespace.

    `gradient(x, y, dy)` builds dx; a string says why there is none.
    """
    opdef = op(type_name, signature, T=kinds)(_as_kernel(kernel))
    opdef.direct = kernel if isinstance(kernel, str) else None
    opdef.shape(same_shape)
    if isinstance(gradient, str):
        return opdef.no_gradient(gradient)

    @opdef.grad
    def rule(node, dy):
        return [gradient(node.inputs[0], node.outputs[0], dy)]

    return opdef


def binary(
    type_name: str,
    kernel: Kernel | str,
    kinds: frozenset | Attr,
    gradient: Kernel | str,
    signature: str = "x: T, y: T -> z: T",
) -> OpDef:
    """`z = kernel(x, y)`, element by element with broadcasting.

    `gradient(x, y, z, dz)` builds (dx, dy) as if nothing were broadcast; the sums that undo the broadcasting are
    added here. A string says why there is none.
    """
    opdef = op(type_name, signature, T=kinds)(_as_kernel(kernel))
    opdef.direct = kernel if isinstance(kernel, str) else None
    opdef.shape(broadcast_shape)
    if isinstance(gradient, str):
        return opdef.no_gradient(gradient)

    @opdef.grad
    def rule(node, dz):
        x, y = node.inputs
        dx, dy = gradient(x, y, node.outputs[0], dz)
        return reduction.unbroadcast(x, y, dx, dy)

    return opdef


def comparison(type_name: str, kernel: Kernel | str, kinds: frozenset) -> OpDef:
    """`z = kernel(x, y)` of dtype bool, element by element with broadcasting."""
    opdef = op(type_name, "x: T, y: T -> z: bool", T=kinds)(_as_kernel(kernel))
    opdef.direct = kernel if isinstance(kernel, str) else None
    opdef.shape(broadcast_shape)
    return opdef.no_gradient("a truth value has no derivative")


def _as_kernel(kernel: Kernel | str) -> Kernel:
    if not isinstance(kernel, str):
        return kernel

    def from_namespace(xp, *inputs):
        return getattr(xp, kernel)(*inputs)

    from_namespace.__name__ = kernel
    from_namespace.__doc__ = f"The function `{kernel}` of the array namespace, element by element."
    return from_namespace
