"""One table row says what an operation computes; from it follow all the checks that every operation must pass.

    CASES = [
        case(matmul.matmul, ones(2, 3), ones(3, 4), expect=full((2, 4), 3.0)),
        case(matmul.matmul, normal(3, 2), normal(4, 3), transpose_a=True, like=lambda a, b: a.T @ b.T),
        case(matmul.matmul, ones(2, 3), ones(2, 4), raises=ShapeError, match="equal"),
    ]
    TestMatmul = conformance(CASES)

A row is checked for its value and dtype, for static shapes (known, partly known, unknown) against the actual shape,
for its gradient against finite differences, for export and import of its graph, for interpreted and generated
programs that agree to the bit, and, where real TensorFlow is at hand, for TensorFlow's value, dtype and static shape of
the very same graph (tests/ops/test_against_tensorflow.py). Arrays of a row are fed; every other input is handed to the
function as it is. A function that makes variables or other state does so anew in each graph, and seeds what is random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import ckpt.ops  # noqa: F401  # defines the operations
from ckpt.core import defs, dtypes
from ckpt.core.shapes import TensorShape
from ckpt.graph import convert, dump, load
from ckpt.graph.file_use import allow_file_operations
from ckpt.graph.graph import Graph
from ckpt.graph.opdef import OPS
from ckpt.ops import constants
from ckpt.run.generate import generate
from ckpt.run.interpret import interpret
from ckpt.run.session import Session
from ckpt.wire import tf_pb

STEP = 1e-6
"""Half the distance of the two points of a central difference: its error in float64 is about 1e-9."""
ONLY_ON_GPUS = "TensorFlow's kernels on the CPU refuse this layout or dilation"
COARSE_STEP = 1e-2
"""The same for operations that answer in float32 whatever they are given; they must be linear."""


@dataclass(frozen=True)
class Case:
    """One row: a function, its inputs, and what must come of them."""

    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    attrs: dict[str, Any]
    expect: Any = None
    like: Callable[..., Any] | None = None
    grad: int = 1
    raises: type[Exception] | None = None
    match: str | None = None
    rtol: float = 1e-6
    atol: float = 1e-7
    unasked: str = ""
    looser: str = ""
    name: str = field(default="")

    @property
    def wanted(self) -> list[np.ndarray] | None:
        """The outputs that the row asks for, or None when it does not say."""
        found = self.like(*self.inputs) if self.like is not None else self.expect
        if found is None:
            return None
        return [np.asarray(v) for v in (found if isinstance(found, (tuple, list)) else [found])]


def case(
    function: Callable[..., Any], *inputs: Any, expect: Any = None, like: Callable[..., Any] | None = None,
    grad: int = 1, raises: type[Exception] | None = None, match: str | None = None, rtol: float = 1e-6,
    atol: float = 1e-7, unasked: str = "", looser: str = "", title: str = "", **attrs: Any,
) -> Case:  # fmt: skip
    """A row of a table. `like` computes the expected outputs from the inputs; `expect` holds them.

    `grad` is up to which order derivatives are checked: 0, 1 or 2. `raises` (with `match`) is what building or
    running must raise; nothing else is checked then. `unasked` says why TensorFlow's answer is not compared,
    `looser` why its static shape may say more than ours.
    """
    shapes = ",".join(
        str(list(np.shape(v))) if isinstance(v, np.ndarray) else repr(v) for v in inputs
    )
    words = "".join(f",{key}={value}" for key, value in attrs.items())
    called = getattr(function, "type", None) or getattr(function, "__name__", "function").strip(
        "<>"
    )
    name = f"{title or called}({shapes}{words})"[:120]
    return Case(
        function, inputs, attrs, expect, like, int(grad), raises, match, rtol, atol, unasked, looser, name
    )  # fmt: skip


def every(names: str, *inputs: Any, **more: Any) -> list[Case]:
    """The same row of a table for each of the operation types named."""
    return [case(OPS[name], *inputs, **more) for name in names.split()]


def ones(*sizes: int, dtype: Any = np.float32) -> np.ndarray:
    """An array of ones."""
    return np.ones(sizes, dtype)


def zeros(*sizes: int, dtype: Any = np.float32) -> np.ndarray:
    """An array of zeros."""
    return np.zeros(sizes, dtype)


def full(sizes: Sequence[int], value: Any, dtype: Any = np.float32) -> np.ndarray:
    """An array with every element `value`."""
    return np.full(sizes, value, dtype)


def normal(*sizes: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    """Normally distributed numbers, the same in every run; far enough from 0 to be on one side of it."""
    values = np.random.default_rng([seed, *sizes]).standard_normal(sizes)
    return (values + 0.01 * np.sign(values)).astype(dtype)


def positive(*sizes: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    """Numbers between 0.2 and 0.9, the same in every run: inside the domain of logarithms and arcs."""
    return np.random.default_rng([seed, *sizes]).uniform(0.2, 0.9, sizes).astype(dtype)


def distinct(*sizes: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    """Numbers in random order of which no two are closer than 0.1: maxima do not change in a small step."""
    count = int(np.prod(sizes))
    return (
        np.random.default_rng(seed).permutation(count).reshape(sizes) * 0.1 - 0.05 * count
    ).astype(dtype)


def conformance(cases: Sequence[Case]) -> type:
    """A test class that holds all the checks for these rows."""
    good = [row for row in cases if row.raises is None]
    bad = [row for row in cases if row.raises is not None]
    rows = pytest.mark.parametrize("row", good, ids=[row.name for row in good])
    refused = pytest.mark.parametrize("row", bad, ids=[row.name for row in bad])
    differentiable = [row for row in good if row.grad]
    smooth = pytest.mark.parametrize(
        "row", differentiable, ids=[row.name for row in differentiable]
    )

    class Conformance:
        table = tuple(cases)

        @rows
        def test_value_and_dtype(self, row):
            check_value(row)

        @rows
        def test_static_shape_holds_at_run_time(self, row):
            check_shapes(row)

        @rows
        def test_interpreted_and_generated_programs_agree(self, row):
            check_programs(row)

        @rows
        def test_survives_export_and_import(self, row):
            check_round_trip(row)

        if differentiable:

            @smooth
            def test_gradient_is_the_derivative(self, row):
                check_gradient(row)

        if bad:

            @refused
            def test_refuses(self, row):
                with pytest.raises(row.raises, match=row.match):
                    evaluated(row)

    return Conformance


def _is_fed(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic))


def _shape_as_known(array: Any) -> TensorShape:
    return TensorShape(np.shape(array))


def built(
    row: Case, shape_of: Callable[[Any], TensorShape] = _shape_as_known, arrays: Any = None
) -> tuple[list[Any], list[Any]]:
    """(placeholders, output tensors) of the row in the default graph; `shape_of` says what is known statically."""
    inputs = row.inputs if arrays is None else arrays
    fed, given = [], []
    for value in inputs:
        if _is_fed(value):
            value = constants.placeholder(value.dtype, shape_of(value))
            fed.append(value)
        given.append(value)
    return fed, _listed(row.function(*given, **row.attrs))


def _listed(outputs: Any) -> list[Any]:
    found = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    return [v if hasattr(v, "op") else convert.convert_to_tensor(v) for v in found]


def feeds_of(row: Case, fed: list[Any]) -> dict[Any, Any]:
    """The arrays of the row by their placeholders."""
    return dict(zip(fed, [v for v in row.inputs if _is_fed(v)], strict=True))


def evaluated(row: Case) -> list[Any]:
    """The outputs of the row."""
    with Graph().as_default() as graph, Session(graph=graph) as session:
        fed, outputs = built(row)
        return session.run(outputs, feeds_of(row, fed))


def check_value(row: Case) -> None:
    """The outputs are what the row says, in the dtype that the graph promised."""
    with Graph().as_default() as graph, Session(graph=graph) as session:
        fed, outputs = built(row)
        values = session.run(outputs, feeds_of(row, fed))
    for tensor, value in zip(outputs, values, strict=True):
        promised = np.dtype(tensor.dtype.base_dtype.as_numpy_dtype)
        if promised.names is not None:  # quantized integers are returned as plain ones
            assert np.asarray(value).dtype == promised[0], tensor.name
        elif tensor.dtype != dtypes.string:
            assert dtypes.as_dtype(np.asarray(value).dtype) == tensor.dtype.base_dtype, tensor.name
    if row.wanted is None:
        return
    assert len(values) == len(row.wanted)
    for value, wanted in zip(values, row.wanted, strict=True):
        assert np.shape(value) == wanted.shape
        if wanted.dtype.kind in "OSUb":
            np.testing.assert_array_equal(value, wanted)
        else:
            np.testing.assert_allclose(plain(value), plain(wanted), rtol=row.rtol, atol=row.atol)


def plain(value: Any) -> Any:
    """Floats of any width as float64; everything else as it is."""
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind not in "fciu" else array


def _without_sizes(array: Any) -> TensorShape:
    return TensorShape([None] * np.ndim(array))


def _without_rank(array: Any) -> TensorShape:
    return TensorShape(None)


def check_shapes(row: Case) -> None:
    """What is said of the shape before running is true of the value, however much of the inputs is known."""
    actual = [np.shape(v) for v in evaluated(row)]
    for shape_of in (_shape_as_known, _without_sizes, _without_rank):
        with Graph().as_default():
            try:
                _, outputs = built(row, shape_of)
            except (ValueError, TypeError):
                if shape_of is _shape_as_known:
                    raise
                continue  # some functions of TensorFlow need a known rank
            for tensor, shape in zip(outputs, actual, strict=True):
                assert tensor.shape.is_compatible_with(shape), (
                    f"{tensor.shape} says {shape_of.__name__}, is {shape}"
                )


def check_programs(row: Case) -> None:
    """The plain interpreter and the generated function of a plan give the same bits, each in a session of its own."""
    with Graph().as_default() as graph:
        fed, outputs = built(row)
    arrays = list(feeds_of(row, fed).values())
    found = []
    for program in (lambda plan: lambda arrays: interpret(plan, arrays), generate):
        with Session(graph=graph) as session, np.errstate(all="ignore"):
            found.append(program(session.plan(outputs, fed))(arrays))
    slow, fast = found
    for a, b in zip(slow, fast, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes()


def check_round_trip(row: Case) -> None:
    """The exported graph, imported again, computes the same values."""
    with Graph().as_default() as graph, Session(graph=graph) as session:
        fed, outputs = built(row)
        before = session.run(outputs, feeds_of(row, fed))
        names = [t.name for t in fed], [t.name for t in outputs]
        data = tf_pb.to_bytes(dump.graph_def(graph))
    with Graph().as_default() as graph, Session(graph=graph) as session:
        load.load_graph(graph, tf_pb.from_bytes(defs.GraphDef, data, "the exported graph"))
        allow_file_operations(graph)
        fed = [graph.get_tensor_by_name(name) for name in names[0]]
        after = session.run(
            [graph.get_tensor_by_name(name) for name in names[1]], feeds_of(row, fed)
        )
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def check_gradient(row: Case) -> None:
    """The gradient graph computes what finite differences find, in float64, up to the row's order."""
    arrays = [v.astype(np.float64) if _is_fed(v) and _is_floating(v) else v for v in row.inputs]
    for order in range(1, row.grad + 1):
        with Graph().as_default() as graph, Session(graph=graph) as session:
            _check_derivative(row, arrays, order, session)


def _is_floating(array: Any) -> bool:
    dtype = dtypes.as_dtype(array.dtype)
    return dtype.is_floating


def _check_derivative(row: Case, arrays: list[Any], order: int, session: Session) -> None:
    fed, outputs = built(row, arrays=arrays)
    values = [v for v in arrays if _is_fed(v)]
    xs = [t for t in fed if t.dtype.is_floating]
    assert xs, "a row with grad needs a floating-point array"
    # The derivative of order n is checked on the gradients of order n - 1, as functions of the same inputs.
    for level in range(1, order):
        outputs = [
            g
            for g in _weighted_gradients(outputs, xs, session, fed, values, level)
            if g is not None
        ]
    ys = [t for t in outputs if t.dtype.is_floating]
    weights = _weights(ys, session, fed, values, order)
    found = _gradients(ys, xs, weights)
    feeds = dict(zip(fed, values, strict=True))
    for x, gradient in zip(xs, found, strict=True):
        got = np.zeros(feeds[x].shape) if gradient is None else session.run(gradient, feeds)
        run = session.make_callable(ys, fed)
        is_exact = all(y.dtype == dtypes.float64 for y in ys)
        expected = _differences(
            lambda a, run=run, x=x: run(*[a if t is x else feeds[t] for t in fed]),
            feeds[x],
            weights,
            STEP if is_exact else COARSE_STEP,
        )
        np.testing.assert_allclose(
            got,
            expected,
            rtol=1e-4,
            atol=1e-6 if is_exact else 1e-3,
            err_msg=f"order {order}, by {x.name}",
        )


def _weights(
    ys: list[Any], session: Session, fed: list[Any], values: list[Any], level: int
) -> list[np.ndarray]:
    found = session.run(ys, dict(zip(fed, values, strict=True)))
    return [
        np.random.default_rng([level, i]).standard_normal(np.shape(y)).astype(y.dtype)
        for i, y in enumerate(found)
    ]


def _weighted_gradients(outputs, xs, session, fed, values, level):
    ys = [t for t in outputs if t.dtype.is_floating]
    return _gradients(ys, xs, _weights(ys, session, fed, values, level))


def _gradients(ys, xs, weights):
    """The gradients of the weighted sum of all outputs, as tensors; None where there is none."""
    from ckpt.model.gradients import gradients  # rows without gradient need no model room

    found = gradients(ys, xs, grad_ys=[constants.constant(w) for w in weights])
    return [None if g is None else convert.convert_to_tensor(g) for g in found]


def _differences(
    function: Callable[[Any], list[Any]], at: np.ndarray, weights: list[np.ndarray], delta: float
) -> np.ndarray:
    """The derivative by `at` of the weighted sum of the function's outputs, from central differences."""
    found = np.zeros(at.shape)
    for index in np.ndindex(at.shape):
        sides = []
        for step in (delta, -delta):
            moved = np.array(at)
            moved[index] += step
            sides.append(
                sum(float(np.sum(w * y)) for w, y in zip(weights, function(moved), strict=True))
            )
        found[index] = (sides[0] - sides[1]) / (2 * delta)
    return found
