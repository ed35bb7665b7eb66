"""The rows of all tables as graphs for TensorFlow to run (answers.py), and its answers read back."""

from __future__ import annotations

import importlib
import json
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ckpt.graph import dump, proto
from ckpt.graph.graph import Graph
from ckpt.wire import messages, tf_pb
from tests.conformance.ops import Case, built, feeds_of

TABLES = Path(__file__).resolve().parents[1] / "ops"


@dataclass(frozen=True)
class Answer:
    """What TensorFlow says to one row: dtypes, static shapes and values, or the classes of its error."""

    dtypes: list[str]
    shapes: list[list[int | None] | None]
    values: list[Any]
    error: list[str]
    message: str


@cache
def all_rows() -> dict[str, Case]:
    """Every row of every table under tests/ops, by file, table and name."""
    found: dict[str, Case] = {}
    for path in sorted(TABLES.glob("test_*.py")):
        module = importlib.import_module(f"tests.ops.{path.stem}")
        for name, value in vars(module).items():
            for i, row in enumerate(getattr(value, "table", ())):
                found[f"{path.stem}-{name}-{i}-{row.name}"] = row
    return found


def is_asked(row: Case) -> bool:
    """Whether TensorFlow can be asked: not where the row says why not, nor where its graph cannot be built."""
    if row.unasked:
        return False
    if row.raises is None:
        return True
    with Graph().as_default():
        try:
            built(row)
        except row.raises:
            return False
    return True


def write_questions(rows: dict[str, Case], path: Path) -> None:
    """Write the graphs and feeds of `rows` for answers.py."""
    listed = []
    with zipfile.ZipFile(path, "w") as asked:
        for i, row in enumerate(rows.values()):
            with Graph().as_default() as graph:
                fed, outputs = built(row)
                asked.writestr(f"{i}/graph", tf_pb.to_bytes(dump.graph_def(graph)))
            for n, (tensor, value) in enumerate(feeds_of(row, fed).items()):
                message = proto.make_tensor_proto(value, tensor.dtype)
                asked.writestr(f"{i}/feed/{n}", message.SerializeToString())
            listed.append({"feeds": [t.name for t in fed], "fetches": [t.name for t in outputs]})
        asked.writestr("rows.json", json.dumps(listed))


def read_answers(rows: dict[str, Case], path: Path) -> dict[str, Answer]:
    """TensorFlow's answers by the names of the rows."""
    found = {}
    with zipfile.ZipFile(path) as given:
        for i, (name, told) in enumerate(
            zip(rows, json.loads(given.read("rows.json")), strict=True)
        ):
            kinds = told.get("dtypes", [])
            protos = [given.read(f"{i}/fetch/{n}") for n in range(len(kinds))]
            values = [proto.make_ndarray(messages.TensorProto.FromString(p)) for p in protos]
            shapes, error = told.get("shapes", []), told.get("error", [])
            found[name] = Answer(kinds, shapes, values, error, told.get("message", ""))
    return found
