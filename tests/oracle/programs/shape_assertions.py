"""tf.debugging.assert_shapes: what is known while building, and what only when run."""

import numpy as np


def holds(tf, pairs, fed=None, **options):
    """Whether the assertion holds when it is run; an error that building it raises goes through."""
    check = tf.debugging.assert_shapes(pairs, **options)
    with tf.Session() as sess:
        try:
            sess.run(check, fed)
        except tf.errors.InvalidArgumentError as error:
            return [str(error).partition("assertion failed: ")[2].partition("\n")[0].strip()]
    return True


def zeros(tf, *sizes):
    return tf.zeros(sizes)


def case_known_shapes(tf):
    matrix = zeros(tf, 2, 3)
    return {
        "sizes": holds(tf, [(matrix, (2, 3))]),
        "names": holds(tf, [(matrix, ("N", 3)), (zeros(tf, 2), ("N",))]),
        "letters": holds(tf, [(matrix, "NM"), (zeros(tf, 3, 2), "MN")]),
        "digits": holds(tf, [(matrix, ("2", "3"))]),
        "any": holds(tf, [(matrix, (None, "."))]),
        "star": holds(tf, [(zeros(tf, 2, 3, 4), ("*", "N", 4)), (zeros(tf, 3), ("N",))]),
        "dots": holds(tf, [(zeros(tf, 2, 3, 4), (..., "N", 4)), (zeros(tf, 3), ("N",))]),
        "scalar": holds(tf, [(zeros(tf), ()), (zeros(tf, 1), ())]),
        "sparse": holds(tf, [(tf.SparseTensor([[0, 0]], [1], [2, 3]), ("N", 3))]),
        "nothing": holds(tf, []),
        "arrays": holds(tf, [(np.zeros([2, 2]), ("N", "N"))], message="square", name="named"),
    }


def case_shapes_known_when_run(tf):
    x, y = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
    known = tf.placeholder(tf.float32, [None, None])
    one, two = ("N", 3), ("N",)
    m23, m25, v2, v4 = np.zeros([2, 3]), np.zeros([2, 5]), np.zeros(2), np.zeros(4)
    return {
        "right": holds(tf, [(x, one), (y, two)], {x: m23, y: v2}),
        "another_size": holds(tf, [(x, one)], {x: m25}),
        "another_size_static": holds(tf, [(known, one)], {known: m25}, message="boo"),
        "names_differ": holds(tf, [(known, one), (y, two)], {known: m23, y: v4}),
        "rank": holds(tf, [(x, one)], {x: np.zeros([2, 3, 1])}),
        "least_rank": holds(tf, [(x, ("*", "N", 3))], {x: v2}),
        "star": holds(tf, [(x, ("*", "N", 3)), (y, two)], {x: np.zeros([2, 2, 3]), y: v4}),
        "scalar": holds(tf, [(x, ())], {x: v2}),
        "a_vector_of_one": holds(tf, [(x, ())], {x: [1.0]}),
        "own_words": holds(tf, [(x, one)], {x: m25}, data=["mine"]),
    }


def error_sizes(tf):
    tf.debugging.assert_shapes([(zeros(tf, 2, 3), ("N", 4))])


def error_names(tf):
    tf.debugging.assert_shapes([(zeros(tf, 2, 3), ("N", 3)), (zeros(tf, 4), ("N",))])


def error_ranks(tf):
    tf.debugging.assert_shapes([(zeros(tf, 2, 3), ("N",))])


def error_no_scalar(tf):
    tf.debugging.assert_shapes([(zeros(tf, 2), ())])


def error_dots_behind(tf):
    tf.debugging.assert_shapes([(zeros(tf, 2, 3), (2, ...))])


def error_no_shape(tf):
    tf.debugging.assert_shapes([(zeros(tf, 2, 3), 2)])
