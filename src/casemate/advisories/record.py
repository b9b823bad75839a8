"""OSV records (schema 1.x, https://ossf.github.io/osv-schema/), read strictly and within bounds.

What the schema does not know is passed over, as it asks; what it knows has to be as it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from casemate.advisories import limits
from casemate.advisories.errors import RecordError
from casemate.decoding import DECODING_ERRORS


class EventRecord(msgspec.Struct, frozen=True):
    """One event of a range, of which exactly one field is there."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class RangeRecord(msgspec.Struct, frozen=True):
    """A range of versions or commits."""

    type: str
    events: list[EventRecord]


class PackageRecord(msgspec.Struct, frozen=True):
    """A package as a record names it."""

    ecosystem: str
    name: str


class SeverityRecord(msgspec.Struct, frozen=True):
    """A vector of a severity, and by what it is to be scored."""

    type: str
    score: str


class AffectedRecord(msgspec.Struct, frozen=True):
    """What is affected of one package."""

    package: PackageRecord | None = None
    ranges: list[RangeRecord] | None = None
    versions: list[str] | None = None
    severity: list[SeverityRecord] | None = None
    ecosystem_specific: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the functions, classes and modules that have the hole, as far as they are named.

        Nothing that is not understood is passed over by half: then it is as if none were named.
        """
        try:
            specific = _SPECIFIC.decode(self.ecosystem_specific)
        except DECODING_ERRORS:
            return ()
        named = () if specific is None else specific.names()
        found = tuple(dict.fromkeys(name.replace("::", ".") for name in named))
        if len(found) > limits.MAX_SYMBOLS or not all(map(_is_dotted, found)):
            return ()
        return found


class _Import(msgspec.Struct, frozen=True):
    """Of what Go's database says; others use it, too."""

    path: str
    symbols: list[str] | None = None


class _Affects(msgspec.Struct, frozen=True):
    functions: list[str] = []


class _Specific(msgspec.Struct, frozen=True):
    """Where advisories of several databases name what has the hole."""

    imports: list[_Import] | None = None
    affects: _Affects | None = None
    affected_functions: list[str] | None = None

    def names(self) -> Iterator[str]:
        for each in self.imports or ():
            path = each.path.replace("/", ".")
            yield from [f"{path}.{symbol}" for symbol in each.symbols or ()] or [path]
        yield from self.affects.functions if self.affects is not None else ()
        yield from self.affected_functions or ()


class ReferenceRecord(msgspec.Struct, frozen=True):
    """Where more is said."""

    url: str
    type: str = "WEB"


class OsvRecord(msgspec.Struct, frozen=True):
    """One advisory. Times are seconds since 1970 in `modified_at` and `withdrawn_at`."""

    id: str
    modified: str
    schema_version: str = "1.0.0"
    published: str | None = None
    withdrawn: str | None = None
    aliases: list[str] | None = None
    summary: str | None = None
    details: str | None = None
    severity: list[SeverityRecord] | None = None
    affected: list[AffectedRecord] | None = None
    references: list[ReferenceRecord] | None = None
    database_specific: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def modified_at(self) -> float:
        """Return when it was last changed."""
        return _moment(self.modified)

    @property
    def withdrawn_at(self) -> float | None:
        """Return when it was withdrawn, or None if it stands."""
        return None if self.withdrawn is None else _moment(self.withdrawn)

    @property
    def own_word(self) -> str | None:
        """Return the severity in the word of the database it is from, if it has one."""
        try:
            return _DATABASE.decode(self.database_specific).severity
        except DECODING_ERRORS:
            return None


class _DatabaseSpecific(msgspec.Struct, frozen=True):
    severity: str | None = None


_SPECIFIC = msgspec.json.Decoder(_Specific | None)
_RECORD = msgspec.json.Decoder(OsvRecord)
_DATABASE = msgspec.json.Decoder(_DatabaseSpecific)
_BRACKETS = (b"<", b"\xef\xbb\xbf<")


def read_record(data: bytes, name: str) -> OsvRecord:
    """Return the record that `data` encodes. `name` is told in errors. Raises RecordError."""
    if len(data) > limits.MAX_RECORD_BYTES:
        raise RecordError(
            f"{name[:200]!a} is larger than {limits.MAX_RECORD_BYTES // limits.MIB} MiB."
        )
    try:
        record = _RECORD.decode(data)
    except RecursionError as error:
        raise RecordError(f"{name[:200]!a} is nested too deep.") from error
    except DECODING_ERRORS as error:
        what = "is HTML" if data.lstrip().startswith(_BRACKETS) else "is no OSV record"
        raise RecordError(f"{name[:200]!a} {what}: {str(error)[:200]}.") from error
    problem = next(_problems(record), None)
    if problem is not None:
        raise RecordError(f"{name[:200]!a}: {problem}.")
    return record


def _problems(record: OsvRecord) -> Iterator[str]:
    if record.schema_version.split(".", 1)[0] != "1":
        yield f"schema {record.schema_version[:20]!a} is not read here, 1.x is"
    for what in (record.id, *(record.aliases or ())):
        if not 0 < len(what) <= limits.MAX_ID_CHARS or not _is_plain(what):
            yield f"{what[:80]!a} is no id"
    if len(record.aliases or ()) > limits.MAX_ALIASES:
        yield f"more than {limits.MAX_ALIASES} aliases"
    if len(record.affected or ()) > limits.MAX_AFFECTED:
        yield f"more than {limits.MAX_AFFECTED} affected packages"
    for what in (record.modified, record.withdrawn, record.published):
        if what is not None and not _is_moment(what):
            yield f"{what[:40]!a} is no time (RFC 3339)"
    for affected in record.affected or ():
        yield from _affected_problems(affected)


def _affected_problems(affected: AffectedRecord) -> Iterator[str]:
    if len(affected.ranges or ()) > limits.MAX_RANGES:
        yield f"more than {limits.MAX_RANGES} ranges of one package"
    if len(affected.versions or ()) > limits.MAX_VERSIONS:
        yield f"more than {limits.MAX_VERSIONS} versions of one package"
    if any(len(each) > limits.MAX_VERSION_CHARS for each in affected.versions or ()):
        yield f"a version of more than {limits.MAX_VERSION_CHARS} characters"
    if len(affected.severity or ()) > limits.MAX_SEVERITIES:
        yield f"more than {limits.MAX_SEVERITIES} severities"
    for each in affected.ranges or ():
        if each.type not in ("GIT", "SEMVER", "ECOSYSTEM"):
            yield f"{each.type[:40]!a} is no type of ranges"
        if not 0 < len(each.events) <= limits.MAX_EVENTS:
            yield f"a range has {len(each.events)} events, expected 1 to {limits.MAX_EVENTS}"
        for event in each.events:
            values = [value for value in msgspec.structs.astuple(event) if value is not None]
            if len(values) != 1:
                yield "an event has to say exactly one of introduced, fixed, last_affected, limit"
            elif not 0 < len(values[0]) <= limits.MAX_VERSION_CHARS:
                yield f"a version of {len(values[0])} characters"
        if not any(event.introduced is not None for event in each.events):
            yield "a range has no `introduced`"


def _is_dotted(text: str) -> bool:
    parts = text.split(".")
    return len(text) <= limits.MAX_SYMBOL_CHARS and all(
        part.isascii() and part.isidentifier() for part in parts
    )


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and "/" not in text


def _is_moment(text: str) -> bool:
    try:
        _moment(text)
    except ValueError:
        return False
    return True


def _moment(text: str) -> float:
    """Return a time of RFC 3339 in seconds; fractions beyond microseconds are cut off."""
    if len(text) > 40:
        raise ValueError("too long")
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
