"""Saved models merged into one graph: each under its scope, outputs wired to inputs, one Saver over everything.

All the work is done on plain data first (wiring, sharing, dropping); the graph is touched once, whole or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ckpt.compose.dropping import dropped_nodes, kept_nodes
from ckpt.compose.freezing import frozen
from ckpt.compose.parts import Part, Parts
from ckpt.compose.sharing import checked_shares, shared
from ckpt.compose.wiring import Wire, checked_wires, circle, rewired
from ckpt.core import defs
from ckpt.core.collector import paused
from ckpt.core.errors import FailedPreconditionError, GraphError
from ckpt.formats import detect
from ckpt.graph import stack
from ckpt.graph.file_use import origin_of_copies
from ckpt.graph.graph import Graph
from ckpt.graph.operation import Tensor
from ckpt.graph.renaming import apart, renamed, under
from ckpt.graph.selection import without
from ckpt.graph.transaction import transaction
from ckpt.graph.variable_defs import variables_by_node
from ckpt.saver import metagraph
from ckpt.saver.saver import Saver
from ckpt.saver.savings import Saving


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What a merge does, decided before any graph is touched: `meta` is the merged MetaGraph, without Savers.

    `renamed` maps "part/node" of the sources to names in the merged graph; `dropped` are nodes of the sources that
    are not in it. `savings` says for each part what its own checkpoint holds of the merged variables.
    """

    parts: Mapping[str, Part]
    wires: Sequence[Wire]
    shares: Mapping[str, str]
    renamed: Mapping[str, str]
    dropped: Sequence[str]
    frozen: Sequence[str]
    savings: Mapping[str, Sequence[Saving]]
    meta: defs.MetaGraphDef

    @property
    def variables(self) -> list[defs.VariableDef]:
        """The variables of the merged graph, each once."""
        return list(variables_by_node(self.meta).values())


def plan_merge(
    parts: Mapping[str, Any],
    connect: Mapping[str, str] | None = None,
    *,
    share: Sequence[tuple[str, str]] = (),
    keep: Iterable[str] = (),
    drop: Iterable[str] = (),
    stop_gradient: Iterable[str] = (),
    freeze: Iterable[str] = (),
    allow_noop: bool = False,
) -> MergePlan:
    """What `merge_graphs` with these arguments would do. Raises GraphError listing everything that does not fit."""
    found = Parts(parts)
    problems: list[str] = []
    wires = checked_wires(found, connect or {}, stop_gradient, problems)
    shares = checked_shares(found, share, problems)
    if problems:
        raise GraphError("the graphs cannot be merged:\n" + "\n".join(f"  {p}" for p in problems))
    saved = {name: _under(name, part, shares) for name, part in found.parts.items()}
    whole = _joined([_scoped(part) for part in found.parts.values()])
    whole = shared(replace(whole, graph_def=rewired(whole.graph_def, wires)), shares)
    stuck = circle(whole.graph_def, wires)
    if stuck:
        raise GraphError(
            f"the graphs cannot be merged:\n  the connections go in a circle through {', '.join(stuck[:10])}"
        )
    kept = without(whole, dropped_nodes(whole, drop) | _beyond(whole, keep))
    left = {node.name for node in kept.graph_def.node}
    if not allow_noop:
        _check_used(found, left)
    renamed_nodes, dropped = {}, []
    for name, part in found.parts.items():
        for node in part.nodes:
            if node not in part.source.saver_nodes:
                full = f"{name}/{node}"
                new = shares.get(full, full)
                if new in left:
                    renamed_nodes[full] = new
                else:
                    dropped.append(full)
    return MergePlan(
        parts=found.parts,
        wires=wires,
        shares=shares,
        renamed=renamed_nodes,
        dropped=dropped,
        frozen=list(freeze),
        savings={name: _within(entries, left) for name, entries in saved.items()},
        meta=frozen(kept, freeze),
    )


def _check_used(found: Parts, left: Collection[str]) -> None:
    """Raise GraphError naming the parts of which no node is in the merged graph."""
    idle = [
        name
        for name, part in found.parts.items()
        if not any(f"{name}/{node}" in left for node in part.nodes)
    ]
    if idle:
        raise GraphError(
            f"the graphs cannot be merged:\n  nothing of {', '.join(idle)} is left, after what is kept, dropped and shared: "
            "leave these parts out, or say that it is meant (allow_noop)"
        )


def _scoped(part: Part) -> defs.MetaGraphDef:
    """The MetaGraph of a part without its Savers, all its names under the part's own."""
    meta = renamed(part.source.bare, under(part.name))
    signatures = {f"{part.name}/{key}": s for key, s in meta.signature_def.items()}
    return replace(meta, signature_def=signatures)


def _under(scope: str, part: Part, shares: Mapping[str, str]) -> list[Saving]:
    """What a part's checkpoint holds, its variables by their names in the merged graph."""
    full = under(scope)
    return [
        Saving(s.key, tuple(shares.get(full(v), full(v)) for v in s.variables))
        for s in part.source.savings
    ]


def _within(entries: Iterable[Saving], left: set[str]) -> list[Saving]:
    return [entry for entry in entries if left.issuperset(entry.variables)]


def _beyond(meta: defs.MetaGraphDef, keep: Iterable[str]) -> set[str]:
    """The nodes that `keep` does not ask for; none when it asks for nothing in particular."""
    wanted = list(keep)
    return set() if not wanted else {n.name for n in meta.graph_def.node} - kept_nodes(meta, wanted)


def _joined(metas: Sequence[defs.MetaGraphDef]) -> defs.MetaGraphDef:
    """MetaGraphs whose nodes do not clash as one; functions get names of their own.

    Raises GraphError for collections of one name and different kinds.
    """
    graphs = apart([meta.graph_def for meta in metas])
    problems = []
    collections: dict[str, defs.CollectionDef] = {}
    for meta in metas:
        for key, collection in meta.collection_def.items():
            before = collections.get(key)
            if before is None:
                collections[key] = collection
            elif before.kind == collection.kind:
                collections[key] = replace(before, value=before.value + collection.value)
            else:
                problems.append(
                    f"  the collection '{key}' is a {before.kind} in one part and a {collection.kind} in another"
                )
    if problems:
        raise GraphError("the graphs cannot be merged:\n" + "\n".join(problems))
    graph = defs.GraphDef(
        node=tuple(node for graph in graphs for node in graph.node),
        library=tuple(function for graph in graphs for function in graph.library),
        gradient={k: v for graph in graphs for k, v in graph.gradient.items()},
        producer=min((graph.producer for graph in graphs), default=defs.GraphDef().producer),
        min_consumer=max((graph.min_consumer for graph in graphs), default=0),
    )
    signatures = {key: s for meta in metas for key, s in meta.signature_def.items()}
    return defs.MetaGraphDef(graph_def=graph, collection_def=collections, signature_def=signatures)


def merge_graphs(
    parts: Mapping[str, Any],
    connect: Mapping[str, str] | None = None,
    graph: Graph | None = None,
    *,
    share: Sequence[tuple[str, str]] = (),
    keep: Iterable[str] = (),
    drop: Iterable[str] = (),
    stop_gradient: Iterable[str] = (),
    freeze: Iterable[str] = (),
    shared_from: str | None = None,
    allow_noop: bool = False,
) -> Merged:
    """Merge saved models into `graph` (the default graph), each under the scope of its name.

    * `parts`: from names to saved models (prefix, file, directory, or a `Model`). The same model any number of times.
    * `connect`: inputs to outputs. {"b/x:0": "a/features:0"} makes b's placeholder x pass on a's features; it can
      still be fed, which cuts the wire.
    * `share`: pairs of variables that become one: [("a/emb", "b/emb")] makes b use a's. `restore` checks that their
      checkpoints agree, or takes the value of the part `shared_from`.
    * `keep`: tensors or operations; what they do not need is left out, but for what initialises the variables that stay.
    * `drop`: selectors of nodes that are left out with all that depends on them: "@slots", "@summaries", "@training",
      names and globs ("b/metrics/**").
    * `stop_gradient`: connected inputs through which no gradient passes.
    * `freeze`: parts, scopes or patterns (`b/**/kernel`, `@float`, `!a/out`) of variables that are not trained any more.
    * `allow_noop`: a part of which nothing is left in the merged graph is no error.

    Everything is checked first: GraphError lists every endpoint that does not exist, every dtype and shape that does
    not fit, every circle and every name that is taken; the graph is then unchanged.
    """
    with paused():
        return _merged(
            parts,
            connect,
            graph,
            shared_from,
            share=share,
            keep=keep,
            drop=drop,
            stop_gradient=stop_gradient,
            freeze=freeze,
            allow_noop=allow_noop,
        )


def _merged(
    parts: Mapping[str, Any],
    connect: Mapping[str, str] | None,
    graph: Graph | None,
    shared_from: str | None,
    **options: Any,
) -> Merged:
    if shared_from is not None and shared_from not in parts:
        raise GraphError(
            f"shared_from='{shared_from}' names no part; the parts are {', '.join(parts)}"
        )
    plan = plan_merge(parts, connect, **options)
    target = graph if graph is not None else stack.get_default_graph()
    taken = [name for name in parts if _is_taken(target, name)]
    if taken:
        raise GraphError(
            f"the graph already has names under {', '.join(f'{t}/' for t in taken)}; choose others"
        )
    with transaction(target), target.as_default(), target.name_scope(None):
        for name in parts:
            target.unique_name(name)  # later scopes of that name get another one
        live = [part.live.graph for part in plan.parts.values() if part.live is not None]
        made_at = origin_of_copies(target, live) if len(live) == len(plan.parts) else None
        imported = metagraph.import_into(target, plan.meta, made_at=made_at)
        saver = Saver() if imported.variables else None
    return Merged(target, saver, plan, imported.variables, shared_from)


def _is_taken(graph: Graph, scope: str) -> bool:
    prefix = scope.lower() + "/"
    return any(name == scope.lower() or name.startswith(prefix) for name in graph._names_in_use)


class Merged:
    """Several models in one graph: one Saver over everything, and one per part that restores its own checkpoints."""

    def __init__(
        self,
        graph: Graph,
        saver: Saver | None,
        plan: MergePlan,
        variables: Mapping[str, Any],
        shared_from: str | None,
    ) -> None:
        self.graph = graph
        self.saver = saver
        self.plan = plan
        self._variables = variables
        self._shared_from = shared_from

    @property
    def name_map(self) -> Mapping[str, str]:
        """From "part/node" of the sources to names in the merged graph."""
        return self.plan.renamed

    @property
    def sources(self) -> Mapping[str, str]:
        """The checkpoint of each part."""
        return {name: part.prefix for name, part in self.plan.parts.items()}

    @cached_property
    def savers(self) -> Mapping[str, Saver]:
        """For each part that has variables a Saver with the names of that part's own checkpoints."""
        found = {}
        with self.graph.as_default(), self.graph.name_scope(None):
            for name, entries in self.plan.savings.items():
                if entries:
                    var_list = {entry.key: self._saved(entry) for entry in entries}
                    found[name] = Saver(var_list, name=f"{name}/save/")
        return found

    def _saved(self, entry: Saving) -> Any:
        variables = [
            self._variables[v] if v in self._variables else self.tensor(v) for v in entry.variables
        ]
        return variables if len(variables) > 1 else variables[0]

    def restore(self, sess: Any) -> None:
        """Fill every part from where it came from: its checkpoint, or the session of the `Model` that was given.

        Raises FailedPreconditionError listing every shared variable that has several values in the checkpoints
        (unless `shared_from` says which one counts), and what `Saver.restore` raises.
        """
        shared_values = self._shared_values()
        for name, part in self.plan.parts.items():
            if part.live is not None:
                self._copy(sess, part)
            elif name in self.savers:
                self.savers[name].restore(sess, part.prefix)
        for variable, value in shared_values.items():
            self._variables[variable].load(value, sess)

    def _copy(self, sess: Any, part: Part) -> None:
        """Give the variables of a part the values that they have now in the part's own session."""
        own = {entry.key: entry.variables for entry in part.source.savings}
        for entry in self.plan.savings[part.name]:
            values = part.live.run([f"{name}:0" for name in own[entry.key]])
            for variable, value in zip(entry.variables, values, strict=True):
                self._variables[variable].load(value, sess)

    def _shared_values(self) -> dict[str, Any]:
        """The value of each shared variable. Raises FailedPreconditionError where checkpoints disagree."""
        targets = set(self.plan.shares.values())
        held: dict[str, dict[str, Any]] = {}
        for name, entries in self.plan.savings.items():
            wanted = [e for e in entries if targets.intersection(e.variables)]
            if wanted:
                values = self._values_of(self.plan.parts[name], [entry.key for entry in wanted])
                for entry, value in zip(wanted, values, strict=True):
                    held.setdefault(entry.variables[0], {})[f"{name}/{entry.key}"] = value
        chosen = {}
        problems = []
        for variable, found in held.items():
            sources = list(found)
            if self._shared_from is not None:
                sources = [s for s in sources if s.startswith(self._shared_from + "/")] or sources
            first = found[sources[0]]
            if any(
                not np.array_equal(first, found[s], equal_nan=_is_float(first)) for s in sources
            ):
                problems.append(f"  {variable}: {', '.join(sources)} differ")
            chosen[variable] = first
        if problems:
            raise FailedPreconditionError(
                None,
                None,
                "shared variables have several values in the checkpoints of the parts:\n"
                + "\n".join(problems)
                + "\nName the part whose values count: merge_graphs(..., shared_from='a')",
            )
        return chosen

    @staticmethod
    def _values_of(part: Part, keys: Sequence[str]) -> list[Any]:
        """The values that a part's source has under these names of its checkpoint."""
        if part.live is None:
            with detect.open_reader(detect.resolve(part.prefix)) as reader:
                return [reader.read(key) for key in keys]
        own = {entry.key: entry.variables[0] for entry in part.source.savings}
        found: list[Any] = part.live.run([f"{own[key]}:0" for key in keys])
        return found

    def tensor(self, name: str) -> Tensor:
        """The tensor of this name in the merged graph (`a/x:0`)."""
        return self.graph.get_tensor_by_name(name if ":" in name else f"{name}:0")


def _is_float(value: Any) -> bool:
    return bool(np.issubdtype(value.dtype, np.inexact))
