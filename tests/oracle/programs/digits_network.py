"""The demo's network, both parts in one graph: losses, gradients, variables and slots of 20 training steps.

All weights are set from one seeded numpy stream, in both ways that a program has: as initial values, and by
assigning to variables that `get_variable` made. No random operation takes part.
"""

from pathlib import Path

import numpy as np

DIGITS = Path(__file__).resolve().parents[3] / "fixtures" / "digits" / "digits.npz"
TOLERANCE = {"rtol": 2e-4, "atol": 2e-6}
STEPS = 20
BATCH = 32


def weights():
    """Initial values of all weights, by variable name."""
    random = np.random.RandomState(1998)
    scales = {
        "extractor/conv/weights": ([3, 3, 1, 8], 0.3),
        "extractor/conv/biases": ([8], 0.1),
        "extractor/dense/weights": ([128, 32], 0.1),
        "extractor/dense/biases": ([32], 0.1),
        "classifier/weights": ([32, 10], 0.2),
        "classifier/biases": ([10], 0.1),
    }
    return {
        name: (random.randn(*shape) * scale).astype(np.float32)
        for name, (shape, scale) in scales.items()
    }


def batches():
    """STEPS batches of images [BATCH, 64] in 0..1 and labels [BATCH]."""
    data = np.load(DIGITS)
    images = data["images"].reshape(-1, 64).astype(np.float32) / 16
    labels = data["labels"].astype(np.int64)
    order = np.random.RandomState(5).permutation(len(labels))[: STEPS * BATCH]
    return list(zip(images[order].reshape(STEPS, BATCH, 64), labels[order].reshape(STEPS, BATCH)))


def extractor(tf, x, initial):
    """x: [batch, 64] -> features: [batch, 32]; its variables start with their values."""
    with tf.variable_scope("extractor"):
        image = tf.reshape(x, [-1, 8, 8, 1], name="image")
        with tf.name_scope("conv"):
            kernel = tf.Variable(tf.constant(initial["extractor/conv/weights"]), name="weights")
            biases = tf.Variable(initial["extractor/conv/biases"], name="biases")
            hidden = tf.nn.conv2d(image, kernel, strides=[1, 1, 1, 1], padding="SAME")
            hidden = tf.nn.relu(tf.nn.bias_add(hidden, biases))
        hidden = tf.nn.max_pool(hidden, [1, 2, 2, 1], [1, 2, 2, 1], "VALID", name="pool")
        with tf.name_scope("dense"):
            kernel = tf.Variable(initial["extractor/dense/weights"], name="weights")
            biases = tf.Variable(initial["extractor/dense/biases"], name="biases")
            hidden = tf.matmul(tf.reshape(hidden, [-1, 128]), kernel)
            return tf.nn.relu(tf.nn.bias_add(hidden, biases), name="features")


def classifier(tf, features, initial):
    """features: [batch, 32] -> logits [batch, 10], and the assignments that give its variables their values."""
    with tf.variable_scope("classifier"):
        kernel = tf.get_variable("weights", [32, 10], tf.float32)
        biases = tf.get_variable("biases", [10], initializer=tf.zeros_initializer())
        logits = tf.nn.bias_add(tf.matmul(features, kernel), biases, name="logits")
    assigned = [
        tf.assign(kernel, initial["classifier/weights"]),
        biases.assign(initial["classifier/biases"]),
    ]
    return logits, assigned


def train(tf, optimizer):
    """Build, run STEPS steps, and return everything that can be seen."""
    initial = weights()
    x = tf.placeholder(tf.float32, [None, 64], name="x")
    y = tf.placeholder(tf.int64, [None], name="y")
    features = extractor(tf, x, initial)
    logits, assigned = classifier(tf, features, initial)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
    loss = tf.reduce_mean(each, name="loss")
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), y), tf.float32))
    variables = tf.trainable_variables()
    gradients = tf.gradients(loss, variables)
    step = tf.train.get_or_create_global_step()
    update = optimizer.minimize(loss, global_step=step)
    found = {
        "shapes": [features.shape.as_list(), logits.shape.as_list(), loss.shape.as_list()],
        "update": [update.name, update.type],
    }
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(assigned)
        seen = []
        for images, labels in batches():
            feeds = {x: images, y: labels}
            seen.append(session.run([loss, accuracy, gradients], feeds))
            session.run(update, feeds)
        found["loss"] = np.array([loss_seen for loss_seen, _, _ in seen])
        found["accuracy"] = np.array([accuracy_seen for _, accuracy_seen, _ in seen])
        for i, variable in enumerate(variables):
            found[f"gradient of {variable.op.name}"] = np.stack([held[i] for _, _, held in seen])
        found |= after(tf, session, optimizer)
        found["features"], found["logits"] = session.run([features, logits], {x: images})
    return found


def after(tf, session, optimizer):
    """Names, dtypes and values of all variables, and which of them are slots of which."""
    variables = tf.global_variables()
    found = {
        "variables": [[v.name, v.dtype.name, v.op.type, v.shape.as_list()] for v in variables],
        "slot names": optimizer.get_slot_names(),
        "slots": [
            [name, variable.op.name, optimizer.get_slot(variable, name).op.name]
            for name in optimizer.get_slot_names()
            for variable in tf.trainable_variables()
        ],
    }
    values = session.run(variables)
    return found | {f"variable {v.op.name}": value for v, value in zip(variables, values)}


def case_gradient_descent(tf):
    return train(tf, tf.train.GradientDescentOptimizer(0.1))


def case_momentum(tf):
    return train(tf, tf.train.MomentumOptimizer(0.05, 0.9))


def case_nesterov_momentum(tf):
    return train(tf, tf.train.MomentumOptimizer(0.05, 0.9, use_nesterov=True))


def case_adam(tf):
    return train(tf, tf.train.AdamOptimizer(0.002))


def case_adam_with_own_settings(tf):
    return train(tf, tf.train.AdamOptimizer(0.003, beta1=0.8, beta2=0.99, epsilon=1e-4))


def case_softmax_cross_entropy_of_dense_labels(tf):
    """The other spelling of the loss: labels as distributions, and gradients of both inputs of one layer."""
    random = np.random.RandomState(11)
    features = tf.constant(random.randn(6, 32).astype(np.float32))
    kernel = tf.Variable(weights()["classifier/weights"], name="weights")
    labels = tf.constant(random.dirichlet(np.ones(10), 6).astype(np.float32))
    logits = tf.matmul(features, kernel)
    each = tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits)
    to_features, to_kernel = tf.gradients(each, [features, kernel])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        results = session.run(
            {"each": each, "to_features": to_features, "to_kernel": to_kernel, "logits": logits}
        )
    return {**results, "shape": each.shape.as_list()}


def error_variables_must_be_initialised(tf):
    """Reading a variable before its initialiser ran is an error."""
    logits = tf.matmul(tf.ones([1, 2]), tf.get_variable("w", [2, 2]))
    with tf.Session() as session:
        return {"logits": session.run(logits)}


def error_placeholders_must_be_fed(tf):
    """Running what needs a placeholder without a value for it is an error."""
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    with tf.Session() as session:
        return {"y": session.run(x + 1.0)}


def error_feeds_must_fit(tf):
    """A value whose shape contradicts the placeholder's is refused before anything runs."""
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    with tf.Session() as session:
        return {"y": session.run(x + 1.0, {x: np.zeros([2, 3], np.float32)})}


def error_inner_dimensions_must_agree(tf):
    """A graph with contradicting static shapes cannot be built."""
    return {"y": tf.matmul(tf.zeros([2, 3]), tf.zeros([4, 5])).name}
