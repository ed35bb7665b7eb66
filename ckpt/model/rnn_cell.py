"""What a recurrent cell is: one step of a recurrent network, its variables made at the first call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ckpt.core import dtypes, nest
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert, stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.model.saveable import Dependency
from ckpt.model.scopes import variable_scope
from ckpt.model.shared_variables import get_variable
from ckpt.ops import constants, joining, shaping


class RNNCell:
    """Base of all cells: `cell(inputs, state)` returns (output, new state).

    Derived classes give `state_size`, `output_size` and either `call(inputs, state)` or `__call__`. Variables that
    `build` or `call` ask for are made by the first call and shared by the others.
    """

    built: bool
    trainable: bool
    _scope: Any
    _weights: list[Any]
    _weight_names: list[str]

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: Any = None, _reuse: Any = None, **kwargs: Any
    ) -> None:  # fmt: skip
        self._prepare()
        self.trainable = trainable
        self._reuse = _reuse
        self._base_name = name or _snake_case(type(self).__name__)
        self._dtype = dtype

    def _prepare(self) -> None:
        """Set what calls need; also for derived classes that do not call this class's `__init__`."""
        self.__dict__.setdefault("built", False)
        self.__dict__.setdefault("trainable", True)
        self.__dict__.setdefault("_reuse", None)
        self.__dict__.setdefault("_scope", None)
        self.__dict__.setdefault("_base_name", _snake_case(type(self).__name__))
        self.__dict__.setdefault("_weights", [])
        self.__dict__.setdefault("_weight_names", [])
        self.__dict__.setdefault("_dtype", None)

    @property
    def state_size(self) -> Any:
        """The size of the state: an int, a TensorShape, or a nest of them."""
        raise NotImplementedError("Abstract method")

    @property
    def output_size(self) -> Any:
        """The size of the output: an int or a TensorShape."""
        raise NotImplementedError("Abstract method")

    @property
    def name(self) -> str:
        """The name of the variables' scope, or what it will be."""
        self._prepare()
        return self._base_name

    @property
    def scope_name(self) -> str:
        """The full name of the variables' scope. Raises ValueError before the first call."""
        self._prepare()
        if self._scope is None:
            raise ValueError(
                f'No name available for layer scope because the layer "{self.name}" has not been used yet.'
            )
        return str(self._scope.name)

    @property
    def variables(self) -> list[Any]:
        """The variables of the cell."""
        self._prepare()
        return list(self._weights)

    weights = variables

    @property
    def trainable_variables(self) -> list[Any]:
        """The variables that optimizers change."""
        return self.variables if self.trainable else []

    trainable_weights = trainable_variables

    def add_variable(
        self, name: str, shape: Any, initializer: Any = None, dtype: Any = None, **options: Any
    ) -> Any:
        """The variable `name` of the cell's scope."""
        found = get_variable(
            name,
            shape=as_shape(shape),
            dtype=dtypes.as_dtype(dtype or self._dtype or dtypes.float32),
            initializer=initializer,
            trainable=self.trainable,
            **options,
        )
        if found not in self._weights:
            self._weights.append(found)
            self._weight_names.append(name)
        return found

    add_weight = add_variable

    @property
    def _checkpoint_dependencies(self) -> list[Dependency]:
        """What an object-based checkpoint finds here, by the names that it has there."""
        self._prepare()
        return list(map(Dependency, self._weight_names, self._weights))

    def get_config(self) -> dict[str, Any]:
        """What makes an equal cell by `from_config`. Functions stand in it by their names, those of others as they are."""
        self._prepare()
        dtype = None if self._dtype is None else dtypes.as_dtype(self._dtype).name
        return {"name": self.name, "trainable": self.trainable, "dtype": dtype, **self._config()}

    def _config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """The cell that `get_config` described."""
        return cls(**config)

    def build(self, inputs_shape: Any) -> None:
        """Make the variables; called once, with the static shape of the inputs."""

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        raise NotImplementedError("Abstract method")

    def __call__(
        self, inputs: Any, state: Any, scope: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """One step: (output, new state). The first call makes the variables, in `scope` where given."""
        self._prepare()
        if self._scope is None:
            if self._reuse:
                context = variable_scope(
                    scope if scope is not None else self._base_name, reuse=True
                )
            else:
                context = variable_scope(scope, default_name=self._base_name)
            with context as opened:
                self._scope = opened
        reuse = True if self.built or self._reuse else None
        with (
            variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False),
            name_scope(self._scope.original_name_scope or None),
        ):
            if not self.built:
                tensors = [convert.convert_to_tensor(t) for t in nest.flatten(inputs)]
                if self._dtype is None and tensors:
                    self._dtype = tensors[0].dtype.base_dtype
                shapes = [t.shape for t in tensors]
                self.build(shapes[0] if not nest.is_nested(inputs) else shapes)
                found = self.call(inputs, state, *args, **kwargs)
                self.built = True
            else:
                found = self.call(inputs, state, *args, **kwargs)
        stack.get_default_graph().get_collection_ref(GraphKeys.UPDATE_OPS)  # as after any layer
        return found

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """A state of zeros, in the nest of `state_size`."""
        with name_scope(type(self).__name__ + "ZeroState"):
            return zero_state_of(self.state_size, batch_size, dtype)


def _snake_case(name: str) -> str:
    middle = re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    found = re.sub("([a-z])([A-Z])", r"\1_\2", middle).lower()
    return found if found[0] != "_" else "private" + found


def is_cell(value: Any) -> bool:
    """True for an RNNCell and for anything that can be used as one."""
    return isinstance(value, RNNCell) or (
        hasattr(value, "output_size") and hasattr(value, "state_size") and callable(value)
        and hasattr(value, "zero_state")
    )  # fmt: skip


def check_cell(cell: Any, name: str = "cell") -> None:
    """Raise TypeError for what is none."""
    if not is_cell(cell):
        raise TypeError(f"{name} must be an instance of RNNCell")


def zero_state_of(state_size: Any, batch_size: Any, dtype: Any) -> Any:
    """Zeros of the shapes [batch, *size] for each size of a nest."""

    def zeros(size: Any, kind: Any) -> Tensor:
        sizes = as_shape(size).as_list() if not isinstance(size, int) else [size]
        found = constants.zeros(joining.concat(leading_sizes(batch_size, sizes), 0), kind)
        known = batch_size if not isinstance(batch_size, Tensor) else constant_value(batch_size)
        leading_sizes(batch_size, sizes)  # TensorFlow makes them once more, for the static shape
        found.set_shape([None if known is None else int(known), *sizes])
        return found

    sizes = nest.flatten(state_size) if not isinstance(state_size, TensorShape) else [state_size]
    kinds = nest.flatten(dtype) if nest.is_nested(dtype) else [dtype] * len(sizes)
    made = [zeros(size, kind) for size, kind in zip(sizes, kinds, strict=True)]
    return (
        made[0] if isinstance(state_size, TensorShape) else nest.pack_sequence_as(state_size, made)
    )


def leading_sizes(batch_size: Any, sizes: Any) -> list[Tensor]:
    """The parts of the shape [batch, *sizes]."""
    if isinstance(batch_size, Tensor):
        batch = shaping.expand_dims(batch_size, 0)
    else:
        batch = constants.constant([int(batch_size)], dtype=dtypes.int32)
    return [batch, constants.constant(sizes, dtype=batch.dtype.base_dtype)]
