"""Scripts with flags and an entry point, each in a process of its own: flags belong to a process."""

import subprocess
import sys

import pytest

SCRIPT = """
import ckpt as tf

flags = tf.app.flags
flags.DEFINE_float("learning_rate", 0.1, "How far a step goes.")
flags.DEFINE_string(flag_name="data_dir", default_value="data", docstring="Where the data are.")
flags.DEFINE_integer("steps", 3, "How many.", lower_bound=1)
flags.DEFINE_boolean("fast", False, "Whether to hurry.")
flags.DEFINE_enum("mode", "train", ["train", "test"], "What to do.")
FLAGS = flags.FLAGS
{before}

def main(argv):
    print(argv[1:], FLAGS.learning_rate, FLAGS.data_dir, FLAGS.steps, FLAGS.fast, FLAGS.mode, "mode" in FLAGS)
    return {code}

if __name__ == "__main__":
    {run}
"""


def run(*words, before="", code=None, run="tf.app.run()"):
    text = SCRIPT.format(before=before, code=code, run=run)
    command = [sys.executable, "-W", "error", "-c", text, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_run_reads_flags_and_passes_on_the_other_words():
    ended = run("--learning_rate=0.5", "--fast", "words", "--mode", "test", "--nobody_defined=1")
    assert ended.stdout == "['words', '--nobody_defined=1'] 0.5 data 3 True test True\n", (
        ended.stderr
    )
    assert ended.returncode == 0


def test_the_exit_code_is_what_main_returns():
    assert run(code=5).returncode == 5


def test_main_and_words_may_be_given():
    ended = run(run='tf.app.run(main=main, argv=["script", "--steps=7", "a"])')
    assert ended.stdout == "['a'] 0.1 data 7 False train True\n", ended.stderr


def test_the_first_use_of_a_flag_reads_the_command_line():
    ended = run("--steps=9", before="print(FLAGS.steps)")
    assert ended.stdout.splitlines()[0] == "9", ended.stderr


def test_a_flag_may_be_set_and_a_late_one_defined():
    ended = run(before="FLAGS.steps = 4\nflags.DEFINE_integer('late', 8, '')\nprint(FLAGS.late)")
    assert ended.stdout == "8\n[] 0.1 data 4 False train True\n", ended.stderr


@pytest.mark.parametrize("word", ["--steps=0", "--steps=many", "--mode=sleep"])
def test_a_value_that_does_not_fit_is_said(word):
    ended = run(word)
    assert ended.returncode
    assert word.strip("-").split("=")[0] in ended.stderr + ended.stdout
