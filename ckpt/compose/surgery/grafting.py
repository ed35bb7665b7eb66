"""A scope of one model put into another in the place of what was there: nodes, variables and values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ckpt.compose.draft import Draft
from ckpt.compose.surgery.scopes import is_inside
from ckpt.core import defs
from ckpt.core.defs import split_input
from ckpt.core.errors import GraphError
from ckpt.core.spelling import scopes_of, similar
from ckpt.graph.renaming import apart, reference, renamed_node, renamed_variable
from ckpt.graph.selection import node_of


def graft(
    draft: Draft, other: Draft, source: str, target: str, connect: Mapping[str, str] | None = None
) -> Draft:
    """The draft with its scope `target` replaced by the scope `source` of another model.

    `connect` says for each tensor that `source` takes from outside itself which tensor of the draft it is. Where it does
    not say, the node that was at the same place in `target` does. Raises GraphError listing the inputs that nothing
    says, and the nodes of `target` that others use and `source` does not have.
    """
    return _Graft(draft, other, source.rstrip("/"), target.rstrip("/"), connect or {}).made()


class _Graft:
    def __init__(
        self, draft: Draft, other: Draft, source: str, target: str, connect: Mapping[str, str]
    ) -> None:
        self.draft = draft
        mine, theirs = apart([draft.meta.graph_def, other.meta.graph_def])
        self.library = (*mine.library, *theirs.library)
        self.other = other
        self.source, self.target, self.connect = source, target, connect
        self.new = [node for node in theirs.node if is_inside(node.name, [source])]
        self.old = {n: node for n, node in draft.nodes.items() if is_inside(n, [target])}
        self.problems: list[str] = []

    def moved(self, name: str) -> str:
        """The name in the result of a node of the other model's scope; others keep theirs."""
        inside = is_inside(name, [self.source])
        return self.target + name[len(self.source) :] if inside else name

    def made(self) -> Draft:
        if not self.new:
            near = similar(self.source, scopes_of(self.other.nodes))
            raise GraphError(f"the other model has no scope '{self.source}'{near}")
        nodes = [self._taken(node) for node in self.new]
        self._check_users({node.name for node in nodes})
        if self.problems:
            raise GraphError(
                "the scope cannot be grafted:\n" + "\n".join(f"  {p}" for p in self.problems)
            )
        kept = self.draft.without(self.old)
        graph = replace(
            kept.meta.graph_def,
            node=(*kept.meta.graph_def.node, *nodes),
            library=self.library,
        )
        entries = {
            self._key(key): tuple(self.moved(v) for v in variables)
            for key, variables in self.other.entries.items()
            if all(is_inside(v, [self.source]) for v in variables)
        }
        values = {
            self._key(key): self.other.tensors[key]
            for key in self.other.entries
            if self._key(key) in entries and key in self.other.tensors
        }
        return replace(
            kept,
            meta=replace(kept.meta, graph_def=graph, collection_def=self._collections(kept)),
            entries={**kept.entries, **entries},
            tensors={**kept.tensors, **values},
        )

    def _taken(self, node: defs.NodeDef) -> defs.NodeDef:
        """A node of the other model with its new name, and its inputs from outside the scope replaced."""
        before = self.old.get(self.moved(node.name))
        inputs = []
        for position, text in enumerate(node.input):
            if is_inside(node_of(text), [self.source]):
                inputs.append(reference(text, self.moved))
            else:
                inputs += self._outside(node, position, text, before)
        return replace(renamed_node(node, self.moved), input=tuple(inputs))

    def _outside(
        self, node: defs.NodeDef, position: int, text: str, before: defs.NodeDef | None
    ) -> list[str]:
        name, index = split_input(text)
        spelled = [text] if index < 0 else [f"{name}:{index}", *([name] if not index else [])]
        given = next((self.connect[s] for s in spelled if s in self.connect), None)
        if given is None and before is not None and position < len(before.input):
            given = before.input[position]
        if given is None:
            self.problems.append(
                f"{node.name} takes {text} from outside '{self.source}': connect says what it is"
            )
            return []
        return [given.removesuffix(":0")]

    def _check_users(self, names: set[str]) -> None:
        for node in self.draft.meta.graph_def.node:
            if node.name not in self.old:
                self.problems += [
                    f"{node.name} takes {text}, which '{self.source}' does not have"
                    for text in node.input
                    if node_of(text) in self.old and node_of(text) not in names
                ]
        known = self.draft.nodes.keys() | names
        self.problems += [
            f"'{text}' is to be connected and is not there"
            for text in self.connect.values()
            if node_of(text) not in known
        ]

    def _key(self, key: str) -> str:
        """The entry in the checkpoint: it follows the scope where it is named after it."""
        return self.moved(key)

    def _collections(self, kept: Draft) -> dict[str, defs.CollectionDef]:
        found = dict(kept.meta.collection_def)
        for key, collection in self.other.meta.collection_def.items():
            if collection.kind == "variables":
                more = tuple(
                    renamed_variable(v, self.moved)
                    for v in collection.value
                    if is_inside(node_of(v.variable_name), [self.source])
                )
                before = found.get(key, defs.CollectionDef("variables"))
                if more:
                    found[key] = replace(before, value=before.value + more)
        return found
