"""Special functions: values known from tables and identities, and derivatives."""

import math

import numpy as np
import pytest

from ckpt.ops import special, special_values
from tests.conformance.ops import case, conformance, full

POINTS = np.array([0.3, 1.0, 2.5, 7.0, 30.0], np.float32)
SIGNED = np.array([-2.5, -0.3, 0.2, 1.5, 3.0], np.float32)
A, X = np.array([0.5, 1.0, 3.0, 10.0], np.float32), np.array([0.2, 2.0, 2.5, 12.0], np.float32)


def each(function):
    return lambda x: np.array([function(float(v)) for v in x], np.float32)


TestFunctions = conformance([
    case(special.lgamma, POINTS, like=each(math.lgamma), rtol=1e-5, grad=2),
    case(special.digamma, SIGNED, grad=1),
    case(special.digamma, np.array([1.0, 0.5], np.float64), expect=np.array(
        [-0.5772156649015329, -1.9635100260214235]), rtol=1e-13),
    case(special.polygamma, np.array([1.0, 2.0]), np.array([1.0, 1.0]),
         expect=np.array([np.pi**2 / 6, -2.4041138063191886]), rtol=1e-13, grad=0),
    case(special.zeta, np.array([2.0, 4.0, 3.0]), np.array([1.0, 1.0, 0.5]),
         expect=np.array([np.pi**2 / 6, np.pi**4 / 90, 8.41439832211716]), rtol=1e-13, grad=0),
    case(special.erf, SIGNED, like=each(math.erf), rtol=1e-5, grad=2),
    case(special.erfc, SIGNED, like=each(math.erfc), rtol=1e-5, grad=2),
    case(special.erfinv, np.array([-0.9, -1e-3, 0.0, 0.5, 0.999]), grad=2),
    case(special.ndtri, np.array([0.025, 0.5, 0.975]), expect=np.array([-1.959963984540054, 0, 1.959963984540054]),
         rtol=1e-12),
    case(special.bessel_i0e, SIGNED, grad=1),
    case(special.bessel_i1e, SIGNED, grad=1),
    case(special.bessel_i0, np.array([1.0, 30.0]), expect=np.array([1.2660658777520084, 781672297823.9775]),
         rtol=1e-13, grad=0),
    case(special.bessel_i1, np.array([1.0, 30.0]), expect=np.array([0.5651591039924851, 768532038938.957]),
         rtol=1e-13, grad=0),
    case(special.igamma, A, X, grad=1),
    case(special.igammac, A, X, grad=1),
    case(special.igamma, full([3], 1.0), np.array([0.5, 1, 4], np.float32), like=lambda a, x: 1 - np.exp(-x), rtol=1e-6,
         grad=0),
    case(special.betainc, full([2], 2.0), full([2], 3.0), np.array([0.2, 0.8], np.float32),
         expect=np.array([0.1808, 0.9728], np.float32), rtol=1e-5, grad=0),
    case(special.lbeta, np.array([[1.0, 2.0], [3.0, 4.0]]), expect=np.log([1 / 2, 1 / 60]), rtol=1e-13),
])  # fmt: skip


@pytest.mark.parametrize("x", [1e-3, 0.4, 0.9, 0.99999])
def test_the_inverse_of_erf_is_its_inverse(x):
    found = special.erfinv_op.kernel(np.float64(x))
    assert math.erf(float(found)) == pytest.approx(x, rel=1e-14)


@pytest.mark.parametrize(("a", "x"), [(0.1, 1e-4), (5.0, 4.9), (100.0, 90.0), (100.0, 130.0)])
def test_the_two_incomplete_gammas_add_up_to_one(a, x):
    p, q = (
        f(np.array(a), np.array(x))
        for f in (special_values.igamma_values, special_values.igammac_values)
    )
    assert float(p + q) == pytest.approx(1, rel=1e-13)
    assert p > 0
    assert q > 0
