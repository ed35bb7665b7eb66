"""The golden files are the ones that fixtures/README.md describes, and hold what it says."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"


def test_checksums_in_the_readme_are_those_of_the_files():
    command = [sys.executable, "tools/fixtures/checksums.py", "--check"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_fixtures_stay_small():
    large = [path for path in FIXTURES.rglob("*") if path.stat().st_size > 2_000_000]
    assert not large


def test_digits_are_all_there():
    with np.load(FIXTURES / "digits" / "digits.npz") as data:
        images, labels = data["images"], data["labels"]
    assert images.shape == (1797, 8, 8)
    assert images.dtype == labels.dtype == np.uint8
    assert images.max() == 16
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


@pytest.fixture
def golden():
    with np.load(FIXTURES / "tf_digits" / "golden.npz") as data:
        return dict(data)


def test_golden_outputs_follow_from_the_golden_variables(golden):
    """The last layer, recomputed by numpy: the file is no mixture of two training runs."""
    weights, biases = golden["variable/classifier/weights"], golden["variable/classifier/biases"]
    logits = golden["features"] @ weights + biases
    np.testing.assert_allclose(logits, golden["logits"], rtol=1e-4, atol=1e-4)
    assert (golden["logits"].argmax(axis=1) == golden["y"]).mean() > 0.8
    assert golden["test_accuracy"] > 0.9


def test_golden_inputs_are_the_digits(golden):
    with np.load(FIXTURES / "digits" / "digits.npz") as data:
        images, labels = data["images"], data["labels"]
    assert np.array_equal(golden["x"], images[golden["rows"]].reshape(-1, 64) / np.float32(16))
    assert np.array_equal(golden["y"], labels[golden["rows"]])


def test_golden_model_has_every_variable_with_its_slots(golden):
    variables = {name.removeprefix("variable/") for name in golden if name.startswith("variable/")}
    weights = set(golden["trainable"].tolist())
    slots = {f"{name}/{slot}" for name in weights for slot in ("Adam", "Adam_1")}
    assert len(weights) == 6
    assert variables == weights | slots | {"beta1_power", "beta2_power", "global_step"}
    assert golden["variable/global_step"] == 300


def test_facts_of_operations_are_complete():
    facts = json.loads((FIXTURES / "tf_ops.json").read_text(encoding="utf-8"))
    names = [op["name"] for op in facts["op"]]
    assert facts["tensorflow"] == "2.21.0"
    assert len(names) == 1908
    assert names == sorted(set(names))
    matmul = facts["op"][names.index("MatMul")]
    assert [arg["name"] for arg in matmul["input_arg"]] == ["a", "b"]
    assert {"name": "transpose_a", "type": "bool", "default": False} in matmul["attr"]
