"""What `import ckpt` offers, and what it costs."""

import ast
import importlib
import importlib.metadata
from pathlib import Path

import pytest

import ckpt

PACKAGE = Path(ckpt.__file__).parent


@pytest.mark.parametrize("name", ckpt.__all__)
def test_every_listed_name_is_there(name):
    assert getattr(ckpt, name, ckpt) is not ckpt


FACADES = sorted(p.stem for p in PACKAGE.glob("*.py") if not p.stem.startswith("__"))


@pytest.mark.parametrize("facade", FACADES)
def test_all_is_sorted_and_lists_exactly_what_is_imported(facade):
    tree = ast.parse((PACKAGE / f"{facade}.py").read_text())
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module not in ("__future__", "typing")
        for alias in node.names
    }
    module = importlib.import_module(f"ckpt.{facade}")
    listed = set(module.__all__)
    assert module.__all__ == sorted(listed)
    assert imported - listed == set()
    messages = set(getattr(module, "_MESSAGES", ()))
    assert listed - imported - messages <= {"newaxis"}


def test_the_version_is_that_of_the_distribution():
    assert ckpt.__version__ == importlib.metadata.version("ckpt")


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_this'"):
        _ = ckpt.nothing_like_this
