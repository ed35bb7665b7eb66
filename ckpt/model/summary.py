"""Summaries for TensorBoard: `tf.summary`'s functions over the operations of `ops/summary.py`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert, stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.ops import summary as ops

log = logging.getLogger("ckpt")


def clean_tag(name: str | None) -> str | None:
    """A name in which characters that no node name has are underlines, and which does not start with a slash."""
    if name is None:
        return None
    cleaned = re.sub(r"[^-/\w.]", "_", name).lstrip("/")
    if cleaned != name:
        log.info("Summary name %s is illegal; using %s instead.", name, cleaned)
    return cleaned


@contextmanager
def _summary_scope(
    name: str, family: str | None, values: Sequence[Any], default_name: str | None = None
) -> Iterator[tuple[str, str]]:
    """The tag of a summary and the scope of its nodes; a family comes before both."""
    name, family = clean_tag(name) or "", clean_tag(family)
    wanted = name if family is None else f"{family}/{name}"
    with name_scope(wanted or None, default_name, values) as scope:
        unique = scope.rstrip("/")
        yield unique if family is None else f"{family}/{unique}", scope


def _collect(summary: Tensor, collections: Sequence[str] | None, default: Sequence[str]) -> Tensor:
    for key in default if collections is None else collections:
        stack.get_default_graph().add_to_collection(key, summary)
    return summary


def scalar(
    name: str, tensor: Any, collections: Sequence[str] | None = None, family: str | None = None
) -> Tensor:
    """One number under a tag. `tensor`: a real scalar. Returns a scalar string tensor, a Summary message as bytes.

    The summary is in `collections` (`GraphKeys.SUMMARIES` when None). The tag is the name of the node, with `family` before it.
    """
    with _summary_scope(name, family, [tensor]) as (tag, scope):
        found = ops.scalar_summary(tag, tensor, name=scope)
    return _collect(found, collections, [GraphKeys.SUMMARIES])


def histogram(
    name: str, values: Any, collections: Sequence[str] | None = None, family: str | None = None
) -> Tensor:
    """How the values of a tensor of any shape are distributed. NaN and infinities fail when run."""
    with _summary_scope(name, family, [values], "HistogramSummary") as (tag, scope):
        found = ops.histogram_summary(tag, values, name=scope)
    return _collect(found, collections, [GraphKeys.SUMMARIES])


def image(
    name: str,
    tensor: Any,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    family: str | None = None,
) -> Tensor:
    """At most `max_outputs` images of [batch, height, width, channels] with 1, 3 or 4 channels, uint8 or float.

    Tags: `name/image` for one output, else `name/image/0` and so on. Floats are scaled to fit, image by image.
    """
    with _summary_scope(name, family, [tensor]) as (tag, scope):
        found = ops.image_summary(tag, tensor, max_images=max_outputs, name=scope)
    return _collect(found, collections, [GraphKeys.SUMMARIES])


def audio(
    name: str,
    tensor: Any,
    sample_rate: Any,
    max_outputs: int = 3,
    collections: Sequence[str] | None = None,
    family: str | None = None,
) -> Tensor:
    """At most `max_outputs` sounds of [batch, frames, channels] or [batch, frames], float32 in [-1, 1]; rate in Hz."""
    with _summary_scope(name, family, [tensor]) as (tag, scope):
        rate = convert.convert_to_tensor(sample_rate, dtype=dtypes.float32, name="sample_rate")
        found = ops.audio_summary_v2(tag, tensor, rate, max_outputs=max_outputs, name=scope)
    return _collect(found, collections, [GraphKeys.SUMMARIES])


def text(name: str, tensor: Any, collections: Sequence[str] | None = None) -> Tensor:
    """Texts (Markdown) of any shape. Raises ValueError unless `tensor` holds strings."""
    tensor = convert.convert_to_tensor(tensor)
    if tensor.dtype != dtypes.string:
        raise ValueError(f"Expected tensor {tensor.name} to have dtype string, got {tensor.dtype}")
    from ckpt.wire import messages  # protobuf is loaded only when messages are used

    plugin = messages.SummaryMetadata.PluginData(plugin_name="text")
    return tensor_summary(
        name,
        tensor,
        summary_metadata=messages.SummaryMetadata(plugin_data=plugin),
        collections=collections,
    )


def tensor_summary(
    name: str,
    tensor: Any,
    summary_description: str | None = None,
    collections: Sequence[str] | None = None,
    summary_metadata: Any = None,
    family: str | None = None,
    display_name: str | None = None,
) -> Tensor:
    """A whole tensor, with what says how it is to be shown: a SummaryMetadata, a description, another name."""
    from ckpt.wire import messages

    metadata = messages.SummaryMetadata()
    if summary_metadata is not None:
        metadata.MergeFromString(summary_metadata.SerializeToString())
    if display_name is not None:
        metadata.display_name = display_name
    if summary_description is not None:
        metadata.summary_description = str(summary_description)
    with _summary_scope(name, family, [tensor]) as (tag, scope):
        found = ops.tensor_summary_v2(tag, tensor, metadata.SerializeToString(), name=scope)
    return _collect(found, collections, [GraphKeys.SUMMARIES])


def merge(
    inputs: Sequence[Any], collections: Sequence[str] | None = None, name: str | None = None
) -> Tensor:
    """One summary with the values of all. When run it fails if two of them have the same tag."""
    name = clean_tag(name)
    with name_scope(name, "Merge", inputs):
        found = ops.merge_summary(list(inputs), name=name)
    return _collect(found, collections, [])


def merge_all(
    key: str = GraphKeys.SUMMARIES, scope: str | None = None, name: str | None = None
) -> Tensor | None:
    """All summaries of a collection, whose names match `scope` where it is given, in one; None when there are none."""
    found = stack.get_default_graph().get_collection(key, scope=scope)
    return merge(found, name=name) if found else None


def get_summary_description(node_def: Any) -> Any:
    """The SummaryDescription in a node of type TensorSummary. Raises ValueError for another node."""
    if node_def.op != "TensorSummary":
        raise ValueError(f"Can't get_summary_description on {node_def.op}")
    from google.protobuf import json_format

    from ckpt.wire import messages

    text = node_def.attr["description"].s.decode() or "{}"
    return json_format.Parse(text, messages.SummaryDescription())
