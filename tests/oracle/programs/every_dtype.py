"""Functions over every dtype that TensorFlow computes them in: values, dtypes, static shapes; and their refusals.

Expressions in `x` and `y`, matrices of 2 x 3; one case for each set of dtypes. Where TensorFlow has no kernel for a dtype, nothing is
said about it; where its graph refuses the dtype, ours must refuse it too.
"""

import numpy as np

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}

FLOATS = ["float32", "float64"]
SIGNED_INTEGERS = ["int8", "int16", "int32", "int64"]
INTEGERS = [*SIGNED_INTEGERS, "uint8", "uint16", "uint32", "uint64"]
COMPLEX = ["complex64", "complex128"]
TRUTH = ["bool"]
REAL = FLOATS + INTEGERS
NUMBERS = REAL + COMPLEX
ALL = NUMBERS + TRUTH
FIELD = FLOATS + COMPLEX
SIGNED = FLOATS + SIGNED_INTEGERS + COMPLEX
PRODUCTS = [*FLOATS, "int32", "int64", *COMPLEX]
IMAGES = [*FLOATS, *SIGNED_INTEGERS, "uint8", "uint16"]
COMPARED = REAL + TRUTH
BITS = INTEGERS + TRUTH

# fmt: off
TABLE = [
    (SIGNED, [
        "tf.abs(x)", "tf.negative(x)", "tf.sign(x)", "tf.norm(x,1,1)", "tf.norm(x,np.inf)",
        "tf.losses.absolute_difference(x,-x)", "x**2", "-x", "abs(x)", "tf.pow(x,y)", "x**y",
    ]),
    (NUMBERS, [
        "tf.square(x)", "tf.real(x)", "tf.conj(x)", "tf.reduce_sum(x)", "tf.reduce_mean(x)", "tf.reduce_prod(x)",
        "tf.reduce_sum(x,0)", "tf.reduce_mean(x,-1,keepdims=True)", "tf.reduce_prod(x,1)",
        "tf.math.reduce_euclidean_norm(x)", "tf.cumsum(x)", "tf.cumsum(x,1,exclusive=True,reverse=True)",
        "tf.cumprod(x)", "tf.cumprod(x,exclusive=True)", "tf.pad(x,[[1,0],[0,0]],constant_values=1)",
        "tf.linalg.trace(x)", "tf.add_n([x,x])", "tf.accumulate_n([x,x])", "tf.bitcast(x,tf.uint8)",
        "tf.segment_sum(x,[0,0])", "tf.segment_mean(x,[0,1])", "tf.unsorted_segment_sum(x,[1,0],3)",
        "tf.unsorted_segment_prod(x,[1,1],3)", "tf.tensor_scatter_nd_add(x,[[0]],x[1:])", "tf.nn.bias_add(x,x[0])",
        'tf.extract_image_patches(tf.reshape(x,[1,2,3,1]),[1,2,2,1],[1,1,1,1],[1,1,1,1],"SAME")',
        "tf.losses.huber_loss(x,x+1)", "tf.foldl(lambda a,b:a+b,x)",
        "tf.case([(tf.constant(False),lambda:x)],default=lambda:x+x)",
        "tf.while_loop(lambda i,a:i<2,lambda i,a:(i+1,a+a),[0,x])[1]", "tf.truediv(x,2)", "x/2", "2-x", "1/x",
        "tf.add(x,y)", "tf.subtract(x,y)", "tf.multiply(x,y)", "tf.divide(x,y)", "tf.truediv(x,y)", "tf.div(x,y)",
        "tf.div_no_nan(x,y)", "x+y", "x-y", "x/y",
    ]),
    (FIELD, [
        "tf.sqrt(x)", "tf.rsqrt(x)", "tf.exp(x)", "tf.expm1(x)", "tf.log(x)", "tf.log1p(x)", "tf.sin(x)", "tf.cos(x)",
        "tf.tan(x)", "tf.asin(x)", "tf.acos(x)", "tf.atan(x)", "tf.sinh(x)", "tf.cosh(x)", "tf.tanh(x)",
        "tf.asinh(x)", "tf.acosh(x)", "tf.atanh(x)", "tf.sigmoid(x)", "tf.reciprocal(x)", "tf.angle(x)",
        "tf.nn.swish(x)", "tf.math.reduce_std(x)", "tf.math.reduce_variance(x)", "tf.norm(x)",
        "tf.linalg.norm(x,axis=0)", "tf.nn.l2_normalize(x,1)", "tf.math.sigmoid(x)", "tf.math.l2_normalize(x,0)",
        "tf.nn.log_poisson_loss(x,x)", "tf.linalg.inv(tf.matmul(x,x,transpose_b=True))",
        "tf.linalg.det(tf.matmul(x,x,transpose_b=True))", "tf.linalg.cholesky(tf.matmul(x,x,adjoint_b=True))",
        "tf.svd(x,compute_uv=False)", "tf.linalg.lstsq(x,x[:,:1])",
        "tf.nn.batch_normalization(x,x[0],x[0]*x[0],None,None,1e-3)", "tf.realdiv(x,y)", "tf.math.xdivy(x,y)",
        "tf.math.xlogy(x,y)", "tf.math.multiply_no_nan(x,y)",
    ]),
    (FLOATS, [
        "tf.ceil(x)", "tf.floor(x)", "tf.rint(x)", "tf.erf(x)", "tf.erfc(x)", "tf.lgamma(x)", "tf.digamma(x)",
        "tf.is_nan(x)", "tf.is_inf(x)", "tf.is_finite(x)", "tf.nn.elu(x)", "tf.nn.selu(x)", "tf.nn.softplus(x)",
        "tf.nn.softsign(x)", "tf.nn.softmax(x)", "tf.nn.log_softmax(x)", "tf.nn.l2_loss(x)", "tf.math.bessel_i0(x)",
        "tf.math.ndtri(x)", "tf.math.erfinv(x)", "tf.reduce_logsumexp(x)", "tf.math.cumulative_logsumexp(x)",
        "tf.clip_by_norm(x,2.0)", 'tf.check_numerics(x,"m")', "tf.sparse_segment_sqrt_n(x,[0,1],[0,0])",
        "tf.histogram_fixed_width(x,[0.,5.],nbins=3)", "tf.math.nextafter(x,x+1)", "tf.math.polygamma(x,x)",
        "tf.math.zeta(x,x)", 'tf.nn.avg_pool(tf.reshape(x,[1,2,3,1]),2,1,"VALID")',
        'tf.nn.depthwise_conv2d(tf.reshape(x,[1,2,3,1]),tf.reshape(x,[2,3,1,1]),[1,1,1,1],"SAME")',
        "tf.image.rgb_to_hsv(tf.reshape(x,[2,1,3]))", "tf.losses.softmax_cross_entropy(x,x)",
        "tf.nn.softmax_cross_entropy_with_logits(labels=x,logits=x)",
        "tf.nn.sigmoid_cross_entropy_with_logits(labels=x,logits=x)",
        "tf.nn.weighted_cross_entropy_with_logits(targets=x,logits=x,pos_weight=2)",
        "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[0,1],logits=x)",
        "tf.hessians(tf.reduce_sum(x*x*x),x)[0]", "tf.nn.dropout(x,keep_prob=.5,seed=1)",
        "tf.linspace(x[0,0],x[0,1],3)", "tf.multinomial(x,2,seed=1)", "tf.atan2(x,y)", "tf.igamma(x,y)",
        "tf.igammac(x,y)", "tf.complex(x,y)", "tf.polygamma(x,y)", "tf.zeta(x,y)",
    ]),
    (REAL, [
        "tf.round(x)", "tf.nn.relu(x)", "tf.nn.relu6(x)", "tf.nn.leaky_relu(x)", "tf.reduce_max(x)",
        "tf.reduce_min(x)", "tf.reduce_max(x,[0,1])", "tf.argsort(x)", 'tf.sort(x,direction="DESCENDING")',
        "tf.nn.top_k(x,2)", "tf.segment_max(x,[0,2])", "tf.unsorted_segment_max(x,[1,1],3)",
        "tf.unsorted_segment_mean(x,[1,1],3)", "tf.sparse_segment_sum(x,[0,1],[0,0])",
        "tf.tensor_scatter_nd_max(x,[[0]],x[1:])", "tf.math.top_k(x)", "tf.searchsorted(tf.sort(x),x)",
        "tf.linalg.cross(x,x)", "tf.image.convert_image_dtype(x,tf.float32)",
        "tf.image.convert_image_dtype(x,tf.uint8)", "tf.image.adjust_brightness(tf.reshape(x,[2,1,3]),.2)",
        "tf.image.rgb_to_grayscale(tf.reshape(x,[2,1,3]))", "tf.string_to_number(tf.as_string(x),tf.float64)",
        "tf.is_non_decreasing(x)", "tf.is_strictly_increasing(x)", "tf.gradients(tf.reduce_sum(x*x),x)[0]",
        "tf.setdiff1d(x[0],x[1])", "x//2", "x%2", "x>1", "tf.floordiv(x,y)", "tf.floormod(x,y)", "tf.mod(x,y)",
        "tf.truncatediv(x,y)", "tf.floor_div(x,y)", "tf.maximum(x,y)", "tf.minimum(x,y)", "tf.less(x,y)",
        "tf.less_equal(x,y)", "tf.greater(x,y)", "tf.greater_equal(x,y)", "x//y", "x%y", "x<y", "x>=y",
        "tf.math.floormod(x,y)",
    ]),
    (TRUTH, [
        "tf.logical_not(x)", "tf.reduce_all(x)", "tf.reduce_any(x)", "tf.logical_and(x,y)", "tf.logical_or(x,y)",
        "tf.logical_xor(x,y)",
    ]),
    (ALL, [
        "tf.imag(x)", "tf.identity(x)", "tf.zeros_like(x)", "tf.ones_like(x)", "tf.stop_gradient(x)", "tf.rank(x)",
        "tf.size(x)", "tf.shape(x)", "tf.math.count_nonzero(x)", "tf.count_nonzero(x,axis=1)", "tf.transpose(x)",
        "tf.reverse(x,[0])", "tf.expand_dims(x,1)", "tf.squeeze(x)", "tf.pad(x,[[1,0],[2,1]])",
        'tf.pad(x,[[1,1],[1,1]],"REFLECT")', 'tf.pad(x,[[1,1],[1,1]],"SYMMETRIC")', "tf.gather(x,[0,0])",
        "tf.gather(x,[1],axis=1)", "tf.gather_nd(x,[[0,1]])", "tf.where(x)", "tf.matrix_transpose(x)",
        "tf.matrix_diag(x)", "tf.matrix_band_part(x,1,0)", "tf.roll(x,1,0)", "tf.split(x,2)", "tf.stack([x,x],-1)",
        "tf.concat([x,x],1)", "tf.slice(x,[0,1],[-1,1])", "x[::-1]", "x[...,0]", "x[:,tf.newaxis,1:]", "x[-1,::2]",
        "tf.broadcast_to(x,[2,2,3])", "tf.fill([2],x[0,0])", "tf.reverse_sequence(x,[1,2],seq_axis=1,batch_axis=0)",
        "tf.as_string(x)", "tf.to_float(x)", "tf.to_int32(x)", "tf.cast(x,tf.bool)", "tf.cast(x,tf.complex64)",
        "tf.cast(x,tf.int8)", "tf.cast(x,tf.bfloat16)", "tf.dynamic_partition(x,[1,0],2)",
        "tf.dynamic_stitch([[0],[1]],[x[:1],x[1:]])", "tf.scatter_nd([[1],[3]],x,[5,3])",
        "tf.tensor_scatter_nd_update(x,[[0]],x[1:])", "tf.boolean_mask(x,[True,False])", "tf.sequence_mask(x,4)",
        "tf.linalg.diag_part(x)", "tf.linalg.set_diag(x,x[:,0])", "tf.meshgrid(x[0],x[1])",
        "tf.random_shuffle(x,seed=1)", "tf.Print(x,[x])", "tf.guarantee_const(x)",
        "tf.image.flip_left_right(tf.reshape(x,[2,3,1]))",
        "tf.image.per_image_standardization(tf.reshape(x,[2,1,3]))",
        "tf.image.central_crop(tf.reshape(x,[2,3,1]),.5)", "tf.losses.mean_squared_error(x,x*x)",
        "tf.losses.hinge_loss(x,x)", "tf.losses.log_loss(x,x)", "tf.assert_equal(x,x)", "tf.scan(lambda a,b:a*b,x)",
        "tf.map_fn(lambda a:a[::-1],x)", "tf.cond(tf.reduce_all(tf.equal(x,x)),lambda:x,lambda:x[::-1])",
        "tf.nn.embedding_lookup(x,[1,0,1])", "tf.nn.embedding_lookup([x,x],[3,0,1])", "tf.sparse.from_dense(x)",
        "tf.sparse.to_dense(tf.sparse.from_dense(x))", "tf.strided_slice(x,[0,0],[2,3],[1,2],shrink_axis_mask=1)",
        "tf.nn.zero_fraction(x)", "tf.losses.cosine_distance(x,x,axis=1)", "tf.equal(x,x)",
        "tf.ensure_shape(x,[2,3])", "tf.shape_n([x,x])", "tf.ones_like(x,dtype=tf.int32)",
        "tf.zeros_like(x,optimize=False)", "tf.eye(2,dtype=x.dtype)*x[:,:2]", "x==x", "x!=x", "tf.equal(x,y)",
        "tf.not_equal(x,y)", "tf.where(tf.equal(x,y),x,y)", "x*y",
    ]),
    (INTEGERS, [
        "tf.bitwise.invert(x)", "tf.assert_integer(x)", "tf.bitwise.bitwise_and(x,y)", "tf.bitwise.bitwise_or(x,y)",
        "tf.bitwise.bitwise_xor(x,y)", "tf.bitwise.left_shift(x,y)", "tf.bitwise.right_shift(x,y)",
    ]),
    (COMPARED, [
        "tf.argmax(x)", "tf.argmin(x,1)", "tf.argmax(x,1,output_type=tf.int32)", "tf.unique(tf.reshape(x,[-1]))",
        "tf.unique_with_counts(tf.reshape(x,[-1]))",
    ]),
    (PRODUCTS, [
        "tf.diag(x)", "tf.diag_part(tf.matmul(x,x,transpose_a=True))", "tf.matmul(x,x,transpose_b=True)",
        "tf.matmul(x,x,adjoint_a=True)", 'tf.einsum("ij->ji",x)', 'tf.einsum("ij,ij->i",x,x)',
        "tf.tensordot(x,x,[[0,1],[0,1]])", "tf.nn.moments(x,[0])", "x@tf.transpose(x)", "tf.squared_difference(x,y)",
    ]),
    (IMAGES, [
        'tf.nn.max_pool(tf.reshape(x,[1,2,3,1]),2,1,"SAME")',
        "tf.image.resize_bilinear(tf.reshape(x,[1,2,3,1]),[4,5])",
        "tf.image.resize_nearest_neighbor(tf.reshape(x,[1,2,3,1]),[4,5])",
        "tf.image.resize_bicubic(tf.reshape(x,[1,2,3,1]),[4,5])",
        "tf.image.resize_area(tf.reshape(x,[1,2,3,1]),[4,5])",
        'tf.nn.pool(tf.reshape(x,[1,2,3,1]),[2,2],"MAX","VALID")',
    ]),
    (COMPLEX, [
        "tf.fft(x)", "tf.ifft(x)",
    ]),
    (BITS, [
        "~x", "x&x", "x|x", "x^x",
    ]),
]
REFUSED = [
    (FLOATS + COMPLEX, ["x & y", "x | y", "x ^ y", "~x", "tf.bitwise.invert(x)"]),
    (NUMBERS, ["tf.reduce_all(x)", "tf.reduce_any(x)", "tf.logical_not(x)", "tf.logical_and(x, y)"]),
    (TRUTH, ["x + y", "x - y", "x / y", "-x", "tf.real(x)", "tf.conj(x)", "tf.saturate_cast(x, tf.uint8)", "tf.square(x)"]),
    (COMPLEX, ["x < y", "tf.maximum(x, y)", "tf.floor(x)", "tf.reduce_max(x)", "tf.image.convert_image_dtype(x, tf.uint8)"]),
]
# fmt: on


def matrices(dtype):
    """A matrix of both signs where there are signs, and one of positive numbers."""
    random = np.random.RandomState(1)
    if dtype == "bool":
        return random.rand(2, 3) > 0.5, random.rand(2, 3) > 0.5
    if dtype.startswith("complex"):
        x, y = (random.randn(2, 3) + 1j * random.randn(2, 3) for _ in range(2))
        return x.astype(dtype), y.astype(dtype)
    if dtype.startswith("float"):
        x, y = random.randn(2, 3) * 2, np.abs(random.randn(2, 3)) + 0.1
        return x.astype(dtype), y.astype(dtype)
    least = 0 if dtype.startswith("u") else -6
    return random.randint(least, 7, (2, 3)).astype(dtype), random.randint(1, 7, (2, 3)).astype(
        dtype
    )


def tensors_in(found):
    """The tensors of a nest of tuples and lists, the parts of a sparse one among them."""
    if isinstance(found, (list, tuple)):
        return [tensor for part in found for tensor in tensors_in(part)]
    if hasattr(found, "dense_shape") and hasattr(found, "indices"):
        return [found.indices, found.values]
    return [found] if hasattr(found, "dtype") else []


def results_of(tf, expression, dtypes):
    """The dtypes and values of the tensors of `expression`, by dtype of the operands and number."""
    results, fetches, feeds = {}, {}, {}
    tf.set_random_seed(7)
    for dtype in dtypes:
        arrays = dict(zip("xy", matrices(dtype), strict=True))
        inputs = {name: tf.placeholder(dtype, [None, 3]) for name in arrays}
        feeds.update({inputs[name]: arrays[name] for name in arrays})
        fetches[dtype] = tensors_in(eval(expression, {"tf": tf, "np": np, **inputs}))
        results[f"{expression}, {dtype}"] = [t.dtype.base_dtype.name for t in fetches[dtype]]
    with tf.Session() as session:
        for dtype, values in session.run(fetches, feeds).items():
            results.update({f"{expression}, {dtype}, {i}": v for i, v in enumerate(values)})
    return results


def refusals_of(tf, expression, dtypes):
    """The class of the error of `expression`, by dtype of the operands."""
    results = {}
    for dtype in dtypes:
        inputs = {name: tf.placeholder(dtype, [2, 3]) for name in "xy"}
        try:
            eval(expression, {"tf": tf, **inputs})
        except (TypeError, ValueError, AttributeError) as error:
            results[f"{expression}, {dtype}"] = [
                kind.__name__
                for kind in (TypeError, ValueError, AttributeError)
                if isinstance(error, kind)
            ]
    return results


def _case_of(function, expressions, dtypes):
    def case(tf):
        results = {}
        for expression in expressions:
            with tf.Graph().as_default():
                results.update(function(tf, expression, dtypes))
        return results

    return case


for _number, (_dtypes, _expressions) in enumerate(TABLE):
    globals()[f"case_{_number}_computed_in_{len(_dtypes)}_dtypes"] = _case_of(
        results_of, _expressions, _dtypes
    )
for _number, (_dtypes, _expressions) in enumerate(REFUSED):
    globals()[f"case_{_number}_refused_in_{len(_dtypes)}_dtypes"] = _case_of(
        refusals_of, _expressions, _dtypes
    )


def case_spaced(tf):
    pairs = [(1, 5, 3), ([1.0, 2.0], [3.0, 5.0], 4), ([1.0, 2.0], 5.0, 4), (1.0, 5.0, 1)]
    with tf.Session() as session:
        results = {str(pair): session.run(tf.linspace(*pair)) for pair in pairs}
        last = tf.linspace([1.0, 2.0], [3.0, 5.0], 3, axis=-1)
        results["along the last axis"] = session.run(last)
        results["shape"] = last.shape.as_list()
        for dtype in REAL:
            ends = (tf.placeholder(dtype, []) for _ in range(2))
            results[dtype] = tf.linspace(*ends, 3).dtype.name
    return results


def case_kept_within_range(tf):
    """Limits of float types, rounded into the range of an integer type."""
    held = np.array([-1e30, -2147483648.0, -1.5, 0.0, 255.5, 2147483647.0, 1e30])
    pairs = [("float32", "int32"), ("float64", "int32"), ("float64", "uint8")]
    with tf.Session() as session:
        return {
            f"{source} to {target}": session.run(tf.saturate_cast(held.astype(source), target))
            for source, target in pairs
        }


def case_second_derivatives_of_unknown_size(tf):
    x = tf.placeholder(tf.float32, [None, 2])
    (found,) = tf.hessians(tf.reduce_sum(x**3) * tf.reduce_sum(x), x)
    with tf.Session() as session:
        return {"value": session.run(found, {x: [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]})}


def case_gradient_of_nothing(tf):
    x = tf.placeholder(tf.float32, [None, 3])
    (found,) = tf.gradients(tf.reduce_sum(x * x), x)
    with tf.Session() as session:
        return {"value": session.run(found, {x: np.zeros((0, 3))})}
