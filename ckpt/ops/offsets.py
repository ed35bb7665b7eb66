"""Where the parts of a concatenation begin: what TensorFlow's own gradient of a concatenation asks for."""

from __future__ import annotations

import numpy as np

from ckpt.core import dtypes
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr


@op("ConcatOffset", "concat_dim: int32, shape: N * shape_type -> offset: N * shape_type",
    N=Attr("int", minimum=2), shape_type=Attr("type", dtypes.int32, dtypes.INDEX))  # fmt: skip
def concat_offset(concat_dim, *shapes):
    """For each shape the index at which its part begins in the concatenation along `concat_dim`."""
    found, start = [], 0
    for shape in shapes:
        offset = np.zeros_like(shape)
        offset[int(concat_dim)] = start
        start += int(shape[int(concat_dim)])
        found.append(offset)
    return found


concat_offset.shape(lambda concat_dim, *shapes: [s.shape for s in shapes])
concat_offset.no_gradient("indices have no derivative")
