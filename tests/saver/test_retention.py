"""Which checkpoints go when one more is saved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.saver.retention import (
    BestN,
    EveryNHours,
    EveryNSteps,
    LatestN,
    Policy,
    Saved,
    after_save,
    checked_rules,
    choose,
    is_of,
    numbered,
)

NEVER = 1e12


def saved_in_order(names, policy, preserve_after=NEVER, step=1.0):
    remembered, deleted, preserved = (), [], []
    for number, name in enumerate(names):
        decision = after_save(remembered, Saved(name, number * step), policy, preserve_after)
        remembered, preserve_after = decision.remaining, decision.preserve_after
        deleted += decision.delete
        preserved += [saved.name for saved in decision.preserved]
    return [saved.name for saved in remembered], deleted, preserved


def test_the_newest_are_kept_and_the_oldest_go():
    assert saved_in_order("abcde", Policy(3)) == (["c", "d", "e"], ["a", "b"], [])


def test_keeping_all_deletes_none():
    for keep_all in (0, None):
        assert saved_in_order("abc", Policy(keep_all)) == (["a", "b", "c"], [], [])


def test_saving_a_name_again_makes_it_the_newest():
    assert saved_in_order("abcab", Policy(3)) == (["c", "a", "b"], [], [])


def test_one_per_interval_is_kept_for_good():
    policy = Policy(1, keep_every_n_hours=1)
    names = [f"m-{half_hour}" for half_hour in range(7)]
    remaining, deleted, preserved = saved_in_order(
        names, policy, policy.first_preserve_after(0), step=1800
    )
    assert remaining == ["m-6"]
    assert preserved == ["m-3", "m-5"]
    assert deleted == ["m-0", "m-1", "m-2", "m-4"]


def test_a_smaller_limit_applies_to_what_an_earlier_saver_left():
    old = tuple(Saved(name, 0) for name in "abcd")
    decision = after_save(old, Saved("e", 1), Policy(2), NEVER)
    assert [saved.name for saved in decision.remaining] == ["d", "e"]
    assert list(decision.delete) == ["a", "b", "c"]


@given(st.lists(st.sampled_from("abcdefgh"), max_size=30), st.integers(1, 4))
def test_the_newest_is_never_deleted_and_no_more_than_the_limit_remain(names, limit):
    remembered = ()
    for number, name in enumerate(names):
        decision = after_save(remembered, Saved(name, number), Policy(limit), NEVER)
        assert name not in decision.delete
        assert len(decision.remaining) <= limit
        before = {saved.name for saved in remembered} | {name}
        assert before == {saved.name for saved in decision.remaining} | set(decision.delete)
        remembered = decision.remaining


def kept_by(rule, saved):
    return sorted(rule.kept(saved))


def test_the_latest_n_are_the_end_of_the_list():
    assert kept_by(LatestN(2), [Saved(name, 0) for name in "abc"]) == ["b", "c"]


def test_every_n_steps_keeps_the_first_at_or_after_each_multiple():
    saved = [Saved(f"m-{step}", 0, step) for step in (0, 40, 95, 105, 150, 200, 420)]
    assert kept_by(EveryNSteps(100), saved) == ["m-0", "m-105", "m-200", "m-420"]
    assert kept_by(EveryNSteps(100), [Saved("m", 0)]) == []


def test_every_n_hours_counts_from_the_one_kept_before():
    saved = [Saved(f"m-{minute}", minute * 60) for minute in (0, 30, 59, 70, 100, 131)]
    assert kept_by(EveryNHours(1), saved) == ["m-0", "m-131", "m-70"]


def test_every_n_hours_counts_anew_where_the_clock_was_set_back():
    times = [9e8, 9e8 + 10, 1000, 2000, 4600, 4700]
    saved = [Saved(f"m-{place}", when) for place, when in enumerate(times)]
    assert kept_by(EveryNHours(1), saved) == ["m-0", "m-2", "m-4"]


def test_the_best_are_those_of_the_metric_and_the_newer_of_equals():
    saved = [
        Saved("a", 0, metrics={"loss": 2.0}),
        Saved("b", 1, metrics={"loss": 1.0}),
        Saved("c", 2),
        Saved("d", 3, metrics={"loss": float("nan"), "accuracy": 1.0}),
        Saved("e", 4, metrics={"loss": 1.0}),
    ]
    assert kept_by(BestN("loss"), saved) == ["e"]
    assert kept_by(BestN("loss", 2), saved) == ["b", "e"]
    assert kept_by(BestN("loss", mode="max"), saved) == ["a"]
    assert kept_by(BestN("accuracy", 3, "max"), saved) == ["d"]


@pytest.mark.parametrize(
    "make",
    [lambda: LatestN(0), lambda: EveryNSteps(-1), lambda: EveryNHours(0), lambda: BestN("a", 0),
     lambda: BestN("a", mode="best")],
)  # fmt: skip
def test_a_rule_that_means_nothing_is_refused(make):
    with pytest.raises(ValueError, match=r"(LatestN|EveryN|BestN).*expected"):
        make()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: LatestN("a"), "LatestN.n is 'a'; expected an integer above 0"),
        (lambda: LatestN(2.5), "LatestN.n is 2.5; expected an integer"),
        (lambda: EveryNHours("1"), "EveryNHours.hours is '1'; expected a number"),
        (lambda: BestN("loss", None), "BestN.n is None; expected an integer"),
        (lambda: BestN(3), "BestN.metric is 3; expected"),
    ],
)
def test_a_rule_of_another_type_is_refused_before_anything_is_saved(make, told):
    with pytest.raises(TypeError, match=told):
        make()


@pytest.mark.parametrize("rules", [3, [3], [LatestN(1), None], "ab", LatestN(1)])
def test_what_is_no_list_of_rules_is_told_with_one_that_is(rules):
    with pytest.raises(TypeError, match=r"expected a list of rules, such as \[LatestN\(5\)"):
        checked_rules(rules)
    assert checked_rules([]) == ()
    assert checked_rules(iter([LatestN(np.int64(2))])) == (LatestN(2),)


def test_a_choice_keeps_what_any_rule_keeps_and_says_why():
    saved = [
        Saved("m-1", 0, 1, pinned=True),
        Saved("m-2", 1, 2, preserved=True),
        Saved("m-3", 2, 3),
        Saved("m-4", 3, 4, metrics={"loss": 0.5}),
        Saved("m-5", 4, 5),
        Saved("m-6", 5, 6),
    ]
    choice = choose(saved, [LatestN(1), BestN("loss")], in_use={"m-5"})
    assert choice.keep == {
        "m-1": "pinned",
        "m-2": "kept for good, by keep_checkpoint_every_n_hours",
        "m-4": "min loss is 0.5",
        "m-5": "was just restored",
        "m-6": "one of the newest 1",
    }
    assert choice.delete == {"m-3": "no rule keeps it"}


def test_after_a_save_rules_and_pins_keep_beyond_the_limit():
    policy = Policy(1, rules=(BestN("loss"),))
    old = (
        Saved("a", 0, pinned=True),
        Saved("b", 1, metrics={"loss": 1.0}),
        Saved("c", 2),
        Saved("d", 3),
    )
    decision = after_save(old, Saved("e", 4, metrics={"loss": 2.0}), policy, NEVER, in_use={"c"})
    assert [saved.name for saved in decision.remaining] == ["a", "b", "c", "e"]
    assert decision.delete == {"d": "there is a newer one, and max_to_keep is 1"}
    better = after_save(decision.remaining, Saved("f", 5, metrics={"loss": 0.5}), policy, NEVER)
    assert [saved.name for saved in better.remaining] == ["a", "f"]


@given(
    st.lists(st.tuples(st.integers(0, 500), st.floats(-1, 1)), max_size=20, unique_by=lambda p: p[0]),
    st.integers(1, 5), st.integers(1, 100),
)  # fmt: skip
def test_choosing_again_among_the_kept_deletes_no_more(pairs, n, steps):
    saved = [Saved(f"m-{s}", s * 60.0, s, {"loss": loss}) for s, loss in sorted(pairs)]
    rules = [LatestN(n), EveryNSteps(steps), EveryNHours(1), BestN("loss", n)]
    choice = choose(saved, rules)
    assert {s.name for s in saved} == set(choice.keep) | set(choice.delete)
    left = [s for s in saved if s.name in choice.keep]
    assert not choose(left, rules).delete


def test_prefixes_of_a_save_path_are_recognised():
    assert numbered("a/m-0012") == 12
    assert numbered("a/m-x") is None
    assert numbered("12") is None
    mine = is_of("d/m")
    assert [p for p in ("d/m", "d/m-3", "d/m-3-4", "d/mm-3", "e/m-3") if mine(p)] == [
        "d/m",
        "d/m-3",
    ]
