"""The state file: TensorFlow's text, base names, sealed; never a wrong answer from a damaged one."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt.core.errors import DataLossError, OpError
from ckpt.formats.base import TensorEntry
from ckpt.formats.hdf5_writer import write
from ckpt.saver.latest import latest_checkpoint
from ckpt.saver.state_file import (
    checkpoint_exists,
    generate_checkpoint_state_proto,
    get_checkpoint_state,
    read_state,
    times_of,
    update_checkpoint_state,
    write_state,
)
from ckpt.saver.state_text import CheckpointState, Record

# the form that tf.compat.v1.train.Saver writes for an absolute save path
FROM_TENSORFLOW = (
    'model_checkpoint_path: "/gone/m\\303\\251.ckpt-2"\n'
    'all_model_checkpoint_paths: "/gone/m.ckpt-1"\n'
    'all_model_checkpoint_paths: "/gone/m\\303\\251.ckpt-2"\n'
    "all_model_checkpoint_timestamps: 1763800000.25\n"
    "all_model_checkpoint_timestamps: 1763800001.5\n"
    "last_preserved_timestamp: 1763799999.0\n"
)


def save(directory, *names):
    for name in names:
        write(directory / f"{name}.h5", [TensorEntry("a", np.zeros(1))], durable=False)


def test_the_latest_checkpoint_is_the_one_saved_last(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "absent") is None
    save(tmp_path, "m-1", "m-2")
    update_checkpoint_state(tmp_path, str(tmp_path / "m-2"), [str(tmp_path / "m-1")])
    assert latest_checkpoint(tmp_path) == str(tmp_path / "m-2")
    assert get_checkpoint_state(tmp_path) == CheckpointState(
        str(tmp_path / "m-2"), [str(tmp_path / "m-1"), str(tmp_path / "m-2")]
    )


def test_paths_are_base_names_so_that_a_directory_may_move(tmp_path):
    (tmp_path / "a").mkdir()
    save(tmp_path / "a", "m-1")
    update_checkpoint_state(tmp_path / "a", str(tmp_path / "a" / "m-1"))
    assert str(tmp_path) not in (tmp_path / "a" / "checkpoint").read_text()
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert latest_checkpoint(tmp_path / "b") == str(tmp_path / "b" / "m-1")


def test_a_checkpoint_whose_files_are_gone_is_passed_over(tmp_path):
    save(tmp_path, "m-1", "m-2")
    update_checkpoint_state(tmp_path, "m-3", ["m-1", "m-2", "m-3"])
    assert latest_checkpoint(tmp_path) == str(tmp_path / "m-2")
    for name in ("m-1", "m-2"):
        (tmp_path / f"{name}.h5").unlink()
    assert latest_checkpoint(tmp_path) is None


def test_another_file_name_can_be_given(tmp_path):
    save(tmp_path, "m-1")
    update_checkpoint_state(tmp_path, "m-1", latest_filename="best")
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path, "best") == str(tmp_path / "m-1")


def test_a_file_of_tensorflow_is_read_and_moved_absolute_paths_are_found_here(tmp_path):
    (tmp_path / "checkpoint").write_text(FROM_TENSORFLOW)
    save(tmp_path, "mé.ckpt-2")
    state = get_checkpoint_state(tmp_path)
    assert state.model_checkpoint_path == str(tmp_path / "mé.ckpt-2")
    assert state.all_model_checkpoint_paths[0] == "/gone/m.ckpt-1"
    assert state.all_model_checkpoint_timestamps == [1763800000.25, 1763800001.5]
    assert state.last_preserved_timestamp == 1763799999.0


@pytest.mark.parametrize("above", [r"C:\\work\\run\\", "D:/work/run/", r"\\\\host\\share\\run\\"])
def test_absolute_paths_of_a_windows_machine_are_found_here(tmp_path, above):
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{above}m-2"\n')
    save(tmp_path, "m-2")
    assert latest_checkpoint(tmp_path) == str(tmp_path / "m-2")


@pytest.mark.parametrize("deleted", ["/../../x", "a\0", 3])
def test_a_note_of_a_deletion_that_leads_elsewhere_is_refused(tmp_path, deleted):
    state = CheckpointState("m", ["m"], records={"m-1": Record(1.0, deleted=deleted)})
    write_state(tmp_path, state)
    with pytest.raises(DataLossError, match="suffix"):
        read_state(tmp_path)


@pytest.mark.parametrize("path", ["../m", "a/../../m", "a/../m", "..", "a/..", "x\0", "/a/.."])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path, path):
    write_state(tmp_path, CheckpointState(path, [path]))
    with pytest.raises(DataLossError, match="does not lie in its directory"):
        latest_checkpoint(tmp_path)


@pytest.mark.parametrize("path", ["a/b/m", "./a/b/m", "a/b/"])
def test_a_path_that_leads_into_a_directory_below_is_read(tmp_path, path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    save(tmp_path / "a" / "b", "m", "")
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{path}"\n')
    assert latest_checkpoint(tmp_path) == f"{tmp_path}/{path}"


def test_what_lies_below_is_written_by_its_path_so_that_both_may_move(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d" / "e").mkdir(parents=True)
    save(tmp_path / "d" / "e", "m")
    for directory in ("d", tmp_path / "d"):
        update_checkpoint_state(directory, f"{directory}/e/m")
        assert str(tmp_path) not in (tmp_path / "d" / "checkpoint").read_text()
        assert latest_checkpoint(directory) == f"{directory}/e/m"
    shutil.move(tmp_path / "d", tmp_path / "f")
    assert latest_checkpoint(tmp_path / "f") == str(tmp_path / "f" / "e" / "m")


def test_a_prefix_that_ends_in_a_slash_is_itself_in_the_state_file_of_another_directory(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    save(tmp_path / "a", "")
    update_checkpoint_state(tmp_path / "b", f"{tmp_path}/a/")
    assert latest_checkpoint(tmp_path / "b") == f"{tmp_path}/a/"


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.lists(st.floats(allow_nan=False), max_size=3),
)
def test_any_name_and_time_comes_back(tmp_path, name, times):
    state = CheckpointState(name, [f"{name}{n}" for n in range(len(times))] + [name], times, 1.5)
    write_state(tmp_path, state, durable=False)
    assert read_state(tmp_path) == state


def test_any_truncation_or_flip_is_data_loss_that_says_how_to_fix_it(tmp_path):
    """But for the text that people type: the name of the latest, which is right."""
    file = tmp_path / "checkpoint"
    name, times = "mé\n-2", [1.5, 2.5]
    update_checkpoint_state(tmp_path, name, ["m-1", name], all_model_checkpoint_timestamps=times)
    data = file.read_bytes()
    for at in range(len(data)):
        flips = [data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] for bit in range(8)]
        is_typed = data[:at].rstrip().endswith(b'"') and data[:at].count(b'"') == 2
        for damaged in (data[:at], *flips)[is_typed:]:
            file.write_bytes(damaged)
            with pytest.raises(DataLossError, match=r"checkpoint: .*rebuild_checkpoint_state"):
                read_state(tmp_path)


def test_an_edited_file_is_accepted_once_its_comments_are_gone(tmp_path):
    update_checkpoint_state(tmp_path, "m-2", ["m-1"])
    file = tmp_path / "checkpoint"
    lines = file.read_text().replace("m-2", "m-1").splitlines()
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataLossError, match="remove its comments"):
        read_state(tmp_path)
    file.write_text("".join(line.split("#")[0].rstrip() + "\n" for line in lines))
    assert read_state(tmp_path).model_checkpoint_path == "m-1"


@pytest.mark.parametrize(
    "text",
    ["\n", "nonsense\n", 'model_checkpoint_path: "a\n', "model_checkpoint_path: 3\n", "a: b: c\n",
     "last_preserved_timestamp: 1\n", "model_checkpoint_path:\n"],
)  # fmt: skip
def test_text_that_is_no_state_is_data_loss(tmp_path, text):
    (tmp_path / "checkpoint").write_text(text)
    with pytest.raises(DataLossError, match="checkpoint"):
        latest_checkpoint(tmp_path)


def test_bytes_of_something_else_are_not_called_a_state_cut_short(tmp_path):
    (tmp_path / "checkpoint").write_bytes(bytes(range(256)))
    with pytest.raises(DataLossError, match="does not say what the latest checkpoint is"):
        latest_checkpoint(tmp_path)


def test_a_fifo_or_directory_in_its_place_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "checkpoint")
    with pytest.raises(OpError, match="FIFO"):
        latest_checkpoint(tmp_path)


def test_timestamps_must_match_the_paths(tmp_path):
    with pytest.raises(ValueError, match="2 entries"):
        generate_checkpoint_state_proto(tmp_path, "m-1", ["m-1"], [1.0, 2.0])


def test_existence_is_judged_by_the_files_of_a_prefix(tmp_path):
    save(tmp_path, "m-1")
    assert checkpoint_exists(tmp_path / "m-1")
    assert checkpoint_exists(tmp_path / "m-1.h5")
    assert not checkpoint_exists(tmp_path / "m")
    assert not checkpoint_exists(tmp_path)
    assert not checkpoint_exists("nul\0")
    os.mkfifo(tmp_path / "fifo.h5")
    assert not checkpoint_exists(tmp_path / "fifo")


@pytest.mark.parametrize("end", ["", "\n", "\n  "])
def test_a_file_typed_by_hand_is_read_with_and_without_its_last_newline(tmp_path, end):
    """As in TensorFlow, whose own state files may name paths that begin with a dot."""
    (tmp_path / "checkpoint").write_text(
        '\n  model_checkpoint_path: "./m-2"\n  all_model_checkpoint_paths: "./m-1"\n  '
        f'all_model_checkpoint_paths: "./m-2"{end}'
    )
    save(tmp_path, "m-2")
    state = get_checkpoint_state(tmp_path)
    assert state.model_checkpoint_path == f"{tmp_path}/./m-2"
    assert latest_checkpoint(tmp_path) == f"{tmp_path}/./m-2"
    assert len(state.all_model_checkpoint_paths) == 2


def test_a_file_typed_by_hand_need_only_name_the_latest(tmp_path):
    save(tmp_path, "m-1", "m-2")
    for text in ('model_checkpoint_path: "m-2"', "model_checkpoint_path:'m-2' "):
        (tmp_path / "checkpoint").write_text(text)
        assert latest_checkpoint(tmp_path) == str(tmp_path / "m-2")


def test_the_list_that_is_given_gets_the_latest_as_in_tensorflow():
    paths = ["/a/m-0"]
    generate_checkpoint_state_proto("/a", "/a/m-1", paths)
    assert paths == ["/a/m-0", "/a/m-1"]


def test_an_empty_state_file_is_a_value_error_too(tmp_path):
    (tmp_path / "checkpoint").write_text("")
    with pytest.raises(ValueError, match="is empty"):
        get_checkpoint_state(tmp_path)


def test_a_relative_path_is_one_from_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    save(tmp_path, "m")
    save(tmp_path / "d", "m")
    update_checkpoint_state("d", "m")
    assert latest_checkpoint("d") == str(tmp_path / "m")
    update_checkpoint_state("d", "d/m")
    assert latest_checkpoint("d") == "d/m"
    update_checkpoint_state(tmp_path / "d", "m")
    assert latest_checkpoint("d") == "d/m"


def test_a_state_is_what_its_file_says_and_all_of_it_is_known(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "m-2"\n')
    state = get_checkpoint_state(tmp_path)
    assert state.all_model_checkpoint_paths == []
    assert times_of(state) == [(str(tmp_path / "m-2"), 0.0)]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (("m-2", ["m-1"], [1.0]), ValueError),
        (("", None, None), ValueError),
        ((None, None, None), TypeError),
        (("m-1", ["m-1"], ["noon"]), TypeError),
    ],
)
def test_what_cannot_be_a_state_writes_nothing(tmp_path, given, error):
    name, listed, times = given
    with pytest.raises(error):
        update_checkpoint_state(tmp_path, name, listed, all_model_checkpoint_timestamps=times)
    assert list(tmp_path.iterdir()) == []


def test_a_state_file_is_never_too_long_to_be_read(tmp_path, caplog):
    names = [f"{'a long name ' * 20}-{step}" for step in range(40_000)]
    records = {name: Record(float(n), pinned=n == 3) for n, name in enumerate(names[:20_000])}
    times = [float(n) for n in range(40_000)]
    write_state(tmp_path, CheckpointState(names[-1], names, times, 0.0, records))
    assert "room for the newest 10000 of 40000" in caplog.text
    found = read_state(tmp_path)
    assert found.model_checkpoint_path == names[-1]
    assert found.all_model_checkpoint_paths == names[-10_000:]
    assert found.all_model_checkpoint_timestamps == times[-10_000:]
    assert list(found.records) == [names[3], *names[10_000:20_000]]
