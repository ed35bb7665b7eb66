"""Every public name of the package. `import ckpt` loads this module when the first of them is used."""

from __future__ import annotations

from typing import Any

from ckpt import nn, train
from ckpt.compose import Chain, Merged, MergeReport, Model, chain, load_models, merge_files, merge_graphs
from ckpt.core import errors
from ckpt.core.dtypes import (
    DType,
    as_dtype,
    bfloat16,
    complex64,
    complex128,
    double,
    float16,
    float32,
    float64,
    half,
    int8,
    int16,
    int32,
    int64,
    qint8,
    qint16,
    qint32,
    quint8,
    quint16,
    resource,
    string,
    uint8,
    uint16,
    uint32,
    uint64,
    variant,
)
from ckpt.core.dtypes import bool_ as bool  # noqa: A004  # TensorFlow's name
from ckpt.core.shapes import Dimension, TensorShape
from ckpt.graph.convert import convert_to_tensor, register_tensor_conversion_function
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.graph.opdef import OPS, op
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import (
    add_to_collection,
    add_to_collections,
    colocate_with,
    container,
    control_dependencies,
    device,
    get_collection,
    get_collection_ref,
    name_scope,
    op_scope,
    set_random_seed,
)
from ckpt.graph.signature import Attr
from ckpt.graph.slices import IndexedSlices
from ckpt.graph.stack import get_default_graph, get_default_session, reset_default_graph
from ckpt.graph.static import constant_value as get_static_value
from ckpt.model.gradients import AggregationMethod, NoGradient, NotDifferentiable, RegisterGradient, gradients
from ckpt.model.initializers import Constant as constant_initializer
from ckpt.model.initializers import GlorotNormal as glorot_normal_initializer
from ckpt.model.initializers import GlorotUniform as glorot_uniform_initializer
from ckpt.model.initializers import Ones as ones_initializer
from ckpt.model.initializers import RandomNormal as random_normal_initializer
from ckpt.model.initializers import RandomUniform as random_uniform_initializer
from ckpt.model.initializers import TruncatedNormal as truncated_normal_initializer
from ckpt.model.initializers import VarianceScaling as variance_scaling_initializer
from ckpt.model.initializers import Zeros as zeros_initializer
from ckpt.model.scopes import AUTO_REUSE, VariableScope, get_variable, get_variable_scope, variable_scope
from ckpt.model.variables import (
    Variable,
    all_variables,
    global_variables,
    global_variables_initializer,
    is_variable_initialized,
    local_variables,
    local_variables_initializer,
    model_variables,
    moving_average_variables,
    trainable_variables,
    variables_initializer,
)
from ckpt.ops.compare import (
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
    where,
)
from ckpt.ops.constants import (
    constant,
    fill,
    ones,
    ones_like,
    placeholder,
    placeholder_with_default,
    zeros,
    zeros_like,
)
from ckpt.ops.control import group, identity, identity_n, no_op, stop_gradient
from ckpt.ops.control import tuple_ as tuple  # noqa: A004  # TensorFlow's name
from ckpt.ops.elementwise import abs_ as abs  # noqa: A004  # TensorFlow's name
from ckpt.ops.elementwise import (
    acos,
    acosh,
    add,
    add_n,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cast,
    ceil,
    conj,
    cos,
    cosh,
    div,
    div_no_nan,
    divide,
    exp,
    expm1,
    floor,
    floordiv,
    is_finite,
    is_inf,
    is_nan,
    log,
    log1p,
    maximum,
    minimum,
    reciprocal,
    rint,
    rsqrt,
    saturate_cast,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    squared_difference,
    tan,
    tanh,
    truediv,
)
from ckpt.ops.elementwise import floor_mod as floormod
from ckpt.ops.elementwise import floor_mod as mod
from ckpt.ops.elementwise import mul as multiply
from ckpt.ops.elementwise import neg as negative
from ckpt.ops.elementwise import pow_ as pow  # noqa: A004  # TensorFlow's name
from ckpt.ops.elementwise import round_ as round  # noqa: A004  # TensorFlow's name
from ckpt.ops.elementwise import sub as subtract
from ckpt.ops.indexing import boolean_mask, gather, invert_permutation, one_hot, strided_slice, unsorted_segment_sum
from ckpt.ops.indexing import range_ as range  # noqa: A004  # TensorFlow's name
from ckpt.ops.indexing import slice_ as slice  # noqa: A004  # TensorFlow's name
from ckpt.ops.joining import concat, dynamic_stitch, split, stack, unstack
from ckpt.ops.matmul import matmul
from ckpt.ops.random import get_seed, random_normal, random_shuffle, random_uniform, truncated_normal
from ckpt.ops.reduction import (
    argmax,
    argmin,
    reduce_all,
    reduce_any,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
)
from ckpt.ops.shaping import broadcast_to, expand_dims, rank, reshape, shape, size, squeeze, tile, transpose
from ckpt.ops.state import assign, assign_add, assign_sub
from ckpt.run.session import InteractiveSession, Session
from ckpt.saver.metagraph import import_graph_def

newaxis = None

_MESSAGES = (
    "AttrValue",
    "ConfigProto",
    "GPUOptions",
    "GraphDef",
    "GraphOptions",
    "MetaGraphDef",
    "NameAttrList",
    "NodeDef",
    "OptimizerOptions",
    "RunMetadata",
    "RunOptions",
)


def __getattr__(name: str) -> Any:
    """The message classes, which load protobuf only when they are used."""
    if name in _MESSAGES:
        from ckpt.wire import messages

        return getattr(messages, name)
    raise AttributeError(f"module 'ckpt' has no attribute {name!r}")


__all__ = sorted(
    [name for name in globals() if not name.startswith("_") and name not in {"annotations", "Any"}] + list(_MESSAGES)
)
