"""Values of special functions in float64: gamma, zeta, beta, error and Bessel functions. Knows arrays only.

Sources: the recurrences and expansions of the NIST Digital Library of Mathematical Functions (chapters 5, 8, 10 and
25), the continued fractions by Lentz's method (Press et al., "Numerical Recipes", chapter 6); erf, erfc and lgamma are
those of the C library, the normal quantile is that of Python's statistics module (Wichura's AS 241).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

TINY = 1e-300
EPSILON = 1e-16
MOST_STEPS = 2000
ROOT = 2 / math.sqrt(math.pi)
BERNOULLI = (
    1 / 6,
    -1 / 30,
    1 / 42,
    -1 / 30,
    5 / 66,
    -691 / 2730,
    7 / 6,
    -3617 / 510,
    43867 / 798,
    -174611 / 330,
)


def in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of float64 arrays as a kernel of any floating dtype."""

    def one(x):
        return np.asarray(function(np.asarray(x, np.float64))).astype(x.dtype)

    def two(x, y):
        a, b = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        return np.asarray(function(a, b)).astype(x.dtype)

    kernel = two if function.__code__.co_argcount == 2 else one
    kernel.__doc__ = function.__doc__
    return kernel


def _each(function: Callable[[float], float]) -> Callable[[Any], Any]:
    """A function of one Python number, applied to every element."""

    def mapped(x):
        return np.array([function(v) for v in x.reshape(-1).tolist()], np.float64).reshape(x.shape)

    return mapped


def _lgamma_of(x: float) -> float:
    if (x <= 0 and x == math.floor(x)) or math.isinf(x):
        return math.inf
    try:
        return math.lgamma(x)
    except OverflowError:
        return math.inf


lgamma_values = _each(_lgamma_of)


def digamma_values(x):
    """ψ(x): reflected for x < 0, moved up by the recurrence, then its asymptotic series (DLMF 5.11.2)."""
    is_low = x < 0
    pole = (x <= 0) & (x == np.floor(x))
    z = np.where(is_low, 1 - x, x)
    z = np.where(pole, 1.0, z)
    found = np.zeros_like(z)
    while (z < 12).any():
        small = z < 12
        found = np.where(small, found - 1 / z, found)
        z = np.where(small, z + 1, z)
    series = sum(b / (2 * (k + 1)) / z ** (2 * (k + 1)) for k, b in enumerate(BERNOULLI))
    found = found + np.log(z) - 0.5 / z - series
    found = np.where(is_low & ~pole, found - np.pi / np.tan(np.pi * np.where(pole, 0.5, x)), found)
    return np.where(pole, np.nan, found)


def zeta_values(s, q):
    """Hurwitz's ζ(s, q) = Σ (q + k)^-s by Euler and Maclaurin's formula (DLMF 25.11.5)."""
    count = 12
    bad_s, pole = s < 1, (q <= 0) & (q == np.floor(q))
    bad_q = (q <= 0) & ~pole & (s != np.floor(s))
    t = np.where((s <= 1), 2.0, s)
    a = np.where(pole, 1.0, q)
    up = np.where(a < 0, np.ceil(-a), 0.0)
    total = np.zeros_like(a)
    for k in range(int(up.max(initial=0))):
        total = np.where(k < up, total + _power(a + k, t), total)
    a = a + up
    for k in range(count):
        total = total + _power(a + k, t)
    end = a + count
    total = total + end ** (1 - t) / (t - 1) + 0.5 * end**-t
    factor = t * end ** (-t - 1)
    for k, b in enumerate(BERNOULLI):
        total = total + b / math.factorial(2 * k + 2) * factor
        factor = factor * (t + 2 * k + 1) * (t + 2 * k + 2) / (end * end)
    found = np.where(s == 1, np.inf, np.where(pole, np.inf, total))
    return np.where(bad_s | bad_q, np.nan, found)


def _power(base, s):
    """base^-s, for negative bases and whole s too."""
    sign = np.where((base < 0) & (np.mod(s, 2) == 1), -1.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return sign * np.abs(base) ** -s


def polygamma_values(n, x):
    """The n-th derivative of ψ: (-1)^(n+1) n! ζ(n + 1, x)."""
    whole = np.where((n < 0) | (n != np.floor(n)), 1.0, n)
    sign = np.where(np.mod(whole, 2) == 0, -1.0, 1.0)
    found = sign * np.exp(lgamma_values(whole + 1)) * zeta_values(whole + 1, x)
    found = np.where(whole == 0, digamma_values(x), found)
    return np.where((n < 0) | (n != np.floor(n)), np.nan, found)


def _until_settled(step: Callable[..., Any], *state: Any) -> list[Any]:
    """Run `step(k, *state) -> (next state, which still move)` for each element until it settles; its last state."""
    found = [values.copy() for values in state]
    left = np.arange(state[0].size)
    for k in range(1, MOST_STEPS):
        state, moving = step(k, *state)
        if moving.all():
            continue
        for last, values in zip(found, state, strict=True):
            last[left[~moving]] = values[~moving]
        left = left[moving]
        if not left.size:
            break
        state = tuple(values[moving] for values in state)
    for last, values in zip(found, state, strict=True):
        last[left] = values[: left.size]
    return found


def _lower_series(a, x):
    """P(a, x) by its power series (DLMF 8.7.1), for vectors."""

    def step(k, term, total, a, x):
        term = term * x / (a + k)
        total = total + term
        return (term, total, a, x), np.abs(term) > np.abs(total) * EPSILON

    _, total, _, _ = _until_settled(step, 1 / a, 1 / a, a, x)
    return total * _front(a, x)


def _upper_fraction(a, x):
    """Q(a, x) by its continued fraction (DLMF 8.9.2), for vectors."""
    b = x + 1 - a
    d = 1 / np.where(b == 0, TINY, b)

    def step(k, b, c, d, found, a):
        an = -k * (k - a)
        b = b + 2
        d = an * d + b
        d = 1 / np.where(np.abs(d) < TINY, TINY, d)
        c = b + an / c
        c = np.where(np.abs(c) < TINY, TINY, c)
        change = d * c
        return (b, c, d, found * change, a), np.abs(change - 1) > EPSILON * 4

    found = _until_settled(step, b, np.full_like(b, 1 / TINY), d, d, a)[3]
    return found * _front(a, x)


def _front(a, x):
    return np.exp(a * np.log(x) - x - lgamma_values(a))


def _igamma_parts(a, x):
    """(P, Q): each computed where it is the smaller one."""
    a, x = np.broadcast_arrays(a, x)
    p = np.where((x == 0) & (a > 0), 0.0, np.where((a > 0) & (x == np.inf), 1.0, np.nan))
    q = np.asarray(1 - p)
    inside = (a > 0) & (x > 0) & np.isfinite(x) & np.isfinite(a)
    low, high = inside & (x < a + 1), inside & (x >= a + 1)
    p[low] = _lower_series(a[low], x[low])
    q[low] = 1 - p[low]
    q[high] = _upper_fraction(a[high], x[high])
    p[high] = 1 - q[high]
    return p, q


def igamma_values(a, x):
    """The regularised lower incomplete gamma function P(a, x)."""
    return _igamma_parts(a, x)[0]


def igammac_values(a, x):
    """The regularised upper incomplete gamma function Q(a, x)."""
    return _igamma_parts(a, x)[1]


def igamma_grad_a_values(a, x):
    """∂P(a, x)/∂a by central differences, extrapolated twice."""
    h = 1e-3 * np.maximum(np.abs(a), 1e-3)
    slopes = [
        (igamma_values(a + h / s, x) - igamma_values(a - h / s, x)) * s / (2 * h) for s in (1, 2, 4)
    ]
    first = [(4 * slopes[i + 1] - slopes[i]) / 3 for i in range(2)]
    return (16 * first[1] - first[0]) / 15


def _beta_fraction(a, b, x):
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), for vectors."""

    def held(value):
        return np.where(np.abs(value) < TINY, TINY, value)

    def step(m, c, d, found, a, b, x):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / held(1 + numerator * d)
            c = held(1 + numerator / c)
            found = found * d * c
        return (c, d, found, a, b, x), np.abs(d * c - 1) > EPSILON * 4

    d = 1 / held(1 - (a + b) * x / (a + 1))
    return _until_settled(step, np.ones_like(x), d, d, a, b, x)[2]


def betainc_values(a, b, x):
    """The regularised incomplete beta function I_x(a, b)."""
    inside = (a > 0) & (b > 0) & (x > 0) & (x < 1)
    sa, sb, sx = (np.where(inside, v, 0.5) for v in (a, b, x))
    flip = sx > (sa + 1) / (sa + sb + 2)
    fa, fb, fx = np.where(flip, sb, sa), np.where(flip, sa, sb), np.where(flip, 1 - sx, sx)
    front = np.exp(
        lgamma_values(fa + fb)
        - lgamma_values(fa)
        - lgamma_values(fb)
        + fa * np.log(fx)
        + fb * np.log1p(-fx)
    )
    flat = (np.reshape(v, -1) for v in (fa, fb, fx))
    found = front * _beta_fraction(*flat).reshape(np.shape(x)) / fa
    found = np.where(flip, 1 - found, found)
    edge = np.where(
        (a > 0) & (b > 0) & (x == 0), 0.0, np.where((a > 0) & (b > 0) & (x == 1), 1.0, np.nan)
    )
    return np.where(inside, found, edge)


def _bessel_e(order: int) -> Callable[[Any], Any]:
    """exp(-|x|) · I_order(x): the power series (DLMF 10.25.2) up to 25, then Hankel's expansion (10.40.1)."""

    def function(x):
        size = np.abs(x)
        small, large = np.where(size > 25, 25.0, size), np.where(size > 25, size, 25.0)
        term = (small / 2) ** order * np.exp(-small)
        near = term.copy()
        for k in range(1, 90):
            term = term * (small * small / 4) / (k * (k + order))
            near = near + term
        mu, factor = 4.0 * order * order, np.ones_like(large)
        far = factor.copy()
        for k in range(1, 26):
            factor = -factor * (mu - (2 * k - 1) ** 2) / (k * 8 * large)
            far = far + factor
        found = np.where(size > 25, far / np.sqrt(2 * np.pi * large), near)
        return found * np.sign(x) if order % 2 else found

    return function


i0e_values, i1e_values = _bessel_e(0), _bessel_e(1)


def _rational(x, above, below):
    """A polynomial in `x` over another one, the coefficients from the highest power down."""
    return np.polyval(above, x) / np.polyval(below, x)


def ndtri_values(p):
    """The quantiles of the normal distribution: algorithm AS 241, PPND16 (Wichura 1988)."""
    found = np.where(p == 0, -np.inf, np.where(p == 1, np.inf, np.nan))
    inside = (p > 0) & (p < 1)
    q = p[inside] - 0.5
    tail = np.sqrt(-np.log(np.where(q < 0, p[inside], 1 - p[inside])))
    middle = _rational(0.180625 - q * q, *MIDDLE) * q
    side = np.where(tail <= 5, _rational(tail - 1.6, *NEAR_TAIL), _rational(tail - 5, *FAR_TAIL))
    found[inside] = np.where(np.abs(q) <= 0.425, middle, np.copysign(side, q))
    return found


erf_values, erfc_values = _each(math.erf), _each(math.erfc)


def erfinv_values(y):
    """The inverse of the error function: a quantile of the normal distribution, improved by two of Newton's steps."""
    inside = np.abs(y) < 1
    found = np.where(np.abs(y) == 1, np.copysign(np.inf, y), np.nan)
    value = y[inside]
    at = ndtri_values((value + 1) / 2) / math.sqrt(2)
    at = np.where(np.isfinite(at), at, np.copysign(5.8, value))
    for _ in range(2):
        slope = ROOT * np.exp(-at * at)
        at = np.where(slope > TINY, at - (erf_values(at) - value) / np.maximum(slope, TINY), at)
    found[inside] = at
    return found


MIDDLE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
NEAR_TAIL = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)  # fmt: skip
FAR_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)  # fmt: skip
