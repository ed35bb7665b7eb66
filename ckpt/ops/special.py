"""Special functions: gamma, zeta, beta, error and Bessel functions, rounded to the dtype asked for, with gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING
from ckpt.graph import convert
from ckpt.graph.opdef import UNDEFINED, OpDef, op
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.ops import (
    arithmetic,
    casting,
    compare,
    constants,
    division,
    elementwise,
    reduction,
    shaping,
    unbroadcasting,
)
from ckpt.ops.families import binary, binary_by_slopes, broadcast_shape, unary
from ckpt.ops.special_values import (
    ROOT,
    betainc_values,
    digamma_values,
    erf_values,
    erfc_values,
    erfinv_values,
    i0e_values,
    i1e_values,
    igamma_grad_a_values,
    igamma_values,
    igammac_values,
    in_float64,
    lgamma_values,
    ndtri_values,
    polygamma_values,
    zeta_values,
)

FULL = frozenset({dtypes.float32, dtypes.float64})


def constant_like(x: Tensor, value: float) -> Tensor:
    return constants.constant(value, dtype=x.dtype.base_dtype)


def _scaled(x: Tensor, dy: Tensor, factor: float, function: Callable[[Tensor], Tensor]) -> Tensor:
    """dy · factor · exp(function(x)), which waits for dy."""
    scaled = dy * constant_like(x, factor)
    with control_dependencies([dy]):
        return scaled * elementwise.exp(function(x))


def _gaussian(x: Tensor, dy: Tensor, factor: float) -> Tensor:
    return _scaled(x, dy, factor, lambda t: -elementwise.square(t))


def of_one(
    type_name: str, values: Callable[[Any], Any], gradient: Any, doc: str, late: bool = False
) -> Any:
    kernel = in_float64(lambda x: values(x))
    kernel.__doc__ = doc
    return unary(type_name, kernel, FLOATING, gradient, late=late)


lgamma = of_one("Lgamma", lgamma_values, lambda x, y, dy: dy * digamma(x), "log |Γ(x)|.", late=True)
digamma = of_one(
    "Digamma",
    digamma_values,
    lambda x, y, dy: dy * polygamma(constant_like(x, 1), x),
    "Γ'(x) / Γ(x).",
    late=True,
)
erf = of_one("Erf", erf_values, lambda x, y, dy: _gaussian(x, dy, ROOT), "The error function.")
erf.maps_sparse = True
erfc = of_one("Erfc", erfc_values, lambda x, y, dy: _gaussian(x, dy, -ROOT), "1 - erf(x).")
erfinv_op = of_one(
    "Erfinv",
    erfinv_values,
    lambda x, y, dy: _scaled(y, dy, 1 / ROOT, elementwise.square),
    "The inverse of the error function.",
)
ndtri_op = of_one(
    "Ndtri",
    ndtri_values,
    lambda x, y, dy: _scaled(y, dy, math.sqrt(2 * math.pi), lambda t: elementwise.square(t) / 2),
    "The quantiles of the normal distribution.",
)
bessel_i0e_op = of_one(
    "BesselI0e",
    i0e_values,
    lambda x, y, dy: dy * (bessel_i1e(x) - elementwise.sign(x) * y),
    "exp(-|x|) I0(x).",
    late=True,
)
bessel_i1e_op = of_one(
    "BesselI1e", i1e_values, lambda x, y, dy: dy * _i1e_slope(x, y), "exp(-|x|) I1(x).", late=True
)
bessel_i0_op = of_one(
    "BesselI0",
    lambda x: i0e_values(x) * np.exp(np.abs(x)),
    lambda x, y, dy: dy * bessel_i1(x),
    "The modified Bessel function I0(x).",
    late=True,
)
bessel_i1_op = of_one(
    "BesselI1",
    lambda x: i1e_values(x) * np.exp(np.abs(x)),
    lambda x, y, dy: dy * _i1_slope(x, y),
    "The modified Bessel function I1(x).",
    late=True,
)


def _i1e_slope(x: Tensor, y: Tensor) -> Tensor:
    is_zero = compare.equal(x, 0)
    at_zero = casting.cast(0.5, x.dtype.base_dtype)
    slope = bessel_i0e(x) - y * (elementwise.sign(x) + elementwise.reciprocal(x))
    return compare.select_v2(is_zero, at_zero, slope)


def _i1_slope(x: Tensor, y: Tensor) -> Tensor:
    is_zero = compare.equal(x, 0)
    at_zero = casting.cast(0.5, x.dtype.base_dtype)
    return compare.select_v2(is_zero, at_zero, bessel_i0(x) - division.truediv(y, x))


def _density(a: Tensor, x: Tensor) -> Tensor:
    return elementwise.exp(-x + (a - 1) * elementwise.log(x) - lgamma(a))


IGAMMA = "a: T, x: T -> z: T"
igamma = binary_by_slopes(
    "Igamma",
    in_float64(igamma_values),
    FLOATING,
    lambda a, x: (igamma_grad_a(a, x), _density(a, x)),
    IGAMMA,
)
igammac = op("Igammac", IGAMMA, T=FLOATING)(in_float64(igammac_values))
igammac.shape(broadcast_shape)


@igammac.grad
def igammac_grad(node, dz):
    return [elementwise.neg(d) for d in igamma.gradient(node, dz)]


igamma_grad_a = binary("IgammaGradA", in_float64(igamma_grad_a_values), FULL, UNDEFINED, IGAMMA)
polygamma = binary_by_slopes(
    "Polygamma",
    in_float64(polygamma_values),
    FULL,
    lambda a, x: (None, polygamma(a + 1, x)),
    IGAMMA,
)
zeta = binary_by_slopes(
    "Zeta",
    in_float64(zeta_values),
    FULL,
    lambda x, q: (None, -x * zeta(x + 1, q)),
    "x: T, q: T -> z: T",
)


@op("Betainc", "a: T, b: T, x: T -> z: T", T=FULL)
def betainc(a, b, x):
    """The regularised incomplete beta function I_x(a, b)."""
    given = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (a, b, x)))
    return np.asarray(betainc_values(*given)).astype(x.dtype)


@betainc.shape
def betainc_shape(a, b, x):
    found = x.shape
    for tensor in (a, b):
        if tensor.shape.rank != 0 and found.rank != 0:
            found = found.merge_with(tensor.shape)
        elif found.rank == 0:
            found = tensor.shape
    return [found]


@betainc.grad
def betainc_grad(node, dy):
    a, b, x = node.inputs
    shape_a, shape_x = shaping.shape(a), shaping.shape(x)
    _, axes = unbroadcasting.broadcast_gradient_args(shape_a, shape_x)
    log_beta = lgamma(a) + lgamma(b) - lgamma(a + b)
    slope = elementwise.exp(arithmetic.xlog1py(b - 1, -x) + arithmetic.xlogy(a - 1, x) - log_beta)
    return [None, None, shaping.reshape(reduction.sum_op(slope * dy, axes), shape_x)]


def in_scope(opdef: OpDef, default_name: str) -> Callable[..., Tensor]:
    """The function of one tensor that makes its node in a scope of its own."""

    def function(x: Any, name: str | None = None) -> Tensor:
        with name_scope(name, default_name, [x]):
            return opdef(x)

    function.__name__ = default_name
    function.__doc__ = opdef.__doc__
    return function


erfinv = in_scope(erfinv_op, "erfinv")
ndtri = in_scope(ndtri_op, "ndtri")
bessel_i0 = in_scope(bessel_i0_op, "bessel_i0")
bessel_i0e = in_scope(bessel_i0e_op, "bessel_i0e")
bessel_i1 = in_scope(bessel_i1_op, "bessel_i1")
bessel_i1e = in_scope(bessel_i1e_op, "bessel_i1e")


def lbeta(x: Any, name: str | None = None) -> Tensor:
    """log of the multivariate beta function, along the last axis."""
    with name_scope(name, "lbeta", [x]):
        x = convert.convert_to_tensor(x, name="x")
        if x.shape.rank is None:
            x = control_rank(x)
        logs = reduction.reduce_sum(lgamma(x), [-1])
        return logs - lgamma(reduction.reduce_sum(x, [-1]))


def control_rank(x: Tensor) -> Tensor:
    """`x`, with a check at run time that it is no scalar."""
    from ckpt.ops import control, rank_assertions  # checks stand on all other operations

    check = rank_assertions.assert_rank_at_least(x, 1)
    return control.with_dependencies([check], x)


def erfcinv(x: Any, name: str | None = None) -> Tensor:
    """The inverse of 1 - erf(x)."""
    with name_scope(name, "erfcinv", [x]):
        x = convert.convert_to_tensor(x, name="start")
        return -ndtri_op(constant_like(x, 0.5) * x) * constant_like(x, math.sqrt(0.5))
