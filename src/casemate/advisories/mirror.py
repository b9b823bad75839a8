"""Fetches archives of records from a mirror, asking only for what is newer than what is there.

An address that ends in an archive's suffix is one archive of everything; any other is a mirror
laid out as osv.dev lays out its own: `ADDRESS/PyPI/all.zip`, `ADDRESS/npm/all.zip`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import msgspec

from casemate.advisories import limits
from casemate.advisories.errors import CutShortError, SourceError
from casemate.advisories.packages import Ecosystem
from casemate.http_deadline import ProgressDeadline
from casemate.model.loopback import is_loopback

if TYPE_CHECKING:
    import httpx2

_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_REDIRECTS = (301, 302, 303, 307, 308)

Validators = dict[str, tuple[str, str]]


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that came: an open file without a name."""

    address: str
    file: IO[bytes]


class _Bounds(NamedTuple):
    deadline: float
    """Monotonic time by which all has to be here."""
    progress: ProgressDeadline
    plain: bool
    """Whether it may come without TLS."""


def is_address(source: str) -> bool:
    """Tell whether a source is on the network."""
    return source.lower().startswith(("http://", "https://"))


def addresses_of(source: str, ecosystems: Iterable[Ecosystem]) -> list[str]:
    """Return the addresses of the archives that make up a source."""
    if source.lower().split("?", 1)[0].endswith(_SUFFIXES):
        return [source]
    return [f"{source.rstrip('/')}/{one.value}/all.zip" for one in ecosystems]


def fetch(
    addresses: list[str], known: Mapping[str, tuple[str, str]], folder: Path, *, plain: bool
) -> tuple[list[Fetched], Validators]:
    """Return the archives at addresses, or none if the mirror has nothing newer than `known`.

    If one of several is newer all are fetched, since a database is made of all of them. Files are
    below `folder` without a name: they are gone with whoever closes them. Raises SourceError,
    CutShortError.
    """
    import httpx2  # not above: a gate does without it

    for address in addresses:
        _check_address(address, plain=plain)
    deadline = time.monotonic() + limits.DOWNLOAD_SECONDS
    timeout = httpx2.Timeout(limits.READ_SECONDS, connect=limits.CONNECT_SECONDS)
    progress = ProgressDeadline(limits.READ_SECONDS)
    with httpx2.Client(timeout=timeout, follow_redirects=False) as client:
        fetched: list[Fetched] = []
        validators: Validators = {}
        asked = all(address in known for address in addresses)
        for attempt in (True, False) if asked else (False,):
            fetched, validators, unchanged = [], {}, 0
            for address in addresses:
                conditions = _conditions(known.get(address)) if attempt else {}
                one, validator = _get(
                    client, address, conditions, folder, _Bounds(deadline, progress, plain)
                )
                validators[address] = validator
                unchanged += one is None
                if one is not None:
                    fetched.append(one)
            if attempt and unchanged == len(addresses):
                return [], dict(known)
            if not unchanged:
                break
        if len(fetched) != len(addresses):
            raise SourceError("The mirror answered `not modified` although nothing is here yet.")
        return fetched, validators


def _conditions(validator: tuple[str, str] | None) -> dict[str, str]:
    etag, modified = validator or ("", "")
    found = {"If-None-Match": etag, "If-Modified-Since": modified}
    return {name: value for name, value in found.items() if value}


def _headers(conditions: Mapping[str, str]) -> dict[str, str]:
    return {"Accept-Encoding": "identity", **conditions}


def _get(
    client: httpx2.Client,
    address: str,
    conditions: Mapping[str, str],
    folder: Path,
    bounds: _Bounds,
) -> tuple[Fetched | None, tuple[str, str]]:
    """Return what is at an address and its validator; None instead if it is not newer."""
    import httpx2  # not above: a gate does without it

    place = address
    for _ in range(limits.MAX_REDIRECTS + 1):
        try:
            extensions = bounds.progress.extensions
            headers = _headers(conditions)
            with client.stream("GET", place, headers=headers, extensions=extensions) as answer:
                if answer.status_code in _REDIRECTS:
                    place = _redirected(place, answer, plain=bounds.plain)
                    continue
                if answer.status_code == 304 and conditions:
                    return None, ("", "")
                if answer.status_code != 200:
                    raise SourceError(
                        f"{address} answers {answer.status_code}.",
                        next_step="Name an archive, or a mirror that is laid out as osv.dev's.",
                    )
                file = _save(answer, address, folder, bounds)
                told = answer.headers
                validator = (told.get("etag", "")[:200], told.get("last-modified", "")[:100])
                return Fetched(address=address, file=file), validator
        except httpx2.InvalidURL as error:
            raise SourceError(f"{address[:200]!a} is not an address.") from error
        except httpx2.HTTPError as error:
            raise SourceError(
                f"{address} cannot be reached: {str(error)[:200] or type(error).__name__}.",
                next_step="Try again later, or name an archive of theirs that you fetched "
                "elsewhere. What was imported before stays in force.",
            ) from error
    raise SourceError(f"{address} leads from one address to the next without end.")


def _redirected(place: str, answer: httpx2.Response, *, plain: bool) -> str:
    """Return where an answer leads to. Raises SourceError for where it may not."""
    target = answer.url.join(answer.headers.get("location", ""))
    _check_address(str(target), plain=plain)
    if is_loopback(target.host.strip("[]")) and not is_loopback(answer.url.host.strip("[]")):
        # Whoever is elsewhere does not have this machine ask what only it can.
        raise SourceError(f"{place[:200]!a} leads to this machine's own {str(target)[:200]!a}.")
    return str(target)


def _save(answer: httpx2.Response, address: str, folder: Path, bounds: _Bounds) -> IO[bytes]:
    """Write a body to a file without a name, within the bounds. Raises CutShortError."""
    import httpx2  # not above: a gate does without it

    file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - handed to the caller
    size = 0
    try:
        for chunk in bounds.progress.pieces(answer.iter_raw()):
            size += len(chunk)
            if size > limits.MAX_ARCHIVE_BYTES:
                raise SourceError(
                    f"{address} sends more than {limits.MAX_ARCHIVE_BYTES // limits.MIB} MiB."
                )
            if time.monotonic() > bounds.deadline:
                raise CutShortError(f"{address} sends too slowly.")
            file.write(chunk)
        declared = answer.headers.get("content-length", "")
        if declared.isdigit() and len(declared) < 20 and int(declared) != size:
            raise CutShortError(f"{address} sent {size} bytes of {declared}.")
    except httpx2.HTTPError as error:
        file.close()
        raise CutShortError(f"{address} broke off after {size} bytes.") from error
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _check_address(address: str, *, plain: bool) -> None:
    """Refuse what anybody on the way could thin out, unless that was asked for."""
    import httpx2  # not above: a gate does without it

    try:
        url = httpx2.URL(address)
    except httpx2.InvalidURL as error:
        raise SourceError(f"{address[:200]!a} is not an address.") from error
    if url.userinfo:
        raise SourceError("An address with a password in it is not taken.")
    if url.scheme == "https" and url.host:
        return
    if url.scheme != "http" or not url.host:
        raise SourceError(f"{address[:200]!a} is not an http(s) address.")
    if not plain and not is_loopback(url.host.strip("[]")):
        raise SourceError(
            f"{address[:200]!a} is not encrypted: whoever is in between could take away records.",
            next_step="Use https, or --plain-http if you trust that network.",
        )
