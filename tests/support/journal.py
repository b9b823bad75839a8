"""Journals for tests: a key, and a folder with entries and checkpoints at chosen sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.journal.note import NoteKey
from casemate.journal.writer import Writer

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = NoteKey("casemate.test/journal", PRIVATE.public_key().public_bytes_raw())


def entry(index: int) -> bytes:
    """Return the entry that journals of tests have at an index."""
    return b"entry %d" % index


def write_journal(folder: Path, checkpoints: Sequence[int]) -> Writer:
    """Write a journal with a checkpoint at each of these sizes; all are kept in its history."""
    times = iter(range(0, 1_000_000_000, 1000))
    writer = Writer(folder, KEY, clock=lambda: float(next(times)))
    for size in checkpoints:
        while writer.size < size:
            until = min(size, writer.size + 1000)
            writer.append([entry(n) for n in range(writer.size, until)])
        writer.checkpoint(PRIVATE.sign)
    return writer
