"""Connectionist temporal classification: the loss of label sequences without alignment, and decoders.

Source: A. Graves et al., "Connectionist Temporal Classification" (2006), sections 3 and 4; prefix beams are those of
A. Graves and N. Jaitly, "Towards End-To-End Speech Recognition" (2014), algorithm 1. The last class is the blank.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.signature import Attr
from ckpt.graph.sparse import SparseTensor
from ckpt.ops import shaping
from ckpt.ops.sparse_tensors import as_sparse

KINDS = Attr("type", dtypes.float32, frozenset({dtypes.float32, dtypes.float64}))
NOTHING = -np.inf


def _log_softmax(x: Any) -> Any:
    top = x - x.max(axis=-1, keepdims=True)
    return top - np.log(np.exp(top).sum(axis=-1, keepdims=True))


def _labels_of(
    indices: Any, values: Any, batch: int, classes: int, collapse: bool
) -> list[list[int]]:
    """The labels of each member of the batch, up to the first that is the blank or no class.

    Raises InvalidArgumentError for a class behind such a one, and for a member without any entry.
    """
    given: list[list[int]] = [[] for _ in range(batch)]
    for (row, _), label in zip(indices.tolist(), values.tolist(), strict=True):
        if not 0 <= row < batch:
            raise InvalidArgumentError(
                None, None, f"labels batch index {row} is not in [0, {batch})"
            )
        given[row].append(label)
    found: list[list[int]] = []
    for row, labels in enumerate(given):
        if not labels:
            raise InvalidArgumentError(None, None, f"Labels length is zero in batch {row}")
        is_label = [0 <= label < classes - 1 for label in labels]
        count = is_label.index(False) if False in is_label else len(labels)
        if any(is_label[count:]) or min(labels) < 0:
            raise InvalidArgumentError(
                None, None, f"Saw a non-null label (index >= num_classes - 1) following a null label, batch: {row} "
                f"num_classes: {classes} labels: {labels}",
            )  # fmt: skip
        found.append(_collapsed(labels[:count]) if collapse else labels[:count])
    return found


def _sweep(log_probs: Any, path: Any, stays: Any, skips: Any) -> Any:
    """alpha[t, u]: the log of the probability of all ways to be at place u of the path at time t."""
    alpha = np.full((len(log_probs), len(path)), NOTHING)
    alpha[0, :2] = log_probs[0, path[:2]]
    for t in range(1, len(log_probs)):
        before = alpha[t - 1]
        total = np.where(stays, before, NOTHING)
        total[1:] = np.logaddexp(total[1:], before[:-1])
        total[2:] = np.logaddexp(total[2:], np.where(skips[2:], before[:-2], NOTHING))
        alpha[t] = total + log_probs[t, path]
    return alpha


def _loss_of(log_probs: Any, labels: list[int], merge_repeated: bool) -> tuple[float, Any]:
    """(-log of the probability of the labels, its gradient by the logits) of one sequence."""
    classes = log_probs.shape[1]
    path = np.full(2 * len(labels) + 1, classes - 1)
    path[1::2] = labels
    is_blank = path == classes - 1
    same = np.zeros(len(path), bool)
    same[2:] = path[2:] == path[:-2]
    stays = is_blank | merge_repeated
    skips = ~is_blank & ~(same & merge_repeated)
    alpha = _sweep(log_probs, path, stays, skips)
    turned_skips = np.zeros(len(path), bool)
    turned_skips[2:] = skips[::-1][:-2]  # from place u to u + 2, read from the end
    back = _sweep(log_probs[::-1], path[::-1], stays[::-1], turned_skips)[::-1, ::-1]
    both = alpha + back - log_probs[:, path]
    total = np.logaddexp.reduce(alpha[-1, -2:])
    posterior = np.zeros_like(log_probs)
    share = np.exp(both - total) if total > NOTHING else np.zeros_like(both)  # impossible: inf
    for place, label in enumerate(path):
        posterior[:, label] += share[:, place]
    return -float(total), np.exp(log_probs) - posterior


@op(
    "CTCLoss",
    "inputs: T, labels_indices: int64, labels_values: int32, sequence_length: int32 -> loss: T, gradient: T",
    T=KINDS, preprocess_collapse_repeated=False, ctc_merge_repeated=True, ignore_longer_outputs_than_inputs=False,
)  # fmt: skip
def ctc_loss_op(
    x, indices, values, lengths, *, preprocess_collapse_repeated, ctc_merge_repeated,
    ignore_longer_outputs_than_inputs,
):  # fmt: skip
    """The loss of each sequence and its gradient by the logits `inputs` [time, batch, classes]."""
    time, batch, classes = x.shape
    if np.shape(lengths) != (batch,):
        raise InvalidArgumentError(None, None, "len(sequence_length) != batch_size")
    if np.any(lengths > time):
        raise InvalidArgumentError(None, None, f"sequence_length(b) <= {time} is not so")
    labels = _labels_of(indices, values, batch, classes, preprocess_collapse_repeated)
    loss, gradient = np.zeros(batch, x.dtype), np.zeros_like(x)
    log_probs = _log_softmax(x.astype(np.float64))
    for b, wanted in enumerate(labels):
        length = int(lengths[b])
        if length < len(wanted):
            if ignore_longer_outputs_than_inputs:
                continue
            raise InvalidArgumentError(
                None, None, f"Not enough time for target transition sequence (required: {len(wanted)}, "
                f"available: {length}) of batch member {b}. You can turn this error into a warning by using the flag "
                "ignore_longer_outputs_than_inputs",
            )  # fmt: skip
        if length:
            loss[b], gradient[:length, b] = _loss_of(
                log_probs[:length, b], wanted, ctc_merge_repeated
            )
    return loss, gradient


@ctc_loss_op.shape
def ctc_loss_shape(x, indices, values, lengths):
    shape = x.shape.with_rank(3)
    batch = TensorShape([shape.as_list()[1]]).merge_with(lengths.shape.with_rank(1))
    return [batch, shape]


@ctc_loss_op.grad
def ctc_loss_grad(node, d_loss, _):
    spread = shaping.expand_dims(shaping.expand_dims(d_loss, -1), 0)
    return [spread * node.outputs[1], None, None, None]


def _packed(sequences: list[list[int]]) -> list[Any]:
    """Sequences as the parts of a sparse matrix."""
    places = [(b, t) for b, row in enumerate(sequences) for t in range(len(row))]
    width = max((len(row) for row in sequences), default=0)
    return [
        np.array(places, np.int64).reshape(-1, 2),
        np.array([label for row in sequences for label in row], np.int64),
        np.array([len(sequences), width], np.int64),
    ]


def _collapsed(labels: list[int]) -> list[int]:
    return [label for i, label in enumerate(labels) if i == 0 or labels[i - 1] != label]


@op(
    "CTCGreedyDecoder",
    "inputs: T, sequence_length: int32 "
    "-> decoded_indices: int64, decoded_values: int64, decoded_shape: int64, log_probability: T",
    T=KINDS, merge_repeated=False, blank_index=-1,
)  # fmt: skip
def ctc_greedy_decoder_op(x, lengths, *, merge_repeated, blank_index):
    """The most probable class of each step, without blanks; the negative sum of their logits: [batch, 1]."""
    classes = x.shape[2]
    if not -classes <= blank_index < classes:
        raise InvalidArgumentError(
            None, None, f"blank_index expected to be between {-classes} and {classes - 1}"
        )
    blank, found = blank_index % classes, []
    score = np.zeros((x.shape[1], 1), x.dtype)
    for b in range(x.shape[1]):
        held = x[: int(lengths[b]), b]
        best = held.argmax(axis=1).tolist()
        score[b, 0] = -held.max(axis=1).sum() if len(held) else 0
        kept = _collapsed(best) if merge_repeated else best
        found.append([label for label in kept if label != blank])
    return [*_packed(found), score]


@ctc_greedy_decoder_op.shape
def ctc_greedy_decoder_shape(x, lengths):
    batch = x.shape.with_rank(3).as_list()[1]
    return [(None, 2), (None,), (2,), (batch, 1)]


ctc_greedy_decoder_op.no_gradient("decoded labels have no derivative")


def _beams(log_probs: Any, width: int) -> list[tuple[tuple[int, ...], float]]:
    """The most probable prefixes with the log of their probability, the best first."""
    blank = log_probs.shape[1] - 1
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, NOTHING)}
    for step in log_probs:
        grown: dict[tuple[int, ...], list[float]] = {}
        for prefix, (ended, open_) in beams.items():
            total = np.logaddexp(ended, open_)
            here = grown.setdefault(prefix, [NOTHING, NOTHING])
            here[0] = np.logaddexp(here[0], total + step[blank])
            if prefix:
                here[1] = np.logaddexp(here[1], open_ + step[prefix[-1]])
            for label in range(blank):
                more = ended if prefix and prefix[-1] == label else total
                if more > NOTHING:
                    next_ = grown.setdefault((*prefix, label), [NOTHING, NOTHING])
                    next_[1] = np.logaddexp(next_[1], more + step[label])
        ranked = sorted(grown.items(), key=lambda item: -np.logaddexp(item[1][0], item[1][1]))
        beams = {prefix: (p[0], p[1]) for prefix, p in ranked[:width]}
    return [(prefix, float(np.logaddexp(p[0], p[1]))) for prefix, p in beams.items()]


@op(
    "CTCBeamSearchDecoder",
    "inputs: T, sequence_length: int32 -> decoded_indices: top_paths * int64, "
    "decoded_values: top_paths * int64, decoded_shape: top_paths * int64, log_probability: T",
    T=KINDS, beam_width=Attr("int", minimum=1), top_paths=Attr("int", minimum=1), merge_repeated=True,
)  # fmt: skip
def ctc_beam_search_decoder_op(x, lengths, *, beam_width, top_paths, merge_repeated):
    """The `top_paths` most probable label sequences of each member of the batch: [batch, top_paths] logs."""
    if top_paths > beam_width:
        raise InvalidArgumentError(None, None, f"top_paths {top_paths} > beam_width {beam_width}")
    log_probs = _log_softmax(x.astype(np.float64))
    found: list[list[list[int]]] = [[] for _ in range(top_paths)]
    score = np.empty((x.shape[1], top_paths), x.dtype)
    for b in range(x.shape[1]):
        ranked = _beams(log_probs[: int(lengths[b]), b], beam_width)
        if len(ranked) < top_paths:
            raise InvalidArgumentError(None, None, "Less leaves in the beam search than requested.")
        for k, (prefix, probability) in enumerate(ranked[:top_paths]):
            found[k].append(_collapsed(list(prefix)) if merge_repeated else list(prefix))
            score[b, k] = probability
    parts = [_packed(rows) for rows in found]
    return [*(p[0] for p in parts), *(p[1] for p in parts), *(p[2] for p in parts), score]


@ctc_beam_search_decoder_op.shape
def ctc_beam_search_decoder_shape(x, lengths, *, top_paths):
    batch = x.shape.with_rank(3).as_list()[1]
    return (
        [(None, 2)] * top_paths + [(None,)] * top_paths + [(2,)] * top_paths + [(batch, top_paths)]
    )


ctc_beam_search_decoder_op.no_gradient("decoded labels have no derivative")


def ctc_loss(
    labels: Any, inputs: Any = None, sequence_length: Any = None, preprocess_collapse_repeated: bool = False,
    ctc_merge_repeated: bool = True, ignore_longer_outputs_than_inputs: bool = False, time_major: bool = True,
    logits: Any = None,
) -> Tensor:  # fmt: skip
    """The loss [batch] of sparse `labels` [batch, time], int32, for logits [time, batch, classes].

    The last class is the blank. Raises TypeError when `labels` is not sparse.
    """
    if not isinstance(labels, SparseTensor):
        raise TypeError("Expected argument `labels` to be a SparseTensor. Received labels="
                        f"{labels} of type: {type(labels).__name__}")  # fmt: skip
    x = convert.convert_to_tensor(inputs if logits is None else logits, name="inputs")
    x = x if time_major else shaping.transpose(x, [1, 0, 2])
    loss: Tensor = ctc_loss_op(
        x, labels.indices, as_sparse(labels).values, sequence_length,
        preprocess_collapse_repeated=preprocess_collapse_repeated, ctc_merge_repeated=ctc_merge_repeated,
        ignore_longer_outputs_than_inputs=ignore_longer_outputs_than_inputs,
    )[0]  # fmt: skip
    return loss


def ctc_greedy_decoder(
    inputs: Any, sequence_length: Any, merge_repeated: bool = True, blank_index: int | None = None
) -> tuple[list[SparseTensor], Tensor]:
    """([decoded labels, sparse], negative sum of the logits of the best path [batch, 1])."""
    *decoded, score = ctc_greedy_decoder_op(
        inputs, sequence_length, merge_repeated=merge_repeated,
        blank_index=-1 if blank_index is None else blank_index,
    )  # fmt: skip
    return [SparseTensor(*decoded)], score


def ctc_beam_search_decoder(
    inputs: Any, sequence_length: Any, beam_width: int = 100, top_paths: int = 1,
    merge_repeated: bool = True,
) -> tuple[list[SparseTensor], Tensor]:  # fmt: skip
    """(the `top_paths` best label sequences, each sparse; the logs of their probabilities [batch, top_paths])."""
    *decoded, score = ctc_beam_search_decoder_op(
        inputs, sequence_length, beam_width=beam_width, top_paths=top_paths,
        merge_repeated=merge_repeated,
    )  # fmt: skip
    return [SparseTensor(*parts) for parts in zip(*decoded, strict=True)], score
