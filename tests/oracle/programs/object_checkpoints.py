"""Checkpoints of objects and their manager: keys, counters, what is kept, what is refused."""

import os
import tempfile


def in_session(tf, use):
    with tempfile.TemporaryDirectory() as directory, tf.Session() as sess:
        return use(sess, directory)


def shorter(directory, paths):
    return [os.path.relpath(path, directory) for path in paths]


def case_keys(tf):
    def use(sess, directory):
        v = tf.get_variable("v", initializer=[1.0, 2.0], use_resource=False)
        w = tf.Variable(3, name="w", use_resource=False)
        optimizer = tf.train.AdamOptimizer(0.1)
        step = optimizer.minimize(tf.reduce_sum(v))
        root = tf.train.Checkpoint(v=v, opt=optimizer)
        root.inner = tf.train.Checkpoint(x=w)
        root.listed = [v, w]
        sess.run(tf.global_variables_initializer())
        sess.run(step)
        prefix = root.save(f"{directory}/ck", session=sess)
        keys = [name for name, _ in tf.train.list_variables(prefix) if not name.startswith("_")]
        before = sess.run(v)
        sess.run(step)
        status = root.restore(prefix)
        status.assert_consumed()
        status.assert_existing_objects_matched()
        status.run_restore_ops(session=sess)
        return {
            "keys": sorted(keys),
            "prefix": shorter(directory, [prefix, tf.train.latest_checkpoint(directory)]),
            "restored": sess.run(v),
            "before": before,
            "counter": sess.run(root.save_counter),
            "name": root.save_counter.name,
        }

    return in_session(tf, use)


def case_keys_of_what_is_reached_by_several_ways(tf):
    def use(sess, directory):
        v, w = (tf.Variable(n, name=f"v{n}", use_resource=False) for n in (5.0, 6.0))
        inner = tf.train.Checkpoint(z=w, y=v, x=w)
        root = tf.train.Checkpoint(
            z=[w], l=[v, w], d={"k": v}, b=inner, a=tf.train.Checkpoint(i=inner)
        )
        sess.run(tf.global_variables_initializer())
        names = tf.train.list_variables(root.save(f"{directory}/ck", session=sess))
        return {"keys": sorted(name for name, _ in names if not name.startswith("_"))}

    return in_session(tf, use)


def case_lacking_and_left(tf):
    def use(sess, directory):
        v, w = (tf.Variable(n, name=f"v{n}", use_resource=False) for n in (5.0, 6.0))
        sess.run(tf.global_variables_initializer())
        prefix = tf.train.Checkpoint(v=v, w=w).save(f"{directory}/ck", session=sess)
        new = tf.Variable(7.0, use_resource=False)
        raised = []
        for root in (
            tf.train.Checkpoint(v=v, new=new),
            tf.train.Checkpoint(v=v),
            tf.train.Checkpoint(q=new),
        ):
            status = root.restore(prefix)
            checks = [
                status.assert_consumed,
                status.assert_existing_objects_matched,
                status.assert_nontrivial_match,
            ]
            raised.append([outcome(check) for check in checks])
        empty = tf.train.Checkpoint(v=v).restore(None)
        raised.append([outcome(empty.assert_consumed), outcome(empty.run_restore_ops)])
        status = tf.train.Checkpoint(v=v, new=new).restore(prefix)
        status.initialize_or_restore(session=sess)
        return {"raised": raised, "values": sess.run([v, new])}

    return in_session(tf, use)  # fmt: skip


def outcome(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001  # the error is the result, and is compared
        return type(error).__name__
    return "fine"


def case_manager(tf):
    def use(sess, directory):
        v = tf.Variable(5.0, use_resource=False)
        sess.run(v.initializer)
        root = tf.train.Checkpoint(v=v)
        manager = tf.train.CheckpointManager(root, f"{directory}/m", max_to_keep=2)
        saved = [manager.save() for _ in range(3)]
        saved.append(manager.save(checkpoint_number=10))
        saved.append(manager.save())
        other = tf.train.CheckpointManager(root, f"{directory}/m", 3, checkpoint_name="x")
        taken = shorter(directory, other.checkpoints)
        saved.append(other.save())
        exist = [tf.train.checkpoint_exists(path) for path in saved]
        return {
            "saved": shorter(directory, saved),
            "taken": taken,
            "kept": shorter(directory, other.checkpoints),
            "latest": shorter(directory, [other.latest_checkpoint, manager.directory]),
            "exist": exist,
        }

    return in_session(tf, use)


def case_intervals(tf):
    def use(sess, directory):
        step = tf.Variable(0, dtype=tf.int64, use_resource=False)
        sess.run(step.initializer)
        root = tf.train.Checkpoint(step=step)
        manager = tf.train.CheckpointManager(
            root, directory, max_to_keep=9, step_counter=step, checkpoint_interval=2
        )
        found = []
        for _ in range(5):
            found.append(str(manager.save()).rpartition("/")[2])
            sess.run(step.assign_add(1))
        found.append(str(manager.save(check_interval=False)).rpartition("/")[2])
        return {"found": found}

    return in_session(tf, use)


def case_foreign_checkpoints_are_left_alone(tf):
    def use(sess, directory):
        root = tf.train.Checkpoint()
        own = [root.save(f"{directory}/own") for _ in range(2)]
        manager = tf.train.CheckpointManager(root, directory, max_to_keep=1)
        before = shorter(directory, [manager.latest_checkpoint, *manager.checkpoints])
        saved = [manager.save() for _ in range(2)]
        return {
            "before": before,
            "exist": [tf.train.checkpoint_exists(path) for path in own + saved],
            "kept": shorter(directory, manager.checkpoints),
        }

    return in_session(tf, use)


def error_number_as_argument(tf):
    tf.train.Checkpoint(x=3)


def error_nowhere(tf):
    tf.train.Checkpoint().restore("no/where")


def error_no_limit(tf):
    tf.train.CheckpointManager(tf.train.Checkpoint(), "d", max_to_keep=0)


def error_interval_without_counter(tf):
    tf.train.CheckpointManager(tf.train.Checkpoint(), "d", 1, checkpoint_interval=2)


def cells(tf):
    cell = tf.nn.rnn_cell
    return {
        "basic": lambda: cell.BasicRNNCell(3),
        "gru": lambda: cell.GRUCell(3),
        "basic_lstm": lambda: cell.BasicLSTMCell(3),
        "lstm": lambda: cell.LSTMCell(3, num_proj=3, use_peepholes=True),
        "stack": lambda: cell.MultiRNNCell([cell.GRUCell(3), cell.BasicRNNCell(2)]),
        "dropout": lambda: cell.DropoutWrapper(cell.GRUCell(3), input_keep_prob=0.5),
        "wrapped": lambda: cell.ResidualWrapper(cell.DeviceWrapper(cell.GRUCell(3), "/cpu:0")),
    }


def case_recurrent_cells(tf):
    found = {}
    for name, make in cells(tf).items():
        with tf.Graph().as_default():
            made = make()
            made(tf.ones([1, 3]), made.zero_state(1, tf.float32))
            with tf.Session() as sess:
                sess.run(tf.global_variables_initializer())
                path = tf.train.Checkpoint(part=made).save(f"cells/{name}", session=sess)
        found[name] = sorted(
            key for key, _ in tf.train.list_variables(path) if not key.startswith("_")
        )
    return found


def case_a_dense_layer(tf):
    layer = tf.layers.Dense(2)
    layer(tf.ones([1, 3]))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = tf.train.Checkpoint(layer=layer).save("dense/x", session=sess)
    return {
        "keys": sorted(key for key, _ in tf.train.list_variables(path) if not key.startswith("_"))
    }


def case_configurations_of_cells(tf):
    found = {}
    for name, make in cells(tf).items():
        if name != "stack":  # TensorFlow's says nothing of its cells
            config = make().get_config()
            inner = config.pop("cell", {})
            while "cell" in inner.get("config", {}):
                inner = inner["config"]["cell"]
            inner = {
                **inner,
                "config": {k: v for k, v in inner.get("config", {}).items() if k != "name"},
            }
            found[name] = [{k: v for k, v in sorted(config.items()) if k != "name"}, inner]
    return found


def case_savers_of_object_checkpoints(tf):
    """A Saver finds the variables of objects by the names that they had in the graph, slots among them."""

    def made(resource, scope=""):
        with tf.variable_scope(scope):
            v = tf.get_variable("v", initializer=[1.0, 2.0], use_resource=resource)
            w = tf.get_variable("s/w", initializer=3.0, use_resource=resource)
        optimizer = tf.train.AdamOptimizer(0.1)
        return v, w, optimizer, optimizer.minimize(tf.reduce_sum(v * v) * w)

    v, w, optimizer, step = made(True)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(step)
        path = tf.train.Checkpoint(a=v, b=w, optimizer=optimizer).save("m")

    def restored(resource, choose, scope=""):
        with tf.Graph().as_default(), tf.Session() as sess:
            made(resource, scope)
            chosen = [v for v in tf.global_variables() if choose(v.op.name)]
            tf.train.Saver(chosen).restore(sess, path)
            return {v.name: sess.run(v).tolist() for v in chosen}

    found = {}
    for resource in (False, True):
        found[f"all, {resource}"] = lambda r=resource: restored(r, lambda name: True)
        found[f"one, {resource}"] = lambda r=resource: restored(r, lambda name: name == "v")
        found[f"others, {resource}"] = lambda r=resource: restored(r, lambda name: True, "scope")
    return found
