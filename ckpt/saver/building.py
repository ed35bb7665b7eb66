"""The nodes of a Saver in the graph, with TensorFlow's types, names and order: SaveV2, RestoreV2, the assignments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from ckpt.core import defs
from ckpt.core.dtypes import string
from ckpt.core.errors import GraphError
from ckpt.graph.devices import DeviceSpec, canonical_name
from ckpt.graph.opdef import opdef_of
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import control_dependencies, device, name_scope
from ckpt.model.saveable import SaveableObject
from ckpt.ops import compare, constants, control, io, shaping
from ckpt.saver.var_list import saveables

_CPU = "/device:CPU:0"

Shard = tuple[str, list[SaveableObject]]
"""A device and what lies on it."""


class SaverBuilder:
    """Adds the nodes of Savers. Subclasses may override how things are saved, restored and sharded: `Saver(builder=)`."""

    def build(
        self,
        names_to_saveables: Any,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        filename: str = "model",
    ) -> defs.SaverDef:
        """Add the nodes that save and restore these to the default graph; the SaverDef names them.

        Raises what `var_list.saveables` raises.
        """
        objects = saveables(names_to_saveables)
        with name_scope(name, "save", [saveable.op for saveable in objects]):
            prefix = _filename(filename or "model")
            if sharded:
                shards = _by_device(objects)
                save = self._add_sharded_save(prefix, shards)
                restored = [
                    self._add_shard_restore(prefix, shard, reshape, restore_sequentially)
                    for shard in shards
                ]
            else:
                with control_dependencies([self.save_op(prefix, objects)]):
                    save = control.with_dependencies([], prefix)
                restored = self._add_restore(prefix, objects, _CPU, reshape, restore_sequentially)
            restore = control.group(*restored, name="restore_all")
        return defs.SaverDef(
            filename_tensor_name=prefix.name,
            save_tensor_name=save.name,
            restore_op_name=restore.name,
            max_to_keep=max_to_keep or 0,
            sharded=sharded,
            keep_checkpoint_every_n_hours=float(keep_checkpoint_every_n_hours),
            version=2,
        )

    def save_op(self, filename_tensor: Tensor, saveables: Sequence[SaveableObject]) -> Operation:
        """The operation that writes these objects to one file."""
        specs = [spec for saveable in saveables for spec in saveable.specs]
        found: Operation = io.save_v2(
            filename_tensor,
            _strings([spec.name for spec in specs]),
            _strings([spec.slice_spec for spec in specs]),
            [spec.tensor for spec in specs],
        )
        return found

    def restore_op(
        self, filename_tensor: Tensor, saveables: Sequence[SaveableObject]
    ) -> list[Tensor]:
        """The tensors of these objects, in the order of their specs, read from the checkpoint by one operation."""
        specs = [spec for saveable in saveables for spec in saveable.specs]
        found: list[Tensor] = io.restore_v2(
            filename_tensor,
            _strings([spec.name for spec in specs]),
            _strings([spec.slice_spec for spec in specs]),
            dtypes=[spec.dtype.base_dtype for spec in specs],
        )
        return found

    def sharded_filename(self, filename_tensor: Tensor, shard: int, num_shards: Tensor) -> Tensor:
        """The prefix of shard `shard`."""
        found: Tensor = io.sharded_filename(filename_tensor, shard, num_shards)
        return found

    def _add_sharded_save(self, prefix: Tensor, shards: Sequence[Shard]) -> Tensor:
        """One file per device, then the operation that makes them one checkpoint."""
        with device("CPU"):
            temporary = _temporary(prefix)
        count = constants.constant(len(shards), name="num_shards")
        names, saved = [], []
        for number, (place, objects) in enumerate(shards):
            with device(_on_cpu(place)):
                name = self.sharded_filename(temporary, number, count)
                with control_dependencies([self.save_op(name, objects)]):
                    saved.append(control.with_dependencies([], name))
                names.append(name)
        with control_dependencies([tensor.op for tensor in saved]), device(_on_cpu(shards[-1][0])):
            merge = io.merge_v2_checkpoints(names, prefix, delete_old_dirs=True)
            with control_dependencies([merge]):
                found: Tensor = control.identity(prefix)
        return found

    def _add_shard_restore(
        self, prefix: Tensor, shard: Shard, reshape: bool, sequentially: bool
    ) -> Operation:
        place, objects = shard
        with device(place):
            assigned = self._add_restore(prefix, objects, _on_cpu(place), reshape, sequentially)
            return control.group(*assigned, name="restore_shard")

    def _add_restore(
        self,
        prefix: Tensor,
        objects: Sequence[SaveableObject],
        place: str,
        reshape: bool,
        sequentially: bool,
    ) -> list[Operation]:
        """The assignments of these objects. Sequentially, each is read only when the one before has been assigned."""
        done: list[Operation] = []
        for group in [[one] for one in objects] if sequentially else [list(objects)]:
            with device(place), control_dependencies(done[-1:]):
                tensors = iter(self.restore_op(prefix, group))
            for saveable in group:
                own = list(islice(tensors, len(saveable.specs)))
                done.append(saveable.restore(own, _shapes(saveable) if reshape else None))
        return done


def _strings(texts: list[str]) -> np.ndarray[Any, Any]:
    """For a constant: made of a list, it would be looked through for tensors, again and again."""
    return np.array(texts, object)


def _filename(filename: str) -> Tensor:
    default = constants.placeholder_with_default(filename, shape=(), name="filename")
    found: Tensor = constants.placeholder_with_default(default, shape=(), name="Const")
    return found


def _temporary(prefix: Tensor) -> Tensor:
    """Where shards are written before they are one checkpoint; the nodes are TensorFlow's, object stores apart."""
    is_object_store = opdef_of("StaticRegexFullMatch")(prefix, pattern="^s3://.*")
    part = compare.select(
        is_object_store,
        constants.constant(".part", string),
        constants.constant("_temp/part", string),
    )
    found: Tensor = opdef_of("StringJoin")([prefix, part])
    return found


def _by_device(objects: Sequence[SaveableObject]) -> list[Shard]:
    """The objects by their device, in the order of the devices' names. Raises ValueError for one on several devices."""
    found: dict[str, list[SaveableObject]] = {}
    for saveable in objects:
        places = {canonical_name(spec.device or "") for spec in saveable.specs}
        if len(places) != 1:
            raise GraphError(
                f"All tensors of a saveable object must be on the same device: {saveable.name}"
            )
        found.setdefault(places.pop(), []).append(saveable)
    return sorted(found.items())


def _on_cpu(place: str) -> str:
    """The first CPU of the task that a device belongs to: where files are read and written."""
    spec = DeviceSpec.from_string(place)
    return DeviceSpec(
        job=spec.job, replica=spec.replica, task=spec.task, device_type="CPU", device_index=0
    ).to_string()


def _shapes(saveable: SaveableObject) -> list[Any]:
    """The shapes that the tensors of a saveable are to get: the static ones, or those that the variables have."""
    tensors = [spec.tensor for spec in saveable.specs]
    return [
        tensor.shape.as_list() if tensor.shape.is_fully_defined() else shaping.shape(tensor)
        for tensor in tensors
    ]
