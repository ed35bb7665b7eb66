"""Device strings: parsed, merged, written back. They are kept and exported; nothing here places an operation.

Source of the notation: TensorFlow core/util/device_name_utils.h ("/job:worker/replica:0/task:1/device:GPU:0").
"""

from __future__ import annotations

from typing import Any

_SHORT = frozenset({"CPU", "GPU", "TPU"})
"""Device types that may be written without `device:`."""


class DeviceSpec:
    """The parts of a device string; None where a part is not said. Parts can be set."""

    __slots__ = ("_device_index", "_device_type", "_job", "_replica", "_task")

    def __init__(
        self,
        job: Any = None,
        replica: Any = None,
        task: Any = None,
        device_type: Any = None,
        device_index: Any = None,
    ) -> None:
        self.job, self.replica, self.task = job, replica, task
        self.device_type, self.device_index = device_type, device_index

    @property
    def job(self) -> str | None:
        """The job."""
        return self._job

    @job.setter
    def job(self, job: Any) -> None:
        self._job = None if job is None else str(job)

    @property
    def replica(self) -> int | None:
        """The replica."""
        return self._replica

    @replica.setter
    def replica(self, replica: Any) -> None:
        self._replica = None if replica is None else int(replica)

    @property
    def task(self) -> int | None:
        """The task."""
        return self._task

    @task.setter
    def task(self, task: Any) -> None:
        self._task = None if task is None else int(task)

    @property
    def device_type(self) -> str | None:
        """The type, `CPU` for instance."""
        return self._device_type

    @device_type.setter
    def device_type(self, device_type: Any) -> None:
        text = None if device_type is None else str(device_type)
        self._device_type = text.upper() if text in ("cpu", "gpu", "tpu") else text

    @property
    def device_index(self) -> int | None:
        """Which of the devices of its type."""
        return self._device_index

    @device_index.setter
    def device_index(self, device_index: Any) -> None:
        self._device_index = None if device_index is None else int(device_index)

    def parse_from_string(self, spec: str) -> DeviceSpec:
        """Take the parts of `spec`, forgetting what was said. Raises ValueError for a part that is none."""
        self.__init__()  # type: ignore[misc]  # all parts anew
        for part in spec.split("/"):
            if part:
                self._take(part, spec)
        return self

    @classmethod
    def from_string(cls, spec: str) -> DeviceSpec:
        """The parts of `spec`. Raises ValueError for a part that is none."""
        return cls().parse_from_string(spec)

    def _take(self, part: str, text: str) -> None:
        key, *rest = part.split(":")
        if len(rest) == 1 and key in ("job", "replica", "task"):
            if key == "job":
                self.job = rest[0]
            elif rest[0] != "*":
                setattr(self, key, rest[0])
            return
        if key == "device" and len(rest) == 2:
            kind, index = rest
        elif key.upper() in _SHORT and len(rest) < 2:
            kind, index = key.upper(), rest[0] if rest else "*"
        else:
            raise ValueError(f"Unknown attribute: '{key}' in device string '{text}'")
        if self._device_type is not None:
            raise ValueError(f"Cannot specify multiple device types: {text}")
        self.device_type = kind
        self.device_index = None if index in ("", "*") else index

    def merge_from(self, dev: DeviceSpec) -> None:
        """Take what `dev` says; the rest stays."""
        for part in ("job", "replica", "task", "device_type"):
            if getattr(dev, part) is not None:
                setattr(self, part, getattr(dev, part))
        if dev.device_index is not None:
            self.device_index = dev.device_index

    def make_merged_spec(self, dev: DeviceSpec) -> DeviceSpec:
        """A new spec: this one with what `dev` says laid over it."""
        found = self.replace()
        found.merge_from(dev)
        return found

    def replace(self, **parts: Any) -> DeviceSpec:
        """A new spec with some parts set anew."""
        said = {
            key: getattr(self, key)
            for key in ("job", "replica", "task", "device_type", "device_index")
        }
        return DeviceSpec(**{**said, **parts})

    def to_string(self) -> str:
        """The canonical text."""
        parts = [
            f"/{name}:{value}"
            for name, value in (
                ("job", self._job),
                ("replica", self._replica),
                ("task", self._task),
            )
            if value is not None
        ]
        if self._device_type is not None:
            index = "*" if self._device_index is None else self._device_index
            parts.append(f"/device:{self._device_type}:{index}")
        return "".join(parts)

    def __str__(self) -> str:
        return self.to_string()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeviceSpec) and self.to_string() == other.to_string()

    def __hash__(self) -> int:
        return hash(self.to_string())


def canonical_name(device: Any) -> str:
    """A device, given as text or spec, in the canonical notation."""
    if device is None:
        return ""
    spec = device if isinstance(device, DeviceSpec) else DeviceSpec.from_string(device)
    return spec.to_string()


def merge_device(text: Any) -> Any:
    """A device function that lays what the operation has over `text`, as `tf.device(text)` does."""
    spec = text if isinstance(text, DeviceSpec) else DeviceSpec.from_string(text or "")
    known: dict[str, str] = {"": spec.to_string()}

    def place(node: Any) -> str:
        found = known.get(node.device)
        if found is None:
            found = spec.make_merged_spec(DeviceSpec.from_string(node.device)).to_string()
            known[node.device] = found
        return found

    return place


def device_text(device: Any) -> str:
    """The string of a device given as a string or as an object with `to_string`."""
    if device is None:
        return ""
    return str(device.to_string() if hasattr(device, "to_string") else device)
