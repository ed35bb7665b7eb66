"""Every program under programs/ gives the same answers here as under real TensorFlow."""

import pytest

from tests.oracle import harness

PROGRAMS = {path.stem: path for path in sorted(harness.PROGRAMS.glob("*.py"))}
CASES = [
    pytest.param(program, case, id=f"{program}-{case}")
    for program, path in PROGRAMS.items()
    for case in harness.case_names(harness.load_program(path))
]


@pytest.mark.oracle
@pytest.mark.parametrize(("program", "case"), CASES)
def test_agrees_with_tensorflow(oracle, program, case, tmp_path, monkeypatch):
    import ckpt

    monkeypatch.chdir(tmp_path)
    theirs = oracle(program)[case]
    mistake = harness.unexpected_error(case, theirs)
    assert not mistake, f"{program}.py, {case} under TensorFlow:\n{mistake}"

    module = harness.load_program(PROGRAMS[program])
    ours = harness.run_case(module, case, ckpt)
    found = harness.differences(ours, theirs, getattr(module, "TOLERANCE", None))
    assert not found, f"{program}.py, {case}:\n\n" + "\n\n".join(found)
