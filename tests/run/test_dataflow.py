"""Graphs that TensorFlow 1 wrote, with Switch, Merge, Enter and Exit, give TensorFlow's results."""

import json
from pathlib import Path

import numpy as np
import pytest

import ckpt as tf
from ckpt.wire import messages

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "control_flow"
RESULTS = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))


def imported(name):
    graph_def = messages.GraphDef()
    graph_def.ParseFromString((FOLDER / f"{name}.pb").read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    return graph


@pytest.mark.parametrize("name", sorted(RESULTS["results"]))
def test_an_imported_graph_gives_what_tensorflow_gives(name):
    graph = imported(name)
    with tf.Session(graph=graph) as session:
        for fed, wanted in zip(RESULTS["fed"], RESULTS["results"][name], strict=True):
            for _ in range(3):  # interpreted, then generated
                outputs = [f"out_{i}:0" for i in range(len(wanted))]
                found = session.run(outputs, {"x:0": fed})
                for value, expected in zip(found, wanted, strict=True):
                    np.testing.assert_allclose(value, expected, rtol=2e-6)


def test_a_fetch_in_a_branch_not_taken_has_no_value():
    graph = imported("branch")
    with (
        tf.Session(graph=graph) as session,
        pytest.raises(tf.errors.InvalidArgumentError, match="does not have value"),
    ):
        session.run("cond/mul:0", {"x:0": -1.0})
