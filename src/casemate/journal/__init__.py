"""The journal: an append-only Merkle log on disk, which anybody can verify with public tools.

What it is: the tree (`merkle`), its tiles and bundles of entries (`tiles`, `files`), its signed
heads (`note`, `checkpoint`), writing (`writer`), reading (`reader`), proofs (`proof`), and the
search for what was changed (`verifying`). The formats are C2SP's tlog-tiles, tlog-checkpoint,
signed-note and tlog-proof. What it is not: what an entry says, its encryption, or the key that
signs. May import `casemate.model` only.
"""

from typing import TYPE_CHECKING

from casemate.deferred import deferred
from casemate.journal.errors import JournalDamagedError, JournalInputError

if TYPE_CHECKING:
    from casemate.journal.checkpoint import Checkpoint
    from casemate.journal.reader import Reader
    from casemate.journal.verifying import Finding, verify
    from casemate.journal.writer import Writer
else:
    __getattr__ = deferred(
        __name__,
        checkpoint=("Checkpoint",),
        reader=("Reader",),
        verifying=(
            "Finding",
            "verify",
        ),
        writer=("Writer",),
    )

__all__ = [
    "Checkpoint",
    "Finding",
    "JournalDamagedError",
    "JournalInputError",
    "Reader",
    "Writer",
    "verify",
]
