"""Restoring where checkpoint and graph differ: policies, rename rules, suggestions, and the error that tells them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import SelectionError
from ckpt.formats import detect


def model(scope="net", kernel="kernel", bias="bias", rows=4):
    with tf.variable_scope(scope):
        for layer, shape in (("a", [rows, 3]), ("b", [3, 2])):
            with tf.variable_scope(layer):
                tf.get_variable(kernel, shape)
                tf.get_variable(bias, shape[1:])
    return {v.op.name: v for v in tf.global_variables()}


@pytest.fixture
def checkpoint(tmp_path):
    """(prefix, values): the model under the scope "net"."""
    with tf.Graph().as_default(), tf.Session() as sess:
        variables = model()
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, tmp_path / "m"), sess.run(variables)


@pytest.fixture
def sess():
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


def same(found, values):
    assert found.keys() == values.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, values[name], err_msg=name)


def test_a_plain_restore_reports_what_it_did(checkpoint, sess):
    prefix, values = checkpoint
    variables = model()
    report = tf.train.Saver().restore(sess, prefix)
    same(sess.run(variables), values)
    assert report.restored == tuple(sorted(values))
    assert report.assert_all().assert_consumed() is report
    assert "restored 4 of 4 variables" in str(report)
    assert json.loads(json.dumps(report.as_dict()))["restored"] == sorted(values)


@pytest.mark.parametrize(
    ("scope", "rename"),
    [
        ("other", ("net/", "other/")),
        ("other", {"net/": "other/"}),
        ("other", (re.compile("^net/"), "other/")),
        ("other", lambda name: name.replace("net/", "other/")),
        ("other", {f"net/{n}": f"other/{n}" for n in ("a/kernel", "a/bias", "b/kernel", "b/bias")}),
        ("other", [("net/", "x/"), ("x/", "other/")]),
    ],
)
@pytest.mark.parametrize("where", ["saver", "restore"])
def test_rename_rules_lead_from_the_checkpoint_to_the_program(
    checkpoint, sess, scope, rename, where
):
    prefix, values = checkpoint
    variables = model(scope)
    if where == "saver":
        report = tf.train.Saver(rename=rename).restore(sess, prefix)
    else:
        report = tf.train.Saver().restore(sess, prefix, rename=rename)
    same(sess.run(variables), {n.replace("net/", "other/"): v for n, v in values.items()})
    assert report.renamed["net/a/kernel"] == "other/a/kernel"
    assert report.suggested == {}


def test_the_rules_of_a_saver_are_not_needed_for_its_own_checkpoints(checkpoint, sess, tmp_path):
    prefix, _ = checkpoint
    variables = model("other")
    saver = tf.train.Saver(rename=("net/", "other/"))
    saver.restore(sess, prefix)
    before = sess.run(variables)
    own = saver.save(sess, tmp_path / "own")
    sess.run([v.assign(v * 0) for v in variables.values()])
    assert saver.restore(sess, own).renamed == {}
    same(sess.run(variables), before)
    with pytest.raises(SelectionError, match="fit none of 4 names"):
        saver.restore(sess, own, rename=("net/", "other/"))


def test_rules_that_fit_nothing_or_collide_are_refused_before_anything_is_read(checkpoint, sess):
    prefix, _ = checkpoint
    variable = model()["net/a/kernel"]
    saver = tf.train.Saver()
    with pytest.raises(
        ValueError, match=rf"{re.escape(prefix)}: 1 rename rules fit none.*\n.*'nett/'"
    ):
        saver.restore(sess, prefix, rename=("nett/", ""))
    with pytest.raises(ValueError, match=r"net/a/bias: net/a/bias, net/a/kernel"):
        saver.restore(sess, prefix, rename={"net/a/kernel": "net/a/bias"})
    with pytest.raises(tf.errors.FailedPreconditionError):
        sess.run(variable)


def test_moving_averages_are_restored_into_their_variables(tmp_path, sess):
    with tf.Graph().as_default(), tf.Session() as other:
        tf.Variable([1.0], name="w")
        tf.Variable([9.0], name="w/ExponentialMovingAverage")
        tf.Variable([2.0], name="b")
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    w, b = tf.Variable([0.0], name="w"), tf.Variable([0.0], name="b")
    report = tf.train.Saver().restore(sess, prefix, rename="ema")
    assert sess.run([w, b]) == [[9.0], [2.0]]
    assert report.renamed == {"w/ExponentialMovingAverage": "w"}
    assert report.unexpected == ("w",)


def test_what_is_missing_is_told_with_the_way_out(checkpoint, sess):
    prefix, _ = checkpoint
    model(kernel="weights", bias="biases")
    with pytest.raises(tf.errors.NotFoundError) as caught:
        tf.train.Saver().restore(sess, prefix)
    text = str(caught.value)
    assert text.startswith(
        f"{prefix}: 4 of 4 variables cannot be restored, and nothing was assigned."
    )
    assert "Key net/a/biases not found in checkpoint" in text
    assert (
        "  net/a/weights float32[4, 3]\n      perhaps net/a/kernel: 'kernel' became 'weights'"
        in text
    )
    assert "4 of 4 are explained by 2 rules, with equal dtypes and shapes." in text
    pasted = re.search(r"    rename=(\{.*\})$", text, re.MULTILINE)[1]
    assert pasted == "{'**/bias': '**/biases', '**/kernel': '**/weights'}"
    assert caught.value.report.missing == (
        "net/a/biases",
        "net/a/weights",
        "net/b/biases",
        "net/b/weights",
    )
    report = tf.train.Saver().restore(sess, prefix, rename=eval(pasted))
    assert len(report.restored) == 4
    assert (
        tf.train.Saver().restore(sess, prefix, rename=caught.value.rename).renamed == report.renamed
    )


def test_suggestions_are_applied_when_asked_and_reported(checkpoint, sess):
    prefix, values = checkpoint
    variables = model("other", kernel="w")
    report = tf.train.Saver().restore(sess, prefix, apply_suggestions=True)
    found = sess.run(variables)
    np.testing.assert_array_equal(found["other/a/w"], values["net/a/kernel"])
    np.testing.assert_array_equal(found["other/b/bias"], values["net/b/bias"])
    assert report.suggested["net/a/kernel"] == "other/a/w"
    assert "4 renamed, 4 of them as suggested" in str(report)


def test_a_long_map_is_cut_in_the_message_and_whole_in_the_error(tmp_path, sess):
    with tf.Graph().as_default(), tf.Session() as other:
        for i in range(200):
            tf.get_variable(f"Layer{i}/W", [i + 1])
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    for i in range(200):
        tf.get_variable(f"layer{i}/{'w' if i % 2 else 'W'}", [i + 1])
    with pytest.raises(tf.errors.NotFoundError) as caught:
        tf.train.Saver().restore(sess, prefix)
    assert len(str(caught.value).splitlines()) < 200
    assert "200 of 200 are explained" in str(caught.value)
    assert len(tf.train.Saver().restore(sess, prefix, rename=caught.value.rename).restored) == 200


@pytest.mark.parametrize("policy", ["init", "keep", "skip"])
def test_missing_variables_are_initialised_or_kept_or_left_alone(checkpoint, sess, policy):
    prefix, values = checkpoint
    variables = model()
    new = tf.get_variable("new", initializer=tf.constant([7.0]))
    if policy == "keep":
        with pytest.raises(tf.errors.FailedPreconditionError, match="new"):
            tf.train.Saver().restore(sess, prefix, on_missing="keep")
        with pytest.raises(tf.errors.FailedPreconditionError):
            sess.run(variables["net/a/bias"])
        sess.run(new.assign([5.0]))
    report = tf.train.Saver().restore(sess, prefix, on_missing=policy)
    same(sess.run(variables), values)
    assert report.missing == ("new",)
    if policy == "skip":
        assert report.skipped == ("new",)
        with pytest.raises(tf.errors.FailedPreconditionError):
            sess.run(new)
    else:
        assert sess.run(new) == [7.0 if policy == "init" else 5.0]
        assert (report.initialized if policy == "init" else report.kept) == ("new",)
    with pytest.raises(AssertionError, match="1 of 5 variables were not restored: new"):
        report.assert_all()


def test_initial_values_see_what_was_restored(checkpoint, sess):
    prefix, values = checkpoint
    bias = model()["net/a/bias"]
    twice = tf.Variable(bias.initialized_value() * 2, name="twice")
    tf.train.Saver().restore(sess, prefix, on_missing="init")
    np.testing.assert_array_equal(sess.run(twice), values["net/a/bias"] * 2)


def test_layers_numbered_anew_get_their_own_values_back(tmp_path, sess):
    """Two of the names agree by chance, and are another layer's: the classic of Keras models."""

    def layers(names):
        return [tf.get_variable(f"{name}/kernel", [3, 3]) for name in names]

    with tf.Graph().as_default(), tf.Session() as other:
        saved = layers(["conv_1", "conv_1_1", "conv_2_1"])
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
        values = other.run(saved)
    variables = layers(["conv", "conv_1", "conv_2"])
    with pytest.raises(tf.errors.NotFoundError, match="the layers seem to be numbered anew"):
        tf.train.Saver().restore(sess, prefix)
    report = tf.train.Saver().restore(sess, prefix, apply_suggestions=True)
    for found, value in zip(sess.run(variables), values, strict=True):
        np.testing.assert_array_equal(found, value)
    assert len(report.suggested) == 3


def test_resource_variables_follow_the_policies_too(checkpoint, sess):
    prefix, values = checkpoint
    with tf.variable_scope("", use_resource=True):
        variables = model()
        new = tf.get_variable("new", initializer=tf.constant([7.0]))
    with pytest.raises(tf.errors.FailedPreconditionError, match="no value to keep"):
        tf.train.Saver().restore(sess, prefix, on_missing="keep")
    tf.train.Saver().restore(sess, prefix, on_missing="init")
    same(sess.run(variables), values)
    assert sess.run(new) == [7.0]
    assert tf.train.Saver().restore(sess, prefix, on_missing="keep").kept == ("new",)


def test_to_restore_nothing_is_always_an_error(checkpoint, sess):
    prefix, _ = checkpoint
    tf.get_variable("quite/other", [17])
    for policy in ("skip", "init"):
        with pytest.raises(tf.errors.NotFoundError, match="no variable at all would be restored"):
            tf.train.Saver().restore(sess, prefix, on_missing=policy)
        with pytest.raises(tf.errors.NotFoundError, match="no variable at all would be restored"):
            tf.train.Saver(allow_empty=True).restore(sess, prefix, on_missing=policy)
    with tf.Graph().as_default(), tf.Session() as other:
        tf.get_variable("net/a/kernel", [1, 1])
        with pytest.raises(tf.errors.InvalidArgumentError, match="no variable at all"):
            tf.train.Saver().restore(other, prefix, on_shape="skip")


def test_what_is_unexpected_is_ignored_or_warned_of_or_an_error(checkpoint, sess):
    prefix, _ = checkpoint
    kept = tf.get_variable("net/a/kernel", [4, 3])
    saver = tf.train.Saver([kept])
    report = saver.restore(sess, prefix)
    assert report.unexpected == ("net/a/bias", "net/b/bias", "net/b/kernel")
    with pytest.raises(AssertionError, match=r"1 tensors .* not used: net/a/bias"):
        report.assert_consumed("net/a/**")
    assert report.assert_consumed("net/a/kernel") is report
    with pytest.raises(
        SelectionError, match=r"match none of 4 tensors:\s+'\*\*/kernel/\*\*'; near it"
    ):
        report.assert_consumed("**/kernel/**")
    with pytest.warns(UserWarning, match="3 tensors .* not used: net/a/bias") as caught:
        saver.restore(sess, prefix, on_unexpected="warn")
    assert caught[0].filename == __file__
    with pytest.raises(tf.errors.InvalidArgumentError, match="3 tensors are not used"):
        saver.restore(sess, prefix, on_unexpected="error")


@pytest.mark.parametrize(
    ("shape", "policy", "expected"),
    [
        ([6, 2], "reshape", lambda v: v.reshape(6, 2)),
        ([2, 3], "slice", lambda v: v[:2]),
        ([4, 1], "slice", lambda v: v[:, :1]),
        ([5, 4], "pad", lambda v: np.pad(v, ((0, 1), (0, 1)))),
    ],
)
def test_another_shape_is_made_to_fit_when_asked(checkpoint, sess, shape, policy, expected):
    prefix, values = checkpoint
    variable = tf.get_variable("net/a/kernel", shape)
    saver = tf.train.Saver()
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"'{policy}'"):
        saver.restore(sess, prefix)
    report = saver.restore(sess, prefix, on_shape=policy)
    np.testing.assert_array_equal(sess.run(variable), expected(values["net/a/kernel"]))
    assert [(m.name, m.action) for m in report.mismatched] == [("net/a/kernel", policy)]


@pytest.mark.parametrize(
    ("shape", "policy"), [([5, 3], "slice"), ([2, 3], "pad"), ([5], "reshape"), ([4], "slice")]
)
def test_a_shape_that_cannot_be_made_to_fit_is_an_error(checkpoint, sess, shape, policy):
    tf.get_variable("net/a/kernel", shape)
    with pytest.raises(tf.errors.InvalidArgumentError, match="graph mismatch"):
        tf.train.Saver().restore(sess, checkpoint[0], on_shape=policy)


def test_skipping_a_shape_leaves_the_variable_alone(checkpoint, sess):
    prefix, values = checkpoint
    variables = model(rows=5)
    sess.run(tf.global_variables_initializer())
    before = sess.run(variables["net/a/kernel"])
    report = tf.train.Saver().restore(sess, prefix, on_shape="skip")
    np.testing.assert_array_equal(sess.run(variables["net/a/kernel"]), before)
    np.testing.assert_array_equal(sess.run(variables["net/b/kernel"]), values["net/b/kernel"])
    assert report.skipped == ("net/a/kernel",)
    assert "1 skip: net/a/kernel (float32[5, 3] from float32[4, 3])" in str(report)


def test_slicing_reads_only_the_bytes_needed(tmp_path, sess, bytes_read):
    with tf.Graph().as_default(), tf.Session() as other:
        tf.get_variable("emb", [100_000, 16])
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m", durable=False)
    tf.get_variable("emb", [1000, 16])
    before = bytes_read()
    tf.train.Saver().restore(sess, prefix, on_shape="slice")
    assert (
        0 < bytes_read() - before <= 3 * 128 * 1024
    )  # of 6.4 MB: the blocks with the 64 KB wanted, and the index


@pytest.mark.parametrize(
    ("old", "new"),
    [("float32", "float64"), ("float64", "float32"), ("bfloat16", "float32"), ("int32", "int64"),
     ("int64", "int8"), ("int32", "float32"), ("bool", "int32"), ("float32", "complex64")],
)  # fmt: skip
def test_dtypes_are_cast_where_no_value_changes(tmp_path, sess, old, new):
    values = [0, 1, 1] if old == "bool" else [1, 2, 3]
    with tf.Graph().as_default(), tf.Session() as other:
        tf.Variable(tf.constant(values, tf.int32), name="n")
        tf.Variable(tf.cast(tf.constant(values), old), name="v")
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    variable = tf.get_variable("v", [3], dtype=new, initializer=tf.zeros_initializer())
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"expected dtype {new}"):
        tf.train.Saver().restore(sess, prefix)
    report = tf.train.Saver().restore(sess, prefix, on_dtype="cast")
    assert sess.run(variable).tolist() == values
    assert report.mismatched[0].action == "cast"


@pytest.mark.parametrize(
    ("value", "old", "new"),
    [([1.5], "float32", "int32"), ([b"x"], "string", "float32"), ([1j], "complex64", "float32")],
)
def test_dtypes_between_which_values_change_are_not_cast(tmp_path, sess, value, old, new):
    with tf.Graph().as_default(), tf.Session() as other:
        tf.Variable(tf.constant(value, old), name="v")
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    tf.get_variable("v", [1], dtype=new, initializer=tf.zeros_initializer())
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not equal original dtype"):
        tf.train.Saver().restore(sess, prefix, on_dtype="cast")


@pytest.mark.parametrize(
    ("value", "old", "new"), [([300, 1], "int64", "int8"), ([1e300, 1], "float64", "float32"), ([1e6, 1.0], "float32", "float16"), ([-1, 1], "int64", "uint64"), ([2**63, 1], "uint64", "int64")]
)  # fmt: skip
def test_a_cast_that_would_lose_a_value_is_refused_and_nothing_assigned(
    tmp_path, sess, value, old, new
):
    with tf.Graph().as_default(), tf.Session() as other:
        tf.Variable(tf.constant(value, old), name="v")
        tf.Variable([1.0], name="a")
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    tf.get_variable("v", [2], dtype=new, initializer=tf.zeros_initializer())
    a = tf.Variable([5.0], name="a")
    sess.run(a.initializer)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=f"1 of 2 values do not fit into {new}"
    ):
        tf.train.Saver().restore(sess, prefix, on_dtype="cast")
    assert sess.run(a) == [5.0]


def test_all_casts_that_would_lose_values_are_told_at_once_with_the_file(tmp_path, sess):
    with tf.Graph().as_default(), tf.Session() as other:
        for name, value in {"a": [300], "b": [-1, 2], "c": [7]}.items():
            tf.Variable(value, name=name)
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    for name, length in {"a": 1, "b": 2, "c": 1}.items():
        tf.Variable(tf.zeros([length], tf.uint8), name=name)
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        tf.train.Saver().restore(sess, prefix, on_dtype="cast")
    assert str(raised.value).splitlines() == [
        f"{prefix}: on_dtype='cast': 2 variables cannot hold their values, and nothing was assigned.",
        "  a: 1 of 1 values do not fit into uint8, the dtype of a",
        "  b: 1 of 2 values do not fit into uint8, the dtype of b",
        "on_dtype='skip' leaves them alone; or give the variables the dtypes of the checkpoint.",
    ]


@pytest.mark.parametrize(
    ("shape", "dtype", "policies", "text", "not_text"),
    [
        ([3, 2], "float32", {}, "'skip' leaves variables of another shape alone", "none may be"),
        ([3, 2], "float32", {"on_shape": "slice"}, "'slice' takes .* none may be shorter", "'pad'"),
        ([3, 2], "float32", {"on_shape": "pad"}, "'pad' fills .* none may be longer", "'slice'"),
        ([3, 1], "float32", {"on_shape": "reshape"}, "'reshape' takes as many elements", "'pad'"),
        ([2, 3], "int32", {"on_dtype": "cast"}, "on_dtype='cast' goes .* not back", "on_shape="),
        ([2, 3], "int32", {}, "on_dtype='cast' converts", "not back"),
    ],
)
def test_the_way_out_is_not_the_policy_that_failed(
    tmp_path, sess, shape, dtype, policies, text, not_text
):
    with tf.Graph().as_default(), tf.Session() as other:
        tf.get_variable("v", [2, 3])
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    tf.get_variable("v", shape, dtype, initializer=tf.zeros_initializer())
    with pytest.raises(tf.errors.InvalidArgumentError, match=text) as raised:
        tf.train.Saver().restore(sess, prefix, **policies)
    assert not_text not in str(raised.value)


def test_a_variable_in_parts_is_told_of_once(checkpoint, sess):
    prefix, values = checkpoint
    parts = tf.get_variable("net/a/kernel", [6, 4], partitioner=tf.fixed_size_partitioner(3))
    with pytest.raises(tf.errors.InvalidArgumentError, match="1 tensors have another") as raised:
        tf.train.Saver().restore(sess, prefix)
    assert str(raised.value).count("  net/a/kernel: the graph has float32[6, 4]") == 1
    report = tf.train.Saver().restore(sess, prefix, on_shape="pad")
    assert [m.name for m in report.mismatched] == ["net/a/kernel"]
    padded = np.pad(values["net/a/kernel"], ((0, 2), (0, 1)))
    np.testing.assert_array_equal(np.concatenate([sess.run(part) for part in parts]), padded)


def test_nothing_restored_is_told_without_the_policy_that_led_there(checkpoint, sess):
    prefix, _ = checkpoint
    tf.get_variable("nowhere", [2])
    with pytest.raises(tf.errors.NotFoundError, match="no variable at all would be") as raised:
        tf.train.Saver().restore(sess, prefix, on_missing="init")
    assert "initializes what is missing" not in str(raised.value)


def test_an_optimizer_may_change(tmp_path, sess):
    def trained(optimizer):
        w = tf.get_variable("w", initializer=tf.constant([1.0, 2.0]))
        return w, optimizer.minimize(tf.reduce_sum(w * w))

    with tf.Graph().as_default(), tf.Session() as other:
        w, step = trained(tf.train.MomentumOptimizer(0.1, 0.9))
        other.run(tf.global_variables_initializer())
        other.run(step)
        prefix = tf.train.Saver().save(other, tmp_path / "m")
        value = other.run(w)
    w, step = trained(tf.train.AdamOptimizer(0.1, name="MyAdam"))
    with pytest.raises(tf.errors.NotFoundError, match="missing"):
        tf.train.Saver().restore(sess, prefix)
    report = tf.train.Saver(slots="optional").restore(sess, prefix)
    np.testing.assert_array_equal(sess.run(w), value)
    assert report.initialized == ("beta1_power", "beta2_power", "w/MyAdam", "w/MyAdam_1")
    sess.run(step)
    tf.get_variable("not/a/slot", [1])
    with pytest.raises(tf.errors.NotFoundError, match=r"1 of 6 variables"):
        tf.train.Saver(slots="optional").restore(sess, prefix)


def test_only_slots_missing_is_said(checkpoint, sess):
    variables = model()
    tf.train.AdamOptimizer(name="Mine").minimize(sum(tf.reduce_sum(v) for v in variables.values()))
    with pytest.raises(tf.errors.NotFoundError, match="slots='optional' initializes it"):
        tf.train.Saver().restore(sess, checkpoint[0])


def test_a_failing_restore_assigns_nothing(checkpoint, sess):
    prefix, _ = checkpoint
    variables = model(rows=5)
    sess.run(tf.global_variables_initializer())
    before = sess.run(variables)
    for options in ({}, {"on_missing": "skip"}, {"on_shape": "slice"}):
        with pytest.raises(tf.errors.InvalidArgumentError):
            tf.train.Saver().restore(sess, prefix, **options)
    same(sess.run(variables), before)


def test_damage_is_found_before_anything_is_assigned(checkpoint, sess):
    prefix, _ = checkpoint
    variables = model("other")
    sess.run(tf.global_variables_initializer())
    before = sess.run(variables)
    with detect.open_reader(prefix) as reader:
        value = reader.read("net/b/kernel").tobytes()
    path = Path(prefix + ".h5")
    data = bytearray(path.read_bytes())
    data[data.index(value)] ^= 1
    path.write_bytes(data)
    with pytest.raises(tf.errors.DataLossError, match="net/b/kernel"):
        tf.train.Saver().restore(sess, prefix, rename=("net/", "other/"))
    same(sess.run(variables), before)


def test_a_hundred_partial_restores_add_no_node(checkpoint, sess):
    prefix, _ = checkpoint
    model("other")
    tf.get_variable("new", [1])
    saver = tf.train.Saver(rename=("net/", "other/"), on_missing="init")
    count = len(sess.graph.get_operations())
    for _ in range(100):
        saver.restore(sess, prefix)
    assert len(sess.graph.get_operations()) == count
    sess.graph.finalize()
    saver.restore(sess, prefix)


def test_partitioned_variables_are_renamed_cut_and_filled_by_their_whole(tmp_path, sess):
    with tf.Graph().as_default(), tf.Session() as other:
        whole = tf.get_variable("net/emb", [6, 2], partitioner=tf.fixed_size_partitioner(2))
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
        value = other.run(tf.convert_to_tensor(whole))
    with tf.variable_scope("x"):
        three = tf.get_variable("emb", [6, 2], partitioner=tf.fixed_size_partitioner(3))
    tf.train.Saver().restore(sess, prefix, rename=("net/", "x/"))
    np.testing.assert_array_equal(sess.run(tf.convert_to_tensor(three)), value)
    with tf.Graph().as_default(), tf.Session() as other:
        wide = tf.get_variable("net/emb", [8, 2], partitioner=tf.fixed_size_partitioner(4))
        tf.train.Saver().restore(other, prefix, on_shape="pad")
        found = other.run(tf.convert_to_tensor(wide))
    np.testing.assert_array_equal(found, np.pad(value, ((0, 2), (0, 0))))


def test_savers_of_imported_graphs_follow_the_policies(checkpoint, tmp_path, sess):
    prefix, values = checkpoint
    saver = tf.train.import_meta_graph(prefix + ".meta", import_scope="copy")
    report = saver.restore(sess, prefix)
    assert len(report.restored) == 4
    report = saver.restore(
        sess, prefix, rename={"net/a/kernel": "net/a/kernel_2"}, on_missing="skip"
    )
    assert report.skipped == ("net/a/kernel",)
    np.testing.assert_array_equal(sess.run("copy/net/b/bias:0"), values["net/b/bias"])


@pytest.mark.parametrize("sharded", [False, True])
def test_policies_hold_for_sharded_and_sequential_savers(checkpoint, sess, sharded):
    prefix, values = checkpoint
    variables = model("other")
    tf.get_variable("new", [1])
    saver = tf.train.Saver(sharded=sharded, restore_sequentially=not sharded)
    saver.restore(sess, prefix, rename=("net/", "other/"), on_missing="init")
    np.testing.assert_array_equal(sess.run(variables["other/b/bias"]), values["net/b/bias"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"on_missing": "ignore"},
            "on_missing must be one of 'error', 'init', 'keep', 'skip', not 'ignore'",
        ),
        ({"on_shape": "crop"}, "on_shape must be"),
        ({"slots": "no"}, "slots must be"),
        ({"rename": {"re:(": "x"}}, r"'re:\(': no regular expression"),
        ({"rename": "emaa"}, "unknown rename preset 'emaa'. Known are 'ema'"),
        ({"rename": [{"**/a": "b"}]}, "both sides need the same wildcards"),
    ],
)
def test_policies_that_do_not_exist_are_refused(checkpoint, sess, options, told):
    model()
    with pytest.raises(ValueError, match=told):
        tf.train.Saver(**options)
    with pytest.raises(ValueError, match=told):
        tf.train.Saver().restore(sess, checkpoint[0], **options)


def test_what_is_no_rule_is_refused_when_the_saver_is_made():
    model()
    for rename in (3, ("a", "b", "c"), {"a": 1}):
        with pytest.raises(TypeError, match="a rename rule is"):
            tf.train.Saver(rename=rename)


def test_parts_under_names_of_their_own_are_put_together_when_asked(tmp_path, sess):
    with tf.Graph().as_default(), tf.Session() as other:
        tf.get_variable("emb/part_0", initializer=tf.reshape(tf.range(6), [3, 2]))
        tf.get_variable("emb/part_1", initializer=tf.reshape(tf.range(6, 10), [2, 2]))
        tf.get_variable("emb/part_0/Adam", initializer=tf.zeros([3, 2]))
        tf.get_variable("emb/part_1/Adam", initializer=tf.ones([2, 2]))
        other.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(other, tmp_path / "m")
    whole = tf.get_variable("emb", [5, 2], tf.int32, initializer=tf.zeros_initializer())
    slot = tf.get_variable("emb/Adam", [5, 2], partitioner=tf.fixed_size_partitioner(3))
    with pytest.raises(tf.errors.NotFoundError, match="2 are there in parts, such as emb/part_0"):
        tf.train.Saver().restore(sess, prefix)
    report = tf.train.Saver().restore(sess, prefix, apply_suggestions=True)
    assert sess.run(whole).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert sess.run(tf.convert_to_tensor(slot))[:, 0].tolist() == [0, 0, 0, 1, 1]
    assert report.suggested["emb/part_1"] == "emb"
    assert report.unexpected == ()
