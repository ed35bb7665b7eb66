"""What each error means to the caller of the program."""

from __future__ import annotations

import pytest

from ckpt.cli.main import run
from ckpt.core import errors
from ckpt.inspect import report


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.NotFoundError(None, None, "what"), 3, "E0301"),
        (errors.DataLossError(None, None, "what"), 3, "E0302"),
        (errors.UnimplementedError(None, None, "what"), 3, "E0303"),
        (errors.PermissionDeniedError(None, None, "what"), 3, "E0304"),
        (errors.InvalidArgumentError(None, None, "what"), 3, "E0305"),
        (OSError("what"), 3, "E0306"),
        (errors.GraphError("what"), 4, "E0401"),
        (errors.ShapeError("what"), 4, "E0401"),
        (errors.DtypeError("what"), 4, "E0402"),
        (errors.AlreadyExistsError(None, None, "what"), 6, "E0601"),
        (errors.ResourceExhaustedError(None, None, "what"), 7, "E0701"),
        (MemoryError("what"), 7, "E0702"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_errors_become_messages_and_exit_codes(monkeypatch, capsys, error, status, code):
    monkeypatch.setattr(report, "inspect", lambda path: (_ for _ in ()).throw(error))
    assert run(["inspect", "x"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error[{code}]: what\ntry: ")


def test_an_interrupt_is_130(monkeypatch, capsys):
    monkeypatch.setattr(report, "inspect", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run(["inspect", "x"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_bug_is_not_dressed_up_as_a_users_error(monkeypatch):
    monkeypatch.setattr(report, "inspect", lambda path: {}["bug"])
    with pytest.raises(KeyError):
        run(["inspect", "x"])


def test_a_message_cannot_steer_the_terminal(monkeypatch, capsys):
    error = errors.DataLossError(None, None, "a\x1b[2Jb\nc")
    monkeypatch.setattr(report, "inspect", lambda path: (_ for _ in ()).throw(error))
    assert run(["inspect", "x"]) == 3
    assert capsys.readouterr().err.startswith("error[E0302]: a\\x1b[2Jb\nc\n")
