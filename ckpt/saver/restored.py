"""What a restore operation of a graph reads and assigns, found by walking the graph: also of imported graphs."""

from __future__ import annotations

from dataclasses import dataclass

from ckpt.core.dtypes import DType
from ckpt.core.shapes import UNKNOWN, TensorShape
from ckpt.graph.graph import Graph
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.static import constant_value
from ckpt.ops import resource
from ckpt.ops.io import parsed_slice, stored_dtype, texts

_Names = tuple[list[str], list[str]]


@dataclass(eq=False, slots=True)  # never changed; there may be many thousands
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
    names: dict[Operation, _Names | None] = {}
    pending = [graph.get_operation_by_name(restore_op_name)]
    seen: set[Operation] = set()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.type == "NoOp":
            pending += reversed(list(node.control_inputs))
            continue
        for value in node.inputs:
            tensor, is_reshaped = _source(value)
            if tensor is None:
                continue
            if tensor.op not in names:
                names[tensor.op] = _names(tensor.op)
            if (read := names[tensor.op]) is not None:
                name, spec = read[0][tensor.value_index], read[1][tensor.value_index]
                dtype, shape = stored_dtype(tensor.dtype), _shape(node)
                found.append(Restored(name, spec, dtype, shape, is_reshaped, tensor, node))
    return found


class KnownRestore:
    """What `restored` finds, looked for once per state of a graph."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._key: tuple[int, int, str] | None = None
        self._found: list[Restored] = []

    def of(self, graph: Graph, restore_op_name: str) -> list[Restored]:
        """Everything that running the operation takes from the checkpoint; not to be changed."""
        key = (graph.version, graph.mutations, restore_op_name)
        if self._graph is not graph or self._key != key:
            self._found = restored(graph, restore_op_name)
            self._graph, self._key = graph, key
        return self._found


def _source(tensor: Tensor) -> tuple[Tensor | None, bool]:
    """The output of a RestoreV2 that `tensor` is, and whether it has been reshaped; None when it is none."""
    is_reshaped = False
    while (kind := tensor.op.type) in ("Identity", "Reshape"):
        is_reshaped = is_reshaped or kind == "Reshape"
        tensor = tensor.op.inputs[0]
    return (tensor if kind == "RestoreV2" else None), is_reshaped


def _names(op: Operation) -> _Names | None:
    """The names and the slices that the outputs of a RestoreV2 read; None when only a run knows them."""
    names, specs = (constant_value(op.inputs[i]) for i in (1, 2))
    if names is None or specs is None:
        return None
    return texts(names), texts(specs)


def _shape(target: Operation) -> TensorShape:
    """The static shape of the variable that is assigned to."""
    if target.type == "Assign":
        return target.inputs[0].shape
    if target.type == "AssignVariableOp":
        return resource.handle_shape(target.inputs[0])
    return UNKNOWN
