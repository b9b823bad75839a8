"""The operation that sends a backup of the whole node."""

from __future__ import annotations

from casemate.model.principal import Action
from casemate.operations.declaration import TAR, Declaration, Operation


class Backup(Operation[bytes], frozen=True, kw_only=True):
    """Send a backup of the whole node.

    The answer is a tar archive: `manifest.json` with the size and SHA-256 of every file, then the
    files, all of them encrypted. It contains the journal, but not the master key. The backup is
    recorded before its first byte is sent. Only one backup can be made at a time: 429 means that
    another one is in progress. The node goes on serving meanwhile.
    """

    declared = Declaration(
        http="GET /backup",
        tag="node",
        action=Action.NODE_BACKUP,
        answer_type=TAR,
        problems=(429, 503),
    )
