"""What a file is that is no checkpoint of ours: damage, another format and what reads it, or unknown. Loads no numpy."""

from __future__ import annotations

import re

from ckpt.core.errors import CkptError, DataLossError, InvalidArgumentError, UnimplementedError
from ckpt.formats.hdf5_layout import MAGIC
from ckpt.formats.shard_index import SHARD_MAGIC


class ForeignFileError(InvalidArgumentError):
    """A file is of a format that ckpt does not read. Whether it is whole, ckpt cannot tell; the text says what reads it."""


class ForeignHdf5Error(ForeignFileError, UnimplementedError):
    """An HDF5 file is another program's."""


_WAY_IN = "give the arrays to ckpt.save(prefix, {name: array})"
_TENSORFLOW = (
    "is part of a checkpoint of TensorFlow, whose values ckpt does not read: read it with tf.train.load_checkpoint under "
    f"TensorFlow, and {_WAY_IN}"
)
_TF_DATA = re.compile(r"\.data-\d{5}-of-\d{5}$")
_TF_HEADER = b"\x1a\x02\x08\x01"  # the version in the first record of an .index file; seen in files that it wrote
_LARGEST_JSON = 1 << 32  # bytes
_ZIPPED = (  # how the first member is called in ZIP archives of
    (re.compile(rb"[^/]*\.npy"), "is an .npz file of numpy", "numpy.load"),
    (re.compile(rb"(?:.*/)?data\.pkl"), "is a file of PyTorch", "torch.load"),
    (re.compile(rb"metadata\.json"), "is a .keras file", "keras.saving.load_model"),
)
_BEGINNINGS = {
    b"PK\3\4": ("is a ZIP archive, as .npz, .pt and .keras files are", "the library that wrote it"),
    b"\x80\2\x8a\nl\xfcF\x9cF\xf9 j\xa8P": ("is an old file of PyTorch", "torch.load"),
    b"\x80\2": (
        "is a Python pickle, as old .pt files are",
        "the library that wrote it, if you trust who did",
    ),
    b"\x93NUMPY": ("is one numpy array", "numpy.load"),
    b"GGUF": ("is a GGUF file", "gguf.GGUFReader"),
    **{
        bytes([0x80, protocol]): (
            "is a Python pickle",
            "the library that wrote it, if you trust who did",
        )
        for protocol in (3, 4, 5)
    },
}
"""How files that are often mistaken for checkpoints begin, what they are, and what reads them."""
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_ALIKE = 9  # of the 16 bytes that our files begin with: what has so many is ours, damaged


def error_for(path: str, head: bytes, known: str) -> CkptError:
    """The error for a file that begins with `head`, which no format recognises; `known` are those that do."""
    found = _damage(head)
    kind: type[DataLossError | InvalidArgumentError] = DataLossError
    if not found:
        kind, found = ForeignFileError, _TENSORFLOW if _TF_DATA.search(path) else _foreign(head)
    if not found:
        kind, found = InvalidArgumentError, _unknown(head)
    return kind(None, None, f"{path}: {found}; expected a checkpoint, formats known: {known}")


def is_beginning_damaged(head: bytes) -> bool:
    """Whether a file begins nearly as ours do, but not quite."""
    return any(
        sum(a == b for a, b in zip(head, magic, strict=False)) >= _ALIKE
        for magic in (MAGIC, SHARD_MAGIC)
    )


def _damage(head: bytes) -> str:
    if not head:
        return "the file is empty; it was cut short or never written"
    if MAGIC.startswith(head):
        return f"the file has only {len(head)} bytes, the beginning of a ckpt checkpoint"
    if not head.strip(b"\0"):
        return "the file begins with zeros only; its content was lost"
    if is_beginning_damaged(head):
        return f"the first bytes are damaged: {head[:16].hex(' ')}, a ckpt checkpoint has {MAGIC.hex(' ')}"
    return ""


def _foreign(head: bytes) -> str:
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself; run `git lfs pull`"
    if head.startswith(b"\0\0") and _TF_HEADER in head[:16]:
        return _TENSORFLOW
    for sign, program in _PACKED.items():
        if head.startswith(sign):
            return f"is compressed with {program}; unpack it first"
    meaning, reader = _library(head)
    return (
        f"{meaning}, which ckpt does not read: read it with {reader}, and {_WAY_IN}"
        if meaning
        else ""
    )


def _library(head: bytes) -> tuple[str, str]:
    if head.startswith(b"PK\3\4"):
        first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        for pattern, meaning, reader in _ZIPPED:
            if pattern.fullmatch(first):
                return meaning, reader
    for sign, (meaning, reader) in _BEGINNINGS.items():
        if head.startswith(sign):
            return meaning, reader
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < _LARGEST_JSON:
        return "is a file of safetensors", "safetensors.numpy.load_file"
    return "", ""


def _unknown(head: bytes) -> str:
    start = head.lstrip()[:20].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "is an HTML page; the download failed or needs a login"
    if start.startswith(b"model_checkpoint"):
        return "is a checkpoint state file, which names checkpoints; give one of them, or see latest_checkpoint"
    if _is_text(head):
        return f"is text that begins with {head[:40].decode('utf-8', 'replace')!r}"
    return f"begins with the unknown bytes {head[:16].hex(' ')}"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8")
    return all(char.isprintable() or char in "\n\r\t" for char in text)
