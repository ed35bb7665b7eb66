"""Derivatives of If, Case and While: bodies that go backwards, fed with what the forward bodies keep for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert, stack
from ckpt.graph.function import FuncGraph, function_name, register
from ckpt.graph.library import own_bodies
from ckpt.graph.opdef import OPS
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.slices import IndexedSlices
from ckpt.model.branches import branch_node
from ckpt.model.gradients import DIFFERENTIABLE, backpropagated, summed, takes_none
from ckpt.model.loops import while_node
from ckpt.ops import (
    casting,
    constants,
    flow,
    resource,
    shaping,
    tensor_list,
    tensor_list_access,
)


def _is_differentiable(tensor: Tensor) -> bool:
    base = tensor.dtype.base_dtype
    return base in DIFFERENTIABLE or base in (dtypes.variant, dtypes.resource)


def _zeros(tensor: Tensor) -> Tensor:
    """Zeros of the shape of `tensor`, or of the variable that it is a handle of."""
    if tensor.dtype.base_dtype == dtypes.resource:
        tensor = OPS["ReadVariableOp"](tensor, dtype=_handle_dtype(tensor))
    return constants.zeros_like(tensor)


def _handle_dtype(handle: Tensor) -> Any:
    while handle.op.type == "Placeholder" and isinstance(handle.graph, FuncGraph):
        outer = handle.graph.outer_of(handle)
        if outer is None:
            break
        handle = outer
    return handle.op.attrs["dtype"]


def _dense_shape(tensor: Tensor) -> Tensor:
    """The shape of `tensor`, or of the variable that it is a handle of."""
    if tensor.dtype.base_dtype != dtypes.resource:
        return shaping.shape(tensor)
    known = resource.handle_shape(tensor)
    if known.is_fully_defined():
        return constants.constant(np.array(known.as_tuple(), np.int32))
    return resource.variable_shape(tensor)  # type: ignore[no-any-return]  # one tensor


def _is_sparse(grad: Any) -> bool:
    return grad is None or isinstance(grad, IndexedSlices)


def _slices(grad: IndexedSlices) -> tuple[Tensor, Tensor]:
    """The rows and their numbers; numbers of one kind, so that all of them can be put together."""
    return grad.values, casting.cast(grad.indices, dtypes.int64)


def _dense(grad: Any) -> Any:
    return None if grad is None else convert.convert_to_tensor(grad)


def _copied_constant(graph: FuncGraph, tensor: Tensor) -> Tensor:
    op = tensor.op
    with graph.as_default():
        name = graph.unique_op_name(op.name.rsplit("/", 1)[-1])
    return graph.add("Const", op.opdef, [], op.attrs, name).outputs[0]


def _add_output(node: Operation, dtype: Any, attr: str, shape: Any = ()) -> Tensor:
    """One more output of a node whose functions were given one more result."""
    node.attrs = {**node.attrs, attr: [*node.attrs[attr], dtype]}
    if node.attrs.get("output_shapes"):
        shapes = [*node.attrs["output_shapes"], TensorShape(shape)]
        node.attrs = {**node.attrs, "output_shapes": shapes}
    made = Tensor(node, len(node._outputs), dtype, TensorShape(shape))
    node._outputs.append(made)
    node.graph.touch()
    return made


@takes_none
def branches_grad(node: Operation, *dys: Any) -> list[Any]:
    """The gradient of an If, Case or call is an If, Case or call of the gradients of its functions."""
    bodies = _bodies(node)
    # a call has no condition in front of its arguments
    first = len(node.inputs) - len(bodies[0].inputs)
    outer = stack.get_default_graph()
    ys = [i for i, dy in enumerate(dys) if dy is not None]
    made = [_BranchGradient(node, body, bodies, outer, [dys[i] for i in ys], ys) for body in bodies]
    count = len(bodies[0].inputs)
    wanted = [i for i in range(count) if any(m.found[i] is not None for m in made)]
    if not wanted:
        return [None] * len(node.inputs)
    sparse = [i for i in wanted if all(_is_sparse(m.found[i]) for m in made)]
    for m in made:
        m.finish(wanted, sparse, made)
    kind = "Case" if "Case" in node.type else "If" if first else "StatefulPartitionedCall"
    results = iter(branch_node(kind, node.inputs[0], [m.graph for m in made], kind))
    grads: list[Any] = [None] * count
    for i in wanted:
        grads[i] = next(results)
        if i in sparse:
            grads[i] = IndexedSlices(grads[i], next(results), _dense_shape(node.inputs[first + i]))
    return [None] * first + grads


def _bodies(node: Operation) -> list[FuncGraph]:
    keys = [k for k in ("branches", "then_branch", "else_branch", "f") if k in node.attrs]
    return [body for key in keys for body in own_bodies(node, key)]


class _BranchGradient:
    """The gradient of one branch."""

    def __init__(
        self,
        node: Operation,
        body: FuncGraph,
        bodies: Sequence[FuncGraph],
        outer: Any,
        dys: Sequence[Any],
        ys: Sequence[int],
    ) -> None:
        self.node = node
        self.body = body
        self.bodies = bodies
        self.graph = FuncGraph(function_name(outer, f"{body.name}_grad"), outer, self._resolve)
        register(self.graph)
        with self.graph.as_default():
            own = [self.graph.capture(_dense(dy)) for dy in dys]
            targets = [body.outputs[i] for i in ys]
            sources = [t for t in body.inputs if _is_differentiable(t)]
            grads = backpropagated(targets, own, sources)
            by_source = dict(zip(sources, grads, strict=True))
        self.found = [by_source.get(t) for t in body.inputs]

    def _resolve(self, tensor: Tensor) -> Tensor | None:
        body, node = self.body, self.node
        if tensor.graph is not body:
            return None
        if tensor in body.inputs:
            first = len(node.inputs) - len(body.inputs)
            return self.graph.capture(node.inputs[first + body.inputs.index(tensor)])
        if tensor.op.type == "Const":
            return _copied_constant(self.graph, tensor)
        if len(self.bodies) == 1:
            return self.graph.capture(_kept_by_call(node, body, tensor))
        kept = _kept_by_branch(node, body, self.bodies, tensor)
        with self.graph.as_default():
            return flow.optional_get_value(  # type: ignore[no-any-return]  # a list of tensors
                self.graph.capture(kept),
                output_types=[tensor.dtype.base_dtype],
                output_shapes=[tensor.shape],
            )[0]

    def finish(
        self, wanted: Sequence[int], sparse: Sequence[int], all_made: Sequence[_BranchGradient]
    ) -> None:
        """Return a gradient for each wanted input: zeros where another branch alone depends on it, and rows and their
        numbers for one that is `sparse` in every branch."""
        with self.graph.as_default():
            found: list[Tensor] = []
            for i in wanted:
                grad = self.found[i]
                if i not in sparse:
                    source = self.node.inputs[len(self.node.inputs) - len(self.found) + i]
                    found.append(
                        _zeros(self.graph.capture(source)) if grad is None else _dense(grad)
                    )
                elif grad is not None:
                    found += _slices(grad)
                else:
                    like: Any = next(m.found[i] for m in all_made if m.found[i] is not None)
                    found += _no_slices(like)
            self.graph.outputs = [self.graph.capture(t) for t in found]


def _no_slices(like: IndexedSlices) -> tuple[Tensor, Tensor]:
    """No rows: for the branch that takes none, where another takes rows such as `like`."""
    width = like.values.shape.sizes
    sizes = (0,) if width is None else (0, *(size or 0 for size in width[1:]))
    dtype = like.values.dtype.base_dtype
    return constants.zeros(sizes, dtype), constants.zeros([0], dtypes.int64)


def _kept_by_call(node: Operation, body: FuncGraph, tensor: Tensor) -> Tensor:
    """The output of the call with the value that `tensor` had."""
    memo = body.__dict__.setdefault("kept", {})
    if tensor not in memo:
        body.outputs.append(tensor)
        memo[tensor] = _add_output(node, tensor.dtype.base_dtype, "Tout", tensor.shape)
    return memo[tensor]  # type: ignore[no-any-return]  # tensors only


def _kept_by_branch(
    node: Operation, body: FuncGraph, bodies: Sequence[FuncGraph], tensor: Tensor
) -> Tensor:
    """The output of the If with the optional value that `tensor` had, if its branch ran."""
    memo = body.__dict__.setdefault("kept", {})
    if tensor not in memo:
        for other in bodies:
            with other.as_default():
                held = flow.optional_from_value([tensor]) if other is body else flow.optional_none()
            other.outputs.append(held)
        memo[tensor] = _add_output(node, dtypes.variant, "Tout")
    return memo[tensor]  # type: ignore[no-any-return]  # tensors only


@takes_none
def while_grad(node: Operation, *dys: Any) -> list[Any]:
    """The gradient of a While is a While that runs the gradient of the body as often, backwards."""
    if node.attrs.get("_stop_gradient"):
        return [None] * len(node.inputs)
    return _LoopGradient(node, dys).build()


class _LoopGradient:
    """The loop that goes back over one While."""

    def __init__(self, node: Operation, dys: Sequence[Any]) -> None:
        self.node = node
        (self.cond,) = own_bodies(node, "cond")
        (self.body,) = own_bodies(node, "body")
        self.outer = stack.get_default_graph()
        body = self.body
        self.count = len(body.inputs)
        self.is_fixed = [a is b for a, b in zip(body.inputs, body.outputs, strict=True)]
        self.dys = [_dense(dy) for dy in dys]
        self.graph = FuncGraph(
            function_name(self.outer, f"{body.name}_grad"), self.outer, self._resolve
        )
        self.test = FuncGraph(function_name(self.outer, f"{body.name}_grad_cond"), self.outer)
        for made in (self.graph, self.test):
            register(made)
        self.starts: list[Tensor] = []
        self.nexts: list[Tensor] = []
        self.parts: dict[int, tuple[Any, TensorShape]] = {}  # what the lists of rows hold

    def build(self) -> list[Any]:
        """Add the loop; the gradients of the node's inputs."""
        varying, fixed = self._involved()
        grads: list[Any] = [None] * self.count
        for i in range(self.count):
            if self.is_fixed[i] and self.dys[i] is not None:
                grads[i] = self.dys[i]  # the result is the input itself
        if varying:
            self._loop(varying, fixed, grads)
        return grads + [None] * (len(self.node.inputs) - self.count)

    def _involved(self) -> tuple[list[int], list[int]]:
        """The variables that a gradient flows through, and the unchanging ones that it flows to."""
        body = self.body
        varying = {
            i
            for i in range(self.count)
            if self.dys[i] is not None
            and not self.is_fixed[i]
            and _is_differentiable(body.inputs[i])
        }
        while True:
            reached = _reaching([body.outputs[i] for i in varying])
            found = {i for i, t in enumerate(body.inputs) if t in reached and _is_differentiable(t)}
            more = {i for i in found if not self.is_fixed[i]} - varying
            if not more:
                return sorted(varying), [i for i in sorted(found) if self.is_fixed[i]]
            varying |= more

    def _argument(self, start: Tensor, like: Tensor) -> Tensor:
        start = start if start.graph is self.outer else self.outer.capture(start)
        self.starts.append(start)
        self.test.argument(start.dtype.base_dtype, like.shape, "arg")
        return self.graph.argument(start.dtype.base_dtype, like.shape, "arg")

    def _loop(self, varying: list[int], fixed: list[int], grads: list[Any]) -> None:
        node, body = self.node, self.body
        remaining = self._argument(_trips(node, self.cond, body), constants.constant(0))
        dxs = []
        for i in varying:
            dy = self.dys[i] if self.dys[i] is not None else _zeros(node.outputs[i])
            dxs.append(self._argument(dy, body.inputs[i]))
        sums = self._steps(varying, fixed, remaining, dxs)
        with self.test.as_default():
            self.test.outputs = [self.test.inputs[0] > 0]
        self.graph.outputs = self.nexts
        made = while_node(self.test, self.graph, self.starts, "While")
        for number, i in enumerate(varying):
            grads[i] = made.outputs[1 + number]
        for i, places in sums.items():
            result = self._total(i, [made.outputs[place] for place in places])
            grads[i] = result if grads[i] is None else summed([grads[i], result], node.name)

    def _steps(
        self, varying: list[int], fixed: list[int], remaining: Tensor, dxs: Sequence[Tensor]
    ) -> dict[int, list[int]]:
        """Build one step back. Returns which variables of the loop gather the gradient of each fixed input."""
        body = self.body
        with self.graph.as_default():
            # `nexts` grows at its end while the gradients are built: a list for each value taken back.
            self.nexts += [remaining - 1] + [remaining] * len(varying)
            found = backpropagated(
                [body.outputs[i] for i in varying],
                dxs,
                [body.inputs[i] for i in [*varying, *fixed]],
            )
            for n, grad in enumerate(map(_dense, found[: len(varying)])):
                following = _zeros(dxs[n]) if grad is None else grad
                if following in self.graph.inputs:
                    following = OPS["Identity"](following)
                self.nexts[1 + n] = self.graph.capture(following)
        pairs = zip(fixed, found[len(varying) :], strict=True)
        return {i: self._gathered(i, grad) for i, grad in pairs if grad is not None}

    def _gathered(self, index: int, grad: Any) -> list[int]:
        """Variables that gather the gradient of a fixed input over the iterations: a sum, or lists of its rows."""
        if isinstance(grad, IndexedSlices):
            with self.graph.as_default():
                parts = _slices(grad)
            return [self._listed(part) for part in parts]
        zeros = _zeros(self.node.inputs[index])
        before = self._argument(zeros, zeros)
        with self.graph.as_default():
            self.nexts.append(self.graph.capture(OPS["AddN"]([before, grad])))
        return [len(self.nexts) - 1]

    def _listed(self, part: Tensor) -> int:
        shape = part.shape
        if shape.sizes is not None:
            shape = TensorShape([None, *shape.sizes[1:]])
        start = tensor_list.empty(part.dtype.base_dtype, shape)
        before = self._argument(start, start)
        with self.graph.as_default():
            self.nexts.append(tensor_list.tensor_list_push_back(before, part))
        self.parts[len(self.nexts) - 1] = (part.dtype.base_dtype, shape)
        return len(self.nexts) - 1

    def _total(self, index: int, results: list[Tensor]) -> Any:
        """The gathered gradient of a fixed input."""
        if len(results) == 1:
            return results[0]
        values, rows = (
            tensor_list_access.concatenated(t, *self.parts[t.value_index]) for t in results
        )
        return IndexedSlices(values, rows, _dense_shape(self.node.inputs[index]))

    def _resolve(self, tensor: Tensor) -> Tensor | None:
        body = self.body
        if tensor.graph is not body:
            return None
        if tensor in body.inputs:
            i = body.inputs.index(tensor)
            if i < self.count and self.is_fixed[i]:
                return self.graph.capture(self.node.inputs[i])
        if tensor.op.type == "Const":
            return _copied_constant(self.graph, tensor)
        pushed = _pushed(self.node, self.cond, body, tensor)
        held = self._argument(pushed, pushed)
        with self.graph.as_default():
            rest, item = tensor_list.popped(held, tensor.dtype.base_dtype, tensor.shape)
        self.nexts.append(rest)
        return item  # type: ignore[no-any-return]  # a tensor


def _reaching(outputs: Sequence[Tensor]) -> set[Tensor]:
    """The tensors that these depend on through values that may have a derivative."""
    found = set(outputs)
    pending = list(outputs)
    while pending:
        op = pending.pop().op
        if op.opdef is not None and op.opdef.gradient_note is not None:
            continue
        for tensor in op.inputs:
            if tensor not in found and (_is_differentiable(tensor)):
                found.add(tensor)
                pending.append(tensor)
    return found


def _add_variable(
    node: Operation,
    cond: FuncGraph,
    body: FuncGraph,
    start: Tensor,
    following: Callable[[Tensor], Tensor],
) -> Tensor:
    """One more variable of a While that exists already; its final value."""
    dtype = start.dtype.base_dtype
    cond.argument(dtype, (), "arg")
    argument = body.argument(dtype, (), "arg")
    with body.as_default():
        body.outputs.append(following(argument))
    node._inputs = (*node._inputs, start)
    return _add_output(node, dtype, "T")


def _trips(node: Operation, cond: FuncGraph, body: FuncGraph) -> Tensor:
    """How often the While ran its body."""
    memo = body.__dict__.setdefault("kept", {})
    if "trips" not in memo:
        with node.graph.as_default():
            start = constants.constant(0, name="loop_counter")
        memo["trips"] = _add_variable(node, cond, body, start, lambda i: i + 1)
    return memo["trips"]  # type: ignore[no-any-return]  # a tensor


def _pushed(node: Operation, cond: FuncGraph, body: FuncGraph, tensor: Tensor) -> Tensor:
    """The list of the values that `tensor` of the body had, iteration by iteration."""
    memo = body.__dict__.setdefault("kept", {})
    if tensor not in memo:
        with node.graph.as_default():
            start = tensor_list.empty(tensor.dtype.base_dtype, tensor.shape)
        memo[tensor] = _add_variable(
            node, cond, body, start, lambda held: tensor_list.tensor_list_push_back(held, tensor)
        )
    return memo[tensor]  # type: ignore[no-any-return]  # a tensor


for _type in (
    "If", "StatelessIf", "Case", "StatelessCase", "PartitionedCall", "StatefulPartitionedCall",
):  # fmt: skip
    OPS[_type].grad(branches_grad)
for _type in ("While", "StatelessWhile"):
    OPS[_type].grad(while_grad)
