"""The dataset of the records of files of comma-separated values (RFC 4180), as columns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.signature import Attr
from ckpt.ops.datasets import TYPES, Position, dataset_op
from ckpt.ops.datasets_files import Files, Lines, compression
from ckpt.ops.datasets_order import derived
from ckpt.ops.decoding import CSV, csv_fields, csv_value

COLUMNS = {
    "output_types": Attr("list(type)", allowed=CSV, minimum=1),
    "output_shapes": TYPES["output_shapes"],
}


class _Records(Lines):
    """The records of a file: lines, and further lines while a quoted field is open; a header is passed by."""

    def __init__(self, path, kind, has_header, quotes) -> None:
        super().__init__(path, kind)
        self._has_header = has_header
        self._quotes = quotes

    def read(self):
        """The next record without its end, None behind the last."""
        if self._has_header and self.offset == 0:
            self._record()
        return self._record()

    def _record(self):
        record = self.line()
        while record is not None and self._quotes and record.count(b'"') % 2:
            more = self.line()
            if more is None:
                raise InvalidArgumentError(None, None, "Reached end of file without closing quoted field in record")  # fmt: skip
            record += b"\n" + more
        return record[:-1] if record and record.endswith(b"\r") else record


class _Csv(Position):
    """The records of the source, taken apart."""

    def __next__(self):
        dataset = self.dataset
        (record,) = next(self.sources[0])
        fields = csv_fields(record, dataset.delimiter, dataset.quotes) or [b""]
        count = len(dataset.defaults)
        if dataset.selected:
            fields = [fields[place] for place in dataset.selected if place < len(fields)]
        elif dataset.excluded:
            fields = [field for place, field in enumerate(fields) if place not in dataset.excluded]
        if len(fields) != count:
            found = "more" if len(fields) > count else len(fields)
            raise InvalidArgumentError(
                None, None, f"Expect {count} fields but have {found} in record"
            )
        return tuple(
            dtype.as_numpy_dtype(value) if dtype != dtypes.string else value
            for dtype, value in zip(dataset.types, self._values(fields), strict=True)
        )

    def _values(self, fields):
        dataset = self.dataset
        columns = zip(fields, dataset.defaults, dataset.types, strict=True)
        return [
            csv_value(field, dataset.missing, default, dtype, place, None)
            for place, (field, default, dtype) in enumerate(columns)
        ]


def _columns_of(files, header, field_delim, use_quote_delim, na_value, select, exclude, defaults, kind, types, shapes):  # fmt: skip
    delimiter, quotes = np.asarray(field_delim).item(), bool(use_quote_delim)
    if len(delimiter) != 1:
        raise InvalidArgumentError(None, None, "field_delim should be only 1 char")
    selected, excluded = np.asarray(select).tolist(), np.asarray(exclude).tolist()
    for name, places in (("select_cols", selected), ("exclude_cols", excluded)):
        if any(a >= b for a, b in pairwise(places)) or any(p < 0 for p in places):  # fmt: skip
            raise InvalidArgumentError(None, None, f"{name} should be strictly increasing indices")
    if selected and excluded:
        raise InvalidArgumentError(None, None, "Either select_cols or exclude_cols should be empty")
    if selected and len(selected) != len(types):
        raise InvalidArgumentError(None, None, "select_cols should match output size")
    source = Files(files, lambda path: _Records(path, kind, bool(header), quotes))
    return derived(
        _Csv, source, types=types, shapes=shapes, delimiter=delimiter, quotes=quotes, selected=selected, excluded=excluded,
        missing={b"", np.asarray(na_value).item()}, defaults=defaults,
    )  # fmt: skip


INPUTS = (
    "filenames: string, compression_type: string, buffer_size: int64, header: bool, field_delim: string, "
    "use_quote_delim: bool, na_value: string, select_cols: int64, record_defaults: output_types..."
)


@dataset_op("CSVDataset", INPUTS, **COLUMNS)
def csv_dataset(
    filenames, compression_type, buffer_size, header, field_delim, use_quote_delim, na_value, select_cols,
    *record_defaults, output_types, output_shapes,
):  # fmt: skip
    """The dataset of the records of CSV files; a default stands for what is missing."""
    return _columns_of(
        filenames, header, field_delim, use_quote_delim, na_value, select_cols, (), record_defaults,
        compression(compression_type), output_types, output_shapes,
    )  # fmt: skip


@dataset_op("CSVDatasetV2", f"{INPUTS}, exclude_cols: int64", **COLUMNS)
def csv_dataset_v2(
    filenames, compression_type, buffer_size, header, field_delim, use_quote_delim, na_value, select_cols, *inputs,
    output_types, output_shapes,
):  # fmt: skip
    """CSVDataset, of which some columns may be left out."""
    *record_defaults, exclude_cols = inputs
    return _columns_of(
        filenames, header, field_delim, use_quote_delim, na_value, select_cols, exclude_cols, record_defaults,
        compression(compression_type), output_types, output_shapes,
    )  # fmt: skip


for _opdef in (csv_dataset, csv_dataset_v2):
    _opdef.reads_files("filenames")
