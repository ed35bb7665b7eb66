"""Which part of a partitioned variable a variable is. Knows no variables."""

from __future__ import annotations

from collections.abc import Callable

from ckpt.core import defs


class SaveSliceInfo:
    """Which part of a partitioned variable a variable is: full name and shape, first index, own shape."""

    def __init__(
        self, full_name: str, full_shape: list[int], var_offset: list[int], var_shape: list[int]
    ) -> None:
        self.full_name = full_name
        self.full_shape = full_shape
        self.var_offset = var_offset
        self.var_shape = var_shape

    @property
    def spec(self) -> str:
        """TensorFlow's shape_and_slice notation: `8 4 0,3:0,4`, a trailing space when there is no axis."""
        full = " ".join(str(size) for size in self.full_shape)
        parts = ":".join(f"{o},{s}" for o, s in zip(self.var_offset, self.var_shape, strict=True))
        return f"{full} {parts}"

    def to_def(self, strip: Callable[[str], str]) -> defs.SaveSliceInfoDef:
        """This slice as plain data, its name shortened by `strip`."""
        return defs.SaveSliceInfoDef(
            strip(self.full_name),
            tuple(self.full_shape),
            tuple(self.var_offset),
            tuple(self.var_shape),
        )
