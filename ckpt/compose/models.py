"""Saved models in separate graphs: each with its graph, its session and its Saver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ckpt.graph.graph import Graph
from ckpt.graph.operation import Operation, Tensor
from ckpt.run.session import Session
from ckpt.saver import metagraph
from ckpt.saver.meant import checkpoint_prefix, meta_graph_path
from ckpt.saver.saver import Saver

if TYPE_CHECKING:
    from typing import Self


class Model:
    """A saved model in a graph of its own: `graph`, `session`, `saver`, and its parts by their original names."""

    def __init__(self, path: Any, name: str = "") -> None:
        self.name = name
        self.prefix = checkpoint_prefix(path)
        self.graph = Graph()
        with self.graph.as_default():
            self.saver: Saver | None = metagraph.import_meta_graph(meta_graph_path(self.prefix))
        self.session = Session(graph=self.graph)
        if self.saver is not None:
            self.saver.restore(self.session, self.prefix)

    @classmethod
    def of(cls, session: Session, name: str = "", saver: Saver | None = None) -> Model:
        """The model that a session runs now: one that was built here, not loaded."""
        found = cls.__new__(cls)
        found.name, found.prefix = name, ""
        found.graph, found.session, found.saver = session.graph, session, saver
        return found

    def __getitem__(self, name: str) -> Any:
        """The value of a variable. Raises KeyError for an unknown name."""
        return self.session.run(self.tensor(name))

    def tensor(self, name: str) -> Tensor:
        """The tensor of this name (`x:0`, or `x` for output 0). Raises KeyError, with near names."""
        return self.graph.get_tensor_by_name(name if ":" in name else f"{name}:0")

    def element(self, name: str) -> Tensor | Operation:
        """What this name means: `x:0` a tensor, `x` output 0 of that operation, or the operation where it has none."""
        if ":" not in name:
            node: Operation = self.graph.get_operation_by_name(name)
            return node.outputs[0] if node.outputs else node
        return self.tensor(name)

    def run(self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None) -> Any:
        """Run the model; fetches and feeds may be names."""
        return self.session.run(fetches, feed_dict)

    def close(self) -> None:
        """Close the session."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def load_models(paths: Mapping[str, Any]) -> dict[str, Model]:
    """Each saved model in a graph and a session of its own, restored."""
    return {name: Model(path, name) for name, path in paths.items()}
