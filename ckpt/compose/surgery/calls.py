"""Variables frozen inside functions: the bodies of branches and loops take values where they took handles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ckpt.core import defs, dtypes
from ckpt.core.dtypes import DType

FUNCTIONS = {
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
    "While": ("cond", "body"),
    "StatelessWhile": ("cond", "body"),
    "Case": ("branches",),
    "StatelessCase": ("branches",),
    "PartitionedCall": ("f",),
    "StatefulPartitionedCall": ("f",),
}
"""Operations that call functions, and the attributes that name them."""

READERS = ("ReadVariableOp", "ResourceGather")
"""Operations that take a handle only to read the variable."""


@dataclass(slots=True)
class Calls:
    """The functions of a graph, those with frozen arguments added; `problems` lists what cannot take a value."""

    library: dict[str, defs.FunctionDef]
    made: dict[tuple[str, tuple[tuple[int, str], ...]], str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def frozen_node(self, node: defs.NodeDef, handles: Mapping[int, DType]) -> defs.NodeDef:
        """A node that calls functions, with values for the handles at these inputs."""
        first = len(node.input) - len(self._types(node))  # the condition of an If comes before
        first -= sum(text.startswith("^") for text in node.input)
        given = {position - first: dtype for position, dtype in handles.items()}
        attr = dict(node.attr)
        for key in ("Tin", "T"):
            if key in attr:
                attr[key] = [given.get(i, dtype) for i, dtype in enumerate(attr[key])]
        for key in FUNCTIONS[node.op]:
            attr[key] = self._called(attr[key], given, "While" in node.op and key == "body")
        return replace(node, attr=attr)

    @staticmethod
    def _types(node: defs.NodeDef) -> list[Any]:
        return list(node.attr["T" if "While" in node.op else "Tin"])

    def _called(self, value: Any, given: Mapping[int, DType], is_body: bool) -> Any:
        if isinstance(value, list):
            return [self._called(member, given, is_body) for member in value]
        return defs.Func(self._frozen(value.name, given, is_body), value.attr)

    def _frozen(self, name: str, given: Mapping[int, DType], is_body: bool) -> str:
        """The name of a copy of a function that takes values for these arguments."""
        key = (name, tuple(sorted((i, dtype.name) for i, dtype in given.items())))
        if key not in self.made:
            new, number = f"{name}_frozen", 0
            while new in self.library:
                number += 1
                new = f"{name}_frozen_{number}"
            self.made[key] = new
            self.library[new] = self._copy(self.library[name], new, given, is_body)
        return self.made[key]

    def _copy(
        self, function: defs.FunctionDef, name: str, given: Mapping[int, DType], is_body: bool
    ) -> defs.FunctionDef:
        inputs = tuple(
            replace(arg, type=given[i]) if i in given else arg
            for i, arg in enumerate(function.input_arg)
        )
        outputs = function.output_arg
        if is_body:  # a loop hands its handles on
            outputs = tuple(
                replace(arg, type=given[i]) if i in given else arg for i, arg in enumerate(outputs)
            )
        handles = {function.input_arg[i].name: dtype for i, dtype in given.items()}
        nodes: list[defs.NodeDef] = []
        for node in function.node_def:
            nodes += self._inner(node, handles, function.name)
        return replace(
            function, name=name, input_arg=inputs, output_arg=outputs, node_def=tuple(nodes)
        )

    def _inner(
        self, node: defs.NodeDef, handles: Mapping[str, DType], where: str
    ) -> list[defs.NodeDef]:
        taken = {i: handles[text] for i, text in enumerate(node.input) if text in handles}
        if not taken:
            return [node]
        if node.op in READERS:
            return reading(node, taken[0], "axis:output:0")
        if node.op in FUNCTIONS:
            return [self.frozen_node(node, taken)]
        self.problems.append(f"{where}/{node.name} ({node.op}) takes a handle")
        return [node]


def reading(node: defs.NodeDef, dtype: DType, axis_output: str = "axis") -> list[defs.NodeDef]:
    """What reads a handle takes the value instead. In a function `axis_output` names an output in full."""
    if node.op == "ReadVariableOp":
        return [replace(node, op="Identity", attr={"T": dtype})]
    import numpy as np

    zero = np.zeros((), np.int32)
    attr = {"dtype": dtypes.int32, "value": zero}
    axis = defs.NodeDef(f"{node.name}/axis", "Const", (), node.device, attr)
    kept = {key: value for key, value in node.attr.items() if key.startswith("_")}
    gathering = {
        "Tparams": dtype,
        "Tindices": node.attr["Tindices"],
        "Taxis": dtypes.int32,
        "batch_dims": node.attr.get("batch_dims", 0),
    }
    data = [text for text in node.input if not text.startswith("^")]
    controls = [text for text in node.input if text.startswith("^")]
    source = axis_output.replace("axis", axis.name, 1)
    inputs = (*data, source, *controls)
    return [axis, replace(node, op="GatherV2", input=inputs, attr={**kept, **gathering})]
