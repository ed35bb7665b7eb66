"""What an operation type is: signature, kernel, shape rule and gradient in one value. Knows no operation.

    @op("MatMul", "a: T, b: T -> product: T", T=FLOATING, transpose_a=False, transpose_b=False)
    def matmul(xp, a, b, *, transpose_a, transpose_b): ...

replaces the kernel `matmul` by an `OpDef` and enters it in `OPS["MatMul"]`. Calling the OpDef adds a node to the
default graph; `opdef.kernel` is the plain function. The kernel's first parameter says what it needs: `xp` an array
namespace (pure, portable), `ctx` the running session (stateful), neither: pure numpy.
"""

from __future__ import annotations

import inspect
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from threading import Condition
from typing import Any, Protocol

import numpy as np

from ckpt.core import dtypes
from ckpt.core.defs import Func
from ckpt.core.dtypes import DType
from ckpt.core.errors import GraphError
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert, stack
from ckpt.graph.file_use import FileUse
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.signature import REQUIRED, Arg, Attr, declared_attr, parse_args
from ckpt.graph.sparse import SparseTensor

UNDEFINED = "TensorFlow defines none"
"""The note of operations whose gradient nobody defined: asking for it is a LookupError, as in TensorFlow."""

OPS: dict[str, OpDef] = {}
"""Every operation type that ckpt can run, by TensorFlow's type name."""


class KernelContext(Protocol):
    """What a stateful kernel may ask of the session that runs it."""

    @property
    def node(self) -> Operation:
        """The operation being run."""

    def resource(self, kind: str, container: str, name: str, make: Callable[[], Any]) -> Any:
        """The session's resource of this kind and name, made by `make` the first time."""

    def remove_resource(self, kind: str, container: str, name: str) -> None:
        """Forget that resource."""

    def attachment(self, key: str) -> Any:
        """What the caller of this run attached under `key`, or None; handed out once."""

    def wait(self, condition: Condition) -> None:
        """Wait until `condition` is notified; its lock is held. Raises when the run must end before."""

    def check_saves(self, prefix: str) -> None:
        """Raise PermissionDeniedError where the node was imported and no Saver writes the checkpoint of this prefix."""


class OpDef:
    """One operation type. Attributes: type, inputs, outputs, attrs, kernel, shape_rule, gradient."""

    def __init__(
        self, type_name: str, signature: str, attrs: dict[str, Any], kernel: Callable[..., Any]
    ) -> None:
        before, arrow, after = signature.partition("->")
        if not arrow:
            raise ValueError(f"{type_name}: the signature {signature!r} has no '->'")
        self.type = type_name
        self.inputs = parse_args(before)
        self.outputs = parse_args(after)
        self.attrs = self._all_attrs(attrs)
        self.attr_types = {name: attr.python_type for name, attr in self.attrs.items()}
        self._shares = all(attr.kind in ("type", "bool") for attr in self.attrs.values())
        self._known_attrs: dict[Any, Mapping[str, Any]] = {}
        self._defaults = {n: a.default for n, a in self.attrs.items() if a.default is not REQUIRED}
        self.required = frozenset(n for n, attr in self.attrs.items() if attr.default is REQUIRED)
        self.kernel = kernel
        self.lead, self.kernel_attrs = self._kernel_needs(kernel)
        self.is_stateful = self.lead == "ctx"
        self.may_wait = False
        self.files: FileUse | None = None
        self.functions = tuple(n for n, a in self.attrs.items() if a.kind in ("func", "list(func)"))
        self.has_ref_inputs = any(arg.is_ref for arg in self.inputs)
        self.is_resource = False
        self.is_alias = False
        self.view_of: int | None = None
        self.is_whole_view = False
        self.shares_vectors = True
        self.is_check = False
        self.maps_sparse = False
        self.direct: str | None = None
        self.many = len(self.outputs) != 1 or self.outputs[0].is_list
        self._only_output = None if self.many else self.outputs[0]
        self.shape_rule: Callable[..., Sequence[Any]] | None = None
        self._shape_attrs: tuple[str, ...] = ()
        self.gradient: Callable[..., Sequence[Any]] | None = None
        self.gradient_note: str | None = None
        self.__doc__ = kernel.__doc__
        self.__name__ = getattr(kernel, "__name__", type_name)

    def _all_attrs(self, declared: dict[str, Any]) -> dict[str, Attr]:
        attrs = {name: declared_attr(value) for name, value in declared.items()}
        for arg in (*self.inputs, *self.outputs):
            for name, kind in (
                (arg.type_attr, "type"),
                (arg.number_attr, "int"),
                (arg.type_list_attr, "list(type)"),
            ):
                if name and name not in attrs:
                    minimum = 1 if kind == "int" else None
                    attrs[name] = Attr(kind, minimum=minimum)
        return attrs

    def _kernel_needs(self, kernel: Callable[..., Any]) -> tuple[str, tuple[str, ...]]:
        parameters = list(inspect.signature(kernel).parameters.values())
        named = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        unknown = [name for name in named if name not in self.attrs]
        if unknown:
            raise ValueError(
                f"{self.type}: the kernel asks for {unknown}, which are no attributes of it"
            )
        first = parameters[0].name if parameters else ""
        return (first if first in ("xp", "ctx") else ""), named

    def shape(self, rule: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
        """Attach the shape rule: input tensors and the attributes it names -> one shape per output."""
        parameters = inspect.signature(rule).parameters.values()
        self._shape_attrs = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        self.shape_rule = rule
        return rule

    def grad(self, rule: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
        """Attach the gradient rule: node and one gradient per output -> one gradient (or None) per input."""
        self.gradient = rule
        return rule

    def no_gradient(self, note: str) -> OpDef:
        """Say that there is no gradient, and why: so that 'none exists' and 'forgotten' differ.

        Nothing flows back through such an operation; with the note `UNDEFINED` a gradient through it is an error.
        """
        self.gradient_note = note
        return self

    def stateful(self) -> OpDef:
        """Mark a kernel without `ctx` as one that must never be folded or merged with its equal."""
        self.is_stateful = True
        return self

    def views(
        self, position: int = 0, *, whole: bool = False, shares_vectors: bool = True
    ) -> OpDef:
        """Mark one whose results may share the memory of an input, as they do in TensorFlow.

        It matters where that is a reference variable: the result shows the variable as it is when it is used.
        `whole` says that they always do; else the kernel is asked, and parts of vectors are copies without
        `shares_vectors`.
        """
        self.view_of, self.is_whole_view, self.shares_vectors = position, whole, shares_vectors
        return self

    def checks(self) -> OpDef:
        """Mark one that looks at its input, where it stands, and passes it on as it is."""
        self.is_alias = self.is_check = True
        return self

    def waits(self) -> OpDef:
        """Mark a kernel that may wait for another run: one that has it gets a time limit, and ends with its session."""
        self.may_wait = True
        return self

    def reads_files(
        self, *inputs: str, attr: str = "", when: Callable[[str], bool] = bool
    ) -> OpDef:
        """Mark one that reads files: those that `inputs` name, or the attribute `attr` where `when` holds for it.

        Without any they are named elsewhere, as by a queue. Each operation that opens, lists or asks for files is to be
        marked: those of imported graphs run only where the caller said so (`file_use`).
        """
        self.files = FileUse(tuple(map(self._place, inputs)), attr, when)
        return self

    def writes_files(
        self, *inputs: str, attr: str = "", when: Callable[[str], bool] = bool, saves: bool = False
    ) -> OpDef:
        """Mark one that makes, changes or removes files; `saves` says that it is a part of what a Saver runs."""
        self.files = FileUse(tuple(map(self._place, inputs)), attr, when, True, saves)
        return self

    def _place(self, name: str) -> int:
        """Which of the inputs of a node this one is. Raises ValueError for one that has no fixed place."""
        for place, arg in enumerate(self.inputs):
            if arg.is_list:
                break
            if arg.name == name:
                return place
        raise ValueError(f"{self.type} has no input '{name}' of fixed place")

    def __call__(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        """Add a node of this type to the default graph (or to that of the inputs) and return its outputs."""
        if self.maps_sparse and args and isinstance(args[0], SparseTensor):
            sparse = args[0]
            return sparse.with_values(self(sparse.values, *args[1:], name=name, **kwargs))
        values: Sequence[Any] = args
        if len(args) != len(self.inputs):
            if name is not None:
                kwargs["name"] = name
            values = self._all_inputs(args, kwargs)
            name = kwargs.pop("name", None)
        graph = _graph_of(values)
        if graph._finalized:
            graph.check_not_finalized()
        full_name = graph.unique_op_name(name or self.type)
        attrs: dict[str, Any] = {}
        for key, value in kwargs.items():
            attrs[key] = self._checked_attr(key, value)
        inputs = self._convert_inputs(values, attrs, graph, full_name)
        if len(attrs) < len(self.attrs):
            self._fill_defaults(attrs)
        if self.has_ref_inputs:
            with graph.colocate_with_references(inputs):
                return self._result(graph.add(self.type, self, inputs, attrs, full_name))
        return self._result(graph.add(self.type, self, inputs, attrs, full_name))

    def shared(self, attrs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The same attributes; where they are dtypes and flags only, one mapping for all nodes that have these."""
        if not self._shares or len(attrs) != len(self.attrs):
            return attrs
        key = (*attrs, *map(id, attrs.values()))
        found = self._known_attrs.get(key)
        if found is None:
            if not all(type(value) in (bool, DType) for value in attrs.values()):
                return attrs  # only these live forever
            found = self._known_attrs[key] = attrs
        return found

    def _all_inputs(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """The inputs, those given by keyword taken out of `kwargs`."""
        values = list(args[: len(self.inputs)])
        if len(args) > len(values):
            self._name_attrs(args[len(values) :], kwargs)
        for arg in self.inputs[len(values) :]:
            if arg.name not in kwargs:
                raise TypeError(f"{self.type} misses its input '{arg.name}'")
            values.append(kwargs.pop(arg.name))
        return values

    def _name_attrs(self, given: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Add to `kwargs` what is given by position: attributes in order, those without a default first, then the name."""
        inferred = {n for a in self.inputs for n in (a.type_attr, a.number_attr, a.type_list_attr)}
        free = [name for name in self.attrs if name not in inferred]
        free.sort(key=lambda name: self.attrs[name].default is not REQUIRED)
        free.append("name")
        if len(given) > len(free):
            raise TypeError(
                f"{self.type} takes {len(self.inputs)} inputs ({', '.join(a.name for a in self.inputs)}) and "
                f"{', '.join(free)}, got {len(self.inputs) + len(given)} arguments"
            )
        twice = [name for name, _ in zip(free, given) if name in kwargs]
        if twice:
            raise TypeError(f"{self.type} got more than one value for {', '.join(twice)}")
        kwargs.update(zip(free, given))
        if not isinstance(kwargs.get("name"), str | None):
            raise TypeError(f"{self.type}: {kwargs['name']!r} is no name; it must be a text")

    def _checked_attr(self, key: str, value: Any) -> Any:
        attr = self.attrs.get(key)
        if attr is None:
            if key.startswith("_"):
                return value
            raise TypeError(
                f"{self.type} has no attribute '{key}'; it has {', '.join(self.attrs) or 'none'}"
            )
        if type(value) is not self.attr_types[key] or type(value) is DType:
            value = _coerced(attr.kind, value, self.type, key)
        if attr.allowed is not None:
            _check_allowed(self.type, key, attr, value)
        if attr.minimum is not None:
            size = len(value) if isinstance(value, list) else value
            if size < attr.minimum:
                raise ValueError(
                    f"Attr '{key}' of '{self.type}' Op passed {size} less than minimum {attr.minimum}."
                )
        return value

    def _fill_defaults(self, attrs: dict[str, Any]) -> None:
        for key, default in self._defaults.items():
            if key not in attrs:
                attrs[key] = list(default) if type(default) is list else default
        if not attrs.keys() >= self.attrs.keys():
            missing = next(key for key in self.attrs if key not in attrs)
            raise TypeError(f"{self.type} misses its attribute '{missing}'")

    def _convert_inputs(
        self, values: Sequence[Any], attrs: dict[str, Any], graph: Any, name: str
    ) -> list[Tensor]:
        inputs: list[Tensor] = []
        for arg, value in zip(self.inputs, values, strict=True):
            if (
                type(value) is Tensor
                and value._dtype is (arg.dtype or attrs.get(arg.type_attr))
                and value.op.graph is graph
                and not arg.is_ref
            ):
                inputs.append(value)  # which fits as it is
            elif arg.number_attr or arg.type_list_attr:
                inputs.extend(self._convert_list(arg, value, attrs, graph, name))
            else:
                inputs.append(self._convert_one(arg, value, attrs, graph, name))
        return inputs

    def _convert_one(
        self, arg: Arg, value: Any, attrs: dict[str, Any], graph: Any, name: str
    ) -> Tensor:
        type_attr = arg.type_attr
        want: DType | None = arg.dtype or attrs.get(type_attr)
        if not isinstance(value, Tensor) or value._dtype is dtypes.resource:
            preferred = None
            if want is None and type_attr:
                default = self.attrs[type_attr].default
                preferred = None if default is REQUIRED else default
                if preferred is not None and not preferred.is_floating and _is_empty_list(value):
                    # Without members a list is one of floats first: TensorFlow makes that constant, too.
                    self._converted(arg, value, dtypes.float32, None, graph, name)
            value = self._converted(arg, value, want, preferred, graph, name)
        elif value.op.graph is not graph:
            value = graph.capture(value)
        dtype = value._dtype.base_dtype
        if want is None:
            attrs[type_attr] = dtype
            allowed = self.attrs[type_attr].allowed
            if allowed is not None and dtype not in allowed:
                names = ", ".join(sorted(d.name for d in allowed))
                raise TypeError(
                    f"Value passed to parameter '{arg.name}' has DataType {dtype.name} "
                    f"not in list of allowed values: {names}"
                )
        elif dtype is not want:
            self._dtype_mismatch(arg, dtype, want, attrs)
        if arg.is_ref and not value._dtype._is_ref_dtype:
            raise TypeError(
                f"'{self.type}' Op requires that input '{arg.name}' be a mutable tensor (e.g.: a tf.Variable)"
            )
        return value  # type: ignore[no-any-return]  # convert and capture return Tensors

    def _converted(
        self,
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
                f"Input '{arg.name}' of '{self.type}' Op has type {found.name} that does not match "
                f"type {want.name} of argument '{self._first_of(arg.type_attr)}'."
            ) from error
        finally:
            graph.leave_exact_scope(saved)

    def _first_of(self, type_attr: str) -> str:
        return next((a.name for a in self.inputs if a.type_attr == type_attr), type_attr)

    def _dtype_mismatch(self, arg: Arg, dtype: DType, want: DType, attrs: dict[str, Any]) -> None:
        if arg.type_attr:
            first = self._first_of(arg.type_attr)
            if first == arg.name:
                raise TypeError(
                    f"Input '{arg.name}' of '{self.type}' Op has type {dtype.name} that does not match "
                    f"expected type of {want.name}."
                )
            raise TypeError(
                f"Input '{arg.name}' of '{self.type}' Op has type {dtype.name} that does not match "
                f"type {want.name} of argument '{first}'."
            )
        raise TypeError(
            f"Input '{arg.name}' of '{self.type}' Op has type {dtype.name} that does not match "
            f"expected type of {want.name}."
        )

    def _convert_list(
        self, arg: Arg, value: Any, attrs: dict[str, Any], graph: Any, name: str
    ) -> list[Tensor]:
        if not isinstance(value, (list, tuple)):
            raise TypeError(
                f"Expected list for '{arg.name}' argument to '{self.type}' Op, not {value!r}."
            )
        saved = graph.enter_exact_scope(name)
        try:
            with stack.default_graph(graph):
                tensors = self._tensors_of_list(arg, value, attrs)
        finally:
            graph.leave_exact_scope(saved)
        tensors = [t if t.graph is graph else graph.capture(t) for t in tensors]
        if arg.number_attr:
            known = attrs.setdefault(arg.number_attr, len(tensors))
            minimum = self.attrs[arg.number_attr].minimum or 0
            if known != len(tensors):
                raise ValueError(
                    f"List argument '{arg.name}' to '{self.type}' Op with length {len(tensors)} "
                    f"must match length {known} of argument '{arg.number_attr}'."
                )
            if len(tensors) < minimum:
                raise ValueError(
                    f"List argument '{arg.name}' to '{self.type}' Op with length {len(tensors)} "
                    f"shorter than minimum length {minimum}."
                )
        return tensors

    def _tensors_of_list(self, arg: Arg, values: Sequence[Any], attrs: dict[str, Any]) -> list[Any]:
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
                v.dtype.base_dtype
                for v in values
                if hasattr(v, "dtype") and isinstance(v.dtype, DType)
            ]
            want = known[0] if known else None
        tensors = convert.convert_n_to_tensor(values, dtype=want, name=arg.name, as_ref=arg.is_ref)
        found = {t.dtype.base_dtype for t in tensors}
        if len(found) > 1:
            raise TypeError(
                f"Tensors in list passed to '{arg.name}' of '{self.type}' Op have types "
                f"{[t.dtype.name for t in tensors]} that don't all match."
            )
        if arg.type_attr and tensors:
            dtype = tensors[0].dtype.base_dtype
            attrs[arg.type_attr] = dtype
            _check_allowed(self.type, arg.type_attr, self.attrs[arg.type_attr], dtype)
        return tensors

    def _result(self, node: Operation) -> Any:
        outputs = self.outputs
        if len(outputs) == 1 and not self.many:
            return node._outputs[0]
        if not outputs:
            return node
        if len(outputs) == 1:
            return list(node.outputs)
        results: list[Any] = []
        position = 0
        for arg in outputs:
            if arg.is_list:
                count = self.output_count(arg, node.attrs)
                results.append(list(node.outputs[position : position + count]))
                position += count
            else:
                results.append(node.outputs[position])
                position += 1
        return self._results(*results)

    @cached_property
    def _results(self) -> Any:
        """The outputs by their names, as TensorFlow's functions return several."""
        return namedtuple(self.type, [arg.name for arg in self.outputs])  # noqa: PYI024  # known at run time

    @staticmethod
    def output_count(arg: Arg, attrs: Mapping[str, Any]) -> int:
        """How many tensors the output `arg` of a node with these attributes stands for."""
        if arg.number_attr:
            return int(attrs[arg.number_attr])
        return len(attrs[arg.type_list_attr]) if arg.type_list_attr else 1

    def output_dtypes(self, attrs: Mapping[str, Any]) -> list[DType]:
        """The dtypes of a node's outputs, reference marks included."""
        only = self._only_output
        if only is not None:
            dtype = only.dtype or attrs[only.type_attr]
            return [dtype._as_ref if only.is_ref else dtype]
        found: list[DType] = []
        for arg in self.outputs:
            if arg.type_list_attr:
                found.extend(attrs[arg.type_list_attr])
                continue
            dtype = arg.dtype or attrs[arg.type_attr]
            if arg.is_ref:
                dtype = dtype._as_ref
            if arg.number_attr:
                found.extend([dtype] * self.output_count(arg, attrs))
            else:
                found.append(dtype)
        return found

    def output_shapes(
        self, inputs: Sequence[Tensor], attrs: Mapping[str, Any], count: int
    ) -> list[TensorShape]:
        """The static shapes of a node's outputs. Raises ShapeError when the inputs contradict each other."""
        if self.shape_rule is None:
            return [TensorShape.of(None)] * count
        if self._shape_attrs:
            found = self.shape_rule(*inputs, **{key: attrs[key] for key in self._shape_attrs})
        else:
            found = self.shape_rule(*inputs)
        return [shape if type(shape) is TensorShape else as_shape(shape) for shape in found]

    def __repr__(self) -> str:
        return f"<OpDef {self.type}>"


def op(type_name: str, signature: str, **attrs: Any) -> Callable[[Callable[..., Any]], OpDef]:
    """Define an operation type: decorates its kernel. See the docstring of this module."""

    def define(kernel: Callable[..., Any]) -> OpDef:
        opdef = OpDef(type_name, signature, attrs, kernel)
        if type_name in OPS:
            raise ValueError(f"the operation type {type_name} is defined twice")
        OPS[type_name] = opdef
        return opdef

    return define


def _is_empty_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and not value


def _graph_of(values: Sequence[Any]) -> Any:
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
            graph = _graph_of(members) if members else None
        else:
            continue
        if found is None:
            found = graph
        elif graph is not None and graph is not found:
            raise ValueError(f"{value!r} must be from the same graph as the other inputs.")
    return default if found is None else found


_COERCIONS: dict[str, Callable[[Any], Any]] = {
    "type": lambda v: dtypes.as_dtype(v).base_dtype,
    "shape": as_shape,
    "bool": bool,
    "float": float,
    "tensor": np.asarray,
}


def _coerced(kind: str, value: Any, type_name: str, key: str) -> Any:
    try:
        if kind.startswith("list("):
            if not isinstance(value, (list, tuple)):
                raise TypeError(f"expected a list, got {value!r}")
            inner = kind[5:-1]
            return [_coerced(inner, member, type_name, key) for member in value]
        if kind == "int":
            if isinstance(value, (bool, float, str)):
                raise TypeError(f"expected int, got {value!r}")
            return int(value)
        if kind == "string":
            if not isinstance(value, (str, bytes)):
                raise TypeError(f"expected a string, got {value!r}")
            return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        if kind == "func":
            return value if isinstance(value, Func) else Func(getattr(value, "name", value))
        return _COERCIONS[kind](value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Attribute '{key}' of '{type_name}': {error}") from None


def _check_allowed(type_name: str, key: str, attr: Attr, value: Any) -> None:
    if attr.allowed is None:
        return
    for member in value if isinstance(value, list) else (value,):
        if member not in attr.allowed:
            if attr.kind in ("type", "list(type)"):
                names = ", ".join(sorted(d.name for d in attr.allowed))
                raise TypeError(
                    f"Value passed to parameter '{key}' of '{type_name}' has DataType {member.name} "
                    f"not in list of allowed values: {names}"
                )
            names = '", "'.join(sorted(map(str, attr.allowed)))
            raise ValueError(
                f"Attr '{key}' of '{type_name}' Op passed string '{member}' not in: \"{names}\"."
            )


def opdef_of(type_name: str) -> OpDef:
    """The definition of `type_name`. Raises GraphError when ckpt has none."""
    try:
        return OPS[type_name]
    except KeyError:
        raise GraphError(f"ckpt has no operation type '{type_name}'") from None
