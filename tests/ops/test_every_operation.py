"""Every operation type stands in at least one row of a table, from which all its checks follow."""

from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS
from tests.conformance.ops import built
from tests.conformance.questions import all_rows

CONTROL_FLOW = "runs by dataflow, not by a kernel of arrays: tests/run/test_dataflow.py, tests/model/test_control_flow.py"
BODIES = "its meaning is its body graphs: tests/model/test_control_flow.py"
LISTS = "gives handles that only its siblings take: tests/model/test_control_flow.py"
FILES = "reads and writes checkpoints, whose format is ours: tests/saver, tests/formats"
PYTHON = "calls a Python function that only this process has: tests/model/test_lookup.py"
ELSEWHERE = {
    **dict.fromkeys(
        ["Switch", "RefSwitch", "Merge", "RefMerge", "Enter", "RefEnter", "Exit", "RefExit", "NextIteration",
         "RefNextIteration", "LoopCond", "ControlTrigger"], CONTROL_FLOW),
    **dict.fromkeys(
        ["If", "StatelessIf", "Case", "StatelessCase", "While", "StatelessWhile", "PartitionedCall",
         "StatefulPartitionedCall", "OptionalFromValue", "OptionalNone", "OptionalHasValue", "OptionalGetValue"], BODIES),
    **dict.fromkeys(
        ["StackV2", "StackPushV2", "StackPopV2", "StackCloseV2", "TensorArrayV3", "TensorArrayGradV3",
         "TensorArrayWriteV3", "TensorArrayReadV3", "TensorArrayGatherV3", "TensorArrayScatterV3", "TensorArrayConcatV3",
         "TensorArraySplitV3", "TensorArraySizeV3", "TensorArrayCloseV3"], LISTS),
    **dict.fromkeys(["SaveV2", "RestoreV2", "MergeV2Checkpoints"], FILES),
    **dict.fromkeys(["PyFunc", "PyFuncStateless"], PYTHON),
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
