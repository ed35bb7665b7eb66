"""Whether two GraphDefs say the same, for tests."""

from __future__ import annotations

from typing import Any


def assert_equal_graph_def(
    actual: Any, expected: Any, checkpoint_v2: bool = False, hash_table_shared_name: bool = False
) -> None:
    """Two GraphDef messages have the same nodes, whatever their order; versions are not compared.

    `checkpoint_v2` passes over the file names of Savers' nodes. Raises AssertionError with the first differences,
    TypeError for what is no GraphDef.
    """
    for given, message in (("actual", actual), ("expected", expected)):
        if not hasattr(message, "node"):
            raise TypeError(f"Expected tf.GraphDef for {given}, got {type(message).__name__}")
    ours, theirs = (
        {node.name: _text(node, checkpoint_v2, hash_table_shared_name) for node in g.node}
        for g in (actual, expected)
    )
    problems = [f"only actual has {name}" for name in sorted(ours.keys() - theirs)]
    problems += [f"only expected has {name}" for name in sorted(theirs.keys() - ours)]
    problems += [
        f"{name} differs:\nactual   {ours[name]}\nexpected {theirs[name]}"
        for name in sorted(ours.keys() & theirs)
        if ours[name] != theirs[name]
    ]
    if problems:
        raise AssertionError("\n".join(problems[:10]))


def _text(node: Any, checkpoint_v2: bool, hash_table_shared_name: bool) -> str:
    kept = type(node)()
    kept.CopyFrom(node)
    if hash_table_shared_name and node.op.startswith(("HashTable", "MutableHashTable")):
        kept.attr.pop("shared_name", None)
    is_file_name = node.name.endswith(("/Const", "/filename")) and node.name.startswith("save")
    if checkpoint_v2 and is_file_name:
        kept.attr.pop("value", None)
    return str(kept)
