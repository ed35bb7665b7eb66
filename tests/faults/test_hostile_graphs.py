"""Graphs that name files of those who run them: nothing is read or written that the caller of a run did not name. Gate G9."""

import builtins
import dis
import importlib
import inspect
import os
from contextlib import suppress

import numpy as np
import pytest

import ckpt as tf
from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.graph.opdef import OPS
from ckpt.run.stages import Stage
from tests.faults.foreign import (
    REFUSED,
    carried,
    contents,
    exported,
    in_a_dataset,
    name_of,
    text_node,
    watched,
)

# Each operation type that uses files, as a graph that uses one of the secret ones: what to run.


def element(dataset, *types):
    shapes = [tf.TensorShape([])] * len(types)
    handle = OPS["IteratorV2"](
        shared_name="", container="", output_types=list(types), output_shapes=shapes
    )
    with tf.control_dependencies([OPS["MakeIterator"](dataset, handle)]):
        return OPS["IteratorGetNext"](handle, output_types=list(types), output_shapes=shapes)


def read_with(kind, path, read="ReaderReadV2", **attrs):
    queue = tf.FIFOQueue(1, [tf.string], [()])
    more = {"num_records": 1} if read == "ReaderReadUpToV2" else {}
    with tf.control_dependencies([queue.enqueue([path])]):
        return OPS[read](OPS[kind](**attrs), queue.queue_ref, **more)


def table_from(path):
    table = OPS["HashTableV2"](key_dtype=tf.string, value_dtype=tf.int64)
    return OPS["InitializeTableFromTextFileV2"](table, path, key_index=-2, value_index=-1)


def csv(name, path, *more):
    return element(
        OPS[name](path, "", 0, False, ",", True, "", np.zeros(0, np.int64), [[""], [0]], *more,
                  output_types=[tf.string, tf.int32], output_shapes=[tf.TensorShape([])] * 2),
        tf.string, tf.int32,
    )  # fmt: skip


def unigrams(path):
    return OPS["FixedUnigramCandidateSampler"](
        [[1]], num_true=1, num_sampled=1, unique=False, range_max=2, vocab_file=path
    )


TABLE = {
    "ReadFile": lambda d: OPS["ReadFile"](f"{d}/text"),
    "WriteFile": lambda d: OPS["WriteFile"](f"{d}/text", "overwritten"),
    "MatchingFiles": lambda d: OPS["MatchingFiles"](f"{d}/*"),
    "SaveV2": lambda d: OPS["SaveV2"](f"{d}/model", ["v"], [""], [tf.constant(1.0)]),
    "RestoreV2": lambda d: OPS["RestoreV2"](f"{d}/model", ["v"], [""], dtypes=[tf.float32]),
    "MergeV2Checkpoints": lambda d: OPS["MergeV2Checkpoints"]([f"{d}/part-1", f"{d}/part-2"], f"{d}/model"),
    "TextLineDataset": lambda d: element(OPS["TextLineDataset"](f"{d}/text", "", 0), tf.string),
    "TFRecordDataset": lambda d: element(OPS["TFRecordDataset"](f"{d}/records", "", 0), tf.string),
    "FixedLengthRecordDataset": lambda d: element(OPS["FixedLengthRecordDataset"](f"{d}/text", 0, 4, 0, 0), tf.string),
    "FixedLengthRecordDatasetV2": lambda d: element(
        OPS["FixedLengthRecordDatasetV2"](f"{d}/text", 0, 4, 0, 0, ""), tf.string),
    "CSVDataset": lambda d: csv("CSVDataset", f"{d}/text"),
    "CSVDatasetV2": lambda d: csv("CSVDatasetV2", f"{d}/text", np.zeros(0, np.int64)),
    "TextLineReaderV2": lambda d: read_with("TextLineReaderV2", f"{d}/text"),
    "FixedLengthRecordReaderV2": lambda d: read_with("FixedLengthRecordReaderV2", f"{d}/text", record_bytes=4),
    "TFRecordReaderV2": lambda d: read_with("TFRecordReaderV2", f"{d}/records"),
    "WholeFileReaderV2": lambda d: read_with("WholeFileReaderV2", f"{d}/text"),
    "ReaderReadV2": lambda d: read_with("WholeFileReaderV2", f"{d}/text"),
    "ReaderReadUpToV2": lambda d: read_with("TextLineReaderV2", f"{d}/text", "ReaderReadUpToV2"),
    "InitializeTableFromTextFileV2": lambda d: table_from(f"{d}/text"),
    "GenerateVocabRemapping": lambda d: OPS["GenerateVocabRemapping"](
        f"{d}/text", f"{d}/text", new_vocab_offset=0, num_new_vocab=1),
    "FixedUnigramCandidateSampler": lambda d: unigrams(f"{d}/text"),
    "PrintV2": lambda d: OPS["PrintV2"]("overwritten", output_stream=f"file://{d}/text"),
}  # fmt: skip
WRITING = {"WriteFile", "SaveV2", "MergeV2Checkpoints", "PrintV2"}
each_operation = pytest.mark.parametrize("kind", TABLE)


def test_the_table_has_every_operation_that_uses_files():
    assert set(TABLE) == {kind for kind, opdef in OPS.items() if opdef.files is not None}
    assert {kind for kind in TABLE if OPS[kind].files.writes} == WRITING


@each_operation
def test_an_imported_operation_is_refused_until_it_is_allowed(tmp_path, secret, kind):
    with tf.Graph().as_default():
        fetch = name_of(TABLE[kind](secret))
        path = carried(tmp_path)
    before = contents(secret)
    with tf.Graph().as_default() as graph, watched(secret) as touched:
        tf.train.import_meta_graph(path)
        with tf.Session() as session, pytest.raises(REFUSED) as refused:
            session.run(fetch)
        assert not touched
        assert contents(secret) == before
        message = str(refused.value)
        assert all(part in message for part in (f"{kind} '", path, "allow_file_operations"))
        assert str(secret) in message or "queue" in message

        tf.allow_file_operations(graph)
        with tf.Session() as session, suppress(tf.errors.NotFoundError):
            session.run(fetch)
        assert touched  # so the row is one of an operation that uses files


@each_operation
def test_nothing_is_computed_from_files_while_a_graph_is_imported(tmp_path, secret, kind):
    """Shapes are found from constants: no constant is what a file holds."""
    with tf.Graph().as_default():
        made = TABLE[kind](secret)
        if isinstance(made, (list, tuple)):
            made = made[0]
        if isinstance(made, tf.Tensor) and made.dtype.is_integer:
            tf.reshape(tf.zeros([1]), tf.cast(tf.reshape(made, [-1]), tf.int32))
        with watched(secret) as touched:
            tf.train.import_meta_graph(carried(tmp_path), import_scope="again")
        assert not touched


# What a kernel reaches, found in its code: an operation that uses files and does not say so fails here.

FILE_MODULES = (
    "ckpt.core.storage", "ckpt.core.gfile", "ckpt.core.file_systems", "ckpt.core.atomic", "ckpt.core.remote",
    "ckpt.core.gfile_v1", "ckpt.core.input_file", "ckpt.core.local_files", "ckpt.core.system", "ckpt.core.disk_blocks", "ckpt.formats", "pathlib", "shutil", "tempfile", "glob", "subprocess", "socket", "h5py",
)  # fmt: skip
HARMLESS = {
    "ckpt.formats.base",
    "ckpt.formats.counter",
}  # descriptions of tensors; a bound on lists
WITHOUT_FILES = {
    "IdentityReaderV2": "gives the names themselves",
    "ReaderNumRecordsProducedV2": "asks a reader", "ReaderNumWorkUnitsCompletedV2": "asks a reader",
    "ReaderResetV2": "resets a reader", "ReaderRestoreStateV2": "for readers without an open file",
    "ReaderSerializeStateV2": "for readers without an open file",
}  # fmt: skip


def _is_file_module(name):
    inside = any(name == m or name.startswith(f"{m}.") for m in FILE_MODULES)
    return inside and name not in HARMLESS


def _codes(code):
    yield code
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _codes(constant)


def _used(function):
    """The global values, imported modules and captured values that a function names."""
    for code in _codes(function.__code__):
        instructions = list(dis.get_instructions(code))
        for this, after in zip(instructions, [*instructions[1:], None], strict=True):
            if this.opname == "IMPORT_NAME":
                yield importlib.import_module(this.argval)
            elif this.opname == "LOAD_GLOBAL":
                value = function.__globals__.get(this.argval, getattr(builtins, this.argval, None))
                is_harmless = value is os and after is not None and after.argval == "urandom"
                if not is_harmless:
                    yield value
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # an empty one
            yield cell.cell_contents


def reaches_files(kernel):
    """Whether a kernel names anything that opens files, itself or in what it calls in ckpt/ops."""
    pending, seen = [kernel], set()
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        module = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "")
        if value is open or value is os or _is_file_module(str(module)):
            return True
        if not str(module).startswith("ckpt.ops"):
            continue
        if inspect.isfunction(value):
            pending += _used(value)
        elif inspect.isclass(value):
            pending += [f for f in vars(value).values() if inspect.isfunction(f)]
            pending += value.__bases__
    return False


def test_every_operation_that_reaches_files_says_so():
    found = {kind for kind, opdef in OPS.items() if reaches_files(opdef.kernel)}
    assert found - WITHOUT_FILES.keys() == TABLE.keys() - {"ReaderReadV2", "ReaderReadUpToV2"}


# Functions, branches, loops, datasets


def in_a_branch(path):
    return tf.cond(
        tf.placeholder_with_default(True, []), lambda: tf.read_file(path), lambda: tf.constant("")
    )


def in_a_loop(path):
    return tf.while_loop(lambda i, s: i < 1, lambda i, s: (i + 1, tf.read_file(path)), [0, ""])[1]


def in_a_dataset_in_a_branch(path):
    return tf.cond(
        tf.placeholder_with_default(True, []), lambda: in_a_dataset(path), lambda: tf.constant("")
    )


def in_a_map(path):
    return tf.map_fn(lambda n: tf.read_file(path), tf.constant([1]), tf.string)


INSIDE = [in_a_branch, in_a_loop, in_a_dataset, in_a_dataset_in_a_branch, in_a_map]


@pytest.mark.parametrize("build", INSIDE)
def test_inside_of_functions_they_are_found_too(tmp_path, secret, build):
    path, fetch = exported(tmp_path, lambda: build(str(secret / "text")))
    with tf.Graph().as_default() as graph, tf.Session() as session, watched(secret) as touched:
        tf.train.import_meta_graph(path)
        with pytest.raises(REFUSED, match=r"ReadFile.*'[^']*/secret/text'"):
            session.run(fetch)
        assert not touched
        tf.allow_file_operations(graph)
        assert b"a,1\nb,2\n" in session.run(fetch)
    with tf.Graph().as_default():
        tf.train.import_meta_graph(path, allow_file_operations=True)
        for _ in range(2):  # the functions are there when the second is planned
            with tf.Session() as session:
                assert b"a,1\nb,2\n" in session.run(fetch)


def v1_control_flow(path, kind):
    """Nodes of TensorFlow 1's control flow, as graphs that it wrote have them."""
    pred = tf.constant(True)
    if kind == "Switch":
        _, taken = OPS["Switch"](tf.constant(path), pred)
        return OPS["Merge"]([tf.read_file(taken), tf.constant("")])[0]
    entered = OPS["Enter"](tf.constant(path), frame_name="f", is_constant=True)
    return OPS["Exit"](tf.read_file(entered))


@pytest.mark.parametrize("kind", ["Switch", "Enter"])
def test_among_the_nodes_of_older_control_flow_they_are_found_too(tmp_path, secret, kind):
    path, fetch = exported(tmp_path, lambda: v1_control_flow(str(secret / "text"), kind))
    with tf.Graph().as_default(), tf.Session() as session, watched(secret) as touched:
        tf.train.import_meta_graph(path)
        with pytest.raises(REFUSED, match="ReadFile"):
            session.run(fetch)
        assert not touched


def test_a_function_that_the_caller_has_too_is_not_trusted_with_a_file_of_the_graph(
    tmp_path, secret
):
    """The same function is shared; who calls it decides."""

    def build(name):
        path = tf.constant(name)
        return tf.cond(
            tf.placeholder_with_default(True, [], "pred"),
            lambda: tf.read_file(path, "read"),
            lambda: tf.constant(""),
            name="mine",
        )

    path, fetch = exported(tmp_path, lambda: build(str(secret / "text")))
    with tf.Graph().as_default() as graph, tf.Session() as session:
        (tmp_path / "own").write_text("own")
        own = build(str(tmp_path / "own"))
        count = len(graph._bodies)
        tf.train.import_meta_graph(path, import_scope="theirs")
        assert len(graph._bodies) == count  # they are shared
        assert session.run(own) == b"own"
        with pytest.raises(REFUSED, match="ReadFile"):
            session.run(f"theirs/{fetch}")


def times_its_size(name):
    x = tf.placeholder_with_default(2.0, [], "x")
    content = lambda: tf.cast(tf.strings.length(tf.read_file(name)), tf.float32)  # noqa: E731
    return tf.cond(x > 0, lambda: x * content(), lambda: x, name="y")


def test_a_function_of_the_caller_stays_his_where_a_gradient_copies_it(tmp_path, secret):
    path, _ = exported(tmp_path, lambda: times_its_size(str(secret / "text")))
    with tf.Graph().as_default() as graph, tf.Session() as session:
        y = times_its_size(str(secret / "text"))
        count = len(graph._bodies)
        tf.train.import_meta_graph(path, import_scope="theirs")
        assert len(graph._bodies) == count  # they are shared
        (slope,) = tf.gradients(y, graph.get_tensor_by_name("x:0"))
        assert session.run(slope) == 8
        theirs = (
            graph.get_tensor_by_name(f"theirs/{tensor.name}")
            for tensor in (y, y.graph.get_tensor_by_name("x:0"))
        )
        (slope,) = tf.gradients(*theirs)
        with pytest.raises(REFUSED, match="ReadFile"):
            session.run(slope)


def test_a_copy_for_a_gradient_is_no_way_round(tmp_path, secret):
    path, fetch = exported(tmp_path, lambda: times_its_size(str(secret / "text")))
    with tf.Graph().as_default() as graph, tf.Session() as session, watched(secret) as touched:
        tf.train.import_meta_graph(path)
        (slope,) = tf.gradients(graph.get_tensor_by_name(fetch), graph.get_tensor_by_name("x:0"))
        with pytest.raises(REFUSED, match="ReadFile"):
            session.run(slope)
        assert not touched
        tf.allow_file_operations(graph)
        assert session.run(slope) == 8


def test_what_stands_for_other_nodes_is_looked_at(tmp_path, secret):
    """A graph may say that a branch of a function computes what its harmless nodes seem to compute."""

    def build():
        pred = tf.placeholder_with_default(True, [], "pred")
        left, right = OPS["Switch"](tf.constant("harmless"), pred)
        merged = OPS["Merge"]([left, right], name="seen")[0]
        branch = tf.cond(pred, lambda: tf.read_file(str(secret / "text")), lambda: tf.constant(""))
        holder = next(o for o in tf.get_default_graph().get_operations() if o.type == "If")
        holder._set_attr("_stands_for", [b"seen:0"])
        assert branch is not merged
        return merged

    path, fetch = exported(tmp_path, build)
    with tf.Graph().as_default() as graph, tf.Session() as session, watched(secret) as touched:
        tf.train.import_meta_graph(path)
        assert graph.stand_ins
        with pytest.raises(REFUSED, match="ReadFile"):
            session.run(fetch)
        assert not touched


READING = {"Tin": [tf.string], "Tout": [tf.string], "f": defs.Func("reading", {})}
A_FUNCTION = defs.FunctionDef(
    "reading", (defs.ArgDef("path", tf.string),), (defs.ArgDef("content", tf.string),),
    (defs.NodeDef("read", "ReadFile", ("path",), "", {}),), {"content": "read:contents:0"},
)  # fmt: skip


@pytest.mark.parametrize("order", [1, -1])
def test_a_function_may_read_what_all_who_call_it_were_given(tmp_path, secret, order):
    (tmp_path / "mine").write_text("mine")
    calls = [
        defs.NodeDef("good", "PartitionedCall", ("name",), "", READING),
        defs.NodeDef("bad", "PartitionedCall", ("e_path",), "", READING),
    ][::order]
    name = defs.NodeDef("name", "Placeholder", (), "", {"dtype": tf.string})
    nodes = (name, text_node("e_path", f"{secret}/text"), *calls)
    with tf.Graph().as_default(), tf.Session() as session, watched(secret) as touched:
        tf.import_graph_def(defs.GraphDef(nodes, (A_FUNCTION,)), name="")
        feeds = {"name:0": str(tmp_path / "mine")}
        assert session.run("good:0", feeds) == b"mine"
        for fetches in ("bad:0", ["good:0", "bad:0"], ["bad:0", "good:0"]):
            with pytest.raises(REFUSED, match="ReadFile 'read' in function 'reading'"):
                session.run(fetches, feeds)
        assert not touched


def test_what_lies_inside_of_what_stands_for_others_is_looked_at(tmp_path, secret):
    """A fetch may be taken from a branch that says that it holds it; then all of that branch runs."""
    texts = {"T": tf.string}

    def side(name, node):
        nodes = (
            text_node("p", f"{secret}/text"),
            node,
            defs.NodeDef("x", "Identity", ("r:contents:0",), "", texts),
        )
        return defs.FunctionDef(
            name, (), (defs.ArgDef("y", tf.string),), nodes, {"y": "x:output:0"}
        )

    read = defs.NodeDef("r", "ReadFile", ("p:output:0",), "", {})
    holder = {
        "Tcond": tf.bool, "Tin": [], "Tout": [tf.string], "output_shapes": [], "_stands_for": ["seen:0"],
        "then_branch": defs.Func("then", {}), "else_branch": defs.Func("else", {}),
    }  # fmt: skip
    nodes = (
        defs.NodeDef("pred", "Placeholder", (), "", {"dtype": tf.bool}),
        text_node("c", "harmless"),
        defs.NodeDef("x", "Identity", ("c",), "", texts),
        defs.NodeDef("switch", "Switch", ("x", "pred"), "", texts),
        defs.NodeDef("seen", "Merge", ("switch", "switch:1"), "", {**texts, "N": 2}),
        defs.NodeDef("holder", "If", ("pred",), "", holder),
    )
    library = (side("then", read), side("else", read))
    with tf.Graph().as_default() as graph, tf.Session() as session, watched(secret) as touched:
        tf.import_graph_def(defs.GraphDef(nodes, library), name="")
        assert graph.stand_ins
        with pytest.raises(REFUSED, match="'r' in function"):
            session.run(["x:0", "seen:0"], {"pred:0": True})
        assert not touched


def test_all_are_named_at_once_and_nothing_runs_before(tmp_path, secret):
    with tf.Graph().as_default():
        v = tf.get_variable("v", initializer=0.0)
        with tf.control_dependencies([v.assign(1.0)]):
            reads = [tf.read_file(str(secret / "text"), name=f"read{n}") for n in range(30)]
        tf.group(*reads, name="all")
        path = carried(tmp_path)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(path)
        session.run("v/Assign")
        with pytest.raises(
            REFUSED, match=r"30 operations(?s:.*read0.*read19.*and 10 more)"
        ) as refused:
            session.run("all")
        assert refused.value.op.type == "ReadFile"
        assert session.run("v:0") == 0


# What the caller names may be read


FED = {
    "ReadFile": lambda p: tf.read_file(p),
    "an identity": lambda p: tf.read_file(tf.identity(p)),
    "a branch": lambda p: tf.cond(tf.placeholder_with_default(True, []), lambda: tf.read_file(p), lambda: tf.constant("")),
    "a fixed variable of a loop": lambda p: tf.while_loop(
        lambda i, q, s: i < 1, lambda i, q, s: (i + 1, q, tf.read_file(q)), [0, p, ""])[2],
    "a dataset": lambda p: element(OPS["TextLineDataset"](tf.reshape(p, [-1]), "", 0), tf.string),
    "a dataset of several": lambda p: element(OPS["TextLineDataset"](tf.stack([p, p]), "", 0), tf.string),
}  # fmt: skip


@pytest.mark.parametrize("build", FED.values(), ids=FED)
def test_a_file_that_the_caller_feeds_is_read(tmp_path, secret, build):
    path, fetch = exported(tmp_path, lambda: build(tf.placeholder(tf.string, [], "name")))
    (tmp_path / "mine").write_text("mine")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(path)
        assert session.run(fetch, {"name:0": str(tmp_path / "mine")}) == b"mine"


NOT_FED = {
    "a default": lambda p, d: tf.read_file(tf.placeholder_with_default(f"{d}/text", [])),
    "a name beside": lambda p, d: tf.read_file(OPS["StringJoin"]([p, "/../secret/text"])),
    "a choice": lambda p, d: tf.read_file(tf.where(tf.equal(p, p), tf.constant(f"{d}/text"), p)),
    "a stack": lambda p, d: tf.read_file(tf.stack([p, f"{d}/text"])[1]),
    "a variable of a loop": lambda p, d: tf.while_loop(
        lambda i, q, s: i < 2, lambda i, q, s: (i + 1, tf.constant(f"{d}/text"), tf.read_file(q)), [0, p, ""])[2],
    "writing": lambda p, d: tf.write_file(p, "overwritten"),
    "saving": lambda p, d: OPS["SaveV2"](p, ["v"], [""], [tf.constant(1.0)]),
}  # fmt: skip


@pytest.mark.parametrize("build", NOT_FED.values(), ids=NOT_FED)
def test_no_other_file_is_used_and_none_is_written(tmp_path, secret, build):
    def whole():
        name = tf.placeholder(tf.string, [], "name")
        return build(name, str(secret))

    path, fetch = exported(tmp_path, whole)
    mine = tmp_path / "mine"
    mine.mkdir()
    with tf.Graph().as_default(), tf.Session() as session, watched(secret) as touched:
        tf.train.import_meta_graph(path)
        with pytest.raises(REFUSED):
            session.run(fetch, {"name:0": str(mine)})
        assert not touched
        assert not list(mine.iterdir())
        assert sorted(tmp_path.iterdir()) == [tmp_path / "hostile.meta", mine, secret]


def test_what_is_built_here_uses_any_file(tmp_path, secret):
    path, _ = exported(tmp_path, lambda: tf.constant(1, name="n"))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(path)
        assert session.run(tf.read_file(str(secret / "text"))) == b"a,1\nb,2\n"


def test_what_is_imported_later_must_be_allowed_again(tmp_path, secret):
    path, fetch = exported(tmp_path, lambda: tf.read_file(str(secret / "text")))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(path, import_scope="a", allow_file_operations=True)
        tf.train.import_meta_graph(path, import_scope="b")
        assert session.run(f"a/{fetch}")
        with pytest.raises(REFUSED, match="'b/ReadFile'"):
            session.run([f"a/{fetch}", f"b/{fetch}"])
        tf.allow_file_operations()
        assert session.run([f"a/{fetch}", f"b/{fetch}"])


def test_what_an_earlier_part_of_a_run_computed_is_not_what_the_caller_feeds(tmp_path, secret):
    path, fetch = exported(
        tmp_path, lambda: tf.read_file(tf.constant(str(secret / "text"), name="c"))
    )
    with tf.Graph().as_default() as graph, tf.Session() as session, watched(secret) as touched:
        tf.train.import_meta_graph(path)
        run = session.partial_run_setup(["c:0", fetch])
        session.partial_run(run, "c:0")
        with pytest.raises(REFUSED, match="secret/text"):
            session.partial_run(run, fetch)
        stages = [Stage(fetches=(graph.get_tensor_by_name(name),)) for name in ("c:0", fetch)]
        with pytest.raises(REFUSED, match="secret/text"):
            session.stages(stages)
        assert not touched


def test_what_an_earlier_part_of_a_run_was_fed_is_read(tmp_path):
    (tmp_path / "mine").write_text("mine")
    path, fetch = exported(
        tmp_path,
        lambda: tf.read_file(tf.identity(tf.placeholder(tf.string, [], "name"), name="same")),
    )
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(path)
        run = session.partial_run_setup(["same:0", fetch], ["name:0"])
        session.partial_run(run, "same:0", {"name:0": str(tmp_path / "mine")})
        assert session.partial_run(run, fetch) == b"mine"


def test_a_message_is_not_trusted_either(tmp_path, secret):
    with tf.Graph().as_default() as graph:
        tf.read_file(str(secret / "text"), name="read")
        data = graph.as_graph_def().SerializeToString()
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(tf.GraphDef.FromString(data), name="")
        with pytest.raises(REFUSED, match="read"):
            session.run("read:0")
        with pytest.raises(REFUSED, match="read"):
            session.make_callable("read:0")
        with pytest.raises(REFUSED, match="read"):
            session.partial_run(session.partial_run_setup(["read:0"]), "read:0")


@pytest.mark.parametrize(
    ("callee", "error", "told"),
    [("g", REFUSED, "ReadFile 'read' in function 'f'"), ("f", GraphError, "'f' calls itself")],
)
def test_deep_chains_and_functions_that_call_themselves_end(tmp_path, callee, error, told):
    nodes = [text_node("n0", "x")]
    nodes += [
        defs.NodeDef(f"n{i}", "Identity", (f"n{i - 1}",), "", {"T": tf.string})
        for i in range(1, 20_000)
    ]
    arguments = (defs.ArgDef("a", tf.string),), (defs.ArgDef("r", tf.string),)
    body = defs.FunctionDef(
        "f", *arguments,
        (defs.NodeDef("again", "PartitionedCall", ("a",), "", {"Tin": [tf.string], "Tout": [tf.string], "f": defs.Func(callee, {})}),
         defs.NodeDef("read", "ReadFile", ("again:output:0",), "", {})),
        {"r": "read:contents:0"},
    )  # fmt: skip
    end = defs.FunctionDef(
        "g", *arguments, (defs.NodeDef("i", "Identity", ("a",), "", {"T": tf.string}),), {"r": "i:output:0"}
    )  # fmt: skip
    call = defs.NodeDef("call", "PartitionedCall", (nodes[-1].name,), "",
                        {"Tin": [tf.string], "Tout": [tf.string], "f": defs.Func("f", {})})  # fmt: skip
    graph_def = defs.GraphDef((*nodes, call), (body, end))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(graph_def, name="")
        with pytest.raises(error, match=told):
            session.run("call:0")
