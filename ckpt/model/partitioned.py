"""Variables cut into parts along one axis, and the functions that say how. Must not know files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Operators, Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.ops import control, joining

Partitioner = Callable[..., Sequence[int]]


class PartitionInfo(NamedTuple):
    """Which part of a variable an initializer is asked for."""

    full_shape: Any
    var_offset: Any

    def single_offset(self, shape: Any) -> int:
        """The first index along the axis that is cut; 0 when none is. Raises ValueError when several are."""
        axis = self.single_slice_dim(shape)
        return 0 if axis is None else int(self.var_offset[axis])

    def single_slice_dim(self, shape: Any) -> int | None:
        """The axis along which a part of this shape is cut off. Raises ValueError for several."""
        sizes = list(shape)
        if len(sizes) != len(self.full_shape):
            raise ValueError(
                f"Expected equal number of dimensions, but received shape={sizes} and full_shape={list(self.full_shape)}"
            )
        for size, whole in zip(sizes, self.full_shape, strict=True):
            if size > whole:
                raise ValueError(
                    f"Expected each size of {sizes} to be at most that of {list(self.full_shape)}"
                )
        cut = [i for i, size in enumerate(sizes) if size != self.full_shape[i]]
        if len(cut) > 1:
            raise ValueError(
                f"Cannot use single_slice_dim() with shape {sizes} and full_shape {list(self.full_shape)}: "
                f"slices along {len(cut)} dimensions"
            )
        return cut[0] if cut else None


class PartitionedVariable(Operators):
    """A variable that is held in parts; it converts to the tensor of the whole."""

    def __init__(
        self,
        name: str,
        shape: Any,
        dtype: Any,
        variable_list: Sequence[Any],
        partitions: Sequence[int],
    ) -> None:
        if not isinstance(variable_list, (list, tuple)):
            raise TypeError(f"variable_list is not a list or tuple: {variable_list}")
        if not isinstance(partitions, (list, tuple)):
            raise TypeError(f"partitions is not a list or tuple: {partitions}")
        if not all(p >= 1 for p in partitions):
            raise ValueError(f"partition values must be positive: {partitions}")
        if not variable_list:
            raise ValueError("variable_list may not be empty")
        for variable in variable_list:
            if variable._get_save_slice_info() is None:
                raise ValueError(f"All variables must have a save_slice_info available: {variable}")
        self._name = name
        self._shape = as_shape(shape)
        self._dtype = dtypes.as_dtype(dtype)
        self._variable_list = sorted(
            variable_list, key=lambda v: v._get_save_slice_info().var_offset
        )
        self._partitions = list(partitions)

    name = property(lambda self: self._name, doc="The name of the whole.")
    dtype = property(lambda self: self._dtype, doc="The dtype of the elements.")
    shape = property(lambda self: self._shape, doc="The shape of the whole.")
    graph = property(lambda self: self._variable_list[0].graph, doc="The graph of the parts.")
    op = property(
        lambda self: self.as_tensor().op, doc="The operation that puts the parts together."
    )

    def get_shape(self) -> TensorShape:
        """The shape of the whole."""
        return self._shape

    def __iter__(self) -> Iterator[Any]:
        return iter(self._variable_list)

    def __len__(self) -> int:
        axes = self._partition_axes()
        if len(axes) > 1:
            raise ValueError(f"Cannot get a length for {len(axes)} > 1 partition axes")
        return len(self._variable_list)

    def _partition_axes(self) -> list[int]:
        return [i for i, count in enumerate(self._partitions) if count > 1] or [0]

    def _get_variable_list(self) -> list[Any]:
        return self._variable_list

    def _get_partitions(self) -> list[int]:
        return self._partitions

    def as_tensor(self) -> Tensor:
        """The whole, its parts joined."""
        with control_dependencies(None):
            return self._concat()

    def _concat(self) -> Tensor:
        if len(self._variable_list) == 1:
            with name_scope(None):
                return control.identity(self._variable_list[0], name=self._name)  # type: ignore[no-any-return]
        axes = self._partition_axes()
        if len(axes) > 1:
            raise NotImplementedError(
                f"Cannot concatenate along more than one dimension: {axes}. Multi-axis partition concat is not supported"
            )
        with name_scope(self._name + "/ConcatPartitions/"):
            joined = joining.concat(self._variable_list, axes[0])
        with name_scope(None):
            return control.identity(joined, name=self._name)  # type: ignore[no-any-return]

    def assign(
        self,
        value: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Set all parts from the whole `value` when run; a list of what the parts return."""
        return self._each("assign", value, use_locking, name, read_value)

    def assign_add(
        self,
        value: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Add the whole `value` to the parts when run."""
        return self._each("assign_add", value, use_locking, name, read_value)

    def assign_sub(
        self,
        value: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Subtract the whole `value` from the parts when run."""
        return self._each("assign_sub", value, use_locking, name, read_value)

    def _each(
        self, method: str, value: Any, use_locking: bool, name: str | None, read_value: bool
    ) -> list[Any]:
        if isinstance(value, (list, tuple, PartitionedVariable)):
            pieces = list(value)
        else:
            axes = self._partition_axes()
            if len(axes) > 1:
                raise NotImplementedError(f"Cannot assign to more than one dimension: {axes}.")
            sizes = [v.shape.as_list()[axes[0]] for v in self._variable_list]
            pieces = joining.split(value, sizes, axis=axes[0])
        return [
            getattr(v, method)(piece, use_locking=use_locking, name=name, read_value=read_value)
            for v, piece in zip(self._variable_list, pieces, strict=True)
        ]


def _tensor_of_parts(
    value: PartitionedVariable, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Any:
    if dtype is not None and not dtype.is_compatible_with(value.dtype):
        raise ValueError(
            f"Incompatible type conversion requested to type '{dtype.name}' for variable of type '{value.dtype.name}'"
        )
    if as_ref:
        raise NotImplementedError("PartitionedVariable doesn't support being used as a reference.")
    return value.as_tensor()


convert.register_tensor_conversion_function(PartitionedVariable, _tensor_of_parts)


def _bytes_per_element(dtype: DType, bytes_per_string_element: int) -> int:
    return bytes_per_string_element if dtype.base_dtype == dtypes.string else dtype.size


def _checked_shape(shape: Any) -> list[int]:
    if not isinstance(shape, TensorShape):
        raise ValueError(f"shape is not a TensorShape: {shape}")
    if not shape.is_fully_defined():
        raise ValueError(f"shape is not fully defined: {shape}")
    return list(shape.as_tuple())


def variable_axis_size_partitioner(
    max_shard_bytes: int,
    axis: int = 0,
    bytes_per_string_element: int = 16,
    max_shards: int | None = None,
) -> Partitioner:
    """A partitioner: along `axis`, parts of at most `max_shard_bytes` bytes, at most `max_shards` of them.

    Raises ValueError for limits that are not positive.
    """
    if max_shard_bytes < 1 or bytes_per_string_element < 1:
        raise ValueError("Both max_shard_bytes and bytes_per_string_element must be positive.")
    if max_shards and max_shards < 1:
        raise ValueError("max_shards must be positive.")

    def partitioner(shape: Any, dtype: Any) -> list[int]:
        sizes = _checked_shape(shape)
        row = (
            math.prod(sizes)
            / max(sizes[axis], 1)
            * _bytes_per_element(dtypes.as_dtype(dtype), bytes_per_string_element)
        )
        rows_per_part = max(1, math.floor(max_shard_bytes / row)) if row else sizes[axis]
        count = max(1, math.ceil(sizes[axis] / max(1, rows_per_part)))
        found = [1] * len(sizes)
        found[axis] = min(max_shards, count) if max_shards else count
        return found

    return partitioner


def min_max_variable_partitioner(
    max_partitions: int = 1,
    axis: int = 0,
    min_slice_size: int = 256 << 10,
    bytes_per_string_element: int = 16,
) -> Partitioner:
    """A partitioner: along `axis`, at most `max_partitions` parts of at least `min_slice_size` bytes."""

    def partitioner(shape: Any, dtype: Any) -> list[int]:
        sizes = _checked_shape(shape)
        if axis >= len(sizes):
            raise ValueError(
                f"Cannot partition variable along axis {axis} when shape is only {shape}"
            )
        dtype = dtypes.as_dtype(dtype)
        whole = math.prod(sizes) * _bytes_per_element(dtype, bytes_per_string_element)
        most = max(1, math.ceil(whole / min_slice_size))
        found = [1] * len(sizes)
        found[axis] = max(1, min(sizes[axis], max_partitions, most))
        return found

    return partitioner


def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Partitioner:
    """A partitioner: `num_shards` parts along `axis`, fewer where the axis is shorter."""

    def partitioner(shape: Any, **_: Any) -> list[int]:
        sizes = as_shape(shape).as_list()
        found = [1] * len(sizes)
        found[axis] = min(num_shards, sizes[axis] or 0)
        return found

    return partitioner


def checked_partitions(partitioner: Partitioner, shape: TensorShape, dtype: DType) -> list[int]:
    """What a partitioner says for this shape. Raises ValueError when that makes no sense."""
    shape.assert_is_fully_defined()
    found = partitioner(shape=shape, dtype=dtype)
    if not isinstance(found, Sequence):
        raise ValueError(f"Partitioner must return a sequence, but saw: {found}")
    if len(found) != shape.rank:
        raise ValueError(
            f"Partitioner returned a partition list that does not match the Variable's rank: {found} vs. {shape}"
        )
    if any(p < 1 for p in found):
        raise ValueError(f"Partitioner returned zero partitions for some axes: {found}")
    if sum(p > 1 for p in found) > 1:
        raise ValueError(
            f"Can only slice a variable along one dimension: shape: {shape}, partitioning: {found}"
        )
    sizes = shape.as_tuple()
    if any(p > size for p, size in zip(found, sizes, strict=True)):
        raise ValueError(
            f"Partitioner returned more partitions than there are elements: {found} of {sizes}"
        )
    return [int(p) for p in found]


def slices_of(
    shape: TensorShape, partitions: Sequence[int]
) -> Iterator[tuple[list[int], list[int]]]:
    """(first indices, sizes) of each part; the first parts are one longer where the axis does not divide."""
    sizes = list(shape.as_tuple())
    axis = next((i for i, p in enumerate(partitions) if p > 1), 0)
    count = partitions[axis] if partitions else 1
    if not sizes:
        yield [], []
        return
    base, extra = divmod(sizes[axis], count)
    start = 0
    for number in range(count):
        length = base + (number < extra)
        offset = [0] * len(sizes)
        offset[axis] = start
        yield offset, [*sizes[:axis], length, *sizes[axis + 1 :]]
        start += length
