"""`ckpt inspect` as a process: output, exit codes, errors."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest

from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_writer import write
from ckpt.saver.state_file import update_checkpoint_state


def ckpt(*args, **options):
    command = [sys.executable, "-m", "ckpt", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def prefix(tmp_path):
    entries = [
        TensorEntry("dense/kernel", np.zeros((784, 128), np.float32)),
        TensorEntry("dense/bias", np.zeros(128, np.float32)),
    ]
    write(tmp_path / "model.ckpt-5.h5", entries)
    return tmp_path / "model.ckpt-5"


def test_lines_when_piped(prefix):
    for path in (prefix, f"{prefix}.h5"):
        ended = ckpt("inspect", path)
        assert (ended.returncode, ended.stderr) == (0, "")
        lines = ended.stdout.splitlines()
        assert "variable\tdense/kernel\tfloat32\t[784,128]\t401408" in lines
        assert "step\t5" in lines
        assert "total\t2\t100480\t401920" in lines


def test_a_table_on_a_terminal(prefix):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ckpt", "ls", str(prefix)]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        assert process.wait() == 0
    os.close(ours)
    assert b"dense/kernel  float32  [784,128]  392.0 KiB" in shown
    assert b"2 variables, 100,480 elements, 392.5 KiB" in shown


def test_json_names_sort_and_patterns(prefix):
    document = json.loads(ckpt("inspect", prefix, "--json").stdout)
    assert document["schema"] == "ckpt.inspect"
    assert document["totals"]["nbytes"] == 401920
    assert ckpt("inspect", prefix, "--names").stdout == "dense/kernel\ndense/bias\n"
    assert ckpt("ls", prefix, "--names", "--sort", "name").stdout == "dense/bias\ndense/kernel\n"
    assert ckpt("ls", prefix, "--names", "dense/k*").stdout == "dense/kernel\n"


def test_a_directory_means_its_latest_checkpoint(prefix, tmp_path):
    update_checkpoint_state(str(tmp_path), str(prefix))
    ended = ckpt("inspect", tmp_path, "--json")
    assert json.loads(ended.stdout)["step"] == 5
    (tmp_path / "empty").mkdir()
    ended = ckpt("inspect", tmp_path / "empty")
    assert ended.returncode == 3
    assert "no checkpoint" in ended.stderr


def failed(ended, status, code, *texts):
    assert (ended.returncode, ended.stdout) == (status, "")
    first, *_, last = ended.stderr.splitlines()
    assert first.startswith(f"error[{code}]: ")
    assert last.startswith("try: ")
    assert "Traceback" not in ended.stderr
    for text in texts:
        assert text in ended.stderr


def test_failures_have_their_exit_codes_and_nothing_on_stdout(prefix, tmp_path):
    failed(ckpt("inspect", tmp_path / "nothing"), 3, "E0301", "nothing")
    (tmp_path / "cut.h5").write_bytes((tmp_path / "model.ckpt-5.h5").read_bytes()[:1000])
    failed(ckpt("inspect", tmp_path / "cut.h5"), 3, "E0302", "cut.h5")
    failed(ckpt("inspect", prefix, "no/such"), 4, "E0402", "no/such")
    failed(ckpt("inspect"), 2, "E0201", "PATH")
    failed(ckpt("inspect", prefix, "--sort", "norm"), 2, "E0201", "norm")
    failed(ckpt("explode"), 2, "E0201", "explode")


def test_debug_shows_the_traceback(tmp_path):
    ended = ckpt("inspect", tmp_path / "nothing", "--debug")
    assert ended.returncode != 0
    assert "Traceback" in ended.stderr


def test_help_documents_exit_codes_and_loads_nothing_heavy(prefix):
    assert "Exit codes" in ckpt("--help").stdout
    code = (
        "import sys; from ckpt.cli.main import run; run(sys.argv[1:]);"
        "sys.stderr.write(str([m for m in ('numpy', 'h5py', 'rich', 'google.protobuf') "
        "if m in sys.modules]))"
    )
    for args in (["--help"], ["inspect", str(prefix)], ["inspect", str(prefix.parent), "--help"]):
        command = [sys.executable, "-c", code, *args]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ended.stderr == "[]"


@pytest.mark.parametrize("count", [1, 3000])
def test_a_reader_that_leaves_early_is_no_error(tmp_path, count):
    entries = [TensorEntry(f"variable/{i}", np.zeros(1, np.int8)) for i in range(count)]
    write(tmp_path / "many.h5", entries)
    shell = f"set -o pipefail; {sys.executable} -m ckpt ls {tmp_path}/many.h5 | head -c 1"
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "c", "")
