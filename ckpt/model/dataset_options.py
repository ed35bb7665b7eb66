"""`tf.data.Options`: how fast a dataset may be made. They change no element; graphs carry them in TensorFlow's bytes.

Numbers of fields and their order were learnt from the bytes that TensorFlow 2.21 writes.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar


class AutoShardPolicy(enum.IntEnum):
    """How a dataset is divided among machines; ckpt has one."""

    OFF = -1
    AUTO = 0
    FILE = 1
    DATA = 2
    HINT = 3


class AutotuneAlgorithm(enum.Enum):
    """How TensorFlow searches for good numbers of threads."""

    DEFAULT = 0
    HILL_CLIMB = 1
    GRADIENT_DESCENT = 2
    MAX_PARALLELISM = 3
    STAGE_BASED = 4


class ExternalStatePolicy(enum.Enum):
    """What is to happen when the position of a dataset with a state outside is saved."""

    WARN = 0
    IGNORE = 1
    FAIL = 2


class _Settings:
    """Attributes that are None until they are set: `_FIELDS` says number and type of each.

    Raises AttributeError for another attribute, TypeError for a value of another type.
    """

    _FIELDS: ClassVar[dict[str, tuple[int, Any]]] = {}
    _DEFAULTS: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.__dict__["_set"] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._FIELDS:
            raise AttributeError(f"{type(self).__name__} has no option {name!r}")
        if name not in self._set:
            kind = self._FIELDS[name][1]
            is_nested = isinstance(kind, type) and issubclass(kind, _Settings)
            if not is_nested:
                return self._DEFAULTS.get(name)
            self._set[name] = kind()
        return self._set[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._FIELDS]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._FIELDS:
            raise AttributeError(f"Cannot set the property {name} on {type(self).__name__}.")
        kind = self._FIELDS[name][1]
        if value is not None and not isinstance(value, kind):
            raise TypeError(
                f'Property "{name}" must be of type {kind}, got: {value!r} (type: {type(value)})'
            )
        self._set[name] = value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            getattr(self, name) == getattr(other, name) for name in self._FIELDS
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _merged(self, other: Any) -> Any:
        """New settings: those of `other` where it has some."""
        made = type(self)()
        for name, (_, kind) in self._FIELDS.items():
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(kind, type) and issubclass(kind, _Settings):
                made._set[name] = mine._merged(theirs)
            else:
                chosen = mine if theirs in (None, self._DEFAULTS.get(name)) else theirs
                if chosen is not None:
                    made._set[name] = chosen
        return made

    def _bytes(self) -> bytes:
        """The message of a protocol buffer."""
        found = b""
        for name, (number, _) in sorted(self._FIELDS.items(), key=lambda item: item[1][0]):
            value = getattr(self, name)
            if isinstance(value, _Settings):
                found += _delimited(number, value._bytes())
            elif value is None or value == self._DEFAULTS.get(name):
                continue
            elif isinstance(value, str):
                found += _delimited(number, value.encode())
            elif isinstance(value, list):
                found += b"".join(_delimited(number, str(text).encode()) for text in value)
            else:
                found += _varint(number << 3) + _varint(int(getattr(value, "value", value)))
        return found


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def _delimited(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


class DistributeOptions(_Settings):
    """How a dataset is divided among machines."""

    _FIELDS: ClassVar[dict[str, tuple[int, Any]]] = {
        "auto_shard_policy": (1, AutoShardPolicy),
        "num_devices": (2, int),
    }
    _DEFAULTS: ClassVar[dict[str, Any]] = {"auto_shard_policy": AutoShardPolicy.AUTO}


class OptimizationOptions(_Settings):
    """Which rewritings of the graph TensorFlow may do; ckpt does none."""

    _FIELDS: ClassVar[dict[str, tuple[int, Any]]] = {
        "apply_default_optimizations": (1, bool), "filter_fusion": (6, bool), "map_and_batch_fusion": (9, bool),
        "map_and_filter_fusion": (10, bool), "map_fusion": (11, bool), "map_parallelization": (12, bool),
        "noop_elimination": (14, bool), "parallel_batch": (15, bool), "shuffle_and_repeat_fusion": (17, bool),
        "filter_parallelization": (18, bool), "inject_prefetch": (19, bool), "seq_interleave_prefetch": (21, bool),
    }  # fmt: skip


class ThreadingOptions(_Settings):
    """How many threads TensorFlow may use; ckpt goes by `num_parallel_calls`."""

    _FIELDS: ClassVar[dict[str, tuple[int, Any]]] = {
        "max_intra_op_parallelism": (1, int),
        "private_threadpool_size": (2, int),
    }


class AutotuneOptions(_Settings):
    """How TensorFlow searches for good numbers of threads and buffers."""

    _FIELDS: ClassVar[dict[str, tuple[int, Any]]] = {
        "enabled": (1, bool), "cpu_budget": (2, int), "ram_budget": (3, int),
        "autotune_algorithm": (4, AutotuneAlgorithm), "initial_parallelism": (5, int), "min_parallelism": (6, int),
    }  # fmt: skip


class ServiceOptions(_Settings):
    """What TensorFlow's data service needs to know; ckpt has none."""


class Options(_Settings):
    """How a dataset may be made, for `Dataset.with_options`. The order of elements is the same whatever they say."""

    _FIELDS: ClassVar[dict[str, tuple[int, Any]]] = {
        "deterministic": (1, bool), "experimental_distribute": (2, DistributeOptions),
        "experimental_optimization": (3, OptimizationOptions), "experimental_slack": (4, bool),
        "threading": (5, ThreadingOptions), "experimental_external_state_policy": (6, ExternalStatePolicy),
        "autotune": (7, AutotuneOptions), "experimental_symbolic_checkpoint": (8, bool),
        "experimental_warm_start": (9, bool), "dataset_name": (10, str), "framework_type": (11, list),
        "experimental_service": (12, ServiceOptions),
    }  # fmt: skip
    _OLD: ClassVar[dict[str, str]] = {
        "experimental_deterministic": "deterministic",
        "experimental_threading": "threading",
    }

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(self._OLD.get(name, name))

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(self._OLD.get(name, name), value)

    def merge(self, options: Options) -> Options:
        """New options: those of `options` where it has some, these elsewhere."""
        made: Options = self._merged(options)
        return made
