"""Graphs from files in which a few bytes declare very much: refused, or nothing is known of it; nothing is allocated. Gate G10."""

import numpy as np
import pytest

import ckpt as tf
from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.graph.load import SPARE_OUTPUTS
from ckpt.graph.opdef import OPS

MANY = 3_000_000  # what takes gigabytes as tensors, and no harm when a test fails


def node(name, kind, *inputs, **attrs):
    return defs.NodeDef(name, kind, inputs, "", attrs)


def placeholder(name, shape, dtype=tf.float32):
    return node(name, "Placeholder", dtype=dtype, shape=tf.TensorShape(shape))


def const(name, value):
    return node(name, "Const", value=np.asarray(value), dtype=tf.as_dtype(np.asarray(value).dtype))


def imported(*nodes):
    tf.train.import_meta_graph(defs.MetaGraphDef(graph_def=defs.GraphDef(nodes)))
    return tf.get_default_graph()


COUNTED = [
    (name, key)
    for name, opdef in OPS.items()
    for key in opdef.output_numbers
    if not any(arg.number_attr == key for arg in opdef.inputs)
]


@pytest.mark.parametrize(("kind", "key"), COUNTED, ids=[name for name, _ in COUNTED])
def test_a_number_of_outputs_is_bounded(kind, key):
    """Every operation type that has as many outputs as an attribute says."""
    opdef = OPS[kind]
    values = {"type": tf.float32, "int": 1, "list(type)": [], "list(shape)": [], "list(string)": []}
    attrs = {name: values[opdef.attrs[name].kind] for name in opdef.required}
    attrs[key] = MANY
    nodes, inputs = [], []
    for place, arg in enumerate(opdef.inputs):
        if arg.type_list_attr or (arg.number_attr and not attrs.get(arg.number_attr, 0)):
            continue
        dtype = arg.dtype or attrs.get(arg.type_attr) or opdef.attrs[arg.type_attr].default
        nodes.append(placeholder(f"i{place}", None, dtype))
        inputs.append(f"i{place}")
    with pytest.raises(GraphError, match=r"node 'y' has \d+ outputs"):
        imported(*nodes, node("y", kind, *inputs, **attrs))
    assert not tf.get_default_graph().get_operations()


def test_many_nodes_share_what_they_may_declare():
    each = SPARE_OUTPUTS // 4
    nodes = [node(f"n{n}", "Unpack", "x", T=tf.float32, num=each, axis=0) for n in range(5)]
    with pytest.raises(GraphError, match="node 'n4' has 65536 outputs"):
        imported(placeholder("x", None), *nodes)
    with tf.Graph().as_default(), tf.allow_large_graphs():
        assert len(imported(placeholder("x", None), *nodes).get_operations()) == 6


def test_outputs_that_are_used_are_not_counted():
    each = SPARE_OUTPUTS + 10
    sums = [
        node(f"s{n}", "AddN", *[f"y:{i}" for i in range(n, n + 1000)], T=tf.float32, N=1000)
        for n in range(0, 20_000, 1000)
    ]
    graph = imported(placeholder("x", None), node("y", "Unpack", "x", T=tf.float32, num=each, axis=0), *sums)  # fmt: skip
    assert len(graph.get_operation_by_name("y").outputs) == each


def test_outputs_of_unknown_operations_are_bounded():
    with pytest.raises(GraphError, match="node 'u' has 3000001 outputs"):
        imported(node("u", "Unheard"), node("y", "Identity", f"u:{MANY}", T=tf.float32))
    assert imported(node("u", "Unheard"), node("y", "Unheard", "u:7")).get_operation_by_name("y")


def test_a_number_of_inputs_is_that_of_the_inputs():
    with pytest.raises(GraphError, match=r"node 'y'.*expected 1000000000 inputs, found 1"):
        imported(placeholder("x", None), node("y", "AddN", "x", T=tf.float32, N=10**9))


@pytest.mark.parametrize("kind", ["Reshape", "BroadcastTo", "Fill", "Transpose", "Pad"])
def test_nothing_is_known_of_more_axes_than_tensors_have(kind):
    """The shape is a vector that is a billion long; it is not made either."""
    vector = [const("from", np.int32(0)), const("to", np.int32(10**9)), const("by", np.int32(1))]
    given = {
        "Reshape": node("y", "Reshape", "x", "r", T=tf.float32, Tshape=tf.int32),
        "BroadcastTo": node("y", "BroadcastTo", "x", "r", T=tf.float32, Tidx=tf.int32),
        "Fill": node("y", "Fill", "r", "one", T=tf.float32, index_type=tf.int32),
        "Transpose": node("y", "Transpose", "x", "r", T=tf.float32, Tperm=tf.int32),
        "Pad": node("y", "Pad", "x", "p", T=tf.float32, Tpaddings=tf.int32),
    }[kind]
    graph = imported(
        placeholder("x", None),
        const("one", np.float32(1)),
        *vector,
        node("r", "Range", "from", "to", "by", Tidx=tf.int32),
        placeholder("p", [10**9, 2], tf.int32),
        given,
    )
    assert graph.get_tensor_by_name("y:0").shape.rank is None


def test_axes_that_double_from_node_to_node_end():
    gathers = [
        node(f"g{n + 1}", "GatherV2", "x", f"g{n}", "axis", Tparams=tf.int32, Tindices=tf.int32, Taxis=tf.int32)
        for n in range(60)
    ]  # fmt: skip
    doubled = [
        node(f"d{n + 1}", "GatherV2", f"d{n}", f"d{n}", "axis", Tparams=tf.int32, Tindices=tf.int32, Taxis=tf.int32)
        for n in range(60)
    ]  # fmt: skip
    graph = imported(
        placeholder("x", [3, 3], tf.int32),
        placeholder("g0", [3], tf.int32),
        placeholder("d0", [3, 3, 3], tf.int32),
        const("axis", np.int32(0)),
        *gathers,
        *doubled,
    )
    assert graph.get_tensor_by_name("g60:0").shape.rank == 61
    assert graph.get_tensor_by_name("d60:0").shape.rank is None


def test_sizes_beyond_64_bits_are_refused_by_name():
    tiles = [
        node(f"t{n + 1}", "Tile", f"t{n}", "times", T=tf.float32, Tmultiples=tf.int32)
        for n in range(40)
    ]
    with pytest.raises(GraphError, match=r"a size has 64 bits; .* 't2'"):
        imported(placeholder("t0", [8]), const("times", np.array([2**30], np.int32)), *tiles)
