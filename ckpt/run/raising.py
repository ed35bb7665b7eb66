"""TensorFlow 1's control flow raised to If and While nodes, where it is as regular as tf.cond and tf.while_loop make it.

The raised node computes what the Merge or Exit nodes of the imported graph compute: it *stands for* their outputs. The
imported nodes stay as they are; a plan takes the values from the raised node instead. What is not regular is left to
the dataflow interpreter. A raised node lies beside the graph until a gradient needs it, which then puts it in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ckpt.core import defs
from ckpt.core.shapes import TensorShape
from ckpt.graph.function import FuncGraph, take_arguments
from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS
from ckpt.graph.operation import Operation, Tensor
from ckpt.run import dataflow
from ckpt.run.dataflow import ENTERS, SWITCHES
from ckpt.run.places import NO_GUARDS, Frame, Guards, Place, Places, condition_of, merge_left
from ckpt.run.regions import Region, Unit, irregular_units, opened

STANDS_FOR = "_stands_for"
"""The attribute of a raised node in a graph that names the tensors whose values it computes."""
DEEPEST = 100
"""Loops and branches within others that are raised; each takes some frames of Python's stack."""
_BOUNDARY = dataflow.TYPES | {"LoopCond"}


class _Irregular(Exception):  # caught in this file
    """This structure is none that tf.cond or tf.while_loop makes."""


class _Body(FuncGraph):
    """The body of a raised node: made while planning too, so also where the graph takes no more nodes."""

    def __init__(self, name: str, outer: Graph, bodies: dict[str, Any]) -> None:
        super().__init__(name, outer)
        self._names_in_use = {}
        self._bodies = bodies
        self._scopes = type(self._scopes)()
        self._is_loose = True

    def check_not_finalized(self) -> None:
        """As of any graph once this one belongs to it."""
        if not self._is_loose:
            super().check_not_finalized()

    def settle(self, bodies: dict[str, Any]) -> None:
        """Belong to the graph around, whose library is `bodies`."""
        self._bodies = bodies
        self._is_loose = False


class _Builder:
    """Copies the nodes of one place into `target`, raising what lies deeper."""

    def __init__(
        self, places: Places, region: Region, target: Graph, outside: _Builder | None
    ) -> None:
        self.places = places
        self.region = region
        self.target = target
        self.outside = outside
        self.tensors: dict[Tensor, Tensor] = {}
        self.operations: dict[Operation, Operation] = {}
        self.controls: dict[Operation, None] = {}
        self._asked: set[Tensor] = set()
        self.left: Collection[Unit] = ()  # what is not to be raised
        self._state: dict[
            Operation | Unit, bool
        ] = {}  # False: its sources are looked at, True: done

    def build(self, wanted: Sequence[Tensor], controls: Sequence[Operation] = ()) -> list[Tensor]:
        """What stands for the `wanted` tensors in the target."""
        for item in self._order([*(t.op for t in wanted), *controls]):
            if isinstance(item, Unit):
                self.raise_unit(item)
            else:
                self._copy(item)
        found = [self.lookup(t) for t in wanted]
        return [self.target.capture(t) for t in found] if self.outside else found

    def _order(self, ends: Iterable[Operation]) -> list[Operation | Unit]:
        """The items that these need, inputs first. Raises _Irregular for a branch that needs what it makes."""
        order: list[Operation | Unit] = []
        state = self._state
        region = self.region
        stack: list[Operation | Unit] = [i for i in map(region.item_of, ends) if i is not None]
        while stack:
            item = stack[-1]
            if item in state:
                stack.pop()
                if not state[item]:
                    state[item] = True
                    order.append(item)
                continue
            state[item] = False
            for source in self._sources(item):
                other = region.item_of(source)
                if other is None or other is item or state.get(other):
                    continue
                if other in state:
                    raise _Irregular
                stack.append(other)
        return order

    def _sources(self, item: Operation | Unit) -> Iterable[Operation]:
        if isinstance(item, Unit):
            return item.sources()
        if item.outputs and item.outputs[0] in self.tensors:
            return ()
        if item.type in ENTERS or item.type == "LoopCond":
            return ()
        if item.type in SWITCHES:
            return (item._inputs[0].op, *item._control_inputs)
        return (*(t.op for t in item._inputs), *item._control_inputs)

    def lookup(self, tensor: Tensor) -> Tensor:
        """What stands for `tensor` here. Raises _Irregular where it may have no value here."""
        op, place, here = tensor.op, self.places.of(tensor), self.region.here
        if self.outside is None:
            if place != here:
                self._kept(tensor)
            return tensor
        found = self.tensors.get(tensor)
        if found is not None:
            return found
        is_switched = op.type in SWITCHES and tensor not in self.places.fed
        if is_switched and place is not None and place.frame is here.frame:
            if not place.guards <= here.guards:
                raise _Irregular
            return self._known(tensor, self.lookup(op._inputs[0]))
        if op in self.region.plain and op.type in ENTERS:
            return self._known(tensor, self.target.capture(self.outside.lookup(op._inputs[0])))
        if self.region.item_of(op) is not None and tensor not in self.places.fed:
            return self._kept(tensor)
        return self._known(tensor, self.target.capture(self.outside.lookup(tensor)))

    def _kept(self, tensor: Tensor) -> Tensor:
        """A value inside a branch, for a later part of that branch: one more output of what was raised before.

        Raises _Irregular for what is no such value. Where the branch is not taken, nobody looks at it.
        """
        unit, place = self.region.unit_of.get(tensor.op), self.places.of(tensor)
        if unit is None or unit.pred is None or place is None or tensor.value_index:
            raise _Irregular
        if tensor in self.tensors:
            return self.tensors[tensor]
        if tensor in self._asked:
            raise _Irregular
        self._asked.add(tensor)
        made = self.raise_unit(unit)
        base = tensor.dtype.base_dtype
        if base.name in ("resource", "variant") or tensor.dtype._is_ref_dtype:
            raise _Irregular
        taken, other = unit.sides
        if not taken.region.here.guards <= place.guards:
            taken, other = other, taken
        (found,) = taken.build([tensor])
        shape = found.shape if found.shape.is_fully_defined() else TensorShape(None)
        sizes = shape.as_tuple() if shape.is_fully_defined() else ()
        attrs = {"dtype": base, "value": np.zeros(sizes, base.as_numpy_dtype)}
        name = other.target.claimed_name("not_taken")
        taken.target.outputs.append(found)
        other.target.outputs += other.target.add("Const", OPS["Const"], [], attrs, name).outputs
        sources = take_arguments(self.target, [side.target for side in unit.sides])
        made._inputs = (made._inputs[0], *sources)
        made.attrs = {
            **made.attrs,
            "Tin": [s.dtype.base_dtype for s in sources],
            "Tout": [*made.attrs["Tout"], base],
            "output_shapes": [*made.attrs["output_shapes"], shape],
        }
        made._outputs.append(Tensor(made, len(made._outputs), base, shape))
        return self._known(tensor, made._outputs[-1])

    def _known(self, tensor: Tensor, found: Tensor) -> Tensor:
        self.tensors[tensor] = found
        return found

    def _copy(self, op: Operation) -> None:
        if op.outputs and op.outputs[0] in self.tensors:
            return
        self._wait_outside(op)
        if op.type in _BOUNDARY or self.outside is None:
            return
        place = self.places.at[op]
        is_own = place is not None and place.guards == self.region.here.guards
        if not is_own and (op.opdef is None or op.opdef.is_stateful):
            raise _Irregular  # it would run in the condition and in the body
        attrs = {key: value for key, value in op.attrs.items() if key != "_class"}
        name = self._name(op.name)
        inputs = [self.lookup(t) for t in op._inputs]
        made = self.target.add(
            op.type, op.opdef, inputs, attrs, name, [t._dtype for t in op._outputs]
        )
        made.device, made._origin = op.device, op._origin
        made._control_inputs += tuple(self._controls(op))
        self.operations[op] = made
        self.tensors.update(zip(op._outputs, made._outputs, strict=True))

    def _name(self, name: str) -> str:
        taken = self.target._names_in_use.setdefault(name.lower(), 0)
        return self.target.claimed_name(name) if taken else _claim(self.target, name)

    def _controls(self, op: Operation) -> list[Operation]:
        """The copies of what `op` waits for beyond its inputs."""
        found = (self.operations.get(c) for c in op._control_inputs)
        return list(dict.fromkeys(c for c in found if c is not None))

    def _wait_outside(self, op: Operation) -> None:
        for control in op._control_inputs:
            if self.region.item_of(control) is None:
                self.controls[control] = None

    def raise_unit(self, unit: Unit) -> Operation:
        """Add the If or While of a unit to the target. Raises _Irregular."""
        if unit.made is not None:
            return unit.made
        if unit in self.left:
            raise _Irregular
        made = self._branch(unit) if unit.pred is not None else self._loop(unit)
        unit.made = made
        ends = (*unit.ends, *(op for op in unit.members if op in self.places.awaited))
        self.operations.update(dict.fromkeys(ends, made))
        return made

    def _waits(self, node: Operation, unit: Unit, inner: Iterable[_Builder]) -> None:
        """Let the raised node wait for what its parts wait for."""
        found = dict.fromkeys(c for builder in inner for c in builder.controls)
        for op in unit.members:
            if op.type in _BOUNDARY:
                found.update(dict.fromkeys(op._control_inputs))
            for tensor in op._inputs:
                if tensor.op.type in SWITCHES and tensor.op not in unit.members:
                    found.update(dict.fromkeys(tensor.op._control_inputs))
        for control in found:
            if control in unit.members:
                continue
            other = self.region.unit_of.get(control)
            if other is not None and control not in other.ends:
                node._control_inputs += (self.raise_unit(other),)
            elif self.outside is None:
                node._control_inputs += (control,)
            elif control in self.operations:
                node._control_inputs += (self.operations[control],)
            elif self.region.item_of(control) is None:
                self.controls[control] = None

    def _branch(self, unit: Unit) -> Operation:
        assert unit.pred is not None  # as the caller knows
        frame, guards = self.region.here
        sides = []
        for value in (True, False):
            guard = guards | {(unit.pred, value)}
            region = Region(self.places, unit.members, frame, guard)
            body = self._body(f"{_scope(unit)}cond_{str(value).lower()}")
            side = _Builder(self.places, region, body, self)
            wanted = []
            for merge in unit.ends:
                if any(c in unit.members for c in merge._control_inputs):
                    raise _Irregular
                wanted += [t for t in merge._inputs if self._is_side(self.places.of(t), guard)]
            if len(wanted) != len(unit.ends):
                raise _Irregular
            awaited = [op for op in unit.members if op in self.places.awaited]
            awaited = [op for op in awaited if region.item_of(op) is not None]
            found = side.build(wanted, awaited)
            waits = list(dict.fromkeys(side.operations[op] for op in awaited))
            body.outputs = [self._after(body, t, waits) for t in found]
            sides.append(side)
        bodies = [side.target for side in sides]
        pred = self._condition(unit)
        sources = take_arguments(self.target, bodies)  # type: ignore[arg-type]  # bodies all
        outputs = list(zip(*[body.outputs for body in bodies], strict=True))  # type: ignore[attr-defined]  # as above
        attrs = {
            "Tcond": pred.dtype.base_dtype,
            "Tin": [s.dtype.base_dtype for s in sources],
            "Tout": [t.dtype.base_dtype for t, _ in outputs],
            "then_branch": _entered(bodies[0]),
            "else_branch": _entered(bodies[1]),
            "output_shapes": [a.shape.most_specific_compatible_shape(b.shape) for a, b in outputs],
        }
        unit.sides = sides
        made = self._add("If", [pred, *sources], attrs, unit)
        self._waits(made, unit, sides)
        self.tensors.update(zip((op.outputs[0] for op in unit.ends), made.outputs, strict=True))
        return made

    @staticmethod
    def _is_side(place: Place | None, guards: Guards) -> bool:
        return place is not None and place.guards == guards

    def _condition(self, unit: Unit) -> Tensor:
        """What decides a branch: as a Switch of it has it, so that it waits for what that waits for."""
        assert unit.pred is not None  # as the caller knows
        preds = {
            t.op._inputs[1]: None
            for op in unit.members
            for t in op._inputs
            if t.op.type in SWITCHES and condition_of(t.op) is unit.pred
            if t.op not in unit.members
        }
        for pred in preds:
            if pred is not unit.pred and self.region.item_of(pred.op) is not None:
                return self.lookup(pred)
        return self.lookup(unit.pred)

    def _loop(self, unit: Unit) -> Operation:
        frame = unit.frame
        assert frame is not None  # as the caller knows
        enters = [merge._inputs[0].op for merge in frame.merges]
        starts = [self.lookup(enter._inputs[0]) for enter in enters]
        shapes = [start.shape for start in starts]
        while True:
            test = self._test(unit, frame, starts, shapes)
            again = self._again(unit, frame, starts, shapes)
            found = [t.shape for t in again.target.outputs]  # type: ignore[attr-defined]  # a body
            wider = [a if _covers(a, b) else a.most_specific_compatible_shape(b)
                     for a, b in zip(shapes, found, strict=True)]  # fmt: skip
            if all(_covers(a, b) for a, b in zip(shapes, found, strict=True)):
                break
            shapes = wider
        cond, body = test.target, again.target
        assert isinstance(cond, FuncGraph)
        assert isinstance(body, FuncGraph)  # both made above
        own = {f: [t for t in f.inputs if f.outer_of(t) is None] for f in (cond, body)}
        sources = take_arguments(self.target, [cond, body])
        for function, arguments in own.items():
            function.inputs = [*arguments, *function.inputs]
        body.outputs = [*body.outputs, *body.inputs[len(starts) :]]
        attrs = {
            "T": [t.dtype.base_dtype for t in (*starts, *sources)],
            "cond": _entered(cond),
            "body": _entered(body),
            "output_shapes": [t.shape for t in body.inputs],
            "parallel_iterations": enters[0].attrs["parallel_iterations"],
        }
        made = self._add("While", [*starts, *sources], attrs, unit)
        self._waits(made, unit, (test, again))
        for end in unit.ends:
            merge = merge_left(end)
            assert merge is not None  # of a regular loop
            number = frame.merges.index(merge)
            self.tensors[end.outputs[0]] = made.outputs[number]
        return made

    def _iteration(
        self, unit: Unit, name: str, guards: Guards, starts: Sequence[Tensor],
        shapes: Sequence[TensorShape],
    ) -> _Builder:  # fmt: skip
        frame = unit.frame
        assert frame is not None  # as the caller knows
        region = Region(self.places, unit.members, frame, guards)
        body = self._body(f"{_scope(unit)}{name}")
        made = _Builder(self.places, region, body, self)
        for merge, start, shape in zip(frame.merges, starts, shapes, strict=True):
            argument = body.argument(start.dtype.base_dtype, shape, "Identity")
            made.tensors[merge.outputs[0]] = argument
        return made

    def _test(
        self, unit: Unit, frame: Frame, starts: Sequence[Tensor], shapes: Sequence[TensorShape]
    ) -> _Builder:
        assert frame.condition is not None  # of a regular loop
        made = self._iteration(unit, "while_cond", NO_GUARDS, starts, shapes)
        body = made.target
        body.outputs = [made.end(frame.condition)]  # type: ignore[attr-defined]  # a body
        return made

    def _again(
        self, unit: Unit, frame: Frame, starts: Sequence[Tensor], shapes: Sequence[TensorShape]
    ) -> _Builder:
        assert frame.condition is not None  # of a regular loop
        guards = frozenset({(frame.condition.outputs[0], True)})
        made = self._iteration(unit, "while_body", guards, starts, shapes)
        following = [merge._inputs[1].op for merge in frame.merges]
        made.target.outputs = [made.end(op) for op in following]  # type: ignore[attr-defined]  # a body
        return made

    def end(self, op: Operation) -> Tensor:
        """What a LoopCond or NextIteration takes, once all that it waits for has run."""
        controls = [c for c in op._control_inputs if self.region.item_of(c) is not None]
        (found,) = self.build(op._inputs, controls)
        waits = [self.operations[c] for c in controls if c in self.operations]
        is_captured = found in self.target.captures.values()  # type: ignore[attr-defined]  # a body
        return self._after(self.target, found, waits, is_captured)

    @staticmethod
    def _after(
        body: Graph, tensor: Tensor, waits: Sequence[Operation], is_new: bool = False
    ) -> Tensor:
        """The value of `tensor` once `waits` have run; a tensor of its own where `is_new`."""
        if not tensor.dtype._is_ref_dtype and not waits and not is_new:
            return tensor
        attrs = {"T": tensor.dtype.base_dtype}
        made = body.add("Identity", OPS["Identity"], [tensor], attrs, body.claimed_name("Identity"))
        made._control_inputs += tuple(waits)
        return made.outputs[0]

    def _body(self, name: str) -> _Body:
        target = self.target
        outer = target.graph if isinstance(target, _Beside) else target
        bodies = target._bodies
        number = 0
        while (
            f"{name}_{number}" in bodies
            or f"{name}_{number}" in outer._bodies
            or f"{name}_{number}" in outer._functions
        ):
            number += 1
        made = _Body(f"{name}_{number}", outer, bodies)
        bodies[made.name] = made
        return made

    def _add(self, kind: str, inputs: list[Tensor], attrs: dict[str, Any], unit: Unit) -> Operation:
        scope = unit.first.name.rpartition("/")[0]
        name = f"{scope}/{kind}" if scope else kind
        made = self.target.add(kind, OPS[kind], inputs, attrs, self.target.claimed_name(name))
        made._origin = unit.first._origin
        return made


def _claim(graph: Graph, name: str) -> str:
    graph._names_in_use[name.lower()] = 1
    return name


def _scope(unit: Unit) -> str:
    return unit.first.name.rpartition("/")[0].replace("/", "_") + "_"


def _covers(shape: TensorShape, other: TensorShape) -> bool:
    """True when everything that `shape` says holds for `other`."""
    if shape.sizes is None:
        return True
    if other.sizes is None or len(other.sizes) != len(shape.sizes):
        return False
    return all(a is None or a == b for a, b in zip(shape.sizes, other.sizes, strict=True))


def _entered(body: Any) -> defs.Func:
    return defs.Func(body.name)


class _Beside(Graph):
    """Holds raised nodes that are not, or not yet, nodes of `graph`."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self._functions = graph._functions


def raised(
    graph: Graph, nodes: Collection[Operation], fetches: Sequence[Tensor],
    targets: Sequence[Operation], fed: Collection[Tensor],
) -> dict[Tensor, Tensor]:  # fmt: skip
    """The outputs of raised nodes that stand for Merge and Exit tensors, for a run of exactly these nodes.

    The nodes inside a raised structure need not run, unless one of them is fetched: then it is not raised.
    """
    places = Places(nodes, fetches, fed)
    region = Region(places, places.nodes, places.root, NO_GUARDS)
    left = irregular_units(places, region, nodes, [*(t.op for t in fetches), *targets])
    left |= opened(region, _too_deep(places, region))
    beside = _Beside(graph)
    builder = _Builder(places, region, beside, None)
    found: dict[Tensor, Tensor] = {}
    builder.left = left
    units = dict.fromkeys(region.unit_of.values())
    for unit in units:
        if unit not in left:
            try:
                builder.raise_unit(unit)
            except _Irregular:
                left |= opened(region, [unit])
    while more := [u for u in units if u not in left and opened(region, [u]) & left]:
        left.update(more)
    for tensor, made in builder.tensors.items():
        holder = region.unit_of.get(tensor.op)
        if holder is not None and holder not in left:
            found[tensor] = made
    return found


def _too_deep(places: Places, region: Region) -> list[Unit]:
    """The units with loops or branches that are nested too deep to be functions of functions."""
    found = (places.of(op.outputs[0]) if op.outputs else None for op in region.unit_of)
    deep = {place for place in set(found) if place is not None and place.depth > DEEPEST}
    return [
        unit
        for op, unit in region.unit_of.items()
        if deep and op.outputs and places.of(op.outputs[0]) in deep
    ]


def settle(node: Operation, stands: Mapping[Tensor, Tensor]) -> None:
    """Put a raised node into the graph beside which it lies, and let it stand for its tensors from now on."""
    beside = node.graph
    if not isinstance(beside, _Beside):
        return
    graph = beside.graph
    graph.check_not_finalized()
    for before in node._control_inputs:
        settle(before, stands)
    with graph._lock:
        pending = [node]
        while pending:
            for body in _settled_bodies(pending.pop(), beside, graph):
                pending += [op for op in body.get_operations() if op.opdef is not None]
        names = {made: tensor.name for tensor, made in stands.items() if made.op is node}
        node.attrs = {**node.attrs, STANDS_FOR: [names.get(t, "") for t in node.outputs]}
        node.graph = graph
        node.name = graph.claimed_name(node.name)
        node.node_id = len(graph._nodes)
        graph._nodes.append(node)
        graph._by_name[node.name] = node
    graph.stand_ins.update((t, made) for t, made in stands.items() if made.op is node)


def _settled_bodies(node: Operation, beside: Graph, graph: Graph) -> list[_Body]:
    found = []
    for key, value in list(node.attrs.items()):
        if not isinstance(value, defs.Func):
            continue
        body = beside._bodies.get(value.name)
        if not isinstance(body, _Body) or body._bodies is graph._bodies:
            continue
        while body.name in graph._bodies or body.name in graph._functions:
            body.name += "_"
        node.attrs = {**node.attrs, key: defs.Func(body.name)}
        graph._bodies[body.name] = body
        body.settle(graph._bodies)
        found.append(body)
    return found
