"""The order after a shuffle, by the steps one after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.ops.random_order import shuffled


def step_by_step(jumps):
    order = list(range(len(jumps) + 1))
    for here, jump in enumerate(jumps):
        order[here], order[here + jump] = order[here + jump], order[here]
    return order


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_all_steps_at_once_leave_what_one_after_the_other_leaves(data):
    count = data.draw(st.integers(0, 12))
    jumps = [data.draw(st.integers(0, count - here)) for here in range(count)]
    assert shuffled(np.array(jumps, np.uint32)).tolist() == step_by_step(jumps)


@pytest.mark.parametrize("jump", ["first", "last", "next", "any"])
def test_many_steps(jump):
    count = 5000
    left = np.arange(count, 0, -1)
    any_of_them = np.random.default_rng(2).integers(0, left + 1)
    jumps = {"first": 0 * left, "last": left, "next": np.minimum(left, 1), "any": any_of_them}[jump]
    assert shuffled(jumps.astype(np.uint32)).tolist() == step_by_step(jumps.tolist())
