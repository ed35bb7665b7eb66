"""Vocabularies in text files, one entry a line: from the places in a new one to those in an old one."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ckpt.core import gfile
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.texts import text_of
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr


@op("GenerateVocabRemapping",
    "new_vocab_file: string, old_vocab_file: string -> remapping: int64, num_present: int32",
    new_vocab_offset=Attr("int", minimum=0), num_new_vocab=Attr("int", minimum=0), old_vocab_size=-1)  # fmt: skip
def generate_vocab_remapping(
    new_vocab_file, old_vocab_file, *, new_vocab_offset, num_new_vocab, old_vocab_size
):
    """For each of `num_new_vocab` entries from `new_vocab_offset` on, its line in the old vocabulary, -1 if it has none.

    Only the first `old_vocab_size` old entries count (all for -1). Raises NotFoundError for a missing file,
    InvalidArgumentError when a vocabulary has too few entries, or an entry twice, or the old one has none.
    """
    new = _entries(new_vocab_file, new_vocab_offset + num_new_vocab)
    old = _entries(old_vocab_file, old_vocab_size)
    if not old:
        raise InvalidArgumentError(
            None, None, f"{_name(old_vocab_file)}: is empty; an old vocabulary has one entry a line"
        )
    wanted = new[new_vocab_offset : new_vocab_offset + num_new_vocab]
    places = {entry: place for place, entry in enumerate(old[: None if old_vocab_size < 0 else old_vocab_size])}  # fmt: skip
    found = np.array([places.get(entry, -1) for entry in wanted], np.int64)
    return found, np.int32((found >= 0).sum())


@generate_vocab_remapping.shape
def generate_vocab_remapping_shape(new, old, *, num_new_vocab):
    return [(num_new_vocab,), ()]


generate_vocab_remapping.reads_files("new_vocab_file", "old_vocab_file")
generate_vocab_remapping.no_gradient("places are not differentiable")


def _name(file) -> str:
    return text_of(np.asarray(file).item())


def _entries(file, least) -> list[bytes]:
    name = _name(file)
    with gfile.GFile(name, "rb") as opened:
        lines = opened.read().splitlines()
    if len(set(lines)) < len(lines):
        twice = Counter(lines).most_common(1)[0][0]
        raise InvalidArgumentError(None, None, f"{name}: has the entry {twice!r} twice")
    if len(lines) < least:
        raise InvalidArgumentError(
            None, None, f"{name}: has {len(lines)} entries, expected at least {least}"
        )
    return lines
