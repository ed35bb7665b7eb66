"""Which checkpoints go when one more is saved."""

from hypothesis import given
from hypothesis import strategies as st

from ckpt.saver.retention import Policy, Saved, after_save

NEVER = 1e12


def saved_in_order(names, policy, preserve_after=NEVER, step=1.0):
    remembered, deleted, preserved = (), [], []
    for number, name in enumerate(names):
        decision = after_save(remembered, Saved(name, number * step), policy, preserve_after)
        remembered, preserve_after = decision.remaining, decision.preserve_after
        deleted += decision.delete
        preserved += decision.preserved
    return [saved.name for saved in remembered], deleted, preserved


def test_the_newest_are_kept_and_the_oldest_go():
    assert saved_in_order("abcde", Policy(3)) == (["c", "d", "e"], ["a", "b"], [])


def test_keeping_all_remembers_none():
    for keep_all in (0, None):
        assert saved_in_order("abc", Policy(keep_all)) == ([], [], [])


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
    assert decision.delete == ("a", "b", "c")


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
