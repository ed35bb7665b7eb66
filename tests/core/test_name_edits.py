"""What may have happened to a name: rules that lead there, and words for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.core import renames
from ckpt.core.name_edits import MOST_EDITS, described, guesses, layers

parts = st.lists(st.sampled_from(["a", "b1", "conv_2", "w", "x.y", "Big"]), min_size=1, max_size=4)


def applied(rules, name):
    return renames.function([r if isinstance(r, str) else {r[0]: r[1]} for r in rules])(name)


@given(parts, parts)
def test_some_guess_leads_to_the_name(held, wanted):
    """Whenever few parts have changed; and every guess is one that `rename=` takes."""
    held, wanted = "/".join(held), "/".join(wanted)
    found = guesses(held, wanted)
    led = [rules for rules in found if applied(rules, held) == wanted]
    changes = sum(a != b for a, b in zip(held.split("/"), wanted.split("/"), strict=False))
    if (
        held != wanted
        and held.count("/") == wanted.count("/")
        and changes == 1
        and "." not in held + wanted
    ):
        assert led, (held, wanted, found)
    assert held != wanted or found == []


@pytest.mark.parametrize(
    ("held", "wanted", "rule"),
    [
        ("old/a/w", "new/a/w", [("old/", "new/")]),
        ("a/weights", "a/kernel", [("**/weights", "**/kernel")]),
        ("w/ExponentialMovingAverage", "w", ["ema"]),
        ("w/.ATTRIBUTES/VARIABLE_VALUE", "w", ["object"]),
        ("Conv/W", "conv/w", ["lower"]),
        ("fc.weight", "fc/weight", [(r"re:\.", "/")]),
        ("net/layer_3/w", "net/block3/w", [(r"re:(^|/)layer_(\d+)(?=/|$)", r"\1block\g<2>")]),
        ("a/x/w", "a/w", [("re:(^|/)x/", r"\1")]),
    ],
)
def test_the_rule_that_a_person_would_write_is_among_the_guesses(held, wanted, rule):
    assert rule in guesses(held, wanted)


def test_names_with_nothing_in_common_give_no_guess():
    assert guesses("a/b/c/d/e/f/g", "b/a/d/c/f/e/x/y") == []
    assert MOST_EDITS == 3


@pytest.mark.parametrize(
    ("held", "wanted", "words"),
    [
        ("old/w", "new/w", "scope 'old' became 'new'"),
        ("net/w", "w", "without scope 'net'"),
        ("w", "net/w", "with scope 'net' more"),
        ("a/w_1", "a/w", "without the suffix '_1'"),
        ("a/w", "a/w_2", "with the suffix '_2'"),
        ("A/w", "a/W", "other capital letters"),
        ("a.w", "a/w", "other separators"),
        ("w/ExponentialMovingAverage", "w", "the moving average of w"),
        ("w/.ATTRIBUTES/VARIABLE_VALUE", "w", "its key in checkpoints of objects"),
        ("w/part_0", "w", "a part of it, saved under a name of its own"),
    ],
)
def test_changes_are_told_in_words(held, wanted, words):
    assert described(held, wanted) == words


def test_layers_are_what_stands_before_the_common_end():
    assert layers("net/conv_51/kernel", "net/conv_1/kernel") == ("net/conv_51/", "net/conv_1/")
    assert layers("a.b.w", "c.w") == ("a.b.", "c.")
    assert layers("a", "b") == ("a", "b")
