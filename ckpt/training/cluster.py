"""What a cluster is made of, as data: jobs, their tasks, the addresses of these. Nothing here connects to any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ClusterSpec:
    """The tasks of each job of a cluster, and their addresses.

    `cluster` maps names of jobs to lists of addresses, or to dicts from numbers of tasks to addresses where not every
    number has one; or it is a ClusterDef message, or another ClusterSpec. Raises TypeError for what is none of these, and
    for names and addresses that are no texts.
    """

    def __init__(self, cluster: Any) -> None:
        if isinstance(cluster, ClusterSpec):
            self._jobs: dict[str, dict[int, str]] = {
                name: dict(tasks) for name, tasks in cluster._jobs.items()
            }
        elif isinstance(cluster, Mapping):
            self._jobs = {_text(name, "a job"): _tasks(cluster[name], name) for name in cluster}
        elif hasattr(cluster, "SerializeToString") and hasattr(cluster, "job"):
            self._jobs = {job.name: dict(job.tasks) for job in cluster.job}
        else:
            raise TypeError(
                "'cluster' must be a dictionary mapping one or more job names to lists of network addresses, or a "
                f"`ClusterDef` protocol buffer, not {cluster!r}"
            )

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClusterSpec) and self._jobs == other._jobs

    __hash__ = None  # type: ignore[assignment]  # as TensorFlow's

    def __repr__(self) -> str:
        return f"ClusterSpec({self.as_dict()!r})"

    def as_dict(self) -> dict[str, list[str] | dict[int, str]]:
        """Addresses by name of job: a list where the tasks are numbered without gaps from 0, else a dict."""
        return {
            name: list(tasks.values())
            if tasks and list(tasks) == list(range(len(tasks)))
            else dict(tasks)
            for name, tasks in self._jobs.items()
        }

    def as_cluster_def(self) -> Any:
        """The ClusterDef message."""
        from ckpt.wire import messages  # protobuf is loaded only when messages are used

        found = messages.ClusterDef()
        for name in sorted(self._jobs):
            job = found.job.add(name=name)
            for number, address in self._jobs[name].items():
                job.tasks[number] = address
        return found

    @property
    def jobs(self) -> list[str]:
        """The names of the jobs."""
        return list(self._jobs)

    def num_tasks(self, job_name: str) -> int:
        """How many tasks a job has. Raises ValueError when there is no such job."""
        return len(self._job(job_name))

    def task_indices(self, job_name: str) -> list[int]:
        """The numbers of the tasks of a job, ascending. Raises ValueError when there is no such job."""
        return sorted(self._job(job_name))

    def task_address(self, job_name: str, task_index: int) -> str:
        """The address of one task. Raises ValueError when there is no such job or task."""
        tasks = self._job(job_name)
        if task_index not in tasks:
            raise ValueError(
                f"No task with index {task_index!r} in job {job_name!r}: it has {sorted(tasks)}"
            )
        return tasks[task_index]

    def job_tasks(self, job_name: str) -> list[str | None]:
        """The addresses of the tasks of a job by their numbers, None where a number has none. Raises ValueError when
        there is no such job.
        """
        tasks = self._job(job_name)
        return [tasks.get(number) for number in range(max(tasks, default=-1) + 1)]

    def _job(self, name: str) -> dict[int, str]:
        if name not in self._jobs:
            raise ValueError(
                f"No such job in cluster: {name!r}; there are {', '.join(self._jobs) or 'none'}"
            )
        return self._jobs[name]


def _tasks(given: Any, job: Any) -> dict[int, str]:
    if isinstance(given, Mapping):
        try:
            pairs = sorted((int(number), address) for number, address in given.items())
        except (TypeError, ValueError) as error:
            raise TypeError(f"job {job!r}: the number of a task is no integer: {error}") from error
    elif isinstance(given, (list, tuple)):
        pairs = list(enumerate(given))
    else:
        raise TypeError(
            f"job {job!r}: its tasks must be a list of addresses or a dict from numbers to addresses, not {given!r}"
        )
    return {number: _text(address, f"an address of job {job!r}") for number, address in pairs}


def _text(value: Any, what: str) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a text, not {value!r}")
    return value
