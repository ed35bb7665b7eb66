"""Every operation type stands in at least one row of a table, from which all its checks follow."""

from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS
from tests.conformance.ops import built
from tests.conformance.questions import all_rows

LOOP = "goes round loops of references, which no builder makes: it differs from NextIteration in its signature only"
PYTHON = "calls a Python function that only this process has: tests/model/test_lookup.py"
ELSEWHERE = {
    "RefNextIteration": LOOP,
    **dict.fromkeys(["PyFunc", "PyFuncStateless"], PYTHON),
    "PlaceholderV2": "must be fed, which rows do through Placeholder: tests/ops/test_older.py",
}  # fmt: skip
"""Operation types that no row can hold, each with the reason and the place of its tests."""


def types_in_rows():
    found = set()
    for row in all_rows().values():
        if row.raises is None:
            with Graph().as_default() as graph:
                built(row)
                found |= {node.type for node in graph.get_operations()}
    return found


def test_every_operation_has_a_row():
    missing = sorted(set(OPS) - types_in_rows() - set(ELSEWHERE))
    assert not missing, f"write a row for {', '.join(missing)}"


def test_what_is_tested_elsewhere_is_no_longer_than_it_must_be():
    assert set(ELSEWHERE) <= set(OPS)
    assert not set(ELSEWHERE) & types_in_rows()
