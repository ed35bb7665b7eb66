"""Each operation of our file layer fails, is cut, is interrupted or is the last one: RELIABILITY gates G1 to G4, G6."""

import errno

import pytest

from ckpt.core.errors import ResourceExhaustedError, UnknownError
from tests.faults.scenes import (
    EXHAUSTIVE,
    READING,
    WRITING,
    DeletingWhatTellsOfNodes,
    Pruning,
    ThirdSaveOfTwoKept,
    outcome_of,
)
from tests.faults.seam import (
    ERRORS,
    Killed,
    Seam,
    bury,
    cutting,
    failing,
    interrupting,
    killing,
    under,
)

DONE = [(errno.ENOSPC, False), (errno.EIO, True)]  # in the quick test; the slow one does the others
TYPES = {
    errno.EIO: [UnknownError],
    errno.ENOSPC: [ResourceExhaustedError],
    errno.EDQUOT: [ResourceExhaustedError],
    errno.EFBIG: [ResourceExhaustedError],
}
EVERY = [*WRITING, *READING]
STATE = 512  # bytes of a state file, which pruning writes twice


QUICK = (
    "FirstSaveInANewDirectory",
    "SecondSaveDeletingTheFirst",
    "Overwriting",
    "FileToShards",
    "Restoring",
)


BREADTH = ("Sharded", "Partitioned", "Big", "InTheBackground", "Compressed", "StateUpdate", "GraphExport", "ManySmallTensors", "EditingFiles", "Pruning", "SavingBesideTheBest", "SavingAModel")  # fmt: skip


def each(scenes):
    """The scenes as parameters; those that add only breadth are slow, and some of them are left to the nightly build."""
    scenes = [s for s in scenes if EXHAUSTIVE or s.__name__ in (*QUICK, *BREADTH)]
    slow = pytest.mark.slow
    return [
        pytest.param(s, id=s.__name__, marks=() if s.__name__ in QUICK else slow) for s in scenes
    ]


@pytest.fixture
def scene(request, tmp_path):
    return request.param(tmp_path).start()


def operations(scene):
    """How many there are when nothing fails."""
    scene.reset()
    with under(Seam()) as seam:
        scene.act()
    scene.check("ok")
    scene.size = sum(path.stat().st_size for path in scene.home.rglob("*") if is_new(scene, path))
    assert seam.count >= 2
    return seam.count


def is_new(scene, path):
    """Whether the action wrote this file: what was there before is a copy of the same time."""
    before = scene.kept / path.relative_to(scene.home)
    found = path.stat()
    return path.is_file() and not (
        before.exists() and before.stat().st_mtime_ns == found.st_mtime_ns
    )


def survive(scene, seam):
    """Act under a fault; then the directory is whole and the next action works. Returns the outcome."""
    scene.reset()
    with under(seam):
        outcome = outcome_of(scene.act, Killed)
    assert bury(scene.directory) <= scene.size + STATE  # of one save at most
    scene.check_here(outcome)
    scene.check(outcome)
    if outcome not in ("ok", "killed"):
        assert str(scene.directory) in str(outcome), f"names no file: {outcome}"
    scene.again()
    assert not scene.leftovers()
    return outcome


@pytest.mark.parametrize("scene", each(EVERY), indirect=True)
def test_an_error_at_any_operation_is_typed_and_nothing_is_lost(scene):
    failed = 0
    for at in range(operations(scene)):
        for code, sticky in DONE:
            outcome = survive(scene, failing(at, code, sticky=sticky))
            failed += outcome != "ok"
            assert outcome == "ok" or type(outcome) in TYPES[code]
    assert failed


@pytest.mark.slow
@pytest.mark.parametrize(
    "scene", each([s for s in EVERY if EXHAUSTIVE or s.__name__ in QUICK]), indirect=True
)
def test_every_error_once_and_from_then_on(scene):
    for at in range(operations(scene)):
        for code in ERRORS:
            for sticky in (False, True):
                if (code, sticky) in DONE:
                    continue
                outcome = survive(scene, failing(at, code, sticky=sticky))
                assert outcome == "ok" or type(outcome) in TYPES[code]


@pytest.mark.parametrize("scene", each(EVERY), indirect=True)
def test_interruptions_and_short_transfers_change_nothing(scene):
    total = operations(scene)
    for at in range(total):
        assert survive(scene, failing(at, errno.EINTR)) == "ok"
        assert survive(scene, cutting(at)) == "ok"
    assert survive(scene, cutting(0, sticky=True)) == "ok"
    assert survive(scene, interrupting(0)) == "ok"
    assert survive(scene, interrupting(1)) == "ok"


@pytest.mark.parametrize("scene", each(WRITING), indirect=True)
def test_a_death_at_any_operation_leaves_the_old_or_the_new(scene):
    total = operations(scene)
    killed = 0
    for at in range(total):
        for when in ("before", "torn", "after"):
            seam = killing(at, when)
            if survive(scene, seam) == "killed":
                killed += 1
            else:  # names drawn at random can save an operation
                assert seam.count <= at
    assert killed >= 3 * (total - 2)
    assert survive(scene, killing(total + 2, "before")) == "ok"


@pytest.mark.parametrize(
    "scene", [ThirdSaveOfTwoKept, DeletingWhatTellsOfNodes, Pruning], indirect=True
)
def test_what_a_death_left_of_a_deletion_goes_with_the_next(scene):
    cut_short = 0
    for at in range(operations(scene)):
        scene.reset()
        with under(killing(at, "after")):
            outcome_of(scene.act, Killed)
        bury(scene.directory)
        values = {path.stem for path in scene.home.glob("*.h5")}
        cut_short += any(path.stem not in values for path in scene.home.glob("*.meta"))
        scene.go_on_elsewhere()
        scene.check_complete()
    assert cut_short
