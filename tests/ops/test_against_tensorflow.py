"""Every row of every table, beside real TensorFlow: the same graph gives the same values, dtypes, static shapes, errors.

One TensorFlow process answers all rows. Needs CKPT_ORACLE_PYTHON, as tests/oracle does.
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from ckpt.graph.graph import Graph
from tests.conformance import answers, questions
from tests.conformance.ops import built, evaluated, plain
from tests.oracle.conftest import LONGEST, oracle_python

ROWS = questions.all_rows()


@pytest.fixture(scope="session")
def tensorflow(tmp_path_factory):
    """TensorFlow's answers by row."""
    interpreter = oracle_python()
    folder = tmp_path_factory.mktemp("rows")
    asked = {name: row for name, row in ROWS.items() if questions.is_asked(row)}
    questions.write_questions(asked, folder / "questions.zip")
    paths = [str(folder / "questions.zip"), str(folder / "answers.zip")]
    command = [interpreter, str(Path(answers.__file__)), *paths]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    if ended.returncode:
        pytest.fail(f"{interpreter} could not answer the rows:\n{ended.stderr[-4000:]}")
    return questions.read_answers(asked, folder / "answers.zip")


ANSWERED = [n for n, row in ROWS.items() if not row.raises and not row.unasked]
REFUSED = [n for n, row in ROWS.items() if row.raises and questions.is_asked(row)]


def says_as_much(ours, theirs):
    """Whether everything that one static shape says is said by the other; more may be said."""
    if theirs is None or ours is None:
        return theirs is None
    return len(ours) == len(theirs) and all(
        b is None or a == b for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.oracle
@pytest.mark.parametrize("name", ANSWERED, ids=ANSWERED)
def test_gives_tensorflows_answer(tensorflow, name):
    row, theirs = ROWS[name], tensorflow[name]
    assert not theirs.error, f"TensorFlow raises {theirs.error[0]}: {theirs.message}"
    with Graph().as_default():
        _, tensors = built(row)
    assert [t.dtype.base_dtype.name for t in tensors] == theirs.dtypes
    for value, wanted in zip(evaluated(row), theirs.values, strict=True):
        assert np.shape(value) == wanted.shape
        if isinstance(value, bytes):  # numpy would lose zeros at the end
            assert value == wanted.item()
        elif wanted.dtype.kind in "OSUbiu":
            np.testing.assert_array_equal(value, wanted)
        else:
            np.testing.assert_allclose(plain(value), plain(wanted), rtol=row.rtol, atol=row.atol)
    for tensor, known in zip(tensors, theirs.shapes, strict=True):
        said = None if tensor.shape.rank is None else tensor.shape.as_list()
        assert row.looser or says_as_much(said, known), (
            f"{tensor.name}: {said}, TensorFlow: {known}"
        )


@pytest.mark.oracle
@pytest.mark.parametrize("name", REFUSED, ids=REFUSED)
def test_refuses_what_tensorflow_refuses(tensorflow, name):
    row, theirs = ROWS[name], tensorflow[name]
    assert theirs.error, f"TensorFlow accepts it: {theirs.values}"
    assert row.raises.__name__ in theirs.error, (
        f"TensorFlow raises {theirs.error[0]}: {theirs.message}"
    )
