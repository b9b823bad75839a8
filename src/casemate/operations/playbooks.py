"""Operations on playbooks: their files, what they have done, and what waits for a person."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.playbook import Approval, PlaybookAct, PlaybookRun, Step
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation, on_project, on_project_or_node
from casemate.operations.fields import Id, Name, OnlyProject, Reason, number, text
from casemate.operations.given import Given

MAX_TEXT = 64 * 1024
MAX_BODY = 256 * 1024
MAX_PAUSE = 900
MAX_RUNS = 1000
MAX_NUMBER = (1 << 31) - 1

_FileName = Annotated[Name, msgspec.Meta(description="The playbook's name, without `.toml`.")]
_Number = Annotated[int, number("The version.", least=1, most=MAX_NUMBER)]
_RunId = Annotated[Id, msgspec.Meta(description="Id of a run.")]


class PlaybookView(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook in a list."""

    name: str
    title: str
    enabled: bool
    approval: Approval
    actions: tuple[str, ...]
    """What it does, in order."""
    rules: tuple[str, ...]
    """For what which rules find."""
    shipped: bool
    """Whether it came with Casemate, and was not replaced."""
    problem: str
    """Why it cannot be read, or is not believed; empty: it can, and is."""
    version: int = 0
    """0: it came with Casemate."""
    unverified: str = ""
    """Why something that is kept of it is not believed; empty: the vault has signed all of it."""


class PlaybookList(msgspec.Struct, frozen=True, kw_only=True):
    """All playbooks."""

    acts: bool
    """Whether the node does anything by itself: `casemate serve --playbooks`."""
    playbooks: tuple[PlaybookView, ...]


class PlaybookFile(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook with its text."""

    name: str
    text: str
    digest: str
    """SHA-256 of the text, as the journal has it."""
    shipped: bool
    problem: str
    changed_at: float | None
    changed_by: str
    version: int = 0
    """0: it came with Casemate."""
    unverified: str = ""
    """Why something that is kept of it is not believed; empty: the vault has signed all of it."""


class PlaybookVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of your own playbook."""

    version: int
    change: str
    """`put`, `remove`, or `take-over`: it was there before versions were signed."""
    digest: str
    """SHA-256 of the text."""
    at: float
    by: str
    signed: bool
    """Whether it is what the vault has signed."""


class PlaybookHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The stored versions of a playbook, newest first."""

    name: str
    versions: tuple[PlaybookVersion, ...]


class PlaybookRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, newest first."""

    runs: tuple[PlaybookRun, ...]
    dry: bool = False
    """Whether this is what would be done, and nothing was."""


_ACT = PlaybookAct(
    do="quarantine",
    target="function:shop/report",
    state=Step.DONE,
    undo="casemate release shop/report --reason TEXT",
    before="null",
    at=1764201661.0,
)
_RUN = PlaybookRun(
    id="run_51aa03b1e7d49f2c",
    playbook="escape-tried",
    digest="9f2c51aa03b1e7d49f2c51aa03b1e7d49f2c51aa03b1e7d49f2c51aa03b1e7d4",
    finding="9f2c51aa03b1e7d4",
    rule="mount-tried",
    incident="inc_9f2c51aa03b1e7d4",
    project="shop",
    found_at=1764201660.0,
    at=1764201661.0,
    state=Step.DONE,
    acts=(_ACT,),
    alone=True,
)
_FILE = PlaybookFile(
    name="escape-tried",
    text='title = "..."\n',
    digest=_RUN.digest,
    shipped=True,
    problem="",
    changed_at=None,
    changed_by="",
)
_HISTORY = PlaybookHistory(
    name="escape-tried",
    versions=(
        PlaybookVersion(
            version=1,
            change="put",
            digest=_RUN.digest,
            at=1764201661.0,
            by="user:ada",
            signed=True,
        ),
    ),
)
_RUNS = PlaybookRuns(runs=(_RUN,))


class ListPlaybooks(Operation[PlaybookList], frozen=True, kw_only=True):
    """List playbooks: what each is for, what it does, and whether it asks first."""

    declared = Declaration(http="GET /playbooks", tag="incidents", action=Action.INCIDENTS_READ)


class ShowPlaybook(Operation[PlaybookFile], frozen=True, kw_only=True):
    """Return the text of a playbook, or of one of its versions, even if it was removed."""

    declared = Declaration(
        http="GET /playbooks/{name}",
        tag="incidents",
        action=Action.INCIDENTS_READ,
        problems=(404,),
        answer=_FILE,
    )
    name: _FileName
    version: _Number | None = None


class ListPlaybookVersions(Operation[PlaybookHistory], frozen=True, kw_only=True):
    """List the stored versions of a playbook, even if it was removed, newest first."""

    declared = Declaration(
        http="GET /playbooks/{name}/versions",
        tag="incidents",
        action=Action.INCIDENTS_READ,
        problems=(404,),
        answer=_HISTORY,
    )
    name: _FileName


class RevertPlaybook(Operation[PlaybookFile], frozen=True, kw_only=True):
    """Put a former version of a playbook in force again, as a new version."""

    declared = Declaration(
        http="POST /playbooks/{name}/revert",
        tag="incidents",
        action=Action.PLAYBOOKS_WRITE,
        problems=(404, 409, 413, 415, 422),
        example={"version": 2},
        answer=_FILE,
    )
    name: _FileName
    version: Annotated[
        int,
        number("The version.", least=1, most=MAX_NUMBER),
        Given(flags="--version", metavar="N"),
    ]


class PutPlaybook(Operation[PlaybookFile], frozen=True, kw_only=True):
    """Check a playbook and put it in force at once, for later findings.

    It replaces a playbook of the same name that comes with Casemate.
    """

    declared = Declaration(
        http="PUT /playbooks/{name}",
        tag="incidents",
        action=Action.PLAYBOOKS_WRITE,
        problems=(413, 415, 422),
        max_body=MAX_BODY,
        answer=_FILE,
    )
    name: _FileName
    text: Annotated[str, text("The text that it shall have, in TOML.", least=1, most=MAX_TEXT)]


class RemovePlaybook(Operation[None], frozen=True, kw_only=True):
    """Remove your own playbook. One of the same name that comes with Casemate applies again."""

    declared = Declaration(
        http="DELETE /playbooks/{name}",
        tag="incidents",
        action=Action.PLAYBOOKS_WRITE,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 409),
    )
    name: _FileName


class PausePlaybooks(Operation[None], frozen=True, kw_only=True):
    """Let playbooks ignore findings about a project for some minutes, for a drill.

    The pause ends by itself, and when the node's process ends.
    """

    declared = Declaration(
        http="POST /playbook-pauses/{project}",
        tag="incidents",
        action=Action.PLAYBOOKS_WRITE,
        on=on_project,
        status=HTTPStatus.NO_CONTENT,
        problems=(413, 415),
        example={"seconds": 600, "reason": "a drill"},
    )
    project: Name
    seconds: Annotated[int, number("For how many seconds; 0 ends it.", most=MAX_PAUSE)]
    reason: Reason


class ListPlaybookRuns(Operation[PlaybookRuns], frozen=True, kw_only=True):
    """List what playbooks have done, and what waits for approval, newest first."""

    declared = Declaration(
        http="GET /playbook-runs",
        tag="incidents",
        action=Action.INCIDENTS_READ,
        on=on_project_or_node,
        answer=_RUNS,
    )
    project: OnlyProject | None = None
    state: (
        Annotated[Step, msgspec.Meta(description="Only those in this state: `waits`, `done`.")]
        | None
    ) = None
    limit: Annotated[int, number("How many at most.", least=1, most=MAX_RUNS)] = 100


class ApprovePlaybookRun(Operation[PlaybookRun], frozen=True, kw_only=True):
    """Approve what a playbook waits to do. Needs the rights to do the same by hand."""

    declared = Declaration(
        http="POST /playbook-runs/{id}/approve",
        tag="incidents",
        action=Action.INCIDENTS_WRITE,
        problems=(404, 409),
        answer=_RUN,
    )
    id: _RunId


class DismissPlaybookRun(Operation[PlaybookRun], frozen=True, kw_only=True):
    """Dismiss what a playbook waits to do."""

    declared = Declaration(
        http="POST /playbook-runs/{id}/dismiss",
        tag="incidents",
        action=Action.INCIDENTS_WRITE,
        problems=(404, 409, 413, 415),
        example={"reason": "our scanner"},
        answer=msgspec.structs.replace(_RUN, state=Step.DISMISSED),
    )
    id: _RunId
    reason: Reason


class UndoPlaybookRun(Operation[PlaybookRun], frozen=True, kw_only=True):
    """Undo what a playbook has done. Needs the rights to do so by hand."""

    declared = Declaration(
        http="POST /playbook-runs/{id}/undo",
        tag="incidents",
        action=Action.INCIDENTS_WRITE,
        problems=(404, 409, 413, 415),
        example={"reason": "a false alarm"},
        answer=msgspec.structs.replace(_RUN, state=Step.UNDONE),
    )
    id: _RunId
    reason: Reason
    action: (
        Annotated[
            str,
            text("Only this of what it has done: `quarantine`, `roll-back`.", most=32),
            Given(argument=True),
        ]
        | None
    ) = None


class UndoIncident(Operation[PlaybookRuns], frozen=True, kw_only=True):
    """Undo what playbooks have done about an incident. Needs the rights to do so by hand."""

    declared = Declaration(
        http="POST /incidents/{id}/undo",
        tag="incidents",
        action=Action.INCIDENTS_WRITE,
        problems=(404, 409, 413, 415),
        example={"reason": "a false alarm"},
        answer=_RUNS,
    )
    id: Id
    reason: Reason
    action: (
        Annotated[
            str,
            text("Only this of what was done: `quarantine`, `roll-back`.", most=32),
            Given(argument=True),
        ]
        | None
    ) = None


class RunPlaybook(Operation[PlaybookRuns], frozen=True, kw_only=True):
    """Run a playbook by hand on what an incident's findings are about.

    Needs the rights to do the same by hand. With `dry_run`, the answer is what would be done.
    """

    declared = Declaration(
        http="POST /playbooks/{name}/run",
        tag="incidents",
        action=Action.INCIDENTS_WRITE,
        problems=(404, 409, 413, 415, 422),
        example={"incident": _RUN.incident, "dry_run": True},
        answer=_RUNS,
    )
    name: _FileName
    incident: Annotated[
        Id, msgspec.Meta(description="Id of the incident."), Given(flags="--incident")
    ]
    dry_run: Annotated[
        bool, msgspec.Meta(description="Do nothing; only say what would be done.")
    ] = False
