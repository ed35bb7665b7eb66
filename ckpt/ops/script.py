"""Python functions as operations.

A graph keeps the functions that it was built with, under the tokens that its nodes carry. A graph that came from a
file has tokens but no functions: its nodes refuse to run until the caller hands over functions with
`allow_py_functions`, so that opening a model never runs code that the model chose.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ckpt.core import arrays, dtypes
from ckpt.core.errors import InvalidArgumentError, OutOfRangeError, PermissionDeniedError
from ckpt.graph import convert, stack
from ckpt.graph.file_use import is_imported
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr

_BUILT, _ALLOWED = ("__py_functions",), ("__allowed_py_functions",)
_tokens = itertools.count()
LISTS = {"Tin": Attr("list(type)", minimum=0), "Tout": Attr("list(type)", minimum=0)}


def _functions(graph: Any, key: tuple[str]) -> dict[str, Callable[..., Any]]:
    held = graph.get_collection_ref(key)
    if not held:
        held.append({})
    return held[0]


def _found(node: Any, token: str) -> Callable[..., Any]:
    """The function of a token. An imported node has those that were allowed, not those that the graph was built with."""
    graph, keys = node.graph, (_ALLOWED,) if is_imported(node) else (_ALLOWED, _BUILT)
    while graph is not None:
        for key in keys:
            function = _functions(graph, key).get(token)
            if function is not None:
                return function
        graph = getattr(graph, "outer_graph", None)
    raise PermissionDeniedError(
        None, None, f"the graph names the Python function {token!r} but was not built in this process; a loaded graph runs "
        "no Python function until you allow it: ckpt.allow_py_functions({token: function}, graph)"
    )  # fmt: skip


def allow_py_functions(functions: Mapping[str, Callable[..., Any]], graph: Any = None) -> None:
    """Let the nodes of `graph` (the default one where None) that carry these tokens run these functions."""
    graph = graph if graph is not None else stack.get_default_graph()
    _functions(graph, _ALLOWED).update(functions)


def _called(ctx, inputs, token, kinds):
    function = _found(ctx.node, token)
    try:
        results = function(*inputs)
    except StopIteration as error:
        raise OutOfRangeError(None, None, f"StopIteration: {error}") from error
    if not kinds:
        return ()
    values = list(results) if isinstance(results, (list, tuple)) else [results]
    if len(values) != len(kinds):
        raise InvalidArgumentError(
            None,
            None,
            f"{token} returns {len(values)} values, but expects to see {len(kinds)} values.",
        )
    return tuple(
        _as_kind(v, k, i, token) for i, (v, k) in enumerate(zip(values, kinds, strict=True))
    )


def _as_kind(value, kind, place, token):
    if kind == dtypes.string:
        return arrays.byte_strings(arrays.array_of(value, dtypes.string))
    given = np.asarray(value)
    wanted = np.dtype(kind.as_numpy_dtype)
    if isinstance(value, (np.ndarray, np.generic)) and given.dtype != wanted:
        raise InvalidArgumentError(
            None,
            None,
            f"{place}-th value returned by {token} is {given.dtype.name}, but expects {kind.name}",
        )
    return given.astype(wanted)


@op("PyFunc", "input: Tin... -> output: Tout...", token=Attr("string"), **LISTS)
def py_func_op(ctx, *inputs, token, Tout):
    """The values that the Python function registered under `token` returns."""
    return _called(ctx, inputs, token, Tout)


@op("PyFuncStateless", "input: Tin... -> output: Tout...", token=Attr("string"), **LISTS)
def py_func_stateless_op(ctx, *inputs, token, Tout):
    """PyFunc for a function that gives the same values for the same inputs."""
    return _called(ctx, inputs, token, Tout)


for _opdef in (py_func_op, py_func_stateless_op):
    _opdef.shape(lambda *inputs, Tout: [None] * len(Tout))
    _opdef.no_gradient("nobody knows what a Python function does")


def py_func(
    func: Callable[..., Any], inp: Any, Tout: Any, stateful: bool = True, name: str | None = None
) -> Any:
    """`func` of the arrays `inp` when run; its results are tensors of the dtypes `Tout` and of unknown shape.

    The function is not part of an exported graph. Raises TypeError when `func` cannot be called.
    """
    if not callable(func):
        raise TypeError(
            f"Expected func to be callable. Received func={func!r} of type {type(func)}."
        )
    is_list = isinstance(Tout, (list, tuple))
    kinds = [dtypes.as_dtype(k) for k in (Tout if is_list else [Tout])]
    inputs = [convert.convert_to_tensor(value) for value in inp]
    token = f"pyfunc_{next(_tokens)}"
    graph = inputs[0].graph if inputs else stack.get_default_graph()
    _functions(graph, _BUILT)[token] = func
    made = (py_func_op if stateful else py_func_stateless_op)(
        inputs,
        token=token,
        Tin=[t.dtype.base_dtype for t in inputs],
        Tout=kinds,
        name=name or "PyFunc",
    )
    return list(made) if is_list and kinds else made[0] if kinds else made


def numpy_function(
    func: Callable[..., Any], inp: Any, Tout: Any, stateful: bool = True, name: str | None = None
) -> Any:
    """`py_func` under its newer name."""
    return py_func(func, inp, Tout, stateful, name)
