"""What is on record of an incident, as files of an archive; what cannot be had is named."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from casemate import __version__
from casemate.api.service import Service
from casemate.evidence import Manifest
from casemate.evidence.archive import FORMAT, MAX_BYTES
from casemate.model.errors import CasemateError
from casemate.operations.incidents import PREFIX, Incident
from casemate.operations.records import (
    MAX_RECORDS,
    ListDenials,
    ListErrors,
    ListInvocations,
    ReadLogs,
    ShowError,
)
from casemate.recorder.protocol import Query

MAX_FUNCTIONS = 10
MAX_PAGES = 5
"""Pages of the journal that are looked at for each thing that an incident is about."""
MAX_LEFT_OUT = 50
"""Sentences about what is not there; the rest is counted."""
MAX_SENTENCE = 200
MAX_RECORDINGS = 50
MAX_TRACES = 50
BEFORE_SECONDS = 3600.0
"""Before the first finding: what is noticed had a beginning."""
_FUNCTION = "function:"
_json = msgspec.json.Encoder(enc_hook=str).encode


class _Gathering:
    """Files so far, and what is not among them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.left_out: list[str] = []
        self._left = MAX_BYTES

    def put(self, name: str, data: bytes) -> None:
        """Add a file, if there is room."""
        if len(data) > self._left:
            self.left_out.append(f"{name}: there was no room for {len(data)} bytes")
            return
        self._left -= len(data)
        self.files[name] = data

    def told(self) -> tuple[str, ...]:
        """Return what is left out, bounded: it is kept with all that is known of archives."""
        more = len(self.left_out) - MAX_LEFT_OUT
        told = tuple(each[:MAX_SENTENCE] for each in self.left_out[:MAX_LEFT_OUT])
        return (*told, f"and {more} more") if more > 0 else told

    async def have(self, name: str, make: Callable[[], Awaitable[Any]]) -> None:
        """Add what `make` returns, or why it cannot be had."""
        try:
            found = await make()
        except CasemateError as error:
            self.left_out.append(f"{name}: {error.message}")
            return
        self.put(name, found if isinstance(found, bytes) else _json(found))

    def cut(self, name: str, what: object, most: int) -> None:
        """Note that there may be more than was asked for."""
        if isinstance(what, tuple | list) and len(what) >= most:
            self.left_out.append(f"{name}: the newest {most} alone")


async def gathered(
    service: Service, incident: Incident, by: str
) -> tuple[Manifest, dict[str, bytes]]:
    """Return what there is, bounded in bytes and number. Raises CasemateError."""
    found = _Gathering()
    now = time.time()
    # What was found by a clock that was ahead is of times to come.
    since, until = min(incident.opened_at, now) - BEFORE_SECONDS, max(incident.last_at, now)
    found.put("incident.json", _json(incident))
    runs = [run for run in service.playbooks.runs if incident.is_called(run.incident)]
    found.put("playbooks.json", _json(runs))
    await found.have("findings.json", lambda: _findings(service, incident))
    names = [thing for thing in incident.things if thing.startswith(_FUNCTION)]
    if len(names) > MAX_FUNCTIONS:
        found.left_out.append(f"functions: {MAX_FUNCTIONS} of {len(names)} alone")
    for thing in names[:MAX_FUNCTIONS]:
        project, _, name = thing.removeprefix(_FUNCTION).partition("/")
        await _function(service, found, project, name, since)
    texts = [thing.removeprefix(_FUNCTION) for thing in incident.things]
    # By each name that playbooks and people may have had of it: the first of its findings that was
    # known named it, and what was done then stands in the journal by that name.
    named = (incident.id, *(PREFIX + each for each in incident.finding_ids[:1]))
    called = dict.fromkeys((*named, *(run.incident for run in runs)))
    await _journal(service, found, [*called, *texts], since, until)
    manifest = Manifest(
        format=FORMAT,
        incident=incident.id,
        made_at=now,
        by=by,
        version=__version__,
        left_out=found.told(),
        files=(),
    )
    return manifest, found.files


async def _findings(service: Service, incident: Incident) -> list[Any]:
    found: list[Any] = []
    for id in incident.finding_ids:
        try:
            found.append(await service.monitor.finding(id))
        except CasemateError:
            found.append({"id": id, "forgotten": True})
    return found


async def _function(
    service: Service, found: _Gathering, project: str, name: str, since: float
) -> None:
    """Add what there is of a function: its state, grants and digests, and what calls left."""
    control, folder = service.control, f"functions/{project}/{name}"
    where: dict[str, Any] = {"project": project, "function": name}

    async def listed(file: str, operation: Any, of: str) -> None:
        async def make() -> Any:
            answer = await control.recorded(operation)
            rows = getattr(answer, of) if of else answer
            found.cut(f"{folder}/{file}", rows, operation.limit)
            return rows

        await found.have(f"{folder}/{file}", make)

    await found.have(f"{folder}/function.json", lambda: control.function(project, name))
    await found.have(f"{folder}/sbom.json", lambda: control.sbom(project, name, None))
    since = round(since, 3)
    calls = ListInvocations(**where, since=since, limit=MAX_RECORDS)
    await listed("invocations.json", calls, "invocations")
    await listed("denials.json", ListDenials(**where, limit=MAX_RECORDS), "denials")
    await listed("logs.json", ReadLogs(**where, since=since), "")
    errors = ListErrors(**where, since=since, limit=MAX_TRACES)
    await found.have(f"{folder}/errors.json", lambda: _errors(service, errors))
    await _recordings(service, found, project, name, since)


async def _errors(service: Service, wanted: ListErrors) -> list[Any]:
    listed = (await service.control.recorded(wanted)).errors
    return [await service.control.recorded(ShowError(id=each.id)) for each in listed]


async def _recordings(
    service: Service, found: _Gathering, project: str, name: str, since: float
) -> None:
    """Add events and answers of calls, as far as they were recorded."""
    folder = f"functions/{project}/{name}/recordings"
    summaries = [one for one in await service.recordings.list(project, name) if one.at >= since]
    found.cut(folder, summaries, MAX_RECORDINGS)
    for summary in summaries[:MAX_RECORDINGS]:

        async def make(id: str = summary.id) -> Any:
            return await service.recordings.show(project, id)

        await found.have(f"functions/{project}/{name}/{summary.id}.json", make)


async def _journal(
    service: Service, found: _Gathering, texts: list[str], since: float, until: float
) -> None:
    """Add the entries that name what an incident is about, and where the journal is."""
    entries: dict[int, dict[str, Any]] = {}
    for text in texts[:64]:
        before: int | None = None
        for _ in range(MAX_PAGES):
            page = await service.recorder.find(
                Query(before=before, since=since, until=until, contains=(text[:256],))
            )
            for each in page.entries:
                entries[each.index] = {
                    "index": each.index,
                    "id": each.id,
                    "event": msgspec.Raw(each.event or b"null"),
                }
            before = page.before
            if before is None:
                break
        else:
            found.left_out.append(f"journal.json: the newest entries alone about {text[:128]}")
    found.put("journal.json", _json([entries[index] for index in sorted(entries)]))
    await found.have("journal-head.json", service.recorder.head)
