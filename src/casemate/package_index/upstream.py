"""Asks indexes, within bounds, and hands a password to the host that it is for and no other."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from casemate.http_deadline import ProgressDeadline
from casemate.model.loopback import is_loopback
from casemate.package_index import limits
from casemate.package_index.errors import IndexAnswerError, IndexUnavailableError
from casemate.shown_text import printable

if TYPE_CHECKING:
    import httpx2

_REDIRECTS = (301, 302, 303, 307, 308)
_ABSENT = (404, 410)

Taker = Callable[[bytes], None]


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A user and a password of an index, or a token. None is ever shown, logged or given to uv."""

    user: str
    password: str
    bearer: bool = False
    """The password is a token of RFC 6750, and there is no user."""

    def __repr__(self) -> str:
        """Return no value."""
        return "Login(...)"


class Upstream:
    """A client for indexes. Use it in a `with`; several threads may."""

    def __init__(self, logins: Mapping[str, Login]) -> None:
        """Ask with `logins`, by scheme, host and port of the index (`https://host:443`)."""
        import httpx2  # not above: a build whose dependencies are known does without it

        self._logins = dict(logins)
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(limits.READ_SECONDS, connect=limits.CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=16, max_keepalive_connections=16),
            follow_redirects=False,
        )
        self._progress = ProgressDeadline(limits.READ_SECONDS)

    def __enter__(self) -> Upstream:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self._client.close()

    def document(self, url: str, *, accept: str, most: int) -> tuple[bytes, str, str] | None:
        """Return a document, its Content-Type and where it lies; None if there is none.

        Raises IndexAnswerError, IndexUnavailableError.
        """
        deadline = time.monotonic() + limits.LIST_SECONDS
        parts: list[bytes] = []
        size = 0

        def take(chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)
            if size > most:
                raise IndexAnswerError(f"{shown(url)} answers more than {most} bytes.")
            parts.append(chunk)

        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        told = self._get(url, headers, deadline, take, most=most)
        return None if told is None else (b"".join(parts), *told)

    def save(self, url: str, path: Path, *, sha256: str | None) -> str | None:
        """Write what is at an address to a new file; return its SHA-256, None if nothing is there.

        Raises IndexAnswerError, also for another SHA-256 than `sha256`, and IndexUnavailableError.
        """
        deadline = time.monotonic() + limits.FILE_SECONDS
        digest, size = hashlib.sha256(), 0
        with path.open("xb") as file:

            def take(chunk: bytes) -> None:
                nonlocal size
                size += len(chunk)
                if size > limits.MAX_WHEEL_BYTES:
                    most = limits.MAX_WHEEL_BYTES // limits.MIB
                    raise IndexAnswerError(f"{shown(url)} sends more than {most} MiB.")
                digest.update(chunk)
                file.write(chunk)

            told = self._get(url, {"Accept-Encoding": "identity"}, deadline, take, most=None)
        found = digest.hexdigest()
        if told is not None and sha256 is not None:
            check_hash(found, sha256, url)
        return None if told is None else found

    def _get(
        self,
        url: str,
        headers: Mapping[str, str],
        deadline: float,
        take: Taker,
        *,
        most: int | None,
    ) -> tuple[str, str] | None:
        """Give a body to `take` by parts; return its Content-Type and address.

        With `most`, it may be compressed, and at most so much of it and a byte is unpacked.
        """
        import httpx2  # not above: a build whose dependencies are known does without it

        place = url
        for _ in range(limits.MAX_REDIRECTS + 1):
            try:
                login = self._logins.get(origin_of(place))
                auth = httpx2.BasicAuth(login.user, login.password) if login else None
                sent = dict(headers)
                if login and login.bearer:
                    # For this address alone: a redirect to another one goes without.
                    auth, sent["Authorization"] = None, f"Bearer {login.password}"
                asked: dict[str, Any] = {"auth": auth, "extensions": self._progress.extensions}
                with self._client.stream("GET", place, headers=sent, **asked) as answer:
                    if answer.status_code in _REDIRECTS:
                        place = _redirected(place, answer)
                        continue
                    if answer.status_code in _ABSENT:
                        return None
                    _check_status(place, answer.status_code)
                    unpack = _unpacking(place, answer, most)
                    for chunk in self._progress.pieces(answer.iter_raw()):
                        take(unpack(chunk))
                        if time.monotonic() > deadline:
                            raise IndexUnavailableError(f"{shown(place)} sends too slowly.")
                    return answer.headers.get("content-type", ""), place
            except (httpx2.InvalidURL, ValueError, zlib.error) as error:
                raise IndexAnswerError(f"{shown(place)} answers what cannot be read.") from error
            except httpx2.HTTPError as error:
                raise IndexUnavailableError(
                    f"The package index cannot be reached: {shown(place)}, {type(error).__name__}.",
                    next_step="Check the network, UV_DEFAULT_INDEX, HTTPS_PROXY and SSL_CERT_FILE, "
                    "and try again.",
                ) from error
        raise IndexAnswerError(f"{shown(url)} leads from one address to the next without end.")


def check_hash(found: str, expected: str, url: str) -> None:
    """Raise IndexAnswerError unless what came has the SHA-256 that its index lists."""
    if found != expected:
        raise IndexAnswerError(
            f"{shown(url)} is not the file that its index lists: another SHA-256 "
            f"({found[:12]}…, expected {expected[:12]}…).",
            next_step="Do not use it; tell whoever runs the index.",
        )


def shown(url: str) -> str:
    """Return an address for people: without query, credentials and what no terminal should get."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address"
    text = f"{parts.scheme}://{host}{port}{parts.path}"
    return printable(text)[:200]


def origin_of(url: str) -> str:
    """Return what a login is for: scheme, host and port. Raises ValueError."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def _unpacking(place: str, answer: httpx2.Response, most: int | None) -> Callable[[bytes], bytes]:
    """Return what unpacks an answer's parts, never to more than `most` bytes and one.

    By hand: the client unpacks what was packed twice, and each time to the end.
    """
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return lambda chunk: chunk
    if encoding not in ("gzip", "x-gzip") or most is None:
        raise IndexAnswerError(f"{shown(place)} answers in the encoding {encoding[:40]!a}.")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    return lambda chunk: unpacker.decompress(chunk, most + 1)


def _redirected(place: str, answer: httpx2.Response) -> str:
    """Return where an answer leads to. Raises IndexAnswerError for where it may not."""
    target = answer.url.join(answer.headers.get("location", ""))
    encrypted = target.scheme == "https"
    plain = target.scheme == "http" and urlsplit(place).scheme == "http"
    if not (encrypted or plain) or not target.host or target.userinfo:
        raise IndexAnswerError(
            f"{shown(place)} leads to {shown(str(target))}, which is not an http(s) address of an "
            "index, or is less protected than it.",
            next_step="Do not use that index; tell whoever runs it.",
        )
    if is_loopback(target.host) and not is_loopback(urlsplit(place).hostname or ""):
        raise IndexAnswerError(f"{shown(place)} leads to this machine's own {shown(str(target))}.")
    return str(target)


def _check_status(place: str, status: int) -> None:
    if status == 200:
        return
    if status in (401, 403, 407):
        raise IndexAnswerError(
            f"{shown(place)} answers {status}: it wants a user and a password, or others.",
            next_step="Set UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD, where NAME is the "
            "index's name in casemate-packages.toml, or name there the secret that has them.",
        )
    if status == 429 or status >= 500:
        raise IndexUnavailableError(
            f"The package index cannot be reached: {shown(place)} answers {status}.",
            next_step="Try again later.",
        )
    raise IndexAnswerError(f"{shown(place)} answers {status}.")
