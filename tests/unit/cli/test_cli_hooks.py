"""`casemate hooks`, and the script that it prints: run by git after real pushes."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.certificates.issuing import Names, issue, new_authority
from casemate.model.function import FunctionSpec
from casemate.model.http import HttpHead
from casemate.model.trigger import RepositoryTrigger, S3Trigger
from casemate.triggers.hooks.git import Git
from casemate.triggers.hooks.interface import Signed
from casemate.vault.verifying import is_signed
from support.facts import ADA

SPEC = FunctionSpec(
    name="tell",
    handler="a:h",
    python="3.12",
    triggers=(
        RepositoryTrigger(name="code", provider="git", secret="hook-key"),
        RepositoryTrigger(name="hub", provider="github", secret="hub-key", events=("push",)),
        S3Trigger(name="files", secret="files-key"),
    ),
)
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


@pytest.fixture
def told(node):
    """A node on which shop/tell is live."""
    node.control.bundles["a" * 64] = b""
    node.control.specs["a" * 64] = SPEC
    asyncio.run(node.control.deploy("shop", "tell", "a" * 64, approve=False, by=ADA))
    return node


def test_what_to_enter_at_the_sender(cli, told) -> None:
    rows = [line.split() for line in cli("hooks", "ls", "shop/tell").out.splitlines()[1:]]
    assert ["code", "git", f"{told.url}/hooks/shop/tell/code", "shop/hook-key", "all"] in rows
    assert ["hub", "github", f"{told.url}/hooks/shop/tell/hub", "shop/hub-key", "push"] in rows
    shown = json.loads(
        cli("hooks", "ls", "shop/tell", "--json", "--url", "https://node.example.org").out
    )
    assert {
        "name": "files",
        "provider": "s3",
        "url": "https://node.example.org/hooks/shop/tell/files",
        "secret": "shop/files-key",
        "events": [],
    } in shown


def test_which_trigger_is_meant(cli, told) -> None:
    assert f"url={told.url}/hooks/shop/tell/code" in cli("hooks", "git", "shop/tell").out
    wrong = cli("hooks", "git", "shop/tell", "--trigger", "hub")
    assert wrong.code == 1
    assert 'provider = "git": code' in wrong.err
    assert cli("hooks", "git", "shop/none").code == 3


def test_values_of_a_script_are_quoted(cli, told) -> None:
    evil = "$(touch /tmp/x)'; rm -rf /; `id`"
    script = cli("hooks", "git", "shop/tell", "--repository", evil).out
    line = next(line for line in script.splitlines() if line.startswith("repository="))
    done = subprocess.run(
        ["sh", "-c", f'{line}\nprintf %s "$repository"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == evil


def test_a_value_that_holds_the_mark_of_another_stays_whole(cli, node) -> None:
    """A node may say of a trigger what no manifest may."""
    trigger = RepositoryTrigger(name="@REPOSITORY@", provider="git", secret="hook-key")
    node.control.bundles["a" * 64] = b""
    node.control.specs["a" * 64] = msgspec.structs.replace(SPEC, triggers=(trigger,))
    asyncio.run(node.control.deploy("shop", "tell", "a" * 64, approve=False, by=ADA))
    evil = "x; touch /tmp/x"
    script = cli("hooks", "git", "shop/tell", "--repository", evil).out
    lines = "\n".join(
        line for line in script.splitlines() if line.startswith(("url=", "repository="))
    )
    done = subprocess.run(
        ["sh", "-c", f'{lines}\nprintf "%s %s" "$url" "$repository"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{node.url}/hooks/shop/tell/@REPOSITORY@ {evil}"


@dataclass
class Listener:
    """The node's side of a hook: keeps what came, answers with `status`."""

    url: str = ""
    status: int = 202
    requests: list[tuple[HttpHead, bytes]] = field(default_factory=list)
    server: Any = None

    def payloads(self, key: bytes) -> list[dict[str, str]]:
        """Return what came, once its signatures are found right."""
        found = []
        for head, body in self.requests:
            proof = Git().proof(head, body, time.time())
            assert isinstance(proof, Signed)
            (signature,) = proof.signatures
            assert is_signed(key, proof.algorithm, proof.message, signature)
            Git().notices(head, body)
            found.append(json.loads(body))
        return found


@pytest.fixture
def listener() -> Iterator[Listener]:
    kept = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            pairs = tuple((n.lower().encode(), v.encode()) for n, v in self.headers.items())
            kept.requests.append((HttpHead("POST", self.path, "", pairs, "127.0.0.1"), body))
            self.send_response(kept.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url, kept.server = f"http://127.0.0.1:{server.server_port}", server
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


KEY = b"seven and some more characters"


class Repository:
    """A bare repository with the hook, and a clone that pushes to it."""

    def __init__(self, folder: Path, script: str, shell: str, key: bytes = KEY) -> None:
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "REMOTE_USER": 'a"d\\a'}
        self.environ |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Ada"}
        self.environ |= {"GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada"}
        self.environ |= {"GIT_COMMITTER_EMAIL": "ada@example.org"}
        self.bare, self.clone = folder / "bare.git", folder / "clone"
        self.git("init", "--quiet", "--bare", str(self.bare), at=folder)
        self.git("init", "--quiet", "--initial-branch=main", str(self.clone), at=folder)
        self.git("remote", "add", "origin", str(self.bare))
        self.git("commit", "--quiet", "--allow-empty", "--message", "Begin")
        program = shutil.which(shell)
        first = f"#!{program} sh" if shell == "busybox" else f"#!{program}"
        self.hook = self.bare / "hooks/post-receive"
        self.hook.write_text(script.replace("#!/bin/sh", first, 1))
        self.hook.chmod(0o755)
        self.key = self.bare / "hooks/casemate.key"
        self.key.write_bytes(key + b"\n")
        self.key.chmod(0o600)

    def git(self, *arguments: str, at: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=at or self.clone,
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )

    def commit(self) -> str:
        return self.git("rev-parse", "HEAD").stdout.strip()


def script_of(cli, told, listener: Listener, *more: str) -> str:
    return cli("hooks", "git", "shop/tell", "--url", listener.url, *more).out


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "key",
    [
        KEY,
        b"x" * 64,
        b"y" * 65 + b"longer than a block",
        "ümläut €uro % \\ ' \" $x `y`".encode(),
        b"whsec_" + base64.b64encode(bytes(range(24))),
        b"whsec_" + base64.b64encode(bytes([0, 255] * 40)),
    ],
    ids=["short", "block", "long", "odd", "whsec", "whsec-long"],
)
def test_each_ref_of_a_push_is_told_and_signed(cli, told, listener, tmp_path, shell, key) -> None:
    repository = Repository(tmp_path, script_of(cli, told, listener), shell, key)
    repository.git("branch", 'quo"ted')
    repository.git("push", "--quiet", "origin", "main", 'quo"ted')
    first, second = sorted(listener.payloads(key), key=lambda payload: payload["ref"])
    assert first == {
        "event": "push",
        "repository": str(repository.bare),
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": repository.commit(),
        "sender": 'a"d\\a',
    }
    assert second["ref"] == 'refs/heads/quo"ted'
    ids = {head.header(b"webhook-id") for head, _ in listener.requests}
    assert len(ids) == 2
    assert listener.requests[0][0].path == "/hooks/shop/tell/code"


def test_a_ping_tells_whether_it_works(cli, told, listener, tmp_path) -> None:
    repository = Repository(tmp_path, script_of(cli, told, listener), "dash")

    def ping() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(repository.hook), "ping"],
            env=repository.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert "has answered" in ping().stdout
    assert listener.payloads(KEY) == [{"event": "ping"}]
    listener.status = 401
    refused = ping()
    assert refused.returncode == 1
    assert "did not answer the ping" in refused.stderr
    repository.key.chmod(0o644)
    assert "chmod 600" in ping().stderr
    repository.key.write_bytes(b"\n")
    repository.key.chmod(0o600)
    assert "is empty" in ping().stderr
    repository.key.unlink()
    assert "no readable file" in ping().stderr


def test_a_push_succeeds_when_nobody_listens_and_its_author_is_told(
    cli, told, listener, tmp_path
) -> None:
    listener.status = 401
    repository = Repository(
        tmp_path, script_of(cli, told, listener, "--repository", "shop"), "dash"
    )
    done = repository.git("push", "origin", "main")
    assert "was not told of refs/heads/main" in done.stderr
    assert listener.payloads(KEY)[0]["repository"] == "shop"


def test_the_secret_is_no_argument_of_a_program(cli, told, listener, tmp_path) -> None:
    """Others on the server see arguments: every program is watched by one that writes them down."""
    repository = Repository(tmp_path, script_of(cli, told, listener), "dash")
    shims, seen = tmp_path / "shims", tmp_path / "seen"
    shims.mkdir()
    for program in ("openssl", "curl", "od", "tr", "sed", "cat", "wc", "find", "dirname", "id"):
        shim = shims / program
        shim.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$*" >>{seen}\nexec {shutil.which(program)} "$@"\n'
        )
        shim.chmod(0o755)
    repository.environ["PATH"] = f"{shims}:{repository.environ['PATH']}"
    repository.git("push", "--quiet", "origin", "main")
    assert listener.payloads(KEY)
    arguments = seen.read_bytes()
    assert b"webhook-signature" in arguments
    for form in (KEY, KEY.hex().encode(), base64.b64encode(KEY)):
        assert form[:8] not in arguments
    for pad in (0x36, 0x5C):
        made = "".join(f"\\{byte ^ pad:03o}" for byte in KEY[:4])
        assert made.encode() not in arguments


def test_the_nodes_own_authority_goes_with_the_script(
    cli, told, listener, tmp_path, monkeypatch
) -> None:
    """A node that is its own authority is trusted by that alone, and by nobody else's."""
    now = datetime.now(UTC)
    names = Names.of(["127.0.0.1"])
    ours, other = new_authority(names, now), new_authority(names, now)
    served = issue(ours, names, now)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(served.certificate)
    key.write_bytes(served.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    listener.server.socket = context.wrap_socket(listener.server.socket, server_side=True)
    for authority, trusted in ((ours, True), (other, False)):
        ca = tmp_path / "ca.pem"
        ca.write_bytes(authority.certificate)
        monkeypatch.setenv("CASEMATE_CA", str(ca))
        script = cli("hooks", "git", "shop/tell").out
        assert "BEGIN CERTIFICATE" in script
        script = script.replace(told.url, listener.url.replace("http:", "https:"))
        folder = tmp_path / str(trusted)
        folder.mkdir()
        repository = Repository(folder, script, "dash")
        done = repository.git("push", "origin", "main")
        assert ("was not told" in done.stderr) is not trusted, done.stderr
    assert len(listener.payloads(KEY)) == 1
    monkeypatch.delenv("CASEMATE_CA")
    assert "BEGIN CERTIFICATE" not in cli("hooks", "git", "shop/tell").out
