"""Connectionist temporal classification: losses, gradients, decoded labels."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, normal

X = normal(7, 3, 4) * 2
AT = np.array([[0, 0], [0, 1], [0, 2], [1, 0], [2, 0]])
VALUES = np.array([1, 1, 2, 2, 0], np.int32)
LENGTHS = np.array([7, 5, 1], np.int32)
NEAR = {"rtol": 1e-4, "atol": 1e-5}


def loss(x, **attrs):
    return OPS["CTCLoss"](x, AT, VALUES, LENGTHS, **attrs)[0]


TestLoss = conformance([
    *[case(OPS["CTCLoss"], X, AT, VALUES, LENGTHS, ctc_merge_repeated=merge, preprocess_collapse_repeated=collapse, grad=0,
           **NEAR) for merge in (True, False) for collapse in (True, False)],
    case(loss, X, grad=1, **NEAR),
    case(loss, X, ctc_merge_repeated=False, grad=1, **NEAR),
    case(OPS["CTCLoss"], X, AT, VALUES, np.array([2, 5, 1], np.int32), raises=InvalidArgumentError, match="Not enough time"),
    case(OPS["CTCLoss"], X, AT, VALUES, np.array([2, 5, 1], np.int32), ignore_longer_outputs_than_inputs=True, grad=0, **NEAR),
    case(OPS["CTCLoss"], X, AT, VALUES, np.array([3, 5, 1], np.int32), grad=0, title="impossible", **NEAR),
    case(OPS["CTCLoss"], X, AT[:3], VALUES[:3], LENGTHS, raises=InvalidArgumentError, match="zero in batch 1"),
    case(OPS["CTCLoss"], X, AT, np.array([1, 1, 3, 2, 0], np.int32), LENGTHS, grad=0, title="null label", **NEAR),
    case(OPS["CTCLoss"], X, AT, VALUES + 2, LENGTHS, grad=0, title="no labels", unasked="TensorFlow leaves out a step", **NEAR),
    case(OPS["CTCLoss"], X, AT, np.array([3, 1, 2, 2, 0], np.int32), LENGTHS, raises=InvalidArgumentError, match="non-null label"),
])  # fmt: skip

TestDecoders = conformance([
    *[case(OPS["CTCGreedyDecoder"], X, LENGTHS, merge_repeated=merge, grad=0, **NEAR) for merge in (True, False)],
    case(OPS["CTCGreedyDecoder"], X, LENGTHS, blank_index=0, grad=0, **NEAR),
    case(OPS["CTCGreedyDecoder"], X, LENGTHS, blank_index=9, raises=InvalidArgumentError, match="blank_index"),
    *[case(lambda x, n, merge=merge, width=width: [t for part in OPS["CTCBeamSearchDecoder"](
               x, n, beam_width=width, top_paths=2, merge_repeated=merge) for t in (part if isinstance(part, list) else [part])],
           X, LENGTHS, grad=0, title=f"CTCBeamSearchDecoder {merge} {width}", **NEAR)
      for merge in (True, False) for width in (3, 100)],
])  # fmt: skip


def test_probabilities_of_all_labellings_add_up_to_one():
    """With 2 steps and 2 labels every labelling is one of: none (a blank), a, b, ab, ba; aa needs three steps."""
    x = normal(2, 1, 3)
    labellings = [[2], [0], [1], [0, 1], [1, 0]]
    with tf.Session() as session:
        losses = [
            session.run(tf.nn.ctc_loss(
                tf.SparseTensor(np.array([[0, i] for i in range(len(row))], np.int64).reshape(-1, 2), np.array(row, np.int32), [1, 2]),
                x, [2]))[0] for row in labellings
        ]  # fmt: skip
    np.testing.assert_allclose(np.exp(-np.array(losses)).sum(), 1, rtol=1e-5)


def test_time_may_come_second_and_labels_must_be_sparse():
    labels = tf.SparseTensor([[0, 0]], [1], [1, 1])
    x = normal(4, 1, 3)
    with tf.Session() as session:
        first = session.run(tf.nn.ctc_loss(labels, x, [4]))
        second = session.run(tf.nn.ctc_loss(labels, x.transpose(1, 0, 2), [4], time_major=False))
        decoded, score = tf.nn.ctc_beam_search_decoder(x, [4], beam_width=5, top_paths=2)
        assert len(session.run(decoded)) == 2
        assert session.run(score).shape == (1, 2)
    np.testing.assert_array_equal(first, second)
    with pytest.raises(TypeError, match="SparseTensor"):
        tf.nn.ctc_loss(np.array([[1]]), x, [4])
