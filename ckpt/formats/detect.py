"""Which format is this file? By its content, never by its name. Loads no numpy and no h5py."""

from __future__ import annotations

import os
import re

from ckpt.core.errors import DataLossError, InvalidArgumentError
from ckpt.core.storage import exists, is_directory, open_input
from ckpt.formats import hdf5
from ckpt.formats.base import Format, StrPath, TensorReader
from ckpt.formats.hdf5 import FOREIGN_HDF5, HDF5, SHARDED_HDF5
from ckpt.formats.hdf5_layout import MAGIC
from ckpt.formats.hdf5_volumes import open_checkpoint
from ckpt.formats.missing import MissingCheckpointError

FORMATS: list[Format] = [SHARDED_HDF5, HDF5, FOREIGN_HDF5]

_HEAD = 4096

_WAY_IN = "read it with the library that wrote it, and give the arrays to ckpt.save(prefix, {name: array})"
_TF_CHECKPOINT = (
    f"is part of a checkpoint of TensorFlow, whose values ckpt does not read: {_WAY_IN}"
)
_TF_DATA = re.compile(r"\.data-\d{5}-of-\d{5}$")
_TF_HEADER = b"\x1a\x02\x08\x01"  # the version in the first record of an .index file; seen in files that it wrote
_LARGEST_JSON = 1 << 32  # bytes
_OTHERS = {
    b"PK\3\4": "is a ZIP archive, as .npz, .pt and .keras files are",
    b"\x80\2": "is a Python pickle, as old .pt files are",
    b"\x80\3": "is a Python pickle",
    b"\x80\4": "is a Python pickle",
    b"\x80\5": "is a Python pickle",
    b"\x93NUMPY": "is one numpy array",
    b"GGUF": "is a GGUF file",
}
"""How files that are often mistaken for checkpoints begin, and what they are."""
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def open_reader(path: StrPath, *, max_expansion: int | None = None) -> TensorReader:
    """Open the checkpoint that `path` names: a file of any known format, or a prefix.

    Raises NotFoundError when there is none, InvalidArgumentError when its format is unknown, DataLossError
    when it is damaged. `max_expansion` is how much larger than their file compressed values may be, in our files.
    """
    name = resolve(path)
    file = open_input(name)
    try:
        head = file.read(0, min(file.size, _HEAD))
        is_own = HDF5.recognises(head) or SHARDED_HDF5.recognises(head)
    except BaseException:
        file.close()
        raise
    if is_own:
        return hdf5.open_reader(name, max_expansion=max_expansion, file=file)
    file.close()
    return recognise(name).open(name)


def read_metadata(path: StrPath) -> dict[str, str]:
    """What the writer of a checkpoint noted in it. Loads no numpy for our own files. Raises what `open_reader` raises."""
    name = resolve(path)
    known = recognise(name)
    if known in (HDF5, SHARDED_HDF5):
        checkpoint = open_checkpoint(name)
        checkpoint.close()
        return dict(checkpoint.metadata)
    with known.open(name) as reader:
        return dict(reader.metadata())


def resolve(path: StrPath) -> str:
    """The file to open for `path`: itself, or the file beside the prefix or `.meta` file that it names.

    Raises MissingCheckpointError when there is none, InvalidArgumentError for a directory.
    """
    name = os.fsdecode(path)
    if name.endswith(".meta"):
        name = name.removesuffix(".meta")
    elif exists(name) and not is_directory(name):
        return name
    candidates = [(name + suffix, known) for known in FORMATS for suffix in known.suffixes]
    existing = [(file, known) for file, known in candidates if exists(file)]
    for file, known in existing:
        if known.recognises(_head_of(file)):
            return file
    if existing:
        return existing[0][0]
    if is_directory(name):
        raise InvalidArgumentError(
            None, None, f"{name}: is a directory; give a file or a prefix, see latest_checkpoint"
        )
    raise MissingCheckpointError(name, [name, *(file for file, _ in candidates)])


def recognise(path: StrPath) -> Format:
    """The format of a file. Raises InvalidArgumentError or DataLossError that says what it is instead."""
    head = _head_of(path)
    for known in FORMATS:
        if known.recognises(head):
            return known
    found, is_damage = _describe(head)
    if _TF_DATA.search(os.fspath(path)):
        found, is_damage = _TF_CHECKPOINT, False
    names = ", ".join(known.name for known in FORMATS if known is not FOREIGN_HDF5)
    kind = DataLossError if is_damage else InvalidArgumentError
    raise kind(
        None, None, f"{os.fspath(path)}: {found}; expected a checkpoint, formats known: {names}"
    )


def _head_of(path: StrPath) -> bytes:
    with open_input(path) as file:
        return file.read(0, min(file.size, _HEAD))


def _describe(head: bytes) -> tuple[str, bool]:
    """What the file is instead, and whether that looks like damage rather than a wrong path."""
    if not head:
        return "the file is empty; it was cut short or never written", True
    if MAGIC.startswith(head):
        return f"the file has only {len(head)} bytes, the beginning of a ckpt checkpoint", True
    if not head.strip(b"\0"):
        return "the file begins with zeros only; its content was lost", True
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself; run `git lfs pull`", False
    if head.startswith(b"\0\0") and _TF_HEADER in head[:16]:
        return _TF_CHECKPOINT, False
    for sign, meaning in _OTHERS.items():
        if head.startswith(sign):
            return f"{meaning}, which ckpt does not read: {_WAY_IN}", False
    for sign, program in _PACKED.items():
        if head.startswith(sign):
            return f"is compressed with {program}; unpack it first", False
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < _LARGEST_JSON:
        return f"is a file of safetensors, which ckpt does not read: {_WAY_IN}", False
    start = head.lstrip()[:20].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "is an HTML page; the download failed or needs a login", False
    if start.startswith(b"model_checkpoint"):
        return (
            "is a checkpoint state file, which names checkpoints; give one of them, or see latest_checkpoint",
            False,
        )
    if _is_text(head):
        return f"is text that begins with {head[:40].decode('utf-8', 'replace')!r}", False
    return f"begins with the unknown bytes {head[:16].hex(' ')}", False


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8")
    return all(char.isprintable() or char in "\n\r\t" for char in text)
