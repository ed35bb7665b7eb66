"""Input pipelines, the same under TensorFlow and under ckpt: from the bytes of files to batches that a session returns."""

import tempfile

import numpy as np

from tools.benches.runtime import _session, program

RECORDS = 20_000


def _file(tf):
    """A TFRecord file of numbers as text."""
    path = tempfile.mkdtemp(prefix="ckpt-bench-") + "/records"
    with tf.python_io.TFRecordWriter(path) as writer:
        for value in np.random.default_rng(0).standard_normal(RECORDS).tolist():
            writer.write(repr(value).encode())
    return path


def _batches(tf, dataset):
    following = dataset.make_one_shot_iterator().get_next()
    session = _session(tf)
    return lambda: session.run(following)


@program("input: TFRecord, string_to_number, shuffle, batch of 100", warm_up=40, runs=200)
def _(tf):
    records = tf.data.TFRecordDataset([_file(tf)]).repeat()
    return _batches(
        tf, records.map(tf.string_to_number).shuffle(1000, seed=1).batch(100).prefetch(1)
    )


@program("input: slices, map, batch of 100", warm_up=40, runs=200)
def _(tf):
    x = np.arange(1_000_000, dtype=np.float32)
    slices = tf.data.Dataset.from_tensor_slices(x).repeat()
    return _batches(tf, slices.map(lambda v: v * 2 + 1).batch(100))


@program("input: numbers, shuffle, batch of 100", warm_up=40, runs=200)
def _(tf):
    numbers = tf.data.Dataset.range(1_000_000).shuffle(10_000, seed=1).repeat()
    return _batches(tf, numbers.batch(100))
