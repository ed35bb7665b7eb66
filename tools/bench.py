"""Compares ckpt with its peers: interleaved, every measurement in a fresh process, results as ratios.

    python tools/bench.py [--rounds 5] [--size 1GiB] [--only save] [--dir FOLDER] [--oracle PYTHON]

A benchmark is a paragraph in tools/benches: a function under `@contestant(group, name)` that prepares its work,
untimed, and returns what is to be timed. The first contestants of a group are those that ratios refer to.
Contestants run in random order within each round, so that noise of the machine hits all of them alike; compare ratios
of one run only. Contests with TensorFlow need the interpreter of an environment that has it (--oracle, or
CKPT_ORACLE_PYTHON) and are left out without one.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.benches import background, graphs, input, runtime, storage
from tools.benches.registry import CONTESTANTS, ORACLE

SUBJECTS = (storage, background, runtime, graphs, input)


def measure(group, name, case):
    """Seconds of one run, here and now."""
    timed = CONTESTANTS[group][name](case)
    os.sync()
    start = time.perf_counter()
    kept = timed()
    seconds = time.perf_counter() - start
    return kept if isinstance(kept, float) else seconds


def measure_apart(group, name, args):
    python = args.oracle if name == ORACLE else sys.executable
    command = [python, __file__, "--one", group, name, "--size", args.size, "--dir", args.dir]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{group}: {name} failed\n{done.stderr}")
    return float(done.stdout.split()[-1])


def compare(group, args):
    names = [name for name in CONTESTANTS[group] if name != ORACLE or args.oracle]
    times = {name: [] for name in names}
    for name in names:
        measure_apart(group, name, args)  # makes the source files; not counted
    for _ in range(args.rounds):
        for name in random.sample(names, len(names)):
            times[name].append(measure_apart(group, name, args))
    report(group, times)


def report(group, times):
    """Medians and minima, in milliseconds where they are no MiB; ratios of medians (and of minima) to the peers."""
    peers = [peer for peer in times if not peer.startswith("ckpt")] or list(times)[:1]
    unit, scale = ("MiB", 1) if group.endswith("MiB") else ("ms", 1e3)
    heads = "".join(f"{'/ ' + peer + ' (min)':>34}" for peer in peers)
    print(f"\n{group:52}{f'median {unit}':>12}{f'min {unit}':>12}{heads}")
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, seconds in times.items():
        ratios = "".join(
            f"{medians[name] / medians[peer]:>25.2f} ({min(seconds) / min(times[peer]):.2f})".rjust(
                34
            )
            for peer in peers
        )
        print(
            f"{name:52}{medians[name] * scale:>12.3f}{min(seconds) * scale:>12.3f}{ratios}",
            flush=True,
        )


def bytes_of(text):
    number = text.rstrip("KMGiB")
    return int(float(number) * 1024 ** " KMG".index((text[len(number) :] or " ")[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="1GiB")
    parser.add_argument("--only", default="", help="groups whose name contains this")
    parser.add_argument("--dir", default="", help="folder on the disk to measure")
    parser.add_argument(
        "--oracle",
        default=os.environ.get("CKPT_ORACLE_PYTHON", ""),
        help="a Python with TensorFlow",
    )
    parser.add_argument("--one", nargs=2, metavar=("GROUP", "NAME"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(measure(*args.one, storage.Case(bytes_of(args.size), args.dir)))
        return
    args.dir = tempfile.mkdtemp(prefix="ckpt-bench-", dir=args.dir or None)
    try:
        print(f"{args.size} in {storage.TENSORS} float32 tensors, {args.rounds} rounds")
        for group, contestants in CONTESTANTS.items():
            others = [name for name in contestants if name not in (ORACLE, "ckpt")]
            if args.only in group and (args.oracle or others or ORACLE not in contestants):
                compare(group, args)
    finally:
        shutil.rmtree(args.dir)


if __name__ == "__main__":
    main()
