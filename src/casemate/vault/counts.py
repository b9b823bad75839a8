"""How often a node alone was started and backed up: numbers that an older store does not have.

They are in the records of the node's own key, since a release before reads past what it does not
know there, and in the state it would not. What it writes is without them: they begin anew then.
"""

from __future__ import annotations

from msgspec.structs import replace

from casemate.vault.data_keys import DataKeys
from casemate.vault.errors import VaultInputError
from casemate.vault.open_state import OpenState

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
        state = self._opened.state
        keys = tuple(
            replace(each, **changes) if (each.project, each.version) == ("", newest) else each
            for each in state.keys
        )
        self._opened.commit(replace(state, keys=keys))
