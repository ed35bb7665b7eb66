"""Devices for nodes of a model that several replicas train: variables on the tasks that serve parameters, in turn.

Devices are kept and exported; nothing runs elsewhere for them (`graph/devices.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckpt.graph.devices import DeviceSpec
from ckpt.training.cluster import ClusterSpec

STANDARD_PS_OPS = (
    "Variable",
    "VariableV2",
    "MutableHashTable",
    "MutableHashTableV2",
    "MutableHashTableOfTensors",
    "MutableHashTableOfTensorsV2",
    "MutableDenseHashTable",
    "MutableDenseHashTableV2",
    "VarHandleOp",
    "BoostedTreesEnsembleResourceHandleOp",
    "BoostedTreesQuantileStreamResourceHandleOp",
    "ResourceConditionalAccumulator",
)
"""The operations that hold parameters. Source: real TensorFlow 2.21, asked for each type (tests/oracle)."""


def replica_device_setter(
    ps_tasks: int = 0,
    ps_device: str | None = "/job:ps",
    worker_device: str | None = "/job:worker",
    merge_devices: bool = True,
    cluster: Any = None,
    ps_ops: Sequence[str] | None = None,
    ps_strategy: Callable[[Any], int] | None = None,
) -> Callable[[Any], str] | None:
    """A function for `tf.device` that puts parameters on `ps_device` and everything else on `worker_device`.

    Parameters are nodes of the types `ps_ops` (variables, mutable tables, accumulators). `ps_strategy` says for each of
    them on which of the `ps_tasks` it goes: one after the other in turn where it is None. `cluster` (a ClusterSpec, or
    what makes one) says how many tasks the job of `ps_device` has. What a node's own device says stays, and with
    `merge_devices` False a node that has one keeps it as it is. None when there are no tasks: a device function that
    does nothing. Raises TypeError for a cluster that is none and a strategy that cannot be called.
    """
    if cluster is not None:
        spec = cluster if isinstance(cluster, ClusterSpec) else ClusterSpec(cluster)
        job = DeviceSpec.from_string(ps_device or "").job
        if job not in spec.jobs:
            return None
        ps_tasks = spec.num_tasks(job)
    if ps_tasks == 0:
        return None
    types = STANDARD_PS_OPS if ps_ops is None else ps_ops
    strategy = _in_turn(ps_tasks) if ps_strategy is None else ps_strategy
    if not callable(strategy):
        raise TypeError(f"ps_strategy must be callable, not {strategy!r}")

    def place(op: Any) -> str:
        own = DeviceSpec.from_string(op.device or "")
        if not merge_devices and op.device:
            return str(op.device)
        if not ps_device or op.type not in types:
            return DeviceSpec.from_string(worker_device or "").make_merged_spec(own).to_string()
        found = DeviceSpec.from_string(ps_device)
        if found.job and own.job in (None, found.job):
            found.task = strategy(op)
        return found.make_merged_spec(own).to_string()

    return place


def _in_turn(tasks: int) -> Callable[[Any], int]:
    """The tasks 0, 1, 2 … and 0 again, one for each call."""
    calls = 0

    def task(op: Any) -> int:
        nonlocal calls
        calls += 1
        return (calls - 1) % tasks

    return task
