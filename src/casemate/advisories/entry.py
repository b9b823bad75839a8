"""What the database keeps of a record: an entry for each package, and a description by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from casemate.advisories import limits
from casemate.advisories.errors import VersionError
from casemate.advisories.packages import Ecosystem, ecosystem_of, normalised
from casemate.advisories.ranges import Event, Kind, Range, ordered
from casemate.advisories.record import AffectedRecord, OsvRecord, RangeRecord
from casemate.advisories.severity import Rating, rating_of
from casemate.advisories.versions import canonical


class Known(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What others know of a CVE: that it is exploited (CISA), how likely that is (EPSS)."""

    exploited: bool = False
    likelihood: float | None = None


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One advisory about one package. `undecided` says why versions cannot be told apart."""

    id: str
    aliases: tuple[str, ...]
    rating: Rating
    known: Known
    malicious: bool
    summary: str
    ranges: tuple[Range, ...]
    versions: tuple[str, ...]
    undecided: str = ""
    symbols: tuple[str, ...] = ()
    """Functions, classes and modules that have the hole; empty: the record names none."""


class Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All entries of one package."""

    ecosystem: Ecosystem
    name: str
    entries: tuple[Entry, ...]


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """An advisory for people to read."""

    id: str
    aliases: tuple[str, ...]
    modified: str
    published: str | None
    severity: str
    score: float | None
    vector: str | None
    known_exploited: bool
    likelihood: float | None
    summary: str
    details: str
    packages: tuple[str, ...]
    references: tuple[str, ...]


Key = tuple[Ecosystem, str]


def entries_of(record: OsvRecord, known: Mapping[str, Known]) -> Iterator[tuple[Key, Entry]]:
    """Yield the entries of a record, for packages of the ecosystems that are kept."""
    merged: dict[Key, list[AffectedRecord]] = {}
    for affected in record.affected or ():
        key = _key(affected)
        if key is not None:
            merged.setdefault(key, []).append(affected)
    for key, parts in merged.items():
        yield key, _entry(record, key[0], parts, known)


def described(record: OsvRecord, known: Mapping[str, Known]) -> Description:
    """Return what `show` tells of a record."""
    rating = _rating(record, record.affected or [])
    about = _known(record, known)
    packages = dict.fromkeys(
        f"{each.package.ecosystem} {each.package.name}: {_in_words(each)}"[:400]
        for each in record.affected or ()
        if each.package is not None
    )
    return Description(
        id=record.id,
        aliases=tuple(record.aliases or ()),
        modified=record.modified,
        published=record.published,
        severity=rating.severity,
        score=rating.score,
        vector=rating.vector,
        known_exploited=about.exploited,
        likelihood=about.likelihood,
        summary=(record.summary or "")[: limits.MAX_SUMMARY_CHARS],
        details=(record.details or "")[: limits.MAX_DETAILS_CHARS],
        packages=tuple(packages)[:100],
        references=tuple(
            each.url[:400] for each in (record.references or ())[: limits.MAX_REFERENCES]
        ),
    )


def is_malicious(record: OsvRecord) -> bool:
    """Tell whether a record says that the package itself is the attack."""
    return any(each.startswith("MAL-") for each in (record.id, *(record.aliases or ())))


def _key(affected: AffectedRecord) -> Key | None:
    if affected.package is None:
        return None
    ecosystem = ecosystem_of(affected.package.ecosystem)
    name = ecosystem and normalised(ecosystem, affected.package.name)
    return (ecosystem, name) if ecosystem and name else None


def _entry(
    record: OsvRecord,
    ecosystem: Ecosystem,
    parts: list[AffectedRecord],
    known: Mapping[str, Known],
) -> Entry:
    ranges: list[Range] = []
    undecided = ""
    listed = [version for part in parts for version in part.versions or ()]
    for part in parts:
        usable = [each for each in part.ranges or () if each.type != "GIT"]
        if not usable and not part.versions:
            undecided = (
                "it names commits, and no versions" if part.ranges else "it names no versions"
            )
        for each in usable:
            try:
                ranges.append(ordered(ecosystem, _events(each)))
            except VersionError as error:
                undecided = error.message.rstrip(".")
    return Entry(
        id=record.id,
        aliases=tuple(record.aliases or ()),
        rating=_rating(record, parts),
        known=_known(record, known),
        malicious=is_malicious(record),
        summary=(record.summary or record.details or "")[: limits.MAX_SUMMARY_CHARS],
        ranges=tuple(dict.fromkeys(ranges)),
        versions=tuple(dict.fromkeys(canonical(ecosystem, version) for version in listed)),
        undecided=undecided,
        symbols=_symbols(parts),
    )


def _symbols(parts: list[AffectedRecord]) -> tuple[str, ...]:
    """Return what has the hole; nothing if one part of the record does not say it."""
    named = [part.symbols for part in parts]
    found = tuple(dict.fromkeys(name for names in named for name in names))
    return found if all(named) and len(found) <= limits.MAX_SYMBOLS else ()


def _events(record: RangeRecord) -> list[Event]:
    found: list[Event] = []
    for event in record.events:
        if event.introduced is not None:
            found.append((Kind.INTRODUCED, event.introduced))
        elif event.fixed is not None:
            found.append((Kind.FIXED, event.fixed))
        elif event.last_affected is not None:
            found.append((Kind.LAST_AFFECTED, event.last_affected))
        elif event.limit is not None:
            found.append((Kind.LIMIT, event.limit))
    return [(int(kind), text) for kind, text in found]


def _rating(record: OsvRecord, parts: list[AffectedRecord]) -> Rating:
    given = [*(record.severity or ()), *(each for part in parts for each in part.severity or ())]
    vectors = [each.score for each in given if each.type in ("CVSS_V3", "CVSS_V4")]
    return rating_of(vectors[: limits.MAX_SEVERITIES], record.own_word)


def _known(record: OsvRecord, known: Mapping[str, Known]) -> Known:
    found = [known[each] for each in (record.id, *(record.aliases or ())) if each in known]
    likelihoods = [each.likelihood for each in found if each.likelihood is not None]
    return Known(any(each.exploited for each in found), max(likelihoods, default=None))


def _in_words(affected: AffectedRecord) -> str:
    told = []
    for each in affected.ranges or ():
        events = [
            f"{name} {value}"
            for event in each.events[:20]
            for name, value in zip(
                event.__struct_fields__, msgspec.structs.astuple(event), strict=True
            )
            if value is not None
        ]
        told.append("commits (not judged)" if each.type == "GIT" else ", ".join(events))
    if affected.versions:
        told.append(f"{len(affected.versions)} versions by name")
    return "; ".join(dict.fromkeys(told)) or "no versions"
