"""A pool of threads: tasks computed once, by whoever comes first."""

import os
import threading

import pytest

from ckpt.core.errors import CancelledError
from ckpt.core.threads import Pool, Task, cpu_count

LONG = 20  # seconds after which a test has failed


def task_of(call):
    """The task and an event that is set when it is done."""
    ended = threading.Event()
    return Task(call, ended.set), ended


def test_tasks_run_side_by_side():
    pool, meeting = Pool(), threading.Barrier(3)
    tasks = [task_of(lambda: meeting.wait(LONG)) for _ in range(3)]
    for task, _ in tasks:
        pool.add(task, 3)
    for task, ended in tasks:
        assert ended.wait(LONG)
        assert task.error is None
    assert sorted(task.result for task, _ in tasks) == [0, 1, 2]


def test_a_task_is_computed_once_and_by_its_caller_where_no_thread_has_begun():
    calls = []
    task, ended = task_of(lambda: calls.append(threading.get_ident()))
    assert task.compute()
    assert not task.compute()
    pool = Pool()
    pool.add(task, 1)
    other, other_ended = task_of(lambda: None)
    pool.add(other, 1)
    assert other_ended.wait(LONG)
    assert ended.is_set()
    assert calls == [threading.get_ident()]


def test_tasks_that_wait_for_tasks_end_however_few_threads_there_are():
    pool = Pool()

    def nested(depth):
        if depth:
            inner, ended = task_of(lambda: nested(depth - 1))
            pool.add(inner, 1)
            if not inner.compute():
                assert ended.wait(LONG)
        return depth

    outer, ended = task_of(lambda: nested(20))
    pool.add(outer, 1)
    assert ended.wait(LONG)
    assert outer.result == 20


def test_an_error_is_kept_and_a_forgotten_task_is_done():
    task, _ = task_of(lambda: 1 // 0)
    task.compute()
    assert isinstance(task.error, ZeroDivisionError)
    forgotten, _ = task_of(lambda: 1 // 0)
    forgotten.forget()
    assert not forgotten.compute()
    assert forgotten.is_done
    assert isinstance(forgotten.error, CancelledError)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_begins_with_threads_of_its_own():
    from ckpt.core.threads import POOL

    first, ended = task_of(lambda: None)
    POOL.add(first, 1)
    assert ended.wait(LONG)
    child = os.fork()
    if not child:
        task, done = task_of(lambda: None)
        POOL.add(task, 1)
        os._exit(0 if done.wait(LONG) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_there_is_a_processor():
    assert cpu_count() >= 1
