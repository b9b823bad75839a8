"""What the operations work on, in memory and as small as the ports allow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx2
import msgspec

from casemate.admission.grants import GrantDifference, WideningError
from casemate.api import StartFailedError, create_app
from casemate.api.control import Deploys
from casemate.api.service import Service, nothing_known
from casemate.facts import FactStream
from casemate.model.denial import Denial, GrantUse
from casemate.model.deployment import (
    LIVE,
    Alias,
    AliasTarget,
    DeployedFunction,
    Quarantine,
    Trial,
    TrialTerms,
    Version,
)
from casemate.model.errors import (
    CasemateError,
    ConflictError,
    InvalidInputError,
    NoFunctionError,
    NotFoundError,
    QuotaError,
)
from casemate.model.facts import Actor, LogsWritten
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.integrity import CheckReport, CheckState
from casemate.model.invocation import (
    ErrorRecord,
    ErrorSummary,
    InvocationRecord,
    LogLine,
    RunningInvocation,
)
from casemate.model.node import NodeStatus
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.protection import ProtectionStatus
from casemate.model.restoring import Discarded, Restoring
from casemate.model.route import RouteClaim
from casemate.model.source import SourceStatus
from casemate.model.still import require_still
from casemate.model.trigger import ScheduleStatus
from casemate.model.usage import Usage
from casemate.operations.declaration import Operation
from casemate.operations.functions import Forgets, PlannedFunction, SetAlias, Target
from casemate.operations.grants import ListUses
from casemate.operations.performing import Performed, Performers
from casemate.operations.quarantine import QuarantineFunction, ReleaseFunction
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
from casemate.operations.traces import FindTrace
from casemate.operations.trials import EndTrial, StartTrial
from casemate.operations.usage import ReadUsage
from casemate.policy import CedarPolicy, parse_binding
from support.facts import stream
from support.fake_monitor import FakeMonitor
from support.parts import unused_parts
from support.recorder import FakeRecorder

T = TypeVar("T")
OWNER_TEXT, INVOKER_TEXT, GUEST_TEXT = (
    f"cm_{name}_{'a' * 43}" for name in ("owner", "invoker", "guest")
)
BROKEN_DIGEST, WIDE_DIGEST = "b" * 64, "e" * 64
WIDE = Grant(kind=GrantKind.SECRET, name="stripe", actions=("read",))


class NoTokens:
    """The tokens of a node that has none to show."""

    def all(self) -> tuple[()]:
        return ()

    def one(self, token_id: str) -> Any:
        raise NotFoundError(f"There is no token {token_id}.", next_step="List them.")

    async def revoke(self, token_id: str, *, by: Principal) -> Any:
        return self.one(token_id)


class FakeAccounts:
    """Knows principals by the text of their token."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.tokens = NoTokens()
        self.known: dict[str, Principal] = {}
        self.makers: dict[str, str] = {}
        """Of tokens, as `Principal.text`."""
        self.add(OWNER_TEXT, "owner")
        self.add(INVOKER_TEXT, "invoker")
        self.add(GUEST_TEXT)

    def add(self, text: str, *roles: str) -> str:
        """Make a token; roles are written `ROLE[@PROJECT[/FUNCTION]]`."""
        self.known[text] = Principal(
            kind=PrincipalKind.TOKEN,
            id=text.split("_")[1],
            bindings=tuple(map(parse_binding, roles)),
        )
        return text

    def answerable(self, caller: str) -> str:
        return self.makers.get(caller, caller)

    def principal_of(self, text: str) -> Principal | None:
        return next((known for known in self.known.values() if known.text == text), None)

    def authenticate(self, authorization: str | None, checked: Any = None) -> Any:
        if self.fault is not None:
            raise self.fault
        scheme, _, text = (authorization or "").partition(" ")
        return self.known.get(text) if scheme == "Bearer" else None


performs = Performers()


def _is_of(record: Any, wanted: Any) -> bool:
    """Tell whether a record is of the project and function that are asked for."""
    return wanted.project in (None, record.project) and wanted.function in (None, record.function)


class FakeControl:
    """Bundles are whatever their sender says they are; the text `junk` is none."""

    def __init__(self) -> None:
        self.bundles: dict[str, bytes] = {}
        self.pieces: set[str] = set()
        """Digests of dependencies that can be left out."""
        self.foreseen: list[CasemateError] = []
        self.forgotten: list[Forgets] = []
        """What is in the way of every deploy."""
        self.planned: tuple[PlannedFunction, ...] = ()
        self.full = False
        """Whether there is no room for further bundles."""
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens while a change waits."""
        self.running_records: list[RunningInvocation] = []
        self.asked_records: ListInvocations | ListErrors | None = None
        self.specs: dict[str, FunctionSpec] = {}
        self.deployed: dict[tuple[str, str], DeployedFunction] = {}
        self.history: dict[tuple[str, str], list[tuple[AliasTarget, ...]]] = {}
        self.invocation_records: list[InvocationRecord] = []
        self.usage_rows: tuple[Usage, ...] = ()
        self.asked_usage: ReadUsage | None = None
        self.error_records: dict[str, ErrorRecord] = {}
        self.lines: list[LogLine] = []
        self.asked_after: list[int] = []
        self.approvals: list[bool] = []
        """Whether each who has pointed `live` somewhere may approve grants."""
        self.reads = 0
        self.fault: Exception | None = None
        self.denial_records: list[Denial] = []
        self.asked_by: list[str] = []
        self.claims: tuple[RouteClaim, ...] = ()
        self.facts = FactStream()

    def write(self, line: LogLine) -> None:
        """Have a line in the log, and tell who follows it."""
        self.lines.append(line)
        self.facts.happened(
            LogsWritten(
                at=line.at,
                project=line.project,
                function=line.function,
                invocation=line.invocation,
            )
        )

    def _waited(self) -> None:
        """Stand for a change that waits for another one."""
        self.meanwhile()
        require_still()

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def functions(self) -> tuple[DeployedFunction, ...]:
        self._check()
        return tuple(self.deployed[name] for name in sorted(self.deployed))

    async def function(self, project: str, name: str) -> DeployedFunction:
        self._check()
        try:
            return self.deployed[project, name]
        except KeyError:
            raise NoFunctionError(project, name) from None

    async def remove(self, project: str, function: str, *, by: Actor) -> None:
        self._waited()
        await self.function(project, function)
        self.asked_by.append(by.principal)
        del self.deployed[project, function]

    async def route_claims(self) -> tuple[RouteClaim, ...]:
        return self.claims

    async def claim_routes(self, claim: RouteClaim, *, by: Actor) -> None:
        self._waited()
        self.asked_by.append(by.principal)
        self.claims = (claim,)

    async def remove_version(self, project: str, function: str, number: int, *, by: Actor) -> None:
        self._waited()
        await self.function(project, function)
        self.asked_by.append(by.principal)

    async def has_bundle(self, digest: str, *, by: str, deploys: Deploys) -> bool:
        return digest in self.bundles

    async def require_room(self, digest: str, size: int, *, by: str, deploys: Deploys) -> None:
        if self.full and digest not in self.bundles:
            raise QuotaError(f"There is no room for {size} bytes.")

    async def find_pieces(
        self,
        project: str,
        function: str,
        wanted: Collection[str],
        *,
        by: str,
        deploys: Deploys,
    ) -> set[str]:
        return self.pieces.intersection(wanted)

    async def foresee(
        self, planned: Sequence[PlannedFunction], *, key: str | None, sigstore: bool, by: Actor
    ) -> list[CasemateError]:
        self.planned = tuple(planned)
        return self.foreseen

    async def forgets(self, planned: Sequence[PlannedFunction]) -> list[Forgets]:
        return self.forgotten

    async def put_bundle(
        self, digest: str, archive: Path, *, by: str, deploys: Deploys, partial: bool = False
    ) -> bool:
        if partial and not self.pieces:
            raise ConflictError("They are gone.")
        content = archive.read_bytes()
        if content == b"junk":
            raise InvalidInputError("The archive is not a tar.gz file.")
        added = digest not in self.bundles
        self.bundles[digest] = content
        return added

    async def start_once(self, project: str, function: str, digest: str, *, by: Actor) -> None:
        if digest == BROKEN_DIGEST:
            raise StartFailedError(
                f"{project}/{function} cannot be started.",
                type="ModuleNotFoundError",
                message="No module named 'nothere'",
                trace='File "handler.py", line 1\n    import nothere\n',
            )
        if digest not in self.bundles:
            raise NotFoundError("There is no such bundle.", next_step="Upload it first.")

    async def deploy(
        self,
        project: str,
        function: str,
        digest: str,
        *,
        approve: bool,
        by: Actor,
    ) -> Version:
        self._waited()
        self._check()
        if digest == WIDE_DIGEST and not approve:
            raise WideningError(function, GrantDifference(added=(WIDE,), widening=(WIDE,)))
        await self.start_once(project, function, digest, by=by)
        self.asked_by.append(by.principal)
        old = self.deployed.get((project, function))
        versions = old.versions if old else ()
        version = Version(
            project=project,
            function=function,
            number=len(versions) + 1,
            digest=digest,
            spec=self.specs.get(digest, FunctionSpec(name=function, handler="handler:handle")),
            created_at=1_700_000_000.0,
            created_by=by.principal,
        )
        self.deployed[project, function] = DeployedFunction(
            project=project, name=function, versions=(*versions, version), aliases=()
        )
        self._point(project, function, LIVE, (AliasTarget(version=version.number, weight=100),))
        return version

    async def deploy_all(
        self, wanted, *, approve: bool, trial=None, by: Actor
    ) -> tuple[Version, ...]:
        self._waited()
        before = dict(self.deployed)
        versions = []
        for one in wanted:
            try:
                if trial is not None and (one.project, one.function) not in before:
                    raise ConflictError(
                        f"{one.project}/{one.function} has no version that is live, so there is "
                        "nothing to go back to.",
                        next_step="Deploy it without a share first.",
                    )
                versions.append(await self.deploy(*one, approve=approve, by=by))
            except CasemateError as error:
                self.deployed = before
                error.about = f"{one.project}/{one.function}"
                raise
            if trial is not None:
                live = self.history[one.project, one.function][-2][0].version
                self._share(one.project, one.function, live, versions[-1].number, trial)
        return tuple(versions)

    def _share(
        self, project: str, function: str, back: int, number: int, terms: TrialTerms
    ) -> Alias:
        targets = (
            AliasTarget(version=back, weight=100 - terms.weight),
            AliasTarget(version=number, weight=terms.weight),
        )
        trial = Trial(version=number, back=back, until=2_000_000_000.0)
        return self._point(project, function, LIVE, targets, trial)

    async def start_trial(
        self, operation: StartTrial, *, approve: bool = False, by: Actor
    ) -> Alias:
        self._waited()
        self.approvals.append(approve)
        project, name = operation.project, operation.function
        found = await self.function(project, name)
        if operation.version not in {version.number for version in found.versions}:
            raise NotFoundError(f"{project}/{name} has no version {operation.version}.")
        (live,) = (alias for alias in found.aliases if alias.name == LIVE)
        back = live.targets[0].version
        return self._share(project, name, back, operation.version, operation.terms)

    async def end_trial(self, operation: EndTrial, *, by: Actor) -> Alias:
        self._waited()
        project, name = operation.project, operation.function
        (live,) = (
            alias for alias in (await self.function(project, name)).aliases if alias.name == LIVE
        )
        trial = live.trial
        if trial is None or live.changed_at != operation.since:
            raise ConflictError("The trial is over.")
        number = trial.version if operation.promote else trial.back
        return self._point(project, name, LIVE, (AliasTarget(version=number, weight=100),))

    def _point(
        self,
        project: str,
        function: str,
        name: str,
        targets: tuple[AliasTarget, ...],
        trial: Trial | None = None,
    ) -> Alias:
        alias = Alias(
            project=project,
            function=function,
            name=name,
            targets=targets,
            changed_at=2.0,
            trial=trial,
        )
        old = self.deployed[project, function]
        kept = tuple(a for a in old.aliases if a.name != name)
        self.deployed[project, function] = msgspec.structs.replace(old, aliases=(*kept, alias))
        if name == LIVE:
            self.history.setdefault((project, function), []).append(targets)
        return alias

    async def set_alias(self, operation: SetAlias, *, approve: bool = False, by: Actor) -> Alias:
        self._waited()
        self.approvals.append(approve)
        project, function = operation.project, operation.function
        known = {v.number for v in (await self.function(project, function)).versions}
        missing = [t.version for t in operation.targets if t.version not in known]
        if missing:
            raise NotFoundError(f"There is no version {missing[0]} of {project}/{function}.")
        targets = tuple(AliasTarget(version=t.version, weight=t.weight) for t in operation.targets)
        return self._point(project, function, operation.name, targets)

    async def quarantine(self, operation: QuarantineFunction, *, by: Actor) -> Quarantine:
        self._waited()
        name = operation.project, operation.function
        found = Quarantine(
            project=operation.project,
            function=operation.function,
            reason=operation.reason,
            by=by.principal,
            since=1.0,
        )
        held = (await self.function(*name)).quarantine or found
        self.deployed[name] = msgspec.structs.replace(self.deployed[name], quarantine=held)
        return held

    async def release(self, operation: ReleaseFunction, *, by: Actor) -> Quarantine:
        self._waited()
        name = operation.project, operation.function
        held = (await self.function(*name)).quarantine
        if held is None:
            raise ConflictError("It is not in quarantine.")
        self.deployed[name] = msgspec.structs.replace(self.deployed[name], quarantine=None)
        return held

    async def sbom(self, project: str, function: str, version: int | None) -> bytes:
        await self.function(project, function)
        return b'{"bomFormat": "CycloneDX"}'

    async def rollback(
        self,
        project: str,
        function: str,
        to: int | None,
        *,
        approve: bool = False,
        by: Actor,
    ) -> Alias:
        self._waited()
        self.approvals.append(approve)
        await self.function(project, function)
        if to is not None:
            targets = (Target(version=to, weight=100),)
            wanted = SetAlias(project=project, function=function, name=LIVE, targets=targets)
            return await self.set_alias(wanted, approve=approve, by=by)
        history = self.history[project, function]
        if len(history) < 2:
            raise ConflictError("There is nothing before the present state of `live`.")
        return self._point(project, function, LIVE, history[-2])

    def running(self, project, function) -> tuple[RunningInvocation, ...]:
        return tuple(
            r
            for r in self.running_records
            if project in (None, r.project) and function in (None, r.function)
        )

    async def recorded(self, operation: Operation[T]) -> T:
        return await _RECORDED.reading(operation)(self, operation)

    @performs(ListInvocations)
    async def _invocations(self, wanted: ListInvocations) -> Invocations:
        self.asked_records = wanted
        found = tuple(r for r in self.invocation_records if _is_of(r, wanted))
        return Invocations(invocations=found[: wanted.limit])

    @performs(ListErrors)
    async def _errors(self, wanted: ListErrors) -> Errors:
        self.asked_records = wanted
        found = tuple(
            ErrorSummary(**{f: getattr(r, f) for f in ErrorSummary.__struct_fields__})
            for r in self.error_records.values()
            if _is_of(r, wanted)
        )
        return Errors(errors=found[: wanted.limit])

    @performs(ShowInvocation)
    async def _invocation(self, wanted: ShowInvocation) -> InvocationRecord:
        for record in self.invocation_records:
            if record.id == wanted.id:
                return record
        raise wanted.missing

    @performs(ReadUsage)
    async def _usage(self, wanted: ReadUsage) -> tuple[Usage, ...]:
        self.asked_usage = wanted
        return self.usage_rows[: wanted.limit]

    @performs(FindTrace)
    async def _trace(self, wanted: FindTrace) -> tuple[InvocationRecord, ...]:
        ids = {r.trace_id for r in self.invocation_records if wanted.id in (r.id, r.trace_id)}
        return tuple(r for r in self.invocation_records if r.trace_id in ids)

    @performs(ShowError)
    async def _error(self, wanted: ShowError) -> ErrorRecord:
        if wanted.id not in self.error_records:
            raise wanted.missing
        return self.error_records[wanted.id]

    @performs(ReadLogs)
    async def _logs(self, wanted: ReadLogs) -> tuple[LogLine, ...]:
        self.reads += 1
        self._check()
        self.asked_after.append(wanted.after)
        found = tuple(
            line
            for line in self.lines
            if line.sequence > wanted.after
            and _is_of(line, wanted)
            and wanted.invocation in (None, line.invocation)
            and wanted.only.wants(line)
        )
        return found[: wanted.limit] if wanted.after else found[-wanted.limit :]

    @performs(ListDenials)
    async def _denials(self, wanted: ListDenials) -> Denials:
        found = tuple(
            denial
            for denial in self.denial_records
            if _is_of(denial, wanted)
            and wanted.invocation in (None, denial.invocation)
            and wanted.caller in (None, denial.by)
            and wanted.address in (None, denial.remote_address)
        )
        return Denials(denials=found[: wanted.limit])

    @performs(ListUses)
    async def _uses(self, _wanted: ListUses) -> tuple[GrantUse, ...]:
        return ()

    async def reseal_bundles(self) -> None:
        self._check()

    def restoring(self, project, function) -> Restoring:
        left = Discarded(reason="it has left something in /tmp", count=1, change="remove it")
        late = {"late_modules": 14, "late_packages": ("anyio", "h11")}
        return Restoring(restored=3, discarded=1, reasons=(left,), **late)

    async def node_status(self) -> NodeStatus:
        return NodeStatus(
            version="0.1.0",
            started_at=1.0,
            protections=(ProtectionStatus(name="seccomp", holds=True, required=True),),
            pythons=("3.11.7",),
            memory_total=1 << 30,
            memory_reserved=0,
            cpus=2.0,
            functions=len(self.deployed),
            zygotes=0,
            instances=0,
            spares=0,
            queued=0,
            lost_records=0,
        )


_RECORDED = Performed(performs)


PROJECTS = frozenset(("other", "p", "shop"))
"""Projects that there are, whether they have functions or not."""


class FakeChecks:
    """Finds nothing."""

    def report(self) -> CheckReport:
        return CheckReport()

    def start(self) -> CheckReport:
        return CheckReport(state=CheckState.RUNNING, started_at=1.0)


async def _no_backup() -> Any:
    raise InvalidInputError("There is no backup here.")


async def _no_rekey(_key: bytes) -> None:
    """Stands for a store that is encrypted anew."""


async def _no_inbox(_project: str) -> None:
    """Stands for the inboxes of a project."""


class Parts:
    """The parts of a service, of which those on trial are real or kept in memory."""

    def __init__(self, spool: Path) -> None:
        self.control, self.accounts = FakeControl(), FakeAccounts()
        self.policy = CedarPolicy()
        self.denied: list[Denial] = []
        self.facts = self.control.facts = stream(self.denied.append)
        self.recorder = FakeRecorder()
        self.monitor = FakeMonitor()
        self.sources: tuple[SourceStatus, ...] = ()
        self.schedules: tuple[ScheduleStatus, ...] = ()
        self.health = nothing_known()
        make_backup: Callable[[], Awaitable[Any]] = _no_backup
        self.service = Service(
            control=self.control,  # type: ignore[arg-type]
            spool=spool,
            accounts=self.accounts,  # type: ignore[arg-type]
            policy=self.policy,
            vault=SimpleNamespace(),  # type: ignore[arg-type]
            data=SimpleNamespace(),  # type: ignore[arg-type]
            store=SimpleNamespace(),  # type: ignore[arg-type]
            rekey_store=_no_rekey,
            facts=self.facts,
            recorder=self.recorder,
            monitor=self.monitor,
            **unused_parts(self.facts, spool),
            make_backup=make_backup,
            checks=FakeChecks(),
            sources=lambda: self.sources,
            schedules=lambda *_: self.schedules,
            ensure_inbox=_no_inbox,
            has_project=lambda name: (
                name in PROJECTS or any(name == project for project, _ in self.control.deployed)
            ),
            health=lambda: self.health,
        )


class Client:
    """Asks the application one request after the other, as an owner unless told otherwise."""

    def __init__(self, parts: Parts, spool: Path) -> None:
        self.app = create_app(parts.service)
        self.spool = spool

    def __call__(
        self, method: str, path: str, *, key: str | None = OWNER_TEXT, headers=None, **rest
    ) -> httpx2.Response:
        sent = httpx2.Headers(headers or {})
        if key is not None:
            sent["authorization"] = f"Bearer {key}"

        async def ask() -> httpx2.Response:
            transport = httpx2.ASGITransport(self.app, client=("192.0.2.9", 999))
            async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
                return await client.request(method, "/api/v1" + path, headers=sent, **rest)

        return asyncio.run(ask())


def log_line(sequence: int, text: str = "hello", invocation: str = "inv_1") -> LogLine:
    return LogLine(
        invocation=invocation,
        project="shop",
        function="cart",
        version=1,
        at=1_700_000_000.0 + sequence,
        level="stdout",
        text=text,
        sequence=sequence,
    )
