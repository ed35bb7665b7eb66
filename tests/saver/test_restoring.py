"""Restoring where checkpoint and graph differ: policies, rename rules, suggestions, and the error that tells them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import SelectionError
from ckpt.formats import detect
from tests.saver.models import model, same


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


@pytest.mark.parametrize(
    "rules",
    [
        ("", "net/"),
        [("", "net/"), {"net/w": "net/v", "net/v": "net/w"}],
        {"w": "net/w", "re:^(.*)$": "net/\\1"},
        lambda name: "net/" + name,
    ],
    ids=["prefix", "swap", "expression", "function"],
)
def test_rules_are_not_applied_twice_to_what_their_saver_wrote(tmp_path, sess, rules):
    old = tf.save(tmp_path / "old", {"w": np.float32([1, 2]), "v": np.float32([3, 4])})
    variables = {name: tf.get_variable(f"net/{name}", [2]) for name in "wv"}
    saver = tf.train.Saver(rename=rules)
    assert len(saver.restore(sess, old).renamed) == 2
    before = sess.run(variables)
    own = saver.save(sess, tmp_path / "own")
    sess.run([v.assign(v * 0) for v in variables.values()])
    assert tf.train.Saver(rename=rules).restore(sess, own).renamed == {}
    same(sess.run(variables), before)


def test_rules_are_not_applied_twice_where_variables_are_new_either(tmp_path, sess):
    old = tf.save(tmp_path / "old", {"w": np.float32([1, 2]), "v": np.float32([3, 4])})
    rules = [("", "net/"), {"net/w": "net/v", "net/v": "net/w"}]
    variables = {name: tf.get_variable(f"net/{name}", [2]) for name in "wv"}
    first = tf.train.Saver(rename=rules)
    first.restore(sess, old)
    own = first.save(sess, tmp_path / "own")
    before = sess.run(variables)
    tf.get_variable("net/new", [2])
    report = tf.train.Saver(rename=rules).restore(sess, own, on_missing="init")
    assert report.initialized == ("net/new",)
    same(sess.run(variables), before)


def test_a_swap_is_done_once(tmp_path, sess):
    rules = {"w": "v", "v": "w"}
    old = tf.save(tmp_path / "old", {"w": np.float32([1, 2]), "v": np.float32([3, 4])})
    variables = {name: tf.get_variable(name, [2]) for name in "wv"}
    saver = tf.train.Saver(rename=rules)
    saver.restore(sess, old)
    same(sess.run(variables), {"w": [3, 4], "v": [1, 2]})
    own = saver.save(sess, tmp_path / "own")
    saver.restore(sess, own)
    same(sess.run(variables), {"w": [3, 4], "v": [1, 2]})
    # who says it for this very checkpoint means it
    tf.train.Saver().restore(sess, own, rename=rules)
    same(sess.run(variables), {"w": [1, 2], "v": [3, 4]})


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
        with pytest.raises(tf.errors.InvalidArgumentError, match="no variable at all") as raised:
            tf.train.Saver().restore(other, prefix, on_shape="skip")
        assert str(raised.value).startswith(
            f"{prefix}: nothing was assigned.\n1 tensors have another"
        )
        assert "net/a/kernel: the graph has float32[1, 1], the checkpoint has float32[4, 3]" in str(
            raised.value
        )


def test_an_empty_list_of_rules_is_none(checkpoint, sess):
    prefix, _ = checkpoint
    tf.get_variable("mesh/a/kernel", [4, 3])
    for rename in (None, [], {}):
        with pytest.raises(tf.errors.NotFoundError, match=r"Restore with\n    rename=\{'net"):
            tf.train.Saver().restore(sess, prefix, rename=rename)


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
    told = r"\A\S+: nothing was assigned\.\n.*3 tensors are not used"
    with pytest.raises(tf.errors.InvalidArgumentError, match=told):
        saver.restore(sess, prefix, on_unexpected="error")


def test_averages_without_their_variables_are_pointed_at(tmp_path, sess):
    held = {f"module.l{i}/{name}": np.zeros(4) for i in range(3) for name in ("gamma", "beta")}
    averages = {f"{name}/ExponentialMovingAverage": value for name, value in held.items()}
    for number, tensors in enumerate((averages, {**held, **averages})):
        tf.save(tmp_path / f"m{number}", tensors)
    for i in range(3):
        tf.get_variable(f"l{i}/gamma", [4], tf.float64)
        tf.get_variable(f"l{i}/beta", [4], tf.float64)
    saver = tf.train.Saver()
    told = r"\n6 tensors are moving averages of variables that .* lacks: rename='ema' gives"
    with pytest.raises(tf.errors.NotFoundError, match=told):
        saver.restore(sess, tmp_path / "m0")
    assert len(saver.restore(sess, tmp_path / "m0", rename=["ema", "module."]).restored) == 6
    with pytest.raises(tf.errors.NotFoundError) as raised:
        saver.restore(sess, tmp_path / "m1")
    assert "moving averages" not in str(raised.value)


def test_what_has_no_value_to_keep_is_told_beside_what_else_is_wrong(checkpoint, sess):
    prefix, _ = checkpoint
    tf.get_variable("net/a/kernel", [9])
    sess.run(tf.get_variable("there", [2]).initializer)
    tf.get_variable("not_there", [2])
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        tf.train.Saver().restore(sess, prefix, on_missing="keep")
    lines = str(raised.value).splitlines()
    assert "  net/a/kernel: the graph has float32[9], the checkpoint has float32[4, 3]" in lines
    told = [line for line in lines if "no value to keep" in line]
    assert told == [
        "  on_missing='keep': not_there is not in the checkpoint and has no value to keep"
    ]


def test_what_a_cast_would_lose_is_told_beside_what_else_is_wrong(tmp_path, sess):
    """Values are read for it, but only once it is clear that there is an error."""
    held = {"a": np.float32([1, 2]), "c": np.int64([2**40]), "d": np.int64([7]), "x": np.float32(1)}
    path = tf.save(tmp_path / "old", held)
    tf.get_variable("a", [2])
    tf.get_variable("b", [3])
    for name in "cd":
        tf.get_variable(name, [1], tf.int32, tf.zeros_initializer())
    with pytest.raises(
        tf.errors.NotFoundError, match="2 of 4 variables cannot be restored"
    ) as caught:
        tf.train.Saver().restore(sess, path, on_dtype="cast")
    assert "c: 1 of 1 values do not fit into int32" in str(caught.value)
    report = caught.value.report
    assert [(m.name, m.action) for m in report.mismatched] == [("c", "error"), ("d", "cast")]
    assert not report.is_done
    assert str(report).splitlines() == [
        f"{path}: nothing was restored; it has 2 of 4 variables",
        "  1 missing: b",
        "  1 in the checkpoint and not used: x",
        "  1 error: c (int32[1] from int64[1])",
        "  1 cast: d (int32[1] from int64[1])",
    ]
    with pytest.raises(AssertionError, match="4 of 4 variables were not restored: b, c, a, d"):
        report.assert_all()


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


def test_a_variable_that_is_trained_is_no_slot_whatever_its_name(tmp_path, sess):
    """`slots="optional"` initialized it and said nothing, and `@slots` selected it."""
    tf.get_variable("net/w", [2])
    sess.run(tf.global_variables_initializer())
    path = tf.train.Saver().save(sess, tmp_path / "m")
    tf.get_variable("net/Momentum", [2])
    tf.get_variable("net/w/Momentum", [2], trainable=False)
    assert [v.op.name for v in tf.select_variables("@slots")] == ["net/w/Momentum"]
    saver = tf.train.Saver(slots="optional")
    with pytest.raises(tf.errors.NotFoundError, match=r"1 of 3 .*\n1 are missing .*net/Momentum"):
        saver.restore(sess, path)
    report = saver.restore(sess, path, on_missing="skip")
    assert report.initialized == ("net/w/Momentum",)
    assert report.skipped == ("net/Momentum",)
    sess.run(tf.global_variables_initializer())
    assert list(tf.load(saver.save(sess, tmp_path / "n"), "@slots")) == ["net/w/Momentum"]


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
