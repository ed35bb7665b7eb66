"""Second derivatives. Knows no operation's rule."""

from __future__ import annotations

from typing import Any

from ckpt.graph.convert import convert_to_tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.gradients import gradients
from ckpt.ops import constants, joining, shaping


def hessians(
    ys: Any,
    xs: Any,
    name: str = "hessians",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
) -> list[Any]:
    """For each x of `xs` the second derivatives of the sum of `ys`: a tensor of shape x.shape + x.shape.

    Raises ValueError for an x whose number of elements is not known while the graph is built.
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
            count = tensor.shape.num_elements()
            if count is None:
                raise ValueError(
                    f"hessians needs the static shape of {x!r}, which is {tensor.shape}"
                )
            flat = shaping.reshape(convert_to_tensor(grad), [-1])
            rows = [
                constants.zeros_like(tensor) if row is None else convert_to_tensor(row)
                for row in (gradients(flat[i], x, **options)[0] for i in range(count))
            ]
            shape = shaping.shape(tensor)
            found.append(shaping.reshape(joining.stack(rows), joining.concat([shape, shape], 0)))
    return found
