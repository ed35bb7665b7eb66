"""Functions of the program that are asked for each new variable: `tf.variable_creator_scope`. Knows no variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ckpt.graph import stack

Creator = Callable[..., Any]

_CREATORS = ("__variable_creators",)
"""The collection that holds the open `variable_creator_scope`s of a graph, outermost first."""


@contextmanager
def variable_creator_scope(variable_creator: Creator) -> Iterator[None]:
    """Variables made in the block come from `variable_creator(next_creator, **kwargs)`; the innermost is asked first."""
    creators = stack.get_default_graph().get_collection_ref(_CREATORS)
    creators.append(variable_creator)
    try:
        yield
    finally:
        creators.remove(variable_creator)


def open_creators() -> Sequence[Creator]:
    """The creators of the scopes that are open, outermost first."""
    return stack.get_default_graph().get_collection(_CREATORS)


def through(creators: Sequence[Creator], make: Creator) -> Creator:
    """What makes a variable by asking all `creators`, the last first, and `make` in the end."""
    for creator in creators:
        make = _bound(creator, make)
    return make


def _bound(creator: Creator, following: Creator) -> Creator:
    return lambda **kwargs: creator(following, **kwargs)
