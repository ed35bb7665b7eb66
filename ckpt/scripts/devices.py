"""The devices that a script finds: one processor, no accelerator."""

from __future__ import annotations

from typing import Any, NamedTuple


class PhysicalDevice(NamedTuple):
    """A device of this machine."""

    name: str
    device_type: str


class LogicalDevice(NamedTuple):
    """A device as graphs name it."""

    name: str
    device_type: str


_PROCESSOR = PhysicalDevice("/physical_device:CPU:0", "CPU")


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices of this machine of one type ("CPU", "GPU"), of all types where None: the processor alone."""
    return [_PROCESSOR] if device_type in (None, "CPU") else []


def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """The devices that graphs can name, of one type or of all."""
    return [LogicalDevice("/device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


def get_visible_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices that sessions use."""
    return list_physical_devices(device_type)


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Say which devices sessions may use; the processor always is one.

    Raises ValueError for devices that this machine does not have, or for a list without the processor.
    """
    wanted = [devices] if isinstance(devices, PhysicalDevice) else list(devices)
    for device in wanted:
        if device not in list_physical_devices(device_type):
            raise ValueError(
                f"Unrecognized device: {device!r}; this machine has {list_physical_devices(device_type)}"
            )
    if not wanted and device_type in (None, "CPU"):
        raise ValueError("sessions compute on the processor: it cannot be made invisible")


def get_memory_growth(device: PhysicalDevice) -> bool:
    """Whether a graphics processor's memory is taken as needed. Raises ValueError: there is none here."""
    raise ValueError(
        f"Cannot get memory growth of {device!r}: it is no GPU, and this machine offers none"
    )


def set_memory_growth(device: PhysicalDevice, enable: bool) -> None:
    """Let a graphics processor's memory be taken as needed. Raises ValueError: there is none here."""
    raise ValueError(
        f"Cannot set memory growth of {device!r}: it is no GPU, and this machine offers none"
    )


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Whether sessions use a graphics processor: False."""
    return False


def gpu_device_name() -> str:
    """The name of the graphics processor that sessions use: empty, there is none."""
    return ""


def is_built_with_cuda() -> bool:
    """Whether CUDA is built in: False."""
    return False


is_built_with_rocm = is_built_with_gpu_support = is_built_with_xla = is_built_with_cuda
