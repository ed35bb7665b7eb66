"""MetaGraphs for the tests of this room: one of every kind of value, and hypothesis strategies."""

from __future__ import annotations

import pathlib

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ckpt.core import defs, dtypes
from ckpt.core.shapes import TensorShape

GOLDENS = pathlib.Path(__file__).parents[2] / "fixtures" / "wire"

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_floats = st.floats(width=32)
_shapes = st.one_of(
    st.none(), st.lists(st.one_of(st.none(), st.integers(0, 2**40)), max_size=4).map(tuple)
).map(TensorShape.of)
_dtypes = st.sampled_from(sorted({d.name for d in dtypes.BY_NUMBER.values()})).map(dtypes.as_dtype)
_words = hnp.arrays(
    object, hnp.array_shapes(min_dims=0, min_side=0, max_side=3), elements=st.binary(max_size=4)
)
_arrays = st.one_of(
    hnp.arrays(
        st.sampled_from([np.float32, np.float16, np.int64, np.uint16, np.bool_, np.complex64]),
        hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
    ),
    _words,
)
_items = [
    st.binary(max_size=8),
    st.integers(-(2**63), 2**63 - 1),
    _floats,
    st.booleans(),
    _dtypes,
    _shapes,
    _arrays,
]
_simple = st.one_of(*_items, st.none(), _texts.map(defs.Placeholder))
_lists = st.one_of(*[st.lists(item, max_size=3) for item in _items])
_values = st.recursive(
    st.one_of(_simple, _lists),
    lambda inner: st.builds(defs.Func, _texts, st.dictionaries(_texts, inner, max_size=2)),
    max_leaves=4,
)
attrs = st.dictionaries(_texts, _values, max_size=4)
nodes = st.builds(
    defs.NodeDef, _texts, _texts, st.lists(_texts, max_size=3).map(tuple), _texts, attrs
)
graphs = st.builds(
    defs.GraphDef,
    node=st.lists(nodes, max_size=4).map(tuple),
    gradient=st.dictionaries(_texts, _texts, max_size=2),
    producer=st.integers(0, 2000),
)
meta_graphs = st.builds(
    defs.MetaGraphDef,
    meta_info_def=st.builds(defs.MetaInfoDef, _texts, st.lists(_texts, max_size=2).map(tuple)),
    graph_def=graphs,
    saver_def=st.one_of(
        st.none(),
        st.builds(defs.SaverDef, _texts, _texts, _texts, st.integers(0, 9), st.booleans(), _floats),
    ),
)


def everything() -> defs.MetaGraphDef:
    """A MetaGraph with every record of `core.defs` and every kind of attribute value in it."""
    dtype, shape = dtypes.float32, TensorShape.of((None, 2))
    attr = {
        "s": b"\xff",
        "i": -3,
        "f": 0.5,
        "b": True,
        "type": dtype,
        "shape": shape,
        "tensor": np.arange(4, dtype=np.float32).reshape(2, 2),
        "words": np.array([b"a", b"\x00"], object),
        "func": defs.Func("doubled", {"T": dtype, "inner": defs.Func("g", {"n": 1})}),
        "placeholder": defs.Placeholder("T"),
        "empty": [],
        "types": [dtype, dtypes.string],
        "unset": None,
    }
    arg = defs.ArgDef("x", dtype, "", "", "", True)
    body = defs.NodeDef("y", "Mul", ("x", "x"), "", {"T": dtype})
    function = defs.FunctionDef(
        "doubled", (arg,), (defs.ArgDef("z", None, "T"),), (body,), {"z": "y:z:0"}, {"c": "y"}, attr
    )
    variable = defs.VariableDef(
        "v:0", "i:0", "v/Assign", "v/read:0", defs.SaveSliceInfoDef("v", (4, 2), (2, 0), (2, 2))
    )
    info = defs.TensorInfo("x:0", dtype, shape)
    sparse = defs.TensorInfo("", dtype, shape, ("v:0", "i:0", "s:0"))
    return defs.MetaGraphDef(
        defs.MetaInfoDef("v1", ("serve",), "1.15", "git", True, ("Add",)),
        defs.GraphDef(
            (
                defs.NodeDef("x", "Placeholder", (), "/cpu:0", {"dtype": dtype, "shape": shape}),
                defs.NodeDef("n", "Odd", ("x", "^x"), "", attr),
            ),
            (function,),
            {"doubled": "g"},
            27,
            12,
        ),
        defs.SaverDef("save/Const:0", "save/control:0", "save/restore_all", 5, False, 10000.0),
        {
            "variables": defs.CollectionDef("variables", (variable,)),
            "losses": defs.CollectionDef("node_list", ("n:0",)),
            "raw": defs.CollectionDef("bytes_list", (b"\xff\x00",)),
            "numbers": defs.CollectionDef("int64_list", (1, 2)),
            "fractions": defs.CollectionDef("float_list", (0.25,)),
            "any": defs.CollectionDef("any_list", (("type.x/y", b"\x08\x01"),)),
        },
        {
            "serving_default": defs.SignatureDef(
                {"in": info, "sparse": sparse}, {"out": info}, "predict"
            )
        },
    )


def same(a, b) -> bool:
    """Equality of definitions that looks into arrays and tells NaN from numbers."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and repr(a.tolist()) == repr(b.tolist())
    if type(a) is not type(b):
        return False
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b) if isinstance(a, float) else bool(a == b)
