"""A report as text for people, as tab-separated lines for programs, and as JSON. Must not know files; imports nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from ckpt.inspect.listing import Listing
    from ckpt.inspect.report import CheckpointReport
    from ckpt.wire.metagraph_summary import MetaGraphSummary

    Shown = CheckpointReport | Listing

SCHEMA, VERSION = "ckpt.inspect", 1
MOST_OPS_SHOWN = 12
_LINES = 1000


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


def shown(report: Shown, *, names: bool, terminal: bool) -> Iterator[str]:
    """The report as one who asked for no JSON sees it, in pieces: names alone, a table on a terminal, or lines."""
    if names:
        yield as_names(report)
    elif terminal:
        yield as_table(report)
    else:
        yield from lines(report)


def as_table(report: Shown) -> str:
    """The report for a terminal."""
    step = "" if report.step is None else f", step {report.step}"
    lines = [f"{printable(report.path)}: {report.format}{step}"]
    if report.names:
        lines += ["", *_aligned(_variable_rows(report)), ""]
    if report.total:
        lines.append(_totals(report))
    if report.graph is not None:
        lines += _graph_lines(report.graph)
    return "\n".join(lines) + "\n"


def _variable_rows(report: Shown) -> list[tuple[str, str, str, str]]:
    rows = [("variable", "dtype", "shape", "size")]
    for name, dtype, shape, nbytes in report.variables:
        rows.append((printable(name), dtype, shape_text(shape), size_text(nbytes)))
    return rows


def _aligned(rows: list[tuple[str, str, str, str]]) -> list[str]:
    """Columns padded to one width; the last one is a number and ends flush."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([*map(str.ljust, row[:-1], widths), row[-1].rjust(widths[-1])]) for row in rows
    ]


def _totals(report: Shown) -> str:
    shown, total = len(report.names), report.total
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
        (
            "inputs",
            ", ".join(f"{printable(n)} {printable(d)} {shape_text(s)}" for n, d, s in graph.inputs),
        ),
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


def as_lines(report: Shown) -> str:
    """The report as tab-separated lines; the first field says what a line is about. Sizes are exact."""
    return "".join(lines(report))


def lines(report: Shown) -> Iterator[str]:
    """The text of `as_lines` in pieces of many lines."""
    yield _line(("checkpoint", report.path, report.format))
    if report.step is not None:
        yield _line(("step", report.step))
    yield from _variable_lines(report)
    rows: list[tuple[object, ...]] = []
    if report.total:
        rows.append(("total", len(report.names), report.elements, report.nbytes))
    graph = report.graph
    if graph is not None:
        rows.append(("graph", graph.nodes, len(graph.ops), graph.functions))
        rows += [("op", name, count) for name, count in sorted(graph.ops.items())]
        rows += [("input", name, dtype, shape_text(shape)) for name, dtype, shape in graph.inputs]
        rows += [("collection", name, count) for name, count in sorted(graph.collections.items())]
        rows += [("saver", name) for name in graph.savers]
        rows += [("signature", name) for name in graph.signatures]
    yield "".join(map(_line, rows))


def _variable_lines(report: Shown) -> Iterator[str]:
    """The lines of the variables. Of twenty thousand the names differ, but few dtypes and shapes.

    Pieces of a thousand use the same memory again and again: fresh memory costs more than the text itself.
    """
    ends = [f"\t{dtype}\t{shape_text(shape)}\t{nbytes}\n" for dtype, shape, nbytes in report.kinds]
    for first in range(0, len(report.names), _LINES):
        names = _printable(report.names[first : first + _LINES])
        pieces = ["variable\t"] * (3 * len(names))
        pieces[1::3] = names
        pieces[2::3] = [ends[kind] for kind in report.kind_of[first : first + _LINES]]
        yield "".join(pieces)


def _printable(names: list[str]) -> list[str]:
    return names if "".join(names).isprintable() else list(map(printable, names))


def _line(fields: tuple[object, ...]) -> str:
    return "\t".join(printable(str(field)) for field in fields) + "\n"


def as_names(report: Shown) -> str:
    """The names of the variables alone, one per line."""
    return "".join([f"{name}\n" for name in _printable(report.names)])


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
