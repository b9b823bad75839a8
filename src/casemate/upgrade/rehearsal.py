"""Tries a version before it is current: on this host, and on a copy of what the node keeps."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from casemate.backup.proving import read_manifest
from casemate.backup.restore import restore
from casemate.upgrade.errors import UpgradeError
from casemate.upgrade.versions import program

_DOCTOR_SECONDS = 300.0
_CHECK_SECONDS = 6 * 3600.0
_TOLD = 1000


@contextmanager
def scratch(data: Path) -> Iterator[Path]:
    """Give a private folder beside the data folder; what killed upgrades have left is removed."""
    prefix = f".{data.name}.upgrade-"
    for left in data.parent.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(dir=data.parent, prefix=prefix))
    except OSError as error:
        raise UpgradeError(
            f"No copy of the data can be made beside it, in {data.parent}: {error.strerror}.",
            next_step="Run this as the user that the node runs as, or as root.",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_host(environment: Path, present: Path) -> None:
    """Raise UpgradeError if a version misses a protection here that the present one has."""
    missing = _missing(environment)
    if missing and (new := {n: d for n, d in missing.items() if n not in _missing(present)}):
        name, detail = sorted(new.items())[0]
        raise UpgradeError(
            f"On this host that version would not start: {name}: {detail}",
            next_step=f"See what it says: {environment / 'bin/casemate'} doctor",
        )


def _missing(environment: Path) -> dict[str, str]:
    told = _json(environment, ["doctor", "--json"], _DOCTOR_SECONDS)
    try:
        findings = [f for f in told["findings"] if not f["holds"] and f.get("required", True)]
        return {str(f["name"]): str(f["detail"])[:_TOLD] for f in findings}
    except (KeyError, TypeError) as error:
        raise UpgradeError("That version's doctor answers in another form.") from error


def rehearse(backup: Path, data: Path, environment: Path, master_key: str) -> None:
    """Have a version bring a copy of the node's data forward and read all of it.

    Raises UpgradeError; nothing of the copy is left.
    """
    with scratch(data) as folder:
        # It lies with the versions: who can change it there can change what runs.
        restore(backup, folder / "data", read_manifest(backup))
        arguments = ["check", "--json", "--data", str(folder / "data"), "--master-key", master_key]
        told = _json(environment, arguments, _CHECK_SECONDS)
        try:
            findings = told["findings"]
            shown = "; ".join(f"{f['place']}: {f['problem']}" for f in findings[:3])
        except (KeyError, TypeError) as error:
            raise UpgradeError("That version's check answers in another form.") from error
    if findings:
        raise UpgradeError(
            f"On a copy of the data that version finds: {shown[:_TOLD]}",
            next_step="Run `casemate check`, which says whether the node itself is damaged.",
        )


def _json(environment: Path, arguments: list[str], seconds: float) -> Any:
    command = program(environment, arguments)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpgradeError(f"`casemate {arguments[0]}` of that version: {error}") from error
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise UpgradeError(
            f"`casemate {arguments[0]}` of that version ends with code {done.returncode}: "
            f"{done.stderr.strip()[-_TOLD:]}",
            next_step="Nothing was changed; get another release.",
        ) from None
