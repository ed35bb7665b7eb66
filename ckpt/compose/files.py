"""Saved models merged into one checkpoint on disk: plan, perhaps check, write. What `ckpt merge a=… b=…` calls."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ckpt.compose.check import CheckReport, Compare, check
from ckpt.compose.merged import MergePlan, merge_graphs, plan_merge
from ckpt.compose.models import Model
from ckpt.core.shapes import as_shape
from ckpt.graph.graph import Graph
from ckpt.run.session import Session
from ckpt.saver.output import check_free, make_home, size_of


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What `merge_files` made, or would make: counts, files and their bytes (0 where nothing was written)."""

    parts: Mapping[str, str]
    variables: int
    nodes: int
    wires: Mapping[str, str]
    output: Sequence[str]
    nbytes: int
    plan: MergePlan
    check: CheckReport | None = None


def merge_files(
    parts: Mapping[str, Any],
    output: Any,
    connect: Mapping[str, str] | None = None,
    *,
    force: bool = False,
    dry_run: bool = False,
    compare: Compare | None = None,
    **options: Any,
) -> MergeReport:
    """Merge saved models into one checkpoint `<output>.h5` with its MetaGraph. `options` are those of `merge_graphs`.

    With `compare` ("equal", "allclose" or a function) the parts, chained, and the merged graph are run on the same
    drawn inputs before anything is written, see `check`.

    Raises AlreadyExistsError when the output is there (unless `force`), GraphError when the parts do not fit,
    InvalidArgumentError when they do not compute the same, OpError when a file cannot be read or written. Nothing is
    written unless everything fits; with `dry_run` nothing is written at all, but the checkpoints are read.
    """
    prefix = os.fspath(output).removesuffix(".h5")
    files = [f"{prefix}.h5", f"{prefix}.meta"]
    check_free(files, force=force)
    merged = merge_graphs(parts, connect, graph=Graph(), **options)
    nbytes = 0
    with Session(graph=merged.graph) as session:
        merged.restore(session)
        checked = None
        if compare is not None:
            checked = check(parts, Model.of(session), connect=connect, compare=compare)
            checked.assert_equal()
        if not dry_run and merged.saver is not None:
            make_home(prefix)
            merged.saver.save(session, prefix, write_state=False)
            nbytes = size_of(files)
    return MergeReport(
        parts=dict(merged.sources),
        variables=len(merged.plan.variables),
        nodes=len(merged.plan.meta.graph_def.node),
        wires=dict(connect or {}),
        output=files,
        nbytes=nbytes,
        plan=merged.plan,
        check=checked,
    )


def plan_report(
    parts: Mapping[str, Any], connect: Mapping[str, str], **options: Any
) -> dict[str, Any]:
    """Every node, variable and collection renamed, every wire and shared variable, as plain data; reads no values."""
    options.pop("shared_from", None)
    plan = plan_merge(parts, connect, **options)
    variables = _variables(plan)
    return {
        "parts": {name: part.prefix for name, part in plan.parts.items()},
        "wires": [
            {
                "input": wire.target,
                "output": wire.source,
                "dtype": wire.dtype,
                "input_shape": wire.target_shape,
                "output_shape": wire.source_shape,
                "stops_gradient": wire.stops_gradient,
            }
            for wire in plan.wires
        ],
        "shared": dict(plan.shares),
        "frozen": list(plan.frozen),
        "dropped": list(plan.dropped),
        "nodes": dict(plan.renamed),
        "variables": variables,
        "collections": {key: len(c.value) for key, c in plan.meta.collection_def.items()},
        "nbytes": sum(variable["nbytes"] or 0 for variable in variables),
    }


def _variables(plan: MergePlan) -> list[dict[str, Any]]:
    """Name, dtype, shape and bytes of each variable, and the entries of the checkpoints that fill it."""
    nodes = {node.name: node for node in plan.meta.graph_def.node}
    sources: dict[str, list[str]] = {}
    for part, entries in plan.savings.items():
        for entry in entries:
            for name in entry.variables:
                sources.setdefault(name, []).append(f"{part}: {entry.key}")
    found = []
    for variable in plan.variables:
        name = variable.variable_name.removesuffix(":0")
        dtype, shape = nodes[name].attr["dtype"], nodes[name].attr.get("shape")
        known = as_shape(shape).sizes or ()
        sizes = [size for size in known if size is not None]
        is_known = shape is not None and len(sizes) == len(known)
        found.append(
            {
                "name": name,
                "dtype": dtype.name,
                "shape": sizes if is_known else None,
                "nbytes": prod(sizes) * dtype.size if is_known else None,
                "sources": sources.get(name, []),
            }
        )
    return found
