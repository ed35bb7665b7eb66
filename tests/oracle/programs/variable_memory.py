"""What a run sees of a reference variable that changes meanwhile: TensorFlow's reads share the variable's memory."""


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
