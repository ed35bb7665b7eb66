"""Graphs and models as plain data: what is written to files and what is read from them.

The field names are TensorFlow's. `wire` turns these values into bytes (our msgpack, TensorFlow's protobuf) and
back; `graph` turns them into a live Graph and back. Attribute values are plain Python:

    bytes | str -> s,  int -> i,  float -> f,  bool -> b,  DType -> type,  TensorShape -> shape,
    np.ndarray -> tensor,  Func -> func,  Placeholder -> placeholder,  list of these -> list

Must not know graphs, sessions or any byte layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ckpt.core.versions import GRAPH_DEF_VERSION


@dataclass(frozen=True, slots=True)
class Func:
    """An attribute that names a function of the library, with the attributes to instantiate it."""

    name: str
    attr: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """An attribute whose value is that of the enclosing function's attribute `name`."""

    name: str


@dataclass(frozen=True, slots=True, init=False)
class NodeDef:
    """One operation: `input` holds `name`, `name:1` and control inputs `^name`, data inputs first."""

    name: str
    op: str
    input: tuple[str, ...] = ()
    device: str = ""
    attr: Mapping[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        name: str,
        op: str,
        input: tuple[str, ...] = (),  # TensorFlow's name
        device: str = "",
        attr: Mapping[str, Any] | None = None,
    ) -> None:
        # Graphs have many: the slots themselves take the values in half the time of object.__setattr__.
        _set_name(self, name)
        _set_op(self, op)
        _set_input(self, input)
        _set_device(self, device)
        _set_attr(self, {} if attr is None else attr)


_set_name, _set_op, _set_input, _set_device, _set_attr = (
    getattr(NodeDef, name).__set__ for name in NodeDef.__dataclass_fields__
)


def split_input(name: str) -> tuple[str, int]:
    """`node`, `node:1` or `^node` as (node, output index); -1 for a control input."""
    if name[:1] == "^":
        return name[1:], -1
    if ":" not in name:
        return name, 0
    node, colon, index = name.rpartition(":")
    if colon and index.isdigit():
        return node, int(index)
    return name, 0


@dataclass(frozen=True, slots=True)
class ArgDef:
    """One argument of a function's or operation's signature."""

    name: str
    type: Any = None  # DType, or None where an attribute says it
    type_attr: str = ""
    number_attr: str = ""
    type_list_attr: str = ""
    is_ref: bool = False


@dataclass(frozen=True, slots=True)
class FunctionDef:
    """A function of the library: signature, body and which body tensor each result is.

    Body inputs are written `argument`, `node:output_name:index`, as in TensorFlow.
    """

    name: str
    input_arg: tuple[ArgDef, ...] = ()
    output_arg: tuple[ArgDef, ...] = ()
    node_def: tuple[NodeDef, ...] = ()
    ret: Mapping[str, str] = field(default_factory=dict)
    control_ret: Mapping[str, str] = field(default_factory=dict)
    attr: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphDef:
    """A whole graph: nodes in any order, and the library of functions that they call."""

    node: tuple[NodeDef, ...] = ()
    library: tuple[FunctionDef, ...] = ()
    gradient: Mapping[str, str] = field(default_factory=dict)  # function -> its gradient function
    producer: int = GRAPH_DEF_VERSION
    min_consumer: int = 0


@dataclass(frozen=True, slots=True)
class SaverDef:
    """What a Saver needs to work again in another process: names of its tensors and its settings.

    Source of the fields: TensorFlow core/protobuf/saver.proto.
    """

    filename_tensor_name: str = ""
    save_tensor_name: str = ""
    restore_op_name: str = ""
    max_to_keep: int = 0
    sharded: bool = False
    keep_checkpoint_every_n_hours: float = 0.0
    version: int = 2


@dataclass(frozen=True, slots=True)
class SaveSliceInfoDef:
    """Which part of a partitioned variable a variable is."""

    full_name: str = ""
    full_shape: tuple[int, ...] = ()
    var_offset: tuple[int, ...] = ()
    var_shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class VariableDef:
    """A variable by the names of its operations and tensors.

    Source of the fields: TensorFlow core/framework/variable.proto.
    """

    variable_name: str = ""
    initial_value_name: str = ""
    initializer_name: str = ""
    snapshot_name: str = ""
    save_slice_info_def: SaveSliceInfoDef | None = None
    is_resource: bool = False
    trainable: bool = True
    synchronization: int = 0
    aggregation: int = 0


@dataclass(frozen=True, slots=True)
class CollectionDef:
    """One collection: `kind` is node_list, bytes_list, int64_list, float_list, any_list or variables.

    `variables` holds VariableDefs; in TensorFlow's own files these are a bytes_list of serialized messages.
    """

    kind: str
    value: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor of a signature: its name, dtype and static shape.

    A sparse tensor has no name, but the names of its values, indices and dense shape.
    """

    name: str = ""
    dtype: Any = None
    tensor_shape: Any = None
    coo_sparse: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SignatureDef:
    """Named inputs and outputs of a model, and the method they serve."""

    inputs: Mapping[str, TensorInfo] = field(default_factory=dict)
    outputs: Mapping[str, TensorInfo] = field(default_factory=dict)
    method_name: str = ""


@dataclass(frozen=True, slots=True)
class MetaInfoDef:
    """Where a MetaGraph comes from."""

    meta_graph_version: str = ""
    tags: tuple[str, ...] = ()
    tensorflow_version: str = ""
    tensorflow_git_version: str = ""
    stripped_default_attrs: bool = False
    stripped_op_list: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetaGraphDef:
    """A whole model without its values: graph, saver, collections, signatures.

    Source of the fields: TensorFlow core/protobuf/meta_graph.proto.
    """

    meta_info_def: MetaInfoDef = MetaInfoDef()
    graph_def: GraphDef = GraphDef()
    saver_def: SaverDef | None = None
    collection_def: Mapping[str, CollectionDef] = field(default_factory=dict)
    signature_def: Mapping[str, SignatureDef] = field(default_factory=dict)
