"""The functional check: originals and result are run on the same inputs and compared."""

import numpy as np
import pytest

import ckpt as tf
from tests.compose.test_merging import WIRES, embedded, save, trained


@pytest.fixture
def paths(tmp_path):
    return {"a": save(tmp_path / "a", embedded), "b": save(tmp_path / "b", trained, seed=2)}


def merged_file(paths, tmp_path, **options):
    return tf.merge_files(paths, tmp_path / "both", WIRES, **options).output[0]


def test_a_merged_model_computes_what_the_chain_computes(paths, tmp_path):
    report = tf.check(paths, merged_file(paths, tmp_path), connect=WIRES)
    assert report.is_equal
    report.assert_equal()
    assert "b/y:0" in [output.name for output in report.outputs]
    assert list(report.inputs) == ["a/ids:0"]
    assert "b/y:0: agrees, at most 0 apart" in str(report)


def test_a_changed_weight_is_found(paths, tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        merged = tf.merge_graphs(paths, connect=WIRES)
        merged.restore(sess)
        bias = next(v for v in tf.global_variables() if v.op.name == "b/head/out/bias")
        bias.load([0.0, 1e-3], sess)
        path = merged.saver.save(sess, tmp_path / "changed")
    inputs = {"a/ids": [0, 4]}
    report = tf.check(paths, path, connect=WIRES, inputs=inputs, outputs=["b/y:0"])
    assert not report.is_equal
    assert report.outputs[0].max_difference == pytest.approx(1e-3, rel=1e-2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="1 of 1 outputs differ"):
        report.assert_equal()
    options = {"connect": WIRES, "inputs": inputs, "outputs": ["b/y:0"]}
    assert tf.check(paths, path, compare="allclose", atol=1e-2, **options).is_equal
    assert tf.check(paths, path, compare=lambda x, y: x.shape == y.shape, **options).is_equal
    with pytest.raises(ValueError, match="'equal', 'allclose' or a function"):
        tf.check(paths, path, compare="similar", **options)


def test_one_model_with_other_names(paths, tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        saver = tf.train.import_meta_graph(paths["a"] + ".meta", import_scope="inner")
        saver.restore(sess, paths["a"])
        moved = saver.save(sess, tmp_path / "moved")
    names = {"ids": "inner/ids", "y:0": "inner/y:0"}
    assert tf.check(paths["a"], moved, names=names, outputs=["y:0"]).is_equal
    with pytest.raises(ValueError, match="the result lacks"):
        tf.check(paths["a"], moved, outputs=["y:0"])


def test_random_outputs_are_left_out(tmp_path):
    def noisy():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        w = tf.get_variable("w", [3])
        tf.nn.dropout(x * w, 0.5, name="dropped")
        tf.multiply(x, w, name="y")

    path = save(tmp_path / "m", noisy)
    report = tf.check(path, path, batch=40)
    assert [output.name for output in report.outputs] == ["y:0"]
    assert set(report.skipped.values()) == {"it is random"}
    with pytest.raises(ValueError, match="nothing to compare"):
        tf.check(path, path, outputs=list(report.skipped), batch=40)


def test_unknown_names_are_errors(paths):
    with pytest.raises(ValueError, match="nothing"):
        tf.check(paths["a"], paths["a"], outputs=["nothing:0"])


def test_nan_and_zeros_compare_as_values(tmp_path):
    def odd():
        x = tf.placeholder(tf.float32, [2], name="x")
        tf.get_variable("w", [])
        tf.divide(x, x, name="y")

    path = save(tmp_path / "m", odd)
    assert tf.check(path, path, inputs={"x": [0.0, -0.0]}).is_equal
    assert np.isnan(tf.load_models({"m": path})["m"].run("y:0", {"x:0": [0.0, 0.0]})).all()
