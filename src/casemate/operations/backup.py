"""The operation that sends a backup of the whole node."""

from __future__ import annotations

from casemate.model.principal import Action
from casemate.operations.declaration import TAR, Declaration, Operation


class Backup(Operation[bytes], frozen=True, kw_only=True):
    """Send a backup of the whole node.

    A tar archive: `manifest.json` with the size and SHA-256 of every file, then the files, all of
    them encrypted. The master key is not in it; the journal is. That a backup was made is recorded
    before the first byte is sent. One at a time; 429 says that another one is being
    made. The node goes on serving meanwhile.
    """

    declared = Declaration(
        http="GET /backup",
        tag="node",
        action=Action.NODE_BACKUP,
        answer_type=TAR,
        problems=(429, 503),
    )
