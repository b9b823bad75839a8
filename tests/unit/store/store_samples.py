"""Sample records for the tests of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from casemate.model.account import Token, User
from casemate.model.deployment import NewVersion
from casemate.model.function import FunctionSpec, HttpTrigger
from casemate.model.principal import OWNER, RoleBinding
from casemate.operations.deployments import KeepVersions
from casemate.operations.node import KeepNodeValue
from casemate.sqlite import engine
from casemate.store import Store

Opening = Callable[[], Store]
"""Opens the store of one place, again after it was closed."""
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
        http=(HttpTrigger(method="GET", path=f"/{name}/{{id}}"),),
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


def new(**changes: object) -> NewVersion:
    name = str(changes.get("function", "thumbs"))
    values: dict[str, object] = {
        "project": "demo",
        "function": name,
        "digest": digest("a"),
        "spec": spec(name),
    }
    return NewVersion(**{**values, **changes})  # type: ignore[arg-type]


async def deploy(store: Store, letter: str = "a", name: str = "thumbs") -> int:
    wanted = new(function=name, digest=digest(letter))
    (version,) = await store.change(KeepVersions(versions=(wanted,), by="k1"))
    return version.number


async def keep_values(store: Store, count: int, size: int = 200) -> None:
    """Keep so many values of the node."""
    names = [f"i{number}" for number in range(count)]
    for start in range(0, count, 500):
        changes = [
            KeepNodeValue(name=name, value=b"x" * size) for name in names[start : start + 500]
        ]
        await asyncio.gather(*(store.change(change) for change in changes))


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
