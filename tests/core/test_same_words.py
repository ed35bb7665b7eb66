"""Names that say the same in other words, and names that have only moved."""

import pytest

from ckpt.core.same_words import is_moved, meaning


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("net/dense/kernel", "net/dense/weights"),
        ("net.dense.weight", "net/dense/w"),
        ("bn/gamma", "BN/scale"),
        ("bn/movingMean", "bn/running_mean"),
        ("a/embedding_table:0", "a/embeddings"),
        ("conv_1/bias", "conv1/b"),
    ],
)
def test_these_mean_the_same(a, b):
    assert meaning(a) == meaning(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a/kernel", "a/bias"),
        ("a/gamma", "a/offset"),
        ("a/moving_mean", "a/moving_variance"),
        ("conv_1_1/w", "conv_11/w"),
        ("a/w", "b/w"),
        ("a/w/Adam", "a/w"),
    ],
)
def test_these_do_not(a, b):
    assert meaning(a) != meaning(b)


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        ("old/dense/kernel", "net/dense/kernel", True),
        ("dense/kernel", "net/dense/weights", True),
        ("w", "net/w", False),
        ("old/w", "net/w", False),
        ("net/dense_1/w", "net/dense_2/w", False),
        ("net/dense/w", "net/dense_1/w", False),
        ("net/dense/w", "net/dense/b", False),
        ("x/y/dense/w", "dense/w", False),
    ],
)
def test_a_name_has_moved_when_one_scope_has_changed(held, wanted, expected):
    assert is_moved(held, wanted) is expected
    assert is_moved(wanted, held) is expected
