"""What users of such tools asked for, as they would do it."""

import numpy as np
import pytest

import ckpt as tf
from ckpt import surgery
from tests.compose.test_merging import save, trained

X = np.random.RandomState(5).normal(size=(3, 4)).astype(np.float32)


def outputs(path, feeds):
    with tf.load_models({"m": path})["m"] as model:
        return model.run("y:0", feeds)


def test_one_file_is_imported_twice_and_both_savers_restore_their_own_checkpoint(tmp_path):
    paths = [save(tmp_path / f"m{seed}", trained, seed=seed) for seed in (1, 2)]
    wanted = [outputs(path, {"x:0": X}) for path in paths]
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        savers = [tf.train.import_meta_graph(paths[0] + ".meta", import_scope="m") for _ in paths]
        for saver, path in zip(savers, paths, strict=True):
            saver.restore(sess, path)
        found = sess.run(["m/y:0", "m_1/y:0"], {"m/x:0": X, "m_1/x:0": X})
        np.testing.assert_array_equal(found, wanted)
        for key in graph.get_all_collection_keys():
            names = [getattr(member, "name", "") for member in graph.get_collection(key)]
            assert sum(n.startswith("m/") for n in names) == sum(
                n.startswith("m_1/") for n in names
            )
        step = [v for v in tf.global_variables() if v.op.name.endswith("global_step")]
        assert [v.op.name for v in step] == ["m/global_step", "m_1/global_step"]


def test_a_renamed_scope_is_imported_restored_and_run(tmp_path):
    path = save(tmp_path / "m", trained)
    draft, _ = surgery.rename(surgery.open_draft(path), {"head/": "new/"})
    surgery.write_draft(draft, tmp_path / "renamed")
    np.testing.assert_array_equal(
        outputs(tmp_path / "renamed", {"x:0": X}), outputs(path, {"x:0": X})
    )


def test_other_names_for_weights_are_explained_and_applied(tmp_path):
    def old():
        with tf.variable_scope("net"):
            tf.get_variable("weights", [4, 3])
            tf.get_variable("biases", [3])

    path = save(tmp_path / "old", old)
    with tf.variable_scope("net"):
        kernel, bias = tf.get_variable("kernel", [4, 3]), tf.get_variable("bias", [3])
    saver = tf.train.Saver()
    with tf.Session() as sess:
        with pytest.raises(tf.errors.NotFoundError) as caught:
            saver.restore(sess, path)
        text = str(caught.value)
        assert "weights" in text
        assert "rename=" in text
        saver.restore(sess, path, apply_suggestions=True)
        with tf.load_models({"m": path})["m"] as model:
            np.testing.assert_array_equal(sess.run(kernel), model["net/weights"])
            np.testing.assert_array_equal(sess.run(bias), model["net/biases"])
