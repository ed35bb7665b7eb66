"""What every format offers: a reader of named tensors, perhaps a writer, and a description. Loads no numpy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import numpy as np

    Array = np.ndarray[Any, Any]

StrPath = str | os.PathLike[str]
Slices = tuple[slice, ...]


class TensorSpec(NamedTuple):
    """What a file says about one tensor without reading it: `nbytes` is what it takes in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class SliceSpec(NamedTuple):
    """Where an array lies in a partitioned variable: its first index per axis, and the full shape."""

    full_shape: tuple[int, ...]
    starts: tuple[int, ...]


class TensorEntry(NamedTuple):
    """One array to be written under a name; with `slice_spec` it is one part of the tensor of that name."""

    name: str
    array: Any
    slice_spec: SliceSpec | None = None


class TensorReader(Protocol):
    """Named tensors of one checkpoint. Opening reads headers only; tensor bytes are read by `read`."""

    def names(self) -> list[str]:
        """All tensor names, in the order of the file."""
        ...

    def spec(self, name: str) -> TensorSpec:
        """Dtype, full shape and size. Raises NotFoundError."""
        ...

    def read(self, name: str, part: Slices | None = None, out: Array | None = None) -> Array:
        """The values, or those of `part` (slices of step 1), read into `out` where one is given."""
        ...

    def metadata(self) -> Mapping[str, str]:
        """Free-form strings that the writer left: the step, metrics and the like."""
        ...

    def close(self) -> None:
        """Release the file; closing twice is allowed."""
        ...

    def __enter__(self) -> Self:
        """The reader itself."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Close it."""
        ...


class Target(Protocol):
    """Where `read_all` puts tensors. `number` counts the tensors asked for; calls come from one thread.

    A tensor comes by `put`, or by `begin`, which is followed by `end` or, when reading fails, by `abandon`.
    """

    def put(self, numbers: Sequence[int], values: Sequence[Array]) -> None:
        """Some tensors, in arrays of their own that nobody else holds."""
        ...

    def begin(self, number: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """A writable array of this shape and dtype, to be filled."""
        ...

    def end(self, number: int, array: Array) -> None:
        """It is filled, with verified values."""
        ...

    def abandon(self, number: int) -> None:
        """Its content is undefined."""
        ...


class FreshArrays:
    """The target that keeps the tensors in arrays of their own, in `found`."""

    def __init__(self, count: int) -> None:
        self.found: list[Any] = [None] * count

    def put(self, numbers: Sequence[int], values: Sequence[Array]) -> None:
        """Keep them."""
        for number, array in zip(numbers, values, strict=True):
            self.found[number] = array

    def begin(self, number: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """New memory."""
        from ckpt.core.memory import empty  # loads numpy

        return empty(shape, dtype)

    def end(self, number: int, array: Array) -> None:
        """Keep it."""
        self.found[number] = array

    def abandon(self, number: int) -> None:
        """Forget it."""


@runtime_checkable
class BulkReader(Protocol):
    """A reader that is faster when it is asked for many tensors at once."""

    def read_all(self, names: Sequence[str], target: Target) -> None:
        """Read these whole tensors into `target`."""
        ...


@runtime_checkable
class MappingReader(Protocol):
    """A reader whose file may be mapped into memory."""

    def view(self, name: str, *, verify: bool = True) -> Array | None:
        """The values of a whole tensor as a read-only view of the file; None where that cannot be."""
        ...


def read_all(reader: TensorReader, names: Sequence[str], target: Target) -> None:
    """Read whole tensors, of any format, into `target`. Raises what `read` raises."""
    if isinstance(reader, BulkReader):
        reader.read_all(names, target)
        return
    for number, name in enumerate(names):
        target.put([number], [reader.read(name)])


class TensorWriter(Protocol):
    """Writes all tensors of one checkpoint, atomically: the path holds the old file or the new one, whole."""

    def __call__(
        self,
        path: StrPath,
        tensors: Iterable[TensorEntry],
        *,
        metadata: Mapping[str, str] | None = None,
        durable: bool = True,
    ) -> None:
        """Raises members of the OpError family; then the path is as it was."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A description of one format.

    `recognises` judges the first bytes of a file; `suffixes` turn a checkpoint prefix into the file to open.
    `open` and `write` import what they need when they are called.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    open: Callable[[StrPath], TensorReader]
    write: TensorWriter | None
    layout: str


def metagraph_of(reader: TensorReader) -> bytes | None:
    """The MetaGraph inside a checkpoint, packed; None where there is none, and in formats that have none."""
    held: Callable[[], bytes | None] | None = getattr(reader, "metagraph", None)
    return None if held is None else held()
