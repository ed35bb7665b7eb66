"""Moments, batch normalisation and local response normalisation."""

import numpy as np
import pytest

from ckpt.graph.graph import Graph
from ckpt.model.gradients import gradients
from ckpt.ops import batch_norm, constants, lrn, moments
from ckpt.run.session import Session
from tests.conformance.ops import case, conformance, normal, ones


def moments_of(axes, keep=False):
    return lambda x, *_: (x.mean(axes, keepdims=keep), x.var(axes, keepdims=keep))


def normalised(x, scale, offset, epsilon=0.001):
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    count = x.size // x.shape[-1]
    y = (x - mean) / np.sqrt(variance + epsilon) * scale + offset
    return y, mean, variance * count / (count - 1)


def lrn_reference(x, radius=2, bias=1.0, alpha=0.5, beta=0.75):
    y = np.empty_like(x)
    for c in range(x.shape[-1]):
        near = x[..., max(0, c - radius) : c + radius + 1]
        y[..., c] = x[..., c] / (bias + alpha * (near**2).sum(-1)) ** beta
    return y


TestNormalization = conformance([
    case(moments.moments, normal(3, 4, 2), [0, 1], like=moments_of((0, 1))),
    case(moments.moments, normal(3, 4), [0], keep_dims=True, like=moments_of((0,), keep=True)),
    case(moments.weighted_moments, normal(3, 4), [0], ones(3, 4) * 2, like=lambda x, axes, w: (x.mean(0), x.var(0))),
    case(moments.batch_normalization, normal(5, 3), normal(3), ones(3), normal(3, seed=1), normal(3, seed=2), 0.1, grad=1),
    case(moments.l2_normalize, normal(3, 4), axis=1,
         like=lambda x: x / np.sqrt((x**2).sum(1, keepdims=True)), grad=2),
    case(moments.zero_fraction, np.array([0.0, 1, 0, 0], np.float32), expect=np.float32(0.75), grad=0),
    case(lrn.local_response_normalization, normal(2, 3, 3, 7), depth_radius=2, bias=1.0, alpha=0.5, beta=0.75,
         like=lrn_reference, grad=0, rtol=1e-5),
    case(batch_norm.fused_batch_norm, normal(3, 4, 2, 3), ones(3) * 2, ones(3), like=normalised, grad=0, rtol=1e-4,
         atol=1e-5),
    case(batch_norm.fused_batch_norm, normal(3, 4, 2, 3), ones(3), ones(3), normal(3), ones(3), is_training=False,
         like=lambda x, s, o, m, v: ((x - m) / np.sqrt(v + 0.001) + o, m, v), grad=0, rtol=1e-5),
    case(batch_norm.fused_batch_norm, normal(2, 2), ones(2), ones(2), raises=ValueError, match="rank"),
])  # fmt: skip


def numeric(function, x, step=1e-2):
    """The derivative of a scalar function of a float32 array by central differences."""
    found = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        found[index] = (float(function(up)) - float(function(down))) / (2 * step)
    return found


def check(build, *arrays, rtol=2e-2, atol=2e-3):
    """The gradient of a float32 graph by its first input is the derivative."""
    with Graph().as_default() as graph, Session(graph=graph) as session:
        fed = [constants.placeholder(a.dtype, a.shape) for a in arrays]
        y = build(*fed)
        (slope,) = gradients(y, [fed[0]])
        run = session.make_callable(y, fed)
        got = session.run(slope, dict(zip(fed, arrays, strict=True)))
        wanted = numeric(lambda x: run(x, *arrays[1:]), arrays[0])
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol)


def weighted(tensor, seed=3):
    from ckpt.ops import reduction

    return reduction.reduce_sum(
        tensor * constants.constant(normal(*tensor.shape.as_list(), seed=seed))
    )


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize("training", [True, False])
def test_gradient_of_fused_batch_norm(data_format, training):
    scale, offset = normal(3, seed=4), normal(3, seed=5)
    shape = (2, 3, 2, 2) if data_format == "NCHW" else (2, 2, 2, 3)

    def build(x, s, o):
        more = {} if training else {"mean": o, "variance": constants.constant(ones(3))}
        return weighted(
            batch_norm.fused_batch_norm(
                x, s, o, data_format=data_format, is_training=training, **more
            )[0]
        )

    check(build, normal(*shape), scale, offset)
    check(lambda s, x, o: build(x, s, o), scale, normal(*shape), offset)


def test_second_derivative_of_fused_batch_norm():
    def slope(x, s, o):
        y = weighted(batch_norm.fused_batch_norm(x, s, o, epsilon=0.1)[0])
        return weighted(gradients(y, [x])[0], seed=8)

    arrays = normal(2, 2, 2, 2), normal(2, seed=4), normal(2, seed=5)
    check(slope, *arrays)
    check(lambda s, x, o: slope(x, s, o), arrays[1], arrays[0], arrays[2])


def test_gradient_of_local_response_normalization():
    check(
        lambda x: weighted(lrn.local_response_normalization(x, 1, 1.0, 0.5, 0.75)),
        normal(1, 2, 2, 5),
    )


def test_statistics_of_whole_numbers_are_whole():
    with Graph().as_default(), Session() as session:
        *found, shift = moments.sufficient_statistics(constants.constant([[1, 2], [3, 5]]), [0])
        assert [v.tolist() for v in session.run(found)] == [2, [4, 7], [10, 29]]
        assert shift is None
