"""Graphs of others that name files of those who run them, and what watches these files. For test_hostile_graphs and its like."""

import os
import sys
from contextlib import contextmanager

import numpy as np

import ckpt as tf
from ckpt.core import defs

REFUSED = tf.errors.PermissionDeniedError
_touched: list[str] = []
_watched: list[str] = []


def _hook(event, args):
    if _watched:
        texts = [os.fsdecode(a) for a in args if isinstance(a, (str, bytes, os.PathLike))]
        _touched.extend(f"{event} {text}" for text in texts if _watched[0] in text)


sys.addaudithook(_hook)


@contextmanager
def watched(path):
    """A list of what the interpreter does in the block with files whose names contain `path`."""
    _touched.clear()
    _watched.append(str(path))
    try:
        yield _touched
    finally:
        _watched.clear()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def carried(tmp_path):
    """The default graph as a file."""
    path = str(tmp_path / "hostile.meta")
    tf.train.export_meta_graph(path)
    return path


def name_of(made):
    """The name of what to run: an operation has no other."""
    return made.name if isinstance(made, (tf.Operation, tf.Tensor)) else made[0].name


def exported(tmp_path, build):
    """The path of a graph that `build` made, and the name of what it returned."""
    with tf.Graph().as_default():
        made = build()
        return carried(tmp_path), name_of(made)


def in_a_dataset(path):
    numbers = tf.data.Dataset.range(1).map(lambda n: tf.read_file(path))
    return tf.data.make_one_shot_iterator(numbers).get_next()


def text_node(name, value):
    array = np.array(value, object) if isinstance(value, list) else np.array(value.encode(), object)
    return defs.NodeDef(name, "Const", (), "", {"value": array, "dtype": tf.string})
