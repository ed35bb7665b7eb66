"""A reader that calls tensors by other names than their file does. Must not know where the names come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ckpt.core.errors import NotFoundError
from ckpt.formats.base import MappingReader, Slices, TensorReader, TensorSpec

if TYPE_CHECKING:
    from typing import Self

    import numpy as np

    Array = np.ndarray[Any, Any]


class RenamedReader:
    """The tensors of `sources` (name here -> name in the file), and no others; closing it closes the reader."""

    def __init__(self, reader: TensorReader, sources: Mapping[str, str]) -> None:
        self._reader = reader
        self._sources = sources

    def names(self) -> list[str]:
        """The names here."""
        return list(self._sources)

    def spec(self, name: str) -> TensorSpec:
        """Dtype, full shape and size, under the name here. Raises NotFoundError."""
        return self._reader.spec(self._source(name))._replace(name=name)

    def read(self, name: str, part: Slices | None = None, out: Array | None = None) -> Array:
        """The values, or those of `part`."""
        return self._reader.read(self._source(name), part, out)

    def view(self, name: str, *, verify: bool = True) -> Array | None:
        """The values as a read-only view of the file; None where that cannot be."""
        source = self._source(name)
        if isinstance(self._reader, MappingReader):
            return self._reader.view(source, verify=verify)
        return None

    def _source(self, name: str) -> str:
        if name not in self._sources:
            raise NotFoundError(None, None, f"no tensor is called {name!r} here")
        return self._sources[name]

    def metadata(self) -> Mapping[str, str]:
        """What the writer left."""
        return self._reader.metadata()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
