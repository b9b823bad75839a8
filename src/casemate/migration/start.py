"""Moving the state of a node that has stopped, without starting the node."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from casemate.decoding import decodable
from casemate.folder.folders import Folders, default_master_key
from casemate.migration.process import MoveConfig, MoveLine
from casemate.migration.sequence import Outcome
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.processes import (
    GATEWAY_UID,
    MONITOR_UID,
    RECORDER_UID,
    SANDBOX_UID,
    VAULT_UID,
)
from casemate.sandbox.staging import Staging
from casemate.supervisor.shared_places import SharedPlaces
from casemate.vault.start import start_vault


def migrate(
    data: Path,
    master_key: str | None,
    places: SharedPlaces,
    show: Callable[[MoveLine], None],
    *,
    back: bool,
) -> Outcome:
    """Move the state of a data folder to `places`, or with `back` from there; return what was done.

    Needs the master key, and the rights of the user that the node runs as. `show` hears how far it
    is. Raises CasemateError.
    """
    folders = Folders(data.absolute())
    if not folders.vault.is_dir():
        raise NotFoundError(
            f"{data} is no data folder of a node: it has no vault.",
            next_step="name the folder that `casemate serve --data` was given",
        )
    root = os.geteuid() == 0
    vault = start_vault(
        folders.vault,
        master_key or default_master_key(folders.data),
        create=False,
        uid=VAULT_UID if root else None,
    )
    try:
        uid = GATEWAY_UID if root else None
        if back:
            folders.make(
                uid,
                VAULT_UID if root else None,
                RECORDER_UID if root else None,
                MONITOR_UID if root else None,
            )
        # As root the process gets the gateway's uid, which may not be able to walk to the folder.
        staging = Staging(SANDBOX_UID if root else None, uid, f"move-{os.getpid()}")
        try:
            with vault.connect() as connection:
                config = MoveConfig(
                    data=staging.visible(str(folders.data)),
                    shown=str(folders.data),
                    back=back,
                    vault=connection.fileno(),
                    uid=uid,
                    unproved=places.unproved,
                )
                return _run(config, places, show)
        finally:
            staging.close()
    finally:
        vault.close()


def _run(config: MoveConfig, places: SharedPlaces, show: Callable[[MoveLine], None]) -> Outcome:
    arguments = msgspec.json.encode(config).decode()
    process = subprocess.Popen(
        [sys.executable, "-m", "casemate.migration.process", arguments],
        pass_fds=(config.vault,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, **places.environment},
    )
    outcome: Outcome | None = None
    with process:
        for text in process.stdout or ():
            line = msgspec.json.decode(text, type=decodable(MoveLine))
            if line.error:
                raise CasemateError(line.error, next_step=line.next_step)
            if line.outcome is not None:
                outcome = line.outcome
            else:
                show(line)
    if process.returncode or outcome is None:
        raise CasemateError(
            f"The move ended with code {process.returncode}; what it wrote is above. No node "
            "starts where it went.",
            next_step="run the same command again: it goes on with what there is",
        )
    return outcome
