"""Bessel functions J, Y, K, and the integrals of Dawson, Fresnel and Spence.

Values in tables are those of DLMF and of scipy 1.17; TensorFlow answers the same rows.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckpt as tf
from ckpt.ops import bessel, special_integrals
from tests.conformance.ops import case, conformance

S = tf.math.special
POINTS = np.array([0.05, 0.3, 0.7, 1.0, 2.5, 7.3, 11.0, 24.0, 26.5, 130.0])
SIGNED = np.array([-30.0, -4.2, -0.4, 0.3, 1.7, 6.0, 24.9, 25.1])
LIMITS = "TensorFlow has no numbers at infinity"

TestBesselJ = conformance([
    case(f, x.astype(kind), grad=1, rtol=tolerance, atol=tolerance)
    for f in (S.bessel_j0, S.bessel_j1) for x in (SIGNED, POINTS)
    for kind, tolerance in ((np.float64, 1e-12), (np.float32, 3e-6))
])  # fmt: skip
TestBesselYK = conformance([
    *[case(f, POINTS, grad=1, rtol=1e-12, atol=1e-13) for f in (S.bessel_y0, S.bessel_y1, S.bessel_k0e, S.bessel_k1e)],
    *[case(f, POINTS[:-1], grad=1, rtol=1e-12, atol=1e-13) for f in (S.bessel_k0, S.bessel_k1)],
    *[case(f, POINTS.astype(np.float32), grad=0, rtol=1e-5, atol=1e-6) for f in (S.bessel_y0, S.bessel_y1, S.bessel_k0e, S.bessel_k1e)],
    *[case(f, np.array([0.0, -1.0]), expect=np.full(2, v), grad=0)
      for f, v in ((S.bessel_y0, -np.inf), (S.bessel_y1, -np.inf), (S.bessel_k0, np.inf), (S.bessel_k1e, np.inf))],
    case(S.bessel_j1, np.array([0.0]), grad=1),
    case(S.bessel_j0, np.array([np.inf, -np.inf, np.nan]), expect=np.array([0, 0, np.nan]), grad=0, unasked=LIMITS),
])  # fmt: skip
TestIntegrals = conformance([
    *[case(f, SIGNED, grad=1, rtol=1e-11, atol=1e-12) for f in (S.dawsn, S.fresnel_cos, S.fresnel_sin)],
    *[case(f, POINTS[:-1], grad=1, rtol=1e-11, atol=1e-12) for f in (S.spence,)],
    case(S.expint, POINTS[:6], grad=1, rtol=1e-11, atol=1e-12),
    case(S.expint, POINTS[6:], grad=0, rtol=1e-11, atol=1e-12),
    *[case(f, POINTS[:-1].astype(np.float32), grad=0, rtol=1e-5, atol=1e-6)
      for f in (S.dawsn, S.fresnel_cos, S.fresnel_sin, S.expint, S.spence)],
    case(S.expint, np.array([0.0, -1.0]), expect=np.array([-np.inf, np.nan]), grad=0),
    case(S.spence, np.array([0.0, 1.0, -1.0]), expect=np.array([np.pi**2 / 6, 0, np.nan]), grad=0),
    case(S.dawsn, np.array([1.0, -1e9]), expect=np.array([0.5380795069127684, -5e-10]), grad=0),
    case(S.fresnel_cos, np.array([np.inf, -np.inf]), expect=np.array([0.5, -0.5]), grad=0),
])  # fmt: skip


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (bessel.j_values(0), 2.404825557695773, 0.0), (bessel.j_values(1), 3.831705970207512, 0.0),
        (bessel.j_values(0), 1e-9, 1.0), (bessel.j_values(1), 1e-9, 5e-10),
        (bessel.j_values(0), 1000.0, 0.024786686152420174), (bessel.y_values(0), 1000.0, 0.004715917977622797),
        (bessel.y_values(1), 1e-5, -63661.97727536548), (bessel.k0e_values, 1e-6, 13.931456005075448),
        (bessel.k1e_values, 1e4, 0.012533611351270504), (special_integrals.expint_values, 50.0, 1.0585636897131690e20),
        (special_integrals.spence_values, 0.5, 0.5822405264650125),
        (special_integrals.spence_values, 100.0, -12.192421669033174),
        (special_integrals.fresnel_sin_values, 50.0, 0.4936338025859387),
    ],
)  # fmt: skip
def test_known_values(function, x, expected):
    assert function(np.array([x]))[0] == pytest.approx(expected, rel=1e-12, abs=1e-15)


@given(st.floats(0.01, 200))
def test_wronskians(x):
    """DLMF 10.5.2 and 10.28.2."""
    at = np.array([x])
    j0, j1, y0, y1 = (f(n)(at)[0] for f in (bessel.j_values, bessel.y_values) for n in (0, 1))
    assert j1 * y0 - j0 * y1 == pytest.approx(2 / (np.pi * x), rel=1e-11)


@given(st.floats(1e-6, 1e6))
def test_spence_mirrors(x):
    """DLMF 25.12.4: spence(x) + spence(1 / x) = -log(x)² / 2."""
    a, b = special_integrals.spence_values(np.array([x, 1 / x]))
    assert a + b == pytest.approx(-(np.log(x) ** 2) / 2, rel=1e-11, abs=1e-12)
