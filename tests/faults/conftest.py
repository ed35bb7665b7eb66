"""What the tests of this room share: files in memory where there is a place for them, and a seam that does not sync.

What syncs are for is tried by the replay of power losses; here they would only take time.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

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
