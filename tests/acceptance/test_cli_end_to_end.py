"""The command line as people use it: a process for each command, a real node behind it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import forked_cli
from support.node import TestNode

BUSY = """
import sys

def handler(event, context):
    if event == "fail":
        raise LookupError("no such thing")
    if event == "bytes":
        return b"\\x00\\xff"
    print("got", event)
    context.log.warning("careful", n=1)
    return {"v": VERSION, "event": event}
"""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal:
    """A user's shell: a home, a working folder, an environment without a node in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("CASEMATE_") and name != "XDG_CONFIG_HOME"
        }
        self.environ |= {"HOME": str(home), "NO_COLOR": "1", "COLUMNS": "100"}

    def run(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Result:
        done = forked_cli.run_bytes(
            arguments, stdin=stdin, cwd=self.folder, env=self.environ | environ, timeout=60
        )
        out = done.stdout.decode(errors="backslashreplace")
        return Result(done.returncode, out, done.stderr.decode(errors="backslashreplace"))

    def ok(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Result:
        result = self.run(*arguments, stdin=stdin, **environ)
        assert result.code == 0, (arguments, result)
        return result

    def refused(self, code: int, *arguments: str, stdin: bytes = b"", **environ: str) -> str:
        """Run what must fail; return its message: a next step at the end, no trace of ours."""
        result = self.run(*arguments, stdin=stdin, **environ)
        assert result.code == code, (arguments, result)
        lines = result.err.strip().splitlines()
        assert any(line.startswith("Error: ") for line in lines), result.err
        assert re.match(r"Next: \S", lines[-1]), result.err
        assert "site-packages" not in result.err and "casemate/cli" not in result.err
        return result.err


SHARES_NODE = True


@pytest.fixture(scope="module")
def terminal(node: TestNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A user who is logged in and has deployed a project of one function, twice."""
    home = tmp_path_factory.mktemp("home")
    user = Terminal(home)
    logged_in = user.ok("login", node.url, "--json", stdin=node.key.encode() + b"\n")
    assert logged_in.json["node"] == node.url
    assert logged_in.json["roles"] == ["owner"]
    stored = Path(logged_in.json["stored_in"])
    assert stored.is_relative_to(home) and stored.stat().st_mode & 0o777 == 0o600
    assert node.key not in logged_in.out + logged_in.err
    user.ok("init", "busy")
    user.folder = home / "busy"
    for version in (1, 2):
        write_app(user.folder, version)
        user.ok("deploy")
    yield user


def write_app(folder: Path, version: int) -> None:
    (folder / "src" / "app.py").write_text(f"VERSION = {version}\n{BUSY}")


def test_from_nothing_to_a_running_function(terminal: Terminal) -> None:
    user = Terminal(terminal.home)
    made = user.ok("init", "first", "--json").json
    assert made["project"] == "first"
    assert {Path(file).name for file in made["files"]} == {
        "app.py", "test_app.py", "README.md", ".gitignore", "casemate.toml", "__init__.pyi",
            "casemate.schema.json",
    }  # fmt: skip
    user.folder = terminal.home / "first"
    tested = subprocess.run(
        [sys.executable, "-m", "unittest", "discover", "tests"],
        cwd=user.folder, env=user.environ, capture_output=True, check=False,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stderr

    (bundle,) = user.ok("build", "--json").json["bundles"]
    (again,) = user.ok("build", "--json").json["bundles"]
    assert bundle["digest"] == again["digest"]
    assert re.fullmatch(r"[0-9a-f]{64}", bundle["digest"])
    assert (bundle["function"], bundle["packages"]) == ("hello", [])
    assert Path(bundle["path"]).name == bundle["digest"]

    document = user.ok("deploy", "--json").json
    (deployed,) = document["deployed"]
    assert (document["error"], document["not_deployed"]) == (None, [])
    assert deployed["function"] == "first/hello"
    assert (deployed["version"], deployed["previous_version"]) == (1, None)
    assert deployed["digest"] == bundle["digest"]
    assert (deployed["uploaded"], deployed["unchanged"], deployed["public"]) == (True, False, False)
    assert deployed["address"].endswith("/invoke/first/hello")
    (unchanged,) = user.ok("deploy", "--json").json["deployed"]
    assert (unchanged["version"], unchanged["unchanged"]) == (1, True)
    (forced,) = user.ok("deploy", "--force", "--json").json["deployed"]
    assert (forced["version"], forced["uploaded"]) == (2, False)

    answer = user.ok("invoke", "hello", '{"name": "Ada"}')
    assert json.loads(answer.out) == {"message": "Hello, Ada!"}
    removed = user.ok("rm", "hello", "--yes", "--json").json
    assert removed == {"removed": "first/hello", "versions": 2}
    user.refused(3, "invoke", "hello", "{}")
    user.refused(3, "show", "hello")


def test_ls_and_show(terminal: Terminal) -> None:
    listed = terminal.ok("ls", "--json").json["functions"]
    (busy,) = [f for f in listed if f["project"] == "busy"]
    assert [v["number"] for v in busy["versions"]][:2] == [1, 2]
    assert "busy/hello" in terminal.ok("ls").out
    shown = terminal.ok("show", "hello", "--json").json
    assert shown["name"] == "hello"
    assert {alias["name"] for alias in shown["aliases"]} >= {"live"}
    text = terminal.ok("show", "busy/hello").out
    for word in ("busy/hello", "app:handler", "isolation  request", "memory 128 MB", "live"):
        assert word in text


def test_invoke_from_argument_file_and_standard_input(terminal: Terminal) -> None:
    event = {"a": "é", "n": [1, None]}
    text = json.dumps(event)
    (terminal.folder / "event.json").write_text(text)
    for result in (
        terminal.ok("invoke", "hello", text),
        terminal.ok("invoke", "hello", "--file", "event.json"),
        terminal.ok("invoke", "hello", stdin=text.encode()),
        terminal.ok("invoke", "hello", "-", stdin=text.encode()),
        terminal.ok("invoke", "busy/hello@live", text),
    ):
        assert json.loads(result.out)["event"] == event
    assert json.loads(terminal.ok("invoke", "hello@1").out) == {"v": 1, "event": {}}
    document = terminal.ok("invoke", "hello", text, "--json").json
    assert document["status"] == 200 and document["error_id"] is None
    assert document["body"]["event"] == event
    assert re.fullmatch(r"inv_[0-9a-f]{24}", document["invocation_id"])
    assert document["duration_ms"] > 0 and "content-type" in document["headers"]
    binary = terminal.ok("invoke", "hello", '"bytes"', "--output", "answer.bin")
    assert binary.out == ""
    assert (terminal.folder / "answer.bin").read_bytes() == b"\x00\xff"
    assert terminal.ok("invoke", "hello", '"bytes"', "--json").json["body_base64"] == "AP8="


def test_a_call_that_fails_is_followed_to_its_cause(terminal: Terminal) -> None:
    message = terminal.refused(1, "invoke", "hello", '"fail"')
    found = re.search(r"casemate errors show (err_[0-9a-f]{24})", message)
    assert found is not None
    assert "LookupError" not in message
    error = terminal.ok("errors", "show", found[1], "--json").json
    assert (error["type"], error["message"]) == ("LookupError", "no such thing")
    assert (error["project"], error["function"]) == ("busy", "hello")
    text = terminal.ok("errors", "show", found[1]).out
    assert "LookupError: no such thing" in text and "app.py" in text
    one = terminal.ok("invocations", "--id", error["invocation"], "--json").json["invocations"]
    assert [(i["outcome"], i["error_id"]) for i in one] == [("handler-error", found[1])]
    document = terminal.run("invoke", "hello", '"fail"', "--json")
    assert document.code == 1
    assert document.json["status"] == 500 and document.json["error_id"].startswith("err_")


def test_logs_and_invocations(terminal: Terminal) -> None:
    for _ in range(2):
        terminal.ok("invoke", "hello", '"before"')
    called = terminal.ok("invoke", "hello", '"mark-of-this-call"', "--json").json
    lines = terminal.ok("logs", "-i", called["invocation_id"], "--json").json["lines"]
    assert [(line["level"], line["text"]) for line in lines] == [
        ("stdout", "got mark-of-this-call"),
        ("warning", 'careful {"n": 1}'),
    ] or [(line["level"], line["text"]) for line in lines] == [
        ("warning", 'careful {"n": 1}'),
        ("stdout", "got mark-of-this-call"),
    ]
    text = terminal.ok("logs", "hello").out
    assert "mark-of-this-call" in text and "busy/hello@" in text
    listed = terminal.ok("invocations", "hello", "--limit", "3", "--json").json["invocations"]
    assert listed[0]["id"] == called["invocation_id"]
    assert len(listed) == 3 and listed[0]["outcome"] == "ok"
    assert called["invocation_id"] in terminal.ok("invocations", "hello").out


def test_logs_are_followed(terminal: Terminal) -> None:
    follower = subprocess.Popen(
        [sys.executable, "-m", "casemate.cli.main", "logs", "-f", "hello", "--json"],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd=terminal.folder, env=terminal.environ, text=True,
    )  # fmt: skip
    try:
        assert follower.stdout is not None
        mark = f"followed-{os.getpid()}"
        terminal.ok("invoke", "hello", json.dumps(mark))
        for line in follower.stdout:
            if mark in json.loads(line)["text"]:
                break
        else:
            pytest.fail("the line never came")
    finally:
        follower.terminate()
        follower.wait(10)
        if follower.stdout is not None:
            follower.stdout.close()


@pytest.mark.storm
def test_promote_and_rollback_move_the_pointer(terminal: Terminal) -> None:
    def live() -> dict[int, int]:
        shown = terminal.ok("show", "hello", "--json").json
        (alias,) = [a for a in shown["aliases"] if a["name"] == "live"]
        return {target["version"]: target["weight"] for target in alias["targets"]}

    terminal.ok("promote", "hello", "2")
    weighted = terminal.ok("promote", "hello", "1=30", "2=70", "--json").json
    assert weighted["name"] == "live"
    assert live() == {1: 30, 2: 70}
    seen = {json.loads(terminal.ok("invoke", "hello").out)["v"] for _ in range(12)}
    assert seen <= {1, 2}
    assert "1=30 2=70" in terminal.ok("show", "hello").out
    # A share is a trial of the newest: back is to what all callers had before it.
    assert "version 1 again" in terminal.ok("rollback", "hello").out
    assert live() == {1: 100}
    assert "version 2 again" in terminal.ok("rollback", "hello", "--to", "2").out
    assert "version 1 again" in terminal.ok("rollback", "hello", "--to", "1").out
    assert json.loads(terminal.ok("invoke", "hello").out)["v"] == 1
    beta = terminal.ok("promote", "hello", "2", "--alias", "beta", "--json").json
    assert beta["name"] == "beta"
    assert json.loads(terminal.ok("invoke", "hello@beta").out)["v"] == 2
    terminal.ok("promote", "hello", "2")


@pytest.mark.storm
def test_tokens_are_made_used_and_revoked(terminal: Terminal) -> None:
    made = terminal.ok("tokens", "add", "webshop", "--role", "invoker@busy", "--json").json
    text, token_id = made["text"], made["token"]["id"]
    assert made["token"]["roles"] == ["invoker@busy"] and text.startswith(f"cm_{token_id}_")
    plain = terminal.ok("tokens", "add", "ci", "--role", "owner")
    assert re.fullmatch(r"cm_[0-9a-f]{16}_\S{49}\n", plain.out)
    url = terminal.ok("login", json_url(terminal), "--json", stdin=plain.out.encode()).json["node"]
    with_token = {"CASEMATE_KEY": text, "CASEMATE_URL": url}
    assert terminal.ok("invoke", "hello", "1", **with_token).out
    assert "function:read" in terminal.refused(4, "show", "hello", **with_token)
    listed = terminal.ok("tokens", "ls", "--json")
    assert {"webshop", "ci"} <= {token["name"] for token in listed.json["tokens"]}
    assert text not in listed.out
    again = ("tokens", "add", "webshop", "--role", "invoker@busy")
    terminal.ok(*again)  # who has logged in is the other token, which has none of that name yet
    assert "You have a service token with the name 'webshop'" in terminal.refused(1, *again)
    revoked = terminal.ok("tokens", "revoke", token_id, "--yes", "--json").json
    assert revoked["id"] == token_id and revoked["revoked_at"]
    terminal.refused(4, "invoke", "hello", "1", **with_token)
    terminal.refused(4, "login", url, stdin=text.encode())
    terminal.ok("ls")


def json_url(terminal: Terminal) -> str:
    address = terminal.ok("show", "hello").out
    found = re.search(r"http://127\.0\.0\.1:\d+", address)
    assert found is not None
    return found[0]


def test_a_handler_that_does_not_start_is_told_in_full_and_what_was_live_stays(
    terminal: Terminal,
) -> None:
    before = terminal.ok("show", "hello", "--json").json
    del before["ready"]  # how many instances wait follows the calls
    app = terminal.folder / "src" / "app.py"
    sound = app.read_text()
    app.write_text("import nothing_of_that_name\ndef handler(e, c): ...\n")
    try:
        message = terminal.refused(1, "deploy")
        assert "ModuleNotFoundError" in message and "app.py" in message
        document = terminal.run("deploy", "--json")
        assert document.code == 1
        assert document.json["deployed"] == []
        assert document.json["not_deployed"] == ["busy/hello"]
        assert "nothing_of_that_name" in document.json["error"]
        app.write_text("def handler(e, c)\n    pass\n")
        assert "app.py" in terminal.refused(1, "build")
    finally:
        app.write_text(sound)
    after = terminal.ok("show", "hello", "--json").json
    del after["ready"]
    assert after == before


@pytest.mark.parametrize(
    ("code", "arguments", "word"),
    [
        (2, ("invoke", "hello", "{not json"), "not JSON"),
        (2, ("invoke", "hello", "{}", "--file", "x"), "twice"),
        (2, ("invoke", "hello", "--file", "/nothing/there"), "cannot be read"),
        (2, ("invoke", "Hello", "{}"), "not the name"),
        (2, ("invoke", "a/b/c", "{}"), "not the name"),
        (2, ("invoke", "hello", "1", "--content-type", "a\nb"), "media type"),
        (1, ("invoke", "hello", "1", "--content-type", "text/csv"), "415"),
        (3, ("invoke", "other", "{}"), "no function"),
        (3, ("invoke", "hello@77", "{}"), "has no version 77"),
        (3, ("show", "other"), "other"),
        (3, ("rm", "other", "--yes"), "other"),
        (2, ("rm", "hello"), "yes"),
        (3, ("rollback", "other"), "other"),
        (3, ("rollback", "hello", "--to", "999"), "999"),
        (3, ("promote", "hello", "999"), "999"),
        (2, ("promote", "hello", "1=50", "2=40"), "90 %"),
        (2, ("promote", "hello", "x"), "version"),
        (2, ("promote", "hello", "1=50", "1=50"), "more than once"),
        (3, ("errors", "show", "err_0"), "err_0"),
        (3, ("invocations", "--id", "inv_0"), "inv_0"),
        (3, ("tokens", "revoke", "0000", "--yes"), "0000"),
        (1, ("tokens", "add", "x"), "no role"),
        (1, ("tokens", "add", "x", "--role", "king"), "no role 'king'"),
        (2, ("tokens", "add", "x", "--role", "invoker@Shop"), "ROLE@PROJECT"),
        (2, ("tokens", "add", "x", "--role", "invoker", "--days", "400"), "365"),
        (2, ("users", "add", "Ada"), "lower-case"),
        (2, ("users", "roles", "ada", "--none", "--role", "owner"), "--none"),
        (3, ("users", "disable", "nobody"), "nobody"),
        (2, ("secrets", "set", "t/Not"), "lower-case letters"),
        (1, ("secrets", "set", "t/empty"), "expected 6"),
        (3, ("secrets", "rm", "t/nothing", "--yes"), "t/nothing"),
        (2, ("can", "ada", "function:invoke", "function:t/f"), "user:NAME"),
        (3, ("can", "user:nobody", "function:invoke", "function:t/f"), "nobody"),
        (2, ("can", "anonymous:public", "fly", "function:t/f"), "function:deploy"),
        (3, ("policy", "show", "nothing"), "nothing"),
        (2, ("vault", "rotate-keys", "--signing", "--project", "t"), "--signing"),
        (1, ("vault", "rotate-master", "--to", "x", "--data", "/nothing", "--yes"), "/nothing"),
        (3, ("grants", "show", "t/nothing"), "t/nothing"),
        (3, ("buckets", "get", "t/nothing", "a"), "t"),
        (1, ("backup", "/nothing/x.tar"), "/nothing/x.tar"),
        (2, ("restore", "nothing.tar", "--data", "x"), "nothing.tar"),
        (1, ("tls", "show"), "not encrypted"),
        (2, ("login", "--enrol"), "--user"),
        (1, ("serve", "--master-key", "x", "--data", "/dev/null/x", "--port", "0"), "/dev/null"),
        (2, ("serve", "--tls-cert", "x"), "--tls-key"),
        (3, ("deploy", "other"), "other"),
        (2, ("deploy", "--manifest", "nothing.toml"), "nothing.toml"),
        (1, ("init", "."), "exist already"),
        (2, ("init", "new", "--name", "Not A Name"), "not a project"),
        (2, ("login", "ftp://x"), "ftp"),
        (2, ("nothing",), "nothing"),
        (2, ("ls", "--nothing"), "nothing"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_what_is_wrong_is_said_with_what_to_do(
    terminal: Terminal, code: int, arguments: tuple[str, ...], word: str
) -> None:
    assert word in terminal.refused(code, *arguments)


def test_without_a_node_or_a_token(terminal: Terminal, node: TestNode) -> None:
    nowhere = {"CASEMATE_URL": "http://127.0.0.1:9", "CASEMATE_KEY": node.key}
    assert "does not answer" in terminal.refused(5, "ls", **nowhere)
    assert terminal.refused(5, "invoke", "hello", "{}", **nowhere)
    stranger = Terminal(terminal.home / "stranger")
    stranger.home.mkdir()
    stranger.folder = terminal.folder
    message = stranger.refused(4, "ls", CASEMATE_URL=node.url)
    assert "casemate login" in message
    wrong = "cm_0000000000000000_" + "A" * 43
    stranger.refused(4, "ls", CASEMATE_URL=node.url, CASEMATE_KEY=wrong)
    stranger.refused(4, "invoke", "busy/hello", "{}", CASEMATE_URL=node.url)
    stranger.refused(4, "login", node.url, stdin=wrong.encode())
    assert not list(stranger.home.rglob("*.json")) and not list(stranger.home.rglob("*.toml"))


def test_a_manifest_with_many_mistakes_shows_all_of_them(
    terminal: Terminal, tmp_path: Path
) -> None:
    user = Terminal(tmp_path)
    (tmp_path / "app.py").write_text("def handler(e, c): ...\n")
    (tmp_path / "casemate.toml").write_text(
        '[project]\nname = "Bad Name"\n[function.f]\nhandler = "app"\nisolation = "none"\n'
        'unknown = 1\n[function.f.limits]\nmemory = 5\ntimeout = "soon"\n'
    )
    message = user.refused(1, "build")
    for line in (2, 4, 5, 6, 8, 9):
        assert f"casemate.toml:{line}:" in message
    (tmp_path / "casemate.toml").write_bytes(os.urandom(1000))
    user.refused(1, "build")


@pytest.mark.storm
def test_serve_refuses_what_cannot_be(tmp_path: Path, node: TestNode) -> None:
    user = Terminal(tmp_path)
    port = str(node.port)
    key = ("--master-key", f"file:{node.master_key}")
    taken = user.refused(1, "serve", *key, "--data", str(tmp_path / "a"), "--port", port)
    assert port in taken
    user.refused(1, "serve", *key, "--data", str(tmp_path / "b"), "--port", "0", "--python", "3.99")
    risk = user.refused(
        1, "serve", *key, "--data", str(tmp_path / "c"), "--accept-risk", "everything"
    )
    assert "everything" in risk and "cgroups" in risk
    locked = user.run("serve", "--data", str(node.data), "--port", "0", *key)
    assert locked.code == 1
    assert "Traceback" not in locked.err, locked.err
    assert f"{node.data}/vault is open in another process" in locked.err
    assert "Next: Stop the node" in locked.err
    assert locked.err.startswith("Error: "), "nothing is told of a start that there is not"
    assert node.get("/node"), "the other node goes on"


def test_a_node_with_a_store_for_itself_shows_itself_and_is_not_drained(terminal: Terminal) -> None:
    (own,) = terminal.ok("nodes", "ls", "--json").json["nodes"]
    assert (own["state"], own["draining"]) == ("up", False)
    assert own["incarnation"] >= 1 and own["silent"] < 15
    assert own["name"] in terminal.ok("nodes", "ls").out
    assert "for itself" in terminal.refused(1, "nodes", "drain", own["name"])
    assert "for itself" in terminal.refused(1, "nodes", "rm", own["name"])
