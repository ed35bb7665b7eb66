"""Moving averages of variables and tensors: `tf.train.ExponentialMovingAverage`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ckpt.core import dtypes
from ckpt.graph import convert, stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, control_dependencies, name_scope
from ckpt.model.initializers import Zeros
from ckpt.model.partitioned import PartitionedVariable
from ckpt.model.scopes import get_variable_scope, variable_scope
from ckpt.model.selection import expanded
from ckpt.model.shared_variables import get_variable
from ckpt.model.variable_collections import (
    global_variables,
    moving_average_variables,
    trainable_variables,
)
from ckpt.model.variables import Variable
from ckpt.ops import casting, control, division, elementwise
from ckpt.ops.state import is_resource_like
from ckpt.optimize.optimizer import make_slot

_FLOATS = (dtypes.float16, dtypes.float32, dtypes.float64, dtypes.bfloat16)


class ExponentialMovingAverage:
    """Keeps shadow variables: each `apply` moves them towards the values, by `average -= (1 - decay) * (average - value)`.

    The average of a variable starts at the variable's initial value; that of another tensor at zero, which
    `zero_debias` corrects for (as in Kingma & Ba, https://arxiv.org/abs/1412.6980). With `num_updates` the decay is
    `min(decay, (1 + num_updates) / (10 + num_updates))`: averages move faster early in training.
    """

    def __init__(
        self,
        decay: Any,
        num_updates: Any = None,
        zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:
        self._decay = decay
        self._num_updates = num_updates
        self._zero_debias = zero_debias
        self._name = name
        self._averages: dict[Any, Any] = {}

    @property
    def name(self) -> str:
        """The name that averages bear behind the name of what they average."""
        return self._name

    def apply(self, var_list: Sequence[Any] | None = None) -> Operation:
        """The operation that moves the averages of `var_list` (by default all trainable variables), made when new.

        Patterns in `var_list` select among the trainable variables (docs/restoring.md). Averages are not trainable; variables that have one enter `GraphKeys.MOVING_AVERAGE_VARIABLES`. Raises TypeError
        for what is not of a floating point type.
        """
        members = trainable_variables()
        if var_list is not None:
            members = expanded(var_list, members)
        _check_floating(members)
        debiased = set()
        for member in members:
            key = _key(member)
            if key not in self._averages:
                self._averages[key] = self._made(member)
                if self._zero_debias and not isinstance(member, Variable):
                    debiased.add(key)
        with name_scope(self._name) as scope:
            decay = self._current_decay()
            updates = [
                assign_moving_average(
                    self._averages[_key(member)], member, decay, _key(member) in debiased
                )
                for member in members
            ]
            return control.group(*updates, name=scope)

    def average(self, var: Any) -> Any:
        """The variable that holds the average of `var`; None before `apply` has had it."""
        return self._averages.get(_key(var))

    def average_name(self, var: Any) -> str:
        """The name that the average of `var` has, or would have were it made now: its name in checkpoints."""
        found = self.average(var)
        if found is not None:
            return str(found.op.name)
        wanted = f"{var.op.name}/{self._name}"
        return stack.get_default_graph().unique_name(wanted, mark_as_used=False)

    def variables_to_restore(
        self, moving_avg_variables: Iterable[Any] | None = None
    ) -> dict[str, Any]:
        """A var_list for a Saver that restores averages into the variables themselves.

        Each of `moving_avg_variables` (by default the trainable variables and those that have averages) is found under
        the name of its average, every other global variable under its own. Patterns among them select from that default.
        The parts of a partitioned variable are one entry, a list, so that they are restored from an average that was
        saved in other parts; TensorFlow names each part by itself, as no checkpoint does.
        """
        candidates = [*trainable_variables(), *moving_average_variables()]
        if moving_avg_variables is None:
            moving_avg_variables = candidates
        else:
            moving_avg_variables = expanded(moving_avg_variables, candidates)
        averaged = {id(part): part for member in moving_avg_variables for part in _parts(member)}
        found: dict[str, Any] = {}
        for variable in averaged.values():
            _put(found, self._saved_name(variable), variable)
        taken = set(found)
        for variable in global_variables():
            info = variable._get_save_slice_info()
            name = variable.op.name if info is None else info.full_name
            if id(variable) not in averaged and name not in taken:
                _put(found, name, variable)
        return found

    def _saved_name(self, variable: Any) -> str:
        """The name that the average of a variable, or of a part of one, has in checkpoints."""
        info = variable._get_save_slice_info() if isinstance(variable, Variable) else None
        if info is None:
            return self.average_name(variable)
        average = self.average(variable)
        if average is None:
            return f"{info.full_name}/{self._name}"
        return str(average._get_save_slice_info().full_name)

    def _made(self, member: Any) -> Any:
        with control_dependencies(None):
            if isinstance(member, Variable):
                average = make_slot(member, self._name, member.initialized_value())
                stack.get_default_graph().add_to_collection(
                    GraphKeys.MOVING_AVERAGE_VARIABLES, member
                )
                return average
            return make_slot(member, self._name, is_beside=False)

    def _current_decay(self) -> Tensor:
        decay: Tensor = convert.convert_to_tensor(self._decay, name="decay")
        if self._num_updates is None:
            return decay
        number = casting.cast(self._num_updates, dtypes.float32, name="num_updates")
        found: Tensor = elementwise.minimum(decay, (1.0 + number) / (10.0 + number))
        return found


def _parts(member: Any) -> list[Any]:
    return list(member) if isinstance(member, PartitionedVariable) else [member]


def _put(found: dict[str, Any], name: str, variable: Any) -> None:
    """The variable under its name; the parts of one as a list."""
    if isinstance(variable, Variable) and variable._get_save_slice_info() is not None:
        found.setdefault(name, []).append(variable)
    else:
        found[name] = variable


def _key(member: Any) -> Any:
    return (member.graph, member.name)


def _check_floating(members: Sequence[Any]) -> None:
    wrong = [member for member in members if member.dtype.base_dtype not in _FLOATS]
    if wrong:
        names = ", ".join(f"{member.name} ({member.dtype.base_dtype.name})" for member in wrong)
        raise TypeError(f"The variables must be half, float, or double: {names}")


def assign_moving_average(
    variable: Any, value: Any, decay: Any, zero_debias: bool = True, name: str | None = None
) -> Any:
    """variable -= (1 - decay) * (variable - value), as an operation that gives the new average.

    With `zero_debias` the variable holds the average as if it had not begun at zero: the biased one and the number of
    steps are two variables more, `<variable>/biased` and `<variable>/local_step`. Source: Kingma & Ba 2014,
    arXiv:1412.6980, section 3.
    """
    with name_scope(name, "AssignMovingAvg", [variable, value, decay]) as scope:
        rate = convert.convert_to_tensor(1.0 - decay, name="decay")
        if rate.dtype.base_dtype != variable.dtype.base_dtype:
            rate = casting.cast(rate, variable.dtype.base_dtype)
        if zero_debias:
            return variable.assign(_debiased(variable, value, rate), name=scope)
        change = (variable.value() - value) * rate
        return variable.assign_sub(change, name=None if is_resource_like(variable) else scope)


def weighted_moving_average(
    value: Any,
    decay: Any,
    weight: Any,
    truediv: bool = True,
    collections: Any = None,
    name: str | None = None,
) -> Tensor:
    """The moving average of value * weight over that of weight, as an operation that moves both and gives the quotient.

    Both averages are variables that are not trainable, in `collections` (by default the global variables). Without
    `truediv` integers are divided as Python 2 did.
    """
    if collections is None:
        collections = [GraphKeys.GLOBAL_VARIABLES]
    with variable_scope(name, "WeightedMovingAvg", [value, weight, decay]) as scope:
        value = convert.convert_to_tensor(value)
        weight = convert.convert_to_tensor(weight)
        options: dict[str, Any] = {
            "initializer": Zeros(),
            "trainable": False,
            "collections": collections,
        }
        products = get_variable("value_x_weight", value.shape, dtype=value.dtype, **options)
        weights = get_variable("weight", weight.shape, dtype=weight.dtype, **options)
        above = assign_moving_average(products, value * weight, decay, zero_debias=False)
        below = assign_moving_average(weights, weight, decay, zero_debias=False)
        divide = division.truediv if truediv else division.div
        quotient: Tensor = divide(above, below, name=scope.name)
        return quotient


def _debiased(average: Any, value: Any, rate: Tensor) -> Any:
    """The average from zero, divided by what its weights add up to. `average` keeps the quotient, two others the state."""
    options: dict[str, Any] = {
        "initializer": Zeros(),
        "trainable": False,
        "dtype": average.dtype.base_dtype,
    }
    with (
        variable_scope(average.op.name, values=[average, value, rate]),
        colocate_with(average.op),
        name_scope(None),
    ):
        biased = get_variable(_free("biased"), average.shape, **options)
        step = get_variable(_free("local_step"), [], **options)
    moved = biased.assign_sub((biased.value() - value) * rate)
    steps = step.assign_add(1)
    return moved / (1 - elementwise.pow_(1.0 - rate, steps))


def _free(name: str) -> str:
    """The name, where the variable scope does not reuse and has it already with the first number that is free."""
    scope = get_variable_scope()
    if scope.reuse:
        return name
    held = {variable.op.name for variable in scope.global_variables()}
    found, number = name, 0
    while f"{scope.name}/{found}" in held:
        number += 1
        found = f"{name}_{number}"
    return found
