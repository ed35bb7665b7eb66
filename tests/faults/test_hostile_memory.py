"""Gate G10 for what is no graph: how much memory an attacker's file takes while it is refused, or read."""

import json
import os
import struct
import sys
import zlib
from array import array

import msgpack
import numpy as np
import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.errors import CkptError, DataLossError
from ckpt.formats import detect, hdf5_index, string_payload, tfrecord
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_index import Chunks, Index
from ckpt.formats.hdf5_layout import MOST_INDEX, MOST_PARTS, MOST_SIZES, MOST_TENSORS
from ckpt.formats.hdf5_writer import write
from ckpt.inspect.report import inspect
from ckpt.saver import state_file
from ckpt.saver.meta_files import read_meta_graph_file
from ckpt.saver.object_names import graph_names
from ckpt.saver.saved_model.loader import read_saved_model
from ckpt.saver.validity import metrics_from
from ckpt.wire.json_text import flat_object
from tests.faults import hostile
from tests.faults.frugal import cost_of
from tests.faults.test_hostile import MIB, SIZE, body, columns, extension, use

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc"),
]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The bytes of a small checkpoint."""
    path = tmp_path_factory.mktemp("good") / "m.h5"
    write(path, [TensorEntry("w", np.arange(12.0)), TensorEntry("x", np.ones((3, 4)))])
    return path.read_bytes()


def refused(path, action, beyond=64 * MIB):
    """What `action` was refused with, in so much memory and the size of the file."""
    cost = cost_of(action)
    assert isinstance(cost.outcome, CkptError)
    assert str(path) in str(cost.outcome)
    assert cost.peak <= beyond + path.stat().st_size
    return cost.outcome


def appended(data, raw, change):
    """The checkpoint `data` with these bytes in it, and `change(index, where they lie)`."""
    at, index = hostile.index_of(data)
    change(index, at)
    packed = msgpack.packb(index)
    moved = bytearray(data[:at] + raw)
    moved[24:32] = struct.pack("<Q", len(moved))
    return hostile.with_index(bytes(moved) + packed, packed)


def many_parts(count):
    def change(index):
        boxes = np.stack([np.arange(count), np.ones(count)], 1).astype("<u8")
        index.update(
            dims=struct.pack("<3Q", count, 3, 4),
            splits=struct.pack("<2I", count, 0),
            boxes=boxes.tobytes(),
            offsets=struct.pack("<Q", 4096) * (count + 1),
            lengths=struct.pack("<Q", 8) * count + struct.pack("<Q", 96),
            layouts=bytes(count + 1),
            crcs=bytes(4 * (count + 1)),
        )

    return change


def test_an_index_of_many_parts_takes_little_memory(tmp_path, good):
    path = tmp_path / "h.h5"
    for count in (SIZE // 45, MOST_TENSORS, MOST_PARTS):
        path.write_bytes(hostile.resealed(good, many_parts(count)))
        assert isinstance(refused(path, lambda: use(path)), DataLossError)


def shaped(count, rank):
    """Tensors of nothing whose shapes are all different, at most of their sizes beyond the integers that Python keeps."""

    def change(index):
        sizes = np.ones((count, rank), "<u8")
        sizes[:, 0], sizes[:, 1] = 0, np.arange(count) + 300
        sizes[:, 2:6] = np.random.RandomState(0).randint(257, 999, sizes[:, 2:6].shape)
        columns(count)(index)
        index.update(ranks=bytes([rank]) * count, dims=sizes.tobytes(), lengths=bytes(8 * count))

    return change


def entries(**maps):
    return {key: {f"{key[0]}{n:x}": "" for n in range(count)} for key, count in maps.items()}


AMPLE = {
    "shapes of many axes": shaped(MOST_SIZES // 64, 64),
    "more shapes of many axes": shaped(MOST_SIZES // 64 + 1, 64),
    "many shapes": shaped(MOST_TENSORS, 8),
    "names with one wide character each": lambda i: i.update(
        names=("\N{GRINNING FACE}" + "a" * 124).encode() * (1 << 16),
        name_ends=np.arange(128, (128 << 16) + 1, 128, dtype="<u8").tobytes(),
    ),
    "a long name with a wide character": lambda i: i.update(
        names="\N{GRINNING FACE}".encode() + b"a" * (24 << 20),
        name_ends=struct.pack("<Q", (24 << 20) + 4),
    ),
    "short entries of maps": lambda i: i.update(
        **entries(metadata=50_000, aliases=50_000, paths=50_000)
    ),
    "a long map of what is unknown": lambda i: i.update(entries(unknown=300_000)),
    "many maps of what is unknown": lambda i: i.update(
        entries(**{f"{n:02}": 60_000 for n in range(40)})
    ),
    "many short maps of what is unknown": lambda i: i.update(
        entries(**{f"{n:02}": 4000 for n in range(40)})
    ),
    "lists in lists": lambda i: i.update({f"{n:02}": [[0] * 4096] * 400 for n in range(12)}),
}


@pytest.mark.parametrize("change", AMPLE.values(), ids=AMPLE)
def test_what_takes_many_times_its_bytes_is_bounded(tmp_path, good, change):
    path = tmp_path / "h.h5"

    def spoilt(index):
        change(index)
        index["structure_crc"] = b"end"  # what is looked at last

    path.write_bytes(hostile.resealed(good, spoilt))
    for action in (lambda: use(path), lambda: inspect(path)):
        assert isinstance(refused(path, action), DataLossError)


def test_an_index_longer_than_any_is_not_read(tmp_path, good):
    """Nor a MetaGraph: both may lie in a hole of the file, which costs an attacker nothing."""
    path = tmp_path / "h.h5"
    where, index = hostile.index_of(good)
    path.write_bytes(good)
    os.truncate(path, 4 << 30)
    with open(path, "r+b") as file:
        file.write(hostile.header(where, bytes(MOST_INDEX + 1), 4 << 30))
    assert "the index has" in str(refused(path, lambda: use(path), beyond=MIB - (4 << 30)))
    index["metagraph"] = struct.pack("<QQI", 1 << 20, 3 << 30, 0)
    packed = msgpack.packb(index)
    with open(path, "r+b") as file:
        file.write(hostile.header(where, packed, 4 << 30))
        file.seek(where)
        file.write(packed)
    for action in (lambda: use(path), lambda: inspect(path), lambda: read_meta_graph_file(path)):
        assert "the MetaGraph has" in str(refused(path, action, beyond=32 * MIB - (4 << 30)))


def test_an_index_of_too_many_tensors_is_refused_before_their_names_are_read(tmp_path, good):
    path = tmp_path / "h.h5"
    ends = struct.pack(f"<{1 << 20}Q", *range(1 << 20))
    path.write_bytes(
        hostile.resealed(good, lambda i: i.update(names=bytes(1 << 20), name_ends=ends))
    )
    for action in (lambda: use(path), lambda: inspect(path)):
        assert "expected at most 131072" in str(refused(path, action))


@pytest.mark.parametrize("step", [0, 1, 2])
def test_an_index_of_many_chunks_takes_little_memory(tmp_path, good, step):
    """In one place they overlap, end to end they are no deflated bytes, with gaps between them neither."""
    count = SIZE // 21

    def change(index, at):
        index.update(
            dims=struct.pack("<3Q", count, 3, 4),
            layouts=b"\1\0",
            lengths=struct.pack("<2Q", count, 96),
            filters=[[[1, [6]]]],
            chunk_shapes=struct.pack("<Q", 1),
            chunk_offsets=(at + step * np.arange(count, dtype="<u8")).tobytes(),
            chunk_lengths=struct.pack("<Q", 1) * count,
            crcs=struct.pack("<I", crc32c(b"x")) * count + index["crcs"][-4:],
        )

    path = tmp_path / "h.h5"
    path.write_bytes(appended(good, b"x" * max(1, step) * count, change))
    error = refused(path, lambda: use(path))
    assert ("some of the chunks" in str(error)) == (step == 0)


def strings(good, ends, text):
    """A checkpoint whose tensor w is so many strings."""
    raw = np.asarray(ends, "<u8").tobytes() + text

    def change(index, at):
        block = index["block"]
        crcs = [crc32c(raw[low : low + block]) for low in range(0, len(raw), block)]
        index.update(
            dtype_names=["string", "float64"],
            dtypes=b"\0\1",
            dims=struct.pack("<3Q", len(ends), 3, 4),
            offsets=struct.pack("<Q", at) + index["offsets"][-8:],
            lengths=struct.pack("<2Q", len(raw), 96),
            crcs=struct.pack(f"<{len(crcs)}I", *crcs) + index["crcs"][-4:],
        )

    return appended(good, raw, change)


COUNT = 2 * SIZE // 10
WRONG_ENDS = {
    "the last before the others": lambda ends: np.r_[ends[:-1], 0],
    "the last too early": lambda ends: np.r_[ends[:-1], ends[-1] - 1],
    "beyond all bytes": lambda ends: np.full(COUNT, (1 << 64) - 1, np.uint64),
}


@pytest.mark.parametrize("change", WRONG_ENDS.values(), ids=WRONG_ENDS)
def test_strings_whose_ends_are_wrong_take_little_memory(tmp_path, good, change):
    path = tmp_path / "h.h5"
    ends = np.arange(1, COUNT + 1, dtype=np.uint64) * 2
    path.write_bytes(strings(good, change(ends), b"ab" * COUNT))
    assert "'w'" in str(refused(path, lambda: use(path)))


def test_strings_take_the_memory_of_what_they_are(tmp_path, good):
    path = tmp_path / "m.h5"
    ends = np.arange(1, COUNT + 1, dtype=np.uint64) * 2
    path.write_bytes(strings(good, ends, b"ab" * COUNT))
    cost = cost_of(lambda: use(path))
    assert cost.outcome == "ok"
    values = COUNT * (8 + 48)  # a place in the array and an object of Python
    assert cost.peak <= values + path.stat().st_size + 16 * MIB


@pytest.mark.parametrize("count", [0, 1, 1 << 16, (2 << 16) + 3])
def test_strings_come_back_across_the_steps_in_which_they_are_made(count):
    array = np.array([b"%d" % n for n in range(count)], object)
    payload = bytes(string_payload.encode(array))
    assert string_payload.decode(payload, (count,)).tolist() == array.tolist()


@pytest.mark.parametrize("empty", [b"\x90", b"\x80"])
def test_a_shard_index_of_nothing_takes_little_memory(tmp_path, empty):
    rows = (b"\xdc\x0f\xff" + empty * 4095) * 1008
    (tmp_path / "m.index").write_bytes(hostile.shards(b"\x81\xa5files\xdc\x03\xf0" + rows))
    refused(tmp_path / "m.index", lambda: use(tmp_path / "m"))


BEGIN = b'model_checkpoint_path: "m"\n'
STATES = {
    "one long text": lambda: b'a: "%s"\n' % (b"a" * (5 * MIB)),
    "one text that does not end": lambda: b'a: "%s\n' % (b"a" * (5 * MIB)),
    "one long text beyond the basic plane": lambda: b'a: "%s\xf0\x9f\x98\x80"\n' % (b"a" * (5 * MIB)),
    "one text of escapes": lambda: b'a: "%s"\n' % (b"\\1" * (2 * MIB)),
    "a record of empty lists": lambda: b'# ckpt: {"name":"a","time":1.5,"x":[%s1]}\n' % (b"[]," * (5 * MIB // 3)),
    "a text that is too long for any file to be read": lambda: b'a: "%s"\n' % (b"a" * (9 * MIB)),
}  # fmt: skip


@pytest.mark.parametrize("text", STATES.values(), ids=STATES)
def test_a_hostile_state_file_takes_little_memory(tmp_path, text):
    text = text()
    path = tmp_path / "checkpoint"
    for data in (
        hostile.state(BEGIN + text),
        BEGIN + b"all_model_checkpoint_paths: 'm'\n# x\n" + text,
    ):
        path.write_bytes(data)
        refused(path, lambda: tf.train.get_checkpoint_state(tmp_path))


def test_a_state_file_of_many_records_takes_little_memory(tmp_path):
    path = tmp_path / "checkpoint"
    count = (state_file._LIMIT - 100) // 38
    records = b"".join(b'# ckpt: {"name":"%07x","time":1.5}\n' % n for n in range(count))
    path.write_bytes(hostile.state(BEGIN + records))
    cost = cost_of(lambda: tf.train.get_checkpoint_state(tmp_path))
    assert cost.outcome == "ok"
    assert cost.peak <= 64 * MIB + 2 * path.stat().st_size


def head(length):
    """What stands before a record of so many bytes."""
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", tfrecord.masked_crc(packed))


@pytest.mark.parametrize("length", [SIZE, SIZE + 1, 1 << 40, (1 << 64) - 1])
def test_a_record_that_is_not_what_it_claims_takes_little_memory(tmp_path, length):
    path = tmp_path / "f.tfrecord"
    path.write_bytes(head(length) + bytes(SIZE + 4))
    cost = cost_of(lambda: list(tf.python_io.tf_record_iterator(str(path))))
    assert isinstance(cost.outcome, DataLossError)
    assert cost.peak <= 8 * MIB + path.stat().st_size


def test_a_compressed_record_longer_than_its_file_may_hold_is_refused_at_once(tmp_path):
    path, deflate = tmp_path / "f.gz", zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [deflate.compress(head(1 << 40))]
    pieces += [deflate.compress(bytes(MIB)) for _ in range(256)]
    path.write_bytes(b"".join([*pieces, deflate.flush()]))
    kind = tf.python_io.TFRecordCompressionType.GZIP
    refused(path, lambda: list(tf.python_io.tf_record_iterator(str(path), kind)))


def test_a_compressed_record_may_be_longer_where_the_reader_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecord, "_ALWAYS_ALLOWED", 1 << 10)
    path = str(tmp_path / "f.gz")
    kind = tf.python_io.TFRecordCompressionType.GZIP
    with tf.python_io.TFRecordWriter(path, kind) as writer:
        writer.write(bytes(MIB))
    with pytest.raises(DataLossError, match="max_expansion"):
        list(tf.python_io.tf_record_iterator(path, kind))
    options = tf.python_io.TFRecordOptions(kind, max_expansion=2000)
    assert list(tf.python_io.tf_record_iterator(path, options)) == [bytes(MIB)]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 8)), max_size=8), st.integers(0, 8))
def test_many_chunks_are_compared_as_few_are(pieces, cut):
    """The chunks of two parts, and an index at 4096."""
    moved = [(4100 + at, size) for at, size in pieces]
    columns = [memoryview(array("Q", column)) for column in zip(*moved, strict=True)] or [b"", b""]
    chunks = {
        n: Chunks((1,), (), *(column[part] for column in columns))
        for n, part in enumerate((slice(cut), slice(cut, None)))
    }
    index = Index({}, [], [], [], [], {}, [0, 0], [9, 9], [], [], chunks, {}, {}, {}, None, 0, 4096)
    few = index.extent((4096, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5_index, "_FEW_CHUNKS", -1)
        assert index.extent((4096, 4)) == few


def bin32(data):
    return b"\xc6" + struct.pack(">I", len(data)) + data


def tensor(dtype, sizes, content):
    return extension(3, b"\x93" + msgpack.packb(dtype) + msgpack.packb(sizes) + content)


def texts(item, sizes=None, last=b""):
    """A tensor of strings, all of which are `item` but the last."""
    count = SIZE // len(item)
    header = b"\xdd" + struct.pack(">I", count + bool(last))
    return tensor(
        "string", [count + bool(last)] if sizes is None else sizes, header + item * count + last
    )


def constant(value, end=b"\x80"):
    """A graph of one node with this value."""
    return body(b"\x95\xa1n\xa5Const\x90\xa0\x81\xa5value" + value, 1, end=end)


def named(name, rest, end):
    return body(b"\x95\xdb" + struct.pack(">I", len(name)) + name + rest, 1, end=end)


def nested(depth):
    """Functions in functions, around many bytes."""
    inner = msgpack.packb(["f", {"v": bytes(SIZE)}])
    for _ in range(depth):
        inner = b"\x92\xa1f\x81\xa1v" + extension(4, inner)
    return extension(4, inner)


FUNCTION = extension(
    4, b"\x92\xa1f\x81\xa1v" + b"\xdd" + struct.pack(">I", MIB // 16) + b"\xa2ab" * (MIB // 16)
)
LARGE_VALUES = {
    "empty strings, not as many": lambda: constant(texts(b"\xc4\0", [3])),
    "short strings, not as many": lambda: constant(texts(b"\xc4\2ab", [3])),
    "numbers as strings, not as many": lambda: constant(texts(b"\1", [3])),
    "lists as strings, not as many": lambda: constant(texts(b"\x90", [3])),
    "texts as strings": lambda: constant(texts(b"\xa2ab")),
    "lists as strings": lambda: constant(texts(b"\x90")),
    "short strings, the last of which is none": lambda: constant(texts(b"\xc4\2ab", last=b"\7")),
    "short strings, and a bad end": lambda: constant(texts(b"\xc4\2ab"), b"\7"),
    "long strings, and a bad end": lambda: constant(texts(bin32(bytes(MIB))), b"\7"),
    "numbers that are one too few": lambda: constant(tensor("float32", [SIZE // 4 + 1], bin32(bytes(SIZE)))),
    "numbers, and a bad end": lambda: constant(tensor("float32", [SIZE // 4], bin32(bytes(SIZE))), b"\7"),
    "tensors in a list, and a bad end": lambda: constant(b"\xdc\0\x40" + tensor("uint8", [SIZE // 64], bin32(bytes(SIZE // 64))) * 64, b"\7"),
    "bytes, and a bad end": lambda: constant(bin32(bytes(SIZE)), b"\7"),
    "bytes in a list, and a bad end": lambda: constant(b"\xdc\0\x40" + bin32(bytes(SIZE // 64)) * 64, b"\7"),
    "functions in a list, and a bad end": lambda: constant(b"\xdc\0\x40" + FUNCTION * 64, b"\7"),
    "a long name, and a bad end": lambda: named("\N{EURO SIGN}".encode() * (SIZE // 3), b"\xa1o\x90\xa0\x80", b"\7"),
    "a long name beyond the basic plane, and a bad end": lambda: named(b"a" * SIZE + "\U0001f600".encode(), b"\xa1o\x90\xa0\x80", b"\7"),
    "a long name of a node that is none": lambda: named(b"a" * SIZE + "\U0001f600".encode(), b"\xa1o\x90\xa0\x90", b"\x80"),
    "a long name that is no text": lambda: named(b"a" * SIZE + b"\xff", b"\xa1o\x90\xa0\x80", b"\x80"),
    "a long dtype": lambda: constant(extension(1, bytes(SIZE))),
    "a long shape": lambda: constant(extension(2, b"\xdd" + struct.pack(">I", SIZE) + bytes(SIZE))),
    "a long placeholder": lambda: constant(extension(5, bytes(SIZE))),
    "functions in functions, and a bad end": lambda: constant(nested(30), b"\7"),
    "functions in too many functions": lambda: constant(nested(40)),
    "a list in lists around many bytes": lambda: constant(b"\x91" * 30 + bin32(bytes(SIZE))),
    "a large value that ends early": lambda: constant(bin32(bytes(SIZE)))[: SIZE // 2],
}  # fmt: skip


@pytest.mark.parametrize("content", LARGE_VALUES.values(), ids=LARGE_VALUES)
def test_a_graph_of_large_values_is_refused_without_a_copy(tmp_path, content):
    path = tmp_path / "h.meta"
    path.write_bytes(hostile.meta(content()))
    refused(path, lambda: read_meta_graph_file(str(path)), 32 * MIB)
    cost = cost_of(lambda: inspect(path))  # which does not look into values
    assert cost.peak <= 32 * MIB + path.stat().st_size


@pytest.mark.parametrize(
    "value",
    [lambda: tensor("float32", [SIZE // 4], bin32(bytes(SIZE))), lambda: bin32(bytes(SIZE))],
    ids=["numbers", "bytes"],
)
def test_a_large_value_is_read_into_one_copy(tmp_path, value):
    path = tmp_path / "m.meta"
    path.write_bytes(hostile.meta(constant(value())))
    cost = cost_of(lambda: read_meta_graph_file(str(path)))
    assert cost.outcome == "ok"
    assert cost.peak <= 16 * MIB + 2 * path.stat().st_size


JSON = '{"format": "ckpt-metagraph", "version": 1, "meta_graph": {"graph_def": {"node": [%s]}}}'  # and so on
FACE = "\N{GRINNING FACE}"


def json_node(value, name="n"):
    return '{"name": "%s", "op": "o", "attr": {"v": %s}}' % (name, value)  # noqa: UP031 - it has braces


def json_tensor(kind, size, content):
    return json_node(f'{{"$tensor": ["{kind}", [{size}], {content}]}}')


def base64():
    return '{"$base64": "' + "AAAA" * (SIZE // 4) + '"}'


def strings_of_json():
    return "[" + ",".join(['{"$bytes": "' + "a" * 200 + '"}'] * (SIZE // 220)) + "]"


JSONS = {
    "one text beyond the basic plane": lambda: '["' + "a" * SIZE + FACE + '"]',
    "one text of escapes beyond the basic plane": lambda: '["' + "a" * SIZE + "\\ud83d\\ude00" + '"]',
    "one text of escapes": lambda: '["' + "\\n" * (SIZE // 2) + '"]',
    "no graph, and such a text": lambda: '{"x": "' + FACE + "a" * SIZE + '"}',
    "such a text, and no end": lambda: JSON % json_node('"' + FACE + "a" * SIZE + '"')[:-2],
    "many such texts, and a bad end": lambda: JSON % ",".join([*[json_node('"' + FACE + "a" * (SIZE // 64) + '"')] * 64, "7"]),
    "such texts in a list, and a bad end": lambda: JSON % f"{json_node('[' + ','.join([chr(34) + FACE + 'a' * (SIZE // 256) + chr(34)] * 256) + ']')},7",
    "a long name, and a bad end": lambda: JSON % f"{json_node(1, FACE + 'a' * SIZE)},7",
    "a long name of a node that is none": lambda: JSON % json_node(1, FACE + "a" * SIZE).replace('"attr"', '"b"'),
    "empty lists": lambda: JSON % json_node("[" + "[],      " * (SIZE // 9) + "0]"),
    "nodes, and a bad end": lambda: JSON % ",".join([*[json_node('"' + "a" * 99 + '"')] * (SIZE // 150), "7"]),
    "a tensor that is too long": lambda: JSON % json_tensor("uint8", 3, base64()),
    "a tensor, and a bad end": lambda: JSON % f"{json_tensor('uint8', SIZE // 4 * 3, base64())},7",
    "a tensor that is no base64": lambda: JSON % json_tensor("uint8", SIZE // 4 * 3, base64()).replace('A"', '!"'),
    "bytes, and a bad end": lambda: JSON % f"{json_node(base64())},7",
    "bytes of text, and a bad end": lambda: JSON % f"{json_node('{' + chr(34) + '$bytes' + chr(34) + ': ' + chr(34) + FACE + 'a' * SIZE + chr(34) + '}')},7",
    "strings, not as many": lambda: JSON % json_tensor("string", 3, strings_of_json()),
    "strings, and a bad end": lambda: JSON % f"{json_tensor('string', SIZE // 220, strings_of_json())},7",
    "a collection, and a bad end": lambda: JSON[:-2].replace('"graph_def"', '"collection_def": {"c": {"value": [' + ",".join(['"' + "a" * 200 + '"'] * (SIZE // 210)) + ', 7], "kind": "node_list"}}, "graph_def"') % "" + "}}",
    "no UTF-8": lambda: "\udcff" + "a" * SIZE,
}  # fmt: skip


@pytest.mark.parametrize("text", JSONS.values(), ids=JSONS)
def test_json_is_refused_in_little_memory(tmp_path, text):
    text = text()
    text = (
        text if text.startswith("{") else f'{{"format": "ckpt-metagraph", "version": 1, "x": {text}'
    )
    path = tmp_path / "h.meta"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(path, lambda: read_meta_graph_file(str(path)), 32 * MIB)
    path = tmp_path / "saved_model.json"
    models = f'{{"saved_model_schema_version": 1, "meta_graphs": [{text}]}}'
    path.write_bytes(models.encode("utf-8", "surrogateescape"))
    refused(path, lambda: read_saved_model(tmp_path), 32 * MIB)


def test_json_takes_the_memory_of_its_values(tmp_path):
    path = tmp_path / "m.meta"
    path.write_text(JSON % json_tensor("uint8", SIZE // 4 * 3, base64()))
    cost = cost_of(lambda: read_meta_graph_file(str(path)))
    assert cost.outcome == "ok"
    assert cost.peak <= 16 * MIB + 2 * path.stat().st_size
    path.write_text(JSON % json_node('{"$bytes": "' + FACE + "a" * SIZE + '"}'))
    cost = cost_of(lambda: read_meta_graph_file(str(path)))
    assert cost.outcome == "ok"
    assert cost.peak <= 16 * MIB + 2 * path.stat().st_size


NOTES = {
    "empty lists": lambda: '{"a": [' + "[]," * (SIZE // 3) + "0]}",
    "lists of empty lists": lambda: "{" + ",".join(f'"{n}": [{"[]," * 50_000}0]' for n in range(100)) + "}",
    "texts in a list": lambda: '{"a": [' + '"ab",' * (SIZE // 5) + "0]}",
    "texts by name": lambda: "{" + ",".join(f'"{n:x}": "ab"' for n in range(SIZE // 14)) + "}",
}  # fmt: skip


@pytest.mark.parametrize("note", ["graph_names", "metrics"])
@pytest.mark.parametrize("text", NOTES.values(), ids=NOTES)
def test_hostile_notes_in_a_checkpoint_take_little_memory(tmp_path, good, text, note):
    """Names in the graph and metrics, which are JSON in its metadata: such are none."""
    path = tmp_path / "m.h5"

    def change(index):
        index["metadata"][note] = text()

    path.write_bytes(hostile.resealed(good, change))

    def read():
        with detect.open_reader(path) as reader:
            assert graph_names(reader) == {}
            assert metrics_from(reader.metadata().get("metrics", "")) == {}

    cost = cost_of(read)
    assert cost.outcome == "ok"
    assert cost.peak <= 64 * MIB + 2 * path.stat().st_size


def test_notes_of_many_names_are_read(tmp_path):
    names = {f"a[{n}], {{b}}": f"c{n}" for n in range(4000)}
    assert flat_object(json.dumps(names), 0) == flat_object(json.dumps(names), 4 * 4000) == names
    assert flat_object(json.dumps({**names, "list": [1], "number": 1.5}), 0) == {
        **names,
        "number": 1.5,
    }
    assert flat_object("[" * 9000, 0) == flat_object("[1]", 0) == flat_object("", 0) == {}
