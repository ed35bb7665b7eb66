"""What one session keeps between runs: variables and other resources. Must not know plans."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ckpt.core.errors import PermissionDeniedError
from ckpt.graph.file_use import HOW_TO_ALLOW, import_of
from ckpt.graph.operation import Operation
from ckpt.run import deadline


class SessionState:
    """The resources of one session by (kind, container, name), and what callers attach to a run."""

    def __init__(self) -> None:
        self._resources: dict[tuple[str, str, str], Any] = {}
        self._attachments: dict[str, Any] = {}
        self._saving: list[str] = []
        self._lock = threading.RLock()

    def resource(self, kind: str, container: str, name: str, make: Callable[[], Any]) -> Any:
        """The resource of this kind and name, made by `make` the first time."""
        key = (kind, container, name)
        with self._lock:
            if key not in self._resources:
                self._resources[key] = make()
            return self._resources[key]

    def remove_resource(self, kind: str, container: str, name: str) -> None:
        """Forget that resource."""
        with self._lock:
            self._resources.pop((kind, container, name), None)

    def attach(self, key: str, value: Any) -> None:
        """Leave `value` for the kernel that asks for `key`."""
        with self._lock:
            self._attachments[key] = value

    def attachment(self, key: str) -> Any:
        """What was left under `key`, or None."""
        with self._lock:
            return self._attachments.get(key)

    def detach(self, key: str) -> Any:
        """What was left under `key`, or None; it is gone afterwards."""
        with self._lock:
            return self._attachments.pop(key, None)

    @contextmanager
    def saving(self, prefix: str) -> Iterator[None]:
        """Operations of imported graphs may write the checkpoint of this prefix in the block."""
        with self._lock:
            self._saving.append(prefix)
        try:
            yield
        finally:
            with self._lock:
                self._saving.remove(prefix)

    def saves(self, prefix: str | None = None) -> bool:
        """Whether that checkpoint, or any, is being written."""
        return prefix in self._saving if prefix is not None else bool(self._saving)

    def clear(self) -> None:
        """Forget everything. A resource with a method `end_of_session` is told: to wake who waits for it, to close files."""
        with self._lock:
            forgotten = list(self._resources.values())
            self._resources.clear()
            self._attachments.clear()
        for resource in forgotten:
            told = getattr(resource, "end_of_session", None)
            if told is not None:
                told()


class NodeContext:
    """What a stateful kernel sees of its session: graph.opdef.KernelContext for one node."""

    __slots__ = ("_state", "node")

    def __init__(self, state: SessionState, node: Operation) -> None:
        self._state = state
        self.node = node

    def resource(self, kind: str, container: str, name: str, make: Callable[[], Any]) -> Any:
        """The session's resource of this kind and name, made by `make` the first time."""
        return self._state.resource(kind, container, name, make)

    def remove_resource(self, kind: str, container: str, name: str) -> None:
        """Forget that resource."""
        self._state.remove_resource(kind, container, name)

    def attachment(self, key: str) -> Any:
        """What the caller attached to this run under `key`, or None."""
        return self._state.attachment(key)

    def check_saves(self, prefix: str) -> None:
        """Raise PermissionDeniedError where the node was imported and no Saver writes the checkpoint of this prefix."""
        noted = import_of(self.node)
        if noted is not None and not self._state.saves(prefix):
            raise PermissionDeniedError(
                None, None, f"{self.node.type} '{self.node.name}' (of {noted.source}) would write the checkpoint {prefix!r}, "
                f"which no Saver writes in this run. {HOW_TO_ALLOW}"
            )  # fmt: skip

    def wait(self, condition: threading.Condition) -> None:
        """Wait until `condition` is notified; its lock is held. Raises when the run must end before."""
        deadline.wait(condition)
