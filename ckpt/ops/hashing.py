"""Hashes of strings, the same as TensorFlow's: buckets for vocabularies, and fingerprints.

Sources: A. Appleby, MurmurHash64A; G. Pike, FarmHash's Fingerprint64; J.-P. Aumasson and D. Bernstein, "SipHash: a fast
short-input PRF" (2012), SipHash-2-4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core.errors import GraphError, InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import ANY, Attr
from ckpt.graph.static import constant_value
from ckpt.ops.families import same_shape
from ckpt.ops.text import each

WORD = (1 << 64) - 1
K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
BUCKETS = Attr("int", minimum=1)
NONE = "hashes have no derivative"


def _rotated(x: int, by: int) -> int:
    """The 64 bits of `x` turned right."""
    return (x >> by | x << (64 - by)) & WORD


def _mixed(x: int) -> int:
    return x ^ x >> 47


def _joined(u: int, v: int, mul: int) -> int:
    a = _mixed((u ^ v) * mul & WORD)
    return _mixed((v ^ a) * mul & WORD) * mul & WORD


def murmur64(data: bytes, seed: int = 0xDECAFCAFFE) -> int:
    """MurmurHash64A."""
    mul = 0xC6A4A7935BD1E995
    h = seed ^ len(data) * mul & WORD
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        k = int.from_bytes(data[at : at + 8], "little") * mul & WORD
        k = (k ^ k >> 47) * mul & WORD
        h = (h ^ k) * mul & WORD
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * mul & WORD
    h = (h ^ h >> 47) * mul & WORD
    return h ^ h >> 47


def farm_fingerprint64(data: bytes) -> int:
    """FarmHash's Fingerprint64, which never changes."""
    size = len(data)

    def word(at: int, width: int = 8) -> int:
        at = at if at >= 0 else size + at
        return int.from_bytes(data[at : at + width], "little")

    mul = (K2 + size * 2) & WORD
    if size > 64:
        return _farm_long(data, word)
    if size > 32:
        return _farm_to_64(word, mul)
    if size > 16:
        return _joined(*_farm_half(word, mul, K1), mul)
    if size >= 8:
        a, b = (word(0) + K2) & WORD, word(-8)
        return _joined((_rotated(b, 37) * mul + a) & WORD, (_rotated(a, 25) + b) * mul & WORD, mul)
    if size >= 4:
        return _joined((size + (word(0, 4) << 3)) & WORD, word(-4, 4), mul)
    if size:
        y, z = data[0] + (data[size >> 1] << 8), size + (data[-1] << 2)
        return _mixed(y * K2 & WORD ^ z * K0 & WORD) * K2 & WORD
    return K2


def _farm_half(word: Callable[..., int], mul: int, first: int) -> tuple[int, int]:
    a, b, c, d = word(0) * first & WORD, word(8), word(-8) * mul & WORD, word(-16) * K2 & WORD
    return (
        (_rotated((a + b) & WORD, 43) + _rotated(c, 30) + d) & WORD,
        (a + _rotated((b + K2) & WORD, 18) + c) & WORD,
    )


def _farm_to_64(word: Callable[..., int], mul: int) -> int:
    y, half = _farm_half(word, mul, K2)
    z = _joined(y, half, mul)
    a, e, f = word(0) * K2 & WORD, word(16) * mul & WORD, word(24)
    g, h = (y + word(-32)) * mul & WORD, (z + word(-24)) * mul & WORD
    return _joined(
        (_rotated((e + f) & WORD, 43) + _rotated(g, 30) + h) & WORD,
        (e + _rotated((f + a) & WORD, 18) + g) & WORD,
        mul,
    )


def _farm_long(data: bytes, word: Callable[..., int]) -> int:
    def weak(at: int, a: int, b: int) -> tuple[int, int]:
        w, x, y, z = (word(at + i) for i in (0, 8, 16, 24))
        a = (a + w) & WORD
        b = _rotated((b + a + z) & WORD, 21)
        c, a = a, (a + x + y) & WORD
        return (a + z) & WORD, (b + _rotated(a, 44) + c) & WORD

    x, y = 81, (81 * K1 + 113) & WORD
    z = _mixed((y * K2 + 113) & WORD) * K2 & WORD
    v, w = (0, 0), (0, 0)
    x = (x * K2 + word(0)) & WORD
    at, blocks = 0, (len(data) - 1) // 64
    for last in [False] * blocks + [True]:
        if last:
            at, rest = len(data) - 64, (len(data) - 1) & 63
            mul = (K1 + ((z & 0xFF) << 1)) & WORD
            w = ((w[0] + rest) & WORD, w[1])
            v = ((v[0] + w[0]) & WORD, v[1])
            w = ((w[0] + v[0]) & WORD, w[1])
        else:
            mul = K1
        scale = 9 if last else 1
        x = _rotated((x + y + v[0] + word(at + 8)) & WORD, 37) * mul & WORD
        y = _rotated((y + v[1] + word(at + 48)) & WORD, 42) * mul & WORD
        x ^= w[1] * scale & WORD
        y = (y + v[0] * scale + word(at + 40)) & WORD
        z = _rotated((z + w[0]) & WORD, 33) * mul & WORD
        v = weak(at, v[1] * mul & WORD, (x + w[0]) & WORD)
        w = weak(at + 32, (z + w[1]) & WORD, (y + word(at + 16)) & WORD)
        z, x = x, z
        at += 64
    return _joined(
        (_joined(v[0], w[0], mul) + _mixed(y) * K0 + z) & WORD,
        (_joined(v[1], w[1], mul) + x) & WORD,
        mul,
    )


def siphash(data: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 of `data` under a key of two 64-bit words."""
    k0, k1 = (k & WORD for k in key)
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]

    def rounds(count: int) -> None:
        for _ in range(count):
            for a, b, first, second in ((0, 1, 13, 32), (2, 3, 16, 0)):
                v[a] = (v[a] + v[b]) & WORD
                v[b] = _rotated(v[b], 64 - first) ^ v[a]
                v[a] = _rotated(v[a], 64 - second) if second else v[a]
            for a, b, first, second in ((2, 1, 17, 32), (0, 3, 21, 0)):
                v[a] = (v[a] + v[b]) & WORD
                v[b] = _rotated(v[b], 64 - first) ^ v[a]
                v[a] = _rotated(v[a], 64 - second) if second else v[a]

    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 0xFF])
    for at in range(0, len(padded), 8):
        m = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


@op("StringToHashBucket", "string_tensor: string -> output: int64", num_buckets=BUCKETS)
def string_to_hash_bucket_op(x, *, num_buckets):
    """The bucket of each string by MurmurHash64A."""
    return each(lambda t: murmur64(t) % num_buckets, x, dtype=np.int64)


@op("StringToHashBucketFast", "input: string -> output: int64", num_buckets=BUCKETS)
def string_to_hash_bucket_fast_op(x, *, num_buckets):
    """The bucket of each string by FarmHash's fingerprint."""
    return each(lambda t: farm_fingerprint64(t) % num_buckets, x, dtype=np.int64)


@op(
    "StringToHashBucketStrong", "input: string -> output: int64", num_buckets=BUCKETS, key=Attr("list(int)")
)  # fmt: skip
def string_to_hash_bucket_strong_op(x, *, num_buckets, key):
    """The bucket of each string by SipHash, which who does not know `key` cannot fill on purpose."""
    if len(key) != 2:
        raise InvalidArgumentError(None, None, f"Key must have 2 elements, got {len(key)}")
    return each(lambda t: siphash(t, (key[0], key[1])) % num_buckets, x, dtype=np.int64)


for _opdef in (
    string_to_hash_bucket_op,
    string_to_hash_bucket_fast_op,
    string_to_hash_bucket_strong_op,
):
    _opdef.shape(same_shape)
    _opdef.no_gradient(NONE)


@op("Fingerprint", "data: T, method: string -> fingerprint: uint8", T=ANY)
def fingerprint_op(data, method):
    """Eight bytes for each row of `data` (the first axis), by FarmHash's fingerprint: [rows, 8]."""
    if np.ndim(data) < 1:
        raise InvalidArgumentError(None, None, "`data` should be at least one dimensional tensor")
    name = bytes(np.asarray(method).item())
    if name != b"farmhash64":
        raise InvalidArgumentError(None, None, f"Unsupported fingerprint method: {name!r}")
    rows = data.reshape(len(data), -1)
    found = np.empty((len(data), 8), np.uint8)
    for i, row in enumerate(rows):
        found[i] = np.frombuffer(_row_fingerprint(row).to_bytes(8, "little"), np.uint8)
    return found


def _row_fingerprint(row: Any) -> int:
    if row.dtype != object:
        return farm_fingerprint64(np.ascontiguousarray(row).tobytes())
    if len(row) == 1:
        return farm_fingerprint64(row[0])
    words = b"".join(farm_fingerprint64(text).to_bytes(8, "little") for text in row)
    return farm_fingerprint64(words)


@fingerprint_op.shape
def fingerprint_shape(data, method):
    name = constant_value(method)
    if name is not None and bytes(np.asarray(name).item()) != b"farmhash64":
        raise GraphError(f"Unsupported fingerprint method: {np.asarray(name).item()!r}")
    sizes = data.shape.with_rank_at_least(1).sizes
    return [(None if sizes is None else sizes[0], 8)]


fingerprint_op.no_gradient(NONE)


def fingerprint(data: Any, method: Any = "farmhash64", name: str | None = None) -> Tensor:
    """Eight bytes for each row of `data` (the first axis): uint8 [rows, 8]."""
    return fingerprint_op(data, method, name=name)


def string_to_hash_bucket(
    string_tensor: Any = None, num_buckets: int | None = None, name: str | None = None,
    input: Any = None,
) -> Tensor:  # fmt: skip
    """The bucket of each string, a number below `num_buckets`; kept for old models, see the fast one."""
    given = convert.convert_to_tensor(string_tensor if input is None else input)
    return string_to_hash_bucket_op(given, num_buckets=num_buckets, name=name)


def string_to_hash_bucket_fast(input: Any, num_buckets: int, name: str | None = None) -> Tensor:
    """The bucket of each string, a number below `num_buckets`."""
    return string_to_hash_bucket_fast_op(input, num_buckets=num_buckets, name=name)


def string_to_hash_bucket_strong(
    input: Any, num_buckets: int, key: Any, name: str | None = None
) -> Tensor:
    """The bucket of each string under a secret `key` of two integers."""
    return string_to_hash_bucket_strong_op(input, num_buckets=num_buckets, key=key, name=name)
