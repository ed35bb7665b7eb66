"""Facade: the names of `tf.nn`. Re-exports only."""

from ckpt import rnn_cell
from ckpt.model.ctc_labels import (
    collapse_repeated,
    ctc_beam_search_decoder_v2,
    ctc_loss_v2,
    ctc_unique_labels,
)
from ckpt.model.rnn import (
    bidirectional_dynamic_rnn,
    dynamic_rnn,
    static_bidirectional_rnn,
    static_rnn,
)
from ckpt.model.rnn_saved import static_state_saving_rnn
from ckpt.model.rnn_steered import raw_rnn
from ckpt.model.sampled import nce_loss, sampled_softmax_loss
from ckpt.model.scaled_losses import compute_average_loss, scale_regularization_loss
from ckpt.ops.activation import (
    bias_add,
    crelu,
    elu,
    l2_loss,
    leaky_relu,
    log_softmax,
    relu,
    relu6,
    selu,
    softmax,
    softplus,
    softsign,
)
from ckpt.ops.batch_norm import fused_batch_norm
from ckpt.ops.blocks import depth_to_space, space_to_batch, space_to_depth
from ckpt.ops.candidates import (
    compute_accidental_hits,
    learned_unigram_candidate_sampler,
    log_uniform_candidate_sampler,
    uniform_candidate_sampler,
)
from ckpt.ops.convolution import (
    conv2d,
    conv2d_backprop_filter,
    conv2d_backprop_input,
    conv2d_transpose,
    depthwise_conv2d_native,
    depthwise_conv2d_native_backprop_filter,
    depthwise_conv2d_native_backprop_input,
)
from ckpt.ops.convolution import (
    depthwise_conv2d_native_backprop_filter as depthwise_conv2d_backprop_filter,
)
from ckpt.ops.convolution import (
    depthwise_conv2d_native_backprop_input as depthwise_conv2d_backprop_input,
)
from ckpt.ops.ctc import ctc_beam_search_decoder, ctc_greedy_decoder, ctc_loss
from ckpt.ops.dilation import with_space_to_batch
from ckpt.ops.dropout import dropout
from ckpt.ops.elementwise import sigmoid, tanh
from ckpt.ops.embedding import embedding_lookup, embedding_lookup_sparse
from ckpt.ops.fractional_pooling import fractional_avg_pool, fractional_max_pool
from ckpt.ops.largest import in_top_k, nth_element, top_k
from ckpt.ops.layered import log_poisson_loss, relu_layer, swish, xw_plus_b
from ckpt.ops.layered import swish as silu
from ckpt.ops.loss import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
    sparse_softmax_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)
from ckpt.ops.lrn import local_response_normalization
from ckpt.ops.lrn import local_response_normalization as lrn
from ckpt.ops.moments import (
    batch_norm_with_global_normalization,
    batch_normalization,
    l2_normalize,
    moments,
    normalize_moments,
    sufficient_statistics,
    weighted_moments,
    zero_fraction,
)
from ckpt.ops.morphology import dilation2d, erosion2d
from ckpt.ops.pooling import avg_pool, max_pool, max_pool2d
from ckpt.ops.pooling import avg_pool as avg_pool2d
from ckpt.ops.pooling3d import avg_pool3d, max_pool3d
from ckpt.ops.pooling_places import max_pool_with_argmax
from ckpt.ops.quantized import (
    quantized_avg_pool,
    quantized_conv2d,
    quantized_max_pool,
    quantized_relu_x,
)
from ckpt.ops.safe_embedding import safe_embedding_lookup_sparse
from ckpt.ops.spatial import (
    atrous_conv2d,
    atrous_conv2d_transpose,
    avg_pool1d,
    avg_pool_v2,
    conv1d,
    conv1d_transpose,
    conv_transpose,
    depthwise_conv2d,
    max_pool1d,
    max_pool_v2,
    pool,
    separable_conv2d,
)
from ckpt.ops.spatial import convolution_ as convolution
from ckpt.ops.unigram import all_candidate_sampler, fixed_unigram_candidate_sampler
from ckpt.ops.volumes import conv3d, conv3d_backprop_filter_v2, conv3d_transpose
from ckpt.ops.volumes import conv3d_backprop_filter_v2 as conv3d_backprop_filter

__all__ = [
    "all_candidate_sampler",
    "atrous_conv2d",
    "atrous_conv2d_transpose",
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "avg_pool_v2",
    "batch_norm_with_global_normalization",
    "batch_normalization",
    "bias_add",
    "bidirectional_dynamic_rnn",
    "collapse_repeated",
    "compute_accidental_hits",
    "compute_average_loss",
    "conv1d",
    "conv1d_transpose",
    "conv2d",
    "conv2d_backprop_filter",
    "conv2d_backprop_input",
    "conv2d_transpose",
    "conv3d",
    "conv3d_backprop_filter",
    "conv3d_backprop_filter_v2",
    "conv3d_transpose",
    "conv_transpose",
    "convolution",
    "crelu",
    "ctc_beam_search_decoder",
    "ctc_beam_search_decoder_v2",
    "ctc_greedy_decoder",
    "ctc_loss",
    "ctc_loss_v2",
    "ctc_unique_labels",
    "depth_to_space",
    "depthwise_conv2d",
    "depthwise_conv2d_backprop_filter",
    "depthwise_conv2d_backprop_input",
    "depthwise_conv2d_native",
    "depthwise_conv2d_native_backprop_filter",
    "depthwise_conv2d_native_backprop_input",
    "dilation2d",
    "dropout",
    "dynamic_rnn",
    "elu",
    "embedding_lookup",
    "embedding_lookup_sparse",
    "erosion2d",
    "fixed_unigram_candidate_sampler",
    "fractional_avg_pool",
    "fractional_max_pool",
    "fused_batch_norm",
    "in_top_k",
    "l2_loss",
    "l2_normalize",
    "leaky_relu",
    "learned_unigram_candidate_sampler",
    "local_response_normalization",
    "log_poisson_loss",
    "log_softmax",
    "log_uniform_candidate_sampler",
    "lrn",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool_v2",
    "max_pool_with_argmax",
    "moments",
    "nce_loss",
    "normalize_moments",
    "nth_element",
    "pool",
    "quantized_avg_pool",
    "quantized_conv2d",
    "quantized_max_pool",
    "quantized_relu_x",
    "raw_rnn",
    "relu",
    "relu6",
    "relu_layer",
    "rnn_cell",
    "safe_embedding_lookup_sparse",
    "sampled_softmax_loss",
    "scale_regularization_loss",
    "selu",
    "separable_conv2d",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "silu",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits_v2",
    "softplus",
    "softsign",
    "space_to_batch",
    "space_to_depth",
    "sparse_softmax_cross_entropy_with_logits",
    "static_bidirectional_rnn",
    "static_rnn",
    "static_state_saving_rnn",
    "sufficient_statistics",
    "swish",
    "tanh",
    "top_k",
    "uniform_candidate_sampler",
    "weighted_cross_entropy_with_logits",
    "weighted_moments",
    "with_space_to_batch",
    "xw_plus_b",
    "zero_fraction",
]
