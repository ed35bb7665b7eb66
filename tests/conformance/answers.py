"""TensorFlow's answers to the rows of all tables: every graph is run in one process, in the interpreter that has it.

    tf/bin/python tests/conformance/answers.py QUESTIONS.zip ANSWERS.zip

QUESTIONS holds `rows.json`, a list of {"feeds": names, "fetches": names}, and for row i the members `i/graph`
(a GraphDef) and `i/feed/<n>` (TensorProtos). ANSWERS holds `rows.json`, a list of {"dtypes", "shapes"} or
{"error": class names, "message"}, and the members `i/fetch/<n>`. This file must not import ckpt.
"""

import json
import os
import sys
import zipfile


def answer(tf, graph_def, row, feeds):
    """(what the outputs are, their values) of one graph in a session of its own."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        fetches = [graph.get_tensor_by_name(name) for name in row["fetches"]]
        told = {
            "dtypes": [t.dtype.base_dtype.name for t in fetches],
            "shapes": [None if t.shape.rank is None else t.shape.as_list() for t in fetches],
        }
        config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        config.graph_options.optimizer_options.opt_level = -1  # L0: the kernels as they are
        with tf.Session(config=config) as session:
            return told, session.run(fetches, dict(zip(row["feeds"], feeds, strict=True)))


def main(questions, answers):
    """Answer all rows."""
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # the plain kernels: one order of summation
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow.compat.v1 as tf
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    tf.disable_v2_behavior()
    told_of_all = []
    with zipfile.ZipFile(questions) as asked, zipfile.ZipFile(answers, "w") as given:
        for i, row in enumerate(json.loads(asked.read("rows.json"))):
            graph_def = tf.GraphDef.FromString(asked.read(f"{i}/graph"))
            protos = [asked.read(f"{i}/feed/{n}") for n in range(len(row["feeds"]))]
            feeds = [tf.make_ndarray(TensorProto.FromString(proto)) for proto in protos]
            try:
                told, values = answer(tf, graph_def, row, feeds)
            except Exception as error:  # noqa: BLE001  # the error is the answer, and is compared
                classes = [kind.__name__ for kind in type(error).__mro__]
                told_of_all.append({"error": classes, "message": str(error)})
                continue
            told_of_all.append(told)
            for n, (value, dtype) in enumerate(zip(values, told["dtypes"], strict=True)):
                proto = tf.make_tensor_proto(value, dtype)
                given.writestr(f"{i}/fetch/{n}", proto.SerializeToString())
        given.writestr("rows.json", json.dumps(told_of_all))


if __name__ == "__main__":
    main(*sys.argv[1:])
