"""TensorArrays: arrays of tensors that live for one run. An index is written once, and read as often as it is kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.errors import InvalidArgumentError, UnimplementedError
from ckpt.core.shapes import TensorShape
from ckpt.graph import stack
from ckpt.graph.opdef import op
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import control_dependencies
from ckpt.graph.signature import Attr
from ckpt.ops import constants, control

SHAPE = TensorShape(None)
FLOW_ARRAY = np.zeros((), np.float32)
FLOW_ARRAY.flags.writeable = False


class Elements:
    """What a handle stands for: the elements, which of them were written or read, and the arrays of gradients."""

    def __init__(
        self,
        name: str,
        dtype: Any,
        shape: TensorShape,
        size: int,
        is_dynamic: bool,
        clear: bool,
        identical: bool,
        primal: Elements | None = None,
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.values: list[Any] = [None] * size
        self.was_read = [False] * size
        self.is_dynamic = is_dynamic
        self.clear = clear
        self.identical = identical
        self.primal = primal
        self.adds = primal is not None
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.gradients: dict[str, Elements] = {}
        self.is_closed = False

    def _fail(self, text: str) -> Any:
        raise InvalidArgumentError(None, None, f"TensorArray {self.name}: {text}")

    def _check_open(self) -> None:
        if self.is_closed:
            self._fail(f"Tensor Array {self.name} has already been closed.")

    def _check_dtype(self, dtype: Any, what: str) -> None:
        if dtype != self.dtype:
            self._fail(
                f"Could not {what} because the value dtype is {dtype.name} but TensorArray dtype is {self.dtype.name}."
            )

    def write(self, index: int, value: Any) -> None:
        """Put `value` at `index`. Raises InvalidArgumentError for a second write that is no sum of gradients."""
        self._check_open()
        size = len(self.values)
        if index < 0 or (index >= size and not self.is_dynamic):
            hint = "" if self.is_dynamic else f", but array size is: {size}"
            self._fail(
                f"Tried to write to index {index} but array is not resizeable and size is: {size}"
                if not self.is_dynamic
                else f"Tried to write to index {index}{hint}"
            )
        if index >= size:
            self.values.extend([None] * (index + 1 - size))
            self.was_read.extend([False] * (index + 1 - size))
        if self.was_read[index] and not self.adds:
            self._fail(
                f"Could not write to TensorArray index {index} because it has already been read."
            )
        held = self.values[index]
        if held is None:
            self._check_shape(index, value)
            self.values[index] = value
            self.shapes[index] = np.shape(value)
        elif not self.adds:
            self._fail(
                f"Could not write to TensorArray index {index} because it has already been written to."
            )
        else:
            if np.shape(held) != np.shape(value):
                self._fail(
                    f"Could not aggregate to TensorArray index {index} because the existing shape is "
                    f"{list(np.shape(held))} but the new input shape is {list(np.shape(value))}."
                )
            self.values[index] = held + value

    def _check_shape(self, index: int, value: Any) -> None:
        sizes, found = self.shape.sizes, np.shape(value)
        if sizes is not None and (
            len(sizes) != len(found)
            or any(s is not None and s != f for s, f in zip(sizes, found, strict=True))
        ):
            self._fail(
                f"Could not write to TensorArray index {index} because the value shape is {list(found)} which is "
                f"incompatible with the TensorArray's inferred element shape: {self.shape} (consider setting "
                "infer_shape=False)."
            )
        if self.identical and not self.adds:
            self.shape = TensorShape.of(found)

    def read(self, index: int) -> Any:
        """The value at `index`, let go of afterwards where the array clears. Zeros for a gradient never written."""
        self._check_open()
        if not 0 <= index < self.size():
            self._fail(f"Tried to read from index {index} but array size is: {self.size()}")
        value = self.values[index] if index < len(self.values) else None
        if value is None:
            if self.clear and self.was_read[index]:
                self._fail(
                    f"Could not read index {index} twice because it was cleared after a previous read (perhaps try "
                    "setting clear_after_read = false?)."
                )
            return self._missing(index)
        self.was_read[index] = True
        if self.clear:
            self.values[index] = None
        return value

    def _missing(self, index: int) -> Any:
        """Zeros where the shape of the element is known: from its declaration, or from what a gradient is of."""
        known = None if self.primal is None else self.primal.shapes.get(index)
        shape = (
            known
            if known is not None
            else (self.shape if self.primal is None else self.primal.shape).sizes
        )
        if shape is None or None in shape:
            return self._fail(
                f"Could not read from TensorArray index {index}.  Furthermore, the element shape is not fully defined: "
                f"{self.shape}. It is possible you are working with a resizeable TensorArray and stop_gradients is not "
                "allowing the gradients to be written.  If you set the full element_shape property on the forward "
                "TensorArray, the proper all-zeros tensor will be returned instead of incurring this error."
            )
        return np.zeros(shape, self.dtype.as_numpy_dtype)

    def size(self) -> int:
        """How many elements there are; an array of gradients has as many as what they are of."""
        own = len(self.values)
        return own if self.primal is None else max(own, self.primal.size())

    def gradient(self, source: str) -> Elements:
        """The array of the gradients of the elements for this source: made the first time."""
        self._check_open()
        found = self.gradients.get(source)
        if found is None:
            name = f"{self.name}@{source}"
            found = Elements(name, self.dtype, TensorShape(None), 0, True, False, False, self)
            self.gradients[source] = found
        return found


@op(
    "TensorArrayV3",
    "size: int32 -> handle: resource, flow: float32",
    dtype=Attr("type"),
    element_shape=SHAPE,
    dynamic_size=False,
    clear_after_read=True,
    identical_element_shapes=False,
    tensor_array_name="",
)
def tensor_array_v3(
    ctx,
    size,
    *,
    dtype,
    element_shape,
    dynamic_size,
    clear_after_read,
    identical_element_shapes,
    tensor_array_name,
):
    """A new array of `size` elements, and the flow that orders what is done with it."""
    if np.ndim(size) or int(size) < 0:
        raise InvalidArgumentError(
            None, None, f"TensorArray size must be scalar and non-negative, got {size}"
        )
    return Elements(
        tensor_array_name or ctx.node.name,
        dtype,
        element_shape,
        int(size),
        dynamic_size,
        clear_after_read,
        identical_element_shapes,
    ), FLOW_ARRAY


tensor_array_v3.shape(lambda size: [(2,), ()])
tensor_array_v3.no_gradient("a size has no derivative")


@op(
    "TensorArrayGradV3",
    "handle: resource, flow_in: float32 -> grad_handle: resource, flow_out: float32",
    source=Attr("string"),
)
def tensor_array_grad_v3(handle, flow_in, *, source):
    """The array of the gradients of an array."""
    return handle.gradient(source), flow_in


tensor_array_grad_v3.shape(lambda handle, flow_in: [(2,), ()])
tensor_array_grad_v3.stateful()
tensor_array_grad_v3.no_gradient("the gradient of a handle is found by its source")


@op(
    "TensorArrayWriteV3",
    "handle: resource, index: int32, value: T, flow_in: float32 -> flow_out: float32",
    T=Attr("type"),
)
def tensor_array_write_v3(handle, index, value, flow_in, *, T):
    """Put `value` at `index`."""
    handle._check_dtype(T, f"write to TensorArray index {int(index)}")
    handle.write(int(index), value)
    return flow_in


tensor_array_write_v3.shape(lambda handle, index, value, flow_in: [()])
tensor_array_write_v3.stateful()


@op(
    "TensorArrayReadV3",
    "handle: resource, index: int32, flow_in: float32 -> value: dtype",
    dtype=Attr("type"),
)
def tensor_array_read_v3(handle, index, flow_in, *, dtype):
    """The element at `index`."""
    handle._check_dtype(dtype, f"read from TensorArray index {int(index)}")
    return handle.read(int(index))


@tensor_array_read_v3.shape
def tensor_array_read_shape(handle, index, flow_in):
    return [handle.op.attrs["element_shape"] if handle.op.type == "TensorArrayV3" else None]


tensor_array_read_v3.stateful()


@op(
    "TensorArrayGatherV3",
    "handle: resource, indices: int32, flow_in: float32 -> value: dtype",
    dtype=Attr("type"),
    element_shape=SHAPE,
)
def tensor_array_gather_v3(handle, indices, flow_in, *, dtype, element_shape):
    """The elements at `indices`, stacked."""
    handle._check_dtype(dtype, "gather from TensorArray")
    if not len(indices):
        shape = handle.shape.merge_with(element_shape)
        if not shape.is_fully_defined():
            raise UnimplementedError(
                None,
                None,
                f"TensorArray {handle.name} has size zero, but element shape {shape} is not fully defined. Currently "
                "only static shapes are supported when packing zero-size TensorArrays.",
            )
        return np.zeros((0, *shape.as_tuple()), dtype.as_numpy_dtype)
    values = [handle.read(int(i)) for i in indices]
    shapes = {np.shape(v) for v in values}
    if len(shapes) > 1:
        raise InvalidArgumentError(
            None,
            None,
            f"TensorArray has inconsistent shapes.  Index 0 has shape: {list(np.shape(values[0]))} but another has "
            f"shape: {list(next(np.shape(v) for v in values if np.shape(v) != np.shape(values[0])))}",
        )
    return np.stack(values)


tensor_array_gather_v3.shape(
    lambda handle, indices, flow_in, *, element_shape: [
        TensorShape([indices.shape.sizes[0] if indices.shape.sizes else None]).concatenate(
            element_shape
        )
    ]
)
tensor_array_gather_v3.stateful()


@op(
    "TensorArrayScatterV3",
    "handle: resource, indices: int32, value: T, flow_in: float32 -> flow_out: float32",
    T=Attr("type"),
)
def tensor_array_scatter_v3(handle, indices, value, flow_in, *, T):
    """Put the rows of `value` at `indices`."""
    handle._check_dtype(T, "scatter to TensorArray")
    if len(indices) != (value.shape[0] if value.ndim else -1):
        raise InvalidArgumentError(
            None,
            None,
            f"Expected len(indices) == values.shape[0], but saw: {len(indices)} vs. {value.shape[0] if value.ndim else 0}",
        )
    frozen = value
    for n, i in enumerate(indices):
        handle.write(int(i), frozen[n])
    return flow_in


tensor_array_scatter_v3.shape(lambda handle, indices, value, flow_in: [()])
tensor_array_scatter_v3.stateful()


@op(
    "TensorArrayConcatV3",
    "handle: resource, flow_in: float32 -> value: dtype, lengths: int64",
    dtype=Attr("type"),
    element_shape_except0=SHAPE,
)
def tensor_array_concat_v3(handle, flow_in, *, dtype, element_shape_except0):
    """All elements joined along their first axis, and how long each was there."""
    handle._check_dtype(dtype, "concat")
    values = [handle.read(i) for i in range(handle.size())]
    for value in values:
        if np.ndim(value) == 0:
            raise InvalidArgumentError(
                None,
                None,
                "Concat saw a scalar shape at index 0 but requires at least vectors.  Did you mean to call pack?",
            )
        if np.shape(value)[1:] != np.shape(values[0])[1:]:
            raise InvalidArgumentError(
                None,
                None,
                f"TensorArray has inconsistent shapes.  Index 0 has (excepting dimension 0) shape: "
                f"{list(np.shape(values[0])[1:])} but another has (excepting dimension 0) shape: {list(np.shape(value)[1:])}",
            )
    lengths = np.array([v.shape[0] for v in values], np.int64)
    if not values:
        rest = element_shape_except0
        if not rest.is_fully_defined():
            raise UnimplementedError(
                None,
                None,
                "TensorArray has size zero, but element_shape_except0 is not fully defined. Currently only static "
                "shapes are supported when concatenating zero-size TensorArrays.",
            )
        return np.zeros((0, *rest.as_tuple()), dtype.as_numpy_dtype), lengths
    return np.concatenate(values), lengths


tensor_array_concat_v3.shape(
    lambda handle, flow_in, *, element_shape_except0: [
        TensorShape([None]).concatenate(element_shape_except0),
        TensorShape([None]),
    ]
)
tensor_array_concat_v3.stateful()


@op(
    "TensorArraySplitV3",
    "handle: resource, value: T, lengths: int64, flow_in: float32 -> flow_out: float32",
    T=Attr("type"),
)
def tensor_array_split_v3(handle, value, lengths, flow_in, *, T):
    """Cut `value` along its first axis into parts of these lengths, one per element."""
    handle._check_dtype(T, "split to TensorArray")
    if np.ndim(lengths) != 1:
        raise InvalidArgumentError(
            None,
            None,
            f"Expected lengths to be a vector, received shape: {list(np.shape(lengths))}",
        )
    if np.ndim(value) == 0:
        raise InvalidArgumentError(
            None,
            None,
            f"Expected value to be at least a vector, but received shape: {list(np.shape(value))}",
        )
    if value.shape[0] != int(lengths.sum()):
        raise InvalidArgumentError(
            None,
            None,
            f"Expected sum of lengths to be equal to values.shape[0], but sum of lengths is {int(lengths.sum())} and "
            f"value's shape is: {list(value.shape)} ",
        )
    if len(lengths) != len(handle.values) and not handle.is_dynamic:
        raise InvalidArgumentError(
            None,
            None,
            f"TensorArray's size is not equal to the size of lengths ({len(handle.values)} vs. {len(lengths)}), and "
            "the TensorArray is not marked as dynamically resizeable",
        )
    start = 0
    for i, length in enumerate(lengths.tolist()):
        handle.write(i, value[start : start + length])
        start += length
    return flow_in


tensor_array_split_v3.shape(lambda handle, value, lengths, flow_in: [()])
tensor_array_split_v3.stateful()


@op("TensorArraySizeV3", "handle: resource, flow_in: float32 -> size: int32")
def tensor_array_size_v3(handle, flow_in):
    """How many elements the array has."""
    return np.int32(handle.size())


tensor_array_size_v3.shape(lambda handle, flow_in: [()])
tensor_array_size_v3.stateful()
tensor_array_size_v3.no_gradient("a size has no derivative")


@op("TensorArrayCloseV3", "handle: resource ->")
def tensor_array_close_v3(handle):
    """Let go of the elements; the array cannot be used afterwards."""
    handle.values.clear()
    handle.is_closed = True


tensor_array_close_v3.stateful()
tensor_array_close_v3.no_gradient("it has no outputs")


def grad_source(gradient: Tensor) -> str:
    """Which call of `gradients` made this gradient: arrays of gradients are kept apart by it.

    Source: the names of gradient scopes begin with "gradients".
    """
    tokens = gradient.op.name.split("/")
    for i, token in enumerate(tokens):
        if token.startswith("gradients"):
            return "/".join(tokens[: i + 1])
    return "gradients"


def _no_flow() -> Tensor:
    """A flow that waits for nothing: the array of gradients is there as soon as its array is."""
    return constants.constant(0.0, name="flow")


def _after_forward(node: Operation, flow: Tensor) -> Tensor:
    """`flow`, once the array was written: then it is known which shapes the zeros have that nothing depends on.

    Where the gradient has a body of its own, the whole loop or branch has run before.
    """
    if node.graph is not stack.get_default_graph():
        return flow
    with control_dependencies([node]):
        return control.identity(flow)


def _gradient_array(node: Any, flow: Tensor, gradient: Tensor) -> Any:
    """The handle of the array of gradients, and the flow, which stays differentiable this way."""
    handle, _ = tensor_array_grad_v3(node.inputs[0], flow, source=grad_source(gradient))
    return handle, flow


@tensor_array_write_v3.grad
def tensor_array_write_grad(node, d_flow):
    handle, flow = _gradient_array(node, _after_forward(node, d_flow), d_flow)
    value = node.inputs[2]
    found = tensor_array_read_v3(handle, node.inputs[1], flow, dtype=value.dtype.base_dtype)
    found.set_shape(value.shape)
    return [None, None, found, d_flow]


@tensor_array_read_v3.grad
def tensor_array_read_grad(node, d_value):
    handle, flow = _gradient_array(node, _no_flow(), d_value)
    return [None, None, tensor_array_write_v3(handle, node.inputs[1], d_value, flow)]


@tensor_array_gather_v3.grad
def tensor_array_gather_grad(node, d_value):
    handle, flow = _gradient_array(node, _no_flow(), d_value)
    return [None, None, tensor_array_scatter_v3(handle, node.inputs[1], d_value, flow)]


@tensor_array_scatter_v3.grad
def tensor_array_scatter_grad(node, d_flow):
    handle, flow = _gradient_array(node, _after_forward(node, d_flow), d_flow)
    value = node.inputs[2]
    found = tensor_array_gather_v3(
        handle, node.inputs[1], flow, dtype=value.dtype.base_dtype, element_shape=value.shape[1:]
    )
    return [None, None, found, d_flow]


@tensor_array_concat_v3.grad
def tensor_array_concat_grad(node, d_value, d_lengths):
    handle, flow = _gradient_array(node, _no_flow(), d_value)
    return [None, tensor_array_split_v3(handle, d_value, node.outputs[1], flow)]


@tensor_array_split_v3.grad
def tensor_array_split_grad(node, d_flow):
    handle, flow = _gradient_array(node, _after_forward(node, d_flow), d_flow)
    value = node.inputs[1]
    found, _ = tensor_array_concat_v3(
        handle, flow, dtype=value.dtype.base_dtype, element_shape_except0=value.shape[1:]
    )
    found.set_shape(value.shape)
    return [None, found, None, d_flow]
