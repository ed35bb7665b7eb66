"""`ckpt.bitwise`: operations on the bits of integers, by TensorFlow's names. Defines nothing itself."""

from ckpt.ops.bits import bitwise_and, bitwise_or, bitwise_xor, invert, left_shift, right_shift

__all__ = ["bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift"]
