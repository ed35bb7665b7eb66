"""Loss of power, replayed: what a disk may hold when the machine stops after operation N, in five models.

Bytes are safe once their file was synced, names (creations, renames, removals) once their directory was. What was not
safe is, in the model

* strict: lost, bytes and names;
* names:  names survive, bytes do not (a file synced never is empty);
* zeros:  names and lengths survive, bytes read as zeros;
* data:   bytes survive, names do not;
* torn:   each 512-byte sector and each name is the old or the new one, at random.
"""

import os
import random
from dataclasses import dataclass, field

from tests.faults.seam import Seam

MODELS = ("strict", "names", "zeros", "data", "torn")
SECTOR = 512


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
        self.open = {}  # descriptor -> path of a directory, or Inode

    def apply(self, name, args, result):
        if name == "open" and str(args[0]).startswith(self.root):
            path, flags = os.path.normpath(args[0]), args[1]
            if flags & os.O_CREAT:
                self.now[path] = Inode()
            self.open[result] = path if flags & os.O_DIRECTORY else self.now[path]
        elif name == "pwrite":
            self.open[args[0]].write(args[1][:result], args[2])
        elif name == "ftruncate":
            inode, length = self.open[args[0]], args[1]
            del inode.now[length:]
            inode.now.extend(bytes(length - len(inode.now)))
        elif name == "fsync":
            self._sync(self.open[args[0]])
        elif name == "replace":
            self.now[os.fspath(args[1])] = self.now.pop(os.fspath(args[0]))
        elif name == "unlink":
            del self.now[os.fspath(args[0])]
        elif name == "mkdir":
            self.now[os.fspath(args[0])] = None

    def _sync(self, what):
        if isinstance(what, Inode):
            what.sync()
            return
        for path in {*self.now, *self.safe}:
            if os.path.dirname(path) == what:
                if path in self.now:
                    self.safe[path] = self.now[path]
                else:
                    del self.safe[path]

    def left(self, model, chance):
        """{path: bytes, or None for a directory} after the loss of power."""
        if model in ("strict", "data"):
            names = self.safe
        elif model == "torn":
            both = {*self.now, *self.safe}
            chosen = ((p, chance.choice([self.now, self.safe])) for p in sorted(both))
            names = {path: which[path] for path, which in chosen if path in which}
        else:
            names = self.now
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


def recording(log):
    """A seam that appends (name, arguments, result) of each operation that succeeds to `log`."""

    def fault(number, name, real, args):
        result = real(*args)
        if name == "pwrite":
            args = (args[0], bytes(args[1]), args[2])
        log.append((name, args, result))
        return result

    return Seam(fault)
