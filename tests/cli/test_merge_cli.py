"""`ckpt merge` as a process: two saved models become one."""

from __future__ import annotations

import json

import numpy as np
import pytest

import ckpt as tf
from tests.cli.test_inspect_cli import ckpt, failed


def save_model(path, units, width):
    """One dense layer `x -> features`; returns the prefix."""
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, width], name="x")
        w = tf.get_variable("w", [width, units], initializer=tf.ones_initializer())
        tf.identity(tf.matmul(x, w), name="features")
        session.run(tf.global_variables_initializer())
        return tf.train.Saver().save(session, str(path))


@pytest.fixture
def models(tmp_path):
    return save_model(tmp_path / "one.ckpt", 3, 2), save_model(tmp_path / "two.ckpt", 4, 3)


def test_two_models_become_one_that_computes_their_chain(models, tmp_path):
    a, b = models
    out = tmp_path / "both.ckpt"
    ended = ckpt("merge", f"a={a}", f"b={b}", "-o", out, "--connect", "b/x:0=a/features:0")
    assert ended.returncode == 0, ended.stderr
    names = ckpt("inspect", out, "--names").stdout.split()
    assert sorted(names) == ["a/w", "b/w"]
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(f"{out}.meta").restore(session, str(out))
        result = session.run("b/features:0", {"a/x:0": np.ones((1, 2), np.float32)})
    np.testing.assert_array_equal(result, np.full((1, 4), 6.0))


def test_json_reports_what_was_made(models, tmp_path):
    a, b = models
    ended = ckpt("merge", f"a={a}", f"b={b}", "-o", tmp_path / "both.ckpt", "--json")
    document = json.loads(ended.stdout)
    assert (document["schema"], document["version"]) == ("ckpt.merge", 1)
    assert document["variables"] == 2


def test_a_dry_run_writes_nothing(models, tmp_path):
    a, b = models
    before = sorted(path.name for path in tmp_path.iterdir())
    ended = ckpt("merge", f"a={a}", f"b={b}", "-o", tmp_path / "both.ckpt", "--dry-run")
    assert ended.returncode == 0, ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_existing_output_is_refused_unless_forced(models, tmp_path):
    a, b = models
    args = ["merge", f"a={a}", f"b={b}", "-o", tmp_path / "both.ckpt"]
    assert ckpt(*args).returncode == 0
    failed(ckpt(*args), 6, "E0601", "both.ckpt")
    assert ckpt(*args, "--force").returncode == 0


def test_failures_have_their_exit_codes(models, tmp_path):
    a, b = models
    out = tmp_path / "both.ckpt"
    failed(ckpt("merge", f"a={a}", f"b={tmp_path}/none", "-o", out), 3, "E0301", "none")
    wrong = ckpt("merge", f"a={a}", f"b={b}", "-o", out, "--connect", "b/nope:0=a/features:0")
    failed(wrong, 4, "E0401", "nope")
    shapes = ckpt("merge", f"a={b}", f"b={b}", "-o", out, "--connect", "b/x:0=a/features:0")
    failed(shapes, 4, "E0401")
    failed(ckpt("merge", "a", "b=", "-o", out), 2, "E0201", "'a'", "'b='")
    failed(ckpt("merge", f"a={a}", f"a={b}", "-o", out), 2, "E0201", "twice")
    idle = ("merge", f"a={a}", f"b={b}", "-o", out, "--keep", "a/features")
    failed(ckpt(*idle), 4, "E0401", "nothing of b is left")
    failed(ckpt(*idle, "--plan"), 4, "E0401", "nothing of b is left")
    assert not list(tmp_path.glob("both*"))
    assert ckpt(*idle, "--allow-noop").returncode == 0


def test_the_plan_names_everything_and_writes_nothing(models, tmp_path):
    a, b = models
    out = tmp_path / "both.ckpt"
    arguments = (
        "merge",
        f"a={a}",
        f"b={b}",
        "-o",
        out,
        "--connect",
        "b/x:0=a/features:0",
        "--plan",
    )
    text = ckpt(*arguments).stdout
    for line in (
        "wire b/x:0 (?, 3) <- a/features:0 (?, 3), float32",
        "node a/features -> a/features",
        "variable b/w float32[3, 4] from b: w",
        "collection trainable_variables: 2",
        "2 variables, 72 B; nothing was written",
    ):
        assert line in text
    plan = json.loads(ckpt(*arguments, "--json").stdout)["plan"]
    assert plan["nbytes"] == 72
    assert not list(tmp_path.glob("both*"))


def test_parts_share_drop_and_are_checked(models, tmp_path):
    a, _ = models
    out = tmp_path / "both.ckpt"
    arguments = ["merge", f"a={a}", f"b={a}", "-o", out, "--share", "a/w=b/w", "--freeze", "a"]
    ended = ckpt(*arguments, "--check", "--json")
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["variables"] == 1
    assert document["check"]["outputs"] == {"a/features:0": 0.0, "b/features:0": 0.0}
    assert ckpt("inspect", out, "--names").stdout.split() == ["a/w"]
    one = ["merge", f"a={a}", "-o", tmp_path / "other.ckpt"]
    failed(ckpt(*one, "--drop", "b/nothing/**"), 4, "E0402", "b/nothing/**")
    usage = ckpt(*one, "--share", "a/w")
    assert usage.returncode == 2
    assert "KEPT=REPLACED" in usage.stderr


def test_lines_tell_what_was_compared_and_what_would_be_written(models, tmp_path):
    arguments = ["merge", f"a={models[0]}", f"b={models[1]}", "-o", tmp_path / "out", "--check"]
    rows = [line.split("\t") for line in ckpt(*arguments, "--dry-run").stdout.splitlines()]
    assert {row[0] for row in rows} == {"part", "merged", "check", "would write"}
    assert {row[2] for row in rows if row[0] == "check"} == {"0.0"}
    rows = [line.split("\t") for line in ckpt(*arguments).stdout.splitlines()]
    assert [row[1] for row in rows if row[0] == "output"] == [
        f"{tmp_path}/out.h5", f"{tmp_path}/out.meta"
    ]  # fmt: skip
