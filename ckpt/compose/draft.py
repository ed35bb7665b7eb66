"""A saved model as plain data to be edited: its MetaGraph, what its checkpoint holds, and which variable each entry is.

Tensors stay in their files until they are written or needed. Every edit gives a new Draft; the old one stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ckpt.core import defs
from ckpt.core.errors import GraphError, NotFoundError
from ckpt.core.spelling import similar
from ckpt.formats import detect, hdf5_writer
from ckpt.formats.base import TensorEntry
from ckpt.graph.graph import Graph
from ckpt.graph.selection import without
from ckpt.saver import metagraph
from ckpt.saver.meant import checkpoint_prefix
from ckpt.saver.meta_files import saved_meta_graph
from ckpt.saver.output import check_free, make_home
from ckpt.saver.saver import Saver
from ckpt.saver.savings import VARIABLE_TYPES, saver_only, savings


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor that is still in its file."""

    path: str
    key: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A model to be edited.

    `meta` is its MetaGraph without Savers, `entries` the variables (nodes) behind each entry of the checkpoint,
    several for a partitioned one, `tensors` the value of each entry: an array, or where it is stored.
    """

    meta: defs.MetaGraphDef
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tensors: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def nodes(self) -> dict[str, defs.NodeDef]:
        """The nodes of the graph by name."""
        return {node.name: node for node in self.meta.graph_def.node}

    @property
    def variables(self) -> dict[str, str]:
        """From the node of each variable to its entry in the checkpoint."""
        return {variable: key for key, variables in self.entries.items() for variable in variables}

    def with_nodes(self, nodes: Iterable[defs.NodeDef]) -> Draft:
        """The draft with these nodes instead of its own."""
        graph = replace(self.meta.graph_def, node=tuple(nodes))
        return replace(self, meta=replace(self.meta, graph_def=graph))

    def without(self, gone: Iterable[str]) -> Draft:
        """The draft without these nodes, and without the entries whose variables are among them."""
        gone = set(gone)
        entries = {
            key: variables for key, variables in self.entries.items() if gone.isdisjoint(variables)
        }
        lost = self.entries.keys() - entries.keys()
        tensors = {key: value for key, value in self.tensors.items() if key not in lost}
        return replace(self, meta=without(self.meta, gone), entries=entries, tensors=tensors)

    def values(self, keys: Iterable[str]) -> dict[str, Any]:
        """The arrays of these entries; each file is opened once. Raises NotFoundError for an entry without value."""
        wanted = list(keys)
        missing = [key for key in wanted if key not in self.tensors]
        if missing:
            raise NotFoundError(None, None, f"no value is known for {', '.join(missing)}")
        found = {k: self.tensors[k] for k in wanted if not isinstance(self.tensors[k], Stored)}
        by_path: dict[str, list[tuple[str, str]]] = {}
        for key in wanted:
            stored = self.tensors[key]
            if isinstance(stored, Stored):
                by_path.setdefault(stored.path, []).append((key, stored.key))
        for path, pairs in by_path.items():
            with detect.open_reader(path) as reader:
                found.update((key, reader.read(stored)) for key, stored in pairs)
        return {key: found[key] for key in wanted}


def open_draft(path: Any) -> Draft:
    """The saved model that `path` means (prefix, file, directory), as a draft.

    A graph alone is a draft without tensors, a checkpoint without MetaGraph one without nodes. Raises NotFoundError when
    there is neither, DataLossError when a file is damaged.
    """
    prefix = checkpoint_prefix(path)
    meta = saved_meta_graph(prefix)
    return _with_checkpoint(Draft(defs.MetaGraphDef()) if meta is None else draft_of(meta), prefix)


def draft_of(meta: defs.MetaGraphDef) -> Draft:
    """A MetaGraph as a draft, its variables without values."""
    entries = {saving.key: saving.variables for saving in savings(meta)}
    return Draft(without(meta, saver_only(meta)), entries)


def _with_checkpoint(draft: Draft, prefix: str) -> Draft:
    try:
        path = detect.resolve(prefix)
    except NotFoundError:
        if draft.entries:
            raise
        return draft  # a graph without variables
    with detect.open_reader(path) as reader:
        tensors = {name: Stored(path, name) for name in reader.names()}
        metadata = dict(reader.metadata())
    missing = sorted(draft.entries.keys() - tensors.keys())
    if missing:
        raise NotFoundError(
            None, None, f"{path}: the graph saves what the checkpoint lacks: {', '.join(missing)}"
        )
    return replace(draft, tensors=tensors, metadata=metadata)


def write_draft(draft: Draft, output: Any, *, force: bool = False) -> list[str]:
    """Write the draft as a checkpoint `<output>.h5` and its `.meta` (the `.meta` alone where it has no tensors).

    Returns the files. Raises AlreadyExistsError when one is there (unless `force`), GraphError when the graph is no
    longer whole; nothing is written then.
    """
    prefix = os.fspath(output).removesuffix(".h5").removesuffix(".meta")
    has_graph = bool(draft.meta.graph_def.node)
    files = [f"{prefix}.h5"] * bool(draft.tensors) + [f"{prefix}.meta"] * has_graph
    if not files:
        raise GraphError("nothing is left of the model: no node and no tensor")
    check_free(files, force=force)
    packed = metagraph.packed(_with_saver(draft)) if has_graph else None
    values = draft.values(draft.tensors)
    make_home(prefix)
    if values:
        entries = [TensorEntry(key, np.asarray(value)) for key, value in values.items()]
        hdf5_writer.write(files[0], entries, metadata=draft.metadata, metagraph=packed)
    if packed is not None:
        metagraph.write_packed(files[-1], packed)
    return files


def _with_saver(draft: Draft) -> defs.MetaGraphDef:
    """The MetaGraph with a Saver for the entries of the checkpoint. Raises GraphError when nodes do not fit."""
    graph = Graph()
    with graph.as_default():
        imported = metagraph.import_into(graph, draft.meta)
        var_list = {
            key: [_variable(imported, name) for name in variables]
            for key, variables in draft.entries.items()
        }
        saver = (
            Saver({k: v if len(v) > 1 else v[0] for k, v in var_list.items()}) if var_list else None
        )
    return replace(
        metagraph.export(graph, saver_def=None if saver is None else saver.to_def()),
        signature_def=draft.meta.signature_def,
    )


def _variable(imported: metagraph.Imported, name: str) -> Any:
    if name in imported.variables:
        return imported.variables[name]
    return imported.operations[name].outputs[0]


def variable_node(draft: Draft, name: str) -> str:
    """The node of a variable, by its name or by its entry in the checkpoint. Raises GraphError."""
    nodes = draft.nodes
    found = draft.entries[name] if name in draft.entries and name not in nodes else (name,)
    if len(found) == 1 and found[0] in nodes and nodes[found[0]].op in VARIABLE_TYPES:
        return found[0]
    raise GraphError(f"there is no variable '{name}'{similar(name, draft.variables)}")
