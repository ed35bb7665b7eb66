"""Labels for connectionist temporal classification; numbers of TensorFlow 2.21 where none are worked out here."""

import numpy as np
import pytest

import ckpt as tf

LOGITS = np.random.default_rng(0).normal(0, 1, (5, 2, 4)).astype(np.float32)
LENGTHS = np.array([5, 4], np.int32)


def run(fetches):
    with tf.Session() as session:
        return session.run(fetches)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


def sparse(values):
    return tf.SparseTensor([[0, 0], [0, 1], [1, 0]], np.array(values, np.int32), [2, 5])


def test_any_class_may_be_the_blank():
    """Of classes in another order, the loss is the same."""
    last = tf.nn.ctc_loss(sparse([0, 1, 2]), LOGITS, LENGTHS)
    turned = np.concatenate([LOGITS[..., 3:], LOGITS[..., :3]], axis=2)
    first = tf.nn.ctc_loss_v2(sparse([1, 2, 3]), turned, None, LENGTHS, blank_index=0)
    minus = tf.nn.ctc_loss_v2(sparse([0, 1, 2]), LOGITS.transpose(1, 0, 2), None, LENGTHS, blank_index=-1, logits_time_major=False)  # fmt: skip
    a, b, c = run([last, first, minus])
    np.testing.assert_allclose(b, a, rtol=1e-6)
    np.testing.assert_allclose(c, a, rtol=1e-6)


def test_labels_need_not_be_sparse():
    dense = tf.nn.ctc_loss_v2(np.array([[1, 2, 0], [3, 0, 0]], np.int32), LOGITS, np.array([2, 1], np.int32), LENGTHS)  # fmt: skip
    a, b = run([tf.nn.ctc_loss_v2(sparse([1, 2, 3]), LOGITS, None, LENGTHS, blank_index=0), dense])
    np.testing.assert_allclose(b, a, rtol=1e-6)
    np.testing.assert_allclose(b, [4.660435, 4.20031], rtol=1e-5)


def test_sparse_labels_need_a_blank():
    with pytest.raises(ValueError, match="blank_index"):
        tf.nn.ctc_loss_v2(sparse([1, 2, 3]), LOGITS, None, LENGTHS)


def test_loss_has_a_gradient():
    logits = tf.constant(LOGITS)
    loss = tf.nn.ctc_loss_v2(sparse([1, 2, 3]), logits, None, LENGTHS, blank_index=0)
    gradient = run(tf.gradients(loss, logits)[0])
    np.testing.assert_allclose(gradient.sum(axis=2), 0, atol=1e-5)  # a softmax only moves
    assert np.abs(gradient).max() > 0.1
    assert not gradient[4, 1].any()  # behind the end of the sequence


def test_decoder_keeps_repeated_labels():
    decoded, score = tf.nn.ctc_beam_search_decoder_v2(LOGITS, LENGTHS, beam_width=10, top_paths=2)
    again, score_1 = tf.nn.ctc_beam_search_decoder(LOGITS, LENGTHS, beam_width=10, top_paths=2, merge_repeated=False)  # fmt: skip
    found = run([decoded[0].values, again[0].values, score, score_1])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[3])


@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("shape", [[2, 5], [None, None]])
def test_collapse_repeated(kind, shape):
    labels = tf.placeholder_with_default(np.array([[1, 1, 2, 2, 1], [3, 3, 3, 0, 0]], kind), shape)
    found, counts = run(tf.nn.collapse_repeated(labels, np.array([5, 3], kind)))
    assert found.tolist() == [[1, 2, 1], [3, 0, 0]]
    assert (counts.tolist(), counts.dtype) == ([3, 1], kind)


def test_unique_labels():
    labels = np.array([[1, 1, 2, 2, 1], [3, 4, 3, 0, 0]], np.int32)
    found, which = run(tf.nn.ctc_unique_labels(labels))
    assert found.tolist() == [[1, 2, 0, 0, 0], [3, 4, 0, 0, 0]]
    assert which.tolist() == [[0, 0, 1, 1, 0], [0, 1, 0, 2, 2]]
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("weights", "size", "expected"), [(None, None, 2.5), (None, 8, 1.25), ([1.0, 0.0, 0.0, 2.0], None, 2.25), (None, 0, 0.0)],
)  # fmt: skip
def test_average_loss(weights, size, expected):
    losses = tf.constant([1.0, 2.0, 3.0, 4.0])
    average = tf.nn.compute_average_loss(losses, sample_weight=weights, global_batch_size=size)
    assert run(average) == expected


def test_average_loss_of_a_negative_batch():
    with pytest.raises(tf.errors.InvalidArgumentError, match="non-negative"):
        tf.nn.compute_average_loss([1.0, 2.0], global_batch_size=-1)


def test_regularization_loss_is_not_divided():
    assert run(tf.nn.scale_regularization_loss([1.0, 2.0])) == 3
