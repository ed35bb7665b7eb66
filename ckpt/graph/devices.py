"""Device strings: parsed, merged, written back. They are kept and exported; nothing here places an operation.

Source of the notation: TensorFlow core/util/device_name_utils.h ("/job:worker/replica:0/task:1/device:GPU:0").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

_PART = re.compile(r"^(job|replica|task|device|cpu|gpu|tpu):(.*)$", re.IGNORECASE)


@dataclass(frozen=True)
class DeviceSpec:
    """The parts of a device string; None where a part is not said."""

    job: str | None = None
    replica: int | None = None
    task: int | None = None
    device_type: str | None = None
    device_index: int | None = None

    @classmethod
    def from_string(cls, text: str) -> DeviceSpec:
        """Parse `text`. Raises ValueError for a part that is none."""
        found = cls()
        for part in text.split("/"):
            if part:
                found = _with_part(found, part, text)
        return found

    def merged_over(self, outer: DeviceSpec) -> DeviceSpec:
        """This spec, with what it leaves unsaid taken from `outer`."""
        said = {name: value for name, value in vars(self).items() if value is not None}
        return replace(outer, **said)

    def to_string(self) -> str:
        """The canonical text."""
        parts = [
            f"/{name}:{value}"
            for name, value in (("job", self.job), ("replica", self.replica), ("task", self.task))
            if value is not None
        ]
        if self.device_type is not None:
            index = "*" if self.device_index is None else self.device_index
            parts.append(f"/device:{self.device_type}:{index}")
        return "".join(parts)


def _with_part(spec: DeviceSpec, part: str, text: str) -> DeviceSpec:
    found = _PART.match(part)
    if not found:
        raise ValueError(f"Unknown attribute: '{part}' in device string '{text}'")
    key, rest = found.group(1).lower(), found.group(2)
    if key == "job":
        return replace(spec, job=rest)
    if key in ("replica", "task"):
        number = None if rest == "*" else int(rest)
        return replace(spec, replica=number) if key == "replica" else replace(spec, task=number)
    kind, _, index = rest.partition(":") if key == "device" else (key, "", rest)
    position = None if index in ("", "*") else int(index)
    return replace(spec, device_type=kind.upper(), device_index=position)


def merge_device(text: Any) -> Callable[[Any], str]:
    """A device function that lays `text` over what the operation has, as `tf.device(text)` does."""
    spec = text if isinstance(text, DeviceSpec) else DeviceSpec.from_string(text or "")

    def place(node: Any) -> str:
        return DeviceSpec.from_string(node.device).merged_over(spec).to_string()

    return place
