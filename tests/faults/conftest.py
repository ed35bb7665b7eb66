"""Every test of this room runs on a seam that does not sync: what a sync is for, the replay of power losses tries."""

import pytest

from tests.faults.seam import Seam, under


@pytest.fixture(autouse=True)
def _without_syncs():
    with under(Seam()):
        yield
