"""The branches and loops of one place in a graph, each with all that lies inside it gathered to one unit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ckpt.graph.operation import Operation, Tensor
from ckpt.run.dataflow import SWITCHES
from ckpt.run.places import Frame, Guards, Place, Places


class Unit:
    """One branch (`pred`) or loop (`frame`) with all that lies in it; `ends` are its Merge or Exit nodes."""

    def __init__(self, members: Collection[Operation], ends: Sequence[Operation], place: Place,
                 pred: Tensor | None = None, frame: Frame | None = None) -> None:  # fmt: skip
        self.members = dict.fromkeys(members)
        self.ends = list(ends)
        self.place = place
        self.pred = pred
        self.frame = frame
        self.made: Operation | None = None  # what it was raised to
        self.sides: list[Any] = []  # who built its two bodies

    @property
    def first(self) -> Operation:
        """The node that the unit is named after."""
        return next(iter(self.ends or self.members))

    def sources(self) -> Iterable[Operation]:
        """What the unit waits for."""
        if self.pred is not None:
            yield self.pred.op
        for op in self.members:
            for source in (*(t.op for t in op._inputs), *op._control_inputs):
                if source not in self.members:
                    yield source
                    if source.type in SWITCHES:
                        yield source._inputs[1].op


class Region:
    """The nodes at one place, those deeper in it gathered to units. In a loop's body the nodes of its condition count
    too, since a body may use them."""

    def __init__(
        self, places: Places, members: Iterable[Operation], frame: Frame, guards: Guards
    ) -> None:
        self.places = places
        self.here = Place(frame, guards)
        self.unit_of: dict[Operation, Unit] = {}
        self.plain: set[Operation] = set()
        self._gather(list(members))

    def _gather(self, members: list[Operation]) -> None:
        guards = self.here.guards
        loops: dict[Frame, list[Operation]] = {}
        deeper: dict[Operation, Guards] = {}
        ends: dict[Tensor, list[Operation]] = {}
        for op in members:
            place, inner = self.seen_from_here(op)
            if place is None:
                continue
            if place == guards and inner is not None:
                loops.setdefault(inner, []).append(op)
            elif place == guards and op in self.places.merged:
                ends.setdefault(self.places.merged[op], []).append(op)
            elif place > guards:
                deeper[op] = place
            elif place <= guards:
                self.plain.add(op)
        for loop, inside in loops.items():
            if loop.exits and not loop.is_irregular:
                self._add(Unit(inside, loop.exits, self.here, frame=loop))
        inner_of: dict[Tensor, list[Operation]] = {}
        for op, found in deeper.items():
            preds = [pred for pred, _ in found - guards if pred in ends]
            if len(preds) == 1:
                inner_of.setdefault(preds[0], []).append(op)
        for pred, merges in ends.items():
            for group in _connected([*inner_of.get(pred, ()), *merges]):
                closing = [op for op in group if op in self.places.merged and op in set(merges)]
                if closing:
                    self._add(Unit(group, closing, self.here, pred=pred))
        cyclic = [unit for unit in _on_cycles(self) if unit.pred is not None]
        if cyclic:
            self._split(cyclic)

    def _split(self, units: list[Unit]) -> None:
        """Cut branches that need what they make into what comes before and after: as TensorFlow's gradients, which
        work on in the branch whose result they start from."""
        levels = _Levels(self, units).found
        if levels is None:
            return
        for unit in units:
            parts: dict[int, list[Operation]] = {}
            for op in unit.members:
                parts.setdefault(levels[op], []).append(op)
            for part in parts.values():
                self._add(
                    Unit(part, [e for e in unit.ends if e in set(part)], self.here, unit.pred)
                )

    def _add(self, unit: Unit) -> None:
        self.unit_of.update(dict.fromkeys(unit.members, unit))

    def seen_from_here(self, op: Operation) -> tuple[Guards | None, Frame | None]:
        """The guards of `op`, or of the loop it lies in, in the frame of this region; and that loop."""
        place = self.places.at.get(op)
        if place is None:
            return None, None
        frame, guards = place
        inner: Frame | None = None
        if op.type == "Exit":
            inside = self.places.at.get(op._inputs[0].op)
            inner = None if inside is None else inside.frame
        while frame is not self.here.frame:
            around = frame.outer
            if around is None or frame.guards is None:
                return None, None
            guards, inner, frame = frame.guards, frame, around
        if inner is not None and inner.outer is not frame:
            inner = None
        return guards, inner

    def item_of(self, op: Operation) -> Operation | Unit | None:
        """The unit that `op` is in, or `op` itself where it is a node of this place; None for one outside."""
        return self.unit_of.get(op) or (op if op in self.plain else None)


def _connected(members: Sequence[Operation]) -> list[list[Operation]]:
    """The members in groups that edges connect, each in the order given."""
    leader: dict[Operation, Operation] = {op: op for op in members}

    def find(op: Operation) -> Operation:
        while leader[op] is not op:
            leader[op] = leader[leader[op]]
            op = leader[op]
        return op

    for op in members:
        for source in (*(t.op for t in op._inputs), *op._control_inputs):
            if source in leader:
                leader[find(op)] = find(source)
    groups: dict[Operation, list[Operation]] = {}
    for op in members:
        groups.setdefault(find(op), []).append(op)
    return list(groups.values())


class _Levels:
    """How many ends of the given branches lie before each of their nodes; `found` is None where that cannot be told."""

    def __init__(self, region: Region, units: Collection[Unit]) -> None:
        self.region = region
        self.cut = set(units)
        self.ends = {end for unit in units for end in unit.ends}
        self.inner: dict[Operation, Unit] = {}  # branches within the branches stay together
        frame, guards = region.here
        for unit in units:
            assert unit.pred is not None  # branches only
            for value in (True, False):
                side = Region(region.places, unit.members, frame, guards | {(unit.pred, value)})
                self.inner.update(side.unit_of)
        self.parts: dict[Any, list[Operation]] = {}
        for op in (*region.plain, *region.unit_of):
            self.parts.setdefault(self._item(op), []).append(op)
        self.found = self._count()

    def _item(self, op: Operation) -> Any:
        """A node, or the loop or unit that counts as one."""
        item = self.region.item_of(op)
        if item in self.cut:
            _, loop = self.region.seen_from_here(op)
            return self.inner.get(op) or loop or op
        return item

    def _sources(self, item: Any) -> set[Operation]:
        found: set[Operation] = set()
        for op in self.parts[item]:
            found.update(t.op for t in op._inputs)
            found.update(op._control_inputs)
        return found

    def _count(self) -> dict[Operation, int] | None:
        edges: dict[Any, list[tuple[Any, int]]] = {item: [] for item in self.parts}
        waiting = dict.fromkeys(self.parts, 0)
        for item in self.parts:
            for source in self._sources(item):
                before = self._item(source)
                if before is not None and before is not item:
                    edges[before].append((item, int(source in self.ends)))
                    waiting[item] += 1
        level = dict.fromkeys(self.parts, 0)
        ready = [item for item, count in waiting.items() if not count]
        done = 0
        while ready:
            item = ready.pop()
            done += 1
            for user, step in edges[item]:
                level[user] = max(level[user], level[item] + step)
                waiting[user] -= 1
                if not waiting[user]:
                    ready.append(user)
        if done < len(self.parts):
            return None
        return {op: level[item] for item, ops in self.parts.items() for op in ops}


def irregular_units(
    places: Places, region: Region, nodes: Iterable[Operation], asked: Iterable[Operation]
) -> set[Unit]:
    """The units that cannot be raised, since a node inside is needed outside, or since they depend on themselves."""
    inside = {op for op, unit in region.unit_of.items() if op not in unit.ends}
    exposed = [region.unit_of[op] for op in asked if op in inside]
    for op in nodes:
        if op not in region.unit_of:
            sources = (*(t.op for t in op._inputs if t not in places.fed), *op._control_inputs)
            exposed += [region.unit_of[s] for s in sources if s in inside]
    return opened(region, [*exposed, *_on_cycles(region)])


def opened(region: Region, units: Iterable[Unit]) -> set[Unit]:
    """These units and those whose inner nodes they need."""
    found: set[Unit] = set()
    pending = list(units)
    while pending:
        unit = pending.pop()
        if unit in found:
            continue
        found.add(unit)
        for source in unit.sources():
            other = region.unit_of.get(source)
            if other is not None and source not in other.ends:
                pending.append(other)
    return found


def _on_cycles(region: Region) -> list[Unit]:
    """The units that lie on a cycle, or between two, once each is taken for one node."""
    edges: dict[Any, set[Any]] = {}
    for unit in dict.fromkeys(region.unit_of.values()):
        edges[unit] = {region.item_of(source) for source in unit.sources()} - {unit, None}
    for op in region.plain:
        before = (*(t.op for t in op._inputs), *op._control_inputs)
        edges[op] = {region.item_of(source) for source in before} - {None}
    for _ in range(2):  # what no cycle leads to, then what leads to none
        waiting = {item: len(sources) for item, sources in edges.items()}
        users: dict[Any, list[Any]] = {item: [] for item in edges}
        for item, sources in edges.items():
            for source in sources:
                users[source].append(item)
        ready = [item for item, count in waiting.items() if not count]
        while ready:
            item = ready.pop()
            for user in users[item]:
                waiting[user] -= 1
                if not waiting[user]:
                    ready.append(user)
        stuck = {item for item, count in waiting.items() if count}
        edges = {item: {u for u in users[item] if u in stuck} for item in stuck}
    return [item for item in edges if isinstance(item, Unit)]
