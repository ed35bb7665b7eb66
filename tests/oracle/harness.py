"""Run TF1 programs and write down what they compute, so that two implementations can be compared.

A program is a file under programs/. Each of its functions `case_*(tf)` gets the module to use (`ckpt`, or
`tensorflow.compat.v1`), a fresh default graph and an empty current directory, and returns a dict of named results: arrays
or plain data (strings, numbers, lists and dicts of them, such as the names of operations). A result that is a function is
called, in the order of the dict: what it returns is the result, or the class of what it raises. A function `error_*(tf)`
must raise: the class of the error is its result. `TOLERANCE = {"rtol": ..., "atol": ...}` in the file says how close floating point numbers must be.

    CKPT_ORACLE_PYTHON=tf/bin/python pytest tests/oracle          compare everything
    tf/bin/python tests/oracle/harness.py OUT PROGRAM.py...       what the tests call: real TensorFlow's answers

This file runs in the interpreter that has TensorFlow, and in ours: it must not know pytest, nor import ckpt.
"""

import contextlib
import difflib
import importlib.util
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np

HERE = str(Path(__file__).resolve().parent)
PROGRAMS = Path(HERE) / "programs"
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
SHOWN = 20  # lines of one difference


def load_program(path):
    """The module at `path`, executed afresh; it may import what lies beside this file, `standing`."""
    if HERE not in sys.path:  # which the interpreter of TensorFlow, run on this file, has put there
        sys.path.append(HERE)
    spec = importlib.util.spec_from_file_location(f"oracle_{Path(path).stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def case_names(module):
    """The cases of a program in the order of its file."""
    return [name for name in vars(module) if name.startswith(("case_", "error_"))]


def run_case(module, name, tf):
    """The outcome of one case: {"results": {...}}, or {"error": class names, nearest first, "message": text}."""
    try:
        with empty_directory(), tf.Graph().as_default():
            results = getattr(module, name)(tf)
            return {"results": {key: _told(value) for key, value in results.items()}}
    except Exception as error:  # noqa: BLE001  # the error is the result, and is compared
        return {**_told_error(error), "traceback": traceback.format_exc()}


@contextlib.contextmanager
def empty_directory():
    """A fresh current directory, for the time of the block."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _told(value):
    """A function as what it returns or raises; anything else as it is."""
    if not callable(value):
        return value
    try:
        return value()
    except Exception as error:  # noqa: BLE001  # as above
        return _told_error(error)


def _told_error(error):
    return {"error": [kind.__name__ for kind in type(error).__mro__], "message": str(error)}


def unexpected_error(name, theirs):
    """Why TensorFlow's own outcome of case `name` shows a mistake in the program; None when it does not."""
    if name.startswith("error_"):
        return None if "error" in theirs else "TensorFlow raises nothing: rename it to case_*"
    return theirs.get("traceback")


def differences(ours, theirs, tolerance=None):
    """Every way in which our outcome of a case is not theirs, one string each; empty when they agree."""
    if "error" in theirs:
        return _error_differences(ours, theirs)
    if "error" in ours:
        return [f"ours raised:\n{ours['traceback']}"]
    mine, oracle = ours["results"], theirs["results"]
    found = [f"{name}: only ours has this result" for name in mine if name not in oracle]
    found += [f"{name}: only TensorFlow has this result" for name in oracle if name not in mine]
    for name in mine:
        if name in oracle:
            problem = _value_difference(mine[name], oracle[name], tolerance or TOLERANCE)
            found += [f"{name}: {problem}"] if problem else []
    return found


def _error_differences(ours, theirs):
    expected = f"TensorFlow raised {theirs['error'][0]}: {theirs['message'][:200]}"
    if "error" not in ours:
        return [f"ours raised nothing; {expected}"]
    if theirs["error"][0] not in ours["error"]:
        found = ours.get("traceback") or f"{ours['error'][0]}: {ours['message']}"
        return [f"{expected}\nours raised:\n{found}"]
    return []


def _is_error(value):
    return isinstance(value, dict) and set(value) == {"error", "message"}


def _value_difference(mine, oracle, tolerance):
    if _is_error(oracle):
        found = _error_differences(mine if _is_error(mine) else {}, oracle)
        return f"{found[0]}; ours gave {mine!r:.300}" if found else None
    if _is_array(mine) and _is_array(oracle):
        return _array_difference(np.asarray(mine), np.asarray(oracle), tolerance)
    mine, oracle = _plain(mine), _plain(oracle)
    if mine == oracle:
        return None
    lines = difflib.unified_diff(
        _lines(oracle), _lines(mine), "TensorFlow", "ours", lineterm="", n=1
    )
    shown = list(lines)
    rest = [f"... {len(shown) - SHOWN} more lines"] if len(shown) > SHOWN else []
    return "\n".join(["not the same", *shown[:SHOWN], *rest])


def _array_difference(mine, oracle, tolerance):
    if mine.dtype != oracle.dtype:
        return f"dtype is {mine.dtype}, TensorFlow's is {oracle.dtype}"
    if mine.shape != oracle.shape:
        return f"shape is {mine.shape}, TensorFlow's is {oracle.shape}"
    if mine.dtype.kind not in "fcV":
        same = mine == oracle
    else:
        wide = np.complex128 if mine.dtype.kind == "c" else np.float64
        mine, oracle = mine.astype(wide), oracle.astype(wide)
        same = np.isclose(mine, oracle, equal_nan=True, **tolerance)
    if np.all(same):
        return None
    worst = _farthest(mine, oracle, same)
    return (
        f"{np.size(same) - np.count_nonzero(same)} of {np.size(same)} values differ, "
        f"the most at {list(map(int, worst))}: {mine[worst]!r}, TensorFlow's is {oracle[worst]!r}"
    )


def _farthest(mine, oracle, same):
    if mine.dtype.kind not in "fciu":
        return np.unravel_index(np.argmin(same), np.shape(same))
    wide = np.complex128 if mine.dtype.kind == "c" else np.float64
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        distance = np.abs(mine.astype(wide) - oracle.astype(wide))
    distance = np.where(same, -1.0, np.nan_to_num(distance, nan=np.inf))
    return np.unravel_index(np.argmax(distance), np.shape(same))


def _is_array(value):
    return isinstance(value, (np.ndarray, np.generic)) and np.asarray(value).dtype.kind not in "OSU"


def _plain(value):
    """`value` as JSON gives it back: tuples are lists, bytes are text, arrays of objects are lists."""
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "items": _plain(value.ravel().tolist())}
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _lines(value):
    if isinstance(value, list):
        return [json.dumps(item) for item in value]
    return json.dumps(value, indent=0).splitlines()


def write_outcomes(folder, program, outcomes):
    """Keep the outcomes of one program: arrays in NAME.npz, everything else in NAME.json."""
    arrays, told = {}, {}
    for case, outcome in outcomes.items():
        told[case] = dict(outcome)
        if "results" not in outcome:
            continue
        told[case]["results"] = {}
        for name, value in outcome["results"].items():
            if _is_array(value):
                array = np.asarray(value)
                key = f"{case}:{name}"
                arrays[key] = array.view(np.uint8) if array.dtype.kind == "V" else array
                told[case]["results"][name] = {"array": key, "dtype": array.dtype.name}
            else:
                told[case]["results"][name] = {"data": _plain(value)}
    np.savez(folder / f"{program}.npz", **arrays)
    (folder / f"{program}.json").write_text(json.dumps(told))


def read_outcomes(folder, program):
    """What `write_outcomes` kept."""
    import ml_dtypes  # noqa: F401  # lets numpy know bfloat16 and its like

    outcomes = json.loads((folder / f"{program}.json").read_text())
    with np.load(folder / f"{program}.npz") as arrays:
        for outcome in outcomes.values():
            for name, told in outcome.get("results", {}).items():
                value = told["data"] if "data" in told else arrays[told["array"]]
                if "data" not in told and value.dtype.name != told["dtype"]:
                    value = value.view(np.dtype(told["dtype"]))
                outcome["results"][name] = value
    return outcomes


def main(folder, *programs):
    """Run every case of `programs` under real TensorFlow and write the outcomes to `folder`."""
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # the plain kernels: one order of summation
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # nn.rnn_cell lives in the package tf-keras
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    for path in programs:
        module = load_program(path)
        outcomes = {name: run_case(module, name, tf) for name in case_names(module)}
        write_outcomes(Path(folder), Path(path).stem, outcomes)
    (Path(folder) / "version").write_text(tf.__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
