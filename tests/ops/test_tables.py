"""Tables, looked up one key at a time or all at once, against dictionaries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.core import dtypes
from ckpt.ops.tables import MANY_KEYS, Table

ENDS = np.iinfo(np.int64)


def filled(held, value_dtype=dtypes.float32, key_dtype=np.int64):
    table = Table("table", dtypes.as_dtype(key_dtype), value_dtype, is_mutable=True)
    kind = object if value_dtype == dtypes.string else value_dtype.as_numpy_dtype
    table.insert(np.array(list(held), key_dtype), np.array(list(held.values()), kind))
    return table


def looked_up(held, keys, default):
    return [held.get(key, default) for key in keys.ravel().tolist()]


@settings(max_examples=50, deadline=None)
@given(
    st.integers(-1000, 1000),
    st.sets(st.integers(0, 300), max_size=60),
    st.sampled_from([1, 3, 10**6]),
    st.booleans(),
)
def test_many_integers_are_found_as_one_is(low, few, apart, is_few):
    held = {low + apart * place: float(place) for place in few}
    table = filled(held)
    keys = low + np.arange(-10, 9 if is_few else 2 * MANY_KEYS - 10)
    keys = np.concatenate([keys, [ENDS.min, ENDS.max, *held]])
    keys = keys[: len(keys) // 2 * 2].reshape(2, -1).astype(np.int64)
    found = table.find(keys, np.float32(-1))
    assert found.shape == keys.shape
    assert found.dtype == np.float32
    assert found.ravel().tolist() == looked_up(held, keys, -1.0)


def test_words_are_found_by_many_integers():
    held = {place: b"word %d" % place for place in range(0, 400, 2)}
    keys = np.arange(400, dtype=np.int32)
    found = filled(held, dtypes.string, np.int32).find(keys, np.array(b"none", object))
    assert found.tolist() == looked_up(held, keys, b"none")


@pytest.mark.parametrize("change", ["more", "other"])
def test_what_changes_between_two_searches_is_seen(change):
    held = dict.fromkeys(range(300), 1.0)
    table, keys = filled(held), np.arange(600)
    table.find(keys, np.float32(0))
    if change == "other":
        table.clear()
        held.clear()
    table.insert(np.arange(290, 590), np.full(300, 2, np.float32))
    held.update(dict.fromkeys(range(290, 590), 2.0))
    assert table.find(keys, np.float32(0)).tolist() == looked_up(held, keys, 0.0)


def test_rows_are_found_by_many_integers():
    table = Table("table", dtypes.int64, dtypes.float32, is_mutable=True)
    table.insert(np.arange(2), np.array([[1, 2], [3, 4]], np.float32))
    found = table.find(np.arange(MANY_KEYS), np.array([-1, -1], np.float32))
    assert found[:3].tolist() == [[1, 2], [3, 4], [-1, -1]]
