"""Garbage is collected again after a block without collection, whatever happened in it."""

import gc

import pytest

from ckpt.core.collector import paused


def test_collection_is_off_in_the_block_only():
    with paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_in_the_block_leaves_collection_on():
    with pytest.raises(KeyError), paused():
        raise KeyError
    assert gc.isenabled()


def test_who_turned_it_off_keeps_it_off():
    gc.disable()
    try:
        with paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
