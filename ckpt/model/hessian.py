"""Second derivatives. Knows no operation's rule."""

from __future__ import annotations

from typing import Any

from ckpt.graph.convert import convert_to_tensor
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.functional import map_fn
from ckpt.model.gradients import gradients
from ckpt.ops import constants, indexing, joining, shaping


def hessians(
    ys: Any,
    xs: Any,
    name: str = "hessians",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
) -> list[Any]:
    """For each x of `xs` the second derivatives of the sum of `ys`: a tensor of shape x.shape + x.shape.

    Rows are computed one by one: in a loop where the number of elements of x is not known while the graph is built.
    """
    found = []
    options: dict[str, Any] = {
        "colocate_gradients_with_ops": colocate_gradients_with_ops,
        "gate_gradients": gate_gradients,
        "aggregation_method": aggregation_method,
    }
    members = list(xs) if isinstance(xs, (list, tuple)) else [xs]
    with name_scope(name):
        for x, grad in zip(members, gradients(ys, members, **options), strict=True):
            tensor = convert_to_tensor(x)
            flat = shaping.reshape(convert_to_tensor(grad), [-1])

            def row(i: Any, x: Any = x, flat: Tensor = flat, tensor: Tensor = tensor) -> Tensor:
                derivative = gradients(flat[i], x, **options)[0]
                return (
                    constants.zeros_like(tensor)
                    if derivative is None
                    else convert_to_tensor(derivative)
                )

            count = tensor.shape.num_elements()
            if count is None:
                places = indexing.range_(shaping.size(tensor))
                rows = map_fn(row, places, dtype=tensor.dtype.base_dtype)
            else:
                rows = joining.stack([row(i) for i in range(count)])
            shape = shaping.shape(tensor)
            found.append(shaping.reshape(rows, joining.concat([shape, shape], 0)))
    return found
