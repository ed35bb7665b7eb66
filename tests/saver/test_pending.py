"""Saves in the background: values of the moment, order kept, no failure unheard, and forks and closed sessions."""

import errno
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.atomic import NewFile
from ckpt.core.cells import Cell
from ckpt.core.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    OpError,
    ResourceExhaustedError,
)
from ckpt.formats import detect, hdf5_writer, shards
from ckpt.saver import pending

SIZE = 1000


@pytest.fixture
def gate(monkeypatch):
    """Writing waits until the gate is set; `gate.failure` is raised by it, once."""
    gate = threading.Event()
    gate.failure = None
    write = shards.write_checkpoint

    def held_up(*args, **kwargs):
        assert gate.wait(30)
        if gate.failure is not None:
            failure, gate.failure = gate.failure, None
            raise failure
        write(*args, **kwargs)

    monkeypatch.setattr(shards, "write_checkpoint", held_up)
    yield gate
    gate.set()


@pytest.fixture
def model():
    """A session with a variable, the operation that adds 1 to it in place, and a Saver."""
    v = tf.get_variable("v", [SIZE], initializer=tf.zeros_initializer())
    step = tf.train.GradientDescentOptimizer(1.0).minimize(-tf.reduce_sum(v))
    saver = tf.train.Saver(max_to_keep=2)
    session = tf.Session()
    session.run(v.initializer)
    yield session, v, step, saver
    session.close()


def value(prefix):
    with detect.open_reader(prefix) as reader:
        return set(reader.read("v").tolist())


def no_space(path="m"):
    return ResourceExhaustedError(None, None, f"{path}: no space")


def test_the_values_are_those_of_the_moment_whatever_training_does_meanwhile(tmp_path, model, gate):
    session, _, step, saver = model
    session.run(step)
    save = saver.save(session, tmp_path / "m", global_step=1, asynchronous=True)
    assert save.path == str(tmp_path / "m-1")
    assert not save.done()
    assert repr(save) == f"<PendingSave {tmp_path / 'm-1'}: under way>"
    for _ in range(3):
        session.run(step)
    assert tf.train.latest_checkpoint(tmp_path) is None
    gate.set()
    assert save.result(30) == save.path
    assert save.done()
    assert repr(save).endswith("m-1: ended>")
    assert value(save.path) == {1.0}
    assert tf.train.latest_checkpoint(tmp_path) == save.path
    assert saver.save(session, tmp_path / "m", global_step=2) == str(tmp_path / "m-2")
    assert value(tmp_path / "m-2") == {4.0}


def test_nothing_is_copied_for_the_snapshot(tmp_path, model, gate, monkeypatch):
    session, _, _, saver = model
    seen = []
    held_up = shards.write_checkpoint

    def noted(path, entries, **extras):
        entries = list(entries)
        seen.extend(entry.array for entry in entries)
        held_up(path, entries, **extras)

    monkeypatch.setattr(shards, "write_checkpoint", noted)
    gate.set()
    saver.save(session, tmp_path / "m", asynchronous=True).result(30)
    cell = next(
        c for c in session.state._resources.values() if getattr(c, "name", "").startswith("v")
    )
    assert seen[0] is cell.value


def test_what_is_written_is_updated_in_place_again_while_the_rest_waits(tmp_path, monkeypatch):
    first, second = (
        tf.get_variable(name, [1 << 19], initializer=tf.zeros_initializer()) for name in "ab"
    )
    step = tf.group(first.assign_add(tf.ones([1 << 19])), second.assign_add(tf.ones([1 << 19])))
    saver = tf.train.Saver()
    written, reached, gate = [], threading.Event(), threading.Event()
    write = NewFile.write

    def held_up(self, data, offset):
        if sum(written) >= first.shape.num_elements() * 4:
            reached.set()
            assert gate.wait(30)
        write(self, data, offset)
        written.append(len(data))

    monkeypatch.setattr(NewFile, "write", held_up)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        cells = {
            cell.name: cell for cell in session.state._resources.values() if isinstance(cell, Cell)
        }
        places = {name: cell.value.ctypes.data for name, cell in cells.items()}
        save = saver.save(session, tmp_path / "m", asynchronous=True, durable=False)
        assert reached.wait(30)
        session.run(step)
        assert cells["a"].value.ctypes.data == places["a"]
        assert cells["b"].value.ctypes.data != places["b"]
        gate.set()
        with detect.open_reader(save.result(30)) as reader:
            assert not reader.read("a").any()
            assert not reader.read("b").any()
        assert session.run([first, second])[1].min() == 1


def test_saves_of_one_saver_keep_their_order(tmp_path, model, gate):
    session, _, step, saver = model
    gate.set()
    for number in range(1, 6):
        session.run(step)
        saver.save(session, tmp_path / "m", global_step=number, asynchronous=number % 2 == 1)
    saver.wait()
    state = tf.train.get_checkpoint_state(tmp_path)
    assert state.all_model_checkpoint_paths == [str(tmp_path / f"m-{n}") for n in (4, 5)]
    assert (value(tmp_path / "m-4"), value(tmp_path / "m-5")) == ({4.0}, {5.0})


def test_a_save_waits_for_the_one_under_way(tmp_path, model, gate):
    session, _, _, saver = model
    first = saver.save(session, tmp_path / "m", global_step=1, asynchronous=True)
    timer = threading.Timer(0.05, gate.set)
    timer.start()
    saver.save(session, tmp_path / "m", global_step=2)
    assert first.done()
    timer.join()


def test_a_failure_is_raised_by_result_and_then_is_done_with(tmp_path, model, gate):
    session, _, _, saver = model
    gate.failure = no_space()
    save = saver.save(session, tmp_path / "m", global_step=1, asynchronous=True)
    gate.set()
    with pytest.raises(ResourceExhaustedError, match="no space"):
        save.result(30)
    assert saver.save(session, tmp_path / "m", global_step=2) == str(tmp_path / "m-2")
    assert not tf.train.checkpoint_exists(save.path)


@pytest.mark.parametrize("surface", ["save", "asynchronous save", "wait", "close"])
def test_a_failure_nobody_asked_for_is_raised_by_what_comes_next(tmp_path, model, gate, surface):
    session, _, _, saver = model
    gate.failure = no_space()
    gate.set()
    saver.save(session, tmp_path / "m", global_step=1, asynchronous=True)
    what = {
        "save": lambda: saver.save(session, tmp_path / "m", global_step=2),
        "asynchronous save": lambda: saver.save(session, tmp_path / "m", 2, asynchronous=True),
        "wait": saver.wait,
        "close": session.close,
    }[surface]
    with pytest.raises(ResourceExhaustedError, match=r"the save of .*m-1 in the background failed"):
        what()
    if surface == "close":
        with pytest.raises(RuntimeError, match="closed"):
            session.run("v:0")
        return
    saver.wait()  # told once
    saver.save(session, tmp_path / "m", global_step=3)
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "m-3")


def test_closing_the_session_waits_and_loses_nothing(tmp_path, model, gate):
    session, _, step, saver = model
    session.run(step)
    with session:
        save = saver.save(session, tmp_path / "m", asynchronous=True)
        threading.Timer(0.05, gate.set).start()
    assert save.done()
    assert repr(save).endswith("m: ended>")
    assert value(save.path) == {1.0}


def test_an_error_in_the_session_is_not_hidden_by_one_of_a_save(tmp_path, model, gate, caplog):
    session, _, _, saver = model
    gate.failure = no_space()
    gate.set()
    with pytest.raises(KeyError, match="mine"), session:
        saver.save(session, tmp_path / "m", asynchronous=True)
        raise KeyError("mine")
    assert "no space" in caplog.text


def test_a_wait_that_takes_too_long_ends_typed(tmp_path, model, gate):
    session, _, _, saver = model
    save = saver.save(session, tmp_path / "m", asynchronous=True)
    with pytest.raises(DeadlineExceededError, match=r"m: is still being saved"):
        save.result(0.01)
    gate.set()
    save.result(30)


def test_bad_arguments_are_told_at_once(tmp_path, model):
    session, _, _, saver = model
    with pytest.raises(ValueError, match="Parent directory"):
        saver.save(session, tmp_path / "a" / "b" / "m", asynchronous=True)
    with pytest.raises(TypeError, match="Session"):
        saver.save("x", tmp_path / "m", asynchronous=True)
    for options in ({"compression": "nope"}, {"compression": 3}, {"shard_size": "some"}):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"(nope|3|some).*(unknown|no size)"
        ):
            saver.save(session, tmp_path / "m", asynchronous=True, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_fork_neither_hangs_nor_speaks_for_its_parent(tmp_path, model, gate):
    session, _, _, saver = model
    save = saver.save(session, tmp_path / "m", global_step=1, asynchronous=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            gate.set()
            for ask in (save.done, lambda: save.result(5), save.result):
                with pytest.raises(
                    FailedPreconditionError, match=r"m-1.*of which this one is a fork"
                ):
                    ask()
            saver.save(session, tmp_path / "child", global_step=2)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert value(tmp_path / "child-2") == {0.0}
    gate.set()
    save.result(30)


def test_a_fork_knows_what_had_ended_before(tmp_path, model, gate):
    session, _, _, saver = model
    gate.set()
    good = saver.save(session, tmp_path / "m", global_step=1, asynchronous=True)
    good.result(30)
    gate.failure = no_space()
    bad = saver.save(session, tmp_path / "m", global_step=2, asynchronous=True)
    saver._turns.settle()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert good.done()
            assert bad.done()
            assert good.result(5) == str(tmp_path / "m-1")
            with pytest.raises(ResourceExhaustedError):
                bad.result(5)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    with pytest.raises(ResourceExhaustedError):  # the parent is told all the same
        saver.wait()


def program(tmp_path, ending):
    text = f"""
        import numpy as np, sys
        import ckpt as tf
        v = tf.get_variable("v", [300_000])
        session = tf.Session()
        session.run(v.initializer)
        saver = tf.train.Saver()
        saver.save(session, {str(tmp_path / "m")!r}, global_step=1)
        {ending}
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], check=False, capture_output=True, text=True
    )


def test_the_end_of_the_interpreter_waits_for_the_save(tmp_path):
    done = program(tmp_path, f"saver.save(session, {str(tmp_path / 'm')!r}, 2, asynchronous=True)")
    assert (done.returncode, done.stderr) == (0, "")
    assert tf.train.latest_checkpoint(tmp_path, valid_only=True) == str(tmp_path / "m-2")


def test_a_failure_at_the_end_of_the_interpreter_is_loud(tmp_path):
    fail = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        f"saver.save(session, {str(tmp_path / 'm')!r}, 2, asynchronous=True)"
    )
    done = program(
        tmp_path, f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {fail}"
    )
    assert "ResourceExhaustedError" in done.stderr
    assert "m-2" in done.stderr
    assert tf.train.latest_checkpoint(tmp_path, valid_only=True) == str(tmp_path / "m-1")


def test_threads_that_save_with_one_saver_write_whole_checkpoints(tmp_path, model):
    session, _, step, saver = model
    failures = []

    def save(number):
        try:
            for turn in range(5):
                session.run(step)
                saver.save(session, tmp_path / f"t{number}", turn, asynchronous=turn % 2 == 0)
        except OpError as error:
            failures.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    saver.wait()
    assert not failures
    assert len(saver.last_checkpoints) == 2
    for prefix in saver.last_checkpoints:
        assert len(value(prefix)) == 1
    assert len([name for name in os.listdir(tmp_path) if name.endswith(".h5")]) == 2


def test_an_empty_saver_has_nothing_to_wait_for(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        saver = tf.train.Saver(allow_empty=True)
        assert saver.save(session, tmp_path / "m", asynchronous=True) is None
        saver.wait()


def test_remote_saves_go_on_in_the_background_too(model):
    pytest.importorskip("fsspec", reason="remote files need fsspec")
    session, _, _, saver = model
    save = saver.save(session, "memory://pending/m", global_step=1, asynchronous=True)
    assert save.result(30) == "memory://pending/m-1"
    assert tf.train.latest_checkpoint("memory://pending", valid_only=True) == save.path
    np.testing.assert_equal(value(save.path), {0.0})


def test_a_sharded_saver_writes_its_shards_in_the_background(tmp_path, gate):
    with tf.device("/cpu:0"):
        a = tf.get_variable("a", [10], initializer=tf.zeros_initializer())
    with tf.device("/cpu:1"):
        b = tf.get_variable("b", [10], initializer=tf.zeros_initializer())
    saver = tf.train.Saver(sharded=True)
    with tf.Session() as session:
        session.run([a.initializer, b.initializer])
        save = saver.save(session, tmp_path / "m", global_step=1, asynchronous=True)
        session.run([a.assign_add(np.ones(10)), b.assign_add(np.ones(10))])
        assert not list(tmp_path.glob("**/*.h5"))
        gate.set()
        save.result(30)
    assert tf.train.latest_checkpoint(tmp_path, valid_only=True) == save.path
    with detect.open_reader(save.path) as reader:
        assert reader.metadata()["step"] == "1"
        assert set(reader.read("a").tolist()) | set(reader.read("b").tolist()) == {0.0}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_system_without_threads_is_told_and_leaves_nothing_under_way(
    tmp_path, model, monkeypatch, asynchronous
):
    """The end of the interpreter would wait for a save that nobody does."""
    session, _, step, saver = model
    first = saver.save(session, tmp_path / "m", global_step=0)

    def none_left(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        with pytest.raises(ResourceExhaustedError, match="can't start new thread"):
            saver.save(session, tmp_path / "m", global_step=1, asynchronous=asynchronous)
    assert not pending._unsettled
    assert tf.train.latest_checkpoint(tmp_path) == first
    session.run(step)
    saved = saver.save(session, tmp_path / "m", global_step=2, asynchronous=True).result()
    assert value(saved) == {1.0}


def test_memory_that_is_missing_for_a_durable_save_is_told_with_the_path(
    tmp_path, model, monkeypatch
):
    session, _, _, saver = model
    monkeypatch.setattr(hdf5_writer, "_LARGE", 8)
    monkeypatch.setattr(NewFile, "open_direct", lambda *_: True)

    def refused(*_):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(hdf5_writer.mmap, "mmap", refused)
    with pytest.raises(ResourceExhaustedError, match=r"m\.h5: taking memory"):
        saver.save(session, tmp_path / "m")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("has_started", [False, True])
def test_a_save_that_ctrl_c_met_at_its_beginning_is_waited_for_or_not_done(
    tmp_path, model, gate, monkeypatch, has_started
):
    """Else the next save would be overwritten by it, or wait for it for ever."""
    session, _, step, saver = model
    start = threading.Thread.start

    def interrupted(thread):
        if has_started:
            start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            saver.save(session, tmp_path / "m", asynchronous=True)
    session.run(step)
    threading.Timer(0.2, gate.set).start()
    saved = saver.save(session, tmp_path / "m")
    assert value(saved) == {1.0}
    assert not pending._unsettled
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "m.h5", "m.meta"]
    assert value(saved) == {1.0}
