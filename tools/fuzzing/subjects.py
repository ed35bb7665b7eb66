"""The formats that are fuzzed: a good file of each, how a mutant of it is sealed, and who reads it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from crc32c import crc32c

import ckpt as tf
from ckpt.core import defs
from ckpt.formats import detect
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_columns import parse_index
from ckpt.formats.hdf5_writer import write
from ckpt.formats.tfrecord import RecordReader, masked_crc
from ckpt.ops import iterator_state
from ckpt.saver import metagraph
from ckpt.wire import metagraph_file, metagraph_json, metagraph_json_reader, saved_model_file, tf_pb
from ckpt.wire.metagraph_body import HEADER_BYTES
from tests.faults import hostile
from tools.fuzzing.mutants import Mutator

Parse = Callable[[bytes], Any]
READ_UP_TO = 1 << 20  # bytes of one tensor


class Subject:
    """One format: what a good file is made of, how a mutant is made of it, and the parser.

    `tree` is what `raw` holds, where `pack` makes bytes of such a tree; a message has its class in `tree`.
    """

    def __init__(
        self,
        raw: bytes,
        parse: Parse,
        *,
        seal: Parse = bytes,
        tree: Any = None,
        pack: Callable[[Any], bytes] = msgpack.packb,
    ) -> None:
        self.raw, self.parse, self.seal, self.tree, self.pack = raw, parse, seal, tree, pack

    def mutant(self, mutator: Mutator) -> bytes:
        """A file that is not right, though its checksums are."""
        if self.tree is not None and mutator.chance.random() < 0.7:
            try:
                return self.seal(self._changed(mutator, 1 + mutator.chance.randrange(3)))
            except (ValueError, TypeError, OverflowError):
                pass  # not every tree can be packed
        return self.seal(mutator.bytes(self.raw))

    def _changed(self, mutator: Mutator, times: int) -> bytes:
        if isinstance(self.tree, type):
            message = self.tree.FromString(self.raw)
            for _ in range(times):
                mutator.message(message)
            data: bytes = message.SerializeToString()
            return data
        tree = self.tree
        for _ in range(times):
            tree = mutator.tree(tree)
        return self.pack(tree)


def subjects(directory: Path) -> dict[str, Subject]:
    """All formats by name, their parsers reading from files in `directory` where they read files."""

    def written(name: str, use: Callable[[str], Any]) -> Parse:
        def parse(made: bytes) -> Any:
            (directory / name).write_bytes(made)
            return use(str(directory / name))

        return parse

    return {
        **_checkpoints(directory, written),
        **_graphs(),
        "state": Subject(
            b'model_checkpoint_path: "m-2"\nall_model_checkpoint_paths: "m-1"\n'
            b'last_preserved_timestamp: 1.5\n# ckpt: {"name": "m-1", "time": 1.5, "pinned": true}\n',
            written("checkpoint", lambda _: tf.train.latest_checkpoint(directory)),
            seal=hostile.state,
        ),
        "records": _records(written),
        "position": _position(),
    }


def _checkpoints(
    directory: Path, written: Callable[[str, Callable[[str], Any]], Parse]
) -> dict[str, Subject]:
    """Our HDF5 files: their header, their index alone, with a reader behind it, with compression, and of shards."""
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
    large = np.arange(40_000, dtype=np.float32) % 7
    write(path, [TensorEntry("z", large), *values], compression="deflate", durable=False)
    packed = path.read_bytes()
    _, chunked = hostile.index_of(packed)
    (directory / "m.h5").write_bytes(data)
    files = {"files": [["m.h5", len(data), crc32c(data[:508])]]}
    use = written("f.h5", _read_all)
    return {
        "index": Subject(msgpack.packb(index), lambda b: parse_index(b, "f.h5"), tree=index),
        "header": Subject(data[:52], use, seal=lambda b: _with_header(data, b)),
        "file": Subject(
            msgpack.packb(index), use, seal=lambda b: hostile.with_index(data, b), tree=index
        ),
        "chunks": Subject(
            msgpack.packb(chunked), use, seal=lambda b: hostile.with_index(packed, b), tree=chunked
        ),
        "shards": Subject(
            msgpack.packb(files), written("s.index", _read_all), seal=hostile.shards, tree=files
        ),
    }


def _read_all(path: str) -> None:
    with detect.open_reader(path) as reader:
        for name in reader.names():
            if reader.spec(name).nbytes < READ_UP_TO:
                reader.read(name)


def _with_header(data: bytes, header: bytes) -> bytes:
    """The file with another header, whose checksum is right."""
    header = header[:508].ljust(508, b"\0")
    return header + struct.pack("<I", crc32c(header)) + data[512:]


def _graphs() -> dict[str, Subject]:
    """MetaGraphs in all their spellings, one of them imported too, and SavedModels."""
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        v = tf.get_variable("v", [3, 2], partitioner=tf.fixed_size_partitioner(2))
        tf.cond(tf.reduce_sum(x) > 0, lambda: tf.matmul(x, v), lambda: tf.zeros([1, 2]))
        graph = metagraph.export(tf.get_default_graph(), tf.train.Saver()._def())
    meta = metagraph_file.pack(graph)[HEADER_BYTES:]
    tree, text = msgpack.unpackb(meta), metagraph_json.to_json(graph)
    message = tf_pb.to_message(graph)
    models = msgpack.unpackb(saved_model_file.pack([graph])[28:])  # behind the sealed head

    def imported(data: bytes) -> None:
        found = metagraph_file.unpack(hostile.meta(data), "f.meta")
        with tf.Graph().as_default():
            metagraph.import_meta_graph(found, import_scope="s" if len(data) % 2 else None)

    return {
        "meta": Subject(
            meta, lambda b: metagraph_file.unpack(b, "f.meta"), seal=hostile.meta, tree=tree
        ),
        "summary": Subject(
            meta, lambda b: metagraph_file.summary(b, "f.meta"), seal=hostile.meta, tree=tree
        ),
        "import": Subject(meta, imported, tree=tree),
        "json": Subject(
            text.encode(),
            lambda b: metagraph_json_reader.from_json(b, "f.meta"),
            tree=json.loads(text),
            pack=lambda tree: json.dumps(tree, default=repr).encode(),
        ),
        "message": Subject(
            message.SerializeToString(),
            lambda b: tf_pb.from_bytes(defs.MetaGraphDef, b, "f.meta"),
            tree=type(message),
        ),
        "saved_model": Subject(
            msgpack.packb(models),
            lambda b: saved_model_file.load(b, "f.msgpack"),
            seal=hostile.saved_model,
            tree=models,
        ),
    }


def _records(written: Callable[[str, Callable[[str], Any]], Parse]) -> Subject:
    """A TFRecord file: the lengths may lie, their checksums and those of the records are right."""
    records = [[3, b"abc"], [0, b""], [40, b"x" * 40]]

    def sealed(packed: bytes) -> bytes:
        try:
            rows = [(n % (1 << 64), data[: 1 << 16]) for n, data in msgpack.unpackb(packed)]
            checks = [(masked_crc(struct.pack("<Q", n)), masked_crc(data)) for n, data in rows]
        except (ValueError, TypeError, struct.error, msgpack.UnpackException):
            return packed
        return b"".join(
            struct.pack("<QI", length, head) + data + struct.pack("<I", check)
            for (length, data), (head, check) in zip(rows, checks, strict=True)
        )

    def read(path: str) -> None:
        with RecordReader(path) as reader:
            list(reader)

    return Subject(msgpack.packb(records), written("f.tfrecord", read), seal=sealed, tree=records)


def _position() -> Subject:
    """A position in a dataset, which a checkpoint holds as one string."""
    state = [3, "text", {"a": [1.5, None]}, np.arange(4), np.array([b"x", b"yz"], object)]
    raw = iterator_state.packed(state)
    return Subject(raw, iterator_state.unpacked, tree=msgpack.unpackb(raw, strict_map_key=False))
