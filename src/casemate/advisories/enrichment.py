"""Reads what others know of vulnerabilities: CISA's list of exploited ones, FIRST's EPSS scores."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path

import msgspec

from casemate.advisories.entry import Known
from casemate.advisories.errors import SourceError
from casemate.advisories.limits import MAX_ENRICHMENT_BYTES, MIB
from casemate.decoding import DECODING_ERRORS, decodable


class _Exploited(msgspec.Struct, frozen=True):
    cve: str = msgspec.field(name="cveID")


class _Catalogue(msgspec.Struct, frozen=True):
    vulnerabilities: list[_Exploited]


def read_exploited(path: Path) -> set[str]:
    """Return the CVEs of CISA's known exploited vulnerabilities (JSON). Raises SourceError."""
    try:
        found = msgspec.json.decode(_read(path), type=decodable(_Catalogue)).vulnerabilities
    except DECODING_ERRORS as error:
        raise SourceError(
            f"{path} is no catalogue of exploited vulnerabilities: {error}."
        ) from error
    if not found:
        raise SourceError(f"{path} lists nothing.")
    return {each.cve for each in found}


def read_likelihoods(path: Path) -> dict[str, float]:
    """Return EPSS scores by CVE (CSV, also in gzip). Raises SourceError."""
    text = io.StringIO(_read(path).decode("utf-8", "replace"), newline="")
    found: dict[str, float] = {}
    columns: list[str] = []
    try:
        for row in csv.reader(text):
            if not row or row[0].startswith("#"):
                continue
            if not columns:
                columns = row
                at, score = columns.index("cve"), columns.index("epss")
                continue
            value = float(row[score])
            if not 0 <= value <= 1:
                raise ValueError(f"{row[score]!a} is no probability")
            found[row[at]] = value
    except (ValueError, IndexError, csv.Error) as error:
        raise SourceError(f"{path} contains no EPSS scores: {str(error)[:200]}.") from error
    if not found:
        raise SourceError(f"{path} contains no EPSS scores.")
    return found


def known_of(exploited: set[str], likelihoods: dict[str, float]) -> dict[str, Known]:
    """Return both by CVE."""
    return {
        cve: Known(cve in exploited, likelihoods.get(cve)) for cve in exploited | likelihoods.keys()
    }


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            source = gzip.GzipFile(fileobj=file) if packed else file
            data: bytes = source.read(MAX_ENRICHMENT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read: {error}.") from error
    if len(data) > MAX_ENRICHMENT_BYTES:
        raise SourceError(f"{path} is larger than {MAX_ENRICHMENT_BYTES // MIB} MiB.")
    return data
