"""What a tensor is for, by the names that TensorFlow, Keras and PyTorch give."""

import pytest

from ckpt.core.tensor_roles import AVERAGE_KIND, is_average, is_slot, kind, role


@pytest.mark.parametrize(
    ("name", "owner", "slot"),
    [
        ("dense/kernel/Adam", "dense/kernel", "Adam"),
        ("dense/kernel/Adam_1", "dense/kernel", "Adam_1"),
        ("w/part_0/Momentum", "w/part_0", "Momentum"),
        ("w/RMSProp_1", "w", "RMSProp_1"),
        ("w/Ftrl", "w", "Ftrl"),
        ("w/Adagrad", "w", "Adagrad"),
        ("bert/w/adam_v", "bert/w", "adam_v"),
        ("beta1_power", "", "beta1_power"),
        ("training/beta2_power_1", "training/", "beta2_power_1"),
        ("Adam/dense/kernel/m:0", "dense/kernel", "m"),
        ("training/Adam/dense/kernel/vhat", "dense/kernel", "vhat"),
        ("Adam/learning_rate", "Adam", "learning_rate"),
        ("fc.weight.exp_avg_sq", "fc.weight", "exp_avg_sq"),
        ("optimizer_state_dict.state.0.step", "optimizer_state_dict", "state.0.step"),
        ("w/.OPTIMIZER_SLOT/opt/m/.ATTRIBUTES/VARIABLE_VALUE", "w", ".OPTIMIZER_SLOT/opt/m/.ATTRIBUTES/VARIABLE_VALUE"),
    ],
)  # fmt: skip
def test_slots_are_known_with_their_owners(name, owner, slot):
    assert is_slot(name)
    assert role(name) == (owner, slot)


@pytest.mark.parametrize(
    "name",
    ["Adam", "dense/kernel", "adam/kernel", "my_power", "Adamant/w", "w/Adams", "net/m", "optimizers/x", "momentum", ""],
)  # fmt: skip
def test_what_only_looks_like_one_is_none(name):
    assert not is_slot(name)
    assert role(name) == (name, "")


def test_a_moving_average_is_no_slot():
    name = "w/ExponentialMovingAverage"
    assert is_average(name)
    assert not is_slot(name)
    assert role(name) == ("w", "ExponentialMovingAverage")
    assert kind(name) == AVERAGE_KIND


def test_kinds_survive_another_way_of_writing():
    assert (
        kind("w/Adam_1") == kind("W/ADAM_1") == kind("w/adam-1:0") == kind("w.Adam1") == ("adam1",)
    )
    assert kind("w/Adam") != kind("w/Adam_1")
    assert kind("adamant/kernel") == ()
