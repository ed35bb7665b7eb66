"""Function bodies to and from the library of a GraphDef, and how deep they call each other. Knows no operation type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.core.shapes import TensorShape
from ckpt.graph.function import FuncGraph, body_of, function_name, outputs_of, register, root_of
from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.origins import Origin

DEEPEST = 100
"""Functions in functions: each takes some frames of Python's stack while it is planned or differentiated."""


def library_of(graph: Graph) -> tuple[defs.FunctionDef, ...]:
    """All functions of `graph` as plain data; bodies that were built or changed here are written anew."""
    names = dict.fromkeys([*graph._functions, *graph._bodies])
    return tuple(
        function_def(graph._bodies[name]) if name in graph._bodies else graph._functions[name]
        for name in names
    )


def function_def(body: FuncGraph) -> defs.FunctionDef:
    """One body as plain data: inputs are written `argument` and `node:output:index`."""
    arguments = {tensor: _local(tensor.op.name) for tensor in body.inputs}
    nodes = [
        op
        for op in body.get_operations()
        if op.outputs[:1] != [t for t in op.outputs if t in arguments] or not op.outputs
    ]
    results = [f"result_{i}" for i in range(len(body.outputs))]
    return defs.FunctionDef(
        name=body.name,
        input_arg=tuple(_arg(name, t) for t, name in arguments.items()),
        output_arg=tuple(_arg(n, t) for n, t in zip(results, body.outputs, strict=True)),
        node_def=tuple(_node_def(op, arguments) for op in nodes),
        ret={n: _reference(t, arguments) for n, t in zip(results, body.outputs, strict=True)},
    )


def _arg(name: str, tensor: Tensor) -> defs.ArgDef:
    return defs.ArgDef(name, tensor.dtype.base_dtype, is_ref=tensor.dtype._is_ref_dtype)


def _local(name: str) -> str:
    """A name as functions allow it: TensorFlow's function nodes have no slash in arguments."""
    return name.replace("/", "_").lower()


def _node_def(op: Operation, arguments: Mapping[Tensor, str]) -> defs.NodeDef:
    inputs = [_reference(t, arguments) for t in op.inputs]
    inputs += [f"^{c.name}" for c in op._control_inputs]
    return defs.NodeDef(op.name, op.type, tuple(inputs), op.device, dict(op.attrs))


def _reference(tensor: Tensor, arguments: Mapping[Tensor, str]) -> str:
    if tensor in arguments:
        return arguments[tensor]
    op = tensor.op
    if op.opdef is None:
        return f"{op.name}:output:{tensor.value_index}"
    name, index = outputs_of(op.opdef, op.attrs)[tensor.value_index]
    return f"{op.name}:{name}:{index}"


def check_calls(
    functions: Mapping[str, defs.FunctionDef], name: str, heights: dict[str, tuple[Any, int]]
) -> None:
    """Raise GraphError when what the function of this name calls calls it again, or others more than 100 deep.

    `heights` keeps how deep those go that are right.
    """
    path = {
        name: _called(functions, name)
    }  # from one to the next, with what each has still to call
    below = {name: 0}
    while path:
        current = next(reversed(path))
        callee = next(path[current], None)
        if callee is None:
            del path[current]
            heights[current] = functions[current], below[current] + 1
            if path:
                caller = next(reversed(path))
                below[caller] = max(below[caller], below[current] + 1)
            continue
        seen, height = heights.get(callee, (None, 0))
        if callee in path:
            calls = [*path][[*path].index(callee) :]
            raise GraphError(
                f"function '{callee}' calls itself: {' → '.join([*calls[:10], callee])}"
            )
        if seen is not functions[callee]:
            path[callee], below[callee], height = _called(functions, callee), 0, 0
        else:
            below[current] = max(below[current], height)
        if len(path) + height > DEEPEST:
            raise GraphError(
                f"functions call each other more than {DEEPEST} deep: {' → '.join([*path][:5])} → …; "
                "such a graph cannot be run"
            )


def _called(functions: Mapping[str, defs.FunctionDef], name: str) -> Iterator[str]:
    """The functions of the library that the nodes of one name."""
    for node in functions[name].node_def:
        for value in node.attr.values():
            for func in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(func, defs.Func) and func.name in functions:
                    yield func.name


def loaded_body(
    root: Graph,
    definition: defs.FunctionDef,
    attrs: Mapping[str, Any],
    made_at: Origin | None = None,
) -> FuncGraph:
    """The graph of a function of the library, its type attributes taken from `attrs`; `made_at` is the origin of its nodes."""
    from ckpt.graph.load import load_graph  # load builds on this module

    body = FuncGraph(definition.name, root)
    body.is_shared = True
    body._names_in_use = {}
    body._scopes.name = ""
    mapped: dict[str, Tensor] = {}
    for arg in definition.input_arg:
        dtype = arg.type if arg.type is not None else attrs[arg.type_attr]
        dtype = dtype._as_ref if arg.is_ref else dtype
        mapped[arg.name] = body.argument(dtype, TensorShape(None), f"{arg.name}/")
    nodes = [_bound(node, attrs) for node in definition.node_def]
    outputs = {node.name: _positions(node) for node in nodes}
    plain = tuple(
        defs.NodeDef(
            n.name,
            n.op,
            tuple(_plain_input(text, outputs) for text in n.input),
            n.device,
            n.attr,
        )
        for n in nodes
    )
    added = load_graph(body, defs.GraphDef(plain), "", mapped, made_at=made_at)
    for arg in definition.output_arg:
        text = definition.ret[arg.name]
        if text in mapped:
            body.outputs.append(mapped[text])
        else:
            name, _, index = _plain_input(text, outputs).partition(":")
            body.outputs.append(added[name].outputs[int(index or 0)])
    return body


def own_bodies(node: Operation, key: str) -> list[FuncGraph]:
    """The bodies that an attribute of `node` names, as its alone: what is given to them changes no other node.

    A function of an imported library may be called by many nodes; this one then gets a copy.
    """
    value = node.attrs[key]
    funcs = list(value) if isinstance(value, list) else [value]
    found = []
    for position, func in enumerate(funcs):
        body = body_of(node.graph, func)
        if body.is_shared:
            root = root_of(node.graph)
            definition = replace(function_def(body), name=function_name(root, func.name))
            body = loaded_body(root, definition, {}, node._origin)
            body.is_shared = False
            funcs[position] = register(body)
        found.append(body)
    node.attrs = {**node.attrs, key: funcs if isinstance(value, list) else funcs[0]}
    return found


def _bound(node: defs.NodeDef, attrs: Mapping[str, Any]) -> defs.NodeDef:
    found = {
        key: attrs[value.name] if isinstance(value, defs.Placeholder) else value
        for key, value in node.attr.items()
    }
    return defs.NodeDef(node.name, node.op, node.input, node.device, found)


def _positions(node: defs.NodeDef) -> dict[str, int]:
    """Where each output argument of the node begins among its outputs."""
    from ckpt.graph.node_attrs import known_attrs  # load builds on this module

    opdef = OPS.get(node.op)
    if opdef is None:
        return {}
    found: dict[str, int] = {}
    for position, (name, _) in enumerate(outputs_of(opdef, known_attrs(opdef, node.attr))):
        found.setdefault(name, position)
    return found


def _plain_input(text: str, outputs: Mapping[str, dict[str, int]]) -> str:
    """`node:output:index` as `node:number`; arguments and control inputs as they are."""
    parts = text.split(":")
    if text.startswith("^") or len(parts) < 3 or parts[0] not in outputs:
        return text
    return f"{parts[0]}:{outputs[parts[0]].get(parts[1], 0) + int(parts[2])}"
