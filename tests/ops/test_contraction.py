"""Contractions, running sums, complex numbers, counts, clipping and the rest of arithmetic."""

import numpy as np
import pytest

from ckpt.core.errors import InvalidArgumentError, ShapeError
from ckpt.graph.graph import Graph
from ckpt.ops import (
    arithmetic,
    assertions,
    bits,
    checking,
    clipping,
    complex_numbers,
    constants,
    contraction,
    cumulative,
    distinct,
    spacing,
)
from ckpt.run.session import Session
from tests.conformance.ops import case, conformance, normal


def ein(equation, *shapes, grad=2):
    arrays = [normal(*s, seed=i) for i, s in enumerate(shapes)]
    return case(lambda *xs: contraction.einsum(equation, *xs), *arrays, title=f"einsum {equation}", grad=grad,
                like=lambda *xs: np.einsum(equation, *xs), rtol=1e-4, atol=1e-5)  # fmt: skip


TestEinsum = conformance([
    ein("ij,jk->ik", (2, 3), (3, 4)),
    ein("ij,jk", (2, 3), (3, 4)),
    ein("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
    ein("...ij,...jk->...ik", (2, 1, 2, 3), (3, 3, 2), grad=1),
    ein("ij,ij->", (2, 3), (2, 3)),
    ein("ijk->j", (2, 3, 2)),
    ein("ii->i", (3, 3)),
    ein("ij,jk,kl->il", (2, 3), (3, 2), (2, 2), grad=1),
    ein("i,j->ij", (2,), (3,)),
    ein("ii->", (3, 3)),
    ein("iij->j", (3, 3, 2)),
    ein("iij,k->jk", (3, 3, 2), (4,), grad=1),
    ein("...ij->...", (4, 2, 3)),
    ein("...iij->...j", (2, 3, 3, 2)),
    ein("i...j->i...", (2, 4, 3)),
    ein("...ii,k->...k", (2, 3, 3), (4,), grad=1),
    ein("ij,...j->...i", (2, 3), (4, 5, 3), grad=1),
    ein("iij,...j->...", (2, 2, 3), (4, 3), grad=1),
    case(lambda x: contraction.einsum("...ij->ij", x), normal(2, 2, 3), raises=ShapeError, match="without ellipsis",
         title="einsum without its ellipsis"),
])  # fmt: skip

TestProducts = conformance([
    case(contraction.tensordot, normal(2, 3, 4), normal(4, 3, 5), [[1, 2], [1, 0]], rtol=1e-4, atol=1e-5, grad=2,
         like=np.tensordot),
    case(contraction.tensordot, normal(2, 3), normal(3, 4), 1, like=np.tensordot, rtol=1e-4, atol=1e-5),
    case(contraction.cross, normal(2, 3), normal(2, 3, seed=1), like=np.cross, rtol=1e-5, grad=2),
])  # fmt: skip

TestRunning = conformance([
    case(cumulative.cumsum, normal(2, 3), axis=1, like=lambda x: x.cumsum(1), rtol=1e-5, grad=2),
    case(cumulative.cumsum, np.array([1, 2, 4]), exclusive=True, expect=np.array([0, 1, 3]), grad=0),
    case(cumulative.cumsum, np.array([1, 2, 4]), reverse=True, expect=np.array([7, 6, 4]), grad=0),
    case(cumulative.cumsum, normal(2, 3), axis=-1, exclusive=True, reverse=True, grad=2),
    case(cumulative.cumprod, normal(2, 3), axis=1, like=lambda x: x.cumprod(1), rtol=1e-5, grad=2),
    case(cumulative.cumprod, normal(2, 3), axis=0, exclusive=True, reverse=True),
    case(cumulative.cumulative_logsumexp, normal(5), like=lambda x: np.log(np.cumsum(np.exp(x))), rtol=1e-5),
    case(cumulative.cumsum, np.zeros((0, 2), np.float32), expect=np.zeros((0, 2), np.float32)),
])  # fmt: skip


def parts(x, y):
    z = complex_numbers.complex_(x, y)
    z = z * z + 1.0
    return [complex_numbers.real(z), complex_numbers.imag(z), complex_numbers.angle(z)]


TestComplex = conformance([
    case(parts, normal(3), normal(3, seed=1), rtol=1e-5, grad=2,
         like=lambda x, y: [f((x + 1j * y) ** 2 + 1) for f in (np.real, np.imag, np.angle)]),
    case(complex_numbers.angle, np.array([-1, 2], np.float32), expect=np.array([np.pi, 0], np.float32), grad=0),
])  # fmt: skip

VALUES = np.array([3, 1, 3, 0], np.int32)

TestCounts = conformance([
    case(distinct.unique, VALUES, expect=[np.array([3, 1, 0]), np.array([0, 1, 0, 2])], grad=0),
    case(distinct.unique_with_counts, np.array([b"b", b"a", b"b"], object), grad=0,
         expect=[np.array([b"b", b"a"], object), np.array([0, 1, 0]), np.array([2, 1])]),
    case(distinct.setdiff1d, VALUES, np.array([3], np.int32), expect=[np.array([1, 0]), np.array([1, 3])], grad=0),
    case(distinct.bincount, VALUES, like=np.bincount, grad=0),
    case(distinct.bincount, VALUES.astype(np.int64), like=np.bincount, grad=0),
    case(distinct.bincount, VALUES, weights=[1.0], raises=InvalidArgumentError, match="same shape", grad=0),
    case(distinct.bincount, VALUES, minlength=6, weights=normal(4), grad=0,
         like=lambda x: np.bincount(x, normal(4), 6).astype(np.float32)),
    case(distinct.confusion_matrix, np.array([0, 1, 1], np.int32), np.array([0, 1, 0], np.int32),
         expect=np.array([[1, 0], [1, 1]]), grad=0),
    case(distinct.histogram_fixed_width, np.array([-1.0, 0, 1.5, 2, 5, 15]), [0.0, 5.0], nbins=5,
         expect=np.array([2, 1, 1, 0, 2]), grad=0),
    case(arithmetic.count_nonzero, np.array([[0, 1], [2, 0]], np.float32), axis=0, expect=np.array([1, 1]), grad=0),
])  # fmt: skip

TestArithmetic = conformance([
    case(arithmetic.reduce_logsumexp, normal(2, 3), axis=1, like=lambda x: np.log(np.exp(x).sum(1)), rtol=1e-5, grad=2),
    case(arithmetic.reduce_variance, normal(2, 3), axis=1, like=lambda x: x.var(1), rtol=1e-5, grad=2),
    case(arithmetic.reduce_std, normal(2, 3), like=np.std, rtol=1e-5),
    case(arithmetic.log_sigmoid, normal(3), like=lambda x: -np.log1p(np.exp(-x)), rtol=1e-5, grad=2),
    case(arithmetic.xlogy, normal(3), np.abs(normal(3)), like=lambda x, y: x * np.log(y), rtol=1e-5, grad=2),
    case(arithmetic.xdivy, normal(3), normal(3, seed=1), like=np.divide, rtol=1e-5, grad=1),
    case(arithmetic.xlog1py, normal(3), np.abs(normal(3)), like=lambda x, y: x * np.log1p(y), rtol=1e-5, grad=1),
    case(arithmetic.mul_no_nan, normal(3), normal(3, seed=1), like=np.multiply, grad=1),
    case(arithmetic.xlogy, np.zeros(2, np.float32), np.zeros(2, np.float32), expect=np.zeros(2, np.float32), grad=0),
    case(spacing.lin_space, np.float32(1), np.float32(2), 5, expect=np.linspace(1, 2, 5, dtype=np.float32)),
    case(spacing.lin_space, normal(3), normal(3, seed=1), 4, axis=-1,
         like=lambda a, b, n: np.linspace(a, b, n, axis=-1).astype(np.float32), rtol=1e-5),
    case(arithmetic.next_after, normal(3), normal(3, seed=1), like=np.nextafter, grad=0),
    case(arithmetic.approximate_equal, np.array([1.0, 2]), np.array([1.0, 3]), expect=np.array([True, False]), grad=0),
    case(lambda a, b: arithmetic.accumulate_n([a, b]), normal(3), normal(3, seed=1), like=np.add, title="accumulate_n"),
    case(lambda a, b: arithmetic.accumulate_n_op([a, b], shape=[3]), normal(3), normal(3, seed=1), like=np.add, title="AccumulateNV2"),
    case(arithmetic.scalar_mul, np.float32(3), normal(2), like=np.multiply),
    case(bits.bitwise_xor, VALUES, np.int32(5), like=np.bitwise_xor, grad=0),
    case(bits.invert, VALUES, like=np.invert, grad=0),
    case(bits.left_shift, VALUES, np.int32(2), like=np.left_shift, grad=0),
    case(bits.population_count, VALUES, expect=np.array([2, 1, 2, 0], np.uint8), grad=0),
])  # fmt: skip

TestClipping = conformance([
    case(clipping.clip_by_value, normal(3, 3), -0.5, 0.5, like=np.clip),
    case(clipping.clip_by_norm, normal(2, 3), 0.5, like=lambda x, n: x * n / np.linalg.norm(x), rtol=1e-5),
    case(clipping.clip_by_norm, normal(2, 3), 100.0, like=lambda x, n: x, rtol=1e-5, grad=0),
    case(clipping.clip_by_average_norm, normal(2, 3), 0.1, rtol=1e-5, grad=0,
         like=lambda x, n: x * n * 6 / np.linalg.norm(x)),
    case(lambda a, b: clipping.global_norm([a, None, b], name=""), normal(2), normal(3), title="global_norm without a scope",
         like=lambda a, b: np.sqrt((a * a).sum() + (b * b).sum()), rtol=1e-5, grad=0),
    case(lambda a, b: clipping.clip_by_global_norm([a, None, b], 0.5)[0][::2], normal(2), normal(3),
         title="clip_by_global_norm", rtol=1e-5, grad=0,
         like=lambda a, b: [v * 0.5 / np.sqrt((a * a).sum() + (b * b).sum()) for v in (a, b)]),
])  # fmt: skip

TestChecks = conformance([
    case(lambda x: checking.check_numerics(x, "broken"), normal(2), like=lambda x: x, title="check_numerics", grad=1),
    case(lambda x: checking.check_numerics(x, "broken"), np.array([np.nan, np.inf]), raises=InvalidArgumentError,
         match="broken : Tensor had Inf and NaN values"),
    case(assertions.is_strictly_increasing, np.array([1, 2, 2]), expect=np.array(False), grad=0),
    case(assertions.is_non_decreasing, np.array([1, 2, 2]), expect=np.array(True), grad=0),
])  # fmt: skip


def test_an_assertion_that_fails_shows_its_data():
    with Graph().as_default() as graph, Session(graph=graph) as session:
        x = constants.placeholder(np.int32)
        check = assertions.assert_positive(x, message="too small")
        session.run(check, {x: [1, 2]})
        with pytest.raises(InvalidArgumentError, match=r"(?s)too small.*x > 0.*\[1 -2\]"):
            session.run(check, {x: [1, -2]})


def test_what_is_known_to_fail_fails_while_building():
    with Graph().as_default(), pytest.raises(InvalidArgumentError, match="x == y"):
        assertions.assert_equal(constants.constant(1), constants.constant(2))


def test_print_writes_to_the_error_stream_first_n_times(capfd):
    with Graph().as_default() as graph, Session(graph=graph) as session:
        x = constants.placeholder(np.float32)
        y = checking.Print(x, [x], message="x is ", first_n=2)
        for _ in range(3):
            assert session.run(y, {x: [1.5, 2, 3, 4]}).tolist() == [1.5, 2, 3, 4]
    assert capfd.readouterr().err == "x is [1.5 2 3...]\n" * 2
