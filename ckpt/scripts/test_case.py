"""The base class of tests of TensorFlow 1 programs: sessions, and assertions on arrays. Loaded with `ckpt.test`."""

from __future__ import annotations

import contextlib
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from absl.testing import absltest

from ckpt.core import dtypes, errors
from ckpt.graph.devices import canonical_name
from ckpt.graph.graph import Graph
from ckpt.graph.scopes import set_random_seed
from ckpt.graph.stack import get_default_graph, get_default_session, reset_default_graph
from ckpt.run.session import Session

SEED = 87654321  # what TensorFlow's own test case starts from

Predicate = Callable[[BaseException], bool]


def get_temp_dir() -> str:
    """A directory for files of tests, made when needed and removed at the end."""
    return str(absltest.get_default_test_tmpdir())


class CheckedThread(threading.Thread):
    """A thread whose `join` raises what ended it."""

    def __init__(self, target: Callable[..., Any], args: Any = (), kwargs: Any = None) -> None:
        super().__init__(daemon=True)
        self._work = (target, tuple(args or ()), dict(kwargs or {}))
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Do the work, and keep what it raises."""
        target, args, kwargs = self._work
        try:
            target(*args, **kwargs)
        except BaseException as failure:  # noqa: BLE001  # raised again by join
            self._failure = failure

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end. Raises AssertionError with what ended the work, if anything did."""
        super().join(timeout)
        if self._failure is not None:
            raise AssertionError(f"Error in checkedThread: {self._failure}") from self._failure


class TestCase(absltest.TestCase):
    """absl's TestCase with sessions and assertions on arrays, tensors, shapes, messages and OpErrors.

    Each test starts with an empty default graph and the same seeds.
    """

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self._kept: Session | None = None

    def setUp(self) -> None:
        """Seed everything and empty the default graph."""
        super().setUp()
        random.seed(SEED)
        np.random.seed(SEED)  # noqa: NPY002  # TensorFlow 1's tests draw from numpy's global generator
        reset_default_graph()
        set_random_seed(SEED)

    def tearDown(self) -> None:
        """Close the session that `cached_session` kept."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        super().tearDown()

    # Sessions.

    @contextlib.contextmanager
    def session(
        self,
        graph: Graph | None = None,
        config: Any = None,
        use_gpu: bool = True,
        force_gpu: bool = False,
    ) -> Iterator[Session]:
        """A new session as default, on `graph` (the default graph where None), which is default too."""
        chosen = get_default_graph() if graph is None else graph
        with chosen.as_default(), Session(graph=chosen, config=config) as session:
            yield session

    @contextlib.contextmanager
    def cached_session(
        self,
        graph: Graph | None = None,
        config: Any = None,
        use_gpu: bool = True,
        force_gpu: bool = False,
    ) -> Iterator[Session]:
        """The one session of this test as default: variables keep their values from one `with` to the next.

        Raises ValueError where it was made for another graph.
        """
        if self._kept is None:
            chosen = get_default_graph() if graph is None else graph
            self._kept = Session(graph=chosen, config=config)
        elif graph is not None and self._kept.graph is not graph:
            raise ValueError(
                "The graph used to get the cached session is different than the one that was used to create it"
            )
        kept = self._kept
        with kept.graph.as_default(), kept.as_default():
            yield kept

    def test_session(self, *args: Any, **kwargs: Any) -> Any:
        """`session` where a graph or a configuration is given, else `cached_session`; deprecated by TensorFlow."""
        return self.session(*args, **kwargs) if args or kwargs else self.cached_session()

    def evaluate(self, tensors: Any) -> Any:
        """The values of a nest of tensors, in the default session or that of `cached_session`."""
        session = get_default_session()
        if session is not None:
            return session.run(tensors)
        with self.cached_session() as kept:
            return kept.run(tensors)

    def get_temp_dir(self) -> str:
        """A directory for the files of this test."""
        return str(self.create_tempdir().full_path)

    def checkedThread(
        self, target: Callable[..., Any], args: Any = None, kwargs: Any = None
    ) -> CheckedThread:
        """A thread whose `join` raises what ended it."""
        return CheckedThread(target, args, kwargs)

    # Numbers and arrays.

    def assertNear(self, f1: Any, f2: Any, err: float, msg: Any = None) -> None:
        """`f1` and `f2` are less than `err` apart, or equal."""
        if not (f1 == f2 or abs(f1 - f2) <= err):
            self._none(f"{f1!r} is not within {err} of {f2!r}", msg)

    def assertArrayNear(self, farray1: Any, farray2: Any, err: float, msg: Any = None) -> None:
        """Two lists of numbers of one length, each pair within `err`."""
        self.assertEqual(len(farray1), len(farray2), msg)
        for f1, f2 in zip(farray1, farray2, strict=True):
            self.assertNear(float(f1), float(f2), err, msg)

    def assertNDArrayNear(self, ndarray1: Any, ndarray2: Any, err: float, msg: Any = None) -> None:
        """The length of the difference of two arrays is less than `err`."""
        distance = np.linalg.norm(np.asarray(ndarray1) - np.asarray(ndarray2))
        self.assertLess(float(distance), err, msg)

    def assertAllEqual(self, a: Any, b: Any, msg: Any = None) -> None:
        """Arrays (or tensors) of one shape and equal elements; NaN equals NaN."""
        self._none(unequal(self._array(a), self._array(b)), msg)

    def assertNotAllEqual(self, a: Any, b: Any, msg: Any = None) -> None:
        """Some element differs, or the shapes do."""
        if unequal(self._array(a), self._array(b)) is None:
            self._none("The two values are equal at all elements", msg)

    def assertAllClose(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: Any = None
    ) -> None:
        """Nests of dicts, lists and arrays of one structure, |a - b| <= atol + rtol * |b| everywhere."""
        self._none(self._distant(a, b, rtol, atol), msg)

    def assertNotAllClose(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: Any = None
    ) -> None:
        """Some element is not close, or the structures differ."""
        if self._distant(a, b, rtol, atol) is None:
            self._none("The two values are close at all elements", msg)

    def assertAllCloseAccordingToType(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, float_rtol: float = 1e-6,
        float_atol: float = 1e-6, half_rtol: float = 1e-3, half_atol: float = 1e-3,
        bfloat16_rtol: float = 1e-2, bfloat16_atol: float = 1e-2, msg: Any = None,
    ) -> None:  # fmt: skip
        """Close, as far as the less exact of the two dtypes allows."""
        held = {self._array(a).dtype.name, self._array(b).dtype.name}
        for names, relative, absolute in (
            ({"float32", "complex64"}, float_rtol, float_atol),
            ({"float16"}, half_rtol, half_atol),
            ({"bfloat16"}, bfloat16_rtol, bfloat16_atol),
        ):
            if held & names:
                rtol, atol = max(rtol, relative), max(atol, absolute)
        self.assertAllClose(a, b, rtol, atol, msg)

    def assertAllGreater(self, a: Any, comparison_target: Any) -> None:
        """Every element is greater."""
        self._all(self._array(a) > comparison_target, a, f"greater than {comparison_target}")

    def assertAllGreaterEqual(self, a: Any, comparison_target: Any) -> None:
        """Every element is greater or equal."""
        self._all(self._array(a) >= comparison_target, a, f"at least {comparison_target}")

    def assertAllLess(self, a: Any, comparison_target: Any) -> None:
        """Every element is less."""
        self._all(self._array(a) < comparison_target, a, f"less than {comparison_target}")

    def assertAllLessEqual(self, a: Any, comparison_target: Any) -> None:
        """Every element is less or equal."""
        self._all(self._array(a) <= comparison_target, a, f"at most {comparison_target}")

    def assertAllInRange(
        self, target: Any, lower_bound: Any, upper_bound: Any, open_lower_bound: bool = False,
        open_upper_bound: bool = False,
    ) -> None:  # fmt: skip
        """Every element lies between the bounds; an open bound does not belong to the range."""
        values = self._array(target)
        above = values > lower_bound if open_lower_bound else values >= lower_bound
        below = values < upper_bound if open_upper_bound else values <= upper_bound
        opening, closing = "(" if open_lower_bound else "[", ")" if open_upper_bound else "]"
        self._all(above & below, target, f"in {opening}{lower_bound}, {upper_bound}{closing}")

    def assertAllInSet(self, target: Any, expected_set: Any) -> None:
        """Every element is one of the set."""
        values = self._array(target)
        self._all(np.isin(values, list(expected_set)), target, f"in {expected_set}")

    # Shapes, dtypes, devices, messages.

    def assertShapeEqual(self, input_a: Any, input_b: Any, msg: Any = None) -> None:
        """Two arrays or tensors have one (static) shape."""
        first, second = (
            tuple(np.shape(x)) if isinstance(x, np.ndarray) else tuple(x.shape.as_list())
            for x in (input_a, input_b)
        )
        self.assertEqual(first, second, msg)

    def assertDTypeEqual(self, target: Any, expected_dtype: Any) -> None:
        """The dtype of an array or a tensor."""
        found = target.dtype if hasattr(target, "dtype") else self._array(target).dtype
        self.assertEqual(dtypes.as_dtype(found), dtypes.as_dtype(expected_dtype))

    def assertDeviceEqual(self, device1: Any, device2: Any, msg: Any = None) -> None:
        """Two ways to write one device."""
        self.assertEqual(canonical_name(device1), canonical_name(device2), msg)

    def assertProtoEquals(
        self, expected_message_maybe_ascii: Any, message: Any, msg: Any = None
    ) -> None:
        """Two protobuf messages are equal; the expected one may be given as text."""
        from google.protobuf import text_format

        expected = expected_message_maybe_ascii
        if isinstance(expected, (str, bytes)):
            expected = text_format.Parse(expected, type(message)())
        first, second = (text_format.MessageToString(m) for m in (expected, message))
        self.assertEqual(first, second, msg)

    def assertStartsWith(self, actual: Any, expected_start: Any, msg: Any = None) -> None:
        """A text begins so."""
        if not actual.startswith(expected_start):
            self._none(f"{actual!r} does not start with {expected_start!r}", msg)

    # Errors.

    @contextlib.contextmanager
    def assertRaisesWithPredicateMatch(  # type: ignore[override]  # takes a pattern too
        self, exception_type: type[BaseException], expected_err_re_or_predicate: str | Predicate
    ) -> Iterator[None]:
        """The block raises an error of this class, whose text matches a pattern or which satisfies a predicate."""
        expected = expected_err_re_or_predicate
        try:
            yield
        except exception_type as error:
            is_met = (
                expected(error) if callable(expected) else bool(re.search(expected, _text(error)))
            )
            if not is_met:
                raise AssertionError(
                    f"{type(error).__name__} is not what was expected ({expected}): {_text(error)}"
                ) from error
            return
        self.fail(f"{exception_type.__name__} not raised")

    def assertRaisesOpError(self, expected_err_re_or_predicate: str | Predicate) -> Any:
        """The block raises an OpError whose text matches a pattern or which satisfies a predicate."""
        return self.assertRaisesWithPredicateMatch(errors.OpError, expected_err_re_or_predicate)

    # How they are made.

    def _array(self, value: Any) -> np.ndarray[Any, Any]:
        if hasattr(value, "graph") or (
            isinstance(value, (list, tuple)) and any(hasattr(v, "graph") for v in value)
        ):
            value = self.evaluate(value)
        return np.asarray(value)

    def _none(self, problem: str | None, msg: Any) -> None:
        if problem is not None:
            self.fail(problem if msg is None else f"{problem} : {msg}")

    def _all(self, holds: Any, target: Any, wanted: str) -> None:
        if not np.all(holds):
            values = self._array(target)
            self.fail(
                f"{np.count_nonzero(~holds)} elements are not {wanted}: {values[~holds]} of {values}"
            )

    def _distant(self, a: Any, b: Any, rtol: float, atol: float) -> str | None:
        """Where two nests are not close; None where they are."""
        if isinstance(a, Mapping):
            if set(a) != set(b):
                return f"keys differ: {sorted(a, key=str)} and {sorted(b, key=str)}"
            pairs = [(key, a[key], b[key]) for key in a]
        elif isinstance(a, (list, tuple)) and not _is_regular(a):
            if len(a) != len(b):
                return f"lengths differ: {len(a)} and {len(b)}"
            pairs = [(i, left, right) for i, (left, right) in enumerate(zip(a, b, strict=True))]
        else:
            return apart(self._array(a), self._array(b), rtol, atol)
        found = ((key, self._distant(left, right, rtol, atol)) for key, left, right in pairs)
        return next((f"at {key!r}: {problem}" for key, problem in found if problem), None)


def _is_regular(values: Any) -> bool:
    """Whether a list is one array."""
    if any(isinstance(value, Mapping) for value in values):
        return False
    try:
        return bool(np.asarray(values).dtype.kind != "O")
    except ValueError:
        return False


def _text(error: BaseException) -> str:
    if isinstance(error, errors.OpError):
        made_by = f"\nCaused by op: {error.op.name}" if error.op is not None else ""
        return f"{error.message}{made_by}"
    return str(error)


def unequal(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> str | None:
    """Where two arrays are not equal; None where they are. NaN equals NaN."""
    if a.shape != b.shape:
        return f"shapes differ: {a.shape} and {b.shape}"
    same = np.asarray(a == b)
    if a.dtype.kind in "fcV" and b.dtype.kind in "fcV":
        same = same | (np.isnan(a) & np.isnan(b))
    if np.all(same):
        return None
    return f"{np.count_nonzero(~same)} of {np.size(same)} elements differ:\n{a}\n{b}"


def apart(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], rtol: float, atol: float) -> str | None:
    """Where |a - b| > atol + rtol * |b|; None where it nowhere is. NaN is close to NaN."""
    if a.shape != b.shape:
        return f"shapes differ: {a.shape} and {b.shape}"
    if a.dtype.kind in "OSU":
        return unequal(a, b)
    wide = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
    left, right = a.astype(wide), b.astype(wide)
    close = np.isclose(left, right, rtol=rtol, atol=atol, equal_nan=True)
    if np.all(close):
        return None
    return f"{np.count_nonzero(~close)} of {np.size(close)} elements are not close (rtol={rtol}, atol={atol}):\n{a}\n{b}"
