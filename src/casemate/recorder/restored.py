"""A journal that came out of a backup says so: in its next entry, and when it is verified.

Who compares it with a head that was sent out later would see a journal that was rolled back. It
was, and by whom the journal tells itself.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Annotated

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.journal.errors import JournalDamagedError
from casemate.journal.files import read_bounded
from casemate.journal.verifying import Finding, Verified
from casemate.kernel.durability import sync_folder
from casemate.model.facts import JournalRestored
from casemate.recorder.config import RESTORED
from casemate.recorder.keeper import Keeper
from casemate.recorder.protocol import SESSION_BYTES, Query, Take, Told
from casemate.recorder.search import Search

_MAX_MARK_BYTES = 4096
_MAX_SEARCHES = 200
"""Of 50,000 entries each: further back it is not looked for."""
_COMPARED = frozenset({"rolled back", "rewritten"})
"""What is found where the journal is not the one that a kept head was of."""


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a restore leaves in the journal's folder."""

    made_at: float
    entries: Annotated[int, msgspec.Meta(ge=0, lt=1 << 56)]
    archive: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


async def say(folder: Path, keeper: Keeper) -> bool:
    """Have the next entry say that the journal is that of a backup, if it is, once; return whether.

    Raises JournalDamagedError for a mark that no restore leaves, JournalWriteError, VaultError.
    """
    data = read_bounded(folder / RESTORED, _MAX_MARK_BYTES)
    if data is None:
        return False
    try:
        mark = msgspec.json.decode(data, type=decodable(Mark))
    except DECODING_ERRORS as error:
        raise JournalDamagedError(f"{RESTORED} is not what a restore leaves.") from error
    fact = JournalRestored(
        at=time.time(), made_at=mark.made_at, entries=mark.entries, archive=mark.archive
    )
    told = Told(type(fact).__name__, msgspec.msgpack.encode(fact))
    # By the same number again after a kill: it is known then.
    session = hashlib.sha256(data).digest()[:SESSION_BYTES]
    await keeper.keep([Take(0, session, 0, (told,))])
    (folder / RESTORED).unlink()
    sync_folder(folder)
    return True


async def explained(found: Verified, search: Search) -> Verified:
    """Add to what was found by comparing what the journal says of a backup that was put back."""
    if not any(each.kind in _COMPARED for each in found.findings):
        return found
    places = await _places(search)
    findings = tuple(_with(each, places) for each in found.findings)
    return msgspec.structs.replace(found, findings=findings)


def _with(finding: Finding, places: list[int]) -> Finding:
    if finding.kind not in _COMPARED:
        return finding
    at = next((place for place in places if place < finding.end), None)
    if at is None:
        return finding
    text = f"{finding.text}; entry {at} says that a backup of {at} entries was put back"
    return msgspec.structs.replace(finding, text=text)


async def _places(search: Search) -> list[int]:
    """Return the entries that say so, the newest first."""
    found: list[int] = []
    before: int | None = None
    for _ in range(_MAX_SEARCHES):
        page = await search.find(
            Query(before=before, project="", contains=(f'"{JournalRestored.__name__}"',))
        )
        found += [entry.index for entry in page.entries]
        before = page.before
        if before is None:
            break
    return found
