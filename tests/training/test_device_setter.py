"""Devices for replicas, clusters as data; TensorFlow's own answers are in tests/oracle/programs/device_setters.py."""

import pytest

import ckpt as tf
from ckpt.wire import messages

CLUSTER = {"ps": ["ps0:1", "ps1:1"], "worker": {2: "w2:1"}}


def test_a_script_of_replicas_trains_saves_and_restores_here(tmp_path):
    with tf.device(tf.train.replica_device_setter(cluster=tf.train.ClusterSpec(CLUSTER))):
        x = tf.placeholder(tf.float32, [None, 2], name="x")
        w = tf.get_variable("w", initializer=[[1.0], [2.0]])
        b = tf.get_variable("b", initializer=[0.5], use_resource=True)
        step = tf.train.get_or_create_global_step()
        loss = tf.reduce_mean(tf.square(tf.matmul(x, w) + b))
        train = tf.train.AdamOptimizer(0.1).minimize(loss, step)
        saver = tf.train.Saver(sharded=True)
    assert [v.device for v in (w, b, step)] == [f"/job:ps/task:{n}" for n in (0, 1, 0)]
    assert loss.device == "/job:worker"
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train, {x: [[1, 2]]})
        values = sess.run([w, b, step])
        saved = saver.save(sess, tmp_path / "m")
        sess.run(tf.global_variables_initializer())
        saver.restore(sess, saved)
        assert all((a == b).all() for a, b in zip(sess.run([w, b, step]), values, strict=True))
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(f"{saved}.meta")
        assert graph.get_operation_by_name("b").device == "/job:ps/task:1"


def test_without_tasks_nothing_is_placed():
    assert tf.train.replica_device_setter() is None
    assert tf.train.replica_device_setter(cluster={"worker": ["w:1"]}) is None
    with tf.device(tf.train.replica_device_setter()):
        assert tf.get_variable("v", [2]).device == ""


def test_a_strategy_decides_and_must_be_callable():
    by_size = lambda op: op.get_attr("shape").dim[0].size % 2  # noqa: E731
    with tf.device(tf.train.replica_device_setter(2, ps_strategy=by_size)):
        found = [tf.get_variable(f"v{n}", [n], use_resource=False).device for n in (2, 3, 5)]
    assert found == ["/job:ps/task:0", "/job:ps/task:1", "/job:ps/task:1"]
    with pytest.raises(TypeError, match="ps_strategy"):
        tf.train.replica_device_setter(2, ps_strategy="round robin")


def test_a_cluster_is_told_in_every_form():
    spec = tf.train.ClusterSpec(CLUSTER)
    message = spec.as_cluster_def()
    assert isinstance(message, messages.ClusterDef)
    assert spec == tf.train.ClusterSpec(spec) == tf.train.ClusterSpec(message)
    assert tf.train.ClusterSpec(message).as_dict() == CLUSTER
    assert spec.job_tasks("worker") == [None, None, "w2:1"]
    assert "ps0:1" in repr(spec)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (["a:1"], "dictionary"),
        ({"a": 3}, "job 'a'"),
        ({"a": [3]}, "address of job 'a'"),
        ({"a": {"x": "a:1"}}, "number of a task"),
        ({3: ["a:1"]}, "a job must be a text"),
    ],
)
def test_what_is_no_cluster_is_a_type_error_that_says_where(given, what):
    with pytest.raises(TypeError, match=what):
        tf.train.ClusterSpec(given)
    with pytest.raises(TypeError, match=what):
        tf.train.replica_device_setter(cluster=given)


def test_a_job_or_task_that_is_not_there_is_a_value_error():
    spec = tf.train.ClusterSpec(CLUSTER)
    with pytest.raises(ValueError, match="'x'; there are ps, worker"):
        spec.num_tasks("x")
    with pytest.raises(ValueError, match=r"index 0 in job 'worker': it has \[2\]"):
        spec.task_address("worker", 0)
