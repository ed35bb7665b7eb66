"""The nodes that one-line programs build, and the nodes of their gradients: names, types, wiring, types and shapes.

Each file `lines/*.txt` is a case, each of its lines a program: statements parted by `;`, over the placeholders and
helpers of `_world`. The value of the last one is differentiated by all placeholders, except where the line ends in
`# forward`: there the gradient is computed by other nodes than TensorFlow's. What control flow holds (bodies of
conditionals and loops, guards of assertions) is left out, as that is functional here. docs/conformance.md says what
is not in the files because it differs.
"""

import re
from functools import partial
from pathlib import Path

import numpy as np

LINES = Path(__file__).parent / "lines"
HIDDEN = re.compile(
    r"/AssertGuard|(^|/)cond(_\d+)?($|/)|while(_\d+)?/|assert_broadcastable/(?!weights|values|static)"
)
ERRORS = ("ValueError", "TypeError", "KeyError", "LookupError", "AttributeError", "NotImplementedError",
          "InvalidArgumentError", "RuntimeError")  # fmt: skip


def _world(tf):
    """What the lines may name, and the placeholders by which their values are differentiated."""
    sizes = {
        "f": [2, 3], "g": [2, 3], "m": [3, 4], "v": [3], "v4": [4], "sq": [3, 3], "q": [None, 3], "q3": [None, 2, 3],
        "u": None, "f3": [3, 2, 2], "u4": [None, None, None, 3], "s1": [], "img": [1, 8, 8, 3], "ker": [3, 3, 3, 4],
        "vol": [1, 4, 4, 4, 3], "ker3": [2, 2, 2, 3, 4], "sig": [16],
    }  # fmt: skip
    found = {name: tf.placeholder(tf.float32, shape, name) for name, shape in sizes.items()}
    sources = list(found.values())
    others = {
        "i": (tf.int32, [2, 3]), "iv": (tf.int32, [None]), "iv2": (tf.int32, [2]), "k0": (tf.int32, []),
        "b": (tf.bool, [2, 3]), "bv": (tf.bool, [None]), "bs": (tf.bool, []), "cx": (tf.complex64, [2, 2]),
        "st": (tf.string, [2]), "spi": (tf.int64, [1, 2]), "spv": (tf.float32, [1]), "sps": (tf.int64, [2]),
    }  # fmt: skip
    found.update((name, tf.placeholder(*how, name)) for name, how in others.items())
    found["sp"] = tf.SparseTensor(found["spi"], found["spv"], found["sps"])

    def variable(name="w", **more):
        return tf.get_variable(name, [2, 3], initializer=tf.zeros_initializer(), **more)

    found.update(
        tf=tf,
        np=np,
        W=variable,
        WR=partial(variable, use_resource=True),
        L=lambda w: tf.reduce_sum(tf.square(w)),
        LS=lambda w: tf.reduce_sum(tf.gather(w, [0, 1, 0])),
    )
    return found, sources


def _value(line, names):
    """The value of the last statement of `line`."""
    value = None
    for part in [line] if line.startswith("with ") else line.split(";"):
        try:
            code = compile(part.strip(), "<line>", "eval")
        except SyntaxError:
            exec(part.strip(), names)
        else:
            value = eval(code, names)
    return value


def _members(value):
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [member for part in value for member in _members(part)]
    return [value]


def _nodes(graph, first):
    """The operations from the one numbered `first` on, without those inside control flow."""
    ops = [op for op in graph.get_operations()[first:] if not HIDDEN.search(op.name)]
    return [
        [
            f"{op.name} = {op.type}",
            ["(hidden)" if HIDDEN.search(x.name) else x.name for x in op.inputs],
            sorted("(hidden)" if HIDDEN.search(c.name) else c.name for c in op.control_inputs),
            [
                [t.dtype.name, None if t.shape.dims is None else t.shape.as_list()]
                for t in op.outputs
            ],
        ]
        for op in ops
    ]


def _name(member):
    name = member if isinstance(member, str) else getattr(member, "name", None)
    return name if isinstance(name, str) else type(member).__name__


def _built(tf, line):
    graph = tf.Graph()
    with graph.as_default():
        names, sources = _world(tf)
        first = len(graph.get_operations())
        try:
            members = _members(_value(line, names))
        except Exception as error:  # noqa: BLE001  # its class is the result
            return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in ERRORS)
        tensors = [member for member in members if isinstance(member, tf.Tensor)]
        collections = graph.get_all_collection_keys()
        found = {
            "nodes": _nodes(graph, first),
            "value": [tensor.name for tensor in tensors],
            "collections": {
                str(key): [_name(member) for member in graph.get_collection(key)]
                for key in collections
                if not str(key).endswith("_context")
            },
        }
        floats = [tensor for tensor in tensors if tensor.dtype == tf.float32]
        second = len(graph.get_operations())
        if floats and second > first and not line.endswith("# forward"):
            try:
                gradients = tf.gradients(floats, sources)
            except LookupError:  # of an operation that has none
                return {**found, "gradients": "LookupError"}
            found["gradients"] = [None if g is None else g.name for g in gradients]
            found["gradient nodes"] = _nodes(graph, second)
        return found


def _case(path, tf):
    return {line: _built(tf, line) for line in path.read_text("utf-8").splitlines()}


for _path in sorted(LINES.glob("*.txt")):
    globals()[f"case_{_path.stem}"] = partial(_case, _path)
