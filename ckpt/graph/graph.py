"""The graph itself: adds nodes, names them, keeps scopes and collections. Knows no operation type and runs nothing."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from ckpt.core.collector import paused
from ckpt.core.dtypes import DType
from ckpt.core.errors import ShapeError
from ckpt.core.shapes import TensorShape
from ckpt.graph import stack
from ckpt.graph.devices import device_text, merge_device
from ckpt.graph.lookup import element_of
from ckpt.graph.open_blocks import Controller, OpenBlocks, device_function, function_text
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.origins import Imported, Origin, origin
from ckpt.graph.slices import IndexedSlices
from ckpt.graph.unique_names import claimed, is_valid
from ckpt.wire.plain import message, plain_attr

if TYPE_CHECKING:
    from ckpt.graph.opdef import OpDef


class Graph:
    """A static graph of operations and tensors, with its name scopes, collections and seed.

    Adding nodes is thread-safe; the scopes are those of the thread that opened them.
    """

    is_building_function = False

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._nodes: list[Operation] = []
        self._by_name: dict[str, Operation] = {}
        self._names_in_use: dict[str, int] = {}
        self._scopes = OpenBlocks()
        self._collections: dict[Any, list[Any]] = {}
        self._functions: dict[str, Any] = {}
        self._bodies: dict[str, Any] = {}
        self.imports: list[Imported] = []  # also of those that were taken back
        self.function_imports: dict[str, Origin] = {}  # with which import a function came
        self.function_heights: dict[str, tuple[Any, int]] = {}  # those that were seen to end
        self._unfeedable: set[Tensor] = set()
        self._unfetchable: set[Operation] = set()
        self._consumers: dict[Tensor, list[Operation]] = {}
        self._consumed = 0
        self._finalized = False
        self._mutations = 0
        self.stand_ins: dict[
            Tensor, Tensor
        ] = {}  # tensors of imported loops and branches, and what computes them
        self._placed_by_user: dict[Any, Any] = {}
        self.known_reductions: set[Any] = set()  # shapes and axes whose gradients were built here
        self.seed: int | None = None
        self.last_op_seed = 0

    def add(
        self,
        type_name: str,
        opdef: OpDef | None,
        inputs: Sequence[Tensor],
        attrs: Mapping[str, Any],
        full_name: str,
        dtypes: Sequence[DType] | None = None,
        made_at: Origin | None = None,
    ) -> Operation:
        """Add a node whose name is already unique and return it.

        `dtypes` are the output dtypes where the type's definition does not say them, `made_at` the place in the program
        where that is known. Raises ShapeError when the static shapes of the inputs contradict each other; the graph is
        then unchanged.
        """
        with self._lock:
            if self._finalized:
                self.check_not_finalized()
            if opdef is not None:
                attrs = opdef.shared(attrs)
            node = Operation(self, len(self._nodes), full_name, type_name, opdef, inputs, attrs)
            node._origin = origin() if made_at is None else made_at
            node._outputs = self._outputs(node, opdef, dtypes)
            if self._scopes.is_used:
                self._scopes.apply(node)
            self._nodes.append(node)
            self._by_name[full_name] = node
        return node

    def _outputs(
        self, node: Operation, opdef: OpDef | None, dtypes: Sequence[DType] | None
    ) -> list[Tensor]:
        if opdef is None:
            return [Tensor(node, i, d, TensorShape.of(None)) for i, d in enumerate(dtypes or ())]
        found = opdef.output_dtypes(node.attrs) if dtypes is None else dtypes
        try:
            shapes = opdef.output_shapes(node._inputs, node.attrs, len(found))
        except ValueError as error:
            taken = ", ".join(str(t.shape) for t in node._inputs)
            raise ShapeError(
                f"{error} for '{node.name}' (op: '{node.type}') with input shapes: {taken}."
            ) from None
        if len(found) == 1 == len(shapes):
            return [Tensor(node, 0, found[0], shapes[0])]
        if len(found) != len(shapes):
            raise ShapeError(
                f"node '{node.name}' (op: '{node.type}') has {len(found)} outputs, and {len(shapes)} shapes of outputs"
            )
        return [Tensor(node, i, d, s) for i, (d, s) in enumerate(zip(found, shapes, strict=True))]

    def create_op(
        self,
        op_type: str,
        inputs: Sequence[Tensor],
        dtypes: Sequence[Any] | None = None,
        input_types: Any = None,
        name: str | None = None,
        attrs: Any = None,
        op_def: Any = None,
        compute_shapes: bool = True,
        compute_device: bool = True,
    ) -> Operation:
        """Add a node of any type, known or not, from attributes as messages or plain values.

        Raises TypeError when an input is no tensor, GraphError when a known type's attributes are missing.
        """
        from ckpt.graph.node_attrs import node_from_parts  # it builds on Graph

        self.check_not_finalized()
        for index, tensor in enumerate(inputs):
            if not isinstance(tensor, Tensor):
                raise TypeError(f"Input #{index} is not a tensor: {tensor}")
        return node_from_parts(self, op_type, list(inputs), dtypes, name or op_type, attrs or {})

    def imported(self, source: str, *, may_use_files: bool = False) -> Imported:
        """The origin of the nodes of an import that begins now; `source` says where they come from."""
        found = Imported(origin(), source, may_use_files=may_use_files)
        self.imports.append(found)
        return found

    def touch(self) -> None:
        """Note that existing nodes were changed, so that sessions plan anew."""
        self._mutations += 1
        self._consumers.clear()
        self._consumed = 0

    def set_attr(self, node: Operation, name: str, value: Any) -> None:
        """Set an attribute of a node, from a plain value or an AttrValue message."""
        node.attrs = {**node.attrs, name: plain_attr(value)}
        self.touch()

    def attr_of(self, node: Operation, name: str) -> Any:
        """An attribute as TensorFlow's `Operation.get_attr` gives it."""
        from ckpt.graph.dump import public_attr  # dump builds on Graph

        return public_attr(node, name)

    def node_message(self, node: Operation) -> Any:
        """The node as a NodeDef message."""
        from ckpt.graph.dump import node_def  # dump builds on Graph

        return message(node_def(node))

    def op_message(self, node: Operation) -> Any:
        """The signature of the node's type as an OpDef message."""
        from ckpt.graph.dump import op_message  # dump builds on Graph

        return op_message(node)

    def consumers_of(self, tensor: Tensor) -> list[Operation]:
        """The operations that take `tensor` as an input."""
        with self._lock:
            for node in self._nodes[self._consumed :]:
                for source in dict.fromkeys(node._inputs):
                    self._consumers.setdefault(source, []).append(node)
            self._consumed = len(self._nodes)
            return list(self._consumers.get(tensor, ()))

    def capture(self, tensor: Tensor) -> Tensor:
        """The tensor of this graph that stands for `tensor` of another. A plain graph has none: ValueError."""
        raise ValueError(f"{tensor!r} must be from the same graph as the operation that uses it.")

    def get_operations(self, first: int = 0) -> list[Operation]:
        """All operations in order of creation, from number `first` on."""
        with self._lock:
            return self._nodes[first:]

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation of this name. Raises KeyError, ValueError for the name of a tensor, TypeError."""
        if not isinstance(name, str):
            raise TypeError(f"Operation names are strings (or similar), not {type(name).__name__}.")
        found = self.as_graph_element(name, allow_tensor=False, allow_operation=True)
        return found  # type: ignore[no-any-return]  # tensors are not allowed

    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor `operation:index`. Raises KeyError, ValueError for the name of an operation, TypeError."""
        if not isinstance(name, str):
            raise TypeError(f"Tensor names are strings (or similar), not {type(name).__name__}.")
        found = self.as_graph_element(name, allow_tensor=True, allow_operation=False)
        return found  # type: ignore[no-any-return]  # operations are not allowed

    def as_graph_element(
        self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True
    ) -> Any:
        """The tensor or operation that `obj` names, is, or stands for (a variable stands for its tensor).

        Raises TypeError for another kind of object, KeyError for an unknown name, ValueError for another graph.
        """
        return element_of(self, obj, allow_tensor, allow_operation)

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """`name` in the current scope, with `_1`, `_2` … where it is taken (whatever its case)."""
        scope = self._scopes.name
        return self.claimed_name(f"{scope}/{name}" if scope else name, mark_as_used)

    def claimed_name(self, full: str, mark_as_used: bool = True) -> str:
        """`full`, whatever the scope, with `_1`, `_2` … where it is taken."""
        with self._lock:
            return claimed(self._names_in_use, full, mark_as_used)

    def unique_op_name(self, name: str) -> str:
        """The full, unique name for a new node. A trailing `/` asks for exactly that name, unchanged.

        Raises ValueError for a name with characters that node names cannot have.
        """
        if isinstance(name, bytes):
            name = name.decode()
        if name.endswith("/"):
            full = name[:-1]
            if full in self._by_name:
                raise ValueError(f"Duplicate node name in graph: '{full}'")
            self._names_in_use.setdefault(full.lower(), 1)
            return full
        scope = self._scopes.name
        if not is_valid(name, bool(scope)):
            raise ValueError(f"'{name}' is not a valid node name")
        return self.claimed_name(f"{scope}/{name}" if scope else name)

    def enter_exact_scope(self, scope: str) -> str:
        """Make `scope` the name scope and return the one before, for `leave_exact_scope`."""
        before = self._scopes.name
        self._scopes.name = scope
        return before

    def leave_exact_scope(self, before: str) -> None:
        """Undo `enter_exact_scope`."""
        self._scopes.name = before

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Names of nodes made in the block begin with `name/`, made unique; yields that prefix.

        None or "" is the root; a name ending in "/" is taken as it is (re-entering a scope).
        Raises ValueError for a name that scopes cannot have.
        """
        before = self.enter_name_scope(name)
        new = self._scopes.name
        try:
            yield new + "/" if new else ""
        finally:
            self._scopes.name = before

    def enter_name_scope(self, name: str | None) -> str:
        """Open the scope `name` as `name_scope` does and return the one before, for `leave_exact_scope`."""
        scopes = self._scopes
        before = scopes.name
        if not name:
            scopes.name = ""
            return before
        if isinstance(name, bytes):
            name = name.decode()
        if not is_valid(name, bool(before)):
            raise ValueError(f"'{name}' is not a valid scope name")
        scopes.name = name[:-1] if name[-1] == "/" else self.unique_name(name)
        return before

    def get_name_scope(self) -> str:
        """The current name scope, without a trailing slash."""
        return self._scopes.name

    def as_default(self) -> AbstractContextManager[Graph]:
        """Make this graph the default graph of this thread within the block."""
        return stack.default_graph(self)

    @contextmanager
    def control_dependencies(self, control_inputs: Any) -> Iterator[None]:
        """Nodes made in the block run after all of `control_inputs`; None forgets outer blocks."""
        scopes = self._scopes
        before = scopes.controllers
        if control_inputs is None:
            scopes.controllers = []
        else:
            targets = self._add_control_targets(self._operations_of(control_inputs))
            scopes.controllers = [*before, Controller(targets, before)]
        scopes.note_use()
        try:
            yield
        finally:
            scopes.controllers = before

    def _operations_of(self, control_inputs: Any) -> list[Operation]:
        """The operations that are, make, or stand for what a block waits for, each once."""
        found: dict[Operation, None] = {}  # a set that keeps the order
        for given in control_inputs:
            source = given
            if not isinstance(source, (Tensor, Operation, str)):
                if hasattr(source, "_control_operation"):
                    source = source._control_operation()
                if isinstance(source, IndexedSlices):
                    source = source.op
            element = self.as_graph_element(source)
            found[element.op if isinstance(element, Tensor) else element] = None
        return list(found)

    def _add_control_targets(self, targets: list[Operation]) -> list[Operation]:
        """The operations that nodes of a block may wait for; a function body takes out those around it."""
        return targets

    @contextmanager
    def device(self, device_name_or_function: Any) -> Iterator[None]:
        """Nodes made in the block carry this device; a function is called with each node. None forgets outer ones."""
        devices: list[Any] = []
        if device_name_or_function is not None:
            place = device_name_or_function
            if callable(place):
                shown, place = function_text(place), device_function(place)
            else:
                shown = device_text(place)
                place = merge_device(shown)
            place.said = (shown, origin(3))  # not in contextlib, which enters this block
            devices = [*self._scopes.devices, place]
        with self._scopes.within("devices", devices):
            yield

    @contextmanager
    def colocate_with(self, op: Any, ignore_existing: bool = False) -> Iterator[None]:
        """Nodes made in the block carry the colocation group and the device of `op`."""
        scopes = self._scopes
        before, devices = scopes.colocations, scopes.devices
        if op is None:
            if not ignore_existing:
                raise ValueError(
                    "Trying to reset colocation (op is None) but ignore_existing is not True"
                )
            scopes.colocations = []
        else:
            # beside a variable is beside its handle, which need not be what it is read by
            element = self.as_graph_element(getattr(op, "op", op))
            node = element.op if isinstance(element, Tensor) else element
            scopes.colocations = [node] if ignore_existing else [*before, node]
        scopes.devices = []
        scopes.note_use()
        try:
            yield
        finally:
            scopes.colocations, scopes.devices = before, devices

    @contextmanager
    def colocate_with_references(self, inputs: Sequence[Tensor]) -> Iterator[None]:
        """Nodes made in the block stand beside the variables that `inputs` refer to."""
        with ExitStack() as entered:
            for tensor in inputs:
                if tensor.dtype._is_ref_dtype:
                    entered.enter_context(self.colocate_with(tensor.op))
            yield

    @contextmanager
    def _attr_scope(self, attr_map: dict[str, Any]) -> Iterator[None]:
        with self._scopes.within("attrs", {**self._scopes.attrs, **attr_map}):
            yield

    @contextmanager
    def gradient_override_map(self, op_type_map: dict[str, str]) -> Iterator[None]:
        """Nodes of type k made in the block take their gradient from the function registered as op_type_map[k]."""
        if not isinstance(op_type_map, dict) or not all(
            isinstance(x, str) for pair in op_type_map.items() for x in pair
        ):
            raise TypeError("op_type_map must be a dictionary mapping strings to strings")
        overrides = {**self._scopes.gradient_overrides, **op_type_map}
        with self._scopes.within("gradient_overrides", overrides):
            yield

    @contextmanager
    def container(self, container_name: str) -> Iterator[str]:
        """Stateful nodes made in the block keep their state in this container."""
        with self._scopes.within("container", container_name):
            yield container_name

    def add_to_collection(self, name: Any, value: Any) -> None:
        """Append `value` to the collection `name`."""
        self.check_not_finalized()
        with self._lock:
            self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: Any, value: Any) -> None:
        """Append `value` to each collection named, once."""
        for name in dict.fromkeys((names,) if isinstance(names, str) else names):
            self.add_to_collection(name, value)

    def get_collection_ref(self, name: Any) -> list[Any]:
        """The collection itself: changing the list changes the graph."""
        with self._lock:
            return self._collections.setdefault(name, [])

    def get_collection(self, name: Any, scope: str | None = None) -> list[Any]:
        """A copy of the collection; with `scope` only the members whose names match that regular expression."""
        with self._lock:
            members = list(self._collections.get(name, ()))
        if scope is None:
            return members
        pattern = re.compile(scope)
        return [m for m in members if hasattr(m, "name") and pattern.match(m.name)]

    def get_all_collection_keys(self) -> list[Any]:
        """The names of the collections that have members and string names."""
        with self._lock:
            return [name for name in self._collections if isinstance(name, str)]

    def clear_collection(self, name: Any) -> None:
        """Empty the collection `name`."""
        self.check_not_finalized()
        with self._lock:
            self._collections.pop(name, None)

    @property
    def collections(self) -> list[Any]:
        """The names of all collections."""
        return list(self._collections)

    @property
    def version(self) -> int:
        """A number that grows with every node."""
        return len(self._nodes)

    @property
    def mutations(self) -> int:
        """A number that grows whenever existing nodes are changed; adding nodes leaves it as it is."""
        return self._mutations

    @property
    def finalized(self) -> bool:
        """True once `finalize` was called."""
        return self._finalized

    def finalize(self) -> None:
        """Refuse any further node."""
        self._finalized = True

    def _unsafe_unfinalize(self) -> None:
        self._finalized = False

    def check_not_finalized(self) -> None:
        """Raise RuntimeError when the graph is finalized."""
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")

    _check_not_finalized = check_not_finalized

    @property
    def building_function(self) -> bool:
        """True for the graph of a function's body."""
        return self.is_building_function

    @property
    def graph_def_versions(self) -> Any:
        """The version numbers that an exported GraphDef carries, as a VersionDef message."""
        return self.as_graph_def(from_version=len(self._nodes)).versions

    def prevent_feeding(self, tensor: Tensor) -> None:
        """Refuse feeds of `tensor`."""
        self._unfeedable.add(tensor)

    def is_feedable(self, tensor: Tensor) -> bool:
        """True unless `prevent_feeding` was called."""
        return tensor not in self._unfeedable

    def prevent_fetching(self, op: Operation) -> None:
        """Refuse fetches of `op` and its outputs."""
        self._unfetchable.add(op)

    def is_fetchable(self, element: Any) -> bool:
        """True unless `prevent_fetching` was called."""
        return (element.op if isinstance(element, Tensor) else element) not in self._unfetchable

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> Any:
        """This graph as a GraphDef message; only nodes from `from_version` on, with their output shapes if asked."""
        from ckpt.graph.dump import graph_def  # dump builds on Graph

        with paused():
            return message(graph_def(self, from_version, add_shapes))

    def switch_to_thread_local(self) -> None:
        """Scopes are per thread already; kept for programs that ask for it."""
