"""Messages and plain data are taken for one another, and nothing else is."""

import pytest

from ckpt.core import defs
from ckpt.wire import messages
from ckpt.wire.plain import message, plain, plain_attr

SAVER = defs.SaverDef("save/Const:0", "save/control_dependency:0", "save/restore_all")


def test_plain_data_is_taken_as_it_is_and_a_message_as_what_it_says():
    assert plain(SAVER, defs.SaverDef) is SAVER
    assert plain(message(SAVER), defs.SaverDef) == SAVER


@pytest.mark.parametrize("value", [None, "save", message(defs.GraphDef()), defs.GraphDef()])
def test_what_is_neither_is_refused(value):
    with pytest.raises(TypeError):
        plain(value, defs.SaverDef)


def test_attributes_are_plain_or_messages():
    assert plain_attr(3) == 3
    assert plain_attr(messages.AttrValue(i=3)) == 3
