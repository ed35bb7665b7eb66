"""Does the result compute what the originals compute? Both are run on the same inputs and their outputs compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ckpt.compose.chain import Chain
from ckpt.compose.models import Model
from ckpt.core.errors import GraphError, InvalidArgumentError
from ckpt.graph.operation import Operation, Tensor
from ckpt.run.prune import needed_nodes

Compare = str | Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class CheckedOutput:
    """One output: its name, whether it agrees, and how far the two are apart (nan where that is no number)."""

    name: str
    is_equal: bool
    max_difference: float
    note: str = ""

    def __str__(self) -> str:
        verdict = "agrees" if self.is_equal else "DIFFERS"
        return f"{self.name}: {verdict}, at most {self.max_difference:g} apart{self.note}"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found: every output compared, and those left out because they are random or need other inputs."""

    outputs: Sequence[CheckedOutput]
    skipped: Mapping[str, str]
    inputs: Mapping[str, Any]

    @property
    def is_equal(self) -> bool:
        """True when every output agrees."""
        return all(output.is_equal for output in self.outputs)

    def assert_equal(self) -> None:
        """Raise InvalidArgumentError listing the outputs that differ."""
        wrong = [f"  {output}" for output in self.outputs if not output.is_equal]
        if wrong:
            raise InvalidArgumentError(
                None,
                None,
                f"{len(wrong)} of {len(self.outputs)} outputs differ from the originals:\n"
                + "\n".join(wrong),
            )

    def __str__(self) -> str:
        lines = [str(output) for output in self.outputs]
        lines += [f"{name}: left out, {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)


def check(
    originals: Any,
    result: Any,
    *,
    connect: Mapping[str, str] | None = None,
    inputs: Mapping[str, Any] | None = None,
    outputs: Iterable[str] | None = None,
    names: Mapping[str, str] | None = None,
    compare: Compare = "equal",
    rtol: float = 1e-5,
    atol: float = 1e-6,
    seed: int = 0,
    batch: int = 2,
) -> CheckReport:
    """Run the originals and the result on the same inputs and compare their outputs.

    * `originals`: one saved model (path or `Model`), or a dict of them, chained as `connect` says; their tensors are then
      named "part/tensor:0". `result` is a saved model or a `Model`.
    * `inputs`: by the original's names; inputs that are not given are drawn with `seed`: [`batch`, ...] where sizes are
      unknown, numbers from 0 to 1, integers 0 or 1. `outputs`: by default all that nothing else uses.
    * `names`: from names in the originals to names in the result, where they differ.
    * `compare`: "equal" (every bit but the sign of zeros and NaN), "allclose" (with `rtol` and `atol`), or a function of
      two arrays.

    Outputs that differ between two runs of the originals are random, and left out, as are those that the result lacks
    unless they were asked for. Raises GraphError for names that do not exist and when nothing is left to compare.
    """
    chain = _chained(originals, connect or {})
    target = result if isinstance(result, Model) else Model(result)
    is_same = _comparison(compare, rtol, atol)
    prefix = "" if isinstance(originals, Mapping) else "/"
    wanted = _outputs(chain, None if outputs is None else [prefix + name for name in outputs])
    given = {prefix + name: value for name, value in (inputs or {}).items()}
    feeds = {**_drawn(chain, wanted, given, seed, batch), **given}
    renames = _renames(names or {}, prefix)
    checked, skipped = [], {}
    for name in wanted:
        shown = name.removeprefix("/")
        if outputs is None and not _is_there(target, renames, name):
            skipped[shown] = "the result lacks it"
            continue
        try:
            first, again = (chain.run(name, _relevant(chain, name, feeds)) for _ in range(2))
        except InvalidArgumentError as error:
            skipped[shown] = f"the original cannot compute it: {error.message.splitlines()[0]}"
            continue
        if not _equal(first, again):
            skipped[shown] = "it is random"
            continue
        found = _run_result(target, name, feeds, renames, chain)
        same = bool(is_same(first, found))
        checked.append(CheckedOutput(shown, same, _difference(first, found)))
    if not checked:
        raise GraphError(
            "there is nothing to compare"
            + "".join(f"\n  {name}: {why}" for name, why in skipped.items())
            + "\nName the outputs, and give the inputs that they need"
        )
    return CheckReport(checked, skipped, {k.removeprefix("/"): v for k, v in feeds.items()})


def _chained(originals: Any, connect: Mapping[str, str]) -> Chain:
    """The originals as a chain; one alone is called "", so that its names begin with a slash."""
    parts = originals if isinstance(originals, Mapping) else {"": originals}
    models = {
        name: part if isinstance(part, Model) else Model(part, name) for name, part in parts.items()
    }
    return Chain(_in_order(models, connect), connect)


def _in_order(models: Mapping[str, Model], connect: Mapping[str, str]) -> dict[str, Model]:
    """The models such that sources come first, otherwise as given."""
    waits = {name: set[str]() for name in models}
    for destination, source in connect.items():
        to, origin = destination.partition("/")[0], source.partition("/")[0]
        if to in waits and origin in waits:
            waits[to].add(origin)
    found: dict[str, Model] = {}
    while len(found) < len(models):
        left = [name for name in models if name not in found]
        ready = [name for name in left if waits[name] <= found.keys()]
        name = (ready or left)[0]  # in a circle any order is wrong, which Chain says
        found[name] = models[name]
    return found


def _comparison(compare: Compare, rtol: float, atol: float) -> Callable[[Any, Any], bool]:
    if callable(compare):
        return compare
    if compare == "equal":
        return _equal
    if compare == "allclose":
        return lambda x, y: bool(
            np.shape(x) == np.shape(y) and np.allclose(x, y, rtol, atol, equal_nan=True)
        )
    raise ValueError(f"compare is 'equal', 'allclose' or a function, not {compare!r}")


def _equal(first: Any, second: Any) -> bool:
    x, y = np.asarray(first), np.asarray(second)
    is_number = np.issubdtype(x.dtype, np.inexact) and np.issubdtype(y.dtype, np.inexact)
    return x.dtype == y.dtype and np.array_equal(x, y, equal_nan=bool(is_number))


def _difference(first: Any, second: Any) -> float:
    x, y = np.asarray(first), np.asarray(second)
    if x.shape != y.shape or not (
        np.issubdtype(x.dtype, np.number) and np.issubdtype(y.dtype, np.number)
    ):
        return 0.0 if _equal(x, y) else float("nan")
    if not x.size:
        return 0.0
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    return float(np.max(np.where(same, 0, np.abs(x.astype(complex) - y))))


def _outputs(chain: Chain, outputs: list[str] | None) -> list[str]:
    """The names of the outputs: those given, or every tensor that nothing takes and no update makes."""
    if outputs is not None:
        for name in outputs:
            chain._end(name)
        return outputs
    return [
        f"{name}/{tensor.name}" for name, model in chain.models.items() for tensor in _leaves(model)
    ]


def _leaves(model: Model) -> list[Tensor]:
    graph = model.graph
    taken = {t for op in graph.get_operations() for t in op.inputs}
    found = []
    for op in graph.get_operations():
        if op.outputs and taken.isdisjoint(op.outputs) and not op.outputs[0].dtype._is_ref_dtype:
            needs = needed_nodes([op], ())
            if any(n.type.startswith("Placeholder") for n in needs) and not any(
                _has_effects(n) for n in needs
            ):
                found += op.outputs
    return found


def _has_effects(op: Operation) -> bool:
    """True for an operation that changes variables or files, or whose type is unknown."""
    if op.opdef is None:
        return True
    return op.type in ("SaveV2", "RestoreV2") or any(arg.is_ref for arg in op.opdef.inputs)


def _needs(chain: Chain, name: str) -> list[tuple[str, Tensor]]:
    """The placeholders of all models that an output needs and no wire fills."""
    model, tensor = chain._end(name)
    pending, seen, found = [(model, tensor)], set(), []
    filled = {target: source for target, source in chain.wires}
    while pending:
        end = pending.pop()
        if end in seen:
            continue
        seen.add(end)
        wired = {x for (to, x) in filled if to == end[0]}
        for op in needed_nodes([end[1].op], wired):
            for t in (*op.inputs, *op.outputs):
                if (end[0], t) in filled:
                    pending.append(filled[end[0], t])
            if op.type == "Placeholder" and (end[0], op.outputs[0]) not in filled:
                found.append((end[0], op.outputs[0]))
    return list(dict.fromkeys(found))


def _relevant(chain: Chain, name: str, feeds: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {f"{model}/{tensor.name}" for model, tensor in _needs(chain, name)}
    return {key: value for key, value in feeds.items() if _named(key) in wanted}


def _named(key: str) -> str:
    return key if ":" in key else f"{key}:0"


def _drawn(
    chain: Chain, wanted: Sequence[str], given: Mapping[str, Any], seed: int, batch: int
) -> dict[str, Any]:
    """Values for the inputs that are needed and not given."""
    rng = np.random.default_rng(seed)
    known = {_named(name) for name in given}
    found: dict[str, Any] = {}
    for name in wanted:
        for model, tensor in _needs(chain, name):
            key = f"{model}/{tensor.name}"
            if key not in known and key not in found:
                found[key] = _value(tensor, rng, batch)
    return found


def _value(tensor: Tensor, rng: np.random.Generator, batch: int) -> Any:
    sizes = [batch if s is None else s for s in tensor.shape.sizes or ()]
    dtype = tensor.dtype.base_dtype
    if dtype.name == "string":
        return np.full(sizes, b"", object)
    kind = dtype.as_numpy_dtype
    if dtype.is_integer or dtype.name == "bool":
        return rng.integers(0, 2, sizes).astype(kind)
    return rng.random(sizes).astype(kind)


def _renames(names: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The names with the index of the output dropped, so that they serve for all outputs of a node."""
    return {
        prefix + old.rpartition(":")[0] if ":" in old else prefix + old: new.rpartition(":")[0]
        if ":" in new
        else new
        for old, new in names.items()
    }


def _there(renames: Mapping[str, str], original: str) -> str:
    """The name in the result of a tensor of the originals."""
    node, _, index = _named(original).rpartition(":")
    return f"{renames.get(node, node.removeprefix('/'))}:{index}"


def _is_there(target: Model, renames: Mapping[str, str], name: str) -> bool:
    try:
        target.tensor(_there(renames, name))
    except KeyError:
        return False
    return True


def _run_result(
    target: Model, name: str, feeds: Mapping[str, Any], renames: Mapping[str, str], chain: Chain
) -> Any:
    relevant = _relevant(chain, name, feeds)
    try:
        wanted = target.tensor(_there(renames, name))
        fed = {target.tensor(_there(renames, key)): value for key, value in relevant.items()}
    except KeyError as error:
        raise GraphError(f"the result lacks what the originals have: {error.args[0]}") from None
    return target.run(wanted, fed)
