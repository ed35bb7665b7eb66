"""Names that scripts use around their graphs: text, devices, raw operations, the package under its older name."""

import pathlib

import numpy as np
import pytest

import ckpt as tf


def test_text_and_bytes():
    assert tf.compat.as_bytes("é") == b"\xc3\xa9"
    assert tf.compat.as_bytes(bytearray(b"a")) == b"a"
    assert tf.compat.as_text(b"\xc3\xa9") == tf.compat.as_str("é") == "é"
    assert tf.compat.as_str_any(3) == "3"
    assert tf.compat.as_str_any(b"3") == "3"
    assert tf.compat.path_to_str(pathlib.PurePosixPath("a/b")) == "a/b"
    assert tf.compat.path_to_str(3) == 3
    for convert in (tf.compat.as_bytes, tf.compat.as_text):
        with pytest.raises(TypeError, match="Expected binary or unicode string, got 3"):
            convert(3)


def test_kinds_of_values():
    assert isinstance(np.float32(1), tf.compat.real_types)
    assert isinstance(np.int8(1), tf.compat.integral_types)
    assert not isinstance(1.5, tf.compat.integral_types)
    assert isinstance(1j, tf.compat.complex_types)
    assert isinstance("a", tf.compat.bytes_or_text_types)


def test_what_graphs_may_use():
    assert tf.compat.forward_compatible(2019, 8, 1)
    assert not tf.compat.forward_compatible(3019, 8, 1)


def test_the_package_under_its_older_name():
    import ckpt.compat.v1 as older

    assert older.Session is tf.Session
    assert older.train.Saver is tf.train.Saver
    assert tf.compat.v1.placeholder is tf.placeholder
    assert "Session" in dir(older)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = older.nothing_like_this


def test_devices():
    (processor,) = tf.config.list_physical_devices()
    assert processor.device_type == "CPU"
    assert tf.config.list_physical_devices("GPU") == tf.config.list_logical_devices("GPU") == []
    for gpu in tf.config.experimental.list_physical_devices("GPU"):  # as scripts do
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.set_visible_devices([], "GPU")
    tf.config.set_visible_devices(processor, "CPU")
    assert tf.config.get_visible_devices() == [processor]
    assert not tf.test.is_gpu_available()
    assert tf.test.gpu_device_name() == ""
    with pytest.raises(ValueError, match="Unrecognized device"):
        tf.config.set_visible_devices([tf.config.PhysicalDevice("gpu", "GPU")])
    with pytest.raises(ValueError, match="cannot be made invisible"):
        tf.config.set_visible_devices([])
    with pytest.raises(ValueError, match="no GPU"):
        tf.config.experimental.set_memory_growth(processor, True)
    with pytest.raises(ValueError, match="no GPU"):
        tf.config.experimental.get_memory_growth(processor)


def test_raw_operations():
    with tf.Graph().as_default(), tf.Session() as session:
        total = tf.raw_ops.Add(x=[1, 2], y=[3, 4], name="total")
        product = tf.raw_ops.MatMul(a=[[1.0, 2.0]], b=[[3.0, 4.0]], transpose_b=True)
        values, places = tf.raw_ops.TopKV2(input=[1, 3, 2], k=2)
        assert total.name == "total:0"
        np.testing.assert_array_equal(session.run(total), [4, 6])
        np.testing.assert_array_equal(session.run(product), [[11]])
        np.testing.assert_array_equal(session.run(values), [3, 2])
        np.testing.assert_array_equal(session.run(places), [1, 2])
    assert "Conv2D" in dir(tf.raw_ops)
    with pytest.raises(TypeError, match="Add only takes keyword args: x, y, its attributes"):
        tf.raw_ops.Add(1, 2)
    with pytest.raises(AttributeError, match="no operation 'Nothing'"):
        _ = tf.raw_ops.Nothing
