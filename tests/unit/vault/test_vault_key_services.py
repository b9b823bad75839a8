"""Master keys that a key service wraps, against one server that plays both kinds."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from casemate.blobs.signature import signed_headers
from casemate.vault import key_services
from casemate.vault.errors import MasterKeySourceError
from casemate.vault.sources import KeySource, parse_source

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
TOKEN = "hvs.secret-token"
SECRET = "wJalrXUtnFEMI/K7MDENG"


class Services(ThreadingHTTPServer):
    """Wraps by remembering. What it does wrong is told by `fault`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault = ""
        self.known: dict[str, tuple[str, str]] = {}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def wrapped(self, key: str, plain: str) -> str:
        name = f"vault:v1:{base64.b64encode(os.urandom(24)).decode()}"
        self.known[name] = (key, plain)
        return name

    def unwrapped(self, key: str, name: str) -> str | None:
        known = self.known.get(name)
        return known[1] if known is not None and known[0] == key else None


class Handler(BaseHTTPRequestHandler):
    server: Services

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append(self.path)
        if self.server.fault == "silent":
            time.sleep(1)
            return
        if self.server.fault == "redirect":
            self.send_response(307)
            self.send_header("location", "http://192.0.2.1/")
            self.end_headers()
            return
        target = self.headers.get("x-amz-target")
        status, content = self.kms(target, body) if target else self.transit(json.loads(body))
        answer = b"not json" if self.server.fault == "text" else json.dumps(content).encode()
        if self.server.fault == "huge":
            answer = b"[" * 200_000
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def transit(self, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.headers["x-vault-token"] != TOKEN:
            return 403, {"errors": [f"permission denied to {self.headers['x-vault-token']}"]}
        mount, verb, key = self.path.removeprefix("/v1/").split("/")
        assert mount == "transit"
        if verb == "encrypt":
            return 200, {"data": {"ciphertext": self.server.wrapped(key, asked["plaintext"])}}
        plain = self.server.unwrapped(key, asked["ciphertext"])
        if plain is None:
            return 400, {"errors": ["cipher: message authentication failed"]}
        if self.server.fault == "other plaintext":
            plain = base64.b64encode(bytes(32)).decode()
        if self.server.fault == "other form":
            return 200, {"data": plain}
        return 200, {"data": {"plaintext": plain}}

    def kms(self, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        names = re.search("SignedHeaders=([^,]+)", self.headers["authorization"])
        assert names is not None
        headers = {
            name: self.headers[name]
            for name in names[1].split(";")
            if name not in ("x-amz-content-sha256", "x-amz-date")
        }
        stamp = time.strptime(self.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        signed = signed_headers(
            *("POST", "/", "", headers, hashlib.sha256(body).hexdigest()),
            access_key="AKIAEXAMPLE",
            secret=SECRET,
            region="eu-central-1",
            at=time.mktime(stamp) - time.timezone,
            service="kms",
        )
        if signed["authorization"] != self.headers["authorization"]:
            return 400, {"__type": "InvalidSignatureException", "message": SECRET}
        asked = json.loads(body)
        key = ARN + "0" if self.server.fault == "other key" else asked["KeyId"]
        bound = json.dumps(asked["EncryptionContext"]) + asked["KeyId"]
        if target == "TrentService.Encrypt":
            blob = self.server.wrapped(bound, asked["Plaintext"]).encode()
            return 200, {"CiphertextBlob": base64.b64encode(blob).decode(), "KeyId": key}
        blob = base64.b64decode(asked["CiphertextBlob"])
        plain = self.server.unwrapped(bound, blob.decode())
        if plain is None:
            return 400, {"__type": "com.amazonaws#IncorrectKeyException"}
        return 200, {"Plaintext": plain, "KeyId": key}

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def services() -> Iterator[Services]:
    server = Services()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def file(path: Path, **settings: str) -> Path:
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    path.chmod(0o600)
    return path


@pytest.fixture(params=["transit", "kms"])
def source(request: pytest.FixtureRequest, services: Services, tmp_path: Path) -> KeySource:
    return made(request.param, services, tmp_path)


def made(kind: str, services: Services, folder: Path, **other: str) -> KeySource:
    settings = {"url": services.url, "key": "casemate", "token": TOKEN}
    if kind == "kms":
        settings = {
            **{"url": services.url, "key": ARN, "region": "eu-central-1"},
            **{"access_key": "AKIAEXAMPLE", "secret_key": SECRET},
        }
    return KeySource(parse_source(f"{kind}:{file(folder / kind, **{**settings, **other})}"))


def test_a_key_is_wrapped_and_unwrapped_and_never_kept(source: KeySource) -> None:
    key, parameters = source.create()
    assert len(key) == 32 and key not in parameters.wrapped and parameters.wrapped
    assert source.read(parameters) == key
    assert source.create()[0] != key


@pytest.mark.parametrize("kind", ["transit", "kms"])
def test_what_another_key_wrapped_is_refused_by_name(
    services: Services, tmp_path: Path, kind: str
) -> None:
    _, parameters = made(kind, services, tmp_path).create()
    other = ARN.replace("1234", "4321") if kind == "kms" else "payroll"
    with pytest.raises(MasterKeySourceError, match=f"does not unwrap with the key {other}: 400"):
        made(kind, services, tmp_path, key=other).read(parameters)


@pytest.mark.parametrize(
    ("kind", "fault", "told"),
    [
        ("kms", "other key", "has used another key than arn:"),
        ("transit", "other plaintext", "not a master key of a vault"),
        ("transit", "text", "is not what a key service answers"),
        ("kms", "text", "has used another key"),
        ("transit", "other form", "is not what a key service answers"),
        ("transit", "huge", "is not what a key service answers"),
        ("transit", "redirect", "does not unwrap with the key casemate: 307"),
        ("kms", "silent", "does not answer"),
    ],
)
def test_an_answer_that_cannot_be_right_is_refused(
    services: Services,
    tmp_path: Path,
    kind: str,
    fault: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = made(kind, services, tmp_path)
    _, parameters = source.create()
    services.fault = fault
    monkeypatch.setattr(key_services, "SECONDS", 0.3)
    with pytest.raises(MasterKeySourceError, match=told):
        source.read(parameters)


@pytest.mark.parametrize(("kind", "wrong"), [("transit", "token"), ("kms", "secret_key")])
def test_who_may_not_is_told_and_nothing_secret_is_shown(
    services: Services, tmp_path: Path, kind: str, wrong: str
) -> None:
    source = made(kind, services, tmp_path, **{wrong: "leaked-credential"})
    with pytest.raises(MasterKeySourceError, match="does not wrap with the key") as error:
        source.create()
    assert "leaked-credential" not in str(error.value) and SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "http://vault.example:8200"}, "without TLS"),
        ({"url": "https://127.0.0.1/x"}, "URL of the key service is not valid"),
        ({"url": "ftp://127.0.0.1"}, "URL of the key service is not valid"),
        ({"key": "../sys/seal"}, "about 'key'"),
        ({"mount": "a b"}, "about 'mount'"),
        ({"token": "a\nx-evil: 1"}, "about 'token'"),
        ({"tokens": "x"}, "does not say what it must"),
        ({"ca": "/nowhere.pem", "url": "https://127.0.0.1:1"}, "authorities in /nowhere.pem"),
    ],
)
def test_settings_that_are_not_safe_are_refused_before_anything_is_sent(
    services: Services, tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    with pytest.raises(MasterKeySourceError, match=told) as error:
        made("transit", services, tmp_path, **settings).create()
    assert services.asked == [] and TOKEN not in str(error.value)


def test_a_file_that_others_can_read_or_that_is_in_the_data_is_refused(
    services: Services, tmp_path: Path
) -> None:
    source = made("transit", services, tmp_path)
    inside = KeySource(source.source, forbidden=tmp_path)
    with pytest.raises(MasterKeySourceError, match="inside the data folder"):
        inside.create()
    (tmp_path / "transit").chmod(0o644)
    with pytest.raises(MasterKeySourceError, match="nobody else can read"):
        source.create()
    (tmp_path / "transit").write_text(f'token = "{TOKEN}')
    (tmp_path / "transit").chmod(0o600)
    with pytest.raises(MasterKeySourceError, match="no TOML") as error:
        source.create()
    assert TOKEN not in str(error.value)
    assert services.asked == []


def test_a_service_that_is_away_or_not_proved_is_told(services: Services, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(MasterKeySourceError, match="does not answer: Connection refused"):
            made("transit", services, tmp_path, url=url).create()
    secure = services.url.replace("http:", "https:")
    with pytest.raises(MasterKeySourceError, match="does not answer"):
        made("transit", services, tmp_path, url=secure).create()
