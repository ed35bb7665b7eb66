"""Dilation and erosion of images."""

import numpy as np

import ckpt as tf
from ckpt.core.errors import ShapeError
from ckpt.ops import morphology
from tests.conformance.ops import case, conformance, distinct, normal

ONE, TWO = [1, 1, 1, 1], [1, 2, 2, 1]


def dilated(x, f, strides, rates):
    """VALID dilation, window by window."""
    rows, columns = ((f.shape[i] - 1) * rates[i + 1] + 1 for i in range(2))
    counts = [(x.shape[i + 1] - n) // strides[i + 1] + 1 for i, n in enumerate((rows, columns))]
    found = np.zeros((x.shape[0], *counts, x.shape[3]), x.dtype)
    for i, j in np.ndindex(*counts):
        part = x[:, i * strides[1] : i * strides[1] + rows : rates[1], j * strides[2] : j * strides[2] + columns : rates[2]]  # fmt: skip
        found[:, i, j] = (part + f).max((1, 2))
    return found


def row(function, *inputs, rates=ONE, padding="SAME", strides=ONE, **more):
    return case(function, *inputs, strides=strides, rates=rates, padding=padding, **more)


GRADIENT = normal(1, 4, 4, 2, seed=3)
TestMorphology = conformance([
    row(morphology.dilation2d, normal(2, 5, 6, 2), normal(2, 3, 2), padding="VALID",
        like=lambda x, f: dilated(x, f, ONE, ONE)),
    row(morphology.dilation2d, normal(1, 7, 8, 1), normal(3, 2, 1), padding="VALID", strides=TWO, rates=TWO,
        like=lambda x, f: dilated(x, f, TWO, TWO)),
    row(morphology.dilation2d, distinct(1, 4, 5, 2), normal(2, 2, 2)),
    row(morphology.dilation2d, normal(1, 5, 5, 1), normal(3, 3, 1), rates=[1, 3, 2, 1], strides=TWO),
    row(morphology.dilation2d, np.arange(-8, 8, dtype=np.int32).reshape(1, 4, 4, 1), np.ones((2, 2, 1), np.int32), grad=0),
    row(morphology.dilation2d, normal(1, 3, 3, 1, dtype=np.float16), normal(2, 2, 1, dtype=np.float16), grad=0),
    row(morphology.dilation2d, normal(1, 3, 3, 2), normal(2, 2, 3), raises=ShapeError, match="2 and 3"),
    row(morphology.dilation2d_backprop_input_op, normal(1, 4, 4, 2), normal(2, 2, 2), GRADIENT, grad=0),
    row(morphology.dilation2d_backprop_filter_op, normal(1, 4, 4, 2), normal(2, 2, 2), GRADIENT, grad=0, rtol=1e-5),
    case(morphology.erosion2d, normal(1, 5, 6, 2), normal(2, 3, 2), ONE, TWO, "SAME"),
    case(morphology.erosion2d, normal(2, 5, 6, 2), normal(2, 3, 2), ONE, ONE, "VALID",
         like=lambda x, f, *_: -dilated(-x, f[::-1, ::-1], ONE, ONE)),
])  # fmt: skip


def test_a_window_outside_the_image_is_the_least_number():
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(
            tf.nn.dilation2d(
                np.ones((1, 1, 1, 1), "f"), np.ones((2, 2, 1), "f"), ONE, [1, 3, 3, 1], "SAME"
            )
        )
    assert found[0, 0, 0, 0] == np.finfo(np.float32).min
