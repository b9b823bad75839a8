"""Opening a vault: one of this node alone, or this node's part in one that nodes share."""

from __future__ import annotations

from casemate.vault import envelope
from casemate.vault.draft import KeptFolder
from casemate.vault.engine import VaultEngine
from casemate.vault.folder import VaultFolder
from casemate.vault.open_state import MasterKey, OpenState, stored_header
from casemate.vault.own_record import OWN_FILE, OwnRecord
from casemate.vault.shared import SharedVault
from casemate.vault.state import STATE_FILE, decode_state, read_header
from casemate.vault.successor import (
    acceptable,
    decode_given,
    holds_nothing,
    is_untouched,
    read_given,
    require_not_older,
    require_successor,
)


def open_vault(
    folder: VaultFolder,
    master: MasterKey,
    *,
    memory_locked: bool,
    shared: bool = False,
    brought: bytes | None = None,
    take_back: bool = False,
    accepted_losses: tuple[str, ...] = (),
) -> tuple[VaultEngine, SharedVault | None]:
    """Open the vault in `folder`, or make it if there is none. Raises VaultError.

    `brought` is the state that the cluster's database has. One that nodes share cannot be changed
    by a node that is not `shared`, as the others would not know; unless it has `take_back`, now or
    at an earlier start: there are no others any more. It keeps the name and key of its journal.
    What was brought and does not follow is taken if `accepted_losses` has its name (`loss_of`).
    """
    opened = _opened(folder, master, brought, accepted_losses)
    own = OwnRecord(folder, opened) if opened.state.founder and not shared else None
    if own is not None and take_back:
        own.set_alone(True)
    if not shared and (own is None or own.alone):
        engine = VaultEngine(opened, memory_locked=memory_locked, own=own, source=master.source)
        engine.secret_values.sweep()
        return engine, None
    kept = OpenState(
        KeptFolder(folder.path, folder.descriptor), opened.header, opened.state, opened.master
    )
    own = OwnRecord(folder, kept)
    engine = VaultEngine(kept, memory_locked=memory_locked, own=own, source=master.source)
    return engine, SharedVault(engine, folder, own) if shared else None


def _opened(
    folder: VaultFolder, master: MasterKey, brought: bytes | None, accepted: tuple[str, ...]
) -> OpenState:
    if brought is not None:
        return _joined(folder, master.key, brought, accepted)
    if stored_header(folder) is None:
        return OpenState.create(folder, master)
    return OpenState.open(folder, master.key)


def _joined(
    folder: VaultFolder, master: bytes, brought: bytes, accepted: tuple[str, ...]
) -> OpenState:
    """Take the state of the database, if it follows what was seen here. Raises VaultError."""
    folder.remove_unfinished()
    data = folder.read(STATE_FILE)
    if (
        data is not None
        and is_untouched(read_header(data), read_given(brought))
        and holds_nothing(data, master)
    ):
        # Another node of those that began at the same moment was first: this one joins.
        decode_given(brought, master)
        folder.remove(OWN_FILE)
        data = None
    if data is not None and data != brought:
        with acceptable(data, brought, accepted):
            here, there = read_header(data), read_given(brought)
            require_not_older(here, there)
            # Rotated while this node was away: its own copy cannot be read any more.
            if here.key_id == envelope.key_id(master) or here.generation == there.generation:
                before = OpenState(folder, *decode_state(data, master), master)
                require_successor(before, *decode_given(brought, master))
    header, state = decode_given(brought, master)
    if data != brought:
        folder.write(STATE_FILE, brought)
    return OpenState(folder, header, state, master)
