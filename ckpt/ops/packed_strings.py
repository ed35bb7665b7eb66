"""Strings that hold compressed data, or examples as JSON."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from ckpt.core.errors import DataLossError, InvalidArgumentError
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor

NO_GRADIENT = "strings have no derivative"
WINDOWS = {"ZLIB": 15, "GZIP": 31}
"""zlib's numbers of the two formats (the size of the window, plus 16 for gzip)."""


def _each(values: Any, function: Any) -> Any:
    found = np.empty(np.shape(values), object)
    found.reshape(-1)[:] = [function(value) for value in np.asarray(values, object).reshape(-1)]
    return found


@op("DecodeCompressed", "bytes: string -> output: string", compression_type="")
def decode_compressed(strings, *, compression_type):
    """Each string uncompressed: `compression_type` is "ZLIB", "GZIP" or "" for strings that are not compressed.

    Raises InvalidArgumentError for other types, DataLossError for strings that are not of that type.
    """
    kind = compression_type.decode() if isinstance(compression_type, bytes) else compression_type
    if not kind:
        return strings
    if kind not in WINDOWS:
        raise InvalidArgumentError(
            None, None, f"Only ZLIB, GZIP or NONE are supported compressions: {kind}"
        )

    def uncompressed(value: bytes) -> bytes:
        try:
            return zlib.decompress(value, WINDOWS[kind])
        except zlib.error as error:
            raise DataLossError(None, None, f"a string is not {kind} data: {error}") from error

    return _each(strings, uncompressed)


decode_compressed.shape(lambda strings: [strings.shape])
decode_compressed.no_gradient(NO_GRADIENT)


@op("DecodeJSONExample", "json_examples: string -> binary_examples: string")
def decode_json_example_op(strings):
    """Each Example message in JSON as a binary one. Raises InvalidArgumentError for what is no such message."""
    from google.protobuf import json_format  # protobuf is loaded only when messages are used

    from ckpt.wire import messages

    def parsed(value: bytes) -> bytes:
        try:
            example = json_format.Parse(value, messages.Example())
        except json_format.ParseError as error:
            raise InvalidArgumentError(None, None, f"Error while parsing JSON: {error}") from error
        return bytes(example.SerializeToString(deterministic=True))

    return _each(strings, parsed)


decode_json_example_op.shape(lambda strings: [strings.shape])
decode_json_example_op.no_gradient(NO_GRADIENT)


def decode_json_example(json_examples: Any, name: str | None = None) -> Tensor:
    """Example messages in JSON as binary ones, for `tf.parse_example`."""
    found: Tensor = decode_json_example_op(json_examples, name=name)
    return found
