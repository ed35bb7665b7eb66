"""Savers, readers, threads and forked processes at once: RELIABILITY gates G16 and G17."""

import gc
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import CkptError, NotFoundError
from ckpt.formats import detect, hdf5_reader
from tests.faults.scenes import Model, outcome_of
from tests.faults.seam import Seam, under

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
FORK = multiprocessing.get_context("fork")
SAVES = 25


def in_child(action, *args):
    """Start `action` in a forked process, whose exit code is 0 when it returned."""
    process = FORK.Process(target=action, args=args)
    process.start()
    return process


def finished(*processes):
    for process in processes:
        process.join(60)
        if process.exitcode is None:
            process.kill()
        assert process.exitcode == 0, process.exitcode


def whole(model, prefix):
    hdf5_reader.verify(detect.resolve(prefix))
    return model.restored(prefix)


def save_many(path, numbers, options, steps):
    model = Model(max_to_keep=2)
    for k in numbers:
        step = {"global_step": k} if steps else {}
        model.save(path, k, durable=False, **step, **options)


@pytest.mark.parametrize("options", [{}, {"shard_size": 60}], ids=["file", "shards"])
def test_two_processes_save_under_two_names(tmp_path, options):
    paths = [str(tmp_path / name) for name in "ab"]
    finished(*[in_child(save_many, p, range(1, SAVES), options, True) for p in paths])
    model = Model()
    for path in paths:
        assert whole(model, f"{path}-{SAVES - 1}") == SAVES - 1
    assert tf.train.latest_checkpoint(tmp_path) in [f"{path}-{SAVES - 1}" for path in paths]
    assert not [n for n in os.listdir(tmp_path) if n.startswith(".ckpt-tmp-")]


@pytest.mark.parametrize("options", [{}, {"shard_size": 60}], ids=["file", "shards"])
def test_two_processes_save_under_one_name(tmp_path, options):
    path = str(tmp_path / "m")
    odd, even = range(1, 2 * SAVES, 2), range(2, 2 * SAVES, 2)
    finished(*[in_child(save_many, path, numbers, options, False) for numbers in (odd, even)])
    model = Model()
    assert whole(model, path) in {odd[-1], even[-1]}
    assert tf.train.latest_checkpoint(tmp_path) == path


def read_many(directory, until):
    """Restore the latest checkpoint again and again: it is whole, or typed as gone, and never an older one than before."""
    model, newest, found = Model(), 0, 0
    while newest < until:
        try:
            prefix = tf.train.latest_checkpoint(directory)
            if prefix is None:
                continue
            with detect.open_reader(prefix) as reader:
                values = {float(x) for n in reader.names() for x in np.unique(reader.read(n))}
        except NotFoundError:  # deleted between the two
            continue
        assert len(values) == 1, values
        (k,) = values
        assert k >= newest
        newest, found = k, found + 1
    assert model.restored(tf.train.latest_checkpoint(directory)) == until
    assert found


@pytest.mark.parametrize("options", [{}, {"shard_size": 60}], ids=["file", "shards"])
def test_readers_beside_a_saver_see_whole_states_in_order(tmp_path, options):
    readers = [in_child(read_many, str(tmp_path), SAVES - 1) for _ in range(2)]
    saver = in_child(save_many, str(tmp_path / "m"), range(1, SAVES), options, True)
    finished(saver, *readers)


@pytest.mark.parametrize("options", [{}, {"shard_size": 60}], ids=["file", "shards"])
def test_readers_of_one_name_that_is_saved_again_and_again(tmp_path, options):
    path = str(tmp_path / "m")
    save_many(path, [1], options, False)
    saver = in_child(save_many, path, range(2, SAVES), options, False)
    seen = set()
    while saver.is_alive():
        with detect.open_reader(path) as reader:
            values = {float(x) for n in reader.names() for x in np.unique(reader.read(n))}
        assert len(values) == 1, values
        seen |= values
    finished(saver)
    assert seen


def test_threads_of_one_session_lose_no_update_and_no_feed():
    with tf.Graph().as_default(), tf.Session() as session:
        total = tf.Variable(0, dtype=tf.int64, use_resource=True)
        x = tf.placeholder(tf.int64, [])
        add, twice = total.assign_add(x), x * 2
        session.run(tf.global_variables_initializer())

        def work(number):
            for k in range(50):
                assert session.run(twice, {x: 1000 * number + k}) == 2 * (1000 * number + k)
                session.run(add, {x: 1})

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert session.run(total) == 200


def test_threads_that_save_at_once_write_whole_checkpoints(tmp_path):
    model = Model(max_to_keep=100)
    model.become(3)

    def save(number):
        for k in range(5):
            model.saver.save(
                model.session, str(tmp_path / f"t{number}"), global_step=k, durable=False
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, range(4)))
    for number in range(4):
        for k in range(5):
            assert whole(model, str(tmp_path / f"t{number}-{k}")) == 3
    assert tf.train.latest_checkpoint(tmp_path) is not None
    assert not [n for n in os.listdir(tmp_path) if n.startswith(".ckpt-tmp-")]


def test_a_save_in_the_middle_of_another_threads_save_leaves_it_its_files(tmp_path):
    """The sweep of the second takes no temporary of this process for one that a dead process left."""
    one, two = Model(), Model()
    begun, go_on, outcomes = threading.Event(), threading.Event(), []

    def fault(number, name, real, args):
        if name == "replace" and threading.current_thread() is first and not begun.is_set():
            begun.set()
            assert go_on.wait(60)
        return real(*args)

    def save():
        outcomes.append(outcome_of(lambda: one.save(str(tmp_path / "one"), 1)))

    first = threading.Thread(target=save)
    with under(Seam(fault)):
        first.start()
        assert begun.wait(60)
        two.save(str(tmp_path / "two"), 2)
        go_on.set()
        first.join(60)
    assert outcomes == ["ok"]
    assert whole(one, str(tmp_path / "one")) == 1
    assert whole(two, str(tmp_path / "two")) == 2


def test_a_save_while_others_train_is_one_moment_of_each_variable(tmp_path):
    model, stop = Model(big=True, max_to_keep=None), threading.Event()
    model.become(1)

    def train():
        k = 1
        while not stop.is_set():
            k += 1
            model.become(k)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        for number in range(10):
            model.saver.save(model.session, str(tmp_path / f"m-{number}"), durable=False)
    finally:
        stop.set()
        thread.join()
    for number in range(10):
        with detect.open_reader(str(tmp_path / f"m-{number}")) as reader:
            for name in reader.names():  # no variable is a mixture of two assignments
                assert len(np.unique(reader.read(name))) == 1


def test_after_a_fork_session_saver_and_reader_work(tmp_path):
    model = Model(big=True)
    prefix = model.save(str(tmp_path / "m"), 1)
    reader = detect.open_reader(prefix)

    def work():
        assert (reader.read("a") == 1).all()
        model.save(str(tmp_path / "child"), 2)
        assert model.restored(str(tmp_path / "child")) == 2
        assert model.restored(prefix) == 1

    finished(in_child(work))
    assert (reader.read("a") == 1).all()
    reader.close()
    assert model.state(model.session) == 1
    assert model.restored(str(tmp_path / "child")) == 2


def test_a_fork_while_another_thread_saves_does_not_hang(tmp_path):
    model, stop = Model(big=True), threading.Event()
    model.become(1)

    def save():
        while not stop.is_set():
            model.saver.save(model.session, str(tmp_path / "parent"), durable=False)

    def work():
        other = Model()
        other.save(str(tmp_path / "child"), 2, durable=False)
        assert other.restored(str(tmp_path / "child")) == 2

    thread = threading.Thread(target=save)
    thread.start()
    try:
        for _ in range(5):
            finished(in_child(work))
    finally:
        stop.set()
        thread.join()


def test_a_signal_in_the_middle_of_a_save_is_raised_and_leaves_the_old(tmp_path):
    model = Model(big=True)
    path = str(tmp_path / "m")
    model.save(path, 1, durable=False)

    def interrupt(*_):
        raise KeyboardInterrupt

    # what a callback of the collector raises is lost, and a library of the tests has one
    callbacks, gc.callbacks[:] = gc.callbacks[:], []
    previous = signal.signal(signal.SIGALRM, interrupt)
    hit = 0
    try:
        for number in range(30):
            start = time.monotonic()
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0002 * (number + 1))
                model.save(path, 2, durable=False)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                hit += 1
            except CkptError as error:
                raise AssertionError(f"Ctrl-C became {error!r}") from error
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert time.monotonic() - start < 30
            assert model.restored(path) in (1, 2)
            model.save(path, 1, durable=False)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        gc.callbacks[:] = callbacks
    assert hit
    assert not [n for n in os.listdir(tmp_path) if n.startswith(".ckpt-tmp-")]
