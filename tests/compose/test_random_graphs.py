"""Graphs drawn at random round-trip through files and merge without losing a name or changing a number."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ckpt as tf

SCOPES = ["", "s/", "s/t/", "S/", "a/", "w_1/"]
WORDS = ["w", "x", "y", "Add", "w_1"]
SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

steps = st.lists(
    st.tuples(
        st.sampled_from(["variable", "input", "add", "mul", "tanh", "loop", "choice"]),
        st.sampled_from(SCOPES),
        st.sampled_from(WORDS),
        st.integers(0, 99),
        st.integers(0, 99),
    ),
    min_size=2,
    max_size=12,
)


def build(drawn):
    """A graph of these steps in the default graph; its last tensor is what it computes."""
    tensors = [tf.placeholder(tf.float32, [], name="first")]
    for kind, scope, word, i, j in drawn:
        x, y = tensors[i % len(tensors)], tensors[j % len(tensors)]
        with tf.name_scope(f"{scope}"[:-1] or None):
            if kind == "variable":
                made = tf.Variable(float(i), name=word) + 0.0
            elif kind == "input":
                made = tf.placeholder(tf.float32, [], name=word)
            elif kind == "add":
                with tf.control_dependencies([x.op]):
                    made = tf.add(x, y, name=word)
            elif kind == "mul":
                with tf.colocate_with(x.op):
                    made = tf.multiply(x, y, name=word)
            elif kind == "tanh":
                made = tf.tanh(x, name=word)
            elif kind == "loop":
                _, made = tf.while_loop(
                    lambda k, _: k < 3, lambda k, t, y=y: (k + 1, t * 0.5 + y), (0, x), name=word
                )
            else:
                made = tf.cond(x > y, lambda x=x: x + 1.0, lambda y=y: y - 1.0, name=word)
        tensors.append(made)
        tf.add_to_collection("made", made)
    return tensors[-1]


def saved(drawn, folder, name):
    """Save the graph; returns its prefix, its last tensor's name, its inputs, and what it computes from ones."""
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        tf.get_variable("always", [], initializer=tf.zeros_initializer())
        last = build(drawn)
        sess.run(tf.global_variables_initializer())
        inputs = [op.outputs[0] for op in graph.get_operations() if op.type == "Placeholder"]
        value = sess.run(last, dict.fromkeys(inputs, 1.0))
        prefix = tf.train.Saver().save(sess, str(Path(folder) / name))
        return prefix, last.name, [t.name for t in inputs], value


@SETTINGS
@given(steps)
def test_a_graph_comes_back_from_its_file(drawn):
    with tempfile.TemporaryDirectory() as folder:
        prefix, last, inputs, value = saved(drawn, folder, "m")
        with tf.Graph().as_default(), tf.Session() as sess:
            saver = tf.train.import_meta_graph(prefix + ".meta")
            saver.restore(sess, prefix)
            assert sess.run(last, dict.fromkeys(inputs, 1.0)) == value
            once = saver.export_meta_graph()
        with tf.Graph().as_default() as graph:
            tf.train.import_meta_graph(once)
            assert graph.as_graph_def(add_shapes=True).node == once.graph_def.node
            assert len(graph.get_collection("made")) == len(drawn)


@SETTINGS
@given(steps, steps, st.integers(0, 99), st.booleans())
def test_merged_graphs_lose_no_name_and_compute_the_same(one, two, choice, stops):
    with tempfile.TemporaryDirectory() as folder:
        a, last_a, inputs_a, _ = saved(one, folder, "a")
        b, last_b, inputs_b, _ = saved(two, folder, "b")
        x = f"b/{inputs_b[choice % len(inputs_b)]}"
        wires = {x: f"a/{last_a}"}
        feeds = {f"a/{n}": 1.0 for n in inputs_a} | {f"b/{n}": 1.0 for n in inputs_b}
        del feeds[x]
        chain = tf.chain(tf.load_models({"a": a, "b": b}), connect=wires)
        wanted = chain.run(f"b/{last_b}", feeds)
        with tf.Graph().as_default() as graph, tf.Session() as sess:
            merged = tf.merge_graphs(
                {"a": a, "b": b}, connect=wires, stop_gradient=[x] if stops else []
            )
            merged.restore(sess)
            np.testing.assert_array_equal(sess.run(f"b/{last_b}", feeds), wanted)
            names = {op.name for op in graph.get_operations()}
            for part, model in chain.models.items():
                own = [op.name for op in model.graph.get_operations()]
                lost = [n for n in own if f"{part}/{n}" not in names and "save/" not in n]
                assert not [n for n in lost if not n.startswith("relay")], lost
            assert len(graph.get_collection("made")) == len(one) + len(two)
            prefix = merged.saver.save(sess, str(Path(folder) / "both"))
        with tf.load_models({"m": prefix})["m"] as model:
            np.testing.assert_array_equal(model.run(f"b/{last_b}", feeds), wanted)
