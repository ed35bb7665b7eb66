"""`ckpt latest`, `verify`, `prune` and `pin` as processes: output, exit codes, errors."""

import json
import os
import re
import struct
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

import ckpt as tf
from ckpt.cli.main import run as cli
from ckpt.formats import detect


def ckpt(*args):
    command = [sys.executable, "-m", "ckpt", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def run(tmp_path):
    """A directory with m-1 ... m-4, whose losses are 4, 3, 1, 2."""
    v = tf.get_variable("v", [1000])
    saver = tf.train.Saver(max_to_keep=0)
    with tf.Session() as sess:
        sess.run(v.initializer)
        for step, loss in enumerate((4, 3, 1, 2), 1):
            saver.save(sess, tmp_path / "m", global_step=step, metrics={"loss": loss})
    return tmp_path


def steps(directory):
    return sorted(name[2:-3] for name in os.listdir(directory) if name.endswith(".h5"))


def test_latest_prints_the_prefix_alone(run):
    ended = ckpt("latest", run)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{run}/m-4\n", "")
    os.truncate(run / "m-4.h5", 1000)
    assert ckpt("latest", run).stdout == f"{run}/m-4\n"
    for option in ("--valid", "--quick"):
        ended = ckpt("latest", run, option)
        assert (ended.returncode, ended.stdout) == (0, f"{run}/m-3\n")
        assert ended.stderr.startswith(f"passed over {run}/m-4: ")
    document = json.loads(ckpt("latest", run, "--valid", "--json").stdout)
    assert (document["schema"], document["step"]) == ("ckpt.latest", 3)
    assert "m-4.h5" in document["skipped"][0]["reason"]


def test_latest_tells_none_from_unreadable_and_repairs(run, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    ended = ckpt("latest", empty)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"{empty}: no checkpoint\n")
    (run / "checkpoint").write_bytes(b"")
    ended = ckpt("latest", run)
    assert ended.returncode == 3
    assert "ckpt latest --rebuild" in ended.stderr
    ended = ckpt("latest", run, "--quick")
    assert (ended.returncode, ended.stdout) == (0, f"{run}/m-4\n")
    assert ended.stderr.splitlines()[-1] == "The order is taken from the directory"
    ended = ckpt("latest", run, "--rebuild", "--dry-run")
    assert (ended.returncode, ended.stdout) == (0, f"{run}/m-4\n")
    assert (run / "checkpoint").read_bytes() == b""
    assert ckpt("latest", run, "--rebuild").stdout == f"{run}/m-4\n"
    assert ckpt("latest", run).stdout == f"{run}/m-4\n"
    assert ckpt("latest", run, "-n").returncode == 2


def test_verify_names_file_and_tensor_and_exits_with_1(run):
    ended = ckpt("verify", run)
    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [f"ok\t{run}/m-{step}" for step in (1, 2, 3, 4)]
    data = bytearray((run / "m-2.h5").read_bytes())
    with detect.open_reader(run / "m-2") as reader:
        data[data.index(reader.read("v").tobytes())] ^= 1
    (run / "m-2.h5").write_bytes(data)
    for path in ("m-2", "m-2.h5", "m-2.meta"):
        ended = ckpt("verify", run / path, run / "m-1")
        assert ended.returncode == 1
        damaged, whole = ended.stdout.splitlines()
        assert damaged.startswith(f"damaged\t{run}/m-2\t{run}/m-2.h5: ")
        assert "tensor 'v': bytes " in damaged
        assert " do not have the CRC32C " in damaged
        assert whole == f"ok\t{run}/m-1"
    assert ckpt("verify", "--quick", run / "m-2").returncode == 0
    document = json.loads(ckpt("verify", "--json", run).stdout)
    assert [one["whole"] for one in document["checkpoints"]] == [True, False, True, True]
    assert ckpt("verify", run / "m-9").returncode == 3


def torch_file(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"x")


def keras_file(path):
    with h5py.File(path, "w") as file:
        file["w"] = [1.0]


FOREIGN = {
    "w.npz": (lambda path: np.savez(path, w=np.ones(3)), "an .npz file of numpy.*numpy.load"),
    "w.npy": (lambda path: np.save(path, np.ones(3)), "numpy.load"),
    "w.pt": (torch_file, "a file of PyTorch.*torch.load"),
    "w.h5": (keras_file, "HDF5 file.*another program: read it with h5py"),
    "w.safetensors": (
        lambda path: path.write_bytes(struct.pack("<Q", 70) + b'{"w":{"dtype":"F32"'),
        "safetensors.numpy.load_file",
    ),
    "w.data-00000-of-00001": (lambda path: path.write_bytes(b"\1"), "tf.train.load_checkpoint"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_verify_tells_other_formats_from_damage_and_what_reads_them(tmp_path, capsys, name):
    write, meaning = FOREIGN[name]
    write(tmp_path / name)
    assert cli(["verify", str(tmp_path / name), "--json"]) == 5
    (found,) = json.loads(capsys.readouterr().out)["checkpoints"]
    assert (found["whole"], found["foreign"]) == (False, True)
    assert re.search(meaning, found["reason"])
    assert cli(["verify", str(tmp_path / name), "--quick"]) == 5
    assert capsys.readouterr().out.startswith(f"other\t{tmp_path}/w")


def test_verify_takes_no_damaged_checkpoint_for_another_format(run, capsys):
    whole = (run / "m-1.h5").read_bytes()
    keras_file(run / "k.h5")
    for damage in (
        b"\x88" + whole[1:],
        whole[:3] + b"\xff\xff" + whole[5:],
        bytes(512) + whole[512:],
        b"",
        bytes(len(whole)),
        b"hello there\n",
    ):
        (run / "m-2.h5").write_bytes(damage)
        assert cli(["verify", str(run / "m-2.h5"), str(run / "k")]) == 1
        assert [line.partition("\t")[0] for line in capsys.readouterr().out.splitlines()] == [
            "damaged",
            "other",
        ]


def test_verify_goes_on_after_a_path_that_leads_nowhere(run):
    ended = ckpt("verify", run / "m-9", run / "m-1", run / "checkpoint")
    assert ended.returncode == 3
    assert ended.stdout.splitlines() == [f"ok\t{run}/m-{step}" for step in (1, 2, 3, 4)]
    assert f"{run}/m-9: no such checkpoint" in ended.stderr
    assert "similar" in ended.stderr


def test_a_wrong_directory_is_an_error_and_a_state_file_is_its_directory(run):
    for verb in (["latest"], ["prune", "--keep", 1]):
        ended = ckpt(*verb, f"{run}x")
        assert (ended.returncode, ended.stdout) == (3, "")
        assert f"no such directory; similar: {run}" in ended.stderr
    assert ckpt("latest", run / "checkpoint").stdout == f"{run}/m-4\n"
    assert ckpt("prune", run / "checkpoint", "--keep", 3, "-n").stdout.startswith("would delete\t")
    assert ckpt("pin", run).returncode == 0
    assert f"kept\t{run}/m-4\tpinned" in ckpt("prune", run, "--keep", 1, "-n").stdout


def test_prune_shows_and_does(run):
    ended = ckpt("pin", run / "m-1")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    ended = ckpt("prune", run, "--keep", 1, "--best", "loss", "--dry-run")
    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        f"would delete\t{run}/m-2\tno rule keeps it",
        f"kept\t{run}/m-1\tpinned",
        f"kept\t{run}/m-3\tmin loss is 1",
        f"kept\t{run}/m-4\tthe latest",
    ]
    assert steps(run) == ["1", "2", "3", "4"]
    document = json.loads(ckpt("prune", run, "--keep", 1, "--best", "loss:max:2", "--json").stdout)
    assert [os.path.basename(one["path"]) for one in document["deleted"]] == ["m-3"]
    assert steps(run) == ["1", "2", "4"]
    ckpt("pin", run / "m-1", "--remove")
    assert ckpt("prune", run, "--every-steps", 2, "--every-hours", 100).returncode == 0
    assert steps(run) == ["1", "2", "4"]  # the first of all is one of every 100 hours
    assert ckpt("prune", run, "--keep", 1).returncode == 0
    assert steps(run) == ["4"]


@pytest.mark.parametrize(
    "options", [[], ["--keep", "0"], ["--best", "loss:middle"], ["--every-hours", "0"]]
)
def test_prune_that_says_nothing_useful_is_refused(run, options):
    assert ckpt("prune", run, *options).returncode == 2
    assert steps(run) == ["1", "2", "3", "4"]


def test_salvage_lists_what_is_lost_and_writes_the_rest(tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        for name in ("a", "b"):
            tf.get_variable(name, initializer=tf.fill([100], 7.0))
        sess.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(sess, tmp_path / "m")
    data = (tmp_path / "m.h5").read_bytes()
    value = data.index(np.full(100, 7, "f").tobytes())
    (tmp_path / "m.h5").write_bytes(data[:value] + b"\1" + data[value + 1 :])
    for path in (tmp_path, tmp_path / "checkpoint"):
        assert ckpt("salvage", path, "-o", tmp_path / "out", "--dry-run").returncode == 1
    ended = ckpt("salvage", prefix, "-o", tmp_path / "out", "--json")
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["recovered"], list(document["lost"])) == (1, ["b"], ["a"])
    assert document["output"] == [f"{tmp_path}/out.h5", f"{tmp_path}/out.meta"]
    again = ckpt("salvage", tmp_path / "out", "-o", tmp_path / "other")
    assert (again.returncode, again.stdout) == (0, "recovered\t1 of 1 tensors\twith the graph\n")
    assert ckpt("salvage", prefix, "-o", tmp_path / "out").returncode == 6  # it is there
    os.truncate(tmp_path / "m.h5", 600)
    os.remove(tmp_path / "m.meta")
    lost = ckpt("salvage", prefix, "-o", tmp_path / "new")
    assert lost.returncode == 3
    assert "nothing can be recovered" in lost.stderr
