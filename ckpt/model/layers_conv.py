"""Convolution layers: plain in one to three dimensions, separable, transposed."""

from __future__ import annotations

from typing import Any

from ckpt.core.shapes import TensorShape, as_shape
from ckpt.model.initializers import Zeros
from ckpt.model.layer import InputSpec, Layer, known_size
from ckpt.model.layers_pool import checked_format, checked_padding, normalized
from ckpt.ops import activation, convolution, joining, shaping, spatial, volumes
from ckpt.ops.windows import window_count

ZEROS = Zeros()


class Conv(Layer):
    """activation(convolution(inputs, kernel) + bias). Subclasses say the number of dimensions."""

    rank = 2

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = None, bias_initializer: Any = ZEROS, kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, trainable: bool = True, name: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            trainable=trainable, name=name, activity_regularizer=activity_regularizer, **kwargs
        )
        self.filters = filters
        self.kernel_size = normalized(kernel_size, self.rank, "kernel_size")
        self.strides = normalized(strides, self.rank, "strides")
        self.padding = checked_padding(padding)
        self.data_format = checked_format(data_format)
        self.dilation_rate = normalized(dilation_rate, self.rank, "dilation_rate")
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.bias_regularizer = bias_regularizer
        self.kernel_constraint = kernel_constraint
        self.bias_constraint = bias_constraint
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.kernel: Any = None
        self.bias: Any = None

    @property
    def _is_first(self) -> bool:
        return self.data_format == "channels_first"

    @property
    def _format(self) -> str:
        space = {1: "W", 2: "HW", 3: "DHW"}[self.rank]
        return f"NC{space}" if self._is_first else f"N{space}C"

    def _channels(self, input_shape: Any) -> int:
        axis = 1 if self._is_first else -1
        found = known_size(input_shape, axis, "The channel dimension")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: found})
        return found

    def _kernel_shape(self, channels: int) -> list[int]:
        return [*self.kernel_size, channels, self.filters]

    def build(self, input_shape: Any) -> None:
        """Make kernel and bias."""
        self.kernel = self.add_variable(
            "kernel", self._kernel_shape(self._channels(input_shape)), initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self._build_bias()
        self.built = True

    def _build_bias(self) -> None:
        if self.use_bias:
            self.bias = self.add_variable(
                "bias", [self.filters], initializer=self.bias_initializer, regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip

    def call(self, inputs: Any, **_: Any) -> Any:
        """The layer's function."""
        outputs = spatial.convolution_(
            input=inputs, filter=self.kernel, dilation_rate=self.dilation_rate, strides=self.strides,
            padding=self.padding.upper(), data_format=self._format, name=f"Conv{self.rank}D",
        )  # fmt: skip
        return self._finished(outputs)

    def _finished(self, outputs: Any) -> Any:
        outputs = self._with_bias(outputs)
        return outputs if self.activation is None else self.activation(outputs)

    def _with_bias(self, outputs: Any) -> Any:
        if not self.use_bias:
            return outputs
        layout = "NCHW" if self._is_first else "NHWC"
        return activation.bias_add(outputs, self.bias, data_format=layout)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape that an input of this shape comes out with."""
        sizes = as_shape(input_shape).with_rank(self.rank + 2).as_list()
        start = 2 if self._is_first else 1
        places = zip(
            sizes[start : start + self.rank],
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            strict=True,
        )
        space = [window_count(n, k, s, self.padding.upper(), dilation=d) for n, k, s, d in places]
        return TensorShape(
            [sizes[0], self.filters, *space] if self._is_first else [sizes[0], *space, self.filters]
        )


class Conv1D(Conv):
    """Convolution of sequences."""

    rank = 1


class Conv2D(Conv):
    """Convolution of images."""


class Conv3D(Conv):
    """Convolution of volumes."""

    rank = 3


class SeparableConv2D(Conv):
    """Each channel convolved by itself, then all channels mixed."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = (1, 1), depth_multiplier: int = 1,
        activation: Any = None, use_bias: bool = True, depthwise_initializer: Any = None,
        pointwise_initializer: Any = None, bias_initializer: Any = ZEROS, depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        depthwise_constraint: Any = None, pointwise_constraint: Any = None, bias_constraint: Any = None,
        trainable: bool = True, name: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            bias_initializer=bias_initializer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, bias_constraint=bias_constraint, trainable=trainable,
            name=name, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = depthwise_initializer
        self.pointwise_initializer = pointwise_initializer
        self.depthwise_regularizer = depthwise_regularizer
        self.pointwise_regularizer = pointwise_regularizer
        self.depthwise_constraint = depthwise_constraint
        self.pointwise_constraint = pointwise_constraint
        self.depthwise_kernel: Any = None
        self.pointwise_kernel: Any = None

    def build(self, input_shape: Any) -> None:
        """Make both kernels and the bias."""
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_variable(
            "depthwise_kernel", [*self.kernel_size, channels, self.depth_multiplier],
            initializer=self.depthwise_initializer, regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )  # fmt: skip
        self.pointwise_kernel = self.add_variable(
            "pointwise_kernel", [*(1,) * self.rank, self.depth_multiplier * channels, self.filters],
            initializer=self.pointwise_initializer, regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )  # fmt: skip
        self._build_bias()
        self.built = True

    def call(self, inputs: Any, **_: Any) -> Any:
        """The layer's function."""
        strides = [1, 1, *self.strides] if self._is_first else [1, *self.strides, 1]
        return self._finished(spatial.separable_conv2d(
            inputs, self.depthwise_kernel, self.pointwise_kernel, strides, self.padding.upper(),
            rate=self.dilation_rate, data_format=self._format,
        ))  # fmt: skip


class SeparableConv1D(SeparableConv2D):
    """`SeparableConv2D` for sequences."""

    rank = 1

    def __init__(self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
                 data_format: str = "channels_last", dilation_rate: Any = 1, **kwargs: Any) -> None:  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, **kwargs
        )

    def call(self, inputs: Any, **_: Any) -> Any:
        """The layer's function, on images of one row."""
        axis, step, rate = (2 if self._is_first else 1), self.strides[0], self.dilation_rate[0]
        strides = [1, 1, step, step] if self._is_first else [1, step, step, 1]
        found = spatial.separable_conv2d(
            shaping.expand_dims(inputs, axis), shaping.expand_dims(self.depthwise_kernel, 0),
            shaping.expand_dims(self.pointwise_kernel, 0), strides, self.padding.upper(), rate=[1, rate],
            data_format="NCHW" if self._is_first else "NHWC",
        )  # fmt: skip
        outputs = shaping.squeeze(self._with_bias(found), [axis])
        return outputs if self.activation is None else self.activation(outputs)


class _Transposed(Conv):
    """The transposed convolution: kernels are [..., filters, channels]."""

    def __init__(self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
                 data_format: str = "channels_last", activation: Any = None, use_bias: bool = True,
                 kernel_initializer: Any = None, bias_initializer: Any = ZEROS, kernel_regularizer: Any = None,
                 bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
                 bias_constraint: Any = None, trainable: bool = True, name: Any = None, **kwargs: Any) -> None:  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, 1, activation, use_bias, kernel_initializer,
            bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer, kernel_constraint,
            bias_constraint, trainable, name, **kwargs,
        )  # fmt: skip

    def _kernel_shape(self, channels: int) -> list[int]:
        return [*self.kernel_size, self.filters, channels]

    def _grown(self, size: Any, window: int, stride: int) -> Any:
        """The size of an axis afterwards."""
        if size is None:
            return None
        found = size * stride
        return found + max(window - stride, 0) if self.padding == "valid" else found

    def call(self, inputs: Any, **_: Any) -> Any:
        """The layer's function."""
        start = 2 if self._is_first else 1
        sizes, shape = inputs.shape.as_list(), shaping.shape(inputs)
        places = range(start, start + self.rank)
        space = [
            self._grown(shape[p] if sizes[p] is None else sizes[p], k, s)
            for p, k, s in zip(places, self.kernel_size, self.strides, strict=True)
        ]
        batch = shape[0]
        wanted = [batch, self.filters, *space] if self._is_first else [batch, *space, self.filters]
        more = {"padding": self.padding.upper(), "data_format": self._format}
        strides = [1, 1, *self.strides] if self._is_first else [1, *self.strides, 1]
        function = convolution.conv2d_transpose if self.rank == 2 else volumes.conv3d_transpose
        outputs = function(inputs, self.kernel, joining.stack(wanted), strides, **more)
        outputs.set_shape(self.compute_output_shape(inputs.shape))
        return self._finished(outputs)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape that an input of this shape comes out with."""
        sizes = as_shape(input_shape).with_rank(self.rank + 2).as_list()
        start = 2 if self._is_first else 1
        for place, (k, s) in enumerate(
            zip(self.kernel_size, self.strides, strict=True), start=start
        ):
            sizes[place] = self._grown(sizes[place], k, s)
        sizes[1 if self._is_first else -1] = self.filters
        return TensorShape(sizes)


class Conv2DTranspose(_Transposed):
    """The transposed convolution of images."""


class Conv3DTranspose(_Transposed):
    """The transposed convolution of volumes."""

    rank = 3


def _function(kind: Any) -> Any:
    def function(
        inputs: Any, *args: Any, reuse: Any = None, name: Any = None, **kwargs: Any
    ) -> Any:
        return kind(*args, name=name, _reuse=reuse, _scope=name, **kwargs).apply(inputs)

    function.__doc__ = f"A new {kind.__name__} layer with these arguments, applied; `reuse` shares variables by name."
    return function


conv1d = _function(Conv1D)
conv2d = _function(Conv2D)
conv3d = _function(Conv3D)
separable_conv1d = _function(SeparableConv1D)
separable_conv2d = _function(SeparableConv2D)
conv2d_transpose = _function(Conv2DTranspose)
conv3d_transpose = _function(Conv3DTranspose)
