"""Connectionist temporal classification under its second names, and labels made ready for it. Knows no kernel."""

from __future__ import annotations

from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.sparse import SparseTensor
from ckpt.model.functional import map_fn
from ckpt.ops import (  # fmt: skip
    casting,
    compare,
    constants,
    ctc,
    distinct,
    indexing,
    joining,
    partitioning,
    reduction,
    reversing,
    scattering,
    shaping,
)


def ctc_loss_v2(
    labels: Any, logits: Any, label_length: Any, logit_length: Any, logits_time_major: bool = True, unique: Any = None,
    blank_index: int | None = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The loss [batch] of labels, sparse or [batch, time], int32, for logits [time, batch, classes].

    `logit_length` [batch] and, for labels that are not sparse, `label_length` [batch] say how much of them counts.
    `blank_index` is the class that stands for nothing: any for sparse labels (which then need it), 0 where it is None
    and they are not sparse. `unique` is what `ctc_unique_labels` finds; nothing here needs it. Raises ValueError for
    sparse labels without a `blank_index`.
    """
    if isinstance(labels, SparseTensor):
        if blank_index is None:
            raise ValueError(
                "Argument `blank_index` must be provided when labels is a SparseTensor."
            )
        return _loss(labels, logits, logit_length, logits_time_major, blank_index)
    with name_scope(name, "ctc_loss_dense", [logits, labels, label_length, logit_length]):
        blank = 0 if blank_index is None else blank_index
        labels = convert.convert_to_tensor(labels, name="labels")
        within = partitioning.sequence_mask(label_length, maxlen=shaping.shape(labels)[1])
        places = indexing.where_op(within)
        sparse = SparseTensor(
            places,
            scattering.gather_nd(labels, places),
            shaping.shape(labels, out_type=dtypes.int64),
        )
        return _loss(sparse, logits, logit_length, logits_time_major, blank)


def _loss(labels: SparseTensor, logits: Any, lengths: Any, is_time_major: bool, blank: int) -> Tensor:  # fmt: skip
    """The loss of the operation, for which the blank is the last class."""
    logits = convert.convert_to_tensor(logits, name="logits")
    classes = logits.shape.as_list()[-1]
    if classes is None:
        raise ValueError("the number of classes, the last size of `logits`, must be known")
    blank = blank + classes if blank < 0 else blank
    if blank != classes - 1:
        parts = [logits[:, :, :blank], logits[:, :, blank + 1 :], logits[:, :, blank : blank + 1]]
        logits = joining.concat(parts, axis=2)
        values = compare.where(labels.values < blank, labels.values, labels.values - 1)
        labels = labels.with_values(values)
    return ctc.ctc_loss(labels, logits, lengths, time_major=is_time_major)


def ctc_beam_search_decoder_v2(
    inputs: Any, sequence_length: Any, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[SparseTensor], Tensor]:
    """The `top_paths` best label sequences of logits [time, batch, classes], repeated labels kept, and their logs."""
    return ctc.ctc_beam_search_decoder(
        inputs, sequence_length, beam_width=beam_width, top_paths=top_paths, merge_repeated=False
    )


def ctc_unique_labels(labels: Any, name: str | None = None) -> tuple[Tensor, Tensor]:
    """(the different labels of each row, filled up with zeros, int64; which of them each label is): [batch, time]."""
    with name_scope(name, "ctc_unique_labels", [labels]):
        labels = convert.convert_to_tensor(labels, name="labels")
        count = labels.shape.as_list()[1]

        def of_row(row: Tensor) -> tuple[Tensor, Tensor]:
            found = distinct.unique(row)
            missing = (shaping.shape(row)[0] if count is None else count) - shaping.shape(found.y)[
                0
            ]
            padded = reversing.pad(found.y, [[0, missing]])
            return casting.cast(padded, dtypes.int64), found.idx

        found = map_fn(of_row, labels, dtype=(dtypes.int64, dtypes.int32))
        return found[0], found[1]


def collapse_repeated(labels: Any, seq_length: Any, name: str | None = None) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(labels [batch, time] where each run of equal ones is one, filled up with zeros; their counts [batch])."""
    with name_scope(name, "collapse_repeated_labels", [labels, seq_length]):
        labels = convert.convert_to_tensor(labels, name="labels")
        seq_length = convert.convert_to_tensor(seq_length, name="seq_length")
        first = constants.ones_like(labels[:, :1], dtypes.bool_)
        is_new = joining.concat([first, compare.not_equal(labels[:, 1:], labels[:, :-1])], axis=1)
        width = labels.shape.as_list()[1]
        within = partitioning.sequence_mask(
            seq_length, maxlen=shaping.shape(labels)[1] if width is None else width
        )
        is_new = compare.logical_and(is_new, within)
        counts = reduction.reduce_sum(casting.cast(is_new, dtypes.int32), axis=1)
        most = reduction.reduce_max(counts)
        is_there = partitioning.sequence_mask(counts, maxlen=most)
        flat_labels, flat_new = shaping.reshape(labels, [-1]), shaping.reshape(is_new, [-1])
        is_there = shaping.reshape(is_there, [-1])
        places = indexing.range_(shaping.shape(is_there)[0])
        flat = scattering.scatter_nd(
            shaping.expand_dims(indexing.boolean_mask(places, is_there), 1),
            indexing.boolean_mask(flat_labels, flat_new),
            shaping.shape(is_there),
        )
        batch = labels.shape.as_list()[0]
        rows = shaping.shape(labels)[0] if batch is None else batch
        return shaping.reshape(flat, [rows, most]), casting.cast(counts, seq_length.dtype)
