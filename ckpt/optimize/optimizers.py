"""The optimizers of TensorFlow 1. Each update of a dense gradient is one operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckpt.graph import convert, stack
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, control_dependencies
from ckpt.graph.slices import IndexedSlices
from ckpt.ops import control, elementwise, scatter, state
from ckpt.optimize.adaptive import (
    AdadeltaOptimizer,
    AdagradDAOptimizer,
    AdagradOptimizer,
    RMSPropOptimizer,
)
from ckpt.optimize.fused import applied, in_dtype_of
from ckpt.optimize.optimizer import Optimizer
from ckpt.optimize.proximal import (
    FtrlOptimizer,
    ProximalAdagradOptimizer,
    ProximalGradientDescentOptimizer,
)

__all__ = [
    "AdadeltaOptimizer",
    "AdagradDAOptimizer",
    "AdagradOptimizer",
    "AdamOptimizer",
    "FtrlOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "Optimizer",
    "ProximalAdagradOptimizer",
    "ProximalGradientDescentOptimizer",
    "RMSPropOptimizer",
]


class GradientDescentOptimizer(Optimizer):
    """var -= learning_rate * gradient."""

    def __init__(
        self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent"
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate

    def _prepare(self) -> None:
        rate = self._call_if_callable(self._learning_rate)
        self._rate = convert.convert_to_tensor(rate, name="learning_rate")

    def _apply_dense(self, grad: Tensor, var: Any) -> Any:
        return applied(
            "ApplyGradientDescent",
            [var],
            in_dtype_of(self._rate, var),
            grad,
            use_locking=self._use_locking,
        )

    def _resource_apply_dense(self, grad: Tensor, handle: Any) -> Any:
        return self._apply_dense(grad, handle)

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Any) -> Any:
        rows = grad.values * in_dtype_of(self._rate, var)
        return scatter.scatter_sub(var, grad.indices, rows, use_locking=self._use_locking)

    def _resource_apply_sparse_duplicate_indices(
        self, grad: Tensor, handle: Any, indices: Tensor
    ) -> Any:
        _, by_handle = scatter.ROWS["Add"]
        return by_handle(handle.handle, indices, -grad * in_dtype_of(self._rate, handle))


class MomentumOptimizer(Optimizer):
    """Gradient descent with a velocity: accum = momentum * accum + gradient; var -= learning_rate * accum.

    Source of the Nesterov form: Sutskever et al. 2013, as TensorFlow has it.
    """

    def __init__(
        self,
        learning_rate: Any,
        momentum: Any,
        use_locking: bool = False,
        name: str = "Momentum",
        use_nesterov: bool = False,
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._momentum = momentum
        self._use_nesterov = use_nesterov

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._zeros_slot(var, "momentum", self._name)

    def _prepare(self) -> None:
        self._rate = convert.convert_to_tensor(
            self._call_if_callable(self._learning_rate), name="learning_rate"
        )
        self._momentum_tensor = convert.convert_to_tensor(
            self._call_if_callable(self._momentum), name="momentum"
        )

    def _moved(self, kind: str, var: Any, *gradient: Any) -> Operation:
        return applied(
            kind,
            [var, self.get_slot(var, "momentum")],
            in_dtype_of(self._rate, var),
            *gradient,
            in_dtype_of(self._momentum_tensor, var),
            use_locking=self._use_locking,
            use_nesterov=self._use_nesterov,
        )

    def _apply_dense(self, grad: Tensor, var: Any) -> Any:
        return self._moved("ApplyMomentum", var, grad)

    def _resource_apply_dense(self, grad: Tensor, handle: Any) -> Any:
        return self._apply_dense(grad, handle)

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        # Rows that the gradient does not name keep their velocity: not what the dense update does.
        return self._moved("SparseApplyMomentum", var, grad.values, grad.indices)

    def _resource_apply_sparse(self, grad: Tensor, handle: Any, indices: Tensor) -> Any:
        return self._moved("SparseApplyMomentum", handle, grad, indices)


class AdamOptimizer(Optimizer):
    """Adam: step sizes from running means of the gradient and of its square.

    Rows without a gradient move too, by their running means. Source: Kingma & Ba 2014, arXiv:1412.6980; `epsilon`
    is the paper's epsilon hat, as in TensorFlow.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adam",
    ) -> None:
        super().__init__(use_locking, name)
        self._lr, self._beta1, self._beta2, self._epsilon = learning_rate, beta1, beta2, epsilon

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        first = min(var_list, key=lambda v: v.name)
        for name, value in (("beta1_power", self._beta1), ("beta2_power", self._beta2)):
            self._create_non_slot_variable(self._call_if_callable(value), name, first)
        for var in var_list:
            self._zeros_slot(var, "m", self._name)
            self._zeros_slot(var, "v", self._name)

    def _prepare(self) -> None:
        names = (
            ("_lr", "learning_rate"),
            ("_beta1", "beta1"),
            ("_beta2", "beta2"),
            ("_epsilon", "epsilon"),
        )
        for attribute, name in names:
            value = self._call_if_callable(getattr(self, attribute))
            setattr(self, attribute + "_t", convert.convert_to_tensor(value, name=name))

    def _get_beta_accumulators(self) -> tuple[Any, Any]:
        """beta1 and beta2 to the power of the steps so far, as subclasses written for TensorFlow call for them."""
        graph = stack.get_default_graph()
        return (
            self._get_non_slot_variable("beta1_power", graph),
            self._get_non_slot_variable("beta2_power", graph),
        )

    def _scalars(self, var: Any) -> list[Tensor]:
        """learning rate, beta1, beta2 and epsilon in the dtype of `var`."""
        return [
            in_dtype_of(getattr(self, name), var)
            for name in ("_lr_t", "_beta1_t", "_beta2_t", "_epsilon_t")
        ]

    def _apply_dense(self, grad: Tensor, var: Any) -> Any:
        return applied(
            "ApplyAdam",
            [var, self.get_slot(var, "m"), self.get_slot(var, "v")],
            *(_as_input(power, var) for power in self._get_beta_accumulators()),
            *self._scalars(var),
            grad,
            use_locking=self._use_locking,
        )

    def _resource_apply_dense(self, grad: Tensor, handle: Any) -> Any:
        return self._apply_dense(grad, handle)

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        def scatter_add(slot: Any, indices: Tensor, rows: Tensor) -> Tensor:
            added: Tensor = scatter.scatter_add(slot, indices, rows, use_locking=self._use_locking)
            return added

        return self._rows_applied(grad.values, var, grad.indices, scatter_add)

    def _resource_apply_sparse(self, grad: Tensor, handle: Any, indices: Tensor) -> Any:
        return self._rows_applied(grad, handle, indices, _added_to_resource)

    def _rows_applied(
        self, grad: Tensor, var: Any, indices: Tensor, scatter_add: Callable[..., Tensor]
    ) -> Operation:
        """The update for a gradient of some rows: all running means shrink, those of the rows get their share."""
        power1, power2 = (_as_input(power, var) for power in self._get_beta_accumulators())
        rate, beta1, beta2, epsilon = self._scalars(var)
        rate = rate * elementwise.sqrt(1 - power2) / (1 - power1)
        mean = self._shrunk_and_added(var, "m", beta1, indices, grad * (1 - beta1), scatter_add)
        square = self._shrunk_and_added(
            var, "v", beta2, indices, (grad * grad) * (1 - beta2), scatter_add
        )
        root = elementwise.sqrt(square)
        step = state.assign_sub(var, rate * mean / (root + epsilon), use_locking=self._use_locking)
        return control.group(step, mean, square)

    def _shrunk_and_added(
        self,
        var: Any,
        slot_name: str,
        beta: Tensor,
        indices: Tensor,
        rows: Tensor,
        scatter_add: Callable[..., Tensor],
    ) -> Tensor:
        slot = self.get_slot(var, slot_name)
        shrunk = state.assign(slot, slot * beta, use_locking=self._use_locking)
        with control_dependencies([shrunk]):
            return scatter_add(slot, indices, rows)

    def _finish(self, update_ops: list[Any], name_scope: str) -> Operation:
        power1, power2 = self._get_beta_accumulators()
        done = []
        with control_dependencies(update_ops), colocate_with(power1.op):
            for power, beta in ((power1, "_beta1_t"), (power2, "_beta2_t")):
                product = elementwise.mul(power.value(), getattr(self, beta), name="mul")
                done.append(power.assign(product, use_locking=self._use_locking))
        return control.group(*update_ops, *done, name=name_scope)


def _as_input(power: Any, var: Any) -> Any:
    """A variable as an input in the dtype of `var`; a resource variable is read by the node that takes it."""
    if state.is_resource_like(power) and power.dtype.base_dtype == var.dtype.base_dtype:
        return power
    return in_dtype_of(power.value(), var)


def _added_to_resource(slot: Any, indices: Tensor, rows: Tensor) -> Tensor:
    _, by_handle = scatter.ROWS["Add"]
    with control_dependencies([by_handle(slot.handle, indices, rows)]):
        value: Tensor = slot.value()
    return value
