"""Optimizers with a step size per element: Adagrad and its dual averaging, Adadelta, RMSProp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckpt.graph.scopes import colocate_with
from ckpt.model.initializers import Constant, Ones
from ckpt.ops import constants, control
from ckpt.optimize.fused import FusedOptimizer, in_dtype_of


class AdagradOptimizer(FusedOptimizer):
    """The gradient over the root of the sum of all its squares so far, which begins as `initial_accumulator_value`.

    Raises ValueError unless that is positive. Source: Duchi, Hazan & Singer 2011,
    http://jmlr.org/papers/v12/duchi11a.html.
    """

    _kind, _state = "Adagrad", ("accumulator",)

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        use_locking: bool = False,
        name: str = "Adagrad",
    ) -> None:
        require_positive(initial_accumulator_value=initial_accumulator_value)
        super().__init__(use_locking, name, learning_rate=learning_rate)
        self._start = initial_accumulator_value

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._filled_slot(var, Constant(self._start), "accumulator", self._name)


class AdagradDAOptimizer(FusedOptimizer):
    """Adagrad by dual averaging, for sparse linear models: the variable follows from the sum of all gradients.

    It counts steps by `global_step`. Raises ValueError unless `initial_gradient_squared_accumulator_value` is positive.
    Source: as of AdagradOptimizer, section 5.
    """

    _kind, _state = "AdagradDA", ("gradient_accumulator", "gradient_squared_accumulator")

    def __init__(
        self,
        learning_rate: Any,
        global_step: Any,
        initial_gradient_squared_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "AdagradDA",
    ) -> None:
        start = initial_gradient_squared_accumulator_value
        require_positive(initial_gradient_squared_accumulator_value=start)
        super().__init__(use_locking, name, learning_rate=learning_rate)
        self._global_step = global_step
        self._start = start
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            with colocate_with(var.op):
                starts = [
                    constants.constant(value, var.dtype.base_dtype, var.shape)
                    for value in (0.0, self._start)
                ]
            for slot_name, start in zip(self._state, starts, strict=True):
                self._get_or_make_slot(var, start, slot_name, self._name)

    def _prepare(self) -> None:
        super()._prepare()
        with colocate_with(self._tensors["learning_rate"].op):
            self._number = control.identity(self._global_step) + 1

    def _inputs(self, var: Any, *gradient: Any) -> list[Any]:
        with colocate_with(var.op):
            number = control.identity(self._number)
        rate = in_dtype_of(self._tensors["learning_rate"], var)
        return [*gradient, rate, in_dtype_of(self._l1, var), in_dtype_of(self._l2, var), number]


class AdadeltaOptimizer(FusedOptimizer):
    """Steps in the unit of the variable, by running means (`rho`) of squared gradients and of squared steps.

    Source: Zeiler 2012, arXiv:1212.5701.
    """

    _kind, _state = "Adadelta", ("accum", "accum_update")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: Any = 0.95,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adadelta",
    ) -> None:
        super().__init__(use_locking, name, lr=learning_rate, rho=rho, epsilon=epsilon)

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            for slot_name in self._state:
                self._zeros_slot(var, slot_name, self._name)


class RMSPropOptimizer(FusedOptimizer):
    """The gradient over the root of a running mean of its square, or of its variance when `centered`; with momentum.

    Source: Hinton, http://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf; centered: Graves 2013,
    arXiv:1308.0850.
    """

    def __init__(
        self,
        learning_rate: Any,
        decay: Any = 0.9,
        momentum: Any = 0.0,
        epsilon: Any = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        name: str = "RMSProp",
    ) -> None:
        super().__init__(
            use_locking,
            name,
            learning_rate=learning_rate,
            decay=decay,
            momentum=momentum,
            epsilon=epsilon,
        )
        self._kind = "CenteredRMSProp" if centered else "RMSProp"
        self._state = ("mg", "rms", "momentum") if centered else ("rms", "momentum")

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._filled_slot(var, Ones(), "rms", self._name)
            for slot_name in self._state:
                if slot_name != "rms":
                    self._zeros_slot(var, slot_name, self._name)


def require_positive(**values: Any) -> None:
    """Raise ValueError unless all values are above zero."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive: {value}")
