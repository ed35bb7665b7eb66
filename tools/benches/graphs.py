"""Exporting, importing and merging graphs, without running them."""

import tempfile
from pathlib import Path

from tools.benches.registry import contestant
from tools.benches.runtime import program

NODES = 10_000


def _grown(tf, count):
    """Layers of a variable, a product and an activation: some `count` nodes with collections."""
    x = tf.placeholder(tf.float32, [4, 4], name="x")
    while len(tf.get_default_graph().get_operations()) < count - 10:
        w = tf.Variable(tf.zeros([4, 4]))
        x = tf.tanh(tf.matmul(x, w))
    tf.identity(x, name="y")


@program("export_meta_graph of 10,000 nodes", warm_up=1, runs=3)
def _(tf):
    _grown(tf, NODES)
    return tf.train.export_meta_graph


@program("import_meta_graph of 10,000 nodes", warm_up=1, runs=3)
def _(tf):
    _grown(tf, NODES)
    meta = tf.train.export_meta_graph()
    meta.ClearField("saver_def")
    for key in ("variables", "trainable_variables"):
        del meta.collection_def[key].bytes_list.value[10:]  # so that no Saver of thousands is timed

    def load():
        with tf.Graph().as_default():
            tf.train.import_meta_graph(meta)

    return load


def _merging(count):
    """Merge two halves of `count` nodes."""

    def prepare(_case):
        tf = __import__("ckpt")
        folder = tempfile.mkdtemp()
        path = str(Path(folder) / "half")
        with tf.Graph().as_default():
            _grown(tf, count // 2)
            tf.train.export_meta_graph(path + ".meta")
        parts = {"a": path, "b": path}

        def merge():
            tf.merge_graphs(parts, connect={"b/x:0": "a/y:0"}, graph=tf.Graph())

        return merge

    return prepare


contestant("merge_graphs", "10,000 nodes")(_merging(10_000))
contestant("merge_graphs", "100,000 nodes")(_merging(100_000))
