"""What a caller gives as inputs of a node, as tensors: they say the dtypes that he left out. Knows no operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.graph import convert, stack
from ckpt.graph.attr_values import check_allowed
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import REQUIRED, Arg

if TYPE_CHECKING:
    from ckpt.graph.opdef import OpDef


def graph_of_inputs(values: Sequence[Any]) -> Any:
    """The graph of the tensors in `values` (inputs and lists of inputs), or the default graph."""
    default = stack.get_default_graph()
    if default.is_building_function:
        return default
    found: Any = None
    for value in values:
        if isinstance(value, Tensor):
            graph: Any = value.op.graph
        elif type(value) is list or type(value) is tuple:
            members = [member for member in value if isinstance(member, Tensor)]
            graph = graph_of_inputs(members) if members else None
        else:
            continue
        if found is None:
            found = graph
        elif graph is not None and graph is not found:
            raise ValueError(f"{value!r} must be from the same graph as the other inputs.")
    return default if found is None else found


def converted(
    opdef: OpDef, values: Sequence[Any], attrs: dict[str, Any], graph: Any, name: str
) -> list[Tensor]:
    """The tensors that are the inputs `values` of a node `name`; dtypes and numbers that they say are added to `attrs`.

    Raises TypeError and ValueError for what cannot be an input of the type.
    """
    inputs: list[Tensor] = []
    for arg, value in zip(opdef.inputs, values, strict=True):
        if (
            type(value) is Tensor
            and value._dtype is (arg.dtype or attrs.get(arg.type_attr))
            and value.op.graph is graph
            and not arg.is_ref
        ):
            inputs.append(value)  # which fits as it is
        elif arg.number_attr or arg.type_list_attr:
            inputs.extend(_tensors(opdef, arg, value, attrs, graph, name))
        else:
            inputs.append(_tensor(opdef, arg, value, attrs, graph, name))
    return inputs


def _tensor(
    opdef: OpDef, arg: Arg, value: Any, attrs: dict[str, Any], graph: Any, name: str
) -> Tensor:
    type_attr = arg.type_attr
    want: DType | None = arg.dtype or attrs.get(type_attr)
    if not isinstance(value, Tensor) or value._dtype is dtypes.resource:
        preferred = None
        if want is None and type_attr:
            default = opdef.attrs[type_attr].default
            preferred = None if default is REQUIRED else default
            is_empty_list = isinstance(value, (list, tuple)) and not value
            if is_empty_list and preferred is not None and not preferred.is_floating:
                # Without members a list is one of floats first: TensorFlow makes that constant, too.
                _converted(opdef, arg, value, dtypes.float32, None, graph, name)
        value = _converted(opdef, arg, value, want, preferred, graph, name)
    elif value.op.graph is not graph:
        value = graph.capture(value)
    dtype = value._dtype.base_dtype
    if want is None:
        attrs[type_attr] = dtype
        allowed = opdef.attrs[type_attr].allowed
        if allowed is not None and dtype not in allowed:
            names = ", ".join(sorted(d.name for d in allowed))
            raise TypeError(
                f"Value passed to parameter '{arg.name}' has DataType {dtype.name} "
                f"not in list of allowed values: {names}"
            )
    elif dtype is not want:
        raise _mismatch(opdef, arg, dtype, want)
    if arg.is_ref and not value._dtype._is_ref_dtype:
        raise TypeError(
            f"'{opdef.type}' Op requires that input '{arg.name}' be a mutable tensor (e.g.: a tf.Variable)"
        )
    return value  # type: ignore[no-any-return]  # convert and capture return Tensors


def _converted(
    opdef: OpDef,
    arg: Arg,
    value: Any,
    want: DType | None,
    preferred: DType | None,
    graph: Any,
    name: str,
) -> Any:
    saved = graph.enter_exact_scope(name)
    try:
        with stack.default_graph(graph):
            tensor = convert.convert_to_tensor(
                value, dtype=want, name=arg.name, as_ref=arg.is_ref, preferred_dtype=preferred
            )
        return tensor if tensor.graph is graph else graph.capture(tensor)
    except TypeError as error:
        if want is None or not arg.type_attr:
            raise
        found = convert.inferred_dtype(value)
        if found is None or found == want:
            raise
        raise TypeError(
            f"Input '{arg.name}' of '{opdef.type}' Op has type {found.name} that does not match "
            f"type {want.name} of argument '{_first_of(opdef, arg.type_attr)}'."
        ) from error
    finally:
        graph.leave_exact_scope(saved)


def _first_of(opdef: OpDef, type_attr: str) -> str:
    return next((a.name for a in opdef.inputs if a.type_attr == type_attr), type_attr)


def _mismatch(opdef: OpDef, arg: Arg, dtype: DType, want: DType) -> TypeError:
    first = _first_of(opdef, arg.type_attr) if arg.type_attr else arg.name
    is_said = first == arg.name
    wanted = (
        f"expected type of {want.name}" if is_said else f"type {want.name} of argument '{first}'"
    )
    return TypeError(
        f"Input '{arg.name}' of '{opdef.type}' Op has type {dtype.name} that does not match {wanted}."
    )


def _tensors(
    opdef: OpDef, arg: Arg, value: Any, attrs: dict[str, Any], graph: Any, name: str
) -> list[Tensor]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(
            f"Expected list for '{arg.name}' argument to '{opdef.type}' Op, not {value!r}."
        )
    saved = graph.enter_exact_scope(name)
    try:
        with stack.default_graph(graph):
            tensors = _members(opdef, arg, value, attrs)
    finally:
        graph.leave_exact_scope(saved)
    tensors = [t if t.graph is graph else graph.capture(t) for t in tensors]
    if arg.number_attr:
        known = attrs.setdefault(arg.number_attr, len(tensors))
        minimum = opdef.attrs[arg.number_attr].minimum or 0
        if known != len(tensors):
            raise ValueError(
                f"List argument '{arg.name}' to '{opdef.type}' Op with length {len(tensors)} "
                f"must match length {known} of argument '{arg.number_attr}'."
            )
        if len(tensors) < minimum:
            raise ValueError(
                f"List argument '{arg.name}' to '{opdef.type}' Op with length {len(tensors)} "
                f"shorter than minimum length {minimum}."
            )
    return tensors


def _members(opdef: OpDef, arg: Arg, values: Sequence[Any], attrs: dict[str, Any]) -> list[Any]:
    if arg.type_list_attr:
        wants = attrs.get(arg.type_list_attr) or [None] * len(values)
        tensors = [
            convert.convert_to_tensor(v, dtype=w, name=f"{arg.name}_{i}")
            for i, (v, w) in enumerate(zip(values, wants, strict=True))
        ]
        attrs[arg.type_list_attr] = [t.dtype.base_dtype for t in tensors]
        return tensors
    want = arg.dtype or attrs.get(arg.type_attr)
    if want is None:
        known = [
            v.dtype.base_dtype for v in values if hasattr(v, "dtype") and isinstance(v.dtype, DType)
        ]
        want = known[0] if known else None
    tensors = convert.convert_n_to_tensor(values, dtype=want, name=arg.name, as_ref=arg.is_ref)
    found = {t.dtype.base_dtype for t in tensors}
    if len(found) > 1:
        raise TypeError(
            f"Tensors in list passed to '{arg.name}' of '{opdef.type}' Op have types "
            f"{[t.dtype.name for t in tensors]} that don't all match."
        )
    if arg.type_attr and tensors:
        dtype = tensors[0].dtype.base_dtype
        attrs[arg.type_attr] = dtype
        check_allowed(opdef.type, arg.type_attr, opdef.attrs[arg.type_attr], dtype)
    return tensors
