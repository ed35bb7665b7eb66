"""Real SIGKILLs, file size limits and a full file system, each in a process of its own: RELIABILITY gates G1 to G3."""

import os
import shutil
import subprocess
import sys

import pytest

UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]


def run(tmp_path, what, *before):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    command = [*before, sys.executable, "-m", "tests.faults.real", what, str(tmp_path)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=env, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
def test_two_hundred_random_kills(tmp_path):
    assert "200 kills" in run(tmp_path, "kills")


def test_a_file_size_limit_at_every_sector(tmp_path):
    assert "limits" in run(tmp_path, "limits")


def test_a_full_disk(tmp_path):
    probe = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if (
        not shutil.which("unshare")
        or subprocess.run(probe, check=False, capture_output=True).returncode
    ):
        pytest.skip(
            "needs a mount namespace of its own (unshare --user --mount), which this system does not allow"
        )
    assert "refused" in run(tmp_path, "full", *UNSHARE)
