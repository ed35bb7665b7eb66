"""Stores that fail: a stand-in for what `ckpt.core.remote` talks to. It counts requests; fails, cuts or kills at number N.

Two stores in memory: `objects://`, where a PUT is all or nothing, and `shelf://`, where a file grows under its name,
so that it is put under another one and moved.
"""

import re
from contextlib import contextmanager

import fsspec
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from ckpt.core import remote, temporaries
from tests.faults.seam import DEAD, Killed

REQUESTS = {
    "info", "exists", "ls", "cat_file", "pipe_file", "put_file", "mv", "rm_file", "modified", "makedirs",
}  # fmt: skip
PUTS = ("pipe_file", "put_file")
TEMPORARY = re.compile(r"(\.ckpt-tmp-[0-9a-f]{8}-)\d+(-[0-9a-f]{16})")


class Objects(MemoryFileSystem):
    """An object store: nobody sees a part of an object."""

    protocol = ("objects", "memory")
    store = {}
    pseudo_dirs = [""]
    is_whole = True

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix(f"{cls.scheme()}://"))

    @classmethod
    def scheme(cls):
        return cls.protocol if isinstance(cls.protocol, str) else cls.protocol[0]

    @classmethod
    def content(cls):
        """Name -> bytes of everything in the store."""
        return {name: file.getvalue() for name, file in cls.store.items()}

    @classmethod
    def become(cls, content):
        """Hold this and nothing else."""
        cls.store.clear()
        cls.pseudo_dirs[:] = [""]
        for name, data in content.items():
            cls.store[name] = MemoryFile(cls(), name, data)


class Shelf(Objects):
    """A store of files, which are there while they are written."""

    protocol = "shelf"
    store = {}
    pseudo_dirs = [""]
    is_whole = False


STORES = [Objects, Shelf]
for _store in STORES:
    fsspec.register_implementation(_store.scheme(), _store, clobber=True)


class Requests:
    """What stands between `remote` and a store. `fault(number, name, real, args, kwargs)` takes the place of a request."""

    def __init__(self, fault=None):
        self.fault = fault
        self.names = []
        self.dead = False

    def through(self, store):
        return _Counted(self, store)

    def die(self):
        self.dead = True
        raise Killed


class _Counted:
    def __init__(self, requests, store):
        self._requests, self._store = requests, store

    def __getattr__(self, name):
        real = getattr(self._store, name)
        if name not in REQUESTS:
            return real

        def request(*args, **kwargs):
            requests = self._requests
            if requests.dead:
                raise Killed
            number = len(requests.names)
            requests.names.append(name)
            if requests.fault is None:
                return real(*args, **kwargs)
            return requests.fault(number, name, real, args, kwargs)

        return request


@contextmanager
def talking_through(requests):
    """Run the block with these requests between `remote` and its stores."""
    before, own = remote.store_of, temporaries.own.copy()

    def store_of(url):
        store, name = before(url)
        return requests.through(store), name

    remote.store_of = store_of
    try:
        yield requests
    finally:
        remote.store_of = before
        if requests.dead:
            temporaries.own.clear()
            temporaries.own.update(own)


def failing(at, error, *, sticky=False, is_done=False):
    """Request `at` fails, when sticky all later ones too; `is_done`: the store did it, only the answer is lost."""

    def fault(number, name, real, args, kwargs):
        if number == at or (sticky and number > at):
            if is_done:
                real(*args, **kwargs)
            raise error
        return real(*args, **kwargs)

    return Requests(fault)


def killing(at, when):
    """The process dies `before`, `after` or in the middle (`torn`) of request `at`."""

    def fault(number, name, real, args, kwargs):
        if number != at:
            return real(*args, **kwargs)
        if when == "torn" and name in PUTS and not real.__self__.is_whole:
            _put_half(real, name, args)
        elif when == "after":
            real(*args, **kwargs)
        return requests.die()

    requests = Requests(fault)
    return requests


def cutting(at):
    """The connection ends in the middle of request `at`: half of what was asked for arrives, or of what is put."""

    def fault(number, name, real, args, kwargs):
        if number == at and name == "cat_file":
            found = real(*args, **kwargs)
            return found[: len(found) // 2]
        if number == at and name in PUTS:
            if not real.__self__.is_whole:
                _put_half(real, name, args)
            raise ConnectionResetError("the connection was reset")
        return real(*args, **kwargs)

    return Requests(fault)


def lagging():
    """Listings show what was there before, as those of some stores do for a while."""
    listed = {}

    def fault(number, name, real, args, kwargs):
        if name != "ls":
            return real(*args, **kwargs)
        if args not in listed:
            listed[args] = real(*args, **kwargs)
        return listed[args]

    return Requests(fault)


def _put_half(real, name, args):
    if name == "pipe_file":
        path, data = args
        real(path, data[: len(data) // 2])
    else:
        local, path = args
        with open(local, "rb") as file:
            data = file.read()
        real.__self__.pipe_file(path, data[: len(data) // 2])


def bury(store):
    """Give the temporaries that a simulated death left the number of a process that is really dead."""
    for path in list(store.store):
        head, _, name = path.rpartition("/")
        match = TEMPORARY.fullmatch(name)
        if match:
            store.store[f"{head}/{match[1]}{DEAD}{match[2]}"] = store.store.pop(path)
