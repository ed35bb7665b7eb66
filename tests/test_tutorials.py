"""The tutorials run from top to bottom, and print what they say."""

import contextlib
import io
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


def test_the_story_runs_and_prints_what_it_says(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "fixtures" / "digits", tmp_path / "fixtures" / "digits")
    monkeypatch.chdir(tmp_path)
    pages = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
    assert len(pages) == 4
    names = {}
    for page in pages:
        printed = io.StringIO()
        for kind, text in BLOCKS.findall(page.read_text(encoding="utf-8")):
            if kind == "text":
                assert printed.getvalue() == text, page.name
                continue
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text, page.name, "exec"), names)
