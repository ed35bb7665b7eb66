"""Every error that ckpt raises, in one tree; must not know who raises them.

    CkptError                        base of everything below
    ├── GraphError      (ValueError) a graph that cannot be built, imported or merged
    │   └── ShapeError  (ValueError) static shapes that contradict each other
    ├── DtypeError      (TypeError)  dtypes that contradict each other
    ├── SelectionError  (ValueError) selectors and rename rules that cannot be understood or match nothing
    └── OpError                      TensorFlow's run-time family: `.message`, `.op`, `.node_def`, `.error_code`
        ├── CancelledError           ├── ResourceExhaustedError
        ├── UnknownError             ├── FailedPreconditionError
        ├── InvalidArgumentError     │   └── UninitializedError
        ├── DeadlineExceededError    ├── AbortedError
        ├── NotFoundError            ├── OutOfRangeError
        ├── AlreadyExistsError       ├── UnimplementedError
        ├── PermissionDeniedError    ├── InternalError
        ├── UnauthenticatedError     ├── UnavailableError
        └── DataLossError            (damaged bytes in a file)

Files raise members of the OpError family too, with `op` and `node_def` None, as TensorFlow's Saver does. Where TensorFlow
raises a built-in error, a subclass is both (MissingFileError: NotFoundError and OSError).
This module imports nothing of ckpt's, so that listing a checkpoint needs no numpy.
"""

from __future__ import annotations

import errno
import os
from typing import Any


class CkptError(Exception):
    """Base class of all errors that ckpt raises on purpose."""


class GraphError(CkptError, ValueError):
    """A graph cannot be built, imported or merged as asked."""


class ShapeError(GraphError):
    """Static shapes contradict each other."""


class DtypeError(CkptError, TypeError):
    """Dtypes contradict each other."""


class SelectionError(CkptError, ValueError):
    """A selector or a rename rule cannot be understood, matches nothing, or makes names collide."""


class OpError(CkptError):
    """A failure while running an operation or reading and writing a file.

    `node_def` and `op` are None when no operation of a graph is to blame.
    Source: the canonical status codes of TensorFlow, core/lib/core/error_codes.proto.
    """

    error_code = 2

    def __init__(self, node_def: Any, op: Any, message: str, error_code: int | None = None) -> None:
        super().__init__(message)
        self.node_def = node_def
        self.op = op
        self.message = message
        if error_code is not None:
            self.error_code = error_code

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (None, None, self.message, self.error_code)


class CancelledError(OpError):
    """The operation was cancelled, by the caller as a rule."""

    error_code = 1


class UnknownError(OpError):
    """The cause is not known."""

    error_code = 2


class InvalidArgumentError(OpError):
    """An operation received an input that it cannot take."""

    error_code = 3


class DeadlineExceededError(OpError):
    """The time allowed was over before the operation had ended."""

    error_code = 4


class NotFoundError(OpError):
    """A file, a tensor in it, or another named thing does not exist."""

    error_code = 5


class AlreadyExistsError(OpError):
    """Something to be created exists already."""

    error_code = 6


class PermissionDeniedError(OpError):
    """The caller may not do this."""

    error_code = 7


class ResourceExhaustedError(OpError):
    """Disk, memory or a quota is used up."""

    error_code = 8


class FailedPreconditionError(OpError):
    """The system is not in the state that the operation needs."""

    error_code = 9


class UninitializedError(FailedPreconditionError):
    """A variable was read before it had a value."""


class AbortedError(OpError):
    """The operation was given up because of a concurrent one."""

    error_code = 10


class OutOfRangeError(OpError):
    """An iteration went past its end."""

    error_code = 11


class UnimplementedError(OpError):
    """The operation is not supported for these inputs."""

    error_code = 12


class InternalError(OpError):
    """An invariant of ckpt itself does not hold."""

    error_code = 13


class UnavailableError(OpError):
    """A service cannot be reached at the moment."""

    error_code = 14


class DataLossError(OpError):
    """Bytes in a file are damaged or missing."""

    error_code = 15


class MissingFileError(NotFoundError, OSError):
    """A file that a loader needs does not exist: where TensorFlow raises an IOError."""


class UnparsableFileError(DataLossError, OSError):
    """A file is not what a loader expects: where TensorFlow raises an IOError."""


class UnauthenticatedError(OpError):
    """The caller has no valid credentials."""

    error_code = 16


OK = 0
CANCELLED = CancelledError.error_code
UNKNOWN = UnknownError.error_code
INVALID_ARGUMENT = InvalidArgumentError.error_code
DEADLINE_EXCEEDED = DeadlineExceededError.error_code
NOT_FOUND = NotFoundError.error_code
ALREADY_EXISTS = AlreadyExistsError.error_code
PERMISSION_DENIED = PermissionDeniedError.error_code
RESOURCE_EXHAUSTED = ResourceExhaustedError.error_code
FAILED_PRECONDITION = FailedPreconditionError.error_code
ABORTED = AbortedError.error_code
OUT_OF_RANGE = OutOfRangeError.error_code
UNIMPLEMENTED = UnimplementedError.error_code
INTERNAL = InternalError.error_code
UNAVAILABLE = UnavailableError.error_code
DATA_LOSS = DataLossError.error_code
UNAUTHENTICATED = UnauthenticatedError.error_code

_BY_CODE: dict[int, type[OpError]] = {cls.error_code: cls for cls in OpError.__subclasses__()}

_BY_ERRNO: dict[int, type[OpError]] = {
    errno.ENOENT: NotFoundError,
    errno.ENOTDIR: NotFoundError,
    errno.ENAMETOOLONG: InvalidArgumentError,
    errno.EEXIST: AlreadyExistsError,
    errno.EACCES: PermissionDeniedError,
    errno.EPERM: PermissionDeniedError,
    errno.EROFS: PermissionDeniedError,
    errno.ENOSPC: ResourceExhaustedError,
    errno.EDQUOT: ResourceExhaustedError,
    errno.EFBIG: ResourceExhaustedError,
    errno.EMFILE: ResourceExhaustedError,
    errno.ENOMEM: ResourceExhaustedError,
    errno.EISDIR: FailedPreconditionError,
    errno.ENOTEMPTY: FailedPreconditionError,
    errno.EIO: UnknownError,
}

_ERRNO_OF: dict[type[OSError], int] = {  # libraries raise these without a number
    FileNotFoundError: errno.ENOENT,
    NotADirectoryError: errno.ENOTDIR,
    FileExistsError: errno.EEXIST,
    PermissionError: errno.EACCES,
    IsADirectoryError: errno.EISDIR,
}


def exception_type_from_error_code(error_code: int) -> type[OpError]:
    """The class for a canonical status code, 1 to 16. Raises KeyError for another code."""
    return _BY_CODE[error_code]


def error_code_from_exception_type(cls: type[OpError]) -> int:
    """The canonical status code of a class of this module."""
    return cls.error_code


def from_os_error(error: OSError, path: str | os.PathLike[str], doing: str) -> OpError:
    """The typed error for a failed file operation: names the path and what was being done."""
    number = error.errno or _ERRNO_OF.get(type(error), 0)
    cls = _BY_ERRNO.get(number, UnknownError)
    return cls(None, None, f"{os.fspath(path)}: {doing} failed: {error.strerror or error}")
