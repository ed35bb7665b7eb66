"""`ckpt cat` as a process."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_writer import write
from ckpt.saver.state_file import update_checkpoint_state
from tests.cli.test_inspect_cli import ckpt, failed

KERNEL = np.arange(12, dtype=np.float32).reshape(3, 4) / 10


@pytest.fixture
def run(tmp_path):
    words = np.array([b"a,b", b"\xc3\xa9"], object)
    write(tmp_path / "m-1.h5", [TensorEntry("dense/kernel", KERNEL), TensorEntry("words", words)])
    update_checkpoint_state(str(tmp_path), str(tmp_path / "m-1"))
    return tmp_path


def test_values_in_each_format(run, tmp_path):
    assert ckpt("cat", run, "dense/kernel").stdout.startswith("[[0.  0.1 0.2 0.3]\n")
    assert ckpt("cat", run / "m-1", "dense/kernel", "--format", "csv").stdout.splitlines() == [
        "0.0,0.1,0.2,0.3", "0.4,0.5,0.6,0.7", "0.8,0.9,1.0,1.1"
    ]  # fmt: skip
    document = json.loads(ckpt("cat", run / "checkpoint", "words", "--format", "json").stdout)
    assert document == {"name": "words", "dtype": "string", "shape": [2], "values": ["a,b", "é"]}
    out = tmp_path / "k.npy"
    assert ckpt("cat", run, "dense/kernel", "--format", "npy", "-o", out).stdout == ""
    np.testing.assert_array_equal(np.load(out), KERNEL)
    command = [sys.executable, "-m", "ckpt", "cat", str(run), "dense/kernel", "--format", "npy"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == out.read_bytes()
    assert ckpt("cat", run, "words", "-o", tmp_path / "w.txt").returncode == 0
    assert (tmp_path / "w.txt").read_text(encoding="utf-8") == "['a,b' 'é']\n"


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ("1", KERNEL[1]),
        ("-1,2", KERNEL[-1, 2]),
        ("0:2,1:", KERNEL[0:2, 1:]),
        (":,::2", KERNEL[:, ::2]),
        ("::-1", KERNEL[::-1]),
        (":", KERNEL),
        ("5:9", KERNEL[5:9]),
    ],
)
def test_a_slice_is_numpys(run, cut, expected):
    ended = ckpt("cat", run, "dense/kernel", f"--slice={cut}", "--format", "json")
    document = json.loads(ended.stdout)
    assert document["shape"] == list(expected.shape)
    np.testing.assert_allclose(np.array(document["values"]).reshape(expected.shape), expected)


def test_what_is_not_there(run):
    failed(ckpt("cat", run, "dense/kernal"), 4, "E0402", "dense/kernal", "similar: dense/kernel")
    failed(ckpt("cat", run, "words", "--slice", "2"), 4, "E0402", "out of bounds")
    failed(ckpt("cat", run, "words", "--slice", "0,0"), 4, "E0402", "too many indices")
    for wrong in ("a", "", "1,,2", "0:1:0", "0:1:2:3"):
        failed(ckpt("cat", run, "words", "--slice", wrong), 2, "E0201", "--slice")
    failed(ckpt("cat", f"{run}/m-2", "words"), 3, "E0301", "similar: ")


def test_damaged_values_are_not_shown(run):
    data = bytearray((run / "m-1.h5").read_bytes())
    data[data.index(KERNEL.tobytes())] ^= 1
    (run / "m-1.h5").write_bytes(data)
    failed(ckpt("cat", run, "dense/kernel"), 3, "E0302", "dense/kernel")
    assert ckpt("cat", run, "words").returncode == 0
