"""Which tensor of a checkpoint goes into which variable, and how: decided for all before anything is assigned."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from ckpt.core import dtypes, renames
from ckpt.core.errors import OpError, SelectionError
from ckpt.core.near_names import Named
from ckpt.core.suggestions import Suggestions, suggest
from ckpt.core.tensor_roles import AVERAGE
from ckpt.formats.base import FreshArrays, TensorReader, TensorSpec, read_all
from ckpt.formats.joined import JoinedReader, Joint, joints, used_parts
from ckpt.ops.io import parsed_slice, part_of
from ckpt.saver import own_rules, restore_errors
from ckpt.saver.object_names import best_way, graph_names
from ckpt.saver.policies import Policies
from ckpt.saver.report import Mismatch, RestoreReport
from ckpt.saver.restored import Restored

Array = np.ndarray[Any, Any]

_EMA = f"/{AVERAGE}"


class LostValuesError(ValueError):
    """A cast would make other numbers of some."""


@dataclass(eq=False, slots=True)  # never changed; there may be many thousands
class Piece:
    """One tensor to be read: for what, under which name of the checkpoint, and how it is made to fit."""

    entry: Restored
    source: str
    fit: str = ""  # "reshape", "slice" or "pad"
    cast: bool = False

    @property
    def is_plain(self) -> bool:
        """True when RestoreV2 itself would read the same."""
        return self.source == self.entry.name and not self.fit and not self.cast

    @property
    def is_whole(self) -> bool:
        """True when the tensor is taken as the file has it."""
        return not (self.fit or self.cast or self.entry.slice_spec)

    def read(self, reader: TensorReader) -> Array:
        """The values, as the assignment takes them; only the bytes needed are read.

        Raises LostValuesError when a cast would make infinities of numbers, and what the reader raises.
        """
        if self.fit in ("slice", "pad"):
            array = self._overlap(reader)
        else:
            array = reader.read(self.source, part=part_of(self.entry.slice_spec))
        if self.fit == "reshape":
            array = array.reshape(self.entry.shape.as_tuple())
        if self.cast:
            array = _cast(array, self.entry, self.source)
        array.flags.writeable = False
        return array

    def _overlap(self, reader: TensorReader) -> Array:
        """What variable and checkpoint have in common from the first index on, and zeros for the rest."""
        parsed = parsed_slice(self.entry.slice_spec)
        shape = self.entry.shape.as_tuple()
        lengths, starts = (shape, (0,) * len(shape)) if parsed is None else parsed[1:]
        held = reader.spec(self.source).shape
        part = tuple(
            slice(min(start, full), min(start + length, full))
            for start, length, full in zip(starts, lengths, held, strict=True)
        )
        found = reader.read(self.source, part=part)
        if found.shape == lengths:
            return found
        filled: Array = np.full(lengths, b"" if found.dtype == np.object_ else 0, found.dtype)
        filled[tuple(slice(length) for length in found.shape)] = found
        return filled


@dataclass
class Match:
    """What is to be done: the pieces to read, and what is left without one, each with what is done about it.

    `reader` reads what the pieces name, also tensors put together from parts; `held` counts the tensors of the file.
    """

    pieces: list[Piece] = field(default_factory=list)
    left: list[tuple[Restored, str]] = field(default_factory=list)
    mismatched: list[Mismatch] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    suggested: dict[str, str] = field(default_factory=dict)
    unexpected: tuple[str, ...] = ()
    reader: TensorReader | None = None
    held: int = 0

    def left_to(self, action: str) -> list[Restored]:
        """What is left for this action: "error", "init", "keep" or "skip"."""
        return [entry for entry, said in self.left if said == action]

    def is_plain(self, wanted: Sequence[Restored]) -> bool:
        """True when the restore operation of the graph, as it is, does all of it."""
        is_all = len(self.pieces) == len(wanted) and all(piece.is_plain for piece in self.pieces)
        return is_all and not isinstance(self.reader, JoinedReader)

    def values(self, path: str) -> dict[Any, Array]:
        """What to feed: the tensor that RestoreV2 would make of each piece, and its values.

        Raises one InvalidArgumentError listing all that would lose values by a cast.
        """
        assert self.reader is not None  # match() sets it
        whole = [piece for piece in self.pieces if piece.is_whole]
        target = FreshArrays(len(whole))
        read_all(self.reader, [piece.source for piece in whole], target)
        found = {p.entry.tensor: array for p, array in zip(whole, target.found, strict=True)}
        for array in target.found:
            array.flags.writeable = False
        lost = []
        for piece in self.pieces:
            if piece.entry.tensor not in found:
                try:
                    found[piece.entry.tensor] = piece.read(self.reader)
                except LostValuesError as error:
                    lost.append(str(error))
        if lost:
            raise restore_errors.lost_values(path, lost)
        return found

    def report(self, path: str) -> RestoreReport:
        """What the caller is told."""
        restored = tuple(dict.fromkeys(piece.entry.name for piece in self.pieces))
        initialized, kept, skipped = (
            tuple(dict.fromkeys(entry.name for entry in self.left_to(action)))
            for action in ("init", "keep", "skip")
        )
        unfit = dict.fromkeys(m.name for m in self.mismatched if m.action == "skip")
        return RestoreReport(
            path,
            restored,
            tuple(dict.fromkeys(entry.name for entry, _ in self.left)),
            self.unexpected,
            tuple(self.mismatched),
            self.renamed,
            self.suggested,
            initialized,
            kept,
            (*skipped, *unfit),
        )


def match(
    wanted: Sequence[Restored],
    reader: TensorReader,
    path: str,
    policies: Policies,
    *,
    is_slot: Callable[[Restored], bool],
    has_value: Callable[[Restored], bool],
) -> Match:
    """Decide for every tensor wanted where it comes from. What lacks a value to keep is told only beside other problems.

    Raises one NotFoundError or InvalidArgumentError that lists everything the policies make an error, SelectionError
    (a ValueError) for rename rules that fit nothing or collide.
    """
    held = reader.names()
    names = list(dict.fromkeys(entry.name for entry in wanted))
    sources = _sources(path, reader, names, policies)
    found = Match(held=len(held))
    joined: dict[str, Joint] = {}
    if policies.apply_suggestions and any(name not in sources for name in names):
        pairs = _suggestions(wanted, sources, reader).pairs
        found.suggested = {sources[old]: new for new, old in pairs.items()}
        sources |= {new: sources[old] for new, old in pairs.items()}
        joined = joints(reader, _absent(wanted, sources))
        reader = JoinedReader(reader, joined) if joined else reader
        sources |= {name: name for name in joined}
        found.suggested |= {part: name for name, joint in joined.items() for part in joint.parts}
    found.reader = reader
    _fit(wanted, sources, reader, policies, found, is_slot)
    used = {piece.source for piece in found.pieces}
    found.renamed = {
        part: piece.entry.name
        for piece in found.pieces
        if piece.source != piece.entry.name or joined
        for part in used_parts(joined, [piece.source])
        if part != piece.entry.name
    }
    taken = used_parts(joined, used | {sources[m.name] for m in found.mismatched})
    found.unexpected = tuple(name for name in held if name not in taken)
    _check(wanted, sources, reader, path, policies, found, is_slot, has_value)
    return found


def _absent(wanted: Sequence[Restored], sources: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Name -> full shape of what has no source and a shape that is known."""
    return {
        entry.name: entry.full_shape.as_tuple()
        for entry in wanted
        if entry.name not in sources and entry.full_shape.is_fully_defined()
    }


def _sources(
    path: str, reader: TensorReader, names: Sequence[str], policies: Policies
) -> dict[str, str]:
    """Name wanted -> name in the checkpoint, after the caller's rules.

    Where a name is missing, those of an object-based checkpoint are what the graph that it was saved from called them, or
    its keys, whichever the rules lead to more variables from.
    """
    ways = [{name: name for name in reader.names()}]
    if not all(name in ways[0] for name in names) and (called := graph_names(reader)):
        ways.insert(0, {called.get(key, key): key for key in ways[0]})
    if policies.rename is None:
        return ways[0]
    is_own = policies.is_rename_standing and own_rules.are_noted(policies.rename, reader.metadata())
    return best_way(ways, lambda held: _renamed(path, held, names, policies, is_own=is_own), names)


def _renamed(
    path: str, held: Collection[str], names: Sequence[str], policies: Policies, *, is_own: bool
) -> Mapping[str, str]:
    """Name wanted -> one of `held`, after the caller's rules.

    Those of a Saver give way where every name is there as it is and they would lead to fewer, or where it wrote them
    itself (`is_own`) and they lead to no more.
    """
    wanted = set(names)
    plain = {name: name for name in held}
    fits = wanted & plain.keys()
    try:
        found = renames.renamed(held, policies.rename, wanted=wanted, allow_idle=True)
        led = wanted & found.sources.keys()
        is_needless = not found.renamed or len(led) < len(fits)
        if is_own and fits and len(led) <= len(fits):
            return plain
        if policies.is_rename_standing and fits == wanted and is_needless:
            return plain
        if found.idle:
            renames.renamed(held, policies.rename, wanted=wanted)
    except SelectionError as error:
        if is_own and fits:
            return plain
        raise SelectionError(f"{path}: {error}") from error
    return found.sources


def _named(entry: Restored) -> Named:
    sizes = entry.full_shape.sizes
    return Named(entry.name, entry.dtype.base_dtype.name, None if sizes is None else tuple(sizes))


def _suggestions(
    wanted: Sequence[Restored], sources: Mapping[str, str], reader: TensorReader
) -> Suggestions:
    names = {entry.name: _named(entry) for entry in wanted}
    held = []
    for name, source in sources.items():
        spec = reader.spec(source)
        held.append(Named(name, spec.dtype, spec.shape))
    return suggest(list(names.values()), held, shown=restore_errors.SHOWN)


def _fit(
    wanted: Sequence[Restored],
    sources: Mapping[str, str],
    reader: TensorReader,
    policies: Policies,
    found: Match,
    is_slot: Callable[[Restored], bool],
) -> None:
    """Sort all that is wanted into pieces, missing and mismatched. What one node takes is restored all or not at all."""
    left_alone: set[Any] = set()
    pieces: list[Piece] = []
    for entry in wanted:
        source = sources.get(entry.name)
        if source is None:
            is_optional = policies.slots == "optional" and is_slot(entry)
            action = "init" if is_optional else policies.on_missing
            found.left.append((entry, action))
            left_alone.add(entry.target)
            continue
        piece, mismatch = _piece(entry, source, reader.spec(source), policies)
        if mismatch is not None:
            found.mismatched.append(mismatch)
        if piece is None:
            left_alone.add(entry.target)
        else:
            pieces.append(piece)
    found.mismatched = list(dict.fromkeys(found.mismatched))  # the parts of a variable have one
    if not left_alone:
        found.pieces = pieces
        return
    found.pieces = [piece for piece in pieces if piece.entry.target not in left_alone]
    found.left += [(piece.entry, "skip") for piece in pieces if piece.entry.target in left_alone]


def _piece(
    entry: Restored, source: str, spec: TensorSpec, policies: Policies
) -> tuple[Piece | None, Mismatch | None]:
    full, dtype = entry.full_shape, entry.dtype.base_dtype
    if full.sizes == spec.shape and spec.dtype == dtype.name:  # as a rule, and at once
        return Piece(entry, source), None
    fit = "" if full.is_compatible_with(spec.shape) else policies.on_shape
    if fit and (entry.is_reshaped or fit == "reshape"):
        fit = "reshape"
    cast = "" if spec.dtype == dtype.name else policies.on_dtype
    if not fit and not cast:
        return Piece(entry, source), None
    actions = [
        action if action in ("error", "skip") or possible else "error"
        for action, possible in (
            (fit, bool(fit) and _can_fit(entry, spec.shape, fit)),
            (cast, bool(cast) and _can_cast(dtypes.as_dtype(spec.dtype), dtype)),
        )
        if action
    ]
    action = next((a for a in ("error", "skip") if a in actions), " and ".join(actions))
    mismatch = Mismatch(entry.name, str(_named(entry)), str(spec), action)
    if action in ("error", "skip"):
        return None, mismatch
    return Piece(entry, source, fit, bool(cast)), mismatch


def _can_fit(entry: Restored, held: tuple[int, ...], fit: str) -> bool:
    wanted = entry.full_shape
    if not wanted.is_fully_defined():
        return False
    sizes = wanted.as_tuple()
    if fit == "reshape":
        return not entry.slice_spec and prod(sizes) == prod(held)
    if len(sizes) != len(held):
        return False
    pairs = zip(sizes, held, strict=True)
    return all(w <= h if fit == "slice" else w >= h for w, h in pairs)


def _can_cast(old: dtypes.DType, new: dtypes.DType) -> bool:
    """Whether numbers of the one dtype are numbers of the other, apart from rounding and size."""
    ranks = [_rank(old), _rank(new)]
    return None not in ranks and ranks[0] <= ranks[1]  # type: ignore[operator]


def _rank(dtype: dtypes.DType) -> int | None:
    kinds = (dtype.is_bool, dtype.is_integer, dtype.is_floating, dtype.is_complex)
    return next((rank for rank, is_kind in enumerate(kinds) if is_kind), None)


def _cast(array: Array, entry: Restored, source: str) -> Array:
    """The values in the dtype of the entry. Raises LostValuesError for integers and numbers that it cannot hold."""
    with np.errstate(all="ignore"):
        cast: Array = array.astype(entry.dtype.base_dtype.as_numpy_dtype)
        if entry.dtype.base_dtype.is_integer:
            is_lost = (cast.astype(array.dtype) != array) | ((cast < 0) != (array < 0))
        else:
            is_lost = np.isfinite(array) & ~np.isfinite(cast)
    lost = int(np.count_nonzero(is_lost))
    if lost:
        kind = entry.dtype.base_dtype.name
        raise LostValuesError(
            f"{source}: {lost} of {array.size} values do not fit into {kind}, the dtype of {entry.name}"
        )
    return cast


def _unreadable(found: Match) -> list[str]:
    """Why values that would be cast cannot be, one line each; such variables are mismatched then, and no pieces."""
    assert found.reader is not None  # match() sets it
    why: dict[str, str] = {}
    for piece in found.pieces:
        if piece.cast:
            try:
                piece.read(found.reader)
            except LostValuesError as error:
                why[piece.entry.name] = f"on_dtype='cast': {error}"
            except OpError as error:
                why[piece.entry.name] = str(error)
    found.pieces = [piece for piece in found.pieces if piece.entry.name not in why]
    found.mismatched = [
        replace(m, action="error") if m.name in why else m for m in found.mismatched
    ]
    return list(why.values())


def _check(
    wanted: Sequence[Restored],
    sources: Mapping[str, str],
    reader: TensorReader,
    path: str,
    policies: Policies,
    found: Match,
    is_slot: Callable[[Restored], bool],
    has_value: Callable[[Restored], bool],
) -> None:
    """Raise one error with everything that the policies make one; warn of what is unexpected where they say so."""
    missing = {e.name: _named(e) for e in found.left_to("error")}
    lacking = found.left_to("error") or found.left_to("skip")
    is_wrong = bool(missing) or any(m.action == "error" for m in found.mismatched)
    refused = []
    if found.unexpected and policies.on_unexpected == "error":
        refused.append(f"on_unexpected='error': {len(found.unexpected)} tensors are not used")
    if wanted and not found.pieces and not is_wrong:
        refused.append("no variable at all would be restored, which is always an error")
        missing = missing or {entry.name: _named(entry) for entry, _ in found.left}
    if is_wrong or refused:
        refused += _unreadable(found)
        refused += [
            f"on_missing='keep': {entry.name} is not in the checkpoint and has no value to keep"
            for entry in found.left_to("keep")
            if not has_value(entry)
        ]
        none = Suggestions()
        explained = _suggestions(wanted, sources, reader) if missing else none
        parted = joints(reader, {n: s for n, s in _absent(wanted, sources).items() if n in missing})
        if parted:
            refused.append(
                f"{len(parted)} are there in parts, such as {parted[min(parted)].parts[0]}: apply_suggestions=True "
                "puts them together"
            )
        held = set(reader.names())
        alone = [n for n in held if n.endswith(_EMA) and n.removesuffix(_EMA) not in held]
        raise restore_errors.failure(
            found.report(path),
            list(missing.values()),
            len({entry.name for entry in wanted}),
            found.held,
            explained,
            has_rules=bool(policies.rename) and any(n != s for n, s in sources.items()),
            policies=policies,
            refused=refused,
            are_slots=bool(lacking) and all(is_slot(entry) for entry in lacking),
            averages=0 if explained.pairs else len(alone),
        )
    if found.unexpected and policies.on_unexpected == "warn":
        some = ", ".join(found.unexpected[:20]) + (", …" if len(found.unexpected) > 20 else "")
        warnings.warn(
            f"{path}: {len(found.unexpected)} tensors of the checkpoint are not used: {some}",
            stacklevel=5,
        )
