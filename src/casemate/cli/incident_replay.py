"""An incident's events done again on a version of its functions, and what that shows.

Each recording is fetched by itself, so that it is on record who looked at it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from casemate.cli.debugging import job_of
from casemate.cli.incident_events import Event, Events
from casemate.cli.incident_verdict import (
    Again,
    FunctionReplay,
    Row,
    Shown,
    compared,
    judged,
    verdict_of,
)
from casemate.cli.replaying import MAX_REPLAYED, run_job
from casemate.decoding import DECODING_ERRORS
from casemate.model.errors import CasemateError
from casemate.runner.answer_hash import answer_hash

if TYPE_CHECKING:
    from casemate.build.bundle import BuiltBundle
    from casemate.model.function import FunctionSpec
    from casemate.model.recording import Recording, RecordingSummary

SECONDS, MOST_SECONDS = 30.0, 120.0
"""How long an event may take, and one of a function with a longer timeout."""
MAX_SECONDS = 900.0
"""How long all of them may."""
_ENVIRONMENT = {"HOME": "/tmp", "TMPDIR": "/tmp"}  # noqa: S108  # nosec B108
_Fetch = Callable[[str], "Recording"]


class Replayer:
    """Does events again on the bundle of a version, for so long in all."""

    def __init__(self, built: BuiltBundle, fetch: _Fetch, until: float) -> None:
        """`fetch` returns a recording; that it was looked at is on record. `until` is monotonic."""
        self._built = built
        self._fetch = fetch
        self._until = until

    def event(self, event: Event) -> Row:
        """Do an event of the incident again."""
        found = self._outcome(event.recording)
        shown, now = (Shown.UNKNOWN, found.why) if isinstance(found, _Not) else judged(event, found)
        raised = isinstance(found, Again) and found.kind != "ok"
        return _row(event.recording, event.then, shown, now, benign=False, raised=raised)

    def benign(self, summary: RecordingSummary) -> Row:
        """Do an event again that ended well, and compare the answers."""
        recording = self._recorded(summary)
        if isinstance(recording, _Not):
            return _row(summary, "ok", Shown.UNKNOWN, recording.why, benign=True)
        found = self._run(recording)
        if isinstance(found, _Not):
            return _row(summary, "ok", Shown.UNKNOWN, found.why, benign=True)
        before = answer_hash(recording.content.reply)
        shown, now = compared(recording, before, found)
        if shown is Shown.DIFFERENT and isinstance(found, Again) and found.kind == "ok":
            again = self._run(recording)
            if not isinstance(again, Again) or again.answer != found.answer:
                shown, now = Shown.UNKNOWN, "answered differently each time"
        return _row(summary, "ok", shown, now, benign=True)

    def _outcome(self, summary: RecordingSummary) -> Again | str | _Not:
        recording = self._recorded(summary)
        return recording if isinstance(recording, _Not) else self._run(recording)

    def _recorded(self, summary: RecordingSummary) -> Recording | _Not:
        if time.monotonic() >= self._until:  # one that began has all of its time
            return _Not("there was no time left for it")
        try:
            recording = self._fetch(summary.id)
        except CasemateError as error:
            return _Not(error.message)
        own = recording.summary
        same = (own.id, own.project, own.function) == (
            summary.id,
            summary.project,
            summary.function,
        )
        return recording if same else _Not("the node answered with another recording")

    def _run(self, recording: Recording) -> Again | str | _Not:
        try:
            job = guarded_job(self._built.manifest.function, recording)
        except (CasemateError, ValueError, *DECODING_ERRORS) as error:
            return _Not(getattr(error, "message", "it was not recorded in its present form"))
        data = msgspec.json.encode(job) + b"\n"
        seconds = min(max(SECONDS, self._built.manifest.function.limits.timeout), MOST_SECONDS)
        return run_job(self._built, data, Again, seconds=seconds)


@dataclass(frozen=True)
class _Not:
    """Why an event was not done again."""

    why: str


def guarded_job(spec: FunctionSpec, recording: Recording) -> dict[str, Any]:
    """Return what the runner is told, for an instance with the guard. Raises CommandError."""
    job = job_of(spec, recording)
    shown = ("*",) if job["http"] else ("*", "invoke")
    return job | {
        "response": spec.limits.response,
        "guard": [[rule.sink, rule.location, rule.mode.value] for rule in spec.guard],
        "open": [each.what for each in spec.errors if each.place in shown],
        "environment": {
            **_ENVIRONMENT,
            "CASEMATE_PROJECT": recording.summary.project,
            "CASEMATE_FUNCTION": recording.summary.function,
            **job["environment"],
        },
    }


def replayed(
    function: str, version: int, events: Events, replayer: Replayer, tell: Callable[[str], None]
) -> FunctionReplay:
    """Do all there is of a function again."""
    chosen = events.benign[:MAX_REPLAYED]
    total, rows = len(events.events) + len(chosen), list[Row]()
    for event in events.events:
        tell(f"{function}: event {len(rows) + 1} of {total}")
        rows.append(replayer.event(event))
    # A look at what callers sent is on record: without an event of the incident it is for nothing.
    for summary in chosen if events.events else ():
        tell(f"{function}: event {len(rows) + 1} of {total}")
        rows.append(replayer.benign(summary))
    verdict, why = verdict_of(rows, events.of_no_call)
    return FunctionReplay(
        function=function,
        version=version,
        verdict=verdict,
        why=why,
        rows=tuple(rows),
        not_recorded=events.not_recorded,
        notes=events.notes,
    )


def _row(
    summary: RecordingSummary,
    then: str,
    shown: Shown,
    now: str,
    *,
    benign: bool,
    raised: bool = False,
) -> Row:
    return Row(
        invocation=summary.id,
        at=summary.at,
        version=summary.version,
        benign=benign,
        then=then,
        now=now[:300],
        shown=shown,
        raised=raised,
    )
