"""The database of a node that has stopped, opened with the key that its vault keeps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from casemate.model.processes import VAULT_UID
from casemate.sqlite import engine
from casemate.vault.engine import VaultEngine
from casemate.vault.folder import VaultFolder
from casemate.vault.interface import Purpose
from casemate.vault.obtaining import obtain_master
from casemate.vault.opening import open_vault as open_vault_in
from casemate.vault.sources import KeySource, parse_source
from support.node import TestNode


@contextmanager
def open_vault(node: TestNode, *, create: bool = False) -> Iterator[VaultEngine]:
    """Open the vault of a node that has stopped, in this process; or make one."""
    uid = VAULT_UID if os.geteuid() == 0 else None
    folder = VaultFolder.open(node.data / "vault", create=create, uid=uid)
    source = KeySource(parse_source(f"file:{node.master_key}"))
    master = obtain_master(folder, source, create=create)
    engine_, _shared = open_vault_in(folder, master, memory_locked=False)
    try:
        yield engine_
    finally:
        engine_.close()


@contextmanager
def open_store(node: TestNode) -> Iterator[engine.Connection]:
    """Open the records of a node that has stopped."""
    with open_vault(node) as vault:
        key = vault.data_key("", Purpose.STORE, None).key
        with closing(engine.connect(node.data / "store" / "records.db", key)) as connection:
            yield connection


def encrypt_store(node: TestNode) -> None:
    """Encrypt a store in clear under the key of a vault that is made for it; all else stays."""
    with open_vault(node, create=True) as vault:
        key = vault.data_key("", Purpose.STORE, None).key
    if os.geteuid() == 0:
        for path in (node.data / "vault").rglob("*"):
            os.chown(path, VAULT_UID, VAULT_UID)
    plain = node.data / "store" / "records.db"
    sealed = plain.with_name("sealed")
    with closing(engine.driver.connect(str(plain), isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("ATTACH DATABASE ? AS sealed KEY ?", (str(sealed), engine.raw_key(key)))
        connection.execute("SELECT sqlcipher_export('sealed')").fetchone()
        for name in ("user_version", "application_id"):  # the export leaves out the header
            (value,) = connection.execute(f"PRAGMA main.{name}").fetchone()
            connection.execute(f"PRAGMA sealed.{name} = {value}")
        connection.execute("DETACH DATABASE sealed")
    owner = plain.stat()
    sealed.replace(plain)
    plain.chmod(0o600)
    os.chown(plain, owner.st_uid, owner.st_gid)
