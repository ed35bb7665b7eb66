"""What a Saver writes, under which names, what it remembers, deletes and refuses.

Left out, since they differ on purpose (docs/from-tensorflow.md): a negative max_to_keep (TensorFlow deletes what it has just
written), V1 files, names that are patterns for TensorFlow (`[x]`), more checkpoints than max_to_keep after
set_last_checkpoints (TensorFlow deletes one with each save, ckpt all at once), restoring into what is no session (an
AttributeError, a TypeError here), state files that list all where all are kept.
"""

import os
import re

from standing import clock


def session(tf, name="v"):
    tf.get_variable(name, initializer=[1.0, 2.0], use_resource=False)
    found = tf.Session()
    found.run(tf.global_variables_initializer())
    return found


def files():
    """Every file, values under one suffix; the shards of TensorFlow's are left out."""
    found = set()
    for folder, _, names in os.walk("."):
        for name in names:
            if not re.search(r"-\d{5}-of-\d{5}$", name):
                name = re.sub(r"\.(index|h5)$", ".values", name)
                found.add(os.path.normpath(f"{folder}/{name}"))
    return sorted(found)


def state(tf, directory=".", **options):
    found = tf.train.get_checkpoint_state(directory, **options)
    return found and [found.model_checkpoint_path, list(found.all_model_checkpoint_paths)]


def told(found):
    """A SaverDef as plain data."""
    if found is None:
        return None
    names = [found.filename_tensor_name, found.save_tensor_name, found.restore_op_name]
    return [*names, found.max_to_keep, found.sharded, found.keep_checkpoint_every_n_hours]


PATHS = ["m", "./m", "d/m", "./d/m", "d//m", "ü/m", "sp ace/m x", "m.ckpt", "m-3", "d/m.h5", "%41", "a*b", "m?",
         "{y}", "d/m\n", "m'\"", "checkpoint", "d/checkpoint", "checkpoint-1", "-", "~x/m", "a:b", "a/b/c", "", "d/.m"]  # fmt: skip


def case_paths(tf):
    sess, here, found = session(tf), os.getcwd(), {}
    for number, path in enumerate([*PATHS, "{here}/d/m"]):
        for step in (None, 7):
            folder = f"{here}/{number}{step}"
            os.mkdir(folder)
            os.chdir(folder)
            saver = tf.train.Saver()
            try:
                saved = saver.save(sess, path.replace("{here}", folder), step)
            except ValueError:
                found[f"{path} {step}"] = "ValueError"
                continue
            saver.restore(sess, saved)
            above = os.path.dirname(saved)
            results = [saved, files(), saver.last_checkpoints, tf.train.latest_checkpoint(above)]
            results += [state(tf, above), tf.train.checkpoint_exists(saved)]
            found[f"{path} {step}"] = repr(results).replace(folder, "here")
    os.chdir(here)
    return found


def case_names_that_are_folders(tf):
    """TensorFlow's state file calls `d/` `d/.`, which it cannot restore."""
    sess, saver = session(tf), tf.train.Saver()
    saved = [saver.save(sess, "d/"), saver.save(sess, "d/", 7), saver.save(sess, "./")]
    for path in saved:
        saver.restore(sess, path)
    return {"saved": saved, "files": files(), "last": saver.last_checkpoints}


def case_bytes_as_path(tf):
    sess, saver = session(tf), tf.train.Saver()
    found = saver.save(sess, b"d/m")
    saver.restore(sess, b"d/m")
    return {"saved": found, "shape": tf.train.load_variable(b"d/m", "v").shape}


def case_relative_and_absolute_state(tf):
    sess, here, found = session(tf), os.getcwd(), {}
    for relative in (False, True):
        saver = tf.train.Saver(save_relative_paths=relative)
        for step in (1, 2):
            found[f"{relative} {step}"] = saver.save(sess, f"{here}/d/m", step).replace(here, "")
        for asked in ("d", "d/", f"{here}/d") if relative else (f"{here}/d",):
            latest = tf.train.latest_checkpoint(asked)
            found[f"{relative} {asked}".replace(here, "here")] = latest.replace(here, "here")
    return found


def case_steps(tf):
    import numpy as np

    sess = session(tf)
    variable = tf.Variable(5, name="st", trainable=False, use_resource=False)
    sess.run(variable.initializer)
    steps = {
        "zero": 0, "negative": -1, "int32": np.int32(4), "uint8": np.uint8(4), "float": 2.5, "float32": np.float32(2),
        "array": np.array(3), "vector": np.array([3]), "true": True, "numpy's true": np.bool_(True), "large": 2**40,
        "larger": 2**70, "nine digits": 123456789, "list": [3], "name": "st:0", "no name": "x", "operation": "st",
        "variable": variable, "float tensor": tf.constant(2.0), "int64 tensor": tf.constant(9, tf.int64),
        "bool tensor": tf.constant(True), "vector tensor": tf.constant([3]), "sum": variable + 1,
        "object": object(),
    }  # fmt: skip
    plain, padded = tf.train.Saver(), tf.train.Saver(pad_step_number=True)
    found = {}
    for name, step in steps.items():
        found[name] = lambda step=step: plain.save(sess, "m", step)
        found[f"{name}, padded"] = lambda step=step: padded.save(sess, "m", step)
    return {**found, "files": files}


def case_state_files_of_other_names(tf):
    sess, found = session(tf), {}
    for name in (
        "checkpoint",
        "other",
        "",
        "a/b",
        "m",
        "m-1",
        "./x",
        "x y",
        "ü",
        "/abs",
        "d/",
    ):

        def save(step=None, name=name):
            saver = tf.train.Saver()
            return saver.save(sess, "m", step, latest_filename=name)

        found[f"{name} without"] = save
        found[f"{name} with"] = lambda save=save: save(1)
    found["latest"] = lambda: tf.train.latest_checkpoint(".", "other")
    found["state"] = lambda: state(tf, latest_filename="x y")[0]  # ckpt takes over m
    return found


def case_flags_of_save(tf):
    sess, found = session(tf), {}
    flags = {
        "none": {},
        "no graph": {"write_meta_graph": False},
        "no state": {"write_state": False},
        "neither": {"write_state": False, "write_meta_graph": False},
        "suffix": {"meta_graph_suffix": "graph"},
        "empty suffix": {"meta_graph_suffix": ""},
        "stripped": {"strip_default_attrs": True},
    }
    here = os.getcwd()
    for name, options in flags.items():
        os.mkdir(f"{here}/{name}")
        os.chdir(f"{here}/{name}")
        saver = tf.train.Saver(max_to_keep=2)
        saved = [saver.save(sess, "m", step, **options) for step in (0, 1, 2, 3, 2, 2)]
        found[name] = [saved, files(), saver.last_checkpoints, state(tf)]
    os.chdir(here)

    def refused(suffix):
        return lambda: tf.train.Saver().save(sess, "m", meta_graph_suffix=suffix)

    return {**found, "None as suffix": refused(None), "number as suffix": refused(3)}


def case_debug_info(tf):
    """Which node names have traces; frames differ, since TensorFlow's own files have some."""
    sess, saver = session(tf), tf.train.Saver(max_to_keep=1)
    saver.save(sess, "m", save_debug_info=True)
    saver.save(sess, "n", save_debug_info=True, write_meta_graph=False)
    saver.export_meta_graph("a.b.meta", save_debug_info=True)
    tf.train.export_meta_graph("d/c", save_debug_info=True)
    with open("a.b.debug", "rb") as file:
        data = file.read()
    names = [op.name for op in tf.get_default_graph().get_operations()]
    return {
        "files": [name for name in files() if name != "m.debug"],  # deleted with m by ckpt only
        "all named": all(f"{name}@".encode() in data for name in names),
        "function": b"case_debug_info" in data,
        "file": __file__.encode() in data,
    }


def case_limits(tf):
    found = {}
    for name, limit in {
        "three": 3, "zero": 0, "None": None, "true": True, "float": 2.0, "text": "a",
    }.items():  # fmt: skip
        found[name] = lambda limit=limit: (
            tf.train.Saver(max_to_keep=limit).as_saver_def().max_to_keep
        )
    for hours in (0, -1, None, 2, 2.5, "x"):
        found[f"{hours} hours"] = lambda hours=hours: (
            tf.train.Saver(keep_checkpoint_every_n_hours=hours)
            .as_saver_def()
            .keep_checkpoint_every_n_hours
        )
    session(tf)
    return found


def case_what_is_kept(tf):
    sess, found, here = session(tf), {}, os.getcwd()
    for hours in (1.0, 0.5, 0, 10000, -1, None):
        for limit in (2, 1, 0):
            os.mkdir(f"{here}/{hours}-{limit}")
            os.chdir(f"{here}/{hours}-{limit}")
            with clock() as now:
                saver = tf.train.Saver(max_to_keep=limit, keep_checkpoint_every_n_hours=hours)
                for step in range(8):
                    now[0] += 1500
                    saver.save(sess, "m", step, write_meta_graph=False)
                    found[f"{hours} {limit} {step}"] = [files(), saver.last_checkpoints]
                found[f"{hours} {limit}"] = state(tf)[0]
    os.chdir(here)
    return found


def case_what_is_remembered(tf):
    sess = session(tf)
    saver = tf.train.Saver(max_to_keep=3)
    for step in range(3):
        saver.save(sess, "m", step)
    other, third = tf.train.Saver(max_to_keep=3), tf.train.Saver(max_to_keep=2)
    everything = tf.train.Saver(max_to_keep=0)

    def after(saver, *steps):
        for step in steps:
            saver.save(sess, "m", step)
        return [saver.last_checkpoints, files(), state(tf)]

    return {
        "none": third.last_checkpoints,
        "recovered": lambda: other.recover_last_checkpoints(["m-2", "m-0", "m-1", "gone"]),
        "list": lambda: other.last_checkpoints,
        "saved": lambda: after(other, 5),
        "and again": lambda: after(other, 6, 7),
        "given": lambda: third.set_last_checkpoints(["m-6", "m-7"]),
        "given list": lambda: third.last_checkpoints,
        "given and saved": lambda: after(third, 8),
        "timed": lambda: third.set_last_checkpoints_with_time([("m-7", 1.0), ("m-8", 2.0)]),
        "timed and saved": lambda: after(third, 9),
        "of all": lambda: everything.set_last_checkpoints(["m-8"]),
        "of all, list": lambda: everything.last_checkpoints,
        "of all, saved": lambda: [everything.save(sess, "m", 11), everything.last_checkpoints],
        "nothing": lambda: third.recover_last_checkpoints(["no"]),
        "nothing, list": lambda: third.last_checkpoints,
        "text": lambda: saver.set_last_checkpoints("x"),
        "tuple": lambda: saver.set_last_checkpoints(("x",)),
        "text, timed": lambda: saver.set_last_checkpoints_with_time("x"),
        "none recovered": lambda: saver.recover_last_checkpoints(None),
        "number": lambda: saver.recover_last_checkpoints([3]),
    }


def case_empty(tf):
    tf.constant(1.0)
    sess, saver = tf.Session(), tf.train.Saver(allow_empty=True)

    def imported():
        with tf.Graph().as_default():
            return tf.train.import_meta_graph("d/m-3.meta")

    return {
        "saved": lambda: saver.save(sess, "m"),
        "numbered": lambda: saver.save(sess, "d/m", 3),
        "without graph": lambda: saver.save(sess, "n", write_meta_graph=False),
        "restored": lambda: saver.restore(sess, "m") and None,
        "from None": lambda: saver.restore(sess, None) and None,
        "def": saver.as_saver_def,
        "proto": saver.to_proto,
        "last": lambda: saver.last_checkpoints,
        "exported": lambda: len(saver.export_meta_graph("x.meta").graph_def.node),
        "imported": imported,
        "no session": lambda: saver.save("x", "m"),
        "bad step": lambda: saver.save(sess, "m", 2.5),
        "bad state": lambda: saver.save(sess, "m", latest_filename="a/b"),
        "files": files,
    }


def case_deferred(tf):
    saver, sess = tf.train.Saver(defer_build=True), tf.Session()
    return {
        "saved": lambda: saver.save(sess, "m"),
        "from None": lambda: saver.restore(sess, None),
        "def": saver.as_saver_def,
        "proto": saver.to_proto,
        "last": lambda: saver.last_checkpoints,
        "exported": lambda: len(saver.export_meta_graph().graph_def.node),
        "nothing to build": saver.build,
        "made": lambda: [tf.get_variable("v", [2], use_resource=False), saver.as_saver_def()][1],
    }


def case_scopes_of_protos(tf):
    with tf.name_scope("out"), tf.name_scope("in"):
        session(tf)
        saver = tf.train.Saver()
    scopes = ["out", "out/", "out/in", "out/in/", "in", "", "out/in/save", None]
    found = {f"to {scope}": told(saver.to_proto(scope)) for scope in scopes}
    proto = tf.train.SaverDef.FromString(saver.as_saver_def().SerializeToString())
    for scope in (None, "", "x", "x/"):
        copy = tf.train.SaverDef.FromString(proto.SerializeToString())  # TensorFlow renames in it
        made = tf.train.Saver.from_proto(copy, import_scope=scope)
        found[f"from {scope}"] = told(made.as_saver_def())
    for limit, hours in ((7, 3.0), (0, 3.0), (0, 0.0)):
        proto.max_to_keep, proto.keep_checkpoint_every_n_hours = limit, hours
        made = tf.train.Saver(saver_def=proto, max_to_keep=17, keep_checkpoint_every_n_hours=2.0)
        found[f"{limit} {hours}"] = told(made.as_saver_def())
    return found


def case_what_is_no_saver_def(tf):
    Def = tf.train.SaverDef
    session(tf)
    kinds = {
        "number": 3,
        "text": "x",
        "empty": Def(),
        "no save": Def(filename_tensor_name="a:0", restore_op_name="b"),
        "no restore": Def(filename_tensor_name="a:0", save_tensor_name="c:0"),
    }
    return {name: lambda made=made: tf.train.Saver(saver_def=made) for name, made in kinds.items()}


def case_wrong_sessions(tf):
    sess, saver = session(tf), tf.train.Saver()
    path = saver.save(sess, "m")
    os.mkdir("d")
    with tf.Graph().as_default():
        other = session(tf, "w")
    found = {}
    for name, kind in {"None": None, "text": "s", "number": 3, "graph": tf.Graph()}.items():
        found[f"save, {name}"] = lambda kind=kind: saver.save(kind, "m")
    return {
        **found,
        "save, another graph": lambda: saver.save(other, "m"),
        "restore, another graph": lambda: saver.restore(other, path),
        "not initialised": lambda: saver.save(tf.Session(), "d/m"),
        "no path": lambda: saver.save(sess, None),
        "number as path": lambda: saver.save(sess, 3),
        "close": sess.close,
        "save, closed": lambda: saver.save(sess, "m"),
        "restore, closed": lambda: saver.restore(sess, path),
    }


def case_directories_that_vanish(tf):
    import shutil

    sess, saver = session(tf), tf.train.Saver(max_to_keep=2)
    saver.save(sess, "d/m", 0)
    shutil.rmtree("d")
    open("file", "w").close()
    os.mkdir("folder")

    def saved(step):
        return [saver.save(sess, "d/m", step), files(), saver.last_checkpoints, state(tf, "d")]

    return {
        "one": lambda: saved(1),
        "two": lambda: saved(2),
        "no state": lambda: [os.remove("d/checkpoint"), saved(3)][1],
        "below a file": lambda: saver.save(sess, "file/m"),
        "beside a folder": lambda: saver.save(sess, "folder"),
        "restored": lambda: saver.restore(sess, "folder") and None,
    }


RESTORED = {
    "same": ([2], "float32", {}),
    "another shape": ([3], "float32", {}),
    "another dtype": ([2], "int32", {}),
    "wider dtype": ([2], "float64", {}),
    "reshaped": ([2, 1], "float32", {"reshape": True}),
    "reshaped, sequentially": (
        [1, 2, 1],
        "float32",
        {"reshape": True, "restore_sequentially": True},
    ),
    "reshaped, another size": ([3], "float32", {"reshape": True}),
}


def case_what_fits(tf):
    """TensorFlow 2.21 gives a resource variable another shape without a word: those are left out."""
    sess = session(tf)
    saved = tf.train.Saver().save(sess, "m")
    found = {}
    for name, (shape, dtype, options) in RESTORED.items():
        for resource in (False, True):

            def restored(shape=shape, dtype=dtype, options=options, resource=resource):
                with tf.Graph().as_default():
                    v = tf.get_variable("v", shape, dtype, use_resource=resource)
                    sess = tf.Session()
                    tf.train.Saver(**options).restore(sess, saved)
                    return sess.run(v)

            if not (resource and name == "another shape"):
                found[f"{name}, {resource}"] = restored

    def unknown(kind, validate, **options):
        with tf.Graph().as_default():
            held = tf.placeholder_with_default([5.0], kind)
            v = tf.Variable(held, validate_shape=validate, name="v", use_resource=False)
            sess = tf.Session()
            tf.train.Saver(**options).restore(sess, saved)
            return sess.run(v)

    found["unknown shape"] = lambda: unknown(None, False)
    found["unknown shape, reshaped"] = lambda: unknown(None, False, reshape=True)
    found["another name"] = lambda: tf.train.Saver({"w": tf.global_variables()[0]}).restore(
        tf.Session(), saved
    )
    return found


def case_a_saver_used_again_and_again(tf):
    sess, saver = session(tf), tf.train.Saver(max_to_keep=2)
    saver.restore(sess, saver.save(sess, "m"))
    tf.get_default_graph().finalize()  # adding a node would be an error
    for step in range(50):
        saver.restore(sess, saver.save(sess, "m", step, write_meta_graph=step % 10 == 0))
    return {"files": files(), "last": saver.last_checkpoints}
