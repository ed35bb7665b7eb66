"""A scene under faults from beneath libc, one child per fault: run by test_beneath_libc with the shim preloaded.

    LD_PRELOAD=shim.so python -m tests.faults.beneath Overwriting directory [--more]

Enumerates every call until a run passes without meeting its fault. Prints {fault: how often each outcome was} as JSON.
"""

import ctypes
import errno
import json
import os
import pickle
import signal
import sys
import tempfile
import traceback
from collections import Counter

from ckpt.core import system
from tests.faults import scenes
from tests.faults.scenes import outcome_of

FAIL, SHORT, BEFORE, TORN, AFTER = 1, 2, 3, 4, 5
FAULTS = {
    "ENOSPC once": (FAIL, errno.ENOSPC, 0),
    "EIO from there on": (FAIL, errno.EIO, 1),
    "EINTR once": (FAIL, errno.EINTR, 0),
    "EINTR at every other": (FAIL, errno.EINTR, 2),
    "half once": (SHORT, 0, 0),
    "half from there on": (SHORT, 0, 1),
    "death before": (BEFORE, 0, 0),
    "death in the middle": (TORN, 0, 0),
    "death after": (AFTER, 0, 0),
}
MORE = {
    "EIO once": (FAIL, errno.EIO, 0),
    "ENOSPC from there on": (FAIL, errno.ENOSPC, 1),
    "EDQUOT once": (FAIL, errno.EDQUOT, 0),
    "EFBIG once": (FAIL, errno.EFBIG, 0),
}
HARMLESS = ("EINTR once", "EINTR at every other", "half once", "half from there on")
SHIM = ctypes.CDLL(None)


def attempt(scene, fault, at):
    """Act in a child under the fault; the outcome, and how many calls there were (None when it died)."""
    mode, code, sticky = fault
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        os.close(receive)
        try:
            SHIM.faults_arm(str(scene.home).encode(), mode, at, code, sticky)
            outcome = outcome_of(scene.act)
            calls = SHIM.faults_disarm()
            scene.check_here(outcome)
            os.write(send, pickle.dumps((outcome, calls)))
        except BaseException:  # noqa: BLE001 - the parent must hear of it, whatever it is
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        data = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, f"crashed by signal {os.WTERMSIG(status)}"
        return "killed", None
    assert data, "the child raised something that is no OpError; it is above"
    return pickle.loads(data)


def enumerate_faults(scene, name, fault):
    """Each call in turn, until a run does not meet the fault."""
    found = Counter()
    for at in range(1000):
        scene.reset()
        outcome, calls = attempt(scene, fault, at)
        try:
            judge(scene, name, outcome)
        except BaseException:
            print(f"{type(scene).__name__}, {name} at call {at}: {outcome!r}", file=sys.stderr)
            raise
        found[outcome if isinstance(outcome, str) else type(outcome).__name__] += 1
        if calls is not None and calls <= at:
            return found
    raise AssertionError("the calls do not end")


def judge(scene, name, outcome):
    if name in HARMLESS:
        assert outcome == "ok", outcome
    scene.check(outcome)
    if outcome not in ("ok", "killed"):
        assert str(scene.home) in str(outcome), f"names no file: {outcome}"
    scene.again()
    assert not scene.leftovers()


def main():
    scene = getattr(scenes, sys.argv[1])(tempfile.mkdtemp(dir=sys.argv[2])).start()
    faults = MORE if "--more" in sys.argv else FAULTS
    system.files = os
    print(
        json.dumps({name: enumerate_faults(scene, name, fault) for name, fault in faults.items()})
    )


if __name__ == "__main__":
    main()
