"""Element by element: arithmetic, transcendental functions, bits, comparisons, and the kernels of their gradients."""

import numpy as np
import pytest

from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, distinct, every, normal, positive, zeros

SPECIAL = np.array([np.inf, -np.inf, np.nan, 0.0, 1.5], np.float32)
SIGNED = np.array([7, -7, 7, -7, 6], np.int32)
DIVISORS = np.array([2, 2, -2, -2, 3], np.int32)
BITS = np.array([0, 5, -3, 127], np.int8)
BYTES = np.array([1, 255, 8, 16], np.uint8)
TRUTH = np.array([True, False, True, False])
OTHER = np.array([True, True, False, False])
COMPLEX = (normal(3) + 1j * normal(3, seed=1)).astype(np.complex64)


TestSmooth = conformance([
    *every("Sin Cos Tan Sinh Cosh Tanh Asinh Atan Expm1 Sigmoid Exp Square Neg Softplus Log1p Erf",
           positive(2, 3), grad=2, rtol=3e-6),
    *every("Sin Cos Tanh Sigmoid Atan Asinh Erf", normal(2, 3), grad=2, rtol=3e-6),
    *every("Asin Acos Atanh Log Sqrt Rsqrt Inv Reciprocal Lgamma Digamma", positive(2, 3), grad=2, rtol=5e-6),
    case(OPS["Acosh"], positive(2, 3) + 1, grad=2, rtol=3e-6),
    *every("Sign Round Floor Ceil Rint", normal(2, 3) * 3, grad=1),
    case(OPS["Round"], np.array([0.5, 1.5, 2.5, -0.5], np.float32), expect=np.array([0, 2, 2, -0.0], np.float32), grad=0),
    *every("Sin Cos Tan Sinh Cosh Tanh Exp Log Sqrt Square Conj Sigmoid Neg Inv Rsqrt", COMPLEX, grad=0, rtol=3e-6),
    *every("Sqrt Exp Tanh Sin Log Rsqrt", zeros(0, 2), grad=0),
    *every("Exp Log Tanh Sigmoid Sqrt Rsqrt", positive(5, dtype=np.float16), grad=0, rtol=2e-3),
    *every("Exp Tanh Sigmoid Expm1 Log Sqrt", SPECIAL, grad=0, rtol=3e-6),
    *every("Abs Sign Neg Square", SIGNED, grad=0),
    case(OPS["ComplexAbs"], COMPLEX, like=np.abs, grad=0, rtol=1e-6),
])  # fmt: skip

TestPairs = conformance([
    *every("Add AddV2 Sub Mul Maximum Minimum SquaredDifference Atan2", distinct(2, 3),
           distinct(3, seed=2), grad=2, rtol=2e-6),
    case(OPS["Pow"], positive(2, 3), normal(3), grad=2, rtol=3e-6),
    *every("Add Sub Mul Maximum Minimum", SIGNED, DIVISORS, grad=0),
    case(OPS["Add"], np.array([b"a", b""], object), np.array(b"x", object), expect=np.array([b"ax", b"x"], object), grad=0),
    *every("Add Mul Sub", COMPLEX, np.conj(COMPLEX[::-1]), grad=0, rtol=1e-6),
    case(lambda *x: OPS["AddN"](list(x)), normal(2, 3), normal(2, 3, seed=1), normal(2, 3, seed=2), title="AddN", grad=2),
    case(OPS["ClipByValue"], distinct(3, 3), np.float32(-0.21), np.float32(0.23), grad=0,
         like=lambda x, low, high: np.clip(x, low, high)),
])  # fmt: skip

TestTruth = conformance([
    *every("LogicalAnd LogicalOr", TRUTH, OTHER, grad=0),
    case(OPS["LogicalNot"], TRUTH, like=np.logical_not, grad=0),
    *every("Equal NotEqual", SPECIAL, SPECIAL, grad=0),
    *every("Less LessEqual Greater GreaterEqual", SPECIAL, SPECIAL[::-1].copy(), grad=0),
    *every("Equal NotEqual", np.array([b"a", b"b"], object), np.array([b"a", b"c"], object), grad=0),
    case(OPS["Equal"], normal(2), normal(3), incompatible_shape_error=False, expect=np.bool_(False), grad=0),
    *every("IsNan IsInf IsFinite", SPECIAL, grad=0),
    case(OPS["ApproximateEqual"], normal(2), normal(2) + np.float32(1e-6), expect=np.array([True, True]), grad=0),
])  # fmt: skip

TestBits = conformance([
    *every("BitwiseAnd BitwiseOr BitwiseXor", BITS, BITS[::-1].copy(), grad=0),
    *every("LeftShift RightShift", BITS, np.array([1, 2, 1, 3], np.int8), grad=0),
    *every("LeftShift RightShift", BYTES, np.array([1, 2, 1, 3], np.uint8), grad=0),
    case(OPS["RightShift"], BITS, np.array([100, 9, 8, 50], np.int8), grad=0),
    *every("Invert PopulationCount", BITS, grad=0),
    *every("Invert PopulationCount", BYTES, grad=0),
])  # fmt: skip

TestGradientKernels = conformance([
    *every("ReciprocalGrad SqrtGrad RsqrtGrad TanhGrad SigmoidGrad", positive(2, 3), normal(2, 3), grad=1, rtol=3e-6),
    *every("ReluGrad Relu6Grad LeakyReluGrad EluGrad SeluGrad SoftplusGrad", normal(2, 3, seed=1),
           normal(2, 3) * 3, grad=1, rtol=3e-6),
    case(OPS["SoftsignGrad"], normal(4), normal(4, seed=1), grad=0, rtol=1e-6),
    case(OPS["LeakyReluGrad"], normal(4), normal(4, seed=1), alpha=0.5),
    case(OPS["BiasAddGrad"], normal(2, 3, 4), grad=2, rtol=3e-6),
    case(OPS["BiasAddGrad"], normal(2, 3, 4, 5), data_format="NCHW", grad=2, rtol=3e-6),
    case(OPS["IgammaGradA"], positive(3) * 4, positive(3, seed=1) * 3, grad=0, rtol=2e-4),
    case(OPS["RandomGammaGrad"], positive(3) * 4, positive(3, seed=1) * 3, grad=0, rtol=1e-3),
    case(OPS["BroadcastGradientArgs"], np.array([2, 3, 1], np.int32), np.array([3, 4], np.int32), grad=0,
         expect=[np.array([2], np.int32), np.array([0], np.int32)]),
])  # fmt: skip


@pytest.mark.parametrize("name", ["Add", "Mul", "Maximum", "Less", "Atan2"])
def test_shapes_that_do_not_broadcast_are_refused_while_building(name):
    with pytest.raises(ValueError, match=r"must be equal|broadcast|Dimensions"):
        OPS[name](zeros(2), zeros(3))
