"""Writing and iterating TFRecord files by TensorFlow's names: `tf.python_io`. The bytes are those of `formats/tfrecord.py`."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ckpt.core.texts import bytes_of
from ckpt.formats import tfrecord

if TYPE_CHECKING:
    from typing import Self

Path = str | bytes | os.PathLike[str]


class TFRecordCompressionType:
    """How the bytes of a TFRecord file are compressed: NONE, ZLIB (RFC 1950), GZIP (RFC 1952)."""

    NONE = 0
    ZLIB = 1
    GZIP = 2


_NAMES = {
    TFRecordCompressionType.ZLIB: "ZLIB",
    TFRecordCompressionType.GZIP: "GZIP",
    TFRecordCompressionType.NONE: "",
}


class TFRecordOptions:
    """How TFRecord files are written: compression, and zlib's settings where there is one.

    `flush_mode` is what `flush` asks of zlib (0: nothing, 2: all that was written can be read, 3: and from there on without
    what came before), and what happens every `input_buffer_size` bytes; `window_bits`, `compression_level`, `mem_level` and
    `compression_strategy` are zlib's. `output_buffer_size` and `compression_method` change nothing. `max_expansion`, which
    is ckpt's own, is how many times the bytes of a compressed file one record of it may take (200 unless given), or 1 GiB
    if that is more. Raises ValueError for an unknown `compression_type`.
    """

    compression_type_map = _NAMES

    def __init__(
        self,
        compression_type: Any = None,
        flush_mode: int | None = None,
        input_buffer_size: int | None = None,
        output_buffer_size: int | None = None,
        window_bits: int | None = None,
        compression_level: int | None = None,
        compression_method: int | None = None,
        mem_level: int | None = None,
        compression_strategy: int | None = None,
        *,
        max_expansion: int | None = None,
    ) -> None:
        self.get_compression_type_string(compression_type)
        self.compression_type = compression_type
        self.flush_mode = flush_mode
        self.input_buffer_size = input_buffer_size
        self.output_buffer_size = output_buffer_size
        self.window_bits = window_bits
        self.compression_level = compression_level
        self.compression_method = compression_method
        self.mem_level = mem_level
        self.compression_strategy = compression_strategy
        self.max_expansion = max_expansion

    @classmethod
    def get_compression_type_string(cls, options: Any) -> str:
        """ "GZIP", "ZLIB" or "" of an option object, a number, a name or None. Raises ValueError for anything else."""
        if not options:
            return ""
        if isinstance(options, TFRecordOptions):
            return cls.get_compression_type_string(options.compression_type)
        if isinstance(options, int) and options in _NAMES:
            return _NAMES[options]
        if options in tfrecord.COMPRESSIONS:
            return str(options)
        raise ValueError(f'Not a valid compression_type: "{options}"')

    def zlib_settings(self) -> dict[str, int]:
        """The settings that differ from zlib's own."""
        given = {
            "flush_mode": self.flush_mode,
            "window_bits": self.window_bits,
            "level": self.compression_level,
            "memory_level": self.mem_level,
            "strategy": self.compression_strategy,
            "input_buffer": self.input_buffer_size,
        }
        return {name: value for name, value in given.items() if value is not None}


class TFRecordWriter:
    """Writes byte strings to a new TFRecord file, an older one is replaced; as a context manager it closes at the end.

    `options` is a TFRecordOptions, or a compression by number or name. Raises ValueError for an unknown compression,
    NotFoundError for a missing directory.
    """

    def __init__(self, path: Path, options: Any = None) -> None:
        kind = TFRecordOptions.get_compression_type_string(options)
        settings = options.zlib_settings() if isinstance(options, TFRecordOptions) else {}
        try:
            self._writer = tfrecord.RecordWriter(os.fsdecode(path), kind, **settings)
        except (ValueError, zlib.error) as error:
            raise ValueError(f"zlib does not take {settings}: {error}") from error

    def write(self, record: bytes | str) -> None:
        """Append one record, text as UTF-8. Raises FailedPreconditionError after `close`, TypeError for other types."""
        if isinstance(record, str):
            record = bytes_of(record)
        if not isinstance(record, (bytes, bytearray, memoryview)):
            raise TypeError(f"A record is a byte string, not {type(record).__name__}: {record!r}")
        self._writer.write(bytes(record))

    def flush(self) -> None:
        """Hand what was written to the file system. Raises FailedPreconditionError after `close`."""
        self._writer.flush()

    def close(self) -> None:
        """End the file; closing twice is allowed."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def tf_record_iterator(path: Path, options: Any = None) -> Iterator[bytes]:
    """The records of a TFRecord file, one after the other.

    Raises NotFoundError for a missing file and DataLossError, with the place, for a damaged or truncated record, and for one
    that claims more than `options.max_expansion` allows.
    """
    kind = TFRecordOptions.get_compression_type_string(options)
    most = options.max_expansion if isinstance(options, TFRecordOptions) else None
    most = tfrecord.MAX_EXPANSION if most is None else most
    with tfrecord.RecordReader(os.fsdecode(path), kind, max_expansion=most) as reader:
        yield from reader
