"""Dense, dropout and flattening layers."""

from __future__ import annotations

from typing import Any

from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph.scopes import name_scope
from ckpt.model.initializers import Zeros
from ckpt.model.layer import InputSpec, Layer, known_size, smart_choice
from ckpt.ops import activation, constants, contraction, control, dropout, matmul, shaping

ZEROS = Zeros()


class Dense(Layer):
    """activation(inputs @ kernel + bias) along the last axis."""

    def __init__(
        self, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = None,
        bias_initializer: Any = ZEROS, kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        trainable: bool = True, name: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            trainable=trainable, name=name, activity_regularizer=activity_regularizer, **kwargs
        )
        self.units = int(units)
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.bias_regularizer = bias_regularizer
        self.kernel_constraint = kernel_constraint
        self.bias_constraint = bias_constraint
        self.input_spec = InputSpec(min_ndim=2)
        self.kernel: Any = None
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        """Make kernel and bias."""
        width = known_size(input_shape, -1, "The last dimension")
        self.input_spec = InputSpec(min_ndim=2, axes={-1: width})
        self.kernel = self.add_variable(
            "kernel", [width, self.units], initializer=self.kernel_initializer, regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_variable(
                "bias", [self.units], initializer=self.bias_initializer, regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip
        self.built = True

    def call(self, inputs: Any, **_: Any) -> Any:
        """The layer's function."""
        outputs = (
            matmul.matmul(inputs, self.kernel)
            if inputs.shape.rank == 2
            else self._over_last(inputs)
        )
        if self.use_bias:
            outputs = activation.bias_add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def _over_last(self, inputs: Any) -> Any:
        """The product along the last axis of inputs of more axes, flattened to a matrix and back."""
        outer = inputs.shape.as_list()[:-1]
        if outer.count(None) != 1:
            outputs = contraction.tensordot(inputs, self.kernel, [[len(outer)], [0]])
        else:  # nothing but the batch is unknown: no shape needs to be computed at run time
            width = self.kernel.shape.as_list()[0]
            with name_scope("Tensordot") as scope:
                product = matmul.matmul(shaping.reshape(inputs, [-1, width]), self.kernel)
                shape = [-1 if s is None else s for s in outer] + [self.units]
                outputs = shaping.reshape(product, shape, name=scope)
        outputs.set_shape([*outer, self.units])
        return outputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape that an input of this shape comes out with."""
        shape = as_shape(input_shape).with_rank_at_least(2)
        known_size(shape, -1, "The innermost dimension")
        found: TensorShape = shape[:-1].concatenate(self.units)
        return found


class Dropout(Layer):
    """Zeroes elements at random while `training`."""

    def __init__(
        self,
        rate: Any = 0.5,
        noise_shape: Any = None,
        seed: int | None = None,
        name: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.rate = rate
        self.noise_shape = noise_shape
        self.seed = seed

    def call(self, inputs: Any, training: Any = False, **_: Any) -> Any:
        """The layer's function."""

        def dropped() -> Any:
            return dropout.dropout(
                inputs, noise_shape=self.noise_shape, seed=self.seed, rate=self.rate
            )

        return smart_choice(training, dropped, lambda: control.identity(inputs))

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The same shape."""
        return as_shape(input_shape)


class Flatten(Layer):
    """All axes but the first joined into one."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format or "channels_last"
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any, **_: Any) -> Any:
        """The layer's function."""
        if self.data_format == "channels_first" and (inputs.shape.rank or 0) > 2:
            inputs = shaping.transpose(inputs, [0, *range(2, inputs.shape.rank), 1])
        wanted = self.compute_output_shape(inputs.shape)
        sizes = wanted.as_list()
        if sizes.count(None) <= 1 and 0 not in sizes:
            shape: Any = constants.constant([-1 if s is None else s for s in sizes])
        else:
            shape = [shaping.shape(inputs)[0], -1]
        outputs = shaping.reshape(inputs, shape)
        outputs.set_shape(wanted)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """[batch, product of the rest]."""
        shape = as_shape(input_shape).with_rank_at_least(1)
        return TensorShape([shape[0], shape[1:].num_elements()])


def dense(
    inputs: Any, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = None,
    bias_initializer: Any = ZEROS, kernel_regularizer: Any = None, bias_regularizer: Any = None,
    activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
    trainable: bool = True, name: Any = None, reuse: Any = None,
) -> Any:  # fmt: skip
    """A new Dense layer, applied."""
    layer = Dense(
        units, activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        activity_regularizer, kernel_constraint, bias_constraint, trainable, name, _scope=name, _reuse=reuse,
    )  # fmt: skip
    return layer.apply(inputs)


def dropout_(
    inputs: Any,
    rate: Any = 0.5,
    noise_shape: Any = None,
    seed: int | None = None,
    training: Any = False,
    name: Any = None,
) -> Any:
    """A new Dropout layer, applied."""
    return Dropout(rate, noise_shape, seed, name).apply(inputs, training=training)


def flatten(inputs: Any, name: Any = None, data_format: str = "channels_last") -> Any:
    """A new Flatten layer, applied."""
    return Flatten(data_format, name=name).apply(inputs)
