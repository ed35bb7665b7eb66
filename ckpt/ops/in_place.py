"""Values of a checkpoint read straight into the variables that they are for, where nobody else holds the old ones.

A restore then needs no second model in memory. Must not know files: a reader hands the values on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ckpt.core.cells import Cell
from ckpt.core.errors import OpError
from ckpt.core.memory import empty
from ckpt.formats.base import Slices, TensorReader, read_all
from ckpt.graph.operation import Operation, Tensor

Array = np.ndarray[Any, Any]

FRESH = 48 * 1024 * 1024  # bytes of small tensors that get memory of their own


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a restore found out before it runs: an open checkpoint, and that it fits.

    `matched` are the outputs of RestoreV2 whose names and dtypes are in it; `variable_of` tells the variable that alone
    takes one of them, whole, as it is, and `target_of` the one that takes it in whatever way. `finished` collects what
    tells the cells of those whose values were read, and are being assigned.
    """

    reader: TensorReader
    matched: Container[Tensor]
    variable_of: Callable[[Tensor], Operation | None]
    target_of: Callable[[Tensor], Operation | None]
    finished: list[Callable[[], list[Cell]]] = field(default_factory=list)

    def cells(self) -> list[Cell]:
        """Those of `finished`."""
        return [cell for told in self.finished for cell in told()]


def restore_key(path: str) -> str:
    """Where the caller of a run attaches what it Prepared for RestoreV2; other threads do not see it."""
    return f"restore {threading.get_ident()} {path}"


def cell_of(ctx: Any, variable: Operation | None) -> Cell | None:
    """The cell of a VariableV2 or VarHandleOp in the session of the kernel; None for None."""
    if variable is None:
        return None
    attrs = variable.attrs
    name = attrs["shared_name"] or variable.name
    cell: Cell = ctx.resource(
        "variable",
        attrs["container"],
        name,
        lambda: Cell(name, attrs["dtype"], attrs["shape"].sizes),
    )
    return cell


def read_into(
    cell_at: Callable[[int], Cell | None],
    reader: TensorReader,
    names: Sequence[str],
    parts: Sequence[Slices | None],
) -> list[Array]:
    """The tensors, or parts of them, each for the cell of its number. Raises what the reader raises.

    After an error every cell that had been overwritten is empty, and the error says so.
    """
    whole = [number for number, part in enumerate(parts) if part is None]
    target = CellTarget(len(whole), lambda number: cell_at(whole[number]))
    try:
        read_all(reader, [names[number] for number in whole], target)
        found = dict(zip(whole, target.found, strict=True))
        for number, part in enumerate(parts):
            if part is not None:
                found[number] = reader.read(names[number], part=part)
    except OpError as error:
        target.undo(error)
        raise
    except BaseException:
        target.undo(None)
        raise
    return [found[number] for number in range(len(parts))]


class CellTarget:
    """A `formats.base.Target`: `found` are the values, `cell_at` tells the variables that they will be assigned to.

    What has no cell, or one whose array others hold, gets new memory, and is taken only when it is assigned.
    """

    def __init__(self, count: int, cell_at: Callable[[int], Cell | None]) -> None:
        self.found: list[Any] = [None] * count
        self._cell_at = cell_at
        self._open: dict[int, Cell] = {}
        self._changed: list[Cell] = []
        self._fresh = 0

    def put(self, numbers: Sequence[int], values: Sequence[Array]) -> None:
        """Keep the first ones, which are few bytes; copy what follows into the cells."""
        for number, array in zip(numbers, values, strict=True):
            self._fresh += array.nbytes
            if self._fresh <= FRESH or array.dtype == object:
                self.found[number] = array
                continue
            own = self.begin(number, array.shape, array.dtype)
            own[...] = array
            self.end(number, own)

    def begin(self, number: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """The memory of the cell, whose readers wait until `end`, or new memory."""
        cell = self._cell_at(number)
        array = None if cell is None else cell.reopen(shape, dtype)
        if cell is None or array is None:
            return empty(shape, dtype)
        self._changed.append(cell)
        self._open[number] = cell
        return array

    def end(self, number: int, array: Array) -> None:
        """Keep the values; readers of the cell find them."""
        if (cell := self._open.pop(number, None)) is not None:
            cell.close(array)
        array.flags.writeable = False
        self.found[number] = array

    def abandon(self, number: int) -> None:
        """The cell has no value now."""
        if (cell := self._open.pop(number, None)) is not None:
            cell.drop()

    def undo(self, error: OpError | None) -> None:
        """After a failure: empty all cells that were changed, so that no new value stands beside old ones; say so."""
        self.found.clear()
        clear_cells(self._changed, error)


def clear_cells(cells: Sequence[Cell], error: BaseException | None) -> None:
    """Empty these cells after a failure, so that no new value stands beside old ones; an OpError says so."""
    for cell in cells:
        cell.clear()
    if cells and isinstance(error, OpError):
        names = ", ".join(cell.name for cell in cells[:10])
        more = ", …" if len(cells) > 10 else ""
        error.message += (
            f"\n{len(cells)} variables had been overwritten when this was found and have no value now: "
            f"{names}{more}; restore another checkpoint, or initialize them"
        )
