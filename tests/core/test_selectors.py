"""Selectors: what each pattern takes, and what the writer of a wrong one is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.core.errors import SelectionError
from ckpt.core.selectors import Candidate, glob, parse, select

NAMES = [
    "kernel", "dense/kernel", "dense/bias", "net/dense/kernel", "dense/kernel/Adam", "dense/kernel/Adam_1",
    "beta1_power", "dense/kernel/ExponentialMovingAverage", "layers.0.weight", "layers.10.weight", "conv1/w", "conv12/w",
]  # fmt: skip
FILE = [Candidate(name, "float32") for name in NAMES]


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ("dense/kernel", ["dense/kernel"]),
        ("*/kernel", ["dense/kernel"]),
        ("**/kernel", ["kernel", "dense/kernel", "net/dense/kernel"]),
        ("dense/**", [n for n in NAMES if n.startswith("dense/")]),
        ("d**l", ["dense/kernel"]),
        ("conv?/w", ["conv1/w"]),
        ("layers.*.weight", ["layers.0.weight", "layers.10.weight"]),
        ("**.weight", ["layers.0.weight", "layers.10.weight"]),
        (r"re:conv\d+/w", ["conv1/w", "conv12/w"]),
        ("@slots", ["dense/kernel/Adam", "dense/kernel/Adam_1", "beta1_power"]),
        ("@ema", ["dense/kernel/ExponentialMovingAverage"]),
        ("@scope:net", ["net/dense/kernel"]),
        (["**/kernel", "!@scope:net"], ["kernel", "dense/kernel"]),
        (["!@slots", "dense/**", "!@ema"], ["dense/kernel", "dense/bias"]),
        (["!dense/**", "!**.weight"], ["kernel", "net/dense/kernel", "beta1_power", "conv1/w", "conv12/w"]),
        (["conv1/w", "kernel"], ["kernel", "conv1/w"]),
    ],
)  # fmt: skip
def test_patterns_take_these_names_in_the_order_of_the_candidates(patterns, found):
    assert select(patterns, FILE) == found


def test_a_star_stops_at_the_separator_and_two_do_not():
    assert select("**", FILE) == NAMES
    assert select("*", FILE) == ["kernel", "beta1_power"]
    with pytest.raises(SelectionError, match=r"layers\.0\.weight"):
        select("*.weight", FILE)


def test_words_ask_the_graph_and_the_dtype():
    graph = [
        Candidate("w", "float32", frozenset({"variables", "trainable_variables"})),
        Candidate("step", "int64", frozenset({"variables", "global_step"})),
        Candidate("w/MyAdam", "bfloat16", frozenset({"variables"}), is_slot=True),
        Candidate("local", "float32", frozenset({"local_variables"})),
    ]
    assert select("@trainable", graph) == ["w"]
    assert select("@global", graph) == ["w", "step", "w/MyAdam"]
    assert select("@float", graph) == ["w", "w/MyAdam", "local"]
    assert select("@collection:global_step", graph) == ["step"]
    assert select(["@global", "!@slots"], graph) == ["w", "step"]


def test_a_file_has_no_collections():
    with pytest.raises(SelectionError, match=r"'@trainable'.*give the graph"):
        select("@trainable", FILE)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("re:conv(", r"'re:conv\(': no regular expression: .*at position 4"),
        ("@nothing", r"unknown word\. Known: @slots"),
        ("@slot", "unknown word; did you mean @slots.*@collection:NAME"),
        ("@scope", "needs a name"),
        ("!", "empty"),
        ("", "empty"),
        ("dense/kernal", "match none of 12 variables.*dense/kernel"),
        ("dense", r"dense/\*\* \(5 names\)"),
        ("DENSE/bias", "dense/bias"),
        ("!nothing/**", r"'!nothing/\*\*'\nThere are \S+, \S+, \S+, \S+, \S+, …$"),
        (["kernel", "!kernel"], "select none of 12"),
    ],
)
def test_the_writer_is_told_what_is_wrong(pattern, told):
    with pytest.raises(SelectionError, match=f"(?s){told}"):
        select(pattern, FILE)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(SelectionError) as caught:
        parse(["re:(", "@nope", "fine", "re:["])
    assert str(caught.value).startswith("3 of 4 selectors")
    with pytest.raises(SelectionError) as caught:
        select(["nope", "kernel", "neither/**"], FILE)
    assert "'nope'" in str(caught.value)
    assert "'neither/**'" in str(caught.value)


def test_leaving_out_slots_where_there_are_none_is_no_mistake():
    assert select(["**", "!@slots"], [Candidate("w")]) == ["w"]
    assert select("nope", FILE, allow_empty=True) == []


def test_what_is_no_text_is_a_type_error():
    with pytest.raises(TypeError, match="not 5"):
        parse([5])


@given(st.text("ab/.*?", max_size=8), st.text("ab/.", max_size=10))
def test_a_glob_means_what_its_wildcards_mean(pattern, name):
    """Against a second reading of the rules, by recursion."""

    def matches(p, n):
        if not p:
            return not n
        if p.startswith("**"):
            at_start = len(p) == len(pattern) or pattern[len(pattern) - len(p) - 1] == "/"
            if at_start and p.startswith("**/"):
                rest = p[3:]
                return matches(rest, n) or any(
                    matches(rest, n[i + 1 :]) for i, c in enumerate(n) if c == "/"
                )
            return any(matches(p[2:], n[i:]) for i in range(len(n) + 1))
        if p[0] == "*":
            stop = (n + "/").index("/")
            return any(matches(p[1:], n[i:]) for i in range(stop + 1))
        return bool(n) and (p[0] == n[0] or (p[0] == "?" and n[0] != "/")) and matches(p[1:], n[1:])

    if "***" not in pattern:
        assert (glob(pattern, "/").fullmatch(name) is not None) == matches(pattern, name)
