"""Nested structures of lists, tuples, namedtuples and dicts: flattened, rebuilt, compared. Must not know tensors.

Dicts are visited in the order of their sorted keys; strings, arrays and everything else are leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


def is_nested(structure: Any) -> bool:
    """True for a list, tuple or dict (also of a derived class, a namedtuple for instance), and for attrs objects."""
    return isinstance(structure, (list, tuple, Mapping)) or _is_attrs(structure)


is_sequence = is_nested
"""TensorFlow 1's name for `is_nested`."""


def _is_attrs(structure: Any) -> bool:
    return not isinstance(structure, type) and hasattr(type(structure), "__attrs_attrs__")


def _is_namedtuple(structure: Any) -> bool:
    return isinstance(structure, tuple) and hasattr(structure, "_fields")


def _members(structure: Any) -> list[Any]:
    if isinstance(structure, Mapping):
        return [structure[key] for key in _sorted_keys(structure)]
    if _is_attrs(structure):
        return [getattr(structure, a.name) for a in type(structure).__attrs_attrs__]
    return list(structure)


def _sorted_keys(structure: Mapping[Any, Any]) -> list[Any]:
    try:
        return sorted(structure)
    except TypeError:
        raise TypeError("nest only supports dicts with sortable keys.") from None


def _rebuilt(like: Any, members: Sequence[Any]) -> Any:
    kind: Any = type(like)
    if isinstance(like, Mapping):
        found = dict(zip(_sorted_keys(like), members, strict=True))
        pairs = [(key, found[key]) for key in like]
        if hasattr(like, "default_factory"):
            made = kind(like.default_factory)
            made.update(pairs)
            return made
        return kind(pairs)
    if _is_namedtuple(like) or _is_attrs(like):
        return kind(*members)
    return kind(members)


def map_members(func: Callable[[Any], Any], structure: Any) -> Any:
    """The same container with `func` of each direct member."""
    return _rebuilt(structure, [func(member) for member in _members(structure)])


def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves, in order; a leaf alone is a list of one."""
    found: list[Any] = []
    _flatten_into(structure, found)
    return found


def _flatten_into(structure: Any, found: list[Any]) -> None:
    if is_nested(structure):
        for member in _members(structure):
            _flatten_into(member, found)
    else:
        found.append(structure)


def pack_sequence_as(
    structure: Any, flat_sequence: Sequence[Any], expand_composites: bool = False
) -> Any:
    """The leaves of `flat_sequence` in the nest of `structure`. Raises ValueError for another number of leaves."""
    if not is_nested(flat_sequence):
        raise TypeError(
            f"Attempted to pack value:\n  {flat_sequence}\ninto a structure, but found incompatible type "
            f"`{type(flat_sequence)}` instead."
        )
    flat = list(flat_sequence)
    if not is_nested(structure):
        if len(flat) != 1:
            raise ValueError(
                f"The target structure is of type `{type(structure)}`\n  {structure}\nHowever the input is a sequence "
                f"({type(flat_sequence)}) of length {len(flat)}.\n  {flat}\nnest cannot guarantee that it is safe to "
                "map one to the other."
            )
        return flat[0]
    count = len(flatten(structure))
    if count != len(flat):
        raise ValueError(
            f"Could not pack sequence. Structure had {count} atoms, but flat_sequence had {len(flat)} items.  "
            f"Structure: {structure}, flat_sequence: {flat}."
        )
    leaves = iter(flat)
    return _packed(structure, leaves)


def _packed(structure: Any, leaves: Iterator[Any]) -> Any:
    if not is_nested(structure):
        return next(leaves)
    return _rebuilt(structure, [_packed(member, leaves) for member in _members(structure)])


def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raise ValueError where the two nests differ, TypeError where (if asked) their kinds of containers do."""
    try:
        _compare(nest1, nest2, check_types)
    except (ValueError, TypeError) as error:
        raise type(error)(
            f"{error}\nEntire first structure:\n{_dots(nest1)}\nEntire second structure:\n{_dots(nest2)}"
        ) from None


def _dots(structure: Any) -> Any:
    return map_structure(lambda _: ".", structure)


def _compare(first: Any, second: Any, check_types: bool) -> None:
    about = (
        f"The two structures don't have the same nested structure.\n\nFirst structure: type="
        f"{type(first).__name__} str={first}\n\nSecond structure: type={type(second).__name__} str={second}\n\n"
    )
    if is_nested(first) != is_nested(second):
        nested, other = ("First", "second") if is_nested(first) else ("Second", "first")
        raise ValueError(
            f'{about}More specifically: Substructure "type={type(first).__name__}" is a sequence, '
            f"while substructure is not ({nested} is nested, {other} is not)."
        )
    if not is_nested(first):
        return
    if check_types and not _same_kind(first, second):
        raise TypeError(
            f"{about}The two structures don't have the same sequence type. First structure has type {type(first)}, "
            f"while second structure has type {type(second)}."
        )
    if isinstance(first, Mapping) and isinstance(second, Mapping) and set(first) != set(second):
        raise ValueError(
            f"The two dictionaries don't have the same set of keys. First structure has keys {list(first)}, while "
            f"second structure has keys {list(second)}."
        )
    ours, theirs = _members(first), _members(second)
    if len(ours) != len(theirs):
        raise ValueError(
            f"{about}More specifically: The two structures don't have the same number of elements. First structure has "
            f"{len(ours)} elements, second structure has {len(theirs)}."
        )
    for a, b in zip(ours, theirs, strict=True):
        _compare(a, b, check_types)


def _same_kind(first: Any, second: Any) -> bool:
    if _is_namedtuple(first) and _is_namedtuple(second):
        return type(first).__name__ == type(second).__name__ and first._fields == second._fields
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return True
    return type(first) is type(second)


def map_structure(func: Callable[..., Any], *structures: Any, **options: Any) -> Any:
    """`func` of the leaves at each place, in the nest of the first structure.

    Raises TypeError when `func` is no function, ValueError when the nests differ.
    """
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func}")
    if not structures:
        raise ValueError("Must provide at least one structure")
    check_types = options.pop("check_types", True)
    options.pop("expand_composites", None)
    if options:
        raise ValueError(
            f"Only valid keyword arguments are `check_types` and `expand_composites`, not: `{sorted(options)}`"
        )
    for other in structures[1:]:
        assert_same_structure(structures[0], other, check_types)
    columns = zip(*[flatten(s) for s in structures], strict=True)
    return pack_sequence_as(structures[0], [func(*column) for column in columns])


def flatten_up_to(shallow_tree: Any, input_tree: Any, check_types: bool = True) -> list[Any]:
    """What `input_tree` holds where `shallow_tree` has its leaves."""
    found: list[Any] = []

    def visit(shallow: Any, deep: Any) -> None:
        if not is_nested(shallow):
            found.append(deep)
            return
        if not is_nested(deep):
            raise TypeError(
                f"If shallow structure is a sequence, input must also be a sequence. Input has type: {type(deep)}."
            )
        if check_types and not _same_kind(shallow, deep):
            raise TypeError(
                "The two structures don't have the same sequence type. Input structure has type "
                f"{type(deep)}, while shallow structure has type {type(shallow)}."
            )
        ours, theirs = _members(shallow), _members(deep)
        if len(ours) != len(theirs):
            raise ValueError(
                "The two structures don't have the same sequence length. Input structure has length "
                f"{len(theirs)}, while shallow structure has length {len(ours)}."
            )
        for a, b in zip(ours, theirs, strict=True):
            visit(a, b)

    visit(shallow_tree, input_tree)
    return found


def map_structure_up_to(
    shallow_tree: Any, func: Callable[..., Any], *inputs: Any, **options: Any
) -> Any:
    """`func` of what the inputs hold where `shallow_tree` has its leaves, in the nest of `shallow_tree`."""
    check_types = options.get("check_types", True)
    columns = zip(*[flatten_up_to(shallow_tree, tree, check_types) for tree in inputs], strict=True)
    return pack_sequence_as(shallow_tree, [func(*column) for column in columns])
