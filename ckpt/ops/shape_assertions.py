"""Assertions about the shapes of several tensors at once, by symbols that stand for sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.sparse import SparseTensor
from ckpt.ops import checking, compare, control, reduction, shaping


@dataclass(frozen=True)
class _Sized:
    """A tensor, what it is called, and the symbols of its last axes; any number of axes may come before them."""

    tensor: Any
    title: str
    symbols: tuple[Any, ...]
    is_open: bool

    @property
    def sizes(self) -> Tensor:
        """The sizes when it is run."""
        if isinstance(self.tensor, SparseTensor):
            return self.tensor.dense_shape
        return shaping.shape(self.tensor)

    def place(self, number: int) -> int:
        """Which axis a symbol is of: counted from the end where others may come before it."""
        return number - len(self.symbols) if self.is_open else number


def assert_shapes(
    shapes: Any, data: Any = None, summarize: int | None = None, message: Any = None, name: str | None = None
) -> Operation:  # fmt: skip
    """An operation that fails when run unless tensors have the shapes that they must have.

    `shapes` are pairs (or a dict) of a tensor and its shape: a size, a name that stands for the same size everywhere,
    None or "." for any size. A first "*" or `...` stands for any number of axes; () also allows the shape [1].
    Raises ValueError for what is known to fail while building, and for a shape that is none.
    """
    pairs = list(shapes.items() if isinstance(shapes, Mapping) else shapes)
    head = f"{message}.  " if message else ""
    with name_scope(name, "assert_shapes", [*[tensor for tensor, _ in pairs], data]):
        items = [_sized(tensor, shape, head) for tensor, shape in pairs]
        checks = [check for item in items for check in _rank_checks(item, head, data, summarize)]
        known: dict[Any, tuple[Any, str]] = {}
        for item in items:
            for number, symbol in enumerate(item.symbols):
                if symbol is not None:
                    checks += _size_check(item, number, symbol, known, head, data, summarize)
    return control.group(*checks)


def _sized(tensor: Any, shape: Any, head: str) -> _Sized:
    if not isinstance(tensor, SparseTensor):
        tensor = convert.convert_to_tensor(tensor)
    title = (tensor.values if isinstance(tensor, SparseTensor) else tensor).name
    if not hasattr(shape, "__iter__") and not hasattr(shape, "__getitem__"):
        raise ValueError(
            f"{head}Tensor {title}.  Specified shape must be an iterable.  An iterable has the attribute `__iter__` "
            f"or `__getitem__`.  Received specified shape: {shape}"
        )
    symbols = [_symbol(entry) for entry in shape]
    for place, symbol in enumerate(symbols):
        if symbol is ... and place:
            raise ValueError(
                f"{head}Tensor {title} specified shape index {place}.  Symbol `...` or `*` for a variable number of "
                "unspecified dimensions is only allowed as the first entry"
            )
    is_open = bool(symbols) and symbols[0] is ...
    return _Sized(tensor, title, tuple(symbols[1:] if is_open else symbols), is_open)


def _symbol(entry: Any) -> Any:
    """A size, a name, None for any size, or Ellipsis for any number of them."""
    if entry is ... or entry == "*":
        return ...
    if entry is None or entry == ".":
        return None
    if isinstance(entry, str):
        return int(entry) if entry.lstrip("-").isdigit() else entry
    return getattr(entry, "value", entry)


def _rank_checks(item: _Sized, head: str, data: Any, summarize: int | None) -> list[Operation]:
    count, rank = len(item.symbols), item.tensor.shape.rank
    allowed = f"at least rank {count}" if item.is_open else f"rank {count}"
    if rank is not None:
        if rank < count or (rank > count and not item.is_open and (count or rank > 1)):
            raise ValueError(
                f"{head}Tensor {item.title} must have {allowed}.  Received rank {rank}, shape {item.tensor.shape}"
            )
        if (
            not count
            and not item.is_open
            and rank == 1
            and item.tensor.shape[0].value not in (None, 1)
        ):
            raise ValueError(
                f"{head}Specified explicitly.  Tensor {item.title} dimension 0 must have size 1.  Received size "
                f"{item.tensor.shape[0]}, shape {item.tensor.shape}"
            )
        return []
    sizes = item.sizes
    actual = shaping.size(sizes)
    title = f"Tensor {item.title}"
    if item.is_open:
        wanted: tuple[Any, ...] = (
            compare.greater_equal(actual, count),
            f"{title} must have rank at least",
            count,
        )
    elif count:
        wanted = (compare.equal(actual, count), f"{title} must have rank", count)
    else:
        wanted = (compare.less_equal(actual, 1), f"{title} must have rank in", 0, 1)
    checks = [wanted]
    if not count and not item.is_open:
        is_one = compare.equal(reduction.reduce_prod(sizes), 1)
        checks.append(
            (is_one, "Specified explicitly", f"{title} dimension", 0, "must have size", 1)
        )
    return [
        checking.Assert(
            holds,
            [head, *words, "Received shape: ", sizes] if data is None else data,
            summarize=summarize,
        )
        for holds, *words in checks
    ]


def _size_check(
    item: _Sized, number: int, symbol: Any, known: dict[Any, tuple[Any, str]], head: str, data: Any,
    summarize: int | None,
) -> list[Operation]:  # fmt: skip
    """Compare one size with what its symbol stands for; the first tensor with a name says what that is."""
    place = item.place(number)
    static = None if item.tensor.shape.rank is None else item.tensor.shape[place].value
    if isinstance(symbol, int):
        wanted, origin = symbol, "Specified explicitly"
    elif symbol not in known:
        size = static if static is not None else item.sizes[place]
        known[symbol] = (size, f"Specified by tensor {item.title} dimension {place}")
        return []
    else:
        wanted, origin = known[symbol]
    if static is not None and isinstance(wanted, int):
        if static != wanted:
            raise ValueError(
                f"{head}{origin}.  Tensor {item.title} dimension {place} must have size {wanted}.  Received size "
                f"{static}, shape {item.tensor.shape}"
            )
        return []
    sizes = item.sizes
    holds = compare.equal(_as(sizes[place], wanted), wanted)
    words = [
        head, origin, f"Tensor {item.title} dimension", place, "must have size", wanted, "Received shape: ", sizes,
    ]  # fmt: skip
    return [checking.Assert(holds, words if data is None else data, summarize=summarize)]


def _as(size: Tensor, wanted: Any) -> Tensor:
    from ckpt.ops.casting import cast  # only sizes of sparse tensors are wider

    return (
        cast(size, wanted.dtype)
        if isinstance(wanted, Tensor) and size.dtype != wanted.dtype
        else size
    )
