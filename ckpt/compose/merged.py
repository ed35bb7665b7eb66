"""Saved models merged into one graph: each under its scope, outputs wired to inputs, one Saver over everything."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ckpt.compose.models import checkpoint_prefix, meta_graph_path
from ckpt.core import defs
from ckpt.core.atomic import make_directory
from ckpt.core.errors import AlreadyExistsError, GraphError
from ckpt.core.shapes import TensorShape
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.load import load_graph, split_input
from ckpt.graph.operation import Tensor
from ckpt.run.session import Session
from ckpt.saver import metagraph
from ckpt.saver.saver import Saver


@dataclass(frozen=True, slots=True)
class Merged:
    """Several models in one graph: one Saver over everything, and one per part that restores its own checkpoints."""

    graph: Graph
    saver: Saver | None
    savers: Mapping[str, Saver]
    sources: Mapping[str, str]
    name_map: Mapping[str, str]

    def restore(self, sess: Any) -> None:
        """Fill every part from the checkpoint that it came from."""
        for name, saver in self.savers.items():
            saver.restore(sess, self.sources[name])

    def tensor(self, name: str) -> Tensor:
        """The tensor of this name in the merged graph (`a/x:0`)."""
        return self.graph.get_tensor_by_name(name if ":" in name else f"{name}:0")


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What `merge_files` made, or would make: counts, files and their bytes (0 for a dry run)."""

    parts: Mapping[str, str]
    variables: int
    nodes: int
    wires: Mapping[str, str]
    output: Sequence[str]
    nbytes: int


def merge_graphs(
    parts: Mapping[str, Any], connect: Mapping[str, str] | None = None, graph: Graph | None = None
) -> Merged:
    """Merge saved models into `graph` (the default graph), each under the scope of its name.

    `connect` maps inputs to outputs: {"b/x:0": "a/features:0"} feeds a's features to b's x, whose placeholder is
    dropped. All wires are checked first: GraphError lists every endpoint that does not exist, every dtype and
    shape that does not fit and every cycle; the graph is then unchanged.
    """
    target = graph if graph is not None else stack.get_default_graph()
    prefixes = {name: checkpoint_prefix(path) for name, path in parts.items()}
    metas = {
        name: metagraph.read_meta_graph_file(meta_graph_path(prefix))
        for name, prefix in prefixes.items()
    }
    plan = _Wiring(metas, dict(connect or {}))
    taken = [name for name in parts if _is_taken(target, name)]
    if taken:
        raise GraphError(
            f"the graph already has names under {', '.join(f'{t}/' for t in taken)}; choose others"
        )
    savers: dict[str, Saver] = {}
    name_map: dict[str, str] = {}
    with target.as_default(), target.name_scope(None):
        for name in plan.order:
            kept = plan.without_replaced_inputs(name)
            imported = metagraph.import_into(
                target, kept, import_scope=name, input_map=plan.inputs(name, target)
            )
            name_map.update((f"{name}/{old}", op.name) for old, op in imported.operations.items())
            saver_def = kept.saver_def
            if saver_def is not None and saver_def.save_tensor_name:
                savers[name] = Saver.from_proto(saver_def, import_scope=imported.scope)
        saver = Saver() if savers else None
    ordered = {name: savers[name] for name in parts if name in savers}
    return Merged(target, saver, ordered, prefixes, name_map)


def _is_taken(graph: Graph, scope: str) -> bool:
    prefix = scope.lower() + "/"
    return any(name == scope.lower() or name.startswith(prefix) for name in graph._names_in_use)


class _Wiring:
    """The connections of a merge, checked, and the order in which the parts can be imported."""

    def __init__(self, metas: Mapping[str, defs.MetaGraphDef], connect: dict[str, str]) -> None:
        self.metas = metas
        self._nodes = {
            name: {n.name: n for n in meta.graph_def.node} for name, meta in metas.items()
        }
        self._tensors = {name: _static_tensors(meta) for name, meta in metas.items()}
        self.problems: list[str] = []
        self.wires: list[tuple[tuple[str, str], tuple[str, str]]] = []
        for destination, source in connect.items():
            self._connect(destination, source)
        self.order = self._order()
        if self.problems:
            raise GraphError(
                "the graphs cannot be merged:\n" + "\n".join(f"  {p}" for p in self.problems)
            )

    def _connect(self, destination: str, source: str) -> None:
        ends = (self._end(destination), self._end(source))
        if ends[0] is None or ends[1] is None:
            return
        self.wires.append((ends[0], ends[1]))
        self._check(destination, source, self._static(ends[0]), self._static(ends[1]))

    def _end(self, name: str) -> tuple[str, str] | None:
        """(part, tensor name) of an endpoint, or None with the problem noted."""
        part, _, rest = name.partition("/")
        if part not in self.metas:
            self.problems.append(
                f"'{name}': there is no part '{part}'; the parts are {', '.join(self.metas)}"
            )
            return None
        node, index = split_input(rest)
        if node not in self._nodes[part]:
            import difflib  # only an error needs it

            near = difflib.get_close_matches(node, self._nodes[part], n=3)
            hint = f"; similar: {', '.join(near)}" if near else ""
            self.problems.append(f"'{name}': '{part}' has no node '{node}'{hint}")
            return None
        tensor = f"{node}:{index}"
        if tensor not in self._tensors[part]:
            self.problems.append(f"'{name}': the node '{node}' has no output {index}")
            return None
        return part, tensor

    def _static(self, end: tuple[str, str]) -> tuple[Any, TensorShape]:
        tensor = self._tensors[end[0]][end[1]]
        return tensor.dtype.base_dtype, tensor.shape

    def _check(
        self,
        destination: str,
        source: str,
        wanted: tuple[Any, TensorShape],
        given: tuple[Any, TensorShape],
    ) -> None:
        if wanted[0] != given[0]:
            self.problems.append(
                f"{destination} takes {wanted[0].name}, {source} is {given[0].name}: cast one of them first"
            )
        if not wanted[1].is_compatible_with(given[1]):
            self.problems.append(
                f"{destination} takes shape {wanted[1]}, {source} has shape {given[1]}"
            )

    def _order(self) -> list[str]:
        """The parts such that sources come before their destinations, otherwise as given."""
        waits: dict[str, set[str]] = {name: set() for name in self.metas}
        for (to, _), (origin, _) in self.wires:
            waits[to].add(origin)
        found: list[str] = []
        while len(found) < len(waits):
            ready = [name for name in waits if name not in found and waits[name] <= set(found)]
            if not ready:
                left = [name for name in waits if name not in found]
                self.problems.append(f"the connections go in a circle through {', '.join(left)}")
                return list(waits)
            found.append(ready[0])
        return found

    def inputs(self, part: str, graph: Graph) -> dict[str, Tensor]:
        """The input map of one part: its replaced tensors -> tensors already in the merged graph."""
        return {
            x: graph.get_tensor_by_name(f"{origin}/{y}")
            for (to, x), (origin, y) in self.wires
            if to == part and self._is_used(part, x)
        }

    def _is_used(self, part: str, tensor: str) -> bool:
        names = {tensor, tensor.removesuffix(":0")}
        return any(text in names for node in self.metas[part].graph_def.node for text in node.input)

    def without_replaced_inputs(self, part: str) -> defs.MetaGraphDef:
        """The MetaGraph of a part without the placeholders that wires replace."""
        from dataclasses import replace

        meta = self.metas[part]
        gone = {
            split_input(x)[0]
            for (to, x), _ in self.wires
            if to == part and self._nodes[part][split_input(x)[0]].op.startswith("Placeholder")
        }
        nodes = tuple(node for node in meta.graph_def.node if node.name not in gone)
        collections = {
            key: replace(c, value=tuple(v for v in c.value if split_input(str(v))[0] not in gone))
            if c.kind == "node_list"
            else c
            for key, c in meta.collection_def.items()
        }
        return replace(
            meta, graph_def=replace(meta.graph_def, node=nodes), collection_def=collections
        )


def _static_tensors(meta: defs.MetaGraphDef) -> dict[str, Tensor]:
    """Every tensor of a MetaGraph by name, with the dtype and shape that its graph infers."""
    scratch = Graph()
    with scratch.as_default():
        operations = load_graph(scratch, meta.graph_def)
    return {
        f"{name}:{i}": tensor
        for name, op in operations.items()
        for i, tensor in enumerate(op.outputs)
    }


def merge_files(
    parts: Mapping[str, Any],
    output: Any,
    connect: Mapping[str, str] | None = None,
    *,
    force: bool = False,
    dry_run: bool = False,
) -> MergeReport:
    """Merge saved models into one checkpoint `<output>.h5` with its MetaGraph.

    Raises AlreadyExistsError when the output is there (unless `force`), GraphError when the parts do not fit,
    OpError when a file cannot be read or written. Nothing is written unless everything fits.
    """
    prefix = os.fspath(output).removesuffix(".h5")
    files = [f"{prefix}.h5", f"{prefix}.meta"]
    existing = [file for file in files if os.path.exists(file)]
    if existing and not force:
        raise AlreadyExistsError(
            None, None, f"{', '.join(existing)}: exists; choose another output or force it"
        )
    merged = merge_graphs(parts, connect, graph=Graph())
    nbytes = 0
    with Session(graph=merged.graph) as session:
        merged.restore(session)
        if not dry_run and merged.saver is not None:
            make_directory(Path(prefix).parent, parents=True)
            merged.saver.save(session, prefix, write_state=False)
            nbytes = sum(os.path.getsize(file) for file in files)
    return MergeReport(
        parts=dict(merged.sources),
        variables=len(merged.graph.get_collection("variables")),
        nodes=merged.graph.version,
        wires=dict(connect or {}),
        output=files,
        nbytes=nbytes,
    )
