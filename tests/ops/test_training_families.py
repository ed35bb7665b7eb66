"""The updates of adaptive and regularised optimizers: of a variable and of rows, by reference and by handle."""

from inspect import signature

import numpy as np
import pytest

from ckpt.core import dtypes
from ckpt.core.cells import Cell
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, normal, positive
from tests.ops.test_state import after, by_handles, reference

START = {
    "var": normal(4, 3), "accum": positive(4, 3) + 1, "gradient_squared_accumulator": positive(4, 3) + 1,
    "gradient_accumulator": normal(4, 3, seed=3), "accum_update": positive(4, 3), "ms": positive(4, 3) + 2,
    "mom": normal(4, 3, seed=4), "mg": normal(4, 3, seed=5) * 0.1, "linear": normal(4, 3, seed=6), "m": normal(4, 3, seed=7),
    "v": positive(4, 3) + 1, "vhat": positive(4, 3) + 2,
}  # fmt: skip
SCALARS = {
    "lr": 0.1, "alpha": 0.2, "rho": 0.9, "epsilon": 0.01, "momentum": 0.8, "l1": 0.3, "l2": 0.2, "l2_shrinkage": 0.1,
    "lr_power": -0.5, "beta1_power": 0.9, "beta2_power": 0.8, "beta1": 0.7, "beta2": 0.6, "beta": 0.7, "logbase": 0.5,
    "sign_decay": 0.9,
}  # fmt: skip
GRADIENT = normal(4, 3, seed=2)
ROWS, AT, TWICE = normal(2, 3, seed=2), np.array([3, 1], np.int32), np.array([2, 2], np.int64)
G = GRADIENT.astype(np.float64)
LR = SCALARS["lr"]


def of(name):
    return START[name].astype(np.float64)


def states(name):
    """The names of the variables that the update changes."""
    return [arg.name for arg in OPS[name].inputs if arg.name in START]


def inputs(name, grad, indices):
    """What the update takes after its variables."""
    given = {"grad": grad, "delta": grad, "indices": indices, "global_step": np.int64(7)}
    names = [arg.name for arg in OPS[name].inputs if arg.name not in START]
    if name.endswith("AddSign"):
        given["alpha"] = np.float32(0.9)
    return [given[n] if n in given else np.float32(SCALARS[n]) for n in names]


def by_references(name, grad, indices, **attrs):
    made = [reference(START[state]) for state in states(name)]
    moved = OPS[name](*made, *inputs(name, grad, indices), **attrs)
    with after(moved):
        return [OPS["Identity"](each) for each in (moved, *made[1:])]


def by_handle(name, grad, indices, **attrs):
    starts = [START[state] for state in states(f"Resource{name}")]
    return by_handles(name, *starts)(*inputs(f"Resource{name}", grad, indices), **attrs)


def shrunk(value, by):
    return np.sign(value) * np.maximum(np.abs(value) - by, 0)


def adagrad(epsilon=0.0):
    accum = of("accum") + G**2
    return [of("var") - LR * G / (np.sqrt(accum) + epsilon), accum]


def adagrad_da():
    total, squares = of("gradient_accumulator") + G, of("gradient_squared_accumulator") + G**2
    return [-LR * shrunk(total, 0.3 * 7) / (0.2 * 7 * LR + np.sqrt(squares)), total, squares]


def adadelta():
    accum = 0.9 * of("accum") + 0.1 * G**2
    step = np.sqrt(of("accum_update") + 0.01) / np.sqrt(accum + 0.01) * G
    return [of("var") - LR * step, accum, 0.9 * of("accum_update") + 0.1 * step**2]


def rms_prop(centered):
    ms = 0.9 * of("ms") + 0.1 * G**2
    mg = 0.9 * of("mg") + 0.1 * G if centered else np.zeros_like(G)
    mom = 0.8 * of("mom") + LR * G / np.sqrt(ms - mg**2 + 0.01)
    return [of("var") - mom, *([mg] if centered else []), ms, mom]


def ftrl(shrinkage=0.0):
    accum = of("accum") + G**2
    pull = G + 2 * shrinkage * of("var")
    linear = of("linear") + pull - (np.sqrt(accum) - np.sqrt(of("accum"))) / LR * of("var")
    return [-shrunk(linear, 0.3) / (np.sqrt(accum) / LR + 0.4), accum, linear]


def proximal(rate):
    return shrunk(of("var") - rate * G, rate * 0.3) / (1 + rate * 0.2)


def proximal_adagrad():
    accum = of("accum") + G**2
    return [proximal(LR / np.sqrt(accum)), accum]


def signed(factor):
    m = 0.7 * of("m") + 0.3 * G
    return [of("var") - LR * factor(0.9 * np.sign(G) * np.sign(m)) * G, m]


def ada_max():
    m, v = 0.7 * of("m") + 0.3 * G, np.maximum(0.6 * of("v"), np.abs(G))
    return [of("var") - LR / 0.1 * m / (v + 0.01), m, v]


def amsgrad():
    m, v = 0.7 * of("m") + 0.3 * G, 0.6 * of("v") + 0.4 * G**2
    largest = np.maximum(of("vhat"), v)
    rate = LR * np.sqrt(0.2) / 0.1
    return [of("var") - rate * m / (np.sqrt(largest) + 0.01), m, v, largest]


WITH_ROWS = {
    "Adagrad": adagrad(), "AdagradV2": adagrad(0.01), "AdagradDA": adagrad_da(), "Adadelta": adadelta(),
    "RMSProp": rms_prop(False), "CenteredRMSProp": rms_prop(True), "Ftrl": ftrl(), "FtrlV2": ftrl(0.1),
    "ProximalGradientDescent": [proximal(0.2)], "ProximalAdagrad": proximal_adagrad(),
}  # fmt: skip
WHOLE = {
    "AdaMax": ada_max(), "AddSign": signed(lambda s: 0.9 + s), "PowerSign": signed(lambda s: np.exp(0.5 * s)),
}  # fmt: skip
VARIANTS = [
    ("Ftrl", {"multiply_linear_by_lr": True}), ("FtrlV2", {"multiply_linear_by_lr": True}), ("Adagrad", {"update_slots": False}),
    ("AdagradV2", {"update_slots": False}),
]  # fmt: skip


def expected(values):
    return [value.astype(np.float32) for value in values]


def rows_moved(name, values):
    """The expectation for `AT` from that for a whole variable: other rows keep what they had."""
    kept = [START[state].copy() for state in states(f"SparseApply{name}")]
    for array, value in zip(kept, values, strict=True):
        array[AT] = value[AT]
    return kept


def both(name, grad, indices=None, **more):
    """Rows of the update by reference and by handle."""
    attrs = more.pop("attrs", {})
    title = f"{name} {' '.join(attrs)}"
    return [
        case(lambda g: by_references(name, g, indices, **attrs), grad, grad=0, title=title, rtol=1e-5, **more),
        case(lambda g: by_handle(name, g, indices, **attrs), grad, grad=0, title=f"Resource{title}", rtol=1e-5, **more),
    ]  # fmt: skip


TestWhole = conformance([
    row
    for name, values in {**WITH_ROWS, **WHOLE}.items()
    for row in both(f"Apply{name}", GRADIENT, expect=expected(values))
])  # fmt: skip

TestRows = conformance([
    row
    for name, values in WITH_ROWS.items()
    for row in [
        *both(f"SparseApply{name}", GRADIENT[AT], AT, expect=rows_moved(name, expected(values))),
        *both(f"SparseApply{name}", ROWS, TWICE),
    ]
])  # fmt: skip

TestVariants = conformance([
    *[row for name, attrs in VARIANTS for row in both(f"Apply{name}", GRADIENT, attrs=attrs)],
    *[row for name, attrs in VARIANTS for row in both(f"SparseApply{name}", ROWS, AT, attrs=attrs)],
    case(lambda g: by_handle("ApplyAdamWithAmsgrad", g, None), GRADIENT, expect=expected(amsgrad()), grad=0, rtol=1e-5,
         title="ResourceApplyAdamWithAmsgrad"),
    case(lambda g: by_references("SparseApplyAdagrad", g, np.array([0, 4])), ROWS, raises=InvalidArgumentError,
         match=r"4 at offset 1 .*\[0, 4\)", title="SparseApplyAdagrad of a row that is not there"),
    case(lambda g: by_handle("SparseApplyFtrl", g, AT), ROWS[:, :2], raises=InvalidArgumentError,
         match="one row of shape", title="ResourceSparseApplyFtrl of short rows"),
    case(lambda g: by_handle("ApplyAdadelta", g, None), ROWS, raises=InvalidArgumentError, match="match",
         title="ResourceApplyAdadelta of another shape"),
])  # fmt: skip


@pytest.mark.parametrize("name", sorted(name for name in OPS if name.startswith("ResourceApply")))
def test_an_update_of_values_that_others_hold_gives_the_same_in_other_memory(name):
    # for several threads, for several blocks
    columns = 400_000 if name == "ResourceApplyAdam" else 20_000
    grad = normal(3, columns, seed=2)
    wanted = signature(OPS[name].kernel).parameters.values()
    attrs = {w.name: OPS[name].attrs[w.name].default for w in wanted if w.kind is w.KEYWORD_ONLY}

    def moved(*, is_held):
        cells = [Cell(state, dtypes.float32, grad.shape) for state in states(name)]
        for cell in cells:
            cell.write(np.resize(START[cell.name], grad.shape))
        held = [cell.read() for cell in cells] if is_held else []
        before = [array.copy() for array in held]
        OPS[name].kernel(*cells, *inputs(name, grad, AT), **attrs)
        for array, old in zip(held, before, strict=True):
            np.testing.assert_array_equal(array, old)
        return [cell.read().tobytes() for cell in cells]

    assert moved(is_held=True) == moved(is_held=False)
