"""Sample records for the tests of the store."""

from __future__ import annotations

from pathlib import Path

from casemate.model.account import Token, User
from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import NewVersion
from casemate.model.function import FunctionSpec, HttpTrigger
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine, Outcome
from casemate.model.principal import OWNER, RoleBinding
from casemate.model.tracing import span_of, trace_of
from casemate.operations.deployments import KeepVersions
from casemate.sqlite import engine
from casemate.store.sqlite import SqliteStore

KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))


def digest(letter: str) -> str:
    return letter * 64


def spec(name: str = "thumbs") -> FunctionSpec:
    return FunctionSpec(
        name=name,
        handler="app.main:handler",
        python="3.11",
        public=True,
        http=(HttpTrigger(method="GET", path="/a/{id}"),),
    )


def token(token_id: str = "k1", name: str = "first", **changes: object) -> Token:
    values: dict[str, object] = {
        "id": token_id,
        "name": name,
        "sha256": digest("e"),
        "bindings": (RoleBinding(role=OWNER),),
        "created_at": 1.0,
        "created_by": "user:ada",
    }
    return Token(**{**values, **changes})  # type: ignore[arg-type]


def user(name: str = "ada", **changes: object) -> User:
    return User(**{"name": name, "created_at": 1.0, **changes})  # type: ignore[arg-type]


def denial(**changes: object) -> Denial:
    values: dict[str, object] = {
        "at": 1000.0,
        "kind": DenialKind.CAPABILITY,
        "by": "function:demo/thumbs",
        "action": "bucket:write",
        "resource": "bucket:demo/uploads",
        "reason": "no grant covers it",
        "project": "demo",
        "function": "thumbs",
        "version": 3,
        "invocation": "i1",
    }
    return Denial(**{**values, **changes})  # type: ignore[arg-type]


def invocation(invocation_id: str = "i1", **changes: object) -> InvocationRecord:
    values: dict[str, object] = {
        "id": invocation_id,
        "project": "demo",
        "function": "thumbs",
        "version": 3,
        "trigger": "http",
        "outcome": Outcome.OK,
        "status": 200,
        "started_at": 1000.25,
        "queued_ms": 0.5,
        "run_ms": 1.5,
        "cold": True,
        "request_bytes": 10,
        "response_bytes": 20,
        "trace_id": trace_of(invocation_id),
        "span_id": span_of(invocation_id),
    }
    return InvocationRecord(**{**values, **changes})  # type: ignore[arg-type]


def failure(error_id: str = "e1", **changes: object) -> ErrorRecord:
    values: dict[str, object] = {
        "id": error_id,
        "invocation": "i1",
        "project": "demo",
        "function": "thumbs",
        "version": 3,
        "outcome": Outcome.HANDLER_ERROR,
        "at": 1001.0,
        "type": "ValueError",
        "message": "no",
        "trace": "Traceback …\nValueError: no",
    }
    return ErrorRecord(**{**values, **changes})  # type: ignore[arg-type]


def line(text: str = "hello", **changes: object) -> LogLine:
    values: dict[str, object] = {
        "invocation": "i1",
        "project": "demo",
        "function": "thumbs",
        "version": 3,
        "at": 1000.5,
        "level": "info",
        "text": text,
    }
    return LogLine(**{**values, **changes})  # type: ignore[arg-type]


def new(**changes: object) -> NewVersion:
    name = str(changes.get("function", "thumbs"))
    values: dict[str, object] = {
        "project": "demo",
        "function": name,
        "digest": digest("a"),
        "spec": spec(name),
    }
    return NewVersion(**{**values, **changes})  # type: ignore[arg-type]


async def deploy(store: SqliteStore, letter: str = "a", name: str = "thumbs") -> int:
    wanted = new(function=name, digest=digest(letter))
    (version,) = await store.change(KeepVersions(versions=(wanted,), by="k1"))
    return version.number


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}


def memory() -> engine.Connection:
    """Return a database in memory, as the store's SQL expects its connections to be."""
    connection = engine.driver.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def opened(folder: Path, key: bytes = KEY) -> engine.Connection:
    """Return a connection beside those of the store."""
    return engine.connect(folder / "records.db", key)
