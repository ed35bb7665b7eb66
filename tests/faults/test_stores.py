"""Saves to stores behind URLs: each request fails, is cut, loses its answer or is the last one. RELIABILITY G1 to G3, G6."""

import errno
import os
import re

import pytest

from ckpt.core.errors import DataLossError, OpError, PermissionDeniedError, UnavailableError
from tests.faults import scenes, store
from tests.faults.scenes import EXHAUSTIVE, outcome_of
from tests.faults.seam import Killed

ERRORS = {
    "drop": ConnectionResetError("the connection was reset"),
    "time": TimeoutError("no answer"),
    "denied": PermissionError("no"),
    "full": OSError(errno.ENOSPC, "the quota is used up"),
    "other": RuntimeError("SlowDown: reduce your request rate"),
}
TYPES = {"drop": UnavailableError, "time": UnavailableError, "other": UnavailableError, "denied": PermissionDeniedError}  # fmt: skip
QUICK = ("SecondSaveDeletingTheFirst", "OverwritingShards", "Restoring")
SCENES = [
    scenes.FirstSave, scenes.SecondSaveDeletingTheFirst, scenes.Overwriting, scenes.Sharded, scenes.OverwritingShards,
    scenes.ShardsToFile, scenes.FileToShards, scenes.InTheBackground, scenes.Compressed, scenes.Restoring,
    scenes.EditingFiles, scenes.StateUpdate,
]  # fmt: skip
if EXHAUSTIVE:
    SCENES.append(scenes.MergingFiles)


class InAStore:
    """A scene whose home is a store."""

    store = store.Objects

    def keep(self):
        self.kept = self.store.content()

    def bring_back(self):
        self.store.become(self.kept)

    def path(self, name=""):
        return f"{self.store.scheme()}://run/{name}".rstrip("/")

    def graphs(self):
        return [data for name, data in self.store.content().items() if name.endswith(".meta")]

    def leftovers(self):
        names = [name.rpartition("/")[2] for name in self.store.store]
        listed = {match[1] for name in names if (match := re.search(r"\.([0-9a-f]{16})-", name))}
        whole = {
            match[1]
            for name, data in self.store.content().items()
            if name.endswith(".index")
            for match in re.finditer(rb"\.([0-9a-f]{16})-", data)
        }
        orphans = listed - {token.decode() for token in whole}
        return [n for n in names if n.startswith(".ckpt-tmp") or any(o in n for o in orphans)]


def _in(kind, where):
    return type(f"{kind.__name__}In{where.__name__}", (InAStore, kind), {"store": where})


def each(kinds=SCENES):
    """The scenes in both kinds of stores; those that add only breadth are slow."""
    return [
        pytest.param(
            _in(kind, where),
            id=f"{kind.__name__}-{where.__name__}",
            marks=() if kind.__name__ in QUICK else pytest.mark.slow,
        )
        for kind in kinds
        for where in store.STORES
    ]


@pytest.fixture
def scene(request, tmp_path):
    for where in store.STORES:
        where.become({})
    yield request.param(tmp_path).start()
    for where in store.STORES:
        where.become({})


def requests(scene):
    """How many there are when nothing fails."""
    scene.reset()
    with store.talking_through(store.Requests()) as counted:
        scene.act()
    scene.check("ok")
    assert len(counted.names) >= 2
    return len(counted.names)


def survive(scene, faulty):
    """Act under a fault; then the store is whole and the next action works. Returns the outcome."""
    scene.reset()
    with store.talking_through(faulty):
        outcome = outcome_of(scene.act, Killed)
    store.bury(scene.store)
    scene.check_here(outcome)
    scene.check(outcome)
    if outcome not in ("ok", "killed"):
        assert scene.path() in str(outcome), f"names no file: {outcome}"
    scene.again()
    assert not scene.leftovers(), scene.leftovers()
    return outcome


@pytest.mark.parametrize("scene", each(), indirect=True)
def test_an_error_at_any_request_is_typed_and_nothing_is_lost(scene):
    failed = 0
    chosen = ERRORS if EXHAUSTIVE else ("drop", "full")
    for at in range(requests(scene)):
        for name in chosen:
            for options in ({}, {"sticky": True}, {"is_done": True}):
                outcome = survive(scene, store.failing(at, ERRORS[name], **options))
                failed += outcome != "ok"
                assert outcome == "ok" or isinstance(outcome, TYPES.get(name, OpError)), outcome
    assert failed


@pytest.mark.parametrize("scene", each(), indirect=True)
def test_a_connection_that_ends_in_the_middle_is_noticed(scene):
    total, failed = requests(scene), 0
    for at in range(total):
        outcome = survive(scene, store.cutting(at))
        failed += outcome != "ok"
        assert not isinstance(outcome, DataLossError), "damage would be an older one's turn"
    assert failed


@pytest.mark.parametrize(
    "scene", each([kind for kind in SCENES if kind is not scenes.Restoring]), indirect=True
)
def test_a_death_at_any_request_leaves_the_old_or_the_new(scene):
    total = requests(scene)
    killed = 0
    for at in range(total):
        for when in ("before", "torn", "after"):
            killed += survive(scene, store.killing(at, when)) == "killed"
    assert killed >= 3 * (total - 2)
    assert survive(scene, store.killing(total + 2, "before")) == "ok"


@pytest.mark.parametrize("scene", each(), indirect=True)
def test_listings_that_lag_behind_change_nothing(scene):
    requests(scene)
    assert survive(scene, store.lagging()) == "ok"


def test_the_local_copy_of_an_upload_dies_with_its_process(tmp_path, monkeypatch):
    """Nothing of the model is left in the folder for temporary files, whenever the process ends."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen = []

    def fault(number, name, real, args, kwargs):
        seen.append(os.listdir(tmp_path))
        return real(*args, **kwargs)

    store.Objects.become({})
    model = scenes.Model()
    with store.talking_through(store.Requests(fault)):
        model.save("objects://run/m", 1)
    assert seen
    assert not any(seen)
