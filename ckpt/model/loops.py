"""`while_loop`: a body that is repeated as long as a condition holds, as a While node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckpt.core import dtypes, nest
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert, stack
from ckpt.graph.function import FuncGraph, function_name, register, take_arguments
from ckpt.graph.opdef import OPS
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.graph.sparse import SparseTensor
from ckpt.model.composites import flat_tensors, invariant_shapes, packed, tensors_of
from ckpt.ops import compare, constants, control


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
    maximum_iterations: Any = None,
    return_same_structure: bool = False,
    _counted: bool = False,
) -> Any:
    """`loop_vars`, replaced by `body(*loop_vars)` as long as `cond(*loop_vars)` holds.

    The variables keep their nest, dtypes and shapes (or `shape_invariants`, ValueError otherwise). A single variable
    is returned alone unless `return_same_structure`. `parallel_iterations` and `swap_memory` mean nothing here.
    Raises TypeError when `cond` or `body` is no function.

    `_counted` names the results as TensorFlow does in its own loops, whose first result is a count of iterations.
    """
    if not callable(cond):
        raise TypeError("'cond' must be callable.")
    if not callable(body):
        raise TypeError("'body' must be callable.")
    if parallel_iterations != int(parallel_iterations):
        raise ValueError(f"'parallel_iterations' must be a positive integer: {parallel_iterations}")
    if parallel_iterations < 1:
        raise TypeError("'parallel_iterations' must be a positive integer.")
    values = [v for v in nest.flatten(loop_vars) if hasattr(v, "graph")]
    with name_scope(name, "while", values):
        if loop_vars is None or (nest.is_nested(loop_vars) and not loop_vars):
            raise ValueError("'loop_vars' must be provided.")
        if not nest.is_nested(loop_vars):
            loop_vars = [loop_vars]
        if maximum_iterations is not None:
            return _limited(
                cond,
                body,
                loop_vars,
                shape_invariants,
                maximum_iterations,
                back_prop,
                return_same_structure,
            )
        loop = _Loop(loop_vars, shape_invariants)
        loop.build(cond, body)
        if _counted:
            stack.get_default_graph().unique_name("Exit")  # the count's, which nothing here needs
        found = loop.results(back_prop, parallel_iterations)
        return found if return_same_structure or _tensors_in(found) != 1 else _first(found)


def _tensors_in(structure: Any) -> int:
    """How many tensors a nest holds; three in a SparseTensor."""
    return sum(3 if isinstance(leaf, SparseTensor) else 1 for leaf in nest.flatten(structure))


def _first(structure: Any) -> Any:
    return next(iter(structure.values())) if isinstance(structure, dict) else structure[0]


def _limited(
    cond: Any, body: Any, loop_vars: Any, invariants: Any, limit: Any, back_prop: bool, same: bool
) -> Any:
    """The loop with a counter in front, which also ends it."""
    limit = convert.convert_to_tensor(limit, name="maximum_iterations")
    if limit.shape.rank != 0:
        raise ValueError(f"'maximum_iterations' must be a scalar. Received shape: {limit.shape}")
    counter = constants.constant(0, dtype=limit.dtype.base_dtype, name="iteration_counter")
    single = _tensors_in(loop_vars) == 1 and not same

    def limited_cond(i: Tensor, held: Any) -> Any:
        return compare.logical_and(i < limit, cond(*held))

    def limited_body(i: Tensor, held: Any) -> Any:
        return i + 1, _as_nest(body(*held), held, single)

    if invariants is not None:
        invariants = (TensorShape(()), invariants)
    loop = _Loop((counter, loop_vars), invariants)
    loop.build(limited_cond, limited_body)
    found = loop.results(back_prop, 10)[1]
    return found if same or _tensors_in(found) != 1 else _first(found)


def _as_nest(result: Any, variables: Any, single: bool) -> Any:
    """What a body returned, in the nest of the variables at its first layer."""
    if not nest.is_nested(result):
        return nest.pack_sequence_as(variables, [result]) if single else [result]
    if single and len(result) != 1:
        return nest.pack_sequence_as(variables, nest.flatten(result))
    return _like_layer(variables, result)


def _like_layer(variables: Any, result: Any) -> Any:
    """`result` with the container of `variables` at its first layer."""
    if isinstance(variables, dict) or type(result) is type(variables):
        return result
    if hasattr(variables, "_fields"):
        return type(variables)(*result)
    return type(variables)(result)


class _Loop:
    """One While under construction."""

    def __init__(self, loop_vars: Any, shape_invariants: Any) -> None:
        self.outer = stack.get_default_graph()
        leaves = nest.flatten(loop_vars)
        converted = [
            leaf if hasattr(leaf, "graph") and not hasattr(leaf, "_ref") else _tensor(leaf, i)
            for i, leaf in enumerate(leaves)
        ]
        self.structure = nest.pack_sequence_as(loop_vars, converted)
        self.starts = [self._own(t) for leaf in converted for t in tensors_of(leaf)]
        self.shapes = self._shapes(converted, shape_invariants)
        self.cond = FuncGraph(function_name(self.outer, "while_cond"), self.outer)
        register(self.cond)
        self.body = FuncGraph(function_name(self.outer, "while_body"), self.outer)
        register(self.body)
        self.results_like: Any = None

    def _own(self, tensor: Tensor) -> Tensor:
        own = tensor if tensor.graph is self.outer else self.outer.capture(tensor)
        return control.identity(own) if own.dtype._is_ref_dtype else own

    def _shapes(self, leaves: Sequence[Any], shape_invariants: Any) -> list[TensorShape]:
        if shape_invariants is None:
            return [t.shape for t in self.starts]
        invariants = nest.flatten_up_to(self.structure, shape_invariants, check_types=False)
        found = [
            shape
            for leaf, invariant in zip(leaves, invariants, strict=True)
            for shape in invariant_shapes(leaf, invariant)
        ]
        for tensor, shape in zip(self.starts, found, strict=True):
            if not _is_within(tensor.shape, shape):
                raise ValueError(
                    f"The shape invariant specified for {tensor.name} is not compatible with the initial shape of the "
                    f"loop variable. It enters the loop with shape {tensor.shape}, but the specified shape invariant "
                    f"is {shape}."
                )
        return found

    def _arguments(self, graph: FuncGraph) -> Any:
        tensors = [
            graph.argument(t.dtype.base_dtype, shape, "Identity")
            for t, shape in zip(self.starts, self.shapes, strict=True)
        ]
        return packed(self.structure, tensors)

    def build(self, cond: Callable[..., Any], body: Callable[..., Any]) -> None:
        """Call both functions to build their graphs."""
        with self.cond.as_default():
            held = self._arguments(self.cond)
            condition = convert.convert_to_tensor(_called(cond, held), name="cond")
            if condition.dtype.base_dtype != dtypes.bool_:
                raise TypeError(
                    f"Input 'input' of 'LoopCond' Op has type {condition.dtype.base_dtype.name} that does not match "
                    "expected type of bool."
                )
            condition.shape.assert_is_compatible_with(TensorShape(()))
            self.cond.outputs = [self.cond.capture(condition)]
        with self.body.as_default():
            held = self._arguments(self.body)
            returned = _called(body, held)
            if not nest.is_nested(returned):
                returned = [returned]
            nest.assert_same_structure(_layer(held), _layer(returned), check_types=False)
            leaves = [
                leaf if hasattr(leaf, "graph") and not hasattr(leaf, "_ref") and not isinstance(leaf, Operation)
                else tensors_of(leaf)[0]
                for leaf in nest.flatten(returned)
            ]  # fmt: skip
            self.results_like = nest.pack_sequence_as(returned, leaves)
            tensors = [self._result(t) for t in flat_tensors(self.results_like)]
        self._check(tensors)
        self.body.outputs = tensors

    def _result(self, tensor: Tensor) -> Tensor:
        own = self.body.capture(tensor)
        is_argument = own in self.body.inputs
        # A variable that the body returns as it came is one that does not change; one argument as another's result is.
        if own.dtype._is_ref_dtype or (is_argument and own in self.body.captures.values()):
            return control.identity(own)  # type: ignore[no-any-return]  # a tensor
        return own

    def _check(self, results: Sequence[Tensor]) -> None:
        if len(results) != len(self.starts):
            raise ValueError(
                f"The body returns {len(results)} tensors for {len(self.starts)} loop variables."
            )
        for start, shape, result in zip(self.starts, self.shapes, results, strict=True):
            if result.dtype.base_dtype != start.dtype.base_dtype:
                raise TypeError(
                    f"Input tensor '{start.name}' enters the loop with type {start.dtype.base_dtype.name}, but has "
                    f"type {result.dtype.base_dtype.name} after one iteration: a loop variable keeps its type."
                )
            if not _is_within(result.shape, shape):
                raise ValueError(
                    f"Input tensor '{start.name}' enters the loop with shape {start.shape}, but has shape "
                    f"{result.shape} after one iteration. To allow the shape to vary across iterations, use the "
                    "`shape_invariants` argument of tf.while_loop to specify a less-specific shape."
                )

    def results(self, back_prop: bool, parallel_iterations: int) -> Any:
        """Add the node; its results in the nest that the body returned."""
        node = while_node(self.cond, self.body, self.starts, "While", parallel_iterations)
        if not back_prop:
            node.attrs = {**node.attrs, "_stop_gradient": True}
        exits = []
        for tensor, shape in zip(node.outputs, self.shapes, strict=False):
            found = control.identity(tensor, name="Exit")
            found.set_shape(shape)
            exits.append(found)
        return packed(self.results_like, exits)


def _called(function: Callable[..., Any], held: Any) -> Any:
    if isinstance(held, dict):
        return function(**held)
    return function(*held)


def _tensor(value: Any, index: int) -> Tensor:
    if hasattr(value, "_ref"):
        return convert.convert_to_tensor(value)
    return convert.convert_to_tensor(value, name=f"loop_var_{index}")


def _layer(structure: Any) -> Any:
    return structure if isinstance(structure, dict) else list(structure)


def _is_within(shape: TensorShape, declared: TensorShape) -> bool:
    """True when everything that `declared` says of a shape holds for `shape`."""
    if declared.sizes is None:
        return True
    if shape.sizes is None or len(shape.sizes) != len(declared.sizes):
        return False
    return all(d is None or d == s for s, d in zip(shape.sizes, declared.sizes, strict=True))


def while_node(
    cond: FuncGraph,
    body: FuncGraph,
    starts: Sequence[Tensor],
    name: str,
    parallel_iterations: int = 10,
) -> Operation:
    """Add a While to the default graph; what cond and body capture becomes variables that do not change."""
    graph = stack.get_default_graph()
    count = len(starts)
    # Arguments that stand for captured tensors may lie between those of the variables.
    loose = [(f, [t for t in f.inputs if f.outer_of(t) is None]) for f in (cond, body)]
    sources = take_arguments(graph, [cond, body])
    for function, arguments in loose:
        function.inputs = [*arguments, *function.inputs]
    captured = body.inputs[count:]
    body.outputs = [*body.outputs, *captured]
    shapes = [t.shape for t in body.inputs]
    attrs = {
        "T": [t.dtype.base_dtype for t in (*starts, *sources)],
        "cond": register(cond),
        "body": register(body),
        "output_shapes": shapes,
        "parallel_iterations": parallel_iterations,
    }
    controls = dict.fromkeys([*cond.awaited_outside(), *body.awaited_outside()])
    with control_dependencies(list(controls)):
        return graph.add(
            "While", OPS["While"], [*starts, *sources], attrs, graph.unique_op_name(name)
        )
