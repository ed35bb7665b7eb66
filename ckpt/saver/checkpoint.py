"""Checkpoints of objects rather than graphs: `tf.train.Checkpoint`, as far as graphs and sessions define it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ckpt.core import dtypes, gfile, storage
from ckpt.core.errors import NotFoundError
from ckpt.core.system import StrPath
from ckpt.core.tensor_roles import OBJECT_KEY
from ckpt.graph import stack
from ckpt.model.variables import Variable
from ckpt.ops import state
from ckpt.saver import object_names, readers, state_file
from ckpt.saver.report import RestoreReport
from ckpt.saver.saver import Saver
from ckpt.saver.trackable import Trackable, is_trackable, variables_of

_COUNTER = "save_counter"
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # what TensorFlow adds to describe the objects


class Checkpoint(Trackable):
    """Saves and restores the variables that hang on its attributes, under names that do not depend on the graph's.

    Attributes may be variables, optimizers (with their slots), other Checkpoints, and lists and dicts of these; later
    ones count too. Raises ValueError for a keyword argument that is none of them.
    """

    save_counter: Any

    def __init__(self, **kwargs: Any) -> None:
        self._savers: dict[tuple[Any, ...], Saver] = {}
        for name, value in sorted(kwargs.items()):  # of several ways to one, the first names it
            if not is_trackable(value) and not isinstance(value, (list, tuple, dict)):
                raise ValueError(
                    "`Checkpoint` was expecting a trackable object (a variable, an optimizer, a Checkpoint, a list or "
                    f"dict of these), got {value} for {name}."
                )
            setattr(self, name, value)

    def save(self, file_prefix: StrPath, session: Any = None) -> str:
        """Write the checkpoint `<file_prefix>-<number>` and make it the latest; returns its prefix.

        `save_counter` counts the saves. Uses the default session unless one is given; raises RuntimeError without.
        """
        _, prefix = self._save_numbered(os.fspath(file_prefix), None, session)
        state_file.update_checkpoint_state(storage.split(prefix)[0], prefix)
        return prefix

    def _save_numbered(
        self, file_prefix: str, number: int | None, session: Any = None
    ) -> tuple[int, str]:
        """Count, and write `<file_prefix>-<number>`, by default with the count; returns number and prefix."""
        session = needed_session(session)
        counter = self._counter()
        if not session.run(self._counter_is_ready):
            session.run(counter.initializer)
        count = int(session.run(self._counted))
        number = count if number is None else number
        return number, self._write(f"{file_prefix}-{number}", session)

    def write(self, file_prefix: StrPath, session: Any = None) -> str:
        """Write the checkpoint `file_prefix`, without a number, without making it the latest; returns its prefix."""
        return self._write(os.fspath(file_prefix), needed_session(session))

    def restore(self, save_path: StrPath | None) -> CheckpointLoadStatus:
        """Prepare taking the values of a checkpoint; the status returned does it, and says what fits.

        None prepares initialising instead. The values are those under the keys of this object's variables, or under
        their names in the graph where a Saver wrote the checkpoint. Raises NotFoundError when there is none.
        """
        self._counter()
        if save_path is None:
            return InitializationOnlyStatus(self)
        return CheckpointLoadStatus(self, os.fspath(save_path))

    def _counter(self) -> Any:
        if _COUNTER not in vars(self):
            self.save_counter = Variable(
                0, trainable=False, name=_COUNTER, dtype=dtypes.int64, use_resource=False
            )
            self._counter_is_ready = state.is_variable_initialized(self.save_counter)
            self._counted = self.save_counter.assign_add(1, read_value=True)
        return self.save_counter

    def _write(self, prefix: str, session: Any) -> str:
        gfile.makedirs(storage.split(prefix)[0])  # as TensorFlow does here, unlike in a Saver
        saver = self._saver(variables_of(self))
        saver.save(session, prefix, write_meta_graph=False, write_state=False)
        return prefix

    def _saver(self, variables: Mapping[str, Any]) -> Saver:
        """The Saver of these variables: the same one as before, so that nodes are added once."""
        key = tuple((name, id(variable)) for name, variable in sorted(variables.items()))
        if key not in self._savers:
            saver = Saver(dict(variables), max_to_keep=None, allow_empty=True, name="checkpoint")
            saver._notes = object_names.noted(variables)
            self._savers[key] = saver
        return self._savers[key]


class CheckpointLoadStatus:
    """What a checkpoint holds for an object, and the operations that take it."""

    def __init__(self, checkpoint: Checkpoint, save_path: str) -> None:
        self._checkpoint = checkpoint
        self._path = save_path
        self._held = frozenset(readers.CheckpointReader(save_path).get_variable_to_shape_map())
        self._has_keys = any(name.endswith(OBJECT_KEY) for name in self._held)

    def assert_consumed(self) -> CheckpointLoadStatus:
        """Raise AssertionError listing variables that the checkpoint lacks, and values that no variable takes."""
        self.assert_existing_objects_matched()
        left = sorted(self._held - {_OBJECT_GRAPH} - set(self._matched()))
        if left:
            raise AssertionError(
                f"{self._path}: Unresolved object in checkpoint: {len(left)} values that no variable takes: {left}"
            )
        return self

    def assert_existing_objects_matched(self) -> CheckpointLoadStatus:
        """Raise AssertionError listing variables that the checkpoint lacks."""
        taken = {id(variable) for variable in self._matched().values()}
        missing = [v for v in variables_of(self._checkpoint).values() if id(v) not in taken]
        if missing:
            raise AssertionError(
                f"Found {len(missing)} Python objects that were not bound to checkpointed values, likely due to changes "
                f"in the Python program: {[variable.name for variable in missing]} are not in {self._path}"
            )
        return self

    def assert_nontrivial_match(self) -> CheckpointLoadStatus:
        """Raise AssertionError when nothing is taken; the counter of saves counts, as in TensorFlow."""
        if not self._matched():
            raise AssertionError(f"Nothing to load: no variable of the program is in {self._path}")
        return self

    def expect_partial(self) -> CheckpointLoadStatus:
        """Say that it is all right when values are not taken."""
        return self

    def run_restore_ops(self, session: Any = None) -> RestoreReport:
        """Set the variables that the checkpoint holds, in the default session unless one is given; the report says which.

        Raises NotFoundError when that is none, apart from the counter of saves: nothing would have been restored.
        """
        matched = self._something()
        report = RestoreReport(self._path)
        if matched:
            report = self._checkpoint._saver(matched).restore(needed_session(session), self._path)
        missing = self._missing(matched)
        return replace(report, missing=missing, skipped=missing)

    def initialize_or_restore(self, session: Any = None) -> RestoreReport:
        """Initialise the variables that the checkpoint lacks, and set the others; the report says which.

        Raises what `run_restore_ops` raises.
        """
        session = needed_session(session)
        taken = {id(variable) for variable in self._something().values()}
        _initialise(session, self._checkpoint, taken)
        report = self.run_restore_ops(session)
        return replace(report, initialized=report.missing, skipped=())

    def _missing(self, matched: Mapping[str, Any]) -> tuple[str, ...]:
        """The keys of the variables that are not among these."""
        taken = {id(variable) for variable in matched.values()}
        variables = variables_of(self._checkpoint)
        return tuple(key for key, variable in variables.items() if id(variable) not in taken)

    def _something(self) -> dict[str, Any]:
        """What is restored. Raises NotFoundError when it is nothing but the counter of saves, though there is more."""
        matched = self._matched()
        counter = vars(self._checkpoint).get(_COUNTER)
        wanted = [key for key, v in variables_of(self._checkpoint).items() if v is not counter]
        if wanted and all(variable is counter for variable in matched.values()):
            held = sorted(self._held - {_OBJECT_GRAPH, f"{_COUNTER}/{OBJECT_KEY}"})
            raise NotFoundError(
                None,
                None,
                f"{self._path}: no variable of this object is in the checkpoint, and to restore nothing is always an error. "
                f"The object has {_some(wanted)}; the checkpoint holds {_some(held)}",
            )
        return matched

    def _matched(self) -> dict[str, Any]:
        """The variables that the checkpoint holds, by their names in it."""
        named = variables_of(self._checkpoint)
        if not self._has_keys:
            named = {v.op.name: v for v in named.values() if isinstance(v, Variable)}
        return {name: variable for name, variable in named.items() if name in self._held}


class InitializationOnlyStatus(CheckpointLoadStatus):
    """What `Checkpoint.restore(None)` returns: there is nothing to restore, only to initialise."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def assert_consumed(self) -> CheckpointLoadStatus:
        """Raise AssertionError: there is no checkpoint."""
        raise AssertionError("No checkpoint specified (save_path=None); nothing is being restored.")

    assert_existing_objects_matched = assert_nontrivial_match = assert_consumed

    def run_restore_ops(self, session: Any = None) -> RestoreReport:
        """Raise AssertionError: there is no checkpoint."""
        raise AssertionError(
            "No checkpoint specified, so no restore ops are available (save_path=None to Saver.restore)."
        )

    def initialize_or_restore(self, session: Any = None) -> RestoreReport:
        """Initialise all variables of the object."""
        _initialise(needed_session(session), self._checkpoint, set())
        missing = tuple(variables_of(self._checkpoint))
        return RestoreReport("", missing=missing, initialized=missing)


def _some(keys: Sequence[str]) -> str:
    names = [key.removesuffix(f"/{OBJECT_KEY}") for key in keys]
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "") if names else "nothing"


def _initialise(session: Any, checkpoint: Checkpoint, except_for: set[int]) -> None:
    variables = variables_of(checkpoint).values()
    inits = [
        variable.initializer
        for variable in variables
        if isinstance(variable, Variable) and id(variable) not in except_for
    ]
    if inits:
        session.run(inits)


class NoSessionError(RuntimeError, AttributeError):
    """There is no session: both of the classes that TensorFlow raises, by the function."""


def needed_session(session: Any) -> Any:
    """The session, or the default one where None is given. Raises RuntimeError where there is none."""
    found = session if session is not None else stack.get_default_session()
    if found is None:
        raise NoSessionError(
            "a Checkpoint needs a session: give one, or use it inside `with Session():`"
        )
    return found
