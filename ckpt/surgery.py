"""`ckpt.surgery`: edits of saved models, graph and checkpoint together. Re-exports only.

draft = surgery.open_draft("run/model.ckpt-100")
draft, names = surgery.rename(draft, {"old/": "new/"})
draft = surgery.freeze(draft, outputs=["new/y"])
surgery.write_draft(draft, "frozen")
"""

from ckpt.compose.draft import Draft, draft_of, open_draft, write_draft
from ckpt.compose.surgery.grafting import graft
from ckpt.compose.surgery.inference import (
    fold_batch_norms,
    redirect,
    remove_identities,
    replace_node,
)
from ckpt.compose.surgery.likeness import rules_like
from ckpt.compose.surgery.names import rename
from ckpt.compose.surgery.scopes import drop, extract, tie, untie
from ckpt.compose.surgery.values import fold_constants, freeze

__all__ = [
    "Draft",
    "draft_of",
    "drop",
    "extract",
    "fold_batch_norms",
    "fold_constants",
    "freeze",
    "graft",
    "open_draft",
    "redirect",
    "remove_identities",
    "rename",
    "replace_node",
    "rules_like",
    "tie",
    "untie",
    "write_draft",
]
