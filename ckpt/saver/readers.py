"""Looking into a checkpoint without a graph: `tf.train.NewCheckpointReader` and the functions on it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ckpt.core import storage
from ckpt.core.dtypes import DType, as_dtype
from ckpt.core.errors import NotFoundError
from ckpt.core.spelling import similar
from ckpt.core.system import StrPath
from ckpt.core.texts import bytes_of, text_of
from ckpt.formats import detect
from ckpt.saver import state_file
from ckpt.saver.meant import checkpoint_meant
from ckpt.saver.object_names import graph_names


class CheckpointReader:
    """The tensors of one checkpoint by name; only those that are asked for are read.

    `path` is a prefix or a file of any format known. Raises NotFoundError when there is none, DataLossError when it is
    damaged.
    """

    def __init__(self, path: StrPath) -> None:
        self._path = os.fsdecode(path)
        try:
            self._reader = detect.open_reader(self._path)
        except NotFoundError as error:
            raise NotFoundError(
                None,
                None,
                f"Unsuccessful TensorSliceReader constructor: Failed to find any matching files for {error}",
            ) from error
        self._names = frozenset(self._reader.names())

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shape of each tensor, by name."""
        return {name: list(self._reader.spec(name).shape) for name in self._reader.names()}

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        """The dtype of each tensor, by name."""
        return {name: as_dtype(self._reader.spec(name).dtype) for name in self._reader.names()}

    def has_tensor(self, tensor_str: str) -> bool:
        """True when the checkpoint holds a tensor of this name. Raises TypeError for what is no name."""
        return _name(tensor_str) in self._names

    def get_tensor(self, tensor_str: str) -> Any:
        """The values, an array (for a scalar, the scalar).

        Raises NotFoundError naming what is like it, TypeError for what is no name.
        """
        name = _name(tensor_str)
        if name not in self._names:
            near = similar(name, sorted(self._names), most=None)
            raise NotFoundError(
                None, None, f"{self._path}: Key {name} not found in checkpoint{near}"
            )
        values = self._reader.read(name)
        if values.dtype.names is not None:  # quantized integers, plain ones as from a session
            values = values.view(values.dtype[0])
        return values if values.ndim else values[()]

    def graph_names(self) -> dict[str, str]:
        """What the graph called the variables of an object-based checkpoint, by their names here; else {}."""
        return graph_names(self._reader)

    def debug_string(self) -> bytes:
        """One line per tensor: name, dtype, shape."""
        from ckpt.wire import messages  # protobuf is loaded only when messages are used

        lines = []
        for name in sorted(self._names):
            spec = self._reader.spec(name)
            shape = ",".join(map(str, spec.shape))
            kind = messages.DataType.Name(as_dtype(spec.dtype).as_datatype_enum)
            lines.append(f"{name} ({kind}) [{shape}]\n")
        return bytes_of("".join(lines))


def _name(text: str | bytes) -> str:
    if isinstance(text, bytes):
        return text_of(text)
    if not isinstance(text, str):
        raise TypeError(f"the name of a tensor is a text, not {text!r}")
    return text


def new_checkpoint_reader(filepattern: StrPath) -> CheckpointReader:
    """A reader of the checkpoint of this prefix, or file. Raises NotFoundError when there is none, DataLossError."""
    return CheckpointReader(filepattern)


def load_checkpoint(ckpt_dir_or_file: StrPath) -> CheckpointReader:
    """A reader of a checkpoint, or of the newest in a directory.

    Raises ValueError when the directory has none, NotFoundError when there is no such checkpoint.
    """
    return CheckpointReader(checkpoint_file(ckpt_dir_or_file))


def load_variable(ckpt_dir_or_file: StrPath, name: str) -> Any:
    """The values of the tensor `name` (an ending ":0" is passed over). Raises what `load_checkpoint` raises too."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


def list_variables(ckpt_dir_or_file: StrPath) -> list[tuple[str, list[int]]]:
    """(name, shape) of all tensors, sorted by name. Raises what `load_checkpoint` raises."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


def get_checkpoint_mtimes(checkpoint_prefixes: Iterable[str]) -> list[float]:
    """The time of each of these checkpoints, in seconds since 1970; those that are not there are left out."""
    return [
        storage.modified(detect.resolve(prefix))
        for prefix in checkpoint_prefixes
        if state_file.checkpoint_exists(prefix)
    ]


def checkpoint_file(ckpt_dir_or_file: StrPath) -> str:
    """What `checkpoint_meant` says of a directory; anything else as it is. Raises ValueError where it has none."""
    path = os.fsdecode(ckpt_dir_or_file)
    if not storage.is_directory(path):
        return path
    try:
        return checkpoint_meant(path)
    except NotFoundError as error:
        raise ValueError(
            f"Couldn't find 'checkpoint' file or checkpoints in given directory {error}"
        ) from error
