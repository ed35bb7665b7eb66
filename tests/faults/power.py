"""Loss of power, replayed: what a disk may hold when the machine stops after operation N, in five models.

Bytes are safe once their file was synced, names (creations, renames, removals) once their directory was. What was not
safe is, in the model

* strict: lost, bytes and names;
* names:  names survive, bytes do not (a file synced never is empty);
* zeros:  names and lengths survive, bytes read as zeros;
* data:   bytes survive, names do not;
* torn:   each 512-byte sector is the old or the new one, each creation, rename and removal happened or not, at random.
"""

import os
import random
from dataclasses import dataclass, field

from tests.faults.seam import Seam

MODELS = ("strict", "names", "zeros", "data", "torn")
SECTOR = 512
READING = {"close", "fstat", "fstatvfs", "listdir", "lstat", "nothing", "open", "pread", "preadv", "stat", "statvfs"}  # fmt: skip


@dataclass
class Inode:
    """A file: its bytes now, its bytes when it was last synced, and which bytes were written since."""

    now: bytearray = field(default_factory=bytearray)
    safe: bytes = b""
    dirty: list[tuple[int, int]] = field(default_factory=list)

    def write(self, data, offset):
        end = offset + len(data)
        self.now.extend(bytes(max(0, end - len(self.now))))
        self.now[offset:end] = data
        self.dirty.append((offset, end))

    def sync(self):
        self.safe, self.dirty = bytes(self.now), []

    def after(self, model, chance):
        """The bytes that are left of it."""
        if model == "data":
            return bytes(self.now)
        if model in ("strict", "names") or not (self.dirty or self.now != self.safe):
            return self.safe
        left = bytearray(self.now)
        if model == "zeros":
            for start, end in self.dirty:
                left[start:end] = bytes(end - start)
            return bytes(left)
        for start in range(0, len(left), SECTOR):
            if chance.random() < 0.5:
                old = self.safe[start : start + SECTOR]
                left[start : start + SECTOR] = old.ljust(len(left[start : start + SECTOR]), b"\0")
        return bytes(left)


class Disk:
    """Replays a log of operations below one directory."""

    def __init__(self, root):
        self.root = root
        self.now = {}  # path -> Inode, or None for a directory
        self.safe = {}
        self.changes = []  # of names not yet safe: (path that goes or None, path that comes or None, Inode)
        self.open = {}  # descriptor -> path of a directory, or Inode

    def apply(self, name, args, result):
        paths = [os.path.normpath(arg) for arg in args[:2] if isinstance(arg, (str, os.PathLike))]
        if name == "open" and paths[0].startswith(self.root):
            if args[1] & os.O_CREAT:
                self._change(None, paths[0], Inode())
            self.open[result] = paths[0] if args[1] & os.O_DIRECTORY else self.now[paths[0]]
        elif name == "pwrite":
            self.open[args[0]].write(args[1][:result], args[2])
        elif name == "pwritev":
            self.open[args[0]].write(b"".join(args[1])[:result], args[2])
        elif name == "ftruncate":
            inode, length = self.open[args[0]], args[1]
            del inode.now[length:]
            inode.now.extend(bytes(length - len(inode.now)))
        elif name == "fsync":
            self._sync(self.open[args[0]])
        elif name == "replace":
            self._change(*paths, self.now[paths[0]])
        elif name == "unlink":
            self._change(paths[0], None, None)
        elif name == "mkdir":
            self._change(None, paths[0], None)
        elif name not in READING:
            raise ValueError(f"the replay does not know {name}{args}")

    def _change(self, *change):
        self.changes.append(change)
        _happen(self.now, change)

    def _sync(self, what):
        if isinstance(what, Inode):
            what.sync()
            return
        here = [c for c in self.changes if os.path.dirname(c[0] or c[1]) == what]
        for change in here:
            _happen(self.safe, change)
        self.changes = [c for c in self.changes if c not in here]

    def left(self, model, chance):
        """{path: bytes, or None for a directory} after the loss of power."""
        names = dict(self.now if model in ("names", "zeros") else self.safe)
        for change in self.changes if model == "torn" else ():
            if chance.random() < 0.5:
                _happen(names, change)
        found = {}
        for path in sorted(names):  # parents first
            above = os.path.dirname(path)
            if above == self.root or (above in found and found[above] is None):
                inode = names[path]
                found[path] = None if inode is None else inode.after(model, chance)
        return found

    def materialise(self, model, seed, target):
        """Write what is left below the directory `target`."""
        os.makedirs(target)
        for path, content in self.left(model, random.Random(seed)).items():
            place = target + path.removeprefix(self.root)
            if content is None:
                os.mkdir(place)
            else:
                with open(place, "wb") as file:
                    file.write(content)


def _happen(names, change):
    gone, come, inode = change
    names.pop(gone, None)
    if come is not None:
        names[come] = inode


def recording(log):
    """A seam that appends (name, arguments, result) of each operation that succeeds to `log`."""

    def fault(number, name, real, args):
        result = real(*args)
        if name == "pwrite":
            args = (args[0], bytes(args[1]), args[2])
        elif name == "pwritev":
            args = (args[0], [b"".join(args[1])], args[2])
        log.append((name, args, result))
        return result

    return Seam(fault)
