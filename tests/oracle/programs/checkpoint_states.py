"""State files and the functions around them: what is written, found, refused.

Left out, since they differ on purpose (docs/from-tensorflow.md): state files that cannot be read, of which TensorFlow says
that there is none; relative paths that lead out of the directory, which ckpt neither writes nor reads; a latest
checkpoint whose files are gone, for which ckpt takes the one before.
"""

import os
import time


def session(tf):
    tf.get_variable("v", initializer=[1.0, 2.0], use_resource=False)
    found = tf.Session()
    found.run(tf.global_variables_initializer())
    return found


def told(state):
    """A CheckpointState as plain data."""
    if state is None:
        return None
    paths, times = state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps
    return [state.model_checkpoint_path, list(paths), list(times), state.last_preserved_timestamp]


def case_generated(tf):
    here, found = os.getcwd(), {}
    lists = [None, [], ["d/a", "b"], [f"{here}/d/a"], ["d/a", "d/m"], ["m", "d/a"]]
    for folder in ("d", "./d", "d/", f"{here}/d", "", "."):
        for path in ("m", "d/m", "./d/m", f"{here}/d/m", "../m", "e/m", "d//m", ""):
            for number, listed in enumerate(lists):
                if not path and folder.startswith("/"):
                    continue  # TensorFlow then takes an empty path

                def made(folder=folder, path=path, listed=listed):
                    copy = None if listed is None else list(listed)
                    state = tf.train.generate_checkpoint_state_proto(folder, path, copy)
                    return str(told(state)).replace(here, "here")

                found[f"{folder} {path} {number}".replace(here, "here")] = made
    return found


def case_generated_with_times(tf):
    def made(*arguments, **options):
        state = tf.train.generate_checkpoint_state_proto("/d", "m", *arguments, **options)
        return [told(state), str(state)]

    times = {
        "as many": (["a", "m"], [1.5, 2.0]), "too few": (["a", "m"], [1.0]), "too many": (["m"], [1.0, 2.0]),
        "not listed": (["a", "b"], [1.0, 2.0]), "none": (["a"], []), "no list": (None, [1.0]), "integers": (["m"], [1]),
        "texts": (["m"], ["x"]),
    }  # fmt: skip
    return {
        **{name: lambda given=given: made(*given) for name, given in times.items()},
        "preserved": lambda: made(last_preserved_timestamp=4.5),
        "never preserved": lambda: made(last_preserved_timestamp=0),
        "preserved at a text": lambda: made(last_preserved_timestamp="x"),
        "no path": lambda: tf.train.generate_checkpoint_state_proto("d", None),
        "no directory": lambda: tf.train.generate_checkpoint_state_proto(None, "m"),
    }


def case_caller_s_list(tf):
    listed, other = ["a"], ["m", "a"]
    tf.train.generate_checkpoint_state_proto("/d", "m", listed)
    tf.train.generate_checkpoint_state_proto("/d", "m", other)
    return {"listed": listed, "other": other}


def case_updated(tf):
    """Paths in the directory, and absolute ones elsewhere, mean the same files."""
    here, found = os.getcwd(), {}
    os.mkdir("d")

    def updated(folder, path, listed):
        tf.train.update_checkpoint_state(folder, path, listed)
        state = tf.train.get_checkpoint_state(folder)
        paths = [state.model_checkpoint_path, *state.all_model_checkpoint_paths]
        return [os.path.relpath(path, here) for path in paths]

    for folder in ("d", "d/", "./d", f"{here}/d"):
        for path in ("d/m", "./d/m", "/abs/m", f"{here}/d/m", "m", "e/m"):
            if folder == f"{here}/d" and path != "m" and not path.startswith("/"):
                continue  # TensorFlow takes them as relative to the directory, and writes d/d/m
            found[f"{folder} {path}".replace(here, "here")] = lambda folder=folder, path=path: (
                updated(folder, path, [f"{here}/d/a", "/abs/b"])
            )
    return found


def case_updated_with_options(tf):
    os.mkdir("d")
    update, get = tf.train.update_checkpoint_state, tf.train.get_checkpoint_state
    listed = ["d/a", "d/m"]
    return {
        "another file": lambda: update("d", "d/m", latest_filename="other"),
        "its state": lambda: told(get("d", "other")),
        "no state": lambda: told(get("d")),
        "times": lambda: update("d", "d/m", listed, None, [1.5, 2.5], 7.25),
        "state": lambda: told(get("d")),
        "too few times": lambda: update("d", "d/m", listed, None, [1.5]),
        "as before": lambda: told(get("d")),
        "called like the file": lambda: update("d", "d/checkpoint"),
        "called like the other": lambda: update("d", "d/other", latest_filename="other"),
        "called like it in another directory": lambda: update("d", "e/checkpoint"),
        "in a folder that is not there": lambda: update("d", "d/m", latest_filename="x/y"),
        "no path": lambda: update("d", None),
        "no directory": lambda: update(None, "m"),
        "files": lambda: sorted(os.listdir("d")),
    }


TEXTS = {
    "latest": 'model_checkpoint_path: "m"\n',
    "other quotes": "model_checkpoint_path: 'm'\n",
    "spaces": '  model_checkpoint_path :  "m"  \n\n',
    "escapes": 'model_checkpoint_path: "a\\nb\\303\\274\\"q"\n',
    "twice": 'model_checkpoint_path: "m"\nmodel_checkpoint_path: "n"\n',
    "absolute": 'model_checkpoint_path: "/x/m"\nall_model_checkpoint_paths: "/x/m"\nall_model_checkpoint_paths: "r"\n',
    "one line": 'model_checkpoint_path: "m" all_model_checkpoint_paths: "a" all_model_checkpoint_paths: "m"',
    "times": 'model_checkpoint_path: "m"\nall_model_checkpoint_paths: "m"\nall_model_checkpoint_timestamps: 3\n'
    "last_preserved_timestamp: 1e9\n",
    "endless": 'model_checkpoint_path: "m"\nall_model_checkpoint_timestamps: inf\n',
    "carriage returns": 'model_checkpoint_path: "m"\r\nall_model_checkpoint_paths: "m"\r\n',
    "here": 'model_checkpoint_path: "./m"\n',
}


def case_read(tf):
    here, found = os.getcwd(), {}
    os.mkdir("d")
    for name, text in TEXTS.items():
        with open("d/checkpoint", "w", newline="") as file:
            file.write(text)
        for folder in ("d", "d/", f"{here}/d"):
            state = str(told(tf.train.get_checkpoint_state(folder)))
            found[f"{name} {folder}".replace(here, "here")] = state.replace(here, "here")
        found[f"{name}, latest"] = tf.train.latest_checkpoint("d")
    for folder in ("nope", "", "/nope"):
        found[f"state of {folder}"] = tf.train.get_checkpoint_state(folder)
        found[f"latest of {folder}"] = tf.train.latest_checkpoint(folder)
    for folder in (None, 3, b"d"):
        found[f"state of {folder}"] = lambda folder=folder: tf.train.get_checkpoint_state(folder)
        found[f"latest of {folder}"] = lambda folder=folder: tf.train.latest_checkpoint(folder)
    return found


def case_files_of_a_checkpoint(tf):
    sess, saver, here = session(tf), tf.train.Saver(), os.getcwd()
    first, second = saver.save(sess, "d/m", 1), saver.save(sess, "d/m", 2)
    folders = ["d", "d/", "./d", "d//", f"{here}/d", "d/.", "d/../d"]
    exists, times = tf.train.checkpoint_exists, tf.train.get_checkpoint_mtimes
    remove = tf.train.remove_checkpoint
    others = ("d/m", "d/m-1.meta", "nope/x", "", None, 3)

    def left():
        return sorted(
            {name.partition(".")[0] + name[-5:] * name.endswith("meta") for name in os.listdir("d")}
        )

    def saved(step, **options):
        saver.save(sess, "d/m", step, **options)
        return left()

    return {
        "latest": [tf.train.latest_checkpoint(folder).replace(here, "here") for folder in folders],
        "exists": [exists(first), exists(second), exists(f"{here}/d/m-1")],
        **{f"exists {path}": lambda path=path: exists(path) for path in others},
        "times": [len(times(paths)) for paths in ([], [first], (first, "d/m", second, first))],
        "time": abs(times([first])[0] - time.time()) < 100,
        "times of None": lambda: times(None),
        "times of a number": lambda: times([3]),
        "removed": lambda: [remove(second), left()],
        "removed again": lambda: remove(second),
        "nothing to remove": lambda: remove("no/where"),
        "latest then": lambda: tf.train.latest_checkpoint("d") in (None, first),  # ours looks on
        "another suffix": lambda: saved(3, meta_graph_suffix="gr"),
        "left": lambda: [remove("d/m-3"), os.path.exists("d/m-3.gr")],
        "gone": lambda: [remove("d/m-3", meta_graph_suffix="gr"), os.path.exists("d/m-3.gr")],
        "one begins like the other": lambda: [saver.save(sess, "d/n"), saver.save(sess, "d/n2"), remove("d/n"), left()],
    }  # fmt: skip
