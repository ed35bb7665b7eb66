"""A training program that is killed at any moment goes on from its last checkpoint to the same values."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import ckpt as tf

PROGRAM = """
import sys
import numpy as np
import ckpt as tf

directory, last, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
step = tf.train.get_or_create_global_step()
x = tf.placeholder(tf.float32, [8, 3])
w = tf.get_variable("w", [3, 1], initializer=tf.zeros_initializer())
y = tf.reduce_sum(x, 1, keepdims=True)
loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - y))
train = tf.train.AdamOptimizer(0.05).minimize(loss, global_step=step)
tf.summary.scalar("loss", loss)

def batch(number):
    return np.random.default_rng(number).normal(size=(8, 3)).astype(np.float32)

hooks = [tf.train.StopAtStepHook(last_step=last)]
with tf.train.MonitoredTrainingSession(
    checkpoint_dir=directory, save_checkpoint_steps=5, save_summaries_steps=5, hooks=hooks
) as session:
    number = int(session.run_step_fn(lambda step_context: step_context.session.run(step)))
    print("from", number, flush=True)
    while not session.should_stop():
        session.run(train, {x: batch(number)})
        number += 1
        print("did", number, flush=True)
        if pause:
            import time
            time.sleep(pause)
"""
LAST = 40


def command(directory, pause):
    return [sys.executable, "-c", PROGRAM, str(directory), str(LAST), str(pause)]


def last_values(directory):
    path = tf.train.latest_checkpoint(directory)
    assert path.endswith(f"model.ckpt-{LAST}")
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.mark.slow
def test_the_same_values_as_one_that_ran_through(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole, 0), check=True, capture_output=True, timeout=60)
    starts = []
    for stop in (8, 23):  # between two checkpoints
        process = subprocess.Popen(command(killed, 0.01), stdout=subprocess.PIPE, text=True)
        starts.append(int(process.stdout.readline().split()[1]))
        for line in process.stdout:
            if line.split() == ["did", str(stop)]:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.stdout.close()
        assert process.wait(timeout=30) == -signal.SIGKILL
    ended = subprocess.run(
        command(killed, 0), check=True, capture_output=True, text=True, timeout=60
    )
    starts.append(int(ended.stdout.split()[1]))
    assert starts == [0, 5, 20]
    expected, found = last_values(whole), last_values(killed)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
