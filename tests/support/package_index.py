"""A package index on loopback, and wheels for it, good and poisoned. A real HTTP server."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from support.sigstore_keys import Made, github, own_sigstore, statement

JSON = "application/vnd.pypi.simple.v1+json"
OLD = "2026-01-01T00:00:00Z"


def record_hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def wheel_bytes(
    name: str,
    files: Mapping[str, str | bytes],
    *,
    version: str = "1.0",
    requires: Sequence[str] = (),
    record: str | None = None,
    change: Callable[[zipfile.ZipFile], None] | None = None,
) -> bytes:
    """Return a sound wheel; `record` replaces its RECORD, `change` adds to the archive."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    content = {
        **{path: one.encode() if isinstance(one, str) else one for path, one in files.items()},
        f"{info}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode()
        ),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},{record_hash(data)},{len(data)}" for path, data in content.items()]
    told = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n" if record is None else record
    content[f"{info}/RECORD"] = told.encode()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path), data, zipfile.ZIP_DEFLATED)
        if change is not None:
            change(archive)
    return written.getvalue()


@dataclass
class File:
    """One file of a project as the index tells of it."""

    name: str
    data: bytes
    uploaded: str | None = OLD
    yanked: bool | str = False
    provenance: bytes | None = None
    sha256: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        self.sha256 = self.sha256 or hashlib.sha256(self.data).hexdigest()


@dataclass
class FakeIndex:
    """What the server has. `answer` may replace any answer; `login` asks for user and password."""

    url: str = ""
    projects: dict[str, list[File]] = field(default_factory=dict)
    as_html: bool = False
    login: str = ""
    bearer: str = ""
    answer: Callable[[BaseHTTPRequestHandler], bool] | None = None
    asked: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    def add(
        self,
        name: str,
        files: Mapping[str, str | bytes] | None = None,
        *,
        version: str = "1.0",
        uploaded: str | None = OLD,
        yanked: bool | str = False,
        requires: Sequence[str] = (),
        publisher: str | None = None,
        data: bytes | None = None,
    ) -> File:
        """Publish a wheel; `publisher` is OWNER/REPOSITORY of a GitHub workflow."""
        module = name.replace("-", "_")
        if data is None:
            data = wheel_bytes(
                module, files or {f"{module}.py": ""}, version=version, requires=requires
            )
        filename = f"{module}-{version}-py3-none-any.whl"
        made = File(filename, data, uploaded, yanked)
        if publisher is not None:
            made.provenance = provenance(filename, made.sha256, publisher)
        self.projects.setdefault(name, []).append(made)
        return made

    def listing(self, project: str) -> tuple[str, bytes] | None:
        files = self.projects.get(project)
        if files is None:
            return None
        if self.as_html:
            links = "".join(
                f'<a href="{html.escape(self.place(each))}#sha256={each.sha256}">{each.name}</a>\n'
                for each in files
            )
            page = f"<!DOCTYPE html><html><head><title>Links for {project}</title></head>{links}"
            return "text/html; charset=utf-8", page.encode()
        told = {
            "meta": {"api-version": "1.3"},
            "name": project,
            "files": [self.told(each) for each in files],
        }
        return JSON, json.dumps(told).encode()

    def told(self, each: File) -> dict[str, object]:
        told: dict[str, object] = {
            "filename": each.name,
            "url": self.place(each),
            "hashes": {"sha256": each.sha256},
            "yanked": each.yanked,
        }
        if each.uploaded is not None:
            told["upload-time"] = each.uploaded
        if each.provenance is not None:
            told["provenance"] = f"{self.url}/provenance/{each.name}"
        return told

    def place(self, each: File) -> str:
        return each.url or f"../../files/{each.name}"

    def found(self, name: str) -> File | None:
        return next(
            (each for files in self.projects.values() for each in files if each.name == name), None
        )


def provenance(
    filename: str,
    sha256: str,
    repository: str,
    *,
    said: str | None = None,
    made: Callable[[Made], None] = lambda one: None,
) -> bytes:
    """Return what PyPI says of a file that a GitHub workflow published (PEP 740).

    `said` is the repository that the index names, if another; `made` changes the attestation.
    """
    one = own_sigstore().made(statement(filename, sha256), github(repository))
    made(one)
    return told_provenance(one.attestation(), said or repository)


def told_provenance(attestation: Mapping[str, object], repository: str) -> bytes:
    publisher = {"kind": "GitHub", "repository": repository, "workflow": "publish.yml"}
    bundle = {"publisher": publisher, "attestations": [attestation]}
    return json.dumps({"version": 1, "attestation_bundles": [bundle]}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    index: FakeIndex

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        index = self.index
        index.asked.append(self.path)
        index.authorizations.append(self.headers.get("Authorization"))
        if index.login:
            wanted = "Basic " + base64.b64encode(index.login.encode()).decode()
            if self.headers.get("Authorization") != wanted:
                self.reply(401, "text/plain", b"")
                return
        if index.bearer and self.headers.get("Authorization") != f"Bearer {index.bearer}":
            self.reply(401, "text/plain", b"")
            return
        if index.answer is not None and index.answer(self):
            return
        parts = [unquote(part) for part in self.path.split("/") if part]
        match parts:
            case ["simple", project]:
                told = index.listing(project)
                self.reply(200, *told) if told else self.reply(404, "text/plain", b"")
            case [kind, name] if (file := index.found(name)) is not None:
                data = file.data if kind == "files" else file.provenance
                self.reply(
                    200 if data is not None else 404, "application/octet-stream", data or b""
                )
            case _:
                self.reply(404, "text/plain", b"")

    def reply(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def fake_index() -> Iterator[FakeIndex]:
    """Serve an index, at `url` + /simple."""
    index = FakeIndex()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"index": index}))
    index.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def endless(handler: BaseHTTPRequestHandler, *, seconds: float = 20.0, pause: float = 0.0) -> bool:
    """Answer without an end, as fast as it is read or with a `pause` after each 64 KiB."""
    handler.send_response(200)
    handler.send_header("Content-Type", JSON)
    handler.end_headers()
    handler.close_connection = True
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            handler.wfile.write(b" " * 65536)
            time.sleep(pause)
    except OSError:
        pass
    return True


def write_wheel(folder: Path, name: str, data: bytes, *, version: str = "1.0") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    path.write_bytes(data)
    return path
