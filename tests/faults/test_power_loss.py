"""Power fails after any operation of three saves: what was acknowledged is there, and it is whole. RELIABILITY gate G5."""

import os
import shutil

import pytest

import ckpt as tf
from ckpt.core.errors import OpError
from ckpt.formats import detect, hdf5_reader
from tests.faults.power import MODELS, Disk, recording
from tests.faults.scenes import EXHAUSTIVE, Model, outcome_of
from tests.faults.seam import bury, under

SEEDS = {"torn": 6}
PROGRAMS = {
    "numbered": {"max_to_keep": 5},
    "one kept": {"max_to_keep": 1},
    "one name": {"numbered": False},
    "no graph": {"write_meta_graph": False, "max_to_keep": 2},
    "partitioned": {"partitioned": True},
    "shards": {"shard_size": 60, "max_to_keep": 1},
    "shards of one name": {"shard_size": 60, "numbered": False},
    "shards, a file, shards": {"shard_size": (60, None, 60), "numbered": False},
    "a file, shards, a file": {"shard_size": (None, 60, None), "numbered": False},
    "in the background": {"asynchronous": True, "max_to_keep": 1},
    "compressed": {"compression": "deflate", "big": True, "max_to_keep": 1},
    "big": {"big": True, "max_to_keep": 1},
}

QUICK = ("one kept", "one name", "shards, a file, shards")
BREADTH = ("a file, shards, a file", "in the background", "compressed", "partitioned")
EACH = [
    pytest.param(program, id=name, marks=() if name in QUICK else pytest.mark.slow)
    for name, program in PROGRAMS.items()
    if EXHAUSTIVE or name in (*QUICK, *BREADTH)
]


class Run:
    """Three saves recorded: the log, and after how many operations each was acknowledged."""

    def __init__(
        self,
        root,
        *,
        numbered=True,
        shard_size=None,
        durable=True,
        write_meta_graph=True,
        asynchronous=False,
        compression=None,
        **options,
    ):
        self.root, self.numbered = str(root), numbered
        self.sizes = shard_size if isinstance(shard_size, tuple) else (shard_size,) * 3
        self.options = {
            "durable": durable,
            "write_meta_graph": write_meta_graph,
            "asynchronous": asynchronous,
            "compression": compression,
        }
        self.model = Model(**options)
        self.log, self.acknowledged = [], [0]
        with under(recording(self.log)):
            for k in (1, 2, 3):
                self.save(self.root, k)
                self.acknowledged.append(len(self.log))

    def save(self, root, k):
        more = {"global_step": k} if self.numbered else {}
        more["shard_size"] = self.sizes[k % 3 - 1]
        saved = self.model.save(f"{root}/run/m.ckpt", k, **more, **self.options)
        return saved.result() if self.options["asynchronous"] else saved

    def losses(self, target):
        """(disk left, last state acknowledged, model) for every operation and model."""
        disk = Disk(self.root)
        for done in range(len(self.log) + 1):
            known = max(k for k, at in enumerate(self.acknowledged) if at <= done)
            for model in MODELS:
                for seed in range(SEEDS.get(model, 1)):
                    disk.materialise(model, f"{done}-{seed}", target)
                    bury(target)
                    yield known, model
                    shutil.rmtree(target)
            if done < len(self.log):
                disk.apply(*self.log[done])

    def latest(self, root):
        """The state that the directory's latest checkpoint holds, all of its bytes right; 0 when there is none."""
        found = tf.train.latest_checkpoint(f"{root}/run")
        if found is None:
            return 0
        hdf5_reader.verify(detect.resolve(found))
        return self.model.restored(found)


@pytest.mark.parametrize("program", EACH)
def test_what_was_acknowledged_survives_and_the_next_save_works(tmp_path, program):
    root, target = tmp_path / "disk", str(tmp_path / "left")
    root.mkdir()
    run = Run(root, **program)
    cases = 0
    for known, model in run.losses(target):
        found = run.latest(target)
        assert known <= found <= known + 1, (known, found, model)
        cases += 1
        if cases % 5 == 0:  # the seam tests do this after every fault
            run.model.saver.set_last_checkpoints_with_time([])
            run.save(target, 4)
            assert run.latest(target) == 4
            names = os.listdir(f"{target}/run")
            assert not [name for name in names if name.startswith(".ckpt-tmp")]
            values = {n.rpartition(".")[0] for n in names if n.endswith((".h5", ".index"))}
            graphs = {n.removesuffix(".meta") for n in names if n.endswith(".meta")}
            assert graphs <= values  # what was left of a deletion is gone
    assert cases >= 700


@pytest.mark.parametrize("missing", ["the file", "its directory", "the directory above"])
def test_the_replay_notices_each_sync_that_is_missing(tmp_path, missing):
    root, target = tmp_path / "disk", str(tmp_path / "left")
    root.mkdir()
    run = Run(root, max_to_keep=1)
    opened, kept = {}, []
    for name, args, result in run.log:
        if name == "open":
            opened[result] = "the file" if args[1] & os.O_CREAT else "its directory"
            if str(args[0]).endswith(os.pardir):
                opened[result] = "the directory above"
        if name != "fsync" or opened[args[0]] != missing:
            kept.append((name, args, result))
        else:
            kept.append(("nothing", args, result))
    assert kept != run.log
    run.log = kept

    def lost():
        for known, _ in run.losses(target):
            try:
                if run.latest(target) < known:
                    return True
            except OpError:
                return True
        return False

    assert lost()


def test_without_durable_an_acknowledgement_may_be_lost_but_never_a_whole(tmp_path):
    root, target = tmp_path / "disk", str(tmp_path / "left")
    root.mkdir()
    run = Run(root, durable=False, max_to_keep=2)
    assert not [name for name, *_ in run.log if name == "fsync"]
    damaged = 0
    for known, model in run.losses(target):
        found = []
        outcome = outcome_of(lambda found=found: found.append(run.latest(target)))
        if outcome == "ok":
            assert found[0] <= known + 1
        else:
            assert model not in ("strict", "data"), outcome
            assert target in str(outcome)
            damaged += 1
    assert damaged  # the models do lose something: without syncs it shows, and it is never silent
