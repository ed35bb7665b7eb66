"""What all tests share: reproducible property tests, and a default graph that no other test has touched."""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("quick", max_examples=50, derandomize=True, deadline=None,
                          database=None, suppress_health_check=QUIET)  # fmt: skip
settings.register_profile("thorough", max_examples=2000, deadline=None, suppress_health_check=QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def fresh_default_graph():
    """Forget the default graph after each test. A test that left a graph or session open fails here."""
    yield
    stack = sys.modules.get("ckpt.graph.stack")
    if stack is not None:
        stack.reset_default_graph()


@pytest.fixture
def reads(monkeypatch):
    """How many bytes each read of a file took so far, headers and indexes included."""
    from ckpt.core.input_file import InputFile  # most tests read no file

    counts = []
    read, read_into, read_into_each = InputFile.read, InputFile.read_into, InputFile.read_into_each

    def counted(self, offset, length):
        counts.append(length)
        return read(self, offset, length)

    def counted_into(self, view, offset):
        counts.append(len(view))
        read_into(self, view, offset)

    def counted_into_each(self, buffers, offset, length):
        counts.append(length)
        read_into_each(self, buffers, offset, length)

    monkeypatch.setattr(InputFile, "read", counted)
    monkeypatch.setattr(InputFile, "read_into", counted_into)
    monkeypatch.setattr(InputFile, "read_into_each", counted_into_each)
    return counts
