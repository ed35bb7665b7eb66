"""`ckpt.spectral`: Fourier and cosine transforms, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt.ops.fourier import (
    dct, fft, fft2d, fft3d, idct, ifft, ifft2d, ifft3d, irfft, irfft2d, irfft3d, rfft, rfft2d,
    rfft3d,
)

__all__ = [
    "dct", "fft", "fft2d", "fft3d", "idct", "ifft", "ifft2d", "ifft3d", "irfft", "irfft2d",
    "irfft3d", "rfft", "rfft2d", "rfft3d",
]
