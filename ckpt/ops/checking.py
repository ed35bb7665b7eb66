"""Operations that look at values and complain or report: Assert, Print, CheckNumerics and the assert_* family."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import FLOATING, DType
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import broadcast
from ckpt.graph import convert
from ckpt.graph.opdef import op
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import colocate_with, control_dependencies, name_scope
from ckpt.graph.signature import Attr
from ckpt.graph.static import constant_value
from ckpt.ops import compare, elementwise, reduction, shaping
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
    from ckpt.ops.control import no_op

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
                return no_op(name="Merge")


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
    from ckpt.ops.control import with_dependencies  # only this front orders

    t, msg = (x if t is None else t), (message if msg is None else msg)
    with name_scope(name, "VerifyFinite", [t]):
        t = convert.convert_to_tensor(t, name="t")
        with colocate_with(t):
            found: Tensor = with_dependencies([check_numerics(t, message=msg)], t)
            return found


def add_check_numerics_ops() -> Operation:
    """One operation that checks every floating tensor of the default graph for NaN and infinities."""
    from ckpt.graph.stack import get_default_graph
    from ckpt.ops.control import group

    checks: list[Any] = []
    for node in get_default_graph().get_operations():
        for output in node.outputs:
            if output.dtype in (dtypes.float16, dtypes.float32, dtypes.float64):
                with control_dependencies(checks[-1:]):
                    checks.append(check_numerics(output, f"{node.name}:{output.value_index}"))
    return group(*checks)


def _fails(message: Any, name: str) -> list[Any]:
    return ([message] if message else []) + [f"Condition {name} did not hold element-wise:"]


def _binary_assert(symbol: str, opname: str, function: Any, doc: str) -> Any:
    def check(
        x: Any,
        y: Any,
        data: Any = None,
        summarize: int | None = None,
        message: Any = None,
        name: str | None = None,
        static_text: Any = None,
    ) -> Operation:
        from ckpt.ops.control import no_op

        with name_scope(name, opname, [x, y, data]):
            x = convert.convert_to_tensor(x, name="x")
            y = convert.convert_to_tensor(y, name="y")
            values = [constant_value(t) for t in (x, y)]
            if data is None:
                data = [*_fails(message, f"x {symbol} y"),
                    f"x ({x.name}) = ", x, f"y ({y.name}) = ", y]  # fmt: skip
            if all(v is not None for v in values) and shapes_fit(x, y):
                if _numpy_condition(symbol, *values):
                    return no_op("static_checks_determined_all_ok")
                text = static_text or _static_text(message, symbol, x, y, values)
                raise InvalidArgumentError(None, None, text)
            condition = reduction.reduce_all(function(x, y))
            return Assert(condition, data, summarize=summarize)

    check.__doc__ = doc
    check.__name__ = opname
    return check


def shapes_fit(x: Tensor, y: Tensor) -> bool:
    """Whether the static shapes of two tensors broadcast."""
    try:
        broadcast(x.shape, y.shape)
    except ValueError:
        return False
    return True


def _numpy_condition(symbol: str, x: Any, y: Any) -> bool:
    functions = {
        "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal,
        ">": np.greater, ">=": np.greater_equal,
    }  # fmt: skip
    return bool(np.all(functions[symbol](x, y)))


def _static_text(message: Any, symbol: str, x: Tensor, y: Tensor, values: list[Any]) -> str:
    head = f"{message}\n" if message else ""
    return (
        f"{head}Condition x {symbol} y did not hold element-wise: x (shape={x.shape} dtype={x.dtype.name}) = "
        f"{values[0]}, y (shape={y.shape} dtype={y.dtype.name}) = {values[1]}"
    )


_assert_equal = _binary_assert("==", "assert_equal", compare.equal, "Fails unless x == y.")


def assert_equal(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: Any = None,
    name: str | None = None,
) -> Operation:
    """Fails unless x == y everywhere."""
    from ckpt.ops.control import no_op

    with name_scope(name, "assert_equal", [x, y, data]):
        if x is y:
            return no_op()
    found: Operation = _assert_equal(x, y, data, summarize, message, name)
    return found


assert_none_equal = _binary_assert("!=", "assert_none_equal", compare.not_equal, "Fails unless x != y everywhere.")  # fmt: skip
assert_less = _binary_assert("<", "assert_less", compare.less, "Fails unless x < y everywhere.")
assert_less_equal = _binary_assert("<=", "assert_less_equal", compare.less_equal, "Fails unless x <= y everywhere.")  # fmt: skip
assert_greater = _binary_assert(">", "assert_greater", compare.greater, "Fails unless x > y everywhere.")  # fmt: skip
assert_greater_equal = _binary_assert(">=", "assert_greater_equal", compare.greater_equal, "Fails unless x >= y everywhere.")  # fmt: skip


def _sign_assert(opname: str, words: str, check: Any, zero_first: bool) -> Any:
    def assertion(
        x: Any,
        data: Any = None,
        summarize: int | None = None,
        message: Any = None,
        name: str | None = None,
    ) -> Operation:
        with name_scope(name, opname, [x, data]):
            x = convert.convert_to_tensor(x, name="x")
            if data is None:
                data = [
                    message or "",
                    f"Condition {words} did not hold element-wise:",
                    f"x ({x.name}) = ",
                    x,
                ]
            zero = convert.convert_to_tensor(0, dtype=x.dtype.base_dtype)
            pair = (zero, x) if zero_first else (x, zero)
            shown = [str(constant_value(d)) if isinstance(d, Tensor) else str(d) for d in data]
            found: Operation = check(
                *pair, data=data, summarize=summarize, static_text="\n".join(shown)
            )
            return found

    assertion.__doc__ = f"Fails unless {words} everywhere."
    assertion.__name__ = opname
    return assertion


assert_negative = _sign_assert("assert_negative", "x < 0", assert_less, False)
assert_positive = _sign_assert("assert_positive", "x > 0", assert_less, True)
assert_non_negative = _sign_assert("assert_non_negative", "x >= 0", assert_less_equal, True)
assert_non_positive = _sign_assert("assert_non_positive", "x <= 0", assert_less_equal, False)


def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    data: Any = None,
    summarize: int | None = None,
    message: Any = None,
    name: str | None = None,
) -> Operation:
    """Fails unless |x - y| <= atol + rtol · |y| everywhere; both default to 10 machine epsilons."""
    with name_scope(name, "assert_near", [x, y, rtol, atol, data]):
        x = convert.convert_to_tensor(x, name="x")
        y = convert.convert_to_tensor(y, name="y", dtype=x.dtype.base_dtype)
        kind = x.dtype.base_dtype.real_dtype
        eps = 10 * np.finfo(kind.as_numpy_dtype).eps
        rtol = convert.convert_to_tensor(eps if rtol is None else rtol, dtype=kind, name="rtol")
        atol = convert.convert_to_tensor(eps if atol is None else atol, dtype=kind, name="atol")
        if data is None:
            data = ([message] if message else []) + [
                "x and y not equal to tolerance rtol = ", rtol, ", atol = ", atol,
                f"x ({x.name}) = ", x, f"y ({y.name}) = ", y]  # fmt: skip
        limit = atol + rtol * elementwise.abs_(y)
        distance = elementwise.abs_(x - y)
        return Assert(
            reduction.reduce_all(compare.less(distance, limit)), data, summarize=summarize
        )


def assert_integer(x: Any, message: Any = None, name: str | None = None) -> Operation:
    """Raises TypeError unless `x` is of an integer dtype."""
    from ckpt.ops.control import no_op

    with name_scope(name, "assert_integer", [x]):
        x = convert.convert_to_tensor(x, name="x")
        if not x.dtype.is_integer:
            raise TypeError(
                f'{message or ""}  Expected "x" to be integer type.  Found: {x.dtype} of Tensor {x.name}'
            )
        return no_op("statically_determined_was_integer")


def assert_type(
    tensor: Any, tf_type: Any, message: Any = None, name: str | None = None
) -> Operation:
    """Raises TypeError unless `tensor` is of dtype `tf_type`."""
    from ckpt.ops.control import no_op

    kind = dtypes.as_dtype(tf_type)
    with name_scope(name, "assert_type", [tensor]):
        tensor = convert.convert_to_tensor(tensor, name="tensor")
        if tensor.dtype.base_dtype != kind:
            raise TypeError(
                f"{message or ''}  {tensor.name} must be of type {kind!r}; got {tensor.dtype!r}"
            )
        return no_op("statically_determined_correct_type")


def _checked_scalar(rank: Tensor) -> Tensor:
    """`rank`, once it is certain that it is a scalar."""
    from ckpt.ops.control import with_dependencies

    if rank.shape.rank == 0:
        return rank
    is_scalar = compare.equal(shaping.rank(rank), 0)
    check = Assert(is_scalar, ["Rank must be a scalar. Received rank: ", rank])
    found: Tensor = with_dependencies([check], rank)
    return found


def _rank_assert(opname: str, symbol: str, accepts: Any) -> Any:
    def assertion(
        x: Any,
        rank: Any,
        data: Any = None,
        summarize: int | None = None,
        message: Any = None,
        name: str | None = None,
    ) -> Operation:
        from ckpt.ops.control import no_op

        with name_scope(name, opname, [x, rank, data]):
            x = convert.convert_to_tensor(x, name="x")
            rank_t = convert.convert_to_tensor(rank, name="rank")
            shape = shaping.shape(x)
            if not rank_t.dtype.is_integer:
                raise TypeError("Rank must be an integer tensor")
            assert_type(rank_t, dtypes.int32)
            if rank_t.shape.rank not in (None, 0):
                raise ValueError(f"{message or ''} Rank must be a scalar.")
            wanted = constant_value(rank_t)
            if wanted is not None and np.ndim(wanted):
                raise ValueError("Rank must be a scalar.")
            if wanted is not None and x.shape.rank is not None:
                if not accepts(x.shape.rank, int(wanted)):
                    raise ValueError(
                        f"{message or ''}  Tensor {x.name} must have rank {symbol}{int(wanted)}.  "
                        f"Received rank {x.shape.rank}, shape {x.shape}"
                    )
                return no_op("static_checks_determined_all_ok")
            rank_t = _checked_scalar(rank_t)
            test = compare.equal if not symbol else compare.greater_equal
            if data is None:
                data = [
                    message or "",
                    f"Tensor {x.name} must have rank",
                    rank_t,
                    "Received shape: ",
                    shape,
                ]
            return Assert(test(shaping.rank(x), rank_t), data, summarize=summarize)

    assertion.__doc__ = f"Fails unless the rank of `x` is {symbol}`rank`."
    assertion.__name__ = opname
    return assertion


assert_rank = _rank_assert("assert_rank", "", lambda have, want: have == want)
assert_rank_at_least = _rank_assert("assert_rank_at_least", "at least ", lambda have, want: have >= want)  # fmt: skip


def assert_rank_in(
    x: Any, ranks: Any, data: Any = None, summarize: int | None = None, message: Any = None,
    name: str | None = None,
) -> Operation:  # fmt: skip
    """Fails unless the rank of `x` is one of `ranks`."""
    from ckpt.ops.control import no_op

    with name_scope(name, "assert_rank_in", [x, data]):
        x = convert.convert_to_tensor(x, name="x")
        tensors = [convert.convert_to_tensor(r, name="rank") for r in ranks]
        shape = shaping.shape(x)
        for t in tensors:
            if not t.dtype.is_integer:
                raise TypeError("Rank must be an integer tensor")
            assert_type(t, dtypes.int32)
            if t.shape.rank not in (None, 0):
                raise ValueError(f"{message or ''} Rank must be a scalar.")
        wanted = [constant_value(t) for t in tensors]
        if any(w is not None and np.ndim(w) for w in wanted):
            raise ValueError("Rank must be a scalar.")
        if x.shape.rank is not None and all(w is not None for w in wanted):
            if x.shape.rank not in [int(w) for w in wanted]:
                raise ValueError(
                    f"{message or ''}  Tensor {x.name} must have rank in {tuple(int(w) for w in wanted)}.  "
                    f"Received rank {x.shape.rank}, shape {x.shape}"
                )
            return no_op("static_checks_determined_all_ok")
        tensors = [_checked_scalar(t) for t in tensors]
        rank = shaping.rank(x)
        fits = [compare.equal(t, rank) for t in tensors]
        found = functools.reduce(compare.logical_or, fits)
        shown = data or [
            message or "",
            f"Tensor {x.name} must have rank in",
            *tensors,
            "Received shape: ",
            shape,
        ]
        return Assert(found, shown, summarize=summarize)


def assert_scalar(tensor: Any, name: str | None = None, message: Any = None) -> Tensor:
    """`tensor`. Raises ValueError when its static shape is not that of a scalar."""
    with name_scope(name, "assert_scalar", [tensor]):
        tensor = convert.convert_to_tensor(tensor)
        if tensor.shape.rank != 0:
            raise ValueError(f"Expected scalar shape, saw shape: {tensor.shape}.")
        return tensor


def assert_proper_iterable(values: Any) -> None:
    """Raises TypeError unless `values` is an iterable that is neither a string, an array nor a tensor."""
    unintended = (Tensor, np.ndarray, bytes, str)
    if isinstance(values, unintended) or hasattr(values, "dense_shape"):
        raise TypeError(
            f'Expected argument "values" to be a "proper" iterable.  Found: {type(values)}'
        )
    if not hasattr(values, "__iter__"):
        raise TypeError(f'Expected argument "values" to be iterable.  Found: {type(values)}')


def is_numeric_tensor(tensor: Any) -> bool:
    """True for a tensor of a number dtype."""
    return isinstance(tensor, Tensor) and (
        tensor.dtype.base_dtype in dtypes.NUMERIC or tensor.dtype.is_quantized
    )


def assert_same_float_dtype(tensors: Any = None, dtype: Any = None) -> DType:
    """The floating dtype of all `tensors`, float32 where nothing says one.

    Raises ValueError where they (or `dtype`) differ, or are not floating.
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype).base_dtype
    first = None
    for tensor in tensors or ():
        found = tensor.dtype.base_dtype
        if wanted is None:
            wanted, first = found, tensor
        elif found != wanted:
            as_first = f" as {first.name}" if first is not None else ""
            raise ValueError(
                f"{tensor.name}, type={found}, must be of the same type ({wanted}){as_first}."
            )
    wanted = dtypes.float32 if wanted is None else wanted
    if not wanted.is_floating:
        raise ValueError(f"Expected floating point type, got {wanted}.")
    return wanted


def _neighbours(x: Any) -> tuple[Tensor, Tensor]:
    """Each element but the last, read row by row, and the one behind it."""
    flat = shaping.reshape(convert.convert_to_tensor(x, name="x"), [-1])
    return flat[:-1], flat[1:]


def is_non_decreasing(x: Any, name: str | None = None) -> Tensor:
    """True when no element of `x`, read row by row, is less than the one before."""
    with name_scope(name, "is_non_decreasing", [x]):
        return reduction.reduce_all(compare.less_equal(*_neighbours(x)))


def is_strictly_increasing(x: Any, name: str | None = None) -> Tensor:
    """True when each element of `x`, read row by row, is greater than the one before."""
    with name_scope(name, "is_strictly_increasing", [x]):
        return reduction.reduce_all(compare.less(*_neighbours(x)))
