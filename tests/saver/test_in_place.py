"""Restoring into variables that exist: no second model in memory, and nothing mixed when the file is damaged."""

import itertools
import threading

import numpy as np
import pytest

import ckpt as tf
from ckpt.core.cells import Cell
from ckpt.core.errors import DataLossError, FailedPreconditionError
from ckpt.core.input_file import InputFile
from ckpt.formats.hdf5_volumes import open_checkpoint


def cell_of(sess, variable):
    return sess._state.resource("variable", "", variable.op.name, lambda: None)


@pytest.fixture(params=[False, True], ids=["reference", "resource"])
def model(sess, request):
    """Two large variables and a small one, saved with one value; in the session they hold another."""
    shapes = {"a": (300, 300), "b": (500, 200), "c": (3,)}
    variables = {
        name: tf.get_variable(
            name, shape, use_resource=request.param, initializer=tf.ones_initializer()
        )
        for name, shape in shapes.items()
    }
    sess.run(tf.global_variables_initializer())
    return variables


def save(sess, variables, tmp_path):
    prefix = tf.train.Saver(variables).save(sess, tmp_path / "m", durable=False)
    for variable in variables.values():
        variable.load(np.zeros(variable.shape.as_list(), "f"), sess)
    return prefix


def arrays(sess, variables):
    return {name: cell_of(sess, variable).value for name, variable in variables.items()}


def addresses(sess, variables):
    return {name: array.ctypes.data for name, array in arrays(sess, variables).items()}


def damage(prefix, name):
    """Flip a byte in the middle of that tensor."""
    checkpoint = open_checkpoint(prefix + ".h5")
    part = checkpoint.tensor(name).parts[0]
    checkpoint.close()
    with open(prefix + ".h5", "r+b") as file:
        file.seek(part.offset + part.length // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))


def test_large_values_are_read_into_the_memory_of_the_variables(sess, model, tmp_path):
    prefix = save(sess, model, tmp_path)
    before = addresses(sess, model)
    saver = tf.train.Saver(model)
    saver.restore(sess, prefix)
    after = addresses(sess, model)
    assert {name: after[name] == before[name] for name in "ab"} == {"a": True, "b": True}
    assert all((value == 1).all() for value in sess.run(list(model.values())))
    assert not any(array.flags.writeable for array in arrays(sess, model).values())


def test_an_array_that_somebody_holds_is_left_alone(sess, model, tmp_path):
    prefix = save(sess, model, tmp_path)
    held = cell_of(sess, model["a"]).value
    tf.train.Saver(model).restore(sess, prefix)
    assert (held == 0).all()
    assert (sess.run(model["a"]) == 1).all()


def test_a_run_of_restore_v2_alone_assigns_nothing(sess, model, tmp_path):
    prefix = save(sess, model, tmp_path)
    saver = tf.train.Saver(model)
    read = [op for op in sess.graph.get_operations() if op.type == "RestoreV2"][-1]
    outputs = sess.run(read.outputs, {saver.saver_def.filename_tensor_name: prefix})
    assert all((value == 1).all() for value in outputs)
    assert all((value == 0).all() for value in sess.run(list(model.values())))


def test_damage_leaves_no_mixture_of_old_and_new_values(sess, model, tmp_path):
    prefix = save(sess, model, tmp_path)
    damage(prefix, "b")
    saver = tf.train.Saver(model)
    with pytest.raises(DataLossError, match=r"(?s)'b'.*2 variables had been overwritten.*a, b"):
        saver.restore(sess, prefix)
    for name in "ab":
        with pytest.raises(FailedPreconditionError, match="uninitialized"):
            sess.run(model[name])
    assert (sess.run(model["c"]) == 0).all()
    sess.run(tf.global_variables_initializer())
    assert (sess.run(model["a"]) == 1).all()


def test_damage_that_is_found_first_changes_nothing(sess, model, tmp_path):
    prefix = save(sess, model, tmp_path)
    held = arrays(sess, model)  # nothing can be overwritten
    damage(prefix, "b")
    with pytest.raises(DataLossError) as caught:
        tf.train.Saver(model).restore(sess, prefix)
    assert "overwritten" not in str(caught.value)
    assert all((value == 0).all() for value in sess.run(list(model.values())))
    del held


@pytest.mark.parametrize("fresh", [48 << 20, 0], ids=["few bytes", "many bytes"])
@pytest.mark.parametrize("options", [{"sharded": True}, {"restore_sequentially": True}])
def test_damage_leaves_no_mixture_where_a_restore_reads_several_times(
    sess, tmp_path, monkeypatch, options, fresh
):
    monkeypatch.setattr("ckpt.saver.restoring.FRESH", fresh)
    variables = {}
    for number, (name, size) in enumerate({"a": 300, "b": 50_000, "c": 3, "d": 40_000}.items()):
        with tf.device(f"/job:ps/task:{number % 2}"):
            variables[name] = tf.get_variable(name, [size], initializer=tf.ones_initializer())
    sess.run(tf.global_variables_initializer())
    prefix = save(sess, variables, tmp_path)
    damage(prefix, "d")
    with pytest.raises(DataLossError, match="'d'") as caught:
        tf.train.Saver(variables, **options).restore(sess, prefix)
    empty = [name for name, array in arrays(sess, variables).items() if array is None]
    assert all((arrays(sess, variables)[name] == 0).all() for name in variables.keys() - empty)
    assert bool(empty) == (fresh == 0)
    if empty:
        told = str(caught.value).split("have no value now: ")[1:]
        assert sorted(", ".join(text.split(";")[0] for text in told).split(", ")) == empty


def test_readers_in_other_threads_see_whole_values(sess, model, tmp_path, monkeypatch):
    """A reader that comes while a variable is overwritten waits for it."""
    prefix = save(sess, model, tmp_path)
    cell, seen = cell_of(sess, model["a"]), []
    whole, readers = InputFile.read_into, []

    def slow(self, view, offset):
        if cell.is_open and not readers:
            readers.append(threading.Thread(target=lambda: seen.append(cell.read().copy())))
            readers[0].start()
            readers[0].join(0.05)
            assert not seen
        whole(self, view, offset)

    saver = tf.train.Saver(model)
    monkeypatch.setattr(InputFile, "read_into", slow)
    saver.restore(sess, prefix)
    readers[0].join()
    assert (seen[0] == 1).all()


def test_a_variable_that_others_have_changed_in_shape_gets_new_memory(sess, tmp_path):
    variable = tf.Variable(np.ones((200, 200), "f"), validate_shape=False, name="v")
    sess.run(variable.initializer)
    saver = tf.train.Saver([variable])
    prefix = saver.save(sess, tmp_path / "m", durable=False)
    sess.run(tf.assign(variable, np.zeros((3, 3), "f"), validate_shape=False))
    saver.restore(sess, prefix)
    assert sess.run(variable).shape == (200, 200)


def test_memory_is_handed_out_only_where_it_fits_and_nobody_holds_it():
    cell = Cell("v", tf.float32, (4,))
    assert cell.reopen((4,), np.float32) is None
    cell.write(np.zeros(4, "f"))
    assert cell.reopen((5,), np.float32) is None
    assert cell.reopen((4,), np.float64) is None
    held = cell.read()
    assert cell.reopen((4,), np.float32) is None
    del held
    array = cell.reopen((4,), np.dtype(np.float32))
    array[:] = 7
    cell.close(array)
    assert cell.read().tolist() == [7] * 4
    del array
    assert cell.reopen((4,), np.float32) is not None
    cell.drop()
    assert cell.value is None
    assert cell.lock.acquire(blocking=False)


@pytest.mark.parametrize("large", [4, 100_000])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), tf.errors.InternalError(None, None, "x")])
@pytest.mark.parametrize("options", [{}, {"restore_sequentially": True}, {"rename": [("v", "w")]}])
def test_what_ends_a_restore_in_the_middle_leaves_no_mixture(
    tmp_path, monkeypatch, large, error, options
):
    """Values that are fed are put back; where they were read into the variables, nothing is left of the old ones."""
    count = 5
    with tf.Graph().as_default(), tf.Session() as session:
        for n in range(count):
            tf.get_variable(f"v{n}", [large], initializer=tf.ones_initializer())
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(session, tmp_path / "m", write_meta_graph=False)
    name = "w" if "rename" in options else "v"
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [
            tf.get_variable(f"{name}{n}", [large], initializer=tf.zeros_initializer())
            for n in range(count)
        ]
        saver = tf.train.Saver(**options)
        for number in range(count):
            session.run(tf.global_variables_initializer())
            calls = itertools.count()
            write = Cell.write

            def interrupted(cell, value):
                if next(calls) == number:  # noqa: B023  # called in this round
                    raise error
                write(cell, value)  # noqa: B023

            with monkeypatch.context() as patched, pytest.raises(type(error)):
                patched.setattr(Cell, "write", interrupted)
                saver.restore(session, path)
            if options:
                assert all(not value.any() for value in session.run(variables))
            else:
                assert not any(session.run(tf.is_variable_initialized(v)) for v in variables)
            saver.restore(session, path)
            assert all(value.all() for value in session.run(variables))
