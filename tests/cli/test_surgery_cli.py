"""`ckpt rename`, `extract`, `freeze` and `graph` as processes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import ckpt as tf
from tests.cli.test_inspect_cli import ckpt, failed
from tests.compose.test_merging import save, trained


@pytest.fixture
def model(tmp_path):
    return save(tmp_path / "m.ckpt", trained, seed=2)


def names(path):
    return ckpt("inspect", path, "--names").stdout.split()


def test_names_change_in_graph_and_checkpoint(model, tmp_path):
    out = tmp_path / "renamed"
    arguments = ("rename", model, "-o", out, "--map", "head/=top/", "--sub", "kernel=weights")
    dry = ckpt(*arguments, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "renamed head/out/kernel -> top/out/weights" in dry.stdout
    assert "nothing was written" in dry.stdout
    assert not list(tmp_path.glob("renamed*"))
    document = json.loads(ckpt(*arguments, "--json").stdout)
    assert document["renamed"]["head/out/kernel"] == "top/out/weights"
    assert "top/out/weights" in names(out)
    assert tf.check(model, out, names=document["renamed"], outputs=["y:0"]).is_equal
    failed(ckpt(*arguments), 6, "E0601", "exists")
    failed(ckpt("rename", model, "-o", tmp_path / "x", "--map", "hed/=top/"), 4, "E0402", "hed/")


def test_a_map_file_renames(model, tmp_path):
    rules = tmp_path / "map.yaml"
    rules.write_text("head/: top/\nglobal_step: step\n")
    ended = ckpt("rename", model, "-o", tmp_path / "renamed", "--map-file", rules)
    assert ended.returncode == 0, ended.stderr
    assert "step" in names(tmp_path / "renamed")
    for wrong in ("[1, 2]", "[]", "ema", "a: 1", "[{a: [b]}]"):
        rules.write_text(wrong)
        assert ckpt("rename", model, "-o", tmp_path / "x", "--map-file", rules).returncode == 2
    for wrong in (["--map", "a"], ["--sub", "(=b"], []):
        assert ckpt("rename", model, "-o", tmp_path / "x", *wrong).returncode == 2


def test_names_become_those_of_another_model(model, tmp_path):
    out, like = tmp_path / "renamed", tmp_path / "like"
    ckpt("rename", model, "-o", like, "--map", "head/=top/", "--sub", "kernel=w")
    dry = ckpt("rename", model, "-o", out, "--like", like, "--dry-run")
    assert 'rules {"head/": "top/"}' in dry.stdout, dry.stderr
    assert "renamed head/out/kernel/Adam -> top/out/w/Adam" in dry.stdout
    found = json.loads(ckpt("rename", model, "-o", out, "--like", like, "-n", "--json").stdout)
    assert found["unexplained"] == []
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(found["rules"]))
    for number, arguments in enumerate((["--like", like], ["--map-file", rules])):
        ended = ckpt("rename", model, "-o", f"{out}{number}", *arguments)
        assert ended.returncode == 0, ended.stderr
        assert names(f"{out}{number}") == names(like)
    ended = ckpt("rename", model, "-o", out, "--like", like, "--map", "head/out/bias=elsewhere")
    assert ended.returncode == 0, ended.stderr
    assert "renamed head/out/kernel -> top/out/w" in ended.stdout
    assert "renamed head/out/bias -> top/out/bias" in ended.stdout  # found where it went first
    assert names(out) == names(like)
    failed(ckpt("rename", like, "-o", out, "--like", like, "-n"), 4, "E0401", "are there")
    failed(ckpt("rename", model, "-o", out, "--like", tmp_path / "no"), 3, "E0301", "no such")


def test_a_part_is_extracted(model, tmp_path):
    out = tmp_path / "part"
    ended = ckpt("extract", model, "-o", out, "--keep", "y", "--drop", "@slots")
    assert ended.returncode == 0, ended.stderr
    assert sorted(names(out)) == ["head/out/bias", "head/out/kernel"]
    assert "dropped head/out/kernel/Adam" in ended.stdout
    assert ckpt("extract", model, "-o", tmp_path / "x").returncode == 2


def test_every_verb_understands_the_words_about_the_graph(model, tmp_path):
    assert sorted(ckpt("inspect", model, "@trainable", "--names").stdout.split()) == [
        "head/out/bias", "head/out/kernel"
    ]  # fmt: skip
    ended = ckpt(
        "extract",
        model,
        "-o",
        tmp_path / "part",
        "--exclude",
        "@trainable",
        "--exclude",
        "!@scope:head",
    )
    failed(ended, 4, "E0402", "select none")
    ended = ckpt("extract", model, "-o", tmp_path / "part", "--exclude", "@collection:global_step")
    assert "dropped global_step" in ended.stdout, ended.stderr
    ended = ckpt("freeze", model, "-o", tmp_path / "frozen", "--keep", "y",
                 "--variables", "@trainable", "--variables", "!re:.*bias")  # fmt: skip
    assert "frozen head/out/kernel" in ended.stdout, ended.stderr
    assert names(tmp_path / "frozen") == ["head/out/bias"]


def test_a_model_is_frozen(model, tmp_path):
    out = tmp_path / "frozen"
    ended = ckpt("freeze", model, "-o", out, "--keep", "y", "--fold", "--json")
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["tensors"] == 0
    assert [p.name for p in tmp_path.glob("frozen*")] == ["frozen.meta"]
    assert tf.check(model, out, outputs=["y:0"]).is_equal
    x = np.ones((1, 4), np.float32)
    with tf.load_models({"m": str(out)})["m"] as frozen:
        assert frozen.run("y:0", {"x:0": x}).shape == (1, 2)


def test_a_checkpoint_without_graph_is_renamed_too(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.get_variable("old/w", [2], initializer=tf.ones_initializer())
        sess.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(sess, tmp_path / "w", write_meta_graph=False)
    ended = ckpt("rename", path, "-o", tmp_path / "new", "--map", "old/=new/")
    assert ended.returncode == 0, ended.stderr
    assert names(tmp_path / "new") == ["new/w"]


def test_the_graph_is_shown(model, tmp_path):
    tree = ckpt("graph", model).stdout
    assert "x  Placeholder" in tree
    assert "head/" in tree
    dot = ckpt("graph", model, "--format", "dot", "--depth", "1").stdout
    assert dot.startswith("digraph model {")
    assert '"x" -> "head"' in dot
    mermaid = ckpt("graph", model, "--format", "mermaid", "--scope", "head").stdout
    assert mermaid.startswith("flowchart BT")
    assert "head/out" in mermaid
    ckpt("graph", model, "-o", tmp_path / "tree.txt")
    assert (tmp_path / "tree.txt").read_text() == tree
    failed(ckpt("graph", model, "--scope", "nothing"), 4, "E0401", "nothing")
    svg = ckpt("graph", model, "--format", "svg", env={"PATH": ""})
    assert svg.returncode == 2
    assert "Graphviz" in svg.stderr


def test_variables_and_scopes_are_put_together_otherwise(model, tmp_path):
    def run(*arguments):
        ended = ckpt(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def twice():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        with tf.name_scope("left"):
            left = tf.matmul(x, tf.get_variable("a", [3, 3]))
        with tf.name_scope("right"):
            right = tf.matmul(x, tf.get_variable("b", [3, 3]))
        tf.add(left, right, name="y")

    path = save(tmp_path / "two", twice)
    assert "tied b -> a" in run("tie", path, "-o", tmp_path / "tied", "a=b")
    assert names(tmp_path / "tied") == ["a"]
    run("untie", tmp_path / "tied", "-o", tmp_path / "apart", "a", "--name", "c", "--user", "right")
    assert sorted(names(tmp_path / "apart")) == ["a", "c"]
    out = tmp_path / "moved"
    run("redirect", path, "-o", out, "left/MatMul:0=right/MatMul:0")
    x = {"x:0": np.ones((1, 3), np.float32)}
    with tf.load_models({"m": out})["m"] as moved:
        np.testing.assert_array_equal(moved.run("y:0", x), 2 * moved.run("right/MatMul:0", x))
    other = save(tmp_path / "other", trained, seed=9)
    clean = [tmp_path / "clean", tmp_path / "clean_other"]
    for source, target in zip((model, other), clean, strict=True):
        run("extract", source, "-o", target, "--drop", "@training")
    run("graft", clean[0], "-o", tmp_path / "grafted", clean[1], "--scope", "head=head")
    assert tf.check(other, tmp_path / "grafted", outputs=["y:0"]).is_equal
    failed(ckpt("tie", path, "-o", tmp_path / "x", "a=nothing"), 4, "E0401", "nothing")


def test_what_is_frozen_is_told_apart_from_what_goes(model, tmp_path):
    out = tmp_path / "frozen"
    document = json.loads(ckpt("freeze", model, "-o", out, "--keep", "y", "--json").stdout)
    assert document["frozen"] == ["head/out/bias", "head/out/kernel"]
    assert "head/out/kernel/Adam" in document["dropped"]
    listed = ckpt("inspect", out)
    assert listed.stdout.startswith(f"checkpoint\t{out}.meta\tmetagraph\n")
