"""Files of comma-separated values; what TensorFlow does with them is asked in tests/oracle/programs/csv_datasets.py."""

import csv
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ckpt as tf
from ckpt.model.dataset_csv import _kind


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as made:
        yield made


def rows_of(dataset, saver_path=None, used=0):
    iterator = dataset.make_initializable_iterator()
    element = iterator.get_next()
    saveable = tf.data.experimental.make_saveable_from_iterator(iterator)
    with tf.Session() as session:
        session.run(iterator.initializer)
        found = [session.run(element) for _ in range(used)]
        if saver_path:
            saver = tf.train.Saver({"rows": saveable})
            path = saver.save(session, saver_path)
            session.run(iterator.initializer)
            saver.restore(session, path)
        while True:
            try:
                found.append(session.run(element))
            except tf.errors.OutOfRangeError:
                return found


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=6)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6))
def test_what_the_csv_module_writes_is_read(tmp_path, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    path = tmp_path / "rows.csv"
    path.write_bytes(text.getvalue().encode())
    with tf.Graph().as_default():
        found = rows_of(tf.data.experimental.CsvDataset(str(path), [[""], [""]]))
    assert [tuple(cell.decode() for cell in row) for row in found] == rows


@pytest.mark.parametrize("used", range(5))
def test_reading_goes_on_where_a_saved_position_says(tmp_path, used):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_bytes(f'h\n1{name}\n"2\n{name}"\n'.encode())
    files = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    dataset = tf.data.experimental.CsvDataset(files, [[""]], header=True)
    found = rows_of(dataset, str(tmp_path / "model"), used)
    assert [row[0] for row in found] == [b"1a", b"2\na", b"1b", b"2\nb"]


def test_a_bad_record_is_one_error_and_the_rest_follows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"1\nx\n3\n")
    dataset = tf.data.experimental.CsvDataset(str(path), [[0]])
    assert rows_of(dataset.apply(tf.data.experimental.ignore_errors())) == [(1,), (3,)]


def test_defaults_for_other_columns_are_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(
        ValueError, match=r"one entry for each of the 2 columns \['a', 'b'\], got 1"
    ):
        tf.data.experimental.make_csv_dataset(str(path), 1, column_defaults=[tf.int32])


@pytest.mark.parametrize(
    ("text", "kind"),
    [("1", 0), ("-2147483648", 0), ("2147483648", 1), ("9" * 30, 2), ("1.5", 2), ("1e39", 3), ("inf", 3), ("x", 4)],
)  # fmt: skip
def test_a_column_is_of_the_first_kind_that_holds_its_values(text, kind):
    assert _kind(text, 0) == kind


def test_a_column_without_a_value_is_one_of_strings(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n1,\n2,\n")
    dataset = tf.data.experimental.make_csv_dataset(str(path), 2, num_epochs=1, shuffle=False)
    (batch,) = rows_of(dataset)
    assert batch["a"].dtype == np.int32
    assert batch["b"].tolist() == [b"", b""]
