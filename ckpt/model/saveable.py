"""What a Saver can save: objects that name tensors to write and know how to take the values back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ckpt.core.dtypes import DType
from ckpt.graph.operation import Operation, Tensor


class SaveSpec:
    """One tensor to write: where its value comes from, its name in the checkpoint, and the slice that it is.

    `tensor` is a tensor, or a function that makes it when the Saver is built (then `dtype` must be given, and `device`
    says where). `slice_spec` is "" for a whole tensor, else TensorFlow's notation, as in "8 4 0,3:0,4".
    """

    def __init__(
        self,
        tensor: Tensor | Callable[[], Tensor],
        slice_spec: str,
        name: str,
        dtype: Any = None,
        device: str | None = None,
    ) -> None:
        self._tensor = tensor
        self.slice_spec = slice_spec
        self.name = name
        if callable(tensor):
            if dtype is None or device is None:
                raise AssertionError(
                    "When passing a callable `tensor` to a SaveSpec, an explicit dtype and device must be provided."
                )
            self.dtype: DType = dtype
            self.device: str = device
        else:
            self.dtype = dtype if dtype is not None else tensor.dtype
            self.device = device if device is not None else tensor.device

    @property
    def tensor(self) -> Tensor:
        """The tensor to write; made anew each time where the spec was given a function."""
        return self._tensor() if callable(self._tensor) else self._tensor


class SaveableObject:
    """Something that a Saver saves and restores: subclasses say how in `restore`.

    `op` is what is saved (a variable, a table): no Saver takes the same one twice. `specs` are the tensors that are
    written; `name` stands for the object in lists of what to save. Objects in the collection
    `GraphKeys.SAVEABLE_OBJECTS` are saved by a Saver without var_list.
    """

    def __init__(self, op: Any, specs: Sequence[SaveSpec], name: str) -> None:
        self.op = op
        self.specs = list(specs)
        self.name = name

    @property
    def device(self) -> str:
        """The device of the tensors."""
        return self.specs[0].device

    def restore(
        self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None
    ) -> Operation:
        """The operation that sets the state from tensors in the order of `specs`.

        `restored_shapes`, where given, are the shapes to give them first: the Saver was asked to `reshape`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not say how it is restored: override restore()"
        )


class Dependency(NamedTuple):
    """A part of an object in an object-based checkpoint, and its name there."""

    name: str
    ref: Any
