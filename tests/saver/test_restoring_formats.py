"""The same policies on every format: one table of restores, run on each format that can be written, and on a toy of ours."""

import pickle
from contextlib import nullcontext

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import NotFoundError
from ckpt.formats import detect, shards
from ckpt.formats.base import Format, TensorEntry, TensorSpec

TENSORS = {
    "net/w": np.arange(12, dtype=np.float32).reshape(4, 3),
    "net/b": np.array([1.0, 2.0, 3.0], np.float64),
    "extra": np.zeros(2, np.float32),
}


class ToyReader:
    """The least that a reader is: what works here works through the protocol alone."""

    def __init__(self, path):
        with open(path, "rb") as file:
            file.read(3)
            self._held = pickle.load(file)

    def names(self):
        return list(self._held)

    def spec(self, name):
        if name not in self._held:
            raise NotFoundError(None, None, name)
        array = self._held[name]
        return TensorSpec(name, str(array.dtype), array.shape, array.nbytes)

    def read(self, name, part=None, out=None):
        self.spec(name)
        return self._held[name][part or ()].copy()

    def metadata(self):
        return {}

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


TOY = Format("toy", (".toy",), lambda head: head.startswith(b"TOY"), ToyReader, None, "here")


def write_toy(path):
    path.with_suffix(".toy").write_bytes(b"TOY" + pickle.dumps(TENSORS))


def write_sharded(path):
    entries = [TensorEntry(name, array) for name, array in TENSORS.items()]
    shards.write_checkpoint(str(path), entries, shard_size=64)


def write_with(known):
    def write(path):
        entries = [TensorEntry(name, array) for name, array in TENSORS.items()]
        known.write(str(path) + known.suffixes[0], entries)

    return write


def write_compressed(path):
    entries = [TensorEntry(name, array) for name, array in TENSORS.items()]
    shards.write_checkpoint(str(path), entries, compression="deflate")


WRITERS = {
    "toy": write_toy,
    "compressed": write_compressed,
    "sharded": write_sharded,
    **{known.name: write_with(known) for known in detect.FORMATS if known.write and known.suffixes},
}


@pytest.fixture(params=sorted(WRITERS))
def prefix(request, tmp_path, monkeypatch):
    monkeypatch.setattr(detect, "FORMATS", [TOY, *detect.FORMATS])
    WRITERS[request.param](tmp_path / "m")
    return str(tmp_path / "m")


W, B = TENSORS["net/w"], TENSORS["net/b"]

CASES = {
    "plain": ({"net/w": ([4, 3], "float32")}, {}, {"net/w": W}),
    "rename": ({"x/w": ([4, 3], "float32")}, {"rename": ("net/", "x/")}, {"x/w": W}),
    "suggested": (
        {"x/w": ([4, 3], "float32"), "x/b": ([3], "float64")}, {"apply_suggestions": True}, {"x/w": W, "x/b": B},
    ),
    "missing": (
        {"net/w": ([4, 3], "float32"), "new": ([2], "float32")}, {"on_missing": "init"}, {"net/w": W, "new": np.ones(2)},
    ),
    "missing is an error": ({"net/w": ([4, 3], "float32"), "new": ([2], "float32")}, {}, tf.errors.NotFoundError),
    "shape is an error": ({"net/w": ([3, 3], "float32")}, {}, tf.errors.InvalidArgumentError),
    "reshape": ({"net/w": ([6, 2], "float32")}, {"on_shape": "reshape"}, {"net/w": W.reshape(6, 2)}),
    "slice": ({"net/w": ([2, 2], "float32")}, {"on_shape": "slice"}, {"net/w": W[:2, :2]}),
    "pad": ({"net/w": ([5, 3], "float32")}, {"on_shape": "pad"}, {"net/w": np.pad(W, ((0, 1), (0, 0)))}),
    "skip": (
        {"net/w": ([9], "float32"), "net/b": ([3], "float64")}, {"on_shape": "skip"}, {"net/w": np.ones(9), "net/b": B},
    ),
    "dtype is an error": ({"net/b": ([3], "float32")}, {}, tf.errors.InvalidArgumentError),
    "cast": ({"net/b": ([3], "float32")}, {"on_dtype": "cast"}, {"net/b": B.astype(np.float32)}),
    "unexpected is an error": (
        {"net/w": ([4, 3], "float32")}, {"on_unexpected": "error"}, tf.errors.InvalidArgumentError,
    ),
    "nothing": ({"new": ([2], "float32")}, {"on_missing": "skip"}, tf.errors.NotFoundError),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_policy_means_the_same_on_every_format(prefix, case):
    variables, options, expected = CASES[case]
    fails = isinstance(expected, type)
    with tf.Graph().as_default(), tf.Session() as sess:
        made = {
            name: tf.get_variable(name, shape, dtype, initializer=tf.ones_initializer())
            for name, (shape, dtype) in variables.items()
        }
        sess.run(tf.global_variables_initializer())
        with pytest.raises(expected) if fails else nullcontext():
            tf.train.Saver().restore(sess, prefix, **options)
        for name, value in sess.run(made).items():
            np.testing.assert_array_equal(value, 1 if fails else expected[name])
