"""Proofs for strangers that an entry is in the journal, as C2SP's tlog-proof writes them."""

from __future__ import annotations

import base64
import binascii

import msgspec

from casemate.journal.checkpoint import opened_checkpoint
from casemate.journal.errors import JournalInputError
from casemate.journal.merkle import HASH_BYTES, leaf_hash, proves_inclusion
from casemate.journal.note import MAX_NOTE_BYTES, NoteKey

_HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = "index "
_EXTRA = "extra "
MAX_HASHES = 56
_MAX_BYTES = 2 * MAX_NOTE_BYTES


class Proof(msgspec.Struct, frozen=True):
    """That an entry is at an index of the tree of a checkpoint, a signed note."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    @property
    def text(self) -> str:
        """Return it as it is written to a `.tlog-proof`."""
        lines = [_HEADER, f"{_INDEX}{self.index}"]
        lines += [base64.b64encode(each).decode() for each in self.hashes]
        return "\n".join(lines) + f"\n\n{self.checkpoint}"


def parse_proof(text: str) -> Proof:
    """Return what `Proof.text` wrote. Raises JournalInputError."""
    head, found, checkpoint = text[:_MAX_BYTES].partition("\n\n")
    lines = head.split("\n")
    number = ""
    hashes: list[bytes] = []
    if found and lines[0] == _HEADER:
        rest = lines[1:]
        if rest and rest[0].startswith(_EXTRA):
            rest = rest[1:]
        number = rest[0].removeprefix(_INDEX) if rest and rest[0].startswith(_INDEX) else ""
        try:
            hashes = [base64.b64decode(line, validate=True) for line in rest[1 : MAX_HASHES + 2]]
        except (binascii.Error, ValueError):
            number = ""
    if (
        not (number.isascii() and number.isdigit() and len(number) <= 17)
        or str(int(number)) != number
        or len(hashes) > MAX_HASHES
        or any(len(each) != HASH_BYTES for each in hashes)
    ):
        raise JournalInputError(
            f"This is not a proof, expected one that begins with {_HEADER}.",
            next_step="Give the file that `casemate journal prove` wrote.",
        )
    return Proof(int(number), tuple(hashes), checkpoint)


def proves(proof: Proof, entry: bytes, key: NoteKey) -> bool:
    """Tell whether it shows that `entry` is in the journal of this key.

    Raises JournalInputError where the checkpoint is not one of that journal.
    """
    head = opened_checkpoint(proof.checkpoint, key)
    return proves_inclusion(leaf_hash(entry), proof.index, head.size, proof.hashes, head.root)
