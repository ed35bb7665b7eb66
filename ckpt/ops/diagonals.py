"""Matrices from their diagonals and back, bands, identity matrices.

How diagonals are packed (k, align) follows the documentation of tf.linalg.diag.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import COMPLEX, FLOATING, INDEX
from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import constants, elementwise, joining, reduction, shaping

ALIGN = Attr(
    "string",
    "RIGHT_LEFT",
    frozenset({"LEFT_LEFT", "LEFT_RIGHT", "RIGHT_LEFT", "RIGHT_RIGHT"}),
)
DIAG_TYPES = FLOATING | COMPLEX | INDEX


def _bounds(k):
    """(lowest, highest) diagonal that `k` names: one number or two."""
    values = np.asarray(k).reshape(-1).tolist()
    if len(values) not in (1, 2):
        raise InvalidArgumentError(
            None, None, f"diag_index must have only one or two elements, received {len(values)}"
        )
    if values[0] > values[-1]:
        raise InvalidArgumentError(
            None,
            None,
            f"lower_diag_index must not be larger than upper_diag_index: {values[0]} > {values[-1]}",
        )
    return values[0], values[-1]


def _longest(rows, columns, low, high):
    """The length of the longest diagonal between `low` and `high`."""
    return min(rows + min(high, 0), columns - max(low, 0))


def _check_inside(rows, columns, low, high):
    for k in (low, high):
        if not (-rows < k < columns or (k == 0 and 0 in (rows, columns))):
            raise InvalidArgumentError(
                None, None, f"diag_index is out of bound: {k} of a {rows} x {columns} matrix"
            )


def _diagonals(rows, columns, low, high, align) -> Iterator[tuple[int, slice, Any, Any]]:
    """(position in the packed form, its slice, row and column indices) of each diagonal."""
    longest = _longest(rows, columns, low, high)
    above, below = align.split("_")
    for position, d in enumerate(range(high, low - 1, -1)):
        length = _longest(rows, columns, d, d)
        left = (d >= 0 and above == "LEFT") or (d <= 0 and below == "LEFT")
        start = 0 if left else longest - length
        steps = np.arange(length)
        yield position, slice(start, start + length), steps - min(d, 0), steps + max(d, 0)


def _packed(matrix, k, padding, align):
    low, high = _bounds(k)
    rows, columns = matrix.shape[-2:]
    _check_inside(rows, columns, low, high)
    longest = _longest(rows, columns, low, high)
    found = np.full((*matrix.shape[:-2], high - low + 1, longest), padding, dtype=matrix.dtype)
    for position, part, r, c in _diagonals(rows, columns, low, high, align):
        found[..., position, part] = matrix[..., r, c]
    return found[..., 0, :] if low == high else found


def _with_diagonals(matrix, diagonal, k, align):
    """`matrix`, changed in place."""
    low, high = _bounds(k)
    rows, columns = matrix.shape[-2:]
    _check_inside(rows, columns, low, high)
    packed = (
        diagonal[..., None, :] if low == high and diagonal.ndim == matrix.ndim - 1 else diagonal
    )
    wanted = (*matrix.shape[:-2], high - low + 1, _longest(rows, columns, low, high))
    if packed.shape != wanted:
        raise InvalidArgumentError(
            None,
            None,
            f"diagonal must have shape {list(wanted)} (must have the same batch dimensions as the input, "
            f"and the diagonals of its matrices), got {list(packed.shape)}",
        )
    for position, part, r, c in _diagonals(rows, columns, low, high, align):
        matrix[..., r, c] = packed[..., position, part]
    return matrix


def _check_matrix(x):
    if np.ndim(x) < 2:
        raise InvalidArgumentError(
            None, None, f"input must be at least 2-dim, received shape: {list(np.shape(x))}"
        )


@op(
    "MatrixDiagV3",
    "diagonal: T, k: int32, num_rows: int32, num_cols: int32, padding_value: T -> output: T",
    align=ALIGN,
)
def matrix_diag_v3(diagonal, k, num_rows, num_cols, padding_value, *, align):
    """Matrices with these diagonals (from `k[1]` down to `k[0]`) and `padding_value` elsewhere."""
    if np.ndim(diagonal) < 1:
        raise InvalidArgumentError(
            None,
            None,
            f"diagonal must be at least 1-dim, received shape: {list(np.shape(diagonal))}",
        )
    low, high = _bounds(k)
    longest = diagonal.shape[-1]
    batch = diagonal.shape[: -1 if low == high else -2]
    rows, columns = _sizes(longest, low, high, int(num_rows), int(num_cols))
    matrix = np.full((*batch, rows, columns), padding_value, dtype=diagonal.dtype)
    return _with_diagonals(matrix, diagonal, k, align)


def _sizes(longest, low, high, rows, columns):
    least_rows, least_columns = longest - min(high, 0), longest + max(low, 0)
    if rows == -1 and columns == -1:
        return (max(least_rows, least_columns),) * 2
    return (least_rows if rows == -1 else rows), (least_columns if columns == -1 else columns)


@matrix_diag_v3.shape
def matrix_diag_v3_shape(diagonal, k, num_rows, num_cols, padding_value):
    sizes, value = diagonal.shape.sizes, constant_value(k)
    if sizes is None or value is None:
        return [TensorShape(None)]
    if not sizes:
        raise ShapeError("Shape must be at least rank 1 but is rank 0")
    low, high = _bounds(value)
    batch = sizes[: -1 if low == high else -2]
    wanted = [constant_value(t) for t in (num_rows, num_cols)]
    if sizes[-1] is None or any(v is None for v in wanted):
        return [(*batch, None, None)]
    return [(*batch, *_sizes(sizes[-1], low, high, *(int(v) for v in wanted)))]


@matrix_diag_v3.grad
def matrix_diag_v3_grad(node, dy):
    found = matrix_diag_part(dy, k=node.inputs[1], align=node.attrs["align"])
    return [found, None, None, None, None]


@op(
    "MatrixDiagPartV3", "input: T, k: int32, padding_value: T -> diagonal: T", align=ALIGN
)  # fmt: skip
def matrix_diag_part_v3(x, k, padding_value, *, align):
    """The diagonals `k[0]` to `k[1]` of matrices, packed from the highest on."""
    _check_matrix(x)
    return _packed(x, k, padding_value, align)


@matrix_diag_part_v3.shape
def matrix_diag_part_v3_shape(x, k, padding_value):
    sizes, value = x.shape.sizes, constant_value(k)
    if sizes is None:
        return [TensorShape(None)]
    if len(sizes) < 2:
        raise ShapeError(f"Shape must be at least rank 2 but is rank {len(sizes)}")
    if value is None:
        return [TensorShape(None)]
    low, high = _bounds(value)
    known = None not in sizes[-2:]
    longest = _longest(*sizes[-2:], low, high) if known else None
    return [(*sizes[:-2], *(() if low == high else (high - low + 1,)), longest)]


@matrix_diag_part_v3.grad
def matrix_diag_part_v3_grad(node, dy):
    x, k, _ = node.inputs
    align = node.attrs["align"]
    sizes = x.shape.sizes
    if sizes is not None and None not in sizes[-2:]:
        rows, columns = sizes[-2:]
        return [matrix_diag(dy, k=k, num_rows=rows, num_cols=columns, align=align), None, None]
    return [matrix_set_diag(constants.zeros_like(x), dy, k=k, align=align), None, None]


@op("MatrixSetDiagV3", "input: T, diagonal: T, k: int32 -> output: T", align=ALIGN)
def matrix_set_diag_v3(x, diagonal, k, *, align):
    """`input` with its diagonals `k[0]` to `k[1]` replaced."""
    _check_matrix(x)
    return _with_diagonals(np.array(x), np.asarray(diagonal), k, align)


@matrix_set_diag_v3.shape
def matrix_set_diag_v3_shape(x, diagonal, k):
    for shape, least in ((x.shape, 2), (diagonal.shape, 1)):
        if shape.rank is not None and shape.rank < least:
            raise ShapeError(f"Shape must be at least rank {least} but is rank {shape.rank}")
    value = constant_value(k)
    if value is None or x.shape.sizes is None:
        return [x.shape]
    low, high = _bounds(value)
    sizes = x.shape.sizes
    if None not in sizes[-2:] and diagonal.shape.sizes is not None:
        middle = () if low == high else (high - low + 1,)
        wanted = (*sizes[:-2], *middle, _longest(*sizes[-2:], low, high))
        diagonal.shape.assert_is_compatible_with(TensorShape.of(wanted))
    return [x.shape]


@matrix_set_diag_v3.grad
def matrix_set_diag_v3_grad(node, dy):
    _, diagonal, k = node.inputs
    align = node.attrs["align"]
    if diagonal.shape.is_fully_defined():
        nothing = constants.zeros(diagonal.shape, dtype=dy.dtype.base_dtype)
    else:
        nothing = constants.zeros_like(diagonal)
    rest = matrix_set_diag(dy, nothing, k=k, align=align)
    return [rest, matrix_diag_part(dy, k=k, align=align), None]


def _square(sizes):
    return (*sizes, *sizes[-1:])


@op("MatrixDiag", "diagonal: T -> output: T")
def matrix_diag_v1(diagonal):
    """Square matrices with this main diagonal and zeros elsewhere."""
    x = np.asarray(diagonal)
    return _with_diagonals(np.zeros(_square(x.shape), x.dtype), x, 0, "RIGHT_LEFT")


matrix_diag_v1.shape(
    lambda x: [TensorShape(None) if x.shape.sizes is None else _square(x.shape.sizes)]
)
matrix_diag_v1.grad(lambda node, dy: [matrix_diag_part_v1(dy)])


@op("MatrixDiagPart", "input: T -> diagonal: T")
def matrix_diag_part_v1(x):
    """The main diagonals of matrices."""
    _check_matrix(x)
    return np.array(np.diagonal(x, axis1=-2, axis2=-1))


@matrix_diag_part_v1.shape
def matrix_diag_part_v1_shape(x):
    sizes = x.shape.sizes
    if sizes is None:
        return [TensorShape(None)]
    if len(sizes) < 2:
        raise ShapeError(f"Shape must be at least rank 2 but is rank {len(sizes)}")
    return [(*sizes[:-2], None if None in sizes[-2:] else min(sizes[-2:]))]


matrix_diag_part_v1.grad(
    lambda node, dy: [matrix_set_diag_v1(constants.zeros_like(node.inputs[0]), dy)]
)


@op("MatrixSetDiag", "input: T, diagonal: T -> output: T")
def matrix_set_diag_v1(x, diagonal):
    """`input` with its main diagonal replaced."""
    _check_matrix(x)
    return _with_diagonals(np.array(x), np.asarray(diagonal), 0, "RIGHT_LEFT")


matrix_set_diag_v1.shape(lambda x, diagonal: [x.shape])
matrix_set_diag_v1.grad(
    lambda node, dy: [
        matrix_set_diag_v1(dy, constants.zeros_like(node.inputs[1])),
        matrix_diag_part_v1(dy),
    ]
)


def matrix_diag(
    diagonal: Any,
    name: str = "diag",
    k: Any = 0,
    num_rows: Any = -1,
    num_cols: Any = -1,
    padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Tensor:
    """Matrices with these diagonals and `padding_value` elsewhere."""
    diagonal = convert.convert_to_tensor(diagonal, name="diagonal")
    kind = diagonal.dtype.base_dtype
    if kind == dtypes.bool_:
        padding_value = bool(padding_value)
    return matrix_diag_v3(diagonal, k, num_rows, num_cols, padding_value, align=align, name=name)


def matrix_diag_part(
    input: Any,
    name: str = "diag_part",
    k: Any = 0,
    padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Tensor:
    """The diagonals `k` of matrices."""
    x = convert.convert_to_tensor(input, name="input")
    if x.dtype.base_dtype == dtypes.bool_:
        padding_value = bool(padding_value)
    return matrix_diag_part_v3(x, k, padding_value, align=align, name=name)


def matrix_set_diag(
    input: Any, diagonal: Any, name: str = "set_diag", k: Any = 0, align: str = "RIGHT_LEFT"
) -> Tensor:
    """`input` with its diagonals `k` replaced."""
    return matrix_set_diag_v3(input, diagonal, k, align=align, name=name)


@op("Diag", "diagonal: T -> output: T", T=DIAG_TYPES)
def diag_op(x):
    """output[i, …, i, …] = diagonal[i, …], zeros elsewhere."""
    if np.ndim(x) < 1:
        raise InvalidArgumentError(None, None, "Input must be at least rank 1, got 0")
    return np.diag(np.reshape(x, -1)).reshape(x.shape * 2)


@diag_op.shape
def diag_shape(x):
    if x.shape.sizes is None:
        return [TensorShape(None)]
    if not x.shape.sizes:
        raise ShapeError("Shape must be at least rank 1 but is rank 0")
    return [x.shape.sizes * 2]


diag_op.grad(lambda node, dy: [diag_part_op(dy)])


@op("DiagPart", "input: T -> diagonal: T", T=DIAG_TYPES)
def diag_part_op(x):
    """diagonal[i, …] = input[i, …, i, …]."""
    rank = np.ndim(x)
    half = np.shape(x)[: rank // 2]
    if rank % 2 or not rank:
        raise InvalidArgumentError(
            None, None, f"The rank of the tensor should be even and positive, got {rank}"
        )
    if np.shape(x) != half * 2:
        raise InvalidArgumentError(
            None, None, f"Invalid shape {list(np.shape(x))}: dimensions must be equal in pairs"
        )
    count = int(np.prod(half))
    return np.array(np.diagonal(np.reshape(x, (count, count)))).reshape(half)


@diag_part_op.shape
def diag_part_shape(x):
    sizes = x.shape.sizes
    if sizes is None:
        return [TensorShape(None)]
    if len(sizes) % 2 or not sizes:
        raise ShapeError(f"Input must have even and non-zero rank, input rank is {len(sizes)}")
    half = len(sizes) // 2
    return [TensorShape.of(sizes[:half]).merge_with(sizes[half:])]


diag_part_op.grad(lambda node, dy: [diag_op(dy)])


def diag(diagonal: Any, name: str | None = None) -> Tensor:
    """output[i, …, i, …] = diagonal[i, …], zeros elsewhere."""
    return diag_op(diagonal, name=name)


def diag_part(input: Any, name: str | None = None) -> Tensor:
    """diagonal[i, …] = input[i, …, i, …]."""
    return diag_part_op(input, name=name)


@op(
    "MatrixBandPart",
    "input: T, num_lower: Tindex, num_upper: Tindex -> band: T",
    Tindex=Attr("type", dtypes.int64, INDEX),
)
def matrix_band_part_op(x, num_lower, num_upper):
    """`input` with zeros outside the band; a negative count keeps all diagonals of that side."""
    _check_matrix(x)
    rows, columns = np.shape(x)[-2:]
    low, high = int(num_lower), int(num_upper)
    for value, whole, what in ((low, rows, "num_lower"), (high, columns, "num_upper")):
        if value > whole:
            raise InvalidArgumentError(
                None,
                None,
                f"{what} must be negative or less or equal to number of rows ({whole}) got: {value}",
            )
    offset = np.arange(columns) - np.arange(rows)[:, None]
    kept = ((low < 0) | (-offset <= low)) & ((high < 0) | (offset <= high))
    return np.where(kept, x, np.zeros((), x.dtype))


@matrix_band_part_op.shape
def matrix_band_part_shape(x, num_lower, num_upper):
    return [x.shape.with_rank_at_least(2)]


@matrix_band_part_op.grad
def matrix_band_part_grad(node, dy):
    return [matrix_band_part_op(dy, node.inputs[1], node.inputs[2]), None, None]


def matrix_band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """`input` with zeros outside of the diagonals from -num_lower to num_upper."""
    counts = [v if hasattr(v, "dtype") else np.int32(v) for v in (num_lower, num_upper)]
    return matrix_band_part_op(input, *counts, name=name)


def eye(
    num_rows: Any,
    num_columns: Any = None,
    batch_shape: Any = None,
    dtype: Any = dtypes.float32,
    name: str | None = None,
) -> Tensor:
    """Identity matrices, square unless `num_columns` is given."""
    with name_scope(name, "eye", [num_rows, num_columns, batch_shape]):
        is_square = num_columns is None
        batch = [] if batch_shape is None else batch_shape
        num_columns = num_rows if is_square else num_columns
        if isinstance(num_rows, Tensor) or isinstance(num_columns, Tensor):
            size: Any = elementwise.minimum(num_rows, num_columns)
        else:
            is_square, size = num_rows == num_columns, min(num_rows, num_columns)
            if size < 0:
                raise ValueError(f"Dimensions must be >= 0, got {num_rows} x {num_columns}")
        if isinstance(batch, Tensor) or isinstance(size, Tensor):
            batch = convert.convert_to_tensor(batch, dtype=dtypes.int32, name="shape")
            diagonal_shape: Any = joining.concat((batch, [size]), axis=0)
            shape: Any = (
                None if is_square else joining.concat((batch, [num_rows, num_columns]), axis=0)
            )
        else:
            batch = list(TensorShape(batch).as_list())
            diagonal_shape, shape = [*batch, size], [*batch, num_rows, num_columns]
        ones = constants.ones(diagonal_shape, dtype=dtype)
        if is_square:
            return matrix_diag(ones)
        return matrix_set_diag(constants.zeros(shape, dtype=dtype), ones)


def trace(x: Any, name: str | None = None) -> Tensor:
    """The sums of the main diagonals of matrices."""
    with name_scope(name, "Trace", [x]) as scope:
        x = convert.convert_to_tensor(x, name="x")
        return reduction.reduce_sum(matrix_diag_part(x), [-1], name=scope)


def matrix_transpose(a: Any, name: str = "matrix_transpose", conjugate: bool = False) -> Tensor:
    """The last two axes swapped. Raises ValueError for fewer than two."""
    with name_scope(name, "matrix_transpose", [a]):
        a = convert.convert_to_tensor(a, name="a")
        rank = a.shape.rank
        if rank is not None:
            if rank < 2:
                raise ValueError(
                    f"Argument 'a' should be a (batch) matrix with rank >= 2.  Found: {a.shape}"
                )
            perm: Any = [*range(rank - 2), rank - 1, rank - 2]
        else:
            from ckpt.ops import indexing  # only unknown ranks need it

            count = shaping.rank(a)
            perm = joining.concat(
                (indexing.range_(count - 2), joining.stack([count - 1, count - 2])), 0
            )
        return shaping.transpose(a, perm=perm, conjugate=conjugate)
