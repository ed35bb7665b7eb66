"""Checkpoints behind URLs: saved, found, pruned and restored in stores that cannot rename."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

import ckpt as tf
from ckpt.core import remote, storage, temporaries
from ckpt.core.errors import (
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
    UnimplementedError,
)
from ckpt.formats import detect

fsspec = pytest.importorskip("fsspec", reason="remote files need fsspec")

LARGE = 3_000_000  # float32: more than one request puts


@pytest.fixture
def memory():
    """A URL in an empty `memory://` store."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield "memory://run"
    store.store.clear()


@pytest.fixture(scope="module")
def s3_server():
    """The address of an S3-compatible server on loopback."""
    pytest.importorskip("s3fs", reason="S3 needs s3fs")
    pytest.importorskip("moto", reason="the S3 server of the tests is moto's")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, "the S3 server has ended"
                assert time.monotonic() < deadline, "the S3 server does not answer"
                time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """A URL in an empty bucket."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    bucket = f"bucket-{os.urandom(4).hex()}"
    fsspec.filesystem("s3", use_listings_cache=False).mkdir(bucket)
    return f"s3://{bucket}/run"


@pytest.fixture(params=["memory", "s3", "file"])
def url(request, tmp_path):
    """A URL in each kind of store; `file://` stands for those that need a rename."""
    return (
        f"file://{tmp_path}/run"
        if request.param == "file"
        else request.getfixturevalue(request.param)
    )


def variable(size=3):
    return tf.get_variable("v", [size], initializer=tf.zeros_initializer())


def saved_steps(url, *steps, size=3, **options):
    v = variable(size)
    saver = tf.train.Saver(max_to_keep=2)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in steps:
            sess.run(v.assign(np.arange(size) + step))
            prefix = saver.save(sess, f"{url}/m", global_step=step, **options)
    return saver, v, prefix


def names(url):
    return set(remote.names_in(url))


def test_a_run_is_saved_found_pruned_and_restored_by_url(url):
    saver, v, prefix = saved_steps(url, 1, 2, 3)
    assert prefix == f"{url}/m-3" == tf.train.latest_checkpoint(url)
    assert tf.train.get_checkpoint_state(url).all_model_checkpoint_paths == [f"{url}/m-2", prefix]
    assert names(url) == {"checkpoint", "m-2.h5", "m-2.meta", "m-3.h5", "m-3.meta"}
    with tf.Session() as sess:
        saver.restore(sess, prefix)
        np.testing.assert_array_equal(sess.run(v), [3, 4, 5])
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as sess:
        tf.train.import_meta_graph(f"{prefix}.meta").restore(sess, prefix)
        np.testing.assert_array_equal(sess.run("v:0"), [3, 4, 5])


def test_a_large_checkpoint_takes_several_requests(url):
    saver, v, prefix = saved_steps(url, 1, size=LARGE)
    with tf.Session() as sess:
        saver.restore(sess, prefix)
        np.testing.assert_array_equal(sess.run(v), np.arange(LARGE, dtype="f") + 1)
    with detect.open_reader(prefix) as reader:
        reader.verify()


def test_a_state_file_names_no_directory_so_that_a_store_can_be_copied(memory):
    saved_steps(memory, 1)
    store = fsspec.filesystem("memory")
    store.copy("/run", "/moved", recursive=True)
    store.rm("/run", recursive=True)
    assert tf.train.latest_checkpoint("memory://moved") == "memory://moved/m-1"


@pytest.mark.parametrize("name", ["m", "below/m", "below/"])
def test_what_lies_in_or_below_a_directory_is_named_by_its_path_from_there(memory, name):
    fsspec.filesystem("memory").pipe(f"{memory}/{name}.h5", b"")
    tf.train.update_checkpoint_state(memory, f"{memory}/{name}")
    assert memory not in storage.read_file(f"{memory}/checkpoint", limit=1000).decode()
    assert tf.train.latest_checkpoint(memory) == f"{memory}/{name}"


def test_a_directory_without_checkpoints_has_none(url):
    assert tf.train.latest_checkpoint(url) is None
    assert not tf.train.checkpoint_exists(f"{url}/m-1")
    with pytest.raises(NotFoundError, match="m-1"):
        detect.open_reader(f"{url}/m-1")


def test_opening_reads_the_index_and_a_slice_reads_its_rows_only(memory, monkeypatch):
    _, _, prefix = saved_steps(memory, 1, size=LARGE)
    fetched = []
    fetch = remote.Download._fetch

    def counted(self, offset, length):
        fetched.append(length)
        return fetch(self, offset, length)

    monkeypatch.setattr(remote.Download, "_fetch", counted)
    with detect.open_reader(prefix) as reader:
        reader.read("v", (slice(10, 20),))
    assert sum(fetched) < 700_000  # of 12 MB: the header, the index, one block


def test_files_are_put_before_the_file_that_names_them(memory, monkeypatch):
    order = []
    put = remote.Upload._put

    def noted(self):
        order.append(self.path.rpartition("/")[2])
        put(self)

    monkeypatch.setattr(remote.Upload, "_put", noted)
    saved_steps(memory, 1)
    assert order == ["m-1.h5", "m-1.meta", "checkpoint"]


@pytest.mark.parametrize("number", range(3))
def test_a_put_that_fails_leaves_what_was_there_and_the_next_save_works(
    memory, monkeypatch, number
):
    saver, _, _ = saved_steps(memory, 1)
    count = 0
    put = fsspec.get_filesystem_class("memory").pipe_file

    def failing(self, *args, **kwargs):
        nonlocal count
        count += 1
        if count == number + 1:
            raise ConnectionError("the network is down")
        return put(self, *args, **kwargs)

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "pipe_file", failing)
    with tf.Session() as sess:
        saver.restore(sess, f"{memory}/m-1")
        with pytest.raises(tf.errors.OpError, match="memory://run"):
            saver.save(sess, f"{memory}/m", global_step=2)
        latest = tf.train.latest_checkpoint(memory)
        assert latest == f"{memory}/m-1"
        saver.restore(sess, latest)
        saver.save(sess, f"{memory}/m", global_step=3)
        assert tf.train.latest_checkpoint(memory) == f"{memory}/m-3"


def test_a_moved_upload_leaves_no_temporary(tmp_path, monkeypatch):
    url = f"file://{tmp_path}/run"
    saver, _, prefix = saved_steps(url, 1)

    def failing(*args, **kwargs):
        raise OSError("no")

    monkeypatch.setattr(fsspec.get_filesystem_class("file"), "mv", failing)
    with tf.Session() as sess:
        saver.restore(sess, prefix)
        with pytest.raises(tf.errors.OpError, match="moving the uploaded file"):
            saver.save(sess, f"{url}/m", global_step=2)
    assert names(url) == {"checkpoint", "m-1.h5", "m-1.meta"}


def test_damage_is_found_in_remote_files_too(memory):
    saver, _, prefix = saved_steps(memory, 1)
    store = fsspec.filesystem("memory")
    data = store.cat("/run/m-1.h5")
    store.pipe("/run/m-1.h5", data[:-1])
    with tf.Session() as sess, pytest.raises(DataLossError, match=r"memory://run/m-1\.h5"):
        saver.restore(sess, prefix)


def test_without_fsspec_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UnimplementedError, match=r"pip install 'ckpt\[remote\]'"):
        tf.train.latest_checkpoint("memory://run")


def test_an_unknown_scheme_is_a_typed_error():
    with pytest.raises(UnimplementedError, match="nosuch"):
        tf.train.latest_checkpoint("nosuch://run")


def test_a_store_that_cannot_be_reached_is_not_an_empty_one(memory, monkeypatch):
    class Broken(Exception):
        pass

    def failing(*args, **kwargs):
        raise Broken("no route")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "info", failing)
    with pytest.raises(UnavailableError, match="no route"):
        tf.train.latest_checkpoint(memory)


def test_a_multipart_upload_that_fails_leaves_the_old_object(s3, monkeypatch):
    """A large file is put in parts; nothing is seen of it unless the last request commits it."""
    import s3fs

    monkeypatch.setattr(s3fs.core, "calculate_chunksize", lambda size, **options: 5 << 20)
    saver, v, prefix = saved_steps(s3, 1, size=LARGE)
    call, parts = s3fs.S3FileSystem._call_s3, []

    async def failing(self, method, *args, **kwargs):
        if method == "upload_part":
            parts.append(kwargs.get("PartNumber"))
            raise PermissionError("the token has expired")
        return await call(self, method, *args, **kwargs)

    with tf.Session() as sess:
        saver.restore(sess, prefix)
        with monkeypatch.context() as patch:
            patch.setattr(s3fs.S3FileSystem, "_call_s3", failing)
            with pytest.raises(tf.errors.OpError, match=r"run/m-1\.h5"):
                saver.save(sess, f"{s3}/m", global_step=1)  # over the one that is there
        assert parts
        with detect.open_reader(prefix) as reader:
            reader.verify()
        saver.restore(sess, tf.train.latest_checkpoint(s3))
        np.testing.assert_array_equal(sess.run(v)[:3], [1, 2, 3])
        saver.save(sess, f"{s3}/m", global_step=2)
        assert tf.train.latest_checkpoint(s3) == f"{s3}/m-2"


def test_shards_of_a_dead_save_are_swept_by_the_next(url):
    """The mark in the store tells the next writer; one of another machine is left alone for a day."""
    saver, _, prefix = saved_steps(url, 1, size=100)
    token, dead = "0123456789abcdef", f"{url}/.ckpt-tmp-{{}}-{2**22 + 1}-0123456789abcdef"
    here, elsewhere = dead.format(temporaries.here()), dead.format("00000000")
    shard = f"{url}/m-2.{token}-00001-of-00002.h5"
    for mark, is_swept in ((elsewhere, False), (here, True)):
        for path, content in ((shard, b"half"), (mark, b"m-2.index\n")):
            storage.write_file(path, content)
        with tf.Session() as sess:
            saver.restore(sess, prefix)
            saver.save(sess, f"{url}/m", global_step=3)
        assert storage.exists(shard) == storage.exists(mark) == (not is_swept)
        storage.remove_file(mark)


def test_models_are_merged_from_and_to_stores(url):
    with tf.Graph().as_default():
        saved_steps(url, 1)
    report = tf.merge_files({"a": f"{url}/m-1", "b": f"{url}/m-1"}, f"{url}/merged")
    assert report.nbytes > 0
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.train.import_meta_graph(f"{url}/merged.meta").restore(sess, f"{url}/merged")
        np.testing.assert_array_equal(sess.run("b/v:0"), [1, 2, 3])
    with pytest.raises(tf.errors.AlreadyExistsError, match=r"merged\.h5"):
        tf.merge_files({"a": f"{url}/m-1"}, f"{url}/merged")


def test_what_selects_and_renames_does_so_behind_urls(url):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.get_variable("net/w", [2], initializer=tf.ones_initializer())
        tf.get_variable("net/b", [1], trainable=False)
        sess.run(tf.global_variables_initializer())
        tf.train.Saver().save(sess, f"{url}/m")
    assert list(tf.load(url, "@trainable", rename=("net/", ""))) == ["w"]
    with tf.open(url, exclude="@trainable", rename=("net/", "")) as opened:
        assert list(opened) == ["b"]
    with tf.Graph().as_default(), tf.Session() as sess:
        w = tf.get_variable("other/w", [2])
        with pytest.raises(ValueError, match="perhaps net/w: scope 'net' became 'other'"):
            tf.train.init_from_checkpoint(url, "**")
        tf.train.init_from_checkpoint(url, "**", rename={"net/": "other/"})
        sess.run(w.initializer)
        assert sess.run(w).tolist() == [1, 1]
    prefix = tf.save(f"{url}/arrays", {"a": [3.0]})
    assert tf.load(prefix)["a"].tolist() == [3]


def test_a_name_of_which_fsspec_would_drop_the_end_is_refused(memory):
    """It takes `::` for the link of a chain; all files of such a prefix were one, and a save of it was lost."""
    tf.Variable([1.0], name="v")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        with pytest.raises(InvalidArgumentError, match=r"run/a::b.*give another name"):
            tf.train.Saver().save(sess, f"{memory}/a::b")
    assert not fsspec.filesystem("memory").store
