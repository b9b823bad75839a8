"""How often a node alone was started and backed up, and how long its journal was.

Numbers that tell an older store, and an older journal.

They are in the records of the node's own key, since a release before reads past what it does not
know there, and in the state it would not. What it writes is without them: they begin anew then.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from casemate.vault.data_keys import DataKeys
from casemate.vault.errors import VaultInputError
from casemate.vault.open_state import OpenState
from casemate.vault.state import DataKeyRecord

BACKUP_BYTES = 8
"""Of the number of a backup, before what is signed of it."""


class Counts:
    """The numbers, each the highest of any version of the key."""

    def __init__(self, opened: OpenState, keys: DataKeys) -> None:
        """Use the node's own key of `keys`, which are those in `opened`."""
        self._opened = opened
        self._keys = keys

    def starts(self) -> int:
        """Return the number of the newest start that was kept, 0 for none."""
        return max((record.starts for record in self._keys.records("")), default=0)

    def keep_starts(self, starts: int) -> None:
        """Keep the number of a start. Raises VaultInputError for one that goes back, VaultError."""
        had = self.starts()
        if starts < had:
            raise VaultInputError(
                f"The node was started {had} times; {starts} would go back behind it.",
                next_step="Put the newest store back.",
            )
        if starts > had:
            self._keep(starts=starts)

    def entries(self) -> int:
        """Return how many entries the journal had when that was kept last, 0 for none."""
        return max((record.entries for record in self._keys.records("")), default=0)

    def keep_entries(self, entries: int, *, lost: bool) -> None:
        """Keep how many it has. Raises VaultInputError for fewer if none are `lost`, VaultError."""
        had = self.entries()
        if entries < had and not lost:
            raise VaultInputError(
                f"The journal had {had} entries; {entries} would go back behind it.",
                next_step="Put the newest journal back.",
            )
        if entries < had:
            self._write(lambda each: replace(each, entries=entries))
        elif entries > had:
            self._keep(entries=entries)

    def backups(self) -> int:
        """Return the number of the newest backup, 0 for none."""
        return max((record.backups for record in self._keys.records("")), default=0)

    def next_backup(self) -> int:
        """Return the number of a new backup, which no other has. Raises VaultError."""
        number = self.backups() + 1
        self._keep(backups=number)
        return number

    def _keep(self, **changes: int) -> None:
        newest = self._keys.newest("")
        self._write(lambda each: replace(each, **changes) if each.version == newest else each)

    def _write(self, changed: Callable[[DataKeyRecord], DataKeyRecord]) -> None:
        state = self._opened.state
        keys = tuple(each if each.project else changed(each) for each in state.keys)
        self._opened.commit(replace(state, keys=keys))
