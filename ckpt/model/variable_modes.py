"""How copies of a variable on several machines would go together: kept for TensorFlow's signatures, here is one copy."""

from __future__ import annotations

import enum
from typing import Any


class VariableSynchronization(enum.Enum):
    """When copies of a variable on several machines agree; here there is one copy."""

    AUTO = 0
    NONE = 1
    ON_WRITE = 2
    ON_READ = 3


class VariableAggregation(enum.Enum):
    """How updates of several copies become one; here there is one copy."""

    NONE = 0
    SUM = 1
    MEAN = 2
    ONLY_FIRST_REPLICA = 3


def mode_of(kind: Any, value: Any) -> Any:
    """The member of an enumeration that `value` is, or whose number it is; the first for None. Raises ValueError for others."""
    if isinstance(value, kind):
        return value
    if value is None or (isinstance(value, int) and value in [m.value for m in kind]):
        return kind(value or 0)
    words = "synchronization" if kind is VariableSynchronization else "aggregation"
    raise ValueError(f"Invalid variable {words} mode: {value}.")
