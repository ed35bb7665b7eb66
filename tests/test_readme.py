"""The tour in the README runs as printed."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_tour_runs_and_learns(tmp_path, monkeypatch, capsys):
    (tour,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(tour, "README.md", "exec"), {})
    assert re.fullmatch(r"\[0 1 2 \d\]\n", capsys.readouterr().out)
    assert (tmp_path / "run" / "model.ckpt-100.meta").exists()


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
