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
