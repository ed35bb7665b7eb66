"""Functions of matrices made of other operations, and their derivatives."""

import numpy as np

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}
RNG = np.random.default_rng(11)
A = RNG.standard_normal((2, 3, 3)).astype(np.float32)
TALL = RNG.standard_normal((2, 4, 3)).astype(np.float32)
RHS = RNG.standard_normal((2, 3, 2)).astype(np.float32)
BANDS = RNG.standard_normal((2, 3, 4)).astype(np.float32) + np.array([[0], [5], [0]], np.float32)
COLUMNS = RNG.standard_normal((2, 4, 2)).astype(np.float32)


def _run(tf, **tensors):
    with tf.Session() as session:
        return session.run(tensors)


def case_expm(tf):
    x = tf.constant(A)
    y = tf.linalg.expm(x)
    large = tf.linalg.expm(x * 4.0)
    return _run(tf, y=y, large=large / tf.reduce_max(tf.abs(large)), dx=tf.gradients(y, x)[0])


def case_expm_in_double(tf):
    return _run(
        tf,
        y=tf.linalg.expm(tf.constant(A.astype(np.float64))),
        zero=tf.linalg.expm(tf.zeros([2, 2])),
    )


def case_lu(tf):
    lu, p = tf.linalg.lu(tf.constant(A))
    return _run(
        tf, lu=lu, p=p, again=tf.linalg.lu_reconstruct(lu, p), inverse=tf.linalg.lu_matrix_inverse(lu, p),
        solved=tf.linalg.lu_solve(lu, p, tf.constant(RHS)),
    )  # fmt: skip


def case_pinv_and_rank(tf):
    flat = np.array([[1.0, 2.0], [2.0, 4.0]], np.float32)
    return _run(
        tf, tall=tf.linalg.pinv(tf.constant(TALL)), flat=tf.linalg.pinv(tf.constant(flat)),
        ranks=tf.linalg.matrix_rank(tf.constant(TALL)), one=tf.linalg.matrix_rank(tf.constant(flat)),
    )  # fmt: skip


def case_products(tf):
    a, v = tf.constant(A), tf.constant(RHS[..., 0])
    unit, size = tf.linalg.normalize(a, axis=-1)
    return _run(
        tf, matvec=tf.linalg.matvec(a, v), turned=tf.linalg.matvec(a, v, transpose_a=True), unit=unit, size=size,
        root=tf.linalg.sqrtm(tf.matmul(a, a, transpose_b=True) + tf.eye(3)),
    )  # fmt: skip


def case_tridiagonal(tf):
    bands, columns = tf.constant(BANDS), tf.constant(COLUMNS)
    above, main, below = (tf.constant(BANDS[:, i]) for i in range(3))
    whole = np.zeros((2, 4, 4), np.float32)
    at = np.arange(4)
    whole[:, at, at] = BANDS[:, 1]
    whole[:, at[:-1], at[1:]] = BANDS[:, 0, :-1]
    whole[:, at[1:], at[:-1]] = BANDS[:, 2, 1:]
    short = (above[:, :-1], main, below[:, 1:])
    return _run(
        tf, product=tf.linalg.tridiagonal_matmul(bands, columns), solved=tf.linalg.tridiagonal_solve(bands, columns),
        vector=tf.linalg.tridiagonal_solve(bands, columns[..., 0]),
        sequence=tf.linalg.tridiagonal_solve((above, main, below), columns, "sequence"),
        short=tf.linalg.tridiagonal_solve(short, columns, "sequence"),
        matrix=tf.linalg.tridiagonal_solve(tf.constant(whole), columns, "matrix"),
    )  # fmt: skip


def case_polynomials(tf):
    x = tf.constant([0.0, 1.5, -2.0])
    return _run(
        tf, value=tf.math.polyval([2.0, 0.0, 1.0], x), none=tf.math.polyval([], x), inverse=tf.math.reciprocal_no_nan(x),
        erfcinv=tf.math.erfcinv(tf.constant([0.2, 1.0, 1.7])), norm=tf.math.reduce_euclidean_norm(x),
    )  # fmt: skip


def error_polynomials_of_no_list(tf):
    tf.math.polyval(3, tf.constant(1.0))


def error_expm_of_a_rectangle(tf):
    tf.linalg.expm(tf.constant(TALL))
