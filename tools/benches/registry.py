"""Who takes part in which benchmark."""

from collections.abc import Callable

CONTESTANTS: dict[str, dict[str, Callable]] = {}
ORACLE = "tensorflow"
"""Contestants of this name run under the interpreter that has TensorFlow."""


def contestant(group, name):
    """Register `prepare(case) -> timed`; what is timed runs once, or returns the seconds that it measured itself."""

    def register(prepare):
        CONTESTANTS.setdefault(group, {})[name] = prepare
        return prepare

    return register
