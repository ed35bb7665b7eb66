"""docs/restoring.md: its examples run, and print what it says."""

import contextlib
import io
import re
from pathlib import Path

import ckpt as tf

PAGE = Path(__file__).resolve().parents[1] / "docs" / "restoring.md"


def test_the_examples_print_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    printed = io.StringIO()
    blocks = re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [kind for kind, _ in blocks].count("text") == 5
    with tf.Graph().as_default():
        for kind, text in blocks:
            if kind == "text":
                assert printed.getvalue() == text
                continue
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text, PAGE.name, "exec"), names)
    names["sess"].close()
