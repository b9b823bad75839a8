"""Measure the journal: facts a second, each durable, and what a search of many entries takes.

    python -m bench.journal [--facts N] [--batch N]

Facts go the way that they go in the recorder's process: decoded, made OCSF events, sealed, appended
with an fsync for each batch, and signed once a second. Exit codes: 0 measured; 1 a target was
missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.journal.note import NoteKey
from casemate.journal.verifying import verify
from casemate.journal.writer import Writer
from casemate.model.denial import Denial, DenialKind
from casemate.recorder.keeper import Keeper, KeyRing
from casemate.recorder.noted import Noted
from casemate.recorder.protocol import Query, Take, Told
from casemate.recorder.search import Search
from casemate.vault.interface import DataKey

TARGET_PER_SECOND = 20_000.0
_CHECKPOINT_SECONDS = 1.0


async def _key(project: str, version: int | None) -> DataKey:
    return DataKey(version=version or 1, key=project.encode().ljust(32, b"."))


def _fact(number: int) -> Told:
    fact = Denial(
        at=float(number),
        by="token:5f3c2a9e77ab1d04",
        remote_address="192.0.2.7",
        project=f"project-{number % 8}",
        function="checkout",
        version=7,
        invocation=f"inv_{number:024x}",
        kind=DenialKind.CAPABILITY,
        action="bucket:read",
        resource="bucket:reports",
        reason="the manifest grants no bucket:read on this bucket",
    )
    return Told("Denial", msgspec.msgpack.encode(fact))


async def _measure(folder: Path, count: int, batch: int) -> bool:
    private = Ed25519PrivateKey.generate()
    key = NoteKey("bench.test/journal", private.public_key().public_bytes_raw())
    writer, keys = Writer(folder, key), KeyRing(folder, _key)
    await keys.load()
    keeper = Keeper(writer, keys, Noted((), writer.size))
    batches = [
        Take(1, bytes(8), first, tuple(_fact(first + n) for n in range(batch)))
        for first in range(0, count, batch)
    ]
    began, signed = time.perf_counter(), time.perf_counter()
    for each in batches:
        await keeper.keep([each])
        if time.perf_counter() - signed >= _CHECKPOINT_SECONDS:
            writer.checkpoint(private.sign)
            signed = time.perf_counter()
    writer.checkpoint(private.sign)
    rate = count / (time.perf_counter() - began)
    met = rate >= TARGET_PER_SECOND
    print(
        f"kept, {batch} a batch     {rate:>9.0f} facts/s  ({'met' if met else 'MISSED'}: at least"
    )
    print(f"                        {TARGET_PER_SECOND:>9.0f})")
    search = Search(folder, writer, keys)
    for name, wanted in (
        ("newest 20", Query(most=20)),
        ("one project's 20", Query(project="project-3", most=20)),
        ("a text that is nowhere", Query(contains=("nowhere",), most=20)),
    ):
        began = time.perf_counter()
        found = await search.find(wanted)
        took = 1000 * (time.perf_counter() - began)
        print(f"search, {name:<24} {took:>7.1f} ms  ({len(found.entries)} found)")
    writer.close()
    began = time.perf_counter()
    result = verify(folder, key)
    took = time.perf_counter() - began
    print(f"verify                  {result.size / took:>9.0f} entries/s")
    return met and not result.findings


def main() -> int:
    """Run and print; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m bench.journal", description="The journal.")
    grammar.add_argument("--facts", type=int, default=100_000, help="how many (default 100000)")
    grammar.add_argument("--batch", type=int, default=512, help="in one fsync (default 512)")
    chosen = grammar.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        met = asyncio.run(_measure(Path(folder) / "journal", chosen.facts, chosen.batch))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
