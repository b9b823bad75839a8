"""Builds what makes backups of a node, where all that they need is in its files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from casemate import __version__
from casemate.backup.making import BackupMaker, PreparedBackup
from casemate.gateway.foundations import Foundations
from casemate.model.errors import ConflictError
from casemate.recorder.journal_copies import JournalCopies


def backups_of(base: Foundations) -> Callable[[], Awaitable[PreparedBackup]]:
    """Return what makes a backup of the node, which raises ConflictError where it cannot be."""
    own = base.state.own
    if own is None:
        return _no_backup
    maker = BackupMaker(
        base.folders,
        store=own.store,
        records=base.records,
        journal=JournalCopies(base.recorder),
        data=own.data,
        vault=base.vault,
        version=__version__,
        node=base.nodes.membership.name,
    )
    return maker.prepare


async def _no_backup() -> PreparedBackup:
    raise ConflictError(
        "This node shares its state with others: a copy of its files would not be a backup.",
        next_step="Back up the database and the bucket with their own tools, and the master key: "
        "docs/howto/run-many-nodes.md says how.",
    )
