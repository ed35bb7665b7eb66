"""Models that stay in separate graphs, run one after another: outputs are fed forwards, gradients relayed backwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ckpt.compose.models import Model
from ckpt.compose.relay import (
    ChainGradient,
    ChainStep,
    End,
    Hop,
    Sweep,
    check_one_sweep,
    fetched_tensors,
    relayed,
)
from ckpt.core import nest
from ckpt.core.errors import GraphError
from ckpt.core.selectors import select
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.slices import IndexedSlices, IndexedSlicesValue
from ckpt.model.selection import described
from ckpt.run.feeds import fed_array
from ckpt.run.session import returned
from ckpt.run.stages import Stage, StagedRun, Stages

Models = Mapping[str, Model] | Sequence[Model]


class Chain:
    """Several models as one pipeline, their graphs and sessions still separate.

    `models` in the order in which they run: a dict, or a list of models that have names. `connect` maps inputs to
    outputs: "later/x:0" to "earlier/features:0". Every other input is fed by the caller. A tensor is named
    "model/tensor:0", or is a Tensor or variable of a model's graph.

    Raises GraphError, all problems at once, for endpoints that do not exist, inputs connected twice, dtypes or
    shapes that do not fit, and connections that run backwards.
    """

    def __init__(self, models: Models, connect: Mapping[Any, Any]) -> None:
        self.models = _named(models)
        self.order = list(self.models)
        self.wires: list[tuple[End, End]] = []
        problems: list[str] = []
        for target, source in connect.items():
            try:
                wire = self._end(target), self._end(source)
            except GraphError as error:
                problems.append(str(error))
                continue
            problems += self._problems(*wire)
            self.wires.append(wire)
        if problems:
            raise GraphError(
                "the chain cannot be connected:\n" + "\n".join(f"  {p}" for p in problems)
            )
        self._prepared: dict[Any, _Program] = {}

    def _end(self, element: Any) -> End:
        """The model and tensor that a name, tensor or variable means."""
        model, found = self._element(element)
        if isinstance(found, Operation):
            raise GraphError(f"'{model}/{found.name}' is an operation; a tensor is needed")
        return model, found

    def _element(self, element: Any) -> tuple[str, Any]:
        """The model and the tensor or operation that a name, tensor, operation or variable means."""
        if isinstance(element, str):
            model, _, rest = element.partition("/")
            if model not in self.models:
                raise GraphError(
                    f"'{element}' names no model; the models are {', '.join(self.models)}"
                )
            try:
                return model, self.models[model].element(rest)
            except KeyError as error:
                raise GraphError(f"'{element}': {error.args[0]}") from None
        graph = getattr(element, "graph", None)
        for model, held in self.models.items():
            if held.graph is graph:
                return model, held.graph.as_graph_element(element)
        raise GraphError(
            f"{element!r} is in the graph of no model of this chain: {', '.join(self.models)}"
        )

    def _problems(self, target: End, source: End) -> Iterator[str]:
        (to, x), (origin, y) = target, source
        ends = f"{origin}/{y.name} -> {to}/{x.name}"
        if target in [wire[0] for wire in self.wires]:
            yield f"{ends}: that input is connected already"
        if self.order.index(origin) >= self.order.index(to):
            yield f"{ends} runs backwards: put '{origin}' before '{to}'"
        if x.dtype.base_dtype != y.dtype.base_dtype:
            yield f"{ends}: {y.dtype.name} does not fit {x.dtype.name}; cast one of them first"
        if not x.shape.is_compatible_with(y.shape):
            yield f"{ends}: {origin}/{y.name} has shape {y.shape}, {to}/{x.name} takes {x.shape}"

    def run(self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None) -> Any:
        """The values of `fetches` in the same nest: names, tensors, operations, gradients and steps of this chain.

        Each model runs once, in order; then gradients are relayed backwards; then the updates of training steps are
        made, so that every value and every gradient is that of before the step. Operations and steps give None.
        Raises GraphError for names that do not exist, InvalidArgumentError for inputs that are neither connected nor
        fed, and what the models' operations raise.
        """
        flat = nest.flatten(fetches)
        feeds: dict[str, dict[Tensor, Any]] = {name: {} for name in self.order}
        for element, value in (feed_dict or {}).items():
            model, tensor = self._end(element)
            feeds[model][tensor] = fed_array(tensor, value)
        given = tuple((model, tensor) for model in feeds for tensor in feeds[model])
        key = (*flat, given, *(model.graph.mutations for model in self.models.values()))
        program = self._prepared.get(key)
        if program is None:
            program = self._prepared[key] = _Program(self, flat, set(given))
        return nest.pack_sequence_as(fetches, program.run(feeds))

    def gradients(self, ys: Any, xs: Any, grad_ys: Any = None) -> list[ChainGradient | None]:
        """For each x the sum over `ys` of dy/dx, across all models, for `run` to fetch; None where nothing depends.

        `xs` are names, tensors or variables of any model that comes before. `grad_ys` are tensors of the graphs of
        `ys`. Raises LookupError for an operation without gradient on the way.
        """
        targets = [self._end(y) for y in _listed(ys)]
        given = [None] * len(targets) if grad_ys is None else _listed(grad_ys)
        if len(given) != len(targets):
            raise ValueError(f"Passed {len(given)} grad_ys for {len(targets)} ys")
        sources = [
            (self._end(x)[0], x if hasattr(x, "graph") else self._end(x)[1]) for x in _listed(xs)
        ]
        return relayed(self.order, self.wires, list(zip(targets, given, strict=True)), sources)

    def compute_gradients(
        self, loss: Any, var_list: str | Sequence[Any] | None = None
    ) -> list[tuple[ChainGradient | None, Any]]:
        """(gradient, variable) for each trainable variable of all models, or each of `var_list`.

        Patterns in `var_list` select among the trainable variables, which are called "model/variable" there. Raises
        SelectionError (a ValueError) for one that matches nothing.
        """
        variables = self.trainable_variables() if var_list is None else self._selected(var_list)
        return list(zip(self.gradients(loss, variables), variables, strict=True))

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple[Any, Any]], optimizer: Any
    ) -> ChainStep:
        """A step that gives each model's variables their gradients, once all gradients of a run are known.

        `optimizer` is one optimizer for all graphs (its slots are made in each), or a dict from models to optimizers.
        Variables that it makes get their initial values at once; others are not touched. Raises ValueError when there
        is no gradient at all.
        """
        pairs = [(grad, variable) for grad, variable in grads_and_vars if grad is not None]
        if not pairs:
            raise ValueError(
                "No gradients provided for any variable: does the loss depend on them through the connections?"
            )
        sweep = check_one_sweep(grad for grad, _ in pairs)
        updates = {}
        for name in dict.fromkeys(grad.model for grad, _ in pairs):
            model = self.models[name]
            mine = [(grad.value, variable) for grad, variable in pairs if grad.model == name]
            with model.graph.as_default():
                before = set(model.graph.get_collection(GraphKeys.GLOBAL_VARIABLES))
                chosen = optimizer[name] if isinstance(optimizer, Mapping) else optimizer
                updates[name] = chosen.apply_gradients(mine)
                after = model.graph.get_collection(GraphKeys.GLOBAL_VARIABLES)
                model.session.run([v.initializer for v in after if v not in before])
        return ChainStep(updates, sweep)

    def minimize(
        self, loss: Any, optimizer: Any, var_list: str | Sequence[Any] | None = None
    ) -> ChainStep:
        """A step towards a smaller `loss` for `run` to fetch: `compute_gradients`, then `apply_gradients`."""
        return self.apply_gradients(self.compute_gradients(loss, var_list), optimizer)

    def _selected(self, var_list: str | Sequence[Any]) -> list[Any]:
        """The variables of `var_list`, then those that its patterns select; none twice."""
        members = [var_list] if isinstance(var_list, str) else list(var_list)
        patterns = [member for member in members if isinstance(member, str)]
        found = [member for member in members if not isinstance(member, str)]
        if patterns:
            facts = [
                replace(fact, name=f"{name}/{fact.name}")
                for name, model in self.models.items()
                for fact in described(_trainable(model), model.graph)
            ]
            names = set(select(patterns, facts))
            pairs = zip(facts, self.trainable_variables(), strict=True)
            found += [variable for fact, variable in pairs if fact.name in names]
        return list({id(variable): variable for variable in found}.values())

    def trainable_variables(self) -> list[Any]:
        """The trainable variables of all models, in order."""
        return [variable for model in self.models.values() for variable in _trainable(model)]


def chain(models: Models, connect: Mapping[Any, Any]) -> Chain:
    """The models as one pipeline, their graphs still separate. See `Chain`."""
    return Chain(models, connect)


class _Program:
    """What one `run` of a chain does: the models needed, and the stages of each."""

    def __init__(self, chain: Chain, flat: Sequence[Any], given: set[End]) -> None:
        self._flat = flat
        self._chain = chain
        self._sweeps = list(
            {
                id(f.sweep): f.sweep for f in flat if isinstance(f, (ChainGradient, ChainStep))
            }.values()
        )
        self._elements = [
            None if isinstance(f, (ChainGradient, ChainStep)) else chain._element(f) for f in flat
        ]
        self._hops = [self._swept(sweep, given) for sweep in self._sweeps]
        roots = [e[0] for e in self._elements if e is not None]
        self._order = _needed(chain, roots + [n for hops in self._hops for n in hops], given)
        self._wires = [
            wire for wire in chain.wires if wire[0] not in given and wire[0][0] in self._order
        ]
        self._stages = {name: self._planned(name, given) for name in self._order}

    def _swept(self, sweep: Sweep, given: set[End]) -> dict[str, Hop]:
        """The hops of a backward pass that the fetched gradients and steps need, last model first."""
        found = {f.model for f in self._flat if isinstance(f, ChainGradient) and f.sweep is sweep}
        for step in self._flat:
            if isinstance(step, ChainStep) and step.sweep is sweep:
                found.update(step.updates)
        for name in self._chain.order:
            if name in found:
                found.update(
                    to
                    for (to, x), (origin, _) in self._chain.wires
                    if origin == name and (to, x) not in given and to in sweep.hops
                )
        return {name: hop for name, hop in sweep.hops.items() if name in found}

    def _planned(self, name: str, given: set[End]) -> Stages:
        """The stages of one model: forward, one per backward pass, updates."""
        self_feeds = tuple(t for model, t in given if model == name)
        inputs = tuple(x for (to, x), _ in self._wires if to == name)
        elements = [e[1] for e in self._elements if e is not None and e[0] == name]
        forward = Stage(
            (*self_feeds, *inputs),
            self._forward_fetches(name, elements),
            tuple(dict.fromkeys(e for e in elements if isinstance(e, Operation))),
        )
        backward = [
            self._backward(name, sweep, hops.get(name))
            for sweep, hops in zip(self._sweeps, self._hops, strict=True)
        ]
        steps = [f for f in self._flat if isinstance(f, ChainStep) and name in f.updates]
        updates = Stage(targets=tuple(dict.fromkeys(step.updates[name] for step in steps)))
        return self._chain.models[name].session.stages([forward, *backward, updates])

    def _forward_fetches(self, name: str, elements: Sequence[Any]) -> tuple[Tensor, ...]:
        sent = [y for _, (origin, y) in self._wires if origin == name]
        sent += [y for hops in self._hops if name in hops for y in hops[name].enters]
        return tuple(dict.fromkeys([*(e for e in elements if isinstance(e, Tensor)), *sent]))

    def _backward(self, name: str, sweep: Sweep, hop: Hop | None) -> Stage:
        if hop is None:
            return Stage()
        asked = [
            tensor
            for f in self._flat
            if isinstance(f, ChainGradient) and f.sweep is sweep and f.model == name
            for tensor in fetched_tensors(f.value)
        ]
        swept = self._hops[self._sweeps.index(sweep)]
        connected = [x for (to, x), (origin, _) in self._wires if to == name and origin in swept]
        leaving = [grad for x, grad in hop.leaves.items() if x in connected]
        return Stage(tuple(hop.enters.values()), tuple(dict.fromkeys([*asked, *leaving])))

    def run(self, feeds: Mapping[str, Mapping[Tensor, Any]]) -> list[Any]:
        """The values of the fetches, flat."""
        runs = {name: stages.begin() for name, stages in self._stages.items()}
        values: dict[Tensor, Any] = {}
        for name in self._order:
            fed = dict(feeds[name])
            fed.update((x, values[y]) for (to, x), (_, y) in self._wires if to == name)
            stage = self._stages[name].stages[0]
            values.update(zip(stage.fetches, runs[name].advance(fed), strict=True))
        for number, hops in enumerate(self._hops, 1):
            self._sweep(hops, number, runs, values)
        for name in self._order:
            runs[name].advance({})
        return [self._value(f, e, values) for f, e in zip(self._flat, self._elements, strict=True)]

    def _sweep(
        self,
        hops: Mapping[str, Hop],
        number: int,
        runs: Mapping[str, StagedRun],
        values: dict[Tensor, Any],
    ) -> None:
        """One backward pass. An output that no gradient reaches, because its wires are fed, has gradient zero."""
        arrived: dict[Tensor, Any] = {}  # by the output that a gradient belongs to
        for name in reversed(self._order):
            hop = hops.get(name, Hop())
            fed = {
                place: arrived[y] if y in arrived else np.zeros_like(values[y])
                for y, place in hop.enters.items()
            }
            stage = self._stages[name].stages[number]
            values.update(zip(stage.fetches, runs[name].advance(fed), strict=True))
            for (to, x), (origin, y) in self._wires:
                if to == name and origin in hops and x in hop.leaves:
                    grad = values[hop.leaves[x]]
                    arrived[y] = arrived[y] + grad if y in arrived else grad

    def _value(self, fetch: Any, element: Any, values: Mapping[Tensor, Any]) -> Any:
        if isinstance(fetch, ChainStep):
            return None
        if not isinstance(fetch, ChainGradient):
            return returned(values[element[1]]) if isinstance(element[1], Tensor) else None
        if not isinstance(fetch.value, IndexedSlices):
            return returned(values[fetch.value])
        slices = fetch.value
        shape = slices.dense_shape
        return IndexedSlicesValue(
            returned(values[slices.values]),
            returned(values[slices.indices]),
            returned(values[shape]) if isinstance(shape, Tensor) else None,
        )


def _needed(chain: Chain, roots: Iterable[str], given: set[End]) -> list[str]:
    """The models that must run, in order; inputs that are given need no source."""
    needed = set(roots)
    for name in reversed(chain.order):
        if name in needed:
            needed |= {o for to, (o, _) in chain.wires if to[0] == name and to not in given}
    return [name for name in chain.order if name in needed]


def _named(models: Models) -> dict[str, Model]:
    """The models by name. Raises GraphError for models without a name and for names given twice."""
    if isinstance(models, Mapping):
        return dict(models)
    names = [model.name for model in models]
    wrong = [repr(name) for name in dict.fromkeys(names) if not name or names.count(name) > 1]
    if wrong:
        raise GraphError(
            f"a chain needs one name for each model, found {', '.join(wrong)} missing or repeated: "
            "give a dict from names to models"
        )
    return dict(zip(names, models, strict=True))


def _trainable(model: Model) -> list[Any]:
    return model.graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
