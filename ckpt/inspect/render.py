"""A report as text for people, as tab-separated lines for programs, and as JSON. Must not know files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ckpt.inspect.report import CheckpointReport

if TYPE_CHECKING:
    from ckpt.wire.metagraph_file import MetaGraphSummary

SCHEMA, VERSION = "ckpt.inspect", 1
MOST_OPS_SHOWN = 12


def size_text(nbytes: int) -> str:
    """`nbytes` for people: `512 B`, `1.2 GiB`."""
    if nbytes < 1024:
        return f"{nbytes} B"
    size = float(nbytes)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        if size < 1023.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} PiB"


def printable(text: str) -> str:
    """`text` with characters that could steer a terminal, or break a line, escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shape_text(sizes: Sequence[int | None] | None) -> str:
    """`sizes` as the command line prints them: `[3,3,64]`, `[?,10]`, `?` for unknown rank."""
    if sizes is None:
        return "?"
    return "[" + ",".join("?" if size is None else str(size) for size in sizes) + "]"


def as_table(report: CheckpointReport) -> str:
    """The report for a terminal."""
    step = "" if report.step is None else f", step {report.step}"
    lines = [f"{printable(report.path)}: {report.format}{step}"]
    if report.variables:
        lines += ["", *_aligned(_variable_rows(report)), ""]
    if report.total:
        lines.append(_totals(report))
    if report.graph is not None:
        lines += _graph_lines(report.graph)
    return "\n".join(lines) + "\n"


def _variable_rows(report: CheckpointReport) -> list[tuple[str, str, str, str]]:
    rows = [("variable", "dtype", "shape", "size")]
    for v in report.variables:
        rows.append((printable(v.name), v.dtype, shape_text(v.shape), size_text(v.nbytes)))
    return rows


def _aligned(rows: list[tuple[str, str, str, str]]) -> list[str]:
    """Columns padded to one width; the last one is a number and ends flush."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([*map(str.ljust, row[:-1], widths), row[-1].rjust(widths[-1])]) for row in rows
    ]


def _totals(report: CheckpointReport) -> str:
    shown, total = len(report.variables), report.total
    count = f"{total}" if shown == total else f"{shown} of {total}"
    noun = "variable" if total == 1 else "variables"
    return f"{count} {noun}, {report.elements:,} elements, {size_text(report.nbytes)}"


def _graph_lines(graph: MetaGraphSummary) -> list[str]:
    noun = "function" if graph.functions == 1 else "functions"
    functions = f", {graph.functions} {noun}" if graph.functions else ""
    lines = [f"graph: {graph.nodes} nodes of {len(graph.ops)} types{functions}"]
    most = sorted(graph.ops.items(), key=lambda item: (-item[1], item[0]))
    more = len(most) - MOST_OPS_SHOWN
    rest = f", and {more} more types" if more > 0 else ""
    for title, text in (
        ("ops", _counts(most[:MOST_OPS_SHOWN]) + rest),
        ("inputs", ", ".join(f"{printable(n)} {d} {shape_text(s)}" for n, d, s in graph.inputs)),
        ("collections", _counts(sorted(graph.collections.items()))),
        ("savers", ", ".join(map(printable, graph.savers))),
        ("signatures", ", ".join(map(printable, graph.signatures))),
        ("tags", ", ".join(map(printable, graph.tags))),
    ):
        if text:
            lines.append(f"  {title}: {text}")
    return lines


def _counts(items: list[tuple[str, int]]) -> str:
    return ", ".join(f"{printable(name)} {count}" for name, count in items)


def as_lines(report: CheckpointReport) -> str:
    """The report as tab-separated lines; the first field says what a line is about. Sizes are exact."""
    rows: list[tuple[object, ...]] = [("checkpoint", report.path, report.format)]
    if report.step is not None:
        rows.append(("step", report.step))
    lines = [_line(row) for row in rows]
    rows = []
    for name, dtype, shape, nbytes in report.variables:
        lines.append(f"variable\t{printable(name)}\t{dtype}\t{shape_text(shape)}\t{nbytes}\n")
    if report.total:
        rows.append(("total", len(report.variables), report.elements, report.nbytes))
    graph = report.graph
    if graph is not None:
        rows.append(("graph", graph.nodes, len(graph.ops), graph.functions))
        rows += [("op", name, count) for name, count in sorted(graph.ops.items())]
        rows += [("input", name, dtype, shape_text(shape)) for name, dtype, shape in graph.inputs]
        rows += [("collection", name, count) for name, count in sorted(graph.collections.items())]
        rows += [("saver", name) for name in graph.savers]
        rows += [("signature", name) for name in graph.signatures]
    return "".join([*lines, *map(_line, rows)])


def _line(fields: tuple[object, ...]) -> str:
    return "\t".join(printable(str(field)) for field in fields) + "\n"


def as_names(report: CheckpointReport) -> str:
    """The names of the variables alone, one per line."""
    return "".join(printable(variable.name) + "\n" for variable in report.variables)


def as_json(report: CheckpointReport) -> str:
    """The report as one JSON document."""
    import json

    return json.dumps(as_document(report), indent=2) + "\n"


def as_document(report: CheckpointReport) -> dict[str, Any]:
    """The report as what JSON knows, with `schema` and `version`."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "path": report.path,
        "format": report.format,
        "step": report.step,
        "metadata": dict(report.metadata),
        "variables": [
            {"name": v.name, "dtype": v.dtype, "shape": list(v.shape), "nbytes": v.nbytes}
            for v in report.variables
        ],
        "totals": {
            "variables": len(report.variables),
            "elements": report.elements,
            "nbytes": report.nbytes,
            "variables_in_file": report.total,
        },
        "graph": None if report.graph is None else _graph_document(report.graph),
    }


def _graph_document(graph: MetaGraphSummary) -> Mapping[str, Any]:
    return {
        "nodes": graph.nodes,
        "functions": graph.functions,
        "ops": dict(sorted(graph.ops.items())),
        "inputs": [
            {"name": name, "dtype": dtype, "shape": None if shape is None else list(shape)}
            for name, dtype, shape in graph.inputs
        ],
        "collections": dict(sorted(graph.collections.items())),
        "savers": list(graph.savers),
        "signatures": list(graph.signatures),
        "tags": list(graph.tags),
        "producer": graph.producer,
    }
