"""What an index says of one project: its files, from JSON (PEP 691, 700, 740) or HTML (PEP 503).

Nothing in it is believed that can be told from elsewhere: names and versions come from the names
of files, which must be of the project that was asked for.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import unquote, urljoin, urlsplit

import msgspec
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.package_index import limits
from casemate.package_index.errors import IndexAnswerError
from casemate.shown_text import printable

JSON = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_FIRST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LINK = re.compile(r"<a\s([^<>]{1,16384})>", re.IGNORECASE)
_VERSION = re.compile(
    rb"<meta\s{1,9}name=[\"']pypi:repository-version[\"']\s{1,9}content=[\"']([^\"'<>]{0,99})[\"']",
    re.IGNORECASE,
)
_HEAD_BYTES = 64 * 1024
"""Of a page, in which its version is looked for."""
_ATTRIBUTE = re.compile(r"([A-Za-z][\w-]{0,63})(?:\s{0,9}=\s{0,9}(?:\"([^\"]*+)\"|'([^']*+)'))?")


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a project. `uploaded` is in seconds since 1970; `yanked` is why, if it was."""

    filename: str
    version: str
    url: str
    sha256: str
    wheel: bool
    uploaded: float | None = None
    yanked: str | None = None
    requires_python: str | None = None
    metadata_sha256: str | None = None
    provenance: str | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    filename: str
    url: str
    hashes: dict[str, str]
    requires_python: str | None = None
    yanked: bool | str = False
    upload_time: str | None = None
    core_metadata: bool | dict[str, str] | None = None
    provenance: str | None = None


class _Meta(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    api_version: str = "1.0"


class _Project(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    files: list[_File]
    meta: _Meta = _Meta()


def parse_listing(data: bytes, kind: str, project: str, address: str) -> tuple[Release, ...]:
    """Return the usable files of `project` in an index's answer from `address`.

    `kind` is the answer's Content-Type. Left out is what is no distribution, is of another
    project, has no SHA-256, or lies at no http(s) address. Raises IndexAnswerError.
    """
    plain = kind.partition(";")[0].strip().lower()
    if plain in (JSON, "application/json"):
        files = _of_json(data, project, address)
    elif plain in ("text/html", "application/vnd.pypi.simple.v1+html"):
        if (version := _VERSION.search(data[:_HEAD_BYTES])) is not None:
            _require_known(version[1].decode("utf-8", "replace"), address)
        files = list(islice(_of_html(data), limits.MAX_FILES + 1))
        if data.strip() and not files and b"<a" not in data.lower() and not _looks_empty(data):
            raise IndexAnswerError(
                f"{address} answers a page that is not a list of files.",
                next_step="Check the address of the index; it usually ends in /simple.",
            )
    else:
        raise IndexAnswerError(f"{address} answers {plain[:80]!a}, which is not a list of files.")
    if len(files) > limits.MAX_FILES:
        raise IndexAnswerError(f"{address} lists more than {limits.MAX_FILES} files.")
    found = (_release(each, project, address) for each in files)
    return tuple(each for each in found if each is not None)


def _of_json(data: bytes, project: str, address: str) -> list[_File]:
    try:
        answer = msgspec.json.decode(data, type=decodable(_Project))
    except DECODING_ERRORS as error:
        raise IndexAnswerError(
            f"{address} answers no valid list of files: {str(error)[:200]}."
        ) from error
    _require_known(answer.meta.api_version, address)
    if canonicalize_name(answer.name) != project:
        raise IndexAnswerError(f"{address} answers with the project {answer.name[:80]!a}.")
    return answer.files


def _require_known(version: str, address: str) -> None:
    """Raise IndexAnswerError for a version whose fields may mean something else (PEP 629)."""
    if version.partition(".")[0].strip() != "1":
        raise IndexAnswerError(
            f"{address} answers in version {version[:40]!a} of the API of indexes; 1 is understood."
        )


def _looks_empty(data: bytes) -> bool:
    """Tell a list without a file from a page about something else, by its heading."""
    text = data[:2000].lower()
    return b"pypi:repository-version" in text or b"<title>links for" in text


def _of_html(data: bytes) -> Iterator[_File]:
    for match in _LINK.finditer(data.decode("utf-8", "replace")):
        attributes = {
            name.lower(): html.unescape(double or single)
            for name, double, single in _ATTRIBUTE.findall(match.group(1))
        }
        href, _, fragment = attributes.get("href", "").partition("#")
        algorithm, _, digest = fragment.partition("&")[0].partition("=")
        metadata = attributes.get("data-core-metadata", "") or attributes.get(
            "data-dist-info-metadata", ""
        )
        kind, _, value = metadata.partition("=")
        yield _File(
            filename=filename_of(href),
            url=href,
            hashes={algorithm: digest},
            requires_python=attributes.get("data-requires-python"),
            yanked=attributes["data-yanked"] or True if "data-yanked" in attributes else False,
            core_metadata={kind: value} if value else None,
            provenance=attributes.get("data-provenance"),
        )


def _release(file: _File, project: str, address: str) -> Release | None:
    told = told_by_name(file.filename)
    sha256 = file.hashes.get("sha256", "").lower()
    if told is None or told[0] != project or not _SHA256.fullmatch(sha256):
        return None
    url = _http(address, file.url)
    if url is None:
        return None
    metadata = file.core_metadata.get("sha256", "") if isinstance(file.core_metadata, dict) else ""
    return Release(
        filename=file.filename,
        version=told[1],
        url=url,
        sha256=sha256,
        wheel=file.filename.endswith(".whl"),
        uploaded=_moment(file.upload_time),
        yanked=None if file.yanked is False else _reason(file.yanked),
        requires_python=file.requires_python,
        metadata_sha256=metadata if _SHA256.fullmatch(metadata) else None,
        provenance=_http(address, file.provenance) if file.provenance else None,
    )


def filename_of(url: str) -> str:
    """Return the name of the file at an address; empty for what is not an address."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return unquote(path.rpartition("/")[2])


def told_by_name(filename: str) -> tuple[str, str] | None:
    """Return name and version of a distribution, as its file's name has them."""
    if len(filename) > 255 or "/" in filename or not filename.isprintable():
        return None
    try:
        if filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(filename)
        elif filename.endswith((".tar.gz", ".zip")):
            name, version = parse_sdist_filename(filename)
        else:
            return None
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion, ValueError):
        return None
    return str(name), str(version)


def _http(base: str, url: str) -> str | None:
    try:
        joined = urljoin(base, url)
        parts = urlsplit(joined)
    except ValueError:
        return None
    fine = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    return joined.partition("#")[0] if fine else None


def _moment(text: str | None) -> float | None:
    """Return a time of RFC 3339 in seconds; None for what is none, or older than every index."""
    if text is None or len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= _FIRST else None


def _reason(yanked: bool | str) -> str:
    text = yanked if isinstance(yanked, str) else ""
    return printable(text)[: limits.MAX_REASON_CHARS]
