"""Datasets of what files hold: lines, TFRecord records, records of one length."""

from __future__ import annotations

import io

import numpy as np

from ckpt.core import dtypes, file_systems
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.core.texts import text_of
from ckpt.formats import tfrecord
from ckpt.ops.datasets import Dataset, Position, dataset_op

_CHUNK = 1 << 18
WINDOW_BITS = 15


def content(path, kind):
    """An open file and what is read from it, uncompressed."""
    file = file_systems.file_system(path).open(path, "rb")
    if not kind:
        return file, file
    return file, tfrecord.Inflated(file, path, WINDOW_BITS + tfrecord.WINDOW[kind])


def whole(path, kind):
    """All that a file holds, uncompressed."""
    file, source = content(path, kind)
    with file:
        return b"".join(iter(lambda: source.read(_CHUNK), b""))


class Lines:
    """The lines of a file, without their ends; `offset` is where the next begins."""

    def __init__(self, path, kind) -> None:
        self._file, self._source = content(path, kind)
        self.offset = 0
        self._lines: list[bytes] = []
        self._rest = b""

    def seek(self, offset):
        """Have the line at `offset` come next, before anything was read."""
        if self._source is self._file:
            self._file.seek(offset)
        else:
            self._source.skip(offset)
        self.offset = offset

    def read(self):
        """The next line, None behind the last."""
        line = self.line()
        return line[:-1] if line is not None and line.endswith(b"\r") else line

    def line(self):
        """The next line with all before its line feed, None behind the last."""
        while not self._lines:
            data = self._source.read(_CHUNK)
            if not data:
                last, self._rest = self._rest, b""
                self.offset += len(last)
                return last or None
            lines = (self._rest + data).split(b"\n")
            self._rest = lines.pop()
            lines.reverse()
            self._lines = lines
        line = self._lines.pop()
        self.offset += len(line) + 1
        return line

    def close(self):
        """Close the file."""
        self._file.close()


class _FixedLength:
    """The records of one length between a header and a footer."""

    def __init__(self, path, kind, header, length, footer) -> None:
        self._file, source = content(path, kind)
        if source is self._file:
            size = self._file.seek(0, io.SEEK_END)
            self._source = self._file
        else:  # only its end says how long the content is
            whole = b"".join(iter(lambda: source.read(_CHUNK), b""))
            size = len(whole)
            self._source = io.BytesIO(whole)
        body = size - header - footer
        if body < 0 or body % length:
            self.close()
            raise InvalidArgumentError(
                None, None, f'Excluding the header ({header} bytes) and footer ({footer} bytes), input file "{path}" has '
                f"body length {body} bytes, which is not an exact multiple of the record length ({length} bytes)."
            )  # fmt: skip
        self._length = length
        self._end = size - footer
        self.seek(header)

    def seek(self, offset):
        """Have the record at `offset` come next."""
        self._source.seek(offset)
        self.offset = offset

    def read(self):
        """The next record, None behind the last."""
        if self.offset >= self._end:
            return None
        self.offset += self._length
        return self._source.read(self._length)

    def close(self):
        """Close the file."""
        self._file.close()


class Files(Dataset):
    """The records of files, one file after the other; `opened(path)` reads one."""

    def __init__(self, filenames, opened) -> None:
        super().__init__([dtypes.string], [TensorShape([])])
        names = np.asarray(filenames, object).reshape(-1).tolist()
        self.paths = [text_of(name) for name in names]
        self.opened = opened

    def start(self):
        return _FilesPosition(self)


class _FilesPosition(Position):
    FIELDS = ("file", "offset")
    _reader = None

    def __init__(self, dataset) -> None:
        super().__init__(dataset)
        self.file = 0
        self.offset = 0

    def __next__(self):
        while True:
            reader = self._reader or self._next_reader()
            try:
                record = reader.read()
            except Exception:
                self._leave_file()  # the next call goes on with the next file
                raise
            if record is not None:
                self.offset = reader.offset
                return (record,)
            self._leave_file()

    def _next_reader(self):
        paths = self.dataset.paths
        if self.file >= len(paths):
            raise StopIteration
        try:
            self._reader = self.dataset.opened(paths[self.file])
        except Exception:
            self.file += 1
            raise
        if self.offset:
            self._reader.seek(self.offset)
        return self._reader

    def _leave_file(self):
        self._close()
        self.file += 1
        self.offset = 0

    def load(self, state):
        self._close()
        super().load(state)

    def __del__(self):
        self._close()

    def _close(self):
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def compression(value):
    """The compression that a tensor names. Raises InvalidArgumentError for another."""
    name = np.asarray(value).item().decode()
    if name not in tfrecord.COMPRESSIONS:
        raise InvalidArgumentError(
            None, None, f"Unsupported compression_type: {name}: files are compressed by GZIP, ZLIB or not at all"
        )  # fmt: skip
    return name


@dataset_op(
    "TextLineDataset",
    "filenames: string, compression_type: string, buffer_size: int64",
    metadata="",
)
def text_line_dataset(filenames, compression_type, buffer_size):
    """The dataset of the lines of text files, without their ends."""
    kind = compression(compression_type)
    return Files(filenames, lambda path: Lines(path, kind))


@dataset_op(
    "TFRecordDataset",
    "filenames: string, compression_type: string, buffer_size: int64",
    metadata="",
)
def tf_record_dataset(filenames, compression_type, buffer_size):
    """The dataset of the records of TFRecord files."""
    kind = compression(compression_type)
    return Files(filenames, lambda path: tfrecord.RecordReader(path, kind))


def _fixed(filenames, kind, *sizes):
    header, length, footer = (int(size) for size in sizes)
    if length <= 0:
        raise InvalidArgumentError(None, None, "`record_bytes` must be > 0")
    for name, size in (("header_bytes", header), ("footer_bytes", footer)):
        if size < 0:
            raise InvalidArgumentError(None, None, f"`{name}` must be >= 0")
    return Files(filenames, lambda path: _FixedLength(path, kind, header, length, footer))


@dataset_op("FixedLengthRecordDataset",
            "filenames: string, header_bytes: int64, record_bytes: int64, footer_bytes: int64, buffer_size: int64",
            metadata="")  # fmt: skip
def fixed_length_record_dataset(filenames, header_bytes, record_bytes, footer_bytes, buffer_size):
    """The dataset of the records of `record_bytes` bytes between the header and the footer of files."""
    return _fixed(filenames, "", header_bytes, record_bytes, footer_bytes)


@dataset_op("FixedLengthRecordDatasetV2",
            "filenames: string, header_bytes: int64, record_bytes: int64, footer_bytes: int64, buffer_size: int64, "
            "compression_type: string", metadata="")  # fmt: skip
def fixed_length_record_dataset_v2(
    filenames, header_bytes, record_bytes, footer_bytes, buffer_size, compression_type
):
    """The dataset of the records of `record_bytes` bytes between the header and the footer of files."""
    return _fixed(
        filenames, compression(compression_type), header_bytes, record_bytes, footer_bytes
    )


for _opdef in (
    text_line_dataset, tf_record_dataset, fixed_length_record_dataset, fixed_length_record_dataset_v2,
):  # fmt: skip
    _opdef.reads_files("filenames")
