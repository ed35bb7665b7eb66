"""Cells: who holds a value keeps it, whatever is assigned or updated in place afterwards."""

import threading

import numpy as np
import pytest

from ckpt.core import dtypes
from ckpt.core.cells import Cell, lend, opened, renewed, take_back
from ckpt.core.errors import InvalidArgumentError, UninitializedError


def cell(value=None):
    made = Cell("v", dtypes.float32, (3,))
    if value is not None:
        made.write(np.array(value, np.float32))
    return made


def test_reading_before_writing_names_the_variable():
    with pytest.raises(UninitializedError, match="uninitialized value v"):
        cell().read()
    with pytest.raises(UninitializedError, match="uninitialized value v"):
        cell().open()


def test_a_failed_open_leaves_the_cell_usable():
    made = cell()
    with pytest.raises(UninitializedError):
        made.open()
    made.write(np.ones(3, np.float32))
    assert made.read().tolist() == [1, 1, 1]


def test_a_value_cannot_be_changed_by_its_reader():
    with pytest.raises(ValueError, match="read-only"):
        cell([1, 2, 3]).read()[0] = 5


def test_what_the_caller_may_still_change_is_copied():
    mine = np.array([1, 2, 3], np.float32)
    made = Cell("v", dtypes.float32, (3,))
    view = mine[:]
    view.flags.writeable = False
    made.write(view)
    mine[0] = 9
    assert made.read().tolist() == [1, 2, 3]


def test_an_update_works_in_place_when_nobody_else_holds_the_value():
    made = cell([1, 2, 3])
    address = made.read().ctypes.data
    array = made.open()
    array += 1
    made.close(array)
    del array
    assert made.read().ctypes.data == address
    assert made.read().tolist() == [2, 3, 4]


@pytest.mark.parametrize("hold", [lambda a: a, lambda a: a[1:], memoryview, lambda a: [a]])
def test_an_update_never_reaches_who_holds_the_value(hold):
    made = cell([1, 2, 3])
    held = hold(made.read())
    before = np.array(held[0] if isinstance(held, list) else held)
    array = made.open()
    array += 1
    made.close(array)
    np.testing.assert_array_equal(held[0] if isinstance(held, list) else held, before)
    assert made.read().tolist() == [2, 3, 4]


def test_what_is_renewed_is_copied_by_who_goes_through_it_and_only_where_others_hold_it():
    alone, shared = cell([1, 2, 3]), cell([4, 5, 6])
    held, address = shared.read(), alone.read().ctypes.data
    with renewed(alone, shared) as ((array, nothing), (new, old)):
        assert nothing is None
        assert old is held
        array += 1
        np.add(old, 1, out=new)
    assert alone.read().ctypes.data == address
    assert alone.read().tolist() == [2, 3, 4]
    assert shared.read() is new
    assert new.tolist() == [5, 6, 7]
    assert held.tolist() == [4, 5, 6]


@pytest.mark.parametrize("opening", [opened, renewed])
def test_after_an_exception_a_value_that_others_hold_is_the_old_one(opening):
    made = cell([1, 2, 3])
    held = made.read()
    with pytest.raises(ZeroDivisionError), opening(made) as (array,):
        (array[0] if opening is renewed else array)[0] = 9
        raise ZeroDivisionError
    assert made.read() is held
    assert held.tolist() == [1, 2, 3]
    made.write(np.zeros(3, np.float32))  # and nothing is open any more


def test_a_reader_waits_for_an_update():
    made = cell([0, 0, 0])
    array = made.open()
    seen = []
    reader = threading.Thread(target=lambda: seen.append(made.read().tolist()))
    reader.start()
    array[:] = [1, 2, 3]
    assert seen == []
    made.close(array)
    reader.join(5)
    assert seen == [[1, 2, 3]]


def test_another_shape_is_refused():
    with pytest.raises(
        InvalidArgumentError, match=r"lhs shape= \[3\] rhs shape= \[2\] for variable v"
    ):
        cell([1, 2, 3]).check_shape(np.zeros(2))


def test_a_write_waits_for_an_update():
    made = cell([0, 0, 0])
    array = made.open()
    writer = threading.Thread(target=made.write, args=(np.full(3, 7, np.float32),))
    writer.start()
    array[:] = [1, 2, 3]
    made.close(array)
    writer.join(5)
    assert made.read().tolist() == [7, 7, 7]


def test_cells_opened_in_any_order_do_not_wait_for_each_other():
    one, two = cell([0, 0, 0]), cell([0, 0, 0])

    def add(*cells):
        for _ in range(2_000):
            with opened(*cells) as arrays:
                for array in arrays:
                    array += 1

    threads = [threading.Thread(target=add, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert one.read().tolist() == two.read().tolist() == [4_000] * 3


def test_cells_are_closed_again_where_one_has_no_value():
    one, two = cell([1, 2, 3]), cell()
    with pytest.raises(UninitializedError), opened(one, two):
        pass
    two.write(np.zeros(3, np.float32))
    with opened(one, two) as (first, _):
        first += 1
    assert one.read().tolist() == [2, 3, 4]


def large(fill):
    made = Cell("v", dtypes.float32, (1 << 18,))
    made.write(np.full(1 << 18, fill, np.float32))
    return made


def updated(made):
    """The address of the value after an update in place."""
    with opened(made) as (array,):
        array += 1
    return made.read().ctypes.data


@pytest.mark.parametrize("opening", [opened, renewed])
def test_two_memories_serve_one_save_in_the_background_after_the_other(opening):
    made = large(0)
    addresses = []
    for _ in range(5):
        snapshot = [made.read()]
        lent = lend(snapshot)
        with opening(made) as (found,):
            array, before = found if opening is renewed else (found, None)
            np.add(array if before is None else before, 1, out=array)
        del array, before, found
        assert snapshot[0][0] + 1 == made.read()[0]
        snapshot.clear()
        take_back(lent)
        addresses += [made.read().ctypes.data, updated(made)]
    assert made.read()[-1] == 10
    assert addresses[::2] == addresses[1::2]  # between saves, updates are in place
    assert len(set(addresses)) == 2
    assert addresses[0] == addresses[4] == addresses[8]


def test_memory_that_a_save_still_holds_is_not_written_to():
    made = large(0)
    first, second = made.read(), None
    lent = lend([first])
    updated(made)
    second = made.read()
    lent |= lend([second])
    updated(made)
    assert (first[0], second[0], made.read()[0]) == (0, 1, 2)
    take_back(lent)


def test_what_a_caller_holds_and_no_save_is_not_kept():
    made = large(0)
    held = made.read()
    updated(made)
    assert made.former is None
    assert held[0] == 0


def test_after_an_update_that_failed_the_next_is_in_place_again():
    made = large(0)
    snapshot = [made.read()]
    lent = lend(snapshot)
    with pytest.raises(ZeroDivisionError), opened(made):
        raise ZeroDivisionError
    snapshot.clear()
    take_back(lent)
    address = made.read().ctypes.data
    assert updated(made) == address
    assert made.former is None


def test_an_uninitialized_cell_keeps_no_memory():
    made = large(0)
    snapshot = [made.read()]
    lent = lend(snapshot)
    updated(made)
    assert made.former is snapshot[0]
    made.clear()
    take_back(lent)
    assert made.former is None
