"""The `.meta` file: round trips, damage, hostile bytes."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tracemalloc
import zlib
from contextlib import suppress

import msgpack
import numpy as np
import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.core import defs
from ckpt.core.errors import DataLossError, GraphError, UnimplementedError
from ckpt.wire import metagraph_file as file
from ckpt.wire.metagraph_body import HEADER_BYTES, MAGIC
from ckpt.wire.metagraph_json import to_json
from ckpt.wire.metagraph_json_reader import from_json
from ckpt.wire.tf_pb import to_bytes
from tests.wire import metagraphs
from tests.wire.metagraphs import everything, same


def sealed(body, version=1, encoding=0):
    head = struct.pack("<8sIIQ", MAGIC, version, encoding, len(body))
    return head + struct.pack("<I", crc32c(head + body)) + body


def test_every_definition_survives_both_forms():
    meta = everything()
    assert same(file.unpack(file.pack(meta)), meta)
    assert same(from_json(to_json(meta)), meta)


@given(metagraphs.meta_graphs)
@settings(max_examples=100, deadline=None)
def test_any_meta_graph_survives_both_forms(meta):
    assert same(file.unpack(file.pack(meta)), meta)
    assert same(from_json(to_json(meta)), meta)


def test_load_tells_the_three_forms_apart():
    meta = everything()
    for data in (file.pack(meta), to_json(meta).encode(), to_bytes(meta)):
        assert same(file.load(data, "m.meta"), meta)
    for data in (b"", b"hello", b"\x00" * 50):
        with pytest.raises(DataLossError, match=r"m\.meta"):
            file.load(data, "m.meta")


def test_equal_values_give_equal_bytes():
    assert file.pack(everything()) == file.pack(everything())


def test_a_truncation_anywhere_is_refused():
    data = file.pack(everything())
    for length in range(len(data)):
        with pytest.raises(DataLossError, match=r"^m\.meta: "):
            file.unpack(data[:length], "m.meta")
    with pytest.raises(DataLossError):
        file.unpack(data + b"\0", "m.meta")


def test_a_flipped_bit_anywhere_is_refused():
    data = bytearray(file.pack(everything()))
    for position in range(len(data)):
        data[position] ^= 1 << (position % 8)
        with pytest.raises(DataLossError):
            file.unpack(bytes(data), "m.meta")
        data[position] ^= 1 << (position % 8)


def test_a_later_version_is_refused_by_name():
    with pytest.raises(UnimplementedError, match=r"m\.meta.*version 2"):
        file.unpack(sealed(b"\xc0", version=2), "m.meta")


def tree_of(meta):
    return msgpack.unpackb(file.pack(meta)[HEADER_BYTES:])


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda tree: tree.append(None), "MetaGraphDef"),
        (lambda tree: tree[1][0][1].append(0), r"node\[1\]"),
        (lambda tree: tree[1][0][0].__setitem__(0, 7), "node 0"),
        (lambda tree: tree[1][0][0][4].__setitem__("bad", {"a": 1}), "'bad'"),
        (lambda tree: tree[1][0][0][4].__setitem__("bad", [[1]]), "'bad'"),
        (lambda tree: tree[1][0][0][4].__setitem__("bad", msgpack.ExtType(9, b"")), "type 9"),
        (lambda tree: tree[1][0][0][4].__setitem__("bad", msgpack.ExtType(1, b"float")), None),
        (lambda tree: tree[1][0][0][4].__setitem__("bad", msgpack.ExtType(1, b"\xff")), "UTF-8"),
        (
            lambda tree: tree[1][0][0][4].__setitem__("bad", msgpack.ExtType(2, b"\x91\xff")),
            "shape",
        ),
        (lambda tree: tree[1][0][0][4].__setitem__("bad", msgpack.ExtType(1, b"float99")), "dtype"),
        (lambda tree: tree[1][0][0][4].__setitem__("bad", msgpack.Timestamp(1)), "'bad'"),
        (lambda tree: tree[2].__setitem__(3, "five"), "max_to_keep"),
        (lambda tree: tree[3]["losses"].__setitem__(0, "no_list"), "losses"),
        (lambda tree: tree[3]["numbers"].__setitem__(1, ["x"]), "numbers"),
        (
            lambda tree: tree[3]["variables"][1][0].__setitem__(4, [1, 2, 3, 4]),
            "save_slice_info_def",
        ),
        (lambda tree: tree[1].__setitem__(3, True), "producer"),
    ],
)
def test_a_wrong_record_under_a_right_checksum_is_refused_with_its_place(change, place):
    tree = tree_of(everything())
    change(tree)
    data = sealed(msgpack.packb(tree))
    if place is None:
        file.unpack(data, "m.meta")
        return
    with pytest.raises(DataLossError, match=rf"^m\.meta: .*{place}"):
        file.unpack(data, "m.meta")


@pytest.mark.parametrize(
    "tensor",
    [
        ["float32", [1 << 40], b"\0" * 4],
        ["float32", [2], b"\0" * 7],
        ["float32", [None], b""],
        ["float32", [0, 1 << 62, 1 << 62], b""],
        ["string", [2], [b""]],
        ["string", [1], ["text"]],
        ["resource", [], b""],
        ["float32", [1]],
    ],
)
def test_a_tensor_that_does_not_fit_its_shape_is_refused(tensor):
    tree = tree_of(everything())
    tree[1][0][0][4]["bad"] = msgpack.ExtType(3, msgpack.packb(tensor))
    with pytest.raises(DataLossError, match=r"^m\.meta: "):
        file.unpack(sealed(msgpack.packb(tree)), "m.meta")


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of 2^32 - 1 elements that are not there
        (b"\xdd" + struct.pack(">I", 100_000)) * 900 + b"\xc0" * 100_000,
        b"\x91" * 100_000 + b"\xc0",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x81\x90\xc0",
        b"\xc1",
        b"",
        b"\xc0\xc0",
    ],
    ids=range(9),
)
def test_hostile_bytes_are_refused_in_little_memory(body):
    tracemalloc.start()
    with pytest.raises(DataLossError):
        file.unpack(sealed(body), "m.meta")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def large():
    nodes = [defs.NodeDef(f"scope/node{n}", "Const", attr={}) for n in range(3000)]
    return defs.MetaGraphDef(graph_def=defs.GraphDef(node=nodes))


def test_a_large_meta_graph_is_deflated_and_a_small_one_is_not():
    packed = file.pack(large())
    assert len(packed) < 30_000
    assert packed[12] == 1
    assert [node.name for node in file.unpack(packed).graph_def.node][-1] == "scope/node2999"
    assert file.summary(packed).nodes == 3000
    assert file.pack(everything())[12] == 0


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"1234567", "too short"),
        (struct.pack("<Q", 1 << 40) + zlib.compress(b"\xc0"), "claim to be"),
        (struct.pack("<Q", 1) + b"no stream", "no deflate stream"),
        (struct.pack("<Q", 1) + zlib.compress(bytes(1 << 24)), "not the 1 deflated"),
        (struct.pack("<Q", 3) + zlib.compress(b"\xc0"), "not the 3 deflated"),
        (struct.pack("<Q", 1) + zlib.compress(b"\xc0") + b"more", "not the 1 deflated"),
        (struct.pack("<Q", 1) + zlib.compress(b"\xc0")[:-3], "not the 1 deflated"),
    ],
)
def test_a_deflated_body_is_what_it_declares_in_little_memory(body, why):
    tracemalloc.start()
    with pytest.raises(DataLossError, match=rf"m\.meta.*{why}"):
        file.unpack(sealed(body, encoding=1), "m.meta")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


def test_an_unknown_encoding_is_refused():
    with pytest.raises(UnimplementedError):
        file.unpack(sealed(b"\xc0", encoding=2), "m.meta")


def test_functions_nested_too_deep_are_refused_and_not_a_recursion_error():
    attr = {"f": 1}
    for _ in range(300):
        attr = {"f": msgpack.ExtType(4, msgpack.packb(["g", attr]))}
    tree = tree_of(everything())
    tree[1][0][0][4] = attr
    with pytest.raises(DataLossError, match="nested"):
        file.unpack(sealed(msgpack.packb(tree)), "m.meta")


def test_hostile_json_is_refused():
    good = json.loads(to_json(everything()))
    for change in (
        lambda d: d.update(format="x"),
        lambda d: d.update(meta_graph=[]),
        lambda d: d["meta_graph"].update(novelty=1),
        lambda d: d["meta_graph"]["graph_def"]["node"][0].update(name=None),
        lambda d: d["meta_graph"]["graph_def"]["node"][0]["attr"].update(x={"$base64": "!"}),
        lambda d: d["meta_graph"]["graph_def"]["node"][0]["attr"].update(x={"$float": "1e3"}),
    ):
        document = json.loads(json.dumps(good))
        change(document)
        with pytest.raises(DataLossError, match=r"^m\.meta: "):
            from_json(json.dumps(document), "m.meta")
    for text in (
        "{",
        "[" * 100_000,
        '{"format": "ckpt-metagraph", "version": 1, "meta_graph": ' + "[" * 500 + "]" * 500 + "}",
    ):
        with pytest.raises(DataLossError):
            from_json(text, "m.meta")
    with pytest.raises(UnimplementedError):
        from_json('{"format": "ckpt-metagraph", "version": 9}', "m.meta")


def test_fields_missing_in_json_have_their_defaults():
    text = '{"format": "ckpt-metagraph", "version": 1, "meta_graph": {"graph_def": {"node": [{"name": "a", "op": "B"}]}}}'
    assert from_json(text).graph_def.node == (defs.NodeDef("a", "B"),)


def test_what_cannot_be_written_names_the_node():
    node = defs.NodeDef("culprit", "Add", attr={"x": object()})
    meta = defs.MetaGraphDef(graph_def=defs.GraphDef((defs.NodeDef("a", "B"), node)))
    with pytest.raises(GraphError, match="culprit"):
        file.pack(meta)


def test_a_summary_counts_and_needs_no_numpy(tmp_path):
    path = tmp_path / "m.meta"
    path.write_bytes(file.pack(everything()))
    code = (
        "import sys; from ckpt.wire import metagraph_file as f;"
        f"s = f.summary(open({str(path)!r}, 'rb').read());"
        "print(s.nodes, dict(s.ops), s.inputs, s.savers, 'numpy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = "2 {'Placeholder': 1, 'Odd': 1} (('x', 'float32', (None, 2)),) ('save/restore_all',) False\n"
    assert run.stdout == expected


def test_a_summary_refuses_what_unpack_refuses():
    for body in (b"\xc0", b"\x95\xc0\xc0\xc0\xc0\xc0", b"\xdd\xff\xff\xff\xff"):
        with pytest.raises(DataLossError, match=r"^m\.meta: "):
            file.summary(sealed(body), "m.meta")


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_flipped_bytes_under_a_right_checksum_are_read_or_refused_typed(data):
    body = bytearray(file.pack(everything())[HEADER_BYTES:])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    hostile = sealed(bytes(body))
    for read in (file.unpack, file.summary):
        with suppress(DataLossError):
            read(hostile, "m.meta")


def test_signatures_of_files_from_before_sparse_tensors_are_read():
    info = defs.TensorInfo("x:0", None, None)
    meta = defs.MetaGraphDef(signature_def={"sig": defs.SignatureDef({"x": info}, {}, "m")})
    tree = msgpack.unpackb(file.pack(meta)[HEADER_BYTES:])
    tree[4]["sig"][0]["x"] = ["x:0", None, None]
    assert file.unpack(sealed(msgpack.packb(tree))) == meta
    tree[4]["sig"][0]["x"] = ["x:0", None]
    with pytest.raises(DataLossError, match="where TensorInfo should be"):
        file.unpack(sealed(msgpack.packb(tree)))


def test_what_deflates_too_well_is_stored_as_it_is():
    """A reader refuses what unfolds to more than 32 times its bytes, so that few of them cannot become gigabytes."""
    zeros = defs.NodeDef("zeros", "Const", (), "", {"value": np.zeros(2 << 20, np.float32)})
    meta = defs.MetaGraphDef(graph_def=defs.GraphDef((zeros,)))
    packed = file.pack(meta)
    assert packed[12] == 0
    assert len(packed) > 8 << 20
    found = file.unpack(packed).graph_def.node[0].attr["value"]
    assert (found.shape, found.any()) == ((2 << 20,), False)
