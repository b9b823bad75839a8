"""Opens the control groups of a node, and says what to do on a host that offers none."""

from __future__ import annotations

from pathlib import Path

from casemate.kernel import cgroups
from casemate.model.errors import ProtectionMissingError


def open_driver(name: str, parent: Path | None = None) -> cgroups.Driver:
    """Return the driver that this host offers; see `kernel.cgroups.open_driver`.

    Raises ProtectionMissingError.
    """
    try:
        return cgroups.open_driver(name, parent)
    except cgroups.NoControlGroupError as error:
        raise ProtectionMissingError(
            str(error),
            next_step="Run as root, or as a user in a delegated group: "
            "systemd-run --user --scope -p Delegate=yes casemate serve. Where control groups are "
            "of version 1, only root has them. Or go without limits: --accept-risk cgroups",
        ) from error
