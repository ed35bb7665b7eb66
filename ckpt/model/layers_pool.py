"""Pooling layers in one to three dimensions."""

from __future__ import annotations

from typing import Any

from ckpt.core.shapes import TensorShape, as_shape
from ckpt.model.layer import InputSpec, Layer
from ckpt.ops import spatial
from ckpt.ops.windows import window_count


def normalized(value: Any, count: int, name: str) -> tuple[int, ...]:
    """An argument given as one int or `count` ints, as `count` ints. Raises ValueError naming it otherwise."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,) * count
    try:
        found = tuple(value)
    except TypeError:
        found = ()
    if len(found) != count or not all(isinstance(v, int) or hasattr(v, "__index__") for v in found):
        raise ValueError(
            f"The `{name}` argument must be a tuple of {count} integers. Received: {value}"
        )
    return tuple(int(v) for v in found)


def checked_format(data_format: str) -> str:
    """`channels_last` or `channels_first`. Raises ValueError for anything else."""
    found = str(data_format).lower()
    if found not in ("channels_last", "channels_first"):
        raise ValueError(
            f'The `data_format` argument must be one of "channels_first", "channels_last". Received: {data_format}'
        )
    return found


def checked_padding(padding: str) -> str:
    """`valid` or `same`. Raises ValueError for anything else."""
    found = str(padding).lower()
    if found not in ("valid", "same"):
        raise ValueError(
            f'The `padding` argument must be one of "valid", "same". Received: {padding}'
        )
    return found


class Pooling(Layer):
    """The largest or the mean of each window. Subclasses say the number of dimensions and which of the two."""

    count = 2
    kind = "MAX"

    def __init__(
        self, pool_size: Any, strides: Any, padding: str = "valid", data_format: str = "channels_last",
        name: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        self.pool_size = normalized(pool_size, self.count, "pool_size")
        self.strides = normalized(strides, self.count, "strides")
        self.padding = checked_padding(padding)
        self.data_format = checked_format(data_format)
        self.input_spec = InputSpec(ndim=self.count + 2)

    def call(self, inputs: Any, **_: Any) -> Any:
        """The layer's function."""
        return spatial.pooled(
            inputs, list(self.pool_size), list(self.strides), self.kind, self.padding.upper(),
            self.data_format == "channels_first",
        )  # fmt: skip

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The shape that an input of this shape comes out with."""
        sizes = as_shape(input_shape).with_rank(self.count + 2).as_list()
        start = 2 if self.data_format == "channels_first" else 1
        for place in range(self.count):
            sizes[start + place] = window_count(
                sizes[start + place],
                self.pool_size[place],
                self.strides[place],
                self.padding.upper(),
            )
        return TensorShape(sizes)


def _made(name: str, count: int, kind: str) -> tuple[type[Pooling], Any]:
    made = type(name, (Pooling,), {"count": count, "kind": kind, "__module__": __name__,
                                   "__doc__": f"{kind} pooling in {count} dimensions."})  # fmt: skip

    def function(
        inputs: Any, pool_size: Any, strides: Any, padding: str = "valid", data_format: str = "channels_last",
        name: Any = None,
    ) -> Any:  # fmt: skip
        return made(pool_size, strides, padding, data_format, name).apply(inputs)

    function.__doc__ = f"A new {name} layer, applied."
    return made, function


MaxPooling1D, max_pooling1d = _made("MaxPooling1D", 1, "MAX")
MaxPooling2D, max_pooling2d = _made("MaxPooling2D", 2, "MAX")
MaxPooling3D, max_pooling3d = _made("MaxPooling3D", 3, "MAX")
AveragePooling1D, average_pooling1d = _made("AveragePooling1D", 1, "AVG")
AveragePooling2D, average_pooling2d = _made("AveragePooling2D", 2, "AVG")
AveragePooling3D, average_pooling3d = _made("AveragePooling3D", 3, "AVG")
