"""The demo of the README, as a process: the main job on real input."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_demo_trains_saves_inspects_chains_and_merges(tmp_path):
    demo = [sys.executable, str(ROOT / "docs" / "demo_digits.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        demo, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert ended.returncode == 0, ended.stderr
    assert "computes exactly what the chain computes" in ended.stdout
    accuracy = float(re.search(r"never trained on: ([\d.]+)%", ended.stdout).group(1))
    assert accuracy > 85
    assert (tmp_path / "both" / "model.ckpt.h5").exists()
