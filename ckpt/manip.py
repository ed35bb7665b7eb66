"""`ckpt.manip`: moving elements, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt.ops.blocks import batch_to_space_nd, space_to_batch_nd
from ckpt.ops.reversing import reverse, roll
from ckpt.ops.scattering import gather_nd, scatter_nd
from ckpt.ops.shaping import reshape, tile

__all__ = [
    "batch_to_space_nd", "gather_nd", "reshape", "reverse", "roll", "scatter_nd",
    "space_to_batch_nd", "tile",
]
