"""A vocabulary that gives every word an id: known words those of a table, others by their hash. Knows no kernel."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.opdef import opdef_of
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import name_scope
from ckpt.model.lookup import StaticHashTable
from ckpt.ops import casting, compare, elementwise, searching

UNKNOWN = -1


class StaticVocabularyTable:
    """The ids of words: those of `initializer` (0 and up), others in `num_oov_buckets` buckets behind, by their hash.

    Keys are strings, or integers of `lookup_key_dtype`. Raises ValueError without buckets, TypeError unless the
    values of `initializer` are int64 and its keys fit `lookup_key_dtype`.
    """

    def __init__(
        self, initializer: Any, num_oov_buckets: int, lookup_key_dtype: Any = None, name: str | None = None,
        experimental_is_anonymous: bool = False,
    ) -> None:  # fmt: skip
        if num_oov_buckets <= 0:
            raise ValueError("`num_oov_buckets` must be > 0; use StaticHashTable.")
        if initializer.value_dtype != dtypes.int64:
            raise TypeError(
                f"Invalid `value_dtype`, expected {dtypes.int64} but got {initializer.value_dtype}."
            )
        self.key_dtype = dtypes.as_dtype(lookup_key_dtype or initializer.key_dtype)
        if self.key_dtype.is_integer != initializer.key_dtype.is_integer:
            wanted = "integer" if self.key_dtype.is_integer else "string"
            raise TypeError(
                f"Invalid `key_dtype`, expected {wanted} but got {initializer.key_dtype}."
            )
        if self.key_dtype != dtypes.string and not self.key_dtype.is_integer:
            raise TypeError(
                f"Invalid `key_dtype`, expected integer or string but got {self.key_dtype}."
            )
        self.value_dtype = dtypes.int64
        self._buckets = num_oov_buckets
        self._table = StaticHashTable(initializer, UNKNOWN)
        self._name = name or self._table.name

    @property
    def name(self) -> str:
        """The name of the table in the graph."""
        return self._name

    @property
    def resource_handle(self) -> Tensor:
        """The handle of the table of known words."""
        handle: Tensor = self._table.resource_handle
        return handle

    @property
    def initializer(self) -> Operation:
        """The operation that fills the table; `tables_initializer()` runs it."""
        made: Operation = self._table.initializer
        return made

    def size(self, name: str | None = None) -> Tensor:
        """How many words and buckets there are: an int64 scalar."""
        with name_scope(name, f"{self.name}_Size"):
            total: Tensor = self._count() + self._buckets
            return total

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """The ids of `keys`, int64: a tensor, or a SparseTensor whose values are looked up.

        Raises TypeError unless they are of `key_dtype`.
        """
        if hasattr(keys, "dense_shape") and not isinstance(keys, Tensor):
            return keys.with_values(self.lookup(keys.values, name))
        keys = convert.convert_to_tensor(
            keys, dtype=None if isinstance(keys, Tensor) else self.key_dtype
        )
        if keys.dtype.base_dtype != self.key_dtype:
            raise TypeError(
                f"Signature mismatch. Keys must be dtype {self.key_dtype}, got {keys.dtype.base_dtype}."
            )
        held = casting.cast(keys, self._table.key_dtype) if keys.dtype.is_integer else keys
        with name_scope(name, f"{self.name}_Lookup"):
            words = opdef_of("AsString")(held) if held.dtype.is_integer else held
            bucket = opdef_of("StringToHashBucketFast")(
                words, num_buckets=self._buckets, name="hash_bucket"
            )
            ids = self._known(held)
            bucket = elementwise.add(bucket, self._count(), name="Add")
            is_known = compare.not_equal(ids, self._table.default_value)
            return searching.where_v2(is_known, ids, bucket)

    def _count(self) -> Tensor:
        with name_scope(None, f"{self._table.name}_Size"):
            found: Tensor = opdef_of("LookupTableSizeV2")(self.resource_handle)
        return found

    def _known(self, keys: Tensor) -> Tensor:
        with name_scope(None, f"{self._table.name}_Lookup"):
            found: Tensor = opdef_of("LookupTableFindV2")(
                self.resource_handle, keys, self._table.default_value
            )
        return found
