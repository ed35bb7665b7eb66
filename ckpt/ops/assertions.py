"""`assert_…` on the values and dtypes of tensors: refused while building where that is known, else when run."""

from __future__ import annotations

from typing import Any

import numpy as np

from ckpt.core import dtypes
from ckpt.core.dtypes import DType
from ckpt.core.errors import InvalidArgumentError
from ckpt.core.shapes import broadcast
from ckpt.graph import convert
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import name_scope
from ckpt.graph.static import constant_value
from ckpt.ops import compare, control, elementwise, reduction, shaping
from ckpt.ops.checking import Assert


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
        with name_scope(name, opname, [x, y, data]):
            x = convert.convert_to_tensor(x, name="x")
            y = convert.convert_to_tensor(y, name="y")
            values = [constant_value(t) for t in (x, y)]
            if data is None:
                data = [*_fails(message, f"x {symbol} y"),
                    f"x ({x.name}) = ", x, f"y ({y.name}) = ", y]  # fmt: skip
            if all(v is not None for v in values) and shapes_fit(x, y):
                if _numpy_condition(symbol, *values):
                    return control.no_op("static_checks_determined_all_ok")
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
    with name_scope(name, "assert_equal", [x, y, data]):
        if x is y:
            return control.no_op()
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
    with name_scope(name, "assert_integer", [x]):
        x = convert.convert_to_tensor(x, name="x")
        if not x.dtype.is_integer:
            raise TypeError(
                f'{message or ""}  Expected "x" to be integer type.  Found: {x.dtype} of Tensor {x.name}'
            )
        return control.no_op("statically_determined_was_integer")


def assert_type(
    tensor: Any, tf_type: Any, message: Any = None, name: str | None = None
) -> Operation:
    """Raises TypeError unless `tensor` is of dtype `tf_type`."""
    kind = dtypes.as_dtype(tf_type)
    with name_scope(name, "assert_type", [tensor]):
        tensor = convert.convert_to_tensor(tensor, name="tensor")
        if tensor.dtype.base_dtype != kind:
            raise TypeError(
                f"{message or ''}  {tensor.name} must be of type {kind!r}; got {tensor.dtype!r}"
            )
        return control.no_op("statically_determined_correct_type")


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
