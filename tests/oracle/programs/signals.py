"""`tf.signal` and `tf.audio`: values, dtypes, static shapes, gradients and errors."""

import struct

import numpy as np

TOLERANCE = {"rtol": 1e-4, "atol": 2e-5}
DRAWN = np.random.default_rng(7)
X = DRAWN.standard_normal((2, 37)).astype(np.float32)
FRAMES = DRAWN.standard_normal((2, 5, 6)).astype(np.float32)
SPECTRA = (DRAWN.standard_normal((2, 5, 9)) + 1j * DRAWN.standard_normal((2, 5, 9))).astype(
    np.complex64
)
WINDOWS = (
    "hann_window", "hamming_window", "kaiser_window", "kaiser_bessel_derived_window", "vorbis_window",
)  # fmt: skip


def _seen(tf, makers):
    """For each name the value and the static shape of what its function makes."""
    made = {name: maker() for name, maker in makers.items()}
    with tf.Session() as session:
        values = session.run(made)
    shapes = {name: str(tensor.shape) for name, tensor in made.items()}
    return {**values, "shapes": shapes}


def _unknown(tf, value, rank):
    return tf.placeholder_with_default(value, [None] * rank)


def case_windows(tf):
    makers = {}
    for name in WINDOWS:
        window = getattr(tf.signal, name)
        for length in (1, 2, 5, 8):
            makers[f"{name} {length}"] = lambda w=window, n=length: w(n)
        makers[f"{name} wide"] = lambda w=window: w(6, dtype=tf.float64)
        makers[f"{name} unknown"] = lambda w=window: w(tf.placeholder_with_default(6, []))
        if name.startswith("h"):
            makers[f"{name} symmetric"] = lambda w=window: w(6, periodic=False)
            makers[f"{name} unknown 1"] = lambda w=window: w(tf.placeholder_with_default(1, []))
        if name.startswith("k"):
            makers[f"{name} beta"] = lambda w=window: w(6, beta=4.0)
    return _seen(tf, makers)


def case_frames(tf):
    frame = tf.signal.frame
    makers = {}
    for length, step in ((5, 3), (8, 4), (50, 7), (1, 1), (3, 5)):
        for pad_end in (False, True):
            key = f"{length} {step} {pad_end}"
            makers[key] = lambda n=length, s=step, p=pad_end: frame(X, n, s, pad_end=p)
            makers[key + " unknown"] = lambda n=length, s=step, p=pad_end: frame(
                _unknown(tf, X, 2), n, s, pad_end=p
            )
            makers[key + " first axis"] = lambda n=length, s=step, p=pad_end: frame(
                X, n, s, pad_end=p, pad_value=2, axis=0
            )
    makers["no rank"] = lambda: frame(tf.placeholder_with_default(X, None), 5, 3, pad_end=True)
    makers["lengths unknown"] = lambda: frame(
        X, tf.placeholder_with_default(5, []), tf.placeholder_with_default(3, [])
    )
    makers["integers"] = lambda: frame(np.arange(10), 3, 2, pad_end=True)
    return _seen(tf, makers)


def case_overlap_and_add(tf):
    add = tf.signal.overlap_and_add
    makers = {f"{step}": lambda s=step: add(FRAMES, s) for step in (1, 2, 3, 4, 6, 9)}
    makers["unknown"] = lambda: add(_unknown(tf, FRAMES, 3), 4)
    makers["no rank"] = lambda: add(tf.placeholder_with_default(FRAMES, None), 4)
    makers["step unknown"] = lambda: add(FRAMES, tf.placeholder_with_default(4, []))
    makers["no frames"] = lambda: add(FRAMES[:, :0], 2)
    makers["integers"] = lambda: add(np.arange(12).reshape(3, 4), 2)
    return _seen(tf, makers)


def case_short_time_transforms(tf):
    s = tf.signal
    back = s.inverse_stft_window_fn(4)
    makers = {
        "stft": lambda: s.stft(X, 10, 4),
        "stft cut": lambda: s.stft(X, 10, 4, fft_length=8, pad_end=True),
        "stft plain": lambda: s.stft(X, 10, 4, window_fn=None),
        "stft unknown": lambda: s.stft(_unknown(tf, X, 2), 10, 4),
        "stft wide": lambda: s.stft(X.astype(np.float64), 10, 4),
        "inverse": lambda: s.inverse_stft(SPECTRA, 10, 4),
        "inverse cut": lambda: s.inverse_stft(SPECTRA, 10, 4, fft_length=8),
        "inverse plain": lambda: s.inverse_stft(SPECTRA, 10, 4, fft_length=32, window_fn=None),
        "inverse window": lambda: s.inverse_stft(SPECTRA, 10, 4, window_fn=back),
        "inverse unknown": lambda: s.inverse_stft(_unknown(tf, SPECTRA, 3), 10, 4),
    }
    for length, step in ((10, 4), (8, 8), (7, 9)):
        for name in ("hann_window", "hamming_window", "vorbis_window"):
            makers[f"{name} {length} {step}"] = lambda n=length, t=step, w=name: (
                s.inverse_stft_window_fn(t, getattr(s, w))(n, dtype=tf.float32)
            )
    return _seen(tf, makers)


def case_lapped_transforms(tf):
    s = tf.signal
    makers = {}
    for norm in (None, "ortho"):
        for window in (s.vorbis_window, s.kaiser_bessel_derived_window, None):
            key = f"{norm} {window and window.__name__}"
            makers[key] = lambda w=window, n=norm: s.mdct(X, 8, w, True, n)
            makers["inverse " + key] = lambda w=window, n=norm: s.inverse_mdct(FRAMES, w, n)
    makers["unknown"] = lambda: s.mdct(_unknown(tf, X, 2), 8)
    return _seen(tf, makers)


def case_cosines_of_unknown_sizes(tf):
    kinds = [(1, None), (2, None), (3, None), (4, None), (2, "ortho"), (3, "ortho"), (4, "ortho")]
    return _seen(
        tf,
        {
            f"{transform} {kind} {norm}": lambda t=transform, k=kind, m=norm: getattr(tf.signal, t)(
                _unknown(tf, FRAMES, 3), type=k, norm=m
            )
            for transform in ("dct", "idct")
            for kind, norm in kinds
        },
    )


def case_mel(tf):
    s = tf.signal
    matrix = s.linear_to_mel_weight_matrix
    return _seen(
        tf,
        {
            "matrix": matrix,
            "wide": lambda: matrix(10, 65, 16000, 20.0, 7000.0, dtype=tf.float64),
            "bins unknown": lambda: matrix(num_spectrogram_bins=tf.placeholder_with_default(9, [])),
            "rate unknown": lambda: matrix(sample_rate=tf.placeholder_with_default(8000.0, [])),
            "mfccs": lambda: s.mfccs_from_log_mel_spectrograms(FRAMES),
            "mfccs unknown": lambda: s.mfccs_from_log_mel_spectrograms(_unknown(tf, FRAMES, 3)),
        },
    )


def case_shifts(tf):
    return _seen(
        tf,
        {
            f"{name} {axes}": lambda n=name, a=axes: getattr(tf.signal, n)(FRAMES, axes=a)
            for name in ("fftshift", "ifftshift")
            for axes in (None, 0, -1, [0, 2], [])
        },
    )


def case_gradients(tf):
    s = tf.signal
    x, y = tf.constant(X), tf.constant(FRAMES)
    losses = {
        "frame": (s.frame(x, 5, 3, pad_end=True) ** 2, x),
        "overlap_and_add": (s.overlap_and_add(y, 4) ** 2, y),
        "stft": (tf.abs(s.stft(x, 10, 4)), x),
        "mdct": (s.mdct(x, 8) ** 2, x),
        "inverse_mdct": (s.inverse_mdct(y) ** 2, y),
        "mfccs": (s.mfccs_from_log_mel_spectrograms(y) ** 2, y),
        "fftshift": (s.fftshift(y) * np.arange(60, dtype=np.float32).reshape(2, 5, 6), y),
    }
    with tf.Session() as session:
        return session.run({n: tf.gradients(loss, of)[0] for n, (loss, of) in losses.items()})


ERRORS = {
    "window dtype": lambda tf: tf.signal.hann_window(4, dtype=tf.int32),
    "window rank": lambda tf: tf.signal.vorbis_window([4]),
    "window fraction": lambda tf: tf.signal.hamming_window(4.5),
    "no kaiser": lambda tf: tf.signal.kaiser_window(0),
    "frame rank": lambda tf: tf.signal.frame(1.0, 5, 3),
    "frame length": lambda tf: tf.signal.frame(X, [5], 3),
    "frame fraction": lambda tf: tf.signal.frame(X, 5.0, 3),
    "frame axis": lambda tf: tf.signal.frame(X, 5, 3, axis=5),
    "frame padding": lambda tf: tf.signal.frame(X, 5, 3, pad_end=True, pad_value=[1.0]),
    "add rank": lambda tf: tf.signal.overlap_and_add(X[0], 3),
    "add fraction": lambda tf: tf.signal.overlap_and_add(X, 3.0),
    "add step": lambda tf: tf.signal.overlap_and_add(X, 0),
    "half precision": lambda tf: tf.signal.stft(X.astype(np.float16), 10, 4),
    "real spectra": lambda tf: tf.signal.inverse_stft(X, 10, 4),
    "mdct length": lambda tf: tf.signal.mdct(X, 6),
    "mdct norm": lambda tf: tf.signal.mdct(X, 8, norm="other"),
    "mdct odd": lambda tf: tf.signal.inverse_mdct(FRAMES[..., :3]),
    "mel bins": lambda tf: tf.signal.linear_to_mel_weight_matrix(0),
    "mel rate": lambda tf: tf.signal.linear_to_mel_weight_matrix(sample_rate=0),
    "mel low": lambda tf: tf.signal.linear_to_mel_weight_matrix(lower_edge_hertz=-1.0),
    "mel order": lambda tf: tf.signal.linear_to_mel_weight_matrix(lower_edge_hertz=3900.0),
    "mel high": lambda tf: tf.signal.linear_to_mel_weight_matrix(upper_edge_hertz=4001.0),
    "mel dtype": lambda tf: tf.signal.linear_to_mel_weight_matrix(dtype=tf.int32),
    "mfccs": lambda tf: tf.signal.mfccs_from_log_mel_spectrograms(FRAMES[..., :0]),
    "shift": lambda tf: tf.signal.fftshift(FRAMES, axes=5),
}


def case_errors(tf):
    found = {}
    for name, wrong in ERRORS.items():
        try:
            wrong(tf)
        except Exception as error:  # noqa: BLE001  # the error is the result
            kinds = (ValueError, TypeError, IndexError)
            found[name] = [kind.__name__ for kind in kinds if isinstance(error, kind)]
    return {"found": found}


def wav(data=bytes(range(16)), kind=1, channels=2, bits=16, more=b"", length=16, size=None):
    """A WAV file whose header says what is asked for, true or not."""
    layout = struct.pack(
        "<HHIIHH", kind, channels, 8000, 16000 * channels, 2 * channels, bits
    ) + bytes(max(length - 16, 0))
    size = len(data) if size is None else size
    body = (
        b"WAVEfmt " + struct.pack("<I", length) + layout + more + b"data" + struct.pack("<I", size)
    )
    return b"RIFF" + struct.pack("<I", len(body + data)) + body + data


LIST = b"LIST" + struct.pack("<I", 3) + b"abc"
FILES = {
    "plain": wav(),
    "mono": wav(channels=1),
    "more": wav(more=LIST),
    "longer header": wav(length=18),
    "odd": wav(size=5),
    "empty": wav(size=0),
    "8 bits": wav(bits=8),
    "floats": wav(kind=3),
    "no channels": wav(channels=0),
    "header": wav(length=17),
    "cut": wav()[:30],
    "beyond": wav(size=100),
    "two": wav() + b"data" + struct.pack("<I", 4) + b"abcd",
    "none": wav().replace(b"data", b"dote"),
    "other": b"RIFX" + wav()[4:],
    "nothing": b"",
}


def case_decode_wav(tf):
    found = {}
    with tf.Session() as session:
        for name, file in FILES.items():
            for channels, samples in ((-1, -1), (1, 3), (3, 7), (0, 0)):
                audio, rate = tf.audio.decode_wav(file, channels, samples)
                key = f"{name} {channels} {samples}"
                found[key + " shape"] = str(audio.shape)
                try:
                    found[key], found[key + " rate"] = session.run([audio, rate])
                except tf.errors.InvalidArgumentError:
                    found[key] = "invalid"
    return found


def case_encode_wav(tf):
    loud = np.concatenate([np.linspace(-1.2, 1.2, 4001), [np.nan, np.inf, 0.5 / 32768]])
    sounds = {"mono": loud[:, None], "stereo": loud.reshape(-1, 2), "none": np.zeros((0, 2))}
    found = {}
    with tf.Session() as session:
        for name, sound in sounds.items():
            file = session.run(tf.audio.encode_wav(sound.astype(np.float32), 44100))
            found[name] = np.frombuffer(file, np.uint8)
        for name, sound, rate in (("rate", loud[:, None], 0), ("channels", np.zeros((3, 0)), 1)):
            try:
                session.run(tf.audio.encode_wav(sound.astype(np.float32), rate))
            except tf.errors.InvalidArgumentError:
                found[name] = "invalid"
    return found
