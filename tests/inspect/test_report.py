"""Reports on checkpoints, and the three ways they are printed."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.core import defs, dtypes
from ckpt.core.errors import CkptError, DataLossError, NotFoundError
from ckpt.core.shapes import TensorShape
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_writer import write
from ckpt.inspect import render
from ckpt.inspect.report import CheckpointReport, inspect, ordered, select
from ckpt.wire import metagraph_body, metagraph_file, tf_pb
from ckpt.wire.metagraph_json import to_json

META = defs.MetaGraphDef(
    graph_def=defs.GraphDef(
        (
            defs.NodeDef(
                "x", "Placeholder", attr={"dtype": dtypes.float32, "shape": TensorShape([None, 3])}
            ),
            defs.NodeDef("a", "Relu", ("x",)),
            defs.NodeDef("b", "Relu", ("a",)),
        )
    ),
    saver_def=defs.SaverDef(restore_op_name="save/restore_all"),
    collection_def={"losses": defs.CollectionDef("node_list", ("b:0",))},
)


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "model.ckpt-70.h5"
    entries = [
        TensorEntry("dense/kernel", np.zeros((3, 2), np.float32)),
        TensorEntry("dense/bias", np.zeros(2, np.float32)),
        TensorEntry("words", np.array([b"a", b"bc"], object)),
        TensorEntry("step", np.int64(70)),
    ]
    write(path, entries, metagraph=metagraph_file.pack(META))
    return path


def test_a_report_says_what_is_in_the_file(checkpoint):
    report = inspect(checkpoint)
    assert {v.name: (v.dtype, v.shape) for v in report.variables} == {
        "dense/kernel": ("float32", (3, 2)),
        "dense/bias": ("float32", (2,)),
        "words": ("string", (2,)),
        "step": ("int64", ()),
    }
    assert report.step == 70
    assert report.elements == 6 + 2 + 2 + 1
    assert report.nbytes == sum(v.nbytes for v in report.variables)
    assert report.graph.ops == {"Placeholder": 1, "Relu": 2}
    assert report.graph.inputs == (("x", "float32", (None, 3)),)
    assert report.graph.savers == ("save/restore_all",)


def test_a_prefix_and_a_meta_file_are_paths_too(checkpoint, tmp_path):
    assert inspect(str(checkpoint).removesuffix(".h5")) == inspect(checkpoint)
    for name, data in {
        "packed.meta": metagraph_file.pack(META),
        "text.meta": to_json(META).encode(),
        "tf.meta": tf_pb.to_bytes(META),
    }.items():
        (tmp_path / name).write_bytes(data)
        report = inspect(tmp_path / name)
        assert report.graph.nodes == 3
        assert report.variables == ()


def test_the_graph_beside_a_file_without_one_is_found(tmp_path):
    write(tmp_path / "m.h5", [TensorEntry("v", np.zeros(1))])
    assert inspect(tmp_path / "m.h5").graph is None
    (tmp_path / "m.meta").write_bytes(metagraph_file.pack(META))
    assert inspect(tmp_path / "m.h5").graph.nodes == 3


def test_a_prefix_of_a_graph_alone_is_one_too(tmp_path):
    (tmp_path / "frozen.meta").write_bytes(metagraph_file.pack(META))
    assert inspect(tmp_path / "frozen") == inspect(tmp_path / "frozen.meta")
    with pytest.raises(NotFoundError, match="no such checkpoint"):
        inspect(tmp_path / "frozen2")


def test_patterns_select_and_stars_stop_at_slashes(checkpoint):
    report = inspect(checkpoint)

    def names(*patterns):
        return [v.name for v in select(report, patterns).variables]

    assert names("dense/*") == ["dense/kernel", "dense/bias"]
    assert names("*") == ["words", "step"]
    assert names("**") == [v.name for v in report.variables]
    assert names("dense/bias", "step") == ["dense/bias", "step"]
    assert names("wor?s") == ["words"]
    assert names() == [v.name for v in report.variables]
    assert names("!dense/**", "!@scope:step") == ["words"]
    assert names("re:.*e.*", "!**/bias") == ["dense/kernel", "step"]
    with pytest.raises(CkptError, match=r"(?s)ckpt-70\.h5: .*'no\*'.*'x'"):
        names("no*", "step", "x")


def test_variables_are_sorted_by_name_or_size(checkpoint):
    report = inspect(checkpoint)
    by_name = [v.name for v in ordered(report, "name").variables]
    assert by_name == ["dense/bias", "dense/kernel", "step", "words"]
    sizes = [v.nbytes for v in ordered(report, "size").variables]
    assert sizes == sorted(sizes, reverse=True)


def test_sizes_are_written_for_people():
    sizes = {0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1300000000: "1.2 GiB", 2**20 - 1: "1.0 MiB"}
    assert {size: render.size_text(size) for size in sizes} == sizes
    assert render.size_text(5 << 60).endswith("PiB")


def test_the_table_the_lines_and_the_document_say_the_same(checkpoint):
    report = inspect(checkpoint)
    table = render.as_table(report)
    assert "dense/kernel  float32  [3,2]" in table
    assert "4 variables, 11 elements" in table
    assert "step 70" in table
    assert "graph: 3 nodes of 2 types" in table
    lines = [line.split("\t") for line in render.as_lines(report).splitlines()]
    assert ["variable", "dense/kernel", "float32", "[3,2]", "24"] in lines
    assert ["op", "Relu", "2"] in lines
    document = json.loads(render.as_json(report))
    assert (document["schema"], document["version"]) == ("ckpt.inspect", 1)
    assert document["variables"][0] == {
        "name": "dense/kernel", "dtype": "float32", "shape": [3, 2], "nbytes": 24
    }  # fmt: skip
    assert document["graph"]["inputs"] == [{"name": "x", "dtype": "float32", "shape": [None, 3]}]


def test_names_cannot_steer_a_terminal_or_break_a_line():
    assert render.printable("a\x1b[2J\n\tb\u202e") == r"a\x1b[2J\n\tb\u202e"


def test_a_dtype_cannot_either():
    graph = metagraph_file.summary(
        metagraph_body.sealed(
            metagraph_file.pack(META)[metagraph_body.HEADER_BYTES :].replace(
                b"float32", b"fl\x1bat32"
            )
        )
    )
    assert r"x fl\x1bat32 [?,3]" in render.as_table(CheckpointReport("m", "metagraph", graph=graph))


def test_missing_and_damaged_files_are_typed_errors(checkpoint, tmp_path):
    with pytest.raises(NotFoundError, match="nothing"):
        inspect(tmp_path / "nothing")
    for name in ("cut.h5", "cut.meta"):
        (tmp_path / name).write_bytes(checkpoint.read_bytes()[:700])
        with pytest.raises(DataLossError, match="cut"):
            inspect(tmp_path / name)


def test_a_report_needs_neither_numpy_nor_h5py(checkpoint):
    code = (
        "import sys; from ckpt.inspect import render, report;"
        f"render.as_table(report.inspect({str(checkpoint)!r}));"
        "print([m for m in ('numpy', 'h5py', 'google.protobuf', 'rich') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_hostile_graph_is_printed_or_refused_typed(data):
    head = metagraph_body.HEADER_BYTES
    body = bytearray(metagraph_file.pack(META)[head:])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        graph = metagraph_file.summary(metagraph_body.sealed(bytes(body)), "m.meta")
    except DataLossError:
        return
    report = CheckpointReport("m.meta", "metagraph", graph=graph)
    for show in (render.as_table, render.as_lines, render.as_json):
        assert show(report).replace("\t", "").replace("\n", "").isprintable()
