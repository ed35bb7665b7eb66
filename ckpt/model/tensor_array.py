"""`TensorArray`: an array of tensors for loops to read and write. Writing gives a new object that later steps use."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, control_dependencies, name_scope
from ckpt.graph.static import constant_value
from ckpt.ops import control, indexing, shaping
from ckpt.ops import tensor_array as ops


class TensorArray:
    """An array of `size` tensors of one dtype. Each index is written once; `write` and its kin return the new array.

    With `dynamic_size` writing past the end makes it longer; `clear_after_read` lets go of an element once read;
    `infer_shape` requires one shape of all elements (ValueError). Give either `size`, or `handle` and `flow` of an
    array that exists.
    """

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:
        if handle is not None:
            _check_alone(
                tensor_array_name=tensor_array_name,
                size=size,
                element_shape=element_shape,
                dynamic_size=dynamic_size,
                clear_after_read=clear_after_read,
            )
            if not isinstance(handle, Tensor):
                raise TypeError(
                    f"Expected `handle` to be a Tensor, but got `{handle}` of type `{type(handle)}` instead."
                )
            if flow is None:
                raise ValueError("flow must not be None if handle is not None.")
        elif size is None:
            raise ValueError("Argument `size` must be provided if handle is not provided.")
        self._dtype = dtypes.as_dtype(dtype).base_dtype
        self._dynamic_size = bool(dynamic_size)
        self._infer_shape = infer_shape
        # Shared by all objects that stand for the same array: a shape seen by one is known to all.
        self._element_shape = [as_shape(element_shape)]
        self._colocated: list[Any] | None = [] if colocate_with_first_write_call else None
        self._size = size
        with name_scope(
            name, "TensorArray", [v for v in (handle, size, flow) if hasattr(v, "graph")]
        ) as scope:
            if handle is not None:
                self._handle, self._flow = handle, flow
            else:
                self._handle, self._flow = ops.tensor_array_v3(
                    size,
                    dtype=self._dtype,
                    element_shape=self._element_shape[0],
                    dynamic_size=self._dynamic_size,
                    clear_after_read=clear_after_read is not False,
                    identical_element_shapes=infer_shape,
                    tensor_array_name=tensor_array_name or "",
                    name=scope,
                )

    @property
    def flow(self) -> Tensor:
        """The tensor that orders what is done with the array."""
        return self._flow  # type: ignore[no-any-return]  # a tensor

    @property
    def dtype(self) -> Any:
        """The dtype of the elements."""
        return self._dtype

    @property
    def handle(self) -> Tensor:
        """The tensor that stands for the array."""
        return self._handle  # type: ignore[no-any-return]  # a tensor

    @property
    def element_shape(self) -> TensorShape:
        """What is known of the shape of the elements."""
        return self._element_shape[0]

    @property
    def dynamic_size(self) -> bool:
        """True when writing past the end makes the array longer."""
        return self._dynamic_size

    @property
    def graph(self) -> Any:
        """The graph of the array."""
        return self._flow.graph

    def _flow_parts(self) -> list[Tensor]:
        return [self._flow]

    def _with_flow_parts(self, tensors: Sequence[Tensor]) -> TensorArray:
        return self._with_flow(tensors[0])

    def _with_flow(self, flow: Tensor) -> TensorArray:
        found = TensorArray.__new__(TensorArray)
        found.__dict__.update(self.__dict__)
        found._flow = flow
        return found

    def _check_element_shape(self, shape: TensorShape) -> None:
        known = self._element_shape[0]
        if not shape.is_compatible_with(known):
            raise ValueError(f"Inconsistent shapes: saw {shape} but expected {known} ")
        if self._infer_shape:
            self._element_shape[0] = known.merge_with(shape)

    def _beside(self, value: Tensor) -> AbstractContextManager[None]:
        if self._colocated is None:
            return nullcontext()
        if not self._colocated:
            self._colocated.append(value)
        return nullcontext()

    def _value(self, value: Any) -> Tensor:
        return convert.convert_to_tensor(value, preferred_dtype=self._dtype, name="value")

    def identity(self) -> TensorArray:
        """The same array, once the current control dependencies have run."""
        return self._with_flow(control.identity(self._flow))

    def grad(self, source: str, flow: Any = None, name: str | None = None) -> TensorArray:
        """The array of the gradients of the elements."""
        flow = self._flow if flow is None else flow
        with name_scope(name, "TensorArrayGrad", [self._handle]), colocate_with(self._handle):
            handle, made = ops.tensor_array_grad_v3(self._handle, flow, source=source, name=name)
            with control_dependencies([made]):
                made = control.identity(flow, name="gradient_flow")
            found = TensorArray(
                self._dtype,
                handle=handle,
                flow=made,
                infer_shape=self._infer_shape,
                colocate_with_first_write_call=False,
            )
            found._element_shape = self._element_shape
            return found

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """The element at `index`."""
        found: Tensor = ops.tensor_array_read_v3(
            self._handle, index, self._flow, dtype=self._dtype, name=name
        )
        found.set_shape(self._element_shape[0])
        return found

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with `value` at `index`."""
        with name_scope(name, "TensorArrayWrite"):
            value = self._value(value)
            self._check_dtype(value)
            self._check_element_shape(value.shape)
            with self._beside(value):
                return self._with_flow(
                    ops.tensor_array_write_v3(self._handle, index, value, self._flow, name=name)
                )

    def _check_dtype(self, value: Tensor) -> None:
        if value.dtype.base_dtype != self._dtype:
            raise TypeError(
                f"TensorArray dtype is {self._dtype.name} but Op is trying to write dtype {value.dtype.base_dtype.name} "
            )

    def stack(self, name: str | None = None) -> Tensor:
        """All elements, stacked along a new first axis."""
        with colocate_with(self._handle), name_scope(name, "TensorArrayStack", [self._handle]):
            return self.gather(indexing.range_(0, self.size()), name=name)

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """The elements at `indices`, stacked along a new first axis."""
        shape = self._element_shape[0]
        found: Tensor = ops.tensor_array_gather_v3(
            self._handle, indices, self._flow, dtype=self._dtype, element_shape=shape, name=name
        )
        if shape.sizes is not None:
            found.set_shape(TensorShape([None]).concatenate(shape))
        return found

    def concat(self, name: str | None = None) -> Tensor:
        """All elements, joined along their first axis."""
        shape = self._element_shape[0]
        rest = shape[1:] if shape.sizes else TensorShape(None)
        found, _ = ops.tensor_array_concat_v3(
            self._handle, self._flow, dtype=self._dtype, element_shape_except0=rest, name=name
        )
        if shape.sizes is not None:
            found.set_shape(TensorShape([None]).concatenate(rest))
        return found  # type: ignore[no-any-return]  # a tensor

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array with the rows of `value` as its elements."""
        with name_scope(name, "TensorArrayUnstack", [self._handle, value] if hasattr(value, "graph") else [self._handle]):  # fmt: skip
            value = self._value(value)
            count = shaping.shape(value)[0]
            return self.scatter(indexing.range_(0, count), value, name=name)

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with the rows of `value` at `indices`."""
        with name_scope(name, "TensorArrayScatter", [self._handle]):
            value = self._value(value)
            self._check_dtype(value)
            if value.shape.sizes is not None:
                self._check_element_shape(value.shape[1:])
            with self._beside(value):
                return self._with_flow(
                    ops.tensor_array_scatter_v3(self._handle, indices, value, self._flow, name=name)
                )

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """The array with the parts of `value`, of these lengths along the first axis, as its elements."""
        with name_scope(name, "TensorArraySplit", [self._handle]):
            value = self._value(value)
            lengths = convert.convert_to_tensor(lengths, dtype=dtypes.int64)
            sizes = constant_value(lengths)
            if self._infer_shape and value.shape.sizes is not None:
                whole = (
                    sizes is not None
                    and sizes.ndim == 1
                    and sizes.size
                    and sizes.max() == sizes.min()
                )
                first = [int(sizes[0])] if whole else [None]
                self._check_element_shape(TensorShape(first).concatenate(value.shape[1:]))
            with self._beside(value):
                return self._with_flow(
                    ops.tensor_array_split_v3(self._handle, value, lengths, self._flow, name=name)
                )

    def size(self, name: str | None = None) -> Tensor:
        """How many elements the array has."""
        if not self._dynamic_size and self._size is not None:
            return convert.convert_to_tensor(self._size, dtype=dtypes.int32)
        return ops.tensor_array_size_v3(self._handle, self._flow, name=name)  # type: ignore[no-any-return]

    def close(self, name: str | None = None) -> Operation:
        """An operation that lets go of the elements."""
        return ops.tensor_array_close_v3(self._handle, name=name)  # type: ignore[no-any-return]


def _check_alone(**others: Any) -> None:
    for name, value in others.items():
        if value is not None:
            raise ValueError(
                f"Cannot provide both `handle` and `{name}` arguments at the same time."
            )
