"""Datasets of what a Python generator yields."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core import arrays, dtypes, nest
from ckpt.core.shapes import as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.model import dataset_structure as structure
from ckpt.model.dataset_function import ElementFunction
from ckpt.ops import datasets_calls, script


class _Iterations:
    """The iterations of a generator that are under way, by number."""

    def __init__(self, generator: Callable[..., Any]) -> None:
        self._generator = generator
        self._numbers = itertools.count()
        self._running: dict[int, Any] = {}
        self._lock = threading.Lock()

    def begin(self, *args: Any) -> np.int64:
        """The number of a new iteration."""
        with self._lock:
            number = next(self._numbers)
        self._running[number] = iter(self._generator(*args))
        return np.int64(number)

    def next(self, number: Any) -> Any:
        """What is yielded next; StopIteration behind the last."""
        return next(self._running[int(number)])

    def end(self, number: Any) -> np.int64:
        """Forget an iteration."""
        del self._running[int(number)]
        return np.int64(0)


def generated(
    generator: Callable[..., Any], spec: Any, args: Any, dataset: Callable[..., Any]
) -> tuple[Any, Callable[..., Any]]:
    """(the element to begin with, the function that makes a dataset of it)."""
    if not callable(generator):
        raise TypeError("`generator` must be a Python callable.")
    given = () if args is None else tuple(convert.convert_n_to_tensor(args, name="args"))
    iterations = _Iterations(generator)
    leaves = nest.flatten(spec)

    def begin(*arguments: Any) -> Any:
        return script.py_func(iterations.begin, list(arguments) if given else [], dtypes.int64)

    def following(number: Tensor) -> Any:
        number.set_shape([])

        def values(number: Any) -> Any:
            return _checked(iterations.next(number), spec, leaves)

        found = script.py_func(values, [number], [leaf.dtype for leaf in leaves])
        for tensor, leaf in zip(found, leaves, strict=True):
            tensor.set_shape(leaf.shape)
        return nest.pack_sequence_as(spec, found)

    def end(number: Tensor) -> Any:
        return script.py_func(iterations.end, [number], dtypes.int64)

    def flat(*arguments: Tensor) -> Any:
        specs = tuple(structure.spec_of(argument) for argument in arguments)
        init = ElementFunction(begin, "Dataset_from_generator_get_iterator_id_fn", [specs], dataset)
        follow = ElementFunction(following, "Dataset_from_generator_generator_next_fn", [init.spec], dataset)  # fmt: skip
        finish = ElementFunction(end, "Dataset_from_generator_finalize_fn", [init.spec], dataset)
        variant = datasets_calls.generator_dataset(
            [*arguments, *init.captured], follow.captured, finish.captured, init_func=init.attribute,
            next_func=follow.attribute, finalize_func=finish.attribute,
            output_types=structure.component_types(spec), output_shapes=structure.component_shapes(spec),
        )  # fmt: skip
        return dataset(variant, spec)

    return (given or np.int32(0)), flat


def _checked(yielded: Any, spec: Any, leaves: list[Any]) -> list[Any]:
    """The leaves as arrays. Raises TypeError for another structure, dtype or shape than was promised."""
    try:
        flat = nest.flatten_up_to(spec, yielded, check_types=False)
    except (TypeError, ValueError):
        raise TypeError(
            "`generator` yielded an element that did not match the expected structure. The expected structure was "
            f"{structure.legacy_types(spec)}, but the yielded element was {yielded}."
        ) from None
    made = []
    for value, leaf in zip(flat, leaves, strict=True):
        try:
            array = arrays.array_of(value, leaf.dtype)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(
                "`generator` yielded an element that could not be converted to the expected type. The expected type was "
                f"{leaf.dtype.name}, but the yielded element was {value}."
            ) from None
        if not leaf.shape.is_compatible_with(as_shape(array.shape)):
            raise TypeError(
                f"`generator` yielded an element of shape {array.shape} where an element of shape {leaf.shape} was expected."
            )
        made.append(array)
    return made
