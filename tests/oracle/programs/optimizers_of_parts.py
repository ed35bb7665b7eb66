"""All optimizers on partitioned variables, dense and by rows: values, slots, what their Savers write."""

import numpy as np

TOLERANCE = {"rtol": 2e-5, "atol": 1e-5}
START = np.arange(12, dtype=np.float32).reshape(6, 2) / 4 - 1
AIM = np.array([[0.5, -1.0]], np.float32)
ROWS = [5, 0, 3, 0, 4]


def part_of_start(shape, dtype=None, partition_info=None):
    first = partition_info.var_offset[0]
    return START[first : first + shape[0]]


def optimizers(tf, step):
    return {
        "descent": tf.train.GradientDescentOptimizer(0.1),
        "momentum": tf.train.MomentumOptimizer(0.05, 0.9),
        "nesterov": tf.train.MomentumOptimizer(0.05, 0.9, use_nesterov=True),
        "adam": tf.train.AdamOptimizer(0.1),
        "adagrad": tf.train.AdagradOptimizer(0.1),
        "adagrad_da": tf.train.AdagradDAOptimizer(0.1, step, 0.1, 0.01, 0.02),
        "adadelta": tf.train.AdadeltaOptimizer(0.5),
        "rms_prop": tf.train.RMSPropOptimizer(0.05, momentum=0.5),
        "centered": tf.train.RMSPropOptimizer(0.05, epsilon=1e-3, centered=True),
        "ftrl": tf.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01),
        "proximal": tf.train.ProximalGradientDescentOptimizer(0.1, 0.01, 0.02),
        "proximal_adagrad": tf.train.ProximalAdagradOptimizer(0.1, 0.1, 0.01, 0.02),
    }


def trained(tf, is_sparse, use_resource):
    found = {}
    for name in optimizers(tf, 0):
        with tf.Graph().as_default(), tf.Session() as sess:
            step = tf.train.get_or_create_global_step()
            v = tf.get_variable(
                "scope/v", [6, 2], initializer=part_of_start, use_resource=use_resource,
                partitioner=tf.fixed_size_partitioner(3),
            )  # fmt: skip
            used = tf.nn.embedding_lookup(v, ROWS, partition_strategy="div") if is_sparse else tf.convert_to_tensor(v)  # fmt: skip
            loss = tf.reduce_sum(tf.square(used - AIM))
            optimizer = optimizers(tf, step)[name]
            train = optimizer.minimize(loss, step)
            sess.run(tf.global_variables_initializer())
            losses = []
            for _ in range(20):
                losses.append(sess.run([loss, train])[0])
            parts = list(v)
            found[f"{name} losses"] = np.array(losses)
            found[f"{name} value"] = np.concatenate(sess.run(parts))
            slots = optimizer.variables()
            found[f"{name} slots"] = [[slot.name, str(slot.shape)] for slot in slots]
            found[f"{name} slot values"] = np.concatenate([np.ravel(x) for x in sess.run(slots)] or [np.zeros(0)])  # fmt: skip
            found[f"{name} names"] = optimizer.get_slot_names()
            found[f"{name} of the last"] = [
                optimizer.get_slot(parts[-1], slot).name for slot in optimizer.get_slot_names()
            ]
            path = tf.train.Saver().save(sess, "./model")
            found[f"{name} checkpoint"] = [[key, list(shape)] for key, shape in tf.train.list_variables(path)]  # fmt: skip
    return found


def case_dense_by_reference(tf):
    return trained(tf, False, False)


def case_dense_by_handle(tf):
    return trained(tf, False, True)


def case_rows_by_reference(tf):
    return trained(tf, True, False)


def case_rows_by_handle(tf):
    return trained(tf, True, True)
