"""The form of a rule of the node's audit, and of what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

import msgspec

from casemate.model.level import Level
from casemate.node_audit.state import NodeState
from casemate.operations.node_audit import WeaknessRule


class Risk(Enum):
    """The six risks of serverless computing that Casemate is made against."""

    RESPONSIBILITY = 1
    PERMISSIONS = 2
    INPUT = 3
    ERRORS = 4
    DEPENDENCIES = 5
    MONITORING = 6


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a check has seen."""

    subject: str
    seen: str
    command: str
    project: str = ""
    level: Level | None = None
    """Of this one, where what was seen decides it; else that of the rule."""
    count: int = 1
    until: float | None = None


Check = Callable[[NodeState], Iterable[Seen]]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, as the table has it."""

    id: str
    title: str
    risk: Risk
    level: Level
    owasp: str
    cwe: int
    attack: str = ""
    why: str
    check: Check

    @property
    def told(self) -> WeaknessRule:
        """Return it as it is told."""
        return WeaknessRule(
            id=self.id,
            title=self.title,
            level=self.level,
            risk=self.risk.value,
            owasp=self.owasp,
            cwe=self.cwe,
            attack=self.attack,
            why=self.why,
        )


DAY = 86_400.0


def days(seconds: float) -> str:
    """Return a time in days, as people say it."""
    whole = int(seconds // DAY)
    return "1 day" if whole == 1 else f"{whole} days"
