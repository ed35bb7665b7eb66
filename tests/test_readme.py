"""The tour in the README runs as printed, and so do the commands behind it."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.test_inspect_cli import ckpt

ROOT = Path(__file__).resolve().parents[1]


def test_tour_runs_and_learns(tmp_path, monkeypatch, capsys):
    (tour,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(tour, "README.md", "exec"), {})
    assert re.fullmatch(r"\[0 1 2 \d\]\n", capsys.readouterr().out)
    assert (tmp_path / "run" / "model.ckpt-100.meta").exists()
    (commands,) = re.findall(r"```sh\n(ckpt .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for line in re.split(r"\n|&&", commands):
        if line.strip().startswith("ckpt "):
            done = ckpt(*shlex.split(line, comments=True)[1:])
            assert done.returncode == 0, (line, done.stderr)


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
