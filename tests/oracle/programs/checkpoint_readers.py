"""Looking into checkpoints without a graph, and waiting for new ones.

Left out, since they differ on purpose (docs/from-tensorflow.md): what is no checkpoint (a directory, a `.meta` or state
file), which ckpt takes for what it stands for or refuses by another class, and the file of the index, which has another name.
"""

import os
import shutil
import time

import numpy as np


def saved(tf, path):
    with tf.Graph().as_default():
        values = {
            "a": np.float32([[1, 2], [3, 4], [5, 6]]),
            "s/b": np.int64(7),
            "s/t": np.array([b"x", b"\xff\x00", b""], object),
            "e": np.zeros([0, 3], np.float32),
            "z": np.complex64([1 + 2j]),
            "o": np.array([True, False]),
        }
        for name, value in values.items():
            kind = tf.string if value.dtype == object else value.dtype
            tf.get_variable(name, initializer=tf.constant(value, kind), use_resource=False)
        tf.get_variable("h", initializer=tf.constant([1.5], tf.bfloat16), use_resource=False)
        cut = tf.fixed_size_partitioner(2)
        ones = tf.ones_initializer()
        tf.get_variable("p", [5, 2], initializer=ones, partitioner=cut, use_resource=False)
        sess = tf.Session()
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, path, 3)


def told(value):
    """A value from a checkpoint: its Python type, dtype, shape and numbers."""
    array = np.asarray(value)
    return [type(value).__name__, str(array.dtype), list(array.shape), repr(array.tolist())]


def case_reader(tf):
    path = saved(tf, "d/m")
    reader = tf.train.NewCheckpointReader(path)
    dtypes = reader.get_variable_to_dtype_map()
    found = {
        "shapes": reader.get_variable_to_shape_map(),
        "dtypes": {name: str(dtype) for name, dtype in dtypes.items()},
        "kinds": [type(reader).__name__, isinstance(dtypes["a"], tf.DType)],
        "debug": [line for line in reader.debug_string().splitlines() if line[:1] in b"aehosz"],
    }
    for name in ("a", "s", "s/", "p", "p/part_0", "a:0", "A", b"a", 3, None):
        found[f"has {name}"] = lambda name=name: reader.has_tensor(name)
    for name in ("a", "s/b", "s/t", "e", "p", "z", "h", "o", "nope", "p/part_0", "", "a:0", b"a", 3, None):  # fmt: skip
        found[f"get {name}"] = lambda name=name: told(reader.get_tensor(name))
    return {
        **found,
        "remove": lambda: shutil.rmtree("d"),
        "get of a file that is gone": lambda: told(reader.get_tensor("a")),  # it is open
    }


def case_functions(tf):
    here = os.getcwd()
    path = saved(tf, "d/m")
    os.mkdir("empty")
    found = {}
    for place in (path, "d", "d/", "./d", f"{here}/d", "d/m", "nope", "", "empty", None, 3):
        name = str(place).replace(here, "here")
        found[f"load {name}"] = lambda place=place: type(tf.train.load_checkpoint(place)).__name__
        found[f"variable {name}"] = lambda place=place: told(tf.train.load_variable(place, "s/b"))
        found[f"list {name}"] = lambda place=place: tf.train.list_variables(place)
    for name in ("a:0", "a:1", ":0", "s/b:0", "a:0:0", "", None, 3):
        found[f"load {name}"] = lambda name=name: told(tf.train.load_variable(path, name))
    listed = tf.train.list_variables(path)
    found["kinds"] = [type(x).__name__ for x in (listed, listed[0], *listed[0])]
    found["by keyword"] = lambda: [
        tf.train.load_variable(ckpt_dir_or_file=path, name="s/b").item(),
        len(tf.train.list_variables(ckpt_dir_or_file=path)),
        tf.train.NewCheckpointReader(filepattern=path).has_tensor(tensor_str="a"),
        tf.train.load_checkpoint(ckpt_dir_or_file=path).get_tensor(tensor_str="s/b").item(),
    ]
    found["a state file of another name"] = lambda: [
        shutil.move("d/checkpoint", "d/other"),
        tf.train.load_checkpoint("d"),
    ]
    return found


def case_waiting(tf):
    tf.get_variable("v", initializer=1.0, use_resource=False)
    sess, saver = tf.Session(), tf.train.Saver()
    sess.run(tf.global_variables_initializer())
    iterator, calls = tf.train.checkpoints_iterator, []

    def save(step):
        return saver.save(sess, "d/m", step)

    def third():
        calls.append("third")
        return len(calls) >= 3

    def saving():
        calls.append("saving")
        if len(calls) < 6:
            save(len(calls))
        return len(calls) >= 7

    def steps():
        following = iterator("d", timeout=0)
        return [next(following), save(9), next(following), save(9), next(following, "none")]

    def spaced():
        start, following = time.time(), iterator("d", 0.3, timeout=0)
        next(following)
        save(10)
        next(following)
        return time.time() - start >= 0.3

    return {
        "none": lambda: list(iterator("nope", timeout=0)),
        "none, true": lambda: list(iterator("nope", timeout=0.1, timeout_fn=lambda: True)),
        "until the third": lambda: [list(iterator("nope", timeout=0, timeout_fn=third)), calls],
        "saving": lambda: [list(iterator("d", timeout=0, timeout_fn=saving)), calls],
        "steps": steps,
        "spaced": spaced,
        "negative": lambda: list(iterator("nope", timeout=-1)),
        "negative interval": lambda: list(iterator("d", -1, timeout=0)),
        "kind": lambda: type(iterator("d")).__name__,
    }
