"""What is left of a damaged checkpoint: everything whose bytes are right, and nothing else."""

import os
import shutil

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.errors import AlreadyExistsError, DataLossError, NotFoundError
from ckpt.formats import detect, shards
from ckpt.formats.base import SliceSpec, TensorEntry
from ckpt.formats.hdf5_reader import Hdf5Reader
from ckpt.formats.hdf5_writer import write

VALUES = {f"layer_{n}/w": np.full((40, 30), float(n)) for n in range(5)}


@pytest.fixture
def model(tmp_path):
    """A saved model of five variables, and its values by name."""
    variables = [tf.get_variable(name, initializer=tf.constant(v)) for name, v in VALUES.items()]
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(sess, tmp_path / "m")
    return tmp_path / "m"


def damage(file, at, bytes_=b"\xff\xff"):
    with open(file, "r+b") as opened:
        opened.seek(at)
        opened.write(bytes_)


def place_of(file, name):
    with Hdf5Reader(file) as reader:
        return reader._tensor(name).parts[0].offset


def held(path):
    with detect.open_reader(path) as reader:
        reader.verify()
        return {name: reader.read(name) for name in reader.names()}


def same(found, names):
    assert sorted(found) == sorted(names)
    for name in names:
        np.testing.assert_array_equal(found[name], VALUES[name])


def test_all_but_the_damaged_tensor_is_recovered_and_can_be_trained_on(model, tmp_path):
    damage(f"{model}.h5", place_of(f"{model}.h5", "layer_2/w") + 100)
    before = (tmp_path / "m.h5").read_bytes()
    report = tf.salvage(model, tmp_path / "out")
    assert set(report.lost) == {"layer_2/w"}
    assert "CRC32C" in report.lost["layer_2/w"]
    assert (report.has_graph, report.is_whole, report.lost_files) == (True, False, {})
    assert report.output == (f"{tmp_path}/out.h5", f"{tmp_path}/out.meta")
    same(held(tmp_path / "out"), VALUES.keys() - {"layer_2/w"})
    assert (tmp_path / "m.h5").read_bytes() == before
    with tf.Graph().as_default(), tf.Session() as sess:
        saver = tf.train.import_meta_graph(f"{tmp_path}/out.meta")
        restored = saver.restore(sess, f"{tmp_path}/out", on_missing="init")
        assert restored.missing == ("layer_2/w",)
        np.testing.assert_array_equal(sess.run("layer_4/w:0"), VALUES["layer_4/w"])


def header_gone(file):
    damage(file, 0, bytes(512))


def header_flipped(file):
    damage(file, 300)


def grown(file):
    with open(file, "ab") as opened:
        opened.write(b"appended")


def structure_gone(file):
    damage(file, 4096, bytes(400))


@pytest.mark.parametrize("change", [header_gone, header_flipped, grown, structure_gone])
def test_where_only_the_way_to_the_values_is_damaged_all_is_recovered(model, tmp_path, change):
    change(f"{model}.h5")
    report = tf.salvage(f"{model}.h5", tmp_path / "out")
    assert report.is_whole
    assert report.has_graph
    same(held(tmp_path / "out"), VALUES)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("beyond", [1, 40_000, 200_000])
def test_of_a_file_cut_behind_its_index_all_is_recovered_that_is_there(
    tmp_path, compression, beyond
):
    rng = np.random.default_rng(5)
    values = {f"v{i}": rng.normal(size=20_000) for i in range(12)}
    write(tmp_path / "m.h5", [TensorEntry(*item) for item in values.items()], compression=compression)  # fmt: skip
    with Hdf5Reader(tmp_path / "m.h5") as reader:
        ends = {name: reader.end_of(name) for name in values}
    size = max(ends.values()) - beyond
    os.truncate(tmp_path / "m.h5", size)
    lost = {name for name, end in ends.items() if end > size}
    report = tf.salvage(tmp_path / "m", tmp_path / "out")
    assert set(report.lost) == lost
    assert 0 < len(lost) < 4
    name = min(lost)
    assert report.lost[name] == f"{tmp_path}/m.h5: is cut off at byte {size}; the tensor ends at {ends[name]}"  # fmt: skip
    found = held(tmp_path / "out")
    assert found.keys() == values.keys() - lost
    assert all(np.array_equal(found[name], values[name]) for name in found)


def test_the_graph_beside_is_taken_where_the_one_inside_is_lost(model, tmp_path):
    with Hdf5Reader(f"{model}.h5") as reader:
        graph = reader.metagraph()
    damage(f"{model}.h5", (tmp_path / "m.h5").read_bytes().index(graph) + 50)
    report = tf.salvage(model, tmp_path / "out")
    assert report.has_graph
    assert (tmp_path / "out.meta").read_bytes() == (tmp_path / "m.meta").read_bytes()
    os.remove(f"{model}.meta")
    assert not tf.salvage(model, tmp_path / "other").has_graph
    assert not (tmp_path / "other.meta").exists()


@pytest.fixture
def sharded(tmp_path):
    """Three shards; the parts of `cut` lie in two of them."""
    cut = np.arange(60.0).reshape(6, 10)
    groups = [
        [TensorEntry("layer_0/w", VALUES["layer_0/w"]), TensorEntry("cut", cut[:3], SliceSpec((6, 10), (0, 0)))],
        [TensorEntry("layer_1/w", VALUES["layer_1/w"]), TensorEntry("cut", cut[3:], SliceSpec((6, 10), (3, 0)))],
        [TensorEntry("layer_2/w", VALUES["layer_2/w"])],
    ]  # fmt: skip
    shards.write_shards(tmp_path / "m", [lambda file, g=g: write(file, g) for g in groups])
    return sorted(tmp_path.glob("m.*.h5"))


def test_a_shard_that_is_gone_costs_what_was_in_it(sharded, tmp_path):
    sharded[1].unlink()
    report = tf.salvage(tmp_path / "m", tmp_path / "out")
    assert list(report.lost_files) == [str(sharded[1])]
    assert report.lost == {"cut": "30 of 60 elements are there"}
    same(held(tmp_path / "out"), ["layer_0/w", "layer_2/w"])


def test_shards_are_found_without_their_index(sharded, tmp_path):
    damage(tmp_path / "m.index", 20)
    report = tf.salvage(tmp_path / "m", tmp_path / "out")
    assert list(report.lost_files) == [f"{tmp_path}/m.index"]
    found = held(tmp_path / "out")
    np.testing.assert_array_equal(found.pop("cut"), np.arange(60.0).reshape(6, 10))
    same(found, ["layer_0/w", "layer_1/w", "layer_2/w"])
    other = sharded[0].with_name(sharded[0].name.replace(sharded[0].name[2:18], "0" * 16))
    shutil.copy(sharded[0], other)  # of two saves nobody can tell which is meant
    with pytest.raises(DataLossError, match=r"m\.index: nothing can be recovered"):
        tf.salvage(tmp_path / "m", tmp_path / "out", force=True)


def test_tensors_of_every_kind_are_recovered(tmp_path):
    tensors = {
        "scalar": np.array(3.5), "none": np.zeros((0, 4), np.int8), "text": np.array([b"a", b"", b"bc"], object),
        "half": np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3), "flags": np.array([True, False]),
    }  # fmt: skip
    entries = [TensorEntry(name, array) for name, array in tensors.items()]
    write(tmp_path / "m.h5", entries, metadata={"step": "7"}, aliases={"tied": "flags"})
    header_gone(tmp_path / "m.h5")
    assert tf.salvage(tmp_path / "m", tmp_path / "out").is_whole
    with detect.open_reader(tmp_path / "out") as reader:
        assert reader.metadata()["step"] == "7"
        assert reader.read("tied").tolist() == [True, False]
        for name, array in tensors.items():
            assert reader.read(name).dtype == array.dtype
            assert reader.read(name).tolist() == array.tolist()


def test_a_graph_of_other_values_does_not_stay_beside_the_result(model, tmp_path):
    tf.salvage(model, tmp_path / "out")
    write(tmp_path / "bare.h5", [TensorEntry("w", np.ones(3))])
    report = tf.salvage(tmp_path / "bare", tmp_path / "out", force=True)
    assert report.output == (f"{tmp_path}/out.h5",)
    assert not (tmp_path / "out.meta").exists()


def test_nothing_is_written_where_nothing_can_be_had(model, tmp_path):
    os.truncate(f"{model}.h5", 30_000)  # the index is at the end
    os.remove(f"{model}.meta")
    with pytest.raises(DataLossError, match=r"m\.h5: nothing can be recovered"):
        tf.salvage(model, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "m.h5"]
    with pytest.raises(NotFoundError, match="nowhere"):
        tf.salvage(tmp_path / "nowhere", tmp_path / "out")


def test_what_is_there_is_replaced_only_when_forced_and_a_dry_run_writes_nothing(model, tmp_path):
    report = tf.salvage(model, tmp_path / "out", dry_run=True)
    assert (len(report.recovered), report.output) == (5, ())
    assert not (tmp_path / "out.h5").exists()
    tf.salvage(model, tmp_path / "out")
    with pytest.raises(AlreadyExistsError, match=r"out\.h5"):
        tf.salvage(model, tmp_path / "out")
    tf.salvage(model, tmp_path / "out", force=True)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_wrong_value_is_ever_recovered(tmp_path, data):
    """Whatever bytes are changed: what is recovered is what was saved."""
    path, out = tmp_path / "m.h5", tmp_path / "out"
    write(path, [TensorEntry(n, v) for n, v in VALUES.items()], durable=False)
    size = path.stat().st_size
    for _ in range(data.draw(st.integers(1, 6))):
        changed = data.draw(st.binary(min_size=1, max_size=600))
        damage(path, data.draw(st.integers(0, size - 1)), changed)
    try:
        report = tf.salvage(path, out, force=True)
    except DataLossError:
        return
    assert set(report.recovered).isdisjoint(report.lost)
    same(held(out), report.recovered)
