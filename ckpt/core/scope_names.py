"""Names in scopes, as `scope/name`. Knows no graph."""

from __future__ import annotations


def scope_prefix(scope: str | None) -> str:
    """What the names in a scope begin with: `scope/`, also where that ends so; nothing without a scope."""
    return f"{scope.rstrip('/')}/" if scope else ""


def inside(scope: str | None, name: str) -> str:
    """The name in a scope; as it is without one."""
    return f"{scope}/{name}" if scope else name
