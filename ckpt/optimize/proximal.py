"""Optimizers that regularise while they step: Ftrl, and gradient descent and Adagrad with a proximal step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.graph import convert
from ckpt.graph.scopes import colocate_with
from ckpt.model.initializers import Ones
from ckpt.ops import constants, elementwise
from ckpt.optimize.adaptive import require_positive
from ckpt.optimize.fused import FusedOptimizer, in_dtype_of

L1, L2 = "l1_regularization_strength", "l2_regularization_strength"
SHRINKAGE = "l2_shrinkage_regularization_strength"


class FtrlOptimizer(FusedOptimizer):
    """Follow the regularised leader: sparse models by an exact l1 penalty, with a step size per element.

    `l2_shrinkage_regularization_strength` pulls each gradient towards zero besides. `accum_name` and `linear_name` name
    the slots in place of the optimizer's name. Raises ValueError for a negative strength or accumulator, and for a
    positive `learning_rate_power`. Source: McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches".
    """

    _state = ("accum", "linear")

    def __init__(
        self,
        learning_rate: Any,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "Ftrl",
        accum_name: str | None = None,
        linear_name: str | None = None,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float | None = None,
    ) -> None:
        _require_not_negative(
            initial_accumulator_value=initial_accumulator_value,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
            l2_shrinkage_regularization_strength=l2_shrinkage_regularization_strength,
        )
        if learning_rate_power > 0:
            raise ValueError(
                f"learning_rate_power {learning_rate_power} needs to be negative or zero"
            )
        super().__init__(use_locking, name, learning_rate=learning_rate)
        self._power = learning_rate_power
        self._start = initial_accumulator_value
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength
        self._shrinkage = l2_shrinkage_regularization_strength
        self._kind = "FtrlV2" if self._shrinkage > 0 else "Ftrl"
        self._beta = 0.0 if beta is None else beta
        self._slot_ops = (accum_name or name, linear_name or name)

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        def start(shape: Any, dtype: Any) -> Any:
            return Ones()(shape, dtype) * self._start

        for var in var_list:
            self._filled_slot(var, start, "accum", self._slot_ops[0])
            self._zeros_slot(var, "linear", self._slot_ops[1])

    def _prepare(self) -> None:
        super()._prepare()
        self._tensors[L1] = convert.convert_to_tensor(self._l1, name=L1)
        rate = self._call_if_callable(self._scalars["learning_rate"])
        # beta adds to the inverse step size what l2 adds to it as beta / (2 * rate).
        l2 = self._l2 + self._beta / (2.0 * elementwise.maximum(rate, 1e-36))
        values = {L2: l2, "beta": self._beta, SHRINKAGE: self._shrinkage}
        for name, value in (*values.items(), ("learning_rate_power", self._power)):
            self._tensors[name] = convert.convert_to_tensor(value, name=name)

    def _inputs(self, var: Any, *gradient: Any) -> list[Any]:
        shrinkage = [SHRINKAGE] if self._shrinkage > 0 else []
        names = ["learning_rate", L1, L2, *shrinkage, "learning_rate_power"]
        return [*gradient, *(in_dtype_of(self._tensors[name], var) for name in names)]


class ProximalGradientDescentOptimizer(FusedOptimizer):
    """Gradient descent, each step of which solves the l1 and l2 penalties exactly.

    Source: Duchi & Singer 2009, "Efficient Learning using Forward-Backward Splitting".
    """

    _kind = "ProximalGradientDescent"

    def __init__(
        self,
        learning_rate: Any,
        l1_regularization_strength: Any = 0.0,
        l2_regularization_strength: Any = 0.0,
        use_locking: bool = False,
        name: str = "ProximalGradientDescent",
    ) -> None:
        super().__init__(
            use_locking,
            name,
            learning_rate=learning_rate,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
        )


class ProximalAdagradOptimizer(FusedOptimizer):
    """Adagrad, each step of which solves the l1 and l2 penalties exactly.

    Raises ValueError unless `initial_accumulator_value` is positive. Source: as of ProximalGradientDescentOptimizer.
    """

    _kind, _state = "ProximalAdagrad", ("accumulator",)

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: Any = 0.0,
        l2_regularization_strength: Any = 0.0,
        use_locking: bool = False,
        name: str = "ProximalAdagrad",
    ) -> None:
        require_positive(initial_accumulator_value=initial_accumulator_value)
        super().__init__(
            use_locking,
            name,
            learning_rate=learning_rate,
            l1_regularization_strength=l1_regularization_strength,
            l2_regularization_strength=l2_regularization_strength,
        )
        self._start = initial_accumulator_value

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            with colocate_with(var.op):
                start = constants.constant(self._start, var.dtype.base_dtype, var.shape)
            self._get_or_make_slot(var, start, "accumulator", self._name)


def _require_not_negative(**values: Any) -> None:
    for name, value in values.items():
        if value < 0:
            raise ValueError(f"{name} {value} needs to be positive or zero")
