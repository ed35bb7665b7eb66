"""Candidate samplers and the losses over drawn classes: TensorFlow's own numbers for the same seeds.

The numbers are TensorFlow 2.21's, with the graph seed 7.
"""

import numpy as np
import pytest

import ckpt as tf

TRUE = np.array([[0, 3], [5, 2], [7, 7]], np.int64)


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        tf.set_random_seed(7)
        yield


def runs(tensors, count=1, feed=None):
    with tf.Session() as session:
        return [session.run(tensors, feed) for _ in range(count)]


@pytest.mark.parametrize(
    ("sampler", "unique", "size", "wanted"),
    [
        ("uniform", True, 12, [[9, 8, 10, 6, 2, 0, 1, 7, 11], [2, 9, 5, 1, 3, 10, 11, 8, 7]]),
        ("uniform", False, 12, [[9, 8, 10, 10, 6, 2, 0, 0, 1], [2, 9, 5, 1, 3, 10, 3, 3, 11]]),
        ("log_uniform", True, 12, [[0, 2, 10, 1, 5, 4, 7, 6, 3], [2, 0, 6, 1, 10, 8, 3, 4, 11]]),
        ("log_uniform", False, 1000, [[3, 25, 804, 0, 12, 183, 94, 345, 693],
                                      [38, 2, 31, 259, 11, 3, 647, 189, 395]]),
        ("learned_unigram", True, 12, [[9, 6, 8, 0, 10, 4, 2, 5, 1], [8, 2, 4, 0, 6, 7, 5, 3, 1]]),
        ("learned_unigram", False, 12, [[9, 6, 8, 0, 10, 0, 6, 4, 2], [8, 2, 4, 8, 0, 6, 7, 8, 2]]),
    ],
)  # fmt: skip
def test_classes_are_tensorflows(sampler, unique, size, wanted):
    draw = getattr(tf.nn, f"{sampler}_candidate_sampler")(TRUE, 2, 9, unique, size, seed=3)
    assert [found.sampled_candidates.tolist() for found in runs(draw, 2)] == wanted


@pytest.mark.parametrize(
    ("sampler", "unique", "wanted"),
    [
        ("uniform", True, [0.77217865, 0.77217865, 0.77217865, 0.77217865, 0.77217865, 0.77217865]),
        ("log_uniform", True, [0.99113423, 0.74468207, 0.60533166, 0.83210874, 0.50595057, 0.50595057]),
        ("log_uniform", False, [2.43214345, 0.78297532, 0.54089022, 1.00943077, 0.41328198, 0.41328198]),
        ("learned_unigram", False, [0.75, 0.75, 0.75, 0.75, 0.75, 0.75]),
    ],
)  # fmt: skip
def test_expected_counts_are_tensorflows(sampler, unique, wanted):
    draw = getattr(tf.nn, f"{sampler}_candidate_sampler")(TRUE, 2, 9, unique, 12, seed=3)
    found = runs(draw)[0]
    np.testing.assert_allclose(found.true_expected_count.reshape(-1), wanted, rtol=2e-7)
    where = found.sampled_candidates.tolist().index(0)
    assert found.sampled_expected_count[where] == found.true_expected_count[0, 0]


def test_learned_sampler_counts_the_true_classes_of_earlier_runs():
    draw = tf.nn.learned_unigram_candidate_sampler(TRUE, 2, 9, False, 12, seed=3)
    later = runs(draw, 3)[2].true_expected_count
    np.testing.assert_allclose(later, [[1.125, 1.125], [1.125, 1.125], [1.875, 1.875]])


def test_many_distinct_classes_are_all_distinct():
    draw = tf.nn.log_uniform_candidate_sampler(TRUE, 2, 300, True, 300, seed=3)
    assert sorted(runs(draw)[0].sampled_candidates) == list(range(300))


def test_static_shapes():
    rows = tf.placeholder(tf.int64, [None, 2])
    draw = tf.nn.uniform_candidate_sampler(rows, 2, 9, True, 12)
    assert [t.shape.as_list() for t in draw] == [[9], [None, 2], [9]]
    with pytest.raises(ValueError, match="2"):
        tf.nn.compute_accidental_hits(rows, draw.sampled_candidates, 3)


@pytest.mark.parametrize(
    ("true", "count", "message"),
    [
        ([[1]], 13, "range is too small"),
        ([1], 3, "must be a matrix"),
        ([[1, 2]], 3, "expected: 1 was: 2"),
        ([[12]], 3, "outside"),
        ([[-1]], 3, "outside"),
    ],
)
def test_what_cannot_be_drawn_is_refused(true, count, message):
    rows = tf.placeholder(tf.int64)
    draw = tf.nn.uniform_candidate_sampler(rows, 1, count, True, 12)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        runs(draw, feed={rows: true})


def test_accidental_hits_name_row_and_last_place():
    hits = tf.nn.compute_accidental_hits(TRUE, np.array([7, 1, 5, 7, 3], np.int64), 2)
    found = runs(hits)[0]
    assert found.indices.tolist() == [0, 1, 2, 2]
    assert found.ids.tolist() == [4, 2, 3, 3]
    assert found.weights.tolist() == [float(np.finfo(np.float32).min)] * 4


def parameters():
    rng = np.random.RandomState(0)
    return [tf.constant(rng.randn(*shape).astype("f")) for shape in ((12, 4), (12,), (3, 4))]


def drawn(places):
    sampled = tf.constant(places, tf.int64)
    return sampled, tf.fill([3, 2], 0.5), tf.fill([len(places)], 0.25)


def reference(weights, biases, inputs, places, hits_count):
    true = np.einsum("bd,btd->bt", inputs, weights[TRUE]) + biases[TRUE] - np.log(0.5)
    logits = inputs @ weights[places].T + biases[places] - np.log(0.25)
    if not hits_count:
        logits[(TRUE[:, :, None] == np.array(places)).any(1)] = -np.inf
    return np.concatenate([true, logits], 1)


@pytest.mark.parametrize("keep_hits", [True, False])
def test_nce_loss_is_the_logistic_loss_of_true_and_drawn_classes(keep_hits):
    places = [7, 1, 5]
    tensors = parameters()
    weights, biases, inputs = tensors
    loss = tf.nn.nce_loss(
        weights, biases, tf.constant(TRUE), inputs, 3, 12, 2, drawn(places), not keep_hits
    )
    found, *values = runs([loss, *tensors])[0]
    logits = reference(*values, places, keep_hits)
    wanted = np.logaddexp(0, logits[:, 2:]).sum(1) + (
        np.logaddexp(0, logits[:, :2]) - logits[:, :2] / 2
    ).sum(1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("keep_hits", [True, False])
def test_sampled_softmax_loss_is_the_cross_entropy_over_true_and_drawn_classes(keep_hits):
    places = [7, 1, 5]
    tensors = parameters()
    weights, biases, inputs = tensors
    loss = tf.nn.sampled_softmax_loss(
        weights, biases, TRUE.astype(np.int32), inputs, 3, 12, 2, drawn(places), not keep_hits
    )
    found, *values = runs([loss, *tensors])[0]
    logits = reference(*values, places, keep_hits)
    wanted = np.log(np.exp(logits).sum(1)) - logits[:, :2].mean(1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_weights_in_parts_give_the_same_loss():
    weights, biases, inputs = parameters()
    whole = tf.nn.nce_loss(weights, biases, TRUE, inputs, 5, 12, 2, drawn([1, 2, 4, 4, 9]))
    parts = tf.split(weights, 3), tf.split(biases, 3)
    split = tf.nn.nce_loss(
        *parts, TRUE, inputs, 5, 12, 2, drawn([1, 2, 4, 4, 9]), partition_strategy="div"
    )
    one, other = runs([whole, split])[0]
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_gradients_reach_weights_biases_and_inputs():
    tensors = parameters()
    weights, biases, inputs = tensors
    loss = tf.reduce_sum(
        tf.nn.sampled_softmax_loss(weights, biases, TRUE, inputs, 3, 12, 2, drawn([7, 1, 5]))
    )
    slices = tf.gradients(loss, tensors)
    d_inputs, value, before = runs([slices[2], loss, inputs])[0]
    step = np.zeros_like(before)
    step[1, 2] = 1e-2
    with tf.Session() as session:
        up, down = (session.run(loss, {inputs: before + s}) for s in (step, -step))
    assert d_inputs[1, 2] == pytest.approx((up - down) / 2e-2, rel=1e-2)
    touched = runs(tf.convert_to_tensor(slices[1]))[0]
    assert set(np.flatnonzero(touched)) <= {0, 1, 2, 3, 5, 7}
    assert np.isfinite(value)


def test_nodes_have_tensorflows_names():
    weights, biases, inputs = parameters()
    loss = tf.nn.nce_loss(weights, biases, tf.constant(TRUE), inputs, 5, 12, 2, None, True)
    names = {node.name for node in loss.graph.as_graph_def().node}
    assert loss.name == "Reshape:0"
    assert {f"nce_loss/{name}" for name in (
        "LogUniformCandidateSampler", "StopGradient_2", "embedding_lookup_1", "Mul", "ComputeAccidentalHits",
        "sparse_indices", "SparseToDense", "Slice_3", "add_2", "Log_1", "sub_1", "truediv", "concat_5")} <= names  # fmt: skip
    assert {"sampled_losses", "MatMul", "ones"} <= names


UNIGRAMS = [1.0, 2.0, 3.0, 4.0, 0.5]


@pytest.mark.parametrize(
    ("unique", "more", "wanted", "expected"),
    [
        (True, {}, [3, 1, 2, 4], [0.7721718549728394, 0.9651607871055603]),
        (True, {"distortion": 0.5}, [3, 2, 1, 4], [0.7501010894775391, 0.873865008354187]),
        (False, {}, [3, 3, 1, 2], [0.761904776096344, 1.523809552192688]),
        (False, {"num_shards": 2, "range_max": 3, "num_sampled": 8, "true": [[1], [0]]}, [1, 1, 1, 1, 1, 1, 2, 0],
         [5.333333492279053, 1.7777777910232544]),
        (False, {"num_reserved_ids": 2, "range_max": 7, "num_sampled": 8}, [3, 4, 3, 4, 4, 2, 5, 3],
         [0.0, 1.523809552192688]),
    ],
)  # fmt: skip
def test_weighted_classes_are_tensorflows(unique, more, wanted, expected):
    """TensorFlow 2.21's numbers, without a graph seed."""
    options = {"num_sampled": 4, "range_max": 5, "true": [[1], [3]], **more}
    true, count, size = (options.pop(key) for key in ("true", "num_sampled", "range_max"))
    with tf.Graph().as_default():
        draw = tf.nn.fixed_unigram_candidate_sampler(
            true, 1, count, unique, size, unigrams=UNIGRAMS, seed=3, **options
        )
        found = runs(draw)[0]
    assert found.sampled_candidates.tolist() == wanted
    np.testing.assert_allclose(found.true_expected_count.reshape(-1), expected, rtol=3e-7)
    weights = found.sampled_expected_count
    assert [weights[wanted.index(k)] for k in wanted] == weights.tolist()


def test_weights_come_from_a_file_too(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("a,1\nb,2.5\nc c,x,3\n")
    with tf.Graph().as_default():
        draw = tf.nn.fixed_unigram_candidate_sampler(
            [[1], [0]], 1, 8, False, 3, vocab_file=str(path), seed=3
        )
        found = runs(draw)[0]
    assert found.sampled_candidates.tolist() == [1, 1, 2, 1, 2, 2, 2, 0]
    np.testing.assert_allclose(found.true_expected_count, [[3.07692313], [1.23076923]], rtol=1e-7)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({}, "exactly one"),
        ({"unigrams": [1.0, 2.0]}, "must be equal to weights size 2"),
        ({"unigrams": [1.0, -2.0, 1.0]}, "not negative"),
        ({"unigrams": [0.0, 0.0, 0.0]}, "all zero"),
        ({"unigrams": UNIGRAMS, "num_shards": 2, "shard": 2}, "shard"),
        ({"vocab_file": "no such file"}, "no such file"),
    ],
)
def test_weights_that_nothing_can_be_drawn_by(more, match):
    draw = tf.nn.fixed_unigram_candidate_sampler([[1]], 1, 2, False, 3, **more)
    with pytest.raises(tf.errors.InvalidArgumentError, match=match):
        runs(draw)


def test_a_vocabulary_without_counts_names_the_file(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("a,1\nb,two\n")
    draw = tf.nn.fixed_unigram_candidate_sampler([[1]], 1, 2, False, 2, vocab_file=str(path))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"words\.csv: not a vocabulary"):
        runs(draw)


def test_all_candidates():
    found = runs(tf.nn.all_candidate_sampler([[1, 2], [3, 0]], 2, 4, True))[0]
    assert found.sampled_candidates.tolist() == [0, 1, 2, 3]
    assert found.true_expected_count.tolist() == [[1, 1], [1, 1]]
    assert found.sampled_expected_count.tolist() == [1] * 4
    with pytest.raises(tf.errors.InvalidArgumentError, match="outside"):
        runs(tf.nn.all_candidate_sampler([[1, 2], [3, 0]], 2, 3, True))
