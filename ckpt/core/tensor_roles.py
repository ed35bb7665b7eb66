"""What a tensor is for, told by its name alone: weight, optimizer slot, or moving average. Knows no files, no graphs.

The names are those that TensorFlow 1's, Keras' and PyTorch's optimizers and averages give to what they keep.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_TF_SLOTS = (
    "Adam|AdaMax|AdamW|Nadam|LazyAdam|LAMB|LARS|Yogi|Momentum|MomentumW|RMSProp|Adagrad|AdagradDA|Adadelta|"
    "ProximalAdagrad|Ftrl|AddSign|PowerSign|adam_m|adam_v"
)
_KERAS_OPTIMIZERS = (
    "Adam|AdamW|Adamax|Nadam|SGD|RMSprop|RMSProp|Adagrad|Adadelta|Ftrl|adam|sgd|rmsprop"
)
_KERAS_SLOTS = "m|v|vhat|momentum|rms|mg|accumulator|accum_grad|accum_var|linear"
_KERAS_SETTINGS = (
    "iter|iterations|beta_1|beta_2|decay|learning_rate|lr|rho|momentum|epsilon|schedule_decay"
)
_TORCH_SLOTS = (
    "exp_avg|exp_avg_sq|max_exp_avg_sq|exp_inf|momentum_buffer|square_avg|grad_avg|acc_delta"
)

AVERAGE = "ExponentialMovingAverage"
"""The last part of the name of a moving average, as TensorFlow's class of that name makes it."""

OBJECT_KEY = ".ATTRIBUTES/VARIABLE_VALUE"
"""The last part of the key of a variable in object-based checkpoints of TensorFlow 2."""

_TF_SLOT = re.compile(rf"(?P<owner>.+)/(?P<slot>(?:{_TF_SLOTS})(?:_\d+)?)")
_TF_POWER = re.compile(r"(?P<owner>(?:.*/)?)(?P<slot>beta[12]_power(?:_\d+)?)")
_TF2_SLOT = re.compile(r"(?P<owner>.+)/(?P<slot>\.OPTIMIZER_SLOT/.+)")
_KERAS_SLOT = re.compile(
    rf"(?:training/)?(?:{_KERAS_OPTIMIZERS})(?:_\d+)?/(?P<owner>.+)/(?P<slot>{_KERAS_SLOTS})(?:_\d+)?(?::0)?"
)
_KERAS_SETTING = re.compile(
    rf"(?P<owner>(?:training/)?(?:{_KERAS_OPTIMIZERS})(?:_\d+)?)/(?P<slot>{_KERAS_SETTINGS})(?::0)?"
)
_TORCH_SLOT = re.compile(rf"(?P<owner>.+)[./](?P<slot>{_TORCH_SLOTS})")
_OPTIMIZER_FOLDER = re.compile(
    r"(?P<owner>optimizer|optimizer_weights|optimizer_state_dict|optimizer_state)[./](?P<slot>.+)"
)
_SLOTS = (
    _TF_SLOT,
    _TF_POWER,
    _TF2_SLOT,
    _KERAS_SLOT,
    _KERAS_SETTING,
    _TORCH_SLOT,
    _OPTIMIZER_FOLDER,
)
_AVERAGE = re.compile(rf"(?P<owner>.+)/(?P<slot>{AVERAGE}(?:_\d+)?)")
_WORD = re.compile(
    rf"(?:{_TF_SLOTS}|{_TORCH_SLOTS}|{AVERAGE}|beta[12]_?power|\.?optimizer_slot)([_-]?\d+)?(:\d+)?",
    re.IGNORECASE,
)
_HINT = re.compile(
    rf"power|optimizer|OPTIMIZER|training/|^(?:{_KERAS_OPTIMIZERS})(?:_\d+)?/|(?:{_TF_SLOTS}|{_TORCH_SLOTS})(?:_\d+)?$"
)


def role(name: str) -> tuple[str, str]:
    """(name of the variable it belongs to, what it is for it); the second is "" for a tensor that stands alone.

    `role("dense/kernel/Adam_1")` is `("dense/kernel", "Adam_1")`.
    """
    found = _AVERAGE.fullmatch(name)
    if found is None and _HINT.search(name):
        found = next((match for slot in _SLOTS if (match := slot.fullmatch(name))), None)
    return (name, "") if found is None else (found["owner"], found["slot"])


def is_average(name: str) -> bool:
    """True for the moving average of another variable."""
    return _AVERAGE.fullmatch(name) is not None


def is_slot(name: str) -> bool:
    """True for what an optimizer keeps: moments, accumulators, powers of beta, its own settings."""
    return bool(role(name)[1]) and not is_average(name)


def is_slot_of(name: str, trained: Collection[str]) -> bool:
    """True for what an optimizer of any name keeps beside one of the `trained` variables: `w/MyOptimizer`."""
    owner = name.rpartition("/")[0]
    return name not in trained and owner in trained and not is_average(name)


def kind(name: str) -> tuple[str, ...]:
    """The parts of a name that tell what it is for, also where it was written or renamed in another fashion.

    Two tensors of different kinds are never the same one renamed: `w/Adam` and `w/Adam_1`, `w` and its average.
    """
    return tuple(
        re.sub(r":\d+$|[^a-z0-9]", "", part.lower())
        for part in re.split(r"[/.]", name)
        if _WORD.fullmatch(part)
    )


AVERAGE_KIND = (AVERAGE.lower(),)
"""The kind of a moving average."""
