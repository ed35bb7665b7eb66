"""TensorFlow 1's control flow primitives. Their kernels see live values only: dead ones are the executor's matter."""

from __future__ import annotations

from ckpt.core.shapes import TensorShape
from ckpt.graph.node_order import ROUND
from ckpt.graph.opdef import OpDef, op
from ckpt.graph.signature import Attr


def _refused(node, *dys):
    """Imported control flow runs as it is; without its regular structure it cannot be differentiated."""
    raise LookupError(
        f"No gradient defined for operation '{node.name}' (op type: {node.type}): it belongs to control flow that "
        "was imported from TensorFlow 1. Build the loop or branch with tf.while_loop or tf.cond to differentiate it."
    )


def _switch(type_name: str, mark: str) -> OpDef:
    @op(
        type_name,
        f"data: {mark}T, pred: bool -> output_false: {mark}T, output_true: {mark}T",
        T=Attr("type"),
    )
    def switch(data, pred):
        """`data` on the output that `pred` says; the other output is dead."""
        return data, data

    switch.shape(lambda data, pred: [data.shape, data.shape])
    switch.grad(_refused)
    return switch


switch = _switch("Switch", "")
ref_switch = _switch("RefSwitch", "&")


def _merge(type_name: str, mark: str) -> OpDef:
    @op(
        type_name,
        f"inputs: N * {mark}T -> output: {mark}T, value_index: int32",
        T=Attr("type"),
        N=Attr("int", minimum=1),
    )
    def merge(*inputs):
        """The one input that is alive, and which one that is."""
        raise NotImplementedError  # only an executor that knows dead values can choose

    def rule(*inputs):
        found = inputs[0].shape
        for other in inputs[1:]:
            if other.op.type in ROUND or other is inputs[0]:
                continue
            found = found.most_specific_compatible_shape(other.shape)
        return [found, TensorShape.of(())]

    merge.shape(rule)
    merge.grad(_refused)
    return merge.stateful()


merge = _merge("Merge", "")
ref_merge = _merge("RefMerge", "&")


def _enter(type_name: str, mark: str) -> OpDef:
    @op(
        type_name,
        f"data: {mark}T -> output: {mark}T",
        T=Attr("type"),
        frame_name=Attr("string"),
        is_constant=False,
        parallel_iterations=10,
    )
    def enter(data):
        """`data`, in the first iteration of the frame (in all of them where `is_constant`)."""
        return data

    # What comes round the loop may have another shape, unless nothing does.
    enter.shape(lambda data, *, is_constant: [data.shape if is_constant else None])
    enter.grad(_refused)
    return enter.stateful()


enter = _enter("Enter", "")
ref_enter = _enter("RefEnter", "&")


def _passing(type_name: str, mark: str, doc: str) -> OpDef:
    @op(type_name, f"data: {mark}T -> output: {mark}T", T=Attr("type"))
    def passing(data):
        return data

    passing.__doc__ = doc
    passing.shape(lambda data: [data.shape])
    passing.grad(_refused)
    return passing.stateful()


exit_ = _passing("Exit", "", "`data` of the last iteration, outside the frame.")
ref_exit = _passing("RefExit", "&", "`data` of the last iteration, outside the frame.")
next_iteration = _passing("NextIteration", "", "`data`, in the next iteration.")
ref_next_iteration = _passing("RefNextIteration", "&", "`data`, in the next iteration.")


@op("LoopCond", "input: bool -> output: bool")
def loop_cond(value):
    """Marks the condition of a loop."""
    return value


loop_cond.shape(lambda value: [()])
loop_cond.stateful()
loop_cond.no_gradient("a truth value has no derivative")


@op("ControlTrigger", "->")
def control_trigger():
    """Nothing; unlike NoOp it is alive even where its control inputs are dead."""


control_trigger.no_gradient("it has no outputs")
