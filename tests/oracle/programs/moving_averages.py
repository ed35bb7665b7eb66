"""Moving averages: the nodes they add, their names, values, and what is restored. Initial values are left out:
TensorFlow copies the conditional that makes them into each average, here it is shared.
"""


def listing(tf):
    ops = [
        op
        for op in tf.get_default_graph().get_operations()
        if not any(part in op.name for part in ("cond", "Initialized", "Assign/", "initial"))
        and not op.name.endswith("/Assign")
    ]
    return {
        "ops": [[op.name, op.type] for op in ops],
        "wiring": [
            [op.name, [x.name for x in op.inputs], sorted(c.name for c in op.control_inputs)]
            for op in ops
        ],
    }


def outcome(tf, use_resource=False, **options):
    variable = tf.Variable([1.0, 2.0], name="a", use_resource=use_resource)
    tensor = tf.multiply([3.0, 4.0], 1.0, name="b")
    averages = tf.train.ExponentialMovingAverage(0.9, **options)
    move = averages.apply([variable, tensor])
    grow = variable.assign_add([1.0, 1.0])
    found = {
        **({} if use_resource else listing(tf)),
        "move": move.name,
        "name": averages.name,
        "names": [averages.average_name(variable), averages.average_name(tensor)],
        "variables": sorted(v.name for v in tf.global_variables()),
        "averaged": [v.name for v in tf.moving_average_variables()],
        "restored": sorted([k, v.name] for k, v in averages.variables_to_restore().items()),
        "some": sorted([k, v.name] for k, v in averages.variables_to_restore([variable]).items()),
    }
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for _ in range(3):
            sess.run(grow)
            sess.run(move)
        found["values"] = sess.run(averages.average(variable))
        found["of_tensor"] = sess.run(averages.average(tensor))
    return found


def case_plain(tf):
    return outcome(tf)


def case_resource(tf):
    return outcome(tf, use_resource=True)


def case_named(tf):
    return outcome(tf, name="shadow")


def case_number_of_updates(tf):
    return outcome(tf, num_updates=5)


def case_updates_in_a_variable(tf):
    return outcome(tf, num_updates=tf.Variable(3, name="step", trainable=False, use_resource=False))


def case_debiased(tf):
    return outcome(tf, zero_debias=True)


def case_in_scopes(tf):
    with tf.variable_scope("s"):
        a = tf.get_variable("a", [2], use_resource=False)
        averages = tf.train.ExponentialMovingAverage(0.9, name="foo")
        move = averages.apply([a])
    with tf.name_scope("q"):
        other = tf.train.ExponentialMovingAverage(0.9).average_name(a)
    return {"names": [move.name, averages.average_name(a), averages.average(a).name, other]}


def case_twice(tf):
    a, b = (tf.Variable(1.0, name=name, use_resource=False) for name in "ab")
    averages = tf.train.ExponentialMovingAverage(0.9)
    moves = [averages.apply([a]).name, averages.apply([b]).name, averages.apply([a]).name]
    other = tf.train.ExponentialMovingAverage(0.5)
    return {
        "moves": [*moves, other.apply([a]).name],
        "variables": [v.name for v in tf.global_variables()],
        "averaged": [v.name for v in tf.moving_average_variables()],
        "restored": [[k, v.name] for k, v in sorted(other.variables_to_restore().items())],
    }


def error_integers(tf):
    tf.train.ExponentialMovingAverage(0.9).apply([tf.Variable(1)])


def moving(tf):
    """The module that has the two functions: TensorFlow keeps them outside of `tf.train`."""
    if hasattr(tf.train, "assign_moving_average"):
        return tf.train
    from tensorflow.python.training import moving_averages

    return moving_averages


def assigned(tf, zero_debias):
    with tf.variable_scope("s"):
        v = tf.get_variable("v", initializer=[1.0, 2.0])
        moves = [
            moving(tf).assign_moving_average(v, [3.0, 1.0], decay, zero_debias)
            for decay in (0.75, tf.constant(0.5))
        ]
    found = {**listing(tf), "names": [v.name for v in tf.global_variables()]}
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for number in range(3):
            for move in moves:
                sess.run(move.op)
                found[f"{number} {move.name}"] = sess.run(v)
    return found


def case_assigned(tf):
    return assigned(tf, False)


def case_assigned_without_bias(tf):
    return assigned(tf, True)


def case_weighted(tf):
    weight = tf.placeholder(tf.float32, [], name="weight")
    average = moving(tf).weighted_moving_average(tf.constant([1.0, 2.0]) * weight, 0.5, weight)
    found = {**listing(tf), "names": [v.name for v in tf.global_variables()]}
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        found["values"] = [sess.run(average, {weight: w}).tolist() for w in (1.0, 2.0, 4.0)]
    return found


def case_what_is_restored_and_where_to(tf):
    """Training saves averages, evaluation restores them into the variables: maps, names and values."""
    found = {}
    for resource in (False, True):
        with tf.Graph().as_default():
            v = tf.get_variable("v", initializer=[1.0, 2.0], use_resource=resource)
            w = tf.get_variable("w", initializer=3.0, trainable=False, use_resource=resource)
            u = tf.get_variable("u", initializer=7, trainable=False, use_resource=resource)
            local = [tf.GraphKeys.LOCAL_VARIABLES]
            x = tf.get_variable("x", initializer=7.0, collections=local, use_resource=resource)
            averages = tf.train.ExponentialMovingAverage(0.5)
            found[f"before, {resource}"] = names(averages.variables_to_restore())
            move = averages.apply([v])
            kinds = {
                "none": [],
                "averaged": [v],
                "other": [w],
                "both": (v, w),
                "local": [x],
                "average": [averages.average(v)],
                "integer": [u],
            }
            for name, kind in kinds.items():
                found[f"{name}, {resource}"] = names(averages.variables_to_restore(kind))
            sess = tf.Session()
            sess.run(tf.global_variables_initializer())
            sess.run(v.assign_add([2.0, 2.0]))
            sess.run(move)
            path = tf.train.Saver().save(sess, "m")
            tf.train.Saver(averages.variables_to_restore([v])).restore(sess, path)
            found[f"restored, {resource}"] = sess.run(v)
        with tf.Graph().as_default():
            v = tf.get_variable("v", [2], use_resource=resource)
            w = tf.get_variable("w", [], trainable=False, use_resource=resource)
            wanted = tf.train.ExponentialMovingAverage(0.5).variables_to_restore()
            found[f"evaluated, {resource}"] = names(wanted)
            sess = tf.Session()
            tf.train.Saver(wanted).restore(sess, path)
            found[f"values, {resource}"] = sess.run(v)
            found[f"value, {resource}"] = sess.run(w)
        with tf.Graph().as_default():
            with tf.variable_scope("scope"):
                tf.get_variable("v", [2], use_resource=resource)
            with tf.name_scope("inner"):
                other = tf.train.ExponentialMovingAverage(0.5, name="EMA")
                found[f"in a scope, {resource}"] = names(other.variables_to_restore())
    averages = tf.train.ExponentialMovingAverage(0.5)
    return {**found, "of a number": lambda: averages.variables_to_restore(3)}


def names(variables):
    return sorted([key, variable.name] for key, variable in variables.items())
