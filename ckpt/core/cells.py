"""The place where a variable's value lives while a session is open. Must not know graphs or sessions.

A value is immutable: assignment replaces it. So whoever holds a value (a run, a snapshot being saved) keeps what it
had, and nobody needs locks or copies to read. Whoever computes the new value from the old one holds `lock` meanwhile,
so that no update is lost.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from ckpt.core.dtypes import DType
from ckpt.core.errors import InvalidArgumentError, UninitializedError

Array = np.ndarray[Any, Any]


class Cell:
    """One variable of one session: `value` is a read-only array, or None before the first assignment."""

    __slots__ = ("dtype", "lock", "name", "shape", "value")

    def __init__(self, name: str, dtype: DType, shape: tuple[int | None, ...] | None) -> None:
        self.lock = threading.RLock()
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.value: Array | None = None

    def read(self) -> Array:
        """The value. Raises UninitializedError before the first assignment."""
        value = self.value
        if value is None:
            raise UninitializedError(
                None,
                None,
                f"Attempting to use uninitialized value {self.name}: run tf.global_variables_initializer() "
                "or restore a checkpoint first",
            )
        return value

    def write(self, value: Any) -> None:
        """Take `value`: an array that nobody else can change is kept, any other is copied.

        A kernel's fresh result owns its memory and is frozen here; views and what the caller fed are copied.
        """
        array = value if type(value) is np.ndarray else np.asarray(value)
        if array.flags.writeable:
            if array.base is not None:
                array = array.copy()
            array.flags.writeable = False
        elif array.base is not None and not _is_frozen(array.base):
            array = array.copy()
            array.flags.writeable = False
        self.value = array

    def check_shape(self, value: Any) -> None:
        """Raise InvalidArgumentError unless `value` has the shape of this variable."""
        held = self.shape if self.value is None else self.value.shape
        found = np.shape(value)
        if held is None:
            return
        if len(held) != len(found) or any(
            h is not None and h != f for h, f in zip(held, found, strict=True)
        ):
            raise InvalidArgumentError(
                None,
                None,
                f"Assign requires shapes of both tensors to match. lhs shape= {list(held)} rhs shape= {list(found)} "
                f"for variable {self.name}",
            )


def _is_frozen(base: Any) -> bool:
    return isinstance(base, np.ndarray) and not base.flags.writeable and base.base is None
