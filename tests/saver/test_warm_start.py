"""Starting from another model: which variables, under which names, with which vocabularies."""

import numpy as np
import pytest

import ckpt as tf

OLD = ["apple", "banana", "orange", "grape"]
NEW = ["orange", "guava", "banana", "apple", "raspberry"]
VALUES = {
    "emb": np.arange(8, dtype=np.float32).reshape(4, 2),
    "bias": np.array([10, 20, 30, 40], np.float32),
    "kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "scope/w": np.array([1, 2], np.float32),
    "count": np.array([5], np.int64),
}


@pytest.fixture
def model(tmp_path):
    """A prefix with VALUES; "count" is not trainable."""
    with tf.Graph().as_default(), tf.Session() as sess:
        for name, value in VALUES.items():
            tf.get_variable(name, initializer=value, trainable=name != "count")
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, tmp_path / "m")


@pytest.fixture
def info(tmp_path):
    """The VocabInfo from OLD to NEW, with options."""

    def make(**options):
        (tmp_path / "old").write_text("\n".join(OLD) + "\n")
        (tmp_path / "new").write_text("\n".join(NEW))
        given = {
            "new_vocab_size": 5,
            "num_oov_buckets": 0,
            "backup_initializer": tf.constant_initializer(99.0),
            **options,
        }
        return tf.train.VocabInfo(
            new_vocab=str(tmp_path / "new"), old_vocab=str(tmp_path / "old"), **given
        )

    return make


def started(model, shapes, *args, parts=None, axis=0, use_resource=False, **kwargs):
    """Make variables of -1 with these names and shapes, warm start and initialise them; parts are joined."""
    with tf.Graph().as_default(), tf.Session() as sess:
        made = {
            name: tf.get_variable(
                name,
                shape,
                dtype=VALUES["count"].dtype if name == "count" else tf.float32,
                initializer=tf.constant_initializer(-1),
                trainable=name != "count",
                partitioner=tf.fixed_size_partitioner(parts, axis) if parts else None,
                use_resource=use_resource,
            )
            for name, shape in shapes.items()
        }
        args = [arg(made) if callable(arg) else arg for arg in args]
        tf.train.warm_start(model, *args, **kwargs)
        sess.run(tf.global_variables_initializer())
        return {name: sess.run(tf.convert_to_tensor(v)) for name, v in made.items()}


EACH = {"bias": [4], "scope/w": [2], "count": [1]}


def test_a_selector_that_matches_nothing_is_an_error_and_changes_nothing(model):
    with pytest.raises(ValueError, match=r"'!nothing/\*'"):
        started(model, EACH, ["@trainable", "!nothing/*"])


@pytest.mark.parametrize(
    ("chosen", "started_ones"),
    [
        (".*", {"bias", "scope/w"}),
        ("scope/.*", {"scope/w"}),
        (["coun.", "scope"], {"count", "scope/w"}),
        (lambda made: [made["count"]], {"count"}),
        ("@trainable", {"bias", "scope/w"}),
        (["!scope/*"], {"bias", "count"}),
        (["**", "!@trainable"], {"count"}),
        ("**/w", {"scope/w"}),
        ("*", {"bias", "count"}),
        (["re:sc.*/w", "count"], {"scope/w", "count"}),
        (["coun.", "nothing"], {"count"}),
    ],
)
def test_which_variables(model, chosen, started_ones):
    for name, value in started(model, EACH, chosen).items():
        np.testing.assert_array_equal(value, VALUES[name] if name in started_ones else -1)


@pytest.mark.parametrize("chosen", ["nothing", ["nothing", "biass"], [], None, ""])
def test_to_start_nothing_is_always_an_error(model, chosen):
    """TensorFlow starts anew and says nothing."""
    with pytest.raises(ValueError, match=r"matches none of|no variable would get") as caught:
        started(model, EACH, chosen)
    assert "nothing" not in (chosen or "") or "'nothing'" in str(caught.value)
    if chosen and len(chosen) == 2:
        assert "'biass'; similar: bias" in str(caught.value)


def test_an_expression_that_cannot_be_understood_is_told(model):
    with pytest.raises(ValueError, match=r"'\(x': no regular expression: missing \)"):
        started(model, EACH, "(x")


def test_names_are_renamed_by_rules(model, info):
    found = started(
        model,
        {"new/bias": [4], "new/emb": [5, 2]},
        rename=("", "new/"),
        var_name_to_vocab_info={"new/emb": info()},
    )
    np.testing.assert_array_equal(found["new/bias"], VALUES["bias"])
    np.testing.assert_array_equal(found["new/emb"], remapped("emb"))
    found = started(model, {"q": [4]}, rename={"b*": "c*"}, var_name_to_prev_var_name={"q": "cias"})
    np.testing.assert_array_equal(found["q"], VALUES["bias"])


def test_the_rules_in_the_error_are_those_that_help(model):
    shapes = {"net/bias": [4], "net/emb": [4, 2], "net/kernel": [3, 4]}
    with pytest.raises(ValueError, match="explained by 1 rule") as caught:
        started(model, shapes)
    for name, value in started(model, shapes, rename=caught.value.rename).items():
        np.testing.assert_array_equal(value, VALUES[name.removeprefix("net/")])


def test_a_directory_and_previous_names(model, tmp_path):
    found = started(tmp_path, {"q": [4]}, var_name_to_prev_var_name={"q": "bias"})
    np.testing.assert_array_equal(found["q"], VALUES["bias"])


def remapped(old, new=NEW, buckets=0, axis=0):
    """VALUES of `old` in the order of `new`, 99 where an entry is new."""
    value = VALUES[old]
    rows = [
        np.take(value, OLD.index(word), axis) if word in OLD else np.full_like(np.take(value, 0, axis), 99)
        for word in [*new, *["?"] * buckets]
    ]  # fmt: skip
    return np.stack(rows, axis)


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize("parts", [None, 1, 2, 3])
@pytest.mark.parametrize("buckets", [0, 2])
def test_rows_follow_their_vocabulary(model, info, parts, buckets, use_resource):
    found = started(
        model,
        {"emb": [5 + buckets, 2]},
        var_name_to_vocab_info={"emb": info(num_oov_buckets=buckets)},
        parts=parts,
        use_resource=use_resource,
    )
    np.testing.assert_array_equal(found["emb"], remapped("emb", buckets=buckets))


@pytest.mark.parametrize(("parts", "axis"), [(None, 0), (2, 1), (3, 0)])
def test_columns_follow_their_vocabulary(model, info, parts, axis):
    found = started(
        model,
        {"kernel": [3, 5]},
        var_name_to_vocab_info={"kernel": info(axis=1)},
        parts=parts,
        axis=axis,
    )
    np.testing.assert_array_equal(found["kernel"], remapped("kernel", axis=1))


def test_vectors_other_names_and_fewer_entries(model, info):
    found = started(
        model,
        {"b": [3]},
        var_name_to_vocab_info={"b": info(new_vocab_size=3, old_vocab_size=2)},
        var_name_to_prev_var_name={"b": "bias"},
    )
    np.testing.assert_array_equal(found["b"], [99, 99, 20])  # orange is beyond the old size


def test_only_those_with_a_vocabulary(model, info):
    found = started(
        model,
        {"emb": [5, 2], "bias": [4]},
        None,
        var_name_to_vocab_info={"emb": info(backup_initializer=None)},
    )
    wanted = np.where(remapped("emb") == 99, 0, remapped("emb"))
    np.testing.assert_array_equal(found["emb"], wanted)
    np.testing.assert_array_equal(found["bias"], -1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"vars_to_warm_start": 3}, "must be a `list` or `str`"),
        ({"var_name_to_prev_var_name": {"q": "emb"}}, r"not used: \['q'\]"),
        ({"vars_to_warm_start": lambda made: [made["emb"], "x"]}, "all `Variable` or all `str`"),
        ({"var_name_to_prev_var_name": {"emb": "gone"}}, "gone"),
    ],
)
def test_what_cannot_be_meant(model, arguments, text):
    with tf.Graph().as_default():
        made = {"emb": tf.get_variable("emb", [4, 2])}
        given = {k: v(made) if callable(v) else v for k, v in arguments.items()}
        with pytest.raises(ValueError, match=text):
            tf.train.warm_start(model, **given)


def test_vocabularies_that_do_not_fit_are_all_named_and_change_nothing(model, info):
    with tf.Graph().as_default():
        emb, bias = tf.get_variable("emb", [7, 2]), tf.get_variable("bias", [4])
        tf.get_variable("scope/w", [2])
        before = [v.initializer for v in (emb, bias)]
        with pytest.raises(ValueError) as caught:
            tf.train.warm_start(
                model,
                var_name_to_vocab_info={
                    "emb": info(),
                    "bias": info(axis=1),
                    "scope/w": info(new_vocab_size=2),
                },
                var_name_to_prev_var_name={"scope/w": "gone"},
            )
        text = str(caught.value)
        assert "emb: has 7 entries along axis 0, expected new_vocab_size (5)" in text
        assert "bias: has the shape [4]" in text
        assert "scope/w: Tensor gone is not found" in text
        assert [v.initializer for v in (emb, bias)] == before


@pytest.mark.parametrize("axis", [2, -1])
def test_another_axis_is_refused_where_it_is_given(info, axis):
    with pytest.raises(ValueError, match=f"axis argument are 0 and 1. Provided axis: {axis}"):
        info(axis=axis)


def test_an_old_vocabulary_that_is_shorter_than_said_is_refused(model, info):
    with tf.Graph().as_default(), tf.Session() as sess:
        emb = tf.get_variable("emb", [5, 2])
        tf.train.warm_start(model, var_name_to_vocab_info={"emb": info(old_vocab_size=5)})
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="has 4 entries, expected at least 5"
        ):
            sess.run(emb.initializer)


def test_an_old_vocabulary_without_entries_is_refused(model, info, tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        emb = tf.get_variable("emb", [5, 2])
        tf.train.warm_start(model, var_name_to_vocab_info={"emb": info()})
        (tmp_path / "old").write_bytes(b"")
        with pytest.raises(tf.errors.InvalidArgumentError, match="old: is empty"):
            sess.run(emb.initializer)


def test_files_are_read_when_the_initializer_runs(model, info, tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        emb = tf.get_variable("emb", [5, 2])
        tf.train.warm_start(model, var_name_to_vocab_info={"emb": info()})
        (tmp_path / "new").unlink()
        with pytest.raises(tf.errors.NotFoundError, match="new"):
            sess.run(emb.initializer)
        (tmp_path / "new").write_text("apple\n")
        with pytest.raises(tf.errors.InvalidArgumentError, match="has 1 entries, expected"):
            sess.run(emb.initializer)
        (tmp_path / "new").write_text("a\nb\na\nc\nd\n")
        with pytest.raises(tf.errors.InvalidArgumentError, match="entry b'a' twice"):
            sess.run(emb.initializer)
