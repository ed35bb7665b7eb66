"""Static shapes: how much of a tensor's shape is known before it is computed. Must not know tensors.

Source of the meaning: TensorFlow 1's `tf.TensorShape` and `tf.Dimension`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Union

from ckpt.core.errors import ShapeError

MESSAGES: dict[str, Callable[[Any], Any]] = {}
"""How shapes become messages; the graph room, which knows protocol buffers, enters the functions."""


class Dimension:
    """The size of one axis: a non-negative integer, or None where it is unknown.

    Arithmetic and comparison with an unknown size give an unknown Dimension or None.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = dimension_value(value)

    @property
    def value(self) -> int | None:
        """The size, or None."""
        return self._value

    def is_compatible_with(self, other: Any) -> bool:
        """True unless both sizes are known and differ."""
        size = dimension_value(other)
        return self._value is None or size is None or self._value == size

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raise ValueError unless the two sizes are compatible."""
        if not self.is_compatible_with(other):
            raise ShapeError(f"Dimensions {self} and {as_dimension(other)} are not compatible")

    def merge_with(self, other: Any) -> Dimension:
        """The more known of the two. Raises ValueError when they contradict each other."""
        self.assert_is_compatible_with(other)
        return as_dimension(other) if self._value is None else Dimension(self._value)

    def __eq__(self, other: object) -> Any:
        try:
            size = dimension_value(other)
        except (TypeError, ValueError):
            return NotImplemented
        return None if self._value is None or size is None else self._value == size

    def __ne__(self, other: object) -> Any:
        same = self.__eq__(other)
        return same if same is None or same is NotImplemented else not same

    def __hash__(self) -> int:
        return hash(self._value)

    def __int__(self) -> int:
        return self._value  # type: ignore[return-value]  # int(Dimension(None)) is a TypeError, as it should be

    def __index__(self) -> int:
        return self._value  # type: ignore[return-value]  # the same

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Dimension({self._value})"

    def __str__(self) -> str:
        return "?" if self._value is None else str(self._value)

    def _apply(self, other: Any, function: Any) -> Any:
        try:
            size = dimension_value(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._value is None or size is None:
            return Dimension(None)
        return Dimension(function(self._value, size))

    def __add__(self, other: Any) -> Any:
        return self._apply(other, lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._apply(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._apply(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._apply(other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return self._apply(other, lambda a, b: a // b)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._apply(other, lambda a, b: b // a)

    def __div__(self, other: Any) -> Any:
        return self // other

    def __truediv__(self, other: Any) -> Dimension:
        raise TypeError(
            f"unsupported operand type(s) for /: 'Dimension' and '{type(other).__name__}', "
            "please use // instead"
        )

    def __rtruediv__(self, other: Any) -> Dimension:
        raise TypeError(
            f"unsupported operand type(s) for /: '{type(other).__name__}' and 'Dimension', "
            "please use // instead"
        )

    def __mod__(self, other: Any) -> Any:
        return self._apply(other, lambda a, b: a % b)

    def __rmod__(self, other: Any) -> Any:
        return self._apply(other, lambda a, b: b % a)

    def _compare(self, other: Any, function: Any) -> Any:
        size = dimension_value(other)
        return None if self._value is None or size is None else function(self._value, size)

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> Any:
        return self._compare(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, lambda a, b: a >= b)

    def __reduce__(self) -> Any:
        return Dimension, (self._value,)


def dimension_value(value: Any) -> int | None:
    """The plain size behind `value`: an int, a Dimension, None, or a message with `.size` (-1 is unknown).

    Raises ValueError for a negative size, TypeError for what is no integer.
    """
    if value is None:
        return None
    if type(value) is int:
        size = value
    elif isinstance(value, Dimension):
        return value._value
    else:
        try:
            size = int(value.__index__())
        except AttributeError:
            try:
                size = int(value)
            except (TypeError, ValueError):
                raise TypeError(
                    f"Dimension value must be integer or None or have an __index__ method, "
                    f"got value '{value!r}' with type '{type(value)!r}'"
                ) from None
            if size != value and not isinstance(value, str):
                raise ShapeError(f"Ambiguous dimension: {value}") from None
    if size < 0:
        raise ShapeError(f"Dimension {size} must be >= 0")
    return size


def as_dimension(value: Any) -> Dimension:
    """`value` as a Dimension."""
    return value if isinstance(value, Dimension) else Dimension(value)


Dims = Union[tuple[Union[int, None], ...], None]


class TensorShape:
    """A static shape: None for unknown rank, else one size (or None) per axis. Immutable.

    `sizes` is the plain tuple of int | None that the rest of ckpt computes with; indexing and iteration
    give `Dimension`s, as in TensorFlow 1.
    """

    __slots__ = ("sizes",)
    sizes: Dims

    def __init__(self, dims: Any = None) -> None:
        if dims is None:
            self.sizes = None
        elif type(dims) in (tuple, list):
            self.sizes = tuple([dimension_value(size) for size in dims])
        elif isinstance(dims, TensorShape):
            self.sizes = dims.sizes
        elif hasattr(dims, "unknown_rank"):  # TensorShapeProto
            self.sizes = (
                None
                if dims.unknown_rank
                else tuple(None if d.size == -1 else int(d.size) for d in dims.dim)
            )
        elif isinstance(dims, (str, bytes)):
            raise TypeError(f"A shape is a sequence of sizes, not {dims!r}")
        else:
            try:
                sizes = iter(dims)
            except TypeError:
                self.sizes = (dimension_value(dims),)
            else:
                self.sizes = tuple(dimension_value(size) for size in sizes)

    @classmethod
    def of(cls, sizes: Dims) -> TensorShape:
        """The shape with exactly these sizes, unchecked: for code that computed them itself."""
        shape = cls.__new__(cls)
        shape.sizes = sizes
        return shape

    @property
    def rank(self) -> int | None:
        """Number of axes, or None."""
        return None if self.sizes is None else len(self.sizes)

    @property
    def ndims(self) -> int | None:
        """Number of axes, or None."""
        return self.rank

    @property
    def dims(self) -> list[Dimension] | None:
        """One Dimension per axis, or None for unknown rank."""
        return None if self.sizes is None else [Dimension(size) for size in self.sizes]

    def __len__(self) -> int:
        if self.sizes is None:
            raise ValueError("Cannot take the length of Shape with unknown rank.")
        return len(self.sizes)

    def __bool__(self) -> bool:
        return self.sizes is not None

    def __iter__(self) -> Iterator[Dimension]:
        if self.sizes is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return iter([Dimension(size) for size in self.sizes])

    def __getitem__(self, key: Any) -> Any:
        if self.sizes is not None:
            if isinstance(key, slice):
                return TensorShape.of(self.sizes[key])
            return Dimension(self.sizes[key])
        if not isinstance(key, slice):
            return Dimension(None)
        start = key.start or 0
        stop = key.stop
        if key.step is not None:
            raise ValueError("Steps are not yet handled")
        if stop is None or start < 0 or stop < 0:
            return TensorShape.of(None)
        return TensorShape.of((None,) * max(stop - start, 0))

    def num_elements(self) -> int | None:
        """The product of the sizes, or None when one is unknown."""
        if not self.is_fully_defined():
            return None
        count = 1
        for size in self.sizes:  # type: ignore[union-attr]  # fully defined
            count *= size  # type: ignore[operator]  # the same
        return count

    def is_fully_defined(self) -> bool:
        """True when rank and every size are known."""
        return self.sizes is not None and None not in self.sizes

    def assert_is_fully_defined(self) -> None:
        """Raise ValueError unless everything is known."""
        if not self.is_fully_defined():
            raise ShapeError(f"Shape {self} is not fully defined")

    def is_compatible_with(self, other: Any) -> bool:
        """True when some one actual shape fits both."""
        other = as_shape(other)
        if self.sizes is None or other.sizes is None:
            return True
        return len(self.sizes) == len(other.sizes) and all(
            a is None or b is None or a == b for a, b in zip(self.sizes, other.sizes, strict=True)
        )

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raise ValueError unless some one actual shape fits both."""
        if not self.is_compatible_with(other):
            raise ShapeError(f"Shapes {self} and {as_shape(other)} are incompatible")

    def assert_same_rank(self, other: Any) -> None:
        """Raise ValueError when both ranks are known and differ."""
        other = as_shape(other)
        if self.rank is not None and other.rank is not None and self.rank != other.rank:
            raise ShapeError(f"Shapes {self} and {other} must have the same rank")

    def assert_has_rank(self, rank: int) -> None:
        """Raise ValueError when the rank is known and is not `rank`."""
        if self.rank not in (None, rank):
            raise ShapeError(f"Shape {self} must have rank {rank}")

    def with_rank(self, rank: int) -> TensorShape:
        """This shape, known to have `rank` axes. Raises ValueError when it has another number."""
        try:
            return self.merge_with(unknown_shape(rank))
        except ValueError:
            raise ShapeError(f"Shape {self} must have rank {rank}") from None

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """This shape. Raises ValueError when it has fewer than `rank` axes."""
        if self.rank is not None and self.rank < rank:
            raise ShapeError(f"Shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank: int) -> TensorShape:
        """This shape. Raises ValueError when it has more than `rank` axes."""
        if self.rank is not None and self.rank > rank:
            raise ShapeError(f"Shape {self} must have rank at most {rank}")
        return self

    def merge_with(self, shape: Any) -> TensorShape:
        """What both shapes together say. Raises ValueError when they contradict each other."""
        other = as_shape(shape)
        if self.sizes == other.sizes:
            return self
        if self.sizes is None:
            return other
        if other.sizes is None:
            return self
        self.assert_same_rank(other)
        self.assert_is_compatible_with(other)
        return TensorShape.of(
            tuple(b if a is None else a for a, b in zip(self.sizes, other.sizes, strict=True))
        )

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """The most that is true of both shapes."""
        other = as_shape(other)
        if self.sizes is None or other.sizes is None or len(self.sizes) != len(other.sizes):
            return TensorShape.of(None)
        return TensorShape.of(
            tuple(a if a == b else None for a, b in zip(self.sizes, other.sizes, strict=True))
        )

    def concatenate(self, other: Any) -> TensorShape:
        """The axes of this shape, then those of `other`."""
        other = as_shape(other)
        if self.sizes is None or other.sizes is None:
            return TensorShape.of(None)
        return TensorShape.of(self.sizes + other.sizes)

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return as_shape(other).concatenate(self)

    def as_tuple(self) -> tuple[int, ...]:
        """The sizes of a shape that is fully known. Raises ValueError for any other."""
        self.assert_is_fully_defined()
        return self.sizes  # type: ignore[return-value]  # every size is known

    def as_proto(self) -> Any:
        """This shape as a TensorShapeProto message."""
        return MESSAGES["TensorShapeProto"](self)

    def as_list(self) -> list[int | None]:
        """The sizes as a list. Raises ValueError when the rank is unknown."""
        if self.sizes is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(self.sizes)

    def __eq__(self, other: object) -> bool:
        try:
            return self.sizes == as_shape(other).sizes
        except (TypeError, ValueError):
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self.sizes)

    def __repr__(self) -> str:
        return f"TensorShape({None if self.sizes is None else [Dimension(s) for s in self.sizes]})"

    def __str__(self) -> str:
        if self.sizes is None:
            return "<unknown>"
        names = ["?" if size is None else str(size) for size in self.sizes]
        return f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"

    def __reduce__(self) -> Any:
        return TensorShape.of, (self.sizes,)


UNKNOWN = TensorShape.of(None)
SCALAR = TensorShape.of(())


def as_shape(value: Any) -> TensorShape:
    """`value` (a TensorShape, None, an int or a sequence of sizes) as a TensorShape."""
    return value if isinstance(value, TensorShape) else TensorShape(value)


def size_at(shape: TensorShape, index: int) -> Dimension:
    """The size of axis `index`; unknown where the rank is."""
    return Dimension(None) if shape.rank is None else Dimension(shape[index])


MOST_AXES = 254
"""No tensor has more, in TensorFlow either."""
LARGEST_SIZE = (1 << 63) - 1


def unknown_shape(rank: int | None = None) -> TensorShape:
    """A shape of which at most the rank is known, and no more than MOST_AXES of it."""
    return UNKNOWN if rank is None or rank > MOST_AXES else TensorShape.of((None,) * rank)


def bounded(shape: TensorShape) -> TensorShape:
    """A shape as rules compute it from other shapes, if tensors can have it; nothing is known of one with more than MOST_AXES.

    Rules may double the axes, or sizes, from node to node. Raises ShapeError for a size beyond 64 bits.
    """
    sizes = shape.sizes
    if sizes is None:
        return shape
    if len(sizes) > MOST_AXES:
        return UNKNOWN
    for size in sizes:
        if size is not None and size > LARGEST_SIZE:
            raise ShapeError(f"a size has {size.bit_length()} bits; sizes have at most 63")
    return shape


def scalar() -> TensorShape:
    """The shape of a scalar."""
    return SCALAR


def vector(length: Any) -> TensorShape:
    """The shape of a vector."""
    return TensorShape([length])


def matrix(rows: Any, columns: Any) -> TensorShape:
    """The shape of a matrix."""
    return TensorShape([rows, columns])


def broadcast(a: TensorShape, b: TensorShape) -> TensorShape:
    """The shape of an elementwise operation on `a` and `b`, by numpy's rule.

    Raises ShapeError when two known sizes neither agree nor are 1.
    """
    x, y = a.sizes, b.sizes
    if x == y:
        return a
    if x is None or y is None:
        return UNKNOWN
    if not x:
        return b
    if not y:
        return a
    longer, shorter = (x, y) if len(x) >= len(y) else (y, x)
    lead = len(longer) - len(shorter)
    sizes = list(longer[:lead])
    for p, q in zip(longer[lead:], shorter, strict=True):
        if p == q or q == 1:
            sizes.append(p)
        elif p == 1:
            sizes.append(q)
        elif p is None or q is None:
            sizes.append(q if p is None else p)
        else:
            raise ShapeError(
                f"Dimensions must be equal, but are {p} and {q}: shapes {a} and {b} do not broadcast"
            )
    return TensorShape.of(tuple(sizes))
