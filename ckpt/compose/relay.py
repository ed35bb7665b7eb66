"""The backward pass of a chain: gradients leave one graph at its input and enter another at its output.

Each model differentiates for itself; where a wire ends, the gradient is fetched as a value, and where the wire began
it is fed into a placeholder. The graphs stay separate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ckpt.core.errors import GraphError
from ckpt.graph.convert import convert_to_tensor
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.slices import IndexedSlices
from ckpt.model.gradients import gradients
from ckpt.ops import constants

End = tuple[str, Tensor]
"""A tensor of a chain: the name of its model, and the tensor in that model's graph."""


@dataclass(frozen=True, slots=True)
class Hop:
    """What one model does in a backward pass.

    `enters` are its outputs with the placeholders for the gradients that come from later models; `leaves` are its
    inputs with the gradients that go to earlier ones.
    """

    enters: Mapping[Tensor, Tensor] = field(default_factory=dict)
    leaves: Mapping[Tensor, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """One backward pass through a chain: a hop per model that has a part in it, last model first."""

    hops: Mapping[str, Hop]


@dataclass(frozen=True, slots=True, eq=False)
class ChainGradient:
    """A gradient that `Chain.run` can fetch: `value` is a Tensor or IndexedSlices of the graph of `model`."""

    model: str
    value: Any
    sweep: Sweep

    def __repr__(self) -> str:
        return f"<ChainGradient of model '{self.model}': {self.value!r}>"


@dataclass(frozen=True, slots=True, eq=False)
class ChainStep:
    """One step of training that `Chain.run` can fetch: updates in several graphs, made after all gradients are known."""

    updates: Mapping[str, Operation]
    sweep: Sweep


def relayed(
    order: Sequence[str],
    wires: Sequence[tuple[End, End]],
    seeds: Sequence[tuple[End, Any]],
    sources: Sequence[tuple[str, Any]],
) -> list[ChainGradient | None]:
    """The gradient of the sum of `seeds` (tensors, with the gradient that each starts with, or None) by each source.

    `sources` are (model, tensor or variable). None where no seed depends on a source. Raises LookupError for an
    operation without gradient on the way, GraphError for a starting gradient of another graph.
    """
    hops: dict[str, Hop] = {}
    sweep = Sweep(hops)
    found: list[Any] = [None] * len(sources)
    needed: dict[End, None] = {}  # outputs that a later model sends a gradient to
    for model in reversed(order):
        starts = [(end[1], given) for end, given in seeds if end[0] == model]
        enters = {y: _placeholder(y) for name, y in needed if name == model}
        if not starts and not enters:
            continue
        asked = [i for i, (name, _) in enumerate(sources) if name == model]
        inputs = [x for (name, x), _ in wires if name == model and x.dtype.is_floating]
        ys = [y for y, _ in starts] + list(enters)
        given = [g for _, g in starts] + list(enters.values())
        by = [*(sources[i][1] for i in asked), *inputs]
        if not by:
            continue
        with ys[0].graph.as_default():
            grads = gradients(ys, by, grad_ys=given, name="relay")
            leaves = {
                x: _dense(g)
                for x, g in zip(inputs, grads[len(asked) :], strict=True)
                if g is not None
            }
        for i, grad in zip(asked, grads, strict=False):
            found[i] = grad
        hops[model] = Hop(enters, leaves)
        needed.update(
            (origin, None) for (name, x), origin in wires if name == model and x in leaves
        )
    return [
        None if grad is None else ChainGradient(model, grad, sweep)
        for grad, (model, _) in zip(found, sources, strict=True)
    ]


def _placeholder(output: Tensor) -> Tensor:
    """Where the gradient of `output` is fed, beside it."""
    with output.graph.as_default(), output.graph.name_scope(None):
        return constants.placeholder(
            output.dtype.base_dtype, output.shape, name=f"{output.op.name}_gradient"
        )


def _dense(grad: Any) -> Tensor:
    found: Tensor = convert_to_tensor(grad)
    return found


def fetched_tensors(value: Any) -> list[Tensor]:
    """The tensors of a gradient: one, or those of IndexedSlices."""
    if isinstance(value, IndexedSlices):
        return [
            t for t in (value.values, value.indices, value.dense_shape) if isinstance(t, Tensor)
        ]
    return [value]


def check_one_sweep(gradients: Iterable[ChainGradient]) -> Sweep:
    """The backward pass that all these gradients come from. Raises GraphError when there are several, or none."""
    sweeps = {id(gradient.sweep): gradient.sweep for gradient in gradients}
    if len(sweeps) != 1:
        raise GraphError(
            f"the gradients of one step come from one backward pass, these come from {len(sweeps)}: "
            "compute them in one call"
        )
    return next(iter(sweeps.values()))
