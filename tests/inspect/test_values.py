"""Values as text, CSV, JSON and npy: they can be read back, whatever the dtype."""

from __future__ import annotations

import csv
import io
import json

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ckpt.core import dtypes
from ckpt.inspect import values

PLAIN = st.one_of(
    hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
)  # fmt: skip
ARRAYS = hnp.arrays(
    PLAIN.map(lambda d: d.newbyteorder("=")), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)
)


def strings(*items):
    out = np.empty(len(items), object)
    out[:] = items
    return out


@given(ARRAYS)
def test_json_holds_each_value(array):
    document = json.loads("".join(values.as_json("v", str(array.dtype), array)))
    assert (document["name"], document["shape"]) == ("v", list(array.shape))
    found = np.array(document["values"], dtype=object).reshape(array.shape)
    np.testing.assert_array_equal(found.astype(array.dtype), array)


@given(ARRAYS)
def test_csv_has_a_line_per_row_and_each_value(array):
    rows = list(csv.reader(io.StringIO("".join(values.as_csv(array)))))
    width = array.shape[-1] if array.ndim else 1
    assert len(rows) == (array.size // width if width else 0)
    found = np.array(rows, dtype=object).reshape(array.shape)
    if array.dtype == bool:
        np.testing.assert_array_equal(found == "True", array)
    else:
        np.testing.assert_array_equal(found.astype(array.dtype), array)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), min_size=1))
def test_strings_come_back(texts):
    array = strings(*[text.encode() for text in texts])
    document = json.loads("".join(values.as_json("v", "string", array)))
    assert document["values"] == texts
    assert list(csv.reader(io.StringIO("".join(values.as_csv(array)), newline=""))) == [texts]


@pytest.mark.parametrize("kind", ["bfloat16", "float8_e5m2", "float4_e2m1fn", "int4", "uint2"])
def test_values_of_small_dtypes(kind):
    array = np.array([0, 1, 2 if kind != "uint2" else 3]).astype(getattr(ml_dtypes, kind))
    document = json.loads("".join(values.as_json("v", kind, array)))
    assert document["values"] == array.astype(float).tolist()
    assert np.array("".join(values.as_csv(array)).split(","), float).tolist() == document["values"]
    assert "1" in values.as_text(array, full=True)
    with pytest.raises(TypeError, match=kind):
        values.as_npy(array)


def test_what_json_has_no_number_for():
    array = np.array([np.nan, np.inf, -np.inf, 0.1], np.float32)
    document = json.loads(
        "".join(values.as_json("v", "float32", array)), parse_constant=pytest.fail
    )
    assert document["values"] == ["nan", "inf", "-inf", 0.1]
    array = np.array([1 + 2j, np.nan], np.complex64)
    document = json.loads("".join(values.as_json("v", "complex64", array)))
    assert document["values"] == [[1.0, 2.0], ["nan", 0.0]]


def test_text_leaves_out_unless_asked_for_all():
    array = np.arange(5000) / 3
    assert "..." in values.as_text(array, full=False)
    text = values.as_text(array, full=True)
    np.testing.assert_array_equal(np.array(text.strip("[]\n").split(), float), array)
    assert values.as_text(strings(b"\xff\x1b[2J"), full=False) == "['\\\\xff\\x1b[2J']\n"


@pytest.mark.parametrize(
    "array",
    [np.float32(3), np.zeros((0, 3)), np.arange(6).reshape(2, 3).T, np.array(True)],
    ids=repr,
)
def test_npy_is_what_numpy_loads(array):
    found = np.load(io.BytesIO(values.as_npy(np.asarray(array))), allow_pickle=False)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


def test_strings_in_npy_are_bytes_of_one_width():
    found = np.load(io.BytesIO(values.as_npy(strings(b"a", b"bcd"))), allow_pickle=False)
    assert found.tolist() == [b"a", b"bcd"]
    assert np.load(io.BytesIO(values.as_npy(np.array(b"xyz", object)))).shape == ()


def test_quantized_integers_are_the_integers_that_they_are():
    array = np.array([[1, -2], [3, 4]], np.int8).view(dtypes.qint8.as_numpy_dtype)
    assert values.as_text(array, full=False) == "[[ 1 -2]\n [ 3  4]]\n"
    assert "".join(values.as_csv(array)) == "1,-2\n3,4\n"
    assert json.loads("".join(values.as_json("q", "qint8", array)))["values"] == [[1, -2], [3, 4]]
    assert np.load(io.BytesIO(values.as_npy(array))).tolist() == [[1, -2], [3, 4]]
    assert json.loads("".join(values.as_json("q", "qint8", array[0, 0, ...])))["values"] == 1
