"""Starting from the values of another model, also where the vocabulary has changed: `tf.train.warm_start`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ckpt.core import dtypes, selectors
from ckpt.core.errors import SelectionError
from ckpt.core.shapes import TensorShape
from ckpt.core.spelling import similar
from ckpt.core.system import StrPath
from ckpt.graph import convert, stack
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Tensor
from ckpt.graph.scopes import device, name_scope
from ckpt.model import initializers
from ckpt.model.partitioned import PartitionedVariable
from ckpt.model.save_slices import SaveSliceInfo
from ckpt.model.selection import name_of, select_variables
from ckpt.model.variables import Variable
from ckpt.ops import compare, constants, elementwise, indexing, io, joining, shaping, vocabulary
from ckpt.saver import readers
from ckpt.saver.init_from import Held, Start, by_name, check_any, initialize_with

if TYPE_CHECKING:
    from typing import Self


class _VocabInfo(NamedTuple):
    new_vocab: str
    new_vocab_size: int
    num_oov_buckets: int
    old_vocab: str
    old_vocab_size: int = -1
    backup_initializer: Any = None
    axis: int = 0


class VocabInfo(_VocabInfo):
    """How a dimension of a variable follows a vocabulary: text files with one entry a line, the new and the old one.

    The variable has `new_vocab_size` entries along `axis` (0 or 1, else ValueError), then `num_oov_buckets` for all
    others. Only the first `old_vocab_size` old entries count (-1: all); the file must have as many.
    `backup_initializer` makes the values of entries that are new (zeros when None).
    """

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """The fields in their order. Raises ValueError for another axis than 0 and 1."""
        found = super().__new__(cls, *args, **kwargs)
        if found.axis not in (0, 1):
            raise ValueError(
                f"The only supported values for the axis argument are 0 and 1. Provided axis: {found.axis}"
            )
        return found


def warm_start(
    ckpt_to_initialize_from: StrPath,
    vars_to_warm_start: Any = ".*",
    var_name_to_vocab_info: Mapping[str, VocabInfo] | None = None,
    var_name_to_prev_var_name: Mapping[str, str] | None = None,
    *,
    rename: Any = None,
) -> None:
    """Make running the initializers of variables take their values from a checkpoint (or the newest of a directory).

    `vars_to_warm_start` is a regular expression for names of trainable variables, a list of those for global variables,
    a list of variables, or None or an empty text: only those of `var_name_to_vocab_info`. Where a text can be no expression for a name
    (it begins with `@`, `!`, `re:` or `*`, or has a `**` in it), all are selectors among the global variables:
    `["@trainable", "!**/bias"]` (docs/restoring.md). `rename` are rules from the names in the checkpoint to those of the
    program; `var_name_to_prev_var_name` maps single names the other way round, to what the rules have made of those in
    the checkpoint. A variable with a VocabInfo gets for each entry the old values of that entry.

    Raises one ValueError listing names that no variable has, all that the checkpoint lacks, with the rules that would help,
    and what does not fit; SelectionError, which is one too, for expressions, selectors and rules that match nothing;
    NotFoundError when there is no checkpoint. Then no variable has changed. Missing vocabulary files are NotFoundErrors
    of the initializers.
    """
    path = readers.checkpoint_file(ckpt_to_initialize_from)
    grouped = _grouped(vars_to_warm_start)
    vocabularies = dict(var_name_to_vocab_info or {})
    previous = dict(var_name_to_prev_var_name or {})
    _check_used("var_name_to_prev_var_name", previous, grouped)
    _check_used("var_name_to_vocab_info", vocabularies, grouped)
    if vars_to_warm_start is None or vars_to_warm_start == "":
        grouped = {name: parts for name, parts in grouped.items() if name in vocabularies}
    sources = {name: previous.get(name, name) for name in grouped}
    held = Held(path, rename, set(sources.values()))
    check_any(path, grouped)
    starts = [
        Start(sources[name], tuple(parts), f"variable {name}")
        for name, parts in grouped.items()
        if name not in vocabularies
    ]
    problems = [
        _problem(name, grouped[name], info, sources[name], held)
        for name, info in vocabularies.items()
    ]
    held.check(starts, [problem for problem in problems if problem])
    held.start(starts)
    for name, info in vocabularies.items():
        source = held.sources[sources[name]]
        for part in grouped[name]:
            with name_scope("warm_start"):
                value = _remapped(part, info, path, source, held.shape(sources[name]) or [])
            initialize_with(part, value)


_NO_EXPRESSION = re.compile(r"[@!*]|re:|.*\*\*", re.DOTALL)
"""How selectors begin, and expressions for names cannot."""


def _grouped(wanted: Any) -> dict[str, list[Variable]]:
    """The variables by name, each with its parts. Raises ValueError for what is neither, and for what matches nothing."""
    graph = stack.get_default_graph()
    variables: list[Any]
    texts = [wanted] if isinstance(wanted, str) else wanted
    is_list = isinstance(texts, (list, tuple))
    if is_list and any(isinstance(text, str) and _NO_EXPRESSION.match(text) for text in texts):
        variables = select_variables(texts)
    elif wanted is None:
        variables = graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)
    elif not is_list:
        raise ValueError(
            f"vars_to_warm_start must be a `list` or `str`. Given type is {type(wanted)}"
        )
    elif all(isinstance(one, str) for one in texts):
        is_one = isinstance(wanted, str)
        key = GraphKeys.TRAINABLE_VARIABLES if is_one else GraphKeys.GLOBAL_VARIABLES
        variables = _matching(texts, graph.get_collection(key))
    elif all(isinstance(one, (Variable, PartitionedVariable)) for one in wanted):
        variables = [
            part
            for one in wanted
            for part in (one if isinstance(one, PartitionedVariable) else [one])
        ]
    else:
        raise ValueError(
            "If `vars_to_warm_start` is a list, it must be all `Variable` or all `str`. "
            f"Given types are {[type(one) for one in wanted]}"
        )
    return by_name(variables)


def _matching(texts: Sequence[str], variables: Sequence[Any]) -> list[Any]:
    """The variables whose names begin as an expression says. Raises SelectionError when no expression fits any."""
    expressions = [selectors.regex(text, text) for text in texts]
    found = [v for expression in expressions for v in variables if expression.match(v.name)]
    if not found and texts:
        near = [similar(text, map(name_of, variables)) for text in texts]
        lines = [f"  {text!r}{names}" for text, names in zip(texts, near, strict=True)]
        raise SelectionError(
            f"vars_to_warm_start matches none of {len(variables)} variables:\n" + "\n".join(lines)
        )
    return found


def _check_used(argument: str, given: Mapping[str, Any], grouped: Mapping[str, Any]) -> None:
    unused = [name for name in given if name not in grouped]
    if unused:
        raise ValueError(
            f"You provided the following variables in {argument} that were not used: {unused}. "
            f"Perhaps you misspelled them? Here is the list of viable variable names: {list(grouped)}"
        )


def _problem(name: str, parts: Sequence[Variable], info: VocabInfo, source: str, held: Held) -> str:
    """Why a variable cannot follow its vocabulary; "" when it can."""
    old = held.shape(source)
    if old is None:
        near = similar(source, held.sources)
        return f"{name}: Tensor {source} is not found in the checkpoint{near}"
    shape = _place(parts[0]).full_shape
    size = info.new_vocab_size + info.num_oov_buckets
    if len(shape) != len(old) or info.axis >= len(shape):
        return (
            f"{name}: has the shape {list(shape)}, the tensor {source} of the checkpoint has {old}"
        )
    if shape[info.axis] != size:
        return (
            f"{name}: has {shape[info.axis]} entries along axis {info.axis}, expected new_vocab_size "
            f"({info.new_vocab_size}) + num_oov_buckets ({info.num_oov_buckets}) = {size}"
        )
    if any(a != b for i, (a, b) in enumerate(zip(shape, old, strict=True)) if i != info.axis):
        return (
            f"{name}: has the shape {list(shape)}, the tensor {source} of the checkpoint has {old}; only axis "
            f"{info.axis} may differ"
        )
    return ""


def _place(part: Variable) -> SaveSliceInfo:
    """Where a part lies in the variable; of a whole variable, the whole."""
    info: SaveSliceInfo | None = part._get_save_slice_info()
    if info is not None:
        return info
    shape = list(part.shape.as_tuple())
    return SaveSliceInfo(part.op.name, shape, [0] * len(shape), shape)


def _remapped(
    part: Variable, info: VocabInfo, path: str, source: str, old_shape: Sequence[int]
) -> Tensor:
    """The values of a part: those of the old entries where there are, else what the backup initializer makes."""
    place, axis = _place(part), info.axis
    start, size = place.var_offset[axis], place.var_shape[axis]
    known = max(0, min(start + size, info.new_vocab_size) - start)
    fresh = _fresh(part, info)
    if not known:
        return fresh
    whole = SaveSliceInfo(
        source,
        list(old_shape),
        [0 if i == axis else n for i, n in enumerate(place.var_offset)],
        [old_shape[axis] if i == axis else n for i, n in enumerate(place.var_shape)],
    )
    with device("/cpu:0"):
        old = io.restore_v2(path, [source], [whole.spec], dtypes=[part.dtype.base_dtype])[0]
        places, _ = vocabulary.generate_vocab_remapping(
            info.new_vocab,
            info.old_vocab,
            new_vocab_offset=start,
            num_new_vocab=known,
            old_vocab_size=info.old_vocab_size,
        )
    if known < size:
        missing = constants.constant(-1, dtypes.int64, shape=[size - known])
        places = joining.concat([places, missing], 0)
    taken = indexing.gather(old, elementwise.maximum(places, 0), axis=axis)
    shape = [size if i == axis else 1 for i in range(len(place.var_shape))]
    is_old = shaping.reshape(compare.greater_equal(places, 0), shape)
    found: Tensor = compare.select_v2(is_old, taken, fresh)
    return found


def _fresh(part: Variable, info: VocabInfo) -> Tensor:
    make = info.backup_initializer or initializers.Zeros()
    found: Tensor = convert.convert_to_tensor(
        make(TensorShape(part.shape), dtype=part.dtype.base_dtype)
    )
    return found
