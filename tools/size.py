"""Count lines: every project that this one learnt from went ugly by growing one file that everybody imports.

    python tools/size.py [FOLDER...]

Reports files over 500 lines and functions over 60, which want a second look. Fails only on files over 900.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONG_FILE = 500
LONG_FUNCTION = 60
TOO_LONG_FILE = 900
LISTS = {"ckpt/api.py"}  # one line per public name: it has no size to aim for


def python_files(folders):
    """All Python files below `folders`, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def long_functions(text):
    """(name, lines) of each function in `text` over the limit, docstring and decorators included."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, kinds) and node.end_lineno - node.lineno >= LONG_FUNCTION:
            yield node.name, node.end_lineno - node.lineno + 1


def main(*folders):
    """Print what is long; return 1 when a file is too long."""
    total = files = 0
    too_long = False
    for path in python_files(folders or ("ckpt", "tests", "tools")):
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        total, files = total + lines, files + 1
        name = path.relative_to(ROOT)
        if lines > LONG_FILE and name.as_posix() not in LISTS:
            over = lines > TOO_LONG_FILE
            print(f"{name}: {lines} lines" + (f", the limit is {TOO_LONG_FILE}" if over else ""))
            too_long |= over
        for function, length in long_functions(text):
            print(f"{name}: {function} has {length} lines")
    print(f"{total} lines in {files} files")
    return int(too_long)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
