"""Text forms of MetaGraphs: long ones are read as short ones are, and what is wrong with them is told."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt.core import defs
from ckpt.core.errors import DataLossError, UnimplementedError
from ckpt.wire import json_text, metagraph_json_reader, saved_model_file
from ckpt.wire.json_text import Cursor
from ckpt.wire.metagraph_json import to_json
from ckpt.wire.metagraph_json_reader import all_from_json, from_json
from tests.wire import metagraphs
from tests.wire.metagraphs import everything, same


@pytest.fixture(scope="module", autouse=True)
def _everything_is_long():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "WINDOW", 64)
        patch.setattr(metagraph_json_reader, "WINDOW", 64)
        patch.setattr(metagraph_json_reader, "LARGE", 0)
        patch.setattr(metagraph_json_reader, "_QUADS", 8)
        yield


@given(metagraphs.meta_graphs)
@settings(max_examples=60, deadline=None)
def test_any_meta_graph_comes_back(meta):
    assert same(from_json(to_json(meta)), meta)


def test_long_values_come_back():
    many = '\N{GRINNING FACE}\N{EURO SIGN}\\"\n' * 50
    attr = {
        "text": many,
        "plain": "a" * 500,
        "bytes": many.encode(),
        "plain bytes": b"a" * 500,
        "more bytes": bytes(range(256)),
        "numbers": np.arange(100, dtype=np.int16),
        "words": np.array([b"w%d" % n for n in range(200)] + [bytes(range(200))], object),
        "list": [many, b"x" * 200, 1.5, float("inf"), *range(100)],
        "function": defs.Func("f" * 100, {"a": np.arange(50)}),
    }
    meta = defs.MetaGraphDef(
        graph_def=defs.GraphDef((defs.NodeDef("n", "o", ("a",) * 50, "", attr),))
    )
    assert same(from_json(to_json(meta)), meta)
    for models in ([meta], [everything(), meta, everything()], []):
        text = saved_model_file.to_json(models)
        found = all_from_json(text.encode(), "m.json")
        assert len(found) == len(models)
        assert all(map(same, found, models))


def test_the_order_and_the_white_space_of_the_text_do_not_matter():
    meta = everything()

    def turned(value):
        if isinstance(value, dict):
            members = reversed(value.items())
            return {key: item if key == "attr" else turned(item) for key, item in members}
        return [turned(item) for item in value] if isinstance(value, list) else value

    found = from_json(json.dumps(turned(json.loads(to_json(meta))), indent=9))
    assert found.collection_def == meta.collection_def
    assert same(found.graph_def, meta.graph_def)


def test_a_number_longer_than_all_that_is_read_at_once_is_refused():
    with pytest.raises(DataLossError, match=r"^m\.meta: "):
        from_json(DOCUMENT % (NODE % ("1" * 99)), "m.meta")


DOCUMENT = '{"format": "ckpt-metagraph", "version": 1, "meta_graph": {"graph_def": {"node": [%s]}}}'
NODE = '{"name": "n", "op": "o", "attr": {"v": %s}}'


def of_items(kind, size, item, count):
    """A node with such a tensor."""
    return NODE % f'{{"$tensor": ["{kind}", [{size}], [{", ".join([item] * count)}]]}}'


LONG = "x" * 30
WRONG = {
    "a number where a node should be": (DOCUMENT % ",".join([NODE % 1] * 100 + ["7"]), r"node\[100\]"),
    "an unknown field": (DOCUMENT.replace('"node"', '"nodes"') % "", "nodes"),
    "a field twice": (DOCUMENT % '{"name": "n", "name": "n", "op": "o"}', "twice"),
    "a long object with a field twice": (DOCUMENT % (NODE % 1).replace('"op"', f'"{LONG}": 1, "{LONG}": 1, "op"'), "twice"),
    "no base64": (DOCUMENT % (NODE % ('{"$base64": "%s!"}' % ("a" * 99))), "base64"),
    "base64 that ends early": (DOCUMENT % (NODE % ('{"$base64": "%s"}' % ("a" * 98 + "b"))), "base64"),
    "base64 of a number": (DOCUMENT % (NODE % ('{"$base64": %s7}' % (" " * 99))), "base64"),
    "a tensor of wrong size": (DOCUMENT % (NODE % ('{"$tensor": ["uint8", [3], {"$base64": "%s"}]}' % ("a" * 100))), "needs 3 bytes, not 75"),
    "too few strings": (DOCUMENT % of_items("string", 99, '{"$bytes": ""}' , 98), "98 strings"),
    "too many strings": (DOCUMENT % of_items("string", 97, '{"$bytes": ""}' , 98), "97 byte strings"),
    "numbers as strings": (DOCUMENT % of_items("string", 99, "1" , 99), "99 byte strings"),
    "strings as numbers": (DOCUMENT % of_items("uint8", 99, "1" , 99), "uint8"),
    "something beside a tensor": (DOCUMENT % (NODE % ('{"$bytes": "%s", "x": 1}' % ("a" * 99))), "other names"),
    "a text that does not end": (DOCUMENT % (NODE % ('"' + "a" * 99))[:-2] , "not end"),
    "a character that no text has": (DOCUMENT % (NODE % ('"' + "a" * 99 + "\n" + '"')), "wrong at byte"),
    "an unknown escape": (DOCUMENT % (NODE % ('"' + "a" * 99 + "\\x" + '"')), "wrong at byte"),
    "half an escape": (DOCUMENT % (NODE % ('"' + "a" * 99 + "\\u12" + '"')), "wrong at byte"),
    "a comma too many": (DOCUMENT % f"{NODE % 1},", "not JSON"),
    "no comma": (DOCUMENT % f"{NODE % 1} {NODE % 1}", "should be"),
    "no colon": (DOCUMENT.replace(":", "") % "", "not JSON"),
    "no name": ('{"format": "ckpt-metagraph", 7: 8}', "name"),
    "half of it": (DOCUMENT[:90], "not JSON"),
    "something behind it": (DOCUMENT % "" + " " * 99 + "x", "follows"),
    "another version of SavedModels": ('{"meta_graph": {}}', "format"),
    "no graph": ('{"format": "ckpt-metagraph", "version": 1}', "no `meta_graph`"),
    "nesting": (DOCUMENT % (NODE % ("[" * 70 + "]" * 70)), "nested"),
    "a collection of no kind": (DOCUMENT.replace('"graph_def"', '"collection_def": {"c": {"value": [1]}}, "graph_def"') % "", "CollectionDef"),
    "a collection that is no object": (DOCUMENT.replace('"graph_def"', '"collection_def": {"c": 7}, "graph_def"') % "", "object"),
    "a collection of two things": (DOCUMENT.replace('"graph_def"', '"collection_def": {"c": {"value": 7, "kind": "node_list"}}, "graph_def"') % "", "list"),
    "a list": ("[1]", "format"),
    "nothing": ("", "format"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told(case):
    text, why = case
    with pytest.raises(DataLossError, match=rf"(?s)^m\.meta: .*{why}"):
        from_json(text, "m.meta")
    with pytest.MonkeyPatch.context() as patch:  # as short ones are read
        patch.setattr(json_text, "WINDOW", 1 << 18)
        with pytest.raises(DataLossError, match=r"^m\.meta: "):
            from_json(text, "m.meta")


def test_bytes_that_are_no_text_are_told():
    data = (DOCUMENT % (NODE % ('"' + "a" * 99 + '"'))).encode()
    with pytest.raises(DataLossError, match=r"m\.meta: byte 100 is not UTF-8"):
        from_json(data[:100] + b"\xff" + data[101:], "m.meta")


def test_a_later_version_is_told():
    with pytest.raises(UnimplementedError, match=r"m\.meta: .*version int 9"):
        from_json(DOCUMENT.replace("1", "9") % "", "m.meta")
    with pytest.raises(DataLossError, match=r"m\.json: MetaGraph 1: .*format"):
        text = '{"meta_graphs": [%s, {}]}' % (DOCUMENT % "")
        all_from_json(text.encode(), "m.json")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False) | TEXTS,
        lambda inner: st.lists(inner, max_size=9) | st.dictionaries(TEXTS.map(lambda text: text[:4]), inner, max_size=9),
    ),
    st.sampled_from([None, 0, 40]),
    st.booleans(),
)  # fmt: skip
def test_a_cursor_reads_what_json_reads(value, indent, is_ascii):
    cursor = Cursor(json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode())
    assert read(cursor) == value
    assert cursor.peek() == ""


def read(cursor):
    """A value of any size."""
    is_small, value = cursor.small()
    if is_small:
        return value
    if cursor.peek() == "{":
        return {name: read(cursor) for name in cursor.members()}
    if cursor.peek() == "[":
        return [read(cursor) for _ in cursor.items()]
    begin, end = cursor.text()
    return json.loads(cursor.data[begin - 1 : end + 1])
