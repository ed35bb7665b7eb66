"""Datasets of what files hold, by TensorFlow's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.specs import TensorSpec
from ckpt.model.dataset import Dataset
from ckpt.ops import datasets_files, shaping

BUFFER_BYTES = 256 * 1024
"""The buffer size that graphs say where none is given; ckpt reads in blocks of its own."""


def _number(value: Any, default: int, name: str) -> Tensor:
    given = default if value is None else value
    return convert.convert_to_tensor(given, dtypes.int64, name=name)


class _FileDataset(Dataset):
    """The records of files: `variant` makes the node that reads the files of a tensor of names."""

    def _read(self, filenames: Any, variant: Callable[[Any], Tensor], parallel_reads: Any) -> None:
        spec = TensorSpec([], dtypes.string)
        self._filenames = filenames
        if parallel_reads is None and not isinstance(filenames, Dataset):
            names = convert.convert_to_tensor(filenames, dtypes.string, name="filenames")
            super().__init__(variant(names), spec)
            return
        if not isinstance(filenames, Dataset):
            names = convert.convert_to_tensor(filenames, dtypes.string, name="filenames")
            filenames = Dataset.from_tensor_slices(
                shaping.reshape(names, [-1], name="flat_filenames")
            )

        def opened(name: Tensor) -> Dataset:
            return Dataset(variant(name), spec)

        whole = (
            filenames.flat_map(opened)
            if parallel_reads is None
            else filenames.interleave(opened, parallel_reads, num_parallel_calls=parallel_reads)
        )
        super().__init__(whole._variant_tensor, spec)


def _kind(compression_type: Any) -> Tensor:
    return convert.convert_to_tensor(compression_type or "", dtypes.string, name="compression_type")


class TextLineDataset(_FileDataset):
    """The lines of text files as strings, without their ends. `compression_type` is "", "GZIP" or "ZLIB".

    `filenames` are a string tensor or a dataset of strings. NotFoundError when run for a file that is missing.
    """

    def __init__(
        self,
        filenames: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        num_parallel_reads: Any = None,
    ) -> None:
        def variant(names: Any) -> Tensor:
            kind, size = _kind(compression_type), _number(buffer_size, BUFFER_BYTES, "buffer_size")
            made: Tensor = datasets_files.text_line_dataset(names, kind, size)
            return made

        self._read(filenames, variant, num_parallel_reads)


class TFRecordDataset(_FileDataset):
    """The records of TFRecord files as strings. `compression_type` is "", "GZIP" or "ZLIB".

    `filenames` are a string tensor or a dataset of strings; with `num_parallel_reads` so many files are interleaved.
    DataLossError when run for a damaged or truncated record, NotFoundError for a file that is missing.
    """

    def __init__(
        self,
        filenames: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        num_parallel_reads: Any = None,
    ) -> None:
        def variant(names: Any) -> Tensor:
            kind, size = _kind(compression_type), _number(buffer_size, BUFFER_BYTES, "buffer_size")
            made: Tensor = datasets_files.tf_record_dataset(names, kind, size)
            return made

        self._read(filenames, variant, num_parallel_reads)


class FixedLengthRecordDataset(_FileDataset):
    """The records of `record_bytes` bytes of files as strings, between a header and a footer.

    InvalidArgumentError when run for a file whose length does not fit.
    """

    def __init__(
        self,
        filenames: Any,
        record_bytes: Any,
        header_bytes: Any = None,
        footer_bytes: Any = None,
        buffer_size: Any = None,
        compression_type: Any = None,
        num_parallel_reads: Any = None,
    ) -> None:
        def variant(names: Any) -> Tensor:
            made: Tensor = datasets_files.fixed_length_record_dataset_v2(
                names,
                _number(header_bytes, 0, "header_bytes"),
                _number(record_bytes, 0, "record_bytes"),
                _number(footer_bytes, 0, "footer_bytes"),
                _number(buffer_size, BUFFER_BYTES, "buffer_size"),
                _kind(compression_type),
            )
            return made

        self._read(filenames, variant, num_parallel_reads)
