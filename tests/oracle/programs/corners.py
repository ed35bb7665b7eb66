"""Corners of variables, partitioners, sparse placeholders and mixed dtypes: values, and the classes of errors."""

import numpy as np


def _resource(tf):
    variable = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], use_resource=True)
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return variable, session


def case_assigned_slices_of_resource_variables(tf):
    variable, session = _resource(tf)
    first = session.run(variable[1:, 0].assign([7.0, 8.0]))
    return {"first": first, "second": session.run(variable[0].assign([0.0, 0.0]) + 1.0)}


def case_resource_variables_of_unknown_shape(tf):
    unknown = tf.Variable(tf.placeholder(tf.float32), use_resource=True)
    known = tf.Variable(tf.placeholder(tf.float32, []), use_resource=True, validate_shape=False)
    return {"unknown": str(unknown.shape), "known": str(known.shape)}


def case_sparse_placeholders_of_partly_known_shape(tf):
    sparse = tf.sparse_placeholder(tf.float32, [2, None])
    fed = {sparse: tf.SparseTensorValue([[0, 0], [1, 2]], [3.0, 4.0], [2, 3])}
    with tf.Session() as session:
        return {
            "sum": session.run(tf.sparse_reduce_sum(sparse), fed),
            "rows": session.run(tf.sparse_reduce_sum(sparse, 1), fed),
            "of nothing": session.run(
                tf.sparse_reduce_sum(sparse),
                {sparse: (np.zeros([0, 2]), np.zeros([0]), [2, 3])},
            ),
        }


def case_truth_of_a_resource_variable(tf):
    try:
        return {"truth": bool(_resource(tf)[0])}
    except TypeError:  # TensorFlow's is a subclass
        return {"truth": "TypeError"}


def case_shuffled_rows(tf):
    tf.set_random_seed(5)
    made = [tf.random_shuffle(tf.range(count), seed=3) for count in (1, 2, 3, 100, 3000)]
    made.append(tf.random_shuffle(np.arange(40).reshape(20, 2)))
    with tf.Session() as session:
        return {"first": session.run(made), "second": session.run(made)}


def error_counting_a_vector(tf):
    return tf.Variable([1, 2], use_resource=False).count_up_to(3)


def error_counting_a_resource_vector(tf):
    return tf.Variable([1, 2], use_resource=True).count_up_to(3)


def error_more_partitions_than_elements(tf):
    return tf.get_variable("p", [5], partitioner=lambda shape, dtype: [6])


def error_operands_of_two_dtypes(tf):
    return tf.constant(1.0) + tf.constant([1, 2])


def error_negative_identity(tf):
    return tf.eye(-1)
