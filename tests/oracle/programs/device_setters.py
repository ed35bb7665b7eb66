"""Devices that `tf.train.replica_device_setter` gives to nodes, and descriptions of clusters. Nothing runs elsewhere.

Left out is the device of a resource variable that is read where a tensor is wanted: here it is the variable's, as in
TensorFlow 1; TensorFlow 2.21 says none.
"""

CLUSTER = {"ps": ["ps0:2222", "ps1:2222"], "worker": ["w0:2222", "w1:2222", "w2:2222"]}


def placed(tf, setter, build):
    """The device of every node that `build` makes under a setter."""
    with tf.Graph().as_default() as graph:
        with tf.device(setter):
            build(tf)
        return {op.name: op.device for op in graph.get_operations()}


def several(tf):
    v = tf.get_variable("v", initializer=[1.0, 2.0], use_resource=False)
    w = tf.get_variable("w", initializer=[1.0, 2.0], use_resource=True)
    tf.Variable(3.0, name="x", use_resource=False)
    tf.get_variable("part", [4], partitioner=tf.fixed_size_partitioner(3), use_resource=False)
    tf.add(v, 1.0, name="sum")
    w.assign([3.0, 4.0], name="assigned", read_value=False)
    tf.placeholder(tf.float32, name="p")


TYPES = ["Variable", "VariableV2", "VarHandleOp", "HashTableV2", "MutableHashTableV2", "MutableHashTableOfTensorsV2",
         "MutableDenseHashTableV2", "ConditionalAccumulator", "SparseConditionalAccumulator", "ResourceConditionalAccumulator",
         "FIFOQueueV2", "TemporaryVariable", "Assign", "AssignVariableOp", "Stack", "TensorArrayV3", "Placeholder"]  # fmt: skip


class Node:
    """What a device function looks at."""

    def __init__(self, tf, kind):
        self.type, self.name, self.device = kind, "n", ""
        self.node_def = tf.NodeDef(name="n", op=kind)


def case_types(tf):
    setter = tf.train.replica_device_setter(ps_tasks=1)
    return {kind: setter(Node(tf, kind)) for kind in TYPES}


def around(tf):
    with tf.device("/cpu:0"):
        v = tf.get_variable("v", initializer=[1.0], use_resource=False)
        tf.identity(v, name="on cpu".replace(" ", "_"))
    with tf.device("/job:moon"):
        tf.get_variable("moon", initializer=[1.0], use_resource=False)
        with tf.device("/job:ps"):
            tf.get_variable("ps", initializer=[1.0], use_resource=False)
    with tf.device("/job:ps/task:1"):
        tf.get_variable("told", initializer=[1.0], use_resource=False)
    with tf.device("/job:worker/task:2/gpu:1"):
        tf.add(v, v, name="far")
    with tf.device("/task:1"):
        tf.get_variable("task", initializer=[1.0], use_resource=False)
        tf.add(v, v, name="task_sum")
    with tf.device(None):
        tf.get_variable("none", initializer=[1.0], use_resource=False)
    with tf.colocate_with(v):
        tf.add(v, v, name="beside")
    tf.get_variable("last", initializer=[1.0], use_resource=False)


SETTERS = {
    "nothing": {},
    "none": {"ps_tasks": 0},
    "one": {"ps_tasks": 1},
    "three": {"ps_tasks": 3},
    "cluster": {"cluster": CLUSTER},
    "no merging": {"cluster": CLUSTER, "merge_devices": False},
    "devices": {"cluster": {"sun": ["a:1", "b:1"], "moon": ["c:1"]}, "ps_device": "/job:sun", "worker_device": "/job:moon"},
    "ps with a device": {"ps_tasks": 2, "ps_device": "/job:ps/cpu:0", "worker_device": "/job:worker/task:1/gpu:0"},
    "ps is a cpu": {"ps_tasks": 1, "ps_device": "/cpu:0"},
    "no worker": {"ps_tasks": 2, "worker_device": ""},
    "no ps device": {"ps_tasks": 2, "ps_device": ""},
    "neither": {"ps_tasks": 2, "ps_device": "", "worker_device": ""},
    "nulls": {"ps_tasks": 2, "ps_device": None, "worker_device": None},
    "worker of a task": {"ps_tasks": 2, "worker_device": "/job:worker/task:7"},
    "operations": {"ps_tasks": 2, "ps_ops": ["Add", "AddV2", "Placeholder"]},
    "no operations": {"ps_tasks": 2, "ps_ops": []},
    "cluster without ps": {"cluster": {"worker": ["w0:1"]}},
    "ps tasks beside a cluster": {"ps_tasks": 7, "cluster": CLUSTER},
    "negative": {"ps_tasks": -1},
}  # fmt: skip


def case_setters(tf):
    found = {}
    for name, options in SETTERS.items():
        for build in (several, around):

            def place(options=options, build=build):
                return placed(tf, tf.train.replica_device_setter(**options), build)

            found[f"{name}, {build.__name__}"] = place
    return found


def case_a_setter_used_again_goes_on(tf):
    setter = tf.train.replica_device_setter(ps_tasks=3)
    return {"first": placed(tf, setter, several), "second": placed(tf, setter, several)}


def case_strategies(tf):
    seen = []

    def last(op):
        seen.append([op.name, op.type])
        return 1

    setter = tf.train.replica_device_setter(ps_tasks=2, ps_strategy=last)
    return {
        "devices": placed(tf, setter, around),
        "seen": seen,
    }


def case_around_a_setter(tf):
    def outer(tf):
        with tf.device("/job:outer/replica:1/gpu:3"):
            with tf.device(tf.train.replica_device_setter(ps_tasks=2)):
                several(tf)
            with tf.device(tf.train.replica_device_setter(ps_tasks=2, merge_devices=False)):
                tf.constant(1.0, name="c")
                tf.get_variable("z", initializer=[1.0], use_resource=False)

    return {"devices": placed(tf, None, outer)}


def case_optimizers(tf):
    def build(tf):
        v = tf.get_variable("v", initializer=[1.0, 2.0], use_resource=False)
        w = tf.get_variable("w", initializer=[1.0, 2.0], use_resource=False)
        step = tf.train.get_or_create_global_step()
        tf.train.AdamOptimizer(0.1, name="Adam").minimize(tf.reduce_sum(v * w), step)
        tf.train.Saver(sharded=True)

    found = placed(tf, tf.train.replica_device_setter(cluster=CLUSTER), build)
    return {
        name: device
        for name, device in found.items()
        if not name.startswith("gradients/") and "Adam/update" not in name
    }


def case_refused(tf):
    setter = tf.train.replica_device_setter
    return {
        "cluster": lambda: setter(cluster="x"),
        "list": lambda: setter(cluster=["a:1"]),
        "strategy": lambda: setter(ps_tasks=1, ps_strategy=3),
        "strategy unused": lambda: setter(ps_strategy=3),
        "operations": lambda: placed(tf, setter(ps_tasks=1, ps_ops=3), several),
        "device": lambda: placed(tf, setter(ps_tasks=1, ps_device="/nonsense:x"), several),
        "worker": lambda: placed(tf, setter(ps_tasks=1, worker_device="/nonsense:x"), several),
        "tasks": lambda: placed(tf, setter(ps_tasks="x"), several),
    }


def case_clusters(tf):
    spec = tf.train.ClusterSpec
    cluster = spec(CLUSTER)
    sparse = spec({"worker": {3: "c:1", 1: "a:1"}, "ps": ["b:1"]})
    return {
        "dict": cluster.as_dict(), "sparse": sparse.as_dict(), "jobs": cluster.jobs, "sparse jobs": sparse.jobs,
        "tasks": [cluster.num_tasks("ps"), cluster.job_tasks("worker"), cluster.task_indices("worker"), cluster.task_address("ps", 1)],
        "sparse tasks": [sparse.num_tasks("worker"), sparse.job_tasks("worker"), sparse.task_indices("worker"), sparse.task_address("worker", 3)],
        "message": str(cluster.as_cluster_def()), "sparse message": str(sparse.as_cluster_def()),
        "again": [spec(cluster).as_dict(), spec(cluster.as_cluster_def()).as_dict()],
        "equal": [cluster == spec(CLUSTER), cluster == sparse, cluster == CLUSTER, cluster != spec({})],
        "truth": [bool(cluster), bool(spec({}))], "text": [str(cluster), repr(spec({"a": ["b:1"]}))],
        "bytes": lambda: spec({"a": [b"x:1"]}).as_dict(), "tuple": lambda: spec({"a": ("x:1",)}).as_dict(),
        "empty": lambda: spec({"a": []}).as_dict(),
        "no job": lambda: cluster.num_tasks("x"), "no tasks": lambda: cluster.job_tasks("x"),
        "no indices": lambda: cluster.task_indices("x"), "no address": lambda: cluster.task_address("ps", 9),
        "address of no job": lambda: cluster.task_address("x", 0), "a hole": lambda: sparse.task_address("worker", 0),
        "None": lambda: spec(None).as_dict(), "number": lambda: spec(3).as_dict(), "list": lambda: spec(["a:1"]).as_dict(), "text given": lambda: spec("a:1").as_dict(),
        "number as job": lambda: spec({3: ["a:1"]}).as_dict(), "number as address": lambda: spec({"a": [3]}).as_dict(),
        "text as tasks": lambda: spec({"a": "x:1"}).as_dict(), "text as index": lambda: spec({"a": {"0": "x:1"}}).as_dict(),
        "number as tasks": lambda: spec({"a": 3}).as_dict(), "hash": lambda: isinstance(hash(cluster), int),
    }  # fmt: skip
