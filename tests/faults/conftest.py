"""What the tests of this room share: files in memory where there is a place for them, and a seam that does not sync.

What syncs are for is tried by the replay of power losses; here they would only take time.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

import ckpt as tf
from ckpt.formats.tfrecord import framed
from tests.faults.seam import Seam, under

MEMORY = "/dev/shm"


@pytest.fixture
def tmp_path():
    place = MEMORY if os.path.isdir(MEMORY) and os.access(MEMORY, os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="ckpt-faults-", dir=place))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(autouse=True)
def _without_syncs():
    with under(Seam()):
        yield


@pytest.fixture
def secret(tmp_path):
    """A folder with files of the user: none may be opened, none may change."""
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "text").write_bytes(b"a,1\nb,2\n")
    (folder / "records").write_bytes(framed(b"x"))
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.get_variable("v", initializer=[1.0])
        session.run(v.initializer)
        saver = tf.train.Saver([v])
        for name in ("model", "part-1", "part-2"):
            saver.save(session, str(folder / name), write_meta_graph=False, write_state=False)
    return folder
