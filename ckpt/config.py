"""`ckpt.config`: the devices of this machine, by TensorFlow's names. Defines nothing itself."""

from ckpt import config_experimental as experimental
from ckpt.scripts.devices import (
    LogicalDevice,
    PhysicalDevice,
    get_visible_devices,
    list_logical_devices,
    list_physical_devices,
    set_visible_devices,
)

__all__ = [
    "LogicalDevice",
    "PhysicalDevice",
    "experimental",
    "get_visible_devices",
    "list_logical_devices",
    "list_physical_devices",
    "set_visible_devices",
]
