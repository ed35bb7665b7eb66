"""Stacks that live for one run: where gradients of TensorFlow 1's loops keep what the forward loop computed."""

from __future__ import annotations

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr


@op("StackV2", "max_size: int32 -> handle: resource", elem_type=Attr("type"), stack_name="")
def stack_v2(max_size):
    """A new stack."""
    return []


stack_v2.shape(lambda max_size: [(2,)])
stack_v2.stateful()
stack_v2.no_gradient("it depends on no value")


@op("StackPushV2", "handle: resource, elem: T -> output: T", T=Attr("type"), swap_memory=False)
def stack_push_v2(handle, elem):
    """Put `elem` on the stack, and return it."""
    handle.append(elem)
    return elem


stack_push_v2.shape(lambda handle, elem: [elem.shape])
stack_push_v2.stateful()


@stack_push_v2.grad
def stack_push_v2_grad(node, dy):
    return [None, dy]


@op("StackPopV2", "handle: resource -> elem: elem_type", elem_type=Attr("type"))
def stack_pop_v2(handle):
    """Take the element that was put last. Raises InvalidArgumentError when the stack is empty."""
    if not handle:
        raise InvalidArgumentError(None, None, "Stack is empty when calling Pop()")
    return handle.pop()


stack_pop_v2.shape(lambda handle: [None])
stack_pop_v2.stateful()
stack_pop_v2.no_gradient("the gradient of what was pushed is found where it was pushed")


@op("StackCloseV2", "handle: resource ->")
def stack_close_v2(handle):
    """Let go of what is on the stack."""
    handle.clear()


stack_close_v2.stateful()
stack_close_v2.no_gradient("it has no outputs")
