"""The process that checks the folder of a node that has stopped: `... checking CONFIG`.

It has the rights of a gateway, no more, and asks the vault for its keys as a gateway does. It opens
store and data as a start would, which brings those of an earlier release forward; else it reads.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from casemate.child.gateway_confinement import confine
from casemate.data import SqliteProjectData
from casemate.decoding import decodable
from casemate.folder.folders import Folders
from casemate.folder.presence import Presence
from casemate.gateway.bundles import BundleStore
from casemate.gateway.check import NodeCheck
from casemate.gateway.known_projects import KnownProjects
from casemate.gateway.own_state import open_store
from casemate.gateway.sealed_bundles import SealedFolder
from casemate.gateway.state import OwnFiles
from casemate.model.errors import CasemateError, ConflictError
from casemate.model.integrity import CheckFinding, CheckReport, CheckState
from casemate.nodes.identity import IdentityError, IdentityFile
from casemate.store.errors import StoreError, StoreLockedError
from casemate.store.sqlite.store import SqliteStore
from casemate.vault import VaultClient
from casemate.vault.interface import DataKey, Purpose

_SHOW_SECONDS = 0.5


class CheckConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is told."""

    data: str
    vault: int
    """Descriptor of the socket to the vault."""
    uid: int | None


class CheckLine(msgspec.Struct, frozen=True, kw_only=True):
    """What it writes to its standard output, a line each: how far it is, or why it cannot be."""

    report: CheckReport | None = None
    error: str = ""
    next_step: str | None = None


def _say(line: CheckLine) -> None:
    print(msgspec.json.encode(line).decode(), flush=True)


async def _store(folders: Folders, vault: VaultClient) -> tuple[SqliteStore | None, str]:
    """Return the open store, or None and why there is none."""
    if not Presence(folders).store:
        return None, "records.db is gone, with all functions, people and tokens"
    try:
        return await open_store(folders.store, vault, accept_loss=False), ""
    except StoreLockedError:
        raise
    except StoreError as error:
        return None, error.message


async def _check(config: CheckConfig) -> None:
    vault = VaultClient(socket.socket(fileno=config.vault), asyncio.get_running_loop())
    folders = Folders(Path(config.data))
    if Presence(folders).shared:
        raise ConflictError(
            "This node shares its state with others: a database and a bucket, which have checks of "
            "their own.",
            next_step="Check the node while it serves: casemate check",
        )
    store, problem = await _store(folders, vault)
    data = SqliteProjectData(folders.projects, vault.data_key)
    before = [CheckFinding(place="store", problem=problem)] if problem else []
    try:
        IdentityFile(folders.data).kept()
    except IdentityError as error:
        before.append(CheckFinding(place="node", problem=f"{error.message} {error.next_step}"))
    try:
        if store is not None:
            try:
                await KnownProjects(store).require(data.projects)
            except CasemateError as error:
                before.append(CheckFinding(place="data", problem=error.message))

        async def bundle_key(version: int | None) -> DataKey:
            return await vault.data_key("", Purpose.BUNDLES, version)

        bundles = BundleStore(SealedFolder(folders.bundles), folders.spool, bundle_key, capacity=0)
        check = NodeCheck(
            store,
            data,
            bundles,
            vault,
            own=None if store is None else OwnFiles(store=store, data=data),
            before=tuple(before),
        )
        check.start()
        while check.report().state is CheckState.RUNNING:
            _say(CheckLine(report=check.report()))
            await asyncio.wait({asyncio.ensure_future(check.wait())}, timeout=_SHOW_SECONDS)
        _say(CheckLine(report=check.report()))
        await check.close()
    finally:
        await data.close()
        if store is not None:
            await store.close()
        vault.close()


def main() -> int:
    """Check; return the process's exit code."""
    config = msgspec.json.decode(sys.argv[1], type=decodable(CheckConfig))
    logging.basicConfig(level=logging.CRITICAL)
    # At once: it only reads, and who has asked tells that it was interrupted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        confine(config.uid)
        asyncio.run(_check(config))
    except CasemateError as error:
        return _failed(CheckLine(error=error.message, next_step=error.next_step))
    except OSError as error:
        return _failed(CheckLine(error=f"The folder cannot be checked: {error}.", next_step=None))
    return 0


def _failed(line: CheckLine) -> int:
    """Say why, if somebody hears it still; return the exit code."""
    with suppress(BrokenPipeError):
        _say(line)
    return 1


if __name__ == "__main__":
    sys.exit(main())
