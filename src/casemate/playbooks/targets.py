"""On what actions of playbooks act, as a text: `function:shop/report`, `user:ada`."""

from __future__ import annotations


def place_of(target: str) -> tuple[str, str]:
    """Return project and name of a function that is a target; of others two empty texts."""
    kind, _, rest = target.partition(":")
    project, _, name = rest.partition("/")
    return (project, name) if kind == "function" else ("", "")


def named(target: str) -> str:
    """Return a target's name without its kind."""
    return target.partition(":")[2]
