"""What a mistyped name may mean."""

from ckpt.core.spelling import scopes_of, similar


def test_the_nearest_names_end_the_sentence():
    names = ["dense/kernel", "dense/bias", "conv/kernel", "dense/kernel"]
    assert similar("dense/kernal", names) == "; similar: dense/kernel, dense/bias, conv/kernel"
    assert similar("zzz", names) == ""
    assert similar("x", []) == ""


def test_scopes_of_names():
    assert scopes_of(["a/b/c", "a/d", "e", "/f"]) == {"a", "a/b"}
