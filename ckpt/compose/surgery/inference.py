"""A graph made leaner for inference: normalisation folded into weights, identities removed, nodes replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ckpt.compose.draft import Draft
from ckpt.compose.surgery.values import constant
from ckpt.core import defs
from ckpt.core.defs import split_input
from ckpt.core.errors import GraphError
from ckpt.core.spelling import similar
from ckpt.graph.selection import group_node, node_of
from ckpt.graph.variable_defs import nodes_beside, variable_defs

_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_OUTPUT_AXIS = {"Conv2D": 3, "Conv3D": 4, "MatMul": 1, "DepthwiseConv2dNative": None}
"""Which axis of the weights is the channel of the result; None: the last two, taken together."""


def fold_batch_norms(draft: Draft) -> Draft:
    """The frozen draft with batch normalisation of convolutions and products folded into their weights.

    A FusedBatchNorm with fixed statistics becomes a BiasAdd of the rescaled convolution, w * gamma / sqrt(variance + epsilon)
    and beta - mean * gamma / sqrt(variance + epsilon); a multiplication of a convolution by constants, as the unfused form
    leaves after `fold_constants`, goes into the weights too. Where a convolution is also used otherwise, or its channels
    come first, nothing is changed. Raises GraphError when the graph is not frozen.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.1.
    """
    if draft.entries:
        raise GraphError("batch normalisation is folded into constants: freeze the variables first")
    folded = _Folding(draft)
    for node in draft.meta.graph_def.node:
        if node.op in _NORMS and not node.attr.get("is_training", True):
            folded.fold_norm(node)
        elif node.op == "Mul":
            folded.fold_scale(node)
    return draft.with_nodes(folded.nodes())


@dataclass(frozen=True, slots=True)
class _Weighted:
    """A convolution or product with constant weights, and the constant bias that is added to it, where there is one."""

    node: defs.NodeDef
    weights: Any
    bias_node: defs.NodeDef | None = None
    bias: Any = None


class _Folding:
    def __init__(self, draft: Draft) -> None:
        self.by_name = draft.nodes
        self.users: dict[str, int] = {}
        for node in draft.meta.graph_def.node:
            for text in node.input:
                self.users[node_of(text)] = self.users.get(node_of(text), 0) + 1

    def nodes(self) -> list[defs.NodeDef]:
        return list(self.by_name.values())

    def value(self, text: str) -> Any:
        """The constant behind an input, seen through identities; None where it is none."""
        node = self.by_name[node_of(text)]
        while node.op == "Identity" and len(node.input) == 1:
            node = self.by_name[node_of(node.input[0])]
        return node.attr["value"] if node.op == "Const" else None

    def weighted(self, text: str) -> _Weighted | None:
        """The convolution (with its bias) that an input is, where only this input uses it and all else is constant."""
        node = self.by_name[node_of(text)]
        if self.users.get(node.name) != 1 or not _has_last_channels(node):
            return None
        if node.op in ("BiasAdd", "Add", "AddV2"):
            bias = self.value(node.input[1])
            inner = self.weighted(node.input[0]) if bias is not None and bias.ndim == 1 else None
            if inner is None or inner.bias_node is not None or bias.size != _channels(inner):
                return None
            return replace(inner, bias_node=node, bias=bias)
        if node.op not in _OUTPUT_AXIS or node.attr.get("transpose_b"):
            return None
        weights = self.value(node.input[1])
        return None if weights is None else _Weighted(node, weights)

    def fold_norm(self, node: defs.NodeDef) -> None:
        """y = (x - mean) * scale + beta, with scale = gamma / sqrt(variance + epsilon)."""
        constants = [self.value(text) for text in node.input[1:5]]
        source = self.weighted(node.input[0])
        if source is None or any(c is None for c in constants) or self._has_other_users(node.name):
            return
        gamma, beta, mean, variance = (np.asarray(c, np.float64) for c in constants)
        scale = gamma / np.sqrt(variance + node.attr["epsilon"])
        self._rescale(source, scale, beta - mean * scale)
        if source.bias_node is not None:
            self._replace(node, "Identity", (node.input[0],))
            return
        bias = (beta - mean * scale).astype(source.weights.dtype)
        self._replace(node, "BiasAdd", (node.input[0], self._constant(f"{node.name}/bias", bias)))

    def fold_scale(self, node: defs.NodeDef) -> None:
        """A product with one factor per channel."""
        for product, factor in ((0, 1), (1, 0)):
            scale, source = self.value(node.input[factor]), self.weighted(node.input[product])
            if scale is None or source is None or len(node.input) != 2:
                continue
            if scale.ndim == 1 and scale.size == _channels(source):
                self._rescale(source, scale, 0.0)
                self._replace(node, "Identity", (node.input[product],))
                return

    def _rescale(self, source: _Weighted, scale: Any, shift: Any) -> None:
        """Multiply weights and bias by `scale`, and add `shift` to the bias, where there is one."""
        weights = source.weights
        shaped = scale
        if _OUTPUT_AXIS[source.node.op] is None:
            shaped = np.reshape(scale, weights.shape[-2:])
        new = (weights * shaped).astype(weights.dtype)
        name = self._constant(f"{source.node.name}/folded_weights", new)
        self._take(source.node, name)
        if source.bias_node is not None:
            bias = (source.bias * scale + shift).astype(source.bias.dtype)
            self._take(source.bias_node, self._constant(f"{source.bias_node.name}/folded", bias))

    def _constant(self, name: str, value: Any) -> str:
        while name in self.by_name:
            name += "_"
        self.by_name[name] = constant(name, value)
        return name

    def _take(self, node: defs.NodeDef, second: str) -> None:
        """Give a node another second input."""
        inputs = (node.input[0], second, *node.input[2:])
        self.by_name[node.name] = replace(node, input=inputs)

    def _replace(self, node: defs.NodeDef, op: str, inputs: tuple[str, ...]) -> None:
        attr = {"T": node.attr["T"]}
        self.by_name[node.name] = defs.NodeDef(node.name, op, inputs, node.device, attr)

    def _has_other_users(self, name: str) -> bool:
        """Whether a node takes the statistics that a normalisation also returns."""
        return any(
            split_input(text)[0] == name and split_input(text)[1] > 0
            for node in self.by_name.values()
            for text in node.input
        )


def _has_last_channels(node: defs.NodeDef) -> bool:
    return node.attr.get("data_format", "NHWC") in ("NHWC", "NDHWC", b"NHWC", b"NDHWC")


def _channels(source: _Weighted) -> int:
    shape = source.weights.shape
    axis = _OUTPUT_AXIS[source.node.op]
    return int(np.prod(shape[-2:]) if axis is None else shape[axis])


def remove_identities(draft: Draft, keep: Iterable[str] = ()) -> Draft:
    """The draft without Identity nodes: what took one takes its source.

    Those stay that are named in `keep`, by a collection, signature or colocation group, that read a variable, wait for
    something, or whose name nothing takes (an output).
    """
    named = {node_of(text) for text in keep} | _named(draft)
    nodes = draft.nodes
    taken = {node_of(text) for node in nodes.values() for text in node.input}
    gone = {
        name: node.input[0]
        for name, node in nodes.items()
        if node.op == "Identity"
        and len(node.input) == 1
        and name in taken
        and name not in named
        and nodes[node_of(node.input[0])].op not in ("VariableV2", "Variable", "Switch")
    }
    kept = [node for name, node in nodes.items() if name not in gone]
    return draft.with_nodes(
        replace(node, input=tuple(past(text, gone) for text in node.input)) for node in kept
    )


def past(text: str, gone: Mapping[str, str]) -> str:
    """What a node takes instead of the input `text`, when the nodes in `gone`, each with its only input, are left out.

    Raises GraphError when they take each other in a circle.
    """
    name, index = split_input(text)
    seen = set()
    while name in gone:
        if name in seen:
            raise GraphError(f"'{name}' takes itself, through nodes that pass on what they take")
        seen.add(name)
        text = gone[name] if index >= 0 else f"^{node_of(gone[name])}"
        name = node_of(text)
    return text


def _named(draft: Draft) -> set[str]:
    """The nodes that collections, signatures and colocation groups name."""
    found: set[str] = set()
    for collection in draft.meta.collection_def.values():
        if collection.kind == "node_list":
            found.update(node_of(str(text)) for text in collection.value)
    for variable in variable_defs(draft.meta):
        found.update(nodes_beside(variable))
    for signature in draft.meta.signature_def.values():
        for info in (*signature.inputs.values(), *signature.outputs.values()):
            found.add(node_of(info.name))
    return found | colocated_with(draft.meta.graph_def)


def colocated_with(graph: defs.GraphDef) -> set[str]:
    """The nodes that colocation groups name."""
    groups = (group for node in graph.node for group in node.attr.get("_class") or ())
    return set(map(group_node, groups))


def replace_node(draft: Draft, node: defs.NodeDef) -> Draft:
    """The draft with this node in the place of the one of its name.

    Raises GraphError when there is none of that name, or an input is not there.
    """
    nodes = draft.nodes
    if node.name not in nodes:
        raise GraphError(f"there is no node '{node.name}' to replace")
    missing = [text for text in node.input if node_of(text) not in nodes]
    if missing:
        raise GraphError(f"'{node.name}' takes {', '.join(missing)}, which is not there")
    return draft.with_nodes(node if n.name == node.name else n for n in nodes.values())


def redirect(draft: Draft, sources: Mapping[str, str]) -> Draft:
    """The draft in which whatever took tensor `old` takes `new`: {"old:0": "new:0"}.

    Raises GraphError listing the nodes that are not there, or the tensors that no node takes.
    """
    nodes = draft.nodes
    missing = sorted({node_of(t) for t in (*sources, *sources.values())} - nodes.keys())
    if missing:
        lines = [f"  there is no {name!r}{similar(name, nodes)}" for name in missing]
        raise GraphError("tensors cannot be redirected:\n" + "\n".join(lines))
    targets = {split_input(old): new for old, new in sources.items()}
    idle = set(targets)

    def taken(text: str) -> str:
        tensor = split_input(text)
        idle.discard(tensor)
        new = targets.get(tensor)
        return text if new is None else new.removesuffix(":0")

    moved = draft.with_nodes(
        replace(node, input=tuple([taken(text) for text in node.input])) for node in nodes.values()
    )
    if idle:
        lines = [f"  no node takes {name}:{index}" for name, index in sorted(idle)]
        raise GraphError("tensors cannot be redirected:\n" + "\n".join(lines))
    return moved
