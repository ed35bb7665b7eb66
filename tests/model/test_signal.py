"""Signals against their definitions in numpy; tests/oracle compares them with TensorFlow's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ckpt as tf
from tests.conformance.ops import normal

X = normal(2, 40)


def run(value):
    with tf.Session() as session:
        return session.run(value)


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        yield


@pytest.mark.parametrize(("name", "numpy"), [("hann_window", np.hanning), ("hamming_window", np.hamming)])  # fmt: skip
def test_symmetric_windows_are_those_of_numpy(name, numpy):
    for length in (1, 2, 5, 8):
        window = run(getattr(tf.signal, name)(length, periodic=False, dtype=tf.float64))
        np.testing.assert_allclose(window, numpy(length), atol=1e-12)
    periodic = run(getattr(tf.signal, name)(8, dtype=tf.float64))
    np.testing.assert_allclose(periodic, numpy(9)[:-1], atol=1e-12)


def test_kaiser_windows_are_those_of_numpy():
    for length in (1, 2, 5, 8):
        window = run(tf.signal.kaiser_window(length, 6.0, tf.float64))
        np.testing.assert_allclose(window, np.kaiser(length, 6.0), rtol=1e-6)


@pytest.mark.parametrize("name", ["vorbis_window", "kaiser_bessel_derived_window"])
def test_squares_of_lapped_windows_add_up_to_one(name):
    window = run(getattr(tf.signal, name)(16, dtype=tf.float64))
    np.testing.assert_allclose(window[:8] ** 2 + window[8:] ** 2, 1)
    np.testing.assert_allclose(window, window[::-1])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 20), st.integers(1, 7), st.integers(1, 9), st.booleans(), st.booleans())
def test_frames_are_slices(samples, length, step, pad_end, is_known):
    x = np.arange(2.0 * samples).reshape(2, samples)
    given_x = x if is_known else tf.placeholder_with_default(x, None)
    found = run(tf.signal.frame(given_x, length, step, pad_end=pad_end, pad_value=-1))
    padded = np.pad(x, [(0, 0), (0, length)], constant_values=-1) if pad_end else x
    last = samples if pad_end else samples - length + 1
    rows = [padded[:, i : i + length] for i in range(0, last, step)]
    expected = np.stack(rows, 1) if rows else np.zeros((2, 0, length))
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.integers(1, 7), st.integers(1, 9), st.booleans())
def test_overlapping_frames_are_added(count, length, step, is_known):
    frames = np.arange(2.0 * count * length).reshape(2, count, length)
    given_frames = frames if is_known else tf.placeholder_with_default(frames, None)
    found = run(tf.signal.overlap_and_add(given_frames, step))
    expected = np.zeros((2, max((count - 1) * step + length, 0)))
    for i in range(count):
        expected[:, i * step : i * step + length] += frames[:, i]
    np.testing.assert_array_equal(found, expected)


def test_the_inverse_window_undoes_a_short_time_transform():
    spectra = tf.signal.stft(X, 16, 4)
    window = tf.signal.inverse_stft_window_fn(4)
    again = run(tf.signal.inverse_stft(spectra, 16, 4, window_fn=window))
    # the ends are in fewer frames
    np.testing.assert_allclose(again[:, 12:-12], X[:, 12:-12], atol=1e-5)


def test_short_time_transforms_are_those_of_the_frames():
    found = run(tf.signal.stft(X, 10, 5))
    window = np.hanning(11)[:-1]
    frames = np.stack([X[:, i : i + 10] * window for i in range(0, 31, 5)], 1)
    np.testing.assert_allclose(found, np.fft.rfft(frames, 16), atol=1e-5)


@pytest.mark.parametrize("norm", [None, "ortho"])
def test_lapped_transforms_give_the_signal_back_but_for_its_ends(norm):
    again = run(tf.signal.inverse_mdct(tf.signal.mdct(X, 8, norm=norm), norm=norm))
    np.testing.assert_allclose(again[:, 4:-4], X[:, 4:-4], atol=1e-5)


def test_enclosing_powers_of_two_are_exact_when_the_graph_runs():
    length = tf.placeholder(tf.int32, [])
    spectra = tf.signal.stft(np.zeros(5000, np.float32), length, 5000)
    with tf.Session() as session:
        for n, width in ((1, 1), (2, 2), (3, 4), (1024, 1024), (1025, 2048), (4096, 4096)):
            assert session.run(spectra, {length: n}).shape == (1, width // 2 + 1)


def test_mel_bands_are_triangles_and_skip_frequency_zero():
    matrix = run(tf.signal.linear_to_mel_weight_matrix(dtype=tf.float64))
    assert not matrix[0].any()
    inside = matrix[np.linspace(0, 4000, 129) > 200][:100]
    np.testing.assert_allclose(inside[:80].sum(1), 1)  # neighbours share each frequency


def test_shifts_are_those_of_numpy():
    x = normal(2, 3, 5)
    for name in ("fftshift", "ifftshift"):
        for axes in (None, 1, [0, -1]):
            found = run(getattr(tf.signal, name)(x, axes=axes))
            np.testing.assert_array_equal(found, getattr(np.fft, name)(x, axes=axes))


def test_wrong_arguments_are_named():
    for call, error, message in (
        (lambda: tf.signal.hann_window(3, dtype=tf.int32), ValueError, "floating point"),
        (lambda: tf.signal.frame(X, 5.0, 3), TypeError, "frame_length must be an integer"),
        (lambda: tf.signal.frame(X, 5, 3, axis=2), IndexError, r"axis must be in \[-2, 2\), got 2"),
        (lambda: tf.signal.overlap_and_add(X, 0), ValueError, "must be positive, got 0"),
        (lambda: tf.signal.mdct(X, 6), ValueError, "multiple of 4"),
        (lambda: tf.signal.inverse_mdct(X[:, :3]), ValueError, "must be even, got 3"),
        (lambda: tf.signal.fftshift(X, [0, 2]), ValueError, r"got \[0, 2\]"),
        (lambda: tf.signal.linear_to_mel_weight_matrix(upper_edge_hertz=9e3), ValueError, "Nyquist"),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            call()
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(tf.signal.frame(X, 5, 0))
