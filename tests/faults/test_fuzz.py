"""A short run of the fuzzer that the nightly build runs at length: RELIABILITY gate G19."""

import pytest

from tools.fuzz import fuzz, subjects

NAMES = ("index", "file", "meta", "json", "state", "shards")


@pytest.mark.parametrize("name", NAMES)
def test_mutants_are_read_or_refused_typed(tmp_path, name):
    subject = subjects(tmp_path)[name]
    subject.parse(subject.seal(subject.raw)) if name not in ("shards", "index") else None
    tried, accepted, made, what = fuzz(subject, seed=1, inputs=1500, seconds=20)
    assert made is None, (what, made)
    assert tried >= 100
    assert accepted < tried  # most are refused


def test_the_fuzzer_notices_what_is_untyped(tmp_path):
    subject = subjects(tmp_path)["state"]

    def parse(data):
        raise IndexError(data[:3])

    subject.parse = parse
    tried, _, made, what = fuzz(subject, seed=1, inputs=10, seconds=5)
    assert (tried, what.partition(":")[0]) == (0, "IndexError")
    assert made
