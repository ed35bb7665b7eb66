"""Which operations use files, and whether those of imported graphs may. Knows no operation type and runs nothing.

A graph that came from elsewhere may name any file of the machine it is run on. So its operations use only files that the
caller of a run names (`run/file_access.py` looks after that), until the caller allows it more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt.core.texts import text_of
from ckpt.graph import stack
from ckpt.graph.origins import Imported, Origin, origin

if TYPE_CHECKING:
    from ckpt.graph.graph import Graph
    from ckpt.graph.operation import Operation

HOW_TO_ALLOW = (
    "A graph that came from a file uses only files that the caller of a run names. If you trust it: "
    "ckpt.allow_file_operations(graph), or allow_file_operations=True where it is imported"
)


@dataclass(frozen=True, slots=True)
class FileUse:
    """How an operation type uses files: the inputs or the attribute that name them; `saves` for what Savers run."""

    inputs: tuple[int, ...] = ()
    attr: str = ""
    when: Callable[[str], bool] = bool
    writes: bool = False
    saves: bool = False

    def concerns(self, node: Operation) -> bool:
        """Whether this node uses a file at all."""
        return not self.attr or self.when(text_of(node.attrs[self.attr]))

    def named_by_attr(self, node: Operation) -> str:
        """The file that an attribute names; "" where none does."""
        return text_of(node.attrs[self.attr]) if self.attr else ""


def is_imported(node: Operation) -> bool:
    """Whether a node came with a graph from elsewhere."""
    return isinstance(node._origin, Imported)


def import_of(node: Operation) -> Imported | None:
    """The import that a node came with where that may use no files; None for nodes that may."""
    noted = node._origin
    return noted if isinstance(noted, Imported) and not noted.may_use_files else None


def may_use_files(graph: Graph) -> bool:
    """Whether all nodes of a graph may: those that were built here always, imported ones where that was allowed."""
    return all(noted.may_use_files for noted in graph.imports)


def origin_of_copies(target: Graph, sources: Sequence[Graph]) -> Origin:
    """The origin of nodes that are copied into `target` out of these graphs: they may do what all of those may."""
    if not any(source.imports for source in sources):
        return origin()
    return target.imported("a copy", may_use_files=all(map(may_use_files, sources)))


def allow_file_operations(graph: Graph | None = None) -> None:
    """Let what was imported into `graph` (the default one where None) until now use any files when it is run.

    Without this, operations of imported graphs read only files whose names the caller of a run feeds, and write only the
    checkpoints of a Saver that saves. It also counts for the functions of the graph, and for copies of its nodes, not for
    what is imported later.
    """
    for noted in (graph if graph is not None else stack.get_default_graph()).imports:
        noted.may_use_files = True
