"""Which results share memory with a reference variable, as in TensorFlow; knows kernels, no operation by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ckpt.core.errors import OpError
from ckpt.graph.operation import Operation

ALIGNMENT = 64
"""TensorFlow's results share memory only where they begin at multiples of so many bytes; else they are copies."""
STRING_BYTES = 24
"""What one string takes in TensorFlow's memory."""


@dataclass(frozen=True, slots=True)
class View:
    """Results that are made anew from the variable's value whenever they are used after it may have changed."""

    node: Operation
    source: int
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]

    @property
    def is_many(self) -> bool:
        """True where the kernel returns a list."""
        return self.node.opdef is not None and self.node.opdef.many


class _Probe(np.ndarray[Any, Any]):
    """An array that a kernel is tried on: never read, so that its memory costs nothing.

    Kernels copy a small part of a large plain array rather than keep all of it alive; not so of this one.
    """


def shared_outputs(node: Operation, data: int, others: Sequence[Any]) -> list[bool]:
    """For each output whether it shares the memory of input `data`; `others` are the inputs' values, None where unknown.

    The kernel is tried on an array of the input's shape: what it gives as a view of the whole, or of whole rows
    that lie at multiples of ALIGNMENT bytes, TensorFlow shares.
    """
    opdef = node.opdef
    assert opdef is not None  # checked for all nodes at once before
    if opdef.is_whole_view:
        return [True] * len(node.outputs)
    sizes, dtype = node._inputs[data].shape.sizes, node._inputs[data].dtype.base_dtype
    known = [value is not None for i, value in enumerate(others) if i != data]
    if sizes is None or None in sizes or not all(known):
        return [False] * len(node.outputs)
    numpy_dtype = np.dtype(dtype.as_numpy_dtype)
    probed: np.dtype[Any] = np.dtype(f"V{STRING_BYTES}") if numpy_dtype.hasobject else numpy_dtype
    whole = np.empty([size for size in sizes if size is not None], probed).view(_Probe)
    arguments = [whole if i == data else value for i, value in enumerate(others)]
    attrs = {key: node.attrs[key] for key in opdef.kernel_attrs}
    try:
        found = opdef.kernel(*arguments, **attrs)
    except (OpError, ValueError, IndexError):  # the run will say so
        return [False] * len(node.outputs)
    return [
        _is_shared(whole, part, opdef.shares_vectors) for part in (found if opdef.many else [found])
    ]


def _is_shared(whole: Any, part: Any, shares_vectors: bool) -> bool:
    if not isinstance(part, np.ndarray) or not part.size or not part.flags.c_contiguous:
        return False
    start = part.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    if not 0 <= start < whole.nbytes:
        return False
    if part.nbytes == whole.nbytes:
        return True
    if whole.ndim == 1:
        return shares_vectors and start % ALIGNMENT == 0 == part.nbytes % ALIGNMENT
    row: int = math.prod(whole.shape[1:]) * whole.itemsize
    return row % ALIGNMENT == 0 and start % row == 0 == part.nbytes % row
