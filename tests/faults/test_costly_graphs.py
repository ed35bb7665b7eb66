"""Graphs of very many elements, all checksums right: refused before they have cost much time or memory, or read where allowed.

Gates G10 and G11; the nightly build takes files of 100 MB.
"""

import struct
import sys
import zlib

import pytest

import ckpt
from ckpt.core.errors import DataLossError
from ckpt.core.limits import graph_elements
from ckpt.inspect.report import inspect
from ckpt.saver.meta_files import read_meta_graph_file
from ckpt.wire import saved_model_file
from tests.faults import hostile
from tests.faults.frugal import cost_of
from tests.faults.scenes import EXHAUSTIVE
from tests.faults.test_hostile import body, extension, extension8, with_values

MIB = 1 << 20
SIZE = 100_000_000 if EXHAUSTIVE else 4 * MIB
# elements: fewer than any of these files has
ALLOWED = graph_elements() if EXHAUSTIVE else MIB // 8
# seconds; the gate says 2 on a machine that does nothing else
QUICK_ENOUGH = 6 if EXHAUSTIVE else 20
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")

NODE = b"\x95\xa1n\xa1o\x90\xa0\x80"
FUNCTION = b"\x97\xa1f\x90\x90%b\x80\x80\x80"
ARGUMENT = b"\x96\xa0\xc0\xa0\xa0\xa0\xc2"
VARIABLE = b"\x99\xa0\xa0\xa0\xa0\xc0\xc2\xc2\0\0"
FUNC = b"\x92\xa0\x80"


def array(items):
    return b"\xdd" + struct.pack(">I", len(items)) + b"".join(items)


def repeated(item):
    count = SIZE // len(item)
    return b"\xdd" + struct.pack(">I", count) + item * count


def nodes(node):
    count = SIZE // len(node)
    return body(node * count, count, end=b"\x07")


def functions(*, arguments=0, body_nodes=0):
    function = FUNCTION.replace(b"\x90\x90", array([ARGUMENT] * arguments) + b"\x90") % array([NODE] * body_nodes)  # fmt: skip
    return body(b"", 0).replace(b"\x90\x80\x01\x01", repeated(function) + b"\x80\x01\x01") + b"\x07"


def collection(kind, element):
    return body(b"", 0)[:-2] + b"\x81\xa1c\x92" + bytes([0xA0 + len(kind)]) + kind + repeated(element) + b"\x07"  # fmt: skip


def new_shapes():
    def shapes(first):
        return with_values(*(extension8(2, b"\x91\xce" + struct.pack(">I", first + n)) for n in range(4096)))  # fmt: skip

    found = [shapes(first) for first in range(0, SIZE // 11, 4096)]
    return body(b"".join(found), len(found), end=b"\x07")


def with_strings(count):
    """A node with a tensor of so many empty strings."""
    number = struct.pack(">I", count)
    content = b"\x93\xa6string\x91\xce" + number + b"\xdd" + number + b"\xc4\0" * count
    return b"\x95\xa1n\xa1o\x90\xa0\x81\xa1v" + extension(3, content)


def saved_model():
    """Every MetaGraph in it is small."""
    part = hostile.meta(body(NODE * 100_000, 100_000))
    count = max(2, SIZE // len(part))
    parts = [b"\xc6" + struct.pack(">I", len(part)) + part] * count
    return hostile.saved_model(array(parts))


GRAPHS = {
    "nodes": lambda: nodes(NODE),
    "nodes with inputs": lambda: nodes(b"\x95\xa0\xa0\xdc\xff\xff" + b"\xa0" * 65535 + b"\xa0\x80"),
    "nodes with attributes": lambda: nodes(b"\x95\xa0\xa0\x91\xa0\xa0\x81\xa0\xc0"),
    "nodes with many attributes": lambda: nodes(b"\x95\xa0\xa0\x90\xa0\xde\x4e\x20" + b"".join(b"\xa5%05d\x01" % n for n in range(20_000))),
    "lists of numbers": lambda: nodes(b"\x95\xa0\xa0\x90\xa0\x81\xa0\xdc\xff\xff" + b"\x01" * 65535),
    "lists of dtypes": lambda: nodes(with_values(extension8(1, b"int8"))),
    "shapes that are all new": new_shapes,
    "tensors": lambda: nodes(with_values(extension8(3, b"\x93\xa4bool\x90\xc4\x01\x01"))),
    "long shapes": lambda: nodes(with_values(*(extension(2, b"\xdc\x01\x90" + bytes([n]) * 400) for n in range(128)))),
    "one tensor of strings": lambda: body(with_strings(SIZE // 2), 1, end=b"\x07"),
    "tensors of strings": lambda: nodes(with_strings(1000)),
    "functions as attributes": lambda: nodes(with_values(extension8(4, FUNC))),
    "functions in functions": lambda: nodes(with_values(extension8(4, b"\x92\xa0\x81\xa0" + extension8(4, FUNC)))),
    "functions": lambda: functions(),
    "functions of arguments": lambda: functions(arguments=8000),
    "functions of nodes": lambda: functions(body_nodes=50),
    "variables": lambda: collection(b"variables", VARIABLE),
    "a collection of numbers": lambda: collection(b"int64_list", b"\x01"),
    "a collection of texts": lambda: collection(b"node_list", b"\xa0"),
    "a collection of pairs": lambda: collection(b"any_list", b"\x92\xa0\xc4\0"),
}  # fmt: skip


INSIDE = (
    "long shapes",
    "one tensor of strings",
    "tensors of strings",
)  # `inspect` looks into none of them


def check(path, action, told="allow_large_graphs"):
    with ckpt.allow_large_graphs(ALLOWED):
        cost = cost_of(action)
    assert isinstance(cost.outcome, DataLossError)
    assert str(path) in str(cost.outcome)
    assert told in str(cost.outcome)
    assert cost.peak <= 64 * MIB + path.stat().st_size
    assert cost.seconds < QUICK_ENOUGH


@linux
@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_of_many_elements_is_refused(tmp_path, kind):
    path = tmp_path / "h.meta"
    path.write_bytes(hostile.meta(GRAPHS[kind]()))
    check(path, lambda: read_meta_graph_file(str(path)))
    check(path, lambda: inspect(path), "not iterable" if kind in INSIDE else "allow_large_graphs")


@linux
def test_a_saved_model_of_many_graphs_is_refused(tmp_path):
    path = tmp_path / "saved_model.msgpack"
    path.write_bytes(saved_model())
    check(path, lambda: saved_model_file.load(path.read_bytes(), str(path)))


@linux
@pytest.mark.parametrize("name", ["h.meta", "saved_model.json"])
def test_json_of_many_elements_is_refused(tmp_path, name):
    path = tmp_path / name
    node = '{"name":"a name as long as names are","op":"NoOp"}'
    many = f"{node}," * (SIZE // len(node)) + node
    graph = f'{{"format":"ckpt-metagraph","version":1,"meta_graph":{{"graph_def":{{"node":[{many}]}}}}}}'
    if name == "h.meta":
        path.write_text(graph)
        check(path, lambda: read_meta_graph_file(str(path)))
    else:
        path.write_text(f'{{"saved_model_schema_version":1,"meta_graphs":[{graph}]}}')
        check(path, lambda: saved_model_file.load(path.read_bytes(), str(path)))


@linux
def test_a_deflated_graph_unfolds_to_256_mib_at_most(tmp_path):
    path = tmp_path / "h.meta"
    deflate = zlib.compressobj(9)
    stream = b"".join(deflate.compress(NODE * (MIB // 8)) for _ in range(257)) + deflate.flush()
    path.write_bytes(
        hostile.meta(struct.pack("<Q", 257 * MIB) + stream + bytes(9 * MIB), encoding=1)
    )
    cost = cost_of(lambda: read_meta_graph_file(str(path)))
    assert isinstance(cost.outcome, DataLossError)
    assert "claim to be" in str(cost.outcome)
    assert cost.peak <= 64 * MIB + path.stat().st_size


def test_what_is_right_and_large_is_read_where_it_is_allowed(tmp_path):
    path = tmp_path / "l.meta"
    path.write_bytes(hostile.meta(body(NODE * 200_000, 200_000)))
    with (
        pytest.raises(DataLossError, match="allow_large_graphs"),
        ckpt.allow_large_graphs(1_000_000),
    ):
        read_meta_graph_file(str(path))
    with ckpt.allow_large_graphs(1_000_000), ckpt.allow_large_graphs():
        assert len(read_meta_graph_file(str(path)).graph_def.node) == 200_000
    with ckpt.allow_large_graphs(1_700_000):
        assert len(read_meta_graph_file(str(path)).graph_def.node) == 200_000
        assert inspect(path).graph.nodes == 200_000
    assert graph_elements() == 1 << 24


def test_a_million_nodes_in_a_chain_are_allowed():
    """The gate G12 counts on it."""
    from ckpt.wire.metagraph_budget import node_elements

    assert 1_000_000 * node_elements([["n1", "Identity", ["n0"], "", {"T": "float"}]]) <= graph_elements()  # fmt: skip
