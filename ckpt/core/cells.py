"""The place where a variable's value lives while a session is open. Must not know graphs or sessions.

A value is immutable for everyone who holds it: assignment replaces it. So a run, or a snapshot being saved, keeps
what it had. Whoever computes the new value from the old one holds `lock` meanwhile, so that no update is lost.
An update in place (`open`, `close`) happens only where nobody else holds the array, which CPython's reference count
tells; otherwise it works on a copy. Readers wait while one is under way.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import numpy as np

from ckpt.core.dtypes import DType, float32
from ckpt.core.errors import InvalidArgumentError, UninitializedError

Array = np.ndarray[Any, Any]


_LARGE = 1 << 20
"""From so many bytes on, memory is worth being kept for the next save."""

_lent: set[int] = set()
"""The ids of arrays that saves in the background hold."""


def lend(arrays: Iterable[Any]) -> set[int]:
    """Note that a save holds these arrays until `take_back`: a cell that has to copy one keeps its memory for the next copy."""
    own = {id(array) for array in arrays if getattr(array, "nbytes", 0) >= _LARGE}
    _lent.update(own)
    return own


def take_back(lent: set[int]) -> None:
    """The save holds them no more; `lent` is what `lend` returned."""
    _lent.difference_update(lent)


class Cell:
    """One variable of one session: `value` is a read-only array, or None before the first assignment."""

    __slots__ = ("dtype", "former", "is_open", "lock", "name", "shape", "value")

    def __init__(self, name: str, dtype: DType, shape: tuple[int | None, ...] | None) -> None:
        self.lock = threading.RLock()
        self.is_open = False
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.value: Array | None = None
        self.former: Array | None = None
        """The value that was lent to a save when it had to be copied: memory for the next copy, once the save is done."""

    def read(self) -> Array:
        """The value. Raises UninitializedError before the first assignment."""
        value = self.value
        if self.is_open:
            with self.lock:
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
        with self.lock:  # an update in place that is under way would overwrite the value
            self.value = array

    def open(self, *, copies: bool = True) -> Array:
        """The value to be changed in place, contiguous and writable, until `close`: the caller alone has it.

        Where others hold it, that is a copy; without `copies`, memory for one, which is not `value`. Raises
        UninitializedError before the first assignment.
        """
        self.lock.acquire()
        self.is_open = True
        try:
            value = self.read()
            # Whoever read the value before `is_open` was set holds a reference and is counted here.
            is_shared = self._references() > _ALONE + 1
            if is_shared or value.base is not None or not value.flags.c_contiguous:
                memory = self._other_memory()
                if copies:
                    np.copyto(memory, value)
                value = memory
            value.flags.writeable = True
        except BaseException:
            self.is_open = False
            self.lock.release()
            raise
        return value

    def _references(self) -> int:
        """How many there are to the value, as if `former` were none of them."""
        if self.former is self.value:  # after an update that failed
            self.former = None
        return sys.getrefcount(self.value)

    def _other_memory(self) -> Array:
        """Memory like that of the value; where a save has the value, that is kept for the next time."""
        value, former = self.value, self.former
        assert value is not None
        is_free = former is not None and sys.getrefcount(former) <= _ALONE + 1
        if (
            former is None
            or not is_free
            or (former.shape, former.dtype) != (value.shape, value.dtype)
        ):
            former = np.empty(value.shape, value.dtype)
        self.former = value if id(value) in _lent else None
        former.flags.writeable = True
        return former

    def close(self, value: Array) -> None:
        """Take back what `open` gave, as the new value."""
        value.flags.writeable = False
        self.value = value
        self.is_open = False
        self.lock.release()

    def reopen(self, shape: tuple[int, ...], dtype: Any) -> Array | None:
        """The memory of the value, to be overwritten until `close` or `drop`; None, and nothing is open, where others
        hold it or a value of this shape and numpy dtype does not fit.
        """
        self.lock.acquire()
        value = self.value
        if value is not None and value.shape == shape and value.dtype == dtype:
            self.is_open = True
            is_shared = self._references() > _ALONE + 1
            if not is_shared and value.base is None and value.flags.c_contiguous:
                value.flags.writeable = True
                return value
            self.is_open = False
        self.lock.release()
        return None

    def drop(self) -> None:
        """After `reopen`: what was written there is no value, and the old one is gone."""
        self.value = None
        self.is_open = False
        self.lock.release()

    def give_back(self, value: Array | None) -> None:
        """Have the value again that was held before; None for none."""
        with self.lock:
            self.value = value

    def clear(self) -> None:
        """Take the value away: the variable is uninitialized again."""
        with self.lock:
            self.value = self.former = None

    def check_shape(self, value: Any) -> None:
        """Raise InvalidArgumentError unless `value` has the shape of this variable."""
        held = self.shape if self.value is None else self.value.shape
        found = np.shape(value)
        if held is None or held == found:
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


class opened:
    """`with opened(*cells) as arrays`: the values of the cells, to be changed in place within the block.

    After an exception a cell whose value others hold has it still. Raises UninitializedError where a cell has no value.
    """

    __slots__ = ("_arrays", "_cells", "_copies")

    def __init__(self, *cells: Cell, copies: bool = True) -> None:
        self._cells = cells
        self._copies = copies
        self._arrays: list[Array] = []

    def __enter__(self) -> list[Array]:
        # one order for all threads: none waits for another that waits for it
        if len(self._cells) > 1:
            for cell in sorted(self._cells, key=id):
                cell.lock.acquire()
        try:
            for cell in self._cells:
                self._arrays.append(cell.open(copies=self._copies))
        except BaseException as error:
            self._close(error)
            raise
        return self._arrays

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(error)

    def _close(self, error: BaseException | None) -> None:
        for cell, array in zip(self._cells, self._arrays, strict=False):  # fewer were opened
            cell.close(array if error is None or cell.value is None else cell.value)
        if len(self._cells) > 1:
            for cell in self._cells:
                cell.lock.release()


class renewed:
    """`with renewed(*cells) as pairs`: as `opened`, for those who go through whole values and copy on their way.

    A pair is memory for the new value and the old value; None where it lies in that memory already.
    """

    __slots__ = ("_cells", "_opened")

    def __init__(self, *cells: Cell) -> None:
        self._cells = cells
        self._opened = opened(*cells, copies=False)

    def __enter__(self) -> list[tuple[Array, Array | None]]:
        arrays = zip(self._opened.__enter__(), self._cells, strict=True)
        return [(array, None if array is cell.value else cell.value) for array, cell in arrays]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, trace)


def _references_of_a_cell_alone() -> int:
    """What `sys.getrefcount(cell.value)` says where nobody but the cell holds the array."""
    cell = Cell("", float32, ())
    cell.value = np.zeros(())
    return sys.getrefcount(cell.value)


def _is_frozen(base: Any) -> bool:
    return isinstance(base, np.ndarray) and not base.flags.writeable and base.base is None


_ALONE = _references_of_a_cell_alone() if getattr(sys, "_is_gil_enabled", lambda: True)() else -2
"""Without the global lock the count proves nothing, so then every update works on a copy."""
