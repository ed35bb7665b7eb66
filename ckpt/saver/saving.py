"""Writing one checkpoint: its prefix, its directory, the MetaGraph that goes with it, and the run that writes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ckpt.core import defs, gfile
from ckpt.core.collector import paused
from ckpt.core.errors import AlreadyExistsError, NotFoundError, OpError
from ckpt.core.storage import is_name_part, is_remote, make_directory, sweep
from ckpt.formats.shards import FILE_SUFFIX, INDEX_SUFFIX
from ckpt.graph.graph import Graph
from ckpt.graph.operation import Operation
from ckpt.saver import metagraph

_LONGEST_NAME = 255  # bytes of the name of a file


class PackedGraph:
    """The sealed MetaGraph of a graph: made once per state of the graph and its collections."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._graph: Graph | None = None  # kept alive, so that no other graph gets its id
        self._packed = b""

    def of(
        self, graph: Graph, saver_def: defs.SaverDef | None, *, strip_default_attrs: bool
    ) -> bytes:
        """The bytes of the `.meta` file of this graph."""
        key = (
            id(graph),
            graph.version,
            graph.mutations,
            metagraph.collection_sizes(graph),
            strip_default_attrs,
        )
        if self._key != key:
            found = metagraph.export(
                graph, saver_def=saver_def, strip_default_attrs=strip_default_attrs
            )
            self._packed = metagraph.packed(found)
            self._key, self._graph = key, graph
        return self._packed


def write(
    sess: Any,
    saver_def: defs.SaverDef,
    prefix: str,
    *,
    packed_graph: bytes | None,
    durable: bool,
    shard_size: int | str | None = None,
    compression: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Run the save operation of `saver_def`: the values, the MetaGraph and the metadata become one checkpoint."""
    extras = {
        "metagraph": packed_graph,
        "metadata": metadata or {},
        "durable": durable,
        "shard_size": shard_size,
        "compression": compression,
    }
    _run(sess, saver_def, prefix, extras)


def snapshot(
    sess: Any, saver_def: defs.SaverDef, prefix: str, **options: Any
) -> list[Callable[[], None]]:
    """Take the values as they are now and return the steps that write them; `options` are those of `write`.

    Nothing is copied: the arrays of variables never change, and who updates one in place while it is held here
    works on a copy.
    """
    work: list[Callable[[], None]] = []
    extras = {"metagraph": options.pop("packed_graph"), "later": work.append, **options}
    _run(sess, saver_def, prefix, extras)
    return work


def _run(sess: Any, saver_def: defs.SaverDef, prefix: str, extras: dict[str, Any]) -> None:
    sess.attach(prefix, extras)
    try:
        with sess.saving(prefix), paused():  # nobody walks the many tensors meanwhile
            sess.run(saver_def.save_tensor_name, {saver_def.filename_tensor_name: prefix})
    except BaseException:
        if saver_def.sharded:  # shards that do not become a checkpoint
            with suppress(OpError):
                gfile.rmtree(f"{prefix}_temp")
        raise
    finally:
        sess.detach(prefix)


def prefix_of(path: str, step: int | None, *, padded: bool = False) -> str:
    """`<path>[-<step>]`, the step with eight digits when `padded`. Raises ValueError when `path` names no file.

    `dir/` alone names one, as in TensorFlow: it is written as `dir/.h5`.
    """
    if step is None:
        if not path or os.path.basename(path) in (".", ".."):
            raise ValueError(f"{path!r} names no file; give a file name, such as model.ckpt")
        return path
    return f"{path}-{step:08d}" if padded else f"{path}-{step}"


def step_value(sess: Any, global_step: Any) -> int | None:
    """The step as a number: itself, or the value of a tensor, variable or name, cut to an integer.

    Raises ValueError for a name that no tensor has, TypeError for what is none of these.
    """
    if global_step is None:
        return None
    if isinstance(global_step, (int, np.integer)):
        return int(global_step)
    try:
        tensor = sess.graph.as_graph_element(global_step)
    except (KeyError, ValueError) as error:
        raise ValueError(f"global_step {global_step!r} names no tensor: {error}") from error
    except TypeError as error:
        raise TypeError(
            f"global_step must be an integer, or a tensor, a variable or the name of one, not {global_step!r}: {error}"
        ) from None
    if isinstance(tensor, Operation):
        raise TypeError(f"global_step {global_step!r} is an operation; give its output, `name:0`")
    return int(sess.run(tensor))


def ensure_directory(directory: str, path: str, *, durable: bool = True) -> None:
    """Make the last level of the directory, as TensorFlow does, and clear it of what dead saves left there.

    Raises ValueError when its parent is missing.
    """
    try:
        make_directory(directory, durable=durable)
    except NotFoundError:
        raise ValueError(
            f"Parent directory of {path} doesn't exist, can't save. Only its last level is made; make "
            f"{os.path.dirname(directory)} first, with tf.gfile.MakeDirs"
        ) from None
    except AlreadyExistsError:
        raise ValueError(
            f"Parent directory of {path} doesn't exist, can't save. {directory} is a file; give another path"
        ) from None
    sweep(directory)


class StateNameError(ValueError, RuntimeError):
    """A checkpoint would be called like the state file: both of the classes that TensorFlow raises, by the moment."""


def checked_latest(latest_filename: str | None, path: str) -> str:
    """The name of the state file. Raises ValueError when it is none, has a folder or collides with the checkpoint's."""
    if latest_filename is None:
        latest_filename = "checkpoint"
    if latest_filename in ("", ".", "..") or not is_name_part(latest_filename):
        raise ValueError(
            f"'latest_filename' must be a name without path components, not {latest_filename!r}"
        )
    if os.path.basename(path) == latest_filename:
        raise StateNameError(
            f"'latest_filename' collides with 'save_path': '{latest_filename}' and '{path}'"
        )
    return latest_filename


def checked_suffix(meta_graph_suffix: Any) -> str:
    """What follows the prefix and a dot in the name of the MetaGraph file. Raises TypeError, or ValueError for a folder."""
    if not isinstance(meta_graph_suffix, str):
        raise TypeError(
            f"meta_graph_suffix must be a text such as 'meta', not {meta_graph_suffix!r}"
        )
    if not is_name_part(meta_graph_suffix):
        raise ValueError(
            f"meta_graph_suffix must not contain folders, nor a NUL: {meta_graph_suffix!r}"
        )
    return meta_graph_suffix


def check_apart(prefix: str, latest_filename: str, suffixes: Sequence[str]) -> None:
    """Raise ValueError unless the files of a save can lie beside each other; `suffixes` are those of the files beside the values.

    Each needs a name of its own, lest one replaces the other, and one that file systems take.
    """
    base = os.path.basename(prefix)
    taken = [base + FILE_SUFFIX, base + INDEX_SUFFIX]
    for name in [base + suffix for suffix in suffixes]:
        if name in taken:
            raise ValueError(
                f"the MetaGraph of {prefix} would be written to {name}, the name of another of its files; give another "
                "'meta_graph_suffix'"
            )
        taken.append(name)
    if latest_filename in taken:
        raise StateNameError(
            f"'latest_filename' collides with a file of 'save_path': '{latest_filename}' and '{prefix}'"
        )
    # shards have longer names, and say so before they are a checkpoint
    taken.remove(base + INDEX_SUFFIX)
    for name in [latest_filename, *taken]:
        if not is_remote(prefix) and len(os.fsencode(name)) > _LONGEST_NAME:
            raise ValueError(
                f"{name!r} has {len(os.fsencode(name))} bytes, and names of files {_LONGEST_NAME} at most; nothing was saved: "
                "give a shorter 'save_path'"
            )
