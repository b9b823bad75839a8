"""Makes the rules of a table about code, which say each what they are about and show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from casemate.audit.finding import Severity
from casemate.audit.rule import Check, Risk, Rule, entries

LookT = TypeVar("LookT")


@dataclass(frozen=True)
class CodeEntries(Generic[LookT]):
    """Of one language."""

    check: Callable[[LookT], Check]
    """Returns the check that looks for something."""
    example: Callable[[str], Mapping[str, str]]
    """Returns an application whose handler is this."""

    def __call__(
        self,
        id: str,
        title: str,
        risk: Risk,
        owasp: str,
        cwe: int,
        severity: Severity,
        why: str,
        fix: str,
        look: LookT,
        bad: str,
        good: str,
        attack: str = "",
        by_reach: bool = False,
        over: Callable[[Check], Check] | None = None,
    ) -> Rule:
        """Return a rule; `over` is put over its check."""
        entry = entries(risk, owasp, cwe, attack, over)
        found, bad_code, good_code = self.check(look), self.example(bad), self.example(good)
        return entry(id, title, severity, why, fix, found, bad_code, good_code, by_reach=by_reach)
