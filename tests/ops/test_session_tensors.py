"""Tensors that stay in their session between runs."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core import dtypes
from ckpt.graph.opdef import OPS
from ckpt.graph.stack import get_default_graph
from tests.conformance.ops import case, conformance, normal


def kept(x):
    return OPS["GetSessionTensor"](OPS["GetSessionHandle"](x), dtype=x.dtype.base_dtype)


def dropped(x):
    handle = OPS["GetSessionHandle"](x)
    value = OPS["GetSessionTensor"](handle, dtype=x.dtype.base_dtype)
    with get_default_graph().control_dependencies([value]):
        gone = OPS["DeleteSessionTensor"](handle)
    with get_default_graph().control_dependencies([gone]):
        return value + 0


LATER = "TensorFlow hands a kept tensor out from the next run on"

TestKept = conformance([
    case(kept, normal(2, 3), like=lambda x: x, grad=0, unasked=LATER),
    case(kept, np.array([b"a", b"b"], object), like=lambda x: x, grad=0, unasked=LATER),
    case(dropped, normal(2), like=lambda x: x, grad=0, unasked=LATER),
])  # fmt: skip


@pytest.fixture
def session():
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


def test_a_handle_is_read_fed_and_let_go(session):
    a = tf.constant([2.0, 3.0])
    handle = session.run({"h": tf.get_session_handle(a * 2.0)})["h"]
    np.testing.assert_array_equal(handle.eval(), [4.0, 6.0])
    holder, tensor = tf.get_session_tensor(handle.handle, tf.float32)
    np.testing.assert_array_equal(session.run(tensor + 1.0, {holder: handle.handle}), [5.0, 7.0])
    np.testing.assert_array_equal(session.run(a + 1.0, {a: handle}), [5.0, 7.0])
    holder, delete = tf.delete_session_tensor(handle.get_raw_handle())
    session.run(delete, {holder: str(handle)})
    with pytest.raises(TypeError, match="deleted"):
        handle.eval()
    with pytest.raises(tf.errors.InvalidArgumentError, match="not in the session store"):
        session.run(delete, {holder: handle.handle})


def test_a_handle_belongs_to_its_session_and_dtype(session):
    handle = session.run(tf.get_session_handle(tf.constant(1)))
    holder, tensor = tf.get_session_tensor(handle.handle, tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not in the session store"):
        tf.Session().run(tensor, {holder: handle.handle})
    with pytest.raises(tf.errors.InvalidArgumentError, match="int32"):
        session.run(tf.constant(1.0) + 0.0, {tf.constant(2.0): handle})
    wrong_holder, wrong = tf.get_session_tensor(handle.handle, tf.float32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="float32"):
        session.run(wrong, {wrong_holder: handle.handle})
    with pytest.raises(TypeError, match="Tensor"):
        tf.get_session_handle(3)


def test_what_is_kept_does_not_change_with_the_variable(session):
    v = tf.get_variable("v", initializer=[1.0, 2.0])
    session.run(v.initializer)
    handle = session.run(tf.get_session_handle(v.read_value()))
    handle.eval()[0] = 9.0  # the caller's own
    session.run(v.assign_add([1.0, 1.0]))
    np.testing.assert_array_equal(handle.eval(), [1.0, 2.0])
    handle.delete()
    with pytest.raises(TypeError, match="deleted"):
        handle.delete()


def test_a_value_goes_round_by_its_handle(session):
    handle = session.run(tf.get_session_handle(tf.constant(0, dtypes.int32)))
    holder, tensor = tf.get_session_tensor(handle.handle, tf.int32)
    following = tf.get_session_handle(tensor + 1)
    for _ in range(40):  # far enough to be compiled
        old, handle = handle, session.run(following, {holder: handle.handle})
        old.delete()
    assert handle.eval() == 40
