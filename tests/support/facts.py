"""A stream of facts as a gateway builds it: denials to what records them, uses to a counter."""

from __future__ import annotations

from collections.abc import Callable

from casemate.capabilities import UseCounter
from casemate.facts import FactStream
from casemate.model.denial import Denial
from casemate.model.facts import Actor, GrantUsed

ADA, EVE, BOB = (Actor(f"user:{name}", "192.0.2.7") for name in ("ada", "eve", "bob"))


def stream(deny: Callable[[Denial], None], uses: UseCounter | None = None) -> FactStream:
    """Return a stream whose denials go to `deny`."""
    facts = FactStream()
    facts.listen(Denial, deny)
    if uses is not None:
        facts.listen(GrantUsed, uses.note)
    return facts
