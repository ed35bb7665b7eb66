"""`map_fn`, `scan`, `foldl` and `foldr`: a function applied along the first axis, as loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ckpt.core import nest
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.loops import while_loop
from ckpt.model.tensor_array import TensorArray
from ckpt.ops import constants, shaping


def _check(fn: Any, what: str = "fn") -> None:
    if not callable(fn):
        raise TypeError(f"{what} must be callable.")


@contextmanager
def _scope(name: str | None, default: str, values: list[Any]) -> Iterator[None]:
    """The name scope of the function, and a variable scope so that variables are made once for all elements."""
    with name_scope(name, default, [v for v in values if hasattr(v, "graph")]):
        yield


def _length(tensors: list[Tensor]) -> Any:
    """How many elements there are: the first axis, static where any tensor knows it."""
    static = tensors[0].shape.with_rank_at_least(1)
    for tensor in tensors[1:]:
        static = TensorShape([static[0]]).merge_with([tensor.shape.with_rank_at_least(1)[0]])
    size = static.sizes[0] if static.sizes else None
    return size if size is not None else shaping.shape(tensors[0])[0]


def _arrays_of(tensors: list[Tensor], length: Any) -> list[TensorArray]:
    return [
        TensorArray(t.dtype.base_dtype, size=length, dynamic_size=False, infer_shape=True).unstack(
            t
        )
        for t in tensors
    ]


def map_fn(
    fn: Callable[[Any], Any],
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
    fn_output_signature: Any = None,
) -> Any:
    """`fn` of each element (or nest of elements) along the first axis, stacked.

    `dtype` is the nest of dtypes of the results where it is not that of `elems`. Raises TypeError when `fn` cannot be
    called, ValueError when nests do not fit.
    """
    _check(fn)
    dtype = dtype if fn_output_signature is None else fn_output_signature
    flat = nest.flatten(elems)
    with name_scope(name, "map", [v for v in flat if hasattr(v, "graph")]):
        tensors = [convert.convert_to_tensor(e, name="elem") for e in flat]
        for tensor in tensors:
            if tensor.shape.rank == 0:
                raise ValueError("elements in elems must be 1+ dimensional Tensors, not scalars")
        kinds = [t.dtype.base_dtype for t in tensors] if dtype is None else nest.flatten(dtype)
        length = _length(tensors)
        arrays = _arrays_of(tensors, length)
        first = constants.constant(0)
        results = [
            TensorArray(kind, size=length, dynamic_size=False, infer_shape=infer_shape)
            for kind in kinds
        ]

        def body(i: Tensor, held: list[TensorArray]) -> Any:
            values = nest.pack_sequence_as(elems, [a.read(i) for a in arrays])
            returned = fn(values)
            nest.assert_same_structure(elems if dtype is None else dtype, returned)
            found = nest.flatten(returned)
            return i + 1, [a.write(i, v) for a, v in zip(held, found, strict=True)]

        _, done = while_loop(
            lambda i, _: i < length,
            body,
            (first, results),
            parallel_iterations=parallel_iterations or 10,
            back_prop=back_prop,
            swap_memory=swap_memory,
            _counted=True,
        )
        stacked = [_stacked(array, tensors) for array in done]
        return nest.pack_sequence_as(elems if dtype is None else dtype, stacked)


def _stacked(array: TensorArray, tensors: list[Tensor]) -> Tensor:
    found = array.stack()
    size = next(
        (t.shape.sizes[0] for t in tensors if t.shape.sizes and t.shape.sizes[0] is not None), None
    )
    if found.shape.sizes is not None:
        found.set_shape(TensorShape([size]).concatenate(found.shape[1:]))
    return found


def scan(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """All the values that `a = fn(a, element)` takes along the first axis, stacked; backwards with `reverse`.

    `a` begins as `initializer`, else as the first element, which is then the first result.
    """
    _check(fn)
    flat = nest.flatten(elems)
    with name_scope(name, "scan", [v for v in flat if hasattr(v, "graph")]):
        tensors = [convert.convert_to_tensor(e, name="elem") for e in flat]
        length = _length(tensors)
        arrays = _arrays_of(tensors, length)
        first = (length - 1 if reverse else 0) if initializer is None else None
        like = elems if initializer is None else initializer
        if initializer is None:
            starts = [a.read(first) for a in arrays]
        else:
            starts = [convert.convert_to_tensor(a) for a in nest.flatten(initializer)]
        results = [
            TensorArray(
                s.dtype.base_dtype, size=length, dynamic_size=False, infer_shape=infer_shape,
                element_shape=s.shape if infer_shape else None,
            )
            for s in starts
        ]  # fmt: skip
        done = 0
        if initializer is None:
            results = [r.write(first, s) for r, s in zip(results, starts, strict=True)]
            done = 1

        def body(i: Tensor, held: list[Tensor], out: list[TensorArray]) -> Any:
            values = nest.pack_sequence_as(elems, [a.read(i) for a in arrays])
            returned = fn(nest.pack_sequence_as(like, held), values)
            nest.assert_same_structure(like, returned)
            found = nest.flatten(returned)
            written = [a.write(i, v) for a, v in zip(out, found, strict=True)]
            return (i - 1 if reverse else i + 1), found, written

        if reverse:
            start = length - 1 - done
            condition: Callable[..., Any] = lambda i, _1, _2: i >= 0  # noqa: E731  # one of two
        else:
            start = done
            condition = lambda i, _1, _2: i < length  # noqa: E731  # one of two
        _, _, outputs = while_loop(
            condition,
            body,
            (start, starts, results),
            parallel_iterations=parallel_iterations,
            back_prop=back_prop,
            swap_memory=swap_memory,
            _counted=True,
        )
        stacked = [_stacked(array, tensors) for array in outputs]
        return nest.pack_sequence_as(like, stacked)


def _fold(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any,
    parallel_iterations: int,
    back_prop: bool,
    swap_memory: bool,
    name: str | None,
    is_left: bool,
) -> Any:
    _check(fn)
    flat = nest.flatten(elems)
    with name_scope(
        name, "foldl" if is_left else "foldr", [v for v in flat if hasattr(v, "graph")]
    ):
        tensors = [convert.convert_to_tensor(e, name="elem") for e in flat]
        length = _length(tensors)
        arrays = _arrays_of(tensors, length)
        done = 0
        like = elems if initializer is None else initializer
        if initializer is None:
            done = 1
            first = 0 if is_left else length - 1
            begin = nest.pack_sequence_as(elems, [a.read(first) for a in arrays])
        else:
            begin = nest.map_structure(convert.convert_to_tensor, initializer)
        start = done if is_left else length - 1 - done

        def body(i: Tensor, held: list[Any]) -> Any:
            values = nest.pack_sequence_as(elems, [a.read(i) for a in arrays])
            returned = fn(nest.pack_sequence_as(like, held), values)
            nest.assert_same_structure(like, returned)
            return (i + 1 if is_left else i - 1), nest.flatten(returned)

        def condition(i: Tensor, _: Any) -> Any:
            return i < length if is_left else i >= 0

        _, found = while_loop(
            condition,
            body,
            (constants.constant(start) if is_left else start, nest.flatten(begin)),
            parallel_iterations=parallel_iterations,
            back_prop=back_prop,
            swap_memory=swap_memory,
            _counted=True,
        )
        return nest.pack_sequence_as(like, found)


def foldl(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last of the values that `a = fn(a, element)` takes from the first element to the last."""
    return _fold(fn, elems, initializer, parallel_iterations, back_prop, swap_memory, name, True)


def foldr(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last of the values that `a = fn(a, element)` takes from the last element to the first."""
    return _fold(fn, elems, initializer, parallel_iterations, back_prop, swap_memory, name, False)
