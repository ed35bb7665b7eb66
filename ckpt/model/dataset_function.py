"""Functions of elements as function bodies, and datasets as functions of nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckpt.core.defs import Func
from ckpt.graph import stack
from ckpt.graph.function import FuncGraph, function_name, register
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import control_dependencies
from ckpt.model import dataset_structure as structure
from ckpt.ops import control


class ElementFunction:
    """`function` as the body of a node: `spec` says what it returns, `captured` what it uses from outside.

    It is called once, with the elements that the specs `given` describe; a tuple is handed over as several arguments.
    `dataset(variant, spec)` makes those arguments that are datasets.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        given: Sequence[Any],
        dataset: Callable[..., Any],
    ) -> None:
        outer = stack.get_default_graph()
        body = FuncGraph(function_name(outer, name), outer)
        body.takes_values = True
        register(body)
        with body.as_default():
            elements = [_arguments(body, spec, dataset) for spec in given]
            if len(elements) == 1 and isinstance(elements[0], tuple):
                elements = list(elements[0])
            returned = function(*elements)
            if returned is None:
                raise ValueError(
                    f"the function given to {name} returns None: it must return tensors"
                )
            self.element = structure.normalized(_as_tuple(returned))
            self.spec = structure.spec_of(self.element)
            tensors = structure.components_of(self.element)
            body.outputs = [control.identity(body.capture(t)) for t in tensors]
        self.body = body
        self.attribute = Func(body.name)

    @property
    def captured(self) -> list[Tensor]:
        """The tensors of the graph around that the function takes after the elements."""
        return [source for source, _ in self.body.captured()]

    def called(self, opdef: Any, *inputs: Any, **attrs: Any) -> Any:
        """What a node of `opdef` over this function gives; it waits for what the function waits for outside."""
        with control_dependencies(self.body.awaited_outside()):
            return opdef(*inputs, **attrs)


def _arguments(body: FuncGraph, spec: Any, dataset: Callable[..., Any]) -> Any:
    types, shapes = structure.component_types(spec), structure.component_shapes(spec)
    count = len(body.inputs)
    tensors = [
        body.argument(dtype, shape, f"args_{count + i}")
        for i, (dtype, shape) in enumerate(zip(types, shapes, strict=True))
    ]
    return structure.element_of(spec, tensors, dataset)


def _as_tuple(returned: Any) -> Any:
    """A returned list stands for several components, as in TensorFlow."""
    return tuple(returned) if isinstance(returned, list) else returned


def factory_of(variant: Tensor) -> Func:
    """A function of nothing that makes the dataset `variant` anew: a copy of all that it depends on.

    Raises ValueError where that is a placeholder or something with a state.
    """
    graph = variant.graph
    body = FuncGraph(function_name(graph, "_make_dataset"), graph)
    copies: dict[Operation, Operation] = {}
    pending = [variant.op]
    with body.as_default():
        while pending:
            op = pending[-1]
            missing = [t.op for t in op._inputs if t.op not in copies]
            missing += [c for c in op._control_inputs if c not in copies]
            if missing:
                pending += missing
                continue
            pending.pop()
            if op not in copies:
                copies[op] = _copied(body, op, copies)
    body.outputs = [copies[variant.op].outputs[variant.value_index]]
    return register(body)


_WITHOUT_STATE = frozenset({"Assert", "MatchingFiles"})
"""What only must not be folded: a copy of it does the same."""


def _copied(body: FuncGraph, op: Operation, copies: dict[Operation, Operation]) -> Operation:
    if op.type in ("Placeholder", "PlaceholderV2"):
        raise ValueError(f"Cannot capture a placeholder (name:{op.name}, type:{op.type}) by value.")
    is_dataset = "Dataset" in op.type
    is_stateful = op.opdef is not None and op.opdef.is_stateful
    if is_stateful and not is_dataset and op.type not in _WITHOUT_STATE:
        raise ValueError(f"Cannot capture a stateful node (name:{op.name}, type:{op.type}) by value.")  # fmt: skip
    if any(t.dtype._is_ref_dtype for t in op.outputs):
        raise ValueError(f"Cannot capture a stateful node (name:{op.name}, type:{op.type}) by value.")  # fmt: skip
    inputs = [copies[t.op].outputs[t.value_index] for t in op._inputs]
    with control_dependencies([copies[c] for c in op._control_inputs]):
        made = body.add(
            op.type, op.opdef, inputs, dict(op.attrs), op.name, [t.dtype for t in op.outputs]
        )
    for old, new in zip(op.outputs, made.outputs, strict=True):
        new.set_shape(old.shape)
    return made
