"""Large values of a `.meta` file are read as small ones are, and looked at without being read."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ckpt.wire import metagraph_large, metagraph_places, metagraph_tensors, metagraph_values
from ckpt.wire.metagraph_body import Damage, MsgpackErrors
from ckpt.wire.metagraph_large import built
from ckpt.wire.metagraph_places import Places
from ckpt.wire.metagraph_tensors import SEEN, large_tensor, read_tensor

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text(max_size=300),
    st.binary(max_size=300), st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=300)),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(st.text(max_size=9), inner, max_size=20),
    max_leaves=60,
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _everything_is_large():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metagraph_places, "SMALL", 40)
        patch.setattr(metagraph_large, "SMALL", 40)
        patch.setattr(metagraph_large, "_MEDIUM", 60)
        patch.setattr(metagraph_large, "_TOGETHER", 3)
        patch.setattr(metagraph_tensors, "SMALL", 40)
        patch.setattr(metagraph_tensors, "_TOGETHER", 3)
        patch.setattr(metagraph_places, "_DEEPEST", 64)
        yield


def extension(code, data):
    return msgpack.ExtType(code, bytes(data))


def packed(value):
    return memoryview(msgpack.packb(value))


@given(st.lists(VALUES, max_size=6))
def test_values_end_where_they_end(values):
    parts = [msgpack.packb(value) for value in values]
    places = Places(memoryview(b"before" + b"".join(parts)), 6)
    ends = [6, *(6 + len(b"".join(parts[: n + 1])) for n in range(len(parts)))]
    assert places.ends(len(parts)) == ends
    assert places.tell() == ends[-1]


@given(VALUES)
def test_a_value_is_built_as_msgpack_builds_it(value):
    assert built(packed(value), extension, looks=False) == value


@given(VALUES)
def test_a_value_that_is_looked_at_is_of_the_same_kinds(value):
    seen = built(packed(value), extension, looks=True)
    if type(value) is list and len(packed(value)) > 40:
        assert list(map(type, seen)) == list(map(type, value))
    elif type(value) is dict:
        assert {key: type(item) for key, item in seen.items()} == {key: type(item) for key, item in value.items()}  # fmt: skip
    else:
        assert type(seen) is type(value)


@given(VALUES, st.data())
def test_a_value_that_was_cut_does_not_end(value, data):
    whole = msgpack.packb([value])
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Damage), MsgpackErrors():
        Places(memoryview(whole[:cut])).ends(1)


@given(st.sampled_from(["float32", "int64", "bool", "complex64", "string"]), arrays.array_shapes(min_dims=0, min_side=0), st.data())  # fmt: skip
def test_a_large_tensor_is_read_as_a_small_one_is(kind, shape, data):
    if kind == "string":
        array = data.draw(arrays.arrays(object, shape, elements=st.binary(max_size=60), fill=st.nothing()))  # fmt: skip
    else:
        array = data.draw(arrays.arrays(kind, shape))
    parts = packed(metagraph_values.tensor_parts(array))
    found, expected = large_tensor(parts, looks=False), read_tensor(msgpack.unpackb(parts))
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes() if kind != "string" else found.tolist() == expected.tolist()  # fmt: skip
    assert found.shape == expected.shape == shape
    assert not found.flags.writeable
    assert large_tensor(parts, looks=True) is SEEN


TENSORS = [
    ["float32", [3], bytes(11)], ["float32", [3], 7], ["string", [3], [b"a", b"b"]], ["string", [2], b"ab"],
    ["string", [2], [b"a", "b"]], ["string", [1], [["a"]]], ["string", [1], ["a" * 99]], ["nothing", [1], b"a"],
    ["uint8", None, b"a"], ["uint8", [-1], b""], ["resource", [], b""], ["uint8", [1]], 7, {}, ["uint8", [0, 1 << 62, 1 << 62], b""],
    ["uint8", [1] * 5000, b"a"], ["u" * 99, [1], b"a"],
]  # fmt: skip


@pytest.mark.parametrize("parts", TENSORS, ids=lambda parts: repr(parts)[:40])
@pytest.mark.parametrize("looks", [False, True])
def test_a_tensor_whose_parts_do_not_fit_is_refused(parts, looks):
    with pytest.raises(Damage):
        large_tensor(packed(parts), looks=looks)
    with pytest.raises(Damage):
        read_tensor(parts)
