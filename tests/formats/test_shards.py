"""Checkpoints in several files: one checkpoint to every reader, replaced and deleted as a whole."""

import os
import re
import signal
import types
import weakref

import numpy as np
import pytest

from ckpt.core import system
from ckpt.core.errors import (
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    OpError,
    ResourceExhaustedError,
)
from ckpt.formats import detect, hdf5_writer, shards
from ckpt.formats.base import SliceSpec, TensorEntry
from ckpt.formats.hdf5_reader import verify
from ckpt.formats.hdf5_writer import write
from ckpt.inspect.report import inspect


def model(step, count=6):
    rng = np.random.default_rng(step)
    tensors = {f"layer{n}/w": rng.normal(size=(50, 40)).astype("f") for n in range(count)}
    return {**tensors, "step": np.array(step)}


def save(prefix, step, **options):
    tensors = [TensorEntry(name, array) for name, array in model(step).items()]
    defaults = {
        "shard_size": 20_000,
        "metadata": {"step": str(step)},
        "metagraph": b"graph %d" % step,
        "durable": False,
    }
    shards.write_checkpoint(prefix, tensors, **{**defaults, **options})


def step_of(prefix):
    """The step of the one save that the whole checkpoint is from."""
    file = detect.resolve(prefix)
    verify(file)
    with detect.open_reader(file) as reader:
        step = int(reader.metadata()["step"])
        assert reader.metagraph() == b"graph %d" % step
        expected = model(step)
        assert sorted(reader.names()) == sorted(expected)
        for name, array in expected.items():
            assert np.array_equal(reader.read(name), array)
    return step


@pytest.fixture
def prefix(tmp_path):
    return str(tmp_path / "model.ckpt-1")


def test_readers_see_one_checkpoint(prefix, tmp_path):
    save(prefix, 7, aliases={"tied": "layer5/w"})
    names = sorted(os.listdir(tmp_path))
    assert names[-1] == "model.ckpt-1.index"
    assert len(names) == 4
    assert all(
        re.fullmatch(r"model\.ckpt-1\.[0-9a-f]{16}-0000\d-of-00003\.h5", n) for n in names[:-1]
    )
    assert step_of(prefix) == step_of(prefix + ".index") == 7
    with detect.open_reader(prefix) as reader:
        assert np.array_equal(reader.read("tied"), model(7)["layer5/w"])
        cut = (slice(3, 9), slice(5, 6))
        assert np.array_equal(reader.read("layer4/w", cut), model(7)["layer4/w"][cut])
        outs = {name: np.empty_like(array) for name, array in model(7).items()}
        reader.read_into(outs)
        assert all(np.array_equal(outs[name], array) for name, array in model(7).items())


def test_inspecting_lists_what_all_shards_hold(prefix):
    save(prefix, 7, metagraph=None)
    report = inspect(prefix)
    assert (report.total, report.step, report.format) == (7, 7, "sharded hdf5")


def test_each_shard_is_a_checkpoint_of_its_own(prefix, tmp_path):
    save(prefix, 7)
    held = []
    for name in sorted(os.listdir(tmp_path))[:-1]:
        verify(tmp_path / name)
        with detect.open_reader(tmp_path / name) as reader:
            held += reader.names()
    assert held == list(model(7))


def test_what_fits_in_one_shard_is_one_file(prefix, tmp_path):
    save(prefix, 7, shard_size="1MiB")
    assert os.listdir(tmp_path) == ["model.ckpt-1.h5"]
    assert step_of(prefix) == 7


def test_a_tensor_larger_than_a_shard_is_not_cut(prefix, tmp_path):
    save(prefix, 7, shard_size=1)
    assert len(os.listdir(tmp_path)) == 8
    assert step_of(prefix) == 7


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (12, 12),
        ("12", 12),
        ("5GB", 5 * 10**9),
        ("1.5 GiB", 3 << 29),
        ("2kb", 2000),
        ("7MiB", 7 << 20),
    ],
)
def test_sizes_are_numbers_or_text(text, number):
    assert shards.size_in_bytes(text) == number


@pytest.mark.parametrize("text", ["", "GB", "-1", 0, "5 parsecs", "1e3", None])
def test_what_is_no_size_is_refused(text, prefix):
    with pytest.raises(ValueError, match="is no size"):
        shards.size_in_bytes(text)
    if text is not None:
        with pytest.raises(InvalidArgumentError, match="shard_size"):
            save(prefix, 1, shard_size=text)


@pytest.mark.parametrize("before", [None, 20_000, 70_000])
@pytest.mark.parametrize("after", [None, 20_000, 70_000])
def test_saving_again_replaces_all_files(prefix, tmp_path, before, after):
    save(prefix, 1, shard_size=before)
    save(prefix, 2, shard_size=after)
    assert step_of(prefix) == 2
    assert len(os.listdir(tmp_path)) == {None: 1, 20_000: 4, 70_000: 1}[after]


@pytest.mark.parametrize("size", [None, 20_000])
def test_removing_takes_the_files_of_this_checkpoint_only(prefix, tmp_path, size):
    save(prefix, 1, shard_size=size)
    save(prefix + "0", 2)
    shards.remove_checkpoint_files(prefix)
    assert len(os.listdir(tmp_path)) == 4
    assert step_of(prefix + "0") == 2
    with pytest.raises(NotFoundError):
        detect.open_reader(prefix)
    shards.remove_checkpoint_files(prefix)


def test_another_tools_index_is_left_alone(prefix, tmp_path):
    (tmp_path / "model.ckpt-1.index").write_bytes(b"\0\0table of another tool")
    save(prefix, 1, shard_size=None)
    assert step_of(prefix) == 1
    shards.remove_checkpoint_files(prefix)
    assert os.listdir(tmp_path) == ["model.ckpt-1.index"]


@pytest.mark.parametrize("before", [None, 20_000])
@pytest.mark.parametrize("after", [None, 20_000])
def test_killed_at_any_operation_the_prefix_is_old_or_new_and_the_next_save_cleans_up(
    tmp_path, before, after
):
    number, is_done = 0, False
    while not is_done:
        folder = tmp_path / str(number)
        folder.mkdir()
        prefix = str(folder / "m")
        save(prefix, 1, shard_size=before)
        is_done = not _killed(number, lambda prefix=prefix: save(prefix, 2, shard_size=after))
        assert step_of(prefix) in ((2,) if is_done else (1, 2))
        save(prefix, 3, shard_size=20_000)
        assert step_of(prefix) == 3
        assert len(os.listdir(folder)) == 4
        number += 1
    assert number > 5


def test_killed_while_removing_no_checkpoint_stays_and_the_next_save_cleans_up(tmp_path):
    number, is_done = 0, False
    while not is_done:
        folder = tmp_path / str(number)
        folder.mkdir()
        prefix = str(folder / "m")
        save(prefix, 1)
        is_done = not _killed(number, lambda p=prefix: shards.remove_checkpoint_files(p))
        if os.path.exists(prefix + ".index"):
            assert step_of(prefix) == 1
        save(str(folder / "n"), 2)
        left = set(os.listdir(folder))
        assert len(left) == (8 if f"{'m'}.index" in left else 4)
        number += 1


def _killed(number, action):
    """Run `action` in a child that dies before file operation `number`; False when it came to its end."""

    class Dying:
        def __init__(self):
            self.count = 0

        def __getattr__(self, name):
            real = getattr(os, name)
            if not callable(real):
                return real

            def operation(*args):
                if self.count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.count += 1
                return real(*args)

            return operation

    pid = os.fork()
    if not pid:
        shards.os.cpu_count = lambda: 1  # in one thread, so that operations have numbers
        system.files = Dying()
        try:
            action()
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1] != 0


def test_a_failing_shard_leaves_the_prefix_as_it_was(prefix, tmp_path):
    save(prefix, 1)
    before = set(os.listdir(tmp_path))
    bad = [TensorEntry("a", np.zeros(10_000)), TensorEntry("b", np.array([1], "datetime64[s]"))]
    with pytest.raises(InvalidArgumentError, match="'b'"):
        shards.write_checkpoint(prefix, bad, shard_size=1000, durable=False)
    with pytest.raises(InvalidArgumentError, match="no such tensor"):
        save(prefix, 2, aliases={"x": "nothing"})
    assert set(os.listdir(tmp_path)) == before
    assert step_of(prefix) == 1


def test_damage_to_the_index_is_found_byte_by_byte(prefix):
    save(prefix, 1)
    path = prefix + ".index"
    with open(path, "rb") as file:
        whole = file.read()
    for position in range(len(whole)):
        for damaged in (
            whole[:position],
            whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :],
        ):
            with open(path, "wb") as file:
                file.write(damaged)
            with pytest.raises((DataLossError, InvalidArgumentError), match=r"\.index"):
                detect.open_reader(path)


def test_missing_foreign_and_linked_shards_are_refused(prefix, tmp_path):
    save(prefix, 1)
    first = min(tmp_path.glob("*.h5"))
    first.rename(tmp_path / "aside")
    with pytest.raises(
        NotFoundError,
        match=rf"model\.ckpt-1\.index: its shard .*{re.escape(first.name)} is not there; .*salvage",
    ):
        detect.open_reader(prefix)
    first.symlink_to(tmp_path / "aside")
    with pytest.raises(OpError, match="symbolic link"):
        detect.open_reader(prefix)
    first.unlink()
    write(first, [TensorEntry("layer0/w", np.zeros(3))], durable=False)
    with pytest.raises(DataLossError, match="of another save"):
        detect.open_reader(prefix)


@pytest.mark.parametrize("name", ["../x.h5", "a/b.h5", "", ".", "..", "a\0b", "a\\b"])
def test_an_index_names_plain_files_only(prefix, name):
    from ckpt.formats.shard_index import Shard, pack_shard_index

    with open(prefix + ".index", "wb") as file:
        file.write(pack_shard_index([Shard(name, 5000, 0)]))
    with pytest.raises(DataLossError, match="no plain file name"):
        detect.open_reader(prefix)


def test_parts_of_a_tensor_may_lie_in_several_files(prefix, tmp_path):
    whole = np.arange(60).reshape(6, 10)
    parts = []
    for number in range(3):
        path = tmp_path / f"part{number}"
        rows = whole[2 * number : 2 * number + 2]
        entry = TensorEntry("v", rows, SliceSpec((6, 10), (2 * number, 0)))
        write(path, [entry, TensorEntry(f"own{number}", rows)], durable=False)
        parts.append(path)
    shards.merge_files(parts, prefix, durable=False)
    assert len(os.listdir(tmp_path)) == 4
    with detect.open_reader(prefix) as reader:
        assert np.array_equal(reader.read("v"), whole)
        cut = (slice(1, 5), slice(2, 3))
        assert np.array_equal(reader.read("v", cut), whole[cut])
    verify(prefix + ".index")


def test_shards_that_contradict_each_other_are_refused(prefix, tmp_path):
    for number in range(2):
        write(tmp_path / f"part{number}", [TensorEntry("v", np.zeros(3))], durable=False)
    shards.merge_files([tmp_path / "part0", tmp_path / "part1"], prefix, durable=False)
    with pytest.raises(DataLossError, match="two shards hold tensor 'v'"):
        detect.open_reader(prefix)


def test_a_reader_that_meets_a_newer_save_reads_that_one(prefix, monkeypatch):
    from ckpt.formats import hdf5_volumes

    save(prefix, 1)
    real, calls = hdf5_volumes.read_shard_index, []

    def replaced_meanwhile(file):
        found = real(file)
        if not calls:
            calls.append(1)
            save(prefix, 2)
        return found

    monkeypatch.setattr(hdf5_volumes, "read_shard_index", replaced_meanwhile)
    assert step_of(prefix) == 2


def test_shards_that_do_not_fit_together_are_refused_before_the_first(tmp_path, monkeypatch):
    class Disk:
        def __getattr__(self, name):
            return getattr(os, name)

        def statvfs(self, path):
            return types.SimpleNamespace(f_bavail=50_000, f_frsize=1, f_blocks=1)

    monkeypatch.setattr(system, "files", Disk())
    entries = [TensorEntry(f"t{n}", np.zeros(1000)) for n in range(10)]  # each fits, all do not
    with pytest.raises(ResourceExhaustedError, match="needs 80000 bytes"):
        shards.write_checkpoint(tmp_path / "m", entries, shard_size=8000)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "options", [{"threads": 1}, {"threads": 1, "compression": "deflate"}, {"shard_size": "3MB"}]
)
def test_large_values_are_let_go_as_soon_as_they_are_written(tmp_path, monkeypatch, options):
    entries = [TensorEntry(name, np.ones((600, 600))) for name in "ab"]
    alive = [weakref.ref(entry.array) for entry in entries]
    left = []
    rest = hdf5_writer._write_rest

    def names_of(plan):
        return {box.name for box in plan.boxes.values()}

    def noted(file, plan):
        left.extend(
            array() for array, name in zip(alive, "ab", strict=True) if name in names_of(plan)
        )
        rest(file, plan)

    monkeypatch.setattr(hdf5_writer, "_write_rest", noted)
    shards.write_checkpoint(tmp_path / "m", shards.taken(entries), durable=False, **options)
    assert left == [None, None]
