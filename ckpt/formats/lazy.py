"""What `ckpt.open` gives: a checkpoint of any format as a mapping of tensors that are read when they are asked for.

Must not know how any format stores them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.spelling import similar
from ckpt.formats.base import MappingReader, Slices, StrPath, TensorReader, TensorSpec

if TYPE_CHECKING:
    from typing import Self

    Array = np.ndarray[Any, Any]


class LazyTensor:
    """One tensor of an open checkpoint: name, dtype and shape at once, values when they are asked for.

    `tensor[3:5, :10]` reads what it needs and little more; `np.asarray(tensor)` is `view()`.
    """

    __slots__ = ("_checkpoint", "_spec")

    def __init__(self, checkpoint: LazyCheckpoint, spec: TensorSpec) -> None:
        self._checkpoint = checkpoint
        self._spec = spec

    @property
    def name(self) -> str:
        """Its name in the checkpoint."""
        return self._spec.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self._spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """How numpy calls its dtype; strings are objects."""
        kind: np.dtype[Any] = np.dtype(dtypes.as_dtype(self._spec.dtype).as_numpy_dtype)
        return kind

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._spec.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self._spec.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in the file."""
        return self._spec.nbytes

    def read(self, *, out: Array | None = None) -> Array:
        """All values, in memory of their own, or in `out`, which must have the right shape and dtype.

        Raises DataLossError when they are damaged, InvalidArgumentError for another `out`.
        """
        return self._checkpoint._open_reader().read(self.name, out=out)

    def view(self) -> Array:
        """All values, read-only: memory of the file itself where that can be, else read.

        The first view of a tensor verifies all its bytes, unless the checkpoint was opened with `verify=False`. The view
        stays valid when the checkpoint is closed, or replaced by a newer save. Raises DataLossError.
        """
        checkpoint = self._checkpoint
        reader = checkpoint._open_reader()
        if checkpoint.mmap and isinstance(reader, MappingReader):
            mapped = reader.view(self.name, verify=checkpoint.verify)
            if mapped is not None:
                return mapped
        array = reader.read(self.name)
        array.flags.writeable = False
        return array

    def __getitem__(self, key: Any) -> Array:
        """The values that numpy's indexing gives, in memory of their own.

        Integers, slices and `...` read only their range; any other index reads the tensor first. Raises IndexError.
        """
        try:
            cut = _cut(key, self.shape)
        except IndexError as error:
            raise IndexError(f"{self._checkpoint.path}: {self.name}: {error}") from None
        if cut is None:
            return np.array(self.view()[key])
        part, rest = cut
        values = self._checkpoint._open_reader().read(self.name, part=part)
        found: Array = values[rest]
        if isinstance(found, np.ndarray) and found.size < values.size:
            return found.copy()  # let go of what steps left out
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy:
            values = self.read()
        else:
            values = self.view()
        if dtype is None or values.dtype == dtype:
            return values
        if copy is False:
            raise ValueError(
                f"{self.name} is {values.dtype}; as {np.dtype(dtype)} it has to be copied"
            )
        return values.astype(dtype)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"tensor {self.name!r} has no axes")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<LazyTensor {self.name!r} {self._spec}>"


class LazyCheckpoint(Mapping[str, LazyTensor]):
    """An open checkpoint: names to tensors that are not read yet. Also a context manager. See `ckpt.open`."""

    def __init__(
        self, path: StrPath, reader: TensorReader, names: list[str], *, mmap: bool, verify: bool
    ) -> None:
        self.path = path
        self.mmap = mmap
        self.verify = verify
        self._reader: TensorReader | None = reader
        self._names = dict.fromkeys(names)

    @property
    def metadata(self) -> Mapping[str, str]:
        """The strings that the writer left: the step, metrics and the like."""
        return self._open_reader().metadata()

    def close(self) -> None:
        """Close the file; what was read stays. Closing twice is allowed."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _open_reader(self) -> TensorReader:
        if self._reader is None:
            raise ValueError(f"{self.path}: the checkpoint is closed; open it again")
        return self._reader

    def __getitem__(self, name: str) -> LazyTensor:
        """The tensor of that name. Raises KeyError that names the nearest ones."""
        reader = self._open_reader()
        if name not in self._names:
            raise KeyError(self._missing(name))
        return LazyTensor(self, reader.spec(name))

    def _missing(self, name: str) -> str:
        near = similar(str(name), self._names, most=None)
        return f"{self.path}: no tensor {name!r} among the {len(self._names)}{near}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._reader is None else f"{len(self)} tensors"
        return f"<LazyCheckpoint {self.path!s}: {state}>"


def _cut(key: Any, shape: tuple[int, ...]) -> tuple[Slices, tuple[Any, ...]] | None:
    """The range of each axis that an index needs, and the index into that; None for one that is no plain range."""
    keys = list(key) if isinstance(key, tuple) else [key]
    keys = [int(one) if isinstance(one, np.integer) else one for one in keys]
    if any(type(one) not in (int, slice) and one is not Ellipsis for one in keys):
        return None
    given = len(keys) - keys.count(Ellipsis)
    if given > len(shape) or keys.count(Ellipsis) > 1:
        raise IndexError(f"too many indices for a tensor of shape {shape}: {key!r}")
    ends: list[Any] = [...]  # with it, numpy makes arrays also of single elements
    if Ellipsis not in keys:
        keys.append(ends.pop())
    at = keys.index(Ellipsis)
    keys[at : at + 1] = [slice(None)] * (len(shape) - given)
    part: list[slice] = []
    rest: list[Any] = []
    for one, full in zip(keys, shape, strict=True):
        if isinstance(one, slice):
            chosen = range(full)[one]
            low, high = (
                (min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1]) + 1) if chosen else (0, 0)
            )
            part.append(slice(low, high))
            rest.append(slice(None, None, chosen.step))
        else:
            if not -full <= one < full:
                raise IndexError(f"index {one} is out of bounds for an axis of size {full}")
            part.append(slice(one % full, one % full + 1))
            rest.append(0)
    return tuple(part), (*rest, *ends)
