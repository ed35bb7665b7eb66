"""The comparison itself notices what it is there to notice."""

import os
from pathlib import Path
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

from tests.oracle import harness


def outcome(**results):
    return {"results": results}


def error(kind):
    try:
        raise kind("no")
    except kind:
        return harness.run_case(Raising(kind), "case", FakeTF)


class Raising:
    def __init__(self, kind):
        def case(tf):
            raise kind("no")

        self.case = case


class FakeTF:
    class Graph:
        def as_default(self):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (np.float32(1), np.float64(1), "dtype"),
        (np.zeros(2), np.zeros((2, 1)), "shape"),
        (np.array([1.0, 2.0]), np.array([1.0, 2.1]), "1 of 2 values differ, the most at [1]"),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0]), "1 of 2 values differ"),
        (np.array([1, 2]), np.array([1, 3]), "1 of 2 values differ"),
        (np.array([True]), np.array([False]), "1 of 1 values differ"),
        (["a", "b"], ["a", "c"], '+"b"'),
        (np.array([b"a"], object), np.array([b"c"], object), "not the same"),
        (np.zeros(1), ["a"], "not the same"),
    ],
)
def test_differences_are_reported(ours, theirs, told):
    (found,) = harness.differences(outcome(value=ours), outcome(value=theirs))
    assert found.startswith("value: ")
    assert told in found


def test_close_numbers_and_equal_nans_agree():
    ours = outcome(a=np.array([1.0, np.nan, np.inf]), names=("x", "y"))
    theirs = outcome(a=np.array([1.0 + 1e-7, np.nan, np.inf]), names=["x", "y"])
    assert harness.differences(ours, theirs) == []
    assert harness.differences(ours, theirs, {"rtol": 0, "atol": 1e-9})


def test_missing_and_additional_results_are_reported_by_name():
    found = harness.differences(outcome(a=1, b=2), outcome(b=2, c=3))
    assert found == ["a: only ours has this result", "c: only TensorFlow has this result"]


def test_an_error_agrees_with_the_same_class_or_a_base_of_it():
    class Special(KeyError):
        pass

    assert harness.differences(error(Special), error(KeyError)) == []
    assert harness.differences(error(KeyError), error(Special))
    assert harness.differences(outcome(a=1), error(KeyError))
    assert harness.differences(error(KeyError), outcome(a=1))


def failing(kind):
    def result():
        raise kind("no")

    return result


def test_a_result_may_be_a_function_and_raise(tmp_path):
    class Special(KeyError):
        pass

    def outcome_of(**results):
        return harness.run_case(SimpleNamespace(case=lambda tf: results), "case", FakeTF)

    theirs = outcome_of(a=lambda: [1, 2], b=failing(KeyError), c=failing(KeyError), d=lambda: 1)
    ours = outcome_of(
        a=lambda: (1, 2), b=failing(Special), c=failing(ValueError), d=failing(KeyError)
    )
    harness.write_outcomes(tmp_path, "program", {"case": theirs})
    found = harness.differences(ours, harness.read_outcomes(tmp_path, "program")["case"])
    assert [line[:2] for line in found] == ["c:", "d:"]
    (found,) = harness.differences(outcome_of(a=lambda: 1), outcome_of(a=failing(KeyError)))
    assert found == "a: ours raised nothing; TensorFlow raised KeyError: 'no'; ours gave 1"


def test_each_case_has_an_empty_directory():
    def case(tf):
        Path("left").touch()
        return {"files": os.listdir()}

    before = Path.cwd()
    module = SimpleNamespace(case=case)
    for _ in range(2):
        assert harness.run_case(module, "case", FakeTF) == outcome(files=["left"])
    assert Path.cwd() == before


def test_a_program_must_say_which_cases_raise():
    assert harness.unexpected_error("case_a", outcome(a=1)) is None
    assert harness.unexpected_error("error_a", error(KeyError)) is None
    assert "KeyError" in harness.unexpected_error("case_a", error(KeyError))
    assert harness.unexpected_error("error_a", outcome(a=1))


def test_outcomes_survive_writing_and_reading(tmp_path):
    wanted = {
        "case_a": outcome(
            scalar=np.float32(2),
            small=np.arange(3).astype(ml_dtypes.bfloat16),
            text=np.array([b"\xff", b""], object),
            names=[["x", 1], None],
        ),
        "case_b": error(ValueError),
    }
    harness.write_outcomes(tmp_path, "program", wanted)
    found = harness.read_outcomes(tmp_path, "program")
    assert list(found) == ["case_a", "case_b"]
    assert harness.differences(wanted["case_a"], found["case_a"]) == []
    assert harness.differences(wanted["case_b"], found["case_b"]) == []
    assert found["case_a"]["results"]["small"].dtype == ml_dtypes.bfloat16
