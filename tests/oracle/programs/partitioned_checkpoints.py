"""Variables in parts saved and restored in other parts, with the slots of optimizers; every dtype and shape; shards.

Left out: dtypes that TensorFlow's variables cannot have (float8, 4-bit integers, 16-bit quantized ones), and shards in
directories that are not there, which TensorFlow does not make.
"""

import itertools

import numpy as np

OPTIMIZERS = {
    "Adam": lambda tf: tf.train.AdamOptimizer(0.1),
    "Momentum": lambda tf: tf.train.MomentumOptimizer(0.1, 0.9),
    "Adagrad": lambda tf: tf.train.AdagradOptimizer(0.1),
    "RMSProp": lambda tf: tf.train.RMSPropOptimizer(0.1, momentum=0.9, centered=True),
    "Ftrl": lambda tf: tf.train.FtrlOptimizer(0.1),
    "Adadelta": lambda tf: tf.train.AdadeltaOptimizer(0.1),
}
CUTS = [((3, 0), (2, 0)), ((0, 0), (3, 0)), ((3, 0), (0, 0)), ((2, 0), (2, 1)), ((2, 1), (6, 0))]


def trained(tf, parts, axis, optimizer, resource):
    """A variable of 6 x 4 in parts along an axis (whole for 0), and a step of training it."""
    v = tf.get_variable(
        "v",
        [6, 4],
        initializer=tf.constant_initializer(2.0),
        partitioner=tf.fixed_size_partitioner(parts, axis) if parts else None,
        use_resource=resource,
    )
    whole = v.as_tensor() if parts else tf.convert_to_tensor(v)
    weights = np.arange(24, dtype=np.float32).reshape(6, 4)
    return whole, OPTIMIZERS[optimizer](tf).minimize(tf.reduce_sum(whole * whole * weights))


def outcome(tf, optimizer, resource):
    found = {}
    for (parts, axis), (others, another) in CUTS:
        name = f"{parts} along {axis} to {others} along {another}"
        with tf.Graph().as_default():
            whole, step = trained(tf, parts, axis, optimizer, resource)
            sess = tf.Session()
            sess.run(tf.global_variables_initializer())
            for _ in range(2):
                sess.run(step)
            path = tf.train.Saver(sharded=parts == 2).save(sess, "m")
            found[f"{name}, saved"] = [[n, list(s)] for n, s in tf.train.list_variables(path)]
            sess.run(step)
            found[f"{name}, went on"] = sess.run(whole)
        with tf.Graph().as_default():
            whole, step = trained(tf, others, another, optimizer, resource)
            sess = tf.Session()
            tf.train.Saver().restore(sess, path)  # nothing has been initialised
            sess.run(step)
            found[f"{name}, restored"] = sess.run(whole)
    return found


def _case_of(optimizer, resource):
    return lambda tf: outcome(tf, optimizer, resource)


for _name, _resource in itertools.product(OPTIMIZERS, (False, True)):
    globals()[f"case_{_name}_{'resource' if _resource else 'reference'}"] = _case_of(
        _name, _resource
    )

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
          "float64", "bfloat16", "complex64", "complex128", "string", "qint8", "quint8", "qint32"]  # fmt: skip
SHAPES = {"scalar": [], "no rows": [0, 3], "no columns": [2, 0], "vector": [4], "matrix": [2, 2]}


def values(dtype, shape, tf):
    numbers = (np.arange(int(np.prod(shape))) % 2).reshape(shape)
    if dtype == "string":
        return np.where(numbers == 1, b"a\x00\xff", b"").astype(object)
    return numbers.astype(tf.as_dtype(dtype).as_numpy_dtype)


def case_every_dtype_and_shape(tf):
    found = {}
    for dtype, (name, shape), resource in itertools.product(DTYPES, SHAPES.items(), (False, True)):
        kind, held = tf.as_dtype(dtype), values(dtype, shape, tf)
        empty = np.full(shape, b"z", object) if dtype == "string" else np.zeros_like(held)

        def made(array, kind=kind, resource=resource):
            return tf.Variable(
                lambda: tf.constant(array, kind), name="v", use_resource=resource, dtype=kind
            )

        with tf.Graph().as_default():
            v, sess = made(held), tf.Session()
            sess.run(v.initializer)
            path = tf.train.Saver([v]).save(sess, "m", write_meta_graph=False)
        with tf.Graph().as_default():
            v, sess = made(empty), tf.Session()
            tf.train.Saver([v]).restore(sess, path)
            restored = np.asarray(sess.run(v))
        reader = tf.train.NewCheckpointReader(path)
        found[f"{dtype}, {name}, {resource}"] = [
            restored.shape == held.shape and restored.tolist() == held.tolist(),
            reader.get_variable_to_dtype_map()["v"].name,
            reader.get_variable_to_shape_map()["v"],
        ]
    return found


def case_shards(tf):
    with tf.device("/cpu:0"):
        a = tf.get_variable("a", initializer=[1.0, 2.0], use_resource=False)
    with tf.device("/cpu:1"):
        tf.get_variable("b", initializer=[3.0, 4.0], use_resource=False)
    sess = tf.Session(config=tf.ConfigProto(device_count={"CPU": 2}))
    sess.run(tf.global_variables_initializer())
    saver = tf.train.Saver(sharded=True, max_to_keep=2)
    saved = [saver.save(sess, "m", step) for step in (None, 1, 2, 3, 3)]
    sess.run(a.assign([0.0, 0.0]))
    saver.restore(sess, "m-3")
    odd = saver.save(sess, "m-00000-of-00002")
    return {
        "saved": saved,
        "last": saver.last_checkpoints,
        "a": sess.run(a),
        "list": tf.train.list_variables("m-3"),
        "odd": odd,
        "found": tf.train.checkpoint_exists("m-3"),
        "times": len(tf.train.get_checkpoint_mtimes(["m-3", "m-2", odd])),
        "latest": tf.train.latest_checkpoint("."),
        "removed": lambda: [tf.train.remove_checkpoint("m-3"), tf.train.checkpoint_exists("m-3")],
    }
