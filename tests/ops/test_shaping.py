"""Shapes, joining, splitting, counting and choosing: what arrays are made of."""

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from ckpt.graph.stack import get_default_graph
from tests.conformance.ops import case, conformance, distinct, normal, zeros

EMPTY = zeros(0, 3)
TABLE = np.array([[1, 0, 3], [0, 5, 0]], np.float32)
REPEATS = np.array([[1, 2], [3, 4], [1, 2]], np.int32)
A, B = normal(2, 3), normal(2, 3, seed=1)


def listed(op, **attrs):
    return lambda *values: op(list(values), **attrs)


TestShapes = conformance([
    *[case(OPS[name], x, grad=0) for name in ("Shape", "Size", "Rank") for x in (A, EMPTY, np.float32(1))],
    case(OPS["Shape"], A, out_type=dtypes.int64, expect=np.array([2, 3]), grad=0),
    case(listed(OPS["ShapeN"]), A, normal(4), expect=[np.array([2, 3], np.int32), np.array([4], np.int32)], grad=0,
         title="ShapeN"),
    case(OPS["Tile"], A, [2, 1], like=np.tile, grad=2),
    case(OPS["Tile"], A, [0, 2], like=np.tile, grad=0),
    case(OPS["ZerosLike"], A, like=np.zeros_like, grad=1),
    case(OPS["OnesLike"], A, like=np.ones_like, grad=1),
    case(OPS["ZerosLike"], np.array([b"a"], object), expect=np.array([b""], object), grad=0),
    case(OPS["PlaceholderWithDefault"], A, shape=[2, None], like=lambda x: x, grad=2),
    case(OPS["PreventGradient"], A, message="never", like=lambda x: x, grad=0),
    case(OPS["GuaranteeConst"], A, like=lambda x: x, grad=0),
    case(listed(OPS["IdentityN"]), A, REPEATS, expect=[A, REPEATS], grad=0, title="IdentityN"),
    case(lambda a, b: OPS["ParallelConcat"]([a, b], shape=[2, 3]), A[:1], B[:1], title="ParallelConcat", grad=0,
         like=lambda a, b: np.concatenate([a, b])),
    case(lambda: OPS["ConcatOffset"](1, [[2, 2], [2, 3], [2, 1]]), grad=0, title="ConcatOffset",
         expect=[np.array(offset, np.int32) for offset in ([0, 0], [0, 2], [0, 5])]),
])  # fmt: skip


def after(x, *nodes):
    with get_default_graph().control_dependencies(nodes):
        return OPS["Identity"](x)


def waits_for_nothing(x):
    return after(x, OPS["NoOp"](), OPS["ControlTrigger"]())


def waits_for_closing(x):
    array = OPS["TensorArrayV3"](1, dtype=dtypes.float32)[0]
    stack = OPS["StackV2"](1, elem_type=dtypes.float32)
    return after(x, OPS["TensorArrayCloseV3"](array), OPS["StackCloseV2"](stack))


TestPassing = conformance([
    case(waits_for_nothing, A, like=lambda x: x, grad=1),
    case(waits_for_closing, A, like=lambda x: x, grad=0),
    case(lambda x: OPS["Print"](x, [x, REPEATS], message="a row: "), A, like=lambda x: x, grad=1, title="Print"),
])  # fmt: skip

TestParts = conformance([
    case(lambda x: OPS["Split"](1, x, num_split=3), A, title="Split", like=lambda x: np.split(x, 3, 1), grad=2),
    case(lambda x: OPS["SplitV"](x, [1, -1], 1, num_split=2), A, title="SplitV", like=lambda x: np.split(x, [1], 1), grad=2),
    case(lambda x: OPS["Unpack"](x, num=3, axis=-1), A, title="Unpack", grad=2),
    case(lambda a, b: OPS["Pack"]([a, b], axis=1), A, B, title="Pack", like=lambda a, b: np.stack([a, b], 1), grad=2),
    case(lambda a, b: OPS["DynamicStitch"]([[0, 2], [1, 2]], [a, b]), A, B, title="DynamicStitch", grad=0,
         like=lambda a, b: np.stack([a[0], b[0], b[1]])),
    case(lambda a, b: OPS["DynamicStitch"]([[0, 3], [1, 2]], [a, b]), A, B, title="DynamicStitch", grad=2,
         like=lambda a, b: np.stack([a[0], b[0], b[1], a[1]])),
    case(lambda x: OPS["Split"](1, x, num_split=2), A, title="Split", raises=ValueError, match="evenly"),
])  # fmt: skip

TestChoice = conformance([
    case(OPS["Where"], TABLE != 0, expect=np.array([[0, 0], [0, 2], [1, 1]]), grad=0),
    case(OPS["Where"], TABLE, expect=np.array([[0, 0], [0, 2], [1, 1]]), grad=0),
    case(OPS["InvertPermutation"], np.array([2, 0, 1], np.int32), expect=np.array([1, 2, 0], np.int32), grad=0),
    case(OPS["InvertPermutation"], np.array([2, 0, 2], np.int32), raises=InvalidArgumentError, match="no permutation"),
    case(OPS["OneHot"], np.array([[0, 2], [-1, 1]]), 3, 1.0, 0.0, grad=0),
    case(OPS["OneHot"], np.array([0, 2], np.int32), 3, 5, -1, axis=0, grad=0),
    case(OPS["UniqueV2"], REPEATS, [0], grad=0, expect=[REPEATS[:2], np.array([0, 1, 0], np.int32)]),
    case(OPS["UniqueWithCountsV2"], REPEATS, [0], grad=0,
         expect=[REPEATS[:2], np.array([0, 1, 0], np.int32), np.array([2, 1], np.int32)]),
    case(OPS["UniqueV2"], np.array([3, 1, 3]), np.zeros(0, np.int64), grad=0,
         expect=[np.array([3, 1]), np.array([0, 1, 0], np.int32)]),
    case(OPS["TopK"], distinct(2, 4), k=2, grad=1, unasked="TensorFlow has taken the type out of new graphs"),
    case(OPS["InTopK"], distinct(2, 4), np.array([1, 2], np.int32), k=2, grad=0),
])  # fmt: skip

TestReductions = conformance([
    case(OPS["Min"], distinct(2, 3), [1], like=lambda x, a: x.min(1)),
    case(OPS["Max"], distinct(2, 3), [0], keep_dims=True, like=lambda x, a: x.max(0, keepdims=True)),
    case(OPS["EuclideanNorm"], distinct(2, 3), [1], grad=2, rtol=1e-6),
    case(OPS["EuclideanNorm"], distinct(2, 3), [0], keep_dims=True, grad=1, rtol=1e-6),
    case(OPS["Any"], TABLE != 0, [0], like=lambda x, a: x.any(0), grad=0),
    case(OPS["All"], TABLE != 0, [1], like=lambda x, a: x.all(1), grad=0),
    case(OPS["ArgMax"], distinct(2, 3), 1, like=lambda x, a: x.argmax(1), grad=0),
    case(OPS["ArgMin"], distinct(2, 3), -2, output_type=dtypes.int32, like=lambda x, a: x.argmin(0).astype(np.int32), grad=0),
    *[case(OPS[name], zeros(2, 0), [1], grad=0) for name in ("Min", "Max", "Sum", "Prod", "Mean")],
])  # fmt: skip
