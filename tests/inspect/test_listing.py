"""The listing by the index alone says what the full report says, of any file, or leaves it to the report."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.core import defs, dtypes
from ckpt.core.errors import CkptError
from ckpt.core.shapes import TensorShape
from ckpt.formats.base import SliceSpec, TensorEntry
from ckpt.formats.hdf5_layout import flat_fields
from ckpt.formats.hdf5_writer import write
from ckpt.formats.shards import write_checkpoint
from ckpt.inspect import render
from ckpt.inspect.listing import listing
from ckpt.inspect.report import inspect
from ckpt.saver.state_file import update_checkpoint_state
from ckpt.wire import metagraph_file, tf_pb
from tests.faults import hostile
from tests.faults.frugal import cost_of


def entries(shapes, dtype=np.float32):
    return [TensorEntry(f"v{n}", np.zeros(shape, dtype)) for n, shape in enumerate(shapes)]


MIXED = [
    TensorEntry("dense/kernel", np.ones((300, 70), np.float32)),
    TensorEntry("dense/kernel/Adam", np.zeros((3, 0, 2), np.float64)),
    TensorEntry("step", np.int64(70)),
    TensorEntry("words", np.array([["a", "bc"], ["", "é"]], object)),
    TensorEntry("flags", np.array([True, False])),
    TensorEntry("größe/\N{SNOWMAN}", np.ones(3, np.complex64)),
    TensorEntry("evil\x1b[2J\n\tname", np.ones(3, np.uint8)),
]
NODES = [
    defs.NodeDef(
        "x", "Placeholder", attr={"dtype": dtypes.float32, "shape": TensorShape([None, 3])}
    ),
    *[defs.NodeDef(f"layer{n}/a\x1b", "Relu", ("x",)) for n in range(2000)],
]
GRAPH = metagraph_file.pack(
    defs.MetaGraphDef(
        graph_def=defs.GraphDef(tuple(NODES)),
        saver_def=defs.SaverDef(restore_op_name="save/restore_all"),
        collection_def={"losses": defs.CollectionDef("node_list", ("a:0",))},
    )
)  # deflated
SMALL_GRAPH = metagraph_file.pack(defs.MetaGraphDef(graph_def=defs.GraphDef(tuple(NODES[:2]))))
SIMPLE = {
    "nothing": [],
    "one scalar": entries([()]),
    "scalars": entries([()] * 5),
    "one shape": entries([(2, 3)] * 5),
    "one rank": entries([(2, 3), (4, 5), (2, 3)]),
    "empty ones": entries([(0,), (4,), (0,), (1,)]),
    "mixed": MIXED,
    "large": entries([(300, 400), (2,), (70_000,)]),
    "packed": entries([(n % 7 + 1,) for n in range(1500)]),
    "packed and large": entries([(70_000,), *[(n % 7,) for n in range(1500)], (80_000,)]),
}


def texts(report):
    """All that a report is shown as, but JSON."""
    ways = ({"names": n, "terminal": t} for n in (False, True) for t in (False, True))
    return [list(render.shown(report, **way)) for way in ways]


@pytest.mark.parametrize("tensors", SIMPLE.values(), ids=SIMPLE.keys())
@pytest.mark.parametrize("name", ["model.ckpt-12.h5", "x"])
def test_a_listing_is_the_report(tmp_path, tensors, name):
    path = str(tmp_path / name)
    write(path, tensors, metadata={"from": "a"}, durable=False)
    found = listing(path)
    assert texts(found) == texts(inspect(path))
    assert [tuple(variable) for variable in inspect(path).variables] == found.variables


def test_a_prefix_and_a_link_are_paths_too(tmp_path):
    write(tmp_path / "m-3.h5", MIXED, metadata={"step": "7"}, durable=False)
    (tmp_path / "link").symlink_to("m-3.h5")
    for path in (str(tmp_path / "m-3"), str(tmp_path / "link")):
        assert texts(listing(path)) == texts(inspect(path))
    assert listing(str(tmp_path / "m-3")).step == 7


@pytest.mark.parametrize("noted", ["", "x", "-4", "٣", "9" * 21, "9" * 5000])
def test_a_step_that_is_none_is_passed_over(tmp_path, noted):
    write(tmp_path / "m-3.h5", MIXED, metadata={"step": noted}, durable=False)
    assert listing(str(tmp_path / "m-3")).step == inspect(str(tmp_path / "m-3")).step == 3


@pytest.mark.parametrize("graph", [GRAPH, SMALL_GRAPH], ids=["deflated", "small"])
def test_a_graph_in_the_file_or_beside_it_is_counted(tmp_path, graph):
    write(tmp_path / "in.h5", MIXED, metagraph=graph, durable=False)
    write(tmp_path / "beside.h5", MIXED, metagraph=b"", durable=False)
    (tmp_path / "beside.meta").write_bytes(graph)
    for name in ("in", "beside", "in.h5", "beside.h5"):
        path = str(tmp_path / name)
        assert texts(listing(path)) == texts(inspect(path))
        assert listing(path).graph == inspect(path).graph
        assert listing(path).graph.inputs == (("x", "float32", (None, 3)),)


def test_a_damaged_graph_is_left_to_the_report(tmp_path):
    path = tmp_path / "m.h5"
    write(path, MIXED, metagraph=SMALL_GRAPH, durable=False)
    good = path.read_bytes()
    at = good.index(SMALL_GRAPH)
    for position in range(at, at + len(SMALL_GRAPH)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        assert listing(str(path)) is None
    write(path, MIXED, durable=False)
    for data in (SMALL_GRAPH[:-1], b"", tf_pb.to_bytes(defs.MetaGraphDef())):
        path.with_suffix(".meta").write_bytes(data)
        assert listing(str(path)) is None
    path.with_suffix(".meta").unlink()
    path.with_suffix(".meta").mkdir()
    assert listing(str(path)) is None


def shards(path):
    write_checkpoint(path, entries([(900,)] * 4), shard_size=8000, durable=False)
    write(f"{path}.h5", entries([()]), durable=False)  # older than the index


def beside_a_meta_file(path):
    write(f"{path}.h5", MIXED, durable=False)
    path.with_name(f"{path.name}.meta").write_bytes(b"a graph")


def dangling(path):
    write(f"{path}.h5", MIXED, durable=False)
    path.symlink_to("nowhere")


NOT_SIMPLE = {
    "another graph within": lambda p: write(p, MIXED, metagraph=b"graph", durable=False),
    "another graph beside": beside_a_meta_file,
    "compressed": lambda p: write(p, entries([(70_000,)]), compression="deflate", durable=False),
    "parts": lambda p: write(
        p, [TensorEntry("v", np.ones(2), SliceSpec((4,), (2,)))], durable=False
    ),
    "shards": shards,
    "a dangling link": dangling,
    "a directory": lambda p: p.mkdir(),
    "a pipe": lambda p: os.mkfifo(p),
    "nothing": lambda p: None,
    "empty": lambda p: p.write_bytes(b""),
    "zeros": lambda p: p.write_bytes(bytes(9000)),
    "text": lambda p: p.write_text("hello"),
}


@pytest.mark.parametrize("make", NOT_SIMPLE.values(), ids=NOT_SIMPLE.keys())
def test_what_is_not_simple_is_left_to_the_report(tmp_path, make):
    make(tmp_path / "m")
    assert listing(str(tmp_path / "m")) is None


def agrees(path):
    """A listing, where there is one, is the report; where the report fails, there is none."""
    found = listing(str(path))
    if found is None:
        return
    assert texts(found) == texts(inspect(path))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "m.h5"
    write(path, MIXED, metadata={"step": "3"}, durable=False)
    return path.read_bytes()


def test_damage_of_header_and_index_is_left_to_the_report(good, tmp_path):
    path = tmp_path / "m.h5"
    at, size = struct.unpack_from("<QQ", good, 24)
    for position in [*range(512), *range(at, at + size, 3)]:
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x40]) + good[position + 1 :])
        assert listing(str(path)) is None
    for length in (0, 10, 511, 512, at, len(good) - 1):
        path.write_bytes(good[:length])
        assert listing(str(path)) is None
    path.write_bytes(good + b"\0")
    assert listing(str(path)) is None


def column(key, code, position, value):
    def change(index):
        numbers = list(
            struct.unpack(f"<{len(index[key]) // struct.calcsize(code)}{code}", index[key])
        )
        numbers[position] = value
        index[key] = struct.pack(f"<{len(numbers)}{code}", *numbers)

    return change


HOSTILE = {
    "a size": column("dims", "Q", 0, 1 << 40),
    "a rank": column("ranks", "B", 0, 3),
    "a length": column("lengths", "Q", 2, 16),
    "an offset in the header": column("offsets", "Q", 2, 64),
    "an offset beyond the end": column("offsets", "Q", 2, 1 << 40),
    "two in one place": lambda i: column(
        "offsets", "Q", 2, struct.unpack("<Q", i["offsets"][:8])[0]
    )(i),
    "a dtype that is not there": column("dtypes", "B", 1, 99),
    "an unknown dtype": lambda i: i.update(dtype_names=["resource"] * 7),
    "a split": column("splits", "I", 0, 1),
    "a filter": column("layouts", "B", 0, 1),
    "ends out of order": column("name_ends", "Q", 0, 40),
    "a name twice": lambda i: i.update(
        names=b"ab" * 6 + b"c", name_ends=struct.pack("<7Q", 2, 4, 6, 8, 10, 12, 13)
    ),
    "names that are no text": lambda i: i.update(names=b"\xff" * len(i["names"])),
    "a checksum too few": lambda i: i.update(crcs=i["crcs"][4:]),
    "a short column": lambda i: i.update(offsets=i["offsets"][:-1]),
    "no column": lambda i: i.pop("offsets") and None,
    "a block of nothing": lambda i: i.update(block=0),
    "an alias of nothing": lambda i: i.update(aliases={"a": "b"}),
    "an alias": lambda i: i.update(aliases={"a": "step"}),
    "metadata within metadata": lambda i: i.update(metadata={"a": {"b": "c"}}),
    "metadata of numbers": lambda i: i.update(metadata={"a": 1}),
    "a step that is none": lambda i: i.update(metadata={"step": "-1"}),
    "a graph of no length": lambda i: i.update(metagraph=struct.pack("<QQI", 0, 0, 0)),
    "a graph outside": lambda i: i.update(metagraph=struct.pack("<QQI", 1 << 50, 9, 0)),
    "half a graph": lambda i: i.update(metagraph=b"123"),
    "more fields": lambda i: i.update({f"field {n}": n for n in range(99)}),
    "not a map": lambda i: b"\x93\1\2\3",
    "trailing bytes": lambda i: msgpack.packb(i) + b"\0",
    "keys that are no text": lambda i: i.update({7: "x"}),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_of_a_hostile_index_there_is_no_other_listing_than_the_report(good, tmp_path, change):
    path = tmp_path / "m.h5"
    path.write_bytes(hostile.resealed(good, change))
    try:
        inspect(path)
    except CkptError:
        assert listing(str(path)) is None
    else:
        agrees(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_resealed_change_of_the_index(good, tmp_path_factory, data):
    _, index = hostile.index_of(good)
    packed = bytearray(msgpack.packb(index))
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.h5"
    path.write_bytes(hostile.with_index(good, bytes(packed)))
    agrees(path)


PLAIN = st.one_of(
    st.none(), st.integers(-5, (1 << 64) - 1), st.text(max_size=40), st.binary(max_size=300),
    st.booleans(), st.floats(allow_nan=False),
)  # fmt: skip
FIELDS = st.dictionaries(
    st.text(max_size=12),
    st.one_of(
        PLAIN,
        st.lists(PLAIN, max_size=20),
        st.dictionaries(st.text(max_size=40), PLAIN, max_size=20),
        st.lists(st.lists(PLAIN, max_size=2), max_size=2),
    ),
    max_size=20,
)


@given(FIELDS)
def test_flat_fields_are_those_of_msgpack(fields):
    found = flat_fields(msgpack.packb(fields))
    assert found is None or found == fields


def test_long_values_are_those_of_msgpack():
    for fields in (
        {"b": b"x" * 70_000, "s": "é" * 40_000, "t": "a" * 200, "l": list(range(1000))},
        {
            "m": {f"key {n}": f"value {n}" for n in range(1000)},
            "n": [1 << 40, 1 << 20, 1 << 12, 200],
        },
    ):
        assert flat_fields(msgpack.packb(fields)) == fields


@given(st.binary(max_size=60))
def test_flat_fields_of_any_bytes_are_those_of_msgpack(data):
    found = flat_fields(data)
    if found is not None:
        assert found == msgpack.unpackb(data)


def test_a_listing_loads_next_to_nothing(tmp_path):
    """Of the standard library too: each of these takes longer to load than a hundred variables to list."""
    write(tmp_path / "plain.h5", MIXED, durable=False)
    write(tmp_path / "graph.h5", MIXED, metagraph=GRAPH, durable=False)
    after = "import sys; sys.stderr.write(' '.join(sys.modules))"
    code = f"import atexit\n@atexit.register\ndef _():\n  {after}\nfrom ckpt.__main__ import main\nmain()"

    def modules(*command):
        ended = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=True
        )
        return {name for name in ended.stderr.split() if not name.startswith("encodings")}

    before = modules("-c", after)
    for flags in ([], ["--names"]):
        new = modules("-c", code, "inspect", str(tmp_path / "plain"), *flags) - before
        assert not {name for name in new if not name.startswith("ckpt")} - {
            "__future__",
            "atexit",
            "gc",
        }
        assert len(new) < 16
    new = modules("-c", code, "inspect", str(tmp_path / "graph")) - before
    assert "msgpack" in new
    assert not new & {
        "click",
        "typing",
        "re",
        "enum",
        "dataclasses",
        "contextlib",
        "logging",
        "numpy",
    }


def test_both_ways_print_the_same_bytes(tmp_path):
    """As processes: the short way, and the long one that a harmless option forces."""
    write(tmp_path / "m-3.h5", MIXED, durable=False)
    update_checkpoint_state(str(tmp_path), str(tmp_path / "m-3"))
    shutil.copy(tmp_path / "m-3.h5", tmp_path / "odd name é.h5")
    for path in ("m-3", "m-3.h5", "odd name é.h5", "", "."):
        for flags in ([], ["--names"]):
            outputs = [
                subprocess.run(
                    [sys.executable, "-m", "ckpt", *more, "ls", str(tmp_path / path), *flags],
                    capture_output=True,
                    check=True,
                ).stdout
                for more in ([], ["--debug"])
            ]
            assert outputs[0] == outputs[1]
            assert b"dense/kernel" in outputs[0]


def test_no_memory_is_taken_for_a_graph_that_is_mostly_a_hole(tmp_path):
    """Python takes the memory for all that it is asked to read before it reads."""
    write(tmp_path / "m.h5", MIXED, durable=False)
    with open(tmp_path / "m.meta", "wb") as file:
        file.truncate(64 << 30)
    cost = cost_of(lambda: listing(str(tmp_path / "m")))
    assert cost.outcome == "ok"
    assert cost.peak < 32 << 20
    with pytest.raises(CkptError, match="has 68719476736 bytes"):
        inspect(tmp_path / "m")
