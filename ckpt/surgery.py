"""`ckpt.surgery`: edits of saved models, graph and checkpoint together. Re-exports only."""

from ckpt.compose.surgery import (
    Draft,
    draft_of,
    drop,
    extract,
    fold_batch_norms,
    fold_constants,
    freeze,
    graft,
    open_draft,
    redirect,
    remove_identities,
    rename,
    replace_node,
    tie,
    untie,
    write_draft,
)

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
    "tie",
    "untie",
    "write_draft",
]
