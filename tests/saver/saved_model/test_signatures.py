"""Signatures: what servers accept, and what is refused."""

import pytest

import ckpt as tf

sm = tf.saved_model


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        yield


def text(name):
    return tf.placeholder(tf.string, name=name)


def number(name):
    return tf.placeholder(tf.float32, name=name)


def test_each_kind_is_valid():
    classified = sm.classification_signature_def
    made = [
        sm.predict_signature_def({"a": number("a")}, {"b": text("b")}),
        sm.regression_signature_def(text("r"), number("s")),
        classified(text("c"), text("d"), number("e")),
        classified(text("f"), None, number("g")),
        classified(text("h"), text("i"), None),
    ]
    assert all(sm.is_valid_signature(signature) for signature in made)
    assert set(made[2].outputs) == {"classes", "scores"}
    assert made[1].method_name == "tensorflow/serving/regress"


@pytest.mark.parametrize(
    "method",
    ["", "other", "tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress"],
)  # fmt: skip
def test_what_lacks_its_tensors_is_not_valid(method):
    assert not sm.is_valid_signature(sm.build_signature_def({}, {}, method))
    info = sm.build_tensor_info(tf.placeholder(tf.int32))
    assert not sm.is_valid_signature(sm.build_signature_def({"inputs": info}, {}, method))
    assert not sm.is_valid_signature(None)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: sm.predict_signature_def(None, {"b": text("b")}), "`inputs` cannot be None"),
        (lambda: sm.predict_signature_def({"b": text("b")}, {}), "`outputs` cannot be None"),
        (lambda: sm.regression_signature_def(None, number("a")), "`examples` cannot be None"),
        (lambda: sm.regression_signature_def(text("a"), None), "`predictions` cannot be None"),
        (lambda: sm.regression_signature_def(number("a"), number("b")), "input tensors must be of"),
        (lambda: sm.regression_signature_def(text("a"), text("b")), "output tensors must be of"),
        (lambda: sm.classification_signature_def(None, text("a"), None), "`examples` cannot"),
        (lambda: sm.classification_signature_def(text("a"), None, None), "cannot both be None"),
        (lambda: sm.classification_signature_def(number("a"), None, number("b")), "input tensors"),
        (lambda: sm.classification_signature_def(text("a"), number("b"), None), "classes must be"),
        (lambda: sm.classification_signature_def(text("a"), None, text("b")), "scores must be"),
        (
            lambda: sm.regression_signature_def(text("a"), tf.Variable([1.0])),
            r"float32_ref; hand over its `value\(\)`",
        ),
    ],
)
def test_wrong_tensors_are_named(make, error):
    with pytest.raises(ValueError, match=error):
        make()


def test_tensors_by_description():
    tensor = tf.placeholder(tf.float32, [None, 2], name="t")
    info = sm.utils.build_tensor_info(tensor)
    assert [d.size for d in info.tensor_shape.dim] == [-1, 2]
    assert sm.utils.get_tensor_from_tensor_info(info) is tensor
    variable = tf.Variable(1.0, name="v")
    assert (sm.build_tensor_info(variable).name, sm.build_tensor_info(variable).dtype) == (
        "v:0",
        101,
    )
    assert sm.build_tensor_info(variable.value()).dtype == 1
    with pytest.raises(KeyError, match="scope/t:0"):
        sm.get_tensor_from_tensor_info(info, import_scope="scope")
    with pytest.raises(KeyError):
        sm.get_tensor_from_tensor_info(info, graph=tf.Graph())
    info.name = ""
    with pytest.raises(ValueError, match="names no tensor"):
        sm.get_tensor_from_tensor_info(info)
