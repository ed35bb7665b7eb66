"""Memory that a run frees is there for the next one."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
import ckpt as tf

x = tf.placeholder(tf.float32, [1 << 16])
y = tf.add_n([x * float(i) for i in range(2, 66)])  # 64 arrays of 256 KiB, all live at once
value = np.ones(1 << 16, np.float32)
with tf.Session() as sess:
    for _ in range(3):
        sess.run(y, {x: value})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        sess.run(y, {x: value})
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other limits")
def test_a_run_does_not_ask_the_system_for_its_memory_again():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 1_000, "16 MiB in pages of 4 KiB are 4,096 faults a run"
