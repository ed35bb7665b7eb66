"""Savers, SavedModels and copies of hostile graphs: they use the files that the caller names, and no others. Gate G9."""

import os
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

import ckpt as tf
from ckpt.core import defs
from ckpt.core.errors import GraphError
from ckpt.wire import messages, metagraph_file, saved_model_file
from tests.faults.foreign import (
    REFUSED,
    carried,
    contents,
    exported,
    in_a_dataset,
    text_node,
    watched,
)

# Copies


def reading(name):
    with tf.name_scope("part"):
        tf.get_variable("part/v", initializer=1.0)
        return tf.read_file(name, name="read")


def test_a_copy_may_do_what_the_original_may(tmp_path, secret):
    path, fetch = exported(tmp_path, lambda: reading(str(secret / "text")))
    with tf.Graph().as_default(), tf.Session() as session:
        reading(str(secret / "text"))
        tf.train.copy_scoped_meta_graph("part", "copy")
        assert session.run("copy/read:0") == session.run("part/read:0")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(path)
        tf.train.copy_scoped_meta_graph("part", "copy")
        with pytest.raises(REFUSED, match="copy/read"):
            session.run("copy/read:0")
        tf.allow_file_operations()
        assert session.run("copy/read:0") == session.run(fetch)


@pytest.mark.parametrize("is_built_here", [True, False])
def test_a_merge_may_do_what_its_live_parts_may(tmp_path, secret, is_built_here):
    path, _ = exported(tmp_path, lambda: reading(str(secret / "text")))
    with tf.Graph().as_default() as graph:
        if is_built_here:
            reading(str(secret / "text"))
        else:
            tf.train.import_meta_graph(path)
        live = tf.Session(graph=graph)
        live.run("part/v/Assign")
    with tf.Graph().as_default() as target, tf.Session() as session:
        tf.merge_graphs({"a": tf.Model.of(live)}, {}, graph=target)
        if is_built_here:
            assert session.run("a/part/read:0")
        else:
            with pytest.raises(REFUSED, match="part/read"):
                session.run("a/part/read:0")
    live.close()


# Python functions


def test_an_imported_node_calls_no_function_that_the_program_has(tmp_path):
    """A token says which function of a graph is meant: that of another graph may say the same."""
    called = []

    def built():
        return tf.py_func(lambda: called.append(1) or np.float32(1), [], tf.float32, name="f")

    with tf.Graph().as_default(), tf.Session() as session:
        own = built()
        token = own.op.get_attr("token").decode()
        tf.train.import_meta_graph(carried(tmp_path), import_scope="theirs")
        with pytest.raises(REFUSED, match="allow_py_functions"):
            session.run("theirs/f:0")
        assert not called
        assert session.run(own) == 1
        tf.allow_py_functions({token: lambda: np.float32(2)})
        assert session.run("theirs/f:0") == 2
    with tf.Graph().as_default(), tf.Session() as session:
        with tf.name_scope("part"):
            built()
        tf.train.copy_scoped_meta_graph("part", "copy")
        assert session.run("copy/f:0") == 1


# Savers


@contextmanager
def imported_model(tmp_path, change=lambda meta: meta, **options):
    """A session with an imported model, its variable set to 3, and its Saver."""
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.get_variable("v", initializer=[3.0])
        tf.get_variable("w", initializer=[4.0])
        session.run([v.initializer, "w/Assign"])
        saver = tf.train.Saver(**options)
        saver.save(session, str(tmp_path / "good"), write_state=False)
    path = tmp_path / "good.meta"
    meta = change(metagraph_file.load(path.read_bytes(), str(path)))
    path.write_bytes(metagraph_file.pack(meta))
    with tf.Graph().as_default(), tf.Session() as session:
        yield session, tf.train.import_meta_graph(str(path))


def with_waiting(target, *nodes):
    """A change of a MetaGraph: `target` waits for further nodes."""

    def change(meta):
        found = []
        for node in meta.graph_def.node:
            is_target = node.name == target
            waits = (f"^{nodes[-1].name}",) if is_target else ()
            found.append(
                defs.NodeDef(node.name, node.op, node.input + waits, node.device, node.attr)
            )
        graph = defs.GraphDef((*found, *nodes), meta.graph_def.library)
        return defs.MetaGraphDef(meta.meta_info_def, graph, meta.saver_def, meta.collection_def)

    return change


@pytest.mark.parametrize(
    "options", [{}, {"sharded": True}, {"reshape": True}, {"restore_sequentially": True}], ids=str
)
def test_an_imported_saver_saves_and_restores(tmp_path, options):
    with imported_model(tmp_path, **options) as (session, saver):
        saver.restore(session, str(tmp_path / "good"))
        assert session.run("v:0") == [3]
        for how in ({}, {"asynchronous": True}):
            saver.save(session, str(tmp_path / "sub" / "again"), **how)
            saver.wait()
            session.run("v/Assign", {"v/initial_value:0": [0.0]})
            saver.restore(session, str(tmp_path / "sub" / "again"))
            assert session.run("v:0") == [3]


def test_a_saver_as_older_programs_wrote_it_saves_and_restores(tmp_path):
    """Their shards lie in a folder whose name has 32 random digits."""

    def change(meta):
        text = np.array(f"_temp_{'0123456789abcdef' * 2}/part".encode(), object)
        nodes = [
            defs.NodeDef("old_suffix", "Const", (), "", {"value": text, "dtype": tf.string}),
            *(
                defs.NodeDef(n.name, n.op, (n.input[0], "old_suffix"), n.device, n.attr)
                if n.op == "StringJoin"
                else n
                for n in meta.graph_def.node
            ),
        ]
        graph = defs.GraphDef(tuple(nodes), meta.graph_def.library)
        return defs.MetaGraphDef(meta.meta_info_def, graph, meta.saver_def, meta.collection_def)

    with imported_model(tmp_path, change, sharded=True) as (session, saver):
        saver.restore(session, str(tmp_path / "good"))
        saver.save(session, str(tmp_path / "again"))
        saver.restore(session, str(tmp_path / "again"))
        assert session.run("v:0") == [3]
        assert not [name for name in os.listdir(tmp_path) if "temp" in name]


def hostile_nodes(secret):
    victim, data = text_node("e_path", f"{secret}/text"), text_node("e_data", "overwritten")
    return {
        "writes": [victim, data, defs.NodeDef("evil", "WriteFile", ("e_path", "e_data"), "", {})],
        "writes the checkpoint": [data, defs.NodeDef("evil", "WriteFile", ("save/Const", "e_data"), "", {})],
        "reads": [victim, defs.NodeDef("evil", "ReadFile", ("e_path",), "", {})],
        "lists": [victim, defs.NodeDef("evil", "MatchingFiles", ("e_path",), "", {})],
    }  # fmt: skip


HOSTILE = ["writes", "writes the checkpoint", "reads", "lists"]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_saver_restores_nothing_and_uses_no_file(tmp_path, secret, kind):
    change = with_waiting("save/restore_all", *hostile_nodes(secret)[kind])
    before = contents(secret)
    with imported_model(tmp_path, change) as (session, saver), watched(secret) as touched:
        whole = (tmp_path / "good.h5").read_bytes()
        session.run(["v/Assign", "w/Assign"], {"v/initial_value:0": [0.0]})
        with pytest.raises(REFUSED, match="'evil'"):
            saver.restore(session, str(tmp_path / "good"))
        assert not touched
        assert session.run("v:0") == [0]
        assert (tmp_path / "good.h5").read_bytes() == whole
    assert contents(secret) == before


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_saver_saves_nothing_and_uses_no_file(tmp_path, secret, kind):
    change = with_waiting("save/control_dependency", *hostile_nodes(secret)[kind])
    before = contents(secret)
    with imported_model(tmp_path, change) as (session, saver), watched(secret) as touched:
        session.run(["v/Assign", "w/Assign"])
        with pytest.raises(REFUSED, match="'evil'"):
            saver.save(session, str(tmp_path / "out"), write_meta_graph=False)
        assert not touched
        assert not [name for name in os.listdir(tmp_path) if name.startswith("out")]
    assert contents(secret) == before


def smuggled(name, *nodes):
    """Another SaveV2 of the same values, whose prefix is the last of `nodes`."""

    def change(meta):
        save = next(n for n in meta.graph_def.node if n.op == "SaveV2")
        evil = defs.NodeDef("evil", "SaveV2", (nodes[-1].name, *save.input[1:]), "", save.attr)
        return with_waiting(name, *nodes, evil)(meta)

    return change


JOINED = defs.NodeDef(
    "e_join", "StringJoin", ("save/Const", "e_tail"), "", {"N": 2, "separator": b""}
)
PREFIXES = {
    "a constant": lambda secret: [text_node("e_path", f"{secret}/model")],
    "a neighbour": lambda secret: [text_node("e_tail", "-evil"), JOINED],
    "a path from there": lambda secret: [text_node("e_tail", "/../secret/model"), JOINED],
    "a shard beside": lambda secret: [text_node("e_tail", "x_temp/part-00000-of-00001"), JOINED],
}


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_a_hostile_saver_saves_only_the_checkpoint_that_is_asked_for(tmp_path, secret, prefix):
    change = smuggled("save/control_dependency", *prefix(secret))
    before = contents(secret)
    with imported_model(tmp_path, change) as (session, saver), watched(secret) as touched:
        session.run(["v/Assign", "w/Assign"])
        with pytest.raises(REFUSED, match="'evil'"):
            saver.save(session, str(tmp_path / "out"), write_meta_graph=False)
        assert not touched
        assert {name for name in os.listdir(tmp_path) if "out" in name} <= {"out.h5"}
    assert contents(secret) == before


def test_a_hostile_saver_does_not_save_while_it_restores(tmp_path):
    change = smuggled(
        "save/restore_all", defs.NodeDef("e", "Identity", ("save/Const",), "", {"T": tf.string})
    )
    with imported_model(tmp_path, change) as (session, saver):
        whole = (tmp_path / "good.h5").read_bytes()
        session.run(["v/Assign", "w/Assign"], {"v/initial_value:0": [0.0]})
        with pytest.raises(REFUSED, match=r"nothing was run(?s:.*)'evil'"):
            saver.restore(session, str(tmp_path / "good"))
        assert session.run("v:0") == [0]
        assert (tmp_path / "good.h5").read_bytes() == whole
        saver.save(session, str(tmp_path / "other"))  # and is not remembered as one that may
        with pytest.raises(REFUSED, match="'evil'"):
            saver.restore(session, str(tmp_path / "good"))
        assert (tmp_path / "good.h5").read_bytes() == whole


def test_a_hostile_saver_merges_no_checkpoints_of_others(tmp_path, secret):
    """Merging takes files away from where they were."""
    nodes = [
        text_node("e_tail", "/../secret/part-1"),
        JOINED,
        defs.NodeDef(
            "evil", "MergeV2Checkpoints", ("e_join", "save/Const"), "", {"delete_old_dirs": True}
        ),
    ]
    before = contents(secret)
    change = with_waiting("save/control_dependency", *nodes)
    with imported_model(tmp_path, change) as (session, saver), watched(secret) as touched:
        session.run(["v/Assign", "w/Assign"])
        with pytest.raises(REFUSED, match="'evil'"):
            saver.save(session, str(tmp_path / "out"), write_meta_graph=False)
        assert not touched
    assert contents(secret) == before


def test_a_run_that_a_saver_did_saves_nothing_for_others(tmp_path):
    with imported_model(tmp_path) as (session, saver):
        saver.restore(session, str(tmp_path / "good"))
        saver.save(session, str(tmp_path / "out"))
        with pytest.raises(REFUSED, match="no Saver writes"):
            session.run("save/control_dependency:0", {"save/Const:0": str(tmp_path / "more")})
        assert not (tmp_path / "more.h5").exists()


def test_a_saver_runs_only_what_came_with_it(tmp_path):
    """Names of nodes that the program itself has are no way to have them run."""

    def change(meta):
        saver_def = defs.SaverDef(**{**vars_of(meta.saver_def), "restore_op_name": "wipe"})
        return defs.MetaGraphDef(meta.meta_info_def, meta.graph_def, saver_def, meta.collection_def)

    with imported_model(tmp_path, change):
        pass
    with tf.Graph().as_default() as graph:
        tf.no_op(name="wipe")
        with pytest.raises(GraphError, match="wipe"):
            tf.train.import_meta_graph(str(tmp_path / "good.meta"))
        assert [node.name for node in graph.get_operations()] == ["wipe"]


def vars_of(value):
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


# SavedModels


def saved_model(tmp_path, build):
    """A SavedModel whose main operation `build` makes."""
    where = str(tmp_path / "saved")
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.get_variable("v", initializer=[3.0])
        main = build()
        session.run(v.initializer)
        builder = tf.saved_model.builder.SavedModelBuilder(where)
        builder.add_meta_graph_and_variables(
            session, ["serve"], main_op=main, assets_collection=tf.get_collection("asset_filepaths")
        )
        builder.save()
    return where


def load(where, **options):
    session = tf.Session(graph=tf.Graph())
    tf.saved_model.loader.load(session, ["serve"], where, **options)
    return session


def table_of(path):
    def build():
        asset = tf.constant(path, name="asset")
        tf.add_to_collection("asset_filepaths", asset)
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                asset,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            -1,
        )
        tf.identity(table.lookup(tf.constant(["b,2"])), name="found")
        return tf.group(table.initializer if hasattr(table, "initializer") else table.init)

    return build


def test_a_saved_model_reads_its_own_assets(tmp_path, secret):
    where = saved_model(tmp_path, table_of(str(secret / "text")))
    with watched(secret) as touched, load(where) as session:
        assert session.run("found:0") == [1]
        assert session.run("v:0") == [3]
        assert not touched


@pytest.mark.parametrize(
    "build",
    [lambda p: tf.group(tf.read_file(p)), lambda p: tf.write_file(p, "overwritten"), lambda p: tf.group(in_a_dataset(p))],
    ids=["reads", "writes", "dataset"],
)  # fmt: skip
def test_a_hostile_main_operation_is_refused(tmp_path, secret, build):
    where = saved_model(tmp_path, lambda: build(str(secret / "text")))
    before = contents(secret)
    with watched(secret) as touched, pytest.raises(REFUSED, match="File"):
        load(where)
    assert not touched
    assert contents(secret) == before
    load(where, allow_file_operations=True).close()


@pytest.mark.parametrize(
    "name", ["../../secret/text", "/{secret}/text", "sub/../../../secret/text"]
)
def test_an_asset_elsewhere_is_refused(tmp_path, secret, name):
    where = saved_model(tmp_path, table_of(str(secret / "text")))
    path = next(tmp_path / "saved" / n for n in os.listdir(where) if n.startswith("saved_model"))
    (meta,) = saved_model_file.load(path.read_bytes(), str(path))
    collections = dict(meta.collection_def)
    ((url, data),) = collections["saved_model_assets"].value
    changed = messages.AssetFileDef.FromString(data)
    changed.filename = name.replace("{secret}", str(secret).lstrip("/"))
    kind = collections["saved_model_assets"].kind
    collections["saved_model_assets"] = defs.CollectionDef(
        kind, ((url, changed.SerializeToString()),)
    )
    meta = defs.MetaGraphDef(meta.meta_info_def, meta.graph_def, meta.saver_def, collections)
    path.write_bytes(saved_model_file.pack([meta]))
    with watched(secret) as touched, pytest.raises(REFUSED, match="outside"):
        load(where)
    assert not [line for line in touched if line.startswith("open")]


def test_an_asset_that_is_a_link_elsewhere_is_refused(tmp_path, secret):
    where = saved_model(tmp_path, table_of(str(secret / "text")))
    asset = tmp_path / "saved" / "assets" / "text"
    asset.unlink()
    asset.symlink_to(secret / "text")
    with pytest.raises(REFUSED, match="outside"):
        load(where)
    with load(where, allow_file_operations=True) as session:
        assert session.run("found:0") == [1]


def test_a_main_operation_of_the_program_is_not_run(tmp_path):
    where = saved_model(tmp_path, tf.no_op)
    path = next(tmp_path / "saved" / n for n in os.listdir(where) if n.startswith("saved_model"))
    (meta,) = saved_model_file.load(path.read_bytes(), str(path))
    collections = {**meta.collection_def}
    key = next(k for k in collections if "main_op" in k or "legacy" in k)
    collections[key] = defs.CollectionDef(collections[key].kind, ("wipe",))
    meta = defs.MetaGraphDef(meta.meta_info_def, meta.graph_def, meta.saver_def, collections)
    path.write_bytes(saved_model_file.pack([meta]))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.no_op(name="wipe")
        with pytest.raises(KeyError, match="wipe"):
            tf.saved_model.loader.load(session, ["serve"], where)


def with_changes(tmp_path, where, **changes):
    """The SavedModel after its collections and the fields of its Saver were changed."""
    path = next(tmp_path / "saved" / n for n in os.listdir(where) if n.startswith("saved_model"))
    (meta,) = saved_model_file.load(path.read_bytes(), str(path))
    collections = {**meta.collection_def}
    if "assets" in changes:
        collections["saved_model_assets"] = defs.CollectionDef(*changes.pop("assets"))
    saver = replace(meta.saver_def, **changes)
    meta = defs.MetaGraphDef(meta.meta_info_def, meta.graph_def, saver, collections)
    path.write_bytes(saved_model_file.pack([meta]))
    return where


def asset(filename="text", tensor="asset:0"):
    found = messages.AssetFileDef(filename=filename)
    found.tensor_info.name = tensor
    return ("any_list", (("", found.SerializeToString()),))


@pytest.mark.parametrize(
    "assets",
    [
        ("any_list", (("", b"\xff\xff"),)),
        ("any_list", (("", b""),)),
        ("int64_list", (1,)),
        ("node_list", ("asset:0",)),
        ("bytes_list", (b"ab",)),
        asset(filename=""),
        asset(filename="a\0b"),
        *[asset(tensor=name) for name in ("v:0", "gone:0", "asset", "asset:1", "asset:-1", "^asset", ":", "")],
    ],
)  # fmt: skip
def test_assets_that_are_none_are_refused_before_anything_is_loaded(tmp_path, secret, assets):
    where = with_changes(
        tmp_path, saved_model(tmp_path, table_of(str(secret / "text"))), assets=assets
    )
    with tf.Graph().as_default() as graph, tf.Session() as session:
        with pytest.raises(tf.errors.DataLossError, match="names no assets") as caught:
            tf.saved_model.loader.load(session, ["serve"], where)
        assert str(where) in str(caught.value)
        assert not graph.get_operations()


def test_an_asset_that_nobody_would_ever_write_to_is_not_waited_for(tmp_path, secret):
    where = saved_model(tmp_path, table_of(str(secret / "text")))
    (tmp_path / "saved" / "assets" / "text").unlink()
    os.mkfifo(tmp_path / "saved" / "assets" / "text")
    with pytest.raises(tf.errors.FailedPreconditionError, match=r"assets/text: .*regular file"):
        load(where)


@pytest.mark.parametrize(
    "changes",
    [
        {"filename_tensor_name": "gone:0"},
        {"filename_tensor_name": "v:0"},
        {"filename_tensor_name": ""},
        {"save_tensor_name": "gone:0"},
        {"restore_op_name": "gone"},
        {"restore_op_name": "save/Const:0"},
    ],
)
def test_a_saver_of_nodes_that_are_not_there_is_refused(tmp_path, secret, changes):
    where = with_changes(tmp_path, saved_model(tmp_path, tf.no_op), **changes)
    with pytest.raises(TypeError, match="this Saver"):
        load(where)


@pytest.mark.parametrize("changes", [{"max_to_keep": 1 << 31}, {"version": -(1 << 31) - 1}])
def test_numbers_that_no_saver_has_are_refused(tmp_path, changes):
    where = with_changes(tmp_path, saved_model(tmp_path, tf.no_op), **changes)
    with pytest.raises(tf.errors.DataLossError, match="an integer of 32 bits should be"):
        load(where)


def test_a_saver_keeps_no_more_than_its_message_can_say():
    tf.Variable(1.0)
    with pytest.raises(ValueError, match="32-bit"):
        tf.train.Saver(max_to_keep=1 << 31)
