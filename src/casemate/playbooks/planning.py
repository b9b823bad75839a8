"""What a playbook would do about a finding, and the rights that a person needs for it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from casemate.model.playbook import Playbook, PlaybookRun, Step
from casemate.operations.findings import Finding
from casemate.playbooks.acting import Need, need_of
from casemate.playbooks.books import Book
from casemate.playbooks.matching import acts_on, run_id


def plan(book: Book, playbook: Playbook, found: Finding, incident: str) -> PlaybookRun:
    """Return what a playbook does about a finding."""
    return PlaybookRun(
        id=run_id(book.name, found.id),
        playbook=book.name,
        digest=book.digest,
        version=book.version,
        finding=found.id,
        rule=found.rule,
        incident=incident,
        project=found.project,
        found_at=found.at,
        at=time.time(),
        state=Step.PLANNED,
        acts=acts_on(playbook, found, incident),
    )


def needs(run: PlaybookRun, *, undo: bool = False, only: str | None = None) -> Sequence[Need]:
    """Return the rights that a person needs to have a run done, or taken back."""
    return [
        need_of(act.do, act.target, undo=undo)
        for act in run.acts
        if (not undo or act.may_hold) and only in (None, act.do)
    ]
