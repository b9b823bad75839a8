"""A control service in memory, as small as the port allows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from casemate.api import IssuedKey, NodeStatus, ProtectionStatus, StartFailedError
from casemate.model.deployment import (
    LIVE,
    Alias,
    AliasTarget,
    DeployedFunction,
    Key,
    KeyRole,
    Version,
)
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.function import FunctionSpec
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine

ADMIN_TEXT = "cm_admin_" + "a" * 43
INVOKE_TEXT = "cm_caller_" + "b" * 43
BROKEN_DIGEST = "b" * 64


def key_of(text: str, name: str, role: KeyRole) -> Key:
    return Key(
        id=text.split("_")[1],
        name=name,
        role=role,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        created_at=1.0,
    )


class FakeControl:
    """Bundles are whatever their sender says they are; the text `junk` is none."""

    def __init__(self) -> None:
        self.keys_by_id: dict[str, Key] = {}
        for text, name, role in (
            (ADMIN_TEXT, "root", KeyRole.ADMIN),
            (INVOKE_TEXT, "app", KeyRole.INVOKE),
        ):
            key = key_of(text, name, role)
            self.keys_by_id[key.id] = key
        self.bundles: dict[str, bytes] = {}
        self.specs: dict[str, FunctionSpec] = {}
        self.deployed: dict[tuple[str, str], DeployedFunction] = {}
        self.history: dict[tuple[str, str], list[tuple[AliasTarget, ...]]] = {}
        self.invocation_records: list[InvocationRecord] = []
        self.error_records: dict[str, ErrorRecord] = {}
        self.lines: list[LogLine] = []
        self.fault: Exception | None = None
        self.authentication_fault: Exception | None = None
        self.asked_by: list[str] = []

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def authenticate(self, authorization: str | None) -> Key | None:
        if self.authentication_fault is not None:
            raise self.authentication_fault
        scheme, _, text = (authorization or "").partition(" ")
        if scheme != "Bearer":
            return None
        digest = hashlib.sha256(text.encode()).hexdigest()
        return next((k for k in self.keys_by_id.values() if k.sha256 == digest), None)

    async def functions(self) -> tuple[DeployedFunction, ...]:
        self._check()
        return tuple(self.deployed[name] for name in sorted(self.deployed))

    async def function(self, project: str, name: str) -> DeployedFunction:
        self._check()
        try:
            return self.deployed[project, name]
        except KeyError:
            raise NotFoundError(f"There is no function {project}/{name}.") from None

    async def remove(self, project: str, function: str, *, by: str) -> None:
        await self.function(project, function)
        self.asked_by.append(by)
        del self.deployed[project, function]

    async def has_bundle(self, digest: str) -> bool:
        return digest in self.bundles

    async def put_bundle(self, digest: str, archive: Path) -> None:
        content = archive.read_bytes()
        if content == b"junk":
            raise InvalidInputError("The archive is not a tar.gz file.")
        self.bundles[digest] = content

    async def start_once(self, project: str, function: str, digest: str) -> None:
        if digest == BROKEN_DIGEST:
            raise StartFailedError(
                f"{project}/{function} cannot be started.",
                type="ModuleNotFoundError",
                message="No module named 'nothere'",
                trace='File "handler.py", line 1\n    import nothere\n',
            )
        if digest not in self.bundles:
            raise NotFoundError("There is no such bundle.", next_step="Upload it first.")

    async def deploy(self, project: str, function: str, digest: str, *, by: str) -> Version:
        self._check()
        await self.start_once(project, function, digest)
        self.asked_by.append(by)
        old = self.deployed.get((project, function))
        versions = old.versions if old else ()
        version = Version(
            project=project,
            function=function,
            number=len(versions) + 1,
            digest=digest,
            spec=self.specs.get(digest, FunctionSpec(name=function, handler="handler:handle")),
            created_at=1_700_000_000.0,
            created_by=by,
        )
        self.deployed[project, function] = DeployedFunction(
            project=project, name=function, versions=(*versions, version), aliases=()
        )
        self._point(project, function, LIVE, (AliasTarget(version=version.number, weight=100),))
        return version

    def _point(
        self, project: str, function: str, name: str, targets: tuple[AliasTarget, ...]
    ) -> Alias:
        alias = Alias(
            project=project, function=function, name=name, targets=targets, changed_at=2.0
        )
        old = self.deployed[project, function]
        kept = tuple(a for a in old.aliases if a.name != name)
        self.deployed[project, function] = msgspec.structs.replace(old, aliases=(*kept, alias))
        if name == LIVE:
            self.history.setdefault((project, function), []).append(targets)
        return alias

    async def set_alias(self, project, function, name, targets, *, by) -> Alias:
        known = {v.number for v in (await self.function(project, function)).versions}
        missing = [t.version for t in targets if t.version not in known]
        if missing:
            raise NotFoundError(f"There is no version {missing[0]} of {project}/{function}.")
        return self._point(project, function, name, tuple(targets))

    async def rollback(self, project: str, function: str, to: int | None, *, by: str) -> Alias:
        await self.function(project, function)
        if to is not None:
            target = AliasTarget(version=to, weight=100)
            return await self.set_alias(project, function, LIVE, [target], by=by)
        history = self.history[project, function]
        if len(history) < 2:
            raise ConflictError("There is nothing before the present state of `live`.")
        return self._point(project, function, LIVE, history[-2])

    async def invocations(self, *, project, function, limit) -> tuple[InvocationRecord, ...]:
        found = [
            r
            for r in self.invocation_records
            if project in (None, r.project) and function in (None, r.function)
        ]
        return tuple(found[:limit])

    async def invocation(self, invocation_id: str) -> InvocationRecord:
        for record in self.invocation_records:
            if record.id == invocation_id:
                return record
        raise NotFoundError(f"There is no invocation {invocation_id}.")

    async def error(self, error_id: str) -> ErrorRecord:
        if error_id not in self.error_records:
            raise NotFoundError(f"There is no error {error_id}.")
        return self.error_records[error_id]

    async def logs(self, *, project, function, invocation, after, limit) -> tuple[LogLine, ...]:
        self._check()
        found = [
            line
            for line in self.lines
            if line.sequence > after
            and project in (None, line.project)
            and function in (None, line.function)
            and invocation in (None, line.invocation)
        ]
        return tuple(found[:limit] if after else found[-limit:])

    async def keys(self) -> tuple[Key, ...]:
        return tuple(self.keys_by_id.values())

    async def add_key(self, name: str, role: KeyRole, *, by: str) -> IssuedKey:
        if any(k.name == name and k.revoked_at is None for k in self.keys_by_id.values()):
            raise ConflictError(f"There is a key called {name!r}.")
        text = f"cm_k{len(self.keys_by_id)}_" + "c" * 43
        key = key_of(text, name, role)
        self.keys_by_id[key.id] = key
        return IssuedKey(key=key, text=text)

    async def revoke_key(self, key_id: str, *, by: str) -> Key:
        if key_id not in self.keys_by_id:
            raise NotFoundError(f"There is no key {key_id}.")
        revoked = msgspec.structs.replace(self.keys_by_id[key_id], revoked_at=3.0)
        self.keys_by_id[key_id] = revoked
        return revoked

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
