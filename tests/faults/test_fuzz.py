"""A short run of the fuzzer that the nightly build runs at length: RELIABILITY gate G19."""

import struct

import pytest

from ckpt.core.errors import CkptError
from tools.fuzz import fuzz
from tools.fuzzing.mutants import Mutator
from tools.fuzzing.subjects import subjects

NAMES = (
    "index", "header", "file", "chunks", "shards", "meta", "summary", "import", "json", "message",
    "saved_model", "state", "records", "position",
)  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return subjects(tmp_path_factory.mktemp("fuzz"))


def test_every_format_has_its_short_run(known):
    assert tuple(known) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_mutants_are_read_or_refused_typed(known, name):
    subject = known[name]
    subject.parse(subject.seal(subject.raw))  # what is not changed is read
    tried, accepted, made, what = fuzz(subject, seed=1, inputs=1000, seconds=20)
    assert made is None, (what, made)
    assert tried >= 100
    assert 0 < accepted < tried  # the mutants are near enough to pass, and far enough to be refused


def test_mutants_reach_behind_the_checksums(known):
    """A mutant that a checksum catches tries nothing; so nearly none is refused for that."""
    mutator, caught = Mutator(2), 0
    for name in ("file", "chunks", "shards", "meta", "saved_model", "state"):
        for _ in range(100):
            try:
                known[name].parse(known[name].mutant(mutator))
            except CkptError as error:
                caught += "does not match its checksum" in str(error)
    assert caught < 60


def test_the_seed_decides_what_is_tried(known):
    def mutants(seed):
        mutator = Mutator(seed)
        return [known["message"].mutant(mutator) for _ in range(20)]

    assert mutants(1) == mutants(1) != mutants(2)


def test_the_fuzzer_notices_what_is_untyped_and_what_is_slow(known):
    subject = subjects_with(known["state"], lambda data: struct.unpack("<Q", data))
    tried, _, made, what = fuzz(subject, seed=1, inputs=10, seconds=5)
    assert (tried, what.partition(":")[0]) == (0, "error")
    assert made
    subject = subjects_with(known["state"], len)
    assert fuzz(subject, seed=1, inputs=10, seconds=5, slow=-1)[3].startswith("took")


def subjects_with(subject, parse):
    return type(subject)(subject.raw, parse, seal=subject.seal, tree=subject.tree)
