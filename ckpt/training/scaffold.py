"""What a training session needs from a graph: operations to start it, to say that it is ready, to sum it up; a Saver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckpt.graph import stack
from ckpt.graph.keys import GraphKeys
from ckpt.model import variable_collections
from ckpt.model.initialized import report_uninitialized_variables
from ckpt.model.lookup import tables_initializer
from ckpt.model.summary import merge_all
from ckpt.ops import control
from ckpt.saver.saver import Saver


class Scaffold:
    """The parts that a session needs; those not given are found in their collections, or made, by `finalize`.

    `init_op` (with `init_feed_dict`, and `init_fn(scaffold, session)` after it) gives all variables their first
    values where no checkpoint does; `ready_for_local_init_op` and `ready_op` return the names of what still has none;
    `local_init_op` (with `local_init_feed_dict`) fills what no checkpoint holds. Parts of `copy_from_scaffold` are taken where no
    other is given; TypeError when it is none.
    """

    def __init__(
        self,
        init_op: Any = None,
        init_feed_dict: Any = None,
        init_fn: Callable[[Scaffold, Any], Any] | None = None,
        ready_op: Any = None,
        ready_for_local_init_op: Any = None,
        local_init_op: Any = None,
        summary_op: Any = None,
        saver: Any = None,
        copy_from_scaffold: Scaffold | None = None,
        local_init_feed_dict: Any = None,
    ) -> None:
        if copy_from_scaffold is not None and not isinstance(copy_from_scaffold, Scaffold):
            raise TypeError("copy_from_scaffold is not a Scaffold instance.")
        given = {
            "init_op": init_op,
            "init_feed_dict": init_feed_dict,
            "ready_op": ready_op,
            "ready_for_local_init_op": ready_for_local_init_op,
            "local_init_op": local_init_op,
            "local_init_feed_dict": local_init_feed_dict,
            "summary_op": summary_op,
            "saver": saver,
        }
        self._parts: dict[str, Any] = {
            name: part if part is not None or copy_from_scaffold is None
            else copy_from_scaffold._parts[name]
            for name, part in given.items()
        }  # fmt: skip
        self._user_init_fn = init_fn
        if init_fn is None and copy_from_scaffold is not None:
            self._user_init_fn = copy_from_scaffold._user_init_fn

    def finalize(self) -> Scaffold:
        """Find or make the parts that are missing, and finalize the default graph. Returns itself.

        Raises RuntimeError when a collection that should hold one part holds several.
        """
        made: list[tuple[str, str, Callable[[], Any]]] = [
            ("init_op", GraphKeys.INIT_OP, _default_init_op),
            ("ready_op", GraphKeys.READY_OP, report_uninitialized_variables),
            (
                "ready_for_local_init_op",
                GraphKeys.READY_FOR_LOCAL_INIT_OP,
                _default_ready_for_local_init_op,
            ),
            ("local_init_op", GraphKeys.LOCAL_INIT_OP, Scaffold.default_local_init_op),
            ("summary_op", GraphKeys.SUMMARY_OP, merge_all),
        ]
        for name, key, default in made:
            if self._parts[name] is None:
                self._parts[name] = Scaffold.get_or_default(name, key, default)
        if self._parts["saver"] is None:
            self._parts["saver"] = saver_of_graph()
        self._parts["saver"].build()
        stack.get_default_graph().finalize()
        return self

    @staticmethod
    def get_or_default(
        arg_name: str, collection_key: str, default_constructor: Callable[[], Any]
    ) -> Any:
        """The one member of a collection; else what `default_constructor` makes, which then is the member."""
        found = stack.get_default_graph().get_collection(collection_key)
        if len(found) > 1:
            raise RuntimeError(
                f'More than one item in the collection "{collection_key}". Please indicate which one to use by passing '
                f"it to the tf.Scaffold constructor as: tf.Scaffold({arg_name}=item to use)"
            )
        if found:
            return found[0]
        made = default_constructor()
        if made is not None:
            stack.get_default_graph().add_to_collection(collection_key, made)
        return made

    @staticmethod
    def default_local_init_op() -> Any:
        """An operation that initializes local variables and tables."""
        return control.group(
            variable_collections.local_variables_initializer(), tables_initializer()
        )

    @property
    def init_op(self) -> Any:
        """The operation that gives all variables their first values."""
        return self._parts["init_op"]

    @property
    def init_feed_dict(self) -> Any:
        """What to feed to `init_op`."""
        return self._parts["init_feed_dict"]

    @property
    def init_fn(self) -> Callable[[Any], Any] | None:
        """A function of the session, called after `init_op`; None when there is none."""
        user = self._user_init_fn
        if user is None:
            return None
        return lambda session: user(self, session)

    @property
    def ready_op(self) -> Any:
        """Returns the names of variables that have no value."""
        return self._parts["ready_op"]

    @property
    def ready_for_local_init_op(self) -> Any:
        """Returns the names of global variables that have no value."""
        return self._parts["ready_for_local_init_op"]

    @property
    def local_init_op(self) -> Any:
        """The operation that fills what no checkpoint holds."""
        return self._parts["local_init_op"]

    @property
    def local_init_feed_dict(self) -> Any:
        """What to feed to `local_init_op`."""
        return self._parts["local_init_feed_dict"]

    @property
    def summary_op(self) -> Any:
        """All summaries together; None when there are none."""
        return self._parts["summary_op"]

    @property
    def saver(self) -> Any:
        """The Saver."""
        return self._parts["saver"]


def saver_of_graph() -> Any:
    """The one Saver in the collection, or a new one, which may save nothing: of one file, as one process writes all."""
    graph = stack.get_default_graph()
    found = graph.get_collection(GraphKeys.SAVERS)
    if len(found) > 1:
        raise RuntimeError(
            "More than one item in collection SAVERS. Please indicate which one to use by passing it to the constructor."
        )
    if found:
        return found[0]
    saver = Saver(allow_empty=True)
    graph.add_to_collection(GraphKeys.SAVERS, saver)
    return saver


def _default_init_op() -> Any:
    return control.group(variable_collections.global_variables_initializer())


def _default_ready_for_local_init_op() -> Any:
    return report_uninitialized_variables(variable_collections.global_variables())
