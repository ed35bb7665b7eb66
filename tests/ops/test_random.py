"""Random streams: TensorFlow's numbers for TensorFlow's seeds."""

import numpy as np
import pytest

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.graph import Graph
from ckpt.ops import constants, random
from ckpt.run.session import Session
from tests.conformance.goldens import goldens

GOLDENS = goldens("random")
EXACT = [g for g in GOLDENS if g.op not in ("RandomStandardNormal", "TruncatedNormal")]
NORMAL = [g for g in GOLDENS if g.op in ("RandomStandardNormal", "TruncatedNormal")]


@pytest.mark.parametrize("golden", EXACT, ids=lambda g: g.name)
def test_gives_tensorflows_numbers_to_the_bit_run_after_run(golden):
    for got, wanted in zip(golden.evaluated(), golden.runs, strict=True):
        assert np.asarray(got[0]).dtype == wanted[0].dtype
        np.testing.assert_array_equal(got[0], wanted[0])


@pytest.mark.parametrize("golden", NORMAL, ids=lambda g: g.name)
def test_gives_tensorflows_normal_numbers_but_for_the_last_bits_of_sine_and_logarithm(golden):
    for got, wanted in zip(golden.evaluated(), golden.runs, strict=True):
        assert got[0].dtype == wanted[0].dtype
        bits = np.finfo(wanted[0].dtype).eps
        np.testing.assert_allclose(
            got[0].astype(np.float64), wanted[0].astype(np.float64), rtol=4 * bits, atol=0
        )


def test_known_answer_of_the_generator():
    """Salmon et al. 2011, Random123's kat_vectors: philox4x32-10 of all zeros and all ones."""
    stream = random.Philox(1, 0)
    stream.key = (0, 0)
    words = stream.words(0, np.zeros(1, np.uint64))
    assert [hex(w) for w in words[:, 0]] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    stream.key = (0xFFFFFFFF, 0xFFFFFFFF)
    words = stream.words((1 << 128) - 1, np.zeros(1, np.uint64))
    assert [hex(w) for w in words[:, 0]] == ["0x408f276d", "0x41c83b0e", "0xa20bc7c6", "0x6d5451fd"]


def test_the_counter_carries_over_all_words():
    stream = random.Philox(1, 2)
    start = (5 << 64) + (1 << 64) - 2
    together = stream.words(start, np.arange(4, dtype=np.uint64))
    alone = [stream.words(start + i, np.zeros(1, np.uint64))[:, 0] for i in range(4)]
    np.testing.assert_array_equal(together, np.stack(alone, axis=1))


@pytest.mark.parametrize(
    "make", [random.random_uniform, random.random_normal, random.truncated_normal]
)
def test_how_much_is_drawn_at_a_time_does_not_matter(monkeypatch, make):
    def values():
        with Graph().as_default() as graph, Session(graph=graph) as session:
            return session.run(make([1001], seed=3))

    whole = values()
    monkeypatch.setattr(random, "BATCH", 7)
    np.testing.assert_array_equal(values(), whole)


def test_seeds_follow_tensorflows_rules():
    with Graph().as_default() as graph:
        assert random.get_seed(None) == (None, None)
        assert random.get_seed(7) == (87654321, 7)
        graph.seed = 1234
        assert [random.get_seed(None), random.get_seed(5), random.get_seed(None)] == [
            (1234, 0),
            (1234, 5),
            (1234, 1),
        ]
        graph.seed = 0
        assert random.get_seed(0) == (0, 2**31 - 1)


def test_sessions_begin_the_stream_anew_and_runs_continue_it():
    with Graph().as_default() as graph:
        x = random.random_uniform([3], seed=1)
        with Session(graph=graph) as session:
            first, second = session.run(x), session.run(x)
        with Session(graph=graph) as session:
            again = session.run(x)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_without_seeds_sessions_differ():
    with Graph().as_default() as graph:
        x = random.random_uniform([8])
        values = []
        for _ in range(2):
            with Session(graph=graph) as session:
                values.append(session.run(x))
    assert not np.array_equal(*values)


def test_nodes_are_named_as_tensorflow_names_them():
    with Graph().as_default() as graph:
        assert random.random_uniform([2]).name == "random_uniform/RandomUniform:0"
        assert random.random_uniform([2], 1.0, 4.0).name == "random_uniform_1:0"
        assert random.random_uniform([2], 0, 7, dtype=np.int32).name == "random_uniform_2:0"
        assert random.random_normal([2]).name == "random_normal:0"
        names = [
            node.name
            for node in graph.get_operations()
            if node.name.startswith(("random_uniform_1", "random_normal"))
        ]
    assert sorted(names) == [
        "random_normal", "random_normal/RandomStandardNormal", "random_normal/mean", "random_normal/mul",
        "random_normal/shape", "random_normal/stddev", "random_uniform_1", "random_uniform_1/RandomUniform",
        "random_uniform_1/max", "random_uniform_1/min", "random_uniform_1/mul", "random_uniform_1/shape",
        "random_uniform_1/sub",
    ]  # fmt: skip


def test_distributions_have_the_moments_they_claim():
    with Graph().as_default() as graph, Session(graph=graph) as session:
        normal, cut, uniform = session.run([
            random.random_normal([20000], 1.0, 2.0, seed=1), random.truncated_normal([20000], seed=2),
            random.random_uniform([20000], -1.0, 1.0, seed=3),
        ])  # fmt: skip
    assert abs(normal.mean() - 1) < 0.05
    assert abs(normal.std() - 2) < 0.05
    assert np.abs(cut).max() < 2
    assert abs(uniform.mean()) < 0.02
    assert uniform.min() >= -1


def test_a_shuffle_keeps_rows_whole():
    rows = np.arange(20).reshape(10, 2)
    with Graph().as_default() as graph, Session(graph=graph) as session:
        found = session.run(random.random_shuffle(constants.constant(rows), seed=4))
    assert sorted(map(tuple, found)) == sorted(map(tuple, rows))
    assert found.tolist() != rows.tolist()


def test_refuses_empty_ranges_and_integers_without_bound():
    with Graph().as_default() as graph:
        with pytest.raises(ValueError, match="Must specify maxval"):
            random.random_uniform([2], dtype=np.int32)
        with pytest.raises(ValueError, match="invalid value"):
            random.random_uniform([2], dtype=np.complex64)
        empty = random.random_uniform([2], 5, 5, dtype=np.int64)
        with (
            Session(graph=graph) as session,
            pytest.raises(InvalidArgumentError, match="minval < maxval"),
        ):
            session.run(empty)
