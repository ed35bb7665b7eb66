"""A graph as text: a tree of scopes, DOT for Graphviz, Mermaid. Knows plain definitions only.

Nodes deeper than `depth` scopes are shown as one box per scope, with what flows between the boxes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ckpt.core import defs
from ckpt.core.scope_names import scope_prefix
from ckpt.core.spelling import scopes_of, similar
from ckpt.inspect.render import printable, size_text
from ckpt.wire.metagraph_values import packb

_LARGE = 1 << 16  # bytes
_SHAPES = {
    "Placeholder": "cds",
    "Const": "note",
    "VariableV2": "cylinder",
    "VarHandleOp": "cylinder",
}


def within(graph: defs.GraphDef, scope: str) -> defs.GraphDef:
    """The nodes inside a scope. Raises KeyError when there is none."""
    prefix = scope_prefix(scope)
    nodes = tuple(n for n in graph.node if n.name.startswith(prefix) or n.name == scope)
    if not nodes:
        near = similar(scope.rstrip("/"), scopes_of(node.name for node in graph.node))
        raise KeyError(f"the graph has no scope '{scope}'{near}")
    return defs.GraphDef(node=nodes)


def tree(graph: defs.GraphDef, depth: int = 2) -> str:
    """The nodes down to `depth` with their inputs, and deeper scopes with what is in them and takes in a `.meta` file.

    A node that takes 64 KiB or more, as constants do that belong into the checkpoint, says so.
    """
    sizes = {node.name: len(packb(node)) for node in graph.node}
    lines: list[str] = []
    _branch("", list(graph.node), depth, "", lines, sizes)
    total = f"{len(graph.node)} nodes, {size_text(sum(sizes.values()))}"
    return "".join(f"{printable(line)}\n" for line in [*lines, total])


def _branch(
    prefix: str,
    nodes: Sequence[defs.NodeDef],
    depth: int,
    indent: str,
    lines: list[str],
    sizes: Mapping[str, int],
) -> None:
    groups: dict[str, list[defs.NodeDef]] = {}
    for node in nodes:
        groups.setdefault(node.name[len(prefix) :].partition("/")[0], []).append(node)
    for name, members in groups.items():
        own = [node for node in members if node.name == prefix + name]
        inside = [node for node in members if node.name != prefix + name]
        for node in own:
            takes = ", ".join(node.input)
            size = sizes[node.name]
            large = f"  {size_text(size)}" if size >= _LARGE else ""
            lines.append(f"{indent}{name}  {node.op}" + (f"({takes})" if takes else "") + large)
        if inside:
            kinds = Counter(node.op for node in inside)
            most = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(4))
            if not own or depth <= 1:
                held = size_text(sum([sizes[node.name] for node in inside]))
                lines.append(f"{indent}{name}/  {len(inside)} nodes, {held}: {most}")
            if depth > 1:
                _branch(f"{prefix}{name}/", inside, depth - 1, indent + "  ", lines, sizes)


def boxes(
    graph: defs.GraphDef, depth: int
) -> tuple[dict[str, list[defs.NodeDef]], dict[tuple[str, str], int]]:
    """The nodes by the box that shows them, and how many tensors flow from box to box."""
    box = {node.name: _box(node.name, depth) for node in graph.node}
    members: dict[str, list[defs.NodeDef]] = {}
    for node in graph.node:
        members.setdefault(box[node.name], []).append(node)
    edges: Counter[tuple[str, str]] = Counter()
    for node in graph.node:
        for text in node.input:
            source = box.get(_node(text))
            if source is not None and source != box[node.name]:
                edges[source, box[node.name]] += 1
    return members, dict(edges)


def _box(name: str, depth: int) -> str:
    parts = name.split("/")
    return name if len(parts) <= depth else "/".join(parts[:depth])


def _node(text: str) -> str:
    name = text.removeprefix("^")
    head, colon, index = name.rpartition(":")
    return head if colon and index.isdigit() else name


def dot(graph: defs.GraphDef, depth: int = 2) -> str:
    """The graph in Graphviz's language."""
    members, edges = boxes(graph, depth)
    lines = ["digraph model {", "  rankdir=BT;", '  node [shape=box, fontname="sans-serif"];']
    for name, nodes in members.items():
        shape = _SHAPES.get(nodes[0].op, "box") if len(nodes) == 1 else "folder"
        lines.append(f"  {_quoted(name)} [label={_quoted(_label(name, nodes))}, shape={shape}];")
    for (source, target), count in edges.items():
        label = f" [label={count}]" if count > 1 else ""
        lines.append(f"  {_quoted(source)} -> {_quoted(target)}{label};")
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(graph: defs.GraphDef, depth: int = 2) -> str:
    """The graph as a Mermaid flowchart."""
    members, edges = boxes(graph, depth)
    ids = {name: f"n{number}" for number, name in enumerate(members)}
    lines = ["flowchart BT"]
    lines += [f"  {ids[name]}[{_plain(_label(name, nodes))}]" for name, nodes in members.items()]
    lines += list(_arrows(ids, edges))
    return "\n".join(lines) + "\n"


def _arrows(ids: Mapping[str, str], edges: Mapping[tuple[str, str], int]) -> Iterator[str]:
    for (source, target), count in edges.items():
        label = f"|{count}|" if count > 1 else ""
        yield f"  {ids[source]} -->{label} {ids[target]}"


def _label(name: str, nodes: Sequence[defs.NodeDef]) -> str:
    return f"{name}\n{nodes[0].op if len(nodes) == 1 else f'{len(nodes)} nodes'}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _plain(text: str) -> str:
    return '"' + text.replace('"', "#quot;").replace("\n", "<br>") + '"'
