"""Nested lists, tuples, dicts and attrs objects: taken apart to a flat list and put together again.

Dicts are visited in the order of their sorted keys. Must not know tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def is_nested(structure: Any) -> bool:
    """True for a list, tuple, mapping or attrs object."""
    return isinstance(structure, (list, tuple, Mapping)) or hasattr(
        type(structure), "__attrs_attrs__"
    )


def sorted_keys(mapping: Mapping[Any, Any]) -> list[Any]:
    """The keys in order. Raises TypeError when they cannot be compared."""
    try:
        return sorted(mapping)
    except TypeError:
        raise TypeError("nest only supports dicts with sortable keys.") from None


def members(structure: Any) -> list[Any]:
    """The values one level down, in the order of `flatten`."""
    if isinstance(structure, Mapping):
        return [structure[key] for key in sorted_keys(structure)]
    if hasattr(type(structure), "__attrs_attrs__"):
        return [getattr(structure, field.name) for field in type(structure).__attrs_attrs__]
    return list(structure)


def rebuilt(structure: Any, values: list[Any]) -> Any:
    """A structure of the same kind with these values one level down."""
    if isinstance(structure, Mapping):
        by_key = dict(zip(sorted_keys(structure), values, strict=True))
        kind: Any = type(structure)
        if hasattr(structure, "default_factory"):
            return kind(structure.default_factory, {key: by_key[key] for key in structure})
        return kind((key, by_key[key]) for key in structure)
    kind = type(structure)
    if hasattr(kind, "__attrs_attrs__") or hasattr(structure, "_fields"):
        return kind(*values)
    return kind(values)


def flatten(structure: Any) -> list[Any]:
    """The leaves from left to right; what is no structure is a leaf itself."""
    found: list[Any] = []
    pending = [structure]
    while pending:
        value = pending.pop()
        if is_nested(value):
            pending.extend(reversed(members(value)))
        else:
            found.append(value)
    return found


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """A structure like `structure` with the leaves of `flat_sequence`. Raises ValueError for another number of them."""
    if not isinstance(flat_sequence, (list, tuple)):
        raise TypeError(f"flat_sequence must be a sequence, not {type(flat_sequence).__name__}")
    if not is_nested(structure):
        if len(flat_sequence) != 1:
            raise ValueError(
                f"Structure is a scalar but len(flat_sequence) == {len(flat_sequence)} > 1"
            )
        return flat_sequence[0]
    wanted = len(flatten(structure))
    if wanted != len(flat_sequence):
        raise ValueError(
            "Could not pack sequence. Structure had "
            f"{wanted} elements, but flat_sequence had {len(flat_sequence)} elements.  Structure: {structure}, "
            f"flat_sequence: {flat_sequence}."
        )
    return _packed(structure, iter(flat_sequence))


def _packed(structure: Any, leaves: Iterator[Any]) -> Any:
    if not is_nested(structure):
        return next(leaves)
    return rebuilt(structure, [_packed(member, leaves) for member in members(structure)])


def assert_same_structure(nest1: Any, nest2: Any, check_types: bool = True) -> None:
    """Raise ValueError when the two nest differently, TypeError when only their types differ."""
    pending = [(nest1, nest2)]
    while pending:
        one, two = pending.pop()
        if is_nested(one) != is_nested(two):
            raise ValueError(
                "The two structures don't have the same nested structure.\n\n"
                f"First structure: {nest1}\n\nSecond structure: {nest2}"
            )
        if not is_nested(one):
            continue
        same_type = type(one) is type(two) or (
            isinstance(one, Mapping) and isinstance(two, Mapping)
        )
        if check_types and not same_type:
            raise TypeError(
                f"The two structures don't have the same sequence type. Input structure has type {type(one)}, while "
                f"shallow structure has type {type(two)}."
            )
        if isinstance(one, Mapping) and isinstance(two, Mapping) and set(one) != set(two):
            raise ValueError(
                f"The two dictionaries don't have the same set of keys: {sorted_keys(one)} and {sorted_keys(two)}"
            )
        first, second = members(one), members(two)
        if len(first) != len(second):
            raise ValueError(
                "The two structures don't have the same number of elements.\n\n"
                f"First structure: {nest1}\n\nSecond structure: {nest2}"
            )
        pending.extend(zip(first, second, strict=True))


def map_structure(
    func: Callable[..., Any], *structure: Any, check_types: bool = True, **kwargs: Any
) -> Any:
    """`func` applied leaf by leaf to structures of one form; the result has that form."""
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types=check_types)
    columns = zip(*[flatten(s) for s in structure], strict=True)
    return pack_sequence_as(structure[0], [func(*leaves, **kwargs) for leaves in columns])
