"""The connections of a merge, checked: which input takes which output, and that no wire closes a circle."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ckpt.compose.parts import Parts
from ckpt.core import defs
from ckpt.core.defs import split_input
from ckpt.core.errors import GraphError
from ckpt.graph.selection import node_of


@dataclass(frozen=True, slots=True)
class Wire:
    """`target` takes `source`: tensors by their full names, "b/x:0" and "a/features:0"."""

    target: str
    source: str
    dtype: str
    source_shape: str
    target_shape: str
    stops_gradient: bool = False


def checked_wires(
    parts: Parts,
    connect: Mapping[str, str],
    stop_gradient: Iterable[str],
    problems: list[str],
) -> list[Wire]:
    """The wires that exist and fit; what does not is added to `problems`."""
    wires: dict[str, Wire] = {}
    parts.expect([*connect.keys(), *connect.values()])
    stops = {text if _has_index(text) else f"{text}:0" for text in stop_gradient}
    for destination, source in connect.items():
        try:
            wire = _wire(parts, destination, source, stops)
        except GraphError as error:
            problems.append(str(error))
            continue
        if wire.target in wires:
            problems.append(f"'{wire.target}' is connected twice")
        wires[wire.target] = wire
    parts.forget_operations()
    problems += [
        f"'{stop}' is to stop gradients but is no connected input"
        for stop in sorted(stops - wires.keys())
    ]
    return list(wires.values())


def _has_index(text: str) -> bool:
    return text.rpartition(":")[2].isdigit() and ":" in text


def _wire(parts: Parts, destination: str, source: str, stops: Collection[str]) -> Wire:
    found, problems = [], []
    for text in (destination, source):
        try:
            part, rest = parts.split(text)
            name, dtype, shape = part.tensor(rest)
            found.append((f"{part.name}/{name}", dtype, shape))
        except GraphError as error:
            problems.append(str(error))
    if problems:
        raise GraphError("\n  ".join(problems))
    (target, wanted, takes), (origin, given, has) = found
    if wanted != given:
        problems.append(f"{target} takes {wanted.name}, {origin} is {given.name}: cast one of them")
    if not takes.is_compatible_with(has):
        problems.append(f"{target} takes shape {takes}, {origin} has shape {has}")
    if problems:
        raise GraphError("\n  ".join(problems))
    return Wire(target, origin, given.name, str(has), str(takes), target in stops)


def rewired(graph: defs.GraphDef, wires: Sequence[Wire]) -> defs.GraphDef:
    """The graph with its wires laid. A placeholder that is connected becomes an Identity (or StopGradient) of its source.

    So its name stays: it can be fetched, and fed to cut the wire. Where the target is computed by another operation,
    whatever took it takes the source instead.
    """
    by_node = {split_input(wire.target)[0]: wire for wire in wires}
    replaced = {}
    added = []
    nodes = {node.name: node for node in graph.node if node.name in by_node}
    for name, wire in by_node.items():
        if not nodes[name].op.startswith("Placeholder"):
            seam = wire.source
            if wire.stops_gradient:
                seam = f"{name}_seam"
                added.append(_seam(seam, wire, nodes[name].device))
            replaced[wire.target] = seam
    found = []
    for node in graph.node:
        if node.name in by_node and node.op.startswith("Placeholder"):
            found.append(_seam(node.name, by_node[node.name], node.device))
        else:
            found.append(_taking(node, replaced) if replaced else node)
    return replace(graph, node=(*found, *added))


def _seam(name: str, wire: Wire, device: str) -> defs.NodeDef:
    from ckpt.core.dtypes import as_dtype  # only names of dtypes are known here

    kind = "StopGradient" if wire.stops_gradient else "Identity"
    return defs.NodeDef(name, kind, (_input(wire.source),), device, {"T": as_dtype(wire.dtype)})


def _input(tensor: str) -> str:
    return tensor.removesuffix(":0")


def _taking(node: defs.NodeDef, replaced: Mapping[str, str]) -> defs.NodeDef:
    """The node with its inputs replaced by what they are mapped to, by tensor name."""
    inputs = tuple(_replacement(text, replaced) for text in node.input)
    return node if inputs == node.input else replace(node, input=inputs)


def _replacement(text: str, replaced: Mapping[str, str]) -> str:
    if text.startswith("^"):
        return text
    name, index = split_input(text)
    new = replaced.get(f"{name}:{index}")
    return text if new is None else _input(new)


def circle(graph: defs.GraphDef, wires: Sequence[Wire]) -> list[str]:
    """The nodes of a circle that the wires close, other than loops, which go through NextIteration; none in a good graph."""
    nodes = {node.name: node for node in graph.node} if wires else {}
    done: set[str] = set()
    for wire in wires:
        root = node_of(wire.source)
        path = {root: iter(nodes[root].input)} if root in nodes and root not in done else {}
        while path:
            name, inputs = next(reversed(path.items()))
            for text in inputs:
                source = node_of(text)
                if source in path:
                    names = list(path)
                    return names[names.index(source) :]
                node = nodes.get(source)
                if node is not None and source not in done and node.op != "NextIteration":
                    path[source] = iter(node.input)
                    break
            else:
                done.add(name)
                path.popitem()
    return []
