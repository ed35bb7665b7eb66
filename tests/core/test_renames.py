"""Rename rules: what each makes of a name, in which order, and which mistakes are refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.core import renames
from ckpt.core.errors import SelectionError


def named(value):
    """A parameter as text that is the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


@pytest.mark.parametrize(
    ("rule", "name", "new"),
    [
        ({"a/w": "b/w"}, "a/w", "b/w"),
        ({"a/": "b/"}, "a/w", "b/w"),
        ({"net.": ""}, "net.w", "w"),
        ({"": "net/"}, "a/w", "net/a/w"),
        (("a", "b"), "a/w", "b/w"),
        (("old/", "new/x/"), "old/w", "new/x/w"),
        ({"**/weights": "**/kernel"}, "a/b/weights", "a/b/kernel"),
        ({"**/weights": "**/kernel"}, "weights", "kernel"),
        ({"*/x?/**": "top/*/y?/**"}, "a/x1/b/c", "top/a/y1/b/c"),
        ({"**.w": "**.weight"}, "l.0.w", "l.0.weight"),
        ({r"re:layer_(\d+)": r"block_\1"}, "layer_12/w", "block_12/w"),
        ((re.compile(r"_(\d+)"), r"-\1"), "a_1/b_2", "a-1/b-2"),
        ((re.compile("[A-Z]"), lambda m: m[0].lower()), "AbC", "abc"),
        (str.lower, "Conv/W", "conv/w"),
        ("ema", "w/ExponentialMovingAverage", "w"),
        ("module.", "module.fc.weight", "fc.weight"),
        ("object", "dense/kernel/.ATTRIBUTES/VARIABLE_VALUE", "dense/kernel"),
        ("lower", "Conv/W", "conv/w"),
        ([("a/", "b/"), {"b/w": "c/w"}], "a/w", "c/w"),
    ],
    ids=named,
)
def test_a_rule_makes_this_of_that_name(rule, name, new):
    found = renames.renamed([name, "zzz"], rule)
    assert found.renamed[name] == new
    assert found.sources[new] == name
    assert found.reverse()[new] == name


def test_a_dict_is_one_rule_and_can_swap():
    found = renames.renamed(["a", "b"], {"a": "b", "b": "a"})
    assert found.sources == {"b": "a", "a": "b"}


def test_of_a_dict_the_whole_name_wins_then_the_longest_prefix_then_the_first_pattern():
    rules = {"re:w$": "pattern", "a/": "short/", "a/b/": "long/", "a/b/w": "whole"}
    found = renames.renamed(["a/b/w", "a/b/v", "a/v", "c/w"], rules).renamed
    assert found == {"a/b/w": "whole", "a/b/v": "long/v", "a/v": "short/v", "c/w": "c/pattern"}


def test_moving_averages_take_the_place_of_their_variables():
    found = renames.renamed(["w", "w/ExponentialMovingAverage", "b"], "ema")
    assert found.sources == {"w": "w/ExponentialMovingAverage", "b": "b"}
    assert found.hidden == ("w",)


def test_rules_that_fit_nothing_are_all_named():
    with pytest.raises(
        SelectionError, match=r"(?s)2 rename rules fit none of 1 names.*'x/': 'y/'.*'q': 'r'"
    ):
        renames.renamed(["a"], [{"x/": "y/", "a": "b"}, {"q": "r"}])
    assert renames.renamed(["a"], {"x/": "y/"}, allow_idle=True).idle == ("'x/': 'y/'",)


def test_collisions_are_all_named():
    names = ["a/w", "b/w", "a/v", "b/v", "c"]
    with pytest.raises(SelectionError, match=r"(?s)2 names to several.*w: a/w, b/w"):
        renames.renamed(names, (re.compile("^[ab]/"), ""))
    found = renames.renamed(names, (re.compile("^[ab]/"), ""), wanted={"c"})
    assert found.sources["c"] == "c"
    with pytest.raises(SelectionError, match="c: "):
        renames.renamed(names, {"a/w": "c"})


@pytest.mark.parametrize(
    ("rule", "error", "told"),
    [
        ("emma", SelectionError, "unknown rename preset 'emma'.*'ema'"),
        ({"re:(": ""}, SelectionError, "no regular expression"),
        ({"re:a": r"\2"}, SelectionError, "cannot replace"),
        ({"*/a": "b"}, SelectionError, "same wildcards"),
        ({"a": 5}, TypeError, "not .'a', 5"),
        (("a", "b", "c"), TypeError, "not"),
        (7, TypeError, "not 7"),
        (lambda name: 5, TypeError, "returned 5"),
        ({"a": ""}, SelectionError, "leave nothing"),
    ],
    ids=named,
)
def test_what_is_no_rule_is_refused(rule, error, told):
    with pytest.raises(error, match=told):
        renames.renamed(["a"], rule)


@given(st.lists(st.text("ab/.*?\\", min_size=1, max_size=6), unique=True, min_size=1))
def test_the_way_back_leads_back(names):
    """One key per name, whatever letters it has, and the reverse of what came out."""
    there = renames.renamed(names, {renames.whole(name): f"new{i}" for i, name in enumerate(names)})
    assert there.reverse() == {f"new{i}": name for i, name in enumerate(names)}


def test_a_tensor_without_a_name_keeps_it():
    assert renames.renamed(["", "a"], None).sources == {"": "", "a": "a"}
    assert renames.renamed(["", "a"], {"a": "b"}).sources == {"": "", "b": "a"}
    with pytest.raises(SelectionError, match="leave nothing of the names a"):
        renames.renamed(["", "a"], {"": "x", "a": ""}, allow_idle=True)
