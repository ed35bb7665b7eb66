"""What the records of a `.meta` file cost to read, so that a file which would cost too much is refused.

An element stands for some 70 ns. Must not know what the records mean. Loads no numpy.
"""

from __future__ import annotations

from ckpt.core.limits import graph_elements
from ckpt.wire.metagraph_body import Damage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

MOST_ELEMENTS = 1 << 18  # of one record, with all that is in it
_NODE = 8  # a node's list, texts, list and map
_ATTR = 5  # a name and a value
_MEMBER = 4  # a value in a list
EXTENSION = 4  # what a placeholder costs besides, an extension type
_FIELD = 5  # each value of a record that is read field by field
RECORD = 24  # what such a record costs besides
FUNCTION = 4 * RECORD  # what a function costs besides its records


class Budget:
    """Counts elements and raises Damage when there are too many."""

    __slots__ = ("_left", "_most", "_what")

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what, self._left = most, what, most

    def spend(self, count: int) -> None:
        """So many more."""
        self._left -= count
        if self._left < 0:
            raise Damage(f"more than {self._most} elements are in {self._what}")

    def take(self, items: Any) -> Any:
        """A hook of msgpack for lists and maps."""
        self.spend(1 + len(items))
        return items


class _Unlimited(Budget):
    __slots__ = ()

    def spend(self, count: int) -> None:
        pass


UNLIMITED: Budget = _Unlimited(0, "")


def graph_budget() -> Budget:
    """The budget of all graphs of one file, as large as the caller allows."""
    most = graph_elements()
    if most is None:
        return UNLIMITED
    return Budget(
        most,
        "the graph; if it is to be so large, read it in `with ckpt.allow_large_graphs():` "
        "(`ckpt --large-graphs` on the command line)",
    )


def record_budget(most: int = MOST_ELEMENTS) -> Budget:
    """The budget of one record."""
    return Budget(most, "one record")


def node_elements(nodes: Sequence[Any]) -> int:
    """What nodes cost, which are lists of name, operation, inputs, device and attributes."""
    attrs = [node[4] for node in nodes]
    members = sum([len(v) for attr in attrs for v in attr.values() if type(v) is list])
    inputs = sum([len(node[2]) for node in nodes])
    return _NODE * len(nodes) + inputs + _ATTR * sum(map(len, attrs)) + _MEMBER * members


def record_elements(record: Any) -> int:
    """What another record costs, with all that is in it."""
    return RECORD + _FIELD * values_in(record)


def values_in(record: Any) -> int:
    """How many values there are in lists and maps, they and the names in them among these."""
    count, waiting = 0, [record]
    while waiting:
        value = waiting.pop()
        count += 1
        if type(value) is list:
            waiting += value
        elif type(value) is dict:
            count += len(value)
            waiting += value.values()
    return count
