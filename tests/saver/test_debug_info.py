"""Where nodes were made, in a file beside the MetaGraph."""

import os

import pytest

import ckpt as tf
from ckpt.saver.debug_info import debug_file
from ckpt.wire.schema import message_class


def made_here(name):
    return tf.get_variable(name, [2])


def read(path):
    return message_class("GraphDebugInfo").FromString(path.read_bytes())


def lines_of(info, node):
    """(file, function, line) of the calls that made a node, outermost first."""
    trace = info.traces_by_id[info.name_to_trace_id[f"{node}@"]]
    frames = [info.frames_by_id[number] for number in trace.frame_id]
    return [(info.files[f.file_index], f.func, f.line) for f in frames]


def test_every_node_has_the_lines_that_made_it(tmp_path):
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        a, b = (made_here(name) for name in "ab")
        sess.run([a.initializer, b.initializer])
        tf.train.Saver().save(sess, tmp_path / "m", save_debug_info=True)
        nodes = [node.name for node in graph.get_operations()]
    info = read(tmp_path / "m.debug")
    assert sorted(info.name_to_trace_id) == sorted(f"{name}@" for name in nodes)
    file, function, line = lines_of(info, "a")[-1]
    assert (file, function) == (__file__, "made_here")
    assert line == made_here.__code__.co_firstlineno + 1
    assert lines_of(info, "a")[-2][1] != "made_here"
    assert info.name_to_trace_id["a@"] == info.name_to_trace_id["b@"]
    assert len(info.traces_by_id) < len(nodes)


def test_it_goes_with_the_checkpoint(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        sess.run(made_here("a").initializer)
        saver = tf.train.Saver(max_to_keep=1)
        for step in (1, 2):
            saver.save(sess, tmp_path / "m", step, save_debug_info=True)
        saver.save(sess, tmp_path / "n", save_debug_info=True, write_meta_graph=False)
    assert [path.name for path in sorted(tmp_path.glob("*.debug"))] == []
    with tf.Graph().as_default(), tf.Session() as sess:
        sess.run(made_here("a").initializer)
        tf.train.Saver().save(sess, tmp_path / "k", save_debug_info=True)
    assert os.path.exists(tmp_path / "k.debug")
    tf.train.remove_checkpoint(str(tmp_path / "k"))
    assert not os.path.exists(tmp_path / "k.debug")


def test_an_export_has_it_where_asked(tmp_path):
    with tf.Graph().as_default():
        made_here("a")
        tf.train.export_meta_graph(tmp_path / "d" / "m.meta", save_debug_info=True)
        tf.train.export_meta_graph(tmp_path / "n.meta")
    assert lines_of(read(tmp_path / "d" / "m.debug"), "a")[-1][1] == "made_here"
    assert not os.path.exists(tmp_path / "n.debug")


@pytest.mark.parametrize(
    ("meta", "debug"),
    [("m.meta", "m.debug"), ("d.x/m", "d.x/m.debug"), ("a/b.c.meta", "a/b.c.debug"), ("/m", "/m.debug")],
)  # fmt: skip
def test_its_name(meta, debug):
    assert debug_file(meta) == debug
