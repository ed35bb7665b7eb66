"""Every file operation of a write fails, is interrupted or is the last one before a kill: old or new, whole."""

import errno
import os
import signal
import subprocess
import sys
import types

import pytest

from ckpt.core import atomic, storage, system
from ckpt.core.errors import (
    AlreadyExistsError,
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OpError,
    ResourceExhaustedError,
    UnknownError,
)
from ckpt.core.input_file import InputFile

OLD, NEW = b"old" * 1000, b"new!" * 2000


class Faulty:
    """Stands in for `os`: operation number `at` fails with `code`, or from then on all of them do."""

    def __init__(self, at=-1, code=0, *, sticky=False, short=False):
        self.at, self.code, self.sticky, self.short, self.count = at, code, sticky, short, 0

    def __getattr__(self, name):
        real = getattr(os, name)
        if not callable(real):
            return real

        def operation(*args):
            number, self.count = self.count, self.count + 1
            if self.code and (number == self.at or (self.sticky and number > self.at)):
                if name == "close":
                    real(*args)
                raise OSError(self.code, os.strerror(self.code))
            if self.short and name == "pwrite":
                return real(args[0], args[1][:7], args[2])
            if self.short and name == "pwritev":
                return real(args[0], [b"".join(args[1])[:7]], args[2])
            if self.short and name == "preadv":
                return real(args[0], [memoryview(args[1][0]).cast("B")[:7]], args[2])
            if self.short and name == "pread":
                return real(args[0], min(args[1], 7), args[2])
            return real(*args)

        return operation


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    return path


def failure_of(action):
    try:
        action()
    except OpError as error:
        return error
    return None


def operations(target, monkeypatch):
    counter = Faulty()
    monkeypatch.setattr(system, "files", counter)
    storage.write_file(target, NEW)
    target.write_bytes(OLD)
    return counter.count


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG])
def test_an_error_at_any_operation_is_typed_and_leaves_old_or_new(
    target, monkeypatch, code, sticky
):
    total = operations(target, monkeypatch)
    assert total >= 8
    for at in range(total):
        target.write_bytes(OLD)
        monkeypatch.setattr(system, "files", Faulty(at, code, sticky=sticky))
        error = failure_of(lambda: storage.write_file(target, NEW))
        if error is None:
            assert target.read_bytes() == NEW
        else:
            assert str(target) in str(error)
            assert isinstance(error, UnknownError if code == errno.EIO else ResourceExhaustedError)
            assert target.read_bytes() in (OLD, NEW)
        monkeypatch.setattr(system, "files", os)
        if not sticky:
            assert os.listdir(target.parent) == ["file"]
        for name in os.listdir(target.parent):
            # the writer lives on, so nobody sweeps; only an unlink that failed leaves something
            if name != "file":
                os.unlink(target.parent / name)


def test_an_interruption_at_any_operation_changes_nothing(target, monkeypatch):
    for at in range(operations(target, monkeypatch)):
        target.write_bytes(OLD)
        monkeypatch.setattr(system, "files", Faulty(at, errno.EINTR))
        storage.write_file(target, NEW)
        assert storage.read_file(target, limit=10**6) == NEW


def test_short_writes_and_short_reads_are_continued(target, monkeypatch):
    pieces = [b"", NEW[:40], NEW[40:41], b"", NEW[41:]]
    monkeypatch.setattr(system, "files", Faulty(short=True))
    storage.write_file(target, NEW)
    assert target.read_bytes() == NEW
    with atomic.NewFile(target) as new:
        new.write_each(pieces, 3, len(NEW))
    assert target.read_bytes() == bytes(3) + NEW
    storage.write_file(target, NEW)
    with InputFile(target) as file:
        assert file.read(3, 500) == NEW[3:503]
        room = bytearray(500)
        file.read_into(memoryview(room), 4)
        assert room == NEW[4:504]
        rooms = [bytearray(3), bytearray(0), bytearray(90), bytearray(400)]
        file.read_into_each(rooms, 5, 493)
        assert b"".join(rooms) == NEW[5:498]
        with pytest.raises(DataLossError, match="expected bytes"):
            file.read_into_each(rooms, len(NEW) - 492, 493)


KILLED = """
import os, signal, sys
from ckpt.core import storage, system
class Killing:
    def __init__(self, at, after): self.at, self.after, self.count = at, after, 0
    def __getattr__(self, name):
        real = getattr(os, name)
        if not callable(real): return real
        def operation(*args):
            number, self.count = self.count, self.count + 1
            if number == self.at and not self.after: os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args)
            if number == self.at: os.kill(os.getpid(), signal.SIGKILL)
            return result
        return operation
for at in range(100):
    for after in (False, True):
        child = os.fork()
        if not child:
            system.files = Killing(at, after)
            try: storage.write_file(sys.argv[1], b"new!" * 2000)
            finally: os._exit(0)
        status = os.waitpid(child, 0)[1]
        content = open(sys.argv[1], "rb").read()
        assert content in (b"old" * 1000, b"new!" * 2000), (at, after, len(content))
        killed = os.WIFSIGNALED(status)
        assert killed or content == b"new!" * 2000
        left = [n for n in os.listdir(os.path.dirname(sys.argv[1])) if n.startswith(".ckpt-tmp-")]
        assert len(left) <= 1, left
        open(sys.argv[1], "wb").write(b"old" * 1000)
    if not killed: break
assert 8 <= at < 100
print(at)
"""


def test_a_kill_before_or_after_any_operation_leaves_old_or_new_and_is_swept(target):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(target)],
        check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    storage.write_file(target, NEW)
    assert os.listdir(target.parent) == ["file"]


def test_an_exception_or_ctrl_c_in_the_block_leaves_no_trace(target):
    for kind in (ValueError, KeyboardInterrupt):
        with pytest.raises(kind), atomic.NewFile(target) as new:
            new.write(b"half", 0)
            raise kind
        assert target.read_bytes() == OLD
        assert os.listdir(target.parent) == ["file"]


def test_durable_decides_about_fsync_and_nothing_else(target, monkeypatch):
    calls = []

    class Spy:
        def __getattr__(self, name):
            calls.append(name)
            return getattr(os, name)

    monkeypatch.setattr(system, "files", Spy())
    storage.write_file(target, NEW)
    durable = calls.copy()
    calls.clear()
    storage.write_file(target, NEW, durable=False)
    assert durable.count("fsync") == 2
    assert durable.index("fsync") < durable.index("replace")
    assert [c for c in calls if c in ("open", "pwrite", "replace", "fsync")] == [
        "open",
        "pwrite",
        "replace",
    ]


def test_a_full_size_limit_is_resource_exhausted(tmp_path):
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from ckpt.core import errors, storage\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: storage.write_file(sys.argv[1], b'x' * 5000)\n"
        "except errors.ResourceExhaustedError: sys.exit(7)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "f")], check=False, env=env)
    assert done.returncode == 7
    assert os.listdir(tmp_path) == []


def test_errors_of_the_path_are_typed(tmp_path):
    with pytest.raises(NotFoundError, match="absent"):
        storage.write_file(tmp_path / "absent" / "file", b"")
    (tmp_path / "directory" / "x").mkdir(parents=True)
    with pytest.raises((FailedPreconditionError, AlreadyExistsError)):
        storage.write_file(tmp_path / "directory", b"")
    with pytest.raises(InvalidArgumentError, match="File name too long"):
        storage.write_file(tmp_path / ("a" * 300), b"")
    assert os.listdir(tmp_path) == ["directory"]


def test_signals_do_not_disturb_a_write(target):
    previous = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(20):
            storage.write_file(target, NEW * 100)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert target.read_bytes() == NEW * 100


def free_bytes(monkeypatch, free, blocks=1000):
    class Disk:
        def __getattr__(self, name):
            return getattr(os, name)

        def statvfs(self, path):
            return types.SimpleNamespace(f_bavail=free, f_frsize=1, f_blocks=blocks)

    monkeypatch.setattr(system, "files", Disk())


def test_no_byte_is_written_when_the_disk_has_no_room(tmp_path, monkeypatch):
    storage.write_file(tmp_path / "a", b"old")
    free_bytes(monkeypatch, 999)
    with (
        pytest.raises(ResourceExhaustedError, match=r"a: needs 1000 bytes .* 999 are free"),
        atomic.NewFile(tmp_path / "a") as file,
    ):
        file.reserve(1000)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(("free", "blocks"), [(1000, 1000), (0, 0)])
def test_a_disk_with_room_or_that_cannot_tell_is_written_to(tmp_path, monkeypatch, free, blocks):
    free_bytes(monkeypatch, free, blocks)
    with atomic.NewFile(tmp_path / "a") as file:
        file.reserve(1000)
        file.write(b"new", 0)
    assert (tmp_path / "a").read_bytes() == b"new"
