"""Where the nodes of TensorFlow 1's control flow stand: in which loop, and under which conditions. Knows no other type.

A node of a branch has a value only where the branch is taken. So each tensor has *guards*, the conditions under which
it is alive: `Switch` adds one, an ordinary node has those of all its inputs, and the `Merge` that ends a branch takes
one away. The guards of a loop's nodes count within one iteration; the loop as a whole has guards in the *frame* around.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ckpt.graph.node_order import MERGES
from ckpt.graph.operation import Operation, Tensor
from ckpt.run.dataflow import ENTERS, NEXTS, SWITCHES

Guards = frozenset[tuple[Tensor, bool]]
NO_GUARDS: Guards = frozenset()


class Frame:
    """One loop, or (without `outer`) the graph around all loops."""

    def __init__(self, name: str, outer: Frame | None) -> None:
        self.name = name
        self.outer = outer
        self.guards: Guards | None = None if outer else NO_GUARDS
        self.constants: Guards = NO_GUARDS
        self.condition: Operation | None = None
        self.merges: list[Operation] = []
        self.exits: list[Operation] = []
        self.nexts: list[Operation] = []
        self.is_irregular = False


class Place(NamedTuple):
    """A frame, and the guards within its iteration."""

    frame: Frame
    guards: Guards

    @property
    def depth(self) -> int:
        """In how many loops and branches it lies."""
        depth, place = 0, self
        while place.frame.outer is not None:
            depth += len(place.guards) + 1
            place = Place(place.frame.outer, place.frame.guards or NO_GUARDS)
        return depth + len(place.guards)

    def with_guard(self, pred: Tensor, value: bool) -> Place | None:
        """The place with one guard more; None where that contradicts another."""
        if (pred, not value) in self.guards:
            return None
        return Place(self.frame, self.guards | {(pred, value)})


class Places:
    """The place of each node, None where it cannot be told. An output of a Switch has a place of its own."""

    def __init__(
        self, nodes: Collection[Operation], fetches: Collection[Tensor], fed: Collection[Tensor]
    ) -> None:
        self.fed = fed
        used = (*fetches, *(t for op in nodes for t in op._inputs))
        self._asked = {t.op for t in used if t.value_index and t.op.type in MERGES}
        self.nodes = _ordered(nodes)
        self.root = Frame("", None)
        self._irregular: set[tuple[str, ...]] = set()
        while True:
            self.frames: dict[tuple[Frame, str], Frame] = {}
            self.merged: dict[Operation, Tensor] = {}
            self.awaited: set[Operation] = set()
            self.at: dict[Operation, Place | None] = {}
            for op in self.nodes:
                self.at[op] = self._place(op)
            found = {_path(f) for f in self.frames.values() if not self._is_regular(f)}
            if found <= self._irregular:
                return
            self._irregular |= found

    def of(self, tensor: Tensor) -> Place | None:
        """Where a tensor has its value."""
        if tensor in self.fed:
            return Place(self.root, NO_GUARDS)
        place = self.at.get(tensor.op)
        if place is not None and tensor.op.type in SWITCHES:
            return place.with_guard(condition_of(tensor.op), tensor.value_index == 1)
        return place

    def _place(self, op: Operation) -> Place | None:
        if op.type in MERGES:
            return self._place_of_merge(op)
        sources = [*(t.op for t in op._inputs if t not in self.fed), *op._control_inputs]
        found = self._joined(
            [*map(self.of, op._inputs), *(self.at.get(c) for c in op._control_inputs)]
        )
        if op.type == "ControlTrigger":
            return self._place_of_trigger(op)
        if found is None or any(s.type in NEXTS for s in sources):
            return None
        if any(s.type in ENTERS and not s.attrs["is_constant"] for s in sources):
            found.frame.is_irregular = True  # alive in the first iteration only
            return None
        if op.type in ENTERS:
            return self._entered(op, found)
        if op.type == "Exit":
            return self._left(op, found)
        if op.type == "NextIteration":
            found.frame.nexts.append(op)
        elif op.type == "LoopCond":
            found.frame.is_irregular |= found.frame.condition is not None or bool(found.guards)
            found.frame.condition = op
        elif op.type in ("RefExit", "RefNextIteration"):
            found.frame.is_irregular = True
            return None
        return found

    def _place_of_trigger(self, op: Operation) -> Place | None:
        """What runs even where it waits for nodes of branches not taken: these then count as ends of their branch."""
        places = [self.at.get(c) for c in op._control_inputs]
        frames = {None if place is None else place.frame for place in places}
        if len(frames) != 1 or None in frames:
            return None
        self.awaited.update(op._control_inputs)
        return places[0] and Place(places[0].frame, NO_GUARDS)

    def _joined(self, places: Sequence[Place | None]) -> Place | None:
        """The place of what needs values of all these places."""
        if not places:
            return Place(self.root, NO_GUARDS)
        guards: set[tuple[Tensor, bool]] = set()
        for place in places:
            if place is None or place.frame is not places[0].frame:  # type: ignore[union-attr]  # the first is none of None
                return None
            guards |= place.guards
        if len({pred for pred, _ in guards}) < len(guards):
            return None
        return Place(places[0].frame, frozenset(guards))  # type: ignore[union-attr]  # as above

    def _entered(self, op: Operation, outside: Place) -> Place | None:
        key = outside.frame, op.attrs["frame_name"]
        frame = self.frames.get(key)
        if frame is None:
            frame = self.frames[key] = Frame(key[1], outside.frame)
            frame.is_irregular = _path(frame) in self._irregular
        if op.attrs["is_constant"]:
            frame.constants |= outside.guards  # what does not change may come from further out
        elif frame.guards is None:
            frame.guards = outside.guards
        elif frame.guards != outside.guards:
            frame.is_irregular = True
        return None if frame.is_irregular else Place(frame, NO_GUARDS)

    def _left(self, op: Operation, inside: Place) -> Place | None:
        frame = inside.frame
        if frame.outer is None or frame.guards is None:
            return None
        frame.exits.append(op)
        return Place(frame.outer, frame.guards)

    def _place_of_merge(self, op: Operation) -> Place | None:
        if op.type != "Merge" or len(op._inputs) != 2 or op in self._asked:
            return None  # or it is asked which input it took
        if any(t.op.type in NEXTS for t in op._inputs):
            place = self.of(op._inputs[0])
            if place is not None:
                place.frame.merges.append(op)
            return place
        first, second = map(self.of, op._inputs)
        if first is None or second is None or first.frame is not second.frame:
            return None
        ours, theirs = first.guards - second.guards, second.guards - first.guards
        if len(ours) != 1 or len(theirs) != 1:
            return None
        (pred, value), (other, opposite) = *ours, *theirs
        if pred is not other or value is opposite:
            return None
        self.merged[op] = pred
        return Place(first.frame, first.guards & second.guards)

    def _is_regular(self, frame: Frame) -> bool:
        """True for a loop as tf.while_loop makes them."""
        if frame.is_irregular or frame.condition is None or not frame.merges:
            return False
        if frame.guards is None or not frame.constants <= frame.guards:
            return False
        test = frame.condition.outputs[0]
        again = Place(frame, frozenset({(test, True)}))
        for merge in frame.merges:
            enter, following = (t.op for t in merge._inputs)
            if (
                enter.type != "Enter"
                or enter.attrs["is_constant"]
                or following.type != "NextIteration"
            ):
                return False
            if self.at.get(following) != again or following not in frame.nexts:
                return False
        last = Place(frame, frozenset({(test, False)}))
        known = set(frame.merges)
        return all(
            self.of(op._inputs[0]) == last and merge_left(op) in known and not op._control_inputs
            for op in frame.exits
        )


def merge_left(exit_: Operation) -> Operation | None:
    """The Merge of the loop variable whose last value an Exit takes, behind Identity nodes that only wait for Switches."""
    node = exit_._inputs[0].op
    while node.type == "Identity" and all(_does_nothing(c) for c in node._control_inputs):
        node = node._inputs[0].op
    return node._inputs[0].op if node.type == "Switch" else None


def _does_nothing(node: Operation) -> bool:
    """True for a Switch, and for a group of nothing but Switches and Identities."""
    if node.type == "NoOp":
        return all(c.type in (*SWITCHES, "Identity") for c in node._control_inputs)
    return node.type in SWITCHES


def outside_control_flow(
    tensors: Iterable[Tensor], nodes: Collection[Operation], fed: Collection[Tensor]
) -> list[Tensor]:
    """Those of the tensors that have one value in every run: none in a branch or loop."""
    found = Places(nodes, (), fed)
    always = Place(found.root, NO_GUARDS)
    return [t for t in tensors if found.of(t) == always]


def condition_of(switch: Operation) -> Tensor:
    """The tensor that decides a Switch, behind the Identity nodes that TensorFlow puts there."""
    tensor = switch._inputs[1]
    while tensor.op.type == "Identity" and not tensor.op._inputs[0].dtype._is_ref_dtype:
        tensor = tensor.op._inputs[0]
    return tensor


def _path(frame: Frame) -> tuple[str, ...]:
    names = []
    around: Frame | None = frame
    while around is not None:
        names.append(around.name)
        around = around.outer
    return tuple(names)


def _sources(op: Operation) -> Iterable[Operation]:
    """What `op` waits for in its iteration: all but what comes round a loop."""
    is_merge = op.type in MERGES
    for tensor in op._inputs:
        if not (is_merge and tensor.op.type in NEXTS):
            yield tensor.op
    yield from op._control_inputs


def _ordered(nodes: Collection[Operation]) -> list[Operation]:
    """The nodes in an order in which inputs come first; those on other cycles than loops are left out."""
    members = sorted(nodes, key=lambda op: op.node_id)
    position = {op: i for i, op in enumerate(members)}
    if all(position.get(s, -1) < i for i, op in enumerate(members) for s in _sources(op)):
        return members
    waiting = {op: sum(s in position for s in set(_sources(op))) for op in members}
    users: dict[Operation, list[Operation]] = {}
    for op in members:
        for source in set(_sources(op)):
            users.setdefault(source, []).append(op)
    ready = [op for op in reversed(members) if not waiting[op]]
    found = []
    while ready:
        op = ready.pop()
        found.append(op)
        for user in users.get(op, ()):
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return found
