"""Bessel functions J, Y and K of orders 0 and 1, in float64 and rounded to the dtype asked for.

Sources: NIST Digital Library of Mathematical Functions, chapter 10: power series near zero, J. C. P. Miller's backward
recurrence with Neumann's sums in the middle, Hankel's expansions far out, and for K the trapezoidal rule on Schläfli's
integral, which converges exponentially (L. N. Trefethen and J. A. C. Weideman, SIAM Review 56, 2014).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core.dtypes import FLOATING
from ckpt.ops import casting, compare, division, elementwise
from ckpt.ops.families import unary
from ckpt.ops.special import in_scope
from ckpt.ops.special_values import in_float64

NEAR, FAR = 0.5, 25.0
"""Below NEAR the power series are used, above FAR Hankel's expansions."""
FIRST_ORDER = 80
"""Where the backward recurrence begins: J of this order is below 1e-35 for every x up to FAR."""
SERIES_TERMS, HANKEL_TERMS, NODES = 12, 20, 36
GAMMA = 0.5772156649015329


def _series(x: Any, order: int, sign: float) -> tuple[Any, Any]:
    """(Σ ± (x²/4)^k / (k! (k + order)!) · (x/2)^order, the same with ψ(k + 1) + ψ(k + order + 1) in each term)."""
    term = (x / 2) ** order
    harmonic = [-GAMMA, -GAMMA + order]
    total, weighted = np.zeros_like(x), np.zeros_like(x)
    for k in range(SERIES_TERMS):
        total = total + term
        weighted = weighted + term * (harmonic[0] + harmonic[1])
        term = term * (sign * x * x / 4) / ((k + 1) * (k + 1 + order))
        harmonic = [harmonic[0] + 1 / (k + 1), harmonic[1] + 1 / (k + 1 + order)]
    return total, weighted


def _middle(x: Any) -> list[Any]:
    """All J_k(x) for k = 0 … FIRST_ORDER by backward recurrence (DLMF 10.74(iv)), NEAR <= x <= FAR."""
    found = [np.zeros_like(x), np.full_like(x, 1e-250)]
    for k in range(FIRST_ORDER, 0, -1):
        found.append(2 * k / x * found[-1] - found[-2])
    found = found[:0:-1]
    scale = found[0] + 2 * sum(found[2::2])
    return [value / scale for value in found]


def _hankel(x: Any, order: int) -> tuple[Any, Any]:
    """(P, Q) of DLMF 10.17.3: J and Y are sqrt(2 / πx) times their rotation by x - order·π/2 - π/4."""
    mu, term = 4.0 * order * order, np.ones_like(x)
    p, q = term.copy(), np.zeros_like(x)
    for k in range(1, HANKEL_TERMS):
        term = term * (mu - (2 * k - 1) ** 2) / (8 * k * x)
        if k % 2:
            q = q + term * (-1) ** (k // 2)
        else:
            p = p + term * (-1) ** (k // 2)
    return p, q


def _far(x: Any, order: int) -> tuple[Any, Any]:
    """(J, Y) for x >= FAR."""
    p, q = _hankel(x, order)
    sine, cosine = np.sin(x), np.cos(x)
    if order:
        c, s = sine - cosine, -sine - cosine
    else:
        c, s = cosine + sine, sine - cosine
    scale = 1 / np.sqrt(np.pi * x)
    return scale * (p * c - q * s), scale * (p * s + q * c)


def _by_size(x: Any) -> tuple[Any, Any, Any]:
    """x where it is near, in the middle and far; elsewhere a number that does no harm."""
    return (
        np.where(x < NEAR, x, NEAR),
        np.clip(np.nan_to_num(x, nan=NEAR, posinf=FAR), NEAR, FAR),
        np.where((x > FAR) & np.isfinite(x), x, FAR),
    )


def _chosen(x: Any, near: Any, middle: Any, far: Any) -> Any:
    found = np.where(x < NEAR, near, np.where(x <= FAR, middle, far))
    return np.where(np.isnan(x), np.nan, np.where(np.isposinf(x), 0.0, found))


def j_values(order: int) -> Callable[[Any], Any]:
    """J_order(x)."""

    def function(x):
        size = np.abs(x)
        small, medium, large = _by_size(size)
        found = _chosen(
            size, _series(small, order, -1.0)[0], _middle(medium)[order], _far(large, order)[0]
        )  # fmt: skip
        return found * np.sign(x) if order else found

    return function


def _y_near(x: Any, order: int) -> Any:
    """Y by its power series (DLMF 10.8.1)."""
    total, weighted = _series(x, order, -1.0)
    with np.errstate(all="ignore"):
        found = (2 * np.log(x / 2) * total - weighted) / np.pi
        return found - 2 / (np.pi * x) if order else found


def _y_middle(x: Any, order: int) -> Any:
    """Y by Neumann's sum over J (DLMF 10.8.3 and Abramowitz and Stegun 9.1.88)."""
    all_j = _middle(x)
    logarithm = np.log(x / 2) + GAMMA
    signs = [(-1) ** k for k in range(FIRST_ORDER)]
    if not order:
        total = sum(signs[k] * all_j[2 * k] / k for k in range(1, FIRST_ORDER // 2))
        return 2 / np.pi * (logarithm * all_j[0] - 2 * total)
    total = sum(
        signs[k] * (2 * k + 1) / (k * (k + 1)) * all_j[2 * k + 1]
        for k in range(1, FIRST_ORDER // 2)
    )
    return 2 / np.pi * ((logarithm - 1) * all_j[1] - all_j[0] / x - total)


def y_values(order: int) -> Callable[[Any], Any]:
    """Y_order(x): -inf at zero, and below, as TensorFlow has it."""

    def function(x):
        small, medium, large = _by_size(x)
        found = _chosen(x, _y_near(small, order), _y_middle(medium, order), _far(large, order)[1])
        return np.where(x <= 0, -np.inf, found)

    return function


def _k_near(x: Any, order: int) -> Any:
    """K by its power series (DLMF 10.31)."""
    total, weighted = _series(x, order, 1.0)
    with np.errstate(all="ignore"):
        found = np.log(x / 2) * total - weighted / 2
        return found + 1 / x if order else -found


def ke_values(order: int) -> Callable[[Any], Any]:
    """exp(x) · K_order(x): +inf at zero, and below, as TensorFlow has it."""

    def function(x):
        small = np.where(x < NEAR, x, NEAR)
        large = np.where((x >= NEAR) & np.isfinite(x), x, NEAR)
        end = np.arccosh(1 + 45 / large)  # exp(-45) is nothing beside one
        found = np.zeros_like(large)
        for node in range(NODES + 1):
            t = end * (node / NODES)
            part = np.exp(-2 * large * np.sinh(t / 2) ** 2) * (np.cosh(t) if order else 1.0)
            found = found + (part / 2 if not node else part)
        found = np.where(x < NEAR, _k_near(small, order) * np.exp(small), found * end / NODES)
        found = np.where(x <= 0, np.inf, found)
        return np.where(np.isnan(x), np.nan, np.where(np.isposinf(x), 0.0, found))

    return function


k0e_values, k1e_values = ke_values(0), ke_values(1)


def _op(type_name: str, values: Callable[[Any], Any], gradient: Any, doc: str) -> Any:
    kernel = in_float64(lambda x: values(x))
    kernel.__doc__ = doc
    return unary(type_name, kernel, FLOATING, gradient, late=True)


bessel_j0_op = _op(
    "BesselJ0", j_values(0), lambda x, y, dy: dy * -bessel_j1(x),
    "The Bessel function of the first kind J0(x).",
)  # fmt: skip
bessel_j1_op = _op(
    "BesselJ1", j_values(1), lambda x, y, dy: dy * _j1_slope(x, y),
    "The Bessel function of the first kind J1(x).",
)  # fmt: skip
bessel_y0_op = _op(
    "BesselY0", y_values(0), lambda x, y, dy: dy * -bessel_y1(x),
    "The Bessel function of the second kind Y0(x).",
)  # fmt: skip
bessel_y1_op = _op(
    "BesselY1", y_values(1), lambda x, y, dy: dy * (bessel_y0(x) - division.div(y, x)),
    "The Bessel function of the second kind Y1(x).",
)  # fmt: skip
bessel_k0_op = _op(
    "BesselK0", lambda x: k0e_values(x) * np.exp(-x), lambda x, y, dy: dy * -bessel_k1(x),
    "The modified Bessel function of the second kind K0(x).",
)  # fmt: skip
bessel_k1_op = _op(
    "BesselK1", lambda x: k1e_values(x) * np.exp(-x),
    lambda x, y, dy: dy * (-bessel_k0(x) - division.div(y, x)),
    "The modified Bessel function of the second kind K1(x).",
)  # fmt: skip
bessel_k0e_op = _op(
    "BesselK0e", k0e_values, lambda x, y, dy: dy * (y - bessel_k1e(x)), "exp(x) K0(x)."
)
bessel_k1e_op = _op(
    "BesselK1e", k1e_values, lambda x, y, dy: dy * _k1e_slope(x, y), "exp(x) K1(x)."
)


def _j1_slope(x, y):
    is_zero = compare.equal(x, 0)
    at_zero = casting.cast(0.5, x.dtype.base_dtype)
    return compare.select_v2(is_zero, at_zero, bessel_j0(x) - division.div(y, x))


def _k1e_slope(x, y):
    return y * (1.0 - elementwise.reciprocal(x)) - bessel_k0e(x)


bessel_j0 = in_scope(bessel_j0_op, "bessel_j0")
bessel_j1 = in_scope(bessel_j1_op, "bessel_j1")
bessel_y0 = in_scope(bessel_y0_op, "bessel_y0")
bessel_y1 = in_scope(bessel_y1_op, "bessel_y1")
bessel_k0 = in_scope(bessel_k0_op, "bessel_k0")
bessel_k1 = in_scope(bessel_k1_op, "bessel_k1")
bessel_k0e = in_scope(bessel_k0e_op, "bessel_k0e")
bessel_k1e = in_scope(bessel_k1e_op, "bessel_k1e")
