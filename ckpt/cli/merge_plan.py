"""A merge plan as text: every wire, shared, dropped and renamed thing; long lists in full when nobody watches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ckpt.inspect.render import printable, size_text


def plan_text(plan: Mapping[str, Any]) -> str:
    """The plan for people."""
    return "".join(f"{printable(line)}\n" for line in _lines(plan))


def _lines(plan: Mapping[str, Any]) -> Iterator[str]:
    for name, path in plan["parts"].items():
        yield f"part {name}: {path}"
    for wire in plan["wires"]:
        stop = ", no gradient" if wire["stops_gradient"] else ""
        yield (
            f"wire {wire['input']} {wire['input_shape']} <- {wire['output']} {wire['output_shape']}, "
            f"{wire['dtype']}{stop}"
        )
    for replaced, kept in plan["shared"].items():
        yield f"share {replaced} = {kept}"
    for scope in plan["frozen"]:
        yield f"freeze {scope}"
    for node in plan["dropped"]:
        yield f"drop {node}"
    for old, new in plan["nodes"].items():
        yield f"node {old} -> {new}"
    for variable in plan["variables"]:
        shape = "?" if variable["shape"] is None else str(variable["shape"])
        source = ", ".join(variable["sources"]) or "no checkpoint"
        yield f"variable {variable['name']} {variable['dtype']}{shape} from {source}"
    for key, count in plan["collections"].items():
        yield f"collection {key}: {count}"
    yield (
        f"{len(plan['nodes'])} nodes, {len(plan['variables'])} variables, {size_text(plan['nbytes'])}; "
        "nothing was written"
    )
