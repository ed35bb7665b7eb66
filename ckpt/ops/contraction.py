"""Sums over shared axes: einsum, tensordot and the cross product."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import REAL
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape, broadcast
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.ops import (
    compare,
    constants,
    elementwise,
    indexing,
    joining,
    matmul,
    reduction,
    shaping,
    unbroadcasting,
)


def _parsed(equation: str) -> tuple[list[str], str]:
    """The labels of each input and of the output; `.` stands for an ellipsis."""
    compact = equation.replace(" ", "").replace("...", ".")
    left, arrow, right = compact.partition("->")
    if not arrow or not re.fullmatch(r"[a-zA-Z.,]*->[a-zA-Z.]*", compact):
        raise ValueError(f"Invalid einsum equation: {equation}")
    return left.split(","), right


def _spelled(inputs: list[str], output: str) -> str:
    return (",".join(inputs) + "->" + output).replace(".", "...")


@op(
    "Einsum",
    "inputs: N * T -> output: T",
    equation=Attr("string"),
    N=Attr("int", minimum=1),
)
def einsum_op(*inputs, equation):
    """The sum over all labels that the output lacks; a label twice in the output fills a diagonal."""
    labels, output = _parsed(equation)
    narrow = inputs[0].dtype.itemsize == 2 and inputs[0].dtype.kind in "fV"
    wide = [x.astype(np.float32) if narrow else x for x in inputs]
    unique = "".join(dict.fromkeys(output))
    if "." not in output:
        _check_no_batch(labels, inputs)
    try:
        found = np.einsum(_spelled(labels, unique), *wide, optimize=len(wide) > 1)
    except ValueError as error:
        raise InvalidArgumentError(
            None,
            None,
            f"Einsum {equation} of shapes {[list(np.shape(x)) for x in inputs]}: {error}",
        ) from None
    found = _on_diagonals(found, unique, output) if unique != output else found
    return np.asarray(found).astype(inputs[0].dtype)


def _check_no_batch(labels, inputs):
    """Raise InvalidArgumentError for an ellipsis that stands for axes of an input and for nothing in the output."""
    for names, x in zip(labels, inputs, strict=True):
        if "." in names and np.ndim(x) >= len(names):
            raise InvalidArgumentError(
                None,
                None,
                f"Output contains {np.ndim(x) - len(names) + 1} broadcasting dimension(s) but no ellipsis (...) was "
                "found in the output subscripts.",
            )


def _on_diagonals(x, unique, output):
    """`x` with labels `unique`, written on the diagonals that repeated labels of `output` mean."""
    lead = x.ndim - len(unique.replace(".", ""))
    places = {
        c: i if i < unique.find(".") or "." not in unique else i + lead - 1
        for i, c in enumerate(unique)
    }
    sizes: list[int] = []
    for c in output:
        sizes.extend(
            x.shape[places["."] : places["."] + lead] if c == "." else [x.shape[places[c]]]
        )
    whole = np.zeros(sizes, x.dtype)
    key: list[Any] = []
    for c in output:
        if c == ".":
            start = unique.find(".")
            key.extend(_axis_index(x, start + i) for i in range(lead))
        else:
            key.append(_axis_index(x, places[c]))
    whole[tuple(key)] = x
    return whole


def _axis_index(x, axis):
    return np.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(x.ndim)])


@einsum_op.shape
def einsum_shape(*inputs, equation):
    labels, output = _parsed(equation)
    known: dict[str, Any] = {}
    batch = TensorShape.of(())
    for names, tensor in zip(labels, inputs, strict=True):
        sizes = tensor.shape.sizes
        if sizes is None:
            if "." in names:
                batch = TensorShape.of(None)
            continue
        lead = len(sizes) - len(names.replace(".", ""))
        if lead < 0 or (lead and "." not in names):
            raise ShapeError(
                f"Expected input of rank {len(names)} for {names} but got rank {len(sizes)}"
            )
        at = names.find(".")
        if at >= 0:
            batch = broadcast(batch, TensorShape.of(sizes[at : at + lead]))
            sizes = sizes[:at] + sizes[at + lead :]
        for name, size in zip(names.replace(".", ""), sizes, strict=True):
            old = known.get(name)
            if None not in (old, size) and old != size:
                raise ShapeError(
                    f"Dimensions must be equal, but are {old} and {size} for label '{name}' of {equation}"
                )
            known[name] = size if old is None else old
    if "." not in output and batch.sizes:
        raise ShapeError(
            f"Shape must be at most rank 0 but is rank {len(batch.sizes)} for einsum equation '{equation}' "
            "without ellipsis (...) in the output subscripts where input(s) have non-empty broadcasting shape"
        )
    if "." in output and batch.sizes is None:
        return [TensorShape.of(None)]
    found: list[Any] = []
    for name in output:
        found.extend(batch.sizes or () if name == "." else [known.get(name)])
    return [tuple(found)]


@einsum_op.grad
def einsum_grad(node, dy):
    labels, output = _parsed(node.attrs["equation"])
    inputs = list(node.inputs)
    grads = []
    for i, x in enumerate(inputs):
        others = [(labels[j], elementwise.conj_of(inputs[j])) for j in range(len(inputs)) if j != i]
        grads.append(_einsum_input_grad(x, labels[i], [(output, dy), *others]))
    return grads


def _einsum_input_grad(x: Tensor, names: str, parts: list[tuple[str, Tensor]]) -> Tensor:
    """d of one input: the other parts contracted to its labels. Ones stand for what only it has: labels summed at once."""
    available = set("".join(p for p, _ in parts))
    shape_x = shaping.shape(x)
    for label in dict.fromkeys(names.replace(".", "")):
        if label not in available:
            count = shape_x[_place(names, label)]
            parts = [*parts, (label, constants.ones([count], x.dtype.base_dtype))]
    target = names if "." in available or "." not in names else names.replace(".", "")
    is_wider = "." in available and "." not in names
    wanted = "." + target if is_wider else target
    found = einsum_op([t for _, t in parts], equation=_spelled([p for p, _ in parts], wanted))
    if is_wider:
        lead = shaping.rank(found) - len(target)
        found = reduction.sum_op(found, indexing.range_(0, lead))
        found.set_shape(x.shape)
    if "." in names:
        shape = shaping.shape(found)
        axes, _ = unbroadcasting.broadcast_gradient_args(shape_x, shape)
        found = shaping.reshape(reduction.sum_op(found, axes), shape_x)
    return found


def _place(names: str, label: str) -> int:
    """The axis of a label; counted from the end behind an ellipsis."""
    place = names.index(label)
    return place - len(names) if "." in names[:place] else place


def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """The contraction that `equation` ("ij,jk->ik", also without "->") describes.

    Raises ValueError for a bad equation or shapes that do not fit, TypeError for unknown keyword arguments.
    """
    name = kwargs.pop("name", None)
    kwargs.pop("optimize", None)
    if kwargs:
        raise TypeError(f"Invalid keyword arguments for einsum: {', '.join(kwargs)}")
    with name_scope(name, "einsum", list(inputs)):
        tensors = convert.convert_n_to_tensor(list(inputs))
        labels, output = _parsed(_with_output(equation))
        if len(labels) != len(tensors):
            raise ValueError(
                f'Got {len(tensors)} inputs for equation "{equation}", expecting {len(labels)}.'
            )
        for names, tensor in zip(labels, tensors, strict=True):
            rank = tensor.shape.rank
            if rank is not None and "." not in names and rank != len(names):
                raise ValueError(
                    f"Expected input of rank {len(names)} for {names} but got rank {rank}"
                )
        missing = set(output) - set("".join(labels))
        if missing - {"."}:
            raise ValueError(f"Einsum output labels {sorted(missing)} do not appear in the inputs")
        while len(tensors) > 2:
            _contract_pair(labels, tensors, output)
        return einsum_op(tensors, equation=_spelled(labels, output))


def _with_output(equation: str) -> str:
    """The equation with an output: where none is written, all labels that appear once, in order."""
    compact = equation.replace(" ", "")
    if "->" in compact:
        return compact
    names = compact.replace("...", "").replace(",", "")
    once = "".join(sorted(c for c in set(names) if names.count(c) == 1))
    return f"{compact}->{'...' if '...' in compact else ''}{once}"


def _contract_pair(labels: list[str], tensors: list[Tensor], output: str) -> None:
    """Replace two inputs by their contraction, in the order that numpy finds cheap for these sizes."""
    shapes = []
    for names, tensor in zip(labels, tensors, strict=True):
        sizes = tensor.shape.sizes or (None,) * len(names)
        shapes.append(np.empty([s if s is not None else 2 for s in sizes], np.int8))
    try:
        first, second = sorted(
            np.einsum_path(_spelled(labels, output), *shapes, optimize="greedy")[0][1][:2]
        )
    except ValueError:
        first, second = 0, 1
    rest = [p for i, p in enumerate(labels) if i not in (first, second)]
    needed = set(output).union(*rest)
    joined = "".join(dict.fromkeys(labels[first] + labels[second]))
    kept = "".join(c for c in joined if c in needed and c != ".")
    kept = "." + kept if "." in joined else kept
    pair = einsum_op(
        [tensors[first], tensors[second]], equation=_spelled([labels[first], labels[second]], kept)
    )
    for i in (second, first):
        del labels[i], tensors[i]
    labels.append(kept)
    tensors.append(pair)


def _as_matrix(a: Tensor, axes: Any, flipped: bool) -> tuple[Tensor, Any, Any]:
    """(`a` as [free, summed] or flipped, the free sizes, those known while building)."""
    if a.shape.rank is not None and isinstance(axes, (list, tuple)):
        axes = [i if i >= 0 else i + a.shape.rank for i in axes]
        free = [i for i in range(a.shape.rank) if i not in axes]
        sizes_a: list[Any] = a.shape.as_list()
        static: Any = [sizes_a[i] for i in free]
        order = list(axes) + free if flipped else free + list(axes)
        if a.shape.is_fully_defined():
            sums = int(np.prod([sizes_a[i] for i in axes], dtype=np.int64))
            frees = int(np.prod(static, dtype=np.int64))
            shape = [sums, frees] if flipped else [frees, sums]
            moved = a if order == sorted(order) else shaping.transpose(a, order)
            return (
                (moved if moved.shape.as_list() == shape else shaping.reshape(moved, shape)),
                static,
                static,
            )
        axes_t: Any = convert.convert_to_tensor(axes, dtype=dtypes.int32, name="axes")
        free_t: Any = convert.convert_to_tensor(free, dtype=dtypes.int32, name="free")
    else:
        static = None
        rank = shaping.rank(a)
        axes_t = convert.convert_to_tensor(axes, dtype=dtypes.int32, name="axes")
        axes_t = compare.select(compare.greater_equal(axes_t, 0), axes_t, axes_t + rank)
        from ckpt.ops import distinct  # only unknown ranks need set differences

        free_t, _ = distinct.list_diff_op(indexing.range_(rank), axes_t)
    sizes = shaping.shape(a)
    free_sizes, sum_sizes = indexing.gather(sizes, free_t), indexing.gather(sizes, axes_t)
    products = [reduction.reduce_prod(free_sizes), reduction.reduce_prod(sum_sizes)]
    parts = [free_t, axes_t]
    if flipped:
        products, parts = products[::-1], parts[::-1]
    moved = shaping.transpose(a, joining.concat(parts, 0))
    return shaping.reshape(moved, joining.stack(products)), free_sizes, static


def _both_axes(a: Tensor, axes: Any) -> tuple[Any, Any]:
    if isinstance(axes, (int, np.integer)):
        if axes < 0:
            raise ValueError(f"`axes` must be at least 0. Received: {axes}.")
        if a.shape.rank is not None:
            if axes > a.shape.rank:
                raise ValueError(
                    f"`axes` must not be larger than the number of dimensions of tensor {a}. Received {axes}."
                )
            return list(range(a.shape.rank - axes, a.shape.rank)), list(range(axes))
        rank = shaping.rank(a)
        return indexing.range_(rank - axes, rank), indexing.range_(axes)
    if isinstance(axes, (list, tuple, np.ndarray)):
        if len(axes) != 2:
            raise ValueError(f"`axes` must be an integer or have length 2. Received {axes}.")
        first, second = (
            [int(v)]
            if isinstance(v, (int, np.integer))
            else (list(v) if not isinstance(v, Tensor) else v)
            for v in axes
        )
        if (
            not isinstance(first, Tensor)
            and not isinstance(second, Tensor)
            and len(first) != len(second)
        ):
            raise ValueError(
                f"Different number of contraction axes `a` and `b`, {len(first)} != {len(second)}."
            )
        return first, second
    axes = convert.convert_to_tensor(axes, name="axes", dtype=dtypes.int32)
    return axes[0], axes[1]


def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """The sum of products over the axes of `a` and `b` that `axes` pairs; an int takes the last and first ones."""
    with name_scope(name, "Tensordot", [a, b, axes]) as scope:
        a = convert.convert_to_tensor(a, name="a")
        b = convert.convert_to_tensor(b, name="b")
        a_axes, b_axes = _both_axes(a, axes)
        left, a_free, a_static = _as_matrix(a, a_axes, False)
        right, b_free, b_static = _as_matrix(b, b_axes, True)
        product = matmul.matmul(left, right)
        if isinstance(a_free, list) and isinstance(b_free, list):
            if product.shape.as_list() == a_free + b_free:
                return product
            return shaping.reshape(product, a_free + b_free, name=scope)
        a_free = convert.convert_to_tensor(a_free, dtype=dtypes.int32)
        b_free = convert.convert_to_tensor(b_free, dtype=dtypes.int32)
        found = shaping.reshape(product, joining.concat([a_free, b_free], 0), name=scope)
        if a_static is not None and b_static is not None:
            found.set_shape(a_static + b_static)
        return found


@op("Cross", "a: T, b: T -> product: T", T=REAL)
def cross_op(a, b):
    """The cross products of the vectors in the last axis, which has size 3."""
    if np.shape(a) != np.shape(b):
        raise InvalidArgumentError(
            None,
            None,
            f"Both inputs must be of same shape: {list(np.shape(a))} vs. {list(np.shape(b))}",
        )
    if np.ndim(a) < 1 or np.shape(a)[-1] != 3:
        raise InvalidArgumentError(
            None,
            None,
            f"Cross-products are only defined for 3-element vectors, got shape {list(np.shape(a))}",
        )
    return np.cross(a, b).astype(a.dtype)


@cross_op.shape
def cross_shape(a, b):
    found = a.shape.merge_with(b.shape).with_rank_at_least(1)
    if found.sizes is not None and found.sizes[-1] not in (None, 3):
        raise ShapeError(f"Cross-products are only defined for 3-element vectors, got {found}")
    return [found]


cross_op.grad(lambda node, dy: [cross_op(node.inputs[1], dy), cross_op(dy, node.inputs[0])])


def cross(a: Any, b: Any, name: str | None = None) -> Tensor:
    """The cross products of the vectors in the last axis, which has size 3."""
    return cross_op(a, b, name=name)
