"""A bound on the containers that msgpack builds: an empty one takes up to 64 times its bytes. Loads nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Counter:
    """Stops after so many lists or maps, more than `what` needs; give `take` to msgpack as a hook."""

    def __init__(self, left: int, what: str = "an index") -> None:
        self._left, self._what = left, what

    def take(self, made: Any) -> Any:
        """What was made, if there may be one more. Raises ValueError."""
        return self._taken(made, 1)

    def take_with_entries(self, made: Any) -> Any:
        """The same, where what is in it counts too."""
        return self._taken(made, 1 + len(made))

    def _taken(self, made: Any, count: int) -> Any:
        self._left -= count
        if self._left < 0:
            raise ValueError(f"has more lists or maps than {self._what} needs")
        return made
