"""Branches, loops, TensorArrays, lists and stacks as operations, functional and as TensorFlow 1 writes them."""

import numpy as np

import ckpt as tf
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.function import FuncGraph, function_name, register
from ckpt.graph.opdef import OPS
from ckpt.graph.stack import get_default_graph
from ckpt.ops import stacks, tensor_array, tensor_list, tensor_list_access
from tests.conformance.ops import case, conformance, normal, positive
from tests.run.tf1_programs import by_primitives

DOUBLE = positive(dtype=np.float64)
ROWS = positive(3, 2, dtype=np.float64)
LOOP = (
    "loop",
    3,
    ("var", 0),
    ("mul", ("var", 1), ("var", 2)),
    ("sin", ("var", 0), ("const", 0.25)),
)
BRANCH = (
    "cond",
    ("var", 0),
    ("const", 0.25),
    ("sin", ("var", 0), ("const", 2.0)),
    ("add", ("var", 0), ("var", 0)),
)
NESTED = ("loop", 2, ("var", 0), BRANCH, ("add", LOOP, ("var", 0)))


def written_by_tensorflow_1(x, program):
    return tf.identity(by_primitives(program, [x]))


def retyped(tensor, kind):
    """The node behind `tensor` as another type of the same signature: stateless, as TensorFlow writes pure ones."""
    node = tensor.op.inputs[0].op
    node.type, node.opdef = kind, OPS[kind]
    return tensor


def branch(x, kind="If"):
    return retyped(tf.cond(tf.reduce_sum(x) > 0.3, lambda: x * x, lambda: tf.sin(x)), kind)


def chosen(x, index, kind="Case"):
    branches = [lambda: x * 2, lambda: x * x, lambda: tf.exp(x)]
    return retyped(tf.switch_case(tf.constant(index), branches), kind)


def loop(x, kind="While"):
    found = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * x + tf.sin(a)), [0, x])
    return retyped(found[1], kind)


def called(x, kind):
    graph = get_default_graph()
    body = FuncGraph(function_name(graph, "square"), graph)
    with body.as_default():
        argument = body.argument(x.dtype, x.shape)
        body.outputs = [argument * argument]
    return OPS[kind]([x], f=register(body), Tout=[x.dtype])


def array(x, size=3):
    handle, flow = tensor_array.tensor_array_v3(size, dtype=x.dtype, element_shape=x.shape[1:])
    return handle, flow


def scattered(x):
    handle, flow = array(x)
    return handle, tensor_array.tensor_array_scatter_v3(handle, tf.range(3), x, flow)


def written_and_read(x):
    handle, flow = array(x)
    flow = tensor_array.tensor_array_write_v3(handle, 1, x[0], flow)
    flow = tensor_array.tensor_array_write_v3(handle, 2, x[1], flow)
    return tensor_array.tensor_array_read_v3(handle, 2, flow, dtype=x.dtype) * 2


def gathered(x, indices=(2, 0)):
    handle, flow = scattered(x)
    return tensor_array.tensor_array_gather_v3(
        handle, list(indices), flow, dtype=x.dtype, element_shape=x.shape[1:]
    )


def joined(x):
    handle, flow = scattered(x)
    return tensor_array.tensor_array_concat_v3(
        handle, flow, dtype=x.dtype, element_shape_except0=[]
    )[0]


def cut(x):
    handle, flow = tensor_array.tensor_array_v3(2, dtype=x.dtype)
    lengths = tf.constant([1, 2], tf.int64)
    flow = tensor_array.tensor_array_split_v3(handle, x, lengths, flow)
    return tensor_array.tensor_array_read_v3(handle, 1, flow, dtype=x.dtype)


def size(x):
    handle, flow = scattered(x)
    return tensor_array.tensor_array_size_v3(handle, flow)


TestBranchesAndLoops = conformance([
    case(written_by_tensorflow_1, DOUBLE, program=BRANCH, grad=2, title="Switch, Merge"),
    case(written_by_tensorflow_1, -DOUBLE, program=BRANCH, grad=2, title="Switch, Merge"),
    case(written_by_tensorflow_1, DOUBLE, program=LOOP, grad=2, title="Enter, Exit"),
    case(written_by_tensorflow_1, DOUBLE, program=NESTED, grad=2, title="Enter, Exit, Switch, Merge"),
    *[case(branch, x, kind=kind, like=lambda x: x * x if x.sum() > 0.3 else np.sin(x), grad=2)
      for kind in ("If", "StatelessIf") for x in (ROWS, -ROWS)],
    *[case(chosen, ROWS, index=index, kind=kind, grad=2) for kind in ("Case", "StatelessCase") for index in (0, 1, 2, 7, -1)],
    case(loop, DOUBLE, grad=2),
    case(loop, ROWS, kind="StatelessWhile", grad=2),
    case(called, ROWS, kind="PartitionedCall", like=lambda x: x * x, grad=2),
    case(called, ROWS, kind="StatefulPartitionedCall", like=lambda x: x * x, grad=2),
])  # fmt: skip

TestTensorArrays = conformance([
    case(written_and_read, ROWS, like=lambda x: x[1] * 2),
    case(gathered, ROWS, like=lambda x: x[[2, 0]]),
    case(joined, ROWS, like=lambda x: x.reshape(-1)),
    case(cut, ROWS, like=lambda x: x[1:]),
    case(size, ROWS, expect=np.int32(3), grad=0),
    case(gathered, ROWS, indices=(3,), raises=InvalidArgumentError, match="index 3"),
])  # fmt: skip


def listed(x):
    return tensor_list_access.tensor_list_from_tensor(x, [2])


def stacked(held, x, **attrs):
    return tensor_list_access.tensor_list_stack(held, [2], element_dtype=x.dtype, **attrs)


def reserved(x, shape=(2,)):
    return tensor_list_access.tensor_list_reserve(
        tf.constant(list(shape), tf.int32), 3, element_dtype=x.dtype
    )


def list_set(x, index=1):
    return stacked(tensor_list_access.tensor_list_set_item(listed(x), index, x[0] * x[2]), x)


def list_grown(x):
    held = tensor_list_access.tensor_list_set_item(
        listed(x), 4, x[0], resize_if_index_out_of_bounds=True
    )
    return stacked(held, x)


def list_unset(x):
    return stacked(tensor_list_access.tensor_list_set_item(reserved(x), 1, x[0]), x)


def list_got(x, index=1):
    return (
        tensor_list_access.tensor_list_get_item(listed(x), index, [2], element_dtype=x.dtype) ** 2
    )


def list_pushed(x):
    held = tensor_list.tensor_list_push_back(listed(x), x[0] * x[1])
    held, last = tensor_list.tensor_list_pop_back(held, [2], element_dtype=x.dtype)
    held, before = tensor_list.tensor_list_pop_back(held, [2], element_dtype=x.dtype)
    return last, before, tensor_list.tensor_list_length(held)


def list_gathered(x, indices=(2, 0, 2)):
    return tensor_list_access.tensor_list_gather(
        listed(x), list(indices), [2], element_dtype=x.dtype
    )


def list_scattered(x, count=5):
    held = tensor_list_access.tensor_list_scatter_v2(x, [3, 1, 0], [2], count)
    return stacked(held, x)


def list_scattered_into(x):
    return stacked(
        tensor_list_access.tensor_list_scatter_into_existing(listed(x), x[:1] * x[1:2], [1]), x
    )


def list_cut_and_joined(x, lengths=(1, 2)):
    lengths = tf.constant(list(lengths), tf.int64)
    held = tensor_list_access.tensor_list_split(x * x, [-1, 2], lengths)
    return tensor_list_access.tensor_list_concat_v2(
        held, [-1, 2], tf.constant([], tf.int64), element_dtype=x.dtype
    )


def list_resized(x, count=2):
    return stacked(tensor_list_access.tensor_list_resize(listed(x), count), x)


def list_shape(x):
    return tensor_list_access.tensor_list_element_shape(reserved(x, (-1, 2)), shape_type=tf.int64)


def lists_joined(x):
    held = tensor_list_access.tensor_list_concat_lists(listed(x), listed(x), element_dtype=x.dtype)
    return stacked(held, x)


TestLists = conformance([
    case(lambda x: stacked(listed(x), x), ROWS, like=lambda x: x, grad=2, title="stack"),
    case(list_set, ROWS, like=lambda x: np.stack([x[0], x[0] * x[2], x[2]]), grad=2),
    case(list_grown, ROWS, like=lambda x: np.concatenate([x, np.zeros((1, 2)), x[:1]])),
    case(list_unset, ROWS, like=lambda x: np.stack([0 * x[0], x[0], 0 * x[0]])),
    case(list_got, ROWS, like=lambda x: x[1] ** 2, grad=2),
    case(list_pushed, ROWS, like=lambda x: (x[0] * x[1], x[2], np.int32(2)), grad=2),
    case(list_gathered, ROWS, like=lambda x: x[[2, 0, 2]], grad=2),
    case(list_gathered, ROWS, indices=(), like=lambda x: x[:0]),
    case(list_scattered, ROWS, like=lambda x: np.stack([x[2], x[1], 0 * x[0], x[0], 0 * x[0]])),
    case(list_scattered_into, ROWS, like=lambda x: np.stack([x[0], x[0] * x[1], x[2]]), grad=2),
    case(list_cut_and_joined, ROWS, like=lambda x: (x * x, np.array([1, 2])), grad=2),
    case(list_resized, ROWS, like=lambda x: x[:2]),
    case(list_resized, ROWS, count=4, like=lambda x: np.concatenate([x, np.zeros((1, 2))])),
    case(list_shape, ROWS, expect=np.array([-1, 2]), grad=0,
         looser="TensorFlow follows a list's element shape through its handle"),
    case(lists_joined, ROWS, like=lambda x: np.concatenate([x, x]), grad=0),
    case(list_got, ROWS, index=3, raises=InvalidArgumentError, match="element 3 in a list with 3"),
    case(list_got, ROWS, index=-1, raises=InvalidArgumentError, match="element -1"),
    case(list_set, ROWS, index=3, raises=InvalidArgumentError, match="modify element 3"),
    case(list_gathered, ROWS, indices=(3,), raises=InvalidArgumentError, match="gather element 3"),
    case(list_scattered, ROWS, count=2, raises=InvalidArgumentError, match="scatter at index 3"),
    case(list_cut_and_joined, ROWS, lengths=(1, 1), raises=InvalidArgumentError, match="add up"),
    case(list_resized, ROWS, count=-4, raises=InvalidArgumentError, match="non-negative"),
])  # fmt: skip


def pushed(x):
    handle = stacks.stack_v2(-1, elem_type=x.dtype)
    with tf.control_dependencies([stacks.stack_push_v2(handle, x)]):
        second = stacks.stack_push_v2(handle, x * 2)
    with tf.control_dependencies([second]):
        last = stacks.stack_pop_v2(handle, elem_type=x.dtype)
    with tf.control_dependencies([last]):
        return last, stacks.stack_pop_v2(handle, elem_type=x.dtype)


TestStacks = conformance([
    case(pushed, normal(2, 3), like=lambda x: (x * 2, x), grad=0, title="stack"),
])  # fmt: skip
