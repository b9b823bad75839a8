"""TLS as an operator and a client meet it: `casemate serve` outside loopback, `casemate login`."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from support import forked_cli
from support.node import TestNode, default_risks
from support.raw_http import request


class Outside:
    """A node that listens on all addresses, and a user's home."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.data = folder / "data"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "casemate.cli.main", "serve", "--json", "--port", "0"),
                *("--host", "0.0.0.0", "--data", str(self.data)),
                *("--master-key", f"file:{folder}/data.key", *default_risks(), *arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr").open("a"),
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (folder / "stderr").read_text()
        self.ready = json.loads(line)
        self.key = self.ready["key"]
        self.port = int(self.ready["url"].rsplit(":", 1)[1])
        self.url = f"https://127.0.0.1:{self.port}"
        self.fingerprint = self.ready["ca_fingerprint"]

    def run(self, *arguments: str, stdin: str = "", **environ: str):
        clean = {n: v for n, v in os.environ.items() if not n.startswith("CASEMATE_")}
        return forked_cli.run(
            arguments,
            stdin=stdin,
            timeout=60,
            env={**clean, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home), **environ},
            cwd=self.home,
        )

    @property
    def stored(self) -> list[Path]:
        return list(self.home.rglob("credentials.json"))

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(45)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    node = Outside(tmp_path_factory.mktemp("outside"), "--tls-name", "node.example.org")
    yield node
    node.close()


@pytest.fixture(autouse=True)
def logged_out(request: pytest.FixtureRequest) -> None:
    if "outside" in request.fixturenames:
        for path in request.getfixturevalue("outside").stored:
            path.unlink()


def test_outside_loopback_the_address_is_https_and_nothing_else(outside: Outside) -> None:
    assert outside.ready["url"].startswith("https://")
    assert len(outside.fingerprint) == 64
    with socket.create_connection(("127.0.0.1", outside.port), 5) as plain:
        plain.sendall(request("/api/v1/node", method="GET", key=outside.key, headers=()))
        assert not plain.recv(4096).startswith(b"HTTP/1.1 200")


def test_without_the_fingerprint_nobody_trusts_the_node(outside: Outside) -> None:
    done = outside.run("login", outside.url, stdin=outside.key)
    assert done.returncode == 5, done.stderr
    assert "--ca-fingerprint" in done.stderr
    assert outside.stored == []
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{outside.url}/api/v1/health")


def test_login_with_the_fingerprint_pins_the_authority(outside: Outside) -> None:
    done = outside.run(
        "login", outside.url, "--ca-fingerprint", outside.fingerprint, stdin=outside.key
    )
    assert done.returncode == 0, done.stderr
    assert outside.key not in done.stdout + done.stderr
    (stored,) = outside.stored
    assert stored.stat().st_mode & 0o777 == 0o600
    assert outside.run("whoami").returncode == 0
    assert outside.run("ls").returncode == 0
    shown = json.loads(outside.run("tls", "show", "--json").stdout)
    assert shown["authority_fingerprint"] == outside.fingerprint
    assert shown["protocol"] == "TLSv1.3"
    assert "node.example.org" in shown["names"]


def test_a_wrong_fingerprint_is_refused_before_anything_is_sent(outside: Outside) -> None:
    wrong = ("0" if outside.fingerprint[0] != "0" else "1") + outside.fingerprint[1:]
    done = outside.run("login", outside.url, "--ca-fingerprint", wrong, stdin=outside.key)
    assert done.returncode == 1
    assert "another fingerprint" in done.stderr
    assert outside.stored == []
    bad = outside.run("login", outside.url, "--ca-fingerprint", "abc", stdin=outside.key)
    assert bad.returncode == 2
    assert outside.stored == []


def test_the_private_keys_are_nowhere_in_clear(outside: Outside) -> None:
    for path in outside.data.rglob("*"):
        if path.is_file():
            assert b"PRIVATE KEY" not in path.read_bytes(), path


@pytest.mark.storm
def test_the_authority_stays_over_a_restart_until_a_new_one_is_asked_for(tmp_path: Path) -> None:
    def fingerprint(*arguments: str) -> str:
        folder = tmp_path / "again"
        folder.mkdir(exist_ok=True)
        if (folder / "home").exists():
            (folder / "home").rmdir()
        node = Outside(folder, *arguments)
        try:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            path = f"{node.url}/.well-known/casemate-ca.pem"
            pem = httpx2.get(path, verify=context).text
            trusting = ssl.create_default_context(cadata=pem)
            answer = httpx2.get(f"{node.url}/api/v1/health", verify=trusting)
            assert answer.status_code == 200
            return str(node.fingerprint)
        finally:
            node.close()

    first = fingerprint()
    assert fingerprint() == first
    assert fingerprint("--tls-new-authority") != first


def test_plaintext_outside_is_a_risk_that_is_accepted_by_name(tmp_path: Path) -> None:
    node = Outside(tmp_path, "--accept-risk", "plaintext")
    try:
        assert node.ready["url"].startswith("http://")
        assert node.fingerprint is None
        url = f"http://127.0.0.1:{node.port}"
        headers = {"authorization": f"Bearer {node.key}"}
        assert httpx2.get(f"{url}/api/v1/node", headers=headers).status_code == 200
        said = (tmp_path / "stderr").read_text()
        assert "risk accepted by the operator: plaintext" in said
        done = node.run("login", url, "--ca-fingerprint", "0" * 64, stdin=node.key)
        assert done.returncode == 2
        assert "not encrypted" in done.stderr
    finally:
        node.close()


def test_a_token_is_not_sent_to_another_machine_without_encryption(tmp_path: Path) -> None:
    key = "cm_0123456789abcdef_" + "A" * 49
    environ = {n: v for n, v in os.environ.items() if not n.startswith("CASEMATE_")}
    done = subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "login", "http://192.0.2.1:8787"],
        input=key, capture_output=True, text=True, timeout=30, check=False,
        env={**environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 4
    assert "not encrypted" in done.stderr
    assert key not in done.stderr


def test_loopback_needs_no_certificate(node: TestNode) -> None:
    assert node.url.startswith("http://127.0.0.1:")


def test_a_first_start_that_fails_leaves_the_owners_token_to_the_next(tmp_path: Path) -> None:
    arguments = ("--tls-cert", "/nothing.pem", "--tls-key", "/nothing.pem")
    node = TestNode(tmp_path / "data", *arguments)
    with pytest.raises(RuntimeError, match=r"nothing\.pem"):
        node.start()
    assert node.process is not None and node.process.stdout is not None
    assert node.process.wait(30) == 1
    node.process.stdout.close()
    node.process, node.arguments = None, ()
    node.start()
    try:
        assert node.key.startswith("cm_"), "made by the start that could show it"
        assert node.get("/whoami")["roles"] == ["owner"]
    finally:
        node.close()
