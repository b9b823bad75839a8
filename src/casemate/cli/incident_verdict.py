"""What events of an incident show that were done again on a version.

Nothing is shown by what could not be done to its end: only an event that was, and did not do again
what was found, counts for a fix; one that does is enough against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from casemate.cli.incident_events import Event
from casemate.cli.replaying import TIMEOUT
from casemate.model.denial import DenialKind
from casemate.model.invocation import Outcome
from casemate.model.recording import Recording

_ENDED = (Outcome.TIMEOUT, Outcome.CRASHED, Outcome.OUT_OF_MEMORY, Outcome.PROTOCOL_VIOLATION)
"""What an event that is done again ends by without telling anything."""
_NOT_LOADED, _NOT_READ = "not-loaded", "not-read"


class Shown(StrEnum):
    """What an event that was done again shows."""

    AGAIN = "again"
    """What was found happens again."""
    GONE = "gone"
    SAME = "same"
    """Benign: answered as before."""
    DIFFERENT = "different"
    UNKNOWN = "unknown"
    """It could not be done to its end, or not be compared."""


class Verdict(StrEnum):
    """What all of them show."""

    CLOSED = "closed"
    OPEN = "open"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One event, then and now."""

    invocation: str
    at: float
    version: int
    """Which it was of."""
    benign: bool
    then: str
    now: str
    shown: Shown
    raised: bool = False
    """Whether the handler raised now."""


@dataclass(frozen=True, kw_only=True)
class FunctionReplay:
    """What was shown of one function."""

    function: str
    version: int
    verdict: Verdict
    why: str
    rows: tuple[Row, ...] = ()
    not_recorded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def compared(self) -> bool:
        """Tell whether the answer to any benign event was."""
        return any(row.shown in (Shown.SAME, Shown.DIFFERENT) for row in self.rows)

    @property
    def differs(self) -> bool:
        """Tell whether a benign event is answered in another way."""
        return any(row.shown is Shown.DIFFERENT for row in self.rows)


@dataclass(frozen=True)
class Again:
    """What came of an event, as `casemate.runner.replaying_guarded` tells it."""

    kind: str
    answer: str = ""
    type: str = ""
    blocked: tuple[dict[str, str], ...] = ()
    denied: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    made_up: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    secrets: bool = False

    @property
    def incomplete(self) -> str:
        """Return why it did not go its way to the end; empty: it did."""
        if self.kind == _NOT_LOADED:
            return f"the handler could not be loaded ({self.type})"
        if self.kind == _NOT_READ:
            return "its recording could not be read"
        if self.missing:
            return f"it asks for {self.missing[0]}, for which there is no recording"
        if self.type == "MemoryError":
            return "it has no memory left where it is done again"
        if self.outside:
            return f"it uses {self.outside[0]}, and what came of that is not recorded"
        return ""

    @property
    def text(self) -> str:
        """Return what came of it, without a value."""
        if self.blocked:
            first = self.blocked[0]
            verb = "blocked" if first.get("mode") != "report" else "reported"
            return f"{verb}: {first.get('sink')} at {first.get('place')}"
        if self.denied:
            return f"denied: {self.denied[0]}"
        if self.kind == "ok":
            return "answered"
        return f"raised {self.type}" if self.kind == "handler-error" else self.kind


def judged(event: Event, found: Again | str) -> tuple[Shown, str]:
    """Return what an event of an incident shows that came to `found`, and that in words."""
    if isinstance(found, str):
        then = event.recording.outcome
        same = then in _ENDED and (then is Outcome.TIMEOUT) == (found == TIMEOUT)
        return (Shown.AGAIN if same else Shown.UNKNOWN), f"ended by {found}"
    if _does_again(event, found):
        return Shown.AGAIN, found.text
    why = found.incomplete or _unseen(event)
    return (Shown.UNKNOWN, why) if why else (Shown.GONE, found.text)


def _does_again(event: Event, found: Again) -> bool:
    then = event.recording.outcome
    if found.blocked or found.kind == Outcome.BLOCKED.value:
        return True
    if event.denials:
        return bool(event.was(DenialKind.CAPABILITY) and found.denied)
    # Denials say what was found; without one, how it ended does.
    return then is not Outcome.OK and found.kind == then.value


def _unseen(event: Event) -> str:
    """Return why what was found cannot be seen here; empty: it can."""
    if event.was(DenialKind.SYSTEM_CALL):
        return "system calls are not filtered where it is done again"
    if not event.denials and event.recording.outcome is Outcome.OK:
        return "it ended well then, so there is nothing to look for"
    return ""


def compared(recording: Recording, before: str, found: Again | str) -> tuple[Shown, str]:
    """Return what a benign event shows that came to `found`, and that in words.

    `before` is the hash of what was answered then.
    """
    if isinstance(found, str):
        return Shown.DIFFERENT, f"ended by {found}"
    if found.blocked or found.kind == _NOT_LOADED:
        return Shown.DIFFERENT, found.incomplete or found.text
    why = found.incomplete or _incomparable(recording, before, found)
    if why:
        return Shown.UNKNOWN, why
    if found.kind != "ok":
        return Shown.DIFFERENT, found.text
    same = found.answer == before
    return (Shown.SAME, "answered the same") if same else (Shown.DIFFERENT, "answered differently")


def _incomparable(recording: Recording, before: str, found: Again) -> str:
    """Return why another answer says nothing; empty: it does."""
    if found.kind != "ok" or found.answer == before:
        return ""
    if recording.summary.cut:
        return "not all of it was recorded"
    return "it uses a secret, whose value is not recorded" if found.secrets else ""


def verdict_of(rows: Sequence[Row], of_no_call: Sequence[str] = ()) -> tuple[Verdict, str]:
    """Return what the events of a function show, and why.

    `of_no_call` was denied it besides, in calls that nobody knows and so nobody does again.
    """
    events = [row for row in rows if not row.benign]
    again = sum(row.shown is Shown.AGAIN for row in events)
    unknown = [row for row in events if row.shown is Shown.UNKNOWN]
    if again:
        return Verdict.OPEN, f"{again} of {len(events)} event(s) do again what was found"
    if not events:
        return Verdict.NOT_SHOWN, "nothing of it is recorded"
    if unknown:
        first = f"{unknown[0].invocation}: {unknown[0].now}"
        return Verdict.NOT_SHOWN, f"{len(unknown)} event(s) show nothing ({first})"
    if of_no_call:
        return Verdict.NOT_SHOWN, f"it was denied {of_no_call[0]} in a call that is not known"
    same = any(row.shown is Shown.SAME for row in rows)
    if not same and all(row.raised for row in events):
        return (
            Verdict.NOT_SHOWN,
            "the version ends each event by an error, and no benign one is known to be answered",
        )
    return Verdict.CLOSED, f"none of {len(events)} event(s) does again what was found"


def overall(functions: Sequence[FunctionReplay]) -> Verdict:
    """Return what holds of all: the gravest."""
    found = {each.verdict for each in functions}
    for verdict in (Verdict.OPEN, Verdict.NOT_SHOWN, Verdict.CLOSED):
        if verdict in found:
            return verdict
    return Verdict.NOT_SHOWN
