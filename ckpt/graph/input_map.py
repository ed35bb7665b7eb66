"""What an import takes in the place of inputs."""

from __future__ import annotations

from collections.abc import Mapping

from ckpt.graph.operation import Tensor


class InputMap(dict[str, Tensor]):
    """The tensors that an import takes in the place of inputs, by their names in the GraphDef; notes which were `used`."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(tensors)
        self.used: set[str] = set()

    def has(self, text: str) -> bool:
        """Whether something takes the place of this input."""
        return bool(self) and any(key in self for key in _spellings(text))

    def taken(self, text: str) -> Tensor | None:
        """What takes the place of this input, which is used by that; None where nothing does."""
        for key in _spellings(text):
            if key in self:
                self.used.add(key)
                return self[key]
        return None

    def of_node(self, name: str) -> Tensor | None:
        """What takes the place of the node itself, or of its first output."""
        found = self.get(name)
        return self.get(f"{name}:0") if found is None else found


def _spellings(text: str) -> tuple[str, ...]:
    """The keys of an input map that mean this input: `node` and `node:0` are the same."""
    if text.startswith("^"):
        return (text,)
    if text.endswith(":0"):
        return (text, text[:-2])
    return (text,) if ":" in text else (text, f"{text}:0")
