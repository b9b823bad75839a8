"""Evidence as the command line fetches and verifies it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from casemate.cli.client import connect, read_whole
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.journal_pages import pages
from casemate.cli.new_file import new_file
from casemate.cli.terminal import GREEN, YELLOW, note, print_line, print_table
from casemate.cli.text import moment, quantity
from casemate.evidence.archive import MAX_BYTES, Verified, opened
from casemate.operations.evidence import (
    EvidenceList,
    EvidenceView,
    FetchEvidence,
    GatherEvidence,
    ListEvidence,
    ReleaseEvidence,
)
from casemate.operations.journal import ListJournal

_SECONDS = 120.0


def gathered(id: str, output: Path | None) -> EvidenceView:
    """Have evidence gathered, and write it to a file that is not there yet."""
    if output is not None and output.exists():
        raise UsageError(f"{output} is there already.", next_step="Give another name.")
    # Made before anything is sealed: an archive that cannot be written anywhere would take the
    # room of one that can.
    with _made(output) as target, connect() as client:
        view = client.call(GatherEvidence(id=id))
        if target is not None:
            with client.open(FetchEvidence(id=view.id), seconds=_SECONDS) as response:
                data = read_whole(response, client.progress, 2 * MAX_BYTES)
            if hashlib.sha256(data).hexdigest() != view.sha256:
                raise CommandError(f"{view.id} did not arrive as it was kept.", next_step=_kept(id))
            try:
                target.write(data)
                target.flush()
            except OSError as error:
                raise CommandError(
                    f"{view.id} cannot be written to {output}: {error.strerror}.",
                    next_step=_kept(id),
                ) from error
    return view


def _kept(id: str) -> str:
    return f"the node keeps it: casemate incident evidence {id} --ls"


@contextmanager
def _made(file: Path | None) -> Iterator[BinaryIO | None]:
    """Give a file that was not there, within the block; it is removed where that fails."""
    if file is None:
        yield None
        return
    with ExitStack() as made:
        try:
            target = made.enter_context(new_file(file))
        except OSError as error:
            raise CommandError(
                f"{file} cannot be written: {error.strerror}.", next_step="Give another name."
            ) from error
        yield target


def listed(id: str) -> EvidenceList:
    """Return what is under hold of an incident."""
    with connect() as client:
        return client.call(ListEvidence(id=id))


def released(id: str, reason: str) -> dict[str, str]:
    """End the hold of an archive."""
    with connect() as client:
        client.call(ReleaseEvidence(id=id, reason=reason))
    return {"id": id, "state": "released"}


def verified(file: Path) -> Verified:
    """Return what is in an archive that is as it was written, and on record. CommandError."""
    try:
        with file.open("rb") as source:
            data = source.read(2 * MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    manifest, _ = opened(data)
    digest = hashlib.sha256(data).hexdigest()
    with connect() as client:
        wanted = ListJournal(kind="EvidenceSealed", search=digest, since=int(manifest.made_at) - 1)
        for entry in pages(client, wanted, None):
            own = (entry.event or {}).get("unmapped", {})
            if not isinstance(own, dict):
                continue
            if own.get("sha256") == digest and own.get("incident") == manifest.incident:
                return Verified(sha256=digest, manifest=manifest, entry=entry.id)
    raise CommandError(
        f"The journal does not know {digest}: {file} is not what was sealed, or not here.",
        next_step="`casemate journal verify` tells whether the journal is whole.",
    )


def told(found: object, output: Path | None) -> None:
    """Print what was done."""
    match found:
        case Verified():
            print_line("It is as it was sealed, sha256", GREEN)
            print_line(found.sha256)
            print_table(
                ("file", "bytes"),
                [(each.name, str(each.size)) for each in found.manifest.files],
                empty="",
            )
            note(f"of {found.manifest.incident}; entry of the journal: {found.entry}")
            _left_out(found.manifest.left_out)
        case EvidenceView():
            files = quantity(found.files, "file")
            print_line(f"{found.id}: {files}, {found.size} bytes, under hold.", GREEN)
            print_line(f"sha256  {found.sha256}")
            _left_out(found.left_out)
            if output is not None:
                note(f"casemate incident evidence --verify {output}")
        case EvidenceList():
            print_table(
                ("at", "id", "files", "bytes", "by", "sha256"),
                [
                    (moment(v.at), v.id, str(v.files), str(v.size), v.by, v.sha256)
                    for v in found.evidence
                ],
                empty="No archive is under hold.",
                below=("by", "sha256"),
            )
        case {"id": id}:
            print_line(f"The hold of {id} is ended; it is deleted.", GREEN)


def _left_out(texts: tuple[str, ...]) -> None:
    for text in texts:
        note(f"left out: {text}", YELLOW)
