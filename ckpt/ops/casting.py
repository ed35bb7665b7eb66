"""Tensors converted from one dtype to another."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX, FLOATING
from ckpt.core.errors import UnimplementedError
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.sparse import SparseTensor
from ckpt.ops.families import same_shape


@op("Cast", "x: SrcT -> y: DstT", Truncate=False)
def cast_op(x, *, DstT):  # TensorFlow's attribute
    """`x` with its elements converted to DstT; complex numbers lose their imaginary part for real DstT."""
    kind, x = DstT.as_numpy_dtype, np.asarray(x)
    if x.dtype.hasobject != (kind is np.object_):
        source = dtypes.as_dtype(x.dtype).name
        raise UnimplementedError(None, None, f"Cast {source} to {DstT.name} is not supported")
    if np.iscomplexobj(x) and not DstT.is_complex:
        x = np.real(x)
    return x.astype(kind)


cast_op.shape(same_shape)


@cast_op.grad
def cast_grad(node, dy):
    source, target = node.inputs[0].dtype.base_dtype, dy.dtype.base_dtype
    differentiable = FLOATING | COMPLEX
    if source in differentiable and target in differentiable:
        return [cast(dy, source)]
    return [None]


def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """`x` converted to `dtype`; `x` itself when it has that dtype."""
    base = dtypes.as_dtype(dtype).base_dtype
    if isinstance(x, Tensor) and x.dtype == base:
        return x
    with name_scope(name, "Cast", [x]) as scope:
        if isinstance(x, SparseTensor):
            sparse: Any = SparseTensor(x.indices, cast(x.values, base, name=scope), x.dense_shape)
            return sparse
        x = convert.convert_to_tensor(x, name="x")
        if x.dtype.base_dtype == base:
            return x
        return cast_op(x, DstT=base, name=scope)
