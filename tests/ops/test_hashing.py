"""Hashes of strings: TensorFlow's buckets (compared with it by the rows) and published values."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from ckpt.ops import hashing
from tests.conformance.ops import case, conformance, normal

LENGTHS = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200]
TEXTS = np.empty(len(LENGTHS), object)
TEXTS[:] = [bytes((i * 37 + n) % 256 for i in range(n)) for n in LENGTHS]
MANY = 2**62
KEY = [-1, 123456789]

TestBuckets = conformance([
    case(OPS["StringToHashBucket"], TEXTS, num_buckets=MANY, grad=0),
    case(OPS["StringToHashBucketFast"], TEXTS, num_buckets=MANY, grad=0),
    case(OPS["StringToHashBucketStrong"], TEXTS, num_buckets=MANY, key=KEY, grad=0),
    case(OPS["StringToHashBucketStrong"], TEXTS, num_buckets=7, key=[1], raises=InvalidArgumentError, match="2 elements"),
    case(OPS["StringToHashBucketFast"], np.array([[b"a"]], object), num_buckets=1, grad=0),
    case(OPS["Fingerprint"], normal(3, 5), "farmhash64", grad=0),
    case(OPS["Fingerprint"], TEXTS, "farmhash64", grad=0),
    case(OPS["Fingerprint"], TEXTS[:20].reshape(10, 2), "farmhash64", grad=0),
    case(OPS["Fingerprint"], TEXTS, "md5", raises=ValueError, match="Unsupported"),
])  # fmt: skip


def test_siphash_of_the_paper():
    """Aumasson and Bernstein 2012, appendix A."""
    key = bytes(range(16))
    words = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    assert hashing.siphash(bytes(range(15)), words) == 0xA129CA6149BE45E5


def test_buckets_begin_at_one():
    with pytest.raises(ValueError, match="minimum"):
        tf.string_to_hash_bucket_fast(["a"], 0)


def test_names_that_programs_use():
    with tf.Session() as session:
        a, b = session.run(
            [
                tf.string_to_hash_bucket(["x"], 9),
                tf.strings.to_hash_bucket(input=["x"], num_buckets=9),
            ]
        )
    assert a.tolist() == b.tolist()
