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
    rules.write_text("[1, 2]")
    assert ckpt("rename", model, "-o", tmp_path / "x", "--map-file", rules).returncode == 2
    for wrong in (["--map", "a"], ["--sub", "(=b"], []):
        assert ckpt("rename", model, "-o", tmp_path / "x", *wrong).returncode == 2


def test_a_part_is_extracted(model, tmp_path):
    out = tmp_path / "part"
    ended = ckpt("extract", model, "-o", out, "--keep", "y", "--drop", "@slots")
    assert ended.returncode == 0, ended.stderr
    assert sorted(names(out)) == ["head/out/bias", "head/out/kernel"]
    assert "dropped head/out/kernel/Adam" in ended.stdout
    assert ckpt("extract", model, "-o", tmp_path / "x").returncode == 2


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
