"""The Saver: adds save and restore operations to the graph and runs them in the session it is handed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

from ckpt.core import defs, log, storage
from ckpt.core.dtypes import string
from ckpt.core.scope_names import scope_prefix
from ckpt.formats import shards
from ckpt.graph.renaming import renamed_saver, under
from ckpt.saver import debug_info, metagraph, own_rules, restoring, saving, validity
from ckpt.saver.building import SaverBuilder
from ckpt.saver.debug_info import write_debug_info
from ckpt.saver.growth import Growth
from ckpt.saver.history import History
from ckpt.saver.pending import PendingSave, Turns
from ckpt.saver.policies import Policies
from ckpt.saver.report import RestoreReport
from ckpt.saver.restored import KnownRestore
from ckpt.saver.retention import Policy, Rule, Saved, check_limits, checked_rules
from ckpt.saver.var_list import saveable_objects, selected
from ckpt.wire.plain import message, plain

_V1, _V2 = 1, 2  # Source: TensorFlow core/protobuf/saver.proto, CheckpointFormatVersion


class NotASessionError(TypeError, AttributeError):
    """What was given is no session: the class that `save` raises, and the one that TensorFlow's `restore` raises."""


class Saver:
    """Saves variables to checkpoints and restores them.

    `var_list` is None (all saveable objects), a list of variables, or a dict from names in the checkpoint to
    variables. A pattern, or a list with patterns in it, selects among the saveable objects: `"@trainable"`,
    `["**/kernel", "!@slots"]` (docs/restoring.md). The newest `max_to_keep` checkpoints are kept (all, when None or not
    positive), one for good every `keep_checkpoint_every_n_hours` (each, when None), and what the rules in `keep` say
    (`LatestN`, `EveryNSteps`, `EveryNHours`, `BestN`). The first save takes over what an earlier process saved to the same
    path. Raises ValueError when there is nothing to save (unless `allow_empty`) or names collide, TypeError for what is no
    variable or no rule.

    `reshape` restores values of other shapes with as many elements. `sharded` writes a file per device under one index.
    `restore_sequentially` reads each variable only when the one before has been set, which takes less memory. `builder`
    is a SaverBuilder that adds the nodes in another way. `saver_def` takes the nodes that another Saver added;
    `defer_build` waits for `build()`. `filename` is the default of the tensor that names the file. `pad_step_number`
    writes steps with eight digits. `write_version` is SaverDef.V2; V1 is deprecated and only logs a warning, since there
    is one format. `save_relative_paths` is always so: a state file holds base names for what lies beside it, also when the
    path saved to is absolute, so that a directory may be moved or copied.

    `rename`, `on_missing`, `on_unexpected`, `on_shape`, `on_dtype` and `slots` say what `restore` does where checkpoint
    and graph differ; it may be told otherwise each time. Checkpoints are saved under the names of this Saver, and need
    no `rename` when they are restored.
    """

    def __init__(
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float | None = 10000.0,
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
        *,
        keep: Sequence[Rule] = (),
        rename: Any = None,
        on_missing: str | None = None,
        on_unexpected: str | None = None,
        on_shape: str | None = None,
        on_dtype: str | None = None,
        slots: str | None = None,
    ) -> None:
        if defer_build and var_list:
            raise ValueError(
                "If `var_list` is provided then build cannot be deferred. Either set defer_build=False or var_list=None."
            )
        _check_version(write_version)
        check_limits(max_to_keep, keep_checkpoint_every_n_hours)
        if max_to_keep is not None and not -(1 << 31) <= max_to_keep < 1 << 31:
            raise ValueError(f"max_to_keep is a 32-bit integer, not {max_to_keep}; None keeps all")
        rules = checked_rules(keep)
        self._var_list = var_list
        self._reshape = reshape
        self._sharded = bool(sharded)
        self._max_to_keep = max_to_keep
        self._keep_hours = keep_checkpoint_every_n_hours or 0.0
        self._name = name
        self._builder = builder or SaverBuilder()
        self._restore_sequentially = restore_sequentially
        self._allow_empty = allow_empty
        self._pad_step_number = pad_step_number
        self._filename = filename
        self._policies = Policies(
            rename=rename,
            is_rename_standing=True,
            on_shape="reshape" if reshape else "error",
        ).but(
            on_missing=on_missing,
            on_unexpected=on_unexpected,
            on_shape=on_shape,
            on_dtype=on_dtype,
            slots=slots,
        )
        # what the metadata of its checkpoints says besides
        self._notes: Mapping[str, str] = own_rules.noted(rename)
        self._is_empty = False
        self._is_built = False
        self._packed_graph = saving.PackedGraph()
        self._known_restore = KnownRestore()
        self.saver_def: defs.SaverDef | None = None
        if saver_def is not None:
            self._take_def(saver_def)
        elif not defer_build:
            self.build()
        self._history = History(Policy(self._max_to_keep, self._keep_hours, rules))
        self._turns = Turns()
        self._growth = Growth()

    def _take_def(self, saver_def: Any) -> None:
        try:
            found = plain(saver_def, defs.SaverDef)
        except TypeError as error:
            raise ValueError(f"saver_def must be a SaverDef: {error}") from error
        metagraph.check_saver_def(found)
        self.saver_def = found
        self._max_to_keep = found.max_to_keep
        self._keep_hours = found.keep_checkpoint_every_n_hours or self._keep_hours
        self._is_built = True

    def build(self) -> None:
        """Add the save and restore operations to the default graph; a second call does nothing.

        Raises ValueError when there is nothing to save and the Saver may not be empty.
        """
        if self._is_built:
            return
        self._is_built = True
        members = saveable_objects() if self._var_list is None else selected(self._var_list)
        if not members:
            if not self._allow_empty:
                raise ValueError("No variables to save")
            self._is_empty = True
            return
        self.saver_def = plain(
            self._builder.build(
                members,
                reshape=self._reshape,
                sharded=self._sharded,
                max_to_keep=self._max_to_keep,
                keep_checkpoint_every_n_hours=self._keep_hours,
                name=self._name,
                restore_sequentially=self._restore_sequentially,
                filename=self._filename or "model",
            ),
            defs.SaverDef,
        )

    def as_saver_def(self) -> Any:
        """The names of this Saver's tensors and its settings, as a SaverDef message; None when it is empty or not built."""
        return self.to_proto()

    def to_proto(self, export_scope: str | None = None) -> Any:
        """The SaverDef message with names as they are inside `export_scope`; None when the Saver is not in it."""
        found = self.to_def(export_scope)
        return None if found is None else message(found)

    def to_def(self, export_scope: str | None = None) -> defs.SaverDef | None:
        """The plain SaverDef with names as they are inside `export_scope`; None when the Saver is not in it."""
        found = self.saver_def
        if found is None or not export_scope:
            return found
        prefix = scope_prefix(export_scope)
        if not found.filename_tensor_name.startswith(prefix):
            return None
        return renamed_saver(found, lambda name: name.removeprefix(prefix))

    @staticmethod
    def from_proto(saver_def: Any, import_scope: str | None = None) -> Saver:
        """The Saver that a SaverDef describes, its names inside `import_scope`."""
        found = plain(saver_def, defs.SaverDef)
        if import_scope:
            found = renamed_saver(found, under(import_scope.rstrip("/")))
        return Saver(saver_def=found, name=import_scope)

    def _def(self) -> defs.SaverDef:
        if self.saver_def is None:
            raise RuntimeError("`build()` should be called before save if defer_build==True")
        return self.saver_def

    @property
    def last_checkpoints(self) -> list[str]:
        """The prefixes of the checkpoints that this Saver remembers, oldest first."""
        return self._history.last_checkpoints

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
        self._turns.settle()
        self._history.remember([Saved(name, when) for name, when in last_checkpoints_with_time])

    def recover_last_checkpoints(self, checkpoint_paths: Sequence[str]) -> None:
        """Remember those of these prefixes that exist, oldest first as given, with the times of their files."""
        self._turns.settle()
        self._history.recover(checkpoint_paths)

    @overload
    def save(
        self,
        sess: Any,
        save_path: Any,
        global_step: Any = ...,
        latest_filename: str | None = ...,
        meta_graph_suffix: str = ...,
        write_meta_graph: bool = ...,
        write_state: bool = ...,
        strip_default_attrs: bool = ...,
        save_debug_info: bool = ...,
        *,
        durable: bool = ...,
        shard_size: int | str | None = ...,
        compression: str | None = ...,
        metrics: Mapping[str, float] | None = ...,
        asynchronous: Literal[False] = ...,
    ) -> str | None: ...

    @overload
    def save(
        self,
        sess: Any,
        save_path: Any,
        global_step: Any = ...,
        latest_filename: str | None = ...,
        meta_graph_suffix: str = ...,
        write_meta_graph: bool = ...,
        write_state: bool = ...,
        strip_default_attrs: bool = ...,
        save_debug_info: bool = ...,
        *,
        durable: bool = ...,
        shard_size: int | str | None = ...,
        compression: str | None = ...,
        metrics: Mapping[str, float] | None = ...,
        asynchronous: Literal[True],
    ) -> PendingSave | None: ...

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
        shard_size: int | str | None = None,
        compression: str | None = None,
        metrics: Mapping[str, float] | None = None,
        asynchronous: bool = False,
    ) -> str | PendingSave | None:
        """Write a checkpoint `<save_path>[-<global_step>].h5` and return its prefix.

        The MetaGraph goes into the same file and beside it (`.meta`); the state file then points at the checkpoint
        and old checkpoints are deleted. A Saver that is empty writes the MetaGraph alone and returns None.

        `save_debug_info` writes where the nodes were made beside the MetaGraph (`.debug`). `durable` False skips fsync,
        never the atomicity. What is larger than `shard_size` (bytes, or such as "5GB") is written as several files under
        one `.index`. `compression` is "deflate" (or "deflate:9"), or with the hdf5plugin package "zstd", "lz4", "blosc2" or
        "bitshuffle". `metrics` are kept in the checkpoint, for rules such as `BestN`. `asynchronous` takes the values as
        they are now, without copying them, writes in the background and returns a `PendingSave`; saves of one Saver happen
        one after the other, so a save waits for the one under way.

        Raises TypeError for what is no session of this Saver's graph, ValueError for bad names or a missing directory,
        InvalidArgumentError for a compression or size that is none, OpError when a file cannot be written, or when the
        save before failed in the background and nobody was told; the checkpoints that were there before are then as they
        were.
        """
        if not self._is_built:
            raise RuntimeError("`build()` should be called before save if defer_build==True")
        if not hasattr(sess, "attach"):
            raise TypeError(f"'sess' must be a Session; {sess}")
        self._check_graph(sess)
        path = os.fsdecode(save_path)
        step = saving.step_value(sess, global_step)
        prefix = saving.prefix_of(path, step, padded=self._pad_step_number)
        latest_filename = saving.checked_latest(latest_filename, prefix)
        rated = validity.checked_metrics(metrics)
        shards.check_options(shard_size, compression)
        suffix = saving.checked_suffix(meta_graph_suffix) if write_meta_graph else ""
        beside = [f".{suffix}"] * write_meta_graph
        beside += [debug_info.SUFFIX] * (write_meta_graph and save_debug_info)
        saving.check_apart(prefix, latest_filename, beside)
        if self._is_empty and not write_meta_graph:
            return None
        with self._turns.turn():
            saving.ensure_directory(storage.split(prefix)[0], path, durable=durable)
            packed = self._packed(sess, strip_default_attrs) if write_meta_graph else None
            options: dict[str, Any] = {
                "packed_graph": packed,
                "durable": durable,
                "shard_size": shard_size,
                "compression": compression,
                "metadata": {**validity.metadata(step, rated, suffix), **self._notes},
            }

            def finish() -> None:
                if packed is not None:
                    metagraph.write_packed(f"{prefix}.{suffix}", packed, durable=durable)
                if packed is not None and save_debug_info:
                    write_debug_info(sess.graph, prefix + debug_info.SUFFIX, durable=durable)
                if write_state and not self._is_empty:
                    self._history.commit(
                        path,
                        Saved(prefix, time.time(), step, rated),
                        latest_filename=latest_filename,
                        meta_graph_suffix=meta_graph_suffix,
                        durable=durable,
                    )

            if self._is_empty:
                finish()
                return None
            if not asynchronous:
                saving.write(sess, self._def(), prefix, **options)
                finish()
                return prefix
            writing = saving.snapshot(sess, self._def(), prefix, **options)
            return self._turns.begin(sess, prefix, [*writing, finish])

    def _packed(self, sess: Any, strip_default_attrs: bool) -> bytes:
        self._growth.watch(sess.graph)
        return self._packed_graph.of(
            sess.graph, self.saver_def, strip_default_attrs=strip_default_attrs
        )

    def _check_graph(self, sess: Any) -> None:
        """Raise TypeError when the nodes of this Saver are not in the graph of the session, or not what a Saver has."""
        found, graph = self.saver_def, getattr(sess, "graph", None)
        if found is None or graph is None:
            return
        try:
            filename = graph.as_graph_element(found.filename_tensor_name, allow_operation=False)
            # of TensorFlow's Savers an operation too
            graph.as_graph_element(found.save_tensor_name)
            graph.as_graph_element(found.restore_op_name, allow_tensor=False)
        except (KeyError, ValueError) as error:
            raise TypeError(
                f"this Saver was made for another graph than the session's: {error}"
            ) from error
        if filename.dtype != string:
            raise TypeError(f"this Saver takes the names of its files by {filename}, no string")

    def wait(self) -> None:
        """Wait for the save under way in the background. Raises what made it fail, if nobody was told of it."""
        self._turns.wait()

    def pin(self, checkpoint_prefix: Any, *, latest_filename: str | None = None) -> None:
        """Keep this checkpoint whatever the limits say, until `unpin`; noted in the state file of its directory.

        Raises NotFoundError when there is no such checkpoint, DataLossError when the state file is damaged.
        """
        self._pin(checkpoint_prefix, latest_filename, pinned=True)

    def unpin(self, checkpoint_prefix: Any, *, latest_filename: str | None = None) -> None:
        """Let the limits count for this checkpoint again. Raises what `pin` raises."""
        self._pin(checkpoint_prefix, latest_filename, pinned=False)

    def _pin(self, checkpoint_prefix: Any, latest_filename: str | None, *, pinned: bool) -> None:
        prefix = validity.prefix_of_file(os.fspath(checkpoint_prefix))
        self._turns.settle()
        self._history.pin(prefix, pinned=pinned, latest_filename=latest_filename)

    def restore(
        self,
        sess: Any,
        save_path: Any,
        *,
        rename: Any = None,
        on_missing: str | None = None,
        on_unexpected: str | None = None,
        on_shape: str | None = None,
        on_dtype: str | None = None,
        slots: str | None = None,
        apply_suggestions: bool = False,
    ) -> RestoreReport:
        """Set the variables from the checkpoint of this prefix (or file); they need no initialisation.

        Everything that the checkpoint lacks, or has of another shape or dtype, is an error unless a policy says what to
        do about it; `rename` are rules from its names to this Saver's (docs/restoring.md). The report says what was done.
        Raises TypeError for what is no session of this Saver's graph, ValueError for None or a checkpoint that is not
        there, one NotFoundError listing every missing tensor with the names it may have there, or one InvalidArgumentError
        listing every tensor of another shape or dtype. Nothing is assigned unless everything fits, no node is added, and
        to restore nothing at all is always an error.
        """
        policies = self._policies.but(
            rename=rename,
            on_missing=on_missing,
            on_unexpected=on_unexpected,
            on_shape=on_shape,
            on_dtype=on_dtype,
            slots=slots,
            apply_suggestions=apply_suggestions,
        )
        if self._is_empty:
            return RestoreReport("" if save_path is None else os.fsdecode(save_path))
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        sess = sess._tf_sess() if hasattr(sess, "_tf_sess") else sess  # of a monitored one
        if not hasattr(sess, "attach"):
            raise NotASessionError(f"'sess' must be a Session; {sess}")
        if not self._is_built:
            raise RuntimeError("`build()` should be called before restore if defer_build==True")
        self._check_graph(sess)
        self._turns.settle()
        path = os.fsdecode(save_path)
        report = restoring.restore(sess, self._def(), path, policies, self._known_restore)
        self._history.was_restored(path)
        return report

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
        """The MetaGraphDef message of the default graph with this Saver; written to `filename` where given.

        The arguments are those of `tf.train.export_meta_graph`.
        """
        return metagraph.export_meta_graph(
            filename=filename,
            graph_def=None,
            saver_def=self.saver_def,
            collection_list=collection_list,
            as_text=as_text,
            export_scope=export_scope,
            clear_devices=clear_devices,
            clear_extraneous_savers=clear_extraneous_savers,
            strip_default_attrs=strip_default_attrs,
            save_debug_info=save_debug_info,
        )


def _check_version(write_version: int) -> None:
    """Warn of TensorFlow's V1 format, which is not written. Raises ValueError for what is no version of a format."""
    if write_version == _V1:
        log.warning(
            "TensorFlow's V1 checkpoint format has been deprecated and ckpt does not write it: this Saver writes the one "
            "format that there is. Leave write_version out, or give SaverDef.V2."
        )
    elif write_version != _V2:
        raise ValueError(
            f"Unexpected write_version: {write_version!r}; give SaverDef.V2 (2) or leave it out"
        )
