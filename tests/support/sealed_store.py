"""The database of a node that has stopped, opened with the key that its vault keeps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from casemate.model.processes import VAULT_UID
from casemate.store.sqlite import engine
from casemate.vault.engine import VaultEngine, obtain_master
from casemate.vault.folder import VaultFolder
from casemate.vault.interface import Purpose
from casemate.vault.sources import KeySource, parse_source
from support.node import TestNode


@contextmanager
def open_vault(node: TestNode) -> Iterator[VaultEngine]:
    """Open the vault of a node that has stopped, in this process."""
    uid = VAULT_UID if os.geteuid() == 0 else None
    folder = VaultFolder.open(node.data / "vault", create=False, uid=uid)
    source = KeySource(parse_source(f"file:{node.master_key}"))
    engine_ = VaultEngine(folder, obtain_master(folder, source, create=False), memory_locked=False)
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
