"""Tensors that stay in the session between runs: given a handle, read by it, and let go."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.kept_tensors import KIND, KeptTensors
from ckpt.graph.opdef import op
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, device
from ckpt.graph.signature import Attr
from ckpt.ops.constants import placeholder


def _kept(ctx: Any) -> KeptTensors:
    return ctx.resource(KIND, "", "", KeptTensors)


def _text(handle: Any) -> str:
    return bytes(np.asarray(handle).item()).decode()


def _missing(handle: Any) -> InvalidArgumentError:
    return InvalidArgumentError(
        None, None, f"The tensor with handle '{_text(handle)}' is not in the session store."
    )


@op("GetSessionHandle", "value: T -> handle: string")
def get_session_handle_op(ctx, value):
    """The handle under which the session keeps `value` from now on."""
    return np.array(_kept(ctx).keep(ctx.node.name, value).encode(), dtype=object)


get_session_handle_op.shape(lambda value: [()])
get_session_handle_op.no_gradient("a handle has no derivative")


@op("GetSessionTensor", "handle: string -> value: dtype", dtype=Attr("type"))
def get_session_tensor_op(ctx, handle, *, dtype):
    """What the session keeps under the handle. Raises InvalidArgumentError for none, or another dtype."""
    try:
        value = _kept(ctx).value(_text(handle))
    except KeyError:
        raise _missing(handle) from None
    kind = dtype.as_numpy_dtype
    if kind is not np.object_ and np.asarray(value).dtype != kind:
        raise InvalidArgumentError(
            None,
            None,
            f"The tensor of '{_text(handle)}' is {np.asarray(value).dtype}, not {dtype.name}",
        )
    return value


get_session_tensor_op.shape(lambda handle: [None])
get_session_tensor_op.no_gradient("it reads what an earlier run computed")


@op("DeleteSessionTensor", "handle: string ->")
def delete_session_tensor_op(ctx, handle):
    """Keep the tensor of the handle no longer. Raises InvalidArgumentError where there is none."""
    try:
        _kept(ctx).drop(_text(handle))
    except KeyError:
        raise _missing(handle) from None


delete_session_tensor_op.no_gradient("it has no outputs")


def get_session_handle(data: Any, name: str | None = None) -> Tensor:
    """A handle of `data`, a string scalar: run, it gives a TensorHandle, and the session keeps the value.

    Raises TypeError for what is no tensor.
    """
    if not isinstance(data, Tensor):
        raise TypeError("`data` must be of type Tensor.")
    with colocate_with(data):
        found: Tensor = get_session_handle_op(data, name=name)
    return found


def get_session_tensor(handle: str, dtype: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """(a placeholder for a handle, the tensor that the session keeps under the handle that is fed)."""
    with device(handle.rpartition(";")[2]):
        holder = placeholder(dtypes.string)
        return holder, get_session_tensor_op(holder, dtype=dtypes.as_dtype(dtype), name=name)


def delete_session_tensor(handle: str, name: str | None = None) -> tuple[Tensor, Operation]:
    """(a placeholder for a handle, the operation that lets go of what is kept under the handle that is fed)."""
    with device(handle.rpartition(";")[2]):
        holder = placeholder(dtypes.string)
        return holder, delete_session_tensor_op(holder, name=name)
