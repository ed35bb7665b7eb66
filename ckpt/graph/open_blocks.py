"""What the open blocks of a thread say about the nodes made in them: scopes, devices, what must run first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ckpt.graph.devices import canonical_name, device_text
from ckpt.graph.operation import Operation
from ckpt.wire.plain import plain_attr


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

    @contextmanager
    def within(self, what: str, value: Any) -> Iterator[None]:
        """A block in which the attribute `what` is `value`."""
        before = getattr(self, what)
        setattr(self, what, value)
        self.note_use()
        try:
            yield
        finally:
            setattr(self, what, before)

    def apply(self, node: Operation) -> None:
        """Give a new node what the open blocks say. They are those of the thread, the node belongs to nobody else yet."""
        added: dict[str, Any] = {}
        override = self.gradient_overrides.get(node.type)
        if override is not None:
            added["_gradient_op_type"] = override
        for key, value in self.attrs.items():
            found = value(node) if callable(value) else value
            if found is not None:
                added[key] = plain_attr(found)
        changed: dict[str, Any] = {}
        if self.container and node.attrs.get("container") == "":
            changed["container"] = self.container
        if self.colocations:
            groups: set[str] = set()
            for other in self.colocations:
                groups.update(other.colocation_names())
                node.device = other.device
            changed["_class"] = sorted(groups)
        if added or changed:
            node.attrs = {**added, **node.attrs, **changed}
        if self.devices:
            node.__dict__["device_scopes"] = self.devices
            for place in reversed(self.devices):
                node.device = place(node) or ""
        if self.controllers:
            self._add_control_inputs(node)

    def _add_control_inputs(self, node: Operation) -> None:
        found: dict[Operation, None] = {}
        input_ops = {t.op for t in node._inputs}
        for controller in self.controllers:
            if not any(op in controller.seen for op in input_ops):
                found.update(
                    dict.fromkeys(c for c in controller.control_inputs if c not in input_ops)
                )
        node._control_inputs += tuple(op for op in found if op not in node._control_inputs)
        for controller in self.controllers:
            controller.seen.add(node)


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
