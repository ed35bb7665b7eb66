"""Event files: what TensorBoard's own reader finds in them, and what ours does."""

import os

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import DataLossError, NotFoundError


def events_in(directory):
    return [
        event
        for path in sorted(directory.glob("events.out.tfevents.*"))
        for event in tf.train.summary_iterator(path)
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_graph_scalars_histograms_images_sound_and_texts(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator

    x = tf.placeholder(tf.float32, [4], name="x")
    tf.summary.scalar("loss", tf.reduce_sum(x))
    tf.summary.histogram("values", x)
    tf.summary.image("picture", tf.reshape(x, [1, 2, 2, 1]), max_outputs=1)
    tf.summary.audio("sound", tf.reshape(x, [1, 4]) / 10, 8, max_outputs=1)
    tf.summary.text("note", tf.constant("hello"))
    merged = tf.summary.merge_all()
    with tf.Session() as sess, tf.summary.FileWriter(tmp_path, sess.graph) as writer:
        for step in range(3):
            summary = sess.run(merged, {x: np.arange(4, dtype=np.float32) + step})
            writer.add_summary(summary, step)
        metadata = tf.RunMetadata()
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        sess.run(merged, {x: np.zeros(4)}, options, metadata)
        writer.add_run_metadata(metadata, "the third", 2)
    found = event_accumulator.EventAccumulator(
        str(tmp_path), event_accumulator.STORE_EVERYTHING_SIZE_GUIDANCE
    )
    found.Reload()
    names = [node.name for node in found.Graph().node]
    assert names == [node.name for node in tf.get_default_graph().as_graph_def().node]
    loaded = tf.MetaGraphDef.FromString(found.MetaGraph().SerializeToString())
    assert "summaries" in loaded.collection_def
    assert [(one.step, one.value) for one in found.Scalars("loss")] == [(0, 6), (1, 10), (2, 14)]
    histogram = found.Histograms("values")[2].histogram_value
    assert (histogram.min, histogram.max, histogram.num, histogram.sum) == (2, 5, 4, 14)
    assert sum(histogram.bucket) == 4
    assert (found.Images("picture/image")[0].width, found.Images("picture/image")[0].height) == (
        2,
        2,
    )
    assert found.Audio("sound/audio")[0].length_frames == 4
    assert found.Tensors("note")[0].tensor_proto.string_val == [b"hello"]
    assert found.SummaryMetadata("note").plugin_data.plugin_name == "text"
    assert found.RunMetadata("the third").step_stats.dev_stats


def test_the_first_event_is_the_version_and_files_are_found_by_their_names(tmp_path):
    tf.summary.FileWriter(tmp_path / "new" / "run", filename_suffix=".mine").close()
    (path,) = (tmp_path / "new" / "run").iterdir()
    assert path.name.startswith("events.out.tfevents.")
    assert path.name.endswith(".mine")
    (event,) = tf.train.summary_iterator(str(path))
    assert event.file_version == "brain.Event:2"
    assert event.wall_time > 1e9


def test_graphs_and_their_messages(tmp_path):
    tf.constant(1.0, name="one")
    graph = tf.get_default_graph()
    message = graph.as_graph_def(add_shapes=True)
    for number, given in enumerate(({"graph": graph}, {"graph": message}, {"graph_def": message})):
        tf.summary.FileWriter(tmp_path / str(number), **given).close()
        _, written, meta = events_in(tmp_path / str(number))
        assert tf.GraphDef.FromString(written.graph_def) == message
        assert tf.MetaGraphDef.FromString(meta.meta_graph_def).graph_def == message
    with pytest.raises(ValueError, match="only graph, or graph_def"):
        tf.summary.FileWriter(tmp_path / "x", graph=graph, graph_def=message)
    with pytest.raises(TypeError, match="must be an instance of `Graph`"):
        tf.summary.FileWriter(tmp_path / "y", graph="one")
    with tf.summary.FileWriter(tmp_path / "z") as writer:
        with pytest.raises(TypeError, match="must be type MetaGraphDef"):
            writer.add_meta_graph(message)
        writer.add_graph(graph, 7)
    assert events_in(tmp_path / "z")[1].step == 7


def test_metadata_is_kept_with_the_first_value_of_a_tag_only(tmp_path):
    text = tf.summary.text("t", tf.constant("a"))
    with tf.Session() as sess, tf.summary.FileWriter(tmp_path) as writer:
        for step in range(2):
            writer.add_summary(tf.Summary.FromString(sess.run(text)), step)
    _, first, second = events_in(tmp_path)
    assert first.summary.value[0].metadata.plugin_data.plugin_name == "text"
    assert not second.summary.value[0].HasField("metadata")


def test_events_as_they_are_and_logs_of_the_session(tmp_path):
    with tf.summary.FileWriter(tmp_path) as writer:
        assert writer.get_logdir() == str(tmp_path)
        writer.add_event(tf.Event(step=5, wall_time=7))
        writer.add_session_log(tf.SessionLog(status=tf.SessionLog.STOP), 6)
        writer.add_run_metadata(tf.RunMetadata(), "tag", 8)
        with pytest.raises(ValueError, match="already used"):
            writer.add_run_metadata(tf.RunMetadata(), "tag", 9)
    _, event, log, run = events_in(tmp_path)
    assert (event.step, event.wall_time) == (5, 7)
    assert (log.step, log.session_log.status) == (6, tf.SessionLog.STOP)
    assert (run.step, run.tagged_run_metadata.tag) == (8, "tag")


def test_what_is_flushed_can_be_read_while_the_writer_is_open(tmp_path):
    lazy = tf.summary.FileWriter(tmp_path / "lazy")
    lazy.add_event(tf.Event(step=1))
    assert [event.step for event in events_in(tmp_path / "lazy")] == [0]
    lazy.flush()
    assert [event.step for event in events_in(tmp_path / "lazy")] == [0, 1]
    lazy.close()
    with tf.summary.FileWriter(tmp_path / "eager", flush_secs=0) as eager:
        eager.add_event(tf.Event(step=1))
        assert [event.step for event in events_in(tmp_path / "eager")] == [0, 1]


def test_a_closed_writer_drops_events_and_says_so_once(tmp_path, caplog):
    writer = tf.summary.FileWriter(tmp_path)
    writer.close()
    writer.close()
    writer.flush()
    for step in range(2):
        writer.add_event(tf.Event(step=step))
    assert [
        record.message.startswith("Attempting to use a closed") for record in caplog.records
    ] == [True]
    writer.reopen()
    writer.reopen()
    writer.add_event(tf.Event(step=3))
    writer.close()
    assert len(list(tmp_path.iterdir())) == 2
    assert [event.step for event in events_in(tmp_path)] == [0, 0, 3]


def test_what_nobody_closes_is_written_when_the_writer_is_gone(tmp_path):
    writer = tf.summary.FileWriter(tmp_path)
    writer.add_event(tf.Event(step=3))
    del writer
    assert [event.step for event in events_in(tmp_path)] == [0, 3]


def test_one_writer_for_each_directory(tmp_path):
    tf.constant(1)
    first = tf.summary.FileWriterCache.get(tmp_path)
    assert tf.summary.FileWriterCache.get(str(tmp_path)) is first
    assert tf.summary.FileWriterCache.get(tmp_path / "other") is not first
    tf.summary.FileWriterCache.clear()
    assert tf.summary.FileWriterCache.get(tmp_path) is not first
    tf.summary.FileWriterCache.clear()
    assert events_in(tmp_path)[1].graph_def


def test_hostile_files(tmp_path):
    with pytest.raises(NotFoundError):
        list(tf.train.summary_iterator(tmp_path / "none"))
    tf.summary.FileWriter(tmp_path).close()
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    for length in range(1, len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(DataLossError, match="truncated record"):
            list(tf.train.summary_iterator(path))
    path.write_bytes(data[:14] + bytes([data[14] ^ 1]) + data[15:])
    with pytest.raises(DataLossError, match="checksum"):
        list(tf.train.summary_iterator(path))


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(tf.OpError):
        tf.summary.FileWriter(os.fspath(tmp_path / "file" / "run"))
