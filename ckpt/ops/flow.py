"""Functional control flow: If, Case, While and calls. What they mean is here; how they run fast is not known here."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.dtypes import DType
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.signature import Attr

TYPES = Attr("list(type)", minimum=0)
SHAPES = Attr("list(shape)", [])
FUNCTION = Attr("func")


def is_true(value: Any) -> bool:
    """Whether a condition holds: a number that is not 0, a string or tensor that is not empty."""
    array = np.asarray(value)
    if array.ndim == 0:
        return bool(array[()])
    return array.size > 0


def _declared(count: int, shapes: list[TensorShape]) -> list[TensorShape]:
    return list(shapes) if len(shapes) == count else [TensorShape.of(None)] * count


def _results_shape(opdef: OpDef) -> None:
    def rule(*inputs: Any, Tout: list[DType], output_shapes: list[TensorShape]) -> Any:
        return _declared(len(Tout), output_shapes)

    opdef.shape(rule)


def _if(type_name: str) -> OpDef:
    @op(
        type_name,
        "cond: Tcond, input: Tin... -> output: Tout...",
        Tcond=Attr("type"),
        Tin=TYPES,
        Tout=TYPES,
        then_branch=FUNCTION,
        else_branch=FUNCTION,
        output_shapes=SHAPES,
    )
    def if_(cond, *inputs, then_branch, else_branch):
        """The results of `then_branch(*inputs)` where `cond` holds, else those of `else_branch(*inputs)`."""
        return (then_branch if is_true(cond) else else_branch)(*inputs)

    _results_shape(if_)
    return if_


if_op = _if("If").stateful()
stateless_if = _if("StatelessIf")


def _case(type_name: str) -> OpDef:
    @op(
        type_name,
        "branch_index: int32, input: Tin... -> output: Tout...",
        Tin=TYPES,
        Tout=TYPES,
        branches=Attr("list(func)", minimum=1),
        output_shapes=SHAPES,
    )
    def case(branch_index, *inputs, branches):
        """The results of one of the branches; an index that is out of range takes the last."""
        index = int(branch_index)
        return branches[index if 0 <= index < len(branches) else -1](*inputs)

    _results_shape(case)
    return case


case_op = _case("Case").stateful()
stateless_case = _case("StatelessCase")


def _while(type_name: str) -> OpDef:
    @op(
        type_name,
        "input: T... -> output: T...",
        T=TYPES,
        cond=FUNCTION,
        body=FUNCTION,
        output_shapes=SHAPES,
        parallel_iterations=10,
    )
    def while_(*inputs, cond, body):
        """`inputs`, replaced by `body(*inputs)` as long as `cond(*inputs)` holds."""
        values = inputs
        while is_true(cond(*values)[0]):
            values = body(*values)
        return values

    def rule(*inputs: Any, T: list[DType], output_shapes: list[TensorShape]) -> Any:
        return _declared(len(T), output_shapes)

    while_.shape(rule)
    return while_


while_op = _while("While").stateful()
stateless_while = _while("StatelessWhile")


def _call(type_name: str) -> OpDef:
    @op(
        type_name,
        "args: Tin... -> output: Tout...",
        Tin=TYPES,
        Tout=TYPES,
        f=FUNCTION,
        config="",
        config_proto="",
        executor_type="",
    )
    def call(*args, f):
        """The results of the function `f`."""
        return f(*args)

    def rule(*args: Any, Tout: list[DType], f: Any) -> Any:
        body = args[0].graph._bodies.get(f.name) if args else None
        if body is None or len(body.outputs) != len(Tout):
            return [TensorShape.of(None)] * len(Tout)
        return [t.shape for t in body.outputs]

    call.shape(rule)

    return call


partitioned_call = _call("PartitionedCall")
stateful_partitioned_call = _call("StatefulPartitionedCall").stateful()


@op("OptionalFromValue", "components: Toutput_types... -> optional: variant",
    Toutput_types=Attr("list(type)", minimum=1))  # fmt: skip
def optional_from_value(*components):
    """A value that says that it is there."""
    return list(components)


optional_from_value.shape(lambda *components: [()])


@op("OptionalNone", "-> optional: variant")
def optional_none():
    """A value that says that there is none."""
    return []


optional_none.shape(lambda: [()])
optional_none.no_gradient("it holds nothing")


@op("OptionalHasValue", "optional: variant -> has_value: bool")
def optional_has_value(optional):
    """True when the value is there."""
    return np.bool_(bool(optional))


optional_has_value.shape(lambda optional: [()])
optional_has_value.no_gradient("a truth value has no derivative")


@op("OptionalGetValue", "optional: variant -> components: output_types...",
    output_types=Attr("list(type)", minimum=1), output_shapes=Attr("list(shape)", minimum=1))  # fmt: skip
def optional_get_value(optional):
    """What the value is. Raises InvalidArgumentError where there is none."""
    if not optional:
        raise InvalidArgumentError(None, None, "The given optional does not have a value.")
    return optional


optional_get_value.shape(lambda optional, *, output_shapes: output_shapes)


@optional_from_value.grad
def optional_from_value_grad(node, dy):
    shapes = [t.shape for t in node.inputs]
    return list(
        optional_get_value(dy, output_types=node.attrs["Toutput_types"], output_shapes=shapes)
    )


@optional_get_value.grad
def optional_get_value_grad(node, *dys):
    return [optional_from_value(list(dys))]
