"""Operations that look at values and complain or report: Assert, Print, CheckNumerics."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, control_dependencies, name_scope
from ckpt.graph.signature import Attr
from ckpt.ops import control
from ckpt.ops.families import same_shape


def summary_of(value: Any, summarize: int) -> str:
    """The first `summarize` elements of `value` as TensorFlow prints them: `[1 2 3...]`."""
    array = np.asarray(value)
    count = array.size if summarize is None or summarize < 0 else summarize
    if array.ndim == 0:
        return _spelled(array.item() if array.dtype.kind != "V" else float(array))
    shown = [_spelled(v) for v in array.reshape(-1)[:count].tolist()]
    return _nested(shown, array.shape, array.size > count)


def _nested(shown: list[str], shape: tuple[int, ...], is_cut: bool) -> str:
    if len(shape) == 1:
        return (
            "["
            + " ".join(shown[: shape[0]])
            + ("..." if is_cut and len(shown) < shape[0] else "")
            + "]"
        )
    size = int(np.prod(shape[1:]))
    rows = []
    for i in range(shape[0]):
        part = shown[i * size : (i + 1) * size]
        if not part and is_cut:
            rows.append("...")
            break
        rows.append(_nested(part, shape[1:], is_cut))
    return "[" + "".join(rows) + "]"


def _spelled(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:.9g}".rstrip() if isinstance(value, float) else str(value)


@op(
    "Assert",
    "condition: bool, data: T... ->",
    T=Attr("list(type)", minimum=1),
    summarize=3,
)
def assert_op(condition, *data, summarize):
    """Nothing when the condition holds, else an InvalidArgumentError that shows `data`."""
    if np.ndim(condition):
        raise InvalidArgumentError(
            None, None, f"In[0] should be a scalar: {list(np.shape(condition))}"
        )
    if not condition:
        shown = " ".join(
            f"[{summary_of(v, summarize)}]" if np.ndim(v) == 0 else summary_of(v, summarize)
            for v in data
        )
        raise InvalidArgumentError(None, None, f"assertion failed: {shown}")


assert_op.stateful()
assert_op.no_gradient("it has no outputs")


def Assert(  # TensorFlow's name
    condition: Any, data: Any, summarize: int | None = None, name: str | None = None
) -> Operation:
    """An operation that fails unless `condition` holds, and shows `data` then.

    Where `data` has other dtypes than string and int32, TensorFlow puts the check into a branch, the AssertGuard.
    """
    with name_scope(name, "Assert", [condition, *data]):
        kinds = {convert.convert_to_tensor(v).dtype.base_dtype for v in data}
        condition = convert.convert_to_tensor(condition, name="Condition")
        kept = 3 if summarize is None else summarize
        if kinds <= {dtypes.string, dtypes.int32}:
            node: Operation = assert_op(condition, list(data), summarize=kept, name="Assert")
            return node
        with name_scope("AssertGuard"):
            check = assert_op(condition, list(data), summarize=kept, name="Assert")
            with control_dependencies([check]):
                return control.no_op(name="Merge")


@op(
    "Print",
    "input: T, data: U... -> output: T",
    U=Attr("list(type)", minimum=0),
    message="",
    first_n=-1,
    summarize=3,
)
def print_op(ctx, x, *data, message, first_n, summarize):
    """`input`; writes `data` to the standard error stream, at most `first_n` times."""
    times = ctx.resource("print", "", ctx.node.name, lambda: [0])
    if first_n < 0 or times[0] < first_n:
        times[0] += 1
        shown = "".join(
            f"[{summary_of(v, summarize)}]" if np.ndim(v) == 0 else summary_of(v, summarize)
            for v in data
        )
        sys.stderr.write(f"{message}{shown}\n")
    return x


print_op.shape(lambda x, *data: [x.shape])


@print_op.grad
def print_grad(node, dy):
    return [dy] + [None] * (len(node.inputs) - 1)


def Print(  # TensorFlow's name
    input_: Any,
    data: Any,
    message: str | None = None,
    first_n: int | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> Tensor:
    """`input_`; each run writes `data` to the standard error stream."""
    return print_op(
        input_, list(data), message=message or "", first_n=-1 if first_n is None else first_n,
        summarize=3 if summarize is None else summarize, name=name,
    )  # fmt: skip


@op("CheckNumerics", "tensor: T -> output: T", T=FLOATING, message=Attr("string"))
def check_numerics_op(x, *, message):
    """`tensor`; an error when it holds NaN or infinities."""
    found = [word for word, test in (("Inf", np.isinf), ("NaN", np.isnan)) if np.any(test(x))]
    if found:
        raise InvalidArgumentError(
            None, None, f"{message} : Tensor had {' and '.join(found)} values"
        )
    return x


check_numerics_op.stateful()
check_numerics_op.checks()
check_numerics_op.shape(same_shape)


@check_numerics_op.grad
def check_numerics_grad(node, dy):
    return [
        check_numerics_op(
            dy, message="Not a number (NaN) or infinity (Inf) values detected in gradient."
        )
    ]


def check_numerics(tensor: Any, message: str, name: str | None = None) -> Tensor:
    """`tensor`; running fails with `message` when it holds NaN or infinities."""
    return check_numerics_op(tensor, message=message, name=name)


def verify_tensor_all_finite(
    t: Any = None, msg: Any = None, name: str | None = None, x: Any = None, message: Any = None
) -> Tensor:
    """`t`; running fails with `msg` when it holds NaN or infinities."""
    t, msg = (x if t is None else t), (message if msg is None else msg)
    with name_scope(name, "VerifyFinite", [t]):
        t = convert.convert_to_tensor(t, name="t")
        with colocate_with(t):
            found: Tensor = control.with_dependencies([check_numerics(t, message=msg)], t)
            return found


def add_check_numerics_ops() -> Operation:
    """One operation that checks every floating tensor of the default graph for NaN and infinities."""
    from ckpt.graph.stack import get_default_graph

    checks: list[Any] = []
    for node in get_default_graph().get_operations():
        for output in node.outputs:
            if output.dtype in (dtypes.float16, dtypes.float32, dtypes.float64):
                with control_dependencies(checks[-1:]):
                    checks.append(check_numerics(output, f"{node.name}:{output.value_index}"))
    return control.group(*checks)
