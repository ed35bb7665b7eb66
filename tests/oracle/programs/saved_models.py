"""SavedModels: what is loaded back, the names of signatures and assets, what is refused. Files are each one's own."""

import os
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
    ]
    sparse = tf.saved_model.utils.build_tensor_info(
        tf.sparse_placeholder(tf.int64, [3, 4], name="sp")
    )
    return {
        "made": [signature(s) for s in made],
        "valid": [utils.is_valid_signature(s) for s in made],
        "sparse": [sparse.coo_sparse.values_tensor_name, sparse.coo_sparse.dense_shape_tensor_name],
        "back": tf.saved_model.utils.get_tensor_from_tensor_info(sparse).indices.name,
    }


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
