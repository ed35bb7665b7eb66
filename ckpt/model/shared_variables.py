"""Variables by name: made the first time, found again where the scope reuses, whole or in parts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert, stack
from ckpt.graph.function import lifted
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import add_to_collection, control_dependencies, name_scope
from ckpt.model import initializers
from ckpt.model.partitioned import (
    PartitionedVariable,
    PartitionInfo,
    checked_partitions,
    slices_of,
)
from ckpt.model.save_slices import SaveSliceInfo
from ckpt.model.scopes import chained, get_variable_scope, variable_scope
from ckpt.model.variables import Variable

_STORE = ("__variable_store",)


class VariableStore:
    """The variables of one graph by the name they were asked for."""

    def __init__(self) -> None:
        self.variables: dict[str, Any] = {}
        self.partitioned: dict[str, PartitionedVariable] = {}


def _store() -> VariableStore:
    found = stack.get_default_graph().get_collection_ref(_STORE)
    if not found:
        found.append(VariableStore())
    return found[0]  # type: ignore[no-any-return]  # the only thing kept there


def created_by_get_variable() -> list[Any]:
    """The variables that `get_variable` made in the default graph; of those that are cut, the parts."""
    return list(_store().variables.values())


def count_as_created(variable: Any) -> None:
    """Count a variable among those that `get_variable` made, though nobody can ask for it: slots are, as in TensorFlow."""
    _store().variables[variable.op.name + "/"] = variable


def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool | None = None,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Any = None,
    constraint: Any = None,
    synchronization: Any = 0,
    aggregation: Any = 0,
) -> Any:
    """The variable `scope/name`: made the first time, the same one again where the scope reuses.

    Raises ValueError when it exists and the scope does not reuse, when it is missing and the scope must reuse, or
    when shape, dtype or initializer do not fit.
    """
    scope = get_variable_scope()
    full = f"{scope.name}/{name}" if scope.name else name
    kwargs = {
        "shape": shape,
        "dtype": dtype if dtype is not None else (None if _has_dtype(initializer) else scope.dtype),
        "initializer": initializer if initializer is not None else scope.initializer,
        "regularizer": regularizer if regularizer is not None else scope.regularizer,
        "reuse": scope.reuse,
        "trainable": trainable,
        "collections": collections,
        "caching_device": caching_device if caching_device is not None else scope.caching_device,
        "partitioner": partitioner if partitioner is not None else scope.partitioner,
        "validate_shape": validate_shape,
        "use_resource": use_resource if use_resource is not None else scope.use_resource,
        "constraint": constraint if constraint is not None else scope.constraint,
        "synchronization": synchronization,
        "aggregation": aggregation,
    }
    # Variables belong to their variable scope alone, whatever name scope surrounds the call.
    with name_scope(None), control_dependencies(None):
        _check_explicit_dtype(dtype, initializer)
        return _through_getters(custom_getter, scope.custom_getter, full, kwargs)


def _through_getters(inner: Any, outer: Any, full: str, kwargs: dict[str, Any]) -> Any:
    if inner is not None and not callable(inner):
        raise ValueError(f"Passed a custom_getter which is not callable: {inner}")
    wrapped = inner or outer
    if inner is not None and outer is not None:
        wrapped = chained(inner, outer)
    if wrapped is None:
        return _get(full, **kwargs)
    accepted = inspect.signature(wrapped).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in accepted):
        names = {p.name for p in accepted}
        optional = ("constraint", "synchronization", "aggregation")
        kwargs = {k: v for k, v in kwargs.items() if k in names or k not in optional}
    return wrapped(_get, full, **kwargs)


def get_local_variable(name: str, *args: Any, **kwargs: Any) -> Any:
    """`get_variable` for a local variable: not trainable, not saved by default."""
    if len(args) > 4:
        raise TypeError("get_local_variable takes trainable and what follows by keyword")
    kwargs["trainable"] = False
    kwargs["collections"] = [*(kwargs.get("collections") or ()), GraphKeys.LOCAL_VARIABLES]
    return get_variable(name, *args, **kwargs)


def _check_explicit_dtype(dtype: Any, initializer: Any) -> None:
    if dtype is None or initializer is None or callable(initializer):
        return
    found = convert.convert_to_tensor(initializer).dtype.base_dtype
    if found != dtypes.as_dtype(dtype).base_dtype:
        raise ValueError(f"Initializer type '{found}' and explicit dtype '{dtype}' don't match.")


def _has_dtype(initializer: Any) -> bool:
    return isinstance(initializer, Tensor) or (
        initializer is not None and not callable(initializer) and hasattr(initializer, "dtype")
    )


def _get(name: str, shape: Any = None, dtype: Any = dtypes.float32, **kwargs: Any) -> Any:
    """The variable of this full name, whole or in parts: what custom getters are handed."""
    partitioner, reuse = kwargs.pop("partitioner", None), kwargs.get("reuse")
    store = _store()
    if partitioner is not None and not callable(partitioner):
        raise ValueError(f"Partitioner must be callable, but received: {partitioner}")
    is_scalar = shape is not None and as_shape(shape).rank == 0
    if partitioner is not None and not is_scalar:
        return _get_partitioned(name, partitioner, shape, dtype, **kwargs)
    if reuse is True and partitioner is None and name in store.partitioned:
        return _existing_partitioned(name, shape, dtype, reuse, None)
    if f"{name}/part_0" in store.variables:
        raise ValueError(
            f"No partitioner was provided, but a partitioned version of the variable was found: {name}/part_0. "
            "Perhaps a variable of the same name was already created with partitioning?"
        )
    return _get_single(name, shape, dtype, **kwargs)


def _existing_partitioned(
    name: str, shape: Any, dtype: Any, reuse: Any, partitions: list[int] | None
) -> PartitionedVariable:
    found = _store().partitioned[name]
    if not reuse:
        raise ValueError(
            f"Partitioned variable with name {name} already exists. Did you mean to set reuse=True or "
            "reuse=tf.AUTO_REUSE in VarScope?"
        )
    if shape is not None and not as_shape(shape).is_compatible_with(found.shape):
        raise ValueError(
            f"Trying to reuse partitioned variable {name}, but specified shape {as_shape(shape)} and found shape "
            f"{found.shape}."
        )
    if dtype is not None and not dtypes.as_dtype(dtype).is_compatible_with(found.dtype):
        raise ValueError(
            f"Trying to reuse partitioned variable {name}, but specified dtype {dtypes.as_dtype(dtype).name} and "
            f"found dtype {found.dtype.name}."
        )
    if partitions is not None and found._get_partitions() != partitions:
        raise ValueError(
            f"Trying to reuse partitioned variable {name}, but specified partitions {partitions} and found partitions "
            f"{found._get_partitions()}."
        )
    return found


def _get_partitioned(
    name: str,
    partitioner: Any,
    shape: Any,
    dtype: Any,
    initializer: Any = None,
    reuse: Any = None,
    **kwargs: Any,
) -> PartitionedVariable:
    store = _store()
    if name in store.variables:
        raise ValueError(
            f"A partitioner was provided, but an unpartitioned version of the variable was found: {name}. Perhaps a "
            "variable of the same name was already created without partitioning?"
        )
    value = None
    if initializer is not None and not callable(initializer):
        value = convert.convert_to_tensor(initializer)
        shape = value.shape if shape is None else as_shape(shape).merge_with(value.shape)
        dtype = value.dtype.base_dtype
    whole = as_shape(shape)
    kind = dtypes.as_dtype(dtypes.float32 if dtype is None else dtype).base_dtype
    partitions = (
        None if not whole.is_fully_defined() else checked_partitions(partitioner, whole, kind)
    )
    if name in store.partitioned:
        return _existing_partitioned(name, shape, kind, reuse, partitions)
    if reuse is True:
        raise ValueError(
            f"PartitionedVariable {name} does not exist, or was not created with tf.get_variable(). Did you mean to "
            "set reuse=False or reuse=tf.AUTO_REUSE in VarScope?"
        )
    if partitions is None:
        raise ValueError(
            f"Shape of a new partitioned variable ({name}) must be fully defined, but instead was {whole}."
        )
    parts = []
    for number, (offset, sizes) in enumerate(slices_of(whole, partitions)):
        info = PartitionInfo(list(whole.as_tuple()), offset)
        given = initializer if value is None else _cut(value, offset, sizes)
        part = _get_single(
            f"{name}/part_{number}",
            sizes if value is None else None,
            kind if value is None else None,
            initializer=given,
            reuse=reuse,
            partition_info=info,
            **kwargs,
        )
        part._set_save_slice_info(SaveSliceInfo(name, list(whole.as_tuple()), offset, sizes))
        parts.append(part)
    found = PartitionedVariable(name, whole, kind, parts, partitions)
    store.partitioned[name] = found
    return found


def _cut(value: Tensor, offset: list[int], sizes: list[int]) -> Any:
    from ckpt.ops import slicing  # only values given whole are cut

    return slicing.slice_(value, offset, sizes)


def create_partitioned_variables(
    shape: Any,
    slicing: Sequence[int],
    initializer: Any,
    dtype: Any = dtypes.float32,
    trainable: bool = True,
    collections: Any = None,
    name: str | None = None,
    reuse: Any = None,
) -> list[Any]:
    """The parts of a variable cut as `slicing` says, one number per axis. Raises ValueError for a bad slicing."""
    if len(shape) != len(slicing):
        raise ValueError(
            f"The 'shape' and 'slicing' of a partitioned Variable must have the length: shape: {shape}, "
            f"slicing: {slicing}"
        )
    if len(shape) < 1:
        raise ValueError(f"A partitioned Variable must have rank at least 1: shape: {shape}")
    empty = [i for i, (size, parts) in enumerate(zip(shape, slicing)) if size and parts > size]
    if empty:
        raise ValueError(
            f"A partitioned Variable cannot have more parts than elements along an axis: shape: {shape}, "
            f"slicing: {slicing}, axes: {empty}"
        )
    with variable_scope(name, "PartitionedVariable", reuse=reuse) as scope, name_scope(None):
        found = _get_partitioned(
            scope.name,
            lambda **_: list(slicing),
            shape,
            dtype,
            initializer=initializer,
            reuse=scope.reuse,
            trainable=trainable,
            collections=collections,
            use_resource=scope.use_resource,
        )
    return found._get_variable_list()


def _get_single(
    name: str,
    shape: Any = None,
    dtype: Any = dtypes.float32,
    initializer: Any = None,
    regularizer: Any = None,
    reuse: Any = None,
    trainable: bool | None = None,
    collections: Any = None,
    caching_device: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    constraint: Any = None,
    synchronization: Any = 0,
    aggregation: Any = 0,
    partition_info: PartitionInfo | None = None,
) -> Any:
    store = _store()
    shape = None if shape is None else as_shape(shape)
    if name in store.variables:
        return _existing(name, shape, dtype, reuse)
    if reuse is True:
        raise ValueError(
            f"Variable {name} does not exist, or was not created with tf.get_variable(). Did you mean to set "
            "reuse=tf.AUTO_REUSE in VarScope?"
        )
    with lifted():
        return _made(
            store,
            name,
            shape,
            dtype,
            initializer,
            regularizer,
            partition_info,
            trainable=trainable,
            collections=collections,
            caching_device=caching_device,
            validate_shape=validate_shape,
            constraint=constraint,
            use_resource=use_resource,
            synchronization=synchronization,
            aggregation=aggregation,
        )


def _made(
    store: VariableStore,
    name: str,
    shape: TensorShape | None,
    dtype: Any,
    initializer: Any,
    regularizer: Any,
    partition_info: PartitionInfo | None,
    **options: Any,
) -> Any:
    value, dtype = _initial_value(name, shape, dtype, initializer, partition_info)
    variable = Variable(
        initial_value=value,
        name=name,
        dtype=dtype,
        **options,
    )
    store.variables[name] = variable
    if regularizer:
        with name_scope(name + "/Regularizer/"):
            loss = regularizer(variable)
        if loss is not None:
            add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)
    return variable


def _existing(name: str, shape: TensorShape | None, dtype: Any, reuse: Any) -> Any:
    variable = _store().variables[name]
    if not reuse:
        where = variable.op.created_at()
        raise ValueError(
            f"Variable {name} already exists, disallowed. Did you mean to set reuse=True or reuse=tf.AUTO_REUSE "
            f"in VarScope? Originally defined at:\n\n{where}"
        )
    if shape is not None and not shape.is_compatible_with(variable.shape):
        raise ValueError(
            f"Trying to share variable {name}, but specified shape {shape} and found shape {variable.shape}."
        )
    if dtype is not None and not dtypes.as_dtype(dtype).is_compatible_with(variable.dtype):
        raise ValueError(
            f"Trying to share variable {name}, but specified dtype {dtypes.as_dtype(dtype).name} and found dtype "
            f"{variable.dtype.base_dtype.name}."
        )
    return variable


def _initial_value(
    name: str,
    shape: TensorShape | None,
    dtype: Any,
    initializer: Any,
    partition_info: PartitionInfo | None = None,
) -> tuple[Any, Any]:
    """What the variable starts from (a value or a function) and its dtype."""
    if initializer is not None and not callable(initializer):
        if shape is not None:
            raise ValueError("If initializer is a constant, do not specify shape.")
        return initializer, None
    wanted = dtypes.as_dtype(dtype if dtype is not None else dtypes.float32).base_dtype
    if shape is None or not shape.is_fully_defined():
        if initializer is not None and shape is None:
            return _called(initializer, None, wanted), wanted
        raise ValueError(
            f"Shape of a new variable ({name}) must be fully defined, but instead was {shape}."
        )
    chosen = initializer if initializer is not None else _default_initializer(name, wanted)
    return _called(chosen, shape.as_list(), wanted, partition_info), wanted


def _default_initializer(name: str, dtype: dtypes.DType) -> Any:
    if dtype.is_floating:
        return initializers.GlorotUniform()
    if dtype.is_integer or dtype.is_unsigned or dtype.is_bool or dtype == dtypes.string:
        return initializers.Zeros()
    raise ValueError(f"An initializer for variable {name} of {dtype} is required")


def _called(
    initializer: Any, shape: Any, dtype: dtypes.DType, partition_info: PartitionInfo | None = None
) -> Callable[[], Any]:
    made = initializer() if isinstance(initializer, type) else initializer
    more = {}
    if partition_info is not None:
        takes = inspect.signature(made).parameters
        if "partition_info" in takes or any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            more = {"partition_info": partition_info}

    def value() -> Any:
        if shape is None:
            return made()
        return made(shape, dtype=dtype, **more)

    return value
