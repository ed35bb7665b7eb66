"""Feeds mutated files, their checksums made right again, to the parsers of our formats: each input is read or refused typed.

    python tools/fuzz.py --format index --seconds 600 --seed 1
    python tools/fuzz.py --format all --inputs 1000000

An input that raises anything but a CkptError, or takes longer than --slow seconds, is written to --crashes and ends the
run with status 1. Formats: see `tools/fuzzing/subjects.py`.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ckpt.core.errors import CkptError
from tools.fuzzing.mutants import Mutator
from tools.fuzzing.subjects import Subject, subjects


def fuzz(
    subject: Subject, seed: int, *, inputs: int, seconds: float, slow: float = 20.0
) -> tuple[int, int, bytes | None, str]:
    """(inputs tried, accepted, the input that failed or None, what it did)."""
    mutator, end = Mutator(seed), time.monotonic() + seconds
    accepted = 0
    for number in range(inputs):
        if time.monotonic() > end:
            return number, accepted, None, ""
        begin = time.process_time()  # the machine may have been given to others meanwhile
        made = subject.mutant(mutator)
        try:
            subject.parse(made)
            accepted += 1
        except CkptError:
            pass
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            return number, accepted, made, f"{type(error).__name__}: {error}"
        if time.process_time() - begin > slow:
            return number, accepted, made, f"took {time.process_time() - begin:.1f} s"
    return inputs, accepted, None, ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--format", default="all")
    parser.add_argument("--seconds", type=float, default=60, help="for each format")
    parser.add_argument("--inputs", type=int, default=1 << 40, help="for each format")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--slow", type=float, default=20, help="seconds that no input may take")
    parser.add_argument("--crashes", type=Path, default=Path("crashes"))
    options = parser.parse_args()
    logging.disable()
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, subject in subjects(Path(directory)).items():
            if options.format not in ("all", name):
                continue
            tried, accepted, made, what = fuzz(
                subject,
                options.seed,
                inputs=options.inputs,
                seconds=options.seconds,
                slow=options.slow,
            )
            print(
                f"{name}: seed {options.seed}, {tried} inputs, {accepted} accepted {what}",
                flush=True,
            )
            if made is not None:
                options.crashes.mkdir(exist_ok=True)
                (options.crashes / f"{name}-{options.seed}-{tried}").write_bytes(made)
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
