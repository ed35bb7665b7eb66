"""`ckpt.audio`: sounds in WAV files, by TensorFlow's names. Defines nothing itself."""

from ckpt.ops.sounds import decode_wav, encode_wav

__all__ = ["decode_wav", "encode_wav"]
