"""Surgery on saved models: graph and checkpoint change together, and the result computes what it should."""

import numpy as np
import pytest

import ckpt as tf
from ckpt import surgery
from ckpt.core import defs, dtypes
from ckpt.formats import hdf5_writer
from ckpt.formats.base import TensorEntry
from tests.compose.test_merging import save, trained

X = np.random.RandomState(3).normal(size=(4, 4)).astype(np.float32)


@pytest.fixture
def model(tmp_path):
    return save(tmp_path / "m", trained, seed=2)


def values(path, fetches, feeds):
    with tf.Graph().as_default(), tf.Session() as sess:
        saver = tf.train.import_meta_graph(f"{path}.meta")
        if saver is not None:
            saver.restore(sess, str(path))
        return sess.run(fetches, feeds)


def edited(tmp_path, draft, name="edited"):
    surgery.write_draft(draft, tmp_path / name)
    return str(tmp_path / name)


def test_a_scope_is_renamed_everywhere_at_once(model, tmp_path):
    draft, changed = surgery.rename(surgery.open_draft(model), {"head/": "top/"})
    assert changed["head/out/kernel"] == "top/out/kernel"
    path = edited(tmp_path, draft)
    assert tf.check(model, path, names=changed, outputs=["y:0"]).is_equal
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        saver = tf.train.import_meta_graph(path + ".meta")
        saver.restore(sess, path)
        for node in graph.as_graph_def().node:
            groups = [group.decode() for group in node.attr["_class"].list.s]
            texts = [node.name, *(text.lstrip("^") for text in node.input), *groups]
            assert not [text for text in texts if text.removeprefix("loc:@").startswith("head/")]
        names = {v.op.name for v in tf.global_variables()}
        assert {"top/out/kernel", "top/out/kernel/Adam", "top/out/bias/Adam_1"} <= names
        before = sess.run("loss:0", {"x:0": X})
        sess.run("train", {"x:0": X})  # the optimizer goes on where it was
        assert sess.run("loss:0", {"x:0": X}) < before
        assert saver.save(sess, tmp_path / "again")


def test_a_variable_takes_its_slots_and_reads_along(model, tmp_path):
    draft, _ = surgery.rename(
        surgery.open_draft(model), [{"head/out/kernel": "w"}, {"re:^head/(.*)": r"\1"}]
    )
    assert {"w", "w/Adam", "out/bias"} <= set(draft.tensors)
    path = edited(tmp_path, draft)
    np.testing.assert_array_equal(values(path, "y:0", {"x:0": X}), values(model, "y:0", {"x:0": X}))


@pytest.mark.parametrize(
    "rules", [{"**/kernel": "**/w"}, ("head/out/kernel", "head/out/w"), {"re:kernel$": "w"}]
)
def test_whatever_renames_a_variable_takes_along_what_lies_under_it(model, tmp_path, rules):
    draft, changed = surgery.rename(surgery.open_draft(model), rules)
    assert {"head/out/w", "head/out/w/Adam", "head/out/w/Adam_1"} <= set(draft.tensors)
    assert not [n for n in [*draft.nodes, *draft.tensors] if n.startswith("head/out/kernel")]
    assert changed["head/out/kernel/Adam/read"] == "head/out/w/Adam/read"
    path = edited(tmp_path, draft)
    assert tf.check(model, path, names=changed, outputs=["y:0"]).is_equal


def averaged(use_resource, tmp_path, name="averaged"):
    """A model whose averages differ from its variables, one of them in parts, and an output that reads an average."""
    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.placeholder(tf.float32, [None, 4], name="x")
        w = tf.get_variable("net/w", [4, 2], use_resource=use_resource)
        p = tf.get_variable(
            "net/p", [2, 2], partitioner=tf.fixed_size_partitioner(2), use_resource=use_resource
        )
        y = tf.identity(x @ w @ tf.convert_to_tensor(p), name="y")
        step = tf.train.GradientDescentOptimizer(0.01).minimize(tf.reduce_sum(y * y), name="step")
        average = tf.train.ExponentialMovingAverage(0.5)
        with tf.control_dependencies([step]):
            update = average.apply()
        tf.matmul(x, average.average(w), name="smooth")
        tf.group(update, name="train")
        sess.run(tf.global_variables_initializer())
        for _ in range(3):
            sess.run("train", {"x:0": X})
        return tf.train.Saver().save(sess, tmp_path / name)


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize("rules", ["ema", ["ema", {"net/": "new/"}], [{"net/": "new/"}, "ema"]])
def test_averages_take_the_place_of_their_variables(tmp_path, use_resource, rules):
    model = averaged(use_resource, tmp_path)
    old, scope = tf.load(model), "net" if rules == "ema" else "new"
    draft, changed = surgery.rename(surgery.open_draft(model), rules)
    assert sorted(draft.tensors) == sorted(draft.entries) == [f"{scope}/p", f"{scope}/w"]
    path = edited(tmp_path, draft)
    new = tf.load(path)
    for name in "pw":
        np.testing.assert_array_equal(
            new[f"{scope}/{name}"], old[f"net/{name}/ExponentialMovingAverage"]
        )
        assert changed[f"net/{name}/ExponentialMovingAverage"] == f"{scope}/{name}"
    wanted = X @ new[f"{scope}/w"]
    np.testing.assert_allclose(values(path, "smooth:0", {"x:0": X}), wanted, rtol=1e-5)
    np.testing.assert_allclose(
        values(path, "y:0", {"x:0": X}), wanted @ new[f"{scope}/p"], rtol=1e-5
    )
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        tf.train.import_meta_graph(path + ".meta").restore(sess, path)
        assert len(tf.global_variables()) == 3
        before = sess.run("y:0", {"x:0": X})
        sess.run("step", {"x:0": X})  # training goes on from the averages
        assert np.sum(sess.run("y:0", {"x:0": X}) ** 2) < np.sum(before**2)
        assert "AssignSub" not in {node.type for node in graph.get_operations()}


def test_averages_of_a_checkpoint_alone_take_their_places_whatever_the_order(tmp_path):
    for order in (["w", "w/ExponentialMovingAverage"], ["w/ExponentialMovingAverage", "w"]):
        path = tmp_path / f"{order[0].replace('/', '_')}.h5"
        entries = [TensorEntry(name, np.array([float("/" in name)])) for name in order]
        hdf5_writer.write(path, entries, durable=False)
        draft, _ = surgery.rename(surgery.open_draft(path), "ema")
        assert draft.values(draft.tensors) == {"w": np.array([1.0])}


def test_rules_are_found_that_lead_to_the_names_of_another_model(model, tmp_path):
    other, _ = surgery.rename(surgery.open_draft(model), [{"head/": "top/"}, {"re:kernel": "w"}])
    path = edited(tmp_path, other, "other")
    draft = surgery.open_draft(model)
    rules, left = surgery.rules_like(draft, path)
    assert left == []
    assert surgery.rename(draft, rules)[0].tensors.keys() == other.tensors.keys()
    with pytest.raises(ValueError, match=r"all 9 names of .* are there"):
        surgery.rules_like(other, path)
    unlike = save(tmp_path / "unlike", lambda: tf.get_variable("head/out/kernels", [7, 7]))
    with pytest.raises(
        ValueError,
        match=r"(?s)none of 1 names.*head/out/kernels float32\[7, 7\]\n +perhaps head/out/kernel:",
    ):
        surgery.rules_like(draft, unlike)


def test_a_scope_needs_no_slash(model):
    draft = surgery.open_draft(model)
    for old in ("head", "head/out"):
        assert surgery.rename(draft, {old: "top"}) == surgery.rename(draft, {f"{old}/": "top/"})
        assert surgery.rename(draft, {old: "top"})[1]


def test_bad_rules_are_errors_before_anything_is_written(model):
    draft = surgery.open_draft(model)
    with pytest.raises(ValueError, match=r"fit no node(?s:.*)'haed/': 'top/'; similar: head"):
        surgery.rename(draft, {"haed/": "top/"})
    with pytest.raises(ValueError, match="several tensors"):
        surgery.rename(draft, {"head/out/kernel": "head/out/bias"})


def test_all_that_cannot_be_kept_is_told(model):
    with pytest.raises(ValueError, match=r"(?s)not in the graph.*'lost:0'; similar: loss.*'zzz'$"):
        surgery.extract(surgery.open_draft(model), ["lost:0", "y", "zzz"])


def test_only_what_the_outputs_need_is_extracted(model, tmp_path):
    draft = surgery.extract(surgery.open_draft(model), ["y"])
    assert sorted(draft.tensors) == ["head/out/bias", "head/out/kernel"]
    assert "loss" not in draft.nodes
    path = edited(tmp_path, draft)
    assert tf.check(model, path, outputs=["y:0"]).is_equal
    with pytest.raises(ValueError, match="'z'"):
        surgery.extract(surgery.open_draft(model), ["z"])


def test_an_inner_tensor_becomes_the_input(model, tmp_path):
    inner = "head/out/BiasAdd"
    draft = surgery.extract(surgery.open_draft(model), ["loss"], inputs=[inner])
    assert draft.nodes[inner].op == "Placeholder"
    assert not draft.tensors
    files = surgery.write_draft(draft, tmp_path / "cut")
    assert [f.rpartition(".")[2] for f in files] == ["meta"]
    assert values(tmp_path / "cut", "loss:0", {f"{inner}:0": [[1.0, 3.0]]}) == 5


def test_slots_are_dropped_from_graph_and_checkpoint(model, tmp_path):
    draft = surgery.drop(surgery.open_draft(model), ["@slots"])
    assert sorted(draft.tensors) == ["global_step", "head/out/bias", "head/out/kernel"]
    path = edited(tmp_path, draft)
    assert tf.check(model, path, outputs=["y:0", "loss:0"]).is_equal


def test_variables_are_tied_and_untied(tmp_path):
    def twice():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        a, b = tf.get_variable("a", [3, 3]), tf.get_variable("b", [3, 3])
        with tf.name_scope("left"):
            left = tf.matmul(x, a)
        with tf.name_scope("right"):
            right = tf.matmul(x, b)
        tf.add(left, right, name="y")

    model = save(tmp_path / "m", twice)
    x = X[:, :3]
    tied = surgery.tie(surgery.open_draft(model), [("a", "b")])
    assert list(tied.tensors) == ["a"]
    path = edited(tmp_path, tied, "tied")
    a = tf.load_models({"m": model})["m"]["a"]
    np.testing.assert_allclose(values(path, "y:0", {"x:0": x}), 2 * (x @ a), rtol=1e-5)
    apart = surgery.untie(tied, "a", ["right"], "own")
    path = edited(tmp_path, apart, "apart")
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.train.import_meta_graph(path + ".meta").restore(sess, path)
        names = [v.op.name for v in tf.trainable_variables()]
        assert sorted(names) == ["a", "own"]
        own = next(v for v in tf.global_variables() if v.op.name == "own")
        own.load(np.zeros((3, 3)), sess)
        np.testing.assert_allclose(sess.run("y:0", {"x:0": x}), x @ a, rtol=1e-5)
    with pytest.raises(ValueError, match="is taken"):
        surgery.untie(tied, "a", ["right"], "a")
    renamed, _ = surgery.rename(tied, {"left/MatMul": "c/read"})
    with pytest.raises(ValueError, match="c/read: taken"):
        surgery.untie(renamed, "a", ["right"], "c")
    with pytest.raises(ValueError, match="none of nowhere"):
        surgery.untie(tied, "a", ["nowhere"], "c")
    with pytest.raises(ValueError, match="no variable 'c'"):
        surgery.tie(tied, [("a", "c")])


def test_a_scope_of_another_model_is_grafted(model, tmp_path):
    other = save(tmp_path / "other", trained, seed=9)
    clean = surgery.drop(surgery.open_draft(model), ["@training"])
    draft = surgery.graft(
        clean, surgery.drop(surgery.open_draft(other), ["@training"]), "head", "head"
    )
    path = edited(tmp_path, draft)
    np.testing.assert_array_equal(values(path, "y:0", {"x:0": X}), values(other, "y:0", {"x:0": X}))


def test_a_grafted_scope_needs_its_inputs(tmp_path):
    def body():
        x = tf.placeholder(tf.float32, [None, 4], name="x")
        with tf.variable_scope("body"):
            h = tf.layers.dense(x, 4, activation=tf.tanh, name="one")
        tf.identity(h, name="y")

    def wider():
        features = tf.placeholder(tf.float32, [None, 4], name="features")
        with tf.variable_scope("net"):
            h = tf.layers.dense(features, 4, activation=tf.nn.relu, name="one")
            tf.layers.dense(h, 4, name="two")

    base, other = save(tmp_path / "base", body), save(tmp_path / "other", wider, seed=4)
    drafts = [surgery.open_draft(p) for p in (base, other)]
    with pytest.raises(ValueError) as caught:
        surgery.graft(drafts[0], drafts[1], "net", "extra")
    assert "takes features from outside 'net'" in str(caught.value)
    with pytest.raises(ValueError, match="y takes body/one/Tanh"):
        surgery.graft(drafts[0], drafts[1], "net", "body")
    draft = surgery.graft(drafts[0], drafts[1], "net", "extra", connect={"features:0": "y:0"})
    path = edited(tmp_path, draft)
    hidden = values(base, "y:0", {"x:0": X})
    np.testing.assert_array_equal(
        values(path, "extra/two/BiasAdd:0", {"x:0": X}),
        values(other, "net/two/BiasAdd:0", {"features:0": hidden}),
    )
    assert {"extra/one/kernel", "body/one/kernel"} <= set(draft.tensors)


@pytest.mark.parametrize("use_resource", [False, True], ids=["reference", "resource"])
def test_a_frozen_model_is_constants_that_compute_the_same(tmp_path, use_resource):
    def build():
        with tf.variable_scope("", use_resource=use_resource):
            trained()
            ids = tf.placeholder(tf.int64, [None], name="ids")
            tf.identity(tf.nn.embedding_lookup(tf.get_variable("emb", [5, 2]), ids), name="rows")

    model = save(tmp_path / "m", build)
    frozen = surgery.freeze(surgery.open_draft(model), ["y", "rows"])
    assert not frozen.entries
    assert not frozen.tensors
    assert {"VariableV2", "VarHandleOp", "Assign"}.isdisjoint(n.op for n in frozen.nodes.values())
    path = edited(tmp_path, frozen, "frozen")
    assert tf.check(model, path, outputs=["y:0", "rows:0"]).is_equal


def test_variables_in_branches_and_loops_are_frozen(tmp_path):
    def build():
        n = tf.placeholder(tf.int32, [], name="n")
        v = tf.get_variable("v", [], use_resource=True, initializer=tf.constant_initializer(3.0))
        rows = tf.get_variable("rows", [4], use_resource=True)

        def step(i, total):
            return i + 1, tf.cond(total > 10, lambda: total + v, lambda: total * v)

        _, total = tf.while_loop(lambda i, t: i < n, step, (0, 1.0))
        tf.add(total, tf.reduce_sum(tf.gather(rows, [1, 2])), name="y")

    model = save(tmp_path / "m", build)
    frozen = surgery.freeze(surgery.open_draft(model), ["y"])
    assert not {node.name for node in frozen.nodes.values() if node.op == "VarHandleOp"}
    path = edited(tmp_path, frozen, "frozen")
    assert tf.check(model, path, inputs={"n": 5}, outputs=["y:0"]).is_equal


def test_some_variables_can_stay(model, tmp_path):
    draft = surgery.freeze(surgery.open_draft(model), ["y"], variables=["**/kernel"])
    assert list(draft.tensors) == ["head/out/bias"]
    path = edited(tmp_path, draft)
    assert tf.check(model, path, outputs=["y:0"]).is_equal
    with pytest.raises(ValueError, match="nothing"):
        surgery.freeze(surgery.open_draft(model), ["y"], variables=["nothing"])


def convolutional(fused):
    def build():
        x = tf.placeholder(tf.float32, [None, 6, 6, 3], name="x")
        h = tf.layers.conv2d(x, 4, 3, padding="same", name="conv")
        h = tf.layers.batch_normalization(
            h,
            fused=fused,
            name="bn",
            gamma_initializer=tf.random_uniform_initializer(0.5, 2),
            beta_initializer=tf.random_normal_initializer(),
            moving_mean_initializer=tf.random_normal_initializer(),
            moving_variance_initializer=tf.random_uniform_initializer(0.5, 2),
        )
        tf.identity(tf.nn.relu(h), name="y")

    return build


@pytest.mark.parametrize("fused", [True, False])
def test_batch_normalisation_goes_into_the_weights(tmp_path, fused):
    model = save(tmp_path / "m", convolutional(fused))
    with pytest.raises(ValueError, match="freeze the variables first"):
        surgery.fold_batch_norms(surgery.open_draft(model))
    draft = surgery.freeze(surgery.open_draft(model), ["y"])
    draft = surgery.remove_identities(draft, keep=["y"])
    folded = surgery.fold_batch_norms(surgery.fold_constants(draft))
    folded = surgery.extract(folded, ["y"])
    kinds = sorted(node.op for node in folded.nodes.values() if node.op != "Const")
    assert not {"FusedBatchNorm", "FusedBatchNormV3", "Rsqrt"} & set(kinds)
    if fused:
        assert (
            kinds == ["BiasAdd", "BiasAdd", "Conv2D", "Identity", "Placeholder", "Relu"]
            or len(kinds) <= 7
        )
    path = edited(tmp_path, folded)
    assert tf.check(model, path, outputs=["y:0"], compare="allclose", rtol=1e-4, atol=1e-5).is_equal


def test_constants_are_folded_and_identities_removed(tmp_path):
    def build():
        x = tf.placeholder(tf.float32, [3], name="x")
        v = tf.get_variable("v", [3])
        k = tf.identity(tf.constant([1.0, 2.0, 3.0]) * 2.0 + 1.0, name="k")
        y = tf.identity(tf.identity(x * k) * v)
        tf.identity(y, name="y")

    model = save(tmp_path / "m", build)
    draft = surgery.fold_constants(surgery.open_draft(model))
    assert draft.nodes["add"].op == "Const" or any(
        n.op == "Const" and np.array_equal(n.attr["value"], [3, 5, 7]) for n in draft.nodes.values()
    )
    lean = surgery.remove_identities(draft, keep=["y"])
    assert [n.name for n in lean.nodes.values() if n.op == "Identity"] == ["v/read", "y"]
    path = edited(tmp_path, lean)
    assert tf.check(model, path, outputs=["y:0"]).is_equal


def test_nodes_are_replaced_and_redirected(model, tmp_path):
    draft = surgery.open_draft(model)
    tanh = defs.NodeDef("y", "Tanh", ("head/out/BiasAdd",), "", {"T": dtypes.float32})
    path = edited(tmp_path, surgery.replace_node(draft, tanh))
    plain = values(model, "y:0", {"x:0": X})
    np.testing.assert_allclose(values(path, "y:0", {"x:0": X}), np.tanh(plain), rtol=1e-5)
    moved = surgery.redirect(draft, {"head/out/BiasAdd:0": "head/out/MatMul:0"})
    path = edited(tmp_path, moved, "moved")
    assert values(path, "y:0", {"x:0": X}).shape == (4, 2)
    with pytest.raises(ValueError, match="no node 'z'"):
        surgery.replace_node(draft, defs.NodeDef("z", "NoOp"))
    with pytest.raises(ValueError, match="'z'"):
        surgery.redirect(draft, {"z:0": "x:0"})
    with pytest.raises(ValueError, match="no node takes head/out/BiasAdd:1"):
        surgery.redirect(draft, {"head/out/BiasAdd:1": "x:0", "head/out/BiasAdd:0": "x:0"})


def test_nothing_is_overwritten_unasked(model, tmp_path):
    draft = surgery.open_draft(model)
    edited(tmp_path, draft)
    with pytest.raises(tf.errors.AlreadyExistsError, match="force"):
        surgery.write_draft(draft, tmp_path / "edited")
    surgery.write_draft(draft, tmp_path / "edited", force=True)
    assert tf.check(model, tmp_path / "edited", outputs=["y:0"]).is_equal
