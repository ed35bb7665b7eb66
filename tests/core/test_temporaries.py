"""What dead writers left goes, what others write stays."""

import os
import subprocess
import sys

from ckpt.core import storage, temporaries


def test_only_temporaries_of_dead_writers_are_swept(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    here, random = temporaries.here(), "0123456789abcdef"
    dead = tmp_path / f".ckpt-tmp-{here}-{child.pid}-{random}"
    alive = tmp_path / f".ckpt-tmp-{here}-{os.getppid()}-{random}"
    elsewhere = tmp_path / f".ckpt-tmp-{int(here, 16) ^ 1:08x}-{child.pid}-{random}"
    ancient = tmp_path / f".ckpt-tmp-{int(here, 16) ^ 1:08x}-1-{random}"
    foreign = tmp_path / ".ckpt-tmp-notes"
    for path in (dead, alive, elsewhere, ancient, foreign):
        path.touch()
    os.utime(ancient, (0, 0))
    storage.write_file(tmp_path / "file", b"")
    assert {p.name for p in tmp_path.iterdir()} == {
        "file",
        alive.name,
        elsewhere.name,
        foreign.name,
    }
