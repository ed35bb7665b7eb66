"""Parts of variables set by position: `v[1:3].assign(x)`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.cells import opened
from ckpt.core.dtypes import INDEX
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import op
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.signature import Attr
from ckpt.ops import slicing, state

MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
_ATTRS: dict[str, Any] = {"Index": Attr("type", allowed=INDEX), **dict.fromkeys(MASKS, 0)}


def _set(ref: Any, begin: Any, end: Any, strides: Any, value: Any, masks: dict[str, int]) -> None:
    """Put `value` into the part. Raises InvalidArgumentError for another shape; the variable is then as it was."""
    if 0 in np.asarray(strides):
        raise InvalidArgumentError(None, None, "strides must be non-zero")
    with opened(ref) as (array,):
        try:
            part = array[slicing.python_key(begin, end, strides, masks)]
        except IndexError as error:
            raise InvalidArgumentError(
                None, None, slicing.index_complaint(array, begin, masks, str(error))
            ) from None
        if np.shape(part) != np.shape(value):
            raise InvalidArgumentError(
                None,
                None,
                f"the part of the variable has shape {list(np.shape(part))}, the value {list(np.shape(value))}: "
                "they must be the same",
            )
        array[slicing.python_key(begin, end, strides, masks)] = value


@op(
    "StridedSliceAssign",
    "ref: &T, begin: Index, end: Index, strides: Index, value: T -> output_ref: &T",
    **_ATTRS,
)
def strided_slice_assign_op(
    ref, begin, end, strides, value,
    *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask,
):  # fmt: skip
    """Set `ref[begin:end:strides]` to `value`, which has the shape of that part, and return the reference."""
    masks = dict(
        zip(
            MASKS,
            (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask),
            strict=True,
        )
    )
    _set(ref, begin, end, strides, value, masks)
    return ref


@op(
    "ResourceStridedSliceAssign",
    "ref: resource, begin: Index, end: Index, strides: Index, value: T ->",
    **_ATTRS,
)
def resource_strided_slice_assign_op(
    ref, begin, end, strides, value,
    *, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask,
):  # fmt: skip
    """Set `ref[begin:end:strides]` to `value`, which has the shape of that part."""
    masks = dict(
        zip(
            MASKS,
            (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask),
            strict=True,
        )
    )
    _set(ref, begin, end, strides, value, masks)
    return ()


strided_slice_assign_op.shape(lambda ref, *rest: [ref.shape])
resource_strided_slice_assign_op.shape(lambda *inputs: [])
for _definition in (strided_slice_assign_op, resource_strided_slice_assign_op):
    _definition.stateful().no_gradient("assignments are not differentiable")


def assignable(part: Tensor, variable: Any) -> Tensor:
    """`part`, a slice of `variable`, with TensorFlow's method `assign(value)`; another tensor's slice has none."""
    if not hasattr(variable, "initializer") or part.op.type != "StridedSlice":
        return part  # a mask, or no variable
    node: Operation = part.op

    def assign(value: Any, name: str | None = None) -> Any:
        """Set this part of the variable to `value`, and return the variable as it is after that."""
        masks = {key: node.attrs[key] for key in MASKS}
        places = node.inputs[1:4]
        name = f"{node.name}/_assign" if name is None else name
        if not state.is_resource_like(variable):
            target = state.reference(variable)
            return strided_slice_assign_op(target, *places, value, **masks, name=name)
        done = resource_strided_slice_assign_op(variable.handle, *places, value, **masks, name=name)
        return variable._after(done)

    part.__dict__["assign"] = assign
    return part
