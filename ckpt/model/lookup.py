"""Tables from keys to values as objects: `tf.lookup`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.graph import convert, stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.opdef import opdef_of
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import add_to_collection, colocate_with, name_scope
from ckpt.model.saveable import SaveableObject, SaveSpec
from ckpt.ops import casting, compare, constants, control, elementwise, indexing, shaping, tables


class TextFileIndex:
    """Which part of a line is meant: the whole, its number, or a column."""

    WHOLE_LINE = tables.WHOLE_LINE
    LINE_NUMBER = tables.LINE_NUMBER


class KeyValueTensorInitializer:
    """Fills a table from a tensor of keys and one of values."""

    def __init__(
        self, keys: Any, values: Any, key_dtype: Any = None, value_dtype: Any = None, name: str | None = None,
        value_shape: Any = None,
    ) -> None:  # fmt: skip
        with name_scope(name, "key_value_init", [keys, values]) as scope:
            self._keys = convert.convert_to_tensor(keys, dtype=key_dtype, name="keys")
            self._values = convert.convert_to_tensor(values, dtype=value_dtype, name="values")
            self._name = scope

    key_dtype = property(lambda self: self._keys.dtype.base_dtype, doc="The dtype of the keys.")
    value_dtype = property(
        lambda self: self._values.dtype.base_dtype, doc="The dtype of the values."
    )

    def initialize(self, table: Any) -> Operation:
        """The operation that fills `table`."""
        with name_scope(self._name, values=[table.resource_handle]):
            made: Operation = tables.initialize_op(
                table.resource_handle, self._keys, self._values, name="table_init"
            )
        add_to_collection(GraphKeys.TABLE_INITIALIZERS, made)
        return made


class TextFileInitializer:
    """Fills a table from the lines of a text file."""

    def __init__(
        self, filename: Any, key_dtype: Any, key_index: int, value_dtype: Any, value_index: int,
        vocab_size: int | None = None, delimiter: str = "\t", name: str | None = None, value_index_offset: int = 0,
    ) -> None:  # fmt: skip
        self.key_dtype = dtypes.as_dtype(key_dtype)
        self.value_dtype = dtypes.as_dtype(value_dtype)
        for index, dtype, what in (
            (key_index, self.key_dtype, "key"),
            (value_index, self.value_dtype, "value"),
        ):
            if index == TextFileIndex.LINE_NUMBER and dtype != dtypes.int64:
                raise ValueError(f"the {what} is a line number and must be int64, got {dtype.name}")
            if index == TextFileIndex.WHOLE_LINE and not (
                dtype.is_integer or dtype == dtypes.string
            ):
                raise ValueError(
                    f"the {what} is a whole line and must be string or an integer, got {dtype.name}"
                )
        self._filename = filename
        self._attrs = {"key_index": key_index, "value_index": value_index, "delimiter": delimiter,
                       "vocab_size": -1 if vocab_size is None else vocab_size}  # fmt: skip
        self._name = name

    def initialize(self, table: Any) -> Operation:
        """The operation that fills `table`."""
        with name_scope(self._name, "text_file_init", [table.resource_handle]) as scope:
            filename = convert.convert_to_tensor(
                self._filename, dtypes.string, name="asset_filepath"
            )
            made: Operation = tables.initialize_from_file_op(
                table.resource_handle, filename, name=scope, **self._attrs
            )
        add_to_collection(GraphKeys.TABLE_INITIALIZERS, made)
        if constants_only(filename):
            stack.get_default_graph().add_to_collection(GraphKeys.ASSET_FILEPATHS, filename)
        return made


def constants_only(tensor: Tensor) -> bool:
    """True for the output of a constant."""
    return tensor.op.type == "Const"


class _Table:
    """What both kinds of table share. Subclasses make the handle."""

    def __init__(
        self, handle: Tensor, key_dtype: Any, value_dtype: Any, default_value: Any, name: str
    ) -> None:
        self.resource_handle = handle
        self.key_dtype, self.value_dtype = key_dtype, value_dtype
        self.default_value = convert.convert_to_tensor(default_value, dtype=value_dtype)
        self.name = name

    def size(self, name: str | None = None) -> Tensor:
        """How many keys there are."""
        found: Tensor = tables.size_op(self.resource_handle, name=name)
        return found

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """The values of keys (a tensor, or a SparseTensor whose values are looked up)."""
        if hasattr(keys, "dense_shape") and not isinstance(keys, Tensor):
            return type(keys)(keys.indices, self.lookup(keys.values, name), keys.dense_shape)
        keys = convert.convert_to_tensor(
            keys, dtype=None if isinstance(keys, Tensor) else self.key_dtype
        )
        if keys.dtype.base_dtype != self.key_dtype:
            raise TypeError(
                f"Signature mismatch. Keys must be dtype {self.key_dtype.name}, got {keys.dtype.name}."
            )
        with name_scope(name, f"{self.name}_Lookup", [keys]):
            return tables.find_op(self.resource_handle, keys, self.default_value)


class StaticHashTable(_Table):
    """A table that an initializer fills once; run `tables_initializer()` before looking up."""

    def __init__(
        self,
        initializer: Any,
        default_value: Any,
        shared_name: str | None = None,
        name: str | None = None,
    ) -> None:
        self._initializer = initializer
        key, value = initializer.key_dtype, initializer.value_dtype
        with name_scope(name, "hash_table", [initializer, default_value]) as scope:
            handle = tables.hash_table_op(
                shared_name=shared_name or "", key_dtype=key, value_dtype=value, name=scope
            )
            super().__init__(handle, key, value, default_value, scope.split("/")[-2])
            self.initializer = initializer.initialize(self)
        self.init = self.initializer

    def export(self, name: str | None = None) -> tuple[Tensor, Tensor]:
        """All keys and their values."""
        keys, values = tables.export_op(
            self.resource_handle, Tkeys=self.key_dtype, Tvalues=self.value_dtype, name=name
        )
        return keys, values


HashTable = StaticHashTable


class MutableHashTable(_Table):
    """A table that a program changes while it runs. Savers save it, unless `checkpoint` is False."""

    def __init__(
        self, key_dtype: Any, value_dtype: Any, default_value: Any, shared_name: str | None = None,
        name: str = "MutableHashTable", checkpoint: bool = True,
    ) -> None:  # fmt: skip
        key, value = dtypes.as_dtype(key_dtype), dtypes.as_dtype(value_dtype)
        default = convert.convert_to_tensor(default_value, dtype=value)
        handle = tables.mutable_hash_table_op(
            shared_name=shared_name or "",
            use_node_name_sharing=checkpoint and shared_name is None,
            key_dtype=key,
            value_dtype=value,
            name=name,
        )
        super().__init__(handle, key, value, default, handle.op.name.rpartition("/")[2])
        if checkpoint:
            add_to_collection(GraphKeys.SAVEABLE_OBJECTS, _TableSaveable(self, name))

    def insert(self, keys: Any, values: Any, name: str | None = None) -> Operation:
        """The operation that sets the values of keys."""
        keys = convert.convert_to_tensor(keys, dtype=self.key_dtype)
        values = convert.convert_to_tensor(values, dtype=self.value_dtype)
        made: Operation = tables.insert_op(self.resource_handle, keys, values, name=name)
        return made

    def export(self, name: str | None = None) -> tuple[Tensor, Tensor]:
        """All keys and their values."""
        with (
            name_scope(name, f"{self.name}_lookup_table_export_values", [self.resource_handle]),
            colocate_with(self.resource_handle),
        ):
            keys, values = tables.export_op(
                self.resource_handle, Tkeys=self.key_dtype, Tvalues=self.value_dtype
            )
        return keys, values


class _TableSaveable(SaveableObject):
    """What a Saver writes for a table: its keys and its values, in the same order."""

    def __init__(self, table: MutableHashTable, name: str) -> None:
        keys, values = table.export()
        specs = [SaveSpec(keys, "", f"{name}-keys"), SaveSpec(values, "", f"{name}-values")]
        super().__init__(table, specs, name)

    def restore(
        self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None
    ) -> Operation:
        """The operation that replaces all that the table holds."""
        handle = self.op.resource_handle
        with name_scope(f"{self.op.name}_table_restore"), colocate_with(handle):
            made: Operation = tables.import_op(handle, *restored_tensors)
        return made


class IdTableWithHashBuckets:
    """A table of ids whose unknown keys fall into buckets behind the known ones, by their hash."""

    def __init__(
        self, table: Any, num_oov_buckets: int, name: str | None = None, key_dtype: Any = None
    ) -> None:
        self._table = table
        self._buckets = num_oov_buckets
        self._name = name or "string_to_index"
        self.key_dtype = dtypes.as_dtype(key_dtype or table.key_dtype)
        self.value_dtype = dtypes.int64
        self.initializer = self.init = table.initializer if table is not None else control.no_op()

    def size(self, name: str | None = None) -> Tensor:
        """How many keys and buckets there are."""
        return self._table.size(name) + self._buckets  # type: ignore[no-any-return]  # Tensor addition

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """The ids of keys; those unknown get one of the buckets behind the table."""
        if self._buckets == 0:
            return self._table.lookup(keys, name)
        with name_scope(name, f"{self._name}_Lookup"):
            keys = convert.convert_to_tensor(keys, dtype=self.key_dtype)
            text = keys if self.key_dtype == dtypes.string else opdef_of("AsString")(keys)
            bucket = opdef_of("StringToHashBucketFast")(text, num_buckets=self._buckets)
            ids = self._table.lookup(keys)
            known = compare.not_equal(ids, self._table.default_value)
            return compare.where(known, ids, elementwise.add(bucket, self._table.size()))


def index_table_from_tensor(
    vocabulary_list: Any, num_oov_buckets: int = 0, default_value: int = -1, hasher_spec: Any = None,
    dtype: Any = dtypes.string, name: str | None = None,
) -> Any:  # fmt: skip
    """The table from each member of a vocabulary to its place; others give `default_value` or fall into buckets.

    Raises ValueError without a vocabulary or for a negative number of buckets.
    """
    if vocabulary_list is None:
        raise ValueError("vocabulary_list must be specified.")
    if num_oov_buckets < 0:
        raise ValueError(f"num_oov_buckets must be greater or equal than 0, got {num_oov_buckets}.")
    with name_scope(name, "string_to_index"):
        keys = convert.convert_to_tensor(vocabulary_list)
        kind = dtypes.as_dtype(dtype)
        if kind.is_integer != keys.dtype.is_integer:
            raise ValueError(f"Expected {kind.name} keys, got {keys.dtype.name}.")
        count = keys.shape.num_elements()
        values = constants.constant(np.arange(count or 0), dtypes.int64) if count is not None else casting.cast(
            _places(keys), dtypes.int64)  # fmt: skip
        with name_scope(None, "hash_table"):
            initializer = KeyValueTensorInitializer(
                casting.cast(keys, dtypes.int64) if keys.dtype.is_integer else keys,
                values,
                name="table_init",
            )
            table = StaticHashTable(initializer, default_value)
        return (
            IdTableWithHashBuckets(table, num_oov_buckets, key_dtype=kind)
            if num_oov_buckets
            else table
        )


def _places(keys: Tensor) -> Tensor:
    return indexing.range_(shaping.size(keys))


def index_table_from_file(
    vocabulary_file: Any = None, num_oov_buckets: int = 0, vocab_size: int | None = None, default_value: int = -1,
    hasher_spec: Any = None, key_dtype: Any = dtypes.string, name: str | None = None, **_: Any,
) -> Any:  # fmt: skip
    """The table from each line of a file to its number. Raises ValueError without a file."""
    if not vocabulary_file and not isinstance(vocabulary_file, Tensor):
        raise ValueError("vocabulary_file must be specified and must not be empty.")
    with name_scope(name, "string_to_index"):
        initializer = TextFileInitializer(
            vocabulary_file,
            key_dtype,
            TextFileIndex.WHOLE_LINE,
            dtypes.int64,
            TextFileIndex.LINE_NUMBER,
            vocab_size,
        )
        table = StaticHashTable(initializer, default_value)
        return IdTableWithHashBuckets(table, num_oov_buckets) if num_oov_buckets else table


def index_to_string_table_from_tensor(
    vocabulary_list: Any, default_value: str = "UNK", name: str | None = None
) -> StaticHashTable:
    """The table from each place in a vocabulary to its member. Raises ValueError without a vocabulary."""
    if vocabulary_list is None:
        raise ValueError("vocabulary_list must be specified.")
    with name_scope(name, "index_to_string"):
        values = convert.convert_to_tensor(vocabulary_list, dtypes.string)
        keys = constants.constant(np.arange(values.shape.num_elements() or 0), dtypes.int64)
        return StaticHashTable(
            KeyValueTensorInitializer(keys, values, name="table_init"), default_value
        )


def index_to_string_table_from_file(
    vocabulary_file: Any,
    vocab_size: int | None = None,
    default_value: str = "UNK",
    name: str | None = None,
    **_: Any,
) -> StaticHashTable:
    """The table from each line's number in a file to the line. Raises ValueError without a file."""
    if not vocabulary_file and not isinstance(vocabulary_file, Tensor):
        raise ValueError("vocabulary_file must be specified and must not be empty.")
    with name_scope(name, "index_to_string"):
        initializer = TextFileInitializer(
            vocabulary_file,
            dtypes.int64,
            TextFileIndex.LINE_NUMBER,
            dtypes.string,
            TextFileIndex.WHOLE_LINE,
            vocab_size,
        )
        return StaticHashTable(initializer, default_value)


def tables_initializer(name: str = "init_all_tables") -> Operation:
    """The operation that fills all tables of the default graph."""
    made = stack.get_default_graph().get_collection(GraphKeys.TABLE_INITIALIZERS)
    return control.group(*made, name=name) if made else control.no_op(name=name)
