"""Makes the plan of nodes in order: every tensor gets a slot, every node its steps. All is decided here, before the loop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ckpt.core.defs import Func
from ckpt.core.dtypes import resource as RESOURCE  # a constant
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.function import FuncGraph, body_of
from ckpt.graph.opdef import OpDef
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.static import SHAPE_TYPES, fold, shape_results
from ckpt.run import dataflow, flow, insides, views
from ckpt.run.binding import bound_kernel, reference_inputs
from ckpt.run.callee import Callee
from ckpt.run.plan import Plan, Step, with_last_uses
from ckpt.run.prune import NO_STAND_INS, check_runnable, ordered, reached
from ckpt.run.stand_ins import has_dataflow, stand_ins_of
from ckpt.run.state import NodeContext, SessionState

MAX_FOLDED_BYTES = 1 << 16
"""Results of constant subgraphs up to this size are computed once, when planning."""


class Planner:
    """Gives every tensor a slot and every node its steps."""

    def __init__(
        self,
        feeds: Sequence[Tensor],
        state: SessionState,
        stand_ins: Mapping[Tensor, Tensor] = NO_STAND_INS,
        inside: Collection[insides.Inside] = (),
    ) -> None:
        self.state = state
        self.stand_ins = stand_ins
        self.insides = insides.by_holder(inside)
        self.feeds = tuple(feeds)
        self.initial: list[Any] = [None] * len(feeds)
        self.labels: list[Tensor | str] = [*feeds]
        self.slot: dict[Tensor, int] = {tensor: i for i, tensor in enumerate(feeds)}
        self.is_cell: set[int] = set()
        self.constants: set[int] = set()
        self.steps: list[Step] = []
        self.reads: dict[int, int] = {}  # cells that were read since anything could write
        self.passed_on: list[Tensor] = []  # plain tensors that are cells still
        self.views: dict[int, views.View] = {}  # cells that show others
        self.must_be_alive: Collection[Tensor] = ()  # those of branches that may not be taken
        self.is_resized = False  # a variable may change its size, and gets new memory then
        self.used: set[Tensor] = set()

    def plan(self, nodes: Sequence[Operation], fetches: Sequence[Tensor]) -> Plan:
        """The program of these nodes, in this order."""
        self.used = _used_tensors(nodes, fetches)
        self.is_resized = any(node.attrs.get("validate_shape") is False for node in nodes)
        self.used |= {made for t, made in self.stand_ins.items() if t in self.used}
        for node in nodes:
            self._add(node)
        self._read_what_nobody_takes(nodes, fetches)
        for tensor in self.must_be_alive:
            self._check_alive(tensor)
        wanted = [
            self._plain(self.slot[t], t) if t in self.slot else self._missing(t) for t in fetches
        ]
        return Plan(
            with_last_uses(self.steps, self.constants.union(wanted)),
            self.feeds,
            tuple(self.initial),
            tuple(wanted),
            tuple(self.labels),
        )

    def _read_what_nobody_takes(
        self, nodes: Sequence[Operation], fetches: Sequence[Tensor]
    ) -> None:
        """Read variables whose values were only waited for: one without a value is an error all the same."""
        if self.passed_on:
            taken = {tensor for node in nodes for tensor in node._inputs}.union(fetches)
            for tensor in self.passed_on:
                if tensor not in taken:
                    self._plain(self.slot[tensor], tensor)

    def _check_alive(self, tensor: Tensor) -> None:
        slot, found = self.slot[tensor], self._new_slot(tensor)
        self.slot[tensor] = found
        attrs = {"name": tensor.name}
        self.steps.append(Step(insides.alive, (), (slot,), attrs, (found,), False, (), tensor.op))

    def _missing(self, tensor: Tensor) -> int:
        raise InvalidArgumentError(None, None, f"{tensor.name} has no value in this run")

    def _new_slot(self, label: Tensor | str, value: Any = None) -> int:
        self.initial.append(value)
        self.labels.append(label)
        return len(self.initial) - 1

    def constant(self, tensor: Tensor, value: Any) -> None:
        """Give `tensor` a slot that holds `value` from the start."""
        slot = self._new_slot(tensor, value)
        self.constants.add(slot)
        self.slot[tensor] = slot

    def _add(self, node: Operation) -> None:
        opdef = node.opdef
        assert opdef is not None  # checked for all nodes at once before
        if not self.stand_ins and _is_ordinary(opdef):
            inputs = self._inputs(node)
            if not self._folded(node, inputs):
                self._add_step(node, inputs)
            return
        if self.stand_ins and node._outputs and node._outputs[0] in self.stand_ins:
            tensor = node._outputs[0]
            self.slot.setdefault(tensor, self.slot[self.stand_ins[tensor]])
            return
        if node.type in SHAPE_TYPES:
            results = shape_results(node)
            if results is not None:
                for tensor, result in zip(node.outputs, results, strict=True):
                    if tensor not in self.slot:
                        self.constant(tensor, result)
                return
        if node.type == "Const":
            if node.outputs[0] not in self.slot:
                self.constant(node.outputs[0], node.attrs["value"])
            return
        if opdef.is_resource and not node._inputs:
            self._add_resource(node)
            return
        if node.type == "Placeholder" and node._outputs[0] in self.slot:
            return  # fed, and here only because another node waits for it
        if node.type in flow.TYPES:
            flow.add_flow(self, node)
            return
        if opdef.is_alias and not (
            opdef.is_check and self.slot[node._inputs[0]] not in self.is_cell
        ):
            self._pass_on(node)
            return
        if opdef.view_of is not None and self._add_views(node, opdef.view_of):
            return
        inputs = self._inputs(node)
        if self._folded(node, inputs) or (not node.outputs and opdef.type == "NoOp"):
            return
        self._add_step(node, inputs)

    def _pass_on(self, node: Operation) -> None:
        """Let the outputs be the inputs, also references.

        As in TensorFlow, what passes a variable on shares its memory, and shows it as it is when the value is used.
        """
        assert node.opdef is not None  # checked for all nodes at once before
        for output, tensor in zip(node._outputs, node._inputs, strict=True):
            slot = self.slot.setdefault(output, self.slot[tensor])
            if slot in self.is_cell:
                self.passed_on.append(output)
        if node.opdef.is_check:
            self._add_step(node, self._inputs(node))

    def _add_views(self, node: Operation, data: int) -> bool:
        """Add the node as one that shares memory with a variable; False where it does not."""
        source = self.slot[node._inputs[data]]
        if source not in self.is_cell or self.is_resized:
            return False
        given = [self.slot[t] for t in node._inputs]
        values = [
            self.initial[i] if i in self.constants and i not in self.is_cell else None
            for i in given
        ]
        shared = views.shared_outputs(node, data, values)
        if not any(shared):
            return False
        inputs = [None if i == data else self.plain(t) for i, t in enumerate(node._inputs)]
        outputs = tuple(map(self._new_slot, node._outputs))
        view = views.View(node, source, tuple(inputs), outputs)
        for tensor, slot, is_shared in zip(node.outputs, outputs, shared, strict=True):
            if is_shared and tensor not in self.slot:
                self.slot[tensor] = slot
                self.is_cell.add(slot)
                self.views[slot] = view
                self.passed_on.append(tensor)
        if not all(shared):
            self._add_step(node, self._inputs(node))
        return True

    def _viewed(self, slot: int) -> int:
        """A slot with what a view shows now."""
        view = self.views[slot]
        source = self._plain(view.source, view.node._inputs[0])
        inputs = tuple(source if i is None else i for i in view.inputs)
        made = tuple(map(self._new_slot, view.node._outputs))
        self.reads.update(zip(view.outputs, made, strict=True))
        kernel, lead, attrs = self._bound(view.node)
        self.steps.append(Step(kernel, lead, inputs, attrs, made, view.is_many, (), view.node))
        return self.reads[slot]

    def _add_resource(self, node: Operation) -> None:
        assert node.opdef is not None  # checked for all nodes at once before
        attrs = {key: node.attrs[key] for key in node.opdef.kernel_attrs}
        cell = node.opdef.kernel(NodeContext(self.state, node), **attrs)
        tensor = node.outputs[0]
        if tensor not in self.slot:
            self.constant(tensor, cell)
            if tensor.dtype._is_ref_dtype:
                self.is_cell.add(self.slot[tensor])

    def _inputs(self, node: Operation) -> tuple[int, ...]:
        """The slots of the inputs; where a plain value is asked for, a reference is read just before."""
        wants_cell = reference_inputs(node)
        found = []
        for position, tensor in enumerate(node._inputs):
            slot = self.slot[tensor]
            if slot in self.is_cell and position not in wants_cell:
                slot = slot if tensor._dtype is RESOURCE else self._plain(slot, tensor)
            found.append(slot)
        if wants_cell:
            self.reads.clear()
        return tuple(found)

    def _plain(self, slot: int, tensor: Tensor) -> int:
        """A slot with the value of `tensor` as it is now: cells are read by a step of their own."""
        if slot not in self.is_cell:
            return slot
        if slot in self.reads:
            return self.reads[slot]
        if slot in self.views:
            return self._viewed(slot)
        target = self.reads[slot] = self._new_slot(tensor)
        if slot in self.constants:
            step = Step(self.initial[slot].read, (), (), {}, (target,), False, (), tensor.op)
        else:
            step = Step(_read, (), (slot,), {}, (target,), False, (), tensor.op)
        self.steps.append(step)
        return target

    def plain(self, tensor: Tensor) -> int:
        """A slot with the value of `tensor` as it is now."""
        return self._plain(self.slot[tensor], tensor)

    def nothing(self) -> int:
        """A slot with a value that nobody looks at."""
        return self._new_slot("nothing", 0)

    def argument_slot(self, tensor: Tensor, argument: Tensor) -> int:
        """The slot that a function's argument is taken from: the cell itself for a reference or a handle."""
        slot = self.slot[tensor]
        dtype = argument._dtype
        if dtype._is_ref_dtype or dtype is RESOURCE:
            self.reads.clear()
            return slot
        return self._plain(slot, tensor)

    def _cell_behind(self, tensor: Tensor) -> Any:
        """The cell that `tensor` is, or was read from, where that is known; else None."""
        slot = self.slot.get(tensor)
        if slot in self.is_cell and slot in self.constants:
            return self.initial[slot]
        if tensor.op.type == "Identity" and tensor.op._inputs[0]._dtype._is_ref_dtype:
            return self._cell_behind(tensor.op._inputs[0])
        return None

    def known_arguments(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> dict[Tensor, Any]:
        """The arguments of a function whose values, or cells, are known while planning.

        In TensorFlow a variable's value read outside a loop shares its memory with the variable, so that it changes
        when the body assigns. Hence a function that takes a reference to a variable sees that variable, wherever it
        was read.
        """
        known = {}
        given = list(pairs)
        cells = {}
        self.reads.clear()
        for argument, tensor in given:
            if argument._dtype._is_ref_dtype:
                cell = self._cell_behind(tensor)
                cells[id(cell)] = cell
        for argument, tensor in given:
            cell = self._cell_behind(tensor) if cells else None
            if cell is not None and id(cell) in cells:
                known[argument] = cell
                continue
            slot = self.slot[tensor]
            is_cell = slot in self.is_cell
            wants_cell = argument._dtype._is_ref_dtype or argument._dtype is RESOURCE
            if slot in self.constants and is_cell <= wants_cell:
                known[argument] = self.initial[slot]
        return known

    def sub_plan(
        self,
        graph: FuncGraph,
        results: Sequence[Tensor],
        known: dict[Tensor, Any],
        inside: Collection[insides.Inside] = (),
    ) -> Plan:
        """The program of a function's results; it is fed the arguments that it uses and that are not `known`.

        Results may also be `known` themselves, or lie `inside` its branches.
        """
        arguments = dict.fromkeys((*graph.inputs, *known))
        deeper = {i.fetched: i.holder for i in inside}
        wanted = [deeper.get(t, t.op) for t in results if t not in arguments]
        found, is_ordered = reached(wanted, arguments)
        stand_ins = NO_STAND_INS
        if any(node.type in dataflow.TYPES for node in found):
            stand_ins = stand_ins_of(wanted, results, (), arguments)
            found, is_ordered = reached(wanted, arguments, stand_ins=stand_ins)[0], False
            if has_dataflow(found, results, stand_ins):
                inner = [n for n in found if not n._outputs or n._outputs[0] not in arguments]
                return dataflow.plan_of(inner, results, graph.inputs, self.state, stand_ins, known)
        members = ordered(found, is_ordered, arguments, stand_ins)
        nodes = [n for n in members if not n._outputs or n._outputs[0] not in arguments]
        check_runnable(nodes)
        used = {t for node in nodes for t in node._inputs}.union(results)
        feeds = [t for t in arguments if t in used and t not in known]
        planner = Planner(feeds, self.state, stand_ins, inside)
        for tensor, value in known.items():
            planner.constant(tensor, value)
        for tensor in (*feeds, *known):
            is_live = tensor._dtype is not RESOURCE and hasattr(known.get(tensor), "read")
            if tensor._dtype._is_ref_dtype or is_live:
                planner.is_cell.add(planner.slot[tensor])
        return planner.plan(nodes, results)

    def _folded(self, node: Operation, inputs: tuple[int, ...]) -> bool:
        opdef = node.opdef
        assert opdef is not None  # checked for all nodes at once before
        is_pure = not opdef.is_stateful and opdef.lead != "ctx" and opdef.files is None
        if (
            not is_pure
            or not inputs
            or not node.outputs
            or any(i not in self.constants or i in self.is_cell for i in inputs)
        ):
            return False
        if any(t in self.slot for t in node.outputs):
            return False
        results = fold(node, [self.initial[i] for i in inputs])
        if results is None or sum(np.asarray(r).nbytes for r in results) > MAX_FOLDED_BYTES:
            return False
        for tensor, result in zip(node.outputs, results, strict=True):
            if isinstance(result, np.ndarray) and result.flags.writeable:
                result = result.copy() if result.base is not None else result  # made ours
                result.flags.writeable = False
            self.constant(tensor, result)
        return True

    def _add_step(self, node: Operation, inputs: tuple[int, ...]) -> None:
        assert node.opdef is not None  # checked for all nodes at once before
        kernel, lead, attrs = self._bound(node)
        self.add_step(node, kernel, lead, inputs, attrs, range(len(node._outputs)), node.opdef.many)

    def _bound(self, node: Operation) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """The kernel of a node with what it is called with before and after its inputs."""
        assert node.opdef is not None  # checked for all nodes at once before
        given = node.attrs
        attrs = {key: given[key] for key in node.opdef.kernel_attrs}
        for key, value in attrs.items():
            if isinstance(value, Func):  # kernels can call it
                attrs[key] = Callee(body_of(node.graph, value), self._function_plan)
        return *bound_kernel(node, self.state), attrs

    def _function_plan(self, body: FuncGraph) -> Plan:
        return self.sub_plan(body, body.outputs, {})

    def add_step(
        self,
        node: Operation,
        kernel: Callable[..., Any],
        lead: tuple[Any, ...],
        inputs: tuple[int, ...],
        attrs: dict[str, Any],
        wanted: Iterable[int],
        many: bool,
        beside: Iterable[Tensor] = (),
    ) -> None:
        """Add a step that makes the `wanted` outputs of `node`, and the tensors `beside` them."""
        outputs = []
        for tensor in (*[node._outputs[index] for index in wanted], *beside):
            slot = self._new_slot(tensor)
            outputs.append(slot)
            if tensor not in self.slot:
                self.slot[tensor] = slot
                if tensor._dtype._is_ref_dtype:
                    self.is_cell.add(slot)
        self.steps.append(Step(kernel, lead, inputs, attrs, tuple(outputs), many, (), node))


_SPECIAL = frozenset({*SHAPE_TYPES, *flow.TYPES, "Const", "Placeholder", "NoOp"})


@cache
def _is_ordinary(opdef: OpDef) -> bool:
    """Whether all nodes of an operation become steps that take the values of their inputs, or are folded."""
    is_special = opdef.type in _SPECIAL or opdef.is_resource or opdef.is_alias
    return not is_special and opdef.view_of is None


def _used_tensors(nodes: Sequence[Operation], fetches: Sequence[Tensor]) -> set[Tensor]:
    """What the nodes and the caller take; asked for only where a node may leave out what nobody takes."""
    if not any(node.type in flow.TYPES for node in nodes):
        return set()
    return {tensor for node in nodes for tensor in node._inputs}.union(fetches)


def _read(cell: Any) -> Any:
    return cell.read()
