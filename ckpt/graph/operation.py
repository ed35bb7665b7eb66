"""The nodes of a graph (`Operation`) and the edges (`Tensor`): what and where, no values. Knows no operation type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ckpt.core.dtypes import DType
from ckpt.core.errors import OutOfRangeError
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import origins, stack
from ckpt.graph.devices import device_text

if TYPE_CHECKING:
    from ckpt.graph.graph import Graph
    from ckpt.graph.opdef import OpDef

OPERATORS: dict[str, Callable[..., Any]] = {}
"""What `a + b`, `a[i]`, `-a` … build, by Python's method name. The ops room fills it through `operator`."""


def operator(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the function builds the operators `names` (`__add__`, `__radd__`) of tensors and variables."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            OPERATORS[name] = function
        return function

    return enter


class Operators:
    """Python's arithmetic, comparison and indexing for whatever converts to a tensor."""

    __slots__ = ()
    __array_priority__ = 100

    def __add__(self, other: Any) -> Any:
        return OPERATORS["__add__"](self, other)

    def __radd__(self, other: Any) -> Any:
        return OPERATORS["__add__"](other, self)

    def __sub__(self, other: Any) -> Any:
        return OPERATORS["__sub__"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return OPERATORS["__sub__"](other, self)

    def __mul__(self, other: Any) -> Any:
        return OPERATORS["__mul__"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return OPERATORS["__mul__"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return OPERATORS["__truediv__"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return OPERATORS["__truediv__"](other, self)

    def __div__(self, other: Any) -> Any:
        return OPERATORS["__div__"](self, other)

    def __rdiv__(self, other: Any) -> Any:
        return OPERATORS["__div__"](other, self)

    def __floordiv__(self, other: Any) -> Any:
        return OPERATORS["__floordiv__"](self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return OPERATORS["__floordiv__"](other, self)

    def __mod__(self, other: Any) -> Any:
        return OPERATORS["__mod__"](self, other)

    def __rmod__(self, other: Any) -> Any:
        return OPERATORS["__mod__"](other, self)

    def __pow__(self, other: Any) -> Any:
        return OPERATORS["__pow__"](self, other)

    def __rpow__(self, other: Any) -> Any:
        return OPERATORS["__pow__"](other, self)

    def __matmul__(self, other: Any) -> Any:
        return OPERATORS["__matmul__"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return OPERATORS["__matmul__"](other, self)

    def __and__(self, other: Any) -> Any:
        return OPERATORS["__and__"](self, other)

    def __rand__(self, other: Any) -> Any:
        return OPERATORS["__and__"](other, self)

    def __or__(self, other: Any) -> Any:
        return OPERATORS["__or__"](self, other)

    def __ror__(self, other: Any) -> Any:
        return OPERATORS["__or__"](other, self)

    def __xor__(self, other: Any) -> Any:
        return OPERATORS["__xor__"](self, other)

    def __rxor__(self, other: Any) -> Any:
        return OPERATORS["__xor__"](other, self)

    def __lt__(self, other: Any) -> Any:
        return OPERATORS["__lt__"](self, other)

    def __le__(self, other: Any) -> Any:
        return OPERATORS["__le__"](self, other)

    def __gt__(self, other: Any) -> Any:
        return OPERATORS["__gt__"](self, other)

    def __ge__(self, other: Any) -> Any:
        return OPERATORS["__ge__"](self, other)

    def __neg__(self) -> Any:
        return OPERATORS["__neg__"](self)

    def __abs__(self) -> Any:
        return OPERATORS["__abs__"](self)

    def __invert__(self) -> Any:
        return OPERATORS["__invert__"](self)

    def __getitem__(self, key: Any) -> Any:
        return OPERATORS["__getitem__"](self, key)


class Tensor(Operators):
    """One output of an operation: a name, a dtype and a static shape, no value.

    Values exist only while a session runs. Equality and hash are identity.
    """

    __slots__ = ("__dict__", "__weakref__", "_dtype", "_shape", "op", "value_index")

    op: Operation
    value_index: int

    def __init__(self, op: Operation, value_index: int, dtype: DType, shape: TensorShape) -> None:
        self.op = op
        self.value_index = value_index
        self._dtype = dtype
        self._shape = shape

    @property
    def graph(self) -> Graph:
        """The graph of the tensor."""
        return self.op.graph

    @property
    def dtype(self) -> DType:
        """The dtype of the elements; a reference dtype for the output of a variable."""
        return self._dtype

    @property
    def name(self) -> str:
        """`operation:index`."""
        return f"{self.op.name}:{self.value_index}"

    @property
    def device(self) -> str:
        """The device string of the operation."""
        return self.op.device

    @property
    def shape(self) -> TensorShape:
        """The static shape."""
        return self._shape

    def get_shape(self) -> TensorShape:
        """The static shape."""
        return self._shape

    def set_shape(self, shape: Any) -> None:
        """Add what is known about the shape. Raises ValueError when it contradicts what was known."""
        self._shape = self._shape.merge_with(as_shape(shape))

    def consumers(self) -> list[Operation]:
        """The operations that take this tensor as an input, in order of creation."""
        return self.op.graph.consumers_of(self)

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """The value: runs the session given, else the default session. Raises ValueError without one."""
        return _session_for(self, session, "evaluate tensor", "eval").run(self, feed_dict)

    def ref(self) -> Reference:
        """A hashable stand-in for this tensor: equal for the same tensor only."""
        return Reference(self)

    experimental_ref = ref

    def _shape_as_list(self) -> list[int | None] | None:
        return None if self._shape.sizes is None else list(self._shape.sizes)

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.name}' shape={self._shape} dtype={self._dtype.name}>"

    def __str__(self) -> str:
        shape = "" if self._shape.sizes is None else f", shape={self._shape}"
        if self._shape.sizes is None:
            shape = ", shape=<unknown>"
        return f'Tensor("{self.name}"{shape}, dtype={self._dtype.name})'

    def __copy__(self) -> Tensor:
        return self

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            "Tensor objects are only iterable when eager execution is enabled. "
            "To iterate over this tensor use tf.map_fn."
        )

    def __len__(self) -> int:
        raise TypeError(
            f"len is not well defined for a symbolic Tensor ({self.name}). "
            "Please call `x.shape` rather than `len(x)` for shape information."
        )

    def __bool__(self) -> bool:
        raise TypeError(
            "Using a `tf.Tensor` as a Python `bool` is not allowed. Use `if t is not None:` instead of "
            "`if t:` to test if a tensor is defined, and use TensorFlow ops such as tf.cond to execute "
            "subgraphs conditioned on the value of a tensor."
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"Cannot convert a symbolic Tensor ({self.name}) to a numpy array."
        )


class DeviceAssignment(NamedTuple):
    """A device block that an operation was made in, and where that block was opened."""

    obj: str
    filename: str
    lineno: int


class Reference:
    """A key for dicts and sets that stands for one tensor or variable."""

    __slots__ = ("_referenced",)

    def __init__(self, referenced: Any) -> None:
        self._referenced = referenced

    def deref(self) -> Any:
        """What it stands for."""
        return self._referenced

    def __hash__(self) -> int:
        return id(self._referenced)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self._referenced is other._referenced

    def __repr__(self) -> str:
        return f"<Reference wrapping {self._referenced!r}>"


def _session_for(what: Any, session: Any, verb: str, method: str) -> Any:
    which = "given" if session is not None else "default"
    if session is None:
        session = stack.get_default_session()
        if session is None:
            raise ValueError(
                f"Cannot {verb} using `{method}()`: No default session is registered. Use "
                f"`with sess.as_default()` or pass an explicit session to `{method}(session=sess)`"
            )
    if session.graph is not what.graph:
        raise ValueError(
            f"Cannot use the {which} session to {verb}: the {verb.rsplit(maxsplit=1)[-1]}'s graph is different "
            "from the session's graph."
        )
    return session


class Operation:
    """One node: a type, a name, inputs, attributes and control inputs.

    `attrs` holds plain Python values (see core.defs); nodes may share it, so that it is replaced, never changed. `opdef` is None for a type that ckpt does not know: such a
    node can be inspected, renamed and exported; only running it is refused.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_control_inputs",
        "_inputs",
        "_made_for",
        "_origin",
        "_outputs",
        "attrs",
        "device",
        "graph",
        "name",
        "node_id",
        "opdef",
        "type",
    )

    def __init__(
        self,
        graph: Graph,
        node_id: int,
        name: str,
        type_name: str,
        opdef: OpDef | None,
        inputs: Sequence[Tensor],
        attrs: Mapping[str, Any],
    ) -> None:
        self.graph = graph
        self.node_id = node_id
        self.name = name
        self.type = type_name
        self.opdef = opdef
        self._inputs = tuple(inputs)
        self._outputs: list[Tensor] = []
        self._control_inputs: tuple[Operation, ...] = ()
        self.attrs = attrs
        self.device = ""
        self._origin: origins.Origin = ()
        self._made_for: Operation | None = None  # the operation whose gradient this is a part of

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The data inputs."""
        return self._inputs

    @property
    def outputs(self) -> list[Tensor]:
        """The output tensors."""
        return self._outputs

    @property
    def control_inputs(self) -> list[Operation]:
        """The operations that must have run before this one, beyond its data inputs."""
        return list(self._control_inputs)

    @property
    def _id(self) -> int:
        return self.node_id

    @property
    def node_def(self) -> Any:
        """This node as a NodeDef message."""
        return self.graph.node_message(self)

    @property
    def _output_types(self) -> list[int]:
        return [tensor._dtype.as_datatype_enum for tensor in self._outputs]

    @property
    def _input_types(self) -> list[DType]:
        return [tensor._dtype.base_dtype for tensor in self._inputs]

    @property
    def _device_assignments(self) -> list[DeviceAssignment]:
        said = [place.said for place in self.__dict__.get("device_scopes", ())]
        return [
            DeviceAssignment(text, *(lines[0][:2] if lines else ("", 0)))
            for text, lines in ((text, origins.lines(noted)) for text, noted in said)
        ]

    @property
    def _original_op(self) -> Operation | None:
        return self._made_for

    @property
    def op_def(self) -> Any:
        """The signature of this node's type as an OpDef message."""
        return self.graph.op_message(self)

    @property
    def traceback(self) -> list[tuple[str, int, str]]:
        """Where the node was created: (file, line, function), outermost call first."""
        found = reversed(origins.lines(self._origin))
        return [(line.filename, line.number, line.function) for line in found]

    def created_at(self) -> str:
        """`file:line, in function` of the innermost line outside ckpt that made the node, or ''."""
        for line in origins.lines(self._origin[:2]):
            return f"{line.filename}:{line.number}, in {line.function}"
        return ""

    def values(self) -> tuple[Tensor, ...]:
        """The output tensors."""
        return tuple(self._outputs)

    def get_attr(self, name: str) -> Any:
        """The attribute's value as TensorFlow gives it: strings as bytes, dtypes as DType, shapes and tensors
        as messages. Raises ValueError when there is none of that name."""
        return self.graph.attr_of(self, name)

    def run(self, feed_dict: Any = None, session: Any = None) -> None:
        """Run this node in the session given, else in the default session."""
        _session_for(self, session, "execute operation", "run").run(self, feed_dict)

    def colocation_groups(self) -> list[bytes]:
        """The groups of this node, `loc:@name`, its own when it is in no other."""
        return [group.encode() for group in self.colocation_names()]

    def colocation_names(self) -> list[str]:
        """The same groups as text, as `attrs["_class"]` keeps them."""
        groups = self.attrs.get("_class") or ()
        found = [g.decode() if isinstance(g, bytes) else g for g in groups]
        return [g for g in found if g.startswith("loc:@")] or [f"loc:@{self.name}"]

    def _set_device(self, device: Any) -> None:
        self.device = device_text(device)

    def _set_attr(self, name: str, value: Any) -> None:
        self.graph.set_attr(self, name, value)

    def _add_control_input(self, op: Operation) -> None:
        self._add_control_inputs([op])

    def _add_control_inputs(self, ops: Sequence[Operation]) -> None:
        for op in ops:
            if not isinstance(op, Operation):
                raise TypeError(f"op must be an Operation: {op}")
            if op not in self._control_inputs:
                self._control_inputs += (op,)
        self.graph.touch()

    def _remove_all_control_inputs(self) -> None:
        self._control_inputs = ()
        self.graph.touch()

    def _update_input(self, index: int, tensor: Tensor) -> None:
        if tensor.graph is not self.graph:
            raise ValueError(f"{tensor!r} must be from the same graph as {self.name}.")
        if not 0 <= index < len(self._inputs):
            raise OutOfRangeError(
                None,
                None,
                f"Cannot update edge. Input index [{index}] is greater than the number of total inputs "
                f"[{len(self._inputs)}].",
            )
        self._inputs = (*self._inputs[:index], tensor, *self._inputs[index + 1 :])
        self.graph.touch()

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"

    def __str__(self) -> str:
        return str(self.node_def)
