"""Restoring: match the checkpoint with the graph, then let the graph's own operations assign the values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckpt.core import defs
from ckpt.core.cells import Cell
from ckpt.core.collector import paused
from ckpt.core.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, OpError
from ckpt.core.tensor_roles import is_slot, is_slot_of
from ckpt.formats import detect
from ckpt.formats.base import TensorReader
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Operation
from ckpt.model.selection import name_of
from ckpt.ops.in_place import FRESH, Prepared, cell_of, clear_cells, restore_key
from ckpt.saver.matching import match
from ckpt.saver.policies import Policies
from ckpt.saver.report import RestoreReport
from ckpt.saver.restored import KnownRestore, Restored

# all that deflate gives: what is read is no larger than the variables that it must fit
_MAX_EXPANSION = 1100
_VARIABLES = ("VariableV2", "VarHandleOp")


def restore(
    sess: Any, saver_def: defs.SaverDef, path: str, policies: Policies, known: KnownRestore
) -> RestoreReport:
    """Set the variables of `saver_def` from the checkpoint of this prefix (or file), as the policies say.

    Raises ValueError for a checkpoint that is not there, one NotFoundError or InvalidArgumentError listing
    every problem, SelectionError (a ValueError) for rename rules that fit nothing or collide. No node is added to the
    graph, and nothing is assigned unless everything fits.
    """
    try:
        resolved = detect.resolve(path)
    except NotFoundError as error:
        raise ValueError(f"The passed save_path is not a valid checkpoint: {error}") from error
    feeds: dict[Any, Any] = {saver_def.filename_tensor_name: path}
    targets: Any = saver_def.restore_op_name
    with paused(), detect.open_reader(resolved, max_expansion=_MAX_EXPANSION) as reader:
        wanted = known.of(sess.graph, saver_def.restore_op_name)
        try:
            found = match(
                wanted,
                reader,
                path,
                policies,
                is_slot=_slot_test(sess.graph),
                has_value=lambda entry: _has_value(sess, entry),
            )
        except OpError as error:
            if wanted:
                error.op, error.node_def = wanted[0].source, wanted[0].source.node_def
            raise
        initializers = _initializers(sess.graph, found.left_to("init"), path)
        _check_kept(sess, found.left_to("keep"), path)
        if not found.is_plain(wanted):
            targets = list(dict.fromkeys(piece.entry.target for piece in found.pieces))
            _check_alone(targets, wanted, path)
            feeds |= found.values(path)
        elif _is_several(wanted) and sum(reader.spec(n).nbytes for n in reader.names()) <= FRESH:
            feeds |= found.values(path)  # all are read before the first is assigned
        if targets:
            _run(sess, targets, feeds, path, reader, wanted)
    if initializers:
        sess.run(initializers)
    return found.report(path)


def _run(
    sess: Any,
    targets: Any,
    feeds: dict[Any, Any],
    path: str,
    reader: TensorReader,
    wanted: Sequence[Restored],
) -> None:
    """Run the assignments; what RestoreV2 reads for one variable alone, it reads into that variable's memory.

    There is never a mixture. What fails before all are assigned (also Ctrl-C) gives the variables back their values where
    the new ones are fed; where they are read into the variables' memory, it empties them.
    """
    is_fed = len(feeds) > 1  # beside the name of the file
    kept = [(cell, cell.value) for cell in _cells(sess, wanted)] if is_fed else []
    entries = {entry.tensor: entry for entry in wanted}
    key = restore_key(path)
    prepared = Prepared(
        reader,
        entries,
        lambda tensor: _own_variable(entries[tensor]),
        lambda tensor: _plain_variable(entries[tensor]),
    )
    sess.attach(key, prepared)
    try:
        sess.run(targets, feeds)
    except BaseException as error:
        for cell, value in kept:
            cell.give_back(value)
        clear_cells(prepared.cells(), error)
        raise
    finally:
        sess.detach(key)


def _cells(sess: Any, wanted: Sequence[Restored]) -> list[Cell]:
    """Those of the variables that are assigned to."""
    found = (cell_of(sess._state, _plain_variable(entry)) for entry in wanted)
    return [cell for cell in found if cell is not None]


def _is_several(wanted: Sequence[Restored]) -> bool:
    """Whether the graph reads them by several RestoreV2: one for each device, or one after the other."""
    return len({entry.source for entry in wanted}) > 1


def _own_variable(entry: Restored) -> Operation | None:
    """The variable that takes the tensor as it is, and that nothing else takes."""
    target = entry.target
    if entry.is_reshaped or entry.slice_spec or target.type not in ("Assign", "AssignVariableOp"):
        return None
    return _plain_variable(entry) if len(entry.tensor.consumers()) == 1 else None


def _plain_variable(entry: Restored) -> Operation | None:
    """The variable that is assigned to, where its value lies in a cell."""
    variable = _variable(entry)
    return None if variable is None or variable.type not in _VARIABLES else variable


def _slot_test(graph: Graph) -> Callable[[Restored], bool]:
    """Whether an entry is an optimizer's: by its name, unless the graph trains it; the graph is asked when one is judged."""
    names: set[str] = set()

    def test(entry: Restored) -> bool:
        if not names:
            trained = graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)
            names.update(name_of(variable) for variable in trained if hasattr(variable, "op"))
        return entry.name not in names and (is_slot(entry.name) or is_slot_of(entry.name, names))

    return test


def _variable(entry: Restored) -> Operation | None:
    """The operation of the variable that is assigned to; None when it is none."""
    return entry.target.inputs[0].op if entry.target.type.startswith("Assign") else None


def _initializers(graph: Graph, entries: Sequence[Restored], path: str) -> list[Operation]:
    """The operations that give these variables their initial values. Raises InvalidArgumentError for one without."""
    known: dict[Operation, Operation] = {}
    for key in (GraphKeys.GLOBAL_VARIABLES, GraphKeys.LOCAL_VARIABLES) if entries else ():
        for variable in graph.get_collection(key):
            if hasattr(variable, "initializer"):
                known[variable.op] = variable.initializer
    found, without = [], []
    for entry in entries:
        variable = _variable(entry)
        initializer = None if variable is None else known.get(variable)
        if initializer is None:
            without.append(entry.name)
        else:
            found.append(initializer)
    if without:
        raise InvalidArgumentError(
            None,
            None,
            f"{path}: on_missing='init': no initializer is known for {', '.join(without)}; nothing was assigned",
        )
    return list(dict.fromkeys(found))


def _check_kept(sess: Any, entries: Sequence[Restored], path: str) -> None:
    """Raise FailedPreconditionError listing the variables that should keep their values and have none."""
    without = [entry.name for entry in entries if not _has_value(sess, entry)]
    if without:
        raise FailedPreconditionError(
            None,
            None,
            f"{path}: on_missing='keep': {len(without)} variables are not in the checkpoint and have no value to keep: "
            f"{', '.join(without[:20])}; initialize them first, or restore with on_missing='init'; nothing was assigned",
        )


def _has_value(sess: Any, entry: Restored) -> bool:
    variable = _variable(entry)
    if variable is None:
        return True
    output = variable.outputs[0]
    readers = [n for n in output.consumers() if n.type in ("Identity", "ReadVariableOp")]
    try:
        sess.run(readers[0].outputs[0] if readers else output)
    except FailedPreconditionError:
        return False
    return True


def _check_alone(targets: Sequence[Operation], wanted: Sequence[Restored], path: str) -> None:
    """Raise InvalidArgumentError when an assignment would run others that are not asked for."""
    others = {entry.target for entry in wanted} - set(targets)
    chained = [target.name for target in targets if any(n in others for n in target.control_inputs)]
    if chained:
        raise InvalidArgumentError(
            None,
            None,
            f"{path}: the graph restores its variables one after the other, so that none can be left out "
            f"({', '.join(chained[:5])}, …): make a Saver for it, without restore_sequentially; nothing was assigned",
        )
