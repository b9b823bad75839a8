"""Pipelines on the command line: trusted by an owner, signed in by what their CI system gives."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer

from casemate.cli.commands import login, workloads
from casemate.cli.errors import CommandError, DeniedError, UsageError
from casemate.cli.workload_login import GITHUB_TOKEN, GITHUB_URL, MAX_ANSWER_BYTES, TOKEN, id_token
from support.accounts import World
from support.accounts_node import Asking, use_in_cli
from support.oidc.published import Published

URL = "http://127.0.0.1:8787"


class Actions:
    """What gives a job of GitHub its ID tokens."""

    def __init__(self) -> None:
        self.answer: bytes = b""
        self.status = 200
        self.asked: list[tuple[str, str]] = []
        actions = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                actions.asked.append((self.path, self.headers.get("authorization", "")))
                self.send_response(actions.status)
                self.send_header("content-length", str(len(actions.answer)))
                self.send_header("location", "http://192.0.2.1/")
                self.end_headers()
                self.wfile.write(actions.answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.environment = {
            GITHUB_URL: f"http://127.0.0.1:{self.server.server_port}/token?api=1",
            GITHUB_TOKEN: "runner-secret",
        }


@pytest.fixture
def actions() -> Iterator[Actions]:
    made = Actions()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def issuer() -> Iterator[Published]:
    made = Published()
    yield made
    made.close()


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asking:
    world = World()
    world.clock.now = time.time()
    world.start()
    asking = Asking(world)
    use_in_cli(monkeypatch, asking.transport)
    for name in ("CASEMATE_CA", "CASEMATE_ALLOW_HTTP", TOKEN, GITHUB_URL, GITHUB_TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("CASEMATE_URL", URL)
    monkeypatch.setenv("CASEMATE_KEY", world.owner_text)
    return asking


@pytest.fixture
def run(node: Asking, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def call(app: typer.Typer, *arguments: str) -> str:
        capsys.readouterr()
        typer.main.get_command(app).main(list(arguments), prog_name="x", standalone_mode=False)
        told = capsys.readouterr()
        return told.out + told.err

    return call


def trust(run: Callable[..., str], issuer: Published, *more: str) -> str:
    given = ("--issuer", issuer.issuer, "--audience", URL, "--role", "developer@shop")
    return run(workloads.app, "add", "shop", *given, "--claim", "repository=example/shop", *more)


def claims(**changes: Any) -> dict[str, Any]:
    now = time.time()
    return {"aud": URL, "iat": now, "exp": now + 300, "repository": "example/shop", **changes}


def test_a_job_of_github_signs_in(
    run: Callable[..., str],
    node: Asking,
    issuer: Published,
    actions: Actions,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert "Every branch" in trust(run, issuer)
    listed = run(workloads.app, "ls")
    assert all(word in listed for word in ("shop", issuer.issuer, URL, "repository=example/shop"))
    actions.answer = json.dumps({"value": issuer.token(**claims())}).encode()
    for name, value in actions.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CASEMATE_KEY")
    told = run(login.app, URL, "--workload", "shop")
    assert "developer@shop" in told
    [(path, bearer)] = actions.asked
    assert path == "/token?api=1&audience=http%3A%2F%2F127.0.0.1%3A8787"
    assert bearer == "bearer runner-secret"
    stored = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "cm_" in stored and "runner-secret" not in stored
    with pytest.raises(DeniedError, match="used before"):
        run(login.app, URL, "--workload", "shop")
    monkeypatch.setenv("CASEMATE_KEY", node.world.owner_text)
    assert "sessions ended: 1" in run(workloads.app, "rm", "shop", "--yes")
    assert "No workload" in run(workloads.app, "ls")


def test_a_job_of_gitlab_signs_in(
    run: Callable[..., str], issuer: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Every branch" not in trust(run, issuer, "--claim", "ref=main")
    monkeypatch.setenv(TOKEN, issuer.token(**claims(ref="main", aud="https://elsewhere")))
    with pytest.raises(DeniedError, match="audience"):
        run(login.app, URL, "--workload", "shop")
    monkeypatch.setenv(TOKEN, issuer.token(**claims(ref="dev")))
    with pytest.raises(DeniedError, match="'ref'"):
        run(login.app, URL, "--workload", "shop")
    monkeypatch.setenv(TOKEN, f" {issuer.token(**claims(ref='main'))}\n")
    assert "developer@shop" in run(login.app, URL, "--workload", "shop")


@pytest.mark.parametrize(
    "options",
    [
        ("--workload", "shop", "--oidc"),
        ("--workload", "shop", "--user", "ada"),
        ("--workload", "shop", "--token"),
        ("--audience", "x"),
    ],
)
def test_options_that_do_not_go_together(run: Callable[..., str], options: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        run(login.app, URL, *options)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"", 200),
        (b"{}", 200),
        (b'{"value": 1}', 200),
        (b"\xff", 200),
        (b"[" * 50_000, 200),
        (b'{"value": "' + b"x" * MAX_ANSWER_BYTES + b'"}', 200),
        (b'{"value": "x"}', 403),
        (b'{"value": "x"}', 302),
    ],
)
def test_answers_that_are_none(actions: Actions, answer: bytes, status: int) -> None:
    actions.answer, actions.status = answer, status
    with pytest.raises(CommandError) as caught:
        id_token(actions.environment, URL)
    assert "id-token: write" in (caught.value.next_step or "")
    assert "runner-secret" not in str(caught.value)


def test_the_secret_of_the_runner_goes_out_over_https_alone() -> None:
    for url in ("http://192.0.2.1/token", "ftp://127.0.0.1/", "javascript:1", "https://["):
        with pytest.raises(DeniedError, match="not https"):
            id_token({GITHUB_URL: url, GITHUB_TOKEN: "s"}, URL)


@pytest.mark.parametrize("environment", [{}, {GITHUB_URL: "https://x"}, {GITHUB_TOKEN: "s"}])
def test_a_job_without_an_id_token_is_told_how_to_have_one(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        id_token(environment, URL)
    assert "id-token: write" in (caught.value.next_step or "")
    assert TOKEN in (caught.value.next_step or "")
