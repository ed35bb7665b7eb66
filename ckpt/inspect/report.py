"""What a checkpoint holds, as plain values: variables, totals, graph. Reads headers only; loads no numpy and no h5py."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ckpt.core import selectors
from ckpt.core.errors import InvalidArgumentError, SelectionError
from ckpt.core.limits import MAX_META_BYTES
from ckpt.core.storage import exists, read_file
from ckpt.formats import detect
from ckpt.formats.base import StrPath
from ckpt.formats.hdf5 import HDF5, SHARDED_HDF5
from ckpt.formats.hdf5_volumes import open_checkpoint
from ckpt.formats.missing import MissingCheckpointError
from ckpt.inspect.listing import meta_beside, step_of

if TYPE_CHECKING:
    from ckpt.wire.metagraph_summary import MetaGraphSummary


class VariableReport(NamedTuple):
    """One variable: what the file's index says of it. `nbytes` is what it takes in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int

    @property
    def elements(self) -> int:
        """How many numbers or strings it holds."""
        return prod(self.shape)


@dataclass(frozen=True)
class CheckpointReport:
    """One checkpoint. `graph` is None when the file carries none; `total` counts variables before any selection."""

    path: str
    format: str
    variables: tuple[VariableReport, ...] = ()
    step: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    graph: MetaGraphSummary | None = None
    total: int = 0

    @cached_property
    def names(self) -> list[str]:
        """The names of the variables listed."""
        return [variable.name for variable in self.variables]

    @cached_property
    def kinds(self) -> list[tuple[str, tuple[int, ...], int]]:
        """Dtype, shape and stored bytes of the variables, each once."""
        return list(dict.fromkeys(variable[1:] for variable in self.variables))

    @cached_property
    def kind_of(self) -> list[int]:
        """Of which of the `kinds` each variable is."""
        numbers = {kind: number for number, kind in enumerate(self.kinds)}
        return [numbers[variable[1:]] for variable in self.variables]

    @cached_property
    def nbytes(self) -> int:
        """Bytes of all variables listed."""
        return sum(variable.nbytes for variable in self.variables)

    @cached_property
    def elements(self) -> int:
        """Elements of all variables listed."""
        return sum(variable.elements for variable in self.variables)


def inspect(path: StrPath) -> CheckpointReport:
    """The report on a checkpoint file, a prefix (also one of a graph alone), or a `.meta` file.

    Raises members of the OpError family that name the file: not found, damaged, or of an unknown format.
    """
    name = os.fspath(path)
    if name.endswith(".meta") and exists(name):
        return _of_meta(name)
    try:
        file = detect.resolve(name)
    except MissingCheckpointError:
        if not exists(f"{name}.meta"):
            raise
        return _of_meta(f"{name}.meta")  # a frozen model is a graph alone
    found = detect.recognise(file)
    if found in (HDF5, SHARDED_HDF5):
        return _of_hdf5(file, found.name)
    with found.open(file) as reader:
        specs = [reader.spec(name) for name in reader.names()]
        variables = [VariableReport(s.name, s.dtype, s.shape, s.nbytes) for s in specs]
        return _report(file, found.name, variables, reader.metadata(), None)


def _of_hdf5(file: str, kind: str) -> CheckpointReport:
    """Our own files by their index: two small reads of each, and one for the graph."""
    checkpoint = open_checkpoint(file)
    try:
        variables = [VariableReport(*entry) for entry in checkpoint.entries()]
        blob = checkpoint.metagraph
        data = b""
        if blob is not None and blob.length:
            data = checkpoint.volumes[blob.file].file.read(blob.offset, blob.length)
    finally:
        checkpoint.close()
    graph = _summary(data, file) if data else _beside(file)
    return _report(file, kind, variables, checkpoint.metadata, graph)


def _beside(file: str) -> MetaGraphSummary | None:
    """The graph in the `.meta` file that belongs to a checkpoint file without one."""
    meta = meta_beside(file)
    return _of_meta(meta).graph if exists(meta) else None


def _summary(data: bytes, file: str) -> MetaGraphSummary:
    from ckpt.wire import metagraph_file  # a checkpoint without a graph is listed without it

    return metagraph_file.summary(data, file)


def _of_meta(path: str) -> CheckpointReport:
    from ckpt.wire import metagraph_body, metagraph_file

    data = read_file(path, limit=MAX_META_BYTES)
    if not data.startswith(metagraph_body.MAGIC[:1]):
        data = metagraph_file.pack(metagraph_file.load(data, path))
    graph = metagraph_file.summary(data, path)
    return CheckpointReport(path=path, format="metagraph", graph=graph)


def _report(
    file: str,
    kind: str,
    variables: Iterable[VariableReport],
    metadata: Mapping[str, str],
    graph: MetaGraphSummary | None,
) -> CheckpointReport:
    listed = tuple(variables)
    return CheckpointReport(
        file, kind, listed, step_of(metadata, file), dict(metadata), graph, len(listed)
    )


def select(
    report: CheckpointReport,
    patterns: Iterable[str],
    collections: Callable[[], Mapping[str, frozenset[str]] | None] | None = None,
) -> CheckpointReport:
    """Only the variables that the selectors select (docs of `core.selectors`); all of them when there are none.

    `collections` tells for words such as `@trainable` which collections of a graph each variable is in; None without
    a graph. Raises SelectionError listing every one that matches nothing, with the nearest names, or cannot be understood.
    """
    wanted = list(patterns)
    if not wanted:
        return report
    try:
        asks = any(selector.asks_graph for selector in selectors.parse(wanted))
        members = collections() if asks and collections is not None else None
        facts = selectors.candidates(((v.name, v.dtype) for v in report.variables), members)
        names = set(selectors.select(wanted, facts))
    except SelectionError as error:
        raise SelectionError(f"{report.path}: {error}") from error
    return replace(report, variables=tuple(v for v in report.variables if v.name in names))


def ordered(report: CheckpointReport, by: str) -> CheckpointReport:
    """The variables by `name`, by `size` (largest first) or as in the `file`."""
    if by == "file":
        return report
    if by not in ("name", "size"):
        raise InvalidArgumentError(None, None, f"variables are sorted by name or size, not {by!r}")
    variables = sorted(report.variables, key=lambda variable: variable.name)
    if by == "size":
        variables.sort(key=lambda variable: -variable.nbytes)
    return replace(report, variables=tuple(variables))
