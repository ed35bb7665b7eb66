"""How much time and memory an action takes, and how it ends, measured in a child of its own."""

import ctypes
import gc
import os
import pickle
import time
from dataclasses import dataclass
from pathlib import Path

from ckpt.core.errors import CkptError


@dataclass
class Cost:
    """`peak` bytes of resident memory beyond what the process had; `outcome` "ok" or the error."""

    outcome: object
    seconds: float
    peak: int


def _memory(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise LookupError(key)


def _give_back():
    """Memory that was freed and is still held would be taken again without being counted."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not of every C library
    if trim is not None:
        trim(0)


def cost_of(action):
    """Run `action` in a child. An error that is no CkptError is not caught: then the child dies, and this raises."""
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        try:
            _give_back()
            Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
            before, start = _memory("VmRSS"), time.perf_counter()
            try:
                action()
                outcome = "ok"
            except CkptError as error:
                outcome = error
            seconds = time.perf_counter() - start
            os.write(send, pickle.dumps(Cost(outcome, seconds, _memory("VmHWM") - before)))
        finally:
            os._exit(1)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    assert data, "the child raised something that is no CkptError, or was killed"
    return pickle.loads(data)
