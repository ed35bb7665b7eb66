"""The main job on real input: two models, trained apart, saved, inspected, chained, merged into one graph.

    python docs/demo_digits.py [DIRECTORY]

A feature extractor (trained with a head of its own, then cut at its features) and a classifier of such features are
two separate programs. The data are the UCI handwritten digits in fixtures/digits; the last 360 are never trained on.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import ckpt as tf

DIGITS = Path(__file__).resolve().parents[1] / "fixtures" / "digits" / "digits.npz"
TEST_ROWS = 360
FEATURES = 32


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images [1797, 64] in 0..1 and labels [1797]."""
    with np.load(DIGITS) as file:
        images = file["images"].reshape(-1, 64).astype(np.float32) / 16
        return images, file["labels"].astype(np.int64)


def train(loss: tf.Tensor, feeds: dict, steps: int, batch: int = 128) -> tf.Session:
    """A session that made `steps` steps of Adam on random batches of the fed rows."""
    step = tf.train.get_or_create_global_step()
    update = tf.train.AdamOptimizer(0.005).minimize(loss, global_step=step)
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    rng = np.random.RandomState(0)
    count = len(next(iter(feeds.values())))
    for _ in range(steps):
        rows = rng.randint(0, count, batch)
        sess.run(update, {tensor: values[rows] for tensor, values in feeds.items()})
    return sess


def extractor_program(images: np.ndarray, labels: np.ndarray, path: Path) -> np.ndarray:
    """Train an extractor under a temporary head, save it, and return the features of all images."""
    with tf.Graph().as_default():
        tf.set_random_seed(1)
        x = tf.placeholder(tf.float32, [None, 64], name="x")
        y = tf.placeholder(tf.int64, [None], name="y")
        with tf.variable_scope("extractor"):
            kernel = tf.get_variable("kernel", [3, 3, 1, 8])
            maps = tf.nn.relu(
                tf.nn.conv2d(tf.reshape(x, [-1, 8, 8, 1]), kernel, [1, 1, 1, 1], "SAME")
            )
            pooled = tf.nn.max_pool(maps, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
            weights = tf.get_variable("weights", [4 * 4 * 8, FEATURES])
            bias = tf.get_variable("bias", [FEATURES], initializer=tf.zeros_initializer())
            flat = tf.reshape(pooled, [-1, 4 * 4 * 8])
        features = tf.nn.relu(tf.nn.bias_add(tf.matmul(flat, weights), bias), name="features")
        head = tf.matmul(features, tf.get_variable("head", [FEATURES, 10]))
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=head))
        train_rows = slice(None, -TEST_ROWS)
        with train(loss, {x: images[train_rows], y: labels[train_rows]}, steps=200) as sess:
            tf.train.Saver().save(sess, path / "model.ckpt", global_step=tf.train.get_global_step())
            return sess.run(features, {x: images})


def classifier_program(features: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """Train a classifier of features and save it."""
    with tf.Graph().as_default():
        tf.set_random_seed(2)
        x = tf.placeholder(tf.float32, [None, FEATURES], name="x")
        y = tf.placeholder(tf.int64, [None], name="y")
        with tf.variable_scope("classifier"):
            weights = tf.get_variable("weights", [FEATURES, 10])
            bias = tf.get_variable("bias", [10], initializer=tf.zeros_initializer())
        logits = tf.nn.bias_add(tf.matmul(x, weights), bias, name="logits")
        tf.argmax(logits, 1, name="digit")
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        )
        train_rows = slice(None, -TEST_ROWS)
        with train(loss, {x: features[train_rows], y: labels[train_rows]}, steps=300) as sess:
            tf.train.Saver().save(sess, path / "model.ckpt", global_step=tf.train.get_global_step())


def show(*command: object) -> None:
    """Run a command line of ckpt and show it with its output."""
    words = [str(word) for word in command]
    print("$ ckpt", *words, flush=True)
    subprocess.run([sys.executable, "-m", "ckpt", *words], check=True)
    print(flush=True)


def main(directory: Path) -> float:
    """Do it all below `directory` and return the accuracy on the digits that were kept apart."""
    images, labels = digits()
    for name in ("extractor", "classifier"):
        (directory / name).mkdir(parents=True, exist_ok=True)

    print("1. Train and save two models, each a program of its own\n")
    features = extractor_program(images, labels, directory / "extractor")
    classifier_program(features, labels, directory / "classifier")

    print("2. What is in the files?\n")
    show("inspect", directory / "extractor")
    show("inspect", directory / "classifier")

    print("3. Two graphs, the output of one fed to the other\n")
    models = tf.load_models({"a": directory / "extractor", "b": directory / "classifier"})
    chain = tf.chain(models, connect={"b/x:0": "a/features:0"})
    test_images, test_labels = images[-TEST_ROWS:], labels[-TEST_ROWS:]
    chained = chain.run("b/logits:0", {"a/x:0": test_images})
    print(
        f"   chain of {models['a'].graph.version} and {models['b'].graph.version} nodes: logits {chained.shape}\n"
    )

    print("4. One merged graph, one checkpoint\n")
    merged_path = directory / "both" / "model.ckpt"
    show(
        "merge", f"a={directory / 'extractor'}", f"b={directory / 'classifier'}", "-o", merged_path,
        "--connect", "b/x:0=a/features:0", "--force",
    )  # fmt: skip
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.train.import_meta_graph(f"{merged_path}.meta").restore(sess, merged_path)
        merged, digit = sess.run(["b/logits:0", "b/digit:0"], {"a/x:0": test_images})
    if not np.array_equal(merged, chained):
        raise SystemExit(
            f"the merged graph differs from the chain by {np.abs(merged - chained).max()}"
        )
    accuracy = float((digit == test_labels).mean())
    print("   the merged graph computes exactly what the chain computes")
    print(f"   accuracy on {TEST_ROWS} digits never trained on: {accuracy:.1%}")
    return accuracy


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
