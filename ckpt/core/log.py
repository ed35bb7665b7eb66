"""Log messages by TensorFlow 1's levels, on Python's own `logging`, logger "ckpt". Must not know who logs."""

from __future__ import annotations

import logging
import sys
from typing import Any

DEBUG = logging.DEBUG
INFO = logging.INFO
WARN = logging.WARNING
ERROR = logging.ERROR
FATAL = logging.FATAL

_times: dict[Any, int] = {}


class _ToStandardError(logging.Handler):
    """Writes to whatever the standard error stream is at the moment: `INFO:ckpt:message`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        sys.stderr.write(f"{record.levelname}:{record.name}:{record.getMessage()}\n")


def get_logger() -> logging.Logger:
    """The logger of the package. Until the program sets up logging itself, it writes to the standard error stream."""
    logger = logging.getLogger("ckpt")
    if not logger.handlers and not logging.getLogger().handlers:
        logger.addHandler(_ToStandardError())
        if logger.level == logging.NOTSET:
            logger.setLevel(WARN)
    return logger


def get_verbosity() -> int:
    """The level below which nothing is written."""
    return get_logger().getEffectiveLevel()


def set_verbosity(v: int | str) -> None:
    """Write messages of level `v` and above."""
    get_logger().setLevel(v)


def log(level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
    """Write `msg % args` at `level`."""
    get_logger().log(level, msg, *args, **kwargs)


vlog = log


def debug(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Write `msg % args` for those who look for mistakes."""
    get_logger().debug(msg, *args, **kwargs)


def info(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Write `msg % args` for those who want to know."""
    get_logger().info(msg, *args, **kwargs)


def warning(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Write `msg % args` as a warning."""
    get_logger().warning(msg, *args, **kwargs)


warn = warning


def error(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Write `msg % args` as an error."""
    get_logger().error(msg, *args, **kwargs)


def fatal(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Write `msg % args` as the last words of a program; the program goes on."""
    get_logger().critical(msg, *args, **kwargs)


def TaskLevelStatusMessage(msg: Any) -> None:  # TensorFlow's name
    """Write `msg` as an error."""
    error(msg)


def flush() -> None:
    """Make sure that everything is written."""
    for handler in get_logger().handlers:
        handler.flush()


def _count_of(key: Any) -> int:
    _times[key] = _times.get(key, 0) + 1
    return _times[key] - 1


def _place() -> tuple[str, int]:
    frame = sys._getframe(2)
    return frame.f_code.co_filename, frame.f_lineno


def log_if(level: int, msg: Any, condition: Any, *args: Any) -> None:
    """Write `msg % args` where `condition` is true."""
    if condition:
        log(level, msg, *args)


def log_every_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Write `msg % args` the first time this line runs, and each n-th time after that."""
    log_if(level, msg, _count_of((_place(), "every")) % n == 0, *args)


def log_first_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Write `msg % args` the first n times this line runs."""
    log_if(level, msg, _count_of((_place(), "first")) < n, *args)
