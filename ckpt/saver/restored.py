"""What a restore operation of a graph reads and assigns, found by walking the graph: also of imported graphs."""

from __future__ import annotations

from dataclasses import dataclass

from ckpt.core.dtypes import DType
from ckpt.core.shapes import UNKNOWN, TensorShape
from ckpt.graph.graph import Graph
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.static import constant_value
from ckpt.ops import resource
from ckpt.ops.io import parsed_slice, stored_dtype


@dataclass(frozen=True, slots=True)
class Restored:
    """One tensor that a restore reads: under which name, which slice ("" for the whole), and for which node.

    `tensor` is what the RestoreV2 makes of it; whoever feeds it needs no file. `shape` is the static shape of the
    variable that it is assigned to, unknown where no variable takes it; `is_reshaped` says that the graph reshapes it.
    """

    name: str
    slice_spec: str
    dtype: DType
    shape: TensorShape
    is_reshaped: bool
    tensor: Tensor
    target: Operation

    @property
    def source(self) -> Operation:
        """The RestoreV2."""
        return self.tensor.op

    @property
    def full_shape(self) -> TensorShape:
        """The shape that the checkpoint should have: that of the whole variable, for a slice of one."""
        parsed = parsed_slice(self.slice_spec) if self.slice_spec else None
        return self.shape if parsed is None else TensorShape(parsed[0])


def restored(graph: Graph, restore_op_name: str) -> list[Restored]:
    """Everything that running the operation `restore_op_name` takes from the checkpoint, in the order of the assignments.

    Tensors whose names are not constants of the graph are left out.
    """
    found: list[Restored] = []
    pending = [graph.get_operation_by_name(restore_op_name)]
    seen: set[Operation] = set()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.type == "NoOp":
            pending += reversed(list(node.control_inputs))
        else:
            entries = (_entry(node, *_source(tensor)) for tensor in node.inputs)
            found += [entry for entry in entries if entry is not None]
    return found


def _source(tensor: Tensor) -> tuple[Tensor | None, bool]:
    """The output of a RestoreV2 that `tensor` is, and whether it has been reshaped; None when it is none."""
    is_reshaped = False
    while tensor.op.type in ("Identity", "Reshape"):
        is_reshaped = is_reshaped or tensor.op.type == "Reshape"
        tensor = tensor.op.inputs[0]
    return (tensor if tensor.op.type == "RestoreV2" else None), is_reshaped


def _names(tensor: Tensor) -> tuple[str, str] | None:
    """The name and the slice that an output of a RestoreV2 reads; None when only a run knows them."""
    names, specs = (constant_value(tensor.op.inputs[i]) for i in (1, 2))
    if names is None or specs is None:
        return None
    name, spec = names.reshape(-1)[tensor.value_index], specs.reshape(-1)[tensor.value_index]
    return _text(name), _text(spec)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def _entry(target: Operation, tensor: Tensor | None, is_reshaped: bool) -> Restored | None:
    names = None if tensor is None else _names(tensor)
    if tensor is None or names is None:
        return None
    shape = UNKNOWN
    if target.type == "Assign":
        shape = target.inputs[0].shape
    elif target.type == "AssignVariableOp":
        shape = resource.handle_shape(target.inputs[0])
    return Restored(*names, stored_dtype(tensor.dtype), shape, is_reshaped, tensor, target)
