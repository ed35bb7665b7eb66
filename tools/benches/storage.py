"""Saving and loading 1 GiB in 160 float32 tensors, beside raw files and safetensors."""

import os
from pathlib import Path

from tools.benches.registry import contestant

TENSORS = 160


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
