"""Rename scopes, nodes and variables: graph, collections, loops, signatures and checkpoint in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ckpt.compose.draft import Draft
from ckpt.compose.surgery.scopes import tie
from ckpt.compose.surgery.values import assigning
from ckpt.core import renames
from ckpt.core.errors import SelectionError
from ckpt.core.renames import Step
from ckpt.core.spelling import scopes_of, similar
from ckpt.graph.renaming import renamed
from ckpt.graph.selection import dependent, node_of
from ckpt.graph.variable_defs import variables_by_node
from ckpt.saver.savings import VARIABLE_TYPES

Renaming = Callable[[str], tuple[str, str] | None]
"""As `Step.apply`."""


def rename(draft: Draft, rules: Any) -> tuple[Draft, dict[str, str]]:
    """The draft with its nodes and its checkpoint entries renamed by the same rules, and what was renamed.

    `rules` are those of `ckpt.core.renames`: {"old/": "new/"}, regular expressions, functions, presets. The name of a
    variable is a scope too: what lies under it (initializer, reads, slots) moves with it. Where a moving average takes the
    place of its variable ("ema"), the variable has its value, what reads the average reads the variable, and what updated
    the average is gone. Raises SelectionError for rules that fit nothing and for names that two nodes or entries would get.
    """
    rules = _leading(draft, _with_scopes(draft, rules))
    _check_used(draft, rules)
    draft, moved = _with_averages(draft, rules)
    nodes = list(draft.nodes)
    by_node = renames.renamed(nodes, rules, allow_idle=True)
    by_key = renames.renamed(list(draft.tensors), rules, allow_idle=True)
    node_names = _total(by_node, nodes)
    key_names = _total(by_key, list(draft.tensors))
    fallback = renames.function(rules)  # frames and shared names are named like nodes and are none
    to_name: Callable[[str], str] = lambda name: node_names.get(name) or fallback(name)  # noqa: E731
    changed = {
        **{average: key_names[key] for average, key in moved.items()},
        **{k: v for k, v in key_names.items() if k != v and k not in node_names},
        **{k: v for k, v in node_names.items() if k != v},
    }
    return (
        replace(
            draft,
            meta=renamed(draft.meta, to_name),
            entries={
                key_names.get(key, key): tuple(node_names[v] for v in variables)
                for key, variables in draft.entries.items()
            },
            tensors={key_names[key]: value for key, value in draft.tensors.items()},
        ),
        changed,
    )


def _check_used(draft: Draft, rules: Any) -> None:
    """Raise SelectionError listing the rules that fit neither a node nor an entry of the checkpoint."""
    nodes, keys = list(draft.nodes), list(draft.tensors)
    of_nodes, of_keys = (renames.renamed(n, rules, allow_idle=True).idle for n in (nodes, keys))
    idle = [rule for rule in of_nodes if rule in of_keys]
    if idle:
        names = [*keys, *nodes, *scopes_of(nodes)]
        lines = [f"  {rule}{similar(_old(rule), names)}" for rule in idle]
        raise SelectionError(
            "rename rules that fit no node and no checkpoint entry:\n" + "\n".join(lines)
        )


def _with_averages(draft: Draft, rules: Any) -> tuple[Draft, dict[str, str]]:
    """The draft with moving averages in the place of their variables, where the rules say so, and which they are."""
    new = renames.function(rules)
    by_key = renames.renamed(list(draft.tensors), rules, allow_idle=True)
    by_node = renames.renamed(list(draft.nodes), rules, allow_idle=True)
    moved = {by_key.sources[new(key)]: key for key in by_key.hidden}
    ties = [(node, by_node.sources[new(node)]) for node in by_node.hidden]
    tensors = dict(draft.tensors)
    for average, key in moved.items():
        tensors[key] = tensors.pop(average)
    entries = {key: nodes for key, nodes in draft.entries.items() if key not in moved}
    draft = replace(draft, tensors=tensors, entries=entries)
    averages = {average for _, average in ties}
    if averages:
        initializers = {
            node_of(variable.initializer_name)
            for name, variable in variables_by_node(draft.meta).items()
            if name in averages and variable.initializer_name
        }
        updates = assigning(draft, averages) - initializers
        gone = dependent(draft.meta.graph_def, updates) if updates else ()
        draft = tie(draft.without(gone), ties)
    return draft, moved


def _leading(draft: Draft, rules: Any) -> list[Step]:
    """The rules, each of which leads what lies under a variable that it renames along with it."""
    names = {name for name, node in draft.nodes.items() if node.op in VARIABLE_TYPES}
    current = {*names, *draft.tensors}
    found = []
    for step in renames.steps(rules):
        moved = {}
        for name in current if not step.replaces else ():
            renamed_to = step.apply(name)
            if renamed_to is not None:
                moved[name] = renamed_to
        step = replace(step, apply=_led(step.apply, moved))
        current = {now[1] if (now := step.apply(name)) else name for name in current}
        found.append(step)
    return found


def _led(apply: Renaming, moved: Mapping[str, tuple[str, str]]) -> Renaming:
    """`apply`, and for what lies under one of the `moved` names the name under where that went."""

    def led(name: str) -> tuple[str, str] | None:
        own = apply(name)
        scope = name.rpartition("/")[0]
        while scope and scope not in moved:
            scope = scope.rpartition("/")[0]
        if not scope:
            return own
        text, place = moved[scope]
        if own is not None and own[1].startswith(f"{place}/"):
            return own
        return text, place + name[len(scope) :]

    return led


def _with_scopes(draft: Draft, rules: Any) -> Any:
    """The rules, those that name a scope for what lies in it."""
    if isinstance(rules, list):
        return [_with_scopes(draft, rule) for rule in rules]
    if not isinstance(rules, Mapping):
        return rules
    scopes = scopes_of([*draft.nodes, *draft.tensors]) - draft.nodes.keys() - draft.tensors.keys()
    return {
        f"{old}/" if old in scopes else old: f"{new}/" if old in scopes else new
        for old, new in rules.items()
    }


def _old(rule: str) -> str:
    """The old name in the text of a rule, 'old': 'new'."""
    return rule.partition(": ")[0].strip("'/")


def _total(mapped: renames.RenameMap, names: list[str]) -> dict[str, str]:
    found = {old: new for new, old in mapped.sources.items()}
    return {name: found.get(name, name) for name in names}
