"""The manager of a directory of checkpoints: what it keeps, also after a restart."""

import os

import pytest

import ckpt as tf

pytestmark = pytest.mark.usefixtures("default_session")


@pytest.fixture
def root():
    found = tf.train.Checkpoint(v=tf.Variable(1.0))
    tf.get_default_session().run(found.v.initializer)
    return found


def saved(directory):
    return sorted(name for name in os.listdir(directory) if name != "checkpoint")


def bases(manager):
    return [os.path.basename(path) for path in manager.checkpoints]


def test_the_newest_are_kept(root, tmp_path):
    manager = tf.train.CheckpointManager(root, tmp_path / "new" / "er", max_to_keep=2)
    assert manager.latest_checkpoint is None
    assert manager.checkpoints == []
    for _ in range(4):
        latest = manager.save()
    assert latest == manager.latest_checkpoint == os.path.join(manager.directory, "ckpt-4")
    assert bases(manager) == ["ckpt-3", "ckpt-4"]
    assert saved(manager.directory) == ["ckpt-3.h5", "ckpt-4.h5"]
    assert tf.train.latest_checkpoint(manager.directory) == latest
    assert manager.checkpoint is root


def test_a_manager_goes_on_where_another_ended(root, tmp_path):
    first = tf.train.CheckpointManager(root, tmp_path, max_to_keep=2)
    for _ in range(2):
        first.save()
    second = tf.train.CheckpointManager(root, tmp_path, max_to_keep=2, checkpoint_name="other")
    assert bases(second) == ["ckpt-1", "ckpt-2"]
    assert second.latest_checkpoint == first.latest_checkpoint
    second.save()
    assert saved(tmp_path) == ["ckpt-2.h5", "other-3.h5"]


def test_checkpoints_that_no_manager_wrote_are_left_alone(root, tmp_path):
    for _ in range(2):
        root.save(tmp_path / "own")
    manager = tf.train.CheckpointManager(root, tmp_path, max_to_keep=1)
    assert os.path.basename(manager.latest_checkpoint) == "own-2"
    assert manager.checkpoints == []
    for _ in range(2):
        manager.save()
    assert saved(tmp_path) == ["ckpt-4.h5", "own-1.h5", "own-2.h5"]


def test_numbers_of_ones_own(root, tmp_path):
    manager = tf.train.CheckpointManager(root, tmp_path, max_to_keep=5)
    step = tf.Variable(40, dtype=tf.int64)
    tf.get_default_session().run(step.initializer)
    assert manager.save(checkpoint_number=10).endswith("ckpt-10")
    assert manager.save(checkpoint_number=step).endswith("ckpt-40")
    assert manager.save().endswith("ckpt-3")


def test_all_are_kept_without_a_limit(root, tmp_path):
    manager = tf.train.CheckpointManager(root, tmp_path, max_to_keep=None)
    for _ in range(7):
        manager.save()
    assert len(manager.checkpoints) == len(saved(tmp_path)) == 7


def test_one_is_kept_for_good_every_so_often(root, tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    arguments = {"max_to_keep": 1, "keep_checkpoint_every_n_hours": 1}
    manager = tf.train.CheckpointManager(root, tmp_path, **arguments)
    for hours in (0.5, 1.6, 1.7):  # the second is kept for good
        now[0] = 1000.0 + hours * 3600
        manager.save()
    now[0] += 0.1 * 3600
    again = tf.train.CheckpointManager(root, tmp_path, **arguments)
    again.save()
    assert saved(tmp_path) == ["ckpt-2.h5", "ckpt-4.h5"]
    assert bases(again) == ["ckpt-4"]


def test_a_clock_that_went_back_does_not_count_against_old_checkpoints(root, tmp_path, monkeypatch):
    now = [1e9]
    monkeypatch.setattr("time.time", lambda: now[0])
    arguments = {"max_to_keep": 1, "keep_checkpoint_every_n_hours": 1}
    tf.train.CheckpointManager(root, tmp_path, **arguments).save()
    now[0] = 1000.0
    manager = tf.train.CheckpointManager(root, tmp_path, **arguments)
    manager.save()
    assert saved(tmp_path) == ["ckpt-2.h5"]
    now[0] += 1.5 * 3600
    manager.save()
    manager.save()
    assert saved(tmp_path) == ["ckpt-3.h5", "ckpt-4.h5"]


def test_intervals_of_steps(root, tmp_path):
    step = tf.Variable(0, dtype=tf.int64)
    session = tf.get_default_session()
    session.run(step.initializer)
    manager = tf.train.CheckpointManager(
        root, tmp_path, max_to_keep=9, step_counter=step, checkpoint_interval=2
    )
    assert manager.checkpoint_interval == 2
    found = []
    for _ in range(5):
        found.append(manager.save() is not None)
        session.run(step.assign_add(1))
    assert found == [True, False, True, False, True]
    assert manager.save(check_interval=False) is not None


def test_restoring_or_initialising(root, tmp_path):
    called = []
    session = tf.get_default_session()
    manager = tf.train.CheckpointManager(
        root, tmp_path, max_to_keep=2, init_fn=lambda: called.append(1)
    )
    assert manager.restore_or_initialize() is None
    assert called == [1]
    prefix = manager.save()
    session.run(root.v.assign(9.0))
    assert manager.restore_or_initialize() == prefix
    assert session.run(root.v) == 1.0
    assert called == [1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"max_to_keep": 0}, "positive integer"),
        ({"max_to_keep": -1}, "positive integer"),
        ({"max_to_keep": 1, "checkpoint_interval": 2}, "step_counter"),
    ],
)
def test_bad_arguments(root, tmp_path, arguments, text):
    with pytest.raises(ValueError, match=text):
        tf.train.CheckpointManager(root, tmp_path, **arguments)


@pytest.mark.parametrize("given", [None, 3, "ckpt"])
def test_what_is_no_checkpoint_object_is_refused_where_it_is_given(tmp_path, given):
    with pytest.raises(TypeError, match="checkpoint must be a tf"):
        tf.train.CheckpointManager(given, tmp_path, max_to_keep=1)


@pytest.mark.parametrize(
    "limits", [{"max_to_keep": "3"}, {"max_to_keep": 1, "keep_checkpoint_every_n_hours": "1"}]
)
def test_limits_that_are_no_numbers_are_named(root, tmp_path, limits):
    with pytest.raises(TypeError, match=r"(max_to_keep|_hours) must be"):
        tf.train.CheckpointManager(root, tmp_path, **limits)


def test_without_a_session_it_says_what_it_needs(root, tmp_path, monkeypatch):
    step = tf.train.get_or_create_global_step()
    monkeypatch.setattr("ckpt.graph.stack.get_default_session", lambda: None)
    for options in ({}, {"step_counter": step, "checkpoint_interval": 1}):
        manager = tf.train.CheckpointManager(root, tmp_path, max_to_keep=1, **options)
        with pytest.raises(RuntimeError, match="needs a session"):
            manager.save()


def test_a_save_that_failed_is_due_again(root, tmp_path):
    step = tf.Variable(0, dtype=tf.int64)
    session = tf.get_default_session()
    session.run(step.initializer)
    manager = tf.train.CheckpointManager(
        root, tmp_path / "run", max_to_keep=1, step_counter=step, checkpoint_interval=2
    )
    (tmp_path / "run").write_text("")
    with pytest.raises(tf.errors.OpError):
        manager.save()
    (tmp_path / "run").unlink()
    assert manager.save() == str(tmp_path / "run" / "ckpt-1")


def test_what_has_been_deleted_is_not_remembered_after_a_restart(root, tmp_path):
    first = tf.train.CheckpointManager(root, tmp_path, max_to_keep=1)
    for _ in range(3):
        first.save()
    for limit in (1, None):
        assert bases(tf.train.CheckpointManager(root, tmp_path, max_to_keep=limit)) == ["ckpt-3"]


def test_the_current_directory_is_one_too(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tf.train.CheckpointManager(root, "", max_to_keep=1).save() == "ckpt-1"
    assert saved(tmp_path) == ["ckpt-1.h5"]


def test_a_step_is_not_saved_twice_when_the_interval_does_not_count(root, tmp_path):
    step = tf.Variable(0, trainable=False)
    session = tf.get_default_session()
    session.run(step.initializer)
    manager = tf.train.CheckpointManager(
        root, tmp_path, max_to_keep=None, step_counter=step, checkpoint_interval=5
    )
    found = []
    for number in (0, 0, 3, 3, 2):
        session.run(step.assign(number))
        found.append(manager.save(check_interval=False) is not None)
    assert found == [True, False, True, False, True]
