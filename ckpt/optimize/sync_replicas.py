"""`tf.train.SyncReplicasOptimizer`: one update for the average of the gradients of several steps.

Gradients go to accumulators; who has given them waits for a token. A queue runner takes the averages once there are
enough of each, has the other optimizer apply them, and puts tokens with the number of the next step into the queue.
Here all replicas are threads of one process.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, control_dependencies, device, name_scope
from ckpt.graph.slices import IndexedSlices
from ckpt.model.accumulators import ConditionalAccumulator, SparseConditionalAccumulator
from ckpt.model.initialized import report_uninitialized_variables
from ckpt.model.queue_runner import QueueRunner
from ckpt.model.queues import FIFOQueue
from ckpt.model.variable_collections import global_variables
from ckpt.model.variables import Variable
from ckpt.ops import constants, control, state
from ckpt.optimize.optimizer import Optimizer
from ckpt.run.hooks import SessionRunHook

log = logging.getLogger("ckpt")


class SyncReplicasOptimizer(Optimizer):
    """Applies the average of `replicas_to_aggregate` gradients at a time with the optimizer `opt`.

    Gradients that were computed for an earlier step are dropped. `total_num_replicas` (default: the same number) threads
    run the training operation; where they are more, the last ones are not waited for. After each update, the averages of
    `variables_to_average` are kept by `variable_averages` (an ExponentialMovingAverage) if it is given.

    The queue runner of `get_chief_queue_runner` must run, and `get_init_tokens_op` once before, or nobody goes on:
    `make_session_run_hook` sees to both in a MonitoredTrainingSession.
    """

    def __init__(
        self,
        opt: Optimizer,
        replicas_to_aggregate: int,
        total_num_replicas: int | None = None,
        variable_averages: Any = None,
        variables_to_average: Sequence[Any] | None = None,
        use_locking: bool = False,
        name: str = "sync_replicas",
    ) -> None:
        total = replicas_to_aggregate if total_num_replicas is None else total_num_replicas
        super().__init__(use_locking, name)
        log.info("SyncReplicas: %d gradients for each step of %d replicas", replicas_to_aggregate, total)  # fmt: skip
        self._opt = opt
        self._replicas_to_aggregate = replicas_to_aggregate
        self._total_num_replicas = total
        self._tokens_per_step = max(total, replicas_to_aggregate)
        self._variable_averages = variable_averages
        self._variables_to_average = variables_to_average
        self._chief_queue_runner: QueueRunner | None = None
        self._sync_token_queue: Any = None
        self._global_step: Any = None
        self.local_step_init_op: Any = None
        self.chief_init_op: Any = None
        self.ready_for_local_init_op: Any = None

    def compute_gradients(self, *args: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        """The gradients and variables that `compute_gradients` of the other optimizer gives."""
        return self._opt.compute_gradients(*args, **kwargs)

    def apply_gradients(
        self, grads_and_vars: Any, global_step: Any = None, name: str | None = None
    ) -> Any:
        """The training operation: it gives the gradients to the accumulators and waits for the next step.

        Raises ValueError without gradients or `global_step`, TypeError for a gradient that is neither a tensor nor
        IndexedSlices.
        """
        pairs = list(grads_and_vars or ())
        if not pairs:
            raise ValueError("Must supply at least one variable")
        if global_step is None:
            raise ValueError("Global step is required to check staleness")
        self._global_step = global_step
        with colocate_with(control.no_op()):
            local_step = Variable(
                0, trainable=False, collections=[GraphKeys.LOCAL_VARIABLES], name="sync_rep_local_step",
                dtype=global_step.dtype.base_dtype,
            )  # fmt: skip
        self.local_step_init_op = state.assign(local_step, global_step)
        self.ready_for_local_init_op = report_uninitialized_variables(global_variables())
        with name_scope(None, self._name):
            gathered = _Gathered(local_step, self._replicas_to_aggregate)
            averages = [(gathered.average(grad, var), var) for grad, var in pairs]
            with device(global_step.device), name_scope(""):
                update = self._opt.apply_gradients(averages, global_step)
                done = self._waiting(gathered.given, local_step)
                self._add_runner(update)
            begun = [
                accumulator.set_global_step(global_step, name="SetGlobalStep")
                for accumulator in gathered.accumulators
            ]
            self.chief_init_op = control.group(self.local_step_init_op, *begun)
        return done

    def _waiting(self, given: list[Operation], local_step: Any) -> Any:
        """The operation that takes a token once the gradients are given, and notes the step that it names."""
        with device("/cpu:*"):
            self._sync_token_queue = FIFOQueue(
                -1, self._global_step.dtype.base_dtype, shapes=(), name="sync_token_q", shared_name="sync_token_q"
            )  # fmt: skip
        with control_dependencies(given):
            token = self._sync_token_queue.dequeue()
        return state.assign(local_step, token)

    def _add_runner(self, update: Operation) -> None:
        with control_dependencies([update]):
            synced = self._tokens(self._tokens_per_step)
        if self._variable_averages is not None:
            with control_dependencies([synced]):
                synced = self._variable_averages.apply(self._variables_to_average)
        self._chief_queue_runner = QueueRunner(self._sync_token_queue, [synced])

    def _tokens(self, count: int) -> Operation:
        """The operation that lets `count` replicas go on with the present step."""
        tokens = constants.fill([count], self._global_step)
        put: Operation = self._sync_token_queue.enqueue_many((tokens,))
        return put

    def get_chief_queue_runner(self) -> QueueRunner:
        """The runner that updates the variables. Raises ValueError before `apply_gradients` was called."""
        if self._chief_queue_runner is None:
            raise ValueError("Should be called after apply_gradients().")
        return self._chief_queue_runner

    def get_init_tokens_op(self, num_tokens: int = -1) -> Operation:
        """The operation that lets `num_tokens` replicas begin (-1: `replicas_to_aggregate`), to be run once.

        Raises ValueError before `apply_gradients` was called, and for fewer tokens than the first step needs.
        """
        if self._sync_token_queue is None:
            raise ValueError("get_init_tokens_op() should be called after apply_gradients().")
        needed = self._replicas_to_aggregate - self._total_num_replicas
        count = self._replicas_to_aggregate if num_tokens == -1 else num_tokens
        if count < needed:
            raise ValueError(
                f"Too few tokens to finish the first step: {count} (given) vs {needed} (needed)"
            )
        if count <= 0:
            return control.no_op(name="no_init_tokens")
        with device(self._global_step.device), name_scope(""):
            return self._tokens(count)

    def make_session_run_hook(self, is_chief: bool, num_tokens: int = -1) -> SessionRunHook:
        """The hook that initializes steps and tokens of a session and starts the queue runner, both where `is_chief`."""
        return _SyncReplicasHook(self, is_chief, num_tokens)

    def get_slot(self, var: Any, name: str) -> Any:
        """The slot of the other optimizer."""
        return self._opt.get_slot(var, name)

    def get_slot_names(self) -> list[str]:
        """The names of the slots of the other optimizer."""
        return self._opt.get_slot_names()

    def variables(self) -> list[Any]:
        """The variables of the other optimizer."""
        return self._opt.variables()


class _Gathered:
    """Accumulators for the gradients of variables, and the operations that give them there."""

    def __init__(self, local_step: Any, required: int) -> None:
        self._local_step = local_step
        self._required = required
        self.accumulators: list[Any] = []
        self.given: list[Operation] = []

    def average(self, grad: Any, var: Any) -> Any:
        """The average of `required` gradients like `grad`; None where there is none."""
        if grad is None:
            return None
        shared_name = f"{var.name}/grad_accum"
        with device(var.device):
            if isinstance(grad, Tensor):
                dense = ConditionalAccumulator(grad.dtype, shape=var.get_shape(), shared_name=shared_name)  # fmt: skip
                self.accumulators.append(dense)
                self.given.append(dense.apply_grad(grad, local_step=self._local_step))
                return dense.take_grad(self._required)
            if not isinstance(grad, IndexedSlices):
                raise TypeError(f"the gradient of {var.name} must be a tensor or IndexedSlices, got {grad!r}")  # fmt: skip
            rows = SparseConditionalAccumulator(grad.dtype, shape=(), shared_name=shared_name)
            self.accumulators.append(rows)
            self.given.append(rows.apply_indexed_slices_grad(grad, local_step=self._local_step))
            return rows.take_indexed_slices_grad(self._required)


class _SyncReplicasHook(SessionRunHook):
    """Initializes what a SyncReplicasOptimizer needs in every session."""

    def __init__(self, optimizer: SyncReplicasOptimizer, is_chief: bool, num_tokens: int) -> None:
        self._optimizer = optimizer
        self._is_chief = is_chief
        self._num_tokens = num_tokens

    def begin(self) -> None:
        """Make the operations. Raises ValueError before `apply_gradients` was called."""
        optimizer = self._optimizer
        if self._is_chief:
            self._runner: QueueRunner | None = optimizer.get_chief_queue_runner()
            self._init_op = optimizer.chief_init_op
            self._tokens: Any = optimizer.get_init_tokens_op(self._num_tokens)
        else:
            self._runner = self._tokens = None
            self._init_op = optimizer.local_step_init_op

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Initialize the steps, put the first tokens, and start the runner.

        Raises RuntimeError when a variable has no value yet.
        """
        missing = session.run(self._optimizer.ready_for_local_init_op)
        if len(missing):
            names = b", ".join(missing).decode()
            raise RuntimeError(
                "Init operations did not make model ready for SyncReplicasOptimizer local_init. Init op: "
                f"{self._init_op.name}, error: Variables not initialized: {names}"
            )
        session.run(self._init_op)
        if self._tokens is not None:
            session.run(self._tokens)
        if self._runner is not None:
            self._runner.create_threads(session, coord=coord, daemon=True, start=True)
