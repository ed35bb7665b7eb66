"""TensorFlow 2's switches back to TensorFlow 1, which programs call after the import: here there is nothing to switch."""

from __future__ import annotations


def disable_v2_behavior() -> None:
    """Nothing: graphs and sessions are all there is."""


def disable_eager_execution() -> None:
    """Nothing: an operation runs when a session runs it."""


def disable_v2_tensorshape() -> None:
    """Nothing: the members of a TensorShape are Dimensions."""


def disable_tensor_equality() -> None:
    """Nothing: `==` between tensors asks whether they are the same tensor."""


def executing_eagerly() -> bool:
    """False."""
    return False


def executing_eagerly_outside_functions() -> bool:
    """False."""
    return False


def control_flow_v2_enabled() -> bool:
    """True: branches and loops built here are `If` and `While` nodes."""
    return True
