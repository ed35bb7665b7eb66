"""Processes in one directory: savers of two names and of one, and a reader beside a saver. Never a mixture."""

import os
import subprocess
import sys
import textwrap
import time

import pytest

import ckpt as tf
from ckpt.core.errors import DataLossError, NotFoundError
from ckpt.formats import detect, shards
from ckpt.saver.latest import find_latest

SAVER = """
    import sys
    import numpy as np
    import ckpt as tf
    directory, name, tag, count, with_steps = sys.argv[1:]
    a = tf.get_variable("a", [20_000], initializer=tf.constant_initializer(float(tag)))
    b = tf.get_variable("b", [20_000], initializer=tf.constant_initializer(float(tag)))
    add = tf.group(a.assign_add(np.full(20_000, 2.0)), b.assign_add(np.full(20_000, 2.0)))
    saver = tf.train.Saver(max_to_keep=2)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        print("ready", flush=True)
        for step in range(int(count)):
            sess.run(add)
            saver.save(sess, f"{directory}/{name}", global_step=step if int(with_steps) else None)
"""


def start(directory, name, tag, count=40, with_steps=True):
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(SAVER),
        directory,
        name,
        tag,
        count,
        int(with_steps),
    ]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n", process.communicate()
    return process


def finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors


def values(reader):
    return {value for name in ("a", "b") for value in set(reader.read(name).tolist())}


def whole(prefix):
    with detect.open_reader(prefix) as reader:
        found = values(reader)
    assert len(found) == 1
    return found.pop()


def test_savers_of_two_names_leave_both_and_a_whole_state_file(tmp_path):
    finish(start(tmp_path, "even", 0), start(tmp_path, "odd", 1))
    assert tf.train.latest_checkpoint(tmp_path) in (f"{tmp_path}/even-39", f"{tmp_path}/odd-39")
    assert whole(tmp_path / "even-39") == 80.0
    assert whole(tmp_path / "odd-39") == 81.0
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_savers_of_one_name_leave_one_of_them_whole(tmp_path):
    finish(start(tmp_path, "m", 0, with_steps=False), start(tmp_path, "m", 1, with_steps=False))
    assert whole(tmp_path / "m") in (80.0, 81.0)
    assert find_latest(tmp_path).path == str(tmp_path / "m")


@pytest.mark.parametrize("with_steps", [True, False])
def test_a_reader_beside_a_saver_sees_whole_states_that_only_grow(tmp_path, with_steps):
    saver = start(tmp_path, "m", 0, count=60, with_steps=with_steps)
    seen, lost = [0.0], 0
    deadline = time.monotonic() + 60
    while saver.poll() is None:
        assert time.monotonic() < deadline
        latest = tf.train.latest_checkpoint(tmp_path)
        if latest is None:
            continue
        try:
            seen.append(whole(latest))
        except NotFoundError:  # pruned since it was the latest
            lost += 1
        except DataLossError as error:
            pytest.fail(f"damage beside a saver: {error}")
    finish(saver)
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert lost < len(seen)


@pytest.mark.parametrize("told", ["release unlocked lock", "cannot release un-acquired lock"])
def test_ctrl_c_stays_ctrl_c_where_pythons_own_locks_lose_it(tmp_path, monkeypatch, told):
    """A condition that is interrupted while it takes its lock again fails to release it, with this error instead."""

    def interrupted(*_, **__):
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError(told)

    monkeypatch.setattr(shards, "write_checkpoint", interrupted)
    tf.Variable([1.0])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with pytest.raises(KeyboardInterrupt):
            tf.train.Saver().save(session, tmp_path / "m")
