"""The state of a node that is the only one of its store: SQLite, and files beside it."""

from __future__ import annotations

from pathlib import Path

from casemate.data import SqliteProjectData
from casemate.folder.folders import Folders
from casemate.folder.presence import STORE, VAULT, lost_projects
from casemate.gateway.known_projects import KnownProjects
from casemate.gateway.sealed_bundles import SealedFolder
from casemate.gateway.seen_starts import ProjectStarts, seen_vault
from casemate.gateway.state import OwnFiles, State
from casemate.model.processes import GatewayConfig
from casemate.nodes import Among, IdentityFile, Self
from casemate.store.errors import StoreKeyError
from casemate.store.sqlite.store import SqliteStore
from casemate.vault import VaultClient
from casemate.vault.interface import Purpose


async def open_own(config: GatewayConfig, folders: Folders, vault: VaultClient, own: Self) -> State:
    """Open what is in the data folder. Raises CasemateError, with nothing left open."""
    accept_loss = STORE in config.accepted_losses
    store = await open_store(folders.store, vault, accept_loss=accept_loss)
    try:
        nodes = Among(store, IdentityFile(folders.data), own)
        # What is beside the store may be as old as that is; the vault is told when it is older.
        await nodes.begin(seen=await vault.starts(), accept_loss=accept_loss)
        seen = seen_vault(store, vault)
        await seen.begin(accept_loss=VAULT in config.accepted_losses)
        # Last: a kill before it leaves the store ahead, which is none that is older.
        await vault.keep_starts(nodes.membership.incarnation)
        starts = ProjectStarts(store, nodes.membership.incarnation)
        await starts.load()
        known = KnownProjects(store)
        data = SqliteProjectData(
            folders.projects,
            vault.data_key,
            accepted_losses=lost_projects(config.accepted_losses),
            on_created=known.add,
            starts=starts,
        )
    except BaseException:
        await store.close()
        raise
    seen.follow()
    sealed = SealedFolder(folders.bundles)
    return State(
        store=store,
        nodes=nodes,
        known=known,
        data=data,
        bundles=sealed,
        bundles_in_clear=sealed.in_clear(),
        own=OwnFiles(store=store, data=data, starts=starts, seen_vault=seen),
    )


async def open_store(path: Path, vault: VaultClient, *, accept_loss: bool) -> SqliteStore:
    """Open the store with the key that it has, which may be one before the newest."""
    newest = await vault.data_key("", Purpose.STORE)
    key = newest
    while True:
        try:
            store = SqliteStore.open(path, key=key.key, accept_loss=accept_loss)
            break
        except StoreKeyError:
            if key.version <= 1:
                raise
            key = await vault.data_key("", Purpose.STORE, key.version - 1)
    if key.version != newest.version:
        await store.rekey(newest.key)
    return store
