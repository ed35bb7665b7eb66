"""SavedModels: written, read back by tags, with assets, main operations and errors."""

import os
from pathlib import Path

import numpy as np
import pytest

import ckpt as tf

sm = tf.saved_model


def model(value=42.0):
    """y = x * w + b."""
    x = tf.placeholder(tf.float32, [None], name="x")
    w = tf.get_variable("w", initializer=value)
    b = tf.get_variable("b", initializer=1.0, use_resource=True)
    y = tf.add(x * w, b, name="y")
    return x, y


def written(directory, tags=("serve",), as_text=False, **options):
    with tf.Graph().as_default(), tf.Session() as sess:
        model()
        sess.run(tf.global_variables_initializer())
        builder = sm.builder.SavedModelBuilder(directory)
        builder.add_meta_graph_and_variables(sess, list(tags), **options)
        return builder.save(as_text=as_text)


def loaded(directory, tags=("serve",), feed=2.0, **options):
    with tf.Graph().as_default(), tf.Session() as sess:
        meta_graph = sm.loader.load(sess, list(tags), directory, **options)
        scope = options.get("import_scope")
        prefix = f"{scope}/" if scope else ""
        return meta_graph, sess.run(f"{prefix}y:0", {f"{prefix}x:0": [feed]})


@pytest.mark.parametrize("as_text", [False, True])
def test_a_model_is_loaded_as_it_was_saved(tmp_path, as_text):
    path = written(tmp_path, as_text=as_text)
    assert os.path.basename(path) == ("saved_model.json" if as_text else "saved_model.msgpack")
    meta_graph, y = loaded(tmp_path)
    np.testing.assert_array_equal(y, [85.0])
    assert list(meta_graph.meta_info_def.tags) == ["serve"]
    assert sorted(os.listdir(tmp_path / "variables")) == ["variables.h5"]


def test_a_model_is_loaded_under_a_scope(tmp_path):
    written(tmp_path)
    _, y = loaded(tmp_path, import_scope="deep/er")
    np.testing.assert_array_equal(y, [85.0])


def test_several_graphs_share_the_variables(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        model()
        sess.run(tf.global_variables_initializer())
        builder = sm.builder.SavedModelBuilder(tmp_path)
        with pytest.raises(AssertionError, match="has not been saved yet"):
            builder.add_meta_graph(["early"])
        builder.add_meta_graph_and_variables(sess, ["train"])
        with pytest.raises(AssertionError, match="already been saved"):
            builder.add_meta_graph_and_variables(sess, ["again"])
    with tf.Graph().as_default():
        model(value=0.0)
        builder.add_meta_graph(["serve", "gpu"])
        builder.save()
    for tags in (["train"], ["gpu", "serve"]):
        np.testing.assert_array_equal(loaded(tmp_path, tags)[1], [85.0])
    with pytest.raises(RuntimeError, match=r"\['serve'\] could not be found .*'gpu', 'serve'"):
        loaded(tmp_path, ["serve"])


def test_devices_are_cleared_when_asked(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess, tf.device("/job:ps/task:3"):
        model()
        sess.run(tf.global_variables_initializer())
        builder = sm.builder.SavedModelBuilder(tmp_path)
        builder.add_meta_graph_and_variables(sess, ["kept"])
        builder.add_meta_graph(["clear"], clear_devices=True)
        builder.save()
    for tags, device in ((["kept"], "/job:ps/task:3"), (["clear"], "")):
        with tf.Graph().as_default() as graph, tf.Session() as sess:
            sm.loader.load(sess, tags, tmp_path)
            assert graph.get_operation_by_name("w").device == device


def test_signatures_come_back(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        x, y = model()
        sparse = tf.sparse_placeholder(tf.int64, [3, 4], name="sparse")
        sess.run(tf.global_variables_initializer())
        signature = sm.predict_signature_def({"x": x, "s": sparse}, {"y": y})
        builder = sm.builder.SavedModelBuilder(tmp_path)
        builder.add_meta_graph_and_variables(sess, ["serve"], {"sig": signature})
        builder.save()
    with tf.Graph().as_default(), tf.Session() as sess:
        found = sm.load(sess, ["serve"], tmp_path, import_scope="in").signature_def["sig"]
        assert found.method_name == "tensorflow/serving/predict"
        info = found.inputs["x"]
        assert (info.name, info.dtype) == ("x:0", tf.float32.as_datatype_enum)
        tensor = sm.utils.get_tensor_from_tensor_info(info, import_scope="in")
        assert tensor.name == "in/x:0"
        back = sm.utils.get_tensor_from_tensor_info(found.inputs["s"], import_scope="in")
        assert back.values.name == "in/sparse/values:0"
        assert back.dense_shape.name == "in/sparse/shape:0"


def test_main_operations_run_after_the_restore(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        model()
        w = tf.global_variables()[0]
        twice = tf.group(tf.assign(w, w * 2), name="twice")
        sess.run(tf.global_variables_initializer())
        builder = sm.builder.SavedModelBuilder(tmp_path)
        builder.add_meta_graph_and_variables(sess, ["serve"], legacy_init_op=twice)
        with pytest.raises(ValueError, match="already contains one or more main ops"):
            builder.add_meta_graph(["other"], main_op=twice)
        builder.save()
    np.testing.assert_array_equal(loaded(tmp_path)[1], [169.0])


def test_two_main_operations_are_refused_when_loaded(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        model()
        sess.run(tf.global_variables_initializer())
        for name in "ab":
            tf.add_to_collection("saved_model_main_op", tf.no_op(name=name))
        builder = sm.builder.SavedModelBuilder(tmp_path)
        builder.add_meta_graph_and_variables(sess, ["serve"])
        builder.save()
    with pytest.raises(RuntimeError, match="Expected exactly one SavedModel init op"):
        loaded(tmp_path)


def test_assets_move_with_the_model(tmp_path):
    for name, words in (("one", "red\ngreen\n"), ("two", "blue\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "words.txt").write_text(words)
    with tf.Graph().as_default(), tf.Session() as sess:
        tables = [
            tf.lookup.index_table_from_file(str(tmp_path / name / "words.txt"))
            for name in ("one", "two", "one")
        ]
        tables[0].lookup(tf.constant(["green"]), name="found")
        files = tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS)
        builder = sm.builder.SavedModelBuilder(tmp_path / "model")
        builder.add_meta_graph_and_variables(
            sess, ["serve"], assets_collection=files, main_op=tf.tables_initializer()
        )
        builder.save()
    (tmp_path / "model").rename(tmp_path / "moved")
    assert sorted(os.listdir(tmp_path / "moved" / "assets")) == ["words.txt", "words.txt_1"]
    for name in ("one", "two"):
        (tmp_path / name / "words.txt").unlink()
    with tf.Graph().as_default(), tf.Session() as sess:
        sm.load(sess, ["serve"], tmp_path / "moved")
        assert sess.run("found/LookupTableFindV2:0").tolist() == [1]


@pytest.mark.parametrize(
    ("asset", "error", "text"),
    [
        (lambda: "x", TypeError, "must be a Tensor"),
        (lambda: tf.constant(3.0), TypeError, "must be of dtype string"),
        (lambda: tf.placeholder(tf.string), TypeError, "must be a constant"),
        (lambda: tf.constant("no/where.txt"), tf.errors.NotFoundError, "no/where.txt"),
    ],
)
def test_assets_that_are_none(tmp_path, asset, error, text):
    with tf.Graph().as_default(), pytest.raises(error, match=text):
        written_with = {"assets_collection": [asset()]}
        with tf.Session() as sess:
            model()
            sess.run(tf.global_variables_initializer())
            sm.builder.SavedModelBuilder(tmp_path).add_meta_graph_and_variables(
                sess, ["serve"], **written_with
            )


def test_a_graph_without_variables(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.constant(5.0, name="y")
        builder = sm.builder.SavedModelBuilder(tmp_path)
        builder.add_meta_graph_and_variables(sess, ["serve"])
        builder.save()
    with tf.Graph().as_default(), tf.Session() as sess:
        sm.load(sess, ["serve"], tmp_path)
        assert sess.run("y:0") == 5.0


def test_a_saver_of_ones_own(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        model()
        sess.run(tf.global_variables_initializer())
        saver = tf.train.Saver({"renamed": tf.global_variables()[0]}, name="mine")
        builder = sm.builder.SavedModelBuilder(tmp_path)
        builder.add_meta_graph_and_variables(sess, ["serve"], saver=saver)
        builder.save()
    assert tf.train.list_variables(tmp_path / "variables" / "variables") == [("renamed", [])]


def test_simple_save_is_for_serving(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        x, y = model()
        sess.run(tf.global_variables_initializer())
        assert sm.simple_save(sess, tmp_path, {"x": x}, {"y": y}) is None
    meta_graph, value = loaded(tmp_path, [sm.tag_constants.SERVING])
    key = sm.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
    assert meta_graph.signature_def[key].outputs["y"].name == "y:0"
    np.testing.assert_array_equal(value, [85.0])


def test_directories(tmp_path):
    assert not sm.maybe_saved_model_directory(tmp_path)
    written(tmp_path)
    assert sm.loader.maybe_saved_model_directory(tmp_path)
    with pytest.raises(AssertionError, match="isn't empty"):
        sm.builder.SavedModelBuilder(tmp_path)


def test_no_model_and_damaged_models_are_os_errors_too(tmp_path):
    with pytest.raises(OSError, match="does not exist"):
        loaded(tmp_path / "no")
    path = Path(written(tmp_path))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(OSError, match=r"Cannot parse file .*checksum") as caught:
        loaded(tmp_path)
    assert isinstance(caught.value, tf.errors.DataLossError)


@pytest.mark.parametrize(
    ("key", "change", "error", "text"),
    [
        ("sig", {"name": ""}, AssertionError, "must have the name field set"),
        ("sig", {"dtype": 0}, AssertionError, "must have the dtype field set"),
        ("__saved_model_init_op", {}, KeyError, "reserved for initialization"),
        ("__saved_model_train_op", {}, KeyError, "reserved for the train op"),
    ],
)
def test_signatures_that_nobody_could_use(tmp_path, key, change, error, text):
    with tf.Graph().as_default():
        info = sm.build_tensor_info(tf.placeholder(tf.float32, name="p"))
    for field, value in change.items():
        setattr(info, field, value)
    with pytest.raises(error, match=text):
        written(tmp_path, signature_def_map={key: sm.build_signature_def({"x": info})})
    assert os.listdir(tmp_path) == []


def test_main_op_makes_everything_ready():
    with tf.Graph().as_default(), tf.Session() as sess:
        model()
        tf.Variable(1.0, collections=[tf.GraphKeys.LOCAL_VARIABLES])
        sess.run(sm.main_op.main_op())
        assert sess.run(tf.report_uninitialized_variables()).size == 0
        done = tf.assign(tf.global_variables()[0], 7.0)
        sess.run(sm.main_op_with_restore(done.op))
        assert sess.run("w:0") == 7.0


def test_tags_and_keys_are_texts(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        x, y = model()
        sess.run(tf.global_variables_initializer())
        signature = sm.predict_signature_def({"x": x}, {"y": y})
        with pytest.raises(TypeError, match=r"tags are texts, not \[3\]"):
            sm.builder.SavedModelBuilder(tmp_path / "a").add_meta_graph_and_variables(sess, [3])
        with pytest.raises(TypeError, match="keys of signature_def_map are texts"):
            sm.builder.SavedModelBuilder(tmp_path / "b").add_meta_graph_and_variables(
                sess, ["serve"], {3: signature}
            )


def test_elements_that_are_asked_for_do_not_matter_to_a_load(tmp_path):
    written(tmp_path)
    meta_graph, y = loaded(tmp_path, import_scope="in", return_elements=["y:0"])
    assert list(meta_graph.meta_info_def.tags) == ["serve"]
    np.testing.assert_array_equal(y, [85.0])
