"""The program as such: its help, its examples, what it does with a wrong word and with streams that do not work."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib import metadata

import click
import numpy as np
import pytest

from ckpt.cli.main import _VERBS, program, run
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_writer import write
from ckpt.saver.state_file import update_checkpoint_state

VERBS = {name: program.get_command(click.Context(program), name) for name in _VERBS}
PROGRAM = [sys.executable, "-m", "ckpt"]


@pytest.fixture
def saved(tmp_path):
    write(tmp_path / "m-1.h5", [TensorEntry("größe/☃", np.ones(3, np.float32))])
    update_checkpoint_state(str(tmp_path), str(tmp_path / "m-1"))
    return tmp_path


def test_without_a_command_the_help_is_shown_as_a_mistake(capsys):
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: ckpt")


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"ckpt {metadata.version('ckpt')}\n"


def test_the_list_of_commands_is_not_cut_off(capsys):
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert "..." not in text.replace("[ARGS]...", "")
    for name, verb in VERBS.items():
        assert f"  {name}" in text
        assert verb.short_help in text


@pytest.mark.parametrize("name", _VERBS)
def test_each_help_ends_with_examples_that_the_program_understands(
    name, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.yaml").write_text("old: new")
    assert run([name, "--help"]) == 0
    *_, examples = capsys.readouterr().out.partition("\nExamples:\n")
    lines = [line.strip() for line in examples.splitlines()]
    assert lines
    for line in lines:
        command, *words = shlex.split(line.partition(" | ")[0])
        assert (command, words[0]) == ("ckpt", name)
        with VERBS[name].make_context(name, words[1:]):  # which closes what it opened
            pass


@pytest.mark.parametrize(
    ("args", "texts"),
    [
        (["insepct", "x"], ["'insepct'", "'inspect'", "try: ckpt --help"]),
        (["inspect", "x", "--name"], ["--names", "try: ckpt inspect --help"]),
        (["inspect", "x", "--sort"], ["--sort", "try: ckpt inspect --help"]),
        (["inspect", "x", "--json", "--names"], ["--json and --names"]),
        (["frobnicate"], ["'frobnicate'"]),
    ],
    ids=str,
)
def test_a_wrong_word_is_told_with_what_may_be_meant(args, texts, capsys):
    assert run(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    for text in texts:
        assert text in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's full device")
@pytest.mark.parametrize("more", [[], ["--json"]], ids=str)
def test_output_that_cannot_be_written_is_told(saved, more):
    with open("/dev/full", "w") as full:
        command = [*PROGRAM, "inspect", str(saved / "m-1"), *more]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 7
    assert ended.stderr.startswith("error[E0701]: standard output: writing failed: ")
    assert len(ended.stderr.splitlines()) == 2


@pytest.mark.parametrize("args", ["inspect m-1", "inspect m-1 --json", "--help"])
def test_a_closed_output_is_no_error(saved, args):
    script = f"{shlex.join(PROGRAM)} {args} >&-"
    ended = subprocess.run(
        ["sh", "-c", script], cwd=saved, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_an_error_stream_the_exit_code_tells(saved):
    script = f"{shlex.join(PROGRAM)} inspect nothing 2>&-"
    assert subprocess.run(["sh", "-c", script], cwd=saved, check=False).returncode == 3


@pytest.mark.parametrize("flags", [[], ["--names"], ["--sort", "name"]], ids=str)
def test_what_a_terminal_cannot_show_is_escaped(saved, flags):
    ended = subprocess.run(
        [*PROGRAM, "inspect", str(saved), *flags],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert rb"gr\xf6\xdfe/\u2603" in ended.stdout


def test_an_interrupt_before_the_program_is_loaded():
    code = (
        "import sys, ckpt.__main__ as program\n"
        "def interrupted(*_): raise KeyboardInterrupt\n"
        "program._status = interrupted\n"
        "program.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    "words",
    [
        "inspect .",
        "inspect . ** --json",
        "latest .",
        "latest . --quick",
        "verify . --quick",
        "pin .",
    ],
)
def test_verbs_that_read_no_values_load_no_numpy(saved, words):
    code = (
        "import sys\nfrom ckpt.cli.main import run\nstatus = run(sys.argv[1:])\n"
        "sys.exit(status or [m for m in ('numpy', 'h5py', 'ckpt.graph.graph') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, *words.split()]
    ended = subprocess.run(command, cwd=saved, capture_output=True, text=True, check=False)
    assert ended.stderr == "[]\n"


def test_a_shell_completes_verbs_options_and_paths(saved):
    def completed(words):
        ended = subprocess.run(
            PROGRAM,
            cwd=saved,
            env={
                **os.environ,
                "_CKPT_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(words.count(" ")),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        return ended.stdout.split()

    assert completed("ckpt insp") == ["plain,inspect"]
    assert completed("ckpt inspect --so") == ["plain,--sort"]
    for verb in ("inspect", "cat", "graph", "verify", "latest", "pin", "rename"):
        assert completed(f"ckpt {verb} m") == ["file,m"]
