"""Variables behind a handle: reads and writes happen where the control dependencies put them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from ckpt.core import defs, dtypes
from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert, stack
from ckpt.graph.operation import Operation, Operators, Tensor
from ckpt.graph.scopes import alone_on, control_dependencies, device, name_scope
from ckpt.model.guarded import guarded
from ckpt.model.scopes import get_variable_scope
from ckpt.model.variables import _ARGUMENTS, Variable
from ckpt.ops import control, resource, slice_assign

_default: list[bool] = [False]


def enable_resource_variables() -> None:
    """From now on variables are resource variables unless they say otherwise."""
    _default[0] = True


def disable_resource_variables() -> None:
    """From now on variables are reference variables unless they say otherwise: how a program starts."""
    _default[0] = False


def resource_variables_enabled() -> bool:
    """True when variables are resource variables unless they say otherwise."""
    return _default[0]


def uses_resource(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a variable made with these arguments is a resource variable."""
    given = dict(zip(_ARGUMENTS, args, strict=False)) | kwargs
    if given.get("variable_def") is not None:
        return bool(given["variable_def"].is_resource)
    said = given.get("use_resource")
    if said is None:
        said = get_variable_scope().use_resource
    return _default[0] if said is None else bool(said)


class ResourceVariable(Variable):
    """A variable whose tensor is a handle; each use reads it anew."""

    _handle: Tensor
    _cached: Tensor | None = None
    _element: Tensor

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"Cannot convert the variable {self.name} to a numpy array: run it in a session."
        )

    def _init_from_value(
        self,
        initial_value: Any,
        collections: Any,
        validate_shape: bool,
        name: Any,
        dtype: Any,
        shape: Any,
    ) -> None:
        if initial_value is None:
            raise ValueError("initial_value must be specified.")
        keys = self._collections(collections)
        wanted = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
        values = [] if callable(initial_value) else [initial_value]
        with control_dependencies(None), name_scope(name, "Variable", values) as scope:
            full = scope.rstrip("/")
            with stack.get_default_graph()._attr_scope({"_class": [f"loc:@{full}"]}):
                with name_scope("Initializer"), device(None):
                    given = initial_value() if callable(initial_value) else initial_value
                    value = convert.convert_to_tensor(given, wanted, name="initial_value")
                static = as_shape(shape) if shape is not None else value.shape
                self._handle = resource.var_handle(
                    dtype=value.dtype.base_dtype,
                    shape=static,
                    shared_name=full,
                    debug_name=full + "/",
                    name=scope,
                )
            self._dtype = value.dtype.base_dtype
            self._initial_value = value
            self._add_parts(value)
        stack.get_default_graph().add_to_collections(keys, self)

    def _add_parts(self, value: Tensor) -> None:
        with name_scope("IsInitialized"):
            self._is_initialized = resource.var_is_initialized(self._handle)
        with name_scope("Assign") as scope, alone_on(self._handle.device or None):
            value = guarded(value, self._handle.op.name)
            self._initializer_op = resource.assign_variable(self._handle, value, name=scope)
        with name_scope("Read"), device(self._handle.device or None):
            self._element = self._read()
            if self._caching_device is not None:
                with alone_on(self._caching_device):
                    self._cached = control.identity(self._element)
        self._variable = self._handle
        self._snapshot = self._element if self._cached is None else self._cached

    def _init_from_def(self, variable_def: defs.VariableDef, import_scope: str | None) -> None:
        super()._init_from_def(variable_def, import_scope)
        self._handle = self._variable
        node = resource.handle_node(self._handle)
        if node is None:
            raise ValueError(f"{self._handle!r} is no handle of a variable")
        self._dtype = node.attrs["dtype"]
        self._element = self._snapshot
        if self._snapshot.op.type != "ReadVariableOp":
            self._cached = self._snapshot
            self._element = self._snapshot.op.inputs[0]

    def to_def(self, export_scope: str | None = None) -> defs.VariableDef | None:
        """This variable by the names of its parts."""
        from dataclasses import replace  # only exports need it

        found = super().to_def(export_scope)
        return None if found is None else replace(found, is_resource=True)

    @property
    def handle(self) -> Tensor:
        """The tensor that stands for the variable."""
        return self._handle

    @property
    def dtype(self) -> DType:
        """The dtype of the value."""
        return self._dtype

    @property
    def shape(self) -> TensorShape:
        """The static shape of the value."""
        return resource.handle_shape(self._handle)

    def set_shape(self, shape: Any) -> None:
        """Add what is known about the shape."""
        self._handle.__dict__["_handle_shape"] = self.shape.merge_with(as_shape(shape))

    @property
    def op(self) -> Operation:
        """The operation that makes the handle."""
        return self._handle.op

    @property
    def create(self) -> Operation:
        """The operation that sets the initial value."""
        return self._initializer_op

    def _read(self) -> Tensor:
        found: Tensor = resource.read_variable(self._handle, dtype=self.dtype)
        return found

    def value(self) -> Tensor:
        """A tensor with the value as it is where the tensor is made."""
        if self._cached is not None:
            return self._cached
        with alone_on(self._handle.device or None):
            return self._read()

    def read_value(self) -> Tensor:
        """A tensor with the value, read after the current control dependencies."""
        with name_scope("Read"):
            value = self._read()
        found: Tensor = control.identity(value)
        return found

    def eval(self, session: Any = None) -> Any:
        """The value in the session given, else in the default session."""
        return self._element.eval(session=session)

    def is_initialized(self, name: str | None = None) -> Tensor:
        """A bool tensor: does the variable have a value?"""
        found: Tensor = resource.var_is_initialized(self._handle, name=name)
        return found

    def _after(self, op: Operation) -> UnreadVariable:
        """This variable as it is once `op` has run."""
        return UnreadVariable(self, op)

    def _written(
        self, function: Callable[..., Any], value: Any, name: str | None, read_value: bool
    ) -> Any:
        value = convert.convert_to_tensor(value, dtype=self.dtype)
        self.shape.assert_is_compatible_with(value.shape)
        op = function(self._handle, value, name=name)
        return self._after(op) if read_value else op

    def __bool__(self) -> bool:
        raise TypeError(
            "Using a resource variable as a Python `bool` is not allowed. Use `if v is not None:` to test "
            "whether there is one, and tf.cond for its value."
        )

    def assign(
        self,
        value: Any,
        use_locking: bool | None = None,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Set the value when run; returns the variable after that (the operation when `read_value` is False)."""
        return self._written(resource.assign_variable, value, name, read_value)

    def assign_add(
        self,
        delta: Any,
        use_locking: bool | None = None,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Add `delta` when run; returns the variable after that."""
        return self._written(resource.assign_add_variable, delta, name, read_value)

    def assign_sub(
        self,
        delta: Any,
        use_locking: bool | None = None,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Subtract `delta` when run; returns the variable after that."""
        return self._written(resource.assign_sub_variable, delta, name, read_value)

    def count_up_to(self, limit: int) -> Any:
        """The value, which then grows by one; an OutOfRangeError when run at `limit`."""
        return resource.resource_count_up_to(self._handle, limit=limit, T=self.dtype)

    def sparse_read(self, indices: Any, name: str | None = None) -> Any:
        """The rows `indices`."""
        with name_scope("Gather" if name is None else name) as scope:
            value = resource.resource_gather(self._handle, indices, dtype=self.dtype, name=scope)
        return value

    def _ref(self) -> Tensor:
        return self._handle

    def _gradient_source(self) -> Tensor:
        return self._handle

    def _as_graph_element(self) -> Tensor:
        return self._element

    def _refused(self, word: str) -> Any:
        raise RuntimeError(
            f"Variable {word}= value not supported. Use `variable.assign` and its like to modify the variable value, "
            f"and `variable = variable {word} value` to get a new Tensor object."
        )

    def __iadd__(self, other: Any) -> Any:
        return self._refused("+")

    def __isub__(self, other: Any) -> Any:
        return self._refused("-")

    def __imul__(self, other: Any) -> Any:
        return self._refused("*")

    def __itruediv__(self, other: Any) -> Any:
        return self._refused("/")

    __hash__ = Variable.__hash__


def _on_value(operator: str) -> Callable[..., Any]:
    def apply(self: ResourceVariable, *others: Any) -> Any:
        found = getattr(self.value(), operator)(*others)
        return slice_assign.assignable(found, self) if operator == "__getitem__" else found

    apply.__name__ = operator
    return apply


for _operator, _function in vars(Operators).items():
    if isinstance(_function, FunctionType):
        # The variable is read first, and not as an input of the node that the operator makes: nodes' names show it.
        setattr(ResourceVariable, _operator, _on_value(_operator))


class UnreadVariable(ResourceVariable):
    """A resource variable as it is once an operation has run: what assignments return."""

    def __init__(self, variable: ResourceVariable, parent: Operation) -> None:
        self.__dict__.update(variable.__dict__)
        self._parent = parent
        self._cached = None
        with self._ordered():
            self._element = self._read()

    @contextmanager
    def _ordered(self) -> Iterator[None]:
        with control_dependencies([self._parent]):
            yield

    @property
    def name(self) -> str:
        """The name of the operation that it waits for."""
        return self._parent.name

    @property
    def op(self) -> Operation:
        """The operation that it waits for."""
        return self._parent

    def value(self) -> Tensor:
        """The value after the operation."""
        with self._ordered():
            return super().value()

    def read_value(self) -> Tensor:
        """The value after the operation."""
        with self._ordered():
            return super().read_value()

    def _after(self, op: Operation) -> UnreadVariable:
        return UnreadVariable(self, op)

    def _written(
        self, function: Callable[..., Any], value: Any, name: str | None, read_value: bool
    ) -> Any:
        with self._ordered():
            return super()._written(function, value, name, read_value)

    def _control_operation(self) -> Operation:
        return self._parent


def _tensor_of_resource(
    value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Any:
    if dtype is not None and dtype.base_dtype == dtypes.resource:
        return value.handle
    if dtype is not None and not dtype.is_compatible_with(value.dtype):
        raise ValueError(
            f"Incompatible type conversion requested to type '{dtype.name}' for variable of type '{value.dtype.name}'"
        )
    return value.value()


convert.register_tensor_conversion_function(ResourceVariable, _tensor_of_resource, 50)
