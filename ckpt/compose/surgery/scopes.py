"""Take parts of a model out, extract and drop; variables tied and untied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ckpt.compose.draft import Draft, variable_node
from ckpt.compose.dropping import dropped_nodes, kept_nodes
from ckpt.compose.sharing import shared
from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.graph.renaming import reference, renamed_node, renamed_variable
from ckpt.graph.selection import node_of
from ckpt.saver.savings import VARIABLE_TYPES


def extract(draft: Draft, outputs: Sequence[str], inputs: Iterable[str] = ()) -> Draft:
    """Only what `outputs` need, with what initialises the variables among it, and the checkpoint to match.

    `inputs` are tensors that are fed from now on: each becomes a placeholder of its node's name, and what computed it
    goes. Raises GraphError listing the names that are not there, and inputs of nodes with several outputs.
    """
    cut = draft.with_nodes(_with_placeholders(draft, list(inputs)))
    kept = kept_nodes(cut.meta, outputs)
    return cut.without(cut.nodes.keys() - kept)


def _with_placeholders(draft: Draft, inputs: Sequence[str]) -> list[defs.NodeDef]:
    from ckpt.compose.surgery.values import operations_of  # loads the graph; only cuts need it

    wanted = {node_of(text) for text in inputs}
    missing = sorted(wanted - draft.nodes.keys())
    if missing:
        raise GraphError(f"there is no {', '.join(map(repr, missing))} to feed")
    if not wanted:
        return list(draft.meta.graph_def.node)
    operations = operations_of(draft.meta)
    several = [name for name in wanted if len(operations[name].outputs) != 1]
    if several:
        raise GraphError(f"only a node with one output can be fed instead: {', '.join(several)}")
    found = []
    for node in draft.meta.graph_def.node:
        if node.name in wanted:
            output = operations[node.name].outputs[0]
            attr = {"dtype": output.dtype.base_dtype, "shape": output.shape}
            node = defs.NodeDef(node.name, "Placeholder", (), node.device, attr)
        found.append(node)
    return found


def drop(draft: Draft, selectors: Iterable[str]) -> Draft:
    """The draft without the nodes that these select ("@slots", "@training", "@summaries", names, globs), what depends
    on them, and their entries in the checkpoint.

    Raises SelectionError for a selector that selects nothing.
    """
    return draft.without(dropped_nodes(draft.meta, selectors))


def tie(draft: Draft, pairs: Iterable[tuple[str, str]]) -> Draft:
    """One variable for two: [("kept", "replaced")]. What used the second uses the first, whose value counts.

    Raises GraphError for what is no variable, and where dtypes or shapes differ.
    """
    shares: dict[str, str] = {}
    problems = []
    nodes = draft.nodes
    for kept, replaced in pairs:
        first, second = variable_node(draft, kept), variable_node(draft, replaced)
        for key in ("dtype", "shape"):
            if nodes[first].attr.get(key) != nodes[second].attr.get(key):
                problems.append(f"  {first} and {second} have different {key}s")
        shares[second] = shares.get(first, first)
    if problems:
        raise GraphError("variables cannot be tied:\n" + "\n".join(problems))
    lost = {key for key, variables in draft.entries.items() if set(variables) & shares.keys()}
    return replace(
        draft,
        meta=shared(draft.meta, shares),
        entries={key: v for key, v in draft.entries.items() if key not in lost},
        tensors={key: v for key, v in draft.tensors.items() if key not in lost},
    )


def untie(draft: Draft, variable: str, users: Iterable[str], name: str) -> Draft:
    """A copy of a variable, with its value, called `name`, for these nodes and all inside these scopes.

    Raises GraphError when `name` is taken or no user takes the variable.
    """
    node = variable_node(draft, variable)
    if name in draft.nodes or name in draft.tensors:
        raise GraphError(f"'{name}' is taken; choose another name for the copy")
    wanted = tuple(users)
    mine = _own_nodes(draft, node)
    copies = {old: name + old[len(node) :] for old in mine}
    if held := sorted(draft.nodes.keys() & copies.values()):
        raise GraphError(f"{', '.join(held)}: taken; choose another name for the copy")
    taken = {**copies, **_other_reads(draft, node, copies)}
    found, moved = [], 0
    for each in draft.meta.graph_def.node:
        if each.name not in mine and is_inside(each.name, wanted):
            inputs = tuple(reference(text, lambda n: taken.get(n, n)) for text in each.input)
            moved += inputs != each.input
            each = replace(each, input=inputs)
        found.append(each)
    if not moved:
        raise GraphError(f"none of {', '.join(wanted)} takes '{node}'")
    found += [renamed_node(draft.nodes[old], lambda n: copies.get(n, n)) for old in mine]
    key = draft.variables[node]
    return replace(
        _with_variables(draft.with_nodes(found), node, copies),
        entries={**draft.entries, name: (name,)},
        tensors={**draft.tensors, name: draft.tensors[key]},
    )


def _own_nodes(draft: Draft, variable: str) -> list[str]:
    """The node of a variable and those under it that belong to it: initializer, assignment, reads; not its slots."""
    nodes = draft.nodes
    inside = [n for n in nodes if n == variable or n.startswith(f"{variable}/")]
    others = [n for n in inside if n != variable and nodes[n].op in VARIABLE_TYPES]
    return [n for n in inside if not any(n == o or n.startswith(f"{o}/") for o in others)]


def _other_reads(draft: Draft, variable: str, copies: Mapping[str, str]) -> dict[str, str]:
    """From the reads of a variable that are not its own to the read of the copy that does the same."""
    reads: dict[str, list[str]] = {}
    for name, node in draft.nodes.items():
        if node.op in ("Identity", "ReadVariableOp") and node.input == (variable,):
            reads.setdefault(node.op, []).append(name)
    return {
        name: copies[own]
        for names in reads.values()
        for own in [next((n for n in names if n in copies), None)]
        if own is not None
        for name in names
        if name not in copies
    }


def _with_variables(draft: Draft, variable: str, copies: Mapping[str, str]) -> Draft:
    """The draft with a copy of the variable in every collection that holds it."""
    collections = {}
    for key, collection in draft.meta.collection_def.items():
        if collection.kind == "variables":
            more = tuple(
                renamed_variable(v, lambda n: copies.get(n, n))
                for v in collection.value
                if node_of(v.variable_name) == variable
            )
            collection = replace(collection, value=collection.value + more)
        collections[key] = collection
    return replace(draft, meta=replace(draft.meta, collection_def=collections))


def is_inside(name: str, scopes: Iterable[str]) -> bool:
    """Whether a node is one of these, or lies in one of these scopes."""
    return any(name == s.rstrip("/") or name.startswith(s.rstrip("/") + "/") for s in scopes)
