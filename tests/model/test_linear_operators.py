"""Every linear operator beside the matrix that it stands for, computed by numpy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import ckpt as tf

L = tf.linalg
DRAW = np.random.default_rng(0)


def real(*sizes):
    return DRAW.standard_normal(sizes)


def complex_(*sizes):
    return real(*sizes) + 1j * real(*sizes)


def positive(*sizes):
    return DRAW.uniform(0.5, 2, sizes)


def definite(n, *batch):
    a = real(*batch, n, n)
    return a @ np.swapaxes(a, -1, -2) + n * np.eye(n)


def diag(d):
    return d[..., None] * np.eye(d.shape[-1])


def household(v):
    unit = v / np.linalg.norm(v, axis=-1, keepdims=True)
    return np.eye(v.shape[-1]) - 2 * unit[..., :, None] * unit[..., None, :].conj()


def circulant(spectrum, depth):
    """By the definition: inverse transform, product, transform, column by column."""
    axes = tuple(range(-depth, 0))
    size = int(np.prod(spectrum.shape[-depth:]))
    columns = np.eye(size).reshape(size, *spectrum.shape[-depth:])
    rows = np.fft.ifftn(spectrum * np.fft.fftn(columns, axes=axes), axes=axes).reshape(size, size)
    return rows.T


def toeplitz(col, row):
    line = np.concatenate([col[::-1], row[1:]])
    size = len(col)
    return np.array([[line[size - 1 - i + j] for j in range(size)] for i in range(size)])


@dataclass(frozen=True)
class Operator:
    """How to make an operator, and the matrix that it is."""

    make: Any
    dense: np.ndarray
    singular: bool = False


D, E, M = positive(4), positive(2, 4), real(4, 4) + 4 * np.eye(4)
TRIL, V, PERM = np.tril(real(2, 4, 4)) + 3 * np.eye(4), real(4), np.array([2, 0, 3, 1])
BANDS = np.concatenate([real(1, 4), 4 + positive(1, 4), real(1, 4)])
TRIDIAG = np.diag(BANDS[1]) + np.diag(BANDS[0, :-1], 1) + np.diag(BANDS[2, 1:], -1)
U, W, G = real(4, 2), real(4, 2), positive(2)
COL, ROW = np.array([5.0, 1, 2, 3]), np.array([5.0, -1, 0.5, 2])
A, B = real(2, 2) + 3 * np.eye(2), real(3, 3) + 3 * np.eye(3)
SPD = definite(4)
SPECTRUM, SPECTRUM_2, SPECTRUM_3 = complex_(4) + 3, complex_(2, 3) + 3, complex_(2, 2, 2) + 3
F64, C128 = tf.float64, tf.complex128


def full(matrix, **hints):
    return L.LinearOperatorFullMatrix(matrix, **hints)


OPERATORS = {
    "full": Operator(lambda: full(M), M),
    "full of a batch": Operator(lambda: full(np.stack([M, M.T])), np.stack([M, M.T])),
    "full and complex": Operator(lambda: full(M + 1j * V), M + 1j * V),
    "full and definite": Operator(
        lambda: full(SPD, is_self_adjoint=True, is_positive_definite=True), SPD),
    "diag": Operator(lambda: L.LinearOperatorDiag(D), diag(D)),
    "diag of a batch": Operator(lambda: L.LinearOperatorDiag(E), diag(E)),
    "diag and complex": Operator(lambda: L.LinearOperatorDiag(D + 1j * V), diag(D + 1j * V)),
    "lower triangular": Operator(lambda: L.LinearOperatorLowerTriangular(TRIL + np.triu(np.ones((4, 4)), 1)), TRIL),
    "identity": Operator(lambda: L.LinearOperatorIdentity(4, dtype=F64), np.eye(4)),
    "identity of a batch": Operator(lambda: L.LinearOperatorIdentity(4, batch_shape=[2], dtype=F64), np.stack([np.eye(4)] * 2)),
    "scaled identity": Operator(lambda: L.LinearOperatorScaledIdentity(4, np.float64(2.5)), 2.5 * np.eye(4)),
    "scaled identity of a batch": Operator(lambda: L.LinearOperatorScaledIdentity(4, G), G[:, None, None] * np.eye(4)),
    "zeros": Operator(lambda: L.LinearOperatorZeros(4, dtype=F64), np.zeros((4, 4)), singular=True),
    "zeros, not square": Operator(lambda: L.LinearOperatorZeros(3, 4, batch_shape=[2], dtype=F64, is_square=False, is_self_adjoint=False), np.zeros((2, 3, 4)), singular=True),
    "householder": Operator(lambda: L.LinearOperatorHouseholder(V), household(V)),
    "permutation": Operator(lambda: L.LinearOperatorPermutation(PERM, dtype=F64), np.eye(4)[PERM]),
    "tridiag": Operator(lambda: L.LinearOperatorTridiag(BANDS), TRIDIAG),
    "tridiag of a sequence": Operator(lambda: L.LinearOperatorTridiag(list(BANDS), "sequence"), TRIDIAG),
    "tridiag of a matrix": Operator(lambda: L.LinearOperatorTridiag(TRIDIAG + np.diag([9.0], 3), "matrix"), TRIDIAG),
    "toeplitz": Operator(lambda: L.LinearOperatorToeplitz(COL, ROW), toeplitz(COL, ROW)),
    "circulant": Operator(lambda: L.LinearOperatorCirculant(SPECTRUM, input_output_dtype=C128), circulant(SPECTRUM, 1)),
    "circulant and real": Operator(lambda: L.LinearOperatorCirculant(np.fft.fft(COL), input_output_dtype=F64), toeplitz(COL, np.roll(COL[::-1], 1))),
    "circulant in 2-D": Operator(lambda: L.LinearOperatorCirculant2D(SPECTRUM_2, input_output_dtype=C128), circulant(SPECTRUM_2, 2)),
    "circulant in 3-D": Operator(lambda: L.LinearOperatorCirculant3D(SPECTRUM_3, input_output_dtype=C128), circulant(SPECTRUM_3, 3)),
    "composition": Operator(lambda: full(M).matmul(L.LinearOperatorDiag(E)), M @ diag(E)),
    "composition of three": Operator(
        lambda: L.LinearOperatorComposition([full(M), L.LinearOperatorDiag(D), full(M.T)]), M @ diag(D) @ M.T),
    "block diag": Operator(lambda: L.LinearOperatorBlockDiag([full(A), full(B)]), np.block([[A, np.zeros((2, 3))], [np.zeros((3, 2)), B]])),
    "block lower triangular": Operator(
        lambda: L.LinearOperatorBlockLowerTriangular([[full(A)], [full(real(3, 2) * 0 + 1), full(B)]]),
        np.block([[A, np.zeros((2, 3))], [np.ones((3, 2)), B]])),
    "kronecker": Operator(lambda: L.LinearOperatorKronecker([full(A), full(B)]), np.kron(A, B)),
    "low rank update": Operator(lambda: L.LinearOperatorLowRankUpdate(L.LinearOperatorDiag(D), U, G, W), diag(D) + U @ diag(G) @ W.T),
    "low rank update, definite": Operator(
        lambda: L.LinearOperatorLowRankUpdate(L.LinearOperatorDiag(D, is_positive_definite=True), U), diag(D) + U @ U.T),
    "inversion": Operator(lambda: full(M).inverse(), np.linalg.inv(M)),
    "adjoint": Operator(lambda: full(M + 1j * V).adjoint(), (M + 1j * V).conj().T),
}  # fmt: skip


@pytest.fixture(params=OPERATORS, ids=list(OPERATORS))
def case(request):
    with tf.Graph().as_default():
        yield OPERATORS[request.param]


def run(fetches):
    with tf.Session() as session:
        return session.run(fetches)


def columns(operator, size, count=3):
    batch = operator.dense.shape[:-2]
    x = real(*batch, size, count)
    return x + 1j * real(*x.shape) if np.iscomplexobj(operator.dense) else x


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def h(x):
    return np.swapaxes(x, -1, -2).conj()


def test_it_is_its_matrix(case):
    operator = case.make()
    dense, shape, diagonal, trace = run([operator.to_dense(), operator.shape_tensor(), operator.diag_part(), operator.trace()])  # fmt: skip
    close(dense, case.dense)
    assert tuple(shape) == case.dense.shape
    assert operator.shape.is_compatible_with(case.dense.shape)
    assert operator.to_dense().dtype == operator.dtype
    close(diagonal, np.diagonal(case.dense, axis1=-2, axis2=-1))
    close(trace, np.trace(case.dense, axis1=-2, axis2=-1))


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("adjoint_arg", [False, True])
def test_products(case, adjoint, adjoint_arg):
    matrix = h(case.dense) if adjoint else case.dense
    x = columns(case, matrix.shape[-1])
    given = h(x) if adjoint_arg else x
    close(run(case.make().matmul(given, adjoint=adjoint, adjoint_arg=adjoint_arg)), matrix @ x)
    close(run(case.make().matvec(x[..., 0], adjoint=adjoint)), (matrix @ x)[..., 0])


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("adjoint_arg", [False, True])
def test_systems(case, adjoint, adjoint_arg):
    if case.singular:
        with pytest.raises(NotImplementedError, match="singular"):
            case.make().solve(np.zeros((3, 1)))
        return
    matrix = h(case.dense) if adjoint else case.dense
    rhs = columns(case, matrix.shape[-2])
    given = h(rhs) if adjoint_arg else rhs
    wanted = np.linalg.solve(matrix, rhs)
    close(run(case.make().solve(given, adjoint=adjoint, adjoint_arg=adjoint_arg)), wanted)
    close(run(case.make().solvevec(rhs[..., 0], adjoint=adjoint)), wanted[..., 0])


def test_determinants_and_what_is_computed_of_singular_values(case):
    if case.dense.shape[-1] != case.dense.shape[-2]:
        with pytest.raises(NotImplementedError, match="square"):
            case.make().determinant()
        return
    close(run(case.make().determinant()), np.linalg.det(case.dense))
    if not case.singular:
        close(run(case.make().log_abs_determinant()), np.linalg.slogdet(case.dense)[1])
        close(run(case.make().cond()), np.linalg.cond(case.dense))


def test_adjoint_inverse_sum(case):
    operator = case.make()
    close(run(operator.H.to_dense()), h(case.dense))
    x = np.ones(case.dense.shape, case.dense.dtype)
    close(run(operator.add_to_tensor(x)), case.dense + 1)
    if case.singular:
        with pytest.raises(ValueError, match=r"singular|square"):
            operator.inverse()
        return
    close(run(operator.inverse().to_dense()), np.linalg.inv(case.dense))
    close(run((operator @ operator.inverse()).to_dense()), np.broadcast_to(np.eye(case.dense.shape[-1]), case.dense.shape))  # fmt: skip
    close(run(operator.solve(operator).to_dense()), np.broadcast_to(np.eye(case.dense.shape[-1]), case.dense.shape))  # fmt: skip


def test_shapes_need_not_be_known():
    with tf.Graph().as_default(), tf.Session() as session:
        d, m = tf.placeholder(F64, None), tf.placeholder(F64, None)
        operators = [
            L.LinearOperatorBlockDiag([L.LinearOperatorDiag(d), full(m)]),
            L.LinearOperatorKronecker([L.LinearOperatorDiag(d), full(m)]),
            L.LinearOperatorLowRankUpdate(full(m), tf.ones([2, 1], F64)),
            L.LinearOperatorToeplitz(d, d),
        ]
        feeds = {d: [3.0, 4.0], m: [[1.0, 2.0], [0.5, 4.0]]}
        for operator in operators:
            dense, shape, rank = session.run(
                [operator.to_dense(), operator.shape_tensor(), operator.tensor_rank_tensor()], feeds
            )
            assert (dense.shape, rank) == (tuple(shape), 2)
            product = session.run(operator.matvec(tf.ones([len(dense)], F64)), feeds)
            close(product, dense.sum(axis=1))


@pytest.mark.parametrize("name", ["diag", "full and definite", "identity", "scaled identity", "low rank update, definite"])  # fmt: skip
def test_cholesky_and_eigenvalues(name):
    with tf.Graph().as_default():
        dense = OPERATORS[name].dense
        operator = OPERATORS[name].make()
        close(np.sort(run(operator.eigvals())), np.linalg.eigvalsh(dense))
        if name != "diag" and name != "scaled identity":
            close(run(operator.cholesky().to_dense()), np.linalg.cholesky(dense))


def test_cholesky_of_parts():
    with tf.Graph().as_default():
        hints = {"is_self_adjoint": True, "is_positive_definite": True}
        parts = [full(definite(2), **hints), L.LinearOperatorDiag(positive(3), is_positive_definite=True)]  # fmt: skip
        for kind in (L.LinearOperatorBlockDiag, L.LinearOperatorKronecker):
            dense, factor = run([kind(parts).to_dense(), kind(parts).cholesky().to_dense()])
            close(factor, np.linalg.cholesky(dense))


def test_gradients_reach_what_operators_are_made_of():
    with tf.Graph().as_default():
        d = tf.constant(D)
        loss = tf.reduce_sum(L.LinearOperatorDiag(d).solvevec(np.ones(4)))
        close(run(tf.gradients(loss, d)[0]), -1 / D**2)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: full(real(4)), ValueError, "at least 2"),
        (lambda: L.LinearOperatorDiag(D, is_square=False), ValueError, "Only square"),
        (lambda: L.LinearOperatorDiag(D, is_self_adjoint=False), ValueError, "always self adjoint"),
        (lambda: L.LinearOperatorIdentity(3, is_non_singular=False), ValueError, "always non-singular"),
        (lambda: L.LinearOperatorIdentity(-1), ValueError, "non-negative"),
        (lambda: L.LinearOperatorIdentity(1.5), TypeError, "integer"),
        (lambda: L.LinearOperatorZeros(3, is_non_singular=True), ValueError, "non-invertible"),
        (lambda: L.LinearOperatorHouseholder(V, is_positive_definite=True), ValueError, "non-positive definite"),
        (lambda: L.LinearOperatorPermutation([0, 0, 1]), ValueError, "unique"),
        (lambda: L.LinearOperatorPermutation([0.0, 1.0]), TypeError, "integer"),
        (lambda: L.LinearOperatorTridiag(BANDS, "rows"), ValueError, "one of"),
        (lambda: L.LinearOperatorComposition([]), ValueError, "non-empty"),
        (lambda: L.LinearOperatorComposition([full(M), full(A)]), ValueError, "not compatible"),
        (lambda: L.LinearOperatorBlockDiag([full(M), full(M.astype(np.float32))]), TypeError, "same dtype"),
        (lambda: L.LinearOperatorBlockLowerTriangular([[full(A)], [full(A)]]), ValueError, "jagged"),
        (lambda: L.LinearOperatorInversion(L.LinearOperatorZeros(3)), ValueError, "is_non_singular"),
        (lambda: full(M, is_non_singular=False, is_positive_definite=True), ValueError, "always non-singular"),
        (lambda: full(M).matmul(np.ones((3, 1))), ValueError, "not compatible"),
        (lambda: full(M).matvec(np.ones(4, np.float32)), TypeError, "float32|dtype"),
        (lambda: full(M).cholesky(), ValueError, "Cholesky"),
        (lambda: full(M).eigvals(), NotImplementedError, "self-adjoint"),
        (lambda: full(real(3, 4)).inverse(), ValueError, "non square"),
        (lambda: full(real(3, 4), is_square=True).is_square, ValueError, "hint"),
        (lambda: L.LinearOperatorCirculant(positive(3), is_self_adjoint=False), ValueError, "self-adjoint"),
    ],
)  # fmt: skip
def test_refuses(make, error, match):
    with tf.Graph().as_default(), pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (lambda: L.LinearOperatorDiag([1.0, 2.0]).assert_non_singular(), lambda d: L.LinearOperatorDiag(d).assert_non_singular()),
        (lambda: L.LinearOperatorDiag([1.0, 2.0]).assert_positive_definite(), lambda d: L.LinearOperatorDiag(d).assert_positive_definite()),
        (lambda: full(SPD).assert_self_adjoint(), lambda d: full([d, d + 1]).assert_self_adjoint()),
        (lambda: full(SPD).assert_positive_definite(), lambda d: full([d, d]).assert_positive_definite()),
    ],
)  # fmt: skip
def test_assertions(good, bad):
    with tf.Graph().as_default(), tf.Session() as session:
        session.run(good())
        values = tf.placeholder_with_default([0.0, -1.0], [2])
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(bad(values))


def test_names_and_parts():
    with tf.Graph().as_default():
        operator = L.LinearOperatorDiag(D, name="d")
        assert operator.matmul(np.ones((4, 1)), name="m").op.name.startswith("d/m")
        assert (
            L.LinearOperatorComposition([operator, full(M)]).name == "d_o_LinearOperatorFullMatrix"
        )
        assert operator.inverse().is_square
        assert isinstance(operator.inverse(), L.LinearOperatorDiag)
        assert (operator.domain_dimension, operator.tensor_rank) == (4, 2)
        assert L.LinearOperatorAdjoint(full(M)).adjoint().to_dense().shape == [4, 4]


def test_own_operators():
    """As in TensorFlow's documentation: a subclass gives products and a shape, the rest follows."""

    class Twice(L.LinearOperator):
        def _shape(self):
            return tf.TensorShape([3, 3])

        def _shape_tensor(self):
            return tf.constant([3, 3])

        def _matmul(self, x, adjoint=False, adjoint_arg=False):
            return 2 * (tf.linalg.adjoint(x) if adjoint_arg else x)

    with tf.Graph().as_default():
        operator = Twice(dtype=F64)
        close(run([operator.determinant(), operator.trace()]), [8, 6])
        close(run(operator.solvevec([2.0, 4, 6])), [1, 2, 3])
