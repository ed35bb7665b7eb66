"""`tf.logging`: TensorFlow 1's words on Python's own logging."""

import logging

import pytest

import ckpt as tf


@pytest.fixture(autouse=True)
def _own_logger(monkeypatch):
    """As in a program that has not set up logging: no handlers anywhere, nothing remembered."""
    logger = logging.getLogger("ckpt")
    monkeypatch.setattr(logger, "handlers", [])
    level = logger.level
    logger.setLevel(logging.NOTSET)
    yield
    logger.setLevel(level)


@pytest.fixture
def bare(monkeypatch):
    """A function that takes pytest's own handlers away, which it puts in place when a test begins."""
    return lambda: monkeypatch.setattr(logging.getLogger(), "handlers", [])


def test_warnings_are_written_and_infos_not(capsys, bare):
    bare()
    tf.logging.warn("%d rows", 3)
    tf.logging.info("nobody reads this")
    assert capsys.readouterr().err == "WARNING:ckpt:3 rows\n"


def test_verbosity_decides(capsys, bare):
    bare()
    tf.logging.set_verbosity(tf.logging.INFO)
    assert tf.logging.get_verbosity() == tf.logging.INFO
    tf.logging.info("read")
    tf.logging.debug("not read")
    tf.logging.error("%s", "bad")
    tf.logging.fatal("worse")
    tf.logging.TaskLevelStatusMessage("state")
    tf.logging.flush()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["INFO:ckpt:read", "ERROR:ckpt:bad", "CRITICAL:ckpt:worse", "ERROR:ckpt:state"]


def test_a_line_says_it_only_so_often(capsys, bare):
    bare()
    for i in range(7):
        tf.logging.log_first_n(tf.logging.WARN, "first %d", 2, i)
        tf.logging.log_every_n(tf.logging.WARN, "every %d", 3, i)
        tf.logging.log_if(tf.logging.WARN, "odd %d", i == 5, i)
    said = [line.removeprefix("WARNING:ckpt:") for line in capsys.readouterr().err.splitlines()]
    assert said == ["first 0", "every 0", "first 1", "every 3", "odd 5", "every 6"]


def test_a_program_that_sets_up_logging_gets_the_records(caplog):
    logging.getLogger().addHandler(caplog.handler)
    tf.logging.warning("kept")
    assert [(r.name, r.getMessage()) for r in caplog.records] == [("ckpt", "kept")]
