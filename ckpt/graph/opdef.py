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

from ckpt.core.dtypes import DType
from ckpt.core.errors import GraphError
from ckpt.core.shapes import UNKNOWN, TensorShape, as_shape, bounded
from ckpt.graph.attr_values import check_allowed, coerced
from ckpt.graph.file_use import FileUse
from ckpt.graph.inputs import converted, graph_of_inputs
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
        """What the caller of this run attached under `key`, or None."""

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
        self.output_numbers = tuple(
            {arg.number_attr: None for arg in self.outputs if arg.number_attr}
        )
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
        graph = graph_of_inputs(values)
        if graph._finalized:
            graph.check_not_finalized()
        full_name = graph.unique_op_name(name or self.type)
        attrs: dict[str, Any] = {}
        for key, value in kwargs.items():
            attrs[key] = self._checked_attr(key, value)
        inputs = converted(self, values, attrs, graph, full_name)
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
            value = coerced(attr.kind, value, self.type, key)
        if attr.allowed is not None:
            check_allowed(self.type, key, attr, value)
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
        known = inputs[0]._shape if inputs else UNKNOWN
        return [known if shape is known else bounded(as_shape(shape)) for shape in found]

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


def opdef_of(type_name: str) -> OpDef:
    """The definition of `type_name`. Raises GraphError when ckpt has none."""
    try:
        return OPS[type_name]
    except KeyError:
        raise GraphError(f"ckpt has no operation type '{type_name}'") from None
