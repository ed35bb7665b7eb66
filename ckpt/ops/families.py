"""Builders for operations that differ in one function: a member is one line. Knows no member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt.core import shapes
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies
from ckpt.graph.signature import Attr

Kernel = Callable[..., Any]


def same_shape(x, *_):
    """The shape rule of operations that work element by element on their first input."""
    return [x.shape]


def broadcast_shape(x, y):
    """The shape rule of operations that broadcast two inputs."""
    return [shapes.broadcast(x.shape, y.shape)]


def unary(
    type_name: str,
    kernel: Kernel | str,
    kinds: frozenset | Attr,
    gradient: Kernel | str,
    signature: str = "x: T -> y: T",
    late: bool = False,
) -> OpDef:
    """`y = kernel(x)`, element by element. `kernel` may be the name of a function of the array namespace.

    `gradient(x, y, dy)` builds dx; a string says why there is none. Where it is `late`, what it computes of x alone
    waits for dy, so that these values do not live longer than they must.
    """
    opdef = op(type_name, signature, T=kinds)(_as_kernel(kernel))
    opdef.direct = kernel if isinstance(kernel, str) else None
    opdef.shape(same_shape)
    if isinstance(gradient, str):
        return opdef.no_gradient(gradient)

    @opdef.grad
    def rule(node, dy):
        if not late:
            return [gradient(node.inputs[0], node.outputs[0], dy)]
        with control_dependencies([dy]):
            return [gradient(node.inputs[0], node.outputs[0], dy)]

    return opdef


def binary(
    type_name: str,
    kernel: Kernel | str,
    kinds: frozenset | Attr,
    gradient: Kernel | str,
    signature: str = "x: T, y: T -> z: T",
    equal_shapes: bool = False,
) -> OpDef:
    """`z = kernel(x, y)`, element by element with broadcasting.

    `gradient(x, y, z, dz)` builds (dx, dy) as if nothing were broadcast; the sums that undo the broadcasting are
    added here: none, nor the shapes, where `equal_shapes` and these are static. A string says why there is no gradient.
    """
    opdef = op(type_name, signature, T=kinds)(_as_kernel(kernel))
    opdef.direct = kernel if isinstance(kernel, str) else None
    opdef.shape(broadcast_shape)
    if isinstance(gradient, str):
        return opdef.no_gradient(gradient)

    @opdef.grad
    def rule(node, dz):
        from ckpt.ops.unbroadcasting import unbroadcast  # it builds on this module

        x, y = node.inputs
        dx, dy = gradient(x, y, node.outputs[0], dz)
        if dx is dy is None or (equal_shapes and have_equal_shapes(x, y)):
            return [dx, dy]
        return unbroadcast(x, y, dx, dy)

    return opdef


def have_equal_shapes(x: Tensor, y: Tensor) -> bool:
    """True where both shapes are wholly known, and the same."""
    return x.shape.sizes == y.shape.sizes and x.shape.is_fully_defined()


def binary_by_slopes(
    type_name: str,
    kernel: Kernel,
    kinds: frozenset,
    slopes: Kernel,
    signature: str = "x: T, y: T -> z: T",
) -> OpDef:
    """`z = kernel(x, y)`, with broadcasting; `slopes(x, y)` builds dz/dx and dz/dy, None where there is none."""
    opdef = op(type_name, signature, T=kinds)(kernel)
    opdef.shape(broadcast_shape)

    @opdef.grad
    def rule(node, dz):
        from ckpt.ops import reduction, shaping  # they build on this module
        from ckpt.ops.unbroadcasting import broadcast_gradient_args  # as these do

        x, y = node.inputs
        shape_x, shape_y = shaping.shape(x), shaping.shape(y)
        axes_x, axes_y = broadcast_gradient_args(shape_x, shape_y)
        with control_dependencies([dz]):
            by_x, by_y = slopes(x, y)
        return [
            None if slope is None else shaping.reshape(reduction.sum_op(slope * dz, axes), shape)
            for slope, axes, shape in ((by_x, axes_x, shape_x), (by_y, axes_y, shape_y))
        ]

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
