"""Fourier and cosine transforms."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from ckpt.ops import complex_numbers, fourier
from tests.conformance.ops import case, conformance, normal

SIGNAL = (normal(2, 3, 4) + 1j * normal(2, 3, 4, seed=1)).astype(np.complex64)
NEAR = {"rtol": 1e-5, "atol": 1e-5}


def parts(function):
    """`function` of complex numbers as one of their real and imaginary parts, which finite differences can check."""

    def applied(real, imaginary):
        y = function(complex_numbers.complex_(real, imaginary))
        return [complex_numbers.real(y), complex_numbers.imag(y)] if y.dtype.is_complex else [y]

    return applied


def from_real(function):
    def applied(x):
        y = function(x)
        return [complex_numbers.real(y), complex_numbers.imag(y)]

    return applied


TestTransforms = conformance([
    *[case(OPS[kind + axes], SIGNAL, grad=0, **NEAR) for kind in ("FFT", "IFFT") for axes in ("", "2D", "3D")],
    *[case(parts(getattr(fourier, kind + axes)), normal(2, 3, 4), normal(2, 3, 4, seed=1), grad=2, title=kind + axes, **NEAR)
      for kind in ("fft", "ifft") for axes in ("", "2d", "3d")],
    case(OPS["FFT2D"], SIGNAL[0, 0], raises=ValueError, match="rank"),
    *[case(OPS["RFFT"], normal(2, 5), [n], Tcomplex=dtypes.complex64, grad=0, **NEAR) for n in (4, 5)],
    case(OPS["RFFT"], normal(2, 5), [8], Tcomplex=dtypes.complex64, raises=InvalidArgumentError, match="at least 8"),
    *[case(OPS["IRFFT"], SIGNAL[0], [n], Treal=dtypes.float32, grad=0, **NEAR) for n in (4, 5, 6)],
    *[case(OPS[f"RFFT{d}D"], normal(3, 4, 5), n, Tcomplex=dtypes.complex64, grad=0, **NEAR)
      for d, n in ((2, [4, 5]), (3, [3, 4, 5]))],
    *[case(OPS[f"IRFFT{d}D"], SIGNAL, n, Treal=dtypes.float32, grad=0, **NEAR) for d, n in ((2, [3, 6]), (3, [2, 3, 5]))],
    *[case(from_real(lambda x, n=n: fourier.rfft(x, n)), normal(2, 5), title=f"rfft {n}", grad=1, **NEAR)
      for n in (None, [4], [5], [7])],
    *[case(parts(lambda x, n=n: fourier.irfft(x, n)), normal(2, 4), normal(2, 4, seed=1), title=f"irfft {n}", grad=1, **NEAR)
      for n in (None, [5], [6], [7], [9])],
    case(from_real(fourier.rfft2d), normal(4, 5), title="rfft2d", grad=1, **NEAR),
    case(parts(fourier.irfft2d), normal(3, 4), normal(3, 4, seed=1), title="irfft2d", grad=1, **NEAR),
])  # fmt: skip


KINDS = [(1, None), (2, None), (3, None), (4, None), (2, "ortho"), (3, "ortho"), (4, "ortho")]


@pytest.mark.parametrize(("kind", "norm"), KINDS)
def test_the_inverse_cosine_transform_undoes_it_but_for_a_factor(kind, norm):
    x = normal(2, 6)
    factor = 1 if norm else {1: 10, 2: 12, 3: 12, 4: 12}[kind]
    with tf.Session() as session:
        again = session.run(
            tf.spectral.idct(tf.spectral.dct(x, type=kind, norm=norm), type=kind, norm=norm)
        )
    np.testing.assert_allclose(again / factor, x, rtol=1e-4, atol=1e-5)


def test_cosine_transforms_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="Types"):
        tf.spectral.dct(normal(3), type=5)
    with pytest.raises(ValueError, match="Type-I"):
        tf.spectral.dct(normal(3), type=1, norm="ortho")
    with pytest.raises(ValueError, match="normalization"):
        tf.spectral.dct(normal(3), norm="other")
    with pytest.raises(ValueError, match="positive"):
        tf.spectral.dct(normal(3), n=0)
    with pytest.raises(ValueError, match="must be 1"):
        tf.spectral.rfft(normal(3, 4), [4, 4])
    with pytest.raises(ValueError, match="RFFT requires"):
        tf.spectral.rfft(np.zeros(4, np.float16))


@pytest.mark.parametrize(("kind", "norm"), KINDS)
def test_cosine_transforms_of_unknown_sizes(kind, norm):
    x = normal(2, 6)
    for n in (None, 4, 9):
        unknown = tf.placeholder_with_default(x, None if n == 4 else [None, None])
        pair = [tf.spectral.dct(given, type=kind, n=n, norm=norm) for given in (x, unknown)]
        with tf.Session() as session:
            np.testing.assert_allclose(*session.run(pair), rtol=1e-5, atol=1e-5)


def test_a_length_that_is_not_known_leaves_the_size_open():
    found = tf.spectral.rfft(normal(2, 6), tf.placeholder_with_default([4], [1]))
    assert found.shape.as_list() == [2, None]


def test_lengths_are_checked_when_run():
    length = tf.placeholder(tf.int32)
    with tf.Session() as session, pytest.raises(InvalidArgumentError, match="fft_length"):
        session.run(OPS["RFFT"](normal(4), length), {length: [2, 2]})
