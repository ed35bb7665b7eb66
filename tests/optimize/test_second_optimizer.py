"""A model that was trained before, loaded and trained by a new optimizer."""

import ckpt as tf


def test_slots_of_a_new_optimizer_stand_beside_those_of_the_old_one():
    w = tf.get_variable("a/w", [2])
    loss = tf.reduce_sum(w * w, name="loss")
    tf.train.AdamOptimizer(0.1).minimize(loss, name="train")
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        tf.train.import_meta_graph(meta)
        train = tf.train.AdamOptimizer(0.1).minimize(graph.get_tensor_by_name("loss:0"))
        names = [v.op.name for v in tf.global_variables()]
        assert names[3:5] == ["a/w/Adam", "a/w/Adam_1"]
        assert names[7:] == ["a/w/Adam_2", "a/w/Adam_3"]
        sess.run(tf.global_variables_initializer())
        before = sess.run("loss:0")
        sess.run(train)
        assert sess.run("loss:0") < before
