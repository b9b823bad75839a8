"""Checking the data folder of a node that has stopped, without starting the node."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from casemate.decoding import decodable
from casemate.folder.folders import Folders, default_master_key
from casemate.maintenance.checking import CheckConfig, CheckLine
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.integrity import CheckReport
from casemate.model.processes import GATEWAY_UID, SANDBOX_UID, VAULT_UID
from casemate.sandbox.staging import Staging
from casemate.vault.start import start_vault


def check_folder(
    data: Path, master_key: str | None, show: Callable[[CheckReport], None]
) -> CheckReport:
    """Return what a check has found; `show` gets the report as it grows.

    Needs the master key, and the rights of the user that the node runs as. Raises CasemateError:
    if a node has the folder open, or the vault cannot be opened.
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
        # As root the process gets the gateway's uid, which may not be able to walk to the folder.
        uid = GATEWAY_UID if root else None
        staging = Staging(SANDBOX_UID if root else None, uid, f"check-{os.getpid()}")
        try:
            with vault.connect() as connection:
                config = CheckConfig(
                    data=staging.visible(str(folders.data)), vault=connection.fileno(), uid=uid
                )
                return _run(config, show)
        finally:
            staging.close()
    finally:
        vault.close()


def _run(config: CheckConfig, show: Callable[[CheckReport], None]) -> CheckReport:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "casemate.maintenance.checking",
            msgspec.json.encode(config).decode(),
        ],
        pass_fds=(config.vault,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    report: CheckReport | None = None
    with process:
        for text in process.stdout or ():
            line = msgspec.json.decode(text, type=decodable(CheckLine))
            if line.error:
                raise CasemateError(line.error, next_step=line.next_step)
            if line.report is not None:
                report = line.report
                show(report)
    if process.returncode or report is None:
        raise CasemateError(
            f"The check ended with code {process.returncode}; what it wrote is above.",
            next_step="run it again with CASEMATE_DEBUG=1",
        )
    return report
