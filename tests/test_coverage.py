"""docs/coverage.md tells the truth."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_coverage_is_up_to_date():
    checked = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "coverage.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
