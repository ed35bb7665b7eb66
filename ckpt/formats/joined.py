"""Tensors whose parts a checkpoint holds under names of their own (`w/part_0`, `w/part_1`), read as the whole.

TensorFlow saves the parts of a partitioned variable as slices of one tensor; checkpoints in which each part has its own
name come from Savers that were given a dict, and from converters. Must not know graphs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt.formats.base import Slices, TensorReader, TensorSpec

if TYPE_CHECKING:
    from typing import Self

Array = np.ndarray[Any, Any]

_PART = re.compile(r"/part_(\d+)(?=/|$)")


@dataclass(frozen=True, slots=True)
class Joint:
    """A whole tensor: along which axis its parts follow each other, and their names in that order."""

    spec: TensorSpec
    axis: int
    parts: tuple[str, ...]


def joints(reader: TensorReader, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Joint]:
    """The wanted tensors (name -> full shape) that can be put together: no part missing, all of one dtype, sizes adding up.

    Slots count too: `w/Adam` of `w/part_0/Adam`, `w/part_1/Adam`.
    """
    parts: dict[str, dict[int, str]] = defaultdict(dict)
    for name in reader.names():
        found = _PART.search(name)
        if found is not None:
            parts[name[: found.start()] + name[found.end() :]][int(found[1])] = name
    joined = {}
    for name, shape in wanted.items():
        numbered = parts.get(name, {})
        names = tuple(numbered[i] for i in range(len(numbered)) if i in numbered)
        if names and len(names) == len(numbered):
            joint = _joint(name, shape, [reader.spec(part) for part in names])
            if joint is not None:
                joined[name] = joint
    return joined


def _joint(name: str, shape: tuple[int, ...], specs: list[TensorSpec]) -> Joint | None:
    first = specs[0]
    if any(s.dtype != first.dtype or len(s.shape) != len(shape) for s in specs):
        return None
    for axis in range(len(shape)):
        total = sum(spec.shape[axis] for spec in specs)
        others = {spec.shape[:axis] + spec.shape[axis + 1 :] for spec in specs}
        if total == shape[axis] and others == {shape[:axis] + shape[axis + 1 :]}:
            whole = TensorSpec(name, first.dtype, shape, sum(spec.nbytes for spec in specs))
            return Joint(whole, axis, tuple(spec.name for spec in specs))
    return None


class JoinedReader:
    """A reader with whole tensors beside their parts; it leaves closing to the owner of the other one."""

    def __init__(self, reader: TensorReader, joined: Mapping[str, Joint]) -> None:
        self._reader = reader
        self._joined = joined

    def names(self) -> list[str]:
        """The names of the file, then those of the whole tensors."""
        return [*self._reader.names(), *self._joined]

    def spec(self, name: str) -> TensorSpec:
        """Dtype, full shape and size. Raises NotFoundError."""
        joint = self._joined.get(name)
        return self._reader.spec(name) if joint is None else joint.spec

    def read(self, name: str, part: Slices | None = None, out: Array | None = None) -> Array:
        """The values, or those of `part`; of a joined tensor only the parts that it touches are read."""
        joint = self._joined.get(name)
        if joint is None:
            return self._reader.read(name, part, out)
        cuts = [*(part or ()), *(slice(None),) * len(joint.spec.shape)][: len(joint.spec.shape)]
        pieces: list[Array] = []
        start = 0
        low, high, _ = cuts[joint.axis].indices(joint.spec.shape[joint.axis])
        for piece in joint.parts:
            size = self._reader.spec(piece).shape[joint.axis]
            inside = slice(max(low - start, 0), min(high - start, size))
            if inside.start < inside.stop or (not pieces and piece == joint.parts[-1]):
                stop = max(inside.start, inside.stop)
                cuts[joint.axis] = slice(min(inside.start, size), min(stop, size))
                pieces.append(self._reader.read(piece, tuple(cuts)))
            start += size
        return np.concatenate(pieces, joint.axis, out=out)

    def metadata(self) -> Mapping[str, str]:
        """What the writer left."""
        return self._reader.metadata()

    def close(self) -> None:
        """Nothing: the other reader is its owner's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def used_parts(joined: Mapping[str, Joint], names: Iterable[str]) -> set[str]:
    """The names in the file that stand behind `names`."""
    if not joined:
        return set(names)
    found: set[str] = set()
    for name in names:
        found.update(joined[name].parts if name in joined else (name,))
    return found
