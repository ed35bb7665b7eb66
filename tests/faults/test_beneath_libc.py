"""Faults at every system call of saves and restores, beneath Python, numpy and HDF5: RELIABILITY gates G1 to G4, G6."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.beneath import FAULTS, HARMLESS, MORE
from tests.faults.scenes import EXHAUSTIVE, READING, WRITING

QUICK = ("SecondSaveDeletingTheFirst", "Overwriting")
SLOW = ("FirstSaveInANewDirectory", "InTheBackground", "Restoring")
NIGHTLY = [
    scene.__name__
    for scene in [*WRITING, *READING]
    # its calls are those of the others, and each of its cases takes longer
    if scene.__name__ not in (*QUICK, *SLOW, "ManySmallTensors")
]
SCENES = [
    *QUICK,
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in [*SLOW, *(NIGHTLY if EXHAUSTIVE else [])]
    ),
]


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The shared object that is loaded beneath libc."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler (cc): the shim is built from shim.c")
    target = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(target), str(source), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return target


def enumerated(shim, tmp_path, scene, *options):
    env = {**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip
    command = [sys.executable, "-m", "tests.faults.beneath", scene, str(tmp_path), *options]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=env, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("scene", SCENES)
def test_every_call_fails_is_cut_or_is_the_last(shim, tmp_path, scene):
    found = enumerated(shim, tmp_path, scene)
    assert found.keys() == FAULTS.keys()
    for fault, outcomes in found.items():
        assert outcomes["ok"] >= 1  # the run that did not meet its fault
        if fault in HARMLESS:
            assert outcomes.keys() == {"ok"}
        elif fault.startswith("death"):
            assert outcomes["killed"] >= 3
        else:
            assert sum(outcomes.values()) > outcomes["ok"]


@pytest.mark.slow
@pytest.mark.parametrize("scene", ["Overwriting", "ThirdSaveOfTwoKept"])
def test_the_other_errors(shim, tmp_path, scene):
    found = enumerated(shim, tmp_path, scene, "--more")
    assert found.keys() == MORE.keys()
    assert all(outcomes.keys() - {"ok"} for outcomes in found.values())
