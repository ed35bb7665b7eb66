"""Datasets of files of comma-separated values: columns by name, their dtypes guessed where nobody says them."""

from __future__ import annotations

import csv
import io
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes, gfile
from ckpt.core.dtypes import DType
from ckpt.core.texts import text_of
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.specs import TensorSpec
from ckpt.model import dataset_structure as structure
from ckpt.model.dataset import Dataset
from ckpt.model.dataset_files import BUFFER_BYTES
from ckpt.model.dataset_transformations import ignore_errors as without_errors
from ckpt.ops import constants, datasets_csv, datasets_files

KINDS = (dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64, dtypes.string)
"""What a column may be: the first that holds all its values is chosen."""


class CsvDataset(Dataset):
    """The records of CSV files (RFC 4180), each a tuple of one scalar for each of `record_defaults`.

    A default is a dtype, where a value is required, or the value for what is missing (empty, or `na_value`).
    `select_cols` are the numbers of the columns to take, in rising order. InvalidArgumentError when run for another number
    of fields and for what is no number, NotFoundError for a file that is missing.
    """

    def __init__(
        self,
        filenames: Any,
        record_defaults: Sequence[Any],
        compression_type: Any = None,
        buffer_size: Any = None,
        header: Any = False,
        field_delim: Any = ",",
        use_quote_delim: Any = True,
        na_value: Any = "",
        select_cols: Any = None,
    ) -> None:
        inputs = [
            _tensor(filenames, dtypes.string, "filenames"),
            _tensor(compression_type or "", dtypes.string, "compression_type"),
            _tensor(BUFFER_BYTES if buffer_size is None else buffer_size, dtypes.int64, "buffer_size"),
            _tensor(header, dtypes.bool_, "header"),
            _tensor(field_delim, dtypes.string, "field_delim"),
            _tensor(use_quote_delim, dtypes.bool_, "use_quote_delim"),
            _tensor(na_value, dtypes.string, "na_value"),
            _tensor([] if select_cols is None else select_cols, dtypes.int64, "select_cols"),
        ]  # fmt: skip
        defaults = [_default(value) for value in record_defaults]
        excluded = _tensor([], dtypes.int64, "exclude_cols")
        spec = tuple(TensorSpec([], default.dtype.base_dtype) for default in defaults)
        variant = datasets_csv.csv_dataset_v2(
            *inputs, defaults, excluded, output_shapes=structure.component_shapes(spec)
        )
        super().__init__(variant, spec)


def _tensor(value: Any, dtype: DType, name: str) -> Tensor:
    return convert.convert_to_tensor(value, dtype, name=name)


def _default(value: Any) -> Tensor:
    """A default as a tensor, an empty one where a value is required. Raises TypeError for other dtypes."""
    if isinstance(value, (DType, type, np.dtype)):
        dtype = dtypes.as_dtype(value)
        if dtype not in KINDS:
            raise TypeError(f"a column of CSV files cannot be {dtype.name}: use {', '.join(t.name for t in KINDS)}")  # fmt: skip
        empty: Any = np.empty(0, object if dtype == dtypes.string else dtype.as_numpy_dtype)
        return constants.constant(empty, dtype)
    return convert.convert_to_tensor(value)


def make_csv_dataset(
    file_pattern: Any,
    batch_size: int,
    column_names: Sequence[str] | None = None,
    column_defaults: Sequence[Any] | None = None,
    label_name: str | None = None,
    select_columns: Sequence[Any] | None = None,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    header: bool = True,
    num_epochs: int | None = None,
    shuffle: bool = True,
    shuffle_buffer_size: int = 10000,
    shuffle_seed: int | None = None,
    prefetch_buffer_size: int = 1,
    num_parallel_reads: int = 1,
    sloppy: bool = False,
    num_rows_for_inference: int | None = 100,
    compression_type: str | None = None,
    ignore_errors: bool = False,
) -> Dataset:
    """The dataset of batches of records of CSV files: an OrderedDict from column to values [batch], or (that, the label).

    Names of columns come from the headers, their dtypes from the first `num_rows_for_inference` rows (None: all) unless
    `column_defaults` says them. `select_columns` are names or numbers. `num_epochs` None goes on for ever. Raises
    ValueError for no files, for headers that differ or name a column twice, and for columns that are not there.
    """
    files = _files(file_pattern)
    texts = _Texts(files, field_delim, use_quote_delim, compression_type)
    names = _names(texts, column_names, header)
    chosen = _chosen(names, select_columns)
    if column_defaults is None:
        column_defaults = _guessed(texts, names, chosen, na_value, header, num_rows_for_inference)
    elif select_columns is not None and len(column_defaults) == len(names):
        column_defaults = [column_defaults[place] for place in chosen]
    kept = [names[place] for place in chosen]
    if len(column_defaults) != len(kept):
        raise ValueError(
            f"`column_defaults` must have one entry for each of the {len(kept)} columns {kept}, got {len(column_defaults)}"
        )
    if label_name is not None and label_name not in kept:
        raise ValueError(f"`label_name` provided must be one of the columns: {kept}. Received: {label_name}.")  # fmt: skip

    def opened(name: Tensor) -> Dataset:
        return CsvDataset(
            name, column_defaults, compression_type, header=header, field_delim=field_delim,
            use_quote_delim=use_quote_delim, na_value=na_value, select_cols=None if select_columns is None else chosen,
        )  # fmt: skip

    def named(*columns: Tensor) -> Any:
        features = OrderedDict(zip(kept, columns, strict=True))
        return features if label_name is None else (features, features.pop(label_name))

    found = Dataset.from_tensor_slices(files)
    if shuffle:
        found = found.shuffle(len(files), shuffle_seed)
    rows = found.interleave(opened, cycle_length=num_parallel_reads, block_length=1)
    if ignore_errors:
        rows = rows.apply(without_errors())
    if shuffle:
        rows = rows.shuffle(shuffle_buffer_size, shuffle_seed)
    if num_epochs != 1:
        rows = rows.repeat(num_epochs)
    batches = rows.batch(batch_size, drop_remainder=num_epochs is None)
    return batches.map(named).prefetch(prefetch_buffer_size)


def _files(pattern: Any) -> list[str]:
    """The files of one pattern or several, in order. Raises ValueError where there are none."""
    found = []
    for one in [pattern] if isinstance(pattern, str) else pattern:
        matching = sorted(gfile.glob(one))
        if not matching:
            raise ValueError(f"No files match `file_pattern` {one}.")
        found += matching
    return found


class _Texts:
    """Files as rows of fields, for what is to be known before anything runs."""

    def __init__(
        self, files: list[str], delimiter: str, quotes: bool, compression: str | None
    ) -> None:
        self.files = files
        self._delimiter = delimiter
        self._quotes = quotes
        self._compression = compression

    def rows(self, path: str) -> Iterator[list[str]]:
        """The rows of a file."""
        read: Any = datasets_files.whole
        data: bytes = read(path, self._compression or "")
        lines = io.StringIO(text_of(data), newline="")
        if self._quotes:
            yield from csv.reader(lines, delimiter=self._delimiter)
        else:
            yield from csv.reader(lines, delimiter=self._delimiter, quoting=csv.QUOTE_NONE)


def _names(texts: _Texts, given: Sequence[str] | None, header: bool) -> list[str]:
    if given is None and not header:
        raise ValueError("Expected `column_names` or `header` arguments. Neither is provided.")
    names = list(given) if given is not None else next(texts.rows(texts.files[0]), [])
    if given is None:
        for path in texts.files[1:]:
            if next(texts.rows(path), []) != names:
                raise ValueError(
                    f"All input CSV files should have the same column names in the header row. File {path} has different "
                    "column names."
                )
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(
            f"Either `column_names` argument or CSV header row contains duplicate column names: {twice}."
        )
    return names


def _chosen(names: list[str], selected: Sequence[Any] | None) -> list[int]:
    """The numbers of the columns to take, in rising order."""
    if selected is None:
        return list(range(len(names)))
    places = set()
    for column in selected:
        if isinstance(column, str) and column not in names:
            raise ValueError(
                f"Column {column} specified in `select_columns` must be of one of the columns: {names}."
            )
        place = names.index(column) if isinstance(column, str) else int(column)
        if not 0 <= place < len(names):
            raise ValueError(f"Column number {place} is not between 0 and {len(names) - 1}")
        places.add(place)
    if len(places) != len(selected):
        raise ValueError(f"`select_columns` contains duplicate columns: {list(selected)}")
    return sorted(places)


def _guessed(
    texts: _Texts, names: list[str], chosen: list[int], missing: str, header: bool, most: int | None
) -> list[Any]:  # fmt: skip
    """For each column the default of the first dtype that holds its values in the first rows."""
    kinds = [0] * len(chosen)
    seen = [False] * len(chosen)
    read = 0
    for path in texts.files:
        for number, row in enumerate(texts.rows(path)):
            if (header and number == 0) or (most is not None and read >= most):
                continue
            if len(row) != len(names):
                raise ValueError(
                    f"Problem inferring types: CSV row {number + 1} has {len(row)} number of fields. Expected: {len(names)}."
                )
            read += 1
            for i, place in enumerate(chosen):
                if row[place] not in ("", missing):
                    seen[i] = True
                    kinds[i] = max(kinds[i], _kind(row[place], kinds[i]))
    chosen_kinds = [KINDS[kind] if known else dtypes.string for kind, known in zip(kinds, seen, strict=True)]  # fmt: skip
    return [
        constants.constant([""] if kind == dtypes.string else [0], kind) for kind in chosen_kinds
    ]


def _kind(text: str, least: int) -> int:
    """The number of the first kind, from `least` on, that holds the text."""
    for number in range(least, len(KINDS)):
        kind = KINDS[number]
        if kind == dtypes.string:
            return number
        try:
            value = float(text) if kind.is_floating else int(text)
        except ValueError:
            continue
        if kind == dtypes.float64 or type(value)(kind.min) <= value <= type(value)(kind.max):
            return number
    return len(KINDS) - 1
