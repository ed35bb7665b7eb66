"""Recurrent cells: plain ones, gated ones, those with long short-term memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.model import initializers
from ckpt.model.rnn_cell import RNNCell
from ckpt.ops import activation, clipping, constants, elementwise, joining, matmul

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
