"""Variables, resources, tables and updates: operations with state, each row beginning with its own."""

from pathlib import Path

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
)
from ckpt.graph.opdef import OPS
from ckpt.graph.stack import get_default_graph
from ckpt.ops import constants
from tests.conformance.ops import case, conformance, normal, positive

START = normal(3, 2)
UPDATES = positive(2, 2) + 1
PLACES = np.array([2, 0], np.int32)
SCALARS = [np.float32(v) for v in (0.9, 0.8, 0.01, 0.7, 0.6, 1e-3)]
WORDS = np.array([b"a", b"b", b"?"], object)
NUMBERS = np.array([1, 2, 7], np.int64)


def after(*operations):
    """What is built in this block runs after `operations`."""
    return get_default_graph().control_dependencies([getattr(o, "op", o) for o in operations])


def reference(value):
    """A reference variable that holds `value` before anything else of the row runs."""
    value = constants.constant(value)
    made = OPS["VariableV2"](shape=value.shape, dtype=value.dtype)
    return OPS["Assign"](made, value)


def handle(value, name="held"):
    """(the handle of a resource variable, the operation that gives it `value`)."""
    value = constants.constant(value)
    made = OPS["VarHandleOp"](shape=value.shape, dtype=value.dtype, shared_name=name)
    return made, OPS["AssignVariableOp"](made, value)


def held(made, dtype=dtypes.float32):
    return OPS["ReadVariableOp"](made, dtype=dtype)


def changed(name, *inputs, **attrs):
    """The value of a resource variable after the operation `name`."""
    made, ready = handle(START)
    with after(ready):
        step = OPS[name](made, *inputs, **attrs)
    with after(step):
        return held(made)


def row(name, *inputs, by, **attrs):
    return case(
        lambda *x: OPS[name](reference(START), *x, **attrs),
        *inputs,
        grad=0,
        title=name,
        expect=by,
        rtol=1e-6,
    )


def resource_row(name, *inputs, by, **attrs):
    return case(
        lambda *x: changed(name, *x, **attrs), *inputs, grad=0, title=name, expect=by, rtol=1e-6
    )


def scattered(function):
    found = START.copy()
    for place, update in zip(PLACES, UPDATES, strict=True):
        found[place] = function(found[place], update)
    return found


SCATTERS = {
    "Update": lambda old, new: new, "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide,
    "Min": np.minimum, "Max": np.maximum,
}  # fmt: skip
ND = ("Update", "Add", "Sub", "Min", "Max")

TestScatter = conformance([
    *[row(f"Scatter{name}", PLACES, UPDATES, by=scattered(f)) for name, f in SCATTERS.items()],
    *[resource_row(f"ResourceScatter{name}", PLACES, UPDATES, by=scattered(f)) for name, f in SCATTERS.items()],
    *[row(f"ScatterNd{name}", PLACES[:, None], UPDATES, by=scattered(SCATTERS[name])) for name in ND],
    *[resource_row(f"ResourceScatterNd{name}", PLACES[:, None], UPDATES, by=scattered(SCATTERS[name])) for name in ND],
    case(lambda: OPS["ScatterAdd"](reference(START), [7], START[:1]), raises=InvalidArgumentError, match=r"not in \[0, 3\)",
         title="ScatterAdd"),
])  # fmt: skip


def cut(value):
    found = START.copy()
    found[1:3, 0] = value
    return found


WHERE = [np.array(part, np.int32) for part in ((1, 0), (3, 1), (1, 1))]
DROPPED = {"shrink_axis_mask": 2}

TestSliceAssign = conformance([
    row("StridedSliceAssign", *WHERE, UPDATES[0], by=cut(UPDATES[0]), **DROPPED),
    resource_row("ResourceStridedSliceAssign", *WHERE, UPDATES[0], by=cut(UPDATES[0]), **DROPPED),
    case(lambda: OPS["StridedSliceAssign"](reference(START), *WHERE, START, **DROPPED), raises=InvalidArgumentError,
         match="must be the same", title="StridedSliceAssign"),
])  # fmt: skip


def initialized():
    made = OPS["VariableV2"](shape=[2], dtype=dtypes.float32)
    before = OPS["IsVariableInitialized"](made)
    with after(before):
        ready = OPS["Assign"](made, np.ones(2, np.float32))
    with after(ready):
        return [before, OPS["IsVariableInitialized"](made)]


def resource_initialized():
    made = OPS["VarHandleOp"](shape=[2], dtype=dtypes.float32, shared_name="w")
    before = OPS["VarIsInitializedOp"](made)
    with after(before):
        ready = OPS["AssignVariableOp"](made, np.ones(2, np.float32))
    with after(ready):
        there = OPS["VarIsInitializedOp"](made)
    with after(there):
        gone = OPS["DestroyResourceOp"](made)
    with after(gone):
        return [before, there, OPS["VarIsInitializedOp"](made)]


def temporary(x):
    made = OPS["TemporaryVariable"](shape=x.shape, dtype=x.dtype, var_name="t")
    return OPS["DestroyTemporaryVariable"](OPS["Assign"](made, x), var_name="t")


def first_version(x):
    return OPS["Assign"](OPS["Variable"](shape=x.shape, dtype=x.dtype), x)


def counted(limit):
    made, ready = handle(np.int64(3))
    with after(ready):
        step = OPS["ResourceCountUpTo"](made, limit=limit, T=dtypes.int64)
    with after(step):
        return [step, held(made, dtypes.int64)]


def of_handle(build):
    made, ready = handle(START)
    with after(ready):
        return build(made)


def unset():
    return OPS["Identity"](OPS["VariableV2"](shape=[2], dtype=dtypes.float32))


TestVariables = conformance([
    row("AssignAdd", normal(3, 2, seed=1), by=START + normal(3, 2, seed=1)),
    row("AssignSub", normal(3, 2, seed=1), by=START - normal(3, 2, seed=1)),
    resource_row("AssignAddVariableOp", normal(3, 2, seed=1), by=START + normal(3, 2, seed=1)),
    resource_row("AssignSubVariableOp", normal(3, 2, seed=1), by=START - normal(3, 2, seed=1)),
    case(initialized, expect=[np.bool_(False), np.bool_(True)], grad=0),
    case(resource_initialized, expect=[np.bool_(False), np.bool_(True), np.bool_(False)], grad=0),
    case(temporary, START, expect=START, grad=0),
    case(first_version, START, expect=START, grad=0, looser="a Variable of the first version knows no shape"),
    case(lambda: OPS["CountUpTo"](reference(np.int32(3)), limit=5), expect=np.int32(3), grad=0, title="CountUpTo"),
    case(lambda: OPS["CountUpTo"](reference(np.int32(5)), limit=5), raises=OutOfRangeError, match="limit of 5",
         title="CountUpTo"),
    case(counted, 5, expect=[np.int64(3), np.int64(4)], grad=0),
    case(counted, 3, raises=OutOfRangeError, match="limit of 3"),
    case(lambda: of_handle(OPS["VariableShape"]), expect=np.array([3, 2], np.int32), grad=0, title="VariableShape"),
    case(lambda i: of_handle(lambda h: OPS["ResourceGather"](h, i, dtype=dtypes.float32)), PLACES, expect=START[PLACES],
         grad=0, title="ResourceGather"),
    case(unset, raises=FailedPreconditionError, match="uninitialized"),
])  # fmt: skip


def switched(pred):
    false, true = OPS["RefSwitch"](reference(START), pred)
    merged, which = OPS["RefMerge"]([false, true])
    return [OPS["Identity"](merged), which]


def in_a_frame():
    inside = OPS["RefEnter"](reference(START), frame_name="f")
    return OPS["Identity"](OPS["RefExit"](inside))


def optionals(x):
    one = OPS["OptionalFromValue"]([x, np.int32(3)])
    kinds = {"output_types": [dtypes.float32, dtypes.int32], "output_shapes": [[3, 2], []]}
    none = OPS["OptionalNone"]()
    return [
        OPS["OptionalHasValue"](one),
        OPS["OptionalHasValue"](none),
        *OPS["OptionalGetValue"](one, **kinds),
    ]


def array_of_gradients(x):
    array, flow = OPS["TensorArrayV3"](2, dtype=dtypes.float32)
    flow = OPS["TensorArrayWriteV3"](array, 0, x, flow)
    gradients, flow = OPS["TensorArrayGradV3"](array, flow, source="gradients")
    for _ in range(2):  # gradients add up
        flow = OPS["TensorArrayWriteV3"](gradients, 0, x, flow)
    return OPS["TensorArrayReadV3"](gradients, 0, flow, dtype=dtypes.float32)


TestReferences = conformance([
    *[case(switched, np.bool_(pred), expect=[START, np.int32(pred)], grad=0) for pred in (False, True)],
    case(in_a_frame, expect=START, grad=0, looser="what comes round a loop may have another shape"),
    case(array_of_gradients, START, expect=START * 2, grad=0),
    case(optionals, START, expect=[np.bool_(True), np.bool_(False), START, np.int32(3)], grad=0),
])  # fmt: skip


def momentum(name, *gradient, nesterov):
    var, accum = reference(START), reference(np.ones_like(START))
    lr, decay = np.float32(0.1), np.float32(0.9)
    moved = OPS[name](var, accum, lr, *gradient, decay, use_nesterov=nesterov)
    with after(moved):
        return [OPS["Identity"](moved), OPS["Identity"](accum)]


def adam(gradient, nesterov):
    parts = [reference(v) for v in (START, START * 0.5, np.abs(START))]
    moved = OPS["ApplyAdam"](*parts, *SCALARS, gradient, use_nesterov=nesterov)
    with after(moved):
        return [OPS["Identity"](v) for v in (moved, *parts[1:])]


def by_handles(name, *starts):
    """Builds the update `name` of resource variables that begin as `starts`: their values after it."""

    def build(*inputs, **attrs):
        made, ready = zip(*[handle(v, f"held {i}") for i, v in enumerate(starts)], strict=True)
        with after(*ready):
            step = OPS[f"Resource{name}"](*made, *inputs, **attrs)
        with after(step):
            return [held(each) for each in made]

    return build


GRADIENT = normal(3, 2, seed=2)
LR, DECAY = np.float32(0.1), np.float32(0.9)


def momentum_by_handles(g, nesterov):
    return by_handles("ApplyMomentum", START, np.ones_like(START))(
        LR, g, DECAY, use_nesterov=nesterov
    )


def momentum_of_rows(g):
    return by_handles("SparseApplyMomentum", START, np.ones_like(START))(LR, g, PLACES, DECAY)


def momentum_by_numpy(nesterov):
    accum = DECAY + GRADIENT
    return [START - LR * (GRADIENT + DECAY * accum if nesterov else accum), accum]


def rows_by_numpy():
    accum, value = np.ones_like(START), START.copy()
    accum[PLACES] = DECAY + UPDATES
    value[PLACES] -= LR * accum[PLACES]
    return [value, accum]


def adam_by_numpy(m, v):
    power1, power2, rate, beta1, beta2, epsilon = map(np.float64, SCALARS)
    m, v = beta1 * m + (1 - beta1) * GRADIENT, beta2 * v + (1 - beta2) * GRADIENT**2
    moved = START - rate * np.sqrt(1 - power2) / (1 - power1) * m / (np.sqrt(v) + epsilon)
    return [part.astype(np.float32) for part in (moved, m, v)]


MEANS = (START * 0.5, np.abs(START))

TestTraining = conformance([
    case(lambda g: by_handles("ApplyGradientDescent", START)(LR, g), GRADIENT, expect=[START - LR * GRADIENT], grad=0,
         title="ResourceApplyGradientDescent", rtol=1e-6),
    *[case(momentum_by_handles, GRADIENT, n, expect=momentum_by_numpy(n), grad=0, rtol=1e-6) for n in (False, True)],
    case(momentum_of_rows, UPDATES, expect=rows_by_numpy(), grad=0, rtol=1e-6),
    case(lambda g: by_handles("ApplyAdam", START, *MEANS)(*SCALARS, g), GRADIENT, expect=adam_by_numpy(*MEANS), grad=0,
         title="ResourceApplyAdam", rtol=1e-5),
    row("ApplyGradientDescent", np.float32(0.5), normal(3, 2, seed=2), by=START - 0.5 * normal(3, 2, seed=2)),
    *[case(adam, normal(3, 2, seed=2), nesterov, grad=0, rtol=1e-5) for nesterov in (False, True)],
    *[case(lambda g, n=n: momentum("ApplyMomentum", g, nesterov=n), normal(3, 2, seed=2), grad=0, title=f"ApplyMomentum {n}",
           rtol=1e-6) for n in (False, True)],
    *[case(lambda g, n=n: momentum("SparseApplyMomentum", g, PLACES, nesterov=n), UPDATES, grad=0,
           title=f"SparseApplyMomentum {n}", rtol=1e-6) for n in (False, True)],
])  # fmt: skip


def table(kind):
    return OPS[kind](key_dtype=dtypes.string, value_dtype=dtypes.int64, shared_name="words")


def looked_up(words):
    made = table("HashTableV2")
    with after(OPS["InitializeTableV2"](made, WORDS, NUMBERS)):
        return [OPS["LookupTableFindV2"](made, words, np.int64(-1)), OPS["LookupTableSizeV2"](made)]


def exported(fill):
    made = table("MutableHashTableV2")
    with after(OPS["LookupTableInsertV2"](made, WORDS[:1], NUMBERS[:1])):
        filled = OPS[fill](made, WORDS[1:2], NUMBERS[1:2])
    with after(filled):
        keys, values = OPS["LookupTableExportV2"](made, Tkeys=dtypes.string, Tvalues=dtypes.int64)
        found = OPS["LookupTableFindV2"](made, WORDS, np.int64(-1))
        return [OPS["Sum"](values, [0]), OPS["Size"](keys), found]


def from_file(words, path, value_index):
    made = table("HashTableV2")
    with after(
        OPS["InitializeTableFromTextFileV2"](made, path, key_index=0, value_index=value_index)
    ):
        return [OPS["LookupTableFindV2"](made, words, np.int64(-1)), OPS["LookupTableSizeV2"](made)]


FRUITS = np.array([b"pear", b"fig"], object)
VOCABULARY = str(Path(__file__).with_name("vocabulary.txt"))

TestTables = conformance([
    case(looked_up, np.array([[b"b", b"z"]], object), expect=[np.array([[2, -1]]), np.int64(3)], grad=0),
    case(exported, "LookupTableInsertV2", expect=[np.int64(3), np.int32(2), np.array([1, 2, -1])], grad=0),
    case(exported, "LookupTableImportV2", expect=[np.int64(2), np.int32(1), np.array([-1, 2, -1])], grad=0),
    case(OPS["GenerateVocabRemapping"], VOCABULARY, VOCABULARY, new_vocab_offset=1, num_new_vocab=2, old_vocab_size=2,
         expect=[np.array([1, -1]), np.int32(1)], grad=0),
    case(from_file, FRUITS, VOCABULARY, -1, expect=[np.array([1, -1]), np.int64(3)], grad=0, title="line numbers"),
    case(from_file, FRUITS, VOCABULARY, 1, expect=[np.array([-2, -1]), np.int64(3)], grad=0, title="second column"),
    case(from_file, FRUITS, "not there", -1, raises=NotFoundError, match="not there"),
])  # fmt: skip
