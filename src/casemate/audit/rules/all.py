"""All rules."""
from __future__ import annotations
from casemate.audit.rule import Rule
RULES: tuple[Rule, ...] = ()
