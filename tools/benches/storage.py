"""Saving, restoring and listing: 1 GiB in 160 float32 tensors, 20,000 small ones, beside raw files, safetensors, TensorFlow.

Sources of a contest are written once per run, before anything is timed, and lie in the page cache.
"""

import importlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.benches.registry import ORACLE, contestant

TENSORS = 160
MANY = 20_000


class Case:
    """What the contestants work on: tensors, half of them matrices or all of them small, and files that hold them."""

    def __init__(self, size, directory):
        self.size, self.directory = size, Path(directory)

    def shapes(self):
        rows = max(1, self.size // (TENSORS // 2) // 4096)
        pairs = (
            (f"layer{n}/kernel", (rows, 1024), f"layer{n}/bias", (1024,))
            for n in range(TENSORS // 2)
        )
        return {name: shape for a, s, b, t in pairs for name, shape in ((a, s), (b, t))}

    def tensors(self):
        import numpy as np

        noise = np.random.default_rng(0).normal(0, 0.02, 1 << 20).astype("f")
        return {
            name: np.resize(noise, shape) + np.float32(number)
            for number, (name, shape) in enumerate(self.shapes().items())
        }

    def many(self):
        import numpy as np

        rng = np.random.default_rng(0)
        return {
            f"scope{n // 100}/layer{n}/v": rng.normal(size=int(size)).astype("f")
            for n, size in enumerate(rng.integers(64, 1025, MANY))
        }

    def buffers(self, tensors=None):
        import numpy as np

        shapes = self.shapes() if tensors is None else {n: a.shape for n, a in tensors.items()}
        return {name: np.ones(shape, "f") for name, shape in shapes.items()}

    def target(self):
        """A path at which nothing is, nor shards of it: deleting what was there is no part of a save."""
        for old in self.directory.glob("target*"):
            old.unlink()
        return self.directory / "target"

    def source(self, kind, tensors="tensors"):
        """A file of the kind, written once per run and then in the page cache."""
        path = self.directory / f"{tensors}.{kind}"
        if not path.exists():
            {"raw": save_raw, "st": save_safetensors, "h5": save_ckpt}[kind](
                path, getattr(self, tensors)()
            )()
        return path


def fsync_file(path):
    for name in (path, path.parent):
        fd = os.open(name, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def save_raw(path, tensors):
    def save():
        with path.open("wb", buffering=0) as file:
            for array in tensors.values():
                file.write(memoryview(array).cast("B"))

    return save


def save_safetensors(path, tensors):
    from safetensors.numpy import save_file

    return lambda: save_file(tensors, path)


def save_ckpt(path, tensors, **options):
    import numpy as np

    from ckpt.formats.base import TensorEntry
    from ckpt.formats.hdf5_structure import Dataset, build
    from ckpt.formats.hdf5_writer import write

    build([Dataset("warm", np.dtype("f4"), (1,))], 4096)  # importing h5py is not saving
    options = {"durable": False, **options}
    return lambda: write(path, [TensorEntry(*pair) for pair in tensors.items()], **options)


@contestant("save", "raw write")
def _(case):
    return save_raw(case.target(), case.tensors())


@contestant("save", "safetensors")
def _(case):
    return save_safetensors(case.target(), case.tensors())


@contestant("save", "ckpt")
def _(case):
    return save_ckpt(case.target(), case.tensors())


@contestant("save", "ckpt, two shards")
def _(case):
    from ckpt.formats.base import TensorEntry
    from ckpt.formats.shards import write_checkpoint

    entries = [TensorEntry(*pair) for pair in case.tensors().items()]
    target, size = case.target(), case.size // 2 + (1 << 20)
    save_ckpt(target, {})()  # importing h5py is not saving
    case.target()
    return lambda: write_checkpoint(target, entries, shard_size=size, durable=False)


@contestant("save", "ckpt Saver")
def _(case):
    return saver(case, "ckpt").save


@contestant("save", ORACLE)
def _(case):
    return saver(case, ORACLE).save


@contestant("save durably", "raw write + fsync")
def _(case):
    path = case.target()
    save = save_raw(path, case.tensors())
    return lambda: (save(), fsync_file(path))


@contestant("save durably", "safetensors + fsync")
def _(case):
    path = case.target()
    save = save_safetensors(path, case.tensors())
    return lambda: (save(), fsync_file(path))


@contestant("save durably", "ckpt")
def _(case):
    return save_ckpt(case.target(), case.tensors(), durable=True)


@contestant("restore into live variables", "safetensors load_file")
def _(case):
    return load_safetensors(case)


@contestant("restore into live variables", "ckpt Saver")
def _(case):
    return saver(case, "ckpt").restore


@contestant("restore into live variables", ORACLE)
def _(case):
    return saver(case, ORACLE).restore


class saver:
    """A Saver over variables that exist, in either library: `save` and `restore` are what is timed."""

    def __init__(self, case, library, shapes=None, write_meta_graph=False):
        self.tf = importlib.import_module("ckpt" if library == "ckpt" else "tensorflow.compat.v1")
        if library == ORACLE:
            self.tf.disable_v2_behavior()
        tf = self.tf
        for name, shape in (shapes or case.shapes()).items():
            tf.get_variable(name, shape, initializer=tf.ones_initializer())
        self.session = tf.Session()
        self.session.run(tf.global_variables_initializer())
        self._saver = tf.train.Saver(max_to_keep=None)
        self._directory = case.directory / library
        self._count = 0
        self._options = {"write_meta_graph": write_meta_graph, "write_state": False}
        if library == "ckpt":
            self._options["durable"] = False
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir()
        self.save()  # makes the plan, and the graph's bytes
        self.restore()

    def save(self):
        """To a new name, as in training: some file systems write at once what replaces a file."""
        self._count += 1
        self._saver.save(self.session, self._prefix(), **self._options)

    def restore(self):
        self._saver.restore(self.session, self._prefix())

    def _prefix(self):
        return str(self._directory / f"model-{self._count}")


@contestant("load into given arrays", "raw readinto")
def _(case):
    path, buffers = case.source("raw"), case.buffers()

    def restore():
        with path.open("rb", buffering=0) as file:
            for array in buffers.values():
                file.readinto(memoryview(array).cast("B"))

    return restore


@contestant("load into given arrays", "safetensors load_file")
def _(case):
    return load_safetensors(case)


@contestant("load into given arrays", "ckpt")
def _(case):
    return restore_ckpt(case.source("h5"), case.buffers())


def restore_ckpt(path, buffers):
    from ckpt.formats.hdf5_reader import Hdf5Reader

    def restore():
        with Hdf5Reader(path) as reader:
            reader.read_into(buffers)

    return restore


@contestant("load fresh arrays", "raw read")
def _(case):
    path = case.source("raw")

    def load():
        with path.open("rb", buffering=0) as file:
            return file.read()

    return load


@contestant("load fresh arrays", "safetensors load_file")
def _(case):
    return load_safetensors(case)


@contestant("load fresh arrays", "ckpt")
def _(case):
    return load_ckpt(case.source("h5"))


def load_safetensors(case, tensors="tensors"):
    from safetensors.numpy import load_file

    path = case.source("st", tensors)
    return lambda: load_file(path)


def load_ckpt(path):
    from ckpt.formats.base import FreshArrays
    from ckpt.formats.hdf5_reader import Hdf5Reader

    def load():
        with Hdf5Reader(path) as reader:
            names = reader.names()
            target = FreshArrays(len(names))
            reader.read_all(names, target)
            return dict(zip(names, target.found, strict=True))

    return load


@contestant("open and list", "safetensors safe_open")
def _(case):
    from safetensors import safe_open

    path = case.source("st")

    def listing():
        with safe_open(path, "numpy") as file:
            return list(file.keys())

    return listing


@contestant("open and list", "ckpt")
def _(case):
    open_ckpt, path = opener(case)

    def listing():
        with open_ckpt(path) as file:
            return list(file)

    return listing


def opener(case):
    """`ckpt.open` and a file; other formats' modules are loaded by opening once."""
    import ckpt

    path = case.source("h5")
    ckpt.open(path).close()
    return ckpt.open, path


ONE = f"layer{TENSORS // 4}/kernel"


@contestant("one variable", "safetensors safe_open")
def _(case):
    from safetensors import safe_open

    path = case.source("st")

    def load():
        with safe_open(path, "numpy") as file:
            return float(file.get_tensor(ONE)[::1, 0].sum())

    return lambda: (load(), None)


@contestant("one variable", "ckpt")
def _(case):
    open_ckpt, path = opener(case)

    def load():
        with open_ckpt(path) as file:
            return float(file[ONE].view()[::1, 0].sum())

    return lambda: (load(), None)


def several(load):
    """Seconds of one of 20 calls, the mean: what a process does once is not theirs."""

    def timed():
        start = time.perf_counter()
        for _ in range(20):
            load()
        return (time.perf_counter() - start) / 20

    load()
    return timed


@contestant("one slice of 64 rows", "safetensors safe_open")
def _(case):
    from safetensors import safe_open

    path = case.source("st")

    def load():
        with safe_open(path, "numpy") as file:
            return file.get_slice(ONE)[100:164]

    return several(load)


@contestant("one slice of 64 rows", "ckpt")
def _(case):
    open_ckpt, path = opener(case)

    def load():
        with open_ckpt(path) as file:
            return file[ONE][100:164]

    return several(load)


@contestant("save 20,000 small", "safetensors")
def _(case):
    return save_safetensors(case.target(), case.many())


@contestant("save 20,000 small", "raw write")
def _(case):
    return save_raw(case.target(), case.many())


@contestant("save 20,000 small", "ckpt")
def _(case):
    return save_ckpt(case.target(), case.many())


@contestant("restore 20,000 small", "safetensors load_file")
def _(case):
    return load_safetensors(case, "many")


@contestant("restore 20,000 small", "ckpt")
def _(case):
    return load_ckpt(case.source("h5", "many"))


@contestant("save 20,000 small by a Saver", "ckpt, no MetaGraph")
def _(case):
    return small_saver(case, False).save


@contestant("save 20,000 small by a Saver", "ckpt, unchanged MetaGraph")
def _(case):
    return small_saver(case, True).save


@contestant("save 20,000 small by a Saver", "ckpt, restore")
def _(case):
    return small_saver(case, False).restore


def small_saver(case, write_meta_graph):
    shapes = {name: array.shape for name, array in case.many().items()}
    return saver(case, "ckpt", shapes, write_meta_graph)


LISTING = "import sys; from safetensors import safe_open\nfor n in safe_open(sys.argv[1], 'numpy').keys(): print(n)"


@contestant("inspect 160, cold process", "safetensors")
def _(case):
    return process("-c", LISTING, case.source("st"))


@contestant("inspect 160, cold process", "ckpt inspect")
def _(case):
    return process(launcher(case), "inspect", case.source("h5"))


@contestant("inspect 20,000, cold process", "safetensors")
def _(case):
    return process("-c", LISTING, case.source("st", "many"))


@contestant("inspect 20,000, cold process", "ckpt inspect")
def _(case):
    return process(launcher(case), "inspect", case.source("h5", "many"))


def launcher(case):
    """The command `ckpt` as pip (from 25) and uv install it; older pips' imports `re` before ours, which takes 4 ms."""
    path = case.directory / "ckpt"
    path.write_text("import sys\nfrom ckpt.__main__ import main\nsys.exit(main())\n")
    return path


def process(*arguments):
    """A cold process, as after an installation: modules are compiled, output is buffered."""
    command = [sys.executable, *map(str, arguments)]
    ours = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    settings = {name: value for name, value in os.environ.items() if name not in ours}
    settings["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])

    def run():
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=settings)

    run()
    return run


@contestant("extra memory of a save, MiB", "safetensors")
def _(case):
    return extra_memory(save_safetensors(case.target(), case.tensors()))


@contestant("extra memory of a save, MiB", "ckpt")
def _(case):
    return extra_memory(save_ckpt(case.target(), case.tensors()))


@contestant("extra memory of a save, MiB", "ckpt, durable")
def _(case):
    return extra_memory(save_ckpt(case.target(), case.tensors(), durable=True))


@contestant("extra memory of a save, MiB", "ckpt Saver")
def _(case):
    return extra_memory(saver(case, "ckpt").save)


@contestant("extra memory of a load, MiB", "safetensors load_file")
def _(case):
    return extra_memory(load_safetensors(case))


@contestant("extra memory of a load, MiB", "ckpt, fresh arrays")
def _(case):
    return extra_memory(load_ckpt(case.source("h5")))


@contestant("extra memory of a load, MiB", "ckpt Saver, live variables")
def _(case):
    return extra_memory(saver(case, "ckpt").restore)


def extra_memory(work):
    """MiB by which the resident memory of this process grew at most while `work` ran."""

    def measured():
        # the peak starts again at what is resident now
        Path("/proc/self/clear_refs").write_text("5")
        before = status("VmRSS")
        work()
        return (status("VmHWM") - before) / 1024

    return measured


def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field))
