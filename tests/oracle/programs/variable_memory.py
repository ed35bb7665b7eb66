"""What a run sees of a reference variable that changes meanwhile: TensorFlow's reads share the variable's memory."""

import numpy as np


def outcome(tf, fetches, v):
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        found = sess.run(fetches)
        return {**found, "v": sess.run(v)}


def variable(tf):
    return tf.Variable([1.0, 2.0], name="v")


def case_used_after_an_update(tf):
    v = variable(tf)
    with tf.control_dependencies([tf.assign_add(v, [1.0, 1.0])]):
        fetches = {"product": v * 2.0, "same": tf.identity(v)}
    return outcome(tf, fetches, v)


def case_read_before_and_used_after(tf):
    v = variable(tf)
    read = tf.identity(v.value())
    with tf.control_dependencies([tf.assign(v, [7.0, 8.0])]):
        fetches = {"product": read * 2.0}
    return outcome(tf, fetches, v)


def case_used_before_an_update(tf):
    v = variable(tf)
    old = v + 0.0
    with tf.control_dependencies([old]):
        new = tf.assign_add(v, [1.0, 1.0])
    with tf.control_dependencies([new]):
        fetches = {"old": old, "new": v + 0.0}
    return outcome(tf, fetches, v)


def case_after_a_training_step(tf):
    v = variable(tf)
    loss = tf.reduce_sum(v * v)
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    with tf.control_dependencies([train]):
        fetches = {"after": tf.reduce_sum(v * v), "v_after": v * 1.0}
    return outcome(tf, fetches, v)


def case_after_some_rows_changed(tf):
    v = variable(tf)
    with tf.control_dependencies([tf.scatter_add(v, [0], [5.0])]):
        fetches = {"product": v * 2.0}
    return outcome(tf, fetches, v)


def case_moving_averages_follow_the_new_values(tf):
    v = tf.Variable(1.0)
    averages = tf.train.ExponentialMovingAverage(0.9)
    with tf.control_dependencies([tf.assign_add(v, 1.0)]):
        update = averages.apply([v])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        found = []
        for _ in range(3):
            sess.run(update)
            found.append(sess.run(averages.average(v)))
        return {"averages": found}


def case_a_resource_variable_is_read_when_it_says_so(tf):
    v = tf.get_variable("r", [2], use_resource=True, initializer=tf.ones_initializer())
    before = v.read_value()
    with tf.control_dependencies([before]):
        changed = v.assign_add([1.0, 1.0])
    with tf.control_dependencies([changed]):
        fetches = {"before": before + 0.0, "after": v.read_value()}
    return outcome(tf, fetches, v)


def shown_after_an_update(tf, make, shape, update=None):
    """What `make` gives of a variable, used and fetched after the variable changed."""
    start = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    v = tf.Variable(start, name="v")
    shown = make(v)
    with tf.control_dependencies(tf.nest.flatten(shown)):
        changed = (update or (lambda v: tf.assign(v, start + 1000.0)))(v)
    with tf.control_dependencies([changed]):
        used = [part + 0.0 for part in tf.nest.flatten(shown)]
    operation = changed if isinstance(changed, tf.Operation) else changed.op
    found = outcome(tf, {"used": used, "shown": shown, "changed": operation}, v)
    return {name: value for name, value in found.items() if name != "changed"}


def case_other_shapes_share_memory(tf):
    found = {}
    for name, make in {
        "reshape": lambda v: tf.reshape(v, [4, 2]),
        "reshape_unknown": lambda v: tf.reshape(v, [tf.shape(v)[0], -1]),
        "expand": lambda v: tf.expand_dims(v, 0),
        "squeeze": lambda v: tf.squeeze(v),
        "newaxis": lambda v: v[:, tf.newaxis],
        "all": lambda v: v[...],
        "identities": lambda v: tf.identity_n([v, v]),
        "checked": lambda v: tf.check_numerics(v, "v"),
        "default": lambda v: tf.placeholder_with_default(v, [2, 4]),
        "reshaped_twice": lambda v: tf.reshape(tf.expand_dims(v, 1), [8]),
        "transposed": lambda v: tf.transpose(v),
        "unmoved": lambda v: tf.transpose(tf.expand_dims(v, 0), [1, 0, 2]),
        "sum": lambda v: tf.reduce_sum(tf.reshape(v, [8])),
    }.items():
        with tf.Graph().as_default():
            result = shown_after_an_update(tf, make, [2, 4])
            found.update({f"{name}_{key}": value for key, value in result.items()})
    return found


def case_parts_share_memory_where_they_are_aligned(tf):
    found = {}
    for shape in ([4, 16], [4, 4], [32], [4, 8, 2], [3, 5]):
        for name, make in {
            "rows": lambda v: v[1:3],
            "row": lambda v: v[1],
            "slice": lambda v: tf.slice(v, [0] * len(v.shape), [2, *v.shape.as_list()[1:]]),
            "columns": lambda v: v[..., :1],
            "half": lambda v: tf.split(v, 2)[1] if int(v.shape[0]) % 2 == 0 else v[:1],
            "sizes": lambda v: tf.split(v, [1, int(v.shape[0]) - 1]),
            "vector": lambda v: v[16:],
            "unstacked": lambda v: tf.unstack(v),
        }.items():
            with tf.Graph().as_default():
                result = shown_after_an_update(tf, make, shape)
                found.update({f"{shape}_{name}_{key}": value for key, value in result.items()})
    return found


def case_views_show_every_kind_of_update(tf):
    found = {}
    ones = np.ones([4, 16], np.float32)
    for name, update in {
        "added": lambda v: tf.assign_add(v, ones),
        "scattered": lambda v: tf.scatter_update(v, [0, 2], ones[:2]),
        "computed": lambda v: tf.assign(v, tf.reverse(v * 10.0, [0])),
        "trained": lambda v: tf.train.GradientDescentOptimizer(1.0).apply_gradients([(ones, v)]),
    }.items():
        with tf.Graph().as_default():
            result = shown_after_an_update(
                tf, lambda v: [v[1:], tf.reshape(v, [8, 8])], [4, 16], update
            )
            found.update({f"{name}_{key}": value for key, value in result.items()})
    return found


def case_a_variable_of_another_size_gets_new_memory(tf):
    v = tf.Variable(np.zeros([4, 16], np.float32), validate_shape=False)
    v_known = tf.identity(v)
    v_known.set_shape([4, 16])
    shown = tf.reshape(v_known, [8, 8])
    with tf.control_dependencies([shown]):
        changed = tf.assign(v, np.ones([5, 16], np.float32), validate_shape=False)
    with tf.control_dependencies([changed]):
        used = shown + 0.0
    return outcome(tf, {"used": used}, v)
