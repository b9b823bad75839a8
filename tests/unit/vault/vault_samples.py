"""Vaults for tests: an engine in a folder, without a process."""

from __future__ import annotations

from pathlib import Path

from casemate.vault.engine import VaultEngine
from casemate.vault.envelope import new_key
from casemate.vault.folder import VaultFolder
from casemate.vault.open_state import MasterKey
from casemate.vault.opening import open_vault
from casemate.vault.sealed import seal_value
from casemate.vault.sources import KeyParameters

VALUE = b"correct horse"


def master_key(source: str = "file:/etc/casemate/master.key", key: bytes | None = None):
    return MasterKey(source=source, key=key or new_key(), parameters=KeyParameters())


def open_engine(path: Path, master: MasterKey, *, create: bool = False) -> VaultEngine:
    folder = VaultFolder.open(path, create=create, uid=None)
    try:
        return open_vault(folder, master, memory_locked=False)[0]
    except BaseException:
        folder.close()
        raise


def put(engine: VaultEngine, name: str = "api-key", value: bytes = VALUE, project: str = "shop"):
    sealed = seal_value(engine.public_key(), project, name, value)
    return engine.put_secret(project, name, sealed, "user:ada")


def value_of(engine: VaultEngine, name: str = "api-key", project: str = "shop", version=None):
    return engine.secret_value(project, name, version)[1]()


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


class EngineVault:
    """A `Vault` whose engine runs in this process."""

    def __init__(self, engine: VaultEngine) -> None:
        self.engine = engine

    def __getattr__(self, name: str):
        operation = getattr(self.engine, name)

        async def call(*arguments):
            return operation(*arguments)

        return call

    async def data_key(self, project, purpose, version=None):
        return self.engine.data_key(project, purpose, version)
