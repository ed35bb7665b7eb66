"""Python's cycle collector, paused while large acyclic values are built; reference counting goes on."""

from __future__ import annotations

import gc


class paused:
    """A context in which the collector does not walk half-built values again and again: it doubles the time of a large read."""

    def __enter__(self) -> None:
        self._was_enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_enabled:
            gc.enable()
