"""Handles of tensors that a session keeps: what a fetched handle is, read, fed and let go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt.core.dtypes import DType
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.kept_tensors import KIND, KeptTensors
from ckpt.graph.operation import Tensor

if TYPE_CHECKING:
    from ckpt.run.state import SessionState

TYPES = frozenset({"GetSessionHandle"})
"""Operations whose fetched results are handles."""


class TensorHandle:
    """A tensor that stays in its session: `handle` names it there, `eval()` gives its value, and it can be fed."""

    def __init__(self, handle: str, dtype: DType, state: SessionState) -> None:
        self.handle = handle
        self._dtype = dtype
        self._state = state

    def _kept(self) -> KeptTensors:
        return self._state.resource(KIND, "", "", KeptTensors)  # type: ignore[no-any-return]  # what it makes

    def __str__(self) -> str:
        return self.handle

    def get_raw_handle(self) -> str:
        """The handle as a string."""
        return self.handle

    def value(self) -> Any:
        """The array as it is kept, read-only. Raises TypeError when it was deleted."""
        try:
            return self._kept().value(self.handle)
        except KeyError:
            raise TypeError(
                f"Persistent tensor {self.handle} may have already been deleted."
            ) from None

    def eval(self) -> Any:
        """The value, the caller's own. Raises TypeError when it was deleted."""
        found = self.value()
        return (
            found.copy() if isinstance(found, np.ndarray) and found.ndim else np.asarray(found)[()]
        )

    def delete(self) -> None:
        """Keep the value no longer. Raises TypeError when it was deleted before."""
        self.value()
        self._kept().drop(self.handle)

    def fed_to(self, tensor: Tensor) -> Any:
        """The value for `tensor`. Raises InvalidArgumentError where that has another dtype."""
        wanted = tensor._dtype.base_dtype
        if wanted != self._dtype:
            raise InvalidArgumentError(
                None,
                None,
                f"Expects {tensor.name} to be {wanted.name} but {self._dtype.name} is provided",
            )
        return self.value()
