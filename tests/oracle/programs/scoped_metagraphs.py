"""MetaGraphs: scopes exported and imported, every option of export_meta_graph and import_meta_graph."""

import os


def nodes(meta):
    return [[n.name, n.op, list(n.input), n.device] for n in meta.graph_def.node]


def collections(meta):
    found = {}
    for key, collection in meta.collection_def.items():
        kind = collection.WhichOneof("kind")
        found[key] = [kind, [str(v) for v in getattr(collection, kind).value]]
    return found


def build(tf):
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    with tf.name_scope("sc"), tf.device("/cpu:0"):
        v = tf.Variable(tf.ones([2, 2]), name="v")
        with tf.control_dependencies([x]):
            y = tf.identity(tf.matmul(x, v), name="y")
        tf.Variable(3.0, name="p", trainable=False)
    for member in (y, x):
        tf.add_to_collection("things", member)
    tf.add_to_collection("numbers", 3)
    tf.add_to_collection("strings", "text")
    return x, y


def case_export_all(tf):
    build(tf)
    meta = tf.train.export_meta_graph()
    return {"nodes": nodes(meta), "collections": collections(meta)}


def case_export_scope(tf):
    build(tf)
    meta = tf.train.export_meta_graph(export_scope="sc")
    return {"nodes": nodes(meta), "collections": collections(meta)}


def case_export_some_collections_without_devices(tf):
    build(tf)
    meta = tf.train.export_meta_graph(collection_list=["things"], clear_devices=True)
    return {"nodes": nodes(meta), "collections": collections(meta)}


def case_strip_default_attrs(tf):
    build(tf)
    meta = tf.train.export_meta_graph(strip_default_attrs=True)
    shown = {
        n.name: sorted(k for k in n.attr if not k.startswith("_")) for n in meta.graph_def.node
    }
    return {"attrs": shown, "flag": meta.meta_info_def.stripped_default_attrs}


def case_clear_extraneous_savers(tf):
    build(tf)
    first, second = tf.global_variables()
    tf.train.Saver([first], name="first")
    saver = tf.train.Saver([second], name="second")
    meta = saver.export_meta_graph(clear_extraneous_savers=True)
    return {"nodes": sorted(n.name for n in meta.graph_def.node)}


def case_import_with_scope_and_map(tf):
    build(tf)
    meta = tf.train.export_meta_graph(export_scope="sc")
    with tf.Graph().as_default() as graph:
        z = tf.placeholder(tf.float32, [None, 2], name="z")
        tf.train.import_meta_graph(meta, import_scope="new", input_map={"$unbound_inputs_x": z})
        return {
            "nodes": [[n.name, list(n.input)] for n in graph.as_graph_def().node],
            "variables": [v.name for v in tf.global_variables()],
            "trainable": [v.name for v in tf.trainable_variables()],
            "things": [t.name for t in tf.get_collection("things")],
            "unbound": tf.get_collection("unbound_inputs"),
        }


def case_import_under_an_open_scope(tf):
    build(tf)
    tf.train.Saver()
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default() as graph, tf.name_scope("outer"):
        tf.train.import_meta_graph(meta)
        return {
            "nodes": sorted(op.name for op in graph.get_operations()),
            "variables": [v.name for v in tf.global_variables()],
        }


def case_import_twice(tf):
    build(tf)
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default() as graph:
        for _ in range(2):
            tf.train.import_meta_graph(meta, import_scope="m", clear_devices=True)
        names = [op.name for op in graph.get_operations() if not op.name.startswith("save")]
        return {"nodes": names, "variables": [v.name for v in tf.global_variables()]}


def case_saver_with_scope(tf):
    with tf.name_scope("s"):
        v = tf.Variable(1.0, name="v")
    saver = tf.train.Saver([v], name="s/save/")
    inner = saver.to_proto(export_scope="s")
    outer = tf.train.Saver.from_proto(saver.to_proto(), import_scope=None).as_saver_def()
    return {
        "inner": [inner.filename_tensor_name, inner.save_tensor_name, inner.restore_op_name],
        "other": saver.to_proto(export_scope="elsewhere"),
        "outer": [outer.filename_tensor_name, outer.save_tensor_name, outer.restore_op_name],
    }


def error_unbound_inputs(tf):
    build(tf)
    meta = tf.train.export_meta_graph(export_scope="sc")
    with tf.Graph().as_default():
        tf.train.import_meta_graph(meta, import_scope="new")


def error_input_map_that_nothing_takes(tf):
    build(tf)
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default():
        z = tf.constant(1.0)
        tf.train.import_meta_graph(meta, input_map={"nothing:0": z})


def case_only_some_collections_come_back(tf):
    build(tf)
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default():
        tf.train.import_meta_graph(meta, restore_collections_predicate=lambda key: key != "things")
        keys = tf.get_default_graph().get_all_collection_keys()
        return {"keys": sorted(key for key in keys if tf.get_collection(key))}


def case_export_what_was_given(tf):
    x, _ = build(tf)
    other = tf.Graph()
    with other.as_default():
        tf.constant(1.0, name="alone")
    info = tf.MetaGraphDef.MetaInfoDef(meta_graph_version="mine", tags=["a", "b"])
    meta = tf.train.export_meta_graph(
        meta_info_def=info, graph_def=other.as_graph_def(), graph=x.graph
    )
    return {
        "nodes": [n.name for n in meta.graph_def.node],
        "version": meta.meta_info_def.meta_graph_version,
        "tags": list(meta.meta_info_def.tags),
        "keys": sorted(meta.collection_def),
    }


def case_import_graph_def_with_everything(tf):
    x, y = build(tf)
    graph_def = x.graph.as_graph_def()
    with tf.Graph().as_default() as graph:
        z = tf.ones([3, 2], name="z")
        found = tf.import_graph_def(
            graph_def, input_map={"x:0": z}, return_elements=["sc/y", "sc/y:0"], name="in"
        )
        nothing = tf.import_graph_def(graph_def)
        plain = tf.import_graph_def(graph_def, name="", return_elements=[y.name])
        return {
            "names": [element.name for element in found],
            "nothing": nothing,
            "plain": plain[0].name,
            "product": [
                name.removesuffix(":0")
                for name in graph.get_operation_by_name("in/sc/MatMul").node_def.input
            ],
            "nodes": [op.name for op in graph.get_operations()],
        }


def error_element_that_is_not_there(tf):
    x, _ = build(tf)
    graph_def = x.graph.as_graph_def()
    with tf.Graph().as_default():
        tf.import_graph_def(graph_def, return_elements=["nothing:0"])


def _members(tf):
    graph = tf.get_default_graph()
    keys = sorted(map(str, graph.get_all_collection_keys()))
    return {key: [getattr(v, "name", v) for v in graph.get_collection(key)] for key in keys}


def case_collections_of_every_kind_of_member(tf):
    x = tf.placeholder(tf.float32, [], name="s/x")
    v = tf.Variable(1.0, name="s/v")
    found = {}
    members = {
        "tensors and operations": [x, x.op],
        "mine": [v],
        "mixed": [x, v, v.op],
        "ints": [3, -4],
        "floats": [0.5, 2.0],
        "texts": ["s/x", "s/x:0", "^s/x", "loc:@s/x", "other", "", "é"],
    }
    for key, values in members.items():
        for value in values:
            tf.add_to_collection(key, value)
    for scope in (None, "s"):
        meta = tf.train.export_meta_graph(export_scope=scope)
        exported = {}
        for key in meta.collection_def:
            kind = meta.collection_def[key].WhichOneof("kind")
            exported[key] = [kind, list(getattr(meta.collection_def[key], kind).value)]
            if key in ("variables", "trainable_variables"):
                exported[key] = [kind, len(exported[key][1])]
        found[f"exported {scope}"] = dict(sorted(exported.items()))
        for into in (None, "in", "in/deep"):
            with tf.Graph().as_default():
                tf.train.import_meta_graph(meta, import_scope=into)
                found[f"imported {scope} {into}"] = _members(tf)
    return found


def case_operations_that_are_named_are_those_that_are_left(tf):
    v = tf.Variable(1.0, name="v")
    with tf.control_dependencies([v.op, v.initializer, tf.no_op(name="c"), tf.no_op(name="b")]):
        tf.no_op(name="a")
    tf.train.Saver(name="other")
    found = {}
    for clear in (False, True):
        meta = tf.train.export_meta_graph(clear_extraneous_savers=clear)
        found[f"ops {clear}"] = [op.name for op in meta.meta_info_def.stripped_op_list.op]
        if not clear:  # these TensorFlow makes anew, in the order of a set
            found["inputs"] = {n.name: list(n.input) for n in meta.graph_def.node}
    return found


def case_files_of_exports(tf):
    """Which files an export writes and an import takes, and what they hold."""
    with tf.device("/cpu:0"):
        v = tf.get_variable("v", initializer=1.0, use_resource=False)
    with tf.name_scope("n"):
        w = tf.identity(v, name="w")
    for name, member in {"c1": v, "c2": w, "c3": 3, "c4": "s", "c5": object()}.items():
        tf.add_to_collection(name, member)
    saver = tf.train.Saver()

    def told(meta):
        devices = sorted({node.device for node in meta.graph_def.node})
        has_attrs = any(node.attr for node in meta.graph_def.node)
        return [
            len(meta.graph_def.node),
            sorted(meta.collection_def),
            meta.HasField("saver_def"),
            devices,
            meta.meta_info_def.stripped_default_attrs,
            has_attrs,
        ]

    found = {}
    for name, options in {
        "plain": {}, "file": {"filename": "a.meta"}, "one collection": {"collection_list": ["c1"]},
        "no collection": {"collection_list": []}, "no such collection": {"collection_list": ["zz"]},
        "tuple of collections": {"collection_list": ("c1", "c3")}, "collections as text": {"collection_list": "c1"},
        "as text": {"as_text": True, "filename": "b.meta"}, "as text without file": {"as_text": True},
        "scope": {"export_scope": "n"}, "no such scope": {"export_scope": "zz"}, "devices": {"clear_devices": True},
        "savers": {"clear_extraneous_savers": True}, "stripped": {"strip_default_attrs": True},
        "directory": {"filename": "x/y/z.meta"}, "no file": {"filename": None}, "empty name": {"filename": ""},
        "number": {"filename": 3}, "unknown": {"nonsense": 1},
    }.items():  # fmt: skip
        found[f"{name}, Saver"] = lambda options=options: told(saver.export_meta_graph(**options))
        found[name] = lambda options=options: told(tf.train.export_meta_graph(**options))

    def imported(path, **options):
        with tf.Graph().as_default() as graph:
            saver = tf.train.import_meta_graph(path, **options)
            keys = sorted(map(str, graph.get_all_collection_keys()))
            names = [op.name for op in graph.get_operations()]
            return [type(saver).__name__, names, keys, sorted({o.device for o in graph.get_operations()})]  # fmt: skip

    for path in ("a.meta", "b.meta", "x/y/z.meta", "nope", "", None, 3, b"a.meta", "x"):
        found[f"import {path}"] = lambda path=path: imported(path)
    for name, options in {
        "scope": {"import_scope": "s"}, "scope with slash": {"import_scope": "s/"}, "bad scope": {"import_scope": "-b"},
        "devices": {"clear_devices": True}, "unknown": {"nonsense": 1},
        "one collection": {"restore_collections_predicate": lambda key: key == "c3"},
    }.items():  # fmt: skip
        found[f"import, {name}"] = lambda options=options: imported("a.meta", **options)
    return {**found, "files": lambda: sorted(os.listdir(".")) + sorted(os.listdir("x/y"))}
