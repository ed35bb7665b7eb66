"""Counts of opened scopes, beside a dict that is copied and searched through."""

from hypothesis import given
from hypothesis import strategies as st

from ckpt.model.scope_counts import ScopeCounts

NAMES = st.sampled_from(["", "a", "b", "a/b", "a/b/c", "a_1", "a/b_1", "/a", "a//b", "a/"])


def plain_unique(counts, name):
    if not counts.get(name):
        return name
    number = 1
    while counts.get(f"{name}_{number}"):
        number += 1
    return f"{name}_{number}"


BLOCKS = st.recursive(
    st.tuples(st.sampled_from(["name", "default"]), NAMES, st.just(())),
    lambda inner: st.tuples(
        st.sampled_from(["name", "default", "again"]), NAMES, st.lists(inner, max_size=4)
    ),
    max_leaves=12,
)


def walk(blocks, mine, counts):
    for kind, wanted, inner in blocks:
        name = wanted
        if kind == "default":
            name = plain_unique(counts, wanted)
            assert mine.unique(wanted) == name
        mine.opened(name)
        counts[name] = counts.get(name, 0) + 1
        if kind == "again":
            mark, kept = mine.mark(), dict(counts)
            walk(inner, mine, counts)
            mine.take_back(mark)
            counts.clear()
            counts.update(kept)
        else:
            walk(inner, mine, counts)
            mine.forget_below(name)
            for other in [n for n in counts if n.startswith(f"{name}/")]:
                del counts[other]


@given(st.lists(BLOCKS, max_size=6))
def test_unique_names_are_those_of_a_plain_dict(blocks):
    mine, counts = ScopeCounts(), {}
    walk(blocks, mine, counts)
    for name in ("", "a", "b", "a/b", "a/b/c", "a/", "/a", "a//b"):
        assert mine.unique(name) == plain_unique(counts, name)
