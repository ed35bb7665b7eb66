"""The state file as text: TensorFlow's text form, with records of ours in its comments, sealed. Must not know files.

Field names: TensorFlow's python/training/checkpoint_state.proto.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from ckpt.core.checksum import crc32c
from ckpt.core.texts import bytes_of, text_of
from ckpt.saver.plain_state import SEALED

_LONGEST = 1 << 15
"""Characters of a quoted text or a record: paths have 4,096 bytes, escaped four times as many."""
_SEAL = re.compile(rb"# crc32c: ([0-9a-f]{8})\n\Z")
_RECORD = re.compile(r"^# ckpt: (\{.*\})$", re.MULTILINE)
_TOKEN = re.compile(
    rf"""[\s,;]+ | \#[^\n]* | (?P<key>[A-Za-z_]\w*)[ \t]*:
    | (?P<text>"(?:[^"\\\n]|\\.){{0,{_LONGEST}}}"|'(?:[^'\\\n]|\\.){{0,{_LONGEST}}}')
    | (?P<number>[-+]?[\w.][\w.+-]*)""",
    re.VERBOSE,
)
_QUOTED = re.compile(rb'"(?:[^"\\\n]|\\.){0,%d}"' % _LONGEST)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|.)", re.DOTALL)
_ESCAPES = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"v": b"\v",
}


@dataclass(frozen=True, slots=True)
class Record:
    """What TensorFlow's fields cannot say about a checkpoint: it is pinned, an interval of
    keep_checkpoint_every_n_hours keeps it for good, another Saver of this directory remembers it, or it is about to be
    deleted together with its MetaGraph file, whose suffix `deleted` is then.
    """

    time: float
    pinned: bool = False
    preserved: bool = False
    deleted: str = ""


@dataclass(slots=True)
class CheckpointState:
    """TensorFlow's message of this name; paths that `get_checkpoint_state` returns are joined and usable.

    `records` is ckpt's own; in the file it is comments, which TensorFlow passes over. As text it is TensorFlow's.
    """

    model_checkpoint_path: str = ""
    all_model_checkpoint_paths: list[str] = field(default_factory=list)
    all_model_checkpoint_timestamps: list[float] = field(default_factory=list)
    last_preserved_timestamp: float = 0.0
    records: dict[str, Record] = field(default_factory=dict)

    def __str__(self) -> str:
        """The fields as TensorFlow's text form has them."""
        return "".join(f"{line}\n" for line in _lines(self))


class StateTextError(ValueError):  # becomes a DamagedStateError, which names the file
    """What is wrong with the text of a state file."""


def printed(state: CheckpointState) -> bytes:
    """The bytes of the state file, sealed."""
    first, *rest = _lines(state)
    lines = [first + SEALED, *rest]
    lines += [f"# ckpt: {_record_text(name, record)}" for name, record in state.records.items()]
    body = "".join(line + "\n" for line in lines).encode()
    return body + f"# crc32c: {crc32c(body):08x}\n".encode()


def parsed(data: bytes) -> CheckpointState:
    """What the bytes of a state file say. Raises StateTextError."""
    _check_seal(data)
    try:
        text = data.decode()
        del data  # the text is as long
        state = _parse(text)
        state.records = dict(_record(found[1]) for found in _RECORD.finditer(text))
    except ValueError as error:
        raise StateTextError(f"cannot be read: {error}") from error
    if not state.model_checkpoint_path:
        raise StateTextError("names no model_checkpoint_path")
    return state


def _lines(state: CheckpointState) -> list[str]:
    lines = [f"model_checkpoint_path: {_quoted(state.model_checkpoint_path)}"]
    lines += [
        f"all_model_checkpoint_paths: {_quoted(path)}" for path in state.all_model_checkpoint_paths
    ]
    lines += [
        f"all_model_checkpoint_timestamps: {_number(when)}"
        for when in state.all_model_checkpoint_timestamps
    ]
    if state.last_preserved_timestamp:
        lines.append(f"last_preserved_timestamp: {_number(state.last_preserved_timestamp)}")
    return lines


def _number(when: float) -> str:
    return repr(float(when)).removesuffix(".0")


def _quoted(text: str) -> str:
    shown = (
        f"\\{byte:03o}"
        if not 32 <= byte < 127
        else f"\\{byte:c}"
        if byte in b"\"'\\"
        else chr(byte)
        for byte in bytes_of(text)
    )
    return '"' + "".join(shown) + '"'


def _unquoted(token: str) -> str:
    def plain(match: re.Match[bytes]) -> bytes:
        escape = match[1]
        if escape[:1].isdigit():
            return bytes([int(escape, 8) & 255])
        if escape[:1] in b"xX" and len(escape) > 1:
            return bytes([int(escape[1:], 16)])
        return _ESCAPES.get(escape, escape)

    return text_of(_ESCAPE.sub(plain, token[1:-1].encode()))


def _record_text(name: str, record: Record) -> str:
    notes = asdict(record)
    return json.dumps(
        {"name": name, **{key: note for key, note in notes.items() if note or key == "time"}}
    )


def _record(text: str) -> tuple[str, Record]:
    """Raises ValueError for what `_record_text` does not write."""
    if len(text) > _LONGEST:
        raise ValueError(f"a record has {len(text)} characters, expected at most {_LONGEST}")
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("a record is nested") from None
    name, when = found.get("name"), found.get("time")
    if not isinstance(name, str) or not isinstance(when, float):
        raise ValueError(f"a record has no name and time: {text[:80]}")
    deleted = found.get("deleted", "")
    if not isinstance(deleted, str) or "/" in deleted or "\0" in deleted:
        raise ValueError(f"a record has a suffix that is none: {text[:80]}")
    return name, Record(when, found.get("pinned") is True, found.get("preserved") is True, deleted)


def _parse(text: str) -> CheckpointState:
    """Fields by name; fields that are not known are passed over. Raises ValueError."""
    state = CheckpointState()
    for key, value in _fields(text):
        match key:
            case "model_checkpoint_path":
                state.model_checkpoint_path = _text(key, value)
            case "all_model_checkpoint_paths":
                state.all_model_checkpoint_paths.append(_text(key, value))
            case "all_model_checkpoint_timestamps":
                state.all_model_checkpoint_timestamps.append(float(value))
            case "last_preserved_timestamp":
                state.last_preserved_timestamp = float(value)
    return state


def _text(key: str, value: str | float) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key} is not a quoted text")
    return value


def _fields(text: str) -> Iterable[tuple[str, str | float]]:
    at, key = 0, None
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or (match.lastgroup and (match["key"] is None) == (key is None)):
            line = text.count("\n", 0, at) + 1
            raise ValueError(f"line {line} is not `name: value` at {text[at : at + 20]!r}")
        if match["key"]:
            key = match["key"]
        elif match["text"] and key:
            yield key, _unquoted(match["text"])
            key = None
        elif match["number"] and key:
            yield key, float(match["number"])
            key = None
        at = match.end()
    if key is not None:
        raise ValueError(f"{key} has no value")


def _check_seal(data: bytes) -> None:
    """Raise StateTextError unless the seal matches; files that TensorFlow wrote have no comments and no seal."""
    if not data:
        raise StateTextError("is empty")
    seal = _SEAL.search(data)
    if seal is None:
        if b"model_checkpoint_path" not in data:
            raise StateTextError(
                "does not say what the latest checkpoint is; it was overwritten or cut short"
            )
        # what we write has a comment right behind the first name: cut before that, it is what people type, and is right
        if b"#" in _QUOTED.sub(b"", data):
            raise StateTextError("has lost its checksum line")
        return
    if crc32c(data[: seal.start()]) != int(seal[1], 16):
        raise StateTextError("does not match its checksum")
