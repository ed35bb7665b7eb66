"""What is done while faults happen: saves in all their variants. A scene says what must be true whatever happened.

A state is a number `k`: every tensor of it holds `k`, so that a mixture of two states cannot pass for one.
"""

import os
import shutil
from pathlib import Path

import numpy as np

import ckpt as tf
from ckpt import surgery
from ckpt.core.errors import OpError
from ckpt.formats import detect, hdf5_reader
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_arena import NAMED_UP_TO
from ckpt.formats.hdf5_writer import write
from ckpt.wire import metagraph_file

# the nightly build: every scene under every fault
EXHAUSTIVE = bool(os.environ.get("CKPT_EXHAUSTIVE"))


class Model:
    """A graph with a Saver and two sessions: one that holds the state to save, one to restore into."""

    def __init__(self, *, big=False, partitioned=False, max_to_keep=5, **options):
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.k = tf.placeholder(tf.int64, [], name="k")
            shapes = {"a": [3], "scope/b": [4, 5], "scope": []}
            if big:
                shapes["big"] = [520, 520]  # more than a megabyte: written by threads
            self.variables = [
                tf.get_variable(name, shape, initializer=tf.zeros_initializer())
                for name, shape in shapes.items()
            ]
            self.variables.append(
                tf.get_variable("step", [], tf.int64, initializer=tf.zeros_initializer())
            )
            if partitioned:
                whole = tf.get_variable(
                    "cut",
                    [7, 3],
                    initializer=tf.zeros_initializer(),
                    partitioner=tf.fixed_size_partitioner(3),
                )
                self.variables += list(whole)
            self.assign = tf.group(
                *[
                    v.assign(tf.fill(v.shape.as_list(), tf.cast(self.k, v.dtype.base_dtype)))
                    for v in self.variables
                ]
            )
            self.options = {"max_to_keep": max_to_keep, **options}
            self.saver = tf.train.Saver(**self.options)
            init = tf.global_variables_initializer()
        self.session, self.other = tf.Session(graph=self.graph), tf.Session(graph=self.graph)
        self.session.run(init)
        self.other.run(init)

    def become(self, k):
        self.session.run(self.assign, {self.k: k})

    def restored(self, prefix):
        """The number of the state in a checkpoint, restored through the Saver."""
        self.saver.restore(self.other, prefix)
        return self.state(self.other)

    def state(self, session):
        values = session.run(self.variables)
        found = {float(x) for value in values for x in np.unique(value)}
        assert len(found) == 1, f"a mixture of {found}"
        return int(found.pop())

    def save(self, path, k, **options):
        self.become(k)
        return self.saver.save(self.session, path, **options)


class Scene:
    """`before()` prepares, `act()` is what faults happen in, `check(outcome)` says what must be true after it.

    `check_here` says it of memory, `check` of files. `outcome` is "ok", the error raised, or "killed". `again()` is the next action, which must work.
    """

    acts_on_one_name = False

    def __init__(self, directory):
        self.directory = Path(directory)
        self.home = self.directory / "home"
        self.kept = self.directory / "kept"

    def start(self):
        """Prepare once; `reset` then brings the directory back to this."""
        self.home.mkdir()
        self.before()
        self.keep()
        return self

    def keep(self):
        shutil.copytree(self.home, self.kept)

    def reset(self):
        self.bring_back()
        self.forget()

    def bring_back(self):
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.kept, self.home)

    def before(self):
        pass

    def forget(self):
        pass

    def path(self, name=""):
        return str(self.home / name)

    def check_here(self, outcome):
        """What must be true in the process that acted, if it lives."""

    def leftovers(self):
        return [n for _, _, names in os.walk(self.home) for n in names if n.startswith(".ckpt-tmp")]


class Saving(Scene):
    """Saves of a model. `steps` were acknowledged before; the fault happens while the next one is saved."""

    steps = ()
    prefix = "m.ckpt"
    numbered = True
    options = {}
    model_options = {}
    _models = {}

    def start(self):
        key = type(self)
        if key not in self._models:
            self._models[key] = Model(**self.model_options)
        self.model = self._models[key]
        return super().start()

    def forget(self):
        self.model.saver.set_last_checkpoints_with_time(list(self.remembered))

    def before(self):
        self.model.saver.set_last_checkpoints_with_time([])
        for k in self.steps:
            self._save(k)
        names = self.model.saver.last_checkpoints
        self.remembered = [(name, 1.0 + n) for n, name in enumerate(names)]
        self.next = max(self.steps, default=0) + 1

    def _save(self, k):
        step = {"global_step": k} if self.numbered else {}
        saved = self.model.save(self.path(self.prefix), k, **step, **self.options)
        return saved.result() if self.options.get("asynchronous") else saved

    def act(self):
        return self._save(self.next)

    def check(self, outcome):
        old = self.steps[-1] if self.steps else None
        allowed = {self.next} if outcome == "ok" else {self.next, old}
        assert self.latest() in allowed, (self.latest(), allowed)
        self.check_listed()
        self.check_graphs()

    def folder(self):
        return os.path.dirname(self.path(self.prefix))

    def latest(self):
        found = tf.train.latest_checkpoint(self.folder())
        return None if found is None else self.whole(found)

    def whole(self, prefix):
        """The state of a checkpoint all of whose bytes are right."""
        hdf5_reader.verify(detect.resolve(prefix))
        return self.model.restored(prefix)

    def check_listed(self):
        """The state file lists nothing that cannot be restored."""
        state = tf.train.get_checkpoint_state(self.folder())
        for prefix in [] if state is None else state.all_model_checkpoint_paths:
            k = self.whole(prefix)
            assert not self.numbered or prefix.endswith(f"-{k}")

    def check_graphs(self):
        """Every .meta file is whole."""
        for data in self.graphs():
            assert metagraph_file.unpack(data).graph_def.node

    def graphs(self):
        return [name.read_bytes() for name in self.home.rglob("*.meta")]

    def again(self):
        self._save(self.next + 1)
        assert self.latest() == self.next + 1

    def go_on_elsewhere(self):
        """Another process does the same, to its end, and what follows."""
        self.model.saver = tf.train.Saver(saver_def=self.model.saver.saver_def)
        self._save(self.next)
        self.again()

    def check_complete(self):
        """Nothing lies there but checkpoints with all that belongs to them."""
        names = {path.name for path in self.home.rglob("*.*") if not path.name.startswith(".")}
        assert names == {
            f"{stem}{suffix}"
            for stem in {name.removesuffix(".h5") for name in names if name.endswith(".h5")}
            for suffix in (".h5", ".meta", ".debug")
            if suffix != ".debug" or self.options.get("save_debug_info")
        }


class FirstSave(Saving):
    pass


class FirstSaveInANewDirectory(Saving):
    prefix = "new/m.ckpt"


class SecondSaveDeletingTheFirst(Saving):
    steps = (1,)
    model_options = {"max_to_keep": 1}


class DeletingWhatTellsOfNodes(SecondSaveDeletingTheFirst):
    options = {"save_debug_info": True}


class ThirdSaveOfTwoKept(Saving):
    steps = (1, 2)
    model_options = {"max_to_keep": 2}


class Overwriting(Saving):
    steps = (1,)
    numbered = False


class WithoutGraph(Saving):
    steps = (1,)
    options = {"write_meta_graph": False}


class NotDurable(Saving):
    steps = (1,)
    options = {"durable": False}


class Partitioned(Saving):
    steps = (1,)
    model_options = {"partitioned": True}


class Big(Saving):
    steps = (1,)
    model_options = {"big": True}


class Sharded(Saving):
    steps = (1,)
    options = {"shard_size": 60}
    model_options = {"max_to_keep": 1}


class OverwritingShards(Saving):
    steps = (1,)
    numbered = False
    options = {"shard_size": 60}


class ShardsToFile(Saving):
    """One name, first as shards, then as one file, then as shards."""

    steps = (1,)
    numbered = False
    sizes = (None, 60)

    def _save(self, k):
        self.options = {"shard_size": self.sizes[k % 2]}
        return super()._save(k)


class FileToShards(ShardsToFile):
    sizes = (60, None)


class InTheBackground(Saving):
    steps = (1,)
    options = {"asynchronous": True}
    model_options = {"max_to_keep": 1}


class BackgroundShards(Saving):
    steps = (1,)
    numbered = False
    options = {"asynchronous": True, "shard_size": 60}


class Compressed(Saving):
    steps = (1,)
    options = {"compression": "deflate"}
    model_options = {"big": True}


class WithoutState(Saving):
    """Nobody points at the checkpoint, so it is judged by its own name."""

    steps = (1,)
    numbered = False
    options = {"write_state": False}

    def latest(self):
        return self.whole(self.path(self.prefix))

    def check_listed(self):
        assert not os.path.exists(self.path("checkpoint"))


class Pruning(Saving):
    """A directory is pruned by a rule: the best one stays, also when its file cannot be read for a moment."""

    steps = (1, 2, 3)
    best = 2

    def _save(self, k):
        self.options = {"metrics": {"loss": abs(k - self.best)}}
        return super()._save(k)

    def act(self):
        tf.train.prune_checkpoints(self.folder(), [tf.train.BestN("loss")])

    def check(self, outcome):
        assert self.latest() == 3
        self.check_listed()
        self.check_graphs()
        assert self.whole(self.path("m.ckpt-2")) == self.best
        if outcome == "ok":
            assert {p.name for p in self.home.glob("*.h5")} == {"m.ckpt-2.h5", "m.ckpt-3.h5"}

    def go_on_elsewhere(self):
        self.act()

    def again(self):
        self.act()
        self.check("ok")
        self._save(4)  # which sweeps, as pruning does only when it writes
        assert self.latest() == 4


class SavingBesideTheBest(Pruning):
    """A Saver that knows nothing yet goes on in a directory, and keeps the best that is there."""

    model_options = {"max_to_keep": 1, "keep": [tf.train.BestN("loss")]}

    def forget(self):
        self.model.saver.set_last_checkpoints_with_time([])

    def act(self):
        return self._save(self.next)

    def check(self, outcome):
        assert self.latest() in ({4} if outcome == "ok" else {3, 4})
        self.check_listed()
        assert self.whole(self.path("m.ckpt-2")) == self.best

    def again(self):
        self._save(self.next + 1)
        assert self.latest() == 5
        assert self.whole(self.path("m.ckpt-2")) == self.best


class Pinning(Saving):
    """A checkpoint is pinned in the state file."""

    steps = (1, 2)

    def act(self):
        tf.train.pin_checkpoint(self.path("m.ckpt-1"))

    def check(self, outcome):
        assert self.latest() == 2
        self.check_listed()
        record = tf.train.get_checkpoint_state(self.folder()).records.get(self.path("m.ckpt-1"))
        is_pinned = record is not None and record.pinned
        assert is_pinned if outcome == "ok" else True

    def again(self):
        self.act()
        self.check("ok")


class SavingAModel(Scene):
    """A SavedModel is written into a new directory: its file comes last, so that what is left is one or is none."""

    def act(self):
        with tf.Graph().as_default(), tf.Session() as session:
            k = tf.get_variable("k", initializer=7)
            session.run(k.initializer)
            builder = tf.saved_model.builder.SavedModelBuilder(self.path("model"))
            builder.add_meta_graph_and_variables(session, ["serve"])
            builder.save()

    def check(self, outcome):
        if tf.saved_model.loader.maybe_saved_model_directory(self.path("model")):
            with tf.Graph().as_default(), tf.Session() as session:
                tf.saved_model.loader.load(session, ["serve"], self.path("model"))
                assert session.run("k:0") == 7
        else:
            assert outcome != "ok"

    def again(self):
        shutil.rmtree(self.path("model"), ignore_errors=True)
        self.act()
        self.check("ok")


class ManySmallTensors(Scene):
    """More variables than are datasets of their own, overwritten by the writer alone: the graph is not the subject."""

    count = NAMED_UP_TO + 1

    def before(self):
        self._write(1)

    def _write(self, k):
        tensors = [TensorEntry(f"v{n}", np.full(1 + n % 7, k)) for n in range(self.count)]
        write(self.path("m.h5"), tensors, metagraph=b"%d" % k * 40)

    def act(self):
        self._write(2)

    def check(self, outcome):
        assert self._held() in ({2} if outcome == "ok" else {1, 2})

    def _held(self):
        hdf5_reader.verify(self.path("m.h5"))
        with hdf5_reader.Hdf5Reader(self.path("m.h5")) as reader:
            names = reader.names()
            assert len(names) == self.count
            found = {int(reader.metagraph()[:1])}
            for name in (*names[:3], *names[-3:], *names[:: self.count // 20]):
                found |= set(reader.read(name).tolist())
        assert len(found) == 1
        return found.pop()

    def again(self):
        self._write(3)
        assert self._held() == 3


class OneFile(Scene):
    """One file that is replaced as a whole: `put(k)` writes its version k, `held()` reads which one it is."""

    def before(self):
        self.put(1)

    def act(self):
        self.put(2)

    def check(self, outcome):
        assert self.held() in ({2} if outcome == "ok" else {1, 2})

    def again(self):
        self.put(3)
        assert self.held() == 3


class GraphExport(OneFile):
    as_text = False

    def put(self, k):
        graph = tf.Graph()
        with graph.as_default():
            tf.constant(k, name="k")
            tf.train.export_meta_graph(self.path("g.meta"), as_text=self.as_text)

    def held(self):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.train.import_meta_graph(self.path("g.meta"))
            return int(session.run("k:0"))


class GraphExportAsText(GraphExport):
    as_text = True


class StateUpdate(OneFile):
    def put(self, k):
        write(self.path(f"m-{k}.h5"), [TensorEntry("k", np.array(k))], durable=False)
        tf.train.update_checkpoint_state(self.path(), self.path(f"m-{k}"))

    def held(self):
        found = tf.train.latest_checkpoint(self.path())
        with detect.open_reader(found) as reader:
            return int(reader.read("k"))


class MergingFiles(Scene):
    """Two saved models are merged into a checkpoint that is there already, forced."""

    def before(self):
        for name in ("a", "b"):
            self._part(name, 1)
        self.act()
        for name in ("a", "b"):
            self._part(name, 2)

    def _part(self, name, k):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.get_variable("w", initializer=tf.fill([3], float(k)))
            session.run(tf.global_variables_initializer())
            tf.train.Saver().save(session, self.path(name), durable=False)

    def act(self):
        parts = {name: self.path(name) for name in ("a", "b")}
        tf.merge_files(parts, self.path("out/m"), force=True)

    def check(self, outcome):
        assert self.held() in ({2} if outcome == "ok" else {1, 2})

    def held(self):
        prefix = self.path("out/m")
        hdf5_reader.verify(detect.resolve(prefix))
        with tf.Graph().as_default(), tf.Session() as session:
            tf.train.import_meta_graph(prefix + ".meta").restore(session, prefix)
            values = np.unique(session.run(["a/w:0", "b/w:0"]))
        assert len(values) == 1, f"a mixture of {values}"
        return int(values[0])

    def again(self):
        self.act()
        assert self.held() == 2


class EditingFiles(MergingFiles):
    """A saved model is renamed into a checkpoint that is there already, forced."""

    def act(self):
        draft, _ = surgery.rename(surgery.open_draft(self.path("a")), {"w": "v"})
        surgery.write_draft(draft, self.path("out/m"), force=True)

    def held(self):
        hdf5_reader.verify(detect.resolve(self.path("out/m")))
        with detect.open_reader(self.path("out/m")) as reader:
            (value,) = np.unique(reader.read("v")).tolist()
        return int(value)


class Removing(Scene):
    """A checkpoint is deleted: the values go first, so that what is left is never taken for one."""

    def before(self):
        write(self.path("m.h5"), [TensorEntry("k", np.array(1))])
        Path(self.path("m.meta")).write_bytes(b"graph")

    def act(self):
        tf.train.remove_checkpoint(self.path("m"))

    def check(self, outcome):
        names = set(os.listdir(self.home))
        assert names in ([set()] if outcome == "ok" else [set(), {"m.meta"}, {"m.h5", "m.meta"}])

    def again(self):
        self.act()
        self.check("ok")


class Restoring(Saving):
    """Reading: the session then has the old values or the new ones, and the files are as they were."""

    steps = (1, 2)
    read_only = True

    def act(self):
        self.model.other.run(self.model.assign, {self.model.k: 9})
        prefix = tf.train.latest_checkpoint(self.folder())
        assert prefix == self.path("m.ckpt-2"), "an older one was taken silently"
        self.model.saver.restore(self.model.other, prefix)

    def check_here(self, outcome):
        assert self.model.state(self.model.other) in ({2} if outcome == "ok" else {2, 9})

    def check(self, outcome):
        assert self.latest() == 2

    def again(self):
        self.act()
        self.check_here("ok")


class ImportingAGraph(GraphExport):
    read_only = True

    def before(self):
        self.put(2)

    def act(self):
        assert self.held() == 2

    def check(self, outcome):
        assert self.held() == 2

    def again(self):
        pass


WRITING = [
    FirstSave, FirstSaveInANewDirectory, SecondSaveDeletingTheFirst, ThirdSaveOfTwoKept, Overwriting, WithoutState,
    WithoutGraph, NotDurable, Partitioned, Big, Sharded, OverwritingShards,
    ShardsToFile, FileToShards, InTheBackground, BackgroundShards, Compressed, ManySmallTensors, GraphExport, GraphExportAsText, StateUpdate, Removing,
    MergingFiles, EditingFiles, Pruning, Pinning, SavingBesideTheBest, SavingAModel,
]  # fmt: skip
READING = [Restoring, ImportingAGraph]


def outcome_of(action, killed=()):
    """ "ok", the typed error, or "killed"; anything else is not caught."""
    try:
        action()
    except OpError as error:
        return error
    except killed:
        return "killed"
    return "ok"
