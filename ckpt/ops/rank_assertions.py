"""`assert_rank…`: refused while building where the rank is known, else when run."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.ops import compare, control, shaping
from ckpt.ops.assertions import assert_type
from ckpt.ops.checking import Assert


def _checked_scalar(rank: Tensor) -> Tensor:
    """`rank`, once it is certain that it is a scalar."""
    if rank.shape.rank == 0:
        return rank
    is_scalar = compare.equal(shaping.rank(rank), 0)
    check = Assert(is_scalar, ["Rank must be a scalar. Received rank: ", rank])
    found: Tensor = control.with_dependencies([check], rank)
    return found


def _rank_assert(opname: str, symbol: str, accepts: Any) -> Any:
    def assertion(
        x: Any,
        rank: Any,
        data: Any = None,
        summarize: int | None = None,
        message: Any = None,
        name: str | None = None,
    ) -> Operation:
        with name_scope(name, opname, [x, rank, data]):
            x = convert.convert_to_tensor(x, name="x")
            rank_t = convert.convert_to_tensor(rank, name="rank")
            shape = shaping.shape(x)
            if not rank_t.dtype.is_integer:
                raise TypeError("Rank must be an integer tensor")
            assert_type(rank_t, dtypes.int32)
            if rank_t.shape.rank not in (None, 0):
                raise ValueError(f"{message or ''} Rank must be a scalar.")
            wanted = constant_value(rank_t)
            if wanted is not None and np.ndim(wanted):
                raise ValueError("Rank must be a scalar.")
            if wanted is not None and x.shape.rank is not None:
                if not accepts(x.shape.rank, int(wanted)):
                    raise ValueError(
                        f"{message or ''}  Tensor {x.name} must have rank {symbol}{int(wanted)}.  "
                        f"Received rank {x.shape.rank}, shape {x.shape}"
                    )
                return control.no_op("static_checks_determined_all_ok")
            rank_t = _checked_scalar(rank_t)
            test = compare.equal if not symbol else compare.greater_equal
            if data is None:
                data = [
                    message or "",
                    f"Tensor {x.name} must have rank",
                    rank_t,
                    "Received shape: ",
                    shape,
                ]
            return Assert(test(shaping.rank(x), rank_t), data, summarize=summarize)

    assertion.__doc__ = f"Fails unless the rank of `x` is {symbol}`rank`."
    assertion.__name__ = opname
    return assertion


assert_rank = _rank_assert("assert_rank", "", lambda have, want: have == want)
assert_rank_at_least = _rank_assert("assert_rank_at_least", "at least ", lambda have, want: have >= want)  # fmt: skip


def assert_rank_in(
    x: Any, ranks: Any, data: Any = None, summarize: int | None = None, message: Any = None,
    name: str | None = None,
) -> Operation:  # fmt: skip
    """Fails unless the rank of `x` is one of `ranks`."""
    with name_scope(name, "assert_rank_in", [x, data]):
        x = convert.convert_to_tensor(x, name="x")
        tensors = [convert.convert_to_tensor(r, name="rank") for r in ranks]
        shape = shaping.shape(x)
        for t in tensors:
            if not t.dtype.is_integer:
                raise TypeError("Rank must be an integer tensor")
            assert_type(t, dtypes.int32)
            if t.shape.rank not in (None, 0):
                raise ValueError(f"{message or ''} Rank must be a scalar.")
        wanted = [constant_value(t) for t in tensors]
        if any(w is not None and np.ndim(w) for w in wanted):
            raise ValueError("Rank must be a scalar.")
        if x.shape.rank is not None and all(w is not None for w in wanted):
            if x.shape.rank not in [int(w) for w in wanted]:
                raise ValueError(
                    f"{message or ''}  Tensor {x.name} must have rank in {tuple(int(w) for w in wanted)}.  "
                    f"Received rank {x.shape.rank}, shape {x.shape}"
                )
            return control.no_op("static_checks_determined_all_ok")
        tensors = [_checked_scalar(t) for t in tensors]
        rank = shaping.rank(x)
        fits = [compare.equal(t, rank) for t in tensors]
        found = functools.reduce(compare.logical_or, fits)
        shown = data or [
            message or "",
            f"Tensor {x.name} must have rank in",
            *tensors,
            "Received shape: ",
            shape,
        ]
        return Assert(found, shown, summarize=summarize)


def assert_scalar(tensor: Any, name: str | None = None, message: Any = None) -> Tensor:
    """`tensor`. Raises ValueError when its static shape is not that of a scalar."""
    with name_scope(name, "assert_scalar", [tensor]):
        tensor = convert.convert_to_tensor(tensor)
        if tensor.shape.rank != 0:
            raise ValueError(f"Expected scalar shape, saw shape: {tensor.shape}.")
        return tensor
