"""Dawson's, the exponential and Fresnel's integrals, and the dilogarithm, in float64 and rounded to the dtype asked for.

Sources: NIST Digital Library of Mathematical Functions, chapters 6, 7 and 25; G. B. Rybicki, "Dawson's integral and the
sampling theorem" (Computers in Physics 3, 1989).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core.dtypes import FLOATING
from ckpt.ops import compare, constants, division, elementwise
from ckpt.ops.families import unary
from ckpt.ops.special import in_scope
from ckpt.ops.special_values import in_float64

STEP, NODES = 0.2, 32
EULER = 0.5772156649015329


def dawsn_values(x):
    """exp(-x²) ∫ exp(t²) dt from 0 to x, by Rybicki's sum over the odd multiples of a step."""
    size = np.where(np.abs(x) < 1e7, np.abs(x), 0.0)
    middle = 2 * np.rint(size / (2 * STEP))
    rest = size - middle * STEP
    total = np.zeros_like(size)
    for odd in range(-2 * NODES + 1, 2 * NODES, 2):
        total = total + np.exp(-((rest - odd * STEP) ** 2)) / (middle + odd)
    small = size - 2 / 3 * size**3 + 4 / 15 * size**5  # the sum loses digits there
    found = np.where(size < 1e-3, small, total / math.sqrt(math.pi))
    with np.errstate(all="ignore"):
        found = np.where(np.abs(x) < 1e7, found, 0.5 / np.abs(x))
    return np.copysign(np.where(np.isnan(x), np.nan, found), x)


def expint_values(x):
    """The exponential integral Ei(x), a principal value: -inf at zero, no number below.

    Its power series (DLMF 6.6.2) up to 40, its asymptotic series (6.12.2) beyond.
    """
    small, large = np.where((x > 0) & (x < 40), x, 1.0), np.where(x >= 40, x, 40.0)
    term, near = small.copy(), small.copy()
    for k in range(2, 150):
        term = term * small / k
        near = near + term / k
    near = near + np.log(small) + EULER
    term, far = np.ones_like(large), np.ones_like(large)
    for k in range(1, 40):
        term = term * k / large
        far = far + term
    with np.errstate(over="ignore", invalid="ignore"):
        far = np.where(np.isposinf(x), np.inf, far / large * np.exp(large))
    found = np.where(x < 40, near, far)
    return np.where(x == 0, -np.inf, np.where(x > 0, found, np.nan))


def _fresnel_series(x: Any, first: int) -> Any:
    """Σ (-1)^k (π/2)^(2k + first) x^(4k + 2·first + 1) / ((2k + first)! (4k + 2·first + 1)) (DLMF 7.6.4, 7.6.6)."""
    term = (np.pi / 2) ** first * x ** (2 * first + 1)
    total = np.zeros_like(x)
    for k in range(24):
        total = total + term / (4 * k + 2 * first + 1)
        n = 2 * k + first
        term = -term * (np.pi / 2) ** 2 * x**4 / ((n + 1) * (n + 2))
    return total


def _fresnel_auxiliary(x: Any) -> tuple[Any, Any]:
    """(f, g) of DLMF 7.7.10 and 7.7.11 by the trapezoidal rule, which converges exponentially."""
    rate = np.pi * x * x / 2
    end = np.sqrt(40 / rate)
    f, g = np.zeros_like(x), np.zeros_like(x)
    nodes = 48
    for node in range(nodes + 1):
        u = end * (node / nodes)
        part = np.exp(-rate * u * u) / (1 + u**4) * (0.5 if not node else 1.0)
        f, g = f + part, g + part * u * u
    scale = math.sqrt(2) / math.pi * end / nodes
    return f * scale, g * scale


def _fresnel(kind: str) -> Callable[[Any], Any]:
    def function(x):
        size = np.abs(x)
        small = np.where(size < 1.6, size, 0.0)
        large = np.where((size >= 1.6) & np.isfinite(x), size, 1.6)
        f, g = _fresnel_auxiliary(large)
        angle = np.pi / 2 * np.fmod(large * large, 4)
        sine, cosine = np.sin(angle), np.cos(angle)
        far = 0.5 + f * sine - g * cosine if kind == "cos" else 0.5 - f * cosine - g * sine
        near = _fresnel_series(small, 0 if kind == "cos" else 1)
        found = np.where(size < 1.6, near, np.where(np.isinf(x), 0.5, far))
        return np.copysign(np.where(np.isnan(x), np.nan, found), x)

    function.__doc__ = f"∫ {kind}(πt²/2) dt from 0 to x."
    return function


fresnel_cos_values, fresnel_sin_values = _fresnel("cos"), _fresnel("sin")


def _dilogarithm(z: Any) -> Any:
    """Σ z^k / k² for |z| <= 1/2."""
    term, total = z.copy(), np.zeros_like(z)
    for k in range(1, 56):
        total = total + term / (k * k)
        term = term * z
    return total


def spence_values(x):
    """-∫ log(t) / (t - 1) dt from 1 to x, the dilogarithm of 1 - x: no number below zero.

    Carried to arguments of at most a half by DLMF 25.12.4, 25.12.6 and Landen's identity 25.12.3.
    """
    inside = np.where((x > 0) & np.isfinite(x), x, 1.0)
    inverted = np.where(inside > 2, 1 / inside, inside)
    is_low, is_high = inverted < 0.5, inverted > 1.5
    z = np.where(is_low, inverted, np.where(is_high, (inverted - 1) / inverted, 1 - inverted))
    logarithm = np.log(inverted)
    series = _dilogarithm(z)
    low = np.pi**2 / 6 - logarithm * np.log1p(-np.where(is_low, inverted, 0.0)) - series
    high = -series - logarithm * logarithm / 2
    found = np.where(is_low, low, np.where(is_high, high, series))
    found = np.where(inside > 2, -0.5 * np.log(inside) ** 2 - found, found)
    edge = np.where(x == 0, np.pi**2 / 6, np.where(np.isposinf(x), -np.inf, np.nan))
    return np.where((x > 0) & np.isfinite(x), found, edge)


def _op(type_name: str, values: Callable[[Any], Any], gradient: Any, doc: str) -> Any:
    kernel = in_float64(lambda x: values(x))
    kernel.__doc__ = doc
    return unary(type_name, kernel, FLOATING, gradient, late=True)


def _oscillation(x, function):
    return function(math.pi / 2 * elementwise.square(x))


def _spence_slope(x):
    slope = division.truediv(elementwise.log(x), 1.0 - x)
    return compare.where(compare.equal(x, 1.0), -constants.ones_like(x), slope)


dawsn_op = _op(
    "Dawsn", dawsn_values, lambda x, y, dy: dy * (1.0 - 2 * x * y),
    "Dawson's integral exp(-x²) ∫ exp(t²) dt from 0 to x.",
)  # fmt: skip
expint_op = _op(
    "Expint", expint_values, lambda x, y, dy: division.truediv(dy * elementwise.exp(x), x),
    "The exponential integral Ei(x); no number for x < 0.",
)  # fmt: skip
fresnel_cos_op = _op(
    "FresnelCos", fresnel_cos_values, lambda x, y, dy: dy * _oscillation(x, elementwise.cos),
    "Fresnel's integral ∫ cos(πt²/2) dt from 0 to x.",
)  # fmt: skip
fresnel_sin_op = _op(
    "FresnelSin", fresnel_sin_values, lambda x, y, dy: dy * _oscillation(x, elementwise.sin),
    "Fresnel's integral ∫ sin(πt²/2) dt from 0 to x.",
)  # fmt: skip
spence_op = _op(
    "Spence", spence_values, lambda x, y, dy: dy * _spence_slope(x),
    "Spence's integral: the dilogarithm of 1 - x.",
)  # fmt: skip

dawsn = in_scope(dawsn_op, "dawsn")
expint = in_scope(expint_op, "expint")
fresnel_cos = in_scope(fresnel_cos_op, "fresnel_cos")
fresnel_sin = in_scope(fresnel_sin_op, "fresnel_sin")
spence = in_scope(spence_op, "spence")
