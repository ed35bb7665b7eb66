"""Every operation has TensorFlow's signature: names, order, kinds, defaults (fixtures/tf_ops.json)."""

import json
from pathlib import Path

import numpy as np
import pytest

import ckpt
import ckpt.ops  # defines the operations
from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.core.shapes import TensorShape
from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS, OpDef
from ckpt.graph.signature import REQUIRED

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
FIXTURE, NAMES = FIXTURES / "tf_ops.json", FIXTURES / "tf_names.json"
TENSORFLOW = {row["name"]: row for row in json.loads(FIXTURE.read_text(encoding="utf-8"))["op"]}
OWN_PREFIX = "Ckpt"
"""Types that TensorFlow does not have carry our name, so that nobody takes them for its own."""

KNOWN = sorted(name for name in OPS if name in TENSORFLOW)


def test_types_that_tensorflow_lacks_carry_our_name():
    assert [
        name for name in OPS if name not in TENSORFLOW and not name.startswith(OWN_PREFIX)
    ] == []


def ours(arg):
    found = {"name": arg.name}
    if arg.dtype is not None:
        found["type"] = arg.dtype.name
    for key in ("type_attr", "number_attr", "type_list_attr"):
        if getattr(arg, key):
            found[key] = getattr(arg, key)
    if arg.is_ref:
        found["is_ref"] = True
    return found


def theirs(arg):
    return {
        key: value
        for key, value in arg.items()
        if key not in ("description", "experimental_full_type")
    }


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("side", ["input", "output"])
def test_arguments(name, side):
    found = [ours(arg) for arg in getattr(OPS[name], f"{side}s")]
    assert found == [theirs(arg) for arg in TENSORFLOW[name].get(f"{side}_arg", [])]


def plain(value):
    """A default as the fixture spells it."""
    if isinstance(value, DType):
        return value.name
    if isinstance(value, TensorShape):
        return None if value.sizes is None else list(value.sizes)
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-6)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.name, "shape": list(value.shape)}
    if isinstance(value, list):
        return [plain(member) for member in value]
    return value


@pytest.mark.parametrize("name", KNOWN)
def test_attributes_and_their_defaults(name):
    wanted = {attr["name"]: attr for attr in TENSORFLOW[name].get("attr", [])}
    assert set(OPS[name].attrs) == set(wanted)
    for key, attr in OPS[name].attrs.items():
        assert attr.kind == wanted[key]["type"], key
        assert (attr.default is REQUIRED) == ("default" not in wanted[key]), key
        if attr.default is not REQUIRED:
            assert wanted[key]["default"] == plain(attr.default), key


@pytest.mark.parametrize("name", KNOWN)
def test_nothing_is_allowed_that_tensorflow_refuses(name):
    wanted = {attr["name"]: attr for attr in TENSORFLOW[name].get("attr", [])}
    for key, attr in OPS[name].attrs.items():
        limits = wanted.get(key, {})
        if "allowed" in limits and attr.kind != "func":
            assert attr.allowed is not None, f"{key}: TensorFlow allows only {limits['allowed']}"
            assert {plain(v) for v in attr.allowed} <= set(limits["allowed"]), key
        if "minimum" in limits:
            assert (attr.minimum or 0) >= limits["minimum"], key


@pytest.mark.parametrize("name", KNOWN)
def test_stateful_where_tensorflow_is(name):
    assert TENSORFLOW[name].get("is_stateful", False) <= OPS[name].is_stateful


@pytest.mark.parametrize("name", sorted(OPS))
def test_says_whether_there_is_a_gradient(name):
    opdef = OPS[name]
    has_rule = opdef.gradient is not None or opdef.gradient_note
    assert has_rule or not opdef.outputs, f"{name}: neither a gradient nor why there is none"


@pytest.mark.parametrize("name", sorted(OPS))
def test_explains_itself_and_knows_its_shapes(name):
    opdef = OPS[name]
    assert opdef.shape_rule is not None or not opdef.outputs, f"{name} has no shape rule"


def test_defaults_are_their_own():
    """A default array, which nodes share, cannot be written to."""
    defaults = [a.default for d in OPS.values() for a in d.attrs.values()]
    assert not any(isinstance(one, np.ndarray) and one.flags.writeable for one in defaults)


def test_dtypes_of_the_fixture_are_known():
    kinds = {
        a["type"] for row in TENSORFLOW.values() for a in row.get("input_arg", []) if "type" in a
    }
    assert kinds <= set(dtypes.BY_NAME)


def public_opdefs():
    """The type names of the operations that are themselves public functions."""
    found = set()
    for name in json.loads(NAMES.read_text(encoding="utf-8"))["names"]:
        value = ckpt
        for part in name.split("."):
            value = getattr(value, part, None)
        if isinstance(value, OpDef) and value.type in TENSORFLOW:
            found.add(value.type)
    return sorted(found)


@pytest.mark.parametrize("name", public_opdefs())
def test_attributes_by_position_are_tensorflows(name):
    """Those that no input gives, in TensorFlow's order: `tf.image.decode_jpeg(contents, 3)`."""
    opdef = OPS[name]
    inferred = {n for a in opdef.inputs for n in (a.type_attr, a.number_attr, a.type_list_attr)}
    wanted = [a for a in TENSORFLOW[name].get("attr", []) if a["name"] not in inferred]
    wanted.sort(key=lambda attr: "default" in attr)
    found = [key for key in opdef.attrs if key not in inferred]
    found.sort(key=lambda key: opdef.attrs[key].default is not REQUIRED)
    assert found == [attr["name"] for attr in wanted]


def test_attributes_may_be_given_by_position():
    with Graph().as_default():
        image = OPS["DecodePng"](b"", 3, dtypes.uint16)
        assert (image.op.get_attr("channels"), image.dtype) == (3, dtypes.uint16)
        with pytest.raises(TypeError, match="4 is no name"):
            OPS["DecodePng"](b"", 3, dtypes.uint16, 4)
        with pytest.raises(TypeError, match=r"takes 1 inputs .contents. and channels, dtype, name"):
            OPS["DecodePng"](b"", 3, dtypes.uint16, "png", 4)
        with pytest.raises(TypeError, match="more than one value for channels"):
            OPS["DecodePng"](b"", 3, channels=3)


def test_a_name_may_stand_last_by_position():
    x = ckpt.constant([[1.0, 2.0], [3.0, 5.0]])
    assert ckpt.identity(x, "code").op.name == "code"
    assert ckpt.nn.relu(x, None).op.name == "Relu"
    assert ckpt.matrix_inverse(x, False, "inverse").op.name == "inverse"
    for wrong in (
        lambda: ckpt.identity(x, "a", name="b"),
        lambda: ckpt.identity(x, "a", "b"),
        lambda: ckpt.identity(x, 3),
    ):
        with pytest.raises(TypeError):
            wrong()
