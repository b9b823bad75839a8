"""What every operation over HTTP works with, and the bounds on what is done at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.access_reviews import Reviews
from casemate.accounts import Accounts
from casemate.api.authentication import not_taken
from casemate.api.authorization import actor, function_of, principal
from casemate.api.closing import Decisions
from casemate.api.control import Control
from casemate.api.problems import RequestError
from casemate.api.refused_deploys import RefusedDeploys
from casemate.baselines import Baselines
from casemate.budgets import Budgets
from casemate.data.interface import ProjectData
from casemate.decoys import Decoys
from casemate.evidence import Evidences, Holds
from casemate.facts import FactStream
from casemate.model.denial import DenialKind, denied_on
from casemate.model.errors import UnavailableError
from casemate.model.integrity import CheckReport
from casemate.model.metrics import Metrics
from casemate.model.node import NodeHealth
from casemate.model.nodes import OtherJournal, ProjectDatabase, ProjectPlace, RecordsBehind
from casemate.model.principal import NODE, Action, Resource, ResourceKind
from casemate.model.source import SourceStatus
from casemate.model.trigger import ScheduleStatus
from casemate.monitor.interface import Monitor
from casemate.node_audit import NodeAudit
from casemate.nodes import Among
from casemate.operations.declaration import JSON
from casemate.playbooks import Paging, Playbooks
from casemate.policy.interface import ManagedPolicy
from casemate.recorder.interface import Recorder
from casemate.recordings import Recordings
from casemate.restrictions import Restrictions
from casemate.rotations import Rotations
from casemate.store.interface import Store
from casemate.supply import EvidenceKeeper, Signatures
from casemate.vault.interface import Vault
from casemate.vulnerabilities import Advisories


class PreparedBackup(Protocol):
    """A backup that is ready to be sent, once. Close it in any case."""

    size: int
    """Bytes that `pieces` gives."""

    def pieces(self) -> AsyncIterator[bytes]:
        """Give the archive."""
        ...

    async def close(self) -> None:
        """Remove what was kept for it."""
        ...


MakeBackup = Callable[[], Awaitable[PreparedBackup]]


class Checks(Protocol):
    """Checks the node, one check at a time."""

    def report(self) -> CheckReport:
        """Return how the present or latest check stands."""
        ...

    def start(self) -> CheckReport:
        """Begin a check unless one is under way."""
        ...


class Rotators(Protocol):
    """Functions that set secrets outside."""

    def require(self, project: str, function: str, secret: str) -> None:
        """Raise CasemateError unless it is there and may read the secret."""
        ...


@dataclass(eq=False)
class Slots:
    """A bound on how many requests do the same costly thing at once.

    Each has `of_one` of them at most: who opens as many as he can leaves some. They are counted by
    who answers for a token (`Call.answerable`): whoever makes tokens gets no more by it.
    """

    what: str
    free: int
    of_one: int
    held: Counter[str] = field(default_factory=Counter)
    """How many each has, as `Principal.text`."""

    @contextmanager
    def counted(self, who: str) -> Iterator[None]:
        """Hold one slot for `who`. Whether there is one was asked before (`require`)."""
        self.free -= 1
        self.held[who] += 1
        try:
            yield
        finally:
            self.free += 1
            self.held[who] -= 1
            if not self.held[who]:
                del self.held[who]

    def require(self, who: str) -> None:
        """Refuse the request (429) if no slot is free, or none for `who`."""
        if self.free <= 0 or self.held[who] >= self.of_one:
            raise RequestError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"Too many {self.what} at the same time.",
                next_step="Try again when one of them has ended.",
            )


@dataclass(eq=False)
class Turn:
    """What holds one of `YieldingSlots`."""

    ended: bool = False
    """True once it has to end: somebody who holds fewer has its slot."""


@dataclass(eq=False)
class YieldingSlots:
    """A bound on what goes on for as long as those want who asked for it.

    Where none is free, the oldest of whoever holds most ends for somebody who would still hold
    fewer. They are counted by who answers for a token: whoever makes tokens gets no more by it.
    """

    what: str
    most: int
    of_one: int
    held: dict[str, list[Turn]] = field(default_factory=dict)
    """By who answers for them, the oldest first."""

    @contextmanager
    def hold(self, who: str) -> Iterator[Turn]:
        """Hold one for `who`, a `Principal.text`. RequestError (429) if there is none."""
        mine = len(self.held.get(who, ()))
        full = sum(map(len, self.held.values())) >= self.most
        fullest = max(self.held, key=lambda each: len(self.held[each]), default=who)
        if mine >= self.of_one or (full and len(self.held[fullest]) <= mine + 1):
            raise RequestError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"Too many {self.what} at the same time.",
                next_step="Try again when one of them has ended.",
            )
        if full:
            self._leave(fullest, self.held[fullest][0])
        turn = Turn()
        self.held.setdefault(who, []).append(turn)
        try:
            yield turn
        finally:
            if not turn.ended:
                self._leave(who, turn)

    def _leave(self, who: str, turn: Turn) -> None:
        turn.ended = True
        self.held[who].remove(turn)
        if not self.held[who]:
            del self.held[who]


def nothing_known() -> NodeHealth:
    """Return the health of a node of which no part is looked at."""
    return NodeHealth(ok=True, ready=True, checked_at=time.time(), parts=())


async def nothing_kept() -> Sequence[str]:
    """Return the projects with data of a node that has none."""
    return ()


def any_project(_name: str) -> bool:
    """Tell of a node that does not know which projects there are: what is named, is there."""
    return True


async def nothing_counted(
    _project: str | None, _function: str | None, _node: str | None
) -> Metrics:
    """Return the numbers of a node that counts nothing."""
    return Metrics(at=time.time(), started_at=0.0, functions=())


@dataclass(frozen=True, kw_only=True)
class Service:
    """What every endpoint works with."""

    control: Control
    spool: Path
    """Folder for bundles while they are received; on the disk that keeps them afterwards."""
    accounts: Accounts
    policy: ManagedPolicy
    vault: Vault
    data: ProjectData
    store: Store
    rekey_store: Callable[[bytes], Awaitable[None]]
    """Encrypts the store anew with another key."""
    facts: FactStream
    recorder: Recorder
    monitor: Monitor
    decoys: Decoys
    baselines: Baselines
    recordings: Recordings
    budgets: Budgets
    advisories: Advisories
    playbooks: Playbooks
    paging: Paging
    restrictions: Restrictions
    nodes: Among
    rotations: Rotations
    rotators: Rotators
    evidences: Evidences
    holds: Holds
    signatures: Signatures
    evidence: EvidenceKeeper
    reviews: Reviews
    audit: NodeAudit
    make_backup: MakeBackup
    checks: Checks
    sources: Callable[[], tuple[SourceStatus, ...]]
    schedules: Callable[[str, str], tuple[ScheduleStatus, ...]]
    ensure_inbox: Callable[[str], Awaitable[None]]
    """Has every function of a project an inbox."""
    health: Callable[[], NodeHealth] = nothing_known
    metrics: Callable[[str | None, str | None, str | None], Awaitable[Metrics]] = nothing_counted
    """Tells how the functions of a project do, of all, or one; on all nodes, or on one."""
    decisions: Decisions = field(default_factory=Decisions)
    behind: Callable[[], tuple[RecordsBehind, ...]] = tuple
    """Tells which other nodes' newest records are not here."""
    projects_with_data: Callable[[], Awaitable[Sequence[str]]] = nothing_kept
    """Tells which projects have data, also those of which no function is left."""
    has_project: Callable[[str], bool] = any_project
    """Tells whether there is anything of a project."""
    databases: Callable[[], Sequence[ProjectDatabase]] = tuple
    """Tells where projects live, as this node sees it."""
    place_project: Callable[[str, str], Awaitable[ProjectPlace]] | None = None
    """Has a project live in a database; None where the node has the data itself."""
    journals: Callable[[], tuple[OtherJournal, ...]] = tuple
    """Tells how the journals of other nodes stand."""
    refused_deploys: RefusedDeploys = field(default_factory=RefusedDeploys)
    uploads: Slots = field(default_factory=lambda: Slots("uploads", 6, 4))
    imports: Slots = field(default_factory=lambda: Slots("imports of advisories", 1, 1))
    foreseen: Slots = field(default_factory=lambda: Slots("questions about deploys", 8, 4))
    sboms: Slots = field(default_factory=lambda: Slots("SBOMs", 2, 1))
    followers: YieldingSlots = field(default_factory=lambda: YieldingSlots("followed logs", 64, 16))
    backups: Slots = field(default_factory=lambda: Slots("backups", 1, 1))
    fetches: Slots = field(default_factory=lambda: Slots("fetches of evidence", 4, 2))

    def may(self, request: Request, action: Action, resource: Resource) -> bool:
        """Tell whether who asks may do this; nothing is recorded."""
        return self.policy.allows(principal(request), action, resource)

    def require(
        self, request: Request, action: Action, resource: Resource, *, told: Resource | None = None
    ) -> None:
        """Let who asks do this, or record the denial and raise RequestError (403).

        The error names `told` instead of the resource, if it is given.
        """
        asking = principal(request)
        self.decoys.watch.on_resource(resource, action.value, actor(request))
        if self.policy.allows(asking, action, resource):
            return
        decided = self.policy.decide(asking, action, resource)
        self.facts.happened(
            denied_on(
                resource,
                at=time.time(),
                kind=DenialKind.AUTHORIZATION,
                by=actor(request),
                action=action.value,
                reason=decided.why,
            )
        )
        named = (told or resource).text
        raise RequestError(
            HTTPStatus.FORBIDDEN,
            f"{asking.text} may not {action.value} on {named}.",
            next_step="Ask an owner for a role that allows it; `casemate whoami` shows yours. What "
            f"decides: `casemate can {asking.text} {action.value} {named} --why`",
        )

    def require_again(self, request: Request, allowed: Iterable[tuple[Action, Resource]]) -> None:
        """Decide once more what a request was allowed, by its credential as it is now.

        Raises RequestError (401 or 403, recorded), UnavailableError.
        """
        if stale := self.nodes.standing.stale():
            raise UnavailableError(stale)
        asking = self.accounts.authenticate(request.headers.get("authorization"))
        if asking is None or asking.text != principal(request).text:
            detail = "The token has expired or was revoked before this was done."
            path = request.scope["path"]
            self.facts.happened(not_taken(actor(request), request.method, detail, path))
            raise RequestError(
                HTTPStatus.UNAUTHORIZED, detail, next_step="Sign in again: casemate login"
            )
        request.scope["casemate.principal"] = asking
        for action, resource in allowed:
            self.require(request, action, resource)

    def require_anywhere(self, request: Request, action: Action) -> None:
        """Let who may do this to anything pass, like `require`: what it is on is not known yet."""
        wanted = [NODE] + [
            function_of(binding.project, binding.function)
            if binding.function is not None
            else Resource(kind=ResourceKind.PROJECT, project=binding.project)
            for binding in principal(request).bindings
            if binding.project is not None
        ]
        if not any(self.may(request, action, resource) for resource in wanted):
            self.require(request, action, NODE)


def json_response(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return a value of the model as JSON."""
    return Response(msgspec.json.encode(value), status.value, media_type=JSON)
