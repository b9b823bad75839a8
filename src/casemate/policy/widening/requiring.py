"""Refuses policies that permit more than those in force."""

from __future__ import annotations

from casemate.policy.compiled import CompiledPolicies
from casemate.policy.errors import PolicyError
from casemate.policy.widening.deciding import widening

MAX_SECONDS_IN_NODE = 5.0
"""Less than for people who only ask: other changes of policies wait for it."""


def require_no_wider(before: CompiledPolicies, after: CompiledPolicies) -> None:
    """Raise PolicyError if something is permitted after a change that was not, or may be."""
    found = widening(before, after, seconds=MAX_SECONDS_IN_NODE)
    if found.widens:
        [first, *_] = found.lines(1)
        count = len(found.permitted) + len(found.undecided) - 1
        more = f" and {count} more" if count else ""
        raise PolicyError(
            f"This would permit something that is not permitted now: {first[2:]}{more}.",
            next_step="See all of it: `casemate policy diff FILE`. If it is intended, put it "
            "without --no-wider.",
        )
