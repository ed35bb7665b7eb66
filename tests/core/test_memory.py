"""Memory that a run frees is there for the next one; large arrays get huge pages while these come fast."""

import platform
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from ckpt.core import memory

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


HUGE = 2 << 20


class System:
    """Stands in for madvise and for clocks: page number `slow_at` takes long."""

    def __init__(self, monkeypatch, *, slow_at=None, result=0):
        self.slow_at, self.result, self.now, self.used = slow_at, result, 100.0, 0.0
        self.populated, self.small, self.shares = [], [], []
        self.is_small = False
        monkeypatch.setattr(memory, "_madvise", lambda: self.advise)
        monkeypatch.setattr(memory.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(memory.time, "thread_time", lambda: self.used)
        monkeypatch.setattr(memory._HugePages, "slow_until", 0.0)

    def advise(self, start, length, advice):
        if advice == memory._HUGE_PAGES:
            assert (start, length) == self.small[-1]
            self.is_small = False
        elif advice == memory._NO_HUGE_PAGES:
            self.is_small = True
            self.small.append((start, length))
        elif self.is_small:
            self.shares.append((start, length))
        else:
            self.populated.append((start, length))
        self.used += 4.5e-3 if len(self.populated) - 1 == self.slow_at else 1e-4
        return self.result


def filled(shape, dtype):
    array = memory.empty(shape, dtype)
    array[...] = 7
    assert array.flags.owndata
    assert array.flags.writeable
    assert array.shape == shape
    assert array.dtype == dtype
    assert (array == 7).all()
    return array


@pytest.mark.parametrize(
    ("shape", "dtype"), [((), "f"), ((0, 3), "f"), ((5, 1 << 20), "f"), ((9 << 20,), "u1")]
)
def test_an_array_can_be_filled_whatever_its_size(shape, dtype):
    filled(shape, np.dtype(dtype))


def test_the_whole_huge_pages_inside_a_large_array_are_taken_at_once(monkeypatch):
    system = System(monkeypatch)
    array = filled((11 << 20,), np.dtype("u1"))
    start = array.ctypes.data
    pages = [
        (at, HUGE) for at in range(-(-start // HUGE) * HUGE, start + (11 << 20) - HUGE + 1, HUGE)
    ]
    assert system.populated == pages
    assert len(pages) >= 4
    assert not system.small


def test_a_small_array_is_left_alone(monkeypatch):
    system = System(monkeypatch)
    filled(((4 << 20) - 1,), np.dtype("u1"))
    assert not system.populated


def test_where_a_huge_page_takes_long_the_rest_comes_in_small_ones_for_a_while(monkeypatch):
    system = System(monkeypatch, slow_at=1)
    array = filled((11 << 20,), np.dtype("u1"))
    ((first, length),) = system.small
    assert len(system.populated) == 2
    assert first == system.populated[1][0] + HUGE
    assert first + length <= array.ctypes.data + array.nbytes
    assert sum(own for _, own in system.shares) == length
    assert len({at for at, _ in system.shares}) == len(system.shares)
    filled((11 << 20,), np.dtype("u1"))
    assert len(system.populated) == 2
    assert len(system.small) == 2
    system.small.clear()
    system.now += memory._PATIENCE
    filled((11 << 20,), np.dtype("u1"))
    assert len(system.populated) > 4


def test_small_pages_are_taken_by_several_threads(monkeypatch):
    system = System(monkeypatch, slow_at=0)
    monkeypatch.setattr(memory, "cpu_count", lambda: 3)
    filled((15 << 20,), np.dtype("u1"))
    assert len(system.shares) == 3
    (whole,) = system.small
    ends = [at for at, _ in sorted(system.shares)] + [sum(whole)]
    assert [b - a for a, b in pairwise(ends)] == [own for _, own in sorted(system.shares)]
    assert not system.is_small, "huge pages are welcome later"


def test_a_system_that_refuses_is_not_asked_again_for_the_same_array(monkeypatch):
    system = System(monkeypatch, result=-1)
    filled((11 << 20,), np.dtype("u1"))
    assert len(system.populated) == 1
