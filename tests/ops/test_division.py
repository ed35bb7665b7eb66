"""Division in its many ways, signs and zeros included."""

import numpy as np

from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, distinct, every, normal, zeros

SIGNED = np.array([7, -7, 7, -7, 6], np.int32)
DIVISORS = np.array([2, 2, -2, -2, 3], np.int32)
COMPLEX = (normal(3) + 1j * normal(3, seed=1)).astype(np.complex64)


TestDivision = conformance([
    *every("Div RealDiv DivNoNan", distinct(2, 3), distinct(3, seed=2), grad=2, rtol=2e-6),
    *every("FloorDiv FloorMod", np.array([7.5, -7.5, 3.25], np.float32), np.array([2, 2, -2], np.float32), grad=1),
    *every("Mod TruncateMod", np.array([7.5, -7.5], np.float32), np.array([2, 2], np.float32), grad=0),
    *every("Div TruncateDiv FloorDiv FloorMod Mod TruncateMod", SIGNED, DIVISORS, grad=0),
    case(OPS["TruncateDiv"], np.array([1], np.int32), zeros(1, dtype=np.int32), raises=InvalidArgumentError, match="zero",
         unasked="TensorFlow says InternalError: it forgot that this division can fail"),
    *every("FloorDiv FloorMod Div", np.array([1], np.int32), zeros(1, dtype=np.int32),
           raises=InvalidArgumentError, match="zero"),
    *every("Div RealDiv", np.array([1, -1, 0], np.float32), zeros(3), grad=0),
    case(OPS["DivNoNan"], np.array([1, -1, 0], np.float32), zeros(3), expect=zeros(3), grad=0),
    *every("Div RealDiv", COMPLEX, np.conj(COMPLEX[::-1]), grad=0, rtol=1e-6),
])  # fmt: skip
