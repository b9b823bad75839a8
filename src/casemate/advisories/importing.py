"""Imports advisories: all of a source into a new database, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from casemate.advisories import limits
from casemate.advisories.budget import Budget
from casemate.advisories.database import Database, Header
from casemate.advisories.enrichment import known_of, read_exploited, read_likelihoods
from casemate.advisories.errors import (
    AdvisoriesError,
    CutShortError,
    DatabaseMissingError,
    DatabaseUnreadableError,
    SourceError,
)
from casemate.advisories.mirror import Validators, addresses_of, fetch, is_address
from casemate.advisories.packages import Ecosystem
from casemate.advisories.place import Attempt, Place
from casemate.advisories.reading import archive_files, read_files
from casemate.advisories.record import read_record
from casemate.advisories.writing import Compiler, confirm

_IN_FORCE = "what was imported before stays in force"
_EVERY = 5_000
"""Progress is told once in so many records."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to import, and how."""

    source: str
    ecosystems: tuple[Ecosystem, ...] = tuple(Ecosystem)
    exploited: Path | None = None
    likelihoods: Path | None = None
    plain_http: bool = False
    fewer: bool = False
    """Take it although it has less than half of the records that are in force."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an import: the header in force now, and whether anything was new."""

    header: Header
    changed: bool


def import_advisories(
    wanted: Wanted,
    place: Place,
    *,
    clock: Callable[[], float] = time.time,
    tell: Callable[[str], None] = lambda _: None,
) -> Imported:
    """Replace the database by what a source holds.

    Raises SourceError or RecordError for a source that cannot be taken whole, CutShortError if it
    ended before its end, BusyError if another import runs. What was in force then stays.
    """
    try:
        with place.importing():
            begun = clock()
            cut_short = _is_cut_short(place)
            place.remember(Attempt(begun=begun, source=wanted.source[:500]))
            try:
                done = _import(wanted, place, begun, tell)
            except (AdvisoriesError, OSError, KeyboardInterrupt) as error:
                place.remember(_failed(wanted, begun, clock(), error, cut_short=cut_short))
                raise
            place.forget_attempt()
            return done
    except OSError as error:
        raise SourceError(
            f"The import could not write below {place.folder}: {error.strerror or error}.",
            next_step="Check free space and permissions.",
        ) from error


def _is_cut_short(place: Place) -> bool:
    """Tell whether an earlier import was cut short and none was complete since."""
    try:
        attempt = place.last_attempt()
    except AdvisoriesError:
        return True
    return attempt is not None and (attempt.cut_short or attempt.ended is None)


def _failed(
    wanted: Wanted, begun: float, ended: float, error: BaseException, *, cut_short: bool
) -> Attempt:
    message = error.message if isinstance(error, AdvisoriesError) else type(error).__name__
    return Attempt(
        begun=begun,
        source=wanted.source[:500],
        ended=ended,
        problem=message[:1000],
        cut_short=cut_short or isinstance(error, CutShortError | OSError | KeyboardInterrupt),
    )


def _import(wanted: Wanted, place: Place, now: float, tell: Callable[[str], None]) -> Imported:
    if not wanted.ecosystems:
        raise SourceError("No ecosystem was asked for.")
    before = _header(place)
    exploited = None if wanted.exploited is None else read_exploited(wanted.exploited)
    likelihoods = None if wanted.likelihoods is None else read_likelihoods(wanted.likelihoods)
    budget = Budget(time.monotonic() + limits.IMPORT_SECONDS)
    enriched = exploited is not None or likelihoods is not None
    fetched: list[Iterator[tuple[str, bytes]]] = []
    validators: Validators = {}
    if is_address(wanted.source):
        addresses = addresses_of(wanted.source, wanted.ecosystems)
        known = before.validators if before is not None and not enriched else {}
        same = before is not None and set(before.records) == {e.value for e in wanted.ecosystems}
        tell("Asking the mirror ...")
        archives, validators = fetch(
            addresses, known if same else {}, place.folder, plain=wanted.plain_http
        )
        if not archives:
            return Imported(header=confirm(place.database, now), changed=False)
        fetched = [archive_files(each.file, each.address, budget) for each in archives]
    else:
        fetched = [read_files(Path(wanted.source), budget)]
    compiler = Compiler(
        place.database, known_of(exploited or set(), likelihoods or {}), wanted.ecosystems, now
    )
    try:
        _compile(compiler, fetched, tell)
        _check_counts(compiler.counts(), before, wanted)
        header = compiler.finish(
            wanted.source,
            validators,
            None if exploited is None else len(exploited),
            None if likelihoods is None else len(likelihoods),
        )
    finally:
        compiler.close()
    return Imported(header=header, changed=True)


def _compile(
    compiler: Compiler,
    sources: Iterable[Iterator[tuple[str, bytes]]],
    tell: Callable[[str], None],
) -> None:
    count = 0
    for files in sources:
        for name, data in files:
            compiler.add(read_record(data, name))
            count += 1
            if count % _EVERY == 0:
                tell(f"{count} records read ...")


def _check_counts(counts: Mapping[str, int], before: Header | None, wanted: Wanted) -> None:
    """Refuse a source that has nothing, or so much less that it is likely not all of it."""
    if not any(counts.values()):
        asked = " or ".join(counts)
        raise SourceError(
            f"The source has no OSV record about {asked}; {_IN_FORCE}.",
            next_step="Name a folder or an archive of OSV records in JSON (.json).",
        )
    if before is None or wanted.fewer:
        return
    for ecosystem, count in counts.items():
        held = before.records.get(ecosystem, 0)
        if count < held / 2:
            raise SourceError(
                f"The source has {count} records about {ecosystem}, and {held} are in force: "
                f"it may be incomplete, so {_IN_FORCE}.",
                next_step="Check the source; --fewer accepts it as it is.",
            )


def _header(place: Place) -> Header | None:
    try:
        with Database(place.database) as database:
            return database.header
    except (DatabaseMissingError, DatabaseUnreadableError):
        return None
