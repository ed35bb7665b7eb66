"""Batch normalisation as a layer: statistics of the batch while training, moving averages otherwise.

Source of the arithmetic: Ioffe and Szegedy 2015, arXiv:1502.03167; renormalisation: Ioffe 2017, arXiv:1702.03275.
"""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.model.initializers import Ones, Zeros
from ckpt.model.layer import InputSpec, Layer, smart_choice, smart_constant
from ckpt.ops import (
    activation,
    batch_norm,
    casting,
    constants,
    control,
    elementwise,
    moments,
    reduction,
    shaping,
    state,
)

ZEROS = Zeros()
ONES = Ones()


class BatchNormalization(Layer):
    """Each channel of the inputs brought to mean `beta` and standard deviation `gamma`."""

    def __init__(
        self, axis: Any = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = ZEROS, gamma_initializer: Any = ONES, moving_mean_initializer: Any = ZEROS,
        moving_variance_initializer: Any = ONES, beta_regularizer: Any = None, gamma_regularizer: Any = None,
        beta_constraint: Any = None, gamma_constraint: Any = None, renorm: bool = False, renorm_clipping: Any = None,
        renorm_momentum: float = 0.99, fused: bool | None = None, trainable: bool = True,
        virtual_batch_size: int | None = None, adjustment: Any = None, name: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, trainable=trainable, **kwargs)
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = beta_initializer
        self.gamma_initializer = gamma_initializer
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer
        self.beta_regularizer = beta_regularizer
        self.gamma_regularizer = gamma_regularizer
        self.beta_constraint = beta_constraint
        self.gamma_constraint = gamma_constraint
        self.renorm = renorm
        self.renorm_clipping = dict(renorm_clipping or {})
        unknown = set(self.renorm_clipping) - {"rmax", "rmin", "dmax"}
        if unknown:
            raise ValueError(
                f"renorm_clipping {renorm_clipping} contains keys not in rmax, rmin, dmax"
            )
        self.renorm_momentum = renorm_momentum
        self.fused = fused
        self.virtual_batch_size = virtual_batch_size
        self.adjustment = adjustment
        if fused and renorm:
            raise ValueError("Passing fused=True is only supported without renorm.")
        if fused and (virtual_batch_size is not None or adjustment is not None):
            raise ValueError(
                "When fused=True, virtual_batch_size and adjustment cannot be specified."
            )
        self.gamma: Any = None
        self.beta: Any = None
        self.moving_mean: Any = None
        self.moving_variance: Any = None

    def build(self, input_shape: Any) -> None:
        """Make gamma, beta and the moving averages."""
        shape = as_shape(input_shape)
        if shape.rank is None:
            raise ValueError(f"Input has undefined rank: {shape}")
        rank, sizes = shape.rank, shape.as_list()
        given = self.axis if isinstance(self.axis, list) else [self.axis]
        self.axis = [a + rank if a < 0 else a for a in given]
        if any(not 0 <= a < rank for a in self.axis):
            raise ValueError(f"Invalid axis: {given}")
        if len(set(self.axis)) != len(self.axis):
            raise ValueError(f"Duplicate axis: {self.axis}")
        if self.virtual_batch_size is not None and (self.virtual_batch_size <= 0 or 0 in self.axis):
            raise ValueError(
                "virtual_batch_size must be a positive integer, and axis 0 is no axis of its own then"
            )
        along = {a: sizes[a] for a in self.axis}
        if None in along.values():
            raise ValueError(f"Input has undefined `axis` dimension. Input shape: {shape}")
        self._choose_fused(rank)
        self.input_spec = InputSpec(ndim=rank, axes=along)
        self._add_variables(self._param_shape(rank, along))
        self.built = True

    def _choose_fused(self, rank: int) -> None:
        possible = (
            rank == 4 and self.axis in ([1], [3]) and not self.renorm and self.virtual_batch_size is None
            and self.adjustment is None
        )  # fmt: skip
        if self.fused and not possible:
            raise ValueError(
                f"fused=True needs inputs of rank 4 and axis 1 or 3, got rank {rank} and axis {self.axis}"
            )
        self.fused = possible if self.fused is None else self.fused
        self._data_format = "NCHW" if self.axis == [1] else "NHWC"

    def _param_shape(self, rank: int, along: dict[int, int]) -> list[int]:
        if len(along) == 1 and self.virtual_batch_size is None:
            return list(along.values())
        shape = [along.get(i, 1) for i in range(rank)]
        if self.virtual_batch_size is not None:
            shape.insert(1, 1)
            self.axis = [a + 1 for a in self.axis]
        return shape

    def _add_variables(self, shape: list[int]) -> None:
        narrow = self._dtype in (dtypes.float16, dtypes.bfloat16)
        kind = dtypes.float32 if narrow or self._dtype is None else self._dtype
        if self.scale:
            self.gamma = self.add_variable(
                "gamma",
                shape,
                kind,
                self.gamma_initializer,
                self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_variable(
                "beta",
                shape,
                kind,
                self.beta_initializer,
                self.beta_regularizer,
                constraint=self.beta_constraint,
            )

        def moving(name: str, sizes: list[int], initializer: Any) -> Any:
            return self.add_variable(name, sizes, kind, initializer, trainable=False)

        self.moving_mean = moving("moving_mean", shape, self.moving_mean_initializer)
        self.moving_variance = moving("moving_variance", shape, self.moving_variance_initializer)
        if self.renorm:

            def spread(sizes: Any, dtype: Any = None, **more: Any) -> Any:
                initializer = self.moving_variance_initializer
                if isinstance(initializer, type):
                    initializer = initializer()
                return elementwise.sqrt(initializer(sizes, dtype=dtype))

            self.moving_stddev = moving("moving_stddev", shape, spread)
            self.renorm_mean = moving("renorm_mean", shape, ZEROS)
            self.renorm_stddev = moving("renorm_stddev", shape, spread)

    def _move(self, variable: Any, value: Any, momentum: Any) -> Any:
        """The update of a moving average; `momentum` may be a tensor."""
        kind = variable.dtype.base_dtype
        with name_scope("AssignMovingAvg", values=[variable, value]) as scope:
            if hasattr(momentum, "op"):
                rate = casting.cast(1.0 - momentum, kind)
            else:
                rate = constants.constant(1.0 - momentum, dtype=kind, name="decay")
            delta = (variable.value() - casting.cast(value, kind)) * rate
            return state.assign_sub(variable, delta, name=scope)

    def _moved(self, variable: Any, value: Any, momentum: float, training: Any) -> Any:
        """The update of a moving average while training; its value, unchanged, otherwise."""
        return smart_choice(
            training,
            lambda: self._move(variable, value, momentum),
            lambda: control.identity(variable.value()),
        )

    def call(self, inputs: Any, training: Any = False, **_: Any) -> Any:
        """The layer's function. `training` may be a bool tensor."""
        if self.virtual_batch_size is not None:
            original = [-1, *inputs.shape.as_list()[1:]]
            groups = shaping.reshape(inputs, [self.virtual_batch_size, -1, *original[1:]])
            return shaping.reshape(self._normalized(groups, training, inputs), original)
        if self.fused:
            return self._fused(inputs, training)
        return self._normalized(inputs, training, inputs)

    def _fused(self, inputs: Any, training: Any) -> Any:
        beta = self.beta if self.center else self._everywhere(0.0)
        gamma = self.gamma if self.scale else self._everywhere(1.0)
        more: dict[str, Any] = {"epsilon": self.epsilon, "data_format": self._data_format}

        def normalized(is_training: bool) -> Any:
            return batch_norm.fused_batch_norm(
                inputs,
                gamma,
                beta,
                mean=self.moving_mean.value(),
                variance=self.moving_variance.value(),
                is_training=is_training,
                **more,
            )

        output, mean, variance = smart_choice(
            training, lambda: normalized(True), lambda: normalized(False)
        )
        if smart_constant(training) is not False:
            momentum = smart_choice(
                training,
                lambda: constants.constant(self.momentum),
                lambda: constants.constant(1.0),
            )
            for variable, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                self.add_update(self._move(variable, value, momentum), inputs=inputs)
        return output

    def _everywhere(self, value: float) -> Any:
        """`value` for each channel: what stands for a beta or gamma that is not wanted."""
        mean = self.moving_mean
        return constants.constant(value, dtype=mean.dtype.base_dtype, shape=mean.shape)

    def _normalized(self, inputs: Any, training: Any, outer: Any) -> Any:
        rank = inputs.shape.rank
        axes = [i for i in range(rank) if i not in self.axis]
        if self.virtual_batch_size is not None:
            del axes[1]
        shape = [1] * rank
        shape[self.axis[0]] = inputs.shape.as_list()[self.axis[0]]

        def wide(value: Any) -> Any:
            if value is None or len(value.shape) == rank or axes == list(range(rank - 1)):
                return value
            return shaping.reshape(value, shape)

        scale, offset = wide(self.gamma), wide(self.beta)
        if smart_constant(training) is False:
            mean, variance = self.moving_mean, self.moving_variance
        else:
            if self.adjustment:
                scale, offset = _then(*self._adjusted(inputs, training), scale, offset)
            mean, variance, scale, offset = self._trained(
                inputs, axes, training, outer, scale, offset, wide
            )
        outputs = moments.batch_normalization(
            inputs, wide(mean), wide(variance), offset, scale, self.epsilon
        )
        outputs.set_shape(inputs.shape)
        return outputs

    def _adjusted(self, inputs: Any, training: Any) -> tuple[Any, Any]:
        scale, bias = self.adjustment(shaping.shape(inputs))
        return (
            smart_choice(training, lambda: scale, lambda: constants.ones_like(scale)),
            smart_choice(training, lambda: bias, lambda: constants.zeros_like(bias)),
        )

    def _trained(
        self,
        inputs: Any,
        axes: list[int],
        training: Any,
        outer: Any,
        scale: Any,
        offset: Any,
        wide: Any,
    ) -> tuple[Any, Any, Any, Any]:
        """(mean, variance, scale, offset) to normalise with; adds the updates of the moving averages."""
        keep = self.virtual_batch_size is not None or len(self.axis) > 1
        batch_mean, batch_variance = moments.moments(inputs, axes, keepdims=keep)
        mean = smart_choice(
            training, lambda: batch_mean, lambda: _like(self.moving_mean, batch_mean)
        )
        variance = smart_choice(
            training, lambda: batch_variance, lambda: _like(self.moving_variance, batch_variance)
        )
        new_mean, new_variance = mean, variance
        if self.renorm:
            r, d, new_mean, new_variance = self._corrections(mean, variance, training)
            r = control.stop_gradient(r, name="renorm_r")
            d = control.stop_gradient(d, name="renorm_d")
            scale, offset = _then(wide(r), wide(d), scale, offset)
        if self.virtual_batch_size is not None:
            new_mean = reduction.reduce_mean(new_mean, axis=1, keepdims=True)
            new_variance = reduction.reduce_mean(new_variance, axis=1, keepdims=True)
        self.add_update(
            self._moved(self.moving_mean, new_mean, self.momentum, training), inputs=outer
        )
        moved = self._moved_stddev if self.renorm else self._moved_variance
        self.add_update(
            smart_choice(
                training,
                lambda: moved(new_variance),
                lambda: control.identity(self.moving_variance.value()),
            ),
            inputs=outer,
        )
        return mean, variance, scale, offset

    def _moved_variance(self, variance: Any) -> Any:
        return self._move(self.moving_variance, variance, self.momentum)

    def _moved_stddev(self, variance: Any) -> Any:
        """The moving variance as the square of a moving standard deviation: batch renormalisation divides by it."""
        stddev = elementwise.sqrt(variance + self.epsilon)
        moved = self._move(self.moving_stddev, stddev, self.momentum)
        squared = activation.relu(moved * moved - self.epsilon)
        return state.assign(self.moving_variance, squared, name="AssignNewValue")

    def _corrections(self, mean: Any, variance: Any, training: Any) -> tuple[Any, Any, Any, Any]:
        """(r, d, mean, variance) of batch renormalisation; the latter two once their moving averages have moved."""
        stddev = elementwise.sqrt(variance + self.epsilon)
        # At first the averages can be 0: then the least deviation that there can be stands for them.
        usual = elementwise.maximum(self.renorm_stddev.value(), elementwise.sqrt(self.epsilon))
        r = stddev / usual
        d = (mean - self.renorm_mean.value()) / usual
        with control_dependencies([r, d]):
            mean, stddev = control.identity(mean), control.identity(stddev)
        limits = self.renorm_clipping
        if limits.get("rmin") is not None:
            r = elementwise.maximum(r, limits["rmin"])
        if limits.get("rmax") is not None:
            r = elementwise.minimum(r, limits["rmax"])
        if limits.get("dmax") is not None:
            d = elementwise.minimum(elementwise.maximum(d, -limits["dmax"]), limits["dmax"])
        r = smart_choice(training, lambda: r, lambda: constants.ones_like(r))
        d = smart_choice(training, lambda: d, lambda: constants.zeros_like(d))
        moved = [
            self._moved(variable, control.identity(value), self.renorm_momentum, training)
            for variable, value in ((self.renorm_mean, mean), (self.renorm_stddev, stddev))
        ]
        with control_dependencies(moved):
            return r, d, control.identity(mean), control.identity(variance)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The same shape."""
        return as_shape(input_shape)


def _like(variable: Any, value: Any) -> Any:
    """The variable's value in the dtype of `value`."""
    return casting.cast(variable.value(), value.dtype)


def _then(scale: Any, offset: Any, then_scale: Any, then_offset: Any) -> tuple[Any, Any]:
    """One scale and offset for x * scale + offset followed by * then_scale + then_offset."""
    if then_scale is not None:
        scale, offset = scale * then_scale, offset * then_scale
    return scale, offset if then_offset is None else offset + then_offset


def batch_normalization(
    inputs: Any, axis: Any = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
    scale: bool = True, beta_initializer: Any = ZEROS, gamma_initializer: Any = ONES,
    moving_mean_initializer: Any = ZEROS, moving_variance_initializer: Any = ONES, beta_regularizer: Any = None,
    gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, training: Any = False,
    trainable: bool = True, name: Any = None, reuse: Any = None, renorm: bool = False, renorm_clipping: Any = None,
    renorm_momentum: float = 0.99, fused: bool | None = None, virtual_batch_size: int | None = None,
    adjustment: Any = None,
) -> Any:  # fmt: skip
    """A new BatchNormalization layer, applied; its updates are in the collection of updates."""
    layer = BatchNormalization(
        axis, momentum, epsilon, center, scale, beta_initializer, gamma_initializer, moving_mean_initializer,
        moving_variance_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint, renorm,
        renorm_clipping, renorm_momentum, fused, trainable, virtual_batch_size, adjustment, name, _reuse=reuse,
        _scope=name,
    )  # fmt: skip
    return layer.apply(inputs, training=training)
