"""SavedModels: what is loaded back, the names of signatures and assets, what is refused. Files are each one's own."""

import os
import shutil
import tempfile


def model(tf):
    x = tf.placeholder(tf.float32, [None], name="x")
    w = tf.get_variable("w", initializer=42.0, use_resource=False)
    return x, tf.multiply(x, w, name="y")


def in_directory(tf, use):
    with (
        tempfile.TemporaryDirectory() as directory,
        tf.Graph().as_default(),
        tf.Session() as sess,
    ):
        x, y = model(tf)
        sess.run(tf.global_variables_initializer())
        return use(sess, x, y, directory)


def add(tf, directory, sess, tags=("serve",), **options):
    builder = tf.saved_model.builder.SavedModelBuilder(f"{directory}/model")
    builder.add_meta_graph_and_variables(sess, list(tags), **options)
    builder.save()
    return builder


def load(tf, directory, tags=("serve",), **options):
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        found = tf.saved_model.loader.load(sess, list(tags), f"{directory}/model", **options)
        scope = options.get("import_scope")
        prefix = f"{scope}/" if scope else ""
        return {
            "tags": sorted(found.meta_info_def.tags),
            "y": sess.run(f"{prefix}y:0", {f"{prefix}x:0": [2.0]}),
            "names": [op.name for op in graph.get_operations()][:8],
            "collections": sorted(found.collection_def),
            "signatures": {key: signature(s) for key, s in found.signature_def.items()},
            "assets": sorted(os.listdir(f"{directory}/model/assets"))
            if os.path.exists(f"{directory}/model/assets")
            else [],
        }


def signature(found):
    def infos(many):
        return sorted([key, i.name, i.dtype, [d.size for d in i.tensor_shape.dim]] for key, i in many.items())  # fmt: skip

    return [found.method_name, infos(found.inputs), infos(found.outputs)]


def case_plain(tf):
    def use(sess, x, y, directory):
        add(tf, directory, sess)
        return load(tf, directory)

    return in_directory(tf, use)


def case_scope(tf):
    def use(sess, x, y, directory):
        add(tf, directory, sess)
        return load(tf, directory, import_scope="in")

    return in_directory(tf, use)


def case_several_graphs(tf):
    def use(sess, x, y, directory):
        builder = add(tf, directory, sess, ["train"])
        builder.add_meta_graph(["serve", "gpu"], clear_devices=True)
        builder.save()
        return load(tf, directory, ["gpu", "serve"])

    return in_directory(tf, use)


def case_simple_save(tf):
    def use(sess, x, y, directory):
        tf.saved_model.simple_save(sess, f"{directory}/model", {"in": x}, {"out": y})
        return load(tf, directory)

    return in_directory(tf, use)


def case_assets(tf):
    def use(sess, x, y, directory):
        files = []
        for name in ("one/v.txt", "two/v.txt", "two/w.txt", "one/v.txt"):
            os.makedirs(os.path.dirname(f"{directory}/{name}"), exist_ok=True)
            with open(f"{directory}/{name}", "w") as file:
                file.write(name)
            files.append(tf.constant(f"{directory}/{name}"))
        add(tf, directory, sess, assets_collection=files)
        return load(tf, directory)

    return in_directory(tf, use)


def case_main_operation(tf):
    def use(sess, x, y, directory):
        w = tf.global_variables()[0]
        add(tf, directory, sess, main_op=tf.assign(w, w * 2).op)
        return load(tf, directory)

    return in_directory(tf, use)


def case_signatures(tf):
    text, number = tf.placeholder(tf.string, name="t"), tf.placeholder(tf.float32, [3], name="n")
    utils = tf.saved_model.signature_def_utils
    made = [
        utils.predict_signature_def({"a": text}, {"b": number}),
        utils.classification_signature_def(text, text, number),
        utils.classification_signature_def(text, None, number),
        utils.regression_signature_def(text, number),
        utils.build_signature_def({}, {}, "x"),
        utils.predict_signature_def({"a": tf.Variable([1, 2], name="v")}, {"b": tf.Variable(1.0, use_resource=True)}),
    ]  # fmt: skip
    sparse = tf.saved_model.utils.build_tensor_info(
        tf.sparse_placeholder(tf.int64, [3, 4], name="sp")
    )
    return {
        "made": [signature(s) for s in made],
        "valid": [utils.is_valid_signature(s) for s in made],
        "sparse": [sparse.coo_sparse.values_tensor_name, sparse.coo_sparse.dense_shape_tensor_name],
        "back": tf.saved_model.utils.get_tensor_from_tensor_info(sparse).indices.name,
    }


def error_a_reference_is_no_prediction(tf):
    text, variable = tf.placeholder(tf.string), tf.Variable([1.0])
    tf.saved_model.signature_def_utils.regression_signature_def(text, variable)


def case_constants(tf):
    model = tf.saved_model
    groups = [model.tag_constants, model.signature_constants, model.constants]
    ours = {"SAVED_MODEL_FILENAME", "SAVED_MODEL_FILENAME_JSON"}
    theirs = {"DEBUG_DIRECTORY", "DEBUG_INFO_FILENAME_PB"}
    return {
        "values": [
            [name, getattr(group, name)]
            for group in groups
            for name in sorted(dir(group))
            if name.isupper() and name not in ours | theirs
        ]
    }


def error_no_such_tags(tf):
    def use(sess, x, y, directory):
        add(tf, directory, sess)
        return load(tf, directory, ["other"])

    in_directory(tf, use)


def error_tags_in_part(tf):
    def use(sess, x, y, directory):
        add(tf, directory, sess, ["a", "b"])
        return load(tf, directory, ["a"])

    in_directory(tf, use)


def error_graph_before_variables(tf):
    with tempfile.TemporaryDirectory() as directory:
        tf.saved_model.builder.SavedModelBuilder(f"{directory}/m").add_meta_graph(["a"])


def error_variables_twice(tf):
    def use(sess, x, y, directory):
        add(tf, directory, sess).add_meta_graph_and_variables(sess, ["b"])

    in_directory(tf, use)


def error_directory_in_use(tf):
    with tempfile.TemporaryDirectory() as directory:
        with open(f"{directory}/f", "w"):
            pass
        tf.saved_model.builder.SavedModelBuilder(directory)


def error_reserved_signature(tf):
    def use(sess, x, y, directory):
        made = tf.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
        add(tf, directory, sess, signature_def_map={"__saved_model_init_op": made})

    in_directory(tf, use)


def error_signature_without_dtype(tf):
    def use(sess, x, y, directory):
        info = tf.saved_model.utils.build_tensor_info(x)
        info.dtype = 0
        made = tf.saved_model.signature_def_utils.build_signature_def({"x": info})
        add(tf, directory, sess, signature_def_map={"sig": made})

    in_directory(tf, use)


def error_asset_is_a_number(tf):
    in_directory(tf, lambda sess, x, y, d: add(tf, d, sess, assets_collection=[tf.constant(3.0)]))


def error_asset_is_a_string(tf):
    in_directory(tf, lambda sess, x, y, d: add(tf, d, sess, assets_collection=["x"]))


def error_second_main_operation(tf):
    def use(sess, x, y, directory):
        tf.add_to_collection("saved_model_main_op", tf.no_op())
        add(tf, directory, sess, main_op=tf.no_op())

    in_directory(tf, use)


def error_classification_of_numbers(tf):
    number = tf.placeholder(tf.float32)
    tf.saved_model.signature_def_utils.classification_signature_def(number, None, number)


def error_regression_without_predictions(tf):
    text = tf.placeholder(tf.string)
    tf.saved_model.signature_def_utils.regression_signature_def(text, None)


def error_prediction_without_inputs(tf):
    tf.saved_model.signature_def_utils.predict_signature_def({}, {"y": tf.constant(1.0)})


def error_tensor_of_another_graph(tf):
    info = tf.saved_model.utils.build_tensor_info(tf.constant(1.0))
    tf.saved_model.utils.get_tensor_from_tensor_info(info, graph=tf.Graph())


def beside_the_model(directory):
    return sorted(name for name in os.listdir(directory) if not name.startswith("saved_model."))


def built(tf, use):
    """What `use(builder, session, x, y)` returns or raises, and what is then in the directory."""

    def result():
        with tf.Graph().as_default(), tf.Session() as sess:
            x, y = model(tf)
            sess.run(tf.global_variables_initializer())
            shutil.rmtree("built", ignore_errors=True)
            found = use(tf.saved_model.builder.SavedModelBuilder("built"), sess, x, y)
            return [found, beside_the_model("built")]

    return result


def case_arguments_of_builders(tf):
    def added(*arguments, **options):
        def use(builder, sess, x, y):
            given = [value(x, y) if callable(value) else value for value in arguments]
            named = {k: value(x, y) if callable(value) else value for k, value in options.items()}
            builder.add_meta_graph_and_variables(sess, *given, **named)
            return builder.save() and None

        return built(tf, use)

    open("f", "w").close()
    utils = tf.saved_model.signature_def_utils
    return {
        "tags as text": added("serve"), "no tags": added([]), "None": added(None), "number as tag": added([3]),
        "set of tags": added({"a"}), "bad key": added(["a"], lambda x, y: {3: utils.predict_signature_def({"x": x}, {"y": y})}),
        "asset of a placeholder": added(["a"], assets_collection=lambda x, y: [tf.placeholder(tf.string)]),
        "assets in a vector": added(["a"], assets_collection=lambda x, y: [tf.constant(["f"])]),
        "main as text": added(["a"], main_op="x"), "legacy": added(["a"], legacy_init_op=lambda x, y: tf.no_op()),
        "both": added(["a"], legacy_init_op=lambda x, y: tf.no_op(), main_op=lambda x, y: tf.no_op()),
        "own Saver": added(["a"], saver=lambda x, y: tf.train.Saver({"ww": tf.global_variables()[0]})),
        "its names": lambda: tf.train.list_variables("built/variables/variables"),
        "bad Saver": added(["a"], saver=3), "stripped": added(["a"], strip_default_attrs=True),
        "without devices": added(["a"], clear_devices=True), "unknown": added(["a"], nonsense=1),
        "nothing added": built(tf, lambda builder, sess, x, y: builder.save() and None),
        "not initialised": built(
            tf, lambda b, sess, x, y: b.add_meta_graph_and_variables(tf.Session(), ["a"])
        ),
    }  # fmt: skip


def case_no_variables(tf):
    tf.constant(1.0, name="c")
    with tf.Session() as sess:
        builder = tf.saved_model.builder.SavedModelBuilder("m")
        builder.add_meta_graph_and_variables(sess, ["a"])
        builder.save()
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.saved_model.loader.load(sess, ["a"], "m")
        return {"c": sess.run("c:0"), "files": beside_the_model("m")}


def case_simple_saves(tf):
    def saved(name, inputs, outputs, *more):
        def result():
            with tf.Graph().as_default(), tf.Session() as sess:
                x, y = model(tf)
                sess.run(tf.global_variables_initializer())
                given = [part(x, y) if callable(part) else part for part in (inputs, outputs)]
                tf.saved_model.simple_save(sess, name, *given, *more)
                return beside_the_model(name)

        return result

    def xs(x, y):
        return {"x": x}

    def ys(x, y):
        return {"y": y}

    return {
        "plain": saved("a", xs, ys), "again": saved("a", xs, ys), "no inputs": saved("b", {}, ys),
        "no outputs": saved("c", xs, {}), "None": saved("d", None, None), "number": saved("e", {"x": 3}, ys),
        "list": saved("f", lambda x, y: [x], ys), "variable": saved("g", xs, lambda x, y: {"w": tf.global_variables()[0]}),
        "number as key": saved("h", lambda x, y: {3: x}, ys),
    }  # fmt: skip


def case_what_is_loaded(tf):
    here = os.getcwd()
    os.mkdir("empty")
    open("file", "w").close()
    with tf.Graph().as_default(), tf.Session() as sess:
        x, y = model(tf)
        sess.run(tf.global_variables_initializer())
        tf.saved_model.simple_save(sess, "m", {"x": x}, {"y": y})
    loader, found = tf.saved_model.loader, {}

    def loaded(tags, place, fed="x:0", fetched="y:0", **options):
        with tf.Graph().as_default(), tf.Session() as sess:
            meta = loader.load(sess, tags, place, **options)
            scope = options.get("import_scope")
            lead = f"{scope}/" if scope else ""
            feeds = {f"{lead}{fed}": [2.0]} if fed else {}
            return [type(meta).__name__, sess.run(f"{lead}{fetched}", feeds).tolist()]

    def mapped():
        with tf.Graph().as_default(), tf.Session() as sess:
            given = {"x:0": tf.constant([7.0])}
            loader.load(sess, ["serve"], "m", import_scope="d", input_map=given)
            return sess.run("d/y:0")

    for place in ("m", "m/", "./m", f"{here}/m", "nope", "empty", "file", "", None):
        name = str(place).replace(here, "here")
        found[f"may be, {name}"] = lambda place=place: loader.maybe_saved_model_directory(place)
        found[f"loaded, {name}"] = lambda place=place: loaded(["serve"], place)
    for tags in ("serve", ["serve", "x"], [], None, {"serve"}, ("serve",), ["serve", "serve"], [b"serve"], 3, ["Serve"]):  # fmt: skip
        found[f"tags {tags}"] = lambda tags=tags: loaded(tags, "m")
    return {
        **found,
        "scope": lambda: loaded(["serve"], "m", import_scope="a/b"),
        "input map": mapped,
        "unknown": lambda: loaded(["serve"], "m", nonsense=1),
        "elements": lambda: loaded(["serve"], "m", import_scope="e", return_elements=["y:0"]),
        "no session": lambda: loader.load(None, ["serve"], "m"),
        "without variables": lambda: [shutil.rmtree("m/variables"), loaded(["serve"], "m")],
    }
