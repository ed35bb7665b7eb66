"""The page on checkpoints in a directory says the truth: its programs run, and do what it says."""

import os
import re
from pathlib import Path

import ckpt as tf

PAGE = Path(__file__).parents[1] / "docs" / "checkpoints-in-a-directory.md"


def test_the_programs_of_the_page_run_twice(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for _ in range(2):  # the second time as a restart
        with tf.Graph().as_default():
            found = {}
            for program in programs:
                exec(program, found)
    steps = sorted(int(n[11:-3]) for n in os.listdir("run") if n.endswith(".h5"))
    assert steps == [15, 18, 19, 20]  # the newest three, and the newer one of those with loss 0
    printed = capsys.readouterr().out
    assert "model.ckpt-18': 'no rule keeps it'" in printed
    assert "['global_step', 'v'] (1000,) 20\n(4,)\n{'v': (10,)}\n" in printed
