"""What is known of a tensor's value while the graph is built: constant folding for shape rules. Runs no session.

Values are found by running the pure kernels of small constant subgraphs; sizes of shapes are found even where only
some of them are known (`reshape(x, [tf.shape(x)[0], -1])`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.shapes import UNKNOWN, TensorShape, unknown_shape
from ckpt.graph.operation import Operation, Tensor

MAX_FOLDED_NODES = 200
MAX_FOLDED_ELEMENTS = 10_000


def get_static_value(tensor: Any, partial: bool = False) -> Any:
    """The value of a tensor where it follows from constants and static shapes alone, else None; an array as it is.

    With `partial` the unknown members of a stack are None in the result. Values are copies that callers may change.
    """
    if not isinstance(tensor, Tensor):
        if isinstance(tensor, (np.ndarray, np.generic)):
            return tensor
        return None if tensor is None or hasattr(tensor, "_as_graph_element") else tensor
    value = constant_value(tensor)
    if value is None and partial and tensor.op.type == "Pack" and tensor.op.attrs["axis"] == 0:
        members = [get_static_value(member, partial=True) for member in tensor.op.inputs]
        try:
            return np.array(members)
        except ValueError:
            return np.array(members, dtype=object)
    if value is None and partial and tensor.op.type in ("Identity", "StopGradient"):
        return get_static_value(tensor.op.inputs[0], partial=True)
    return np.array(value) if isinstance(value, np.ndarray) else value


SHAPE_TYPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
"""Operations whose results follow from static shapes alone where these are known."""


NEVER_FOLDED = frozenset({"PlaceholderWithDefault"})
"""Operations that a run may replace: what they would compute says nothing about what they are."""


def shape_results(op: Operation) -> list[Any] | None:
    """The outputs of an operation of SHAPE_TYPES where the static shapes of its inputs say them, else None."""
    shapes = [tensor._shape for tensor in op._inputs]
    if op.type == "Rank":
        rank = shapes[0].rank
        return None if rank is None else [np.int32(rank)]
    if not all(shape.is_fully_defined() for shape in shapes):
        return None
    if any(tensor._dtype.name == "variant" for tensor in op._inputs):
        return None
    kind = op.outputs[0].dtype.as_numpy_dtype
    return [
        np.array(shape.num_elements() if op.type == "Size" else shape.sizes, dtype=kind)
        for shape in shapes
    ]


def constant_value(tensor: Tensor) -> Any:
    """The value of `tensor` where it follows from constants and static shapes alone, else None."""
    op = tensor.op
    if op.type == "Const":
        return op.attrs["value"]
    return _Folder().value(tensor)


class _Folder:
    """Evaluates one small constant subgraph, iteratively and within a budget."""

    def __init__(self) -> None:
        self.known: dict[Tensor, Any] = {}
        self.budget = MAX_FOLDED_NODES

    def value(self, wanted: Tensor) -> Any:
        pending = [wanted]
        while pending:
            tensor = pending[-1]
            if tensor in self.known:
                pending.pop()
                continue
            if self._from_shape(tensor):
                continue
            missing = [t for t in tensor.op.inputs if t not in self.known]
            if not self._is_foldable(tensor.op) or any(t in pending for t in missing):
                self.known[tensor] = None
            elif missing:
                pending.extend(missing)
            else:
                self._run(tensor.op)
        return self.known[wanted]

    def _from_shape(self, tensor: Tensor) -> bool:
        op = tensor.op
        if op.type == "Const":
            self.known[tensor] = op.attrs["value"]
        elif op.type == "Placeholder" and op.graph.is_building_function:
            outer = op.graph.outer_of(tensor)  # type: ignore[attr-defined]  # a FuncGraph
            self.known[tensor] = None if outer is None else constant_value(outer)
        elif op.type in SHAPE_TYPES:
            results = shape_results(op)
            if results is None:
                return False
            self.known.update(zip(op.outputs, results, strict=True))
        else:
            return False
        return True

    def _is_foldable(self, op: Operation) -> bool:
        self.budget -= 1
        opdef = op.opdef
        return (
            opdef is not None
            and op.type not in NEVER_FOLDED
            and self.budget > 0
            and not opdef.is_stateful
            and opdef.files is None
            and opdef.lead != "ctx"
            and bool(op.inputs)
            and not any(t.dtype._is_ref_dtype for t in op.inputs)
            and all((t.shape.num_elements() or 0) <= MAX_FOLDED_ELEMENTS for t in op.outputs)
        )

    def _run(self, op: Operation) -> None:
        values = [self.known[t] for t in op.inputs]
        results: Any = None
        if all(v is not None for v in values):
            results = fold(op, values)
        if results is None:
            results = [None] * len(op.outputs)
        self.known.update(zip(op.outputs, results, strict=True))


def fold(op: Operation, values: list[Any]) -> list[Any] | None:
    """The outputs of a pure node for these input values, or None when its kernel refuses them."""
    opdef = op.opdef
    if opdef is None:
        return None
    attrs = {key: op.attrs[key] for key in opdef.kernel_attrs}
    lead = (np,) if opdef.lead == "xp" else ()
    try:
        with np.errstate(all="ignore"):
            results = opdef.kernel(*lead, *values, **attrs)
    except Exception:  # noqa: BLE001  # what a kernel refuses now it will refuse again when it runs
        return None
    return list(results) if opdef.many else [results]


def constant_value_as_shape(tensor: Tensor) -> TensorShape:
    """The shape that a 1-D integer tensor describes, as far as it is known: -1 and unknown elements are None.

    Raises ValueError when the tensor has a known rank other than 1 (a scalar -1 means unknown rank).
    """
    if tensor.shape.rank == 0:
        value = constant_value(tensor)
        if value is not None and int(value) == -1:
            return UNKNOWN
        raise ValueError(
            "Received a scalar with unknown value as shape; require a statically known scalar -1"
        )
    value = constant_value(tensor)
    if value is not None:
        return TensorShape.of(
            tuple(None if size < 0 else int(size) for size in np.asarray(value).reshape(-1))
        )
    found = _partial_shape(tensor)
    length = tensor.shape.sizes[0] if tensor.shape.sizes else None
    if found.sizes is None and length is not None:
        return unknown_shape(length)
    return found


def _partial_shape(tensor: Tensor) -> TensorShape:
    op = tensor.op
    if op.type == "Shape":
        return op.inputs[0].shape
    if op.type == "Placeholder" and op.graph.is_building_function:
        outer = op.graph.outer_of(tensor)  # type: ignore[attr-defined]  # a FuncGraph
        return UNKNOWN if outer is None else constant_value_as_shape(outer)
    if op.type == "Pack" and op.attrs["axis"] == 0:
        return TensorShape.of(tuple(_partial_size(t) for t in op.inputs))
    if op.type == "ConcatV2":
        found = TensorShape.of(())
        for part in op.inputs[:-1]:
            found = found.concatenate(constant_value_as_shape(part))
        return found
    if op.type in ("Identity", "Cast"):
        return constant_value_as_shape(op.inputs[0])
    if op.type == "StridedSlice":
        return _sliced_shape(op)
    return UNKNOWN


def _partial_size(tensor: Tensor) -> int | None:
    value = constant_value(tensor)
    if value is not None:
        return None if int(value) < 0 else int(value)
    op = tensor.op
    if op.type == "StridedSlice" and op.attrs["shrink_axis_mask"] == 1:
        begin = constant_value(op.inputs[1])
        whole = _partial_shape(op.inputs[0])
        if begin is not None and whole.sizes is not None and len(begin) == 1:
            index = int(begin[0])
            if -len(whole.sizes) <= index < len(whole.sizes):
                return whole.sizes[index]
    return None


def _sliced_shape(op: Operation) -> TensorShape:
    begin, end, strides = (constant_value(t) for t in op.inputs[1:4])
    masks = op.attrs
    simple = not (masks["ellipsis_mask"] or masks["new_axis_mask"] or masks["shrink_axis_mask"])
    if begin is None or end is None or strides is None or not simple or len(begin) != 1:
        return UNKNOWN
    whole = _partial_shape(op.inputs[0])
    if whole.sizes is None:
        return UNKNOWN
    start = None if masks["begin_mask"] & 1 else int(begin[0])
    stop = None if masks["end_mask"] & 1 else int(end[0])
    return TensorShape.of(whole.sizes[slice(start, stop, int(strides[0]))])
