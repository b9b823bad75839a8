"""Ten thousand functions on a node, without an hour of builds: one is deployed, and entered again.

Only for measuring how a node bears many. All of them have the bundle of the first, and are in the
store as `casemate deploy` puts them there.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench.errors import DeployError
from casemate.child.gateway_confinement import confine
from casemate.folder.folders import Folders, default_master_key
from casemate.gateway.own_state import open_store
from casemate.model.deployment import NewVersion, Version
from casemate.model.errors import CasemateError
from casemate.model.processes import GATEWAY_UID, SANDBOX_UID, VAULT_UID
from casemate.operations.deployments import KeepVersions
from casemate.operations.functions import ListFunctions
from casemate.sandbox.staging import Staging
from casemate.vault import VaultClient
from casemate.vault.start import start_vault

FOR_EACH_PROJECT = 500
"""Functions that one manifest may have."""
TIMEOUT = 300.0
ROOT = Path(__file__).parent.parent


class _Task(msgspec.Struct, frozen=True):
    data: str
    vault: int
    """Descriptor of the socket to the vault."""
    uid: int | None
    count: int


def copies(first: Version, count: int) -> Iterator[NewVersion]:
    """Give `count` versions like `first`: its function and others, in as many projects as needed.

    The projects are `many-0`, `many-1`, ...; the functions `plain-0`, `plain-1`, ...
    """
    for number in range(count):
        name = f"plain-{number % FOR_EACH_PROJECT}"
        yield NewVersion(
            project=f"many-{number // FOR_EACH_PROJECT}",
            function=name,
            digest=first.digest,
            spec=msgspec.structs.replace(first.spec, name=name),
        )


def multiply(data: Path, count: int) -> None:
    """Enter functions into the store of a node that has stopped, until it has `count`.

    It has one, `plain-0` of the project `many-0`, or was multiplied before. Raises DeployError.
    """
    folders = Folders(data.absolute())
    root = os.geteuid() == 0
    key = default_master_key(folders.data)
    try:
        vault = start_vault(folders.vault, key, create=False, uid=VAULT_UID if root else None)
        try:
            _enter(folders, vault.connect(), count, root)
        finally:
            vault.close()
    except CasemateError as error:
        raise DeployError(f"{count} functions were not entered: {error}") from error


def _enter(folders: Folders, connection: socket.socket, count: int, root: bool) -> None:
    uid = GATEWAY_UID if root else None
    staging = Staging(SANDBOX_UID if root else None, uid, f"many-{os.getpid()}")
    try:
        with connection:
            data = staging.visible(str(folders.data))
            task = _Task(data=data, vault=connection.fileno(), uid=uid, count=count)
            done = subprocess.run(
                [sys.executable, "-m", "bench.many", msgspec.json.encode(task).decode()],
                cwd=ROOT,
                pass_fds=(connection.fileno(),),
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT,
            )
    finally:
        staging.close()
    if done.returncode != 0:
        raise DeployError(f"{count} functions were not entered: {done.stderr.strip()[-500:]}")


async def _run(task: _Task) -> None:
    vault = VaultClient(socket.socket(fileno=task.vault), asyncio.get_running_loop())
    store = await open_store(Folders(Path(task.data)).store, vault, accept_loss=False)
    try:
        known = (await store.read(ListFunctions())).functions
        names = {(function.project, function.name) for function in known}
        first = next(f.versions[-1] for f in known if (f.project, f.name) == ("many-0", "plain-0"))
        new = [v for v in copies(first, task.count) if (v.project, v.function) not in names]
        for part in _parts(new):
            await store.change(KeepVersions(versions=tuple(part), by=first.created_by))
    finally:
        await store.close()
        vault.close()


def _parts(new: Sequence[NewVersion]) -> Iterator[Sequence[NewVersion]]:
    for begin in range(0, len(new), FOR_EACH_PROJECT):
        yield new[begin : begin + FOR_EACH_PROJECT]


def main() -> int:
    """Enter them; return the process's exit code."""
    task = msgspec.json.decode(sys.argv[1], type=_Task)
    confine(task.uid)
    asyncio.run(_run(task))
    return 0


if __name__ == "__main__":
    sys.exit(main())
