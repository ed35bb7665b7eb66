"""Feeds mutated files, their checksums made right again, to the parsers of our formats: each input is read or refused typed.

    python tools/fuzz.py --format index --seconds 600 --seed 1
    python tools/fuzz.py --format all --inputs 1000000

An input that raises anything but a CkptError, or takes longer than --slow seconds, is written to --crashes and ends the
run with status 1. Formats: index (of .h5 files), meta, json (of graphs), state, shards.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ckpt as tf
from ckpt.core.errors import CkptError
from ckpt.formats import detect
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_columns import parse_index
from ckpt.formats.hdf5_writer import write
from ckpt.saver import metagraph
from ckpt.wire import metagraph_file, metagraph_json
from tests.faults import hostile

NUMBERS = (0, 1, -1, 127, 128, 255, 256, 4095, 4096, 1 << 31, (1 << 32) - 1, 1 << 53, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1)  # fmt: skip
THINGS = (None, True, "", "a", "a" * 300, "\0", "/", "..", b"", b"\xff" * 9, [], {}, [[]], 1.5, float("nan"), msgpack.ExtType(1, b"x"), msgpack.ExtType(3, b"\x93"))  # fmt: skip

Parse = Callable[[bytes], Any]


class Mutator:
    """Changes bytes and trees at random, reproducibly."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def bytes(self, data: bytes, *others: bytes) -> bytes:
        """A few bytes flipped, set, removed, repeated, or taken from elsewhere."""
        made = bytearray(data)
        for _ in range(1 + int(self.chance.expovariate(0.7))):
            at = self.chance.randrange(len(made) + 1)
            size = 1 << self.chance.randrange(7)
            match self.chance.randrange(7):
                case 0 if at < len(made):
                    made[at] ^= 1 << self.chance.randrange(8)
                case 1 if at < len(made):
                    made[at] = self.chance.choice((0, 1, 0x7F, 0x80, 0x90, 0xC1, 0xDD, 0xDF, 0xFF))
                case 2:
                    del made[at : at + size]
                case 3:
                    made[at:at] = made[at : at + size]
                case 4:
                    made[at : at + 8] = struct.pack("<q", self._number() % (1 << 63))
                case 5:
                    other = self.chance.choice(others or (data,))
                    start = self.chance.randrange(len(other) + 1)
                    made[at : at + size] = other[start : start + size]
                case _:
                    made[at:at] = self.chance.randbytes(self.chance.randrange(1, 9))
        return bytes(made)

    def tree(self, value: Any) -> Any:
        """A tree of lists and maps with one place changed."""
        if isinstance(value, dict) and value and self.chance.random() < 0.9:
            key = self.chance.choice(list(value))
            changed = dict(value)
            if self.chance.random() < 0.1:
                del changed[key]
            else:
                changed[key] = self.tree(value[key])
            return changed
        if isinstance(value, list) and value and self.chance.random() < 0.9:
            changed_list = list(value)
            at = self.chance.randrange(len(value))
            match self.chance.randrange(12):
                case 0:
                    del changed_list[at]
                case 1:
                    changed_list.insert(at, changed_list[at])
                case _:
                    changed_list[at] = self.tree(value[at])
            return changed_list
        return self._leaf(value)

    def _leaf(self, value: Any) -> Any:
        if isinstance(value, bytes) and self.chance.random() < 0.7:
            return self.bytes(value)
        if isinstance(value, int) and self.chance.random() < 0.7:
            return self._number()
        if isinstance(value, msgpack.ExtType) and self.chance.random() < 0.8:
            return self._extension(value)
        return self.chance.choice(THINGS)

    def _extension(self, value: msgpack.ExtType) -> msgpack.ExtType:
        try:
            inner = msgpack.packb(self.tree(msgpack.unpackb(value.data, strict_map_key=False)))
        except (ValueError, TypeError, OverflowError):
            inner = self.bytes(value.data)
        code = value.code if self.chance.random() < 0.9 else self.chance.randrange(8)
        return msgpack.ExtType(code, inner)

    def _number(self) -> int:
        return self.chance.choice(NUMBERS) + self.chance.randrange(-1, 2)


class Subject:
    """One format: what a good file is made of, how a mutant is made of it, and the parser."""

    def __init__(self, name: str, tree: Any, raw: bytes, seal: Parse, parse: Parse) -> None:
        self.name, self.tree, self.raw, self.seal, self.parse = name, tree, raw, seal, parse

    def mutant(self, mutator: Mutator) -> bytes:
        if self.tree is not None and mutator.chance.random() < 0.7:
            tree = self.tree
            for _ in range(1 + mutator.chance.randrange(3)):
                tree = mutator.tree(tree)
            try:
                return self.seal(self._packed(tree))
            except (ValueError, TypeError, OverflowError):
                pass  # not every tree can be packed
        return self.seal(mutator.bytes(self.raw))

    def _packed(self, tree: Any) -> bytes:
        if self.name != "json":
            packed: bytes = msgpack.packb(tree)
            return packed
        return json.dumps(tree, default=repr).encode()


def subjects(directory: Path) -> dict[str, Subject]:
    """All formats, their parsers reading from files in `directory` where they read files."""
    path = directory / "m.h5"
    values = [
        TensorEntry("w", np.arange(6.0).reshape(2, 3)),
        TensorEntry("scope/text", np.array([b"a", b"bc"], object)),
        TensorEntry("flag", np.array(True)),
    ]
    write(
        path, values, metagraph=b"graph", metadata={"step": "1"}, aliases={"v": "w"}, durable=False
    )
    data = path.read_bytes()
    _, index = hostile.index_of(data)
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        v = tf.get_variable("v", [3, 2])
        tf.cond(tf.reduce_sum(x) > 0, lambda: tf.matmul(x, v), lambda: tf.zeros([1, 2]))
        graph = metagraph.export(tf.get_default_graph(), tf.train.Saver()._def())
    meta = metagraph_file.pack(graph)[metagraph_file.HEADER_BYTES :]
    text = metagraph_json.to_json(graph)
    state = b'model_checkpoint_path: "m-2"\nall_model_checkpoint_paths: "m-1"\nlast_preserved_timestamp: 1.5\n'
    files = {"files": [["m.0123456789abcdef-00001-of-00001.h5", 100, 7]]}

    def written(name: str, use: Callable[[], Any]) -> Parse:
        def parse(made: bytes) -> Any:
            (directory / name).write_bytes(made)
            return use()

        return parse

    def read_all() -> None:
        with detect.open_reader(directory / "f.h5") as reader:
            for name in reader.names():
                if reader.spec(name).nbytes < 1 << 20:
                    reader.read(name)

    found = [
        Subject("index", index, msgpack.packb(index), lambda b: b, lambda b: parse_index(b, "f.h5")),
        Subject("file", index, msgpack.packb(index), lambda b: hostile.with_index(data, b), written("f.h5", read_all)),
        Subject("meta", msgpack.unpackb(meta), meta, hostile.meta, lambda b: metagraph_file.unpack(b, "f.meta")),
        Subject("json", json.loads(text), text.encode(), lambda b: b, lambda b: metagraph_json.from_json(b.decode("utf-8", "replace"), "f.meta")),
        Subject("state", None, state, hostile.state, written("checkpoint", lambda: tf.train.latest_checkpoint(directory))),
        Subject("shards", files, msgpack.packb(files), hostile.shards, written("s.index", lambda: detect.open_reader(directory / "s"))),
    ]  # fmt: skip
    return {subject.name: subject for subject in found}


def fuzz(
    subject: Subject, seed: int, *, inputs: int, seconds: float, slow: float = 20.0
) -> tuple[int, int, bytes | None, str]:
    """(inputs tried, accepted, the input that failed or None, what it did)."""
    mutator, end = Mutator(seed), time.monotonic() + seconds
    accepted = 0
    for number in range(inputs):
        begin = time.monotonic()
        if begin > end:
            return number, accepted, None, ""
        made = subject.mutant(mutator)
        try:
            subject.parse(made)
            accepted += 1
        except CkptError:
            pass
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            return number, accepted, made, f"{type(error).__name__}: {error}"
        if time.monotonic() - begin > slow:
            return number, accepted, made, f"took {time.monotonic() - begin:.1f} s"
    return inputs, accepted, None, ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--format", default="all")
    parser.add_argument("--seconds", type=float, default=60, help="for each format")
    parser.add_argument("--inputs", type=int, default=1 << 40, help="for each format")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--slow", type=float, default=20, help="seconds that no input may take")
    parser.add_argument("--crashes", type=Path, default=Path("crashes"))
    options = parser.parse_args()
    logging.disable()
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, subject in subjects(Path(directory)).items():
            if options.format not in ("all", name):
                continue
            tried, accepted, made, what = fuzz(
                subject,
                options.seed,
                inputs=options.inputs,
                seconds=options.seconds,
                slow=options.slow,
            )
            print(
                f"{name}: seed {options.seed}, {tried} inputs, {accepted} accepted {what}",
                flush=True,
            )
            if made is not None:
                options.crashes.mkdir(exist_ok=True)
                (options.crashes / f"{name}-{options.seed}-{tried}").write_bytes(made)
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
