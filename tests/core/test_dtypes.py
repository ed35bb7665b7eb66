"""What is no dtype is a TypeError, whatever numpy makes of the text; in a file it is damage."""

import msgpack
import pytest

import ckpt as tf
from ckpt.core.errors import DataLossError
from ckpt.ops import iterator_state


@pytest.mark.parametrize("text", ["8)", "i4,(2", "(", "f4,", "float33"])
def test_a_text_that_is_no_dtype(text):
    with pytest.raises(TypeError, match="Cannot convert"):
        tf.as_dtype(text)


def test_such_a_text_in_a_position_of_a_dataset_is_damage():
    array = msgpack.ExtType(1, msgpack.packb(["8)", [1], False, b"\0"]))
    with pytest.raises(DataLossError, match="no saved position"):
        iterator_state.unpacked(msgpack.packb([1, array, 1]))
