"""Recurrent cells: one step of a recurrent network, its variables made at the first call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ckpt.core import dtypes, nest
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert, stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.model import initializers
from ckpt.model.saveable import Dependency
from ckpt.model.scopes import variable_scope
from ckpt.model.shared_variables import get_variable
from ckpt.ops import activation, clipping, constants, elementwise, joining, matmul, shaping


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


_FUNCTIONS = {
    "elu": activation.elu,
    "relu": activation.relu,
    "relu6": activation.relu6,
    "selu": activation.selu,
    "sigmoid": elementwise.sigmoid,
    "softmax": activation.softmax,
    "softplus": activation.softplus,
    "softsign": activation.softsign,
    "tanh": elementwise.tanh,
}
"""The activations that a configuration names."""


def _function(activation: Any) -> Any:
    """The activation that a cell uses: tanh unless given; by its name too. Raises ValueError for a name of none."""
    if isinstance(activation, str):
        if activation not in _FUNCTIONS:
            raise ValueError(
                f"Unknown activation function: {activation}. Known: {', '.join(_FUNCTIONS)}"
            )
        return _FUNCTIONS[activation]
    return activation or elementwise.tanh


def _function_name(function: Any) -> Any:
    """How a configuration says an activation."""
    return next((name for name, known in _FUNCTIONS.items() if known is function), function)


def _initializer(value: Any) -> Any:
    """An initializer, also from what a configuration says of it."""
    if isinstance(value, Mapping):
        return getattr(initializers, value["class_name"]).from_config(dict(value["config"]))
    return value


def _described(initializer: Any) -> Any:
    """How a configuration says an initializer."""
    if isinstance(initializer, initializers.Initializer):
        return {"class_name": type(initializer).__name__, "config": initializer.get_config()}
    return initializer


def _depth(inputs_shape: TensorShape) -> int:
    depth = as_shape(inputs_shape).sizes
    if depth is None or depth[-1] is None:
        raise ValueError(f"Expected inputs.shape[-1] to be known, saw shape: {inputs_shape}")
    return depth[-1]


class BasicRNNCell(RNNCell):
    """output = state = activation(W · [inputs, state] + b). inputs: [batch, depth], state: [batch, units]."""

    def __init__(self, num_units: int, activation: Any = None, reuse: Any = None, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:  # fmt: skip
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self._num_units = num_units
        self._activation = _function(activation)

    @property
    def state_size(self) -> Any:
        """The number of units."""
        return self._num_units

    @property
    def output_size(self) -> Any:
        """The number of units."""
        return self._num_units

    def _config(self) -> dict[str, Any]:
        return {
            "num_units": self._num_units,
            "activation": _function_name(self._activation),
            "reuse": self._reuse,
        }

    def build(self, inputs_shape: Any) -> None:
        """Make kernel and bias."""
        self._kernel = self.add_variable(
            "kernel", [_depth(inputs_shape) + self._num_units, self._num_units]
        )
        self._bias = self.add_variable(
            "bias", [self._num_units], initializer=initializers.Zeros(dtype=self._dtype)
        )

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        gates = matmul.matmul(joining.concat([inputs, state], 1), self._kernel)
        output = self._activation(activation.bias_add(gates, self._bias))
        return output, output


class GRUCell(RNNCell):
    """Gated recurrent unit. inputs: [batch, depth], state and output: [batch, units].

    Source: Cho et al. 2014, arXiv:1406.1078.
    """

    def __init__(self, num_units: int, activation: Any = None, reuse: Any = None, kernel_initializer: Any = None, bias_initializer: Any = None, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:  # fmt: skip
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self._num_units = num_units
        self._activation = _function(activation)
        self._kernel_initializer = _initializer(kernel_initializer)
        self._bias_initializer = _initializer(bias_initializer)

    @property
    def state_size(self) -> Any:
        """The number of units."""
        return self._num_units

    @property
    def output_size(self) -> Any:
        """The number of units."""
        return self._num_units

    def _config(self) -> dict[str, Any]:
        return {
            "num_units": self._num_units,
            "kernel_initializer": _described(self._kernel_initializer),
            "bias_initializer": _described(self._bias_initializer),
            "activation": _function_name(self._activation),
            "reuse": self._reuse,
        }

    def build(self, inputs_shape: Any) -> None:
        """Make the kernels and biases of the gates and of the candidate."""
        rows, units = _depth(inputs_shape) + self._num_units, self._num_units
        given, bias = self._kernel_initializer, self._bias_initializer
        ones = bias if bias is not None else initializers.Constant(1.0, dtype=self._dtype)
        zeros = bias if bias is not None else initializers.Zeros(dtype=self._dtype)
        self._gate_kernel = self.add_variable("gates/kernel", [rows, 2 * units], initializer=given)
        self._gate_bias = self.add_variable("gates/bias", [2 * units], initializer=ones)
        self._candidate_kernel = self.add_variable(
            "candidate/kernel", [rows, units], initializer=given
        )
        self._candidate_bias = self.add_variable("candidate/bias", [units], initializer=zeros)

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        gates = matmul.matmul(joining.concat([inputs, state], 1), self._gate_kernel)
        gates = elementwise.sigmoid(activation.bias_add(gates, self._gate_bias))
        reset, update = joining.split(value=gates, num_or_size_splits=2, axis=1)
        candidate = matmul.matmul(
            joining.concat([inputs, reset * state], 1), self._candidate_kernel
        )
        candidate = self._activation(activation.bias_add(candidate, self._candidate_bias))
        new = update * state + (1 - update) * candidate
        return new, new


class _LSTMState(NamedTuple):
    c: Any
    h: Any


class LSTMStateTuple(_LSTMState):
    """The state of an LSTM: what it remembers (c) and what it said last (h)."""

    __slots__ = ()

    @property
    def dtype(self) -> Any:
        """The dtype of both. Raises TypeError when they differ."""
        if self.c.dtype != self.h.dtype:
            raise TypeError(f"Inconsistent internal state: {self.c.dtype} vs {self.h.dtype}")
        return self.c.dtype


class BasicLSTMCell(RNNCell):
    """LSTM without peepholes, clipping or projection; `forget_bias` is added to the forget gate.

    Source: Zaremba et al. 2014, arXiv:1409.2329; the gates stand in the order input, new, forget, output.
    """

    def __init__(self, num_units: int, forget_bias: float = 1.0, state_is_tuple: bool = True, activation: Any = None, reuse: Any = None, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:  # fmt: skip
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self._num_units = num_units
        self._forget_bias = forget_bias
        self._state_is_tuple = state_is_tuple
        self._activation = _function(activation)

    @property
    def state_size(self) -> Any:
        """The sizes of c and h."""
        units = self._num_units
        return LSTMStateTuple(units, units) if self._state_is_tuple else 2 * units

    @property
    def output_size(self) -> Any:
        """The number of units."""
        return self._num_units

    def _config(self) -> dict[str, Any]:
        return {
            "num_units": self._num_units,
            "forget_bias": self._forget_bias,
            "state_is_tuple": self._state_is_tuple,
            "activation": _function_name(self._activation),
            "reuse": self._reuse,
        }

    def build(self, inputs_shape: Any) -> None:
        """Make kernel and bias."""
        units = self._num_units
        self._kernel = self.add_variable("kernel", [_depth(inputs_shape) + units, 4 * units])
        self._bias = self.add_variable(
            "bias", [4 * units], initializer=initializers.Zeros(dtype=self._dtype)
        )

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        sigmoid, add, mul = elementwise.sigmoid, elementwise.add, elementwise.mul
        one = constants.constant(1, dtype=dtypes.int32)
        c, h = (
            state
            if self._state_is_tuple
            else joining.split(value=state, num_or_size_splits=2, axis=one)
        )
        gates = matmul.matmul(joining.concat([inputs, h], 1), self._kernel)
        gates = activation.bias_add(gates, self._bias)
        i, j, f, o = joining.split(value=gates, num_or_size_splits=4, axis=one)
        forget = constants.constant(self._forget_bias, dtype=f.dtype.base_dtype)
        kept = mul(c, sigmoid(add(f, forget)))
        new_c = add(kept, mul(sigmoid(i), self._activation(j)))
        new_h = mul(self._activation(new_c), sigmoid(o))
        if self._state_is_tuple:
            return new_h, LSTMStateTuple(new_c, new_h)
        return new_h, joining.concat([new_c, new_h], 1)


class LSTMCell(RNNCell):
    """LSTM with optional peepholes, cell clipping and projection of the output.

    Source: Sak et al. 2014, "Long short-term memory recurrent neural network architectures".
    """

    def __init__(
        self, num_units: int, use_peepholes: bool = False, cell_clip: float | None = None, initializer: Any = None,
        num_proj: int | None = None, proj_clip: float | None = None, num_unit_shards: Any = None,
        num_proj_shards: Any = None, forget_bias: float = 1.0, state_is_tuple: bool = True, activation: Any = None,
        reuse: Any = None, name: str | None = None, dtype: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self._num_units = num_units
        self._use_peepholes = use_peepholes
        self._cell_clip = cell_clip
        self._initializer = _initializer(initializer)
        self._num_proj = num_proj
        self._proj_clip = proj_clip
        self._num_unit_shards = num_unit_shards
        self._num_proj_shards = num_proj_shards
        self._forget_bias = forget_bias
        self._state_is_tuple = state_is_tuple
        self._activation = _function(activation)

    @property
    def state_size(self) -> Any:
        """The sizes of c and h."""
        units, out = self._num_units, self._num_proj or self._num_units
        return LSTMStateTuple(units, out) if self._state_is_tuple else units + out

    @property
    def output_size(self) -> Any:
        """The size of the projection, else the number of units."""
        return self._num_proj or self._num_units

    def _config(self) -> dict[str, Any]:
        return {
            "num_units": self._num_units,
            "use_peepholes": self._use_peepholes,
            "cell_clip": self._cell_clip,
            "initializer": _described(self._initializer),
            "num_proj": self._num_proj,
            "proj_clip": self._proj_clip,
            "num_unit_shards": self._num_unit_shards,
            "num_proj_shards": self._num_proj_shards,
            "forget_bias": self._forget_bias,
            "state_is_tuple": self._state_is_tuple,
            "activation": _function_name(self._activation),
            "reuse": self._reuse,
        }

    def build(self, inputs_shape: Any) -> None:
        """Make kernel, bias and what peepholes and projection need."""
        units = self._num_units
        rows = _depth(inputs_shape) + (self._num_proj or units)
        start = self._initializer
        self._kernel = self.add_variable("kernel", [rows, 4 * units], initializer=start)
        self._bias = self.add_variable(
            "bias", [4 * units], initializer=initializers.Zeros(dtype=self._dtype)
        )
        if self._use_peepholes:
            self._w_f_diag = self.add_variable("w_f_diag", [units], initializer=start)
            self._w_i_diag = self.add_variable("w_i_diag", [units], initializer=start)
            self._w_o_diag = self.add_variable("w_o_diag", [units], initializer=start)
        if self._num_proj is not None:
            self._proj_kernel = self.add_variable(
                "projection/kernel", [units, self._num_proj], initializer=start
            )

    def call(self, inputs: Any, state: Any) -> Any:
        """One step."""
        units, out = self._num_units, self._num_proj or self._num_units
        if self._state_is_tuple:
            c, h = state
        else:
            c, h = joining.split(value=state, num_or_size_splits=[units, out], axis=1)
        gates = activation.bias_add(
            matmul.matmul(joining.concat([inputs, h], 1), self._kernel), self._bias
        )
        i, j, f, o = joining.split(value=gates, num_or_size_splits=4, axis=1)
        sigmoid = elementwise.sigmoid
        f = f + self._forget_bias
        if self._use_peepholes:
            kept = sigmoid(f + self._w_f_diag * c) * c
            new_c = kept + sigmoid(i + self._w_i_diag * c) * self._activation(j)
        else:
            new_c = sigmoid(f) * c + sigmoid(i) * self._activation(j)
        if self._cell_clip is not None:
            new_c = clipping.clip_by_value(new_c, -self._cell_clip, self._cell_clip)
        if self._use_peepholes:
            o = o + self._w_o_diag * new_c
        new_h = sigmoid(o) * self._activation(new_c)
        if self._num_proj is not None:
            new_h = matmul.matmul(new_h, self._proj_kernel)
            if self._proj_clip is not None:
                new_h = clipping.clip_by_value(new_h, -self._proj_clip, self._proj_clip)
        if self._state_is_tuple:
            return new_h, LSTMStateTuple(new_c, new_h)
        return new_h, joining.concat([new_c, new_h], 1)
