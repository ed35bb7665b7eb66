"""What the open blocks of a thread say about the nodes made in them: scopes, devices, what must run first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ckpt.graph.devices import canonical_name, device_text
from ckpt.graph.operation import Operation


class Controller:
    """One `control_dependencies` block: what must run first, and which nodes were made inside it."""

    __slots__ = ("control_inputs", "is_new_stack", "outer", "seen")

    def __init__(self, control_inputs: list[Operation] | None, outer: list[Controller]) -> None:
        self.is_new_stack = control_inputs is None
        self.control_inputs = control_inputs or []
        self.seen: set[Operation] = set()
        self.outer = outer


class OpenBlocks(threading.local):
    """What the open blocks of one thread say about the nodes made in them."""

    def __init__(self) -> None:
        self.name = ""
        self.controllers: list[Controller] = []
        self.devices: list[Callable[[Any], str]] = []
        self.colocations: list[Operation] = []
        self.attrs: dict[str, Any] = {}
        self.gradient_overrides: dict[str, str] = {}
        self.container = ""
        self.is_used = False

    def take_from(self, outer: OpenBlocks) -> None:
        """Begin as the scopes of the graph around a function body: all but what orders and colocates."""
        self.name = outer.name
        self.devices = outer.devices
        self.attrs = outer.attrs
        self.gradient_overrides = outer.gradient_overrides
        self.container = outer.container
        self.is_used = outer.is_used

    def note_use(self) -> None:
        """From now on nodes must look at the scopes: until the first block there is nothing to apply."""
        self.is_used = True


def function_text(function: Any) -> str:
    """A device function in an error: its name, and where it was written."""
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", repr(function))
    return name if code is None else f"{name}<{code.co_filename}, {code.co_firstlineno}>"


def device_function(function: Callable[[Any], Any]) -> Any:
    """A function from nodes to devices, in whatever form it gives them, as one to canonical strings."""

    def place(node: Any) -> str:
        return canonical_name(device_text(function(node)))

    return place
