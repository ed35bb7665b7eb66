"""Models that stay in separate graphs, run one after another: the output of one is fed to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ckpt.compose.models import Model
from ckpt.core.errors import GraphError
from ckpt.graph.operation import Tensor

_End = tuple[str, Tensor]


class Chain:
    """`connect` maps inputs to outputs, "later/x:0" to "earlier/features:0"; every other input is fed by the caller.

    Raises GraphError, all problems at once, for endpoints that do not exist, dtypes or shapes that do not fit, and
    connections that run backwards.
    """

    def __init__(self, models: Mapping[str, Model], connect: Mapping[str, str]) -> None:
        self.models = dict(models)
        self.order = list(models)
        self.wires = [self._wire(target, source) for target, source in connect.items()]
        problems = [p for target, source in self.wires for p in self._problems(target, source)]
        if problems:
            raise GraphError(
                "the chain cannot be connected:\n" + "\n".join(f"  {p}" for p in problems)
            )

    def _wire(self, target: str, source: str) -> tuple[tuple[str, Tensor], tuple[str, Tensor]]:
        return self._endpoint(target), self._endpoint(source)

    def _endpoint(self, name: str) -> tuple[str, Tensor]:
        model, _, rest = name.partition("/")
        if model not in self.models:
            raise GraphError(f"'{name}' names no model; the models are {', '.join(self.models)}")
        try:
            return model, self.models[model].tensor(rest)
        except KeyError as error:
            raise GraphError(f"'{name}': {error.args[0]}") from None

    def _problems(self, target: tuple[str, Tensor], source: tuple[str, Tensor]) -> list[str]:
        (to, x), (origin, y) = target, source
        found = []
        if self.order.index(origin) >= self.order.index(to):
            found.append(
                f"{origin}/{y.name} -> {to}/{x.name} runs backwards: put '{origin}' before '{to}'"
            )
        if x.dtype.base_dtype != y.dtype.base_dtype:
            found.append(f"{origin}/{y.name} is {y.dtype.name}, {to}/{x.name} takes {x.dtype.name}")
        if not x.shape.is_compatible_with(y.shape):
            found.append(f"{origin}/{y.name} has shape {y.shape}, {to}/{x.name} takes {x.shape}")
        return found

    def run(self, fetches: str | Sequence[str], feed_dict: Mapping[str, Any] | None = None) -> Any:
        """The values of "model/tensor:0" fetches; feeds are named the same way."""
        names = [fetches] if isinstance(fetches, str) else list(fetches)
        wanted = {name: self._endpoint(name) for name in names}
        feeds: dict[str, dict[Tensor, Any]] = {name: {} for name in self.order}
        for name, value in (feed_dict or {}).items():
            model, tensor = self._endpoint(name)
            feeds[model][tensor] = value
        results: dict[tuple[str, Tensor], Any] = {}
        given = {(model, tensor) for model, tensors in feeds.items() for tensor in tensors}
        for name in self._needed(wanted.values(), given):
            outputs = {t for m, t in wanted.values() if m == name} | {
                y for _, (m, y) in self.wires if m == name
            }
            values = self.models[name].run(list(outputs), feeds[name])
            results.update(((name, t), v) for t, v in zip(outputs, values, strict=True))
            for (to, x), (origin, y) in self.wires:
                if origin == name:
                    feeds[to].setdefault(x, results[name, y])
        found = [results[wanted[name]] for name in names]
        return found[0] if isinstance(fetches, str) else found

    def _needed(self, endpoints: Iterable[_End], given: set[_End]) -> list[str]:
        """The models that must run for these endpoints, in order; inputs that are given need no source."""
        last = {model for model, _ in endpoints}
        needed = set(last)
        for name in reversed(self.order):
            if name in needed:
                needed |= {o for to, (o, _) in self.wires if to[0] == name and to not in given}
        return [name for name in self.order if name in needed]


def chain(models: Mapping[str, Model], connect: Mapping[str, str]) -> Chain:
    """The models as one pipeline, their graphs still separate. See `Chain`."""
    return Chain(models, connect)
