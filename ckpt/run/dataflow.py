"""The exact interpreter of TensorFlow 1's control flow: dead values, frames and iterations. Knows no other operation.

It runs any graph of Switch, Merge, Enter, Exit and NextIteration, regular or not, at the price of looking at every
value as it travels. Source of the rules: Yu et al. 2018, "Dynamic control flow in large-scale machine learning".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ckpt.core.defs import Func
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.node_order import MERGES, ROUND
from ckpt.graph.operation import Operation, Tensor
from ckpt.run import flow
from ckpt.run.binding import bound_kernel, reference_inputs
from ckpt.run.deadline import check
from ckpt.run.insides import DEAD
from ckpt.run.interpret import StepFailure, interpret
from ckpt.run.plan import Plan, Step
from ckpt.run.prune import check_runnable
from ckpt.run.state import SessionState

SWITCHES = frozenset({"Switch", "RefSwitch"})
ENTERS = frozenset({"Enter", "RefEnter"})
EXITS = frozenset({"Exit", "RefExit"})
NEXTS = ROUND
TYPES = SWITCHES | MERGES | ENTERS | EXITS | NEXTS

SWITCH, MERGE, ENTER, EXIT, NEXT, TRIGGER, ORDINARY = range(7)
CHECK_EVERY = 256
"""After so many nodes the deadline is looked at."""


class _Node:
    """What running one node takes, found out before."""

    __slots__ = (
        "call", "controls", "count", "frame_name", "inputs", "is_constant", "kind", "many", "op", "outs", "reads",
        "sinks", "users", "waits",
    )  # fmt: skip

    def __init__(self, op: Operation, stand_in: Tensor | None = None) -> None:
        self.op = op
        self.kind = _kind(op.type) if stand_in is None else ORDINARY
        self.inputs: Sequence[Tensor] = op._inputs if stand_in is None else (stand_in,)
        self.count = len(self.inputs)
        self.users: list[list[tuple[_Node, int]]] = [[] for _ in op._outputs]
        self.controls: list[_Node] = []
        self.waits = self.count
        self.sinks: list[int | None] = [None] * len(op._outputs)
        self.call: Callable[..., Any] | None = None
        self.many = False
        self.reads: tuple[int, ...] = ()
        self.frame_name = op.attrs.get("frame_name", "")
        self.is_constant = bool(op.attrs.get("is_constant", False))
        self.outs = len(op._outputs)


def _kind(op_type: str) -> int:
    groups = ((SWITCHES, SWITCH), (MERGES, MERGE), (ENTERS, ENTER), (EXITS, EXIT), (NEXTS, NEXT))
    for group, kind in groups:
        if op_type in group:
            return kind
    return TRIGGER if op_type == "ControlTrigger" else ORDINARY


class _Frame:
    """One running loop: what each node of each iteration has received, and what every iteration gets."""

    __slots__ = (
        "awaited", "children", "constants", "first", "iterations", "outer", "outer_iteration", "running",
    )  # fmt: skip

    def __init__(self, outer: _Frame | None, outer_iteration: int, awaited: int = 0) -> None:
        self.outer = outer
        self.outer_iteration = outer_iteration
        self.iterations: dict[int, dict[_Node, Any]] = {0: {}}
        self.constants: list[tuple[_Node, Any]] = []
        self.children: dict[tuple[int, str], _Frame] = {}
        self.awaited = awaited  # how many Enters have not come yet
        self.first = 0  # the first iteration that is not over
        self.running: dict[
            int, int
        ] = {}  # how many nodes are ready, by iteration, loops inside included

    def note(self, iteration: int, change: int) -> None:
        """Count a node that became ready or has run, here and in the iterations around."""
        frame: _Frame | None = self
        while frame is not None:
            frame.running[iteration] = frame.running.get(iteration, 0) + change
            iteration, frame = frame.outer_iteration, frame.outer

    def forget_what_is_over(self, before: int) -> None:
        """Let go of the iterations to which nothing can come any more."""
        while not self.awaited and self.first < before and not self.running.get(self.first):
            self.iterations.pop(self.first, None)
            self.running.pop(self.first, None)
            for key in [k for k in self.children if k[0] == self.first]:
                del self.children[key]
            self.first += 1


class Dataflow:
    """A program of all nodes of a run, in order of creation: called with the fed values it returns the fetched ones."""

    def __init__(
        self,
        nodes: Iterable[Operation],
        fetches: Sequence[Tensor],
        feeds: Sequence[Tensor],
        state: SessionState,
        stand_ins: Mapping[Tensor, Tensor],
    ) -> None:
        self.fetches = list(fetches)
        self.feeds = list(feeds)
        fed = set(feeds)
        self.nodes = {
            op: _Node(op, stand_ins.get(op._outputs[0]) if op._outputs else None) for op in nodes
        }
        self.fed_users: list[list[tuple[_Node, int]]] = [[] for _ in feeds]
        position = {t: i for i, t in enumerate(feeds)}
        for op, node in self.nodes.items():
            for i, tensor in enumerate(node.inputs):
                if tensor in fed:
                    self.fed_users[position[tensor]].append((node, i))
                else:
                    self.nodes[tensor.op].users[tensor.value_index].append((node, i))
            if node.inputs is not op._inputs:
                node.call, node.many = _passed_on(node.outs), True
                continue
            for control in dict.fromkeys(op._control_inputs):
                self.nodes[control].controls.append(node)
                node.waits += 1
            _bind(node, state)
            if op.type == "Placeholder" and op._outputs[0] in fed:
                node.call = lambda: None
        for number, tensor in enumerate(self.fetches):
            if tensor not in fed:
                self.nodes[tensor.op].sinks[tensor.value_index] = number
        self.enters: dict[str, int] = {}
        for node in self.nodes.values():
            if node.kind == ENTER:
                self.enters[node.frame_name] = self.enters.get(node.frame_name, 0) + 1
        self.roots = [node for node in self.nodes.values() if not node.waits]

    def __call__(self, *values: Any) -> list[Any]:
        """The fetched values for the fed ones."""
        return _Run(self, values).results()


def plan_of(
    nodes: Iterable[Operation],
    results: Sequence[Tensor],
    arguments: Sequence[Tensor],
    state: SessionState,
    stand_ins: Mapping[Tensor, Tensor],
    known: Mapping[Tensor, Any] = MappingProxyType({}),
) -> Plan:
    """A plan of one step, which interprets all `nodes`; it is fed those `arguments` that are not `known`."""
    nodes = sorted(nodes, key=lambda node: node.node_id)
    check_runnable(nodes)
    feeds = [t for t in arguments if t not in known]
    given = [*feeds, *known]
    slot = {tensor: i for i, tensor in enumerate(given)}
    outputs = tuple(range(len(given), len(given) + len(results)))
    program = Dataflow(nodes, results, arguments, state, stand_ins)
    takes = tuple(slot[t] for t in arguments)
    step = Step(program, (), takes, {}, outputs, True, (), nodes[0])
    initial = (*[None] * len(feeds), *known.values(), *[None] * len(results))
    return Plan((step,), tuple(feeds), initial, outputs, (*given, *results))


def _passed_on(count: int) -> Callable[[Any], Any]:
    """Gives the value of what stands for a tensor; nobody asks which input of a Merge it was."""
    return lambda value: (value,) * count


def _bind(node: _Node, state: SessionState) -> None:
    op, opdef = node.op, node.op.opdef
    assert opdef is not None  # checked for all nodes at once before
    cells = reference_inputs(op)
    node.reads = tuple(
        i for i, t in enumerate(op._inputs) if t._dtype._is_ref_dtype and i not in cells
    )
    node.many = opdef.many
    calls = any(isinstance(op.attrs[key], Func) for key in opdef.kernel_attrs)
    if calls or op.type in flow.TYPES:
        from ckpt.run.planner import Planner  # the planner builds on this module

        plan = Planner(op._inputs, state).plan([op], op._outputs)
        node.call = lambda *values: interpret(plan, values)
        node.many = True
        node.reads = ()
        return
    attrs = {key: op.attrs[key] for key in opdef.kernel_attrs}
    kernel, lead = bound_kernel(op, state)
    node.call = lambda *values: kernel(*lead, *values, **attrs)


class _Run:
    """One run: values travel until none is left."""

    def __init__(self, program: Dataflow, values: Sequence[Any]) -> None:
        self.program = program
        self.found: dict[int, Any] = {}
        self.ready: deque[tuple[_Node, list[Any], bool, _Frame, int]] = deque()
        self.root = _Frame(None, 0)
        for users, value in zip(program.fed_users, values, strict=True):
            self._deliver(users, value, self.root, 0)
        for number, tensor in enumerate(program.fetches):
            if tensor in program.feeds:
                self.found[number] = values[program.feeds.index(tensor)]
        for node in program.roots:
            self._enqueue(node, [], False, self.root, 0)

    def _enqueue(
        self, node: _Node, inputs: list[Any], is_dead: bool, frame: _Frame, iteration: int
    ) -> None:
        frame.note(iteration, 1)
        self.ready.append((node, inputs, is_dead, frame, iteration))

    def results(self) -> list[Any]:
        """Run all nodes that become ready; the fetched values. Raises InvalidArgumentError for a dead fetch."""
        count = 0
        while self.ready:
            count += 1
            if count % CHECK_EVERY == 0:
                check()
            node, inputs, is_dead, frame, iteration = self.ready.popleft()
            self._run(node, inputs, is_dead, frame, iteration)
            frame.note(iteration, -1)
        for number, tensor in enumerate(self.program.fetches):
            if self.found.get(number, DEAD) is DEAD:
                raise StepFailure(tensor.op) from InvalidArgumentError(
                    None,
                    None,
                    f"Retval[{number}] does not have value: {tensor.name} is in a branch not taken",
                )
        fetched = [self.found[n] for n in range(len(self.program.fetches))]
        return [v.read() if hasattr(v, "read") and t._dtype._is_ref_dtype else v
                for v, t in zip(fetched, self.program.fetches, strict=True)]  # fmt: skip

    def _run(
        self, node: _Node, inputs: list[Any], is_dead: bool, frame: _Frame, iteration: int
    ) -> None:
        kind = node.kind
        if kind == TRIGGER:
            is_dead = False
        outputs: Sequence[Any]
        if is_dead:
            if kind in (EXIT, NEXT):
                return  # other iterations, or none, bring a value
            outputs = (DEAD,) * node.outs
        elif kind in (ORDINARY, TRIGGER):
            outputs = self._called(node, inputs)
        elif kind == SWITCH:
            data, pred = inputs
            pred = pred.read() if 1 in node.reads else pred
            outputs = (DEAD, data) if pred else (data, DEAD)
        elif kind == MERGE:
            index = next(i for i, v in enumerate(inputs) if v is not None and v is not DEAD)
            outputs = (inputs[index], np.int32(index))
        else:
            outputs = (inputs[0],)
        if kind == ENTER:
            frame, iteration = self._entered(node, outputs[0], frame, iteration), 0
            if node.is_constant:
                for number in list(frame.iterations):
                    self._spread(node, outputs, frame, number, is_dead)
                return
        elif kind == EXIT:
            assert frame.outer is not None  # an Exit runs inside a frame
            frame, iteration = frame.outer, frame.outer_iteration
        elif kind == NEXT:
            iteration += 1
            if iteration not in frame.iterations:
                self._begin(frame, iteration)
        self._spread(node, outputs, frame, iteration, is_dead)

    def _called(self, node: _Node, inputs: list[Any]) -> Sequence[Any]:
        assert node.call is not None  # bound when the program was made
        try:
            for i in node.reads:
                inputs[i] = inputs[i].read()
            results = node.call(*inputs)
        except StepFailure:
            raise
        except Exception as error:
            raise StepFailure(node.op) from error
        return (results or ()) if node.many else (results,)

    def _entered(self, node: _Node, value: Any, frame: _Frame, iteration: int) -> _Frame:
        key = (iteration, node.frame_name)
        child = frame.children.get(key)
        if child is None:
            awaited = self.program.enters[node.frame_name]
            child = frame.children[key] = _Frame(frame, iteration, awaited)
        child.awaited -= 1
        if node.is_constant:
            child.constants.append((node, value))
        return child

    def _begin(self, frame: _Frame, iteration: int) -> None:
        frame.iterations[iteration] = {}
        frame.forget_what_is_over(iteration - 1)
        for node, value in frame.constants:
            self._spread(node, (value,), frame, iteration, value is DEAD)

    def _spread(
        self, node: _Node, outputs: Sequence[Any], frame: _Frame, iteration: int, is_dead: bool
    ) -> None:
        for users, sink, value in zip(node.users, node.sinks, outputs, strict=True):
            if sink is not None and frame is self.root:
                self.found[sink] = value
            if users:
                self._deliver(users, value, frame, iteration)
        for user in node.controls:
            self._receive(user, -1, DEAD if is_dead else None, frame, iteration)

    def _deliver(
        self, users: list[tuple[_Node, int]], value: Any, frame: _Frame, iteration: int
    ) -> None:
        for user, place in users:
            self._receive(user, place, value, frame, iteration)

    def _receive(self, node: _Node, place: int, value: Any, frame: _Frame, iteration: int) -> None:
        states = frame.iterations.get(iteration)
        if states is None:
            return  # an iteration that is over
        state = states.get(node)
        if state is DEAD:
            return  # it ran already: a Merge takes the first value
        if state is None:
            state = states[node] = [node.waits, [None] * node.count, False, 0]
        state[0] -= 1
        if place >= 0:
            state[1][place] = value
        if node.kind == MERGE:
            self._merge_received(node, place, value, state, states, frame, iteration)
            return
        if value is DEAD:
            state[2] = True
        if state[0] == 0:
            states[node] = DEAD
            self._enqueue(node, state[1], state[2], frame, iteration)

    def _merge_received(
        self,
        node: _Node,
        place: int,
        value: Any,
        state: Any,
        states: Any,
        frame: _Frame,
        iteration: int,
    ) -> None:
        if place >= 0 and value is DEAD:
            state[3] += 1
        controls = node.waits - node.count
        data = sum(v is not None for v in state[1])
        arrived_controls = (node.waits - state[0]) - data
        has_live = data > state[3]
        if arrived_controls == controls and (has_live or state[3] == node.count):
            states[node] = DEAD
            self._enqueue(node, state[1], not has_live, frame, iteration)
