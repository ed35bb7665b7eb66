"""Real kills, real limits, a real full disk: run by test_real in processes of their own.

python -m tests.faults.real kills|limits|full directory
"""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import ckpt as tf
from ckpt.core import atomic
from ckpt.core.errors import ResourceExhaustedError
from ckpt.formats import detect, hdf5_reader
from tests.faults.scenes import Model, outcome_of

KILLS = 200


def latest(model, directory):
    """The state of the latest checkpoint, all of its bytes right; 0 when there is none."""
    found = tf.train.latest_checkpoint(directory)
    if found is None:
        return 0
    hdf5_reader.verify(detect.resolve(found))
    return model.restored(found)


def kills(directory):
    """Children that save in a loop, killed at a random moment; what they acknowledged is there."""
    model, chance = Model(big=True, max_to_keep=2), random.Random(4)
    # what is made once, is made before the forks
    model.save(f"{directory}/m.ckpt", 1, global_step=1)
    known, torn = 1, 0
    for number in range(KILLS):
        options = {"shard_size": 2000} if number % 2 else {}
        receive, send = os.pipe()
        child = os.fork()
        if not child:
            try:
                state = tf.train.get_checkpoint_state(directory)
                model.saver.recover_last_checkpoints(
                    state.all_model_checkpoint_paths if state else []
                )
                for k in range(known + 1, known + 1000):
                    model.save(f"{directory}/m.ckpt", k, global_step=k, durable=False, **options)
                    os.write(send, b"%d\n" % k)
            finally:
                os._exit(1)
        os.close(send)
        time.sleep(chance.random() * 0.04)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status), "the child ended before it was killed"
        with os.fdopen(receive, "rb") as pipe:
            acknowledged = pipe.read().split()
        torn += any(name.startswith(".ckpt-tmp-") for name in os.listdir(directory))
        known = int(acknowledged[-1]) if acknowledged else known
        found = latest(model, directory)
        assert known <= found <= known + 1, (known, found)
        known = found
    model.save(f"{directory}/m.ckpt", known + 1, global_step=known + 1)
    assert not [n for n in os.listdir(directory) if n.startswith(".ckpt-tmp-")]
    assert torn >= KILLS // 10, f"only {torn} of the kills hit a save"
    print(f"{KILLS} kills, {torn} left a temporary, {known} saves")


def limits(directory):
    """RLIMIT_FSIZE at every 512 bytes up to the size of the largest file."""
    model = Model()
    path = f"{directory}/m.ckpt"
    model.save(path, 1)
    largest = max(p.stat().st_size for p in Path(directory).iterdir())
    refused = 0
    for limit in [*range(0, largest, 512), largest - 1]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        outcome = outcome_of(lambda: model.save(path, 2))
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert type(outcome) is ResourceExhaustedError, (limit, outcome)
        assert path in str(outcome)
        # the values are under the limit in any case, so that they may be the new ones; the graph file is not
        assert latest(model, directory) in (1, 2)
        refused += 1
        model.save(path, 1)
    print(f"{refused} limits")


def full(directory):
    """A file system in memory with so many bytes free, from none to enough."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory], check=True)
    model = Model()
    path, filler = f"{directory}/m.ckpt", Path(directory) / "filler"
    model.save(path, 1)
    refused = 0
    for reserve in (True, False):
        if not reserve:  # what if the space goes between the check and the write
            atomic.NewFile.reserve = lambda self, length: None
        for free in range(0, 200_000, 4096):
            filler.write_bytes(b"")
            space = os.statvfs(directory)
            filler.write_bytes(bytes(max(space.f_bavail * space.f_frsize - free, 0)))
            outcome = outcome_of(lambda: model.save(path, 2))
            filler.unlink()
            if outcome == "ok":
                assert latest(model, directory) == 2
            else:
                assert type(outcome) is ResourceExhaustedError, outcome
                assert path in str(outcome) or f"{directory}/checkpoint" in str(outcome)
                assert latest(model, directory) in (1, 2)
                refused += 1
            model.save(path, 1)
            assert latest(model, directory) == 1
    assert outcome == "ok"
    print(f"{refused} refused for want of space")


if __name__ == "__main__":
    {"kills": kills, "limits": limits, "full": full}[sys.argv[1]](sys.argv[2])
