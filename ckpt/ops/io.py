"""Saving and restoring as operations: the only kernels that touch checkpoint files."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core.errors import InvalidArgumentError, NotFoundError
from ckpt.core.shapes import TensorShape
from ckpt.formats import detect, shards
from ckpt.formats.base import SliceSpec, TensorEntry
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value


@op(
    "SaveV2",
    "prefix: string, tensor_names: string, shape_and_slices: string, tensors: dtypes... ->",
    dtypes=Attr("list(type)", minimum=1),
)
def save_v2(ctx, prefix, tensor_names, shape_and_slices, *tensors):
    """Write the tensors under their names to the checkpoint `prefix`, whole or as the slices that `shape_and_slices` says.

    What the caller of the run attached for this prefix (metadata, the MetaGraph) goes into the same file.
    """
    path = _text(prefix)
    entries = [
        TensorEntry(_text(name), np.asarray(tensor), _slice_spec(_text(spec)))
        for name, spec, tensor in zip(tensor_names, shape_and_slices, tensors, strict=True)
    ]
    extras = ctx.take_attachment(path) or {}
    shards.write_checkpoint(path, entries, **extras)


save_v2.shape(lambda prefix, names, slices, *tensors: [])
save_v2.no_gradient("files are not differentiable")


@op(
    "RestoreV2",
    "prefix: string, tensor_names: string, shape_and_slices: string -> tensors: dtypes...",
    dtypes=Attr("list(type)", minimum=1),
)
def restore_v2(ctx, prefix, tensor_names, shape_and_slices, *, dtypes):
    """Read the tensors of these names from the checkpoint `prefix`, of any format ckpt knows.

    Raises NotFoundError listing every name that the checkpoint lacks, InvalidArgumentError for other dtypes.
    """
    path = _text(prefix)
    with detect.open_reader(detect.resolve(path)) as reader:
        held = set(reader.names())
        names = [_text(name) for name in tensor_names]
        _check_held(path, names, held)
        _check_dtypes(path, names, dtypes, reader)
        return [
            reader.read(name, part=_part(_text(spec)))
            for name, spec in zip(names, shape_and_slices, strict=True)
        ]


restore_v2.stateful()
restore_v2.no_gradient("files are not differentiable")


@restore_v2.shape
def restore_v2_shape(prefix, tensor_names, shape_and_slices, *, dtypes):
    specs = constant_value(shape_and_slices)
    if specs is None:
        return [TensorShape(None)] * len(dtypes)
    parts = [_parsed(spec) for spec in np.asarray(specs).reshape(-1)]
    return [TensorShape(None) if part is None else TensorShape(part[1]) for part in parts]


def _check_held(path: str, names: list[str], held: set[str]) -> None:
    import difflib  # only an error needs it

    missing = [name for name in names if name not in held]
    if not missing:
        return
    lines = []
    for name in missing:
        near = difflib.get_close_matches(name, held, n=3, cutoff=0.6)
        lines.append(
            f"  {name}: not in the checkpoint" + (f"; it holds {', '.join(near)}" if near else "")
        )
    raise NotFoundError(
        None,
        None,
        f"{path}: {len(missing)} of {len(names)} tensors are missing (Key {missing[0]} not found in checkpoint):\n"
        + "\n".join(lines)
        + f"\nThe checkpoint holds {len(held)} tensors; `ckpt inspect {path}` lists them. "
        "A Saver with var_list={name in the checkpoint: variable} renames.",
    )


def _check_dtypes(path: str, names: list[str], wanted: list[Any], reader: Any) -> None:
    wrong = [
        f"  {name}: the graph has {dtype.base_dtype.name}, the checkpoint has {reader.spec(name).dtype}"
        for name, dtype in zip(names, wanted, strict=True)
        if reader.spec(name).dtype != dtype.base_dtype.name
    ]
    if wrong:
        raise InvalidArgumentError(
            None,
            None,
            f"{path}: {len(wrong)} tensors have another dtype than expected:\n" + "\n".join(wrong),
        )


def _text(value: Any) -> str:
    value = value.item() if isinstance(value, np.ndarray) else value
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _parsed(text: Any) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
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
    parsed = _parsed(text)
    return None if parsed is None else SliceSpec(parsed[0], parsed[2])


def _part(text: str) -> tuple[slice, ...] | None:
    parsed = _parsed(text)
    if parsed is None:
        return None
    return tuple(slice(s, s + n) for s, n in zip(parsed[2], parsed[1], strict=True))
