"""Graphs of function bodies: the branches of a cond, the condition and body of a loop. Knows no kernel.

A body is a Graph of its own. What it uses of the graphs around it becomes an argument (`capture`); names, collections,
seeds and the function library are those of the graph around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from ckpt.core import defs
from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS, OpDef
from ckpt.graph.operation import Operation, Tensor


class FuncGraph(Graph):
    """The body of a function inside `outer`: `inputs` are its argument placeholders, `outputs` its results.

    `resolve(tensor)` may give the body's own tensor for one that no graph around it has: how the body of a gradient
    reaches the values of the forward body.
    """

    is_building_function = True

    def __init__(
        self,
        name: str,
        outer: Graph,
        resolve: Callable[[Tensor], Tensor | None] | None = None,
    ) -> None:
        self.outer = outer
        super().__init__()
        self.name = name
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.captures: dict[Tensor, Tensor] = {}
        self.is_shared = False  # True where several nodes may call it
        self.takes_values = False  # True where references are read before it is called
        self.outer_controls: dict[Operation, Operation] = {}
        self._resolve = resolve
        self._lock = outer._lock
        self._names_in_use = outer._names_in_use
        self._collections = outer._collections
        self._functions = outer._functions
        self._bodies = outer._bodies
        self.imports = outer.imports
        self.function_imports = outer.function_imports
        self.function_heights = outer.function_heights
        self._scopes.take_from(outer._scopes)

    @property
    def seed(self) -> int | None:
        """The graph-level seed, which is that of the graph around."""
        return self.outer.seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        if value is not None:
            self.outer.seed = value

    @property
    def last_op_seed(self) -> int:
        """How many operations asked for a seed, in the graph around as well."""
        return self.outer.last_op_seed

    @last_op_seed.setter
    def last_op_seed(self, value: int) -> None:
        if value:
            self.outer.last_op_seed = value

    def touch(self) -> None:
        """Note that nodes were changed, here and so in the graph around."""
        super().touch()
        self.outer.touch()

    def check_not_finalized(self) -> None:
        """Raise RuntimeError when the graph around is finalized."""
        self.outer.check_not_finalized()

    def add(
        self,
        type_name: str,
        opdef: OpDef | None,
        inputs: Any,
        attrs: Mapping[str, Any],
        full_name: str,
        dtypes: Any = None,
        made_at: Any = None,
    ) -> Operation:
        """Add a node; inputs from the graphs around are captured first."""
        own = [t if t.op.graph is self else self.capture(t) for t in inputs]
        return super().add(type_name, opdef, own, attrs, full_name, dtypes, made_at)

    def argument(self, dtype: DType, shape: Any, name: str = "arg") -> Tensor:
        """Add an argument of this (perhaps reference) dtype and shape, and return its tensor."""
        base = dtype.base_dtype
        with self._plain_scopes():
            node = super().add(
                "Placeholder",
                OPS["Placeholder"],
                [],
                {"dtype": base, "shape": TensorShape(shape)},
                self.unique_op_name(name),
                [dtype],
            )
        self.inputs.append(node.outputs[0])
        return node.outputs[0]

    @contextmanager
    def _plain_scopes(self) -> Iterator[None]:
        scopes = self._scopes
        before = scopes.is_used
        scopes.is_used = False
        try:
            yield
        finally:
            scopes.is_used = before

    def capture(self, tensor: Tensor) -> Tensor:
        """The tensor of this graph that stands for `tensor` of a graph around it: an argument made the first time.

        Raises ValueError when `tensor` is of no such graph.
        """
        if tensor.op.graph is self:
            return tensor
        found = self.captures.get(tensor)
        if found is None:
            found = None if self._resolve is None else self._resolve(tensor)
            if found is None:
                found = self._argument_for(tensor)
            self.captures.setdefault(tensor, found)
        return found

    def _argument_for(self, tensor: Tensor) -> Tensor:
        source = tensor if tensor.op.graph is self.outer else self.outer.capture(tensor)
        known = self.captures.get(source)
        if known is not None:
            return known
        dtype = source.dtype.base_dtype if self.takes_values else source.dtype
        made = self.argument(dtype, source.shape, tensor.op.name.rsplit("/", 1)[-1])
        self.captures[source] = made
        return made

    def captured(self) -> list[tuple[Tensor, Tensor]]:
        """The captured tensors of `outer` and the arguments that stand for them, in the order of the arguments."""
        sources = {inner: t for t, inner in self.captures.items() if t.op.graph is self.outer}
        return [(sources[inner], inner) for inner in self.inputs if inner in sources]

    def outer_of(self, tensor: Tensor) -> Tensor | None:
        """The tensor of `outer` that the argument `tensor` stands for, or None."""
        for source, inner in self.captures.items():
            if inner is tensor and source.op.graph is self.outer:
                return source
        return None

    def encloses(self, graph: Graph) -> bool:
        """True when `graph` is one of the graphs around this one."""
        around: Graph = self
        while isinstance(around, FuncGraph):
            around = around.outer
            if around is graph:
                return True
        return False

    def as_graph_element(
        self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True
    ) -> Any:
        """As of any graph; operations and tensors of the graphs around are elements too."""
        element = obj
        if not isinstance(obj, (str, Tensor, Operation)) and hasattr(obj, "_as_graph_element"):
            element = obj._as_graph_element()
        if isinstance(element, (Tensor, Operation)) and element.graph is not self:
            if self.encloses(element.graph):
                return element.graph.as_graph_element(element, allow_tensor, allow_operation)
        elif isinstance(element, str):
            try:
                return super().as_graph_element(element, allow_tensor, allow_operation)
            except KeyError:
                return self.outer.as_graph_element(element, allow_tensor, allow_operation)
        return super().as_graph_element(obj, allow_tensor, allow_operation)

    def _add_control_targets(self, targets: list[Operation]) -> list[Operation]:
        """The targets in this graph; for one outside, which will run before the whole function, a node of nothing."""
        return [t if t.graph is self else self._marker(t) for t in targets]

    def _marker(self, target: Operation) -> Operation:
        found = self.outer_controls.get(target)
        if found is None:
            with self._plain_scopes():
                name = self.unique_op_name("outside")
                found = super().add("NoOp", OPS["NoOp"], [], {}, name)
            self.outer_controls[target] = found
        return found

    def awaited_outside(self) -> list[Operation]:
        """The operations of the graphs around that the results of this function wait for."""
        found: set[Operation] = set()
        pending = [tensor.op for tensor in self.outputs] if self.outer_controls else []
        while pending:
            op = pending.pop()
            if op not in found:
                found.add(op)
                pending += [*(tensor.op for tensor in op._inputs), *op._control_inputs]
        return [target for target, marker in self.outer_controls.items() if marker in found]


def function_name(graph: Graph, prefix: str) -> str:
    """A name that no function of the library of `graph` has."""
    number = len(graph._bodies) + len(graph._functions)
    while f"{prefix}_{number}" in graph._bodies or f"{prefix}_{number}" in graph._functions:
        number += 1
    return f"{prefix}_{number}"


def register(body: FuncGraph) -> defs.Func:
    """Enter `body` in the library of its graph; the attribute value that names it."""
    body._bodies[body.name] = body
    return defs.Func(body.name)


def take_arguments(graph: Graph, bodies: Sequence[FuncGraph]) -> list[Tensor]:
    """Give all bodies the same arguments: whatever one of them captured. Returns the captured tensors of `graph`."""
    sources: dict[Tensor, None] = {}
    for body in bodies:
        sources.update(dict.fromkeys(source for source, _ in body.captured()))
    for body in bodies:
        known = dict(body.captured())
        own = [known.get(s) for s in sources]
        body.inputs = [
            have if have is not None else body.argument(s.dtype, s.shape)
            for have, s in zip(own, sources, strict=True)
        ]
        for source, inner in zip(sources, body.inputs, strict=True):
            body.captures[source] = inner
    return list(sources)


def root_of(graph: Graph) -> Graph:
    """The graph that is no function body around `graph`."""
    while isinstance(graph, FuncGraph):
        graph = graph.outer
    return graph


@contextmanager
def lifted() -> Iterator[Graph]:
    """Build in the outermost graph within the block, under the same name scope: how variables leave loops."""
    graph = stack.get_default_graph()
    root = root_of(graph)
    if root is graph:
        yield graph
        return
    with ExitStack() as exits:
        exits.enter_context(root.as_default())
        exits.enter_context(root.control_dependencies(None))
        before = root.enter_exact_scope(graph.get_name_scope())
        exits.callback(root.leave_exact_scope, before)
        yield root


def body_of(graph: Graph, func: Any) -> FuncGraph:
    """The graph of the function that an attribute names.

    Raises KeyError when the library has none of that name, GraphError when it calls itself, or others very deep.
    """
    name = func.name
    found = graph._bodies.get(name)
    if found is None:
        from ckpt.graph.library import check_calls, loaded_body  # the library builds on this module

        check_calls(graph._functions, name, graph.function_heights)
        definition = graph._functions[name]
        made_at = graph.function_imports.get(name)
        found = loaded_body(root_of(graph), definition, getattr(func, "attr", {}), made_at)
        graph._bodies[name] = found
    return found


def outputs_of(opdef: OpDef, attrs: Mapping[str, Any]) -> list[tuple[str, int]]:
    """How a function body names each output of a node: (output argument, index in it)."""
    found: list[tuple[str, int]] = []
    for arg in opdef.outputs:
        count = opdef.output_count(arg, dict(attrs))
        found.extend((arg.name, i) for i in range(count))
    return found
