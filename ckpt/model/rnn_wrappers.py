"""Recurrent cells around other cells: stacks, dropout, residual connections, devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ckpt.core import dtypes, nest
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import device, name_scope
from ckpt.model import rnn_cells
from ckpt.model.rnn_cell import RNNCell, is_cell
from ckpt.model.rnn_cells import LSTMStateTuple
from ckpt.model.saveable import Dependency
from ckpt.model.scopes import variable_scope
from ckpt.ops import constants, dropout, elementwise, joining, random


def _cell_config(cell: Any) -> dict[str, Any]:
    return {"class_name": type(cell).__name__, "config": cell.get_config()}


def _cell_of(config: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    """The cell that a configuration describes; a cell is itself. Raises ValueError for a class that is not known."""
    if not isinstance(config, Mapping):
        return config
    name = config["class_name"]
    known = (
        (custom_objects or {}).get(name) or getattr(rnn_cells, name, None) or globals().get(name)
    )
    if known is None:
        raise ValueError(f"Unknown cell class {name!r}: name it in custom_objects")
    return known.from_config(dict(config["config"]))


class MultiRNNCell(RNNCell):
    """Cells on top of each other: the output of one is the input of the next."""

    def __init__(self, cells: Sequence[Any], state_is_tuple: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not cells:
            raise ValueError("Must specify at least one cell for MultiRNNCell.")
        if not nest.is_nested(cells):
            raise TypeError(f"cells must be a list or tuple, but saw: {cells}.")
        self._cells = list(cells)
        self._state_is_tuple = state_is_tuple
        if not state_is_tuple and any(nest.is_nested(c.state_size) for c in cells):
            raise ValueError(
                "Some cells return tuples of states, but the flag state_is_tuple is not set.  State sizes are: "
                f"{[c.state_size for c in cells]}"
            )

    @property
    def _checkpoint_dependencies(self) -> list[Dependency]:
        return [Dependency(f"cell-{number}", cell) for number, cell in enumerate(self._cells)]

    def _config(self) -> dict[str, Any]:
        cells = [_cell_config(cell) for cell in self._cells]
        return {"cells": cells, "state_is_tuple": self._state_is_tuple}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """The cells that `get_config` described. Classes of your own are looked up in `custom_objects`."""
        cells = [_cell_of(cell, custom_objects) for cell in config["cells"]]
        return cls(**{**config, "cells": cells})

    @property
    def state_size(self) -> Any:
        """The sizes of the cells' states."""
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """The size of the last cell's output."""
        return self._cells[-1].output_size

    @property
    def variables(self) -> list[Any]:
        """The variables of all cells."""
        return [v for cell in self._cells for v in getattr(cell, "variables", ())]

    weights = variables

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """A state of zeros for each cell."""
        with name_scope("MultiRNNCellZeroState"):
            if self._state_is_tuple:
                return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)
            return super().zero_state(batch_size, dtype)

    def call(self, inputs: Any, state: Any) -> Any:
        """One step of each cell."""
        position = 0
        found = []
        for number, cell in enumerate(self._cells):
            with variable_scope(f"cell_{number}"):
                if self._state_is_tuple:
                    if not nest.is_nested(state):
                        raise ValueError(
                            f"Expected state to be a tuple of length {len(self.state_size)}, but received: {state}"
                        )
                    own = state[number]
                else:
                    own = state[:, position : position + cell.state_size]
                    position += cell.state_size
                inputs, new = cell(inputs, own)
                found.append(new)
        return inputs, tuple(found) if self._state_is_tuple else joining.concat(found, 1)


class _Wrapper(RNNCell):
    """A cell around a cell."""

    def __init__(self, cell: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not is_cell(cell):
            raise TypeError("The parameter cell is not a RNNCell.")
        self._cell = cell

    @property
    def _checkpoint_dependencies(self) -> list[Dependency]:
        return [Dependency("cell", self._cell)]

    def _config(self) -> dict[str, Any]:
        return {"cell": _cell_config(self._cell)}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """The wrapper that `get_config` described. A cell of your own class is looked up in `custom_objects`."""
        return cls(**{**config, "cell": _cell_of(config["cell"], custom_objects)})

    @property
    def state_size(self) -> Any:
        """As of the cell inside."""
        return self._cell.state_size

    @property
    def output_size(self) -> Any:
        """As of the cell inside."""
        return self._cell.output_size

    @property
    def variables(self) -> list[Any]:
        """As of the cell inside."""
        return list(self._cell.variables)

    weights = variables

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """As of the cell inside."""
        with name_scope(type(self).__name__ + "ZeroState"):
            return self._cell.zero_state(batch_size, dtype)


class DropoutWrapper(_Wrapper):
    """Dropout of the inputs, states and outputs of a cell.

    Keep probabilities of 1 leave things as they are. With `variational_recurrent` the same elements are dropped in
    every step of a run (needs `dtype`, and `input_size` where inputs are dropped). Memory cells of LSTMs are never
    dropped unless `dropout_state_filter_visitor` says so. Raises ValueError for a probability outside (0, 1].
    """

    def __init__(
        self, cell: Any, input_keep_prob: Any = 1.0, output_keep_prob: Any = 1.0, state_keep_prob: Any = 1.0,
        variational_recurrent: bool = False, input_size: Any = None, dtype: Any = None, seed: int | None = None,
        dropout_state_filter_visitor: Callable[[Any], Any] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(cell, dtype=dtype, **kwargs)
        if dropout_state_filter_visitor is not None and not callable(dropout_state_filter_visitor):
            raise TypeError("dropout_state_filter_visitor must be callable")
        self._dropout_state_filter = dropout_state_filter_visitor or _keeps_memory
        self._seed = seed
        with name_scope("DropoutWrapperInit"):
            self._keep = {
                "input": _probability("input_keep_prob", input_keep_prob),
                "state": _probability("state_keep_prob", state_keep_prob),
                "output": _probability("output_keep_prob", output_keep_prob),
            }
        self._variational = variational_recurrent
        self._noise: dict[str, list[Any]] = {}
        if variational_recurrent:
            if dtype is None:
                raise ValueError("When variational_recurrent=True, dtype must be provided")
            self._make_noise(input_size, dtypes.as_dtype(dtype))
        self._input_size = input_size

    def _config(self) -> dict[str, Any]:
        found = {
            **super()._config(),
            "input_keep_prob": self._keep["input"],
            "output_keep_prob": self._keep["output"],
            "state_keep_prob": self._keep["state"],
            "variational_recurrent": self._variational,
            "input_size": self._input_size,
            "seed": self._seed,
        }
        if self._dropout_state_filter is not _keeps_memory:
            found["dropout_state_filter_visitor"] = self._dropout_state_filter
        return found

    def _make_noise(self, input_size: Any, dtype: Any) -> None:
        sizes = {"state": self._cell.state_size, "output": self._cell.output_size}
        if not _is_one(self._keep["input"]):
            if input_size is None:
                raise ValueError(
                    "When variational_recurrent=True and input_keep_prob < 1.0 or is unknown, input_size must be provided"
                )
            sizes["input"] = input_size
        for what, nested in sizes.items():
            leaves = [nested] if isinstance(nested, TensorShape) else nest.flatten(nested)
            self._noise[what] = [
                random.random_uniform(
                    [1, *(as_shape(s).as_list() if not isinstance(s, int) else [s])],
                    dtype=dtype, seed=self._seed_for(what, i),
                )
                for i, s in enumerate(leaves)
            ]  # fmt: skip

    def _seed_for(self, what: str, index: int) -> int | None:
        if self._seed is None:
            return None
        import hashlib  # beside its only caller

        text = f"{self._seed}_{what}_{index}".encode()
        return int(hashlib.md5(text).hexdigest()[:8], 16) & 0x7FFFFFFF  # noqa: S324  # TensorFlow's seeds

    def _dropped(self, values: Any, what: str, shallow: Any = None) -> Any:
        keep = self._keep[what]
        if _is_one(keep):
            return values
        flat = nest.flatten(values)
        drops = [True] * len(flat) if shallow is None else _spread(shallow, values)
        found = []
        for i, (value, is_dropped) in enumerate(zip(flat, drops, strict=True)):
            if not is_dropped:
                found.append(value)
                continue
            if self._variational:
                kept = elementwise.floor(self._noise[what][i] + keep)
                dropped = value / keep * kept
                dropped.set_shape(value.shape)
            else:
                dropped = dropout.dropout_v2(value, 1.0 - keep, seed=self._seed_for(what, i))
            found.append(dropped)
        return nest.pack_sequence_as(values, found)

    def __call__(
        self, inputs: Any, state: Any, scope: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """One step of the cell inside, with dropout around it."""
        inputs = self._dropped(inputs, "input")
        output, new = (
            self._cell(inputs, state, scope) if scope is not None else self._cell(inputs, state)
        )
        shallow = self._dropout_state_filter(new) if nest.is_nested(new) else True
        new = self._dropped(new, "state", shallow)
        return self._dropped(output, "output"), new


def _keeps_memory(state: Any) -> Any:
    if isinstance(state, LSTMStateTuple):
        return LSTMStateTuple(c=False, h=True)
    if nest.is_nested(state) and not hasattr(state, "_fields"):
        return type(state)(_keeps_memory(member) for member in state)
    return True


def _spread(shallow: Any, values: Any) -> list[bool]:
    if not nest.is_nested(shallow):
        return [bool(shallow)] * len(nest.flatten(values))
    found: list[bool] = []
    for part, value in zip(shallow, values, strict=True):
        found += _spread(part, value)
    return found


def _probability(name: str, value: Any) -> Any:
    if hasattr(value, "graph"):
        return convert.convert_to_tensor(value)
    if not 0 < float(value) <= 1:
        raise ValueError(f"Parameter {name} must be between 0 and 1: {value}")
    constants.constant(float(value))  # TensorFlow makes it, for probabilities that are tensors
    return float(value)


def _is_one(keep: Any) -> bool:
    return not isinstance(keep, Tensor) and keep == 1.0


class ResidualWrapper(_Wrapper):
    """A cell whose inputs are added to its outputs, or combined by `residual_fn(inputs, outputs)`."""

    def __init__(
        self, cell: Any, residual_fn: Callable[[Any, Any], Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(cell, **kwargs)
        self._residual_fn = residual_fn

    def _config(self) -> dict[str, Any]:
        own = {} if self._residual_fn is None else {"residual_fn": self._residual_fn}
        return {**super()._config(), **own}

    def __call__(
        self, inputs: Any, state: Any, scope: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """One step of the cell inside, and the inputs added."""
        outputs, new = (
            self._cell(inputs, state, scope) if scope is not None else self._cell(inputs, state)
        )

        def added(before: Any, after: Any) -> Any:
            before.shape.assert_is_compatible_with(after.shape)
            return before + after

        combine = self._residual_fn or (lambda i, o: nest.map_structure(added, i, o))
        found = combine(inputs, outputs)
        return found, new


class DeviceWrapper(_Wrapper):
    """A cell whose operations carry a device."""

    def __init__(self, cell: Any, device: Any, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        self._device = device

    def _config(self) -> dict[str, Any]:
        return {**super()._config(), "device": self._device}

    def __call__(
        self, inputs: Any, state: Any, scope: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """One step of the cell inside, on the device."""
        with device(self._device):
            return (
                self._cell(inputs, state, scope) if scope is not None else self._cell(inputs, state)
            )
