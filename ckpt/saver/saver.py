"""The Saver: adds save and restore operations to the graph and runs them in the session it is handed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ckpt.core import defs
from ckpt.core.errors import InvalidArgumentError, NotFoundError, from_os_error
from ckpt.formats import detect
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.ops import constants, control, io, shaping, state
from ckpt.saver import metagraph, retention, state_file
from ckpt.saver.var_list import Saveable, saveable_objects, saveables


class Saver:
    """Saves variables to checkpoints and restores them.

    `var_list` is None (all saveable objects), a list of variables, or a dict from names in the checkpoint to
    variables. The newest `max_to_keep` checkpoints are kept (all, when 0 or None), and one for good every
    `keep_checkpoint_every_n_hours`. Raises ValueError when there is nothing to save (unless `allow_empty`) or names
    collide, TypeError for what is no variable.
    """

    def __init__(
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: Any = None,
        builder: Any = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: int = 2,
        pad_step_number: bool = False,
        save_relative_paths: bool = True,
        filename: str | None = None,
    ) -> None:
        if defer_build and var_list:
            raise ValueError(
                "If `var_list` is provided then build cannot be deferred. Either set defer_build=False or var_list=None."
            )
        self._var_list = var_list
        self._reshape = reshape
        self._sharded = sharded
        self._max_to_keep = max_to_keep
        self._keep_hours = keep_checkpoint_every_n_hours
        self._name = name
        self._restore_sequentially = restore_sequentially
        self._allow_empty = allow_empty
        self._pad_step_number = pad_step_number
        self._filename = filename
        self._is_empty = False
        self._is_built = False
        self._remembered: tuple[retention.Saved, ...] = ()
        self._written_graph: dict[str, Any] = {}
        self.saver_def: defs.SaverDef | None = None
        if saver_def is not None:
            self._take_def(metagraph.plain_saver_def(saver_def))
        elif not defer_build:
            self.build()
        self._preserve_after = self._policy().first_preserve_after(time.time())

    def _policy(self) -> retention.Policy:
        return retention.Policy(self._max_to_keep, self._keep_hours)

    def _take_def(self, saver_def: defs.SaverDef) -> None:
        self.saver_def = saver_def
        self._max_to_keep = saver_def.max_to_keep
        self._keep_hours = saver_def.keep_checkpoint_every_n_hours or self._keep_hours
        self._is_built = True
        self._check_def()

    def _check_def(self) -> None:
        found = self.saver_def
        if found is None:
            raise ValueError("Could not create a saver_def; no variables to save")
        if not found.save_tensor_name or not found.restore_op_name:
            raise ValueError(f"saver_def must name a save tensor and a restore op: {found}")

    def build(self) -> None:
        """Add the save and restore operations to the default graph; a second call does nothing.

        Raises ValueError when there is nothing to save and the Saver may not be empty.
        """
        if self._is_built:
            return
        self._is_built = True
        members = saveable_objects() if self._var_list is None else self._var_list
        if not members:
            if not self._allow_empty:
                raise ValueError("No variables to save")
            self._is_empty = True
            return
        entries = saveables(members)
        with name_scope(self._name, "save", [e.reference for e in entries]):
            names = _SaverNodes(
                entries, self._filename or "model", self._reshape, self._restore_sequentially
            )
        self.saver_def = defs.SaverDef(
            filename_tensor_name=names.filename.name,
            save_tensor_name=names.save.name,
            restore_op_name=names.restore.name,
            max_to_keep=self._max_to_keep or 0,
            sharded=self._sharded,
            keep_checkpoint_every_n_hours=float(self._keep_hours),
            version=2,
        )

    def as_saver_def(self) -> Any:
        """The names of this Saver's tensors and its settings, as a SaverDef message."""
        return metagraph.message(self._def())

    def to_proto(self, export_scope: str | None = None) -> Any:
        """The SaverDef message with names as they are inside `export_scope`; None when the Saver is not in it."""
        found = self.to_def(export_scope)
        return None if found is None else metagraph.message(found)

    def to_def(self, export_scope: str | None = None) -> defs.SaverDef | None:
        """The plain SaverDef with names as they are inside `export_scope`; None when the Saver is not in it."""
        found = self._def()
        if not export_scope:
            return found
        prefix = export_scope.rstrip("/") + "/"
        if not found.filename_tensor_name.startswith(prefix):
            return None
        return metagraph.renamed_saver(found, lambda name: name.removeprefix(prefix))

    @staticmethod
    def from_proto(saver_def: Any, import_scope: str | None = None) -> Saver:
        """The Saver that a SaverDef describes, its names inside `import_scope`."""
        plain = metagraph.plain_saver_def(saver_def)
        if import_scope:
            plain = metagraph.renamed_saver(plain, lambda name: f"{import_scope}/{name}")
        return Saver(saver_def=plain, name=import_scope)

    def _def(self) -> defs.SaverDef:
        if self.saver_def is None:
            raise RuntimeError("`build()` should be called before save if defer_build==True")
        return self.saver_def

    @property
    def last_checkpoints(self) -> list[str]:
        """The prefixes of the checkpoints that this Saver remembers, oldest first."""
        return [saved.name for saved in self._remembered]

    def set_last_checkpoints(self, last_checkpoints: Sequence[str]) -> None:
        """Deprecated: remember these prefixes as if they had just been written."""
        if not isinstance(last_checkpoints, list):
            raise AssertionError("last_checkpoints must be a list")
        self.set_last_checkpoints_with_time([(name, float("inf")) for name in last_checkpoints])

    def set_last_checkpoints_with_time(
        self, last_checkpoints_with_time: Sequence[tuple[str, float]]
    ) -> None:
        """Remember these (prefix, time) pairs, oldest first."""
        if not isinstance(last_checkpoints_with_time, list):
            raise AssertionError("last_checkpoints_with_time must be a list")
        self._remembered = tuple(
            retention.Saved(name, when) for name, when in last_checkpoints_with_time
        )

    def recover_last_checkpoints(self, checkpoint_paths: Sequence[str]) -> None:
        """Remember those of these prefixes that exist, with the times of their files."""
        found = [
            (path, _modified(path))
            for path in checkpoint_paths
            if state_file.checkpoint_exists(path)
        ]
        self.set_last_checkpoints_with_time(sorted(found, key=lambda pair: pair[1]))

    def save(
        self,
        sess: Any,
        save_path: Any,
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
        *,
        durable: bool = True,
    ) -> str | None:
        """Write a checkpoint `<save_path>[-<global_step>].h5` and return its prefix; None when the Saver is empty.

        The MetaGraph goes into the same file and beside it (`.meta`); the state file then points at the checkpoint
        and old checkpoints are deleted. `durable` False skips fsync, never the atomicity. Raises TypeError for what
        is no session, ValueError for bad names or a missing directory, OpError when a file cannot be written; the
        checkpoints that were there before are then as they were.
        """
        if not self._is_built:
            raise RuntimeError("`build()` should be called before save if defer_build==True")
        if not hasattr(sess, "run"):
            raise TypeError(f"'sess' must be a Session; {sess}")
        path = os.fspath(save_path)
        latest_filename = _checked_latest(latest_filename, path)
        prefix = self._prefix(sess, path, global_step)
        if self._is_empty:
            return None
        directory = os.path.dirname(prefix) or "."
        _ensure_directory(directory, path)
        packed = self._packed_graph(sess.graph, strip_default_attrs) if write_meta_graph else None
        self._write(sess, prefix, packed, durable, global_step)
        if packed is not None:
            metagraph.write_packed(f"{prefix}.{meta_graph_suffix}", packed, durable=durable)
        if write_state:
            self._commit_state(directory, prefix, latest_filename, meta_graph_suffix)
        return prefix

    def _prefix(self, sess: Any, path: str, global_step: Any) -> str:
        if global_step is None:
            if os.path.basename(path) == "":
                raise ValueError(
                    f"'{path}' names a directory; add a file name, such as {path}model.ckpt"
                )
            return path
        if not isinstance(global_step, (int, np.integer)):
            global_step = _step_value(sess, global_step)
        step = f"{int(global_step):08d}" if self._pad_step_number else str(int(global_step))
        return f"{path}-{step}"

    def _write(
        self, sess: Any, prefix: str, packed: bytes | None, durable: bool, global_step: Any
    ) -> None:
        found = self._def()
        metadata = {}
        if global_step is not None:
            metadata["step"] = prefix.rpartition("-")[2].lstrip("0") or "0"
        sess.attach(prefix, {"metagraph": packed, "metadata": metadata, "durable": durable})
        try:
            sess.run(found.save_tensor_name, {found.filename_tensor_name: prefix})
        finally:
            sess.detach(prefix)

    def _packed_graph(self, graph: Graph, strip_default_attrs: bool) -> bytes:
        """The sealed MetaGraph: made once per state of the graph and its collections."""
        key = (
            id(graph),
            graph.version,
            graph.mutations,
            metagraph.collection_sizes(graph),
            strip_default_attrs,
        )
        if self._written_graph.get("key") != key:
            found = metagraph.export(
                graph, saver_def=self._def(), strip_default_attrs=strip_default_attrs
            )
            self._written_graph = {"key": key, "packed": metagraph.packed(found), "graph": graph}
        packed: bytes = self._written_graph["packed"]
        return packed

    def _commit_state(self, directory: str, prefix: str, latest_filename: str, suffix: str) -> None:
        decision = retention.after_save(
            self._remembered,
            retention.Saved(prefix, time.time()),
            self._policy(),
            self._preserve_after,
        )
        remaining = decision.remaining or (retention.Saved(prefix, time.time()),)
        state_file.update_checkpoint_state(
            directory,
            prefix,
            all_model_checkpoint_paths=[saved.name for saved in remaining],
            latest_filename=latest_filename,
            all_model_checkpoint_timestamps=[saved.time for saved in remaining],
        )
        self._remembered = decision.remaining
        self._preserve_after = decision.preserve_after
        for old in decision.delete:
            remove_checkpoint(old, meta_graph_suffix=suffix)

    def restore(self, sess: Any, save_path: Any) -> None:
        """Set the variables from the checkpoint of this prefix (or file); they need no initialisation.

        Raises ValueError for None or a checkpoint that is not there, NotFoundError listing every missing tensor,
        InvalidArgumentError listing every tensor of another shape or dtype. Nothing is assigned unless everything fits.
        """
        if self._is_empty:
            return
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        path = os.fspath(save_path)
        found = self._def()
        try:
            resolved = detect.resolve(path)
        except NotFoundError as error:
            raise ValueError(
                f"The passed save_path is not a valid checkpoint: {path}: {error}"
            ) from error
        self._check_shapes(sess.graph, path, resolved)
        sess.run(found.restore_op_name, {found.filename_tensor_name: path})

    def _check_shapes(self, graph: Graph, path: str, resolved: str) -> None:
        """Raise InvalidArgumentError listing every variable whose shape is another one in the file."""
        wanted = _restored_shapes(graph, self._def())
        if self._reshape or not wanted:
            return
        with detect.open_reader(resolved) as reader:
            held = set(reader.names())
            wrong = [
                f"  {name}: the graph has {shape}, the checkpoint has {list(reader.spec(name).shape)}"
                for name, shape in wanted
                if name in held and not _fits(shape, reader.spec(name).shape)
            ]
        if wrong:
            raise InvalidArgumentError(
                None,
                None,
                f"{path}: {len(wrong)} tensors have another shape than the variable (graph mismatch):\n"
                + "\n".join(wrong)
                + "\nBuild the graph that wrote this checkpoint, or leave these variables out of var_list.",
            )

    def export_meta_graph(
        self,
        filename: str | None = None,
        collection_list: Any = None,
        as_text: bool = False,
        export_scope: str | None = None,
        clear_devices: bool = False,
        clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> Any:
        """The MetaGraphDef message of the default graph with this Saver; written to `filename` where given."""
        return metagraph.export_meta_graph(
            filename=filename,
            graph_def=None,
            saver_def=self._def(),
            collection_list=collection_list,
            as_text=as_text,
            export_scope=export_scope,
            clear_devices=clear_devices,
            clear_extraneous_savers=clear_extraneous_savers,
            strip_default_attrs=strip_default_attrs,
        )


class _SaverNodes:
    """The nodes of one Saver, with TensorFlow's types and names: filename, SaveV2, RestoreV2, the assignments."""

    def __init__(
        self, entries: Sequence[Saveable], filename: str, reshape: bool, sequentially: bool
    ) -> None:
        default = constants.constant(filename or "model", name="filename/input")
        default = constants.placeholder_with_default(default, shape=(), name="filename")
        self.filename = constants.placeholder_with_default(default, shape=(), name="Const")
        self.save = self._save(entries)
        self.restore = self._restore(entries, reshape, sequentially)

    def _save(self, entries: Sequence[Saveable]) -> Tensor:
        saved = io.save_v2(
            self.filename,
            [entry.name for entry in entries],
            [entry.slice_spec for entry in entries],
            [entry.reference for entry in entries],
        )
        found: Tensor = control.with_dependencies([saved], self.filename)
        return found

    def _restore(self, entries: Sequence[Saveable], reshape: bool, sequentially: bool) -> Operation:
        tensors = io.restore_v2(
            self.filename,
            [entry.name for entry in entries],
            [entry.slice_spec for entry in entries],
            dtypes=[entry.reference.dtype.base_dtype for entry in entries],
        )
        done: list[Operation] = []
        for entry, tensor in zip(entries, tensors, strict=True):
            with control_dependencies(done[-1:] if sequentially else []):
                done.append(_assignment(entry, tensor, reshape))
        with control_dependencies(done):
            return control.no_op(name="restore_all")


def _assignment(entry: Saveable, tensor: Tensor, reshape: bool) -> Operation:
    if reshape:
        tensor = shaping.reshape(tensor, entry.reference.shape.as_list())
    with stack.get_default_graph().colocate_with(entry.reference.op):
        found: Operation = state.assign_op(
            entry.reference,
            tensor,
            validate_shape=entry.reference.shape.is_fully_defined(),
            name="Assign",
        ).op
    return found


def _restored_shapes(graph: Graph, found: defs.SaverDef) -> list[tuple[str, Any]]:
    """(name in the checkpoint, static shape of the variable) of every whole variable that a restore assigns."""
    wanted = []
    restore = graph.get_operation_by_name(found.restore_op_name)
    for assign in restore.control_inputs:
        if assign.type != "Assign" or assign.inputs[1].op.type != "RestoreV2":
            continue
        source = assign.inputs[1]
        names, specs = (source.op.inputs[i].op.attrs.get("value") for i in (1, 2))
        if names is None or specs is None or specs[source.value_index]:
            continue
        wanted.append(
            (names[source.value_index].decode("utf-8", "surrogateescape"), assign.inputs[0].shape)
        )
    return wanted


def _fits(shape: Any, sizes: tuple[int, ...]) -> bool:
    return bool(shape.is_compatible_with(sizes))


def _ensure_directory(directory: str, path: str) -> None:
    """Make the last level of the directory, as TensorFlow does. Raises ValueError when its parent is missing."""
    try:
        Path(directory).mkdir(exist_ok=True)
    except FileNotFoundError:
        raise ValueError(f"Parent directory of {path} doesn't exist, can't save.") from None
    except OSError as error:
        raise from_os_error(error, directory, "making the directory of the checkpoint") from error


def _checked_latest(latest_filename: str | None, path: str) -> str:
    if latest_filename is None:
        latest_filename = "checkpoint"
    if os.path.split(latest_filename)[0]:
        raise ValueError("'latest_filename' must not contain path components")
    if os.path.basename(path) == latest_filename:
        raise ValueError(
            f"'latest_filename' collides with 'save_path': '{latest_filename}' and '{path}'"
        )
    return latest_filename


def _step_value(sess: Any, global_step: Any) -> int:
    tensor = (
        global_step
        if not isinstance(global_step, str)
        else sess.graph.as_graph_element(global_step)
    )
    if not tensor.dtype.base_dtype.is_integer:
        raise TypeError(f"global_step must be an integer, not {tensor.dtype.name}")
    return int(sess.run(tensor))


def _modified(prefix: str) -> float:
    try:
        return os.path.getmtime(detect.resolve(prefix))
    except OSError as error:
        raise from_os_error(error, prefix, "reading its time") from error


def remove_checkpoint(
    checkpoint_prefix: str, checkpoint_format_version: int = 2, meta_graph_suffix: str = "meta"
) -> None:
    """Delete the files of one checkpoint: the values first, then the MetaGraph. Files that are not there are no error.

    Raises OpError when a file cannot be deleted.
    """
    for path in (f"{checkpoint_prefix}.h5", f"{checkpoint_prefix}.{meta_graph_suffix}"):
        try:
            Path(path).unlink(missing_ok=True)
        except OSError as error:
            raise from_os_error(error, path, "deleting an old checkpoint") from error
