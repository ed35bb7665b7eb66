"""Managers of checkpoints and the checkpoints of objects: what is kept, numbered, listed, refused.

Left out, since they differ on purpose (docs/from-tensorflow.md): clocks that were set back, and restoring, which
TensorFlow leaves to others in a graph.
"""

import os
import shutil

import numpy as np
from standing import clock


def root(tf):
    """A Checkpoint of one variable, in the default session that it makes."""
    v = tf.get_variable("v", initializer=[1.0, 2.0], use_resource=True)
    sess = tf.Session()
    sess.run(v.initializer)
    return tf.train.Checkpoint(v=v), sess


def files(directory):
    names = os.listdir(directory or ".")
    return sorted({name.partition(".")[0] for name in names if name.startswith(("ckpt", "my"))})


def told(manager):
    return [list(manager.checkpoints), manager.latest_checkpoint, manager.directory]


def case_limits(tf):
    checkpoint, _ = root(tf)
    step = tf.get_variable("step", initializer=0, trainable=False)
    cases = {
        "zero": {"max_to_keep": 0}, "negative": {"max_to_keep": -1}, "None": {"max_to_keep": None}, "missing": {},
        "text": {"max_to_keep": "x"}, "negative hours": {"max_to_keep": 1, "keep_checkpoint_every_n_hours": -1},
        "interval alone": {"max_to_keep": 1, "checkpoint_interval": 5},
        "interval": {"max_to_keep": 1, "step_counter": step, "checkpoint_interval": 5},
        "unknown": {"max_to_keep": 1, "nonsense": 1},
    }  # fmt: skip
    return {
        name: lambda options=options: told(tf.train.CheckpointManager(checkpoint, "x", **options))
        for name, options in cases.items()
    }


def case_directories(tf):
    checkpoint, sess = root(tf)
    here, found = os.getcwd(), {}
    with clock() as now, sess.as_default():
        for folder in ("d", "d/", "./e", f"{here}/f", "g/h/i", ""):
            manager = tf.train.CheckpointManager(checkpoint, folder, 2)
            results = [told(manager)]
            for _ in range(3):
                now[0] += 1
                results.append(manager.save())
            state = tf.train.get_checkpoint_state(folder)
            results += [told(manager), files(folder), list(state.all_model_checkpoint_paths)]
            results.append(told(tf.train.CheckpointManager(checkpoint, folder, 2)))
            found[folder.replace(here, "here")] = repr(results).replace(here, "here")
    return found


def case_numbers(tf):
    checkpoint, sess = root(tf)
    step = tf.get_variable("step", initializer=5, trainable=False, use_resource=True)
    sess.run(step.initializer)
    manager = tf.train.CheckpointManager(checkpoint, "g", 20, checkpoint_name="my")

    def saved(number):
        with sess.as_default():
            return manager.save(number)

    numbers = [7, np.int32(9), np.int64(7), step, tf.constant(11), -1, True, None, 7, 2**40]
    with clock() as now, sess.as_default():
        found = []
        for number in numbers:
            now[0] += 1
            found.append(manager.save(number))
        return {
            "saved": found,
            "kept": told(manager),
            "files": files("g"),
            "float": lambda: saved(2.5),
            "text": lambda: saved("x"),
        }


def case_intervals(tf):
    checkpoint, sess = root(tf)
    step = tf.get_variable("step", initializer=0, trainable=False, use_resource=True)
    found = {}
    steps = [(0, True), (0, False), (0, True), (3, False), (3, False), (2, False), (4, True), (8, True), (8, False),
             (9, False), (8, False), (20, True), (1, False), (1, True), (7, True)]  # fmt: skip
    with sess.as_default():
        for interval in (5, 1, None):
            manager = tf.train.CheckpointManager(
                checkpoint, f"d{interval}", 99, step_counter=step, checkpoint_interval=interval
            )
            for number, check in steps:
                sess.run(step.assign(number))
                found.setdefault(f"{interval}", []).append(manager.save(check_interval=check))
            found[f"{interval}, property"] = manager.checkpoint_interval
    return found


def case_hours(tf):
    checkpoint, sess = root(tf)
    found = {}
    with clock() as now, sess.as_default():
        for hours in (1, 0.5, None):
            for restart in range(2):
                manager = tf.train.CheckpointManager(
                    checkpoint, f"d{hours}", 1, keep_checkpoint_every_n_hours=hours
                )
                for number in range(8):
                    now[0] += 1500
                    manager.save()
                    kept = [told(manager), files(f"d{hours}")]
                    found[f"{hours} {restart} {number}"] = kept
    return found


def case_what_changed_meanwhile(tf):
    checkpoint, sess = root(tf)
    with clock() as now, sess.as_default():

        def manager(folder, limit):
            return tf.train.CheckpointManager(checkpoint, folder, limit)

        def saved(one, times=1):
            for _ in range(times):
                now[0] += 1
                one.save()
            return [told(one), files(one.directory)]

        first, second = manager("o", 3), manager("q", 3)
        found = {"two": saved(first, 2), "three": saved(second, 3)}
        shutil.rmtree("o")
        found["gone"] = [told(first), saved(first)]
        for name in os.listdir("q"):
            if name.startswith("ckpt-4."):
                os.remove(f"q/{name}")
        found["one lost"] = [told(manager("q", 3)), saved(manager("q", 3))]
        lower = manager("q", 1)
        found["lower"] = [told(lower), files("q"), saved(lower)]
        everything = manager("q", None)
        found["all"] = [told(everything), saved(everything, 2)]
        found["object"] = everything.checkpoint is checkpoint
    return found


def case_restoring_nothing(tf):
    checkpoint, sess = root(tf)
    called = []
    with sess.as_default():
        plain = tf.train.CheckpointManager(checkpoint, "d", 1)
        made = tf.train.CheckpointManager(checkpoint, "d", 1, init_fn=lambda: called.append(1))
        return {
            "nothing": plain.restore_or_initialize(),
            "made": made.restore_or_initialize(),
            "called": called,
        }


def case_objects(tf):
    checkpoint, sess = root(tf)
    kind = tf.train.Checkpoint

    def left():
        found = []
        for folder, _, names in os.walk("."):
            found += [os.path.normpath(f"{folder}/{name}") for name in names if "data" not in name]
        return sorted(name.replace(".index", "").replace(".h5", "") for name in found)

    with sess.as_default():
        return {
            "written": checkpoint.write("d/w"),
            "saved": [checkpoint.save("d/s"), checkpoint.save("d/s"), checkpoint.save("a/b/c/x")],
            "slash": checkpoint.save("e/"),
            "latest": [tf.train.latest_checkpoint(folder) for folder in ("d", "a/b/c")],
            "files": left(),
            "nowhere": lambda: checkpoint.restore("nope"),
            "number": lambda: kind(x=3),
            "text": lambda: kind(x="a"),
            "None": lambda: kind(x=None),
            "by position": lambda: kind(3),
        }
