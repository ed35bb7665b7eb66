"""Variables as programs see them. Must not know optimizers or files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ckpt.core import defs, dtypes
from ckpt.core.dtypes import DType
from ckpt.core.errors import GraphError
from ckpt.core.scope_names import inside, scope_prefix
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert, stack
from ckpt.graph.function import lifted
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.graph.opdef import opdef_of
from ckpt.graph.operation import Operation, Operators, Reference, Tensor
from ckpt.graph.scopes import alone_on, colocate_with, control_dependencies, device, name_scope
from ckpt.graph.slices import IndexedSlices
from ckpt.model import save_slices
from ckpt.model.guarded import guarded
from ckpt.model.initialized import batch_scatter_update, initialized_value
from ckpt.model.variable_creators import open_creators, through
from ckpt.model.variable_modes import VariableAggregation, VariableSynchronization, mode_of
from ckpt.ops import control, scatter, state
from ckpt.wire.plain import message, plain


class _MadeByCreators(type):
    """`Variable(...)` asks the open creator scopes, then makes the kind of variable that is wanted."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """A variable."""
        if cls is not Variable:
            return super().__call__(*args, **kwargs)
        creators = open_creators()
        if not creators:
            return cls._make(*args, **kwargs)
        if args:
            kwargs.update(zip(_ARGUMENTS, args, strict=False))
        return through(creators, cls._make)(**kwargs)

    def _make(cls, *args: Any, **kwargs: Any) -> Any:
        from ckpt.model.resource_variable import ResourceVariable, uses_resource  # it is a Variable

        kind: Any = ResourceVariable if uses_resource(args, kwargs) else cls
        return type.__call__(kind, *args, **kwargs)


class Variable(Operators, metaclass=_MadeByCreators):
    """A tensor that keeps its value from run to run of a session.

    `initial_value` is a tensor, anything that converts to one, or a function without arguments that returns it.
    The variable must be initialised (`initializer`, or a restored checkpoint) before it is read.
    Raises ValueError without an initial value, or when its shape is unknown and `validate_shape` is True.
    """

    _variable: Tensor
    _initializer_op: Operation
    _initial_value: Any
    _snapshot: Tensor
    _trainable: bool

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        collections: Sequence[str] | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        expected_shape: Any = None,
        import_scope: str | None = None,
        constraint: Callable[[Any], Any] | None = None,
        use_resource: bool | None = None,
        synchronization: Any = VariableSynchronization.AUTO,
        aggregation: Any = VariableAggregation.NONE,
        shape: Any = None,
    ) -> None:
        self._caching_device = caching_device
        self._save_slice_info: save_slices.SaveSliceInfo | None = None
        if constraint is not None and not callable(constraint):
            raise ValueError("The `constraint` argument must be a callable.")
        self._constraint = constraint
        self._synchronization = mode_of(VariableSynchronization, synchronization)
        self._aggregation = mode_of(VariableAggregation, aggregation)
        if variable_def is not None:
            if initial_value is not None:
                raise ValueError("variable_def and initial_value are mutually exclusive.")
            self._init_from_def(plain(variable_def, defs.VariableDef), import_scope)
        else:
            self._trainable = self._is_trainable(trainable)
            with lifted() as graph:
                if isinstance(initial_value, Tensor) and initial_value.graph is not graph:
                    raise ValueError(
                        f"Initializer for variable {name or 'Variable'}/ is from inside a control-flow construct, such "
                        "as a loop or conditional. When creating a variable inside a loop or conditional, use a lambda "
                        "as the initializer."
                    )
                self._init_from_value(
                    initial_value, collections, validate_shape, name, dtype, expected_shape or shape
                )

    def _is_trainable(self, trainable: bool | None) -> bool:
        on_read = self._synchronization is VariableSynchronization.ON_READ
        return not on_read if trainable is None else bool(trainable)

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
        is_function = callable(initial_value)
        values = [] if is_function else [initial_value]
        with control_dependencies(None), name_scope(name, "Variable", values) as scope:
            graph = stack.get_default_graph()
            if is_function:
                group = [f"loc:@{scope.rstrip('/')}"]
                with graph._attr_scope({"_class": group}):
                    with name_scope("Initializer"), device(None):
                        value = convert.convert_to_tensor(
                            initial_value(), wanted, name="initial_value"
                        )
                    self._variable = _variable_tensor(value, validate_shape, scope, shape)
            else:
                value = convert.convert_to_tensor(initial_value, wanted, name="initial_value")
                self._variable = _variable_tensor(value, validate_shape, scope, shape)
            self._initial_value = value
            value = guarded(value, self._variable.op.name)
            with colocate_with(self._variable.op):
                assigned = state.assign_op(
                    self._variable, value, validate_shape=validate_shape, name="Assign"
                )
            self._initializer_op = assigned.op
            cached = self._caching_device
            with colocate_with(self._variable.op) if cached is None else alone_on(cached):
                self._snapshot = control.identity(self._variable, name="read")
        graph.add_to_collections(keys, self)

    def _collections(self, collections: Any) -> list[Any]:
        keys = [GraphKeys.GLOBAL_VARIABLES] if collections is None else collections
        if not isinstance(keys, (list, tuple, set)):
            raise ValueError(
                f"collections argument to Variable constructor must be a list, tuple, or set. Got {keys}"
            )
        keys = list(keys)
        if self._trainable and GraphKeys.TRAINABLE_VARIABLES not in keys:
            keys.append(GraphKeys.TRAINABLE_VARIABLES)
        return keys

    def _init_from_def(self, variable_def: defs.VariableDef, import_scope: str | None) -> None:
        graph = stack.get_default_graph()

        def found(name: str) -> Any:
            return graph.as_graph_element(inside(import_scope, name))

        self._variable = found(variable_def.variable_name)
        self._initializer_op = found(variable_def.initializer_name)
        self._initial_value = (
            found(variable_def.initial_value_name) if variable_def.initial_value_name else None
        )
        self._snapshot = found(variable_def.snapshot_name)
        self._trainable = variable_def.trainable
        self._synchronization = mode_of(VariableSynchronization, variable_def.synchronization)
        self._aggregation = mode_of(VariableAggregation, variable_def.aggregation)
        piece = variable_def.save_slice_info_def
        if piece is not None:
            if not len(piece.full_shape) == len(piece.var_offset) == len(piece.var_shape):
                raise GraphError(
                    f"variable {self.name!r}: shape, offset and size of its part of {piece.full_name!r} have different "
                    f"numbers of axes: {piece.full_shape}, {piece.var_offset}, {piece.var_shape}"
                )
            full = inside(import_scope, piece.full_name)
            self._save_slice_info = save_slices.SaveSliceInfo(
                full, list(piece.full_shape), list(piece.var_offset), list(piece.var_shape)
            )

    SaveSliceInfo = save_slices.SaveSliceInfo  # TensorFlow nests the class

    @property
    def name(self) -> str:
        """The name of the variable's tensor, `scope/name:0`."""
        return self._variable.name

    @property
    def op(self) -> Operation:
        """The operation that holds the variable."""
        return self._variable.op

    @property
    def graph(self) -> Graph:
        """The graph of the variable."""
        return self._variable.graph

    @property
    def dtype(self) -> DType:
        """The dtype, a reference dtype."""
        return self._variable.dtype

    @property
    def device(self) -> str:
        """The device string."""
        return self._variable.device

    @property
    def shape(self) -> TensorShape:
        """The static shape."""
        return self._variable.shape

    def get_shape(self) -> TensorShape:
        """The static shape."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Add what is known about the shape."""
        self._ref().set_shape(shape)
        self.value().set_shape(shape)

    @property
    def initializer(self) -> Operation:
        """The operation that sets the initial value."""
        return self._initializer_op

    @property
    def initial_value(self) -> Any:
        """The tensor that the initial value is taken from."""
        return self._initial_value

    @property
    def trainable(self) -> bool:
        """True when optimizers should change it."""
        return self._trainable

    @property
    def constraint(self) -> Callable[[Any], Any] | None:
        """The projection applied after an optimizer's update, or None."""
        return self._constraint

    @property
    def synchronization(self) -> Any:
        """Kept for TensorFlow's signature; means nothing in one process."""
        return self._synchronization

    @property
    def aggregation(self) -> Any:
        """Kept for TensorFlow's signature; means nothing in one process."""
        return self._aggregation

    def value(self) -> Tensor:
        """A tensor with the value, read when the consumer runs."""
        return self._snapshot

    def read_value(self) -> Tensor:
        """A tensor with the value, read after the current control dependencies."""
        found: Tensor = control.identity(self._variable, name="read")
        return found

    def eval(self, session: Any = None) -> Any:
        """The value in the session given, else in the default session."""
        return self._variable.eval(session=session)

    def load(self, value: Any, session: Any = None) -> None:
        """Set the value in the session given, else in the default session, adding no node."""
        session = session or stack.get_default_session()
        if session is None:
            raise ValueError(
                "Either session argument should be provided or default session should be established"
            )
        session.run(self.initializer, {self.initializer.inputs[1]: value})

    def assign(
        self,
        value: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Set the value when run; returns the variable's reference (its operation when `read_value` is False)."""
        found = state.assign_op(self._variable, value, use_locking=use_locking, name=name)
        return found if read_value else found.op

    def assign_add(
        self,
        delta: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Add `delta` when run; returns the variable's reference."""
        found = state.assign_add_op(self._variable, delta, use_locking=use_locking, name=name)
        return found if read_value else found.op

    def assign_sub(
        self,
        delta: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Subtract `delta` when run; returns the variable's reference."""
        found = state.assign_sub_op(self._variable, delta, use_locking=use_locking, name=name)
        return found if read_value else found.op

    def initialized_value(self) -> Any:
        """The value, or the initial value where the variable has none yet: for initial values of other variables."""
        return initialized_value(self)

    def count_up_to(self, limit: int) -> Any:
        """The value, which then grows by one; an OutOfRangeError when run at `limit`."""
        return state.count_up_to(self._variable, limit)

    def sparse_read(self, indices: Any, name: str | None = None) -> Any:
        """The rows `indices`."""
        from ckpt.ops import indexing  # reading rows is rare

        return indexing.gather(self.value(), indices, name=name)

    def gather_nd(self, indices: Any, name: str | None = None) -> Any:
        """The elements or slices that the last axis of `indices` points to."""
        return opdef_of("GatherNd")(self, indices, name=name)

    def _scattered(self, function: Any, delta: Any, use_locking: bool, name: str | None) -> Any:
        if not isinstance(delta, IndexedSlices):
            raise TypeError(f"sparse_delta is not IndexedSlices: {delta}")
        return function(self, delta.indices, delta.values, use_locking, name)

    def scatter_add(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Add IndexedSlices when run."""
        return self._scattered(scatter.scatter_add, sparse_delta, use_locking, name)

    def scatter_sub(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Subtract IndexedSlices when run."""
        return self._scattered(scatter.scatter_sub, sparse_delta, use_locking, name)

    def scatter_mul(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Multiply by IndexedSlices when run."""
        return self._scattered(scatter.scatter_mul, sparse_delta, use_locking, name)

    def scatter_div(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Divide by IndexedSlices when run."""
        return self._scattered(scatter.scatter_div, sparse_delta, use_locking, name)

    def scatter_min(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Take the smaller of rows and IndexedSlices when run."""
        return self._scattered(scatter.scatter_min, sparse_delta, use_locking, name)

    def scatter_max(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Take the larger of rows and IndexedSlices when run."""
        return self._scattered(scatter.scatter_max, sparse_delta, use_locking, name)

    def scatter_update(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Set the rows of IndexedSlices when run."""
        return self._scattered(scatter.scatter_update, sparse_delta, use_locking, name)

    def batch_scatter_update(
        self, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        """Set IndexedSlices whose indices have leading batch axes, when run."""
        return self._scattered(batch_scatter_update, sparse_delta, use_locking, name)

    def scatter_nd_add(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Add to elements or slices when run."""
        return scatter.scatter_nd_add(self, indices, updates, True, name)

    def scatter_nd_sub(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Subtract from elements or slices when run."""
        return scatter.scatter_nd_sub(self, indices, updates, True, name)

    def scatter_nd_update(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Set elements or slices when run."""
        return scatter.scatter_nd_update(self, indices, updates, True, name)

    def to_def(self, export_scope: str | None = None) -> defs.VariableDef | None:
        """This variable by the names of its parts, without `export_scope/`; None when it is not in that scope."""
        prefix = scope_prefix(export_scope)
        if not self._variable.name.startswith(prefix):
            return None

        def strip(name: str) -> str:
            return name.removeprefix(prefix)

        piece = self._save_slice_info
        return defs.VariableDef(
            variable_name=strip(self._variable.name),
            initial_value_name=""
            if self._initial_value is None
            else strip(self._initial_value.name),
            initializer_name=strip(self._initializer_op.name),
            snapshot_name=strip(self._snapshot.name),
            save_slice_info_def=None if piece is None else piece.to_def(strip),
            trainable=self._trainable,
            synchronization=self._synchronization.value,
            aggregation=self._aggregation.value,
        )

    def to_proto(self, export_scope: str | None = None) -> Any:
        """This variable as a VariableDef message, or None when it is not in `export_scope`."""
        found = self.to_def(export_scope)
        return None if found is None else message(found)

    @staticmethod
    def from_proto(variable_def: Any, import_scope: str | None = None) -> Variable:
        """The variable that a VariableDef names in the default graph."""
        return Variable(variable_def=variable_def, import_scope=import_scope)

    def ref(self) -> Reference:
        """A hashable stand-in for this variable: equal for the same variable only."""
        return Reference(self)

    experimental_ref = ref

    def _ref(self) -> Tensor:
        return self._variable

    def _as_graph_element(self) -> Tensor:
        return self._variable

    def _set_save_slice_info(self, info: save_slices.SaveSliceInfo) -> None:
        self._save_slice_info = info

    def _get_save_slice_info(self) -> save_slices.SaveSliceInfo | None:
        return self._save_slice_info

    @property
    def _shared_name(self) -> str:
        return self.op.name

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("'Variable' object is not iterable.")

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}>"


_ARGUMENTS = tuple(inspect.signature(Variable.__init__).parameters)[1:]


def _variable_tensor(value: Tensor, validate_shape: bool, scope: str, shape: Any) -> Tensor:
    if shape is not None:
        found = as_shape(shape)
    else:
        found = value.shape if validate_shape else TensorShape(None)
    if validate_shape and not value.shape.is_fully_defined():
        raise ValueError(f"initial_value must have a shape specified: {value}")
    return state.variable_v2(dtype=value.dtype.base_dtype, shape=found, name=scope)  # type: ignore[no-any-return]


def _tensor_of_variable(
    value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Any:
    if dtype is not None and not dtype.is_compatible_with(value.dtype):
        raise ValueError(
            f"Incompatible type conversion requested to type '{dtype.name}' for variable of type '{value.dtype.name}'"
        )
    return value._ref() if as_ref else value.value()


convert.register_tensor_conversion_function(Variable, _tensor_of_variable)
