"""Errors of rules: what is wrong, where, and what is expected instead."""

from __future__ import annotations

from casemate.model.errors import InvalidInputError

_NEXT = "Fix the file: docs/reference/detection.md describes what is supported"


class RuleError(InvalidInputError):
    """A rule is not of the subset of Sigma that is matched here, or breaks a bound."""


def refused(place: str, what: str, next_step: str | None = None) -> RuleError:
    """Return the error of something at a place, such as `own.yml:12 detection.selection`."""
    return RuleError(f"{place}: {what}.", next_step=next_step or _NEXT)
