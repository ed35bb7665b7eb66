"""The house rules that a reader relies on, checked: who imports whom, what `import ckpt` costs, where files go."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ckpt"
FILES = sorted(PACKAGE.rglob("*.py"))
CHEAP = {"numpy", "ml_dtypes"}  # third-party packages that a module may import when it is loaded
ALSO = {  # by room or file: these are themselves imported only by the function that needs them
    "cli": {"click"},
    "wire/metagraph_values.py": {"msgpack"},
    "flags.py": {"absl"},  # `ckpt.flags`, `app` and `test` are loaded when they are used
    "test.py": {"absl"},
    "scripts/command_line.py": {"absl"},
    "scripts/test_case.py": {"absl"},
}
GRAB_BAGS = {"utils", "util", "common", "helpers", "helper", "misc", "types"}
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def name_of(path):
    return str(path.relative_to(ROOT))


each_file = pytest.mark.parametrize("path", FILES, ids=name_of)


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(nodes):
    """(line, module) of every import among `nodes`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            rooms = [alias.name for alias in node.names if (PACKAGE / alias.name).is_dir()]
            yield node.lineno, f"ckpt.{rooms[0]}" if module == "ckpt" and rooms else module


def run_at_load(body):
    """The statements that importing a module runs; those under `if TYPE_CHECKING` are not."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from run_at_load(node.orelse)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for field in ("body", "orelse", "finalbody"):
                yield from run_at_load(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from run_at_load(handler.body)


def test_layer_contracts_hold():
    command = [sys.executable, "-c", LINT_IMPORTS, "--no-cache"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@each_file
def test_first_line_says_what_the_file_is_for(path):
    assert ast.get_docstring(parsed(path)), f"{name_of(path)} begins without a docstring"


@each_file
def test_file_has_a_subject(path):
    assert path.stem not in GRAB_BAGS, f"{name_of(path)} is a grab-bag: name the subject"


@each_file
def test_heavy_packages_are_imported_by_the_function_that_needs_them(path):
    inside = path.relative_to(PACKAGE)
    also = {*ALSO.get(inside.parts[0], ()), *ALSO.get(inside.as_posix(), ())}
    allowed = {*CHEAP, *also, *sys.stdlib_module_names, "ckpt"}
    found = [
        f"{name_of(path)}:{line} imports {module}"
        for line, module in imports(run_at_load(parsed(path).body))
        if module.split(".")[0] not in allowed
    ]
    assert not found, "\n".join(found)


@each_file
def test_no_room_imports_the_whole_house(path):
    """`import ckpt` inside of ckpt would reach upstairs; relative imports hide where they lead."""
    if path.parent == PACKAGE:
        return
    found = [
        f"{name_of(path)}:{line} imports {module}"
        for line, module in imports(ast.walk(parsed(path)))
        if module == "ckpt" or module.startswith(".")
    ]
    assert not found, "\n".join(found)


@each_file
def test_what_a_file_takes_from_other_modules_is_there(path):
    """Kernels are not typed, so that mypy does not see when a name that they use was moved."""
    if path.name == "__main__.py":
        return
    modules = {}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ckpt"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if find_module(full):
                    modules[alias.asname or alias.name] = import_module(full)
    found = [
        f"{name_of(path)}:{node.lineno} takes {node.value.id}.{node.attr}, which is not there"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in modules
        and not hasattr(modules[node.value.id], node.attr)
    ]
    assert not found, "\n".join(found)


def find_module(full):
    place = ROOT.joinpath(*full.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def test_importing_ckpt_costs_little_more_than_numpy():
    heavy = ["h5py", "google.protobuf", "msgpack", "rich", "click", "yaml", "safetensors", "jax"]
    program = f"import ckpt, sys; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
