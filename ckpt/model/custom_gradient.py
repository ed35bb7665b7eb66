"""Functions that bring their own gradient. Knows no operation's rule."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from ckpt.core import nest
from ckpt.graph import convert, stack
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Operation, Tensor
from ckpt.model.gradients import RegisterGradient
from ckpt.model.resource_variable import ResourceVariable
from ckpt.ops import control

_numbers = itertools.count()


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `f(*tensors)` returns its result and a function from the gradients of the result to those of the
    tensors; that function is used instead of what the operations inside would give.

    Where `f` reads resource variables, the gradient function takes `variables=` and returns two lists.
    """

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise ValueError(
                "The custom_gradient decorator currently supports keywords arguments only when eager execution is "
                "enabled."
            )
        return _applied(f, args)

    return decorated


def _applied(f: Callable[..., Any], args: Sequence[Any]) -> Any:
    graph = stack.get_default_graph()
    tensors = [convert.convert_to_tensor(arg) for arg in args]
    before = {id(v) for v in _variables(graph)}
    result, grad_function = f(*tensors)
    for variable in _variables(graph):
        if id(variable) not in before and not isinstance(variable, ResourceVariable):
            raise TypeError(
                "All variables used by a function wrapped with @custom_gradient must be `ResourceVariable`s. Ensure "
                "that no `variable_scope` is created with `use_resource=False`."
            )
    results = [convert.convert_to_tensor(r) for r in nest.flatten(result)]
    variables = _read_between(graph, tensors, results)
    _check_signature(grad_function, variables)
    name = f"CustomGradient-{next(_numbers)}"
    handles = [variable.handle for variable in variables]

    @RegisterGradient(name)
    def gradient(op: Operation, *grads: Any) -> list[Any]:
        given = grads[: len(results)]
        if variables:
            of_inputs, of_variables = grad_function(*given, variables=variables)
            if len(of_variables) != len(variables):
                raise ValueError(
                    "Must return gradient for each variable from @custom_gradient grad_fn."
                )
        else:
            of_inputs, of_variables = grad_function(*given), []
        of_inputs = list(of_inputs) if isinstance(of_inputs, (list, tuple)) else [of_inputs]
        return [*([None] * len(results)), *of_inputs, *of_variables]

    with graph.gradient_override_map({"IdentityN": name}):
        passed = control.identity_n([*results, *tensors, *handles])
    for handle, copy in zip(handles, passed[len(passed) - len(handles) :], strict=True):
        if "_handle_shape" in handle.__dict__:
            copy.__dict__["_handle_shape"] = handle.__dict__["_handle_shape"]
    return nest.pack_sequence_as(result, list(passed[: len(results)]))


def _variables(graph: Graph) -> list[Any]:
    return graph.get_collection(GraphKeys.GLOBAL_VARIABLES) + graph.get_collection(
        GraphKeys.LOCAL_VARIABLES
    )


def _read_between(graph: Graph, inputs: list[Tensor], results: list[Tensor]) -> list[Any]:
    """The resource variables whose handles the results depend on other than through the inputs, by name."""
    stops = {tensor.op for tensor in inputs}
    seen: set[Operation] = set()
    pending = [tensor.op for tensor in results]
    while pending:
        op = pending.pop()
        if op not in seen and op not in stops:
            seen.add(op)
            pending.extend(tensor.op for tensor in op.inputs)
    found = {
        v.handle: v
        for v in _variables(graph)
        if isinstance(v, ResourceVariable) and v.handle.op in seen
    }
    return sorted(found.values(), key=lambda variable: variable.name)


def _check_signature(grad_function: Callable[..., Any], variables: list[Any]) -> None:
    parameters = inspect.signature(grad_function).parameters
    takes = "variables" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if variables and not takes:
        raise TypeError(
            "@tf.custom_gradient grad_fn must accept keyword argument 'variables', since function uses variables: "
            f"{variables}"
        )


def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` with the gradient of the identity: its value goes forwards, the gradient goes through as it comes."""

    @custom_gradient
    def passed(*args: Any) -> Any:
        return f(*args), lambda *grads: grads[0] if len(args) == 1 else [*grads]

    return passed


def recompute_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` itself: where TensorFlow trades time for memory in the backward pass, the results here are the same."""
    return f
