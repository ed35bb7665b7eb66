"""Faults under our own file layer: a stand-in for `os` that counts operations and fails, cuts or kills at number N.

`ckpt.core.system` has every operation looked up in `system.files`; `under(seam)` puts a seam there. A simulated death is
the exception `Killed`, after which no operation does anything any more: no clean-up can run, as in a dead process.
"""

import errno
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

from ckpt.core import system, temporaries

ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)
CUTTABLE = ("pwrite", "pwritev", "pread", "preadv")


class Killed(BaseException):
    """The process is dead from here on."""


class Seam:
    """Passes everything on to `os`, counting. `fault(number, name, real, args)` takes the place of the real call."""

    def __init__(self, fault=None):
        self.fault = fault
        self.names = []  # of the operations so far
        self.dead = False
        self._open = set()
        self._lock = threading.Lock()

    @property
    def count(self):
        return len(self.names)

    def __getattr__(self, name):
        real = getattr(os, name)
        if name == "fsync":
            real = _no_fsync

        def operation(*args):
            if self.dead:
                raise Killed
            with self._lock:
                number = len(self.names)
                self.names.append(name)
            result = self.fault(number, name, real, args) if self.fault else real(*args)
            if name == "open":
                self._open.add(result)
            elif name == "close":
                self._open.discard(args[0])
            return result

        return operation

    def die(self):
        self.dead = True
        raise Killed

    def release(self):
        """Close what a dead process had open."""
        for fd in self._open:
            with suppress(OSError):
                os.close(fd)


def _no_fsync(fd):
    """Power loss is simulated elsewhere; syncing for real would only take time."""


@contextmanager
def under(seam):
    """Run the block on the operations of `seam`."""
    before, system.files = system.files, seam
    own = temporaries.own.copy()
    try:
        yield seam
    finally:
        system.files = before
        seam.release()
        if seam.dead:
            temporaries.own.clear()
            temporaries.own.update(own)


def failing(at, code, *, sticky=False):
    """Operation `at` fails with the errno `code`; when sticky, all later ones too."""

    def fault(number, name, real, args):
        if number == at or (sticky and number > at):
            if name == "close":  # the descriptor is gone all the same
                real(*args)
            raise OSError(code, os.strerror(code))
        return real(*args)

    return Seam(fault)


def interrupting(first):
    """Signals interrupt three of four operations from number `first` on: each is done when it is tried often enough."""

    def fault(number, name, real, args):
        if number >= first and (number - first) % 4 < 3:
            if name == "close":
                real(*args)
            raise InterruptedError(errno.EINTR, "a signal came")
        return real(*args)

    return Seam(fault)


def cutting(at, *, sticky=False):
    """Operation `at`, and when sticky each later one, moves about half the bytes it was asked for."""

    def fault(number, name, real, args):
        if name in CUTTABLE and (number == at or (sticky and number > at)):
            return real(*_halved(name, args))
        return real(*args)

    return Seam(fault)


def killing(at, when):
    """The process dies `before`, `after` or in the middle (`torn`) of operation `at`."""

    def fault(number, name, real, args):
        if number == at and when == "torn" and name in CUTTABLE:
            real(*_halved(name, args))
        if number == at and when != "after":
            seam.die()
        try:
            result = real(*args)
        except OSError:
            if number == at:
                seam.die()
            raise
        if number == at:
            if name == "open":
                seam._open.add(result)
            seam.die()
        return result

    seam = Seam(fault)
    return seam


def _halved(name, args):
    if name == "pwrite":
        fd, data, offset = args
        return fd, data[: (len(data) + 1) // 2], offset
    if name in ("preadv", "pwritev"):
        fd, buffers, offset = args
        views = [memoryview(buffer).cast("B") for buffer in buffers if memoryview(buffer).nbytes]
        left = (sum(map(len, views)) + 1) // 2
        kept = []
        for view in views:
            kept.append(view[:left])
            left -= len(kept[-1])
        return fd, kept, offset
    fd, length, offset = args
    return fd, (length + 1) // 2, offset


def _dead_number():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


DEAD = _dead_number()


def bury(directory):
    """Give the temporaries that a simulated death left the number of a process that is really dead; their bytes."""
    pattern = re.compile(r"(\.ckpt-tmp-[0-9a-f]{8}-)\d+(-[0-9a-f]{16})")
    found = 0
    for root, _, names in os.walk(directory):
        for name in names:
            match = pattern.fullmatch(name)
            if match:
                found += os.path.getsize(os.path.join(root, name))
                new = f"{match[1]}{DEAD}{match[2]}"
                os.rename(os.path.join(root, name), os.path.join(root, new))
    return found
