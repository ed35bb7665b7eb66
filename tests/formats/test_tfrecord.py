"""TFRecord files: TensorFlow's bytes, damage of every kind, compression, and the classes of tf.python_io."""

import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.core.errors import DataLossError, FailedPreconditionError, NotFoundError
from ckpt.formats import tfrecord

RECORDS = [b"ckpt", b"", bytes(range(20))]
BY_TENSORFLOW = {  # TFRecordWriter of TensorFlow 2.21 wrote RECORDS
    "": "040000000000000042455204636b70745e427cd9000000000000000029039807d8ea82a214000000000000005e3d29150001020304050607"
    "08090a0b0c0d0e0f10111213cb83507a",
    "ZLIB": "789c6361800027d72096e4ec829238a79a9b5021064de619ec375e352d1281f2e36c3545191899985958d9d83938b9b87978f9f8050485"
    "844f3707540100be150bfd",
    "GZIP": "1f8b08000000000000036361800027d72096e4ec829238a79a9b5021064de619ec375e352d1281f2e36c3545191899985958d9d83938b9"
    "b87978f9f8050485844f3707540100fab54d8c48000000",
}


def write(path, records, options=None):
    with tf.python_io.TFRecordWriter(path, options) as writer:
        for record in records:
            writer.write(record)


@pytest.mark.parametrize("kind", BY_TENSORFLOW)
def test_files_of_tensorflow_are_read(tmp_path, kind):
    path = tmp_path / "records"
    path.write_bytes(bytes.fromhex(BY_TENSORFLOW[kind]))
    assert list(tf.python_io.tf_record_iterator(path, kind)) == RECORDS


def test_uncompressed_files_are_those_of_tensorflow_byte_for_byte(tmp_path):
    write(tmp_path / "records", RECORDS)
    assert (tmp_path / "records").read_bytes().hex() == BY_TENSORFLOW[""]


@pytest.mark.parametrize("kind", ["ZLIB", "GZIP"])
def test_compressed_files_hold_those_bytes(tmp_path, kind):
    write(tmp_path / "records", RECORDS, kind)
    held = zlib.decompress((tmp_path / "records").read_bytes(), 15 + 32)
    assert held.hex() == BY_TENSORFLOW[""]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.binary(max_size=300), max_size=20), st.sampled_from(["", "ZLIB", "GZIP"]))
def test_what_is_written_is_read(tmp_path, records, kind):
    write(tmp_path / "records", records, kind)
    assert list(tf.python_io.tf_record_iterator(str(tmp_path / "records"), kind)) == records


def test_large_records_come_back(tmp_path):
    record = bytes(range(256)) * 20_000
    for kind in BY_TENSORFLOW:
        write(tmp_path / "records", [record, b"x"], kind)
        assert list(tf.python_io.tf_record_iterator(tmp_path / "records", kind)) == [record, b"x"]


@pytest.mark.parametrize("kind", BY_TENSORFLOW)
def test_every_cut_is_noticed_or_at_the_end_of_a_record(tmp_path, kind):
    whole = bytes.fromhex(BY_TENSORFLOW[kind])
    ends = {0} if kind else {0, 20, 36}
    path = tmp_path / "records"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        if length in ends:
            list(tf.python_io.tf_record_iterator(path, kind))
        else:
            with pytest.raises(DataLossError, match="records: "):
                list(tf.python_io.tf_record_iterator(path, kind))


def test_every_changed_byte_is_noticed(tmp_path):
    whole = bytes.fromhex(BY_TENSORFLOW[""])
    path = tmp_path / "records"
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataLossError, match=r"corrupted record at (0|20|36): "):
            list(tf.python_io.tf_record_iterator(path))


def test_a_length_that_lies_with_a_right_checksum_takes_no_memory(tmp_path):
    length = struct.pack("<Q", 2**62)
    data = length + struct.pack("<I", tfrecord.masked_crc(length)) + b"short"
    (tmp_path / "records").write_bytes(data)
    with pytest.raises(
        DataLossError, match="truncated record at 0: 5 of 4611686018427387904 bytes"
    ):
        list(tf.python_io.tf_record_iterator(tmp_path / "records"))


def test_streams_one_after_the_other_are_one_file(tmp_path):
    first, second = (zlib.compress(tfrecord.framed(r)) for r in (b"one", b"two"))
    (tmp_path / "records").write_bytes(first + second)
    assert list(tf.python_io.tf_record_iterator(tmp_path / "records", "ZLIB")) == [b"one", b"two"]


def test_what_is_flushed_can_be_read(tmp_path):
    path = tmp_path / "records"
    with tf.python_io.TFRecordWriter(path) as writer:
        writer.write(b"one")
        writer.flush()
        assert list(tf.python_io.tf_record_iterator(path)) == [b"one"]


def test_a_closed_writer_takes_nothing(tmp_path):
    writer = tf.python_io.TFRecordWriter(tmp_path / "records")
    writer.close()
    writer.close()
    for use in (writer.flush, lambda: writer.write(b"x")):
        with pytest.raises(FailedPreconditionError, match="Writer is closed"):
            use()


def test_records_are_byte_strings(tmp_path):
    with tf.python_io.TFRecordWriter(tmp_path / "records") as writer:
        writer.write("ä")
        with pytest.raises(TypeError, match="byte string, not int"):
            writer.write(3)
    assert list(tf.python_io.tf_record_iterator(tmp_path / "records")) == ["ä".encode()]


def test_missing_files_and_directories_are_not_found(tmp_path):
    with pytest.raises(NotFoundError, match="nothing"):
        next(tf.python_io.tf_record_iterator(tmp_path / "nothing"))
    with pytest.raises(NotFoundError, match="nowhere"):
        tf.python_io.TFRecordWriter(tmp_path / "nowhere" / "records")


def test_options_name_their_compression():
    kinds = tf.python_io.TFRecordCompressionType
    text = tf.python_io.TFRecordOptions.get_compression_type_string
    options = tf.python_io.TFRecordOptions(kinds.GZIP)
    found = [text(o) for o in (None, "", "ZLIB", kinds.NONE, kinds.ZLIB, options)]
    assert found == ["", "", "ZLIB", "", "ZLIB", "GZIP"]
    for wrong in ("FOO", 7):
        with pytest.raises(ValueError, match=f'Not a valid compression_type: "{wrong}"'):
            tf.python_io.TFRecordOptions(wrong)


def test_zlib_settings_have_their_effect(tmp_path):
    sizes = []
    for level in (0, 9):
        options = tf.python_io.TFRecordOptions("ZLIB", compression_level=level)
        write(tmp_path / "records", [b"a" * 10_000], options)
        sizes.append((tmp_path / "records").stat().st_size)
    assert sizes[0] > 10_000
    assert sizes[1] < 1_000
    with pytest.raises(ValueError, match="zlib does not take"):
        write(tmp_path / "records", [], tf.python_io.TFRecordOptions("ZLIB", window_bits=99))


def test_with_a_flush_mode_a_compressed_file_can_be_read_while_it_is_written(tmp_path):
    path = tmp_path / "records"
    with tf.python_io.TFRecordWriter(
        path, tf.python_io.TFRecordOptions("ZLIB", flush_mode=2)
    ) as writer:
        writer.write(b"one")
        writer.flush()
        with tfrecord.RecordReader(str(path), "ZLIB") as reader:
            assert reader.read() == b"one"


def test_with_a_flush_mode_streams_are_flushed_when_the_input_buffer_is_full(tmp_path):
    sizes = []
    for mode in (0, 2, 3):
        options = tf.python_io.TFRecordOptions("ZLIB", flush_mode=mode, input_buffer_size=64)
        write(tmp_path / "records", [b"abc" * 20] * 50, options)
        sizes.append((tmp_path / "records").stat().st_size)
        found = list(tf.python_io.tf_record_iterator(tmp_path / "records", "ZLIB"))
        assert found == [b"abc" * 20] * 50
    assert sizes[0] < sizes[1] < sizes[2]
