"""Datasets and iterators: each row is a pipeline in one graph, which TensorFlow runs as well."""

import tracemalloc

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt.core import dtypes
from ckpt.core.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    OutOfRangeError,
)
from ckpt.core.shapes import TensorShape
from ckpt.graph.opdef import OPS
from ckpt.graph.scopes import control_dependencies
from ckpt.graph.sparse import SparseTensor
from ckpt.graph.specs import TensorSpec
from ckpt.model.dataset import Dataset
from ckpt.model.dataset_function import ElementFunction
from ckpt.model.dataset_iterators import Iterator
from ckpt.ops import datasets, datasets_random, iterator_state
from ckpt.ops.iterator_state import packed, unpacked
from tests.conformance.ops import case, conformance, normal

X = np.arange(7, dtype=np.int64)
TABLE = normal(5, 2)
WORDS = np.array([b"a", b"bc", b"", b"d"], object)
HANDLES = "TensorFlow says nothing of the shape of a handle"
SCALAR = [TensorSpec([], dtypes.int64)]
ONE = {"output_types": [dtypes.int64], "output_shapes": [TensorShape([])]}
MANY = {"output_types": [dtypes.int64], "output_shapes": [TensorShape([None])]}


def slices(x):
    return Dataset.from_tensor_slices(x)


def whole(dataset):
    """All elements (no more than 99, of one shape) in one batch."""
    batch = dataset.batch(99)
    return batch_of(batch._variant_tensor, batch.element_spec)


def whole_of(variant, spec):
    """All elements of the dataset in a variant tensor."""
    return whole(Dataset(variant, spec if len(spec) > 1 else spec[0]))


def batch_of(variant, spec):
    from ckpt.model import dataset_structure as structure

    components = OPS["DatasetToSingleElement"](
        variant,
        output_types=structure.component_types(spec),
        output_shapes=structure.component_shapes(spec),
    )
    return list(components)


def of_node(name, dataset, *inputs, spec=None, **attrs):
    """All elements of the dataset that a node of the type `name` over `dataset` gives."""
    variant = OPS[name](dataset._variant_tensor, *inputs, **attrs)
    return whole(Dataset(variant, spec or dataset.element_spec))


def function(python, name="f", given=SCALAR):
    return ElementFunction(python, name, given, Dataset)


def called(name, dataset, python, *inputs, given=SCALAR, spec=None, **attrs):
    f = function(python, given=given)
    return of_node(name, dataset, f.captured, *inputs, f=f.attribute, spec=spec, **attrs)


def repeated(x):
    return Dataset.from_tensors(x).repeat(3)


def in_turn(step):
    """Tensors of which each is asked for after the ones before: `step(i)` makes them."""
    found = []
    for i in range(4):
        with control_dependencies([t.op for t in found]):
            found.append(step(i))
    return found


def begun(x, iterator_op="IteratorV2"):
    dataset = slices(x)
    handle = OPS[iterator_op](shared_name="", container="", **ONE)
    made = OPS["MakeIterator"](dataset._variant_tensor, handle)
    return handle, made


def following(x, iterator_op="IteratorV2", next_op="IteratorGetNext", through=None):
    handle, made = begun(x, iterator_op)
    with control_dependencies([made]):
        handle = through(handle) if through else handle
        return in_turn(lambda i: OPS[next_op](handle, **ONE)[0])


def by_handle(x, name):
    return following(x, through=lambda h: OPS[name](OPS["IteratorToStringHandle"](h), **ONE))


def optionals(x):
    handle, made = begun(x[:1])
    with control_dependencies([made]):
        first = OPS["IteratorGetNextAsOptional"](handle, **ONE)
        with control_dependencies([first.op]):
            second = OPS["IteratorGetNextAsOptional"](handle, **ONE)
    return [OPS["OptionalHasValue"](o) for o in (first, second)]


def one_shot(x):
    iterator = Dataset.range(4).map(lambda v: v + 1).make_one_shot_iterator()
    return in_turn(lambda i: iterator.get_next() + x[i])


def saved_and_restored(x):
    """The second element twice: the iterator goes back to where it stood."""
    handle, made = begun(x)
    with control_dependencies([made]):
        first = OPS["IteratorGetNext"](handle, **ONE)[0]
    with control_dependencies([first.op]):
        state = OPS["SerializeIterator"](handle)
    with control_dependencies([state.op]):
        second = OPS["IteratorGetNext"](handle, **ONE)[0]
    with control_dependencies([second.op]):
        back = OPS["DeserializeIterator"](handle, state)
    with control_dependencies([back]):
        return [first, second, OPS["IteratorGetNext"](handle, **ONE)[0]]


def counted(x):
    """What a GeneratorDataset gives that counts down in a variable of its own."""
    init = function(lambda n: n * 10, "init")
    follow = function(lambda state: state + 1, "next")
    end = function(lambda state: state, "finalize")
    variant = OPS["GeneratorDataset"](
        [x[3]],
        [],
        [],
        init_func=init.attribute,
        next_func=follow.attribute,
        finalize_func=end.attribute,
        **ONE,
    )
    return whole(Dataset(variant, SCALAR[0]).take(3))


def sparse(x):
    return SparseTensor(np.array([[0, 1], [0, 3], [2, 0]]), x[:3], [3, 4])


def sparse_round_trip(x, name, back, out_type):
    parts = sparse(x)
    row = OPS[name](parts.indices, parts.values, parts.dense_shape, out_type=out_type)
    return list(OPS[back](row, dtype=x.dtype))


def padded(name, x, *more):
    dataset = slices(x).map(lambda v: OPS["Fill"](OPS["Reshape"](v, [1]), v))
    spec = TensorSpec([None, 4], dtypes.int64)
    sizes = {"Toutput_types": [dtypes.int64], "output_shapes": [TensorShape([None, 4])]}
    variant = OPS[name](dataset._variant_tensor, 4, [np.array([4])], [np.int64(-1)], *more, **sizes)
    return batch_of(Dataset(variant, spec).take(1)._variant_tensor, spec)


def scanned(x):
    f = ElementFunction(lambda s, v: (s + v, s * v), "scan", [SCALAR[0], SCALAR[0]], Dataset)
    return of_node(
        "ScanDataset",
        slices(x),
        [np.int64(1)],
        f.captured,
        f=f.attribute,
        Tstate=[dtypes.int64],
        **ONE,
    )


def failing(x):
    """The numbers, but for one, which cannot be made."""
    return slices(x).map(lambda v: v + 0 * (x[4] // (v - x[2])))


def row(python, x, like=None, title="", **more):
    return case(python, x, like=like, grad=0, title=title, **more)


def cycle(name, *more, **attrs):
    return lambda x: called(
        name, slices(x), repeated, np.int64(2), np.int64(2), *more, spec=SCALAR[0], **attrs, **ONE
    )


TURNS = [0, 0, 1, 1, 0, 1, 2, 2, 3, 3, 2, 3]
CRASHES = (
    "TensorFlow adds this node itself; one that stands in a graph ends its process now and then"
)

TestDatasets = conformance([
    row(lambda x: whole(Dataset.from_tensors(x)), X, lambda x: x[None], "TensorDataset"),
    row(lambda x: whole(slices(x)), TABLE, lambda x: x, "TensorSliceDataset"),
    row(lambda x: whole(slices(x)), WORDS, lambda x: x, "TensorSliceDataset"),
    row(lambda x: whole(slices((x, x[0]))), X, title="TensorSliceDataset", raises=ValueError, match="rank"),
    row(lambda x: whole(Dataset.range(x[1], x[6], x[2])), X, lambda x: np.arange(1, 6, 2), "RangeDataset"),
    row(lambda x: whole(Dataset.range(5, x[0], -2)), X, lambda x: np.arange(5, 0, -2), "RangeDataset"),
    row(lambda x: whole(Dataset.range(3, 9, x[0])), X, title="RangeDataset", raises=InvalidArgumentError, match="step"),
    row(lambda x: whole(slices(x).map(lambda v: v * x[2] + 1)), X, lambda x: x * 2 + 1, "MapDataset"),
    row(lambda x: whole(slices(x).map(lambda v: v + x[1], num_parallel_calls=2)), X, lambda x: x + 1, "ParallelMapDatasetV2"),
    row(lambda x: called("ParallelMapDataset", slices(x), lambda v: v - 1, np.int32(3), **ONE), X, lambda x: x - 1,
        "ParallelMapDataset"),
    row(lambda x: whole(slices(x).filter(lambda v: v > x[3])), X, lambda x: x[4:], "FilterDataset"),
    row(lambda x: whole(slices(x).take_while(lambda v: v < x[3])), X, lambda x: x[:3], "TakeWhileDataset"),
    row(lambda x: whole(slices(x).flat_map(lambda v: Dataset.range(v))), X[:4], lambda x: np.array([0, 0, 1, 0, 1, 2]),
        "FlatMapDataset"),
    row(lambda x: whole(slices(x[:4]).interleave(repeated, 2, 2)), X, lambda x: np.array(TURNS), "InterleaveDataset"),
    row(lambda x: whole(slices(x[:4]).interleave(repeated, 2, 2, num_parallel_calls=2)), X, lambda x: np.array(TURNS),
        "ParallelInterleaveDatasetV4"),
    row(cycle("ParallelInterleaveDatasetV2", np.int64(2)), X[:4], lambda x: np.array(TURNS), "ParallelInterleaveDatasetV2"),
    row(cycle("ParallelInterleaveDatasetV3", np.int64(2)), X[:4], lambda x: np.array(TURNS), "ParallelInterleaveDatasetV3"),
    row(lambda x: whole(slices(x[:4]).interleave(repeated, x[0])), X, title="InterleaveDataset",
        raises=InvalidArgumentError, match="cycle_length"),
    row(scanned, X, lambda x: np.array([0, 1, 4, 12, 28, 55, 96]), "ScanDataset"),
    row(lambda x: [slices(x).reduce(x[2], lambda s, v: s * 2 + v)], X, lambda x: [376], "ReduceDataset"),
    row(counted, X, lambda x: np.array([31, 31, 31]), "GeneratorDataset"),
    row(lambda x: whole(Dataset.zip((slices(x), slices(x).skip(2)))), X, lambda x: (x[:5], x[2:]), "ZipDataset"),
    row(lambda x: whole(slices(x).concatenate(Dataset.range(2))), X, lambda x: np.append(x, [0, 1]), "ConcatenateDataset"),
    row(lambda x: whole(slices(x).repeat(x[2])), X, lambda x: np.tile(x, 2), "RepeatDataset"),
    row(lambda x: whole(slices(x).filter(lambda v: v > 9).repeat().concatenate(slices(x))), X, lambda x: x, "RepeatDataset"),
    row(lambda x: whole(slices(x).take(x[3])), X, lambda x: x[:3], "TakeDataset"),
    row(lambda x: whole(slices(x).take(-1)), X, lambda x: x, "TakeDataset"),
    row(lambda x: whole(slices(x).skip(x[3])), X, lambda x: x[3:], "SkipDataset"),
    row(lambda x: whole(slices(x).shard(3, x[1])), X, lambda x: x[1::3], "ShardDataset"),
    row(lambda x: whole(slices(x).shard(3, x[4])), X, title="ShardDataset", raises=InvalidArgumentError, match="Index"),
    row(lambda x: whole(slices(x).shuffle(3, seed=5)), X, title="ShuffleDataset"),
    row(lambda x: whole(slices(x).shuffle(99, seed=5).repeat(4)), X, title="ShuffleDataset"),
    row(lambda x: whole(slices(x).repeat(4).shuffle(5, seed=-1, reshuffle_each_iteration=False).repeat(2)), X,
        title="ShuffleDataset"),
    row(lambda x: whole(slices(x).shuffle(x[0])), X, title="ShuffleDataset", raises=InvalidArgumentError, match="buffer_size"),
    row(lambda x: of_node("ShuffleAndRepeatDataset", slices(x), np.int64(4), x[3], x[2], x[3], **ONE), X,
        title="ShuffleAndRepeatDataset"),
    row(lambda x: whole(slices(x).cache().repeat(2)), X, lambda x: np.tile(x, 2), "CacheDataset"),
    row(lambda x: whole(slices(x).prefetch(2)), X, lambda x: x, "PrefetchDataset"),
    row(lambda x: of_node("IgnoreErrorsDataset", failing(x), **ONE), X, lambda x: x[x != 2], "IgnoreErrorsDataset"),
    row(lambda x: of_node("ModelDataset", slices(x), **ONE), X, lambda x: x, "ModelDataset", unasked=CRASHES),
    row(lambda x: of_node("OptionsDataset", slices(x), serialized_options="", **ONE), X, lambda x: x, "OptionsDataset"),
    row(lambda x: whole(slices(x).batch(x[3], drop_remainder=True)), X, lambda x: x[:6].reshape(2, 3), "BatchDatasetV2"),
    row(lambda x: whole(slices(x).batch(x[3]).skip(2)), X, lambda x: x[None, 6:], "BatchDatasetV2"),
    row(lambda x: whole(slices(x).batch(x[0])), X, title="BatchDatasetV2", raises=InvalidArgumentError, match="Batch size"),
    row(lambda x: of_node("BatchDataset", slices(x), np.int64(7), spec=TensorSpec([None], dtypes.int64), **MANY), X,
        lambda x: x[None], "BatchDataset"),
    row(lambda x: padded("PaddedBatchDataset", x), X[:4], title="PaddedBatchDataset"),
    row(lambda x: padded("PaddedBatchDatasetV2", x, True), X[:4], title="PaddedBatchDatasetV2"),
    row(lambda x: padded("PaddedBatchDataset", x + 3), X[:4], title="PaddedBatchDataset", raises=DataLossError, match="pad"),
    row(lambda x: called("MapAndBatchDataset", slices(x), lambda v: v + 1, np.int64(7), np.int64(1), False,
                         spec=TensorSpec([None], dtypes.int64), **MANY), X, lambda x: x[None] + 1, "MapAndBatchDataset"),
    row(lambda x: whole(Dataset.from_tensors(x).repeat(2).unbatch()), TABLE, lambda x: np.tile(x, (2, 1)), "UnbatchDataset"),
    row(lambda x: whole(slices(x).window(3, 2, 2, True).flat_map(lambda d: d.batch(3))), X,
        lambda x: np.array([[0, 2, 4], [2, 4, 6]]), "WindowDataset"),
    row(lambda x: whole(slices(x).window(x[0])), X, title="WindowDataset", raises=InvalidArgumentError, match="size"),
    row(lambda x: batch_of(slices(x)._variant_tensor, SCALAR[0]), X, title="DatasetToSingleElement",
        raises=InvalidArgumentError, match="more than one"),
    row(lambda x: whole(slices(x).map(lambda v: OPS["Fill"](OPS["Reshape"](v, [1]), v))), X, title="BatchDatasetV2",
        raises=InvalidArgumentError, match="number of elements does not match"),
])  # fmt: skip

TestSparse = conformance([
    row(lambda x: sparse_round_trip(x, "SerializeSparse", "DeserializeSparse", dtypes.string), X, title="SerializeSparse"),
    row(lambda x: sparse_round_trip(x, "SerializeSparse", "DeserializeSparse", dtypes.variant), X, title="SerializeSparse"),
    row(lambda x: sparse_round_trip(x, "SerializeManySparse", "DeserializeManySparse", dtypes.string), X,
        title="SerializeManySparse"),
    row(lambda x: OPS["DeserializeSparse"]([b"no", b"message", b"!"], dtype=x.dtype), X,
        title="DeserializeSparse", raises=InvalidArgumentError, match="serialized_sparse"),
    row(lambda x: whole(Dataset.from_sparse_tensor_slices(sparse(x)).take(1)), X, title="SparseTensorSliceDataset"),
])  # fmt: skip

TestIterators = conformance([
    row(one_shot, X, lambda x: [1, 3, 5, 7], "OneShotIterator"),
    row(following, X, lambda x: [0, 1, 2, 3], "IteratorGetNext"),
    row(lambda x: following(x, "Iterator", "IteratorGetNextSync"), X, lambda x: [0, 1, 2, 3], "IteratorGetNextSync"),
    row(following, X[:3], title="IteratorGetNext", raises=OutOfRangeError, match="End of sequence"),
    row(lambda x: Dataset.range(x[3]).make_initializable_iterator().get_next(), X, title="IteratorGetNext",
        raises=FailedPreconditionError, match="has not been initialized"),
    row(optionals, X, lambda x: [True, False], "IteratorGetNextAsOptional"),
    row(lambda x: by_handle(x, "IteratorFromStringHandle"), X, lambda x: [0, 1, 2, 3], "IteratorFromStringHandle"),
    row(lambda x: by_handle(x, "IteratorFromStringHandleV2"), X, lambda x: [0, 1, 2, 3], "IteratorFromStringHandleV2"),
    row(lambda x: Iterator.from_string_handle("no", dtypes.int64, []).get_next() + x[0], X, raises=InvalidArgumentError,
        match="string_handle", title="IteratorFromStringHandleV2"),
    row(saved_and_restored, X, lambda x: [0, 1, 1], "SerializeIterator"),
])  # fmt: skip


@pytest.mark.parametrize("value", [
    1, "text", b"bytes", None, True, [1, [2]], np.float32(2.5), np.arange(6).reshape(2, 3), np.array([b"a", b""], object),
    np.zeros((0, 2), np.float16),
])  # fmt: skip
def test_positions_survive_as_bytes(value):
    found = unpacked(packed(["name", value]))[1]
    assert type(found) is type(value)
    if isinstance(value, np.ndarray):
        assert found.dtype == value.dtype
        assert found.shape == value.shape
        assert found.tolist() == value.tolist()
    else:
        assert found == value


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"abc", packed([1, 2])[:-1], b"\x92\x05\x01", b"\x92\x01\xc7\x01\x07a"]
)
def test_bytes_that_are_no_position(data):
    with pytest.raises(DataLossError, match="position"):
        unpacked(data)


@pytest.mark.parametrize("member", [b"\x90", b"\x91\x90", b"\x80", b"\x81\xc0\xc0"])
def test_positions_of_lists_alone_are_refused_before_they_take_memory(member, monkeypatch):
    """An empty list takes 64 times its byte, a map of one member up to 80 times its three."""
    monkeypatch.setattr(iterator_state, "_FEW_LISTS", 100)
    many = b"\xdd\x00\x01\x00\x00" + member * (1 << 16)
    array = msgpack.packb([1, msgpack.ExtType(1, b"\x94\xa6object\x90\xc2" + many), 1])
    for data in (b"\x93\x01" + many + b"\x01", array):
        tracemalloc.start()
        with pytest.raises(DataLossError, match="more lists or maps than a position needs"):
            unpacked(data)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 30 * len(data) + (1 << 18)


def test_many_small_elements_are_a_position():
    buffer = [[(b"",), [True, (np.int64(i),)]] for i in range(1000)]
    assert unpacked(packed(["_Shuffle", [buffer] * 30, []]))[1][29][7][1][1] == [7]


def test_what_is_no_number_cannot_be_saved():
    with pytest.raises(FailedPreconditionError, match="a position that holds a object"):
        packed([object()])


@given(
    count=st.integers(0, 40),
    size=st.integers(1, 12),
    parts=st.lists(st.integers(0, 9), max_size=12),
    seed=st.integers(1, 9),
)
def test_elements_that_are_drawn_together_are_those_drawn_one_by_one(count, size, parts, seed):
    """Of a range and of slices, shuffled or not; also where both ways are mixed."""
    numbers = datasets.range_dataset.kernel(
        0, 3 * count, 3, output_types=[dtypes.int64], output_shapes=[TensorShape(())]
    )
    columns = np.arange(count, dtype=np.float32), np.arange(2 * count).reshape(count, 2)
    slices = datasets.tensor_slice_dataset.kernel(
        *columns, Toutput_types=[dtypes.float32, dtypes.int64], output_shapes=[(), (2,)]
    )
    for source in (numbers, slices):
        for dataset in (
            source,
            datasets_random.shuffle_dataset.kernel(
                source, size, seed, 5, reshuffle_each_iteration=False
            ),
        ):
            one_by_one, together = dataset.start(), dataset.start()
            for part in parts:
                wanted = [element for _, element in zip(range(part), one_by_one, strict=False)]
                found = together.some(part)
                assert repr(found) == repr(wanted)
                assert [type(value) for e in found for value in e] == [
                    type(value) for e in wanted for value in e
                ]
            assert repr(next(together, None)) == repr(next(one_by_one, None))


@pytest.mark.parametrize("depth", [33, 3000])
def test_positions_nested_deep_are_refused(depth):
    """msgpack would overflow the processor's stack at some hundred."""
    data = msgpack.packb(["object", [1], False, [1]])
    for _ in range(depth):
        data = msgpack.packb(["object", [1], False, [msgpack.ExtType(1, data)]])
    with pytest.raises(DataLossError, match="32 deep"):
        unpacked(msgpack.packb([1, msgpack.ExtType(1, data), 1]))
