"""Initial values of variables: objects that make a tensor for a shape and a dtype. Must not know variables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.graph.opdef import opdef_of
from ckpt.ops import constants, diagonals, elementwise, random, shaping


class Initializer:
    """Calling it with a shape, a dtype and (where partitioned) a partition_info gives the initial value."""

    def __init__(self, dtype: Any = dtypes.float32) -> None:
        self.dtype: DType = dtypes.as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The initial value as a tensor."""
        raise TypeError(f"{type(self).__name__} does not say how to make a value; define __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"dtype": self.dtype.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """The initializer with these arguments."""
        return cls(**config)

    def _dtype(self, dtype: Any) -> DType:
        return self.dtype if dtype is None else dtypes.as_dtype(dtype).base_dtype


class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """A tensor of zeros."""
        return constants.zeros(shape, self._dtype(dtype))


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """A tensor of ones."""
        return constants.ones(shape, self._dtype(dtype))


class Constant(Initializer):
    """One value everywhere, or the values of a list or array. Raises ValueError for too many values."""

    def __init__(
        self, value: Any = 0, dtype: Any = dtypes.float32, verify_shape: bool = False
    ) -> None:
        if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray))):
            raise TypeError(
                f"Invalid type for initial value: {type(value)}. Expected Python scalar, list or tuple"
            )
        super().__init__(dtype)
        self.value = value
        self._verify_shape = verify_shape

    def __call__(
        self, shape: Any, dtype: Any = None, partition_info: Any = None, verify_shape: Any = None
    ) -> Any:
        """A constant tensor."""
        verify = self._verify_shape if verify_shape is None else verify_shape
        return constants.constant(self.value, self._dtype(dtype), shape, verify_shape=verify)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"value": self.value, "dtype": self.dtype.name}


class RandomUniform(Initializer):
    """Uniform in [minval, maxval)."""

    def __init__(
        self,
        minval: Any = 0.0,
        maxval: Any = None,
        seed: int | None = None,
        dtype: Any = dtypes.float32,
    ) -> None:
        super().__init__(dtype)
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """A random tensor."""
        return random.random_uniform(
            shape, self.minval, self.maxval, self._dtype(dtype), seed=self.seed
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {
            "minval": self.minval,
            "maxval": self.maxval,
            "seed": self.seed,
            "dtype": self.dtype.name,
        }


class RandomNormal(Initializer):
    """Normal with this mean and standard deviation."""

    def __init__(
        self,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        seed: int | None = None,
        dtype: Any = dtypes.float32,
    ) -> None:
        super().__init__(_floating(dtype))
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """A random tensor."""
        return random.random_normal(
            shape, self.mean, self.stddev, self._dtype(dtype), seed=self.seed
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {
            "mean": self.mean,
            "stddev": self.stddev,
            "seed": self.seed,
            "dtype": self.dtype.name,
        }


class TruncatedNormal(RandomNormal):
    """Normal, values farther than two standard deviations from the mean drawn again."""

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """A random tensor."""
        return random.truncated_normal(
            shape, self.mean, self.stddev, self._dtype(dtype), seed=self.seed
        )


TRUNCATED_STDDEV = 0.87962566103423978
"""The standard deviation of a normal truncated at two: a constant of scipy.stats.truncnorm(-2, 2).std()."""


class VarianceScaling(Initializer):
    """Random with a variance that suits the layer: scale / n for n = fan_in, fan_out or their mean (fan_avg).

    Source: Glorot & Bengio 2010; He et al. 2015, arXiv:1502.01852.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        dtype: Any = dtypes.float32,
    ) -> None:
        if scale <= 0.0:
            raise ValueError(f"`scale` must be positive float. Received: {scale}")
        if mode not in {"fan_in", "fan_out", "fan_avg"}:
            raise ValueError(f"Invalid `mode` argument: {mode}")
        distribution = distribution.lower()
        if distribution not in {"normal", "uniform", "truncated_normal", "untruncated_normal"}:
            raise ValueError(f"Invalid `distribution` argument: {distribution}")
        super().__init__(_floating(dtype))
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """A random tensor."""
        whole = shape if partition_info is None else partition_info.full_shape
        fan_in, fan_out = fans(list(whole))
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[
            self.mode
        ]
        variance = self.scale / max(1.0, count)
        dtype = self._dtype(dtype)
        if self.distribution in ("normal", "truncated_normal"):
            stddev = math.sqrt(variance) / TRUNCATED_STDDEV
            return random.truncated_normal(shape, 0.0, stddev, dtype, seed=self.seed)
        if self.distribution == "untruncated_normal":
            return random.random_normal(shape, 0.0, math.sqrt(variance), dtype, seed=self.seed)
        limit = math.sqrt(3.0 * variance)
        return random.random_uniform(shape, -limit, limit, dtype, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "seed": self.seed,
            "dtype": self.dtype.name,
        }


class GlorotUniform(VarianceScaling):
    """Uniform within sqrt(6 / (fan_in + fan_out)): what get_variable takes when nothing is said."""

    def __init__(self, seed: int | None = None, dtype: Any = dtypes.float32) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed, dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"seed": self.seed, "dtype": self.dtype.name}


class GlorotNormal(VarianceScaling):
    """Truncated normal with standard deviation sqrt(2 / (fan_in + fan_out))."""

    def __init__(self, seed: int | None = None, dtype: Any = dtypes.float32) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"seed": self.seed, "dtype": self.dtype.name}


class LecunNormal(VarianceScaling):
    """Truncated normal with standard deviation sqrt(1 / fan_in)."""

    def __init__(self, seed: int | None = None, dtype: Any = dtypes.float32) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal", seed, dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"seed": self.seed, "dtype": self.dtype.name}


class LecunUniform(LecunNormal):
    """Uniform within sqrt(3 / fan_in)."""

    def __init__(self, seed: int | None = None, dtype: Any = dtypes.float32) -> None:
        VarianceScaling.__init__(self, 1.0, "fan_in", "uniform", seed, dtype)


class HeNormal(LecunNormal):
    """Truncated normal with standard deviation sqrt(2 / fan_in)."""

    def __init__(self, seed: int | None = None, dtype: Any = dtypes.float32) -> None:
        VarianceScaling.__init__(self, 2.0, "fan_in", "truncated_normal", seed, dtype)


class HeUniform(LecunNormal):
    """Uniform within sqrt(6 / fan_in)."""

    def __init__(self, seed: int | None = None, dtype: Any = dtypes.float32) -> None:
        VarianceScaling.__init__(self, 2.0, "fan_in", "uniform", seed, dtype)


class UniformUnitScaling(Initializer):
    """Uniform so that the scale of a linear layer's input is kept: within factor * sqrt(3 / fan_in).

    Source: Sussillo & Abbott 2014, arXiv:1412.6558.
    """

    def __init__(
        self, factor: float = 1.0, seed: int | None = None, dtype: Any = dtypes.float32
    ) -> None:
        super().__init__(_floating(dtype))
        self.factor, self.seed = factor, seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """A random tensor."""
        whole = shape if partition_info is None else partition_info.full_shape
        size = max(1.0, math.prod(float(n) for n in list(whole)[:-1]))
        limit = math.sqrt(3 / size) * self.factor
        return random.random_uniform(shape, -limit, limit, self._dtype(dtype), seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"factor": self.factor, "seed": self.seed, "dtype": self.dtype.name}


class Orthogonal(Initializer):
    """Orthonormal rows or columns (the fewer of them): the Q of a random matrix. Needs two axes or more.

    Source: Saxe et al. 2013, arXiv:1312.6120.
    """

    def __init__(
        self, gain: float = 1.0, seed: int | None = None, dtype: Any = dtypes.float32
    ) -> None:
        super().__init__(_floating(dtype))
        self.gain, self.seed = gain, seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """A random tensor."""
        if len(shape) < 2:
            raise ValueError("The tensor to initialize must be at least two-dimensional")
        rows, columns = math.prod(int(n) for n in shape[:-1]), int(shape[-1])
        flat = (max(columns, rows), min(columns, rows))
        noise = random.random_normal(flat, dtype=self._dtype(dtype), seed=self.seed)
        q, r = opdef_of("Qr")(noise, full_matrices=False)
        q = q * elementwise.sign(opdef_of("DiagPart")(r))
        if rows < columns:
            q = diagonals.matrix_transpose(q)
        return self.gain * shaping.reshape(q, shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"gain": self.gain, "seed": self.seed, "dtype": self.dtype.name}


class Identity(Initializer):
    """The identity matrix times `gain`. Raises ValueError for another number of axes than two."""

    def __init__(self, gain: float = 1.0, dtype: Any = dtypes.float32) -> None:
        super().__init__(_floating(dtype))
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        """The identity matrix."""
        whole = list(shape if partition_info is None else partition_info.full_shape)
        if len(whole) != 2:
            raise ValueError("Identity matrix initializer can only be used for 2D matrices.")
        kind = self._dtype(dtype)
        eye = np.eye(int(whole[0]), int(whole[1]), dtype=kind.as_numpy_dtype)
        if partition_info is not None:
            first = [int(n) for n in partition_info.var_offset]
            eye = eye[first[0] : first[0] + int(shape[0]), first[1] : first[1] + int(shape[1])]
        return self.gain * constants.constant(eye, name="eye")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"gain": self.gain, "dtype": self.dtype.name}


def fans(shape: list[int]) -> tuple[float, float]:
    """(fan_in, fan_out) of a weight: the last two axes times the receptive field before them."""
    sizes = [int(size) for size in shape]
    if len(sizes) < 1:
        return 1, 1
    if len(sizes) == 1:
        return sizes[0], sizes[0]
    field = math.prod(sizes[:-2])
    return sizes[-2] * field, sizes[-1] * field


def _floating(dtype: Any) -> DType:
    found = dtypes.as_dtype(dtype)
    if not found.is_floating:
        raise ValueError(f"Expected floating point type, got {found}.")
    return found
