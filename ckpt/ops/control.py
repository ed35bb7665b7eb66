"""Identity, grouping and what only orders or marks: no arithmetic."""

from __future__ import annotations

from typing import Any

from ckpt.graph import convert, stack
from ckpt.graph.opdef import op
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, control_dependencies, name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.slices import IndexedSlices
from ckpt.ops.families import same_shape


@op("NoOp", "->")
def no_op_op():
    """Nothing: a node to hang control inputs on."""


def no_op(name: str | None = None) -> Operation:
    """An operation that does nothing."""
    return no_op_op(name=name)


@op("Identity", "input: T -> output: T")
def identity(x):
    """The input itself."""
    return x


identity.shape(same_shape)
identity.is_alias = True


@identity.grad
def identity_grad(node, dy):
    return [dy]


@op("StopGradient", "input: T -> output: T")
def stop_gradient(x):
    """The input itself; gradients do not pass."""
    return x


stop_gradient.shape(same_shape)
stop_gradient.is_alias = True


@stop_gradient.grad
def stop_gradient_grad(node, dy):
    return [None]


@op("PreventGradient", "input: T -> output: T", message="")
def prevent_gradient(x):
    """The input itself; asking for a gradient through it is an error."""
    return x


prevent_gradient.shape(same_shape)
prevent_gradient.is_alias = True


@prevent_gradient.grad
def prevent_gradient_grad(node, dy):
    raise LookupError(f"Gradient explicitly disabled. Reason: {node.attrs['message']}")


no_op_op.no_gradient("it has no outputs")


@op("IdentityN", "input: T... -> output: T...", T=Attr("list(type)", minimum=1))
def identity_n(*inputs):
    """The inputs themselves."""
    return list(inputs)


identity_n.shape(lambda *inputs: [t.shape for t in inputs])
identity_n.is_alias = True


@identity_n.grad
def identity_n_grad(node, *dys):
    return list(dys)


def group(*inputs: Any, name: str | None = None, **kwargs: Any) -> Operation:
    """One operation that has run once all of `inputs` (tensors, operations, nested lists) have.

    Raises TypeError for an input that is neither.
    """
    if kwargs:
        raise ValueError(f"Unknown keyword arguments: {', '.join(kwargs)}")
    flat = list(_flattened(inputs))
    with name_scope(name, "group_deps", [i for i in flat if hasattr(i, "graph")]) as scope:
        for element in flat:
            if not hasattr(element, "graph") and not hasattr(element, "_as_graph_element"):
                raise TypeError(
                    f"'inputs' should be zero or more (nested) Tensors. Received '{element}' with type '{type(element)}'."
                )
        devices: dict[str, list[Any]] = {}
        for element in flat:
            devices.setdefault(getattr(element, "device", ""), []).append(element)
        if len(devices) <= 1:
            return _no_op_after(flat, scope, next(iter(devices), ""))
        parts = []
        for device, members in sorted(devices.items()):
            parts.append(_no_op_after(members, None, device))
        with control_dependencies(parts):
            return no_op_op(name=scope)


def _no_op_after(elements: list[Any], name: str | None, device: str) -> Operation:
    graph = stack.get_default_graph()
    if not device:
        with control_dependencies(elements):
            return no_op_op(name=name)
    with graph.device(device), control_dependencies(elements):
        return no_op_op(name=name)


def _flattened(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        for member in value:
            yield from _flattened(member)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _flattened(value[key])
    elif value is not None:
        yield value


def tuple_(
    tensors: Any, name: str | None = None, control_inputs: Any = None, *, waits_for: Any = None
) -> list[Any]:
    """The same tensors, each available only once all of them (or those of `waits_for`) and `control_inputs` are.

    None entries stay None. Raises ValueError when there is nothing to wait for, TypeError for a bad control input.
    """
    with name_scope(name, "tuple", [t for t in tensors if t is not None]):
        awaited = tensors if waits_for is None else waits_for
        graph_elements = [t if isinstance(t, Operation) else t.op for t in awaited if t is not None]
        for control in control_inputs or ():
            if not isinstance(control, (Operation, Tensor)) and not hasattr(control, "op"):
                raise TypeError(f"Control input must be Operation or Tensor: {control}")
            graph_elements.append(control if isinstance(control, Operation) else control.op)
        if not graph_elements:
            raise ValueError(f"Must have at least one Tensor: {tensors}.")
        gate = group(*dict.fromkeys(graph_elements))
        return [
            None
            if t is None
            else (gate if isinstance(t, Operation) else with_dependencies([gate], t))
            for t in tensors
        ]


def with_dependencies(dependencies: Any, output_tensor: Any, name: str | None = None) -> Any:
    """`output_tensor`, available only once all of `dependencies` have run."""
    if isinstance(output_tensor, IndexedSlices):
        rows = with_dependencies(dependencies, output_tensor.values, name)
        return IndexedSlices(rows, output_tensor.indices, output_tensor.dense_shape)
    with (
        name_scope(name, "control_dependency", [*dependencies, output_tensor]) as scope,
        colocate_with(output_tensor),
        control_dependencies(dependencies),
    ):
        return identity(convert.convert_to_tensor(output_tensor), name=scope)
