"""Functions that make their variables once and share them among calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ckpt.graph import stack
from ckpt.graph.keys import GraphKeys
from ckpt.model.scopes import variable_scope


def make_template(
    name_: str,
    func_: Callable[..., Any],
    create_scope_now_: bool = False,
    unique_name_: str | None = None,
    custom_getter_: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Template:
    """`func_` with `kwargs` bound, in a variable scope of its own: the variables of the first call serve all others.

    `name_` is made unique unless `unique_name_` is given; the scope is opened at the first call, or now.
    """
    function = functools.partial(func_, **kwargs) if kwargs else func_
    return Template(name_, function, create_scope_now_, unique_name_, custom_getter_)


class Template:
    """What `make_template` returns: call it like the function."""

    def __init__(
        self,
        name: str,
        func: Callable[..., Any],
        create_scope_now: bool = False,
        unique_name: str | None = None,
        custom_getter: Callable[..., Any] | None = None,
    ) -> None:
        self._func = func
        self._name = name
        self._unique_name = unique_name
        self._custom_getter = custom_getter
        self._variables_created = False
        self._scope: Any = None
        if name is None:
            raise ValueError("name cannot be None.")
        if create_scope_now:
            with self._opened(auxiliary=False) as scope:
                self._scope = scope

    def _opened(self, auxiliary: bool = True) -> Any:
        return variable_scope(
            self._unique_name,
            default_name=self._name,
            custom_getter=self._custom_getter,
            auxiliary_name_scope=auxiliary,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns; variables are made by the first call only."""
        if self._scope is None:
            with self._opened() as self._scope:
                return self._called(args, kwargs)
        with variable_scope(self._scope, reuse=self._variables_created):
            return self._called(args, kwargs)

    def _called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        graph = stack.get_default_graph()
        before = len(graph.get_collection_ref(GraphKeys.TRAINABLE_VARIABLES))
        result = self._func(*args, **kwargs)
        after = graph.get_collection_ref(GraphKeys.TRAINABLE_VARIABLES)
        if self._variables_created and len(after) != before:
            raise ValueError(
                "Trainable variable created when calling a template after the first time, perhaps you used tf.Variable "
                f"when you meant tf.get_variable: {after[before:]}"
            )
        self._variables_created = True
        return result

    name = property(lambda self: self._name, doc="The name that was asked for.")
    func = property(lambda self: self._func, doc="The function.")
    variable_scope = property(
        lambda self: self._scope, doc="The scope, or None before the first call."
    )
    var_scope = variable_scope

    @property
    def variable_scope_name(self) -> str | None:
        """The name of the scope without a trailing slash, or None before the first call."""
        return None if self._scope is None else self._scope.name.rstrip("/")

    def _members(self, key: str) -> list[Any]:
        if self._scope is None:
            return []
        return self._scope.get_collection(key)  # type: ignore[no-any-return]  # a list of variables

    @property
    def global_variables(self) -> list[Any]:
        """The global variables of the template."""
        return self._members(GraphKeys.GLOBAL_VARIABLES)

    @property
    def local_variables(self) -> list[Any]:
        """The local variables of the template."""
        return self._members(GraphKeys.LOCAL_VARIABLES)

    @property
    def variables(self) -> list[Any]:
        """All variables of the template."""
        return self.global_variables + self.local_variables

    weights = variables

    @property
    def trainable_variables(self) -> list[Any]:
        """The trainable variables of the template."""
        return self._members(GraphKeys.TRAINABLE_VARIABLES)

    trainable_weights = trainable_variables

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The other variables of the template."""
        trainable = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in trainable]

    non_trainable_weights = non_trainable_variables
