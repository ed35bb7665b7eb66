"""Threads that stop together."""

import threading
import time

import pytest

import ckpt as tf


def started(target, *args):
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread


def test_one_thread_stops_all():
    coord = tf.train.Coordinator()
    asked = threading.Event()

    def waits():
        coord.wait_for_stop()
        asked.set()

    threads = [started(waits), started(coord.request_stop)]
    coord.join(threads)
    assert asked.is_set()
    assert coord.should_stop()
    assert coord.joined


def test_join_raises_the_first_exception_with_its_traceback():
    coord = tf.train.Coordinator()

    def fails():
        with coord.stop_on_exception():
            raise RuntimeError("the first")

    coord.register_thread(started(fails))
    with pytest.raises(RuntimeError, match="the first") as caught:
        coord.join()
    assert caught.traceback[-1].name == "fails"


def test_only_the_first_exception_counts():
    coord = tf.train.Coordinator()
    coord.request_stop(ValueError("first"))
    coord.request_stop(KeyError("second"))
    with pytest.raises(ValueError, match="first"):
        coord.raise_requested_exception()
    with pytest.raises(ValueError, match="first"):
        coord.join([])


def test_the_end_of_the_input_is_no_failure_but_others_may_say_what_is():
    coord = tf.train.Coordinator()
    coord.request_stop(tf.errors.OutOfRangeError(None, None, "no more"))
    coord.join([])
    strict = tf.train.Coordinator(clean_stop_exception_types=())
    strict.request_stop(tf.errors.OutOfRangeError(None, None, "no more"))
    with pytest.raises(tf.errors.OutOfRangeError):
        strict.join([])
    lenient = tf.train.Coordinator(clean_stop_exception_types=(KeyError,))
    lenient.request_stop(KeyError("fine"))
    lenient.join([])


def test_after_join_an_exception_is_raised_to_who_reports_it():
    coord = tf.train.Coordinator()
    coord.request_stop()
    coord.join([])
    coord.request_stop()
    with pytest.raises(ValueError, match="too late"):
        coord.request_stop(ValueError("too late"))


def test_threads_that_do_not_stop_are_named():
    coord = tf.train.Coordinator()
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="deaf", daemon=True)
    thread.start()
    coord.request_stop()
    with pytest.raises(RuntimeError, match="threads still running: deaf"):
        coord.join([thread], stop_grace_period_secs=0.02)
    coord.clear_stop()
    assert not coord.should_stop()
    assert not coord.joined
    coord.request_stop()
    coord.join([thread], stop_grace_period_secs=0.02, ignore_live_threads=True)
    release.set()


def test_wait_for_stop_ends_after_its_time():
    coord = tf.train.Coordinator()
    assert not coord.wait_for_stop(0.01)
    coord.request_stop()
    assert coord.wait_for_stop(0.01)


def test_a_looper_calls_until_stopped():
    coord = tf.train.Coordinator()
    calls = []

    def call(first, second=None):
        calls.append((first, second))
        if len(calls) == 3:
            coord.request_stop()

    looper = tf.train.LooperThread.loop(coord, 0.001, target=call, args=(1,), kwargs={"second": 2})
    coord.join()
    looper.join(10)
    assert calls == [(1, 2)] * 3


def test_a_looper_without_a_pause_and_its_beginning_and_end():
    coord = tf.train.Coordinator()
    seen = []

    class Mine(tf.train.LooperThread):
        def start_loop(self):
            seen.append("start")

        def run_loop(self):
            seen.append("run")
            coord.request_stop()

        def stop_loop(self):
            seen.append("stop")

    looper = Mine(coord, None)
    looper.start()
    coord.join()
    assert seen == ["start", "run", "stop"]


def test_a_looper_that_fails_stops_the_others():
    coord = tf.train.Coordinator()

    def fails():
        raise ValueError("in the loop")

    tf.train.LooperThread.loop(coord, 0.001, fails)
    tf.train.LooperThread.loop(coord, 0.001, time.time)
    with pytest.raises(ValueError, match="in the loop"):
        coord.join()


def test_what_a_looper_refuses():
    with pytest.raises(ValueError, match="must be a Coordinator"):
        tf.train.LooperThread(None, 1)
    with pytest.raises(ValueError, match="require that you also pass 'target'"):
        tf.train.LooperThread(tf.train.Coordinator(), 1, args=(1,))
