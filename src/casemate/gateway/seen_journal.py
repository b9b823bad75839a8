"""What store and vault remember of the journal: an older copy of it is told, and of the store.

Both remember how many signed entries it had: the store every few seconds, and the vault now and
then, always after the store. A journal with fewer than either was put back, or cut; so was a store
that remembers fewer than the vault. Those are older copies from within one start of the node, too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

import msgspec

from casemate.decoding import decodable
from casemate.folder.presence import JOURNAL, STORE
from casemate.gateway.looking import Looking
from casemate.journal.errors import JournalDamagedError
from casemate.model.facts import Fact, JournalOlder
from casemate.recorder import RecorderClient
from casemate.recorder.protocol import Head
from casemate.store.errors import StoreGoneError
from casemate.store.interface import Store
from casemate.store.value import KeptValue
from casemate.vault import Vault

_log = logging.getLogger(__name__)
_VAULT_SECONDS = 300.0
"""How often the vault is told: it writes all that it keeps anew."""
_LATE_SECONDS = 30.0
"""How old the newest entry that is not signed may be; heads are signed once a second."""


class _Seen(msgspec.Struct, frozen=True):
    """What the store remembers."""

    key: str
    """Of which journal."""
    entries: int


class SeenJournal:
    """Follows how far the journal is signed. On the event loop."""

    def __init__(
        self,
        recorder: RecorderClient,
        vault: Vault,
        store: Store | None,
        happened: Callable[[Fact], None],
    ) -> None:
        """Remember in `store` and `vault`; None: in neither, the nodes of a store tell each other.

        `happened` is told of a journal that is older.
        """
        self._recorder = recorder
        self._vault = vault
        self._value = None if store is None else KeptValue(store, "journal seen")
        self._happened = happened
        self._kept = _Seen("", 0)
        self._vault_has, self._vault_at = 0, time.monotonic()
        self._signed, self._signed_at = 0, time.monotonic()
        self._head: Head | None = None
        self._looking, self._at_end = Looking(self._look, "journal seen"), False

    async def begin(self, accepted_losses: Collection[str]) -> None:
        """Wait for the journal, and remember how it grows from then on.

        An older journal or store is refused, unless that is accepted: then it is on record. Raises
        JournalDamagedError, StoreGoneError, and why there is no journal.
        """
        await self._recorder.ready()
        await self._compare(accepted_losses)
        self._looking.begin()

    async def _compare(self, accepted_losses: Collection[str]) -> None:
        head = self._head = await self._recorder.head()
        self._signed = has = _signed_entries(head)
        if self._value is None:
            return
        value = await self._value.read()
        seen = self._kept if value is None else msgspec.json.decode(value, type=decodable(_Seen))
        in_store = seen.entries if seen.key == head.key else 0
        in_vault = await self._vault.journal_entries()
        if not head.restored:  # what is of one backup was copied one after the other
            had = max(in_store, in_vault)
            if has < had and JOURNAL not in accepted_losses:
                raise _older_journal(has, had)
            if in_store < in_vault and STORE not in accepted_losses:
                raise _older_store(in_store, in_vault)
            if has < had:
                _log.warning("the journal has %d entries, and had %d", has, had)
                self._happened(JournalOlder(at=time.time(), entries=has, had=had))
        await self._keep(head.key, has)
        await self._vault.keep_journal_entries(has, lost=True)
        self._vault_has = has

    async def close(self) -> None:
        """Remember how many entries it has at the end."""
        self._at_end = True
        await self._looking.close()

    def problem(self) -> str:
        """Return why what happens is recorded and not signed, empty while it is signed."""
        head, late = self._head, time.monotonic() - self._signed_at
        if head is None or head.size <= self._signed or late < _LATE_SECONDS:
            return ""
        why = f": {head.unsigned}" if head.unsigned else "."
        return f"{head.size - self._signed} entries of the journal wait to be signed{why}"

    async def _look(self) -> None:
        head = await self._recorder.head()
        signed = _signed_entries(head)
        if signed != self._signed or head.size <= signed:
            self._signed, self._signed_at = signed, time.monotonic()
        self._head = head
        if self._value is None or signed < self._kept.entries:
            return
        if signed != self._kept.entries:
            await self._keep(head.key, signed)
        # After the store, which is an older one if it remembers less.
        now = time.monotonic()
        if signed > self._vault_has and (self._at_end or now - self._vault_at >= _VAULT_SECONDS):
            await self._vault.keep_journal_entries(signed)
            self._vault_has, self._vault_at = signed, now

    async def _keep(self, key: str, entries: int) -> None:
        if self._value is not None:
            seen = _Seen(key, entries)
            await self._value.write(msgspec.json.encode(seen))
            self._kept = seen


def _signed_entries(head: Head) -> int:
    """Return how many entries the newest head is of: those are on the disk for good."""
    return int(head.note.split("\n", 2)[1]) if head.note else 0


def _older_journal(has: int, had: int) -> JournalDamagedError:
    return JournalDamagedError(
        f"The journal is an older copy: it has {has} signed entries, and this node has had {had}. "
        "What happened since is not in it.",
        next_step="Put the newest folder journal/ back, or restore a backup of the whole node. To "
        f"go on with what is left: casemate serve --accept-loss {JOURNAL}",
    )


def _older_store(has: int, had: int) -> StoreGoneError:
    return StoreGoneError(
        f"The store is an older copy: it knows of {has} entries of the journal, and the vault of "
        f"{had}. What was deployed, revoked or held back since is not in it.",
        next_step="Put the newest store back, or restore a backup of the whole node. To go on with "
        f"what is left: casemate serve --accept-loss {STORE}",
    )
