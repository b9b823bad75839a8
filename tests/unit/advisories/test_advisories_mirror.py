"""Mirrors: asked only for what is newer, never believed, never waited for without end."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from casemate.advisories import CutShortError, Ecosystem, SourceError, Trouble, judge, limits, look
from casemate.advisories.importing import Wanted, import_advisories
from support.advisories import NOW, Record, pypi, record

PYPI = (Ecosystem.PYPI,)


def archive(*records: Record) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        for each in records:
            written.writestr(f"{each['id']}.json", json.dumps(each))
    return out.getvalue()


class Mirror:
    """What a mirror answers, by path."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[tuple[str, str]] = []
        self.url = ""

    def gives(self, path: str, data: bytes, etag: str = "") -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            if etag and handler.headers.get("If-None-Match") == etag:
                handler.send_response(304)
                handler.end_headers()
                return
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(data)))
            if etag:
                handler.send_header("ETag", etag)
            handler.end_headers()
            handler.wfile.write(data)

        self.answers[path] = answer


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    made = Mirror()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, self.headers.get("If-None-Match", "")))
            answer = made.answers.get(self.path)
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_mirror_is_asked_only_for_what_is_newer(mirror: Mirror, place) -> None:
    mirror.gives("/osv/PyPI/all.zip", archive(record()), '"p1"')
    mirror.gives("/osv/npm/all.zip", archive(record("N", ecosystem="npm")), '"n1"')
    wanted = Wanted(source=f"{mirror.url}/osv/")
    assert import_advisories(wanted, place, clock=lambda: NOW).changed
    again = import_advisories(wanted, place, clock=lambda: NOW + 1000)
    assert not again.changed
    assert again.header.imported == NOW + 1000
    assert judge([pypi("left", "1")], place, now=NOW + limits.MAX_AGE + 500).findings
    assert look(place, NOW + limits.MAX_AGE + 500).good
    # One of two changed: both come, since a database is made of both.
    mirror.gives("/osv/PyPI/all.zip", archive(record(events=[{"introduced": "5"}])), '"p2"')
    assert import_advisories(wanted, place, clock=lambda: NOW + 2000).changed
    assert look(place, NOW + 2000).good
    assert judge([pypi("left", "1")], place, now=NOW + 2000).clean
    assert mirror.asked[-2:] == [("/osv/PyPI/all.zip", ""), ("/osv/npm/all.zip", "")]


def test_one_archive_at_an_address_and_a_redirect(mirror: Mirror, place) -> None:
    def lead(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/real.zip")
        handler.end_headers()

    mirror.answers["/all.zip"] = lead
    mirror.gives("/real.zip", archive(record()))
    source = Wanted(source=f"{mirror.url}/all.zip", ecosystems=PYPI)
    assert import_advisories(source, place, clock=lambda: NOW).changed
    assert judge([pypi("left", "1")], place, now=NOW).findings


def _answer(status: int, headers: dict[str, str], body: bytes = b"") -> Callable[..., None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_answer(404, {}), SourceError),
        (_answer(304, {}), SourceError),
        (_answer(200, {}, b"<!DOCTYPE html>" + b"<p>" * 400), SourceError),
        (_answer(200, {"Content-Length": "5000"}, archive(record())), CutShortError),
        (_answer(200, {}, archive(record())[:150]), CutShortError),
        (_answer(302, {"Location": "/PyPI/all.zip"}), SourceError),
        (_answer(302, {"Location": "file:///etc/passwd"}), SourceError),
        (_answer(302, {"Location": "http://192.0.2.1/x.zip"}), SourceError),
        (_answer(302, {}), SourceError),
    ],
)
def test_answers_that_are_not_what_was_asked_for(
    mirror: Mirror, bring, place, answer, error
) -> None:
    bring(record(), ecosystems=PYPI)
    mirror.answers["/PyPI/all.zip"] = answer
    with pytest.raises(error):
        import_advisories(Wanted(source=mirror.url, ecosystems=PYPI), place, clock=lambda: NOW + 10)
    standing = look(place, NOW + 20)
    assert [p.kind for p in standing.problems] == (
        [Trouble.PARTIAL] if error is CutShortError else []
    )
    assert judge([pypi("left", "1")], place, now=NOW + 20).findings


def test_a_slow_mirror_is_given_up(mirror: Mirror, place, monkeypatch) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.02)
        except OSError:
            return

    mirror.answers["/PyPI/all.zip"] = drip
    monkeypatch.setattr(limits, "DOWNLOAD_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(CutShortError, match="too slowly"):
        import_advisories(Wanted(source=mirror.url, ecosystems=PYPI), place)
    assert time.monotonic() - began < 30


def test_a_mirror_that_never_ends_is_given_up(mirror: Mirror, place, monkeypatch) -> None:
    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(b"\0" * 65536)
        except OSError:
            return

    mirror.answers["/PyPI/all.zip"] = flood
    monkeypatch.setattr(limits, "MAX_ARCHIVE_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="sends more than"):
        import_advisories(Wanted(source=mirror.url, ecosystems=PYPI), place)


def test_a_mirror_that_says_nothing_is_given_up(mirror: Mirror, place, monkeypatch) -> None:
    mirror.answers["/PyPI/all.zip"] = lambda _: time.sleep(1)
    monkeypatch.setattr(limits, "READ_SECONDS", 0.2)
    with pytest.raises(SourceError):
        import_advisories(Wanted(source=mirror.url, ecosystems=PYPI), place)


@pytest.mark.parametrize(
    "source",
    [
        "http://mirror.example.com/osv",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "https://user:password@example.com/",
        "http:///x",
        "http://[::1",
    ],
)
def test_addresses_that_are_not_taken(place, source: str) -> None:
    with pytest.raises(SourceError) as caught:
        import_advisories(Wanted(source=source), place)
    assert "cannot be reached" not in caught.value.message


def test_a_mirror_that_is_not_there(place) -> None:
    with pytest.raises(SourceError, match="cannot be reached"):
        import_advisories(Wanted(source="http://127.0.0.1:1/x.zip"), place)
