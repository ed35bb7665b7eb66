"""Rename scopes, nodes and variables: graph, collections, loops, signatures and checkpoint in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ckpt.compose.draft import Draft
from ckpt.core import renames
from ckpt.core.errors import SelectionError
from ckpt.core.spelling import scopes_of, similar
from ckpt.graph.renaming import renamed
from ckpt.saver.savings import VARIABLE_TYPES


def rename(draft: Draft, rules: Any) -> tuple[Draft, dict[str, str]]:
    """The draft with its nodes and its checkpoint entries renamed by the same rules, and what was renamed.

    `rules` are those of `ckpt.core.renames`: {"old/": "new/"}, regular expressions, functions, presets. The name of a
    variable is a scope too: what lies under it (initializer, reads, slots) moves with it. Raises SelectionError for
    rules that fit nothing and for names that two nodes or entries would get.
    """
    rules = _with_scopes(draft, rules)
    nodes = list(draft.nodes)
    by_node = renames.renamed(nodes, rules, allow_idle=True)
    by_key = renames.renamed(list(draft.tensors), rules, allow_idle=True)
    idle = [rule for rule in by_node.idle if rule in by_key.idle and not _is_added(draft, rule)]
    if idle:
        names = [*draft.tensors, *nodes, *scopes_of(nodes)]
        lines = [f"  {rule}{similar(_old(rule), names)}" for rule in idle]
        raise SelectionError(
            "rename rules that fit no node and no checkpoint entry:\n" + "\n".join(lines)
        )
    node_names = _total(by_node, nodes)
    key_names = _total(by_key, list(draft.tensors))
    fallback = renames.function(rules)  # frames and shared names are named like nodes and are none
    to_name: Callable[[str], str] = lambda name: node_names.get(name) or fallback(name)  # noqa: E731
    changed = {
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


def _with_scopes(draft: Draft, rules: Any) -> Any:
    """The rules, those that name a variable also for what lies under it, those that name a scope for that."""
    if isinstance(rules, list):
        return [_with_scopes(draft, rule) for rule in rules]
    if not isinstance(rules, Mapping):
        return rules
    variables = {name for name, node in draft.nodes.items() if node.op in VARIABLE_TYPES}
    more = {f"{old}/": f"{new}/" for old, new in rules.items() if old in variables}
    scopes = scopes_of([*draft.nodes, *draft.tensors]) - draft.nodes.keys() - draft.tensors.keys()
    named = {
        f"{old}/" if old in scopes else old: f"{new}/" if old in scopes else new
        for old, new in rules.items()
    }
    return {**named, **{old: new for old, new in more.items() if old not in named}}


def _old(rule: str) -> str:
    """The old name in the text of a rule, 'old': 'new'."""
    return rule.partition(": ")[0].strip("'/")


def _is_added(draft: Draft, text: str) -> bool:
    """Whether a rule that fits nothing is one that `_with_scopes` added."""
    return any(text.startswith(f"'{name}/': ") for name in draft.nodes)


def _total(mapped: renames.RenameMap, names: list[str]) -> dict[str, str]:
    found = {old: new for new, old in mapped.sources.items()}
    return {name: found.get(name, name) for name in names}
