"""Refusals of deploys that clients tell of: each by its name while they are few, then counted.

Whoever may deploy says what is refused, of names that may be of nothing: a journal that took all of
it would be filled by whoever likes, and what matters be lost in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from casemate.model.denial import Denial
from casemate.model.facts import Fact
from casemate.recorder.denials import OTHERS, Counted

PERIOD = 60.0
"""Seconds within which they are counted together."""
EXAMPLES = 20
"""Refusals of one principal that are told one by one in a period."""
MAX_FOLDED = 20
"""Projects and kinds of one principal that are told apart among those that are counted."""
MAX_PRINCIPALS = 1024
"""Those beyond are counted as one."""


class _Told(msgspec.Struct):
    """What one principal has told of in this period."""

    one_by_one: int = 0
    folded: Counted = msgspec.field(default_factory=Counted)


class RefusedDeploys:
    """One per node, on its event loop."""

    def __init__(self) -> None:
        """Nothing was refused."""
        self._told: dict[str, _Told] = {}
        self._happened: Callable[[Fact], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def note(self, denial: Denial, who: str, happened: Callable[[Fact], None]) -> None:
        """Tell of a refusal by `happened`, or count it; `who` answers for who says so."""
        if self._timer is None:
            self._happened = happened
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self.flush)
        if who not in self._told and len(self._told) >= MAX_PRINCIPALS:
            who = OTHERS
        told = self._told.setdefault(who, _Told())
        if told.one_by_one < EXAMPLES:
            told.one_by_one += 1
            happened(denial)
            return
        key = (denial.project, denial.kind.value)
        if not told.folded.has_room(key, MAX_FOLDED):
            key = ("", denial.kind.value)
        told.folded.add(key, denial, {"project": key[0], "function": "", "resource": OTHERS})

    def flush(self) -> None:
        """Tell of those that were only counted so far, and begin anew."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        told, self._told = self._told, {}
        happened, self._happened = self._happened, None
        if happened is None:
            return
        for one in told.values():
            one.folded.tell(happened)
