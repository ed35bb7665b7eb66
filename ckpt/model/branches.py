"""`cond`, `case` and `switch_case`: functions of which one runs, as If and Case nodes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ckpt.core import dtypes, nest
from ckpt.graph import convert, stack
from ckpt.graph.function import FuncGraph, function_name, register, take_arguments
from ckpt.graph.opdef import OPS
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.scopes import control_dependencies, name_scope
from ckpt.model.composites import flat_tensors, packed, tensors_of
from ckpt.ops import casting, compare, control, joining, reduction


def cond(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    strict: bool = False,
    name: str | None = None,
    fn1: Callable[[], Any] | None = None,
    fn2: Callable[[], Any] | None = None,
) -> Any:
    """What `true_fn()` returns where `pred` holds, else what `false_fn()` returns; only that one runs.

    Both return the same nest of tensors (ValueError, TypeError). A list of one is unpacked unless `strict`.
    Raises TypeError when a function cannot be called or `pred` is a Python bool.
    """
    true_fn = _only(true_fn, fn1, "true_fn", "fn1")
    false_fn = _only(false_fn, fn2, "false_fn", "fn2")
    with name_scope(name, "cond", [pred] if isinstance(pred, Tensor) else []):
        if isinstance(pred, bool):
            raise TypeError("'pred' must not be a Python bool.")
        pred = _condition(pred)
        then = _Branch("cond_true", true_fn, "true_fn", strict, pred)
        other = _Branch("cond_false", false_fn, "false_fn", strict, pred)
        _check_alike(then, other)
        results = branch_node("If", pred, [then.graph, other.graph], "If")
        return packed(then.structure, [control.identity(t, name="Merge") for t in results])


def _only(function: Any, old: Any, name: str, old_name: str) -> Any:
    if old is not None:
        if function is not None:
            raise TypeError(f"cond(): '{name}' and '{old_name}' may not be set simultaneously.")
        function = old
    elif function is None:
        raise TypeError(f"cond(): '{name}' argument required")
    if not callable(function):
        raise TypeError(f"'{name}' must be callable.")
    return function


def _condition(pred: Any) -> Tensor:
    tensor = convert.convert_to_tensor(pred, name="pred")
    if tensor.dtype.base_dtype != dtypes.bool_:
        raise TypeError(
            f"Input 'pred' of 'Switch' Op has type {tensor.dtype.base_dtype.name} that does not match expected type "
            "of bool."
        )
    tensor.shape.with_rank(0)
    return tensor


class _Branch:
    """One function, called once to build its graph."""

    def __init__(
        self, prefix: str, function: Callable[[], Any], what: str, strict: bool, pred: Any = True
    ) -> None:
        outer = stack.get_default_graph()
        self.graph = FuncGraph(function_name(outer, prefix), outer)
        register(self.graph)
        self.what = what
        with self.graph.as_default():
            returned = function()
            if returned is None:
                raise ValueError(f"'{what}' must have a return value.")
            if not strict and isinstance(returned, (list, tuple)) and len(returned) == 1:
                returned = returned[0]
            leaves = [_leaf(value, pred) for value in nest.flatten(returned)]
            self.structure = nest.pack_sequence_as(returned, leaves)
            tensors = flat_tensors(self.structure)
            if not tensors:
                raise ValueError("'true_fn' and 'false_fn' must return at least one result.")
            self.graph.outputs = [self._plain(self.graph.capture(t)) for t in tensors]

    @staticmethod
    def _plain(tensor: Tensor) -> Tensor:
        return control.identity(tensor) if tensor.dtype._is_ref_dtype else tensor


def _leaf(value: Any, pred: Any) -> Any:
    """A returned value that is a tensor or made of tensors; an operation becomes `pred`, once it has run."""
    if isinstance(value, Operation):
        with control_dependencies([value]):
            return control.identity(pred)
    if not hasattr(value, "graph") or hasattr(value, "_ref"):
        return tensors_of(value)[0]
    return value


def _check_alike(first: _Branch, second: _Branch) -> None:
    try:
        nest.assert_same_structure(first.structure, second.structure)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"Incompatible return values of '{first.what}' and '{second.what}': {error}"
        ) from None
    ours, theirs = first.graph.outputs, second.graph.outputs
    if len(ours) != len(theirs):
        raise ValueError(
            f"'{first.what}' and '{second.what}' must return the same number of tensors"
        )
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.dtype.base_dtype != b.dtype.base_dtype:
            if {a.dtype.base_dtype, b.dtype.base_dtype} == dtypes.INDEX and ours[i - 1 :]:
                for branch, tensor in ((first, a), (second, b)):
                    with branch.graph.as_default():
                        branch.graph.outputs[i] = casting.cast(tensor, dtypes.int64)
                continue
            raise ValueError(
                f"Outputs of '{first.what}' and '{second.what}' must have the same type(s). Received "
                f"{a.dtype.name} from '{first.what}' and {b.dtype.name} from '{second.what}'."
            )


def branch_node(
    op_type: str, index: Tensor, bodies: Sequence[FuncGraph], name: str | None
) -> list[Tensor]:
    """Add an If or Case over these bodies, or a call of the only one, to the default graph; its outputs."""
    graph = stack.get_default_graph()
    sources = take_arguments(graph, bodies)
    shapes = []
    for column in zip(*[body.outputs for body in bodies], strict=True):
        shape = column[0].shape
        for tensor in column[1:]:
            shape = shape.most_specific_compatible_shape(tensor.shape)
        shapes.append(shape)
    attrs: dict[str, Any] = {
        "Tin": [s.dtype.base_dtype for s in sources],
        "Tout": [t.dtype.base_dtype for t in bodies[0].outputs],
    }
    funcs = [register(body) for body in bodies]
    inputs = [index, *sources]
    if op_type == "If":
        attrs |= {"Tcond": index.dtype.base_dtype, "output_shapes": shapes}
        attrs |= {"then_branch": funcs[0], "else_branch": funcs[1]}
    elif op_type == "Case":
        attrs |= {"branches": funcs, "output_shapes": shapes}
    else:
        attrs |= {"f": funcs[0], "config": "", "config_proto": "", "executor_type": ""}
        inputs = sources
    controls = dict.fromkeys(op for body in bodies for op in body.awaited_outside())
    with control_dependencies(list(controls)):
        node = graph.add(
            op_type, OPS[op_type], inputs, attrs, graph.unique_op_name(name or op_type)
        )
    if op_type not in ("If", "Case"):
        for tensor, shape in zip(node.outputs, shapes, strict=True):
            tensor.set_shape(shape)
    return list(node.outputs)


def switch_case(
    branch_index: Any,
    branch_fns: Any,
    default: Callable[[], Any] | None = None,
    name: str = "switch_case",
) -> Any:
    """What `branch_fns[branch_index]()` returns; `default` (else the last) where the index is out of range.

    `branch_fns` is a list of functions, or pairs or a dict of index and function. Raises TypeError and ValueError
    for others.
    """
    with name_scope(name, "switch_case", [branch_index]):
        if not isinstance(branch_index, Tensor):
            raise TypeError(f"'branch_index' must be a Tensor, got {type(branch_index)}")
        if not branch_index.dtype.is_integer:
            raise TypeError(f"'branch_index' must be an integer Tensor, got {branch_index.dtype}")
        index = casting.cast(branch_index, dtypes.int32)
        functions = _indexed(branch_fns, default)
        branches = [
            _Branch(f"switch_case_{i}", f, f"branch {i}", False) for i, f in enumerate(functions)
        ]
        for other in branches[1:]:
            _check_alike(branches[0], other)
        results = branch_node("Case", index, [b.graph for b in branches], "Case")
        return packed(branches[0].structure, [control.identity(t, name="Merge") for t in results])


def _indexed(branch_fns: Any, default: Any) -> list[Callable[[], Any]]:
    if not branch_fns:
        raise ValueError("Must provide at least one item in 'branch_fns'")
    if not isinstance(branch_fns, (list, tuple, dict)):
        raise TypeError("'branch_fns' must be a list, tuple, or dict")
    pairs: list[Any] = list(branch_fns.items() if isinstance(branch_fns, dict) else branch_fns)
    if all(callable(member) for member in pairs):
        pairs = list(enumerate(pairs))
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(f"Each entry in 'branch_fns' must be a 2-tuple. Received {pair}.")
        if not isinstance(pair[0], int):
            raise TypeError(f"key must be a Python `int`, got {type(pair[0])}")
        if not callable(pair[1]):
            raise TypeError(f"fn for key {pair[0]} must be callable.")
    keys = [key for key, _ in pairs]
    if sorted(keys) != list(range(len(keys))):
        raise ValueError(
            f"branch indices (keys) must form contiguous range of [0 to {len(keys)}) but found "
            f"{{{','.join(map(str, sorted(keys)))}}}"
        )
    functions = [function for _, function in sorted(pairs, key=lambda pair: pair[0])]
    return functions if default is None else [*functions, default]


def case(
    pred_fn_pairs: Any,
    default: Callable[[], Any] | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """What the function of the first predicate that holds returns, else what `default()` does.

    Without `default` it is an error (InvalidArgumentError when run) that none holds; with `exclusive`, that several
    do. Raises TypeError for pairs that are none.
    """
    with name_scope(name, "case"):
        pairs = _checked_pairs(pred_fn_pairs)
        predicates = [pred for pred, _ in pairs]
        if default is not None and not callable(default):
            raise TypeError("default must be callable.")
        controls = []
        if exclusive:
            controls.append(_at_most_one(predicates))
        if default is None:
            default = _guarded(pairs.pop(), predicates)
        with control_dependencies(controls):
            return _chain(pairs, default, strict)


def _chain(
    pairs: Sequence[tuple[Any, Callable[[], Any]]], default: Callable[[], Any], strict: bool
) -> Any:
    if not pairs:
        return default()
    (pred, function), *others = pairs
    following = (lambda: _chain(others, default, strict)) if others else default
    return cond(pred, function, following, strict=strict, name="cond")


def _guarded(last: tuple[Any, Callable[[], Any]], predicates: Sequence[Any]) -> Callable[[], Any]:
    pred, function = last

    def guarded() -> Any:
        names = ", ".join(p.name for p in predicates)
        message = f"Input error: None of conditions ({names}) evaluated as True:"
        check = OPS["Assert"](pred, [message, convert.convert_to_tensor(predicates)])
        with control_dependencies([check]):
            return nest.map_structure(
                lambda v: control.identity(v) if isinstance(v, Tensor) else v, function()
            )

    return guarded


def _at_most_one(predicates: Sequence[Any]) -> Operation:
    held = joining.stack(list(predicates), name="preds_c")
    count = reduction.reduce_sum(casting.cast(held, dtypes.int32), name="num_true_conds")
    at_most_one = compare.less(count, 2, name="two_true_conds")
    names = ", ".join(p.name for p in predicates)
    message = f"Input error: exclusive=True: more than 1 conditions ({names}) evaluated as True:"
    made: Operation = OPS["Assert"](at_most_one, [message, held])
    return made


def _checked_pairs(pred_fn_pairs: Any) -> list[tuple[Any, Callable[[], Any]]]:
    if not isinstance(pred_fn_pairs, (list, tuple, Mapping)):
        raise TypeError(
            f"'pred_fn_pairs' must be a list, tuple, or dict. Received: {type(pred_fn_pairs)}"
        )
    if isinstance(pred_fn_pairs, OrderedDict):
        pairs: list[Any] = list(pred_fn_pairs.items())
    elif isinstance(pred_fn_pairs, Mapping):
        pairs = sorted(pred_fn_pairs.items(), key=lambda item: str(item[0].name))
    else:
        pairs = list(pred_fn_pairs)
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(f"Each entry in 'pred_fn_pairs' must be a 2-tuple. Received {pair}.")
        pred, function = pair
        if not isinstance(pred, Tensor):
            raise TypeError(f"pred must be a Tensor, got: {pred}")
        if pred.dtype.base_dtype != dtypes.bool_:
            raise TypeError(f"pred must be Tensor of type bool: {pred.name}")
        if not callable(function):
            raise TypeError(f"fn for pred {pred.name} must be callable.")
    return pairs
