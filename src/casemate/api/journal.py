"""Operations on the journal."""

from __future__ import annotations

from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

import msgspec

from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.decoding import decodable
from casemate.model.errors import NotFoundError
from casemate.operations import journal
from casemate.operations.journal import (
    JournalEntry,
    JournalHead,
    JournalPage,
    JournalProof,
    JournalVerdict,
    ListJournal,
    ProveJournalEntry,
    ShowJournalHead,
    VerifyJournal,
)
from casemate.recorder.ocsf import NAMED
from casemate.recorder.protocol import MAX_TEXT, Query

performs = Performers()


def _kinds_like(kind: str) -> str:
    names = {each.lower(): each for each in NAMED}
    near = get_close_matches(kind.lower(), names, n=3, cutoff=0.5)
    which = ", ".join(names[each] for each in near) or "Denial, SignedIn, VersionDeployed"
    return f"Give a kind that there is, such as {which}."


def _event(raw: bytes) -> dict[str, Any] | None:
    return msgspec.json.decode(raw, type=dict[str, Any] | None)


@performs(ListJournal)
async def _list(wanted: ListJournal, call: Call) -> JournalPage:
    contains: list[str] = []
    if wanted.function is not None:
        if wanted.project is None:
            raise RequestError(
                HTTPStatus.BAD_REQUEST, "The query has `function` but no `project`; expected both."
            )
        contains.append(f'"name":"{wanted.project}/{wanted.function}"')
    if wanted.kind is not None:
        contains.append(f'"event_code":"{wanted.kind}"')
    if wanted.search is not None:
        # As it stands in JSON, without the quotes around it.
        written = msgspec.json.encode(wanted.search).decode()[1:-1]
        if len(written) > MAX_TEXT:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                f"The text that is searched for has {len(written)} characters as entries write it, "
                f"expected at most {MAX_TEXT}: signs that JSON escapes count for more than one.",
            )
        contains.append(written)
    found = await call.service.recorder.find(
        Query(
            before=wanted.before,
            first=wanted.first,
            project=wanted.project,
            since=wanted.since,
            until=wanted.until,
            contains=tuple(contains),
            most=wanted.limit,
        )
    )
    whole = wanted.before is None and found.before is None
    if whole and not found.entries and wanted.kind is not None and wanted.kind not in NAMED:
        # "Nothing was recorded" of a name that nothing has would be believed.
        raise NotFoundError(
            f"There is no kind of happening {wanted.kind}, and no entry of one.",
            next_step=_kinds_like(wanted.kind),
        )
    return JournalPage(
        entries=tuple(
            JournalEntry(index=each.index, id=each.id, event=_event(each.event))
            for each in found.entries
        ),
        before=found.before,
    )


@performs(ShowJournalHead)
async def _head(_wanted: ShowJournalHead, call: Call) -> JournalHead:
    head = await call.service.recorder.head()
    return JournalHead(checkpoint=head.note, key=head.key, size=head.size)


@performs(ProveJournalEntry)
async def _prove(wanted: ProveJournalEntry, call: Call) -> JournalProof:
    proven = await call.service.recorder.prove(wanted.index)
    return JournalProof(
        index=wanted.index, entry=proven.entry, proof=proven.proof, event=_event(proven.event)
    )


@performs(VerifyJournal)
async def _verify(wanted: VerifyJournal, call: Call) -> JournalVerdict:
    found = await call.service.recorder.verify(wanted.checkpoints)
    verdict = msgspec.convert(found, decodable(JournalVerdict), from_attributes=True)
    return msgspec.structs.replace(verdict, others=call.service.journals())


OPERATIONS = all_served(journal, performs)
