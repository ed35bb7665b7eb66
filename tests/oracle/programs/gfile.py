"""Files and folders: what `tf.gfile` and `tf.io.gfile` return and raise."""

import os
import tempfile


def outcome(call, *args, **kwargs):
    """The value, or the name of the error."""
    try:
        found = call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  # the error is the result, and is compared
        return type(error).__name__
    return sorted(found) if isinstance(found, list) else found


def case_folders(tf):
    with tempfile.TemporaryDirectory() as d:
        with open(f"{d}/f", "w") as file:
            file.write("hello\nworld\n")
        g, new = tf.gfile, tf.io.gfile
        calls = [
            (g.MkDir, "a"), (g.MkDir, "a"), (g.MkDir, "x/y"), (g.MakeDirs, "x/y"), (g.MakeDirs, "x/y"), (g.MakeDirs, "f"),
            (g.MakeDirs, "f/z"), (g.Exists, ""), (g.Exists, "no"), (g.ListDirectory, ""), (g.ListDirectory, "no"),
            (g.ListDirectory, "f"), (g.IsDirectory, "a"), (g.IsDirectory, "f"), (g.IsDirectory, "no"), (g.Remove, "no"),
            (g.Remove, "a"), (g.Stat, "no"), (g.DeleteRecursively, "no"), (g.DeleteRecursively, "x"), (g.Exists, "x"),
            (new.exists, "f"), (new.isdir, "a"), (new.listdir, ""), (new.makedirs, "f"), (new.remove, "no"), (new.rmtree, "no"),
        ]  # fmt: skip
        return {f"{i} {path}": outcome(call, f"{d}/{path}") for i, (call, path) in enumerate(calls)}


def case_copies(tf):
    with tempfile.TemporaryDirectory() as d:
        for name in ("f", "g"):
            with open(f"{d}/{name}", "w") as file:
                file.write(name)
        os.mkdir(f"{d}/a")
        g = tf.gfile
        return {
            "copy": outcome(g.Copy, f"{d}/f", f"{d}/f2"),
            "onto": outcome(g.Copy, f"{d}/f", f"{d}/f2"),
            "over": outcome(g.Copy, f"{d}/g", f"{d}/f2", overwrite=True),
            "missing": outcome(g.Copy, f"{d}/no", f"{d}/f3"),
            "directory": outcome(g.Copy, f"{d}/a", f"{d}/f3"),
            "rename": outcome(g.Rename, f"{d}/f2", f"{d}/f4"),
            "rename onto": outcome(g.Rename, f"{d}/f4", f"{d}/f"),
            "rename over": outcome(g.Rename, f"{d}/f4", f"{d}/f", overwrite=True),
            "rename missing": outcome(g.Rename, f"{d}/no", f"{d}/q"),
            "left": g.GFile(f"{d}/f").read(),
        }


def case_paths(tf):
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as d:
        os.makedirs(f"{d}/w/b/c")
        for name in ("w/1", "w/b/2", "w/b/c/z", ".hidden"):
            with open(f"{d}/{name}", "w"):
                pass
        g = tf.gfile
        os.chdir(d)
        try:
            patterns = [
                "*",
                "./*",
                "w",
                "w/*/2",
                "*/b/c/*",
                "w/?",
                "w/[0-9]",
                "no*",
                "*/",
                "w/",
                ["w", "w/*"],
            ]
            return {
                **{f"glob {p}": outcome(g.Glob, p) for p in patterns},
                "walk": [[x[0], sorted(x[1]), sorted(x[2])] for x in g.Walk("w")],
                "up": [[x[0], sorted(x[1]), sorted(x[2])] for x in g.Walk("w", in_order=False)],
                "no walk": list(g.Walk("no")),
                "joins": [tf.io.gfile.join(*p) for p in (("a", "b", "/c"), ("gs://x", "b"), ("gs://x/", "b"))],
                "wrong": [outcome(g.Exists, 5), outcome(g.Exists, None), outcome(g.Exists, b"w")],
            }  # fmt: skip
        finally:
            os.chdir(here)


def case_reading(tf):
    with tempfile.TemporaryDirectory() as d:
        with open(f"{d}/f", "w") as file:
            file.write("hello\nworld\n")
        f = tf.gfile.GFile(f"{d}/f")
        steps = [
            f.read(), f.size(), f.tell(), outcome(f.seek, 0), f.readline(), f.readlines(), outcome(f.seek, 0), f.read(2),
            outcome(f.seek, 2, 1), f.tell(), outcome(f.seek, -2, 2), f.read(), outcome(f.seek, 100), f.tell(),
            outcome(f.seek, -1), outcome(f.seek, 0, 5), outcome(f.seek), outcome(f.write, "x"), f.seekable(),
        ]  # fmt: skip
        f.close()
        again = f.read()
        binary = tf.gfile.GFile(f"{d}/f", "rb")
        return {
            "steps": [str(step) for step in steps],
            "again": again,
            "binary": str(list(binary)),
            "missing": outcome(tf.gfile.GFile(f"{d}/no").read),
            "missing size": outcome(tf.gfile.GFile(f"{d}/no").size),
            "a directory": outcome(tf.gfile.GFile(d).read),
            "modes": [outcome(tf.gfile.GFile, f"{d}/f", m) for m in ("q", "rw", "")],
        }


def case_writing(tf):
    with tempfile.TemporaryDirectory() as d:
        f = tf.gfile.GFile(f"{d}/n", "w")
        f.write("abc")
        f.write(b"def")
        before = f.size()
        f.flush()
        seen = [before, f.tell(), f.size(), outcome(f.read), outcome(f.write, 3)]
        f.close()
        with tf.gfile.FastGFile(f"{d}/n", "a") as f:
            f.write("ä\n")
            seen.append(f.tell())
        with tf.io.gfile.GFile(f"{d}/n") as f:
            seen.append(f.read())
        seen.append(outcome(tf.gfile.GFile(f"{d}/no/n", "w").write, "x"))
        with tf.gfile.Open(f"{d}/n", "wb") as f:
            f.write(b"\xff")
        seen.append(outcome(tf.gfile.GFile(f"{d}/n").read))
        return {"seen": [str(x) for x in seen]}
