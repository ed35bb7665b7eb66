"""Bytes become texts and texts bytes, and nothing is lost on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.core.texts import bytes_of, text_of


@given(st.binary())
def test_any_bytes_come_back(data):
    assert bytes_of(text_of(data)) == data


@pytest.mark.parametrize(("value", "text"), [("é", "é"), ("é".encode(), "é"), (3, "3")])
def test_what_is_no_bytes_is_its_own_text(value, text):
    assert text_of(value) == text
