"""The move: everything is read and checked, then written, read again and compared; then, in this
order, no node starts at the source any more, and nodes start at the target.

Whatever ends it, the same command goes on with it: projects that are whole are compared again, and
kept if they are the same. There is no moment at which a node could start at both places.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol

from casemate.migration.contents import OBJECTS, Contents
from casemate.migration.digest import Digest
from casemate.migration.errors import MigrationError, NotTheSameError
from casemate.migration.forms import Row
from casemate.migration.parts import Part
from casemate.migration.place import Bundle, Keys, ProjectParts, Source, Target
from casemate.migration.tables import CONTROL, PROJECT, Table
from casemate.vault.interface import Purpose

_TOLD_ROWS: Final = 1000
_SHOWN: Final = 5


class Progress(Protocol):
    """Is told what is done at the moment."""

    def __call__(self, doing: str, rows: int, /) -> None:
        """So many rows of it have passed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One part that was moved, and is the same on both sides."""

    part: str
    rows: int
    digest: str
    kept: bool = False
    """Whether an earlier try had moved it."""


@dataclass(kw_only=True)
class Outcome:
    """What a move has done."""

    source: str
    target: str
    parts: list[Moved] = field(default_factory=list)
    objects: int = 0
    bundles: int = 0


class Move:
    """One move. Blocks."""

    def __init__(self, source: Source, target: Target, keys: Keys, shown: Progress) -> None:
        """Move all of `source` to `target`; `shown` hears how far it is."""
        self._source = source
        self._target = target
        self._keys = keys
        self._shown = shown
        self._outcome = Outcome(source=source.place, target=target.place)

    def run(self) -> Outcome:
        """Do it. Raises CasemateError; then the source is as it was, and the target not in use."""
        source, target = self._source, self._target
        with source.control() as control:
            read = self._digest(control, CONTROL, "", "reading the store")
            bundles = source.bundles()
            _require_bundles(control, bundles)
            projects = source.projects()
            digests = {name: self._read_project(name) for name in projects}
            target.begin(source.place)
            for name in set(target.whole()) - set(projects):
                target.drop(name)
            for name in projects:
                self._move_project(name, digests[name])
            self._move_bundles(bundles)
            incarnation = source.incarnation(control)
            with target.new_control() as written:
                self._copy(control, written, CONTROL, "writing the store")
                target.finish_control(written, incarnation)
                again = self._digest(written, CONTROL, "", "comparing the store")
                read.require_same(again, "the store")
                self._note("store", again, kept=False)
                # From here on no node starts at the source, and none at the target before `open`.
                source.mark_moved(target.place)
        target.open()
        return self._outcome

    def _read_project(self, name: str) -> Digest:
        with self._source.project(name) as parts:
            return self._digest(parts.rows, PROJECT, name, f"reading the project {name}")

    def _move_project(self, name: str, read: Digest) -> None:
        kept = name in self._target.whole() and self._is_same(name, read)
        if not kept:
            with (
                self._source.project(name) as old,
                self._target.new_project(name, old.tokens) as new,
            ):
                _know_buckets(old)
                new.contents.buckets = old.contents.buckets
                self._copy(
                    old.rows,
                    new.rows,
                    PROJECT,
                    f"writing the project {name}",
                    (old.contents, new.contents),
                )
                again = self._verified(name, new)
                read.require_same(again, f"the project {name}")
        self._outcome.objects += read.counts[OBJECTS.name]
        self._note(f"project {name}", read, kept=kept)

    def _is_same(self, name: str, read: Digest) -> bool:
        """Tell whether what an earlier try has moved is what there is now, contents and all."""
        with self._target.project(name) as new:
            _know_buckets(new)
            try:
                read.require_same(self._verified(name, new), name)
            except NotTheSameError:
                return False
        return True

    def _verified(self, name: str, new: ProjectParts) -> Digest:
        doing = f"comparing the project {name}"
        found = self._digest(new.rows, PROJECT, name, doing)
        for row in self._counted(new.rows.rows(OBJECTS), f"{doing}, objects"):
            new.contents.verify(row)
        return found

    def _copy(
        self,
        old: Part,
        new: Part,
        tables: Iterable[Table],
        doing: str,
        contents: tuple[Contents, Contents] | None = None,
    ) -> None:
        for table in tables:
            rows = old.rows(table)
            if table is OBJECTS and contents is not None:
                rows = _with_contents(rows, *contents)
            new.write(table, self._counted(rows, doing))
            if table.counter:
                new.count_from(table, old.counter(table))

    def _digest(self, part: Part, tables: Iterable[Table], project: str, doing: str) -> Digest:
        key = self._keys(project, Purpose.DATA if project else Purpose.STORE, None).key
        digest = Digest(hmac.digest(key, b"casemate move", sha256))
        for table in tables:
            for _ in self._counted(digest.through(table, part.rows(table)), doing):
                pass
            if table.lasting:
                digest.add_values(f"numbers of {table.name}", (part.counter(table),))
        return digest

    def _counted(self, rows: Iterable[Row], doing: str) -> Iterator[Row]:
        for number, row in enumerate(rows):
            if number % _TOLD_ROWS == 0:
                self._shown(doing, number)
            yield row

    def _move_bundles(self, wanted: list[Bundle]) -> None:
        source, target = self._source, self._target
        there = {bundle.digest: bundle for bundle in target.bundles()}
        for digest in there.keys() - {bundle.digest for bundle in wanted}:
            target.drop_bundle(there[digest])
        for number, bundle in enumerate(wanted):
            self._shown("moving bundles", number)
            told = _hash(source.bundle(bundle))
            found = there.get(bundle.digest)
            if found is not None and _is(target, found, told):
                continue
            target.keep_bundle(bundle, source.bundle(bundle))
            if not _is(target, bundle, told):
                raise NotTheSameError(f"The bundle {bundle.digest} is not the same where it went.")
        self._outcome.bundles = len(wanted)

    def _note(self, part: str, digest: Digest, *, kept: bool) -> None:
        rows = sum(digest.counts.values())
        self._outcome.parts.append(Moved(part=part, rows=rows, digest=digest.text, kept=kept))


def _with_contents(rows: Iterable[Row], old: Contents, new: Contents) -> Iterator[Row]:
    for row in rows:
        yield new.keep(row, old.pieces(row))


def _know_buckets(parts: ProjectParts) -> None:
    resources = next(table for table in PROJECT if table.name == "resource")
    parts.contents.buckets = {
        row[0]: row[2] for row in parts.rows.rows(resources) if row[1] == "bucket"
    }


def _is(target: Target, bundle: Bundle, told: str) -> bool:
    try:
        return hmac.compare_digest(_hash(target.bundle(bundle)), told)
    except (OSError, KeyError):  # it is gone
        return False


def _hash(pieces: Iterable[bytes]) -> str:
    found = sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def _require_bundles(control: Part, bundles: list[Bundle]) -> None:
    """Refuse to leave out what a version needs."""
    versions = next(table for table in CONTROL if table.name == "version")
    digests = {row[3] for row in control.rows(versions)}
    missing = sorted(digests - {bundle.digest for bundle in bundles})
    if missing:
        raise MigrationError(
            f"{len(missing)} bundles that versions need are gone: {', '.join(missing[:_SHOWN])}. "
            "Nothing was moved.",
            next_step="Restore them from a backup, or remove these versions on the node.",
        )
