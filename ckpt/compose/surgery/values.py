"""Values put into the graph: variables frozen to constants, constant nodes folded, normalisation folded into weights."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ckpt.compose.draft import Draft
from ckpt.compose.surgery.calls import FUNCTIONS, READERS, Calls, reading
from ckpt.compose.surgery.scopes import extract
from ckpt.core import defs, dtypes
from ckpt.core.errors import GraphError
from ckpt.core.selectors import Candidate, candidates, select
from ckpt.graph.graph import Graph
from ckpt.graph.load import load_graph
from ckpt.graph.opdef import OPS
from ckpt.graph.operation import Operation
from ckpt.graph.selection import dependent, node_of
from ckpt.graph.static import NEVER_FOLDED, fold
from ckpt.graph.variable_defs import collections_by_node, variables_by_node, without_variables
from ckpt.saver.savings import VARIABLE_TYPES

MAX_FOLDED_BYTES = 1 << 20
"""A folded constant may be larger than this only where it is no larger than what it is computed from."""


def operations_of(meta: defs.MetaGraphDef) -> dict[str, Operation]:
    """The nodes as operations of a graph of their own. Raises GraphError where they do not fit."""
    scratch = Graph()
    with scratch.as_default():
        return load_graph(scratch, meta.graph_def)


def constant(name: str, value: Any, device: str = "") -> defs.NodeDef:
    """A Const node."""
    array = np.asarray(value)
    dtype = dtypes.string if array.dtype.kind in "OSU" else dtypes.as_dtype(array.dtype)
    return defs.NodeDef(name, "Const", (), device, {"dtype": dtype, "value": array})


def freeze(
    draft: Draft, outputs: Sequence[str] | None = None, variables: Iterable[str] = ("**",)
) -> Draft:
    """The draft with variables turned into constants of their values, and what assigns them gone.

    `variables` are selectors of checkpoint entries; `outputs` keeps only what these need. Raises GraphError where a
    frozen variable is used by what cannot take a value.
    """
    if outputs is not None:
        draft = extract(draft, outputs)
    if not draft.entries:
        return draft
    chosen = select(variables, _candidates(draft), what="variables")
    frozen = {variable: key for key in chosen for variable in draft.entries[key]}
    values = _parts(draft, chosen)
    writers = assigning(draft, frozen)
    kept = draft.without(dependent(draft.meta.graph_def, writers) if writers else ())
    calls = Calls({function.name: function for function in kept.meta.graph_def.library})
    nodes = _frozen_nodes(kept, frozen, values, calls)
    if calls.problems:
        raise GraphError(
            "variables cannot be frozen where their handles are passed on:\n"
            + "\n".join(f"  {problem}" for problem in calls.problems)
        )
    collections = without_variables(kept.meta.collection_def, frozen)
    left = {key: v for key, v in draft.entries.items() if key not in set(chosen)}
    graph = replace(kept.meta.graph_def, node=tuple(nodes), library=tuple(calls.library.values()))
    return replace(
        kept,
        meta=replace(kept.meta, graph_def=graph, collection_def=collections),
        entries=left,
        tensors={
            key: v for key, v in draft.tensors.items() if key in left or key not in draft.entries
        },
    )


def _candidates(draft: Draft) -> list[Candidate]:
    """What selectors may know about the entries of the checkpoint."""
    members, nodes = collections_by_node(draft.meta), draft.nodes
    return candidates(
        (
            (key, nodes[variables[0]].attr["dtype"].base_dtype.name)
            for key, variables in draft.entries.items()
        ),
        {
            key: frozenset(name for node in variables for name in members.get(node, ()))
            for key, variables in draft.entries.items()
        },
    )


def _parts(draft: Draft, keys: Sequence[str]) -> dict[str, Any]:
    """The value of each variable; a partitioned tensor is cut at the offsets that the collections know."""
    known = variables_by_node(draft.meta)
    found = {}
    for key, value in draft.values(keys).items():
        for variable in draft.entries[key]:
            part = known[variable].save_slice_info_def if variable in known else None
            if part is None:
                found[variable] = value
            else:
                box = zip(part.var_offset, part.var_shape, strict=True)
                found[variable] = value[tuple(slice(at, at + n) for at, n in box)]
    return found


def assigning(draft: Draft, variables: Collection[str]) -> set[str]:
    """The nodes that change these variables, or ask whether they have a value."""
    found = set()
    for node in draft.meta.graph_def.node:
        opdef = OPS.get(node.op)
        takes = [i for i, text in enumerate(node.input) if node_of(text) in variables]
        if opdef is None or not takes:
            continue
        is_update = node.op.startswith(("Assign", "Resource", "VarIsInitialized", "IsVariableInit"))
        if (is_update and node.op not in READERS) or any(
            position < len(opdef.inputs) and opdef.inputs[position].is_ref for position in takes
        ):
            found.add(node.name)
    return found


def _frozen_nodes(
    draft: Draft, frozen: Mapping[str, str], values: Mapping[str, Any], calls: Calls
) -> list[defs.NodeDef]:
    """The nodes with constants for the frozen variables, and values for their handles."""
    nodes = draft.nodes
    handles = {n: nodes[n].attr["dtype"] for n in frozen if nodes[n].op == "VarHandleOp"}
    found: list[defs.NodeDef] = []
    for node in nodes.values():
        taken = {i: handles[t] for i, t in enumerate(node.input) if t in handles}
        if node.name in frozen:
            found.append(constant(node.name, values[node.name], node.device))
        elif not taken:
            found.append(node)
        elif node.op in READERS:
            found += reading(node, taken[0])
        elif node.op in FUNCTIONS:
            found.append(calls.frozen_node(node, taken))
        else:
            calls.problems.append(f"{node.name} ({node.op}) takes a handle")
    return found


def fold_constants(draft: Draft) -> Draft:
    """The draft with every pure node whose inputs are constants computed now; nodes keep their names.

    Results that take more memory than their inputs, and more than 1 MiB, stay to be computed.
    """
    known: dict[str, Sequence[Any]] = {}
    for name, op in operations_of(draft.meta).items():
        if op.type == "Const":
            known[name] = [op.attrs["value"]]
        elif op.type == "Identity" and op.inputs[0].op.name in known and not op.control_inputs:
            known[name] = [known[op.inputs[0].op.name][op.inputs[0].value_index]]
        elif _is_foldable(op, known):
            inputs = [known[t.op.name][t.value_index] for t in op.inputs]
            results = fold(op, inputs)
            if results is not None and _is_small(results, inputs):
                known[name] = results
    nodes = [
        constant(node.name, known[node.name][0], node.device)
        if node.name in known
        and len(known[node.name]) == 1
        and node.op not in ("Const", "Identity")
        else node
        for node in draft.meta.graph_def.node
    ]
    return draft.with_nodes(nodes)


def _is_foldable(op: Operation, known: Mapping[str, Any]) -> bool:
    opdef = op.opdef
    return (
        opdef is not None
        and bool(op.inputs)
        and not op.control_inputs
        and not opdef.is_stateful
        and opdef.files is None
        and opdef.lead != "ctx"
        and op.type not in VARIABLE_TYPES
        and op.type not in NEVER_FOLDED
        and all(t.op.name in known for t in op.inputs)
    )


def _is_small(results: Sequence[Any], inputs: Sequence[Any]) -> bool:
    size = sum(np.asarray(r).nbytes for r in results)
    return size <= max(MAX_FOLDED_BYTES, sum(np.asarray(i).nbytes for i in inputs))
