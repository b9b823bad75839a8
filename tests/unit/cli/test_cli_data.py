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
from casemate.cli.commands import buckets, queues, tables
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
    for module in (buckets, queues, tables, operation_command):
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
    removed = cli("buckets", "rm", "p/files", "a/x", "--yes", "--json")
    assert json.loads(removed.out) == {"removed": "p/files", "key": "a/x"}
    assert cli("buckets", "get", "p/files", "a/x", "-o", "x").code == 3
    assert not Path("x").exists()
    assert cli("buckets", "rm", "p/files").code == 2
    assert cli("buckets", "rm", "p/files", "k", "--all", "--yes").code == 2
    removed = cli("buckets", "rm", "p/files", "--all", "--yes", "--json")
    assert json.loads(removed.out) == {"removed": "p/files"}
    assert cli("buckets", "objects", "p/files").code == 3


@pytest.mark.parametrize(
    ("key", "file", "type"),
    [
        ("a", "logo.png", "image/png"),
        ("a.html", "report.csv", "text/csv"),
        ("a.pdf", "-", "application/pdf"),
        ("a", "backup.tar.gz", "application/octet-stream"),
        ("data:text/html,a", "data", "application/octet-stream"),
    ],
)
def test_a_type_that_is_not_given_is_that_of_the_name(cli, data, home, key, file, type) -> None:
    Path(file).write_bytes(b"x")
    put = cli("buckets", "put", "p/files", key, file, stdin=b"piped")
    assert put.code == 0, put.err
    [found] = json.loads(cli("buckets", "objects", "p/files", "--json").out)["objects"]
    assert found["content_type"] == type


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
    assert cli("tables", "rm", "p/sorted", "--all").code == 2
    removed = cli("tables", "rm", "p/sorted", "--all", "--yes", "--json")
    assert json.loads(removed.out) == {"removed": "p/sorted"}
    assert cli("tables", "query", "p/sorted").code == 3


def test_an_item_is_put_and_removed(cli, data, home) -> None:
    Path("ada.json").write_text('{"id": "ada", "size": 1e3, "big": 9007199254740993}')
    put = cli("tables", "put", "p/plain", "ada.json")
    assert (put.code, put.out) == (0, "p/plain: the item is kept, revision 1.\n")
    item = data.get_item("p", "plain", "ada")
    assert item.value == {"id": "ada", "size": 1000.0, "big": 9007199254740993}
    assert item.labels == b'[["","api",""]]', "what a person writes is from outside"
    told = cli("tables", "put", "p/plain", "-", "--json", stdin=b'{"id": "ada"}')
    assert json.loads(told.out).keys() == {"revision", "modified_at"}
    assert cli("tables", "put", "p/plain", stdin=b'{"id": "7"}').code == 0
    assert cli("tables", "put", "p/plain", stdin=b'{"id": 7}').code == 0
    removed = cli("tables", "rm", "p/plain", '"7"', "--yes")
    assert (removed.code, removed.out) == (0, 'p/plain has no item "7" any more.\n')
    assert data.get_item("p", "plain", 7).value == {"id": 7}
    assert cli("tables", "rm", "p/plain", "ada").code == 2, "it asks, and nobody answers"
    assert cli("tables", "rm", "p/plain", "ada", "--if-revision", "1", "--yes").code == 1
    assert cli("tables", "rm", "p/plain", "ada", "--if-revision", "2", "--yes").code == 0
    assert cli("tables", "get", "p/plain", "ada").code == 3
    removed = cli("tables", "rm", "p/plain", "nobody", "--yes", "--json")
    assert json.loads(removed.out) == {"removed": "p/plain", "key": "nobody", "sort": None}
    sort = {"id": "a", "at": "2026"}
    assert cli("tables", "put", "p/sorted", stdin=json.dumps(sort).encode()).code == 0
    assert cli("tables", "rm", "p/sorted", "a", "--yes").code == 1
    other = cli("tables", "rm", "p/sorted", "a", "2026", "--yes")
    assert (other.code, other.out) == (0, 'p/sorted has no item "a" 2026 any more.\n')
    assert len(data.query_items("p", "sorted").items) == 1, "a number is another key than a text"
    assert cli("tables", "rm", "p/sorted", "a", '"2026"', "--yes").code == 0
    assert data.query_items("p", "sorted").items == ()


@pytest.mark.parametrize(
    "words", [(), ("ada", "--all"), ("--all", "--if-revision", "1"), ("ada", "1", "--all")]
)
def test_a_table_is_removed_by_that_word_alone(cli, data, words) -> None:
    data.put_item("p", "plain", {"id": "ada"})
    refused = cli("tables", "rm", "p/plain", *words, "--yes")
    assert refused.code == 2 and "--all for the whole table" in refused.err
    assert data.get_item("p", "plain", "ada").revision == 1


def test_an_item_is_put_on_condition(cli, data) -> None:
    put = ("tables", "put", "p/plain")
    assert cli(*put, "--if-absent", stdin=b'{"id": 1, "n": 1}').code == 0
    refused = cli(*put, "--if-absent", stdin=b'{"id": 1, "n": 2}')
    assert refused.code == 1 and "revision 1, expected 0" in refused.err
    assert cli(*put, "--if-revision", "1", stdin=b'{"id": 1, "n": 3}').code == 0
    assert cli(*put, "--if-revision", "1", stdin=b'{"id": 1, "n": 4}').code == 1
    assert data.get_item("p", "plain", 1).value["n"] == 3
    both = cli(*put, "--if-absent", "--if-revision", "1", stdin=b'{"id": 1}')
    assert both.code == 2 and "Leave out one" in both.err


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (b'{"id": "p4ss",\n "n": 1,}', "line 2 column "),
        (b"{'id': 'p4ss'}", "line 1 column 2"),
        (b"", "line 1 column 1"),
        (b'{"id": NaN, "x": "p4ss"}', "NaN is no number of JSON"),
        (b'{"id": "p4ss\xff"}', "byte 13 is not UTF-8"),
        (b'{"id": "p4ss\\ud800"}', "half of a surrogate pair"),
        (b'\xff\xfe{\x00"\x00', "byte 1 is not UTF-8"),
        (b'\xef\xbb\xbf{"id": "p4ss"}', "line 1 column 1"),
        (b"[" * 200_000, "nested too deeply"),
        (b'["p4ss"]', "JSON, but no object"),
        (b'"p4ss"', "JSON, but no object"),
        (b'{"id": "' + b"p4ss" * 300_000 + b'"}', "more than 512 KB"),
        (b'{"x": "p4ss"}', "no attribute 'id'"),
        (b'{"id": ["p4ss"]}', "'id' is not text or a number"),
        (b'{"id": 1, "x": 1e999, "y": "p4ss"}', "Next:"),
        (b'{"id": 1, "x": 18446744073709551616, "y": "p4ss"}', "Next:"),
        (b'{"id": 1, "x": "' + b"p4ss" * 1000 + b'"}', "takes 3000"),
    ],
)
def test_what_is_no_item_is_told_by_its_place(cli, data, given: bytes, why: str) -> None:
    refused = cli("tables", "put", "p/plain", "-", stdin=given)
    assert refused.code in (1, 2)
    assert why in refused.err and "p4ss" not in refused.err
    assert data.query_items("p", "plain").items == ()


def test_what_is_to_be_sent_is_not_waited_for_at_a_terminal(terminal, tmp_path) -> None:
    for words in (("tables", "put", "p/plain"), ("queues", "send", "p/jobs")):
        refused = terminal(*words)
        assert refused.code == 2 and "is missing" in refused.out
    gone = terminal("tables", "put", "p/plain", str(tmp_path / "none.json"))
    # The path is as long as the folder's name, and lines are broken at 80 columns.
    assert gone.code == 2 and "cannot be read" in " ".join(gone.out.split())


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


def test_messages_are_sent(cli, data, home) -> None:
    Path("job.json").write_text('{"order": 7, "sum": 1.10}\n')
    sent = cli("queues", "send", "p/jobs", "job.json", "--attribute", "trace=a=1")
    (message,) = data.receive("p", "queue", "jobs", limit=10, lease=60.0)
    assert (sent.code, sent.out) == (0, f"p/jobs: message {message.id} is kept.\n")
    assert message.body == b'{"order": 7, "sum": 1.10}'
    assert message.attributes == {"trace": "a=1"} and message.labels == b'[["","api",""]]'
    told = [
        json.loads(cli("queues", "send", "p/jobs", "--json", *words, stdin=body).out)["id"]
        for words, body in (
            (("--deduplication", "one"), b"1"),
            (("--deduplication", "one"), b"2"),
            (("--priority", "9", "--key", "k"), b"[3]"),
            (("--delay", "1h"), b'"later"'),
        )
    ]
    assert told[0] == told[1]
    ready = data.receive("p", "queue", "jobs", limit=10, lease=60.0)
    assert [(m.body, m.priority, m.key) for m in ready] == [(b"[3]", 9, "k"), (b"1", 0, "")]
    assert cli("queues", "send", "p/jobs", "--topic", stdin=b'{"to": "all"}').code == 0
    assert cli("queues", "show", "p/jobs", "--topic").out.startswith("p/jobs: 1 waiting")
    more = ("--deduplication", "d", "--attribute", "a=")
    assert cli("queues", "send", "p/jobs", "--topic", *more, stdin=b"1").code == 0


def test_who_sends_to_a_topic_as_to_a_queue_is_told_how(cli, data) -> None:
    refused = cli("queues", "send", "p/news", stdin=b"1")
    assert refused.code == 3 and "If it is a topic, add --topic." in refused.err
    assert "[queue.news]" in refused.err
    refused = cli("queues", "send", "p/news", "--topic", stdin=b"1")
    assert refused.code == 3 and "--topic" not in refused.err


@pytest.mark.parametrize(
    ("words", "body", "why"),
    [
        (("--topic", "--delay", "1m"), b"1", "--delay is given"),
        (("--topic", "--priority", "0"), b"1", "--priority is given"),
        (("--topic", "--key", "k"), b"1", "--key is given"),
        (("--delay", "soon"), b"1", "--delay is 'soon'"),
        (("--delay", "15d"), b"1", "delay"),
        (("--priority", "101"), b"1", "priority"),
        (("--key", "k" * 1025), b"1", "key"),
        (("--deduplication", ""), b"1", "deduplication"),
        (("--attribute", "none"), b"1", "expected NAME=TEXT"),
        (("--attribute", "a=1", "--attribute", "a=2"), b"1", "more than once"),
        (("--attribute", "not this=p4ss"), b"1", "letters, digits"),
        (("--attribute", "a=" + "p4ss" * 1025), b"1", "attributes"),
        ((), b'{"a": p4ss}', "line 1 column 7"),
        ((), b'"' + b"p4ss" * 60 + b'"', "takes 200"),
    ],
)
def test_messages_that_are_not_sent(cli, data, words, body: bytes, why: str) -> None:
    refused = cli("queues", "send", "p/jobs", *words, stdin=body)
    assert refused.code in (1, 2)
    assert why in refused.err and "p4ss" not in refused.err.replace('{"a": p4ss', "")
    assert cli("queues", "show", "p/jobs").out.strip() == "p/jobs: 0 waiting."


@pytest.mark.parametrize(
    "name", ["P/files", "p/Files", "p/../files", "p/files\n", "/files", "p/", "a/b/c"]
)
def test_names_that_are_none(cli, data, name: str) -> None:
    for command in (
        ("buckets", "objects"),
        ("tables", "query"),
        ("tables", "put"),
        ("tables", "rm"),
        ("queues", "show"),
        ("queues", "send"),
    ):
        assert cli(*command, name, stdin=b"{}").code == 2


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
