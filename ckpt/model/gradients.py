"""Symbolic derivatives: walks the graph backwards and adds the nodes of the gradients. Knows no operation's rule."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert, stack
from ckpt.graph.opdef import UNDEFINED
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, name_scope
from ckpt.graph.slices import IndexedSlices
from ckpt.model import imported_flow
from ckpt.ops import casting, constants, control, elementwise, joining, segments, shaping
from ckpt.run.dataflow import TYPES as IMPORTED_FLOW

_NOWHERE: AbstractContextManager[None] = nullcontext()
_REGISTERED: dict[str, Callable[..., Any] | None] = {}

DIFFERENTIABLE = dtypes.FLOATING | dtypes.COMPLEX
_HANDLES = frozenset({dtypes.resource, dtypes.variant})
_PASSING = DIFFERENTIABLE | _HANDLES


class RegisterGradient:
    """Decorator: the function `f(op, *grads)` is the gradient of the operation type, or a name for
    `gradient_override_map`. Raises KeyError for a name registered before."""

    def __init__(self, op_type: str) -> None:
        if not isinstance(op_type, str):
            raise TypeError("op_type must be a string")
        self._op_type = op_type

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register the function and return it."""
        _register(self._op_type, function)
        return function


def _register(name: str, function: Callable[..., Any] | None) -> None:
    if name in _REGISTERED:
        raise KeyError(f"Registering two gradient with name '{name}'!")
    _REGISTERED[name] = function


def NotDifferentiable(op_type: str) -> None:  # TensorFlow's name
    """Say that operations of this type have no gradient."""
    if not isinstance(op_type, str):
        raise TypeError("op_type must be a string")
    _register(op_type, None)


NoGradient = NotDifferentiable


no_gradient = NotDifferentiable


class UnconnectedGradients(enum.Enum):
    """What `gradients` gives for an x on which no y depends: None, or zeros."""

    NONE = "none"
    ZERO = "zero"


class AggregationMethod:
    """How several gradients of one tensor are added. All of them give the same sum here."""

    ADD_N = 0
    DEFAULT = ADD_N
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
    stop_gradients: Any = None,
    unconnected_gradients: Any = None,
) -> list[Any]:
    """For each x of `xs` the sum over `ys` of dy/dx, times `grad_ys` where given; None where no y depends on x.

    Gradients are Tensors, or IndexedSlices for rows taken by gather. `stop_gradients` are taken as constants.
    Raises LookupError for an operation without gradient on the way, TypeError and ValueError for bad arguments.
    """
    ys, xs = _as_list(ys), _as_list(xs)
    unconnected = str(getattr(unconnected_gradients, "value", unconnected_gradients) or "none")
    if unconnected not in ("none", "zero"):
        raise ValueError(
            f"Unknown value for unconnected_gradients: {unconnected_gradients!r}; it is 'none' or 'zero'"
        )
    stops = [] if stop_gradients is None else _as_list(stop_gradients)
    given = [None] * len(ys) if grad_ys is None else _as_list(grad_ys)
    if len(given) != len(ys):
        raise ValueError(f"Length mismatch. Passed {len(given)} grad_ys for {len(ys)} ys")
    with name_scope(
        name, "gradients", [v for v in [*ys, *xs, *stops, *given] if hasattr(v, "graph")]
    ) as scope:
        targets = [convert.convert_to_tensor(y, name="y") for y in ys]
        sources = [_differentiable_source(x) for x in xs]
        stop_ops = {_differentiable_source(s) for s in stops}
        sweep = _Sweep(
            targets,
            sources,
            stop_ops,
            bool(colocate_gradients_with_ops),
            bool(gate_gradients),
            scope,
            _aggregation(aggregation_method),
        )
        sweep.seed(targets, given)
        sweep.run()
        found = [sweep.gradient_of(source) for source in sources]
    if unconnected == "zero":
        # Beside the scope of the gradients, as in TensorFlow.
        return [
            constants.zeros_like(s) if g is None else g for g, s in zip(found, sources, strict=True)
        ]
    return found


def takes_none(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the gradient rule wants None, not zeros, for an output that nothing depends on."""
    rule.takes_none = True  # type: ignore[attr-defined]  # functions have a dict
    return rule


def backpropagated(
    targets: Sequence[Tensor], grads: Sequence[Any], sources: Sequence[Tensor]
) -> list[Any]:
    """The gradients of `sources` where those of `targets` are `grads`, built in the default graph.

    The targets may be those of a finished function body: how the gradient of such a body is made.
    """
    scope = stack.get_default_graph().get_name_scope()
    sweep = _Sweep(targets, sources, set(), False, False, scope)
    for target, grad in zip(targets, grads, strict=True):
        sweep.grads.setdefault(target, []).append(grad)
    sweep.run()
    return [sweep.gradient_of(source) for source in sources]


def _inputs_of(op: Operation, stand_ins: Mapping[Tensor, Tensor]) -> Sequence[Tensor]:
    """The inputs of an operation; for an argument of a body under construction, what it stands for outside; for the
    end of an imported loop or branch, what stands for it."""
    if stand_ins and op._outputs and op._outputs[0] in stand_ins:
        return (stand_ins[op._outputs[0]],)
    if not op._inputs and op.type == "Placeholder" and op.graph.is_building_function:
        building = stack.get_default_graph()
        body: Any = op.graph
        if body is building or (building.is_building_function and building.encloses(body)):  # type: ignore[attr-defined]
            outer = body.outer_of(op._outputs[0])
            return () if outer is None else (outer,)
    return op._inputs


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _differentiable_source(x: Any) -> Tensor:
    if isinstance(x, (str, Operation)):
        raise TypeError(f"{x!r} is no tensor to differentiate by")
    if hasattr(x, "_gradient_source"):
        return x._gradient_source()  # type: ignore[no-any-return]  # a tensor by that protocol
    if hasattr(x, "_ref") and not isinstance(x, Tensor):
        return x._ref()  # type: ignore[no-any-return]  # the variable's own tensor
    return convert.convert_to_tensor(x, name="x", as_ref=True)


class _Sweep:
    """One backward pass: pending gradients by tensor, and which operations still wait for some."""

    def __init__(
        self,
        targets: Sequence[Tensor],
        sources: Sequence[Tensor],
        stops: set[Tensor],
        colocate: bool,
        gate: bool,
        scope: str,
        aggregate: Callable[[list[Any], str], Any] | None = None,
    ) -> None:
        self.scope = scope
        self.aggregate = aggregate or summed
        self.colocate = colocate
        self.gate = gate
        self.sources = set(sources)
        self.source_ops = {source.op for source in sources}
        self.grads: dict[Tensor, list[Any]] = {}
        self.stop_ops = {stop.op for stop in stops}
        self.stand_ins: Mapping[Tensor, Tensor] = {}
        self.between = self._between(targets)
        self.waiting = self._pending_counts(targets)

    def _between(self, targets: Sequence[Tensor]) -> set[Operation]:
        """The operations that lie on a path from a source to a target."""
        reached = self._reached_from_sources(targets)
        found: set[Operation] = set()
        pending = [t.op for t in targets]
        while pending:
            op = pending.pop()
            if op in found or op not in reached:
                continue
            found.add(op)
            if op not in self.stop_ops:
                pending.extend(t.op for t in self._inputs_of(op))
        return found

    def _reached_from_sources(self, targets: Sequence[Tensor]) -> set[Operation]:
        """The ancestors of the targets that depend on a source: found backwards, marked in order of creation."""
        ancestors = self._ancestors(targets)
        if any(op.type in IMPORTED_FLOW for op in ancestors):
            self.stand_ins = imported_flow.stand_ins_for(ancestors, targets)
            ancestors = self._ancestors(targets)
        users: dict[Operation, list[Operation]] = {}
        for op in ancestors:
            for tensor in self._inputs_of(op):
                if _passes(tensor):
                    users.setdefault(tensor.op, []).append(op)
        reached: set[Operation] = set()
        pending = [op for op in self.source_ops if op in ancestors]
        while pending:
            op = pending.pop()
            if op not in reached:
                reached.add(op)
                pending.extend(users.get(op, ()))
        return reached

    def _ancestors(self, targets: Sequence[Tensor]) -> set[Operation]:
        found: set[Operation] = set()
        pending = [t.op for t in targets]
        while pending:
            op = pending.pop()
            if op in found:
                continue
            found.add(op)
            pending.extend(t.op for t in self._inputs_of(op))
        return found

    def _inputs_of(self, op: Operation) -> Sequence[Tensor]:
        return _inputs_of(op, self.stand_ins)

    def _pending_counts(self, targets: Sequence[Tensor]) -> dict[Operation, int]:
        """How many uses inside the region each operation's outputs have."""
        counts: dict[Operation, int] = {}
        for op in self.between:
            if op in self.stop_ops:
                continue
            for tensor in self._inputs_of(op):
                if tensor.op in self.between:
                    counts[tensor.op] = counts.get(tensor.op, 0) + 1
        return counts

    def seed(self, targets: Sequence[Tensor], given: Sequence[Any]) -> None:
        """Start from the gradients of the targets: ones, or what the caller gave."""
        for i, (y, grad) in enumerate(zip(targets, given, strict=True)):
            if grad is None:
                if y.dtype.is_complex:
                    raise TypeError(
                        f"Gradients of complex tensors ({y}) must set grad_ys (y.dtype = {y.dtype})"
                    )
                if y.dtype.base_dtype not in DIFFERENTIABLE and not y.dtype.is_integer:
                    raise TypeError(f"Gradients of {y} of dtype {y.dtype.name} are not defined")
                with self._colocated(y.op):
                    grad = constants.fill(  # the gradient where none was given
                        shaping.shape(y),
                        constants.constant(1, dtype=y.dtype.base_dtype, name=f"grad_ys_{i}/Const"),
                        name=f"grad_ys_{i}",
                    )
            elif not isinstance(grad, IndexedSlices):
                grad = convert.convert_to_tensor(grad, name=f"grad_ys_{i}")
                _check_grad_y(y, grad)
                grad = control.identity(grad, name=f"grad_ys_{i}")
            self.grads.setdefault(y, []).append(grad)

    def run(self) -> None:
        """Visit the operations backwards, each once all its uses are done, those that became ready first."""
        ready = deque(
            op
            for op in dict.fromkeys(y.op for y in self.grads)
            if op in self.between and not self.waiting.get(op)
        )
        seen = set(ready)
        while ready:
            op = ready.popleft()
            self._visit(op)
            if op in self.stop_ops:
                continue
            for tensor in self._inputs_of(op):
                source = tensor.op
                if source not in self.between:
                    continue
                self.waiting[source] -= 1
                if not self.waiting[source] and source not in seen:
                    seen.add(source)
                    ready.append(source)

    def _visit(self, op: Operation) -> None:
        if any(len(self.grads.get(t, ())) > 1 for t in op._outputs):
            with self._colocated(op):
                out_grads = [self._summed(t) for t in op._outputs]
        else:
            out_grads = [self._summed(t) for t in op._outputs]
        if op in self.stop_ops or all(g is None for g in out_grads):
            return
        inputs = self._inputs_of(op)
        if inputs is not op._inputs:  # an argument: the gradient is that of what it stands for
            self.grads.setdefault(inputs[0], []).append(out_grads[0])
            return
        if not any(t.op in self.between for t in inputs):
            return
        rule = gradient_rule(op)
        if rule is None:
            return
        imported_flow.entered(op, self.stand_ins)
        if not hasattr(rule, "takes_none") and any(g is None for g in out_grads):
            with self._colocated(op):
                outputs = zip(op._outputs, out_grads, strict=True)
                out_grads = [_zeros_of(t) if g is None else g for t, g in outputs]
        with name_scope(op.name + "_grad"), self._colocated(op):
            in_grads = self._applied(rule, op, out_grads)
        for tensor, grad in zip(op._inputs, in_grads, strict=True):  # the rule may have added some
            if grad is not None and tensor.op in self.between:
                _merge_shape(op, tensor, grad)
                self.grads.setdefault(tensor, []).append(grad)

    def _applied(
        self, rule: Callable[..., Any], op: Operation, out_grads: list[Any]
    ) -> Sequence[Any]:
        """What the rule gives for these gradients of the outputs: one gradient, or None, per input."""
        graph = stack.get_default_graph()
        first = graph.version
        in_grads = _as_list(rule(op, *out_grads))
        for made in graph.get_operations(first):
            made._made_for = op
        if len(in_grads) != len(op._inputs):
            raise ValueError(
                f"Num gradients {len(in_grads)} generated for op {op.name} (type {op.type}) do not match num inputs "
                f"{len(op._inputs)}"
            )
        if self.gate and sum(g is not None for g in in_grads) > 1:
            # Gradients that nobody asked for are not waited for, so they are not computed.
            wanted = [t.op in self.between for t in op._inputs]
            found = zip(wanted, in_grads, strict=True)
            asked = [g for is_wanted, g in found if is_wanted and g is not None]
            return control.tuple_(in_grads, waits_for=asked or None)
        return in_grads

    def _summed(self, tensor: Tensor) -> Any:
        grads = self.grads.get(tensor)
        if not grads:
            return None
        found = grads[0] if len(grads) == 1 else self.aggregate(grads, tensor.op.name)
        self.grads[tensor] = [found]
        return found

    def gradient_of(self, source: Tensor) -> Any:
        """The gradient of one source, or None."""
        return self._summed(source)

    def _colocated(self, op: Operation) -> AbstractContextManager[None]:
        return colocate_with(op, ignore_existing=True) if self.colocate else _NOWHERE


def _passes(tensor: Tensor) -> bool:
    return tensor._dtype.base_dtype in _PASSING


def _check_grad_y(y: Tensor, grad: Tensor) -> None:
    if y.dtype.is_floating and not grad.dtype.is_floating:
        raise TypeError(
            f"Gradient type {grad.dtype.name} generated for real-valued tensor {y} with type {y.dtype.name} must be real"
        )
    if y.dtype.is_complex and not grad.dtype.is_complex:
        raise TypeError(
            f"Gradient type {grad.dtype.name} generated for complex-valued tensor {y} with type {y.dtype.name} must be complex"
        )


def _zeros_of(tensor: Tensor) -> Tensor | None:
    """Zeros like `tensor` where it can have a gradient."""
    if tensor._dtype.base_dtype not in DIFFERENTIABLE:
        return None
    return constants.zeros_like(tensor, optimize=False)


def _merge_shape(op: Operation, tensor: Tensor, grad: Any) -> None:
    """Give the gradient what is known of the shape of its tensor."""
    if isinstance(grad, IndexedSlices) or tensor._dtype.base_dtype in _HANDLES:
        return
    if tensor._shape.sizes == grad.shape.sizes:
        return
    try:
        grad.set_shape(tensor.shape)
    except ValueError:
        raise ValueError(
            f"Incompatible shapes between op input and calculated input gradient. Forward operation: {op.name}. "
            f"Original input shape: {tensor.shape}. Calculated input gradient shape: {grad.shape}"
        ) from None


def gradient_rule(op: Operation) -> Callable[..., Any] | None:
    """The gradient function of a node: overridden, registered, or its type's own; None where it is said that there
    is none. Raises LookupError where nobody said anything."""
    override = op.attrs.get("_gradient_op_type")
    name = override.decode() if isinstance(override, bytes) else override
    if name is not None:
        if name not in _REGISTERED:
            raise LookupError(f"gradient registry has no entry for: {name}")
        return _REGISTERED[name]
    if op.type in _REGISTERED:
        return _REGISTERED[op.type]
    opdef = op.opdef
    if opdef is not None and opdef.gradient is not None:
        return opdef.gradient
    if opdef is not None and opdef.gradient_note not in (None, UNDEFINED):
        return None
    raise LookupError(f"No gradient defined for operation '{op.name}' (op type: {op.type})")


def _aggregation(method: int | None) -> Callable[[list[Any], str], Any]:
    if method in (None, AggregationMethod.ADD_N):
        return summed
    if method in (
        AggregationMethod.EXPERIMENTAL_TREE,
        AggregationMethod.EXPERIMENTAL_ACCUMULATE_N,
    ):
        return _running_sum
    raise ValueError(f"Invalid aggregation_method specified {method}.")


def _running_sum(grads: list[Any], op_name: str) -> Any:
    """The same sum, each gradient added to the sum of those before it: fewer of them live at once."""
    if not all(isinstance(g, Tensor) for g in grads):
        return summed(grads, op_name)
    with name_scope(op_name + "_gradient_sum"):
        found = grads[0]
        for grad in grads[1:]:
            found = elementwise.add_n([found, grad])
    return found


def _sum_by_device(grads: list[Tensor]) -> Any:
    """The sum, made on each device for its own gradients first."""
    devices: dict[str, list[Tensor]] = {}
    for grad in grads:
        devices.setdefault(grad.device, []).append(grad)
    parts = []
    for members in devices.values():
        with colocate_with(members[0].op, ignore_existing=True):
            parts.append(elementwise.add_n(members))
    return parts[0] if len(parts) == 1 else elementwise.add_n(parts)


def summed(grads: list[Any], op_name: str) -> Any:
    """The sum of gradients: IndexedSlices where all are."""
    if all(isinstance(g, Tensor) for g in grads):
        return _sum_by_device(grads)
    if all(isinstance(g, IndexedSlices) for g in grads):
        values = joining.concat([g.values for g in grads], 0)
        wide = (
            dtypes.int64
            if any(g.indices.dtype.base_dtype == dtypes.int64 for g in grads)
            else dtypes.int32
        )
        indices = joining.concat([casting.cast(g.indices, wide) for g in grads], 0)
        return IndexedSlices(values, indices, grads[0].dense_shape)
    return elementwise.add_n_op(grads)  # which makes tensors of the slices, with names of its own


def _dense(
    value: IndexedSlices, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Any:
    """IndexedSlices as a tensor: rows named twice add up. Raises ValueError where the dense shape is not known."""
    if dtype is not None and not dtype.is_compatible_with(value.dtype):
        raise ValueError(
            f"Tensor conversion requested dtype {dtype.name} for IndexedSlices with dtype {value.dtype.name}"
        )
    if value.dense_shape is None:
        raise ValueError(
            f"Tensor conversion requested for IndexedSlices without dense_shape: {value}"
        )
    return segments.unsorted_segment_sum(
        value.values, value.indices, value.dense_shape[0], name=name
    )


convert.register_tensor_conversion_function(IndexedSlices, _dense)
