"""Train, save, restore from the graph's own file, continue, and restore a part under other names."""

import os

import numpy as np
import tensorflow.compat.v1 as tf

rng = np.random.RandomState(17)
inputs = rng.normal(size=[120, 5]).astype(np.float32)
outputs = np.sin(inputs @ rng.normal(size=[5, 2])).astype(np.float32)
directory = "checkpoints"
os.makedirs(directory)
path = os.path.join(directory, "model.ckpt")

# 1. Build, train, save every ten steps, keep the last two.
tf.set_random_seed(12)
x = tf.placeholder(tf.float32, [None, 5], name="x")
y = tf.placeholder(tf.float32, [None, 2], name="y")
w1 = tf.Variable(tf.random_normal([5, 16], stddev=0.4), name="w1")
b1 = tf.Variable(tf.zeros([16]), name="b1")
w2 = tf.Variable(tf.random_normal([16, 2], stddev=0.4), name="w2")
hidden = tf.nn.tanh(tf.matmul(x, w1) + b1, name="hidden")
predicted = tf.matmul(hidden, w2, name="predicted")
loss = tf.reduce_mean(tf.square(predicted - y), name="loss")
global_step = tf.Variable(0, trainable=False, name="global_step", dtype=tf.int64)
train_op = tf.train.AdamOptimizer(0.02).minimize(loss, global_step=global_step, name="train_op")
tf.add_to_collection("train_op", train_op)
tf.add_to_collection("predicted", predicted)
saver = tf.train.Saver(max_to_keep=2)

losses, saved = [], []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(1, 31):
        losses.append(sess.run([loss, train_op], {x: inputs, y: outputs})[0])
        if step % 10 == 0:
            saved.append(saver.save(sess, path, global_step=global_step))
    first_answer = sess.run(predicted, {x: inputs[:4]})

state = tf.train.get_checkpoint_state(directory)
latest = tf.train.latest_checkpoint(directory)
kept = [tf.train.checkpoint_exists(prefix) for prefix in saved]

# 2. Another program: no model code, continue where the first one stopped.
tf.reset_default_graph()
with tf.Session() as sess:
    restorer = tf.train.import_meta_graph(latest + ".meta")
    restorer.restore(sess, latest)
    graph = tf.get_default_graph()
    x, y = graph.get_tensor_by_name("x:0"), graph.get_tensor_by_name("y:0")
    train_op = tf.get_collection("train_op")[0]
    second_answer = sess.run(tf.get_collection("predicted")[0], {x: inputs[:4]})
    for _ in range(10):
        losses.append(sess.run(["loss:0", train_op], {x: inputs, y: outputs})[0])
    step_now = sess.run("global_step:0")
    imported = [v.name for v in tf.global_variables()]
    last = restorer.save(sess, path, global_step=40, write_meta_graph=False)
    w1_last, b1_last = sess.run(["w1:0", "b1:0"])

# 3. A third program takes the first layer only, under other names.
with tf.Graph().as_default():
    kernel = tf.get_variable("layer/kernel", [5, 16])
    bias = tf.get_variable("layer/bias", [16])
    fresh = tf.get_variable("fresh", [3], initializer=tf.ones_initializer())
    part = tf.train.Saver({"w1": kernel, "b1": bias})
    with tf.Session() as sess:
        sess.run(fresh.initializer)
        before = sess.run(tf.report_uninitialized_variables())
        part.restore(sess, last)
        kernel_value, bias_value, fresh_value = sess.run([kernel, bias, fresh])
        try:
            tf.train.Saver([fresh]).restore(sess, last)
            error = "none"
        except tf.errors.NotFoundError as problem:
            error = problem.error_code
        try:
            sess.run(tf.assign(kernel, tf.zeros([2, 2]), validate_shape=False))
            part.restore(sess, os.path.join(directory, "nowhere"))
        except ValueError as problem:
            missing = type(problem).__name__

print("loss", losses[0], "->", losses[29], "->", losses[-1])
results = {
    "losses": np.array(losses),
    "saved": saved,
    "kept": kept,
    "latest": latest,
    "all": list(state.all_model_checkpoint_paths),
    "first_answer": first_answer,
    "second_answer": second_answer,
    "resumed_exactly": bool((first_answer == second_answer).all()),
    "step_now": step_now,
    "imported": imported,
    "last": last,
    "last_checkpoint": restorer.last_checkpoints[-1],
    "w1": w1_last,
    "uninitialized": before,
    "kernel": kernel_value,
    "part_is_exact": bool((kernel_value == w1_last).all() and (bias_value == b1_last).all()),
    "fresh": fresh_value,
    "error": error,
    "missing": missing,
}
