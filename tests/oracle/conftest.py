"""Real TensorFlow's answers to all programs, from one process per test session."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.oracle import harness

VARIABLE = "CKPT_ORACLE_PYTHON"
LONGEST = 600  # seconds; a start of TensorFlow takes about ten


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """A function from the name of a program to TensorFlow's outcomes of its cases."""
    programs = sorted(harness.PROGRAMS.glob("*.py"))
    return outcomes_of(programs, tmp_path_factory.mktemp("oracle"))


def outcomes_of(programs, folder):
    """A function from the name of one of `programs` (paths) to its outcomes; they are kept in `folder`."""
    interpreter = oracle_python()
    command = [interpreter, str(Path(harness.__file__)), str(folder), *map(str, programs)]
    scratch = folder / "scratch"  # what programs leave in relative paths
    scratch.mkdir()
    ended = subprocess.run(
        command, cwd=scratch, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    if ended.returncode:
        pytest.fail(f"{VARIABLE}={interpreter} could not run the programs:\n{ended.stderr[-4000:]}")
    return lambda program: harness.read_outcomes(folder, program)


def oracle_python():
    """The interpreter that has TensorFlow; the test is skipped where none is named."""
    interpreter = os.environ.get(VARIABLE)
    if not interpreter:
        pytest.skip(f"needs real TensorFlow: set {VARIABLE} to a Python that has tensorflow-cpu")
    return interpreter
