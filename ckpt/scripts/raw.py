"""Operations by their type names, inputs and attributes by keyword: `tf.raw_ops.Add(x=1, y=2)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt.graph.opdef import OPS


def operation(type_name: str) -> Callable[..., Any]:
    """A function that adds a node of this type. Raises AttributeError for a type that ckpt does not have."""
    try:
        opdef = OPS[type_name]
    except KeyError:
        raise AttributeError(
            f"ckpt has no operation {type_name!r}; docs/coverage.md lists what it has"
        ) from None

    def raw(*args: Any, **kwargs: Any) -> Any:
        if args:
            inputs = ", ".join(arg.name for arg in opdef.inputs)
            raise TypeError(f"{type_name} only takes keyword args: {inputs}, its attributes, name")
        return opdef(**kwargs)

    raw.__name__ = raw.__qualname__ = type_name
    raw.__doc__ = opdef.kernel.__doc__
    return raw
