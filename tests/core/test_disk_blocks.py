"""Room on a disk is taken before it is written to, where the system can, and the error says when there is none."""

import errno
import os
import sys

import pytest

from ckpt.core import atomic, disk_blocks
from ckpt.core.errors import ResourceExhaustedError

linux = pytest.mark.skipif(sys.platform != "linux", reason="fallocate(2) is Linux's")


@linux
def test_a_file_has_its_length_and_its_room_before_anything_is_written(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        disk_blocks.allocate(file.fileno(), 1 << 20)
        found = os.fstat(file.fileno())
    assert found.st_size == 1 << 20
    assert found.st_blocks * 512 >= 1 << 20
    assert (tmp_path / "file").read_bytes() == bytes(1 << 20)


def test_no_room_is_an_error_of_the_save_that_leaves_nothing(tmp_path, monkeypatch):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    monkeypatch.setattr(disk_blocks, "_fallocate", lambda: failing(errno.ENOSPC))
    monkeypatch.setattr(os, "O_DIRECT", os.O_CLOEXEC, raising=False)  # what any file system takes
    with (
        pytest.raises(ResourceExhaustedError, match=r"file: taking room on the disk"),
        atomic.NewFile(target) as new,
    ):
        new.open_direct(4096)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EIO])
def test_a_file_system_that_knows_nothing_of_it_is_written_to_as_it_is(monkeypatch, tmp_path, code):
    monkeypatch.setattr(disk_blocks, "_fallocate", lambda: failing(code))
    with open(tmp_path / "file", "wb") as file:
        disk_blocks.allocate(file.fileno(), 10)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EINTR])
def test_what_means_no_room_or_asks_for_another_try_is_raised(monkeypatch, code):
    monkeypatch.setattr(disk_blocks, "_fallocate", lambda: failing(code))
    with pytest.raises(OSError, match="Errno") as caught:
        disk_blocks.allocate(1, 10)
    assert caught.value.errno == code


def test_where_there_is_no_such_call_nothing_happens(monkeypatch):
    monkeypatch.setattr(disk_blocks, "_fallocate", lambda: None)
    disk_blocks.allocate(-1, 10)


def failing(code):
    import ctypes

    def call(*_):
        ctypes.set_errno(code)
        return -1

    return call
