"""Compares ckpt with its peers: interleaved, every measurement in a fresh process, results as ratios.

    python tools/bench.py [--rounds 5] [--size 1GiB] [--only save] [--dir FOLDER]

A benchmark is a paragraph below: a function under `@contestant(group, name)` that prepares its work, untimed, and
returns what is to be timed. The first contestant of a group is the one that ratios refer to first. Contestants run
in random order within each round, so that noise of the machine hits all of them alike; compare ratios of one run only.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

CONTESTANTS: dict[str, dict[str, Callable]] = {}
TENSORS = 160


def contestant(group, name):
    """Register `prepare(case) -> timed`."""

    def register(prepare):
        CONTESTANTS.setdefault(group, {})[name] = prepare
        return prepare

    return register


class Case:
    """What the contestants work on: 160 float32 tensors, half of them matrices, and files that hold them."""

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

    def buffers(self):
        import numpy as np

        return {name: np.ones(shape, "f") for name, shape in self.shapes().items()}

    def target(self):
        path = self.directory / "target"
        path.unlink(missing_ok=True)
        return path

    def source(self, kind):
        """A file of the kind, written once per run and then in the page cache."""
        path = self.directory / f"source.{kind}"
        if not path.exists():
            {"raw": save_raw, "st": save_safetensors, "h5": save_ckpt}[kind](self, path)()
        return path


def fsync_file(path):
    for name in (path, path.parent):
        fd = os.open(name, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def save_raw(case, path):
    tensors = case.tensors()

    def save():
        with path.open("wb", buffering=0) as file:
            for array in tensors.values():
                file.write(memoryview(array).cast("B"))

    return save


def save_safetensors(case, path):
    from safetensors.numpy import save_file

    tensors = case.tensors()
    return lambda: save_file(tensors, path)


def save_ckpt(case, path, *, durable=False):
    from ckpt.formats.base import TensorEntry
    from ckpt.formats.hdf5_structure import Dataset, build
    from ckpt.formats.hdf5_writer import write

    entries = [TensorEntry(name, array) for name, array in case.tensors().items()]
    import numpy as np

    build([Dataset("warm", np.dtype("f4"), (1,))], 4096)  # importing h5py is not saving
    return lambda: write(path, entries, durable=durable)


@contestant("save", "raw write")
def _(case):
    return save_raw(case, case.target())


@contestant("save", "safetensors")
def _(case):
    return save_safetensors(case, case.target())


@contestant("save", "ckpt")
def _(case):
    return save_ckpt(case, case.target())


@contestant("save durably", "raw write + fsync")
def _(case):
    path = case.target()
    save = save_raw(case, path)
    return lambda: (save(), fsync_file(path))


@contestant("save durably", "safetensors + fsync")
def _(case):
    path = case.target()
    save = save_safetensors(case, path)
    return lambda: (save(), fsync_file(path))


@contestant("save durably", "ckpt")
def _(case):
    return save_ckpt(case, case.target(), durable=True)


@contestant("restore into arrays", "raw readinto")
def _(case):
    path, buffers = case.source("raw"), case.buffers()

    def restore():
        with path.open("rb", buffering=0) as file:
            for array in buffers.values():
                file.readinto(memoryview(array).cast("B"))

    return restore


@contestant("restore into arrays", "safetensors load_file, copied")
def _(case):
    from safetensors.numpy import load_file

    path, buffers = case.source("st"), case.buffers()

    def restore():
        for name, array in load_file(path).items():
            buffers[name][...] = array

    return restore


@contestant("restore into arrays", "ckpt, 1 thread")
def _(case):
    return restore_ckpt(case, 1)


@contestant("restore into arrays", "ckpt, 2 threads")
def _(case):
    return restore_ckpt(case, 2)


def restore_ckpt(case, threads):
    from ckpt.formats.hdf5_reader import Hdf5Reader

    path, buffers = case.source("h5"), case.buffers()

    def restore():
        with Hdf5Reader(path) as reader:
            reader.read_into(buffers, threads=threads)

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
    from safetensors.numpy import load_file

    path = case.source("st")
    return lambda: load_file(path)


@contestant("load fresh arrays", "ckpt")
def _(case):
    from ckpt.formats.hdf5_reader import Hdf5Reader

    path = case.source("h5")

    def load():
        with Hdf5Reader(path) as reader:
            return {name: reader.read(name) for name in reader.names()}

    return load


def measure(group, name, case):
    """Seconds of one run, here and now."""
    timed = CONTESTANTS[group][name](case)
    os.sync()
    start = time.perf_counter()
    kept = timed()
    seconds = time.perf_counter() - start
    del kept
    return seconds


def measure_apart(group, name, args):
    command = [
        sys.executable,
        __file__,
        "--one",
        group,
        name,
        "--size",
        args.size,
        "--dir",
        args.dir,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def compare(group, args):
    names = list(CONTESTANTS[group])
    times = {name: [] for name in names}
    for name in names:
        measure_apart(group, name, args)  # makes the source files; not counted
    for _ in range(args.rounds):
        for name in random.sample(names, len(names)):
            times[name].append(measure_apart(group, name, args))
    report(group, times)


def report(group, times):
    """Medians and minima in seconds; ratios of medians to the first two contestants."""
    peers = list(times)[:2]
    heads = "".join(f"{'/ ' + peer:>32}" for peer in peers)
    print(f"\n{group:34}{'median s':>10}{'min s':>10}{heads}")
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, seconds in times.items():
        ratios = "".join(f"{medians[name] / medians[peer]:>32.2f}" for peer in peers)
        print(f"{name:34}{medians[name]:>10.3f}{min(seconds):>10.3f}{ratios}", flush=True)


def bytes_of(text):
    number = text.rstrip("KMGiB")
    return int(float(number) * 1024 ** " KMG".index((text[len(number) :] or " ")[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="1GiB")
    parser.add_argument("--only", default="", help="groups whose name contains this")
    parser.add_argument("--dir", default="", help="folder on the disk to measure")
    parser.add_argument("--one", nargs=2, metavar=("GROUP", "NAME"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(measure(*args.one, Case(bytes_of(args.size), args.dir)))
        return
    args.dir = tempfile.mkdtemp(prefix="ckpt-bench-", dir=args.dir or None)
    try:
        print(f"{args.size} in {TENSORS} float32 tensors, {args.rounds} rounds")
        for group in CONTESTANTS:
            if args.only in group:
                compare(group, args)
    finally:
        shutil.rmtree(args.dir)


if __name__ == "__main__":
    main()
