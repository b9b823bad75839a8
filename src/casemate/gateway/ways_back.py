"""Which versions live may be pointed at without an approval of what they are granted.

A version that grants more than what is live does was approved when it was deployed. Who takes
grants away by a newer one takes them from the older ones as well: pointing live back would give
them again. A version that was live until lately is the way back from a deploy that went wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from casemate.admission.grants import WideningError, spec_difference
from casemate.model.deployment import Alias, Version

LATELY_SECONDS = 3600.0
_NEXT = (
    "Whoever has the right grant:approve may point it there, or deploy it again with --approve. "
    "A version that was live within the last hour needs neither."
)


def live_lately(history: Sequence[Alias], now: float) -> frozenset[int]:
    """Return the versions that are live, or were so until lately.

    `history` has the states of `live`, newest first.
    """
    found: set[int] = set()
    until = now
    for state in history:
        if now - until > LATELY_SECONDS:
            break
        found.update(target.version for target in state.targets if target.weight > 0)
        until = state.changed_at
    return frozenset(found)


def widening_of(
    live: Version | None, wanted: Sequence[Version]
) -> tuple[Version, WideningError] | None:
    """Return the first version that is granted more than the one that is live, and its error."""
    for version in wanted:
        found = spec_difference(None if live is None else live.spec, version.spec)
        if found.widens:
            return version, WideningError(
                f"{version.function}@{version.number}", found, _NEXT, first=live is None
            )
    return None
