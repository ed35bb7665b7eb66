"""Tensors that a session keeps from one run to the next under handles. Knows no graph."""

from __future__ import annotations

import itertools
import threading
from typing import Any

KIND = "kept tensors"
"""Under which kind a session holds its KeptTensors."""
DEVICE = "/job:localhost/replica:0/task:0/device:CPU:0"


class KeptTensors:
    """Values by handle: `name;number;device`, as TensorFlow writes it."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def keep(self, name: str, value: Any) -> str:
        """The handle that `value` is kept under; `name` says what made it."""
        with self._lock:
            handle = f"{name};{next(self._numbers)};{DEVICE}"
            self._values[handle] = value
            return handle

    def value(self, handle: str) -> Any:
        """The value. Raises KeyError where nothing is kept under the handle."""
        return self._values[handle]

    def drop(self, handle: str) -> None:
        """Keep the value no longer. Raises KeyError where nothing is kept under the handle."""
        with self._lock:
            del self._values[handle]
