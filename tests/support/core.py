"""Samples and in-memory parts for the tests of the path: store, deployed functions, an instance's
other end."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, TypeVar

from casemate.model.denial import Denial, GrantApproval, GrantUse
from casemate.model.deployment import (
    LIVE,
    Alias,
    AliasTarget,
    DeployedFunction,
    NewVersion,
    Trial,
    TrialTerms,
    Version,
)
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.function import FunctionSpec, HttpTrigger, Limits, Logs
from casemate.model.http import HttpHead, HttpRequest
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.model.path import RawInvocation, Request
from casemate.model.principal import (
    INVOKER,
    OWNER,
    Action,
    Checked,
    Decision,
    Principal,
    PrincipalKind,
    Resource,
    RoleBinding,
)
from casemate.model.usage import GuardSampled
from casemate.operations.declaration import Operation
from casemate.operations.deployments import (
    ForgetFunction,
    ForgetVersion,
    KeepVersions,
    ShowAliasHistory,
)
from casemate.operations.functions import Functions, ListFunctions, SetAlias
from casemate.operations.grants import CountUses, ListApprovals, ListUses
from casemate.operations.node import KeepNodeValue, ReadNodeValue, ReadNodeValues
from casemate.operations.performing import Performed, Performers
from casemate.operations.records import (
    Denials,
    Errors,
    Invocations,
    ListDenials,
    ListErrors,
    ListInvocations,
    ReadLogs,
    ShowError,
    ShowInvocation,
)
from casemate.operations.trials import EndTrial, StartTrial
from casemate.runner import wire
from casemate.sandbox.instance import Instance
from casemate.store.errors import StoreMovedError


def spec(name: str = "f", *, routes: Sequence[str] = (), **changes: Any) -> FunctionSpec:
    """`routes` are texts such as `GET /users/{id}`."""
    http = tuple(HttpTrigger(method=m, path=p) for m, p in (r.split(" ", 1) for r in routes))
    values: dict[str, Any] = {"name": name, "handler": "app:handler", "python": "3.11"}
    return FunctionSpec(**{**values, "http": http, **changes})


def version(
    number: int = 1, *, project: str = "t", name: str = "f", digest: str = "a" * 64, **changes: Any
) -> Version:
    return Version(
        project=project,
        function=name,
        number=number,
        digest=digest,
        spec=spec(name, **changes),
        created_at=1.0,
        created_by="k",
    )


def deployed(
    *versions: Version, live: dict[int, int] | None = None, **aliases: dict[int, int]
) -> DeployedFunction:
    """Return a function whose alias `live` leads to its newest version unless told otherwise.

    Aliases map version numbers to weights; `live={}` leaves the alias out.
    """
    first = versions[0]
    states = {**aliases, LIVE: {versions[-1].number: 100} if live is None else live}
    return DeployedFunction(
        project=first.project,
        name=first.function,
        versions=versions,
        aliases=tuple(
            Alias(
                project=first.project,
                function=first.function,
                name=alias,
                targets=tuple(AliasTarget(version=n, weight=w) for n, w in weights.items()),
                changed_at=2.0,
            )
            for alias, weights in states.items()
            if weights
        ),
    )


def raw(**changes: Any) -> RawInvocation:
    values: dict[str, Any] = {
        "trigger": "invoke",
        "project": "t",
        "function": "f",
        "qualifier": None,
        "credential": None,
        "content_type": "application/json",
        "body": b"{}",
        "received_at": 5.0,
    }
    return RawInvocation(**{**values, **changes})


def request(**changes: Any) -> Request:
    given = raw(**changes)
    return Request(id="inv_test", raw=given, event=given.body)


def http_request(
    method: str = "GET",
    path: str = "/",
    *,
    query: str = "",
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes = b"",
    key: str | None = None,
) -> HttpRequest:
    credential = () if key is None else ((b"authorization", b"Bearer " + key.encode()),)
    head = HttpHead(method, path, query, (*headers, *credential), "192.0.2.7")
    return HttpRequest(head, body)


T = TypeVar("T")
OWNER_TOKEN, INVOKER_TOKEN = "owner-token", "invoker-token"


class TwoTokens:
    """Accounts with an owner's token and an invoker's."""

    def __init__(self) -> None:
        self.known = {
            f"Bearer {text}": Principal(
                kind=PrincipalKind.TOKEN, id=role, bindings=(RoleBinding(role=role),)
            )
            for text, role in ((OWNER_TOKEN, OWNER), (INVOKER_TOKEN, INVOKER))
        }

    def check(self, authorization: str | None, before: Checked | None = None) -> Checked:
        return Checked(self.authenticate(authorization), 0, 0.0)

    def authenticate(
        self, authorization: str | None, checked: Checked | None = None
    ) -> Principal | None:
        return self.known.get(authorization or "")


class PlainPolicy:
    """A policy in a few lines: owners all, invokers invoke, others what they are granted."""

    def __init__(self) -> None:
        self.revision = 1
        self.forbidden: set[tuple[Action, str]] = set()
        """Actions and resources' texts that are denied to everybody."""
        self.asked: list[tuple[Principal, Action, Resource, bool]] = []

    def decide(
        self, principal: Principal, action: Action, resource: Resource, *, granted: bool = False
    ) -> Decision:
        self.asked.append((principal, action, resource, granted))
        roles = {binding.role for binding in principal.bindings}
        invoking = action is Action.FUNCTION_INVOKE
        allowed = (
            OWNER in roles
            or (invoking and INVOKER in roles)
            or (invoking and resource.public and principal.kind is PrincipalKind.ANONYMOUS)
        ) and not resource.internal
        if principal.kind in (PrincipalKind.FUNCTION, PrincipalKind.TRIGGER):
            allowed = granted
        return Decision(allowed=allowed and (action, resource.text) not in self.forbidden)

    def allows(
        self, principal: Principal, action: Action, resource: Resource, *, granted: bool = False
    ) -> bool:
        return self.decide(principal, action, resource, granted=granted).allowed


performs = Performers()


class MemoryStore:
    """The store's port in memory."""

    def __init__(self) -> None:
        self.records: list[tuple[InvocationRecord, ErrorRecord | None, tuple[LogLine, ...]]] = []
        self.states: dict[tuple[str, str, str], list[Alias]] = {}
        self.versions: dict[tuple[str, str], list[Version]] = {}
        self.denied: list[Denial] = []
        self.values: dict[str, bytes] = {}
        self.used: list[GrantUse] = []
        self.approved: list[GrantApproval] = []
        self.fault: Exception | None = None
        """Raised by the next change."""
        self.flushed = 0
        self.lost_records = 0
        self.moves = 0
        self.began = time.time()
        """When states of aliases begin, a second after each other."""
        self.written: list[tuple[LogLine, ...]] = []
        self.begun: list[Any] = []
        self.expected: list[Any] = []
        self.samples: list[GuardSampled] = []

    def sample(self, sampled: GuardSampled) -> None:
        self.samples.append(sampled)

    async def read(self, operation: Operation[T]) -> T:
        return await _PERFORMED.reading(operation)(self, operation)

    async def change(self, operation: Operation[T]) -> T:
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        return await _PERFORMED.changing(operation)(self, operation)

    def record(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None = None,
        log: Sequence[LogLine] = (),
        logs: Logs = Logs(),  # noqa: B008 - frozen
    ) -> None:
        self.records.append((invocation, error, tuple(log)))

    def expect(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None,
        log: Sequence[LogLine],
        logs: Logs,
    ) -> None:
        self.expected.append((invocation, error, tuple(log)))

    def begin(self, invocation: InvocationRecord, logs: Logs, seconds: float) -> None:
        self.begun.append((invocation, seconds))

    def record_expected(self, invocation: InvocationRecord, cpu_us: int, peak: int) -> bool:
        return False

    def write(self, lines: Sequence[LogLine], logs: Logs = Logs()) -> None:  # noqa: B008 - frozen
        self.written.append(tuple(lines))

    def deny(self, denial: Denial) -> None:
        self.denied.append(denial)

    @performs(KeepVersions)
    async def _deploy(self, operation: KeepVersions) -> tuple[Version, ...]:
        return tuple(self._deploy_one(new, operation.by) for new in operation.versions)

    def _deploy_one(self, new: NewVersion, by: str) -> Version:
        known = self.versions.setdefault((new.project, new.function), [])
        made = Version(
            project=new.project,
            function=new.function,
            number=len(known) + 1,
            digest=new.digest,
            spec=new.spec,
            created_at=3.0,
            created_by=by,
        )
        if new.trial is not None:
            self._require_one(new.project, new.function)
        known.append(made)
        if new.trial is not None:
            self._try(new.project, new.function, made.number, new.trial)
        else:
            all_of_them = (AliasTarget(version=made.number, weight=100),)
            self._point(new.project, new.function, LIVE, all_of_them)
        if new.approved:
            self.approved.append(
                GrantApproval(
                    project=new.project,
                    function=new.function,
                    version=made.number,
                    added=new.approved,
                    by=by,
                    at=made.created_at,
                )
            )
        return made

    def _point(
        self,
        project: str,
        function: str,
        name: str,
        targets: tuple[AliasTarget, ...],
        trial: Trial | None = None,
    ) -> Alias:
        self.moves += 1
        alias = Alias(
            project=project,
            function=function,
            name=name,
            targets=targets,
            changed_at=self.began + self.moves,
            trial=trial,
        )
        self.states.setdefault((project, function, name), []).append(alias)
        return alias

    @performs(SetAlias)
    async def _set_alias(self, operation: SetAlias) -> Alias:
        project, function = operation.project, operation.function
        known = {v.number for v in self.versions.get((project, function), ())}
        if not {t.version for t in operation.targets} <= known:
            raise NotFoundError("There is no such version.")
        targets = tuple(AliasTarget(version=t.version, weight=t.weight) for t in operation.targets)
        return self._point(project, function, operation.name, targets)

    def _require_one(self, project: str, function: str) -> AliasTarget:
        states = self.states.get((project, function, LIVE), ())
        if not states or len(states[-1].targets) != 1:
            raise ConflictError("There is nothing to go back to.")
        return states[-1].targets[0]

    def _try(self, project: str, function: str, number: int, terms: TrialTerms) -> Alias:
        back = self._require_one(project, function)
        targets = (
            AliasTarget(version=back.version, weight=100 - terms.weight),
            AliasTarget(version=number, weight=terms.weight),
        )
        trial = Trial(version=number, back=back.version, until=time.time() + terms.seconds)
        return self._point(project, function, LIVE, targets, trial)

    @performs(StartTrial)
    async def _start_trial(self, operation: StartTrial) -> Alias:
        known = self.versions.get((operation.project, operation.function), ())
        if operation.version not in {version.number for version in known}:
            raise NotFoundError("There is no such version.")
        return self._try(operation.project, operation.function, operation.version, operation.terms)

    @performs(EndTrial)
    async def _end_trial(self, operation: EndTrial) -> Alias:
        project, function = operation.project, operation.function
        now = self.states[project, function, LIVE][-1]
        trial = now.trial
        if trial is None or (trial.version, now.changed_at) != (
            operation.version,
            operation.since,
        ):
            raise ConflictError("It is over.")
        number = trial.version if operation.promote else trial.back
        return self._point(project, function, LIVE, (AliasTarget(version=number, weight=100),))

    @performs(ListFunctions)
    async def _functions(self, _operation: ListFunctions) -> Functions:
        return Functions(
            functions=tuple(
                DeployedFunction(
                    project=project,
                    name=name,
                    versions=tuple(self.versions[project, name]),
                    aliases=tuple(
                        states[-1]
                        for (p, n, _), states in sorted(self.states.items())
                        if (p, n) == (project, name)
                    ),
                )
                for project, name in sorted(self.versions)
            )
        )

    @performs(ShowAliasHistory)
    async def _alias_history(self, operation: ShowAliasHistory) -> tuple[Alias, ...]:
        name = (operation.project, operation.function)
        if name not in self.versions:
            raise NotFoundError("There is no such function.")
        states = self.states.get((*name, operation.name), ())
        return tuple(reversed(states))[: operation.limit]

    @performs(ForgetVersion)
    async def _remove_version(self, operation: ForgetVersion) -> tuple[str, ...]:
        versions = self.versions.get((operation.project, operation.function), [])
        gone = [v for v in versions if v.number == operation.number]
        if not gone:
            raise NotFoundError("There is no such version.")
        versions.remove(gone[0])
        left = {v.digest for all_of_one in self.versions.values() for v in all_of_one}
        return tuple({gone[0].digest} - left)

    @performs(ForgetFunction)
    async def _remove_function(self, operation: ForgetFunction) -> tuple[str, ...]:
        name = (operation.project, operation.function)
        gone = self.versions.pop(name, None)
        if gone is None:
            raise NotFoundError("There is no such function.")
        for state in [s for s in self.states if s[:2] == name]:
            del self.states[state]
        left = {v.digest for versions in self.versions.values() for v in versions}
        return tuple(sorted({v.digest for v in gone} - left))

    @performs(ReadNodeValue)
    async def _node_value(self, operation: ReadNodeValue) -> bytes | None:
        return self.values.get(operation.name)

    @performs(ReadNodeValues)
    async def _node_values(self, operation: ReadNodeValues) -> tuple[bytes | None, ...]:
        return tuple(map(self.values.get, operation.names))

    @performs(KeepNodeValue)
    async def _set_node_value(self, operation: KeepNodeValue) -> None:
        kept = self.values.get(operation.name)
        if operation.was not in (None, b"" if kept is None else sha256(kept).digest()):
            raise StoreMovedError("Another node has changed what this was decided on.")
        self.values[operation.name] = operation.value

    @performs(ListDenials)
    async def _denials(self, _operation: ListDenials) -> Denials:
        return Denials(denials=tuple(reversed(self.denied)))

    @performs(CountUses)
    async def _add_uses(self, operation: CountUses) -> None:
        self.used += operation.uses

    @performs(ListUses)
    async def _uses(self, operation: ListUses) -> tuple[GrantUse, ...]:
        wanted = (operation.project, operation.function)
        return tuple(u for u in self.used if (u.project, u.function) == wanted)

    @performs(ListApprovals)
    async def _approvals(self, _operation: ListApprovals) -> tuple[GrantApproval, ...]:
        return tuple(self.approved)

    @performs(ShowInvocation)
    async def _invocation(self, operation: ShowInvocation) -> InvocationRecord:
        for record, _, _ in self.records:
            if record.id == operation.id:
                return record
        raise operation.missing

    @performs(ListInvocations)
    async def _invocations(self, operation: ListInvocations) -> Invocations:
        newest = tuple(r for r, _, _ in reversed(self.records))
        return Invocations(invocations=newest[: operation.limit])

    @performs(ListErrors)
    async def _errors(self, _operation: ListErrors) -> Errors:
        return Errors(errors=())

    @performs(ShowError)
    async def _error(self, operation: ShowError) -> ErrorRecord:
        for _, error, _ in self.records:
            if error is not None and error.id == operation.id:
                return error
        raise operation.missing

    @performs(ReadLogs)
    async def _logs(self, _operation: ReadLogs) -> tuple[LogLine, ...]:
        return tuple(line for _, _, lines in self.records for line in lines)

    async def flush(self) -> None:
        self.flushed += 1

    async def close(self) -> None:
        pass


_PERFORMED = Performed(performs)


class InstancePeer:
    """A gateway's Instance, and the other end of its socket and output to play the process."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        reuse: bool = False,
        max_response: int = Limits().response,
        kill: Any = None,
    ) -> None:
        ours, self.sock = socket.socketpair()
        reading, self.output = os.pipe()
        ours.setblocking(False)
        os.set_blocking(reading, False)
        self.sock.setblocking(False)
        self.loop = loop
        self.ready: list[Instance] = []
        self.ended: list[Instance] = []
        self.killed: list[int] = []
        self.received = wire.FrameReader(frozenset((wire.INVOKE, wire.REPLY)), 1 << 31)
        self.instance = Instance(
            7,
            sock=ours,
            output=reading,
            max_response=max_response,
            reuse=reuse,
            loop=loop,
            on_ready=self.ready.append,
            on_end=self.ended.append,
            kill=kill or self.killed.append,
        )

    async def send(self, data: bytes) -> None:
        """Send, then let the gateway's end read all of it."""
        await self.loop.sock_sendall(self.sock, data)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def event(self) -> tuple[bytes, bytes]:
        """Return head and body of the next invoke frame."""
        while True:
            data = await self.loop.sock_recv(self.sock, 65536)
            if not data:
                raise ConnectionError("the gateway closed the socket")
            for _kind, head, body in self.received.feed(data):
                return head, body

    def close(self) -> None:
        self.instance.close()
        self.sock.close()
        if self.output >= 0:
            os.close(self.output)
            self.output = -1
