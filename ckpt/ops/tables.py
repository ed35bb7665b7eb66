"""Lookup tables: operations on a session's tables from keys to values."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from ckpt.core import arrays, dtypes
from ckpt.core.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr

WHOLE_LINE, LINE_NUMBER = -2, -1
"""Columns of a text file that are no columns: TensorFlow's TextFileIndex."""
MANY_KEYS = 256
"""From so many integers on, tables look them up all at once, in an array of values where their keys are close together."""


class Table:
    """A dictionary from keys to values (numbers, bytes, or for mutable tables rows) with its dtypes."""

    def __init__(self, name, key_dtype, value_dtype, is_mutable) -> None:
        self.name = name
        self.key_dtype = key_dtype
        self.value_dtype = value_dtype
        self.is_initialized = self.is_mutable = is_mutable
        self.held: dict = {}
        self._row: tuple | None = None
        self._lock = threading.Lock()

    def insert(self, keys, values) -> None:
        """Set the values of keys. A static table takes a key twice only with the same value."""
        rows = list(values) if values.ndim > keys.ndim else values.reshape(-1).tolist()
        pairs = list(zip(keys.reshape(-1).tolist(), rows, strict=True))
        with self._lock:
            if not self.is_mutable:
                self._check_once(pairs)
            self.held.update(pairs)
            self._row = None

    def clear(self) -> None:
        """Forget all keys."""
        with self._lock:
            self.held.clear()
            self._row = None

    def _check_once(self, pairs) -> None:
        seen: dict = {}
        for key, value in pairs:
            if seen.setdefault(key, value) != value:
                raise FailedPreconditionError(
                    None, None, f"HashTable has different value for same key. Key {key} has {seen[key]} and trying to "
                    f"add value {value}"
                )  # fmt: skip

    def find(self, keys, default):
        """The values of keys, `default` where there is none."""
        self.check_ready()
        default = np.asarray(default)
        if keys.dtype.kind == "i" and keys.size >= max(MANY_KEYS, len(self.held) // 4):
            row = None if default.ndim else self._values_in_a_row()
            if row is not None:
                return _looked_up(*row, keys, default)
        missing = default if default.ndim else default[()]
        found = [self.held.get(key, missing) for key in keys.reshape(-1).tolist()]
        if self.value_dtype == dtypes.string:
            flat = np.empty(len(found), object)
            flat[:] = found
            return flat.reshape(keys.shape)
        kind = self.value_dtype.as_numpy_dtype
        return np.array(found, kind).reshape((*keys.shape, *default.shape))

    def _values_in_a_row(self) -> tuple | None:
        """(the least key, the values of the keys from it on, which of these there are), or None where most are not."""
        with self._lock:
            if self._row is None and self.held:
                low, high = min(self.held), max(self.held)
                if high - low < 4 * len(self.held) + MANY_KEYS:
                    places = np.fromiter(self.held, np.int64, len(self.held)) - low
                    is_text = self.value_dtype == dtypes.string
                    kind = object if is_text else self.value_dtype.as_numpy_dtype
                    row, is_key = np.zeros(high - low + 1, kind), np.zeros(high - low + 1, np.bool_)
                    row[places] = np.array(list(self.held.values()), kind)
                    is_key[places] = True
                    self._row = low, row, is_key
            return self._row

    def check_ready(self) -> None:
        """Raise FailedPreconditionError before the table is initialised."""
        if not self.is_initialized:
            raise FailedPreconditionError(
                None,
                None,
                f"Table not initialized: {self.name}. Run tables_initializer() in this session first.",
            )


def _looked_up(low, row, is_key, keys, default):
    """The values at `keys`; a difference that overflows is no place either, as no other key gives it."""
    places = keys.astype(np.int64) - np.int64(low)
    is_known = places.view(np.uint64) < np.uint64(len(row))
    places = np.where(is_known, places, 0)
    is_known &= is_key[places]
    return np.where(is_known, row[places], np.asarray(default, row.dtype))


TABLE = {
    "container": "", "shared_name": "", "use_node_name_sharing": False, "key_dtype": Attr("type"),
    "value_dtype": Attr("type"),
}  # fmt: skip


def _define(type_name, is_mutable, doc):
    def kernel(ctx, *, container, shared_name, key_dtype, value_dtype):
        name = shared_name or ctx.node.name
        return ctx.resource(
            "table", container, name, lambda: Table(name, key_dtype, value_dtype, is_mutable)
        )

    kernel.__doc__ = doc
    opdef = op(type_name, "-> table_handle: resource", **TABLE)(kernel)
    opdef.shape(lambda: [()])
    return opdef.no_gradient("a table has no derivative")


hash_table_op = _define("HashTableV2", False, "A table that is filled once.")
mutable_hash_table_op = _define("MutableHashTableV2", True, "A table that can be changed.")


@op("LookupTableFindV2", "table_handle: resource, keys: Tin, default_value: Tout -> values: Tout")
def find_op(table, keys, default_value):
    """The values of `keys`, `default_value` where the table has none."""
    return table.find(np.asarray(keys), default_value)


find_op.shape(
    lambda table, keys, default: [
        keys.shape if default.shape.rank == 0 else keys.shape.concatenate(default.shape)
    ]
)


@op("LookupTableSizeV2", "table_handle: resource -> size: int64")
def size_op(table):
    """How many keys the table has."""
    table.check_ready()
    return np.int64(len(table.held))


size_op.shape(lambda table: [()])


@op("LookupTableInsertV2", "table_handle: resource, keys: Tin, values: Tout ->")
def insert_op(table, keys, values):
    """Set the values of keys."""
    table.insert(np.asarray(keys), np.asarray(values))
    return ()


@op("LookupTableImportV2", "table_handle: resource, keys: Tin, values: Tout ->")
def import_op(table, keys, values):
    """Replace all that the table holds."""
    table.clear()
    table.insert(np.asarray(keys), np.asarray(values))
    return ()


@op("LookupTableExportV2", "table_handle: resource -> keys: Tkeys, values: Tvalues", Tkeys=Attr("type"),
    Tvalues=Attr("type"))  # fmt: skip
def export_op(table, *, Tkeys, Tvalues):
    """All keys and their values."""
    table.check_ready()
    return _column(list(table.held), Tkeys), _column(list(table.held.values()), Tvalues)


def _column(values, dtype):
    return arrays.byte_strings(arrays.array_of(values, dtype)) if dtype == dtypes.string and values else np.array(
        values, dtype.as_numpy_dtype)  # fmt: skip


export_op.shape(lambda table: [(None,), None])


@op("InitializeTableV2", "table_handle: resource, keys: Tkey, values: Tval ->")
def initialize_op(table, keys, values):
    """Fill a table; a second time does nothing."""
    if keys.shape != values.shape:
        raise InvalidArgumentError(
            None,
            None,
            f"Number of keys and values must match: {list(keys.shape)} vs {list(values.shape)}",
        )
    if not table.is_initialized:
        table.insert(np.asarray(keys), np.asarray(values))
        table.is_initialized = True
    return ()


@op(
    "InitializeTableFromTextFileV2", "table_handle: resource, filename: string ->",
    key_index=Attr("int", minimum=-2), value_index=Attr("int", minimum=-2), vocab_size=Attr("int", -1, minimum=-1),
    delimiter="\t", offset=0,
)  # fmt: skip
def initialize_from_file_op(
    table, filename, *, key_index, value_index, vocab_size, delimiter, offset
):
    """Fill a table from the lines of a text file: keys and values are whole lines (-2), line numbers (-1) or columns."""
    if table.is_initialized:
        return ()
    path = Path(np.asarray(filename).item().decode())
    try:
        lines = path.read_bytes().splitlines()[offset:]
    except OSError as error:
        raise NotFoundError(None, None, f"{path}: {error.strerror}") from error
    if vocab_size > len(lines):
        raise InvalidArgumentError(
            None, None, f"Invalid vocab_size in {path}: expected {vocab_size} but got {len(lines)}"
        )
    lines = lines[:vocab_size] if vocab_size > 0 else lines
    keys = [
        _field(line, i, key_index, delimiter, table.key_dtype, path) for i, line in enumerate(lines)
    ]
    values = [
        _field(line, i, value_index, delimiter, table.value_dtype, path)
        for i, line in enumerate(lines)
    ]
    if len(set(keys)) < len(keys):
        raise FailedPreconditionError(None, None, f"{path} names a key twice")
    table.held.update(zip(keys, values, strict=True))
    table.is_initialized = True
    return ()


def _field(line, number, index, delimiter, dtype, path):
    if index == LINE_NUMBER:
        return number
    text = line
    if index != WHOLE_LINE:
        columns = line.split(delimiter.encode())
        if index >= len(columns):
            raise InvalidArgumentError(
                None, None, f"Invalid number of columns in {path} line {number} ({line!r}): expected at least "
                f"{index + 1}, got {len(columns)}"
            )  # fmt: skip
        text = columns[index]
    if dtype == dtypes.string:
        return text
    try:
        return float(text) if dtype.is_floating else int(text)
    except ValueError:
        raise InvalidArgumentError(
            None, None, f"{path} line {number}: {text!r} is no {dtype.name}"
        ) from None


for _opdef in (
    find_op,
    size_op,
    insert_op,
    import_op,
    export_op,
    initialize_op,
    initialize_from_file_op,
):
    _opdef.stateful()
    _opdef.no_gradient("a table has no derivative")
initialize_from_file_op.reads_files("filename")
