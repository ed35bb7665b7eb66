"""What stays in a directory: over restarts, moves, lower limits, rules, pins, and beside other Savers."""

import logging
import os
import shutil

import numpy as np
import pytest

import ckpt as tf
from ckpt.core import storage
from ckpt.core.errors import (
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    SelectionError,
)
from ckpt.saver import pruning, state_file
from ckpt.saver.history import History
from ckpt.saver.retention import BestN, EveryNHours, EveryNSteps, LatestN, Policy, Saved
from ckpt.saver.state_text import CheckpointState


class Run:
    """One process of a training: its own graph, session and Saver in the same directory."""

    def __init__(self, directory, name="m", **options):
        self.directory, self.name = directory, name
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.v = tf.get_variable("v", [3], initializer=tf.zeros_initializer())
            self.saver = tf.train.Saver(**options)
            self.session = tf.Session()
            self.session.run(self.v.initializer)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.session.close()

    def save(self, *steps, **options):
        for step in steps:
            prefix = self.saver.save(
                self.session, self.directory / self.name, global_step=step, durable=False, **options
            )
        return prefix


def held(directory):
    return sorted(
        name.removesuffix(".h5") for name in os.listdir(directory) if name.endswith(".h5")
    )


def listed(directory):
    paths = state_file.read_state(directory).all_model_checkpoint_paths
    return [os.path.basename(path) for path in paths]


def test_exactly_the_limit_remains_over_restarts_plus_what_is_pinned(tmp_path):
    """tf#16215, tf#5929: TensorFlow 1 forgets what earlier processes wrote."""
    with Run(tmp_path, max_to_keep=2) as first:
        first.save(1, 2, 3)
        first.saver.pin(first.save(4))
    for start in (10, 20):
        with Run(tmp_path, max_to_keep=2) as again:
            again.saver.restore(again.session, tf.train.latest_checkpoint(tmp_path))
            again.save(start + 1, start + 2, start + 3)
    assert held(tmp_path) == ["m-22", "m-23", "m-4"]
    assert listed(tmp_path) == ["m-4", "m-22", "m-23"]


@pytest.mark.parametrize("by_saver", [True, False], ids=["saver", "prune"])
def test_the_order_is_that_of_the_saves_where_the_clock_went_back(tmp_path, monkeypatch, by_saver):
    """A restart after a correction of the clock deleted the newest checkpoint in the place of the oldest."""
    now = iter([5000.0, 6000.0, 1000.0, 1001.0, 1002.0])
    monkeypatch.setattr("ckpt.saver.saver.time.time", lambda: next(now))
    with Run(tmp_path, max_to_keep=3) as first:
        first.save(1, 2, 3)
        first.saver.pin(first.save(4))
    monkeypatch.undo()
    if by_saver:
        with Run(tmp_path, max_to_keep=2) as again:
            again.save(5)
        assert held(tmp_path) == ["m-4", "m-5"]
    else:
        tf.train.prune_checkpoints(tmp_path, [LatestN(2)])
        assert held(tmp_path) == ["m-3", "m-4"]


def test_a_lower_limit_prunes_all_excess_at_the_next_save(tmp_path, caplog):
    caplog.set_level(logging.INFO, "ckpt")
    with Run(tmp_path, max_to_keep=10) as run:
        run.save(*range(8))
    with Run(tmp_path, max_to_keep=3) as run:
        run.save(8)
    assert held(tmp_path) == ["m-6", "m-7", "m-8"]
    told = [record.getMessage() for record in caplog.records if "deleted" in record.getMessage()]
    assert len(told) == 6
    assert (
        told[0]
        == f"deleted checkpoint {tmp_path}/m-0: there are 3 newer ones, and max_to_keep is 3"
    )


def test_keeping_all_lists_all_and_tells_tensorflow_programs_what_tensorflow_tells(tmp_path):
    for keep_all in (0, None):
        with Run(tmp_path, max_to_keep=keep_all) as run:
            run.save(1, 2, 3)
            assert run.saver.last_checkpoints == []
        with Run(tmp_path, max_to_keep=keep_all) as run:
            run.save(4)
        assert listed(tmp_path) == ["m-1", "m-2", "m-3", "m-4"]


def test_a_moved_directory_keeps_its_retention(tmp_path):
    with Run(tmp_path / "a", max_to_keep=2) as run:
        run.save(1, 2)
    shutil.move(tmp_path / "a", tmp_path / "b")
    with Run(tmp_path / "b", max_to_keep=2) as run:
        run.save(3)
    assert held(tmp_path / "b") == ["m-2", "m-3"]


def test_nothing_is_deleted_that_was_not_saved_to_this_path(tmp_path):
    with Run(tmp_path, "other") as other:
        other.save(1)
    with Run(tmp_path, max_to_keep=1) as run:
        run.save(1)
        # a copy by hand; no state file knows it
        shutil.copy(tmp_path / "m-1.h5", tmp_path / "m-0.h5")
        run.save(2, 3)
    with Run(tmp_path, max_to_keep=1) as run:
        run.save(4)
    assert held(tmp_path) == ["m-0", "m-4", "other-1"]


def test_checkpoints_of_tensorflow_are_left_alone(tmp_path):
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "m-1"\nall_model_checkpoint_paths: "m-1"\n'
    )
    for suffix in ("index", "meta", "data-00000-of-00001"):
        (tmp_path / f"m-1.{suffix}").write_bytes(b"of TensorFlow")
    with Run(tmp_path, max_to_keep=1) as run:
        run.save(2, 3)
    assert {"m-1.index", "m-1.meta", "m-1.data-00000-of-00001"} <= set(os.listdir(tmp_path))


def test_two_savers_of_one_directory_each_keep_their_own(tmp_path):
    """Each writes the state file; the other's limit still holds when both start again."""
    for steps in ((1, 2, 3), (4, 5)):
        with Run(tmp_path, max_to_keep=2) as run, Run(tmp_path, "best", max_to_keep=1) as best:
            for step in steps:
                run.save(step)
                best.save(step)
    assert held(tmp_path) == ["best-5", "m-4", "m-5"]
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "best-5")


def test_a_checkpoint_of_the_same_name_elsewhere_unpins_nothing(tmp_path):
    (tmp_path / "other").mkdir()
    with Run(tmp_path) as run, Run(tmp_path / "other") as other:
        run.save(1, 2)
        run.saver.pin(str(tmp_path / "m-1"))
        other.save(1)
        other.saver.save(other.session, tmp_path / "best", durable=False)
    assert state_file.get_checkpoint_state(tmp_path).records[f"{tmp_path}/m-1"].pinned


def test_a_program_that_recovers_its_list_itself_gets_tensorflows_result(tmp_path):
    with Run(tmp_path, max_to_keep=3) as run:
        run.save(1, 2, 3)
    with Run(tmp_path, max_to_keep=3) as run:
        run.saver.recover_last_checkpoints([str(tmp_path / "m-3"), str(tmp_path / "gone")])
        assert run.saver.last_checkpoints == [str(tmp_path / "m-3")]
        run.save(4)
        assert run.saver.last_checkpoints == [str(tmp_path / "m-3"), str(tmp_path / "m-4")]
    assert held(tmp_path) == ["m-1", "m-2", "m-3", "m-4"]


def test_what_was_just_restored_is_not_deleted_by_the_saves_that_follow(tmp_path):
    with Run(tmp_path, max_to_keep=3) as run:
        run.save(1, 2, 3)
    with Run(tmp_path, max_to_keep=3) as run:
        run.saver.restore(run.session, tmp_path / "." / f"../{tmp_path.name}/m-1.h5")
        run.save(11)
        assert held(tmp_path) == ["m-1", "m-11", "m-2", "m-3"]
        run.save(12)
        assert held(tmp_path) == ["m-1", "m-11", "m-12", "m-3"]
        run.save(13)
    assert held(tmp_path) == ["m-11", "m-12", "m-13"]


def test_the_best_and_every_so_many_steps_are_kept_over_restarts(tmp_path):
    rules = [BestN("loss", 1), EveryNSteps(100)]
    losses = {10: 0.9, 110: 0.1, 120: 0.5, 205: 0.3, 210: 0.4, 215: 0.6}
    for step, loss in losses.items():
        with Run(tmp_path, max_to_keep=1, keep=rules) as run:
            run.save(step, metrics={"loss": np.float32(loss)})
    assert held(tmp_path) == ["m-110", "m-205", "m-215"]
    with Run(tmp_path, max_to_keep=1, keep=rules[:1]) as run:
        run.save(300, metrics={"loss": 0.05})
    assert held(tmp_path) == ["m-300"]


def test_one_every_so_many_hours_is_kept_over_restarts_and_moves(tmp_path, monkeypatch):
    clock = [1_000_000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    place = tmp_path / "0"
    for number, minutes in enumerate((0, 30, 60, 90, 120, 150)):
        clock[0] = 1_000_000.0 + 60 * minutes
        with Run(place, max_to_keep=1, keep=[EveryNHours(1)]) as run:
            run.save(minutes)
        place = shutil.move(place, tmp_path / str(number + 1))
    assert held(place) == ["m-0", "m-120", "m-150", "m-60"]


def test_metrics_must_be_numbers(tmp_path):
    with Run(tmp_path) as run, pytest.raises(TypeError, match=r"'a' is 'x', 'b' is \[\]"):
        run.save(1, metrics={"a": "x", "b": [], "c": 1})
    with Run(tmp_path) as run, pytest.raises(TypeError, match="by name: 3 is no text"):
        run.save(1, metrics={3: 1})
    with Run(tmp_path) as run, pytest.raises(TypeError, match=r"by name, such as .*, not \[0.5\]"):
        run.save(1, metrics=[0.5])
    assert os.listdir(tmp_path) == []


def test_a_pin_holds_until_it_is_taken_back(tmp_path):
    with Run(tmp_path, max_to_keep=1) as run:
        pinned = run.save(1)
        run.saver.pin(pinned)
        run.save(2, 3)
        assert held(tmp_path) == ["m-1", "m-3"]
        run.saver.unpin(pinned)
        run.save(4)
        assert held(tmp_path) == ["m-4"]
        with pytest.raises(NotFoundError, match="m-9"):
            run.saver.pin(tmp_path / "m-9")


@pytest.mark.parametrize("suffix", [".h5", ".meta"])
def test_a_checkpoint_is_pinned_by_one_of_its_files_too(tmp_path, suffix):
    with Run(tmp_path, max_to_keep=1) as run:
        pinned = run.save(1)
        run.saver.pin(pinned + suffix)
        run.save(2, 3)
        assert held(tmp_path) == ["m-1", "m-3"]
        tf.train.pin_checkpoint(pinned + suffix, pinned=False)
        run.save(4)
        assert held(tmp_path) == ["m-4"]


def test_what_nothing_deletes_is_not_pinned_and_no_state_file_is_written_for_it(tmp_path):
    """A text file was pinned, and the state file written for it named no checkpoint: nothing could read it."""
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(InvalidArgumentError, match="is text that begins with"):
        tf.train.pin_checkpoint(tmp_path / "notes.txt")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(2))
    with pytest.raises(InvalidArgumentError, match="npz"):
        tf.train.pin_checkpoint(tmp_path / "arrays.npz")
    prefix = tf.save(tmp_path / "cut", {"v": np.zeros(1000)})
    whole = (tmp_path / "cut.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[:4096])
    with pytest.raises(DataLossError, match=r"cut: there is no state file .* copy it"):
        tf.train.pin_checkpoint(prefix)
    assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_metric_that_no_checkpoint_has_deletes_none(tmp_path, dry_run):
    """`ckpt prune run --best los` deleted all but the latest."""
    with Run(tmp_path) as run:
        run.save(1, 2, metrics={"loss": 1.0, "accuracy": float("nan")})
    for metric in ("los", "accuracy"):
        rules = [BestN(metric), LatestN(1)]
        with pytest.raises(SelectionError, match=f"'{metric}'.* were saved: accuracy, loss"):
            tf.train.prune_checkpoints(tmp_path, rules, dry_run=dry_run)
    assert held(tmp_path) == ["m-1", "m-2"]


def test_a_pin_from_outside_is_heard_by_a_saver_at_work(tmp_path):
    with Run(tmp_path, max_to_keep=2) as run:
        run.save(1, 2)
        tf.train.pin_checkpoint(tmp_path / "m-1")  # as `ckpt pin` in another process
        run.save(3, 4)
        assert held(tmp_path) == ["m-1", "m-3", "m-4"]
        tf.train.pin_checkpoint(tmp_path / "m-1", pinned=False)
        run.save(5)
    assert held(tmp_path) == ["m-4", "m-5"]


def test_one_per_interval_stays_for_good_and_the_interval_goes_on_after_a_restart(
    tmp_path, monkeypatch
):
    clock = [1_000_000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    step = 0
    for _ in range(4):  # restarts come more often than the interval of one hour
        with Run(tmp_path, max_to_keep=1, keep_checkpoint_every_n_hours=1) as run:
            for _ in range(2):
                clock[0] += 1500
                step += 1
                run.save(step)
    # saved at 1500 s, 3000 s, ...: the first after 3600 s, after 7200 s, after 10800 s, and the newest
    assert held(tmp_path) == ["m-3", "m-5", "m-8"]
    assert listed(tmp_path) == ["m-8"]
    choice = tf.train.prune_checkpoints(tmp_path, [LatestN(1)], dry_run=True)
    assert choice.keep[str(tmp_path / "m-3")] == "kept for good, by keep_checkpoint_every_n_hours"


def test_the_state_file_no_longer_lists_what_is_deleted_when_it_is_deleted(tmp_path, monkeypatch):
    seen = []
    remove = storage.remove_file

    def noted(path):
        name = os.path.basename(os.fspath(path))
        if name.startswith("m-1"):
            seen.append((name, listed(tmp_path)))
        remove(path)

    monkeypatch.setattr(storage, "remove_file", noted)
    with Run(tmp_path, max_to_keep=1) as run:
        run.save(1, 2)
    names = [name for name, _ in seen]
    assert names.index("m-1.h5") < names.index("m-1.meta")  # what makes it a checkpoint goes first
    assert all(paths == ["m-2"] for name, paths in seen[-2:])


def test_one_that_cannot_be_deleted_fails_no_save_and_is_tried_again(tmp_path, monkeypatch, caplog):
    remove = pruning.remove_checkpoint

    def refused(*args, **kwargs):
        raise PermissionDeniedError(None, None, "not yours")

    with Run(tmp_path, max_to_keep=1) as run:
        run.save(1)
        monkeypatch.setattr(pruning, "remove_checkpoint", refused)
        run.save(2)
        assert "cannot delete checkpoint" in caplog.text
        assert held(tmp_path) == ["m-1", "m-2"]
        monkeypatch.setattr(pruning, "remove_checkpoint", remove)
        run.save(3)
        assert held(tmp_path) == ["m-3"]


def test_one_whose_deletion_a_crash_prevented_is_deleted_by_the_next_process(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*args, **kwargs):
        raise Killed

    with Run(tmp_path, max_to_keep=2) as run:
        run.save(1, 2)
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(pruning, "remove_checkpoint", killed)
            run.save(3)
    assert held(tmp_path) == ["m-1", "m-2", "m-3"]
    assert listed(tmp_path) == ["m-2", "m-3"]
    with Run(tmp_path, max_to_keep=2) as run:
        run.save(4)
    assert held(tmp_path) == ["m-3", "m-4"]


class Died(BaseException):
    pass


def die_after_the_values(tmp_path, monkeypatch, **options):
    """A process that dies while it deletes m-1: the values are gone, the MetaGraph is not."""

    def died(path):
        raise Died

    with Run(tmp_path, max_to_keep=1) as run:
        run.save(1, **options)
        remove = storage.remove_file
        with monkeypatch.context() as patched, pytest.raises(Died):
            patched.setattr(
                storage,
                "remove_file",
                lambda path: remove(path) if path[-3:] == ".h5" else died(path),
            )
            run.save(2, **options)
    assert held(tmp_path) == ["m-2"]


def test_what_a_crash_left_of_a_deletion_goes_with_the_next_save_to_that_path_only(
    tmp_path, monkeypatch, caplog
):
    die_after_the_values(tmp_path, monkeypatch)
    (tmp_path / "m-0.meta").write_bytes(b"a user's own")
    with Run(tmp_path, name="other", max_to_keep=1) as run:
        run.save(7, 8)  # goes on noting it
    assert (tmp_path / "m-1.meta").exists()
    caplog.set_level(logging.INFO, "ckpt")
    with Run(tmp_path, max_to_keep=2) as run:
        run.save(3)
    assert "its deletion was cut short" in caplog.text
    assert sorted(path.name for path in tmp_path.glob("m-*.meta")) == [
        "m-0.meta",
        "m-2.meta",
        "m-3.meta",
    ]
    with Run(tmp_path, max_to_keep=2) as run:
        run.save(4)
    assert not any(
        r.deleted for n, r in state_file.read_state(tmp_path).records.items() if "1" in n
    )


def test_what_was_saved_anew_under_a_name_that_was_being_deleted_stays(tmp_path, monkeypatch):
    die_after_the_values(tmp_path, monkeypatch)
    with Run(tmp_path, name="other") as run:
        shutil.copy(run.save(5) + ".h5", tmp_path / "m-1.h5")
    with Run(tmp_path, max_to_keep=3) as run:
        run.save(3)
    assert (tmp_path / "m-1.meta").exists()
    assert held(tmp_path) == ["m-1", "m-2", "m-3", "other-5"]


def test_pruning_deletes_what_a_crash_left_and_graphs_of_any_suffix(tmp_path, monkeypatch):
    die_after_the_values(tmp_path, monkeypatch)
    with Run(tmp_path, name="other") as run:
        run.save(7, 8, meta_graph_suffix="graph")
        tf.train.pin_checkpoint(tmp_path / "m-2")
    assert tf.train.prune_checkpoints(tmp_path, [LatestN(1)], dry_run=True).delete
    assert (tmp_path / "m-1.meta").exists()
    tf.train.prune_checkpoints(tmp_path, [LatestN(1)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint", "m-2.h5", "m-2.meta", "other-8.graph", "other-8.h5",
    ]  # fmt: skip
    assert list(state_file.read_state(tmp_path).records) == ["m-2"]


def test_a_damaged_state_file_stops_no_save_and_costs_no_checkpoint(tmp_path, caplog):
    with Run(tmp_path, max_to_keep=1) as run:
        run.save(1)
    (tmp_path / "checkpoint").write_bytes(b"\xff")
    with Run(tmp_path, max_to_keep=1) as run:
        run.save(2)
    assert "older checkpoints are left alone" in caplog.text
    assert held(tmp_path) == ["m-1", "m-2"]
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "m-2")


def test_relative_save_paths_are_taken_over_too(tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    for step in (1, 2):
        for directory in (Path(), Path("sub")):
            with Run(directory, max_to_keep=1) as run:
                run.save(step)
    assert held(tmp_path) == held(tmp_path / "sub") == ["m-2"]


def test_pruning_deletes_what_no_rule_keeps_and_says_why(tmp_path, caplog):
    caplog.set_level(logging.INFO, "ckpt")
    with Run(tmp_path, max_to_keep=0) as run:
        for step in range(1, 9):
            run.save(step, metrics={"loss": abs(step - 3)})
        run.saver.pin(tmp_path / "m-1")
    shutil.copy(tmp_path / "m-1.h5", tmp_path / "mine.h5")
    rules = [LatestN(2), BestN("loss"), EveryNSteps(5)]
    planned = tf.train.prune_checkpoints(tmp_path, rules, dry_run=True)
    assert len(held(tmp_path)) == 9
    done = tf.train.prune_checkpoints(tmp_path, rules)
    assert planned == done
    assert held(tmp_path) == ["m-1", "m-3", "m-5", "m-7", "m-8", "mine"]
    assert listed(tmp_path) == ["m-1", "m-3", "m-5", "m-7", "m-8"]
    assert done.keep[str(tmp_path / "m-1")] == "pinned"
    assert f"deleted checkpoint {tmp_path}/m-2: no rule keeps it" in caplog.text
    assert tf.train.prune_checkpoints(tmp_path, rules).delete == {}


def test_pruning_keeps_the_latest_whatever_the_rules_say(tmp_path):
    with Run(tmp_path, max_to_keep=0) as run:
        run.save(1, metrics={"loss": 0})
        run.save(2, metrics={"loss": 1})
    assert tf.train.prune_checkpoints(tmp_path, [BestN("loss")]).delete == {}


def test_rules_are_looked_at_before_anything_is_saved_or_deleted(tmp_path):
    with pytest.raises(TypeError, match="a list of rules"):
        Run(tmp_path, keep=[3])
    with Run(tmp_path) as run:
        run.save(1)
    with pytest.raises(TypeError, match="a list of rules"):
        tf.train.prune_checkpoints(tmp_path, LatestN(1))
    assert held(tmp_path) == ["m-1"]


@pytest.mark.parametrize("what", [os.mkfifo, os.mkdir, lambda file: os.symlink("m-1.h5", file)])
def test_something_else_in_the_place_of_an_old_checkpoint_stops_no_save(tmp_path, what):
    with Run(tmp_path, max_to_keep=1) as run:
        run.save(1)
        (tmp_path / "m-1.h5").unlink()
        what(tmp_path / "m-1.h5")
        run.save(2)
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "m-2")
    assert listed(tmp_path) == ["m-2"]


def test_pruning_without_rules_or_knowledge_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one rule"):
        tf.train.prune_checkpoints(tmp_path, [])
    with pytest.raises(NotFoundError, match="--rebuild"):
        tf.train.prune_checkpoints(tmp_path, [LatestN(1)])
    (tmp_path / "checkpoint").write_bytes(b"")
    with pytest.raises(DataLossError):
        tf.train.prune_checkpoints(tmp_path, [LatestN(1)])


def test_a_clock_that_was_set_back_preserves_as_if_new(tmp_path):
    history = History(Policy(1, 1.0))
    before = history._preserve_after
    state = CheckpointState(last_preserved_timestamp=1e12)
    history._take_over(state, str(tmp_path / "m"))
    assert history._preserve_after == before
    assert history.remembered == ()
    history.remember([Saved("a", 0.0)])
    assert history.last_checkpoints == ["a"]


def test_only_the_whole_name_can_collide_with_the_state_file(tmp_path):
    with Run(tmp_path, "checkpoint") as run:
        assert run.save(1) == str(tmp_path / "checkpoint-1")
        with pytest.raises(ValueError, match="collides"):
            run.saver.save(run.session, tmp_path / "checkpoint")


def test_a_file_in_the_place_of_the_directory_is_what_tensorflow_says(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        Run(tmp_path / "file") as run,
        pytest.raises(ValueError, match=r"Parent directory of .*file/m"),
    ):
        run.save(1)


def test_a_manager_goes_on_with_its_own_and_leaves_a_savers_alone(tmp_path):
    with tf.Graph().as_default(), Run(tmp_path, "best", max_to_keep=3) as best:
        best.save(1)
        with best.graph.as_default(), best.session.as_default():
            for _ in range(2):
                manager = tf.train.CheckpointManager(tf.train.Checkpoint(v=best.v), tmp_path, 1)
                manager.save()
                manager.save()
                best.save(2)  # now the state file is the Saver's
    assert held(tmp_path) == ["best-1", "best-2", manager.latest_checkpoint.rpartition("/")[2]]


def test_what_is_recovered_keeps_its_order_though_a_copy_mixed_the_times(tmp_path):
    with Run(tmp_path, max_to_keep=3) as first:
        first.save(1, 2, 3)
        prefixes = list(first.saver.last_checkpoints)
    for age, name in enumerate(("m-1", "m-3", "m-2")):
        os.utime(tmp_path / f"{name}.h5", (100 - age, 100 - age))
    with Run(tmp_path, max_to_keep=3) as second:
        second.saver.recover_last_checkpoints(prefixes)
        assert second.saver.last_checkpoints == prefixes
        second.save(4)
    assert held(tmp_path) == ["m-2", "m-3", "m-4"]


def test_where_all_are_kept_the_list_is_what_the_program_said(tmp_path):
    with Run(tmp_path, max_to_keep=None) as run:
        run.save(1)
        assert run.saver.last_checkpoints == []
        run.saver.set_last_checkpoints(["x"])
        run.save(2)
        assert run.saver.last_checkpoints == ["x"]


def test_a_checkpoint_without_a_name_of_its_own_is_kept_counted_and_restored(tmp_path):
    folder = f"{tmp_path}/d/"
    with Run(tmp_path / "d", max_to_keep=2) as other, Run(tmp_path, max_to_keep=2) as run:
        assert run.saver.save(run.session, folder) == folder
        assert sorted(os.listdir(folder)) == [".h5", ".meta", "checkpoint"]
        assert tf.train.latest_checkpoint(folder) == folder
        assert tf.train.checkpoint_exists(folder)
        other.save(1)
        assert f"{folder}" in dict(state_file.times_of(tf.train.get_checkpoint_state(folder)))
        for step in (7, 8):
            run.saver.save(run.session, folder, step)
        assert sorted(name for name in os.listdir(folder) if name.endswith("h5")) == [
            "-7.h5", "-8.h5", "m-1.h5",
        ]  # fmt: skip
        run.saver.restore(run.session, f"{folder}-8")
    with Run(tmp_path, max_to_keep=1) as again:
        again.saver.save(again.session, folder)
        assert held(folder) == ["", "m-1"]
        again.saver.restore(again.session, folder)
