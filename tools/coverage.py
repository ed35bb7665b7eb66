"""Write docs/coverage.md: which operations and public names of TensorFlow 1 ckpt has, and which not.

python tools/coverage.py            # write it
python tools/coverage.py --check    # exit 1 when it is not up to date
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import ckpt
from ckpt.graph.opdef import OPS

TARGET = ROOT / "docs" / "coverage.md"
FIXTURES = ROOT / "fixtures"


def known_names():
    return json.loads((FIXTURES / "tf_names.json").read_text())["names"]


def has(name):
    found = ckpt
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            return False
    return True


def names_table():
    groups = {}
    for name in known_names():
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    yield "| namespace | there | missing |"
    yield "|---|---|---|"
    for group, names in sorted(groups.items()):
        there = [name for name in names if has(name)]
        missing = [name.rpartition(".")[2] for name in names if name not in there]
        label = f"`tf.{group}`" if group else "`tf`"
        listed = ", ".join(f"`{name}`" for name in missing) or "–"
        yield f"| {label} | {len(there)} of {len(names)} | {listed} |"


def operations_table():
    yield "| operation | inputs | outputs | gradient |"
    yield "|---|---|---|---|"
    for name in sorted(OPS):
        opdef = OPS[name]
        inputs, outputs = (
            ", ".join(arg.name for arg in args) or "–" for args in (opdef.inputs, opdef.outputs)
        )
        gradient = "yes" if opdef.gradient else f"none: {opdef.gradient_note}"
        yield f"| {name} | {inputs} | {outputs} | {gradient} |"


def missing_operations():
    """TensorFlow's operation types that ckpt does not run: graphs that have them open, and keep them."""
    registered = json.loads((FIXTURES / "tf_ops.json").read_text())["op"]
    yield ", ".join(f"`{op['name']}`" for op in registered if op["name"] not in OPS)


def document():
    names = known_names()
    there = sum(has(name) for name in names)
    yield "# Coverage"
    yield ""
    yield "Made by `tools/coverage.py`; a test keeps it up to date."
    yield ""
    yield f"## Public names: {there} of the {len(names)} of TensorFlow 1"
    yield ""
    yield from names_table()
    yield ""
    yield f"## Operations: {len(OPS)}"
    yield ""
    yield from operations_table()
    yield ""
    yield "## Operations of TensorFlow 2.21 that are not run"
    yield ""
    yield "Graphs with these types open, are kept and written; only running such a node is an error. Among them are those of"
    yield "accelerators, compilers, distribution, TensorFlow's test build and TensorFlow 2's interface."
    yield ""
    yield from missing_operations()


def main():
    text = "\n".join(document()) + "\n"
    if "--check" in sys.argv[1:]:
        sys.exit(
            0
            if TARGET.exists() and TARGET.read_text() == text
            else "docs/coverage.md is not up to date: run tools/coverage.py"
        )
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
