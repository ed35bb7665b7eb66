"""What TensorFlow's kernels computed (fixtures/ops, written by tools/fixtures/make_op_goldens.py), run through ckpt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ckpt.ops  # noqa: F401  # defines the operations
from ckpt.core import dtypes
from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS
from ckpt.ops import constants
from ckpt.run.session import Session

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "ops"


@dataclass(frozen=True)
class Golden:
    """One node that TensorFlow ran: its type, inputs, attributes and the outputs of each run."""

    name: str
    op: str
    inputs: tuple[np.ndarray, ...]
    attrs: dict[str, Any]
    runs: tuple[tuple[np.ndarray, ...], ...]

    def evaluated(self) -> list[list[Any]]:
        """The outputs of ckpt's node, for as many runs."""
        with Graph().as_default() as graph, Session(graph=graph) as session:
            fed = [constants.placeholder(a.dtype, a.shape) for a in self.inputs]
            made = OPS[self.op](*fed, name="node", **self.attrs)
            outputs = list(made) if isinstance(made, tuple) else [made]
            feeds = dict(zip(fed, self.inputs, strict=True))
            return [session.run(outputs, feeds) for _ in self.runs]


def goldens(group: str) -> list[Golden]:
    """All nodes recorded in `fixtures/ops/<group>.npz`."""
    with np.load(FOLDER / f"{group}.npz") as held:
        rows = json.loads(str(held["cases"]))
        return [_golden(row, held) for row in rows]


def _golden(row: dict[str, Any], held: Any) -> Golden:
    name = row["name"]
    inputs = tuple(held[f"{name}.in{i}"] for i in range(row["inputs"]))
    outputs = sum(1 for key in held.files if key.startswith(f"{name}.run0.out"))
    runs = tuple(
        tuple(held[f"{name}.run{r}.out{i}"] for i in range(outputs)) for r in range(row["runs"])
    )
    return Golden(name, row["op"], inputs, {k: _attr(v) for k, v in row["attrs"].items()}, runs)


def _attr(value: Any) -> Any:
    is_dtype = isinstance(value, str) and value.startswith("dtype:")
    return dtypes.as_dtype(value.removeprefix("dtype:")) if is_dtype else value


def assert_close(golden: Golden, rtol: float, atol: float) -> None:
    """ckpt's outputs have TensorFlow's shapes and dtypes and, within the tolerances, its values."""
    for got, wanted in zip(golden.evaluated(), golden.runs, strict=True):
        for a, b in zip(got, wanted, strict=True):
            assert (np.shape(a), np.asarray(a).dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(
                np.asarray(a, np.float64), b.astype(np.float64), rtol=rtol, atol=atol
            )
