"""Variable scopes: what variables that are asked for by name are called, and how they are made unless they say so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.scopes import graph_of, name_scope
from ckpt.model.scope_counts import ScopeCounts

_SCOPES = ("__varscope",)


class _Reuse:
    """Whether `get_variable` makes a variable, returns an existing one, or does whichever fits."""

    def __repr__(self) -> str:
        return "<ReuseMode.AUTO_REUSE>"


AUTO_REUSE = _Reuse()


class VariableScope:
    """What `get_variable` takes from the scope around it: name, reuse, defaults for its arguments."""

    def __init__(
        self,
        reuse: Any,
        name: str = "",
        initializer: Any = None,
        regularizer: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Any = None,
        name_scope: str = "",  # TensorFlow's name
        dtype: Any = dtypes.float32,
        use_resource: bool | None = None,
        constraint: Any = None,
    ) -> None:
        self._name = name
        self._reuse = reuse
        self._initializer = initializer
        self._regularizer = regularizer
        self._caching_device = caching_device
        self._partitioner = partitioner
        self._custom_getter = custom_getter
        self._name_scope = name_scope
        self._dtype = dtype
        self._use_resource = use_resource
        self._constraint = constraint

    name = property(lambda self: self._name, doc="The full name of the scope.")
    original_name_scope = property(
        lambda self: self._name_scope, doc="The name scope it was opened with."
    )
    reuse = property(lambda self: self._reuse, doc="True, False, None or AUTO_REUSE.")
    initializer = property(lambda self: self._initializer, doc="The default initializer.")
    dtype = property(lambda self: self._dtype, doc="The default dtype.")
    use_resource = property(
        lambda self: self._use_resource, doc="Whether variables are resource variables."
    )
    regularizer = property(lambda self: self._regularizer, doc="The default regularizer.")
    caching_device = property(lambda self: self._caching_device, doc="The default caching device.")
    partitioner = property(lambda self: self._partitioner, doc="The default partitioner.")
    custom_getter = property(
        lambda self: self._custom_getter, doc="The function that wraps get_variable."
    )
    constraint = property(lambda self: self._constraint, doc="The default constraint.")

    def reuse_variables(self) -> None:
        """From now on get existing variables only."""
        self._reuse = True

    def set_initializer(self, initializer: Any) -> None:
        """Set the default initializer."""
        self._initializer = initializer

    def set_dtype(self, dtype: Any) -> None:
        """Set the default dtype."""
        self._dtype = dtype

    def set_use_resource(self, use_resource: bool) -> None:
        """Set whether variables are resource variables."""
        self._use_resource = use_resource

    def set_regularizer(self, regularizer: Any) -> None:
        """Set the default regularizer."""
        self._regularizer = regularizer

    def set_caching_device(self, caching_device: Any) -> None:
        """Set the default caching device."""
        self._caching_device = caching_device

    def set_partitioner(self, partitioner: Any) -> None:
        """Set the default partitioner."""
        self._partitioner = partitioner

    def set_custom_getter(self, custom_getter: Any) -> None:
        """Set the function that wraps get_variable."""
        self._custom_getter = custom_getter

    def get_collection(self, name: str) -> list[Any]:
        """The members of a collection in this scope."""
        scope = f"{self._name}/" if self._name else self._name
        return stack.get_default_graph().get_collection(name, scope)

    def trainable_variables(self) -> list[Any]:
        """The trainable variables in this scope."""
        return self.get_collection(GraphKeys.TRAINABLE_VARIABLES)

    def global_variables(self) -> list[Any]:
        """The global variables in this scope."""
        return self.get_collection(GraphKeys.GLOBAL_VARIABLES)

    def local_variables(self) -> list[Any]:
        """The local variables in this scope."""
        return self.get_collection(GraphKeys.LOCAL_VARIABLES)

    def _copy(self, **changes: Any) -> VariableScope:
        found = VariableScope.__new__(VariableScope)
        found.__dict__.update(self.__dict__)
        for key, value in changes.items():
            setattr(found, key, value)
        return found


class _OpenScopes(threading.local):
    """Of one graph and thread: the current scope, and how often each scope was opened."""

    def __init__(self) -> None:
        self.current = VariableScope(False)
        self.counts = ScopeCounts()


def _scopes() -> _OpenScopes:
    found = stack.get_default_graph().get_collection_ref(_SCOPES)
    if not found:
        found.append(_OpenScopes())
    return found[0]  # type: ignore[no-any-return]  # the only thing kept there


def get_variable_scope() -> VariableScope:
    """The current variable scope."""
    return _scopes().current


class variable_scope:  # TensorFlow's name
    """`with variable_scope("layer"):` prefixes the names of variables (and of nodes) made inside.

    `name_or_scope` is a name or a VariableScope to enter again; with None, `default_name` is made unique.
    Raises ValueError when neither is given, TypeError for another kind of scope.
    """

    def __init__(
        self,
        name_or_scope: Any,
        default_name: str | None = None,
        values: Sequence[Any] | None = None,
        initializer: Any = None,
        regularizer: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Any = None,
        reuse: Any = None,
        dtype: Any = None,
        use_resource: bool | None = None,
        constraint: Any = None,
        auxiliary_name_scope: bool = True,
    ) -> None:
        if name_or_scope is None and default_name is None:
            raise TypeError("If default_name is None then name_or_scope is required")
        if name_or_scope is not None and not isinstance(name_or_scope, (str, VariableScope)):
            raise TypeError("VariableScope: name_or_scope must be a string or VariableScope.")
        if reuse not in (None, True, False) and reuse is not AUTO_REUSE:
            raise ValueError("The reuse parameter must be True or False or None.")
        if not isinstance(auxiliary_name_scope, bool):
            raise TypeError(
                f"The auxiliary_name_scope must be `True` or `False`, while get {auxiliary_name_scope}"
            )
        self._name_or_scope = name_or_scope
        self._default_name = default_name
        self._values = values
        self._reuse = reuse
        self._auxiliary = auxiliary_name_scope
        self._changes = {
            "_initializer": initializer,
            "_regularizer": regularizer,
            "_caching_device": caching_device,
            "_partitioner": partitioner,
            "_dtype": dtype,
            "_use_resource": use_resource,
            "_constraint": constraint,
        }
        self._custom_getter = custom_getter
        self._exits: list[ExitStack] = []

    def __enter__(self) -> VariableScope:
        exits = ExitStack()
        default = stack.get_default_graph()
        if self._values is not None and not default.is_building_function:
            exits.enter_context(graph_of(self._values).as_default())
        try:
            scope = self._opened(exits)
        except BaseException:
            exits.close()
            raise
        self._exits.append(exits)
        return scope

    def _opened(self, exits: ExitStack) -> VariableScope:
        scopes = _scopes()
        given = self._name_or_scope
        if isinstance(given, VariableScope):
            scope = self._again(given, exits)
        else:
            scope = self._new(scopes, exits)
        for key, value in self._changes.items():
            if value is not None:
                setattr(scope, key, value)
        if self._custom_getter is not None:
            if not callable(self._custom_getter):
                raise ValueError(f"custom_getter provided is not callable: {self._custom_getter}")
            scope._custom_getter = chained(self._custom_getter, scope._custom_getter)
        counts, before = scopes.counts, scopes.current
        counts.opened(scope.name)
        mark = counts.mark() if isinstance(given, VariableScope) else None
        scopes.current = scope

        def leave() -> None:
            if scopes.current is not scope:
                raise RuntimeError("Improper nesting of variable_scope.")
            scopes.current = before
            if mark is not None:
                counts.take_back(mark)
            else:
                counts.forget_below(scope.name)

        exits.callback(leave)
        return scope

    def _again(self, given: VariableScope, exits: ExitStack) -> VariableScope:
        """The scope `given` entered once more: the same variable names, a new name scope."""
        if self._auxiliary and given.name:
            exits.enter_context(name_scope(given.name.split("/")[-1]))
        return given._copy(_reuse=self._reuse or given.reuse, _constraint=None)

    def _new(self, scopes: _OpenScopes, exits: ExitStack) -> VariableScope:
        outer, given = scopes.current, self._name_or_scope
        if given is None and self._reuse:
            raise ValueError("reuse=True cannot be used without a name_or_scope")
        wanted: Any = self._default_name if given is None else given
        node_scope = _current_name_scope()
        if self._auxiliary and wanted:
            node_scope = exits.enter_context(name_scope(wanted))
        if given is None:
            full = scopes.counts.unique(f"{outer.name}/{wanted}" if outer.name else str(wanted))
        else:
            full = f"{outer.name}/{given}" if outer.name else str(given)
        reuse = outer.reuse if given is None else self._reuse or outer.reuse
        return outer._copy(_name=full, _reuse=reuse, _name_scope=node_scope, _constraint=None)

    def __exit__(self, *error: object) -> None:
        self._exits.pop().close()


def _current_name_scope() -> str:
    found = stack.get_default_graph().get_name_scope()
    return f"{found}/" if found else ""


def chained(inner: Callable[..., Any], outer: Callable[..., Any] | None) -> Callable[..., Any]:
    """The getter that hands `inner` a getter by way of `outer`."""
    if outer is None:
        return inner

    def both(getter: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return inner(lambda *a, **k: outer(getter, *a, **k), *args, **kwargs)

    return both


@contextmanager
def variable_op_scope(
    values: Sequence[Any],
    name_or_scope: Any,
    default_name: str | None = None,
    initializer: Any = None,
    regularizer: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    reuse: Any = None,
    dtype: Any = None,
    use_resource: bool | None = None,
    constraint: Any = None,
) -> Iterator[VariableScope]:
    """Deprecated spelling of `variable_scope(name_or_scope, default_name, values, ...)`."""
    with variable_scope(
        name_or_scope,
        default_name,
        values,
        initializer,
        regularizer,
        caching_device,
        partitioner,
        custom_getter,
        reuse,
        dtype,
        use_resource,
        constraint,
    ) as scope:
        yield scope


def no_regularizer(_: Any) -> None:
    """A regularizer that adds nothing: where the scope's own must not apply."""
