"""Small public words: errors' codes, dtypes, shapes, scopes, gradients of things that have none."""

import numpy as np


def case_error_codes(tf):
    codes = {name: getattr(tf.errors, name) for name in dir(tf.errors) if name.isupper()}
    return {"codes": {name: code for name, code in codes.items() if isinstance(code, int)}}


def case_dimensions(tf):
    shape = tf.TensorShape([2, None])
    sizes = [tf.dimension_value(tf.dimension_at_index(shape, i)) for i in (0, 1)]
    unknown = tf.dimension_value(tf.dimension_at_index(tf.TensorShape(None), 5))
    proto = [dim.size for dim in shape.as_proto().dim]
    return {
        "sizes": sizes,
        "unknown": unknown,
        "proto": proto,
        "rank": tf.TensorShape(None).as_proto().unknown_rank,
    }


def case_what_is_a_tensor(tf):
    sparse = tf.SparseTensor([[0]], [1], [2])
    slices = tf.IndexedSlices(tf.constant([1.0]), tf.constant([1]))
    values = [tf.constant(1), sparse, slices, tf.get_variable("v", [2]), 3, np.zeros(2), "x"]
    return {"answers": [bool(tf.is_tensor(v)) for v in values]}


def case_specs(tf):
    values = [tf.constant([1.0]), np.zeros((2, 3)), [1, 2], tf.get_variable("v", [2])]
    specs = [tf.type_spec_from_value(v) for v in values]
    sparse = tf.type_spec_from_value(tf.SparseTensor([[0]], [1], [2]))
    return {
        "specs": [[s.shape.as_list(), s.dtype.name] for s in specs],
        "sparse": type(sparse).__name__,
    }


def error_specs_of_anything(tf):
    tf.type_spec_from_value(object())


def case_init_scope_leaves_controls_but_not_names(tf):
    with tf.name_scope("a"), tf.control_dependencies([tf.no_op()]), tf.init_scope():
        made = tf.constant(1.0, name="c")
    return {"name": made.name, "controls": [op.name for op in made.op.control_inputs]}


def case_gradient_passes_through(tf):
    x = tf.constant([1.4, -2.6])
    y = tf.grad_pass_through(tf.round)(x)
    with tf.Session() as session:
        return {"both": np.stack(session.run([y, tf.gradients(y * 3, x)[0]]))}


def case_unconnected(tf):
    x, y = tf.constant([1.0, 2.0]), tf.constant(3.0)
    zero = tf.gradients(y, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)[0]
    none = tf.gradients(y, x, unconnected_gradients=tf.UnconnectedGradients.NONE)
    with tf.Session() as session:
        return {"zero": session.run(zero), "none": none == [None]}


def case_same_float_dtype(tf):
    a = tf.constant(1.0, tf.float64)
    return {"dtypes": [tf.assert_same_float_dtype([a, a]).name, tf.assert_same_float_dtype().name]}


def error_mixed_float_dtypes(tf):
    tf.assert_same_float_dtype([tf.constant(1.0), tf.constant(1.0, tf.float64)])


def error_integers_are_no_float_dtype(tf):
    tf.assert_same_float_dtype([tf.constant(1)])


def case_functions_of_sparse_tensors(tf):
    sparse = tf.SparseTensor([[0, 0], [1, 2]], [0.25, -0.5], [2, 3])
    names = [
        "abs",
        "negative",
        "square",
        "sin",
        "tan",
        "asin",
        "atan",
        "tanh",
        "asinh",
        "atanh",
        "sign",
    ]
    with tf.Session() as session:
        found = {name: session.run(getattr(tf, name)(sparse)) for name in names}
    found["erf"] = tf.Session().run(tf.erf(sparse))
    return {name: np.append(v.values, v.dense_shape) for name, v in found.items()}


def case_scattered_strings_are_joined(tf):
    with tf.Session() as session:
        return {
            "joined": session.run(tf.scatter_nd([[4], [1], [4]], ["a", "b", "c"], [5])).tolist()
        }


def error_too_many_partitions(tf):
    tf.create_partitioned_variables([10, 43], [11, 1], tf.zeros_initializer())


def case_large_shapes(tf):
    whole = tf.zeros([2**33, 1])
    return {"shapes": [whole.shape.as_list(), tf.truncated_normal(whole.shape).shape.as_list()]}


def case_next_after(tf):
    x = tf.constant([1.0, -1.0], tf.float64)
    y = tf.math.nextafter(x, [2.0, 2.0])
    with tf.Session() as session:
        return {"both": np.stack(session.run([y, tf.gradients(y, x)[0]]))}
