"""Saving and restoring as operations: the only kernels that touch checkpoint files."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ckpt.core import gfile, storage
from ckpt.core.cells import lend, take_back
from ckpt.core.collector import paused
from ckpt.core.dtypes import DType, string, variant
from ckpt.core.errors import InvalidArgumentError, NotFoundError
from ckpt.core.shapes import TensorShape
from ckpt.core.spelling import similar
from ckpt.core.texts import bytes_of, text_of
from ckpt.formats import detect, shards
from ckpt.formats.base import SliceSpec, TensorEntry
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops.in_place import cell_of, read_into, restore_key

_SHARD = re.compile(r"(.*)(?:_temp(?:_[0-9a-f]{32})?/|\.)part-[0-9]{5}-of-[0-9]{5}", re.DOTALL)
"""Where the shards of a checkpoint lie until they are one; `Saver(sharded=True)` names them so, as in TensorFlow."""

_OF_THE_WHOLE = frozenset({"metadata", "metagraph", "shard_size"})
"""What is attached to a save and does not concern each of its shards."""

_SHOWN = 10  # missing names for which an error looks for near ones


@op(
    "SaveV2",
    "prefix: string, tensor_names: string, shape_and_slices: string, tensors: dtypes... ->",
    dtypes=Attr("list(type)", minimum=1),
)
def save_v2(ctx, prefix, tensor_names, shape_and_slices, *tensors):
    """Write the tensors under their names to the checkpoint `prefix`, whole or as the slices that `shape_and_slices` says.

    What the caller of the run attached for this prefix (metadata, the MetaGraph) goes into the same file; that of a
    sharded checkpoint follows when MergeV2Checkpoints makes the shards one. A function attached as `later` is given the
    writing to be done, in order; the arrays that it holds never change.
    """
    path = _text(prefix)
    with paused():
        specs = [_slice_spec(text) if text else None for text in texts(shape_and_slices)]
        entries = list(map(TensorEntry, texts(tensor_names), tensors, specs))
    part = _SHARD.fullmatch(path)
    whole = part[1] if part else path
    ctx.check_saves(whole)
    attached = ctx.attachment(whole)
    extras = dict(attached or {})
    later = extras.pop("later", None)
    if part is not None:
        extras = {name: value for name, value in extras.items() if name not in _OF_THE_WHOLE}
    threads = 1 if later else None  # in the background, the other processors are for the training

    lent = lend(tensors) if later else set()

    def write():
        try:
            if part is not None or attached is None:  # else the Saver has made it
                directory = storage.split(path)[0]
                storage.make_directory(directory, durable=extras.get("durable", True))
            shards.write_checkpoint(path, shards.taken(entries), threads=threads, **extras)
        finally:
            take_back(lent)

    (later or _at_once)(write)


def _at_once(work):
    work()


save_v2.shape(lambda prefix, names, slices, *tensors: [])
save_v2.writes_files("prefix", saves=True).no_gradient("files are not differentiable")


@op(
    "RestoreV2",
    "prefix: string, tensor_names: string, shape_and_slices: string -> tensors: dtypes...",
    dtypes=Attr("list(type)", minimum=1),
)
def restore_v2(ctx, prefix, tensor_names, shape_and_slices, *, dtypes):
    """Read the tensors of these names from the checkpoint `prefix`, of any format ckpt knows.

    What the caller of the run prepared under `restore_key` is read from there, into the variables that it names.
    Raises NotFoundError listing every name that the checkpoint lacks, InvalidArgumentError for other dtypes.
    """
    path = _text(prefix)
    names, specs = texts(tensor_names), texts(shape_and_slices)
    parts = [part_of(spec) if spec else None for spec in specs]
    prepared, outputs = ctx.attachment(restore_key(path)), ctx.node.outputs
    if prepared is not None and all(map(prepared.matched.__contains__, outputs)):

        def cell_at(number):
            return cell_of(ctx, prepared.variable_of(outputs[number]))

        def cells():  # only a failure asks, and there may be many thousands
            found = (cell_of(ctx, prepared.target_of(output)) for output in outputs)
            return [cell for cell in found if cell is not None]

        found = read_into(cell_at, prepared.reader, names, parts)
        prepared.finished.append(cells)
        return found
    with detect.open_reader(detect.resolve(path)) as reader:
        check_held(path, names, set(reader.names()))
        check_dtypes(path, names, dtypes, reader)
        return read_into(lambda number: None, reader, names, parts)


@op("ShardedFilename", "basename: string, shard: int32, num_shards: int32 -> filename: string")
def sharded_filename(basename, shard, num_shards):
    """`<basename>-00001-of-00005`."""
    return bytes_of(f"{_text(basename)}-{int(shard):05d}-of-{int(num_shards):05d}")


sharded_filename.shape(lambda basename, shard, num_shards: [()])
sharded_filename.no_gradient("names are not differentiable")


@op("MergeV2Checkpoints", "checkpoint_prefixes: string, destination_prefix: string ->", delete_old_dirs=True,
    allow_missing_files=False)  # fmt: skip
def merge_v2_checkpoints(
    ctx, checkpoint_prefixes, destination_prefix, *, delete_old_dirs, allow_missing_files
):
    """Make the checkpoints that SaveV2 wrote under these prefixes the shards of one, and remove their directories.

    What the caller of the run attached for the destination (metadata, the MetaGraph) goes into a shard of its own.
    Raises NotFoundError for one that is missing, unless missing ones are allowed.
    """
    whole = _text(destination_prefix)
    for prefix in (whole, *texts(checkpoint_prefixes)):
        part = _SHARD.fullmatch(prefix)
        ctx.check_saves(part[1] if part else prefix)
    extras = dict(ctx.attachment(whole) or {})
    later = extras.pop("later", _at_once)
    extras = {name: extras[name] for name in ("durable", "metadata", "metagraph") if name in extras}

    def merge():
        parts = [_text(prefix) + shards.FILE_SUFFIX for prefix in np.ravel(checkpoint_prefixes)]
        if allow_missing_files:
            parts = [part for part in parts if storage.exists(part)]
        shards.merge_files(parts, whole, **extras)
        if delete_old_dirs:
            for directory in {storage.split(part)[0] for part in parts}:
                if storage.is_directory(directory) and not storage.names_in(directory):
                    gfile.rmtree(directory)

    later(merge)
    return ()


merge_v2_checkpoints.shape(lambda prefixes, destination: [])
merge_v2_checkpoints.stateful()
merge_v2_checkpoints.writes_files("checkpoint_prefixes", "destination_prefix", saves=True)
merge_v2_checkpoints.no_gradient("files are not differentiable")


restore_v2.stateful()
restore_v2.reads_files("prefix").no_gradient("files are not differentiable")


@restore_v2.shape
def restore_v2_shape(prefix, tensor_names, shape_and_slices, *, dtypes):
    specs = constant_value(shape_and_slices)
    if specs is None:
        return [TensorShape(None)] * len(dtypes)
    parts = [parsed_slice(spec) for spec in np.asarray(specs).reshape(-1)]
    return [TensorShape(None) if part is None else TensorShape(part[1]) for part in parts]


def check_held(path: str, names: list[str], held: set[str]) -> None:
    """Raise NotFoundError listing every name that is not `held`, with the nearest that are."""
    names = list(dict.fromkeys(names))
    missing = [name for name in names if name not in held]
    if not missing:
        return
    lines = [
        f"  {name}: not in the checkpoint{similar(name, held, most=None)}"
        for name in missing[:_SHOWN]
    ]
    raise NotFoundError(
        None,
        None,
        f"{path}: {len(missing)} of {len(names)} tensors are missing (Key {missing[0]} not found in checkpoint):\n"
        + "\n".join(lines)
        + ("" if len(missing) <= _SHOWN else f"\n  … and {len(missing) - _SHOWN} more")
        + f"\nThe checkpoint holds {len(held)} tensors; `ckpt inspect {path}` lists them. "
        "A Saver with var_list={name in the checkpoint: variable} renames.",
    )


def check_dtypes(path: str, names: list[str], wanted: list[Any], reader: Any) -> None:
    """Raise InvalidArgumentError listing every tensor that the checkpoint has in another dtype than wanted."""
    wrong = [
        f"  {name}: expected dtype {dtype.base_dtype.name} does not equal original dtype {reader.spec(name).dtype}"
        for name, dtype in zip(names, wanted, strict=True)
        if reader.spec(name).dtype != stored_dtype(dtype).name
    ]
    if wrong:
        raise InvalidArgumentError(
            None,
            None,
            f"{path}: {len(wrong)} tensors have another dtype than expected:\n" + "\n".join(wrong),
        )


def stored_dtype(dtype: DType) -> DType:
    """The dtype that a checkpoint has for tensors of `dtype`: a variant (where an iterator stands) is kept as bytes."""
    return string if dtype.base_dtype == variant else dtype.base_dtype


def _text(value: Any) -> str:
    value = value.item() if isinstance(value, np.ndarray) else value
    return text_of(value)


def texts(values: Any) -> list[str]:
    """The elements of a string tensor."""
    return [text_of(value) for value in np.ravel(values).tolist()]


def parsed_slice(text: Any) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
    """(full shape, lengths, starts) of a slice written "8 4 0,3:-": TensorFlow's shape_and_slice notation."""
    words = _text(text).split()
    if not words:
        return None
    full = tuple(int(word) for word in words[:-1])
    starts, lengths = [], []
    for part, whole in zip(words[-1].split(":"), full, strict=True):
        start, _, length = ("0", "", str(whole)) if part == "-" else part.partition(",")
        starts.append(int(start))
        lengths.append(int(length))
    return full, tuple(lengths), tuple(starts)


def _slice_spec(text: str) -> SliceSpec | None:
    parsed = parsed_slice(text) if text else None
    return None if parsed is None else SliceSpec(parsed[0], parsed[2])


def part_of(text: str) -> tuple[slice, ...] | None:
    """The slices of a `shape_and_slice`; None for the whole."""
    parsed = parsed_slice(text) if text else None
    if parsed is None:
        return None
    return tuple(slice(s, s + n) for s, n in zip(parsed[2], parsed[1], strict=True))
