"""`casemate buckets`, `tables` and `queues`: what they send, print, and refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from data_support import Data

from casemate.api.data import OPERATIONS
from casemate.api.problems import response_to
from casemate.api.service import Slots
from casemate.cli import operation_command
from casemate.cli.client import NodeClient
from casemate.cli.commands import buckets, queues
from casemate.cli.credentials import Credentials
from casemate.cli.values import value_of
from casemate.facts import FactStream
from casemate.model.principal import ANONYMOUS
from support.parts import unused_parts
from support.recorder import FakeRecorder


class FakeNode(NodeClient):
    """Answers what the API would, from real data in this process."""

    def __init__(self, data: Data) -> None:
        super().__init__(Credentials(url="http://node", key=None, allow_http=True))
        self.data = data
        service = SimpleNamespace(
            **unused_parts(FactStream()),
            facts=FactStream(),
            recorder=FakeRecorder(),
            data=data.port,
            uploads=Slots("uploads", 6, 4),
            accounts=SimpleNamespace(answerable=lambda caller: caller),
            may=lambda *_: True,
        )

        def route(path: str) -> Route:
            methods = {o.method: o for o in OPERATIONS if o.path == path}

            async def endpoint(request):
                request.scope["casemate.principal"] = ANONYMOUS
                try:
                    return await methods[request.method].endpoint(request, service)
                except Exception as error:
                    return response_to(error)

            return Route("/api/v1" + path, endpoint, methods=list(methods))

        paths = dict.fromkeys(o.path for o in OPERATIONS)
        self.app = Starlette(routes=[route(path) for path in paths])

    def exchange(self, method: str, path: str, **rest) -> httpx2.Response:
        rest.pop("timeout", None)

        async def call() -> httpx2.Response:
            transport = httpx2.ASGITransport(self.app)
            async with httpx2.AsyncClient(transport=transport, base_url=self.url) as client:
                return await client.request(method, path, **rest)

        return self.data.run(call())


@pytest.fixture
def data(tmp_path, monkeypatch):
    opened = Data(tmp_path / "data")
    node = FakeNode(opened)
    for module in (buckets, queues, operation_command):
        monkeypatch.setattr(module, "connect", lambda: node)
    yield opened
    opened.finish()


def test_a_key_that_was_written_is_not_broken_by_the_terminal(cli, data, monkeypatch) -> None:
    key = f"reports/2026-11-30/{'x' * 50}.csv"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    told = cli("buckets", "put", "p/files", key, "-", stdin=b"piped").out.splitlines()
    assert f"{key}:" in told[1].split() and max(map(len, told)) <= 80
    told = cli("buckets", "rm", "p/files", key, "--yes").out.splitlines()
    assert told[0].startswith(key) and max(map(len, told)) <= 80


def test_buckets(cli, data, home) -> None:
    listed = cli("buckets", "ls", "p")
    assert listed.code == 0
    assert "p/files" in listed.out
    content = bytes(range(256))
    Path("in.bin").write_bytes(content)
    put = cli("buckets", "put", "p/files", "a/b c&d", "in.bin", "--type", "image/png")
    assert (put.code, put.out.strip()) == (0, "p/files a/b c&d: revision 1, 256 B.")
    assert cli("buckets", "put", "p/files", "a/x", "-", stdin=b"piped").code == 0
    shown = cli("buckets", "objects", "p/files")
    assert "image/png" in shown.out
    grouped = json.loads(cli("buckets", "objects", "p/files", "--folders", "--json").out)
    assert (grouped["objects"], grouped["prefixes"]) == ([], ["a/"])
    assert cli("buckets", "get", "p/files", "a/b c&d", "-o", "out.bin").code == 0
    assert Path("out.bin").read_bytes() == content
    assert Path("out.bin").stat().st_mode & 0o777 == 0o600
    again = cli("buckets", "get", "p/files", "a/b c&d", "-o", "out.bin")
    assert (again.code, "exists" in again.err) == (1, True)
    assert cli("buckets", "rm", "p/files", "a/x").code == 2
    assert cli("buckets", "rm", "p/files", "a/x", "--yes").code == 0
    assert cli("buckets", "get", "p/files", "a/x", "-o", "x").code == 3
    assert not Path("x").exists()
    assert cli("buckets", "rm", "p/files").code == 2
    assert cli("buckets", "rm", "p/files", "k", "--all", "--yes").code == 2
    assert cli("buckets", "rm", "p/files", "--all", "--yes").code == 0
    assert cli("buckets", "objects", "p/files").code == 3


def test_a_condition(cli, data) -> None:
    put = ("buckets", "put", "p/files", "k", "-", "--if-revision", "0")
    assert cli(*put, stdin=b"1").code == 0
    refused = cli(*put, stdin=b"2")
    assert refused.code == 1
    assert "revision 1" in refused.err


def test_more_than_a_page(cli, data) -> None:
    for number in range(3):
        data.put_object("p", "files", f"k{number}", b"")
    page = cli("buckets", "objects", "p/files", "--limit", "2")
    assert "--after 'k1'" in page.err
    rest = cli("buckets", "objects", "p/files", "--after", "k1")
    assert "k2" in rest.out
    assert "k1" not in rest.out


def test_keys_cannot_steer_a_terminal(cli, data) -> None:
    data.put_object("p", "files", "\x1b[2Jevil\u202e", b"")
    shown = cli("buckets", "objects", "p/files").out
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_tables(cli, data) -> None:
    for at in (1, 2.5, "2026-01", "2026-02"):
        data.put_item("p", "sorted", {"id": "ada", "at": at, "colour": "red"})
    data.put_item("p", "plain", {"id": "7"})
    data.put_item("p", "plain", {"id": 7, "number": True})
    listed = cli("tables", "ls", "p")
    assert "by-colour, by-colour-size" in listed.out
    assert json.loads(cli("tables", "get", "p/plain", "7").out) == {"id": 7, "number": True}
    assert json.loads(cli("tables", "get", "p/plain", '"7"').out) == {"id": "7"}
    assert json.loads(cli("tables", "get", "p/sorted", "ada", "2.5").out)["at"] == 2.5
    assert json.loads(cli("tables", "get", "p/plain", "7", "--json").out)["revision"] == 1
    assert cli("tables", "get", "p/plain", "nothing").code == 3
    found = cli(
        "tables", "query", "p/sorted", "--key", "ada", "--begins-with", "2026-", "--descending"
    )
    assert [json.loads(line)["at"] for line in found.out.splitlines()] == ["2026-02", "2026-01"]
    page = cli(
        "tables", "query", "p/sorted", "--limit", "1", "--index", "by-colour", "--key", "red"
    )
    after = page.err.split("--after ")[1].strip()
    rest = cli(
        "tables", "query", "p/sorted", "--index", "by-colour", "--key", "red", "--after", after
    )
    assert len(rest.out.splitlines()) == 3
    assert cli("tables", "rm", "p/sorted").code == 2
    assert cli("tables", "rm", "p/sorted", "--yes").code == 0
    assert cli("tables", "query", "p/sorted").code == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("7.5", 7.5),
        ("-0", 0),
        ('"7"', "7"),
        ("ada", "ada"),
        ("true", "true"),
        ("null", "null"),
        ("[1]", "[1]"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("", ""),
        ("[" * 9999, "[" * 9999),
    ],
)
def test_keys_on_the_command_line(text: str, value: object) -> None:
    found = value_of(text)
    assert (found, type(found)) == (value, type(value))


def test_queues(cli, data) -> None:
    data.send("p", "queue", "jobs", b"1")
    data.send("p", "topic", "jobs", b"2")
    assert "p/jobs" in cli("queues", "ls", "p").out
    assert cli("queues", "show", "p/jobs").out.startswith("p/jobs: 1 waiting, the oldest since")
    assert json.loads(cli("queues", "show", "p/jobs", "--topic", "--json").out)["waiting"] == 1
    assert cli("queues", "purge", "p/jobs").code == 2
    assert cli("queues", "purge", "p/jobs", "--yes").out.strip() == "p/jobs: 1 messages deleted."
    assert cli("queues", "show", "p/jobs").out.strip() == "p/jobs: 0 waiting."
    assert cli("queues", "show", "p/jobs", "--topic").out.startswith("p/jobs: 1 waiting")
    assert cli("queues", "rm", "p/jobs", "--topic", "--yes").code == 0
    assert cli("queues", "show", "p/jobs", "--topic").code == 3


@pytest.mark.parametrize(
    "name", ["P/files", "p/Files", "p/../files", "p/files\n", "/files", "p/", "a/b/c"]
)
def test_names_that_are_none(cli, data, name: str) -> None:
    for command in (("buckets", "objects"), ("tables", "query"), ("queues", "show")):
        assert cli(*command, name).code == 2


def test_what_is_in_a_project_leads_to_the_command_that_takes_it(cli, data) -> None:
    for group, further in (("buckets", "objects"), ("tables", "query"), ("queues", "show")):
        refused = cli(group, "ls", "p/files")
        assert refused.code == 2
        assert f"Next: `casemate {group} {further} p/files`" in refused.err


def test_the_project_of_this_folder(cli, data, home) -> None:
    outside = cli("buckets", "ls")
    assert outside.code == 2
    assert "Next:" in outside.err
    Path("casemate.toml").write_text('[project]\nname = "p"\n')
    assert "p/files" in cli("buckets", "ls").out
    data.send("p", "queue", "jobs", b"1")
    assert cli("queues", "show", "jobs").out.startswith("p/jobs: 1 waiting")
    Path("casemate.toml").write_text("[project]\n")
    assert cli("buckets", "ls").code == 2
