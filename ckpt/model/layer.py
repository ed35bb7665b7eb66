"""What a layer is: variables made on first use, losses and updates collected. The base of `tf.layers`.

Knows no kind of layer. Naming and reuse follow TensorFlow's python/layers/base.py.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape, as_shape
from ckpt.graph import convert, stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import add_to_collection, name_scope
from ckpt.graph.static import constant_value
from ckpt.model import branches
from ckpt.model.saveable import Dependency
from ckpt.model.scopes import VariableScope, get_variable_scope, variable_scope
from ckpt.model.shared_variables import get_variable
from ckpt.model.variable_collections import global_variables
from ckpt.ops import casting, control, shaping

_COUNTS = ("__layer_name_uids",)


class InputSpec:
    """What a layer asks of its input: dtype, shape, rank, sizes of axes. None means anything."""

    def __init__(
        self, dtype: Any = None, shape: Any = None, ndim: int | None = None, max_ndim: int | None = None,
        min_ndim: int | None = None, axes: Mapping[int, int | None] | None = None,
    ) -> None:  # fmt: skip
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(shape) if shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = dict(axes or {})

    def problem(self, tensor: Tensor) -> str | None:
        """What is wrong with `tensor`, or None."""
        rank = tensor.shape.rank
        if rank is None:
            asked = (self.ndim, self.min_ndim, self.max_ndim, self.axes or None, self.shape)
            return (
                None
                if all(a is None for a in asked)
                else "its rank is undefined, but the layer requires a defined rank."
            )
        if self.ndim is not None and rank != self.ndim:
            return f"expected ndim={self.ndim}, found ndim={rank}."
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"expected max_ndim={self.max_ndim}, found ndim={rank}"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"expected min_ndim={self.min_ndim}, found ndim={rank}."
        if self.dtype is not None and tensor.dtype != dtypes.as_dtype(self.dtype):
            return f"expected dtype={dtypes.as_dtype(self.dtype).name}, found dtype={tensor.dtype.name}."
        sizes = tensor.shape.as_list()
        for axis, size in self.axes.items():
            if size is not None and sizes[int(axis)] not in (size, None):
                return f"expected axis {axis} of input shape to have value {size} but got shape {sizes}."
        for wanted, size in zip(self.shape or (), sizes, strict=False):
            if None not in (wanted, size) and wanted != size:
                return f"expected shape={self.shape}, found shape={sizes}."
        return None


def flat(nest: Any) -> list[Any]:
    """The leaves of nested lists, tuples and dicts (dicts in the order of their keys)."""
    if isinstance(nest, Mapping):
        return [leaf for key in sorted(nest) for leaf in flat(nest[key])]
    if isinstance(nest, (list, tuple)):
        return [leaf for member in nest for leaf in flat(member)]
    return [nest]


def _shape_of(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _shape_of(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shape_of(member) for member in value]
    return value.shape


def _tensors(nest: Any) -> Any:
    """`nest` with variables and arrays as tensors; what cannot be one stays."""
    if isinstance(nest, Mapping):
        return {key: _tensors(member) for key, member in nest.items()}
    if isinstance(nest, list):
        return [_tensors(member) for member in nest]
    if isinstance(nest, tuple):
        members = [_tensors(member) for member in nest]
        return type(nest)(*members) if hasattr(nest, "_fields") else tuple(members)
    return nest if nest is None or isinstance(nest, Tensor) else convert.convert_to_tensor(nest)


def smart_constant(pred: Any) -> bool | None:
    """The truth of `pred` (a bool, 0, 1 or a constant tensor), or None where only a run can tell."""
    if isinstance(pred, Tensor):
        value = constant_value(pred)
        return None if value is None else bool(value)
    return bool(pred)


def smart_choice(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """One of two results: only one is built where `pred` is known now, else both, and the run chooses."""
    known = smart_constant(pred)
    if known is not None:
        return true_fn() if known else false_fn()
    return branches.cond(pred, true_fn, false_fn)


def _key(inputs: Any) -> tuple[int, ...] | None:
    return None if inputs is None else tuple(id(t) for t in flat(inputs))


class Layer:
    """A function of tensors with variables of its own, which the first call makes in `build`.

    A subclass overrides `build(input_shape)` and `call(inputs)`. `name` is the variable scope, made unique where None.
    """

    def __init__(
        self,
        trainable: bool = True,
        name: Any = None,
        dtype: Any = None,
        activity_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        unknown = set(kwargs) - {
            "_scope",
            "_reuse",
            "input_shape",
            "batch_input_shape",
            "autocast",
            "dynamic",
        }
        if unknown:
            raise TypeError(f"Keyword argument not understood: {min(unknown)}")
        self._name = name.name if isinstance(name, VariableScope) else name
        self._base_name = self._name
        if not self._name:
            self._base_name = _snake_case(type(self).__name__)
            self._name = _unique_name(self._base_name)
        self._dtype = None if dtype is None else dtypes.as_dtype(dtype)
        self._scope: Any = None
        self._reuse = kwargs.get("_reuse")
        self.activity_regularizer = activity_regularizer
        self.trainable = trainable
        self.stateful = False
        self.built = False
        self.input_spec: Any = None
        self._graph: Any = None
        self._trainable: list[Any] = []
        self._frozen: list[Any] = []
        self._dependencies: dict[str, Any] = {}
        self._losses: list[tuple[Any, Any]] = []
        self._updates: list[tuple[Any, Any]] = []
        self._calls: list[tuple[Any, Any]] = []
        given = kwargs.get("_scope")
        if given:
            with variable_scope(given) as captured:
                self._scope = captured

    name = property(lambda self: self._name, doc="The layer's own name.")
    graph = property(lambda self: self._graph, doc="The graph that the layer was first called in.")
    scope_name = property(lambda self: self._scope_name(), doc="The name of its variable scope.")

    def _scope_name(self) -> str:
        if self._scope is None:
            raise ValueError(
                f'No name available for layer scope because the layer "{self._name}" has not been used yet.'
            )
        return str(self._scope.name)

    @property
    def dtype(self) -> Any:
        """The name of the dtype of its variables, or None before it is known."""
        return None if self._dtype is None else self._dtype.name

    @property
    def trainable_variables(self) -> list[Any]:
        """The variables that training changes; none where the layer is not trainable."""
        return list(self._trainable) if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The other variables."""
        return list(self._frozen) if self.trainable else self._trainable + self._frozen

    @property
    def variables(self) -> list[Any]:
        """All variables."""
        return self.trainable_variables + self.non_trainable_variables

    weights = property(lambda self: self.variables, doc="All variables.")
    trainable_weights = property(
        lambda self: self.trainable_variables, doc="What training changes."
    )
    non_trainable_weights = property(lambda self: self.non_trainable_variables, doc="The others.")

    @property
    def losses(self) -> list[Any]:
        """The losses of regularizers, of variables and of outputs."""
        return [loss for loss, _ in self._losses]

    @property
    def updates(self) -> list[Any]:
        """What must run with each training step, as the moving averages of batch normalisation."""
        return [update for update, _ in self._updates] if self.trainable or self.stateful else []

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """The losses that came of a call with these inputs; with None those that depend on no input."""
        return [loss for loss, key in self._losses if key == _key(inputs)]

    def get_updates_for(self, inputs: Any) -> list[Any]:
        """The updates that came of a call with these inputs; with None those that depend on no input."""
        return [update for update, key in self._updates if key == _key(inputs)]

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Keep losses, and enter them in the graph's collection of regularization losses."""
        for loss in flat(losses):
            self._losses.append((loss, _key(inputs)))
            add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Keep updates, and enter them in the graph's collection of updates."""
        for update in flat(updates):
            if isinstance(update, Tensor):
                update = update.op
            self._updates.append((update, _key(inputs)))
            add_to_collection(GraphKeys.UPDATE_OPS, update)

    def build(self, input_shape: Any) -> None:
        """Make the variables. Overridden by layers that have some."""
        self.built = True

    def call(self, inputs: Any, **kwargs: Any) -> Any:
        """The layer's function. Overridden."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape that an input of this shape comes out with."""
        raise NotImplementedError(f"{type(self).__name__} does not say its output shape")

    def _set_scope(self, scope: Any = None) -> None:
        if self._scope is not None:
            return
        if self._reuse:
            opened = variable_scope(scope if scope is not None else self._base_name)
        else:
            opened = variable_scope(scope, default_name=self._base_name)
        with opened as captured:
            self._scope = captured

    def _inside(self, reuse: Any) -> Any:
        return variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False)

    def add_variable(
        self, name: str, shape: Any, dtype: Any = None, initializer: Any = None, regularizer: Any = None,
        trainable: bool = True, constraint: Any = None, use_resource: bool | None = None, partitioner: Any = None,
        **_: Any,
    ) -> Any:  # fmt: skip
        """The variable `scope/name`, new or, where the scope reuses, an existing one."""
        dtype = dtypes.as_dtype(dtype or self._dtype or dtypes.float32)
        self._set_scope()
        existing = set(map(id, global_variables()))
        with (
            self._inside(self.built or self._reuse) as scope,
            name_scope(scope.original_name_scope),
        ):
            variable = get_variable(
                name, shape=shape, dtype=dtype, initializer=initializer, constraint=constraint,
                trainable=trainable and self.trainable, partitioner=partitioner, use_resource=use_resource,
            )  # fmt: skip
            is_new = id(variable) not in existing
            if regularizer is not None and is_new:
                with name_scope(f"{name}/Regularizer"):
                    loss = regularizer(variable)
                if loss is not None:
                    self.add_loss(loss)
        (self._trainable if trainable else self._frozen).append(variable)
        self._dependencies[name] = variable
        return variable

    @property
    def _checkpoint_dependencies(self) -> list[Dependency]:
        """What an object-based checkpoint finds here: the variables, by the names that they were asked for."""
        return list(itertools.starmap(Dependency, self._dependencies.items()))

    def add_weight(self, name: str, shape: Any, **kwargs: Any) -> Any:
        """The same as `add_variable`."""
        return self.add_variable(name, shape, **kwargs)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The layer's function of `inputs`, in its own scopes; the first call makes its variables."""
        self._set_scope(kwargs.pop("scope", None))
        inputs = _tensors(inputs)
        self._check_graph(inputs)
        reuse = True if self.built else self._reuse
        with self._inside(reuse) as scope, name_scope(scope.original_name_scope):
            self._check_inputs(inputs)
            if not self.built:
                self._build_for(inputs)
            self._check_inputs(inputs)
            outputs = self.call(inputs, *args, **kwargs)
            if outputs is None:
                raise ValueError(
                    f"A layer's `call` method should return a Tensor or a list of Tensors, not None ({self._name})"
                )
            self._regularize_activity(outputs, inputs)
        self.built = True
        stack.get_default_graph().get_collection_ref(GraphKeys.UPDATE_OPS)  # there from now on
        outputs = self._distinct(outputs, inputs)
        self._calls.append((inputs, outputs))
        return outputs

    def apply(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The same as calling the layer."""
        return self(inputs, *args, **kwargs)

    def _check_graph(self, inputs: Any) -> None:
        tensors = [t for t in flat(inputs) if isinstance(t, Tensor)]
        graph = tensors[0].graph if tensors else stack.get_default_graph()
        if self._graph is None:
            self._graph = graph
        elif self._graph is not graph and not graph.is_building_function:
            raise ValueError(
                f"Input graph and Layer graph are not the same: layer {self._name} was used in another graph"
            )

    def _build_for(self, inputs: Any) -> None:
        first = next((t for t in flat(inputs) if isinstance(t, Tensor)), None)
        if self._dtype is None and first is not None:
            self._dtype = first.dtype.base_dtype
        self.build(_shape_of(inputs))

    def _check_inputs(self, inputs: Any) -> None:
        if not self.input_spec:
            return
        specs = self.input_spec if isinstance(self.input_spec, (list, tuple)) else [self.input_spec]
        tensors = flat(inputs)
        if len(tensors) != len(specs):
            raise ValueError(
                f"Layer {self._name} expects {len(specs)} inputs, but it received {len(tensors)} input tensors."
            )
        for place, (spec, tensor) in enumerate(zip(specs, tensors, strict=True)):
            problem = None if spec is None else spec.problem(tensor)
            if problem:
                raise ValueError(
                    f"Input {place} of layer {self._name} is incompatible with the layer: {problem}"
                )

    def _regularize_activity(self, outputs: Any, inputs: Any) -> None:
        if self.activity_regularizer is None:
            return
        for output in flat(outputs):
            with name_scope("ActivityRegularizer"):
                total = self.activity_regularizer(output)
                batch = casting.cast(shaping.shape(output)[0], total.dtype)
                self.add_loss(total / batch, inputs=inputs)

    def _distinct(self, outputs: Any, inputs: Any) -> Any:
        """Outputs that are inputs as tensors of their own, named for the layer."""
        given = {id(t) for t in flat(inputs)}
        if isinstance(outputs, Tensor) and id(outputs) in given:
            with name_scope(self._scope.original_name_scope):
                return control.identity(outputs)
        return outputs

    def _only(self, place: int, what: str) -> Any:
        found = {id(call[place]): call[place] for call in self._calls}
        if len(found) != 1:
            raise AttributeError(
                f"Layer {self._name} has {len(found) or 'no'} {what}; call it once to have one"
            )
        return next(iter(found.values()))

    input = property(lambda self: self._only(0, "inputs"), doc="The input of its only call.")
    output = property(lambda self: self._only(1, "outputs"), doc="The output of its only call.")
    input_shape = property(lambda self: tuple(self.input.shape.as_list()), doc="The input's sizes.")
    output_shape = property(
        lambda self: tuple(self.output.shape.as_list()), doc="The output's sizes."
    )

    def count_params(self) -> int:
        """How many numbers its variables hold. Raises ValueError before they are made."""
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on {self._name}, but the layer isn't built."
            )
        return sum(int(v.shape.num_elements() or 0) for v in self.variables)

    def get_config(self) -> dict[str, Any]:
        """What makes an equal layer."""
        return {"name": self._name, "trainable": self.trainable, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """The layer that `get_config` described."""
        return cls(**config)


def _snake_case(name: str) -> str:
    spaced = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    found = re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()
    return f"private{found}" if found.startswith("_") else found


def _unique_name(base: str) -> str:
    """The base with how many layers of this graph and scope asked for it."""
    held = stack.get_default_graph().get_collection_ref(_COUNTS)
    if not held:
        held.append({})
    counts: dict[tuple[str, str], int] = held[0]
    key = (get_variable_scope().name, base)
    counts[key] = counts.get(key, 0) + 1
    return f"{base}_{counts[key]}"


def known_size(shape: Any, axis: int, what: str) -> int:
    """The size of one axis. Raises ValueError where it is unknown."""
    sizes = as_shape(shape).sizes
    if sizes is None or sizes[axis] is None:
        raise ValueError(f"{what} of the inputs should be defined, found {TensorShape.of(sizes)}")
    return int(sizes[axis] or 0)
