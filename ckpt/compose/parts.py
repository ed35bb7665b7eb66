"""The parts of a merge: each a saved model as plain data, every endpoint of it by name, with dtype and shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property
from typing import Any

from ckpt.compose.models import Model
from ckpt.core import defs
from ckpt.core.defs import split_input
from ckpt.core.errors import GraphError
from ckpt.core.shapes import TensorShape
from ckpt.core.spelling import similar
from ckpt.graph.graph import Graph
from ckpt.graph.load import load_graph
from ckpt.graph.operation import Operation
from ckpt.graph.selection import needed, without
from ckpt.saver import metagraph
from ckpt.saver.meant import checkpoint_prefix, meta_graph_path
from ckpt.saver.meta_files import read_meta_graph_file
from ckpt.saver.savings import VARIABLE_TYPES, Saving, saver_only, savings

_SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.>-]*")


class Source:
    """A saved model as plain data. One may be several parts: what is found out about it is found out once."""

    def __init__(self, meta: defs.MetaGraphDef) -> None:
        self.meta = meta
        self.nodes = {node.name: node for node in meta.graph_def.node}

    @classmethod
    def read(cls, path: str) -> Source:
        """The model in a `.meta` file."""
        return cls(read_meta_graph_file(path))

    @cached_property
    def saver_nodes(self) -> set[str]:
        """The nodes that are there for Savers alone."""
        return saver_only(self.meta)

    @cached_property
    def bare(self) -> defs.MetaGraphDef:
        """The MetaGraph without those."""
        return without(self.meta, self.saver_nodes)

    @cached_property
    def savings(self) -> list[Saving]:
        """What its checkpoint holds."""
        return savings(self.meta)


class Part:
    """One model: its MetaGraph, and where its values are: the prefix of a checkpoint, or a `live` session."""

    def __init__(self, name: str, source: Any, read: Callable[[str], Source]) -> None:
        self.name = name
        self.live: Any = None
        if isinstance(source, Model):
            self.prefix = source.prefix
            self.live = source.session
            self.source = Source(_meta_of(source))
        else:
            self.prefix = checkpoint_prefix(source)
            self.source = read(meta_graph_path(self.prefix))
        self.nodes = self.source.nodes
        self.endpoints: set[str] = set()
        self._operations: Mapping[str, Operation] = {}

    def _operation(self, name: str) -> Operation:
        """The node in a scratch graph, which holds what the endpoints need: static dtypes and shapes are read there."""
        if name not in self._operations:
            self.endpoints.add(name)
            graph_def = self.source.meta.graph_def
            gone = self.nodes.keys() - needed(graph_def, self.endpoints)
            scratch = Graph()
            with scratch.as_default():
                kept = without(defs.MetaGraphDef(graph_def=graph_def), gone).graph_def
                self._operations = load_graph(scratch, kept)
        return self._operations[name]

    def tensor(self, text: str) -> tuple[str, Any, TensorShape]:
        """(name, dtype, shape) of the tensor that `node` or `node:1` means. Raises GraphError."""
        name, index = split_input(text)
        node = self.node(name)
        outputs = self._operation(node).outputs
        if not 0 <= index < len(outputs):
            raise GraphError(f"'{self.name}': '{text}' is no output of the node '{node}'")
        return f"{node}:{index}", outputs[index].dtype.base_dtype, outputs[index].shape

    def node(self, name: str) -> str:
        """The name of a node. Raises GraphError, with near names, where there is none."""
        if name not in self.nodes:
            raise GraphError(f"'{self.name}' has no node '{name}'{similar(name, self.nodes)}")
        return name

    def variable(self, name: str) -> str:
        """The node of a variable. Raises GraphError for a node that is none."""
        node = self.node(split_input(name)[0])
        if self.nodes[node].op not in VARIABLE_TYPES:
            raise GraphError(f"'{self.name}': '{node}' is a {self.nodes[node].op}, not a variable")
        return node


def _meta_of(model: Model) -> defs.MetaGraphDef:
    """The MetaGraph of a model that is loaded, or was built here."""
    saver_def = None if model.saver is None else model.saver.to_def()
    return metagraph.export(model.graph, saver_def=saver_def)


class Parts:
    """All parts of a merge by name."""

    def __init__(self, sources: Mapping[str, Any]) -> None:
        wrong = [name for name in sources if not _SCOPE.fullmatch(str(name))]
        if wrong:
            raise GraphError(
                f"{', '.join(map(repr, wrong))}: the name of a part is the scope that it gets, one word of letters, "
                "digits and the characters _ . > - that begins with a letter, a digit or a dot"
            )
        read = cache(Source.read)
        self.parts = {name: Part(name, source, read) for name, source in sources.items()}

    def expect(self, texts: Iterable[str]) -> None:
        """Note endpoints that will be asked about, so that what they need is looked at once."""
        for text in texts:
            name, _, rest = text.partition("/")
            if name in self.parts:
                self.parts[name].endpoints.add(split_input(rest)[0])

    def forget_operations(self) -> None:
        """Let the scratch graphs go."""
        for part in self.parts.values():
            part._operations = {}

    def split(self, text: str) -> tuple[Part, str]:
        """The part and the rest of `part/rest`. Raises GraphError for a part that is not there."""
        name, _, rest = text.partition("/")
        if name not in self.parts:
            raise GraphError(
                f"'{text}': there is no part '{name}'; the parts are {', '.join(self.parts)}"
            )
        return self.parts[name], rest
