"""Sessions: they hold the values of variables, keep plans, and run them. Imports no operation."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckpt.core.collector import paused
from ckpt.core.errors import (
    CancelledError,
    InvalidArgumentError,
    NotFoundError,
    OpError,
    ResourceExhaustedError,
    UnknownError,
)
from ckpt.core.memory import keep_freed_memory
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.operation import Operation, Tensor
from ckpt.run import dataflow, flow
from ckpt.run.deadline import deadline
from ckpt.run.feeds import fed_array, flat_feeds
from ckpt.run.fetches import Fetches
from ckpt.run.generate import generate
from ckpt.run.interpret import StepFailure, interpret
from ckpt.run.partial import PartialRun
from ckpt.run.plan import Plan
from ckpt.run.planning import make_plan
from ckpt.run.stages import Stage, Stages
from ckpt.run.state import SessionState
from ckpt.run.trace import FULL_TRACE, Timing, fill_metadata, traced

log = logging.getLogger("ckpt")
_NO_THREAD = "can't start new thread"  # what Python says
_NO_LOCK = ("release unlocked lock", "cannot release un-acquired lock")

if TYPE_CHECKING:
    from typing import Self

RUNS_BEFORE_GENERATING = 32
MAX_GENERATED_STEPS = 5_000
"""Compiling costs some 20 us a step and is repaid after about 30 runs; very long programs stay interpreted."""


class DeviceAttributes(NamedTuple):
    """A device that operations may run on. Memory in bytes; 0 where there is no limit of its own."""

    name: str
    device_type: str
    memory_limit_bytes: int
    incarnation: int


class _Prepared:
    """A plan, how often it ran, and the function made of it once that pays."""

    __slots__ = ("function", "is_limited", "plan", "runs")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        has_loops = any(
            step.node.type in flow.TYPES or isinstance(step.kernel, dataflow.Dataflow)
            for step in plan.steps
        )
        self.is_limited = has_loops or any(
            step.node.opdef is not None and step.node.opdef.may_wait for step in plan.steps
        )
        # A loop runs its steps many times a run, so that compiling them pays at once.
        self.runs = RUNS_BEFORE_GENERATING - 1 if has_loops else 0
        self.function: Callable[[Sequence[Any]], list[Any]] | None = None

    def __call__(self, feeds: Sequence[Any]) -> list[Any]:
        function = self.function
        if function is not None:
            return function(feeds)
        self.runs += 1
        if self.runs > RUNS_BEFORE_GENERATING and len(self.plan.steps) <= MAX_GENERATED_STEPS:
            self.function = generate(self.plan)
        return interpret(self.plan, feeds)


class Session:
    """Runs a graph. Only variables (and other resources) keep their values from one run to the next.

    `graph` is the default graph when None. Many threads may share a session. Used as a context manager it becomes
    the default session, with its graph the default graph, and closes at the end.
    """

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        if graph is not None and not isinstance(graph, Graph):
            raise TypeError(
                f'Argument `graph` must be a tf.Graph, but got "{type(graph).__name__}"'
            )
        if target is not None and not isinstance(target, (str, bytes)):
            raise TypeError(
                f'Argument `target` must be a string, but got "{type(target).__name__}"'
            )
        if config is not None and not hasattr(config, "SerializeToString"):
            raise TypeError(
                f'Argument `config` must be a tf.ConfigProto, but got "{type(config).__name__}"'
            )
        if target not in ("", b"", None, "local") and not str(target).startswith(
            "grpc://localhost"
        ):
            raise NotFoundError(
                None, None, f"No session factory registered for the target {target!r}; use ''"
            )
        keep_freed_memory()
        self._target = target
        self._graph = graph if graph is not None else stack.get_default_graph()
        self._config = config
        self._state = SessionState()
        # A thread that makes elements of a dataset ahead holds the state: it ends when nobody has the session any more.
        weakref.finalize(self, self._state.clear).atexit = False
        self._plans: dict[Any, _Prepared] = {}
        self._known_fetches: dict[Any, Fetches] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._endings: list[Callable[[], None]] = []
        self._cancelled = threading.Event()
        self._contexts: list[ExitStack] = []

    @property
    def graph(self) -> Graph:
        """The graph that this session runs."""
        return self._graph

    @property
    def graph_def(self) -> Any:
        """The graph as a GraphDef message, with output shapes where the configuration asks for them."""
        options = getattr(self._config, "graph_options", None)
        return self._graph.as_graph_def(add_shapes=bool(getattr(options, "infer_shapes", False)))

    @property
    def sess_str(self) -> Any:
        """The target."""
        return self._target

    @property
    def state(self) -> SessionState:
        """The resources of this session."""
        return self._state

    def close(self) -> None:
        """Forget all values. Running afterwards is a RuntimeError; closing twice is allowed.

        Waits for saves under way and raises what made one fail, when the session is closed.
        """
        failures = self._ended()
        self._closed = True
        self._cancelled.set()
        self._plans.clear()
        self._known_fetches.clear()
        self._state.clear()
        if failures:
            raise failures[0]

    def before_close(self, call: Callable[[], None]) -> None:
        """Have `call` called when the session closes; what it raises is raised by `close`, once that is done."""
        self._endings.append(call)

    def _ended(self) -> list[BaseException]:
        """Call what `before_close` was given, and return what that raised."""
        endings, self._endings = self._endings, []
        failures: list[BaseException] = []
        for call in endings:
            try:
                call()
            except BaseException as error:  # noqa: BLE001  # raised by the caller
                failures.append(error)
        return failures

    def as_default(self) -> AbstractContextManager[Session]:
        """Make this the default session of this thread within the block; it stays open afterwards."""
        return stack.default_session(self)

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            entered.enter_context(self._graph.as_default())
            entered.enter_context(self.as_default())
            self._contexts.append(entered.pop_all())
        return self

    def __exit__(self, *error: object) -> None:
        self._contexts.pop().close()
        try:
            self.close()
        except BaseException:
            if not any(error):
                raise
            log.exception("closing the session, after another error")  # which must not be hidden

    def run(
        self,
        fetches: Any,
        feed_dict: Mapping[Any, Any] | None = None,
        options: Any = None,
        run_metadata: Any = None,
    ) -> Any:
        """Run what `fetches` needs and return its values in the same nest: names, tensors, operations (None), lists,
        tuples, dicts.

        Raises RuntimeError when closed, TypeError and ValueError for bad fetches or feeds, OpError when an operation
        fails; the message then names it and the line that made it.
        """
        self._check_open()
        wanted = self._fetches(fetches)
        fed = flat_feeds(self._graph, feed_dict) if feed_dict else {}
        arrays = [fed_array(tensor, value) for tensor, value in fed.items()]
        prepared = self._prepared(wanted.key, tuple(fed), wanted)
        if run_metadata is not None or options is not None:
            values = self._observed(prepared, arrays, options, run_metadata)
        else:
            values = self._execute(prepared, arrays)
        return wanted.rebuild([returned(value) for value in values])

    def _fetches(self, fetches: Any) -> Fetches:
        """The fetches taken apart; what can be hashed is remembered."""
        try:
            known = self._known_fetches.get(fetches)
        except TypeError:
            return Fetches(self._graph, fetches, self._state)
        if known is None or known.mutations != self._graph.mutations:
            known = Fetches(self._graph, fetches, self._state)
            if isinstance(fetches, (Tensor, Operation)):
                self._known_fetches[fetches] = known
        return known

    def _observed(
        self, prepared: _Prepared, arrays: Sequence[Any], options: Any, run_metadata: Any
    ) -> list[Any]:
        """Run and fill `run_metadata` as `options` asks; with FULL_TRACE each step is timed."""
        if not options or options.trace_level < FULL_TRACE or run_metadata is None:
            return self._execute(prepared, arrays, getattr(options, "timeout_in_ms", 0))
        timings: list[Timing] = []
        try:
            with np.errstate(all="ignore"), self._limited(options.timeout_in_ms):
                values = traced(prepared.plan, arrays, timings)
        except StepFailure as failure:
            raise self._named(failure) from failure.__cause__
        fill_metadata(run_metadata, timings)
        return values

    def partial_run_setup(self, fetches: Any, feeds: Any = None) -> PartialRun:
        """Announce what `partial_run` will fetch and feed, each at most once; returns the handle it takes."""
        self._check_open()
        wanted = Fetches(self._graph, fetches)
        fed = tuple(flat_feeds(self._graph, dict.fromkeys(feeds or ())))
        return PartialRun(self._graph, wanted, fed)

    def partial_run(self, handle: PartialRun, fetches: Any, feed_dict: Any = None) -> Any:
        """Continue a run set up before with more feeds and fetches; what it computed so far is kept.

        Raises InvalidArgumentError for what was not announced, or was fed or fetched before.
        """
        self._check_open()
        wanted = Fetches(self._graph, fetches)
        fed = flat_feeds(self._graph, feed_dict)
        handle.feed({tensor: fed_array(tensor, value) for tensor, value in fed.items()})
        with self._limited(0):
            values = handle.fetch(wanted, self._state)
        return wanted.rebuild([returned(value) for value in values])

    def stages(self, stages: Sequence[Stage]) -> Stages:
        """A run in stages that are known beforehand: planned here once, begun any number of times."""
        self._check_open()
        return Stages(stages, self._state, lambda plan: partial(self._execute, _Prepared(plan)))

    def plan(self, fetches: Any, feeds: Sequence[Any] = ()) -> Plan:
        """The program that `run(fetches, {feeds...})` executes; `print(plan.source)` shows it."""
        self._check_open()
        wanted = Fetches(self._graph, fetches)
        fed = tuple(flat_feeds(self._graph, dict.fromkeys(feeds)))
        return self._prepared(wanted.key, fed, wanted).plan

    def make_callable(
        self, fetches: Any, feed_list: Sequence[Any] | None = None, accept_options: bool = False
    ) -> Callable[..., Any]:
        """A function of the values of `feed_list`, in that order, that returns what `run(fetches)` would."""
        self._check_open()
        if feed_list is not None and not isinstance(feed_list, (list, tuple)):
            raise TypeError(
                f"Argument `feed_list` must be a list or tuple. Received: feed_list={feed_list}"
            )
        wanted = Fetches(self._graph, fetches)
        fed = tuple(flat_feeds(self._graph, dict.fromkeys(feed_list or ())))
        prepared = self._prepared(wanted.key, fed, wanted)
        if prepared.function is None and len(prepared.plan.steps) <= MAX_GENERATED_STEPS:
            prepared.function = generate(prepared.plan)

        def call(*values: Any, **options: Any) -> Any:
            self._check_open()
            unknown = options.keys() - {"options", "run_metadata"}
            if unknown:
                raise TypeError(f"unexpected arguments {', '.join(sorted(unknown))}")
            if len(values) != len(fed):
                raise ValueError(f"Expected {len(fed)} feed values, got {len(values)}")
            arrays = [fed_array(tensor, value) for tensor, value in zip(fed, values, strict=True)]
            found = (
                self._observed(
                    prepared, arrays, options.get("options"), options.get("run_metadata")
                )
                if options
                else self._execute(prepared, arrays)
            )
            return wanted.rebuild([returned(value) for value in found])

        return call

    @staticmethod
    def reset(target: str, containers: Any = None, config: Any = None) -> None:
        """Forget the resources in `containers` of a target that outlives its sessions; in process there are none."""

    def list_devices(self) -> list[DeviceAttributes]:
        """The devices of this process."""
        return [DeviceAttributes("/job:localhost/replica:0/task:0/device:CPU:0", "CPU", 0, 0)]

    def attach(self, key: str, value: Any) -> None:
        """Leave `value` for the kernel that asks for `key` in the next run: how a Saver hands over a MetaGraph."""
        self._state.attach(key, value)

    def detach(self, key: str) -> None:
        """Take back what no kernel asked for."""
        self._state.detach(key)

    def saving(self, prefix: str) -> AbstractContextManager[None]:
        """Runs in the block may write the checkpoint of this prefix also by operations of imported graphs."""
        return self._state.saving(prefix)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("Attempted to use a closed Session.")
        if self._graph.version == 0:
            raise RuntimeError(
                "The Session graph is empty. Add operations to the graph before calling run()."
            )

    def _prepared(
        self,
        wanted_key: tuple[tuple[Tensor, ...], tuple[Operation, ...]],
        fed: tuple[Tensor, ...],
        wanted: Fetches,
    ) -> _Prepared:
        key = (self._graph.mutations, wanted_key, fed)
        prepared = self._plans.get(key)
        if prepared is None:
            with self._lock:
                prepared = self._plans.get(key)
                if prepared is None:
                    with paused():
                        plan = make_plan(wanted.tensors, wanted.targets, fed, self._state)
                    prepared = _Prepared(plan)
                    self._plans[key] = prepared
        return prepared

    def _execute(
        self, prepared: _Prepared, feeds: Sequence[Any], timeout_in_ms: int = 0
    ) -> list[Any]:
        try:
            with np.errstate(all="ignore"):
                if prepared.is_limited:
                    with self._limited(timeout_in_ms):
                        return prepared(feeds)
                return prepared(feeds)
        except StepFailure as failure:
            raise self._named(failure) from failure.__cause__

    def _limited(self, timeout_in_ms: int) -> AbstractContextManager[None]:
        """Loops and waits in the block end after that time, or that of the configuration, and when the session is closed."""
        limit = timeout_in_ms or getattr(self._config, "operation_timeout_in_ms", 0)
        return deadline(limit, self._cancelled)

    def _named(self, failure: StepFailure) -> BaseException:
        cause = failure.__cause__
        assert cause is not None  # StepFailure is always raised from the kernel's error
        if self._closed and isinstance(cause, Exception):  # what is missing, closing took away
            cause = CancelledError(None, None, "Run call was cancelled: the session was closed")
        return _named_error(cause, failure.node)


def returned(value: Any) -> Any:
    """A fetched value as the caller may keep it: his own, writable; numpy scalars for scalars, as TensorFlow."""
    if type(value) is np.ndarray:
        # quantized integers, which TensorFlow returns as plain ones
        if value.dtype.names is not None:
            value = value.view(value.dtype[0])
        if value.ndim == 0:
            return value[()]
        return value if value.base is None and value.flags.writeable else value.copy()
    return value


def _named_error(error: BaseException, node: Operation) -> BaseException:
    """The error of a kernel with the node's name and the line that made it."""
    if not isinstance(error, Exception):
        return error
    if isinstance(error.__context__, KeyboardInterrupt) and str(error) in _NO_LOCK:
        # which met Python's threading while it waited, and was lost there
        return KeyboardInterrupt()
    where = node.created_at()
    place = f"\n\t [[node {node.name} (type {node.type})]]" + (
        f" defined at {where}" if where else ""
    )
    if isinstance(error, OpError):
        kinds = (kind for kind in type(error).__mro__ if kind.__module__ == OpError.__module__)
        named: OpError = next(kinds)(node.node_def, node, f"{error}{place}")
        return named
    if isinstance(error, MemoryError):
        return ResourceExhaustedError(node.node_def, node, f"out of memory: {error}{place}")
    if isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        return ResourceExhaustedError(node.node_def, node, f"{error}{place}")
    if isinstance(error, (ValueError, TypeError, IndexError, ZeroDivisionError)):
        return InvalidArgumentError(node.node_def, node, f"{error}{place}")
    return UnknownError(node.node_def, node, f"{type(error).__name__}: {error}{place}")


class InteractiveSession(Session):
    """A session that is the default session, with its graph the default graph, from now until closed."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        super().__init__(target, graph, config)
        stack.push_session(self)
        self._own_graph = None
        if graph is not None:
            self._own_graph = graph.as_default()
            self._own_graph.__enter__()

    def close(self) -> None:
        """Forget all values and stop being the default."""
        try:
            super().close()
        finally:
            self._leave()

    def _leave(self) -> None:
        stack.pop_session(self)
        if self._own_graph is not None:
            context, self._own_graph = self._own_graph, None
            context.__exit__(None, None, None)
