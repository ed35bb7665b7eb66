"""TensorFlow 1 programs compute the same here as under TensorFlow, and learn, with one line changed."""

import functools

import numpy as np
import pytest

from tests.oracle import harness
from tests.oracle.conftest import outcomes_of
from tests.programs import tutorials

NO_CELLS = "Keras cannot be imported"  # what TensorFlow says where tf-keras is missing

PROGRAMS = list(tutorials.SCRIPTS)


@functools.cache
def ours(name):
    """The outcome of a script under ckpt, run once."""
    import ckpt

    return harness.run_case(tutorials, f"case_{name}", ckpt)


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """TensorFlow's outcomes of all scripts, from one process."""
    return outcomes_of([tutorials.__file__], tmp_path_factory.mktemp("programs"))("tutorials")


@pytest.mark.oracle
@pytest.mark.parametrize("name", PROGRAMS)
def test_computes_what_tensorflow_computes(oracle, name):
    theirs = oracle[f"case_{name}"]
    if NO_CELLS in theirs.get("message", ""):
        pytest.skip("the oracle's environment has no tf-keras")
    mistake = harness.unexpected_error(name, theirs)
    assert not mistake, f"{name}.py under TensorFlow:\n{mistake}"
    found = harness.differences(
        ours(name), theirs, tutorials.TOLERANCES.get(name, tutorials.TOLERANCE)
    )
    assert not found, f"{name}.py:\n\n" + "\n\n".join(found)


@pytest.mark.parametrize("name", PROGRAMS)
def test_learns(name):
    outcome = ours(name)
    assert "error" not in outcome, outcome["traceback"]
    losses = outcome["results"]["losses"]
    assert np.all(np.isfinite(losses))
    assert losses[-1] < losses[0]
