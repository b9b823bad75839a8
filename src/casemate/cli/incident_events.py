"""Which invocations an incident is of, and which recordings of its functions are benign.

An invocation is of it if a finding names an entry of the journal that is about it, or if it was
denied something, blocked or sealed while the incident went on: findings alike are told once an
hour, and what came in between is of the incident all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from casemate.cli.client import NodeClient
from casemate.cli.errors import DeniedError, MissingError
from casemate.cli.names import FunctionName
from casemate.model.denial import Denial, DenialKind
from casemate.model.invocation import Outcome
from casemate.model.recording import RecordingSummary
from casemate.operations.findings import ShowFinding
from casemate.operations.incidents import Incident
from casemate.operations.journal import MAX_ENTRIES, ListJournal
from casemate.operations.recordings import ListRecordings
from casemate.operations.records import MAX_RECORDS, ListDenials

BEFORE_SECONDS = 60.0
"""Before the first finding: a rule may count for a while before it tells."""
AFTER_SECONDS = 3600.0
"""After the newest finding: for so long another one alike is not told."""
MAX_FINDINGS = 50
MAX_PAGES = 5
MAX_NAMED = 100
"""Invocations without a recording that are named."""
_OF_CODE = (DenialKind.INJECTION, DenialKind.CAPABILITY, DenialKind.SYSTEM_CALL)
"""What a function itself is denied while it runs, and a call that is done again does again."""
_OF_NO_CALL = (DenialKind.EGRESS, *_OF_CODE)
"""What may be denied a function without a word of which call it was."""
_OF_ITSELF = (Outcome.BLOCKED, Outcome.EXPOSED)
"""Outcomes that are findings, whoever counts them."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """An invocation of an incident that is recorded."""

    recording: RecordingSummary
    denials: tuple[Denial, ...] = ()

    @property
    def then(self) -> str:
        """Return what came of it then, without a value of the event."""
        denied = dict.fromkeys(f"{one.action} {one.resource}"[:160] for one in self.denials)
        return "; ".join([self.recording.outcome.value, *list(denied)[:3]])

    def was(self, kind: DenialKind) -> bool:
        """Tell whether it was denied something of a kind."""
        return any(one.kind is kind for one in self.denials)


@dataclass(frozen=True, kw_only=True)
class Events:
    """Those of one function."""

    events: tuple[Event, ...] = ()
    """The newest first."""
    benign: tuple[RecordingSummary, ...] = ()
    """Recordings of other invocations that ended well, the newest first."""
    not_recorded: tuple[str, ...] = ()
    """Invocations of the incident for which there is no recording."""
    of_no_call: tuple[str, ...] = ()
    """What was denied the function in calls that nobody knows."""
    notes: tuple[str, ...] = ()
    """What could not be examined."""


def events_of(
    client: NodeClient, incident: Incident, name: FunctionName, project: str | None
) -> Events:
    """Return the events of a function of an incident. Raises CasemateError."""
    since, until = incident.opened_at - BEFORE_SECONDS, _end(incident)
    where = {"project": name.project, "function": name.function}
    notes: list[str] = []
    recordings = {
        one.id: one
        for one in client.call(ListRecordings(**where)).recordings
        if (one.project, one.function) == (name.project, name.function)
    }
    denials = client.call(
        ListDenials(project=name.project, function=name.function, limit=MAX_RECORDS)
    ).denials
    if len(denials) >= MAX_RECORDS and denials[-1].at > since:
        notes.append(f"only the newest {MAX_RECORDS} denials are known")
    of_code: dict[str, list[Denial]] = {}
    of_no_call: dict[str, None] = {}
    for one in denials:
        if not since <= one.at <= until:
            continue
        if one.kind in _OF_CODE and one.invocation:
            of_code.setdefault(one.invocation, []).append(one)
        elif one.kind in _OF_NO_CALL:
            of_no_call[one.action] = None
    wanted = dict.fromkeys(of_code)
    wanted |= dict.fromkeys(_named(client, incident, name, project, notes))
    wanted |= dict.fromkeys(
        one.id
        for one in recordings.values()
        if one.outcome in _OF_ITSELF and since <= one.at <= until
    )
    found = [
        Event(recording=recordings[id], denials=tuple(of_code.get(id, ())))
        for id in wanted
        if id in recordings
    ]
    return Events(
        events=tuple(sorted(found, key=lambda one: one.recording.at, reverse=True)),
        benign=tuple(
            one for one in recordings.values() if one.outcome is Outcome.OK and one.id not in wanted
        ),
        not_recorded=tuple(id for id in wanted if id not in recordings)[:MAX_NAMED],
        of_no_call=tuple(of_no_call),
        notes=tuple(notes),
    )


def _end(incident: Incident) -> float:
    """Return until when what is found is of an incident."""
    last = incident.last_at + AFTER_SECONDS
    closed = incident.closed_at
    return last if closed is None else max(min(last, closed), incident.last_at)


def _named(
    client: NodeClient,
    incident: Incident,
    name: FunctionName,
    project: str | None,
    notes: list[str],
) -> Sequence[str]:
    """Return the invocations of a function that findings name by entries of the journal."""
    try:
        entries = _entries(client, incident, project, notes)
        return _invocations(client, incident, name, entries, notes) if entries else ()
    except DeniedError:
        notes.append(
            "which entries findings name is not yours to see (findings:read, journal:read)"
        )
    return ()


def _entries(
    client: NodeClient, incident: Incident, project: str | None, notes: list[str]
) -> set[str]:
    found: set[str] = set()
    for id in incident.finding_ids[-MAX_FINDINGS:]:
        try:
            found.update(client.call(ShowFinding(id=id, project=project)).events)
        except MissingError:
            notes.append(f"the finding {id} is forgotten, or not of this project alone")
    if len(incident.finding_ids) > MAX_FINDINGS:
        notes.append(f"only the newest {MAX_FINDINGS} findings are examined")
    return found


def _invocations(
    client: NodeClient,
    incident: Incident,
    name: FunctionName,
    entries: set[str],
    notes: list[str],
) -> list[str]:
    found: list[str] = []
    before: int | None = None
    for _ in range(MAX_PAGES):
        page = client.call(
            ListJournal(
                project=name.project,
                function=name.function,
                since=incident.opened_at - AFTER_SECONDS,
                until=_end(incident),
                before=before,
                limit=MAX_ENTRIES,
            )
        )
        for entry in page.entries:
            about = (entry.event or {}).get("metadata")
            id = about.get("correlation_uid") if isinstance(about, dict) else None
            if entry.id in entries and isinstance(id, str):
                found.append(id)
        before = page.before
        if before is None:
            return found
    notes.append("only the newest entries of the journal are examined")
    return found
