"""Faults while a checkpoint is written over an older one: the file is the old or the new one, whole."""

import errno
import os
import signal

import numpy as np
import pytest

from ckpt.core import system
from ckpt.core.errors import OpError, ResourceExhaustedError
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_reader import Hdf5Reader, verify
from ckpt.formats.hdf5_writer import write


class Seam:
    """Stands in for `os`: calls `fault(number, name, real, args)` for every operation."""

    def __init__(self, fault):
        self._fault, self.count = fault, 0

    def __getattr__(self, name):
        real = getattr(os, name)
        if not callable(real):
            return real

        def operation(*args):
            self.count += 1
            return self._fault(self.count - 1, name, real, args)

        return operation


def save(path, step):
    tensors = [
        TensorEntry("big", np.full((500, 500), step)),
        TensorEntry("small", np.full(3, step)),
        TensorEntry("turned", np.full((300, 400), step, np.float32).T),
    ]
    write(path, tensors, metagraph=bytes([step]) * 100, metadata={"step": str(step)})


def failure_of(action):
    try:
        action()
    except OpError as error:
        return error
    return None


def step_of(path):
    """The step of the one save that all of the file is from."""
    verify(path)
    with Hdf5Reader(path) as reader:
        steps = {int(reader.metadata()["step"]), reader.metagraph()[0]}
        for name in reader.names():
            steps |= set(np.unique(reader.read(name)).astype(int).tolist())
    assert len(steps) == 1
    return steps.pop()


@pytest.fixture
def path(tmp_path):
    save(tmp_path / "m.h5", 1)
    return tmp_path / "m.h5"


@pytest.fixture
def total(path, monkeypatch):
    counter = Seam(lambda number, name, real, args: real(*args))
    monkeypatch.setattr(system, "files", counter)
    save(path, 1)
    return counter.count


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_an_error_at_any_operation_is_typed_and_the_next_save_works(
    path, total, monkeypatch, code, sticky
):
    for at in range(total):
        monkeypatch.setattr(system, "files", os)
        save(path, 1)

        def fault(number, name, real, args, at=at):
            if number == at or (sticky and number > at):
                if name == "close":
                    real(*args)
                raise OSError(code, os.strerror(code))
            return real(*args)

        monkeypatch.setattr(system, "files", Seam(fault))
        error = failure_of(lambda: save(path, 2))
        monkeypatch.setattr(system, "files", os)
        if error is None:
            assert step_of(path) == 2
        else:
            assert "m.h5" in str(error)
            assert code != errno.ENOSPC or isinstance(error, ResourceExhaustedError)
            assert step_of(path) in {1, 2}


def test_short_writes_lose_nothing(path, monkeypatch):
    def fault(number, name, real, args):
        return real(args[0], args[1][:1000], args[2]) if name == "pwrite" else real(*args)

    monkeypatch.setattr(system, "files", Seam(fault))
    save(path, 2)
    assert step_of(path) == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("when", ["before", "torn", "after"])
def test_a_kill_at_any_operation_leaves_the_old_or_the_new_file(path, total, when):
    def fault(number, name, real, args):
        if number == at and when == "torn" and name == "pwrite":
            real(args[0], args[1][: len(args[1]) // 2], args[2])
        if number == at and when != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args)
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    system.files = os
    for at in range(total + 2):  # noqa: B007 - the fault reads it
        save(path, 1)
        child = os.fork()
        if not child:
            try:
                system.files = Seam(fault)
                save(path, 2)
            finally:
                os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert step_of(path) in ({1, 2} if killed else {2})
    assert not killed
    save(path, 3)
    assert os.listdir(path.parent) == ["m.h5"]


@pytest.mark.parametrize("code", [errno.EIO])
def test_an_error_at_any_operation_of_reading_is_typed(path, monkeypatch, code):
    counter = Seam(lambda number, name, real, args: real(*args))
    monkeypatch.setattr(system, "files", counter)
    step_of(path)
    for at in range(counter.count):

        def fault(number, name, real, args, at=at):
            if number == at:
                if name == "close":
                    real(*args)
                raise OSError(code, os.strerror(code))
            return real(*args)

        monkeypatch.setattr(system, "files", Seam(fault))
        with pytest.raises(OpError, match=r"m\.h5"):
            step_of(path)
