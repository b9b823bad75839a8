"""Operations on playbooks. Who has one act, or takes back what it did, needs the same rights."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.errors import CasemateError, ConflictError, NotFoundError
from casemate.model.playbook import Approval, PlaybookRun
from casemate.model.still import require_still
from casemate.operations import playbooks
from casemate.operations.incidents import Noticed
from casemate.operations.playbooks import (
    ApprovePlaybookRun,
    DismissPlaybookRun,
    ListPlaybookRuns,
    ListPlaybooks,
    ListPlaybookVersions,
    PausePlaybooks,
    PlaybookFile,
    PlaybookHistory,
    PlaybookList,
    PlaybookRuns,
    PlaybookVersion,
    PlaybookView,
    PutPlaybook,
    RemovePlaybook,
    RevertPlaybook,
    RunPlaybook,
    ShowPlaybook,
    UndoIncident,
    UndoPlaybookRun,
)
from casemate.playbooks import Book, needs

MAX_FINDINGS = 20
"""Of an incident, the newest, that are looked at for what a playbook would do."""

performs = Performers()


def _view(book: Book) -> PlaybookView:
    playbook = book.playbook
    return PlaybookView(
        name=book.name,
        title="" if playbook is None else playbook.title,
        enabled=playbook is not None and playbook.enabled,
        approval=Approval.PERSON if playbook is None else playbook.approval,
        actions=() if playbook is None else playbook.kinds,
        rules=() if playbook is None else playbook.when.rules,
        shipped=book.shipped,
        problem=book.problem,
        version=book.version,
        unverified=book.unverified,
    )


def _file(book: Book) -> PlaybookFile:
    return PlaybookFile(
        name=book.name,
        text=book.text,
        digest=book.digest,
        shipped=book.shipped,
        problem=book.problem,
        changed_at=book.changed_at or None,
        changed_by=book.changed_by,
        version=book.version,
        unverified=book.unverified,
    )


def _require(
    runs: Iterable[PlaybookRun], call: Call, *, undo: bool = False, only: str | None = None
) -> None:
    """Refuse who could not do by hand what a playbook would do."""
    for run in runs:
        for need in needs(run, undo=undo, only=only):
            call.require(need.action, need.resource)


@performs(ListPlaybooks)
async def _list(_wanted: ListPlaybooks, call: Call) -> PlaybookList:
    known = call.service.playbooks
    return PlaybookList(acts=known.acts, playbooks=tuple(_view(each) for each in known.books))


@performs(ShowPlaybook)
async def _show(wanted: ShowPlaybook, call: Call) -> PlaybookFile:
    known = call.service.playbooks
    if wanted.version is None:
        return _file(known.files.book(wanted.name))
    found, signed = await known.books.version(wanted.name, wanted.version)
    return PlaybookFile(
        name=wanted.name,
        text=found.text,
        digest=found.digest,
        shipped=False,
        problem="",
        changed_at=found.at,
        changed_by=found.by,
        version=found.version,
        unverified="" if signed else "it is not what the vault has signed",
    )


@performs(ListPlaybookVersions)
async def _versions(wanted: ListPlaybookVersions, call: Call) -> PlaybookHistory:
    found = await call.service.playbooks.books.versions(wanted.name)
    return PlaybookHistory(
        name=wanted.name,
        versions=tuple(
            PlaybookVersion(
                version=one.version,
                change=one.change,
                digest=one.digest,
                at=one.at,
                by=one.by,
                signed=signed,
            )
            for one, signed in found
        ),
    )


@performs(RevertPlaybook)
async def _revert(wanted: RevertPlaybook, call: Call) -> PlaybookFile:
    known = call.service.playbooks
    return _file(await known.files.revert(wanted.name, wanted.version, call.actor))


@performs(PutPlaybook)
async def _put(wanted: PutPlaybook, call: Call) -> PlaybookFile:
    known = call.service.playbooks
    return _file(await known.files.put(wanted.name, wanted.text, call.actor))


@performs(RemovePlaybook)
async def _remove(wanted: RemovePlaybook, call: Call) -> None:
    await call.service.playbooks.files.remove(wanted.name, call.actor)


@performs(PausePlaybooks)
async def _pause(wanted: PausePlaybooks, call: Call) -> None:
    call.service.playbooks.files.pause(wanted.project, wanted.seconds, wanted.reason, call.actor)


@performs(ListPlaybookRuns)
async def _runs(wanted: ListPlaybookRuns, call: Call) -> PlaybookRuns:
    found = [
        run
        for run in call.service.playbooks.runs
        if wanted.project in (None, run.project) and wanted.state in (None, run.state)
    ]
    found.sort(key=lambda run: (run.at, run.id), reverse=True)
    return PlaybookRuns(runs=tuple(found[: wanted.limit]))


@performs(ApprovePlaybookRun)
async def _approve(wanted: ApprovePlaybookRun, call: Call) -> PlaybookRun:
    known = call.service.playbooks
    _require([known.found(wanted.id)], call)
    return await known.approve(wanted.id, call.actor)


@performs(DismissPlaybookRun)
async def _dismiss(wanted: DismissPlaybookRun, call: Call) -> PlaybookRun:
    return await call.service.playbooks.dismiss(wanted.id, wanted.reason, call.actor)


@performs(UndoPlaybookRun)
async def _undo(wanted: UndoPlaybookRun, call: Call) -> PlaybookRun:
    known = call.service.playbooks
    _require([known.found(wanted.id)], call, undo=True, only=wanted.action)
    return await known.undo(wanted.id, wanted.action, wanted.reason, call.actor)


@performs(UndoIncident)
async def _undo_incident(wanted: UndoIncident, call: Call) -> PlaybookRuns:
    known = call.service.playbooks
    ids = {wanted.id}
    try:
        incident = await call.service.monitor.incident(wanted.id)
        ids |= {run.incident for run in known.runs if incident.is_called(run.incident)}
    except CasemateError:
        pass  # what was done can be taken back all the same
    runs = [
        run
        for run in known.runs
        if run.incident in ids and needs(run, undo=True, only=wanted.action)
    ]
    if not runs:
        raise ConflictError(
            f"No playbook has done anything about {wanted.id} that is to be taken back.",
            next_step=f"`casemate incident show {wanted.id}` says what was done by people, and how "
            "that is taken back.",
        )
    _require(runs, call, undo=True, only=wanted.action)
    runs.sort(key=lambda run: run.at, reverse=True)
    done = []
    for run in runs:
        # Once more: while the one before was undone, this one may have gone on.
        _require([known.found(run.id)], call, undo=True, only=wanted.action)
        require_still()
        done.append(await known.undo(run.id, wanted.action, wanted.reason, call.actor))
    return PlaybookRuns(runs=tuple(done))


@performs(RunPlaybook)
async def _run(wanted: RunPlaybook, call: Call) -> PlaybookRuns:
    known, monitor = call.service.playbooks, call.service.monitor
    known.files.usable(wanted.name)
    incident = await monitor.incident(wanted.incident)
    noticed = []
    for id in incident.finding_ids[::-1][:MAX_FINDINGS]:
        with suppress(NotFoundError):  # forgotten by now
            one = await monitor.finding(id)
            noticed.append(
                Noticed(index=0, finding=one, incident=incident.id, incident_level=incident.level)
            )
    planned: dict[tuple[str, ...], PlaybookRun] = {}
    for found in known.by_cause(wanted.name, noticed):
        run = known.planned(wanted.name, found, incident.id)
        if run.acts:
            planned.setdefault(tuple(f"{act.do} {act.target}" for act in run.acts), run)
    if not planned:
        raise ConflictError(
            f"{wanted.name} would do nothing: {incident.id} is about none of what it acts on."
        )
    _require(planned.values(), call)
    if wanted.dry_run:
        return PlaybookRuns(runs=tuple(planned.values()), dry=True)
    done = [await known.run_by_hand(run, call.actor) for run in planned.values()]
    return PlaybookRuns(runs=tuple(done))


OPERATIONS = all_served(playbooks, performs)
