"""Finds a rule by the id that a finding has."""

from __future__ import annotations

from functools import cache

from casemate.audit.rule import Rule
from casemate.audit.rules.all import RULES


@cache
def _table() -> dict[str, Rule]:
    return {rule.id: rule for rule in RULES}


def rule_of(name: str) -> Rule | None:
    """Return the rule of that id, or None."""
    return _table().get(name)
