"""Operation types of graphs that older TensorFlows wrote, and a graph that is made of them."""

import numpy as np

import ckpt as tf
from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, normal

REMOVED = "TensorFlow runs it in graphs of older versions only"
SQUARE = normal(2, 3, 3) + 3 * np.eye(3, dtype=np.float32)
POSITIVE = SQUARE @ SQUARE.transpose(0, 2, 1)
COMPLEX = (normal(2, 3) + 1j * normal(2, 3, seed=1)).astype(np.complex64)


def normalized(t, m, v, beta, gamma, scaled):
    return OPS["BatchNormWithGlobalNormalization"](
        t, m, v, beta, gamma, variance_epsilon=0.01, scale_after_normalization=scaled
    )


def by_hand(scaled):
    def value(t, m, v, beta, gamma, *_):
        return (t - m) / np.sqrt(v + np.float32(0.01)) * (gamma if scaled else 1) + beta

    return value


ROWS = (
    normal(2, 2, 2, 3),
    normal(3),
    np.abs(normal(3, seed=2)),
    normal(3, seed=3),
    normal(3, seed=4),
)

TestOlder = conformance([
    case(OPS["Gather"], normal(4, 3), np.array([[3, 0], [1, 1]], np.int32), like=lambda p, i: p[i]),
    case(OPS["Gather"], normal(4), np.int64(2), like=lambda p, i: p[i]),
    case(OPS["Gather"], normal(4), np.int32(4), raises=InvalidArgumentError),
    case(lambda x, y: OPS["Concat"](1, [x, y]), normal(2, 3), normal(2, 1), title="concat",
         like=lambda x, y: np.concatenate([x, y], 1)),
    case(OPS["BatchMatMul"], normal(2, 3, 4), normal(2, 4, 2), like=np.matmul, rtol=1e-5),
    case(OPS["BatchMatMul"], normal(2, 4, 3), normal(2, 2, 4), adj_x=True, adj_y=True, rtol=1e-5,
         like=lambda x, y: np.matmul(x.swapaxes(1, 2), y.swapaxes(1, 2))),
    case(OPS["BiasAddV1"], normal(2, 3), normal(3), like=np.add),
    case(lambda *x: normalized(*x, True), *ROWS, title="scaled", like=by_hand(True), rtol=1e-5, grad=0, unasked=REMOVED),
    case(lambda *x: normalized(*x, False), *ROWS, title="not scaled", like=by_hand(False), rtol=1e-5, grad=0, unasked=REMOVED),
    case(OPS["ConjugateTranspose"], COMPLEX, np.array([1, 0], np.int32), like=lambda x, p: np.conj(x.T), grad=0),
    case(OPS["ConjugateTranspose"], normal(2, 3), np.array([1, 0], np.int32), like=lambda x, p: x.T),
    case(OPS["StaticRegexReplace"], np.array([b"abcab", b"x"], object), pattern="(a)b", rewrite=r"\1-", grad=0,
         expect=np.array([b"a-ca-", b"x"], object)),
    case(OPS["StaticRegexReplace"], np.array([b"abcab"], object), pattern="b", rewrite="", replace_global=False,
         grad=0, expect=np.array([b"acab"], object)),
    case(OPS["Bucketize"], np.array([[-5, 1000], [150, 10], [5, 100]], np.int32), boundaries=[0.0, 10.0, 100.0],
         expect=np.array([[0, 3], [3, 2], [1, 3]], np.int32), grad=0),
    case(OPS["BatchCholesky"], POSITIVE, like=np.linalg.cholesky, rtol=1e-4, grad=0, unasked=REMOVED),
    case(OPS["BatchMatrixBandPart"], SQUARE, 0, 1, like=lambda x, *_: np.triu(np.tril(x, 1)), unasked=REMOVED),
    case(OPS["BatchMatrixDeterminant"], SQUARE, like=np.linalg.det, rtol=1e-4, unasked=REMOVED),
    case(OPS["BatchMatrixDiag"], normal(2, 3), like=lambda x: x[..., None] * np.eye(3, dtype=np.float32), unasked=REMOVED),
    case(OPS["BatchMatrixDiagPart"], SQUARE, like=lambda x: np.diagonal(x, axis1=1, axis2=2), unasked=REMOVED),
    case(OPS["BatchMatrixInverse"], SQUARE, like=np.linalg.inv, rtol=1e-4, grad=0, unasked=REMOVED),
    case(OPS["BatchMatrixSetDiag"], SQUARE, normal(2, 3),
         like=lambda x, d: np.where(np.eye(3, dtype=bool), d[..., None], x), unasked=REMOVED),
    case(OPS["BatchMatrixSolve"], SQUARE, normal(2, 3, 2), like=np.linalg.solve, rtol=1e-4, grad=0, unasked=REMOVED),
    case(OPS["BatchMatrixSolveLs"], SQUARE, normal(2, 3, 2), 0.0, like=lambda a, b, w: np.linalg.solve(a, b), rtol=1e-3,
         grad=0, unasked=REMOVED),
    case(OPS["BatchMatrixTriangularSolve"], SQUARE, normal(2, 3, 2), rtol=1e-4, grad=0,
         like=lambda a, b: np.linalg.solve(np.tril(a), b), unasked=REMOVED),
    case(lambda x: OPS["BatchSelfAdjointEigV2"](x, compute_v=False)[0], POSITIVE, title="eigenvalues", grad=0,
         rtol=1e-4, like=np.linalg.eigvalsh, unasked=REMOVED),
    case(OPS["BatchSvd"], SQUARE, compute_uv=False, grad=0, rtol=1e-4,
         like=lambda x: [np.linalg.svd(x, compute_uv=False), np.zeros(0, np.float32), np.zeros(0, np.float32)], unasked=REMOVED),
])  # fmt: skip


def test_a_graph_of_older_types_runs_and_is_differentiated():
    graph_def = tf.GraphDef()
    node = graph_def.node.add(name="x", op="PlaceholderV2")
    node.attr["dtype"].type = dtypes.float32.as_datatype_enum
    node.attr["shape"].shape.dim.add(size=2)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(graph_def, name="")
        x = tf.get_default_graph().get_tensor_by_name("x:0")
        rows = OPS["Gather"](x, [1, 1, 0])
        y = OPS["BiasAddV1"](OPS["Concat"](0, [rows, x])[tf.newaxis], tf.ones([5]))
        value, slope = session.run(
            [y, tf.convert_to_tensor(tf.gradients(y, x)[0])], {x: [2.0, 3.0]}
        )
        np.testing.assert_array_equal(value, [[4, 4, 3, 3, 4]])
        np.testing.assert_array_equal(slope, [2, 3])
