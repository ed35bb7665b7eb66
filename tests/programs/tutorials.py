"""The scripts under tutorials/ as one program of the oracle's harness: a case per script.

A script is a TensorFlow 1 program as a user would have it: everything on the top level, and `IMPORT` its only word about
where the names come from. That line alone is replaced. It leaves what it computed in `results`, by name.

Like ../oracle/harness.py, this file also runs in the interpreter that has TensorFlow: no pytest, no ckpt.
"""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "tutorials"
IMPORT = "import tensorflow.compat.v1 as tf"
SCRIPTS = {path.stem: path for path in sorted(FOLDER.glob("*.py"))}

# How far sums of float32 in another order may lead apart, in some dozens of steps: by default, and where it is farther.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
TOLERANCES = {
    "cnn_dropout": {"rtol": 1e-3, "atol": 1e-4},
}


def run_script(path, tf):
    """The `results` of one script, run in an empty directory and with a default graph of its own."""
    line = IMPORT if tf.__name__ != "ckpt" else "import ckpt as tf"
    source = path.read_text()
    if source.count(IMPORT) != 1:
        raise ValueError(f"{path.name} must have this line once: {IMPORT}")
    program = compile(source.replace(IMPORT, line), str(path), "exec")
    # A new thread has no default graph or session yet, like a new process: reset_default_graph works.
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(1) as thread:
        before = os.getcwd()
        os.chdir(directory)
        try:
            return thread.submit(_execute, program, path).result()
        finally:
            os.chdir(before)


def _execute(program, path):
    names = {"__name__": "__main__", "__file__": str(path)}
    exec(program, names)
    return names["results"]


globals().update({f"case_{stem}": partial(run_script, path) for stem, path in SCRIPTS.items()})
