"""What a restore does where checkpoint and graph differ: explicit, checked, and an error unless something else is said."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from ckpt.core import renames

CHOICES = {
    "on_missing": ("error", "init", "keep", "skip"),
    "on_unexpected": ("ignore", "warn", "error"),
    "on_shape": ("error", "skip", "reshape", "slice", "pad"),
    "on_dtype": ("error", "cast", "skip"),
    "slots": ("required", "optional"),
}
"""Policy -> what it may be; the first is the default, and what TensorFlow 1 does."""


@dataclass(frozen=True, slots=True)
class Policies:
    """How to restore where names, shapes or dtypes differ.

    `rename`: rules from names in the checkpoint to names of the Saver, see `ckpt.core.renames`. `on_missing`: a variable
    that the checkpoint lacks is an error, or runs its initializer, or must have a value and keeps it, or is left alone.
    `on_unexpected`: what the checkpoint has and no variable takes is ignored, warned of, or an error. `on_shape`: another
    shape is an error, or the variable is left alone, or the values are reshaped, or cut to the variable's shape from
    the first index of each axis, or filled up with zeros to it. `on_dtype`: another dtype is an error, or is cast where
    no value can change beyond rounding, or the variable is left alone. `slots`: "optional" runs the initializers of an
    optimizer's slots that are missing. `apply_suggestions`: missing variables are taken from where they unambiguously
    were renamed to. Raises ValueError for what a policy cannot be, SelectionError (one too) or TypeError for rules that cannot
    be understood.
    """

    rename: Any = None
    on_missing: str = "error"
    on_unexpected: str = "ignore"
    on_shape: str = "error"
    on_dtype: str = "error"
    slots: str = "required"
    apply_suggestions: bool = False
    # the rules are the Saver's: its own checkpoints need none of them
    is_rename_standing: bool = False

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(map(repr, choices))}, not {getattr(self, name)!r}"
                )
        renames.steps(self.rename)  # raises what it cannot be

    def but(self, **said: Any) -> Policies:
        """These policies, but for those that are said; None says nothing."""
        known = {field.name for field in fields(self)}
        changed = {name: value for name, value in said.items() if value is not None}
        if unknown := changed.keys() - known:
            raise TypeError(f"unknown policies: {', '.join(sorted(unknown))}")
        if "rename" in changed:
            changed["is_rename_standing"] = False
        return replace(self, **changed)
