"""The index that uv sees: a proxy on loopback that serves what a `Selection` allows.

uv is told that its index is `http://index.invalid/simple` and that this is the proxy for plain
HTTP. The name stays the same from build to build, so that uv's cache does; it leads nowhere, so a
uv that went around the proxy would find nothing. Who asks needs the word of this build: other
users of the host get nothing through it. Logins of indexes stay on this side.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec
from packaging.utils import canonicalize_name, is_normalized_name

from casemate.model.errors import CasemateError, UnavailableError
from casemate.package_index import limits
from casemate.package_index.errors import IndexAnswerError
from casemate.package_index.judging import refusal
from casemate.package_index.listing import JSON, Release, filename_of, told_by_name
from casemate.package_index.policy import Allow
from casemate.package_index.selection import Selection
from casemate.package_index.upstream import Upstream, check_hash
from casemate.shown_text import printable

HOST = "index.invalid"
INDEX_URL = f"http://{HOST}/simple"
_USER = "build"

Inspect = Callable[[Path, str], None]
"""Looks into a wheel before uv does; the second is its file's name. Raises PackageRefusedError."""
BuildSource = Callable[[Release, Path, Inspect], Path]
"""Makes a wheel of a source distribution, which lies at the path. Raises CasemateError."""


class IndexServer:
    """Serves a selection to one build. Use it in a `with`."""

    def __init__(
        self,
        selection: Selection,
        upstream: Upstream,
        spool: Path,
        inspect: Inspect,
        build_source: BuildSource | None = None,
    ) -> None:
        """Keep files that are on their way in `spool`, a private folder."""
        self.selection = selection
        self.upstream = upstream
        self.spool = spool
        self.inspect = inspect
        self.build_source = build_source
        self._built: dict[str, Path] = {}
        self._building: set[str] = set()
        self.word = secrets.token_urlsafe(24)
        self._addresses: dict[str, int] = {}
        self._counter = 0
        self._lock = threading.Lock()
        self._http = _HttpServer(("127.0.0.1", 0), _Handler)
        self._http.index = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), daemon=True)

    def __enter__(self) -> IndexServer:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._http.shutdown()
        self._http.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """Return what uv needs to find it. It holds the word: not for arguments or logs."""
        proxy = f"http://{_USER}:{self.word}@127.0.0.1:{self._http.server_port}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        proxies = {each: proxy for name in names for each in (name, name.lower())}
        return {"UV_DEFAULT_INDEX": INDEX_URL, **proxies}

    def address(self, url: str) -> str:
        """Return where uv finds what a lock or a requirement names by its address."""
        with self._lock:
            number = self._addresses.setdefault(url, len(self._addresses))
        return f"http://{HOST}/address/{number}/{quote(filename_of(url))}"

    def named(self, number: int) -> str | None:
        """Return the address that `address` gave a number to."""
        with self._lock:
            return next((url for url, each in self._addresses.items() if each == number), None)

    def built(self, package: str, releases: tuple[Release, ...]) -> list[Release]:
        """Return the wheel of what an exception has built from source, where there is none."""
        wheels = {each.version for each in releases if each.wheel}
        allows = self.selection.rules.allows
        build = self.build_source
        for each in releases:
            if each.wheel or each.version in wheels or build is None:
                continue
            if allows(Allow.SOURCE, package, each.version) and self._begins(each.sha256):
                try:
                    return [self._make(each, build)]
                finally:
                    self._building.discard(each.sha256)
        return []

    def _begins(self, sha256: str) -> bool:
        """Tell whether a source is not being built: one that needs itself is not waited for."""
        with self._lock:
            free = sha256 not in self._building
            self._building.add(sha256)
        return free

    def _make(self, source: Release, build: BuildSource) -> Release:
        archive = self.fresh_path()
        try:
            if self.upstream.save(source.url, archive, sha256=source.sha256) is None:
                raise IndexAnswerError(f"The index lists {source.filename}, and has it not.")
            made = build(source, archive, self.inspect)
        finally:
            archive.unlink(missing_ok=True)
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        self._built[digest] = made
        return msgspec.structs.replace(
            source, filename=made.name, sha256=digest, wheel=True, metadata_sha256=None
        )

    def wheel_made(self, sha256: str, filename: str) -> Path | None:
        """Return a wheel that was built here."""
        made = self._built.get(sha256)
        return made if made is not None and made.name == filename else None

    def fresh_path(self) -> Path:
        """Return a path in the spool that nothing has."""
        with self._lock:
            self._counter += 1
            return self.spool / f"{self._counter}"


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    index: IndexServer

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(limits.MAX_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection, if there is room for one: any user of the host may try."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer it, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that leaves is no event, all else is told by the selection."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection of uv."""

    protocol_version = "HTTP/1.1"
    server: _HttpServer
    timeout = limits.IDLE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: addresses may hold what is nobody's business."""

    def do_GET(self) -> None:
        """Answer one request."""
        index = self.server.index
        if not self._is_allowed(index.word):
            self._answer(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, b"", "text/plain")
            return
        parts = [unquote(part) for part in urlsplit(self.path).path.split("/") if part]
        try:
            self._route(index, parts)
        except CasemateError as error:
            index.selection.fail(error)
            # uv asks again after a 502, and only after that.
            status = HTTPStatus.BAD_GATEWAY if error.retryable else HTTPStatus.FORBIDDEN
            self._answer(status, b"", "text/plain")
        except ConnectionError:
            self.close_connection = True  # uv went away
        except OSError as error:
            index.selection.fail(
                UnavailableError(f"A download could not be kept: {error.strerror or error}.")
            )
            self._answer(HTTPStatus.BAD_GATEWAY, b"", "text/plain")

    def do_CONNECT(self) -> None:
        """Refuse a way around: what is not asked of this index is not checked."""
        index = self.server.index
        self.close_connection = True
        if self._has_word(index.word):
            host = printable(self.path)[:200]
            index.selection.fail(
                IndexAnswerError(
                    f"A package is wanted from {host}, which is none of the project's indexes.",
                    next_step="Name its index in the requirements or in casemate-packages.toml; "
                    "sources of uv's own ([tool.uv.sources]) are not supported.",
                )
            )
        self._answer(HTTPStatus.FORBIDDEN, b"", "text/plain")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _is_allowed(self, word: str) -> bool:
        try:
            host = urlsplit(self.path).hostname
        except ValueError:
            return False
        return host == HOST and self._has_word(word)

    def _has_word(self, word: str) -> bool:
        wanted = base64.b64encode(f"{_USER}:{word}".encode()).decode()
        given = self.headers.get("Proxy-Authorization", "")
        return hmac.compare_digest(given.encode("utf-8", "replace"), f"Basic {wanted}".encode())

    def _route(self, index: IndexServer, parts: list[str]) -> None:
        match parts:
            case ["simple", name] if is_normalized_name(canonical := str(canonicalize_name(name))):
                self._list(index, canonical)
            case ["files", name, sha256, filename] if is_normalized_name(name):
                self._file(index, name, sha256, filename)
            case ["address", number, *name] if (
                len(name) <= 1 and number.isdecimal() and len(number) < 9
            ):
                self._by_address(index, int(number))
            case _:
                self._absent()

    def _list(self, index: IndexServer, package: str) -> None:
        releases = index.selection.releases(package)
        if releases is None:
            self._absent()
            return
        made = index.built(package, releases)
        files = [_told(package, each) for each in (*releases, *made)]
        body = {"meta": {"api-version": "1.1"}, "name": package, "files": files}
        self._answer(HTTPStatus.OK, msgspec.json.encode(body), JSON)

    def _file(self, index: IndexServer, package: str, sha256: str, filename: str) -> None:
        made = index.wheel_made(sha256, filename)
        if made is not None:
            self._give(made)
            return
        release = index.selection.release(package, sha256)
        wanted = filename.removesuffix(".metadata")
        if release is None or release.filename != wanted:
            self._absent()
        elif wanted != filename:
            self._metadata(index, release)
        else:
            self._send(index, release.url, release.filename, release.sha256)

    def _metadata(self, index: IndexServer, release: Release) -> None:
        told = index.upstream.document(
            f"{release.url}.metadata", accept="*/*", most=limits.MAX_METADATA_BYTES
        )
        if told is None or release.metadata_sha256 is None:
            self._absent()
            return
        found = hashlib.sha256(told[0]).hexdigest()
        check_hash(found, release.metadata_sha256, f"{release.url}.metadata")
        self._answer(HTTPStatus.OK, told[0], "application/octet-stream", lasting=True)

    def _by_address(self, index: IndexServer, number: int) -> None:
        url = index.named(number)
        if url is None:
            self._absent()
            return
        self._send(index, url, filename_of(url), None)

    def _send(self, index: IndexServer, url: str, filename: str, sha256: str | None) -> None:
        """Fetch a file, look into it, and only then give it away."""
        path = index.fresh_path()
        try:
            found = index.upstream.save(url, path, sha256=sha256)
            if found is None:
                self._absent()
                return
            if sha256 is None:
                _judge_address(index.selection, url, filename, found)
            if filename.endswith(".whl"):
                index.inspect(path, filename)
            self._give(path)
        finally:
            path.unlink(missing_ok=True)

    def _give(self, path: Path) -> None:
        self._begin(HTTPStatus.OK, path.stat().st_size, "application/octet-stream", lasting=True)
        if self.command != "HEAD":
            with path.open("rb") as file:
                shutil.copyfileobj(file, self.wfile, 1 << 18)

    def _absent(self) -> None:
        self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, *, lasting: bool = False) -> None:
        self._begin(status, len(body), kind, lasting=lasting)
        if self.command != "HEAD":
            with suppress(ConnectionError):
                self.wfile.write(body)

    def _begin(self, status: HTTPStatus, size: int, kind: str, *, lasting: bool = False) -> None:
        # What is allowed depends on the day and the rules: only a file, named by its hash, lasts.
        kept = "public, max-age=31536000, immutable" if lasting else "no-store"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", kept)
        self.end_headers()


def _told(package: str, release: Release) -> dict[str, Any]:
    """Return a file as uv is told of it."""
    place = f"http://{HOST}/files/{package}/{release.sha256}/{quote(release.filename)}"
    digest = release.metadata_sha256
    told: dict[str, Any] = {
        "filename": release.filename,
        "url": place,
        "hashes": {"sha256": release.sha256},
        "yanked": release.yanked is not None,
        "core-metadata": {"sha256": digest} if digest else False,
    }
    if release.requires_python is not None:
        told["requires-python"] = release.requires_python
    return told


def _judge_address(selection: Selection, url: str, filename: str, sha256: str) -> None:
    """Judge a file that was named by its address as the index has it; undated if it has it not."""
    told = told_by_name(filename)
    if told is None:
        raise IndexAnswerError(f"{filename[:200]!a} is not the name of a distribution.")
    package, version = told
    unlisted = Release(
        filename=filename,
        version=version,
        url=url,
        sha256=sha256,
        wheel=filename.endswith(".whl"),
    )
    release = selection.listed(package, sha256) or unlisted
    error = refusal(package, release, selection.rules, held=selection.holds(package, sha256))
    if error is not None:
        raise error
