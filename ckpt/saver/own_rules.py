"""Which rename rules the Saver had that wrote a checkpoint: noted in its metadata, since it wrote the names they lead to.

Must not know Savers or sessions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ckpt.core import renames

RENAME_RULES = "rename_rules"
"""Key in a checkpoint's metadata: the digest of the rules of the Saver that wrote it, where it had any."""


def noted(rename: Any) -> dict[str, str]:
    """The metadata for a checkpoint that a Saver with these rules writes. Raises what `renames.steps` raises."""
    steps = renames.steps(rename)
    if not steps:
        return {}
    text = "\0\0".join("\0".join(step.texts) for step in steps)
    return {RENAME_RULES: hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()}


def are_noted(rename: Any, metadata: Mapping[str, str]) -> bool:
    """True when a Saver with these rules wrote the checkpoint of this metadata."""
    return RENAME_RULES in metadata and noted(rename).items() <= metadata.items()
