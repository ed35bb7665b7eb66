"""Words that libraries use for one thing, and the names that are the same but for them. Knows no files, no graphs."""

from __future__ import annotations

import re
from functools import lru_cache

_ALIKE = (
    "kernel kernels weight weights w",
    "bias biases b",
    "gamma scale",
    "beta offset shift",
    "moving_mean running_mean",
    "moving_variance moving_var running_variance running_var",
    "embedding embeddings embedding_table embedding_weights embedding_matrix",
)
_FIRST = {word.replace("_", ""): words.split()[0] for words in _ALIKE for word in words.split()}
"""Word, without separators -> the first of those that mean the same."""

_BETWEEN = re.compile(r"(?<!\d)[^a-z0-9]+|[^a-z0-9]+(?!\d)")


def meaning(name: str) -> tuple[str, ...]:
    """The parts of a name, the same for all names that say the same in other words, capitals or separators.

    `meaning("net/dense/Kernel")` is `meaning("net.dense.weights")`. Numbers are kept apart: `a_1_1` is not `a_11`.
    """
    return tuple(map(_word, name.removesuffix(":0").replace(".", "/").split("/")))


def last_word(name: str) -> str:
    """The last of the parts that `meaning` gives."""
    return _word(name.removesuffix(":0").replace(".", "/").rpartition("/")[2])


@lru_cache(maxsize=4096)
def _word(part: str) -> str:
    plain = _BETWEEN.sub("", part.lower())
    return _FIRST.get(plain, plain)


def is_moved(held: str, wanted: str) -> bool:
    """Whether one name is the other in another scope, or in one more, with two parts in common to tell it by.

    Numbers must be the same ones: layers that differ in them are different layers.
    """
    ours, theirs = meaning(held), meaning(wanted)
    if len(ours) > len(theirs):
        ours, theirs = theirs, ours
    end = 0
    while end < len(ours) and ours[-1 - end] == theirs[-1 - end]:
        end += 1
    start = 0
    while start < len(ours) - end and ours[start] == theirs[start]:
        start += 1
    old, new = ours[start : len(ours) - end], theirs[start : len(theirs) - end]
    if end < 1 or start + end < 2 or max(len(old), len(new)) > 1:
        return False
    numbers = [re.findall(r"\d+", "".join(part)) for part in (old, new)]
    words = [re.sub(r"\d+", "", "".join(part)) for part in (old, new)]
    return words[0] != words[1] and (numbers[0] == numbers[1] or [] in numbers)
