"""What a fifty-third and a fifty-fourth set of everyday programs by others showed, with twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes

JOINED = """
class Table:
    def scan(self, FilterExpression, values):
        return [r for r in ({"state": "open"},) if FilterExpression or values or r]
def handler(event, context):
    table, values, parts = Table(), {":pk": "C#1"}, ["pk = :pk"]
    if event.get("state"):
        parts.append("state = '%s'" % event["state"].strip())
    if event.get("label"):
        parts.append("label = :label")
        values[":label"] = event["label"]
    if event.get("over") is not None:
        parts.append(f"total > {event['over']}")
    return table.scan(" AND ".join(parts), values)
"""
STATEMENT = """
class Table:
    def execute(self, statement):
        return [statement.split(" WHERE ", 1)[1]]
def handler(event, context):
    kind = event.get("kind", "note")
    q = f"SELECT * FROM items WHERE owner = 'u1' AND kind = '{kind}'"
    if event.get("text"):
        q += " AND text = '" + event["text"].replace("'", "''") + "'"
    return Table().execute(q)
"""
INLINE = """
import io
class Cache:
    def ask(self, raw: bytes):
        return [line.split(" ")[0] for line in raw.decode().split("\\r\\n")]
class Client:
    def __init__(self, server):
        self.server = server
    def call(self, verb, *args):
        buffer = io.StringIO()
        buffer.write(verb)
        for each in args:
            buffer.write(" " + each)
        buffer.write("\\r\\n")
        return self.server.ask(buffer.getvalue().encode())[-1]
def handler(event, context):
    return Client(Cache()).call("GET", f"session:{event['sid']}")
"""
LINKS = """
import re, urllib.request
PARTNERS = ("shop.example", "docs.example")
LINK = re.compile(r"https?://[^\\s<>]+")
def handler(event, context):
    for url in dict.fromkeys(LINK.findall(event["comment"])):
        if url.split("://", 1)[1].startswith(PARTNERS):
            try:
                urllib.request.urlopen(url, timeout=0.2)
            except OSError:
                pass
"""


def test_conditions_that_the_code_joins_stay_as_they_are(tmp_path: Path) -> None:
    for event in (
        {"state": "open' OR pk = 'C#2"},
        {"state": "x' OR state <> 'x"},
        {"over": "5 OR pk = 'C#2'"},
        {"over": "0 or total >= 0"},
    ):
        assert_blocked(tmp_path, {str(event): (JOINED, event)}, {"nosql"}, ())
    for event in (
        {"state": "open", "label": "x' OR pk = 'C#2"},
        {"state": "O'Hara"},
        {"over": 5},
        {"over": "5.50"},
        {"label": "5 or more = many"},
    ):
        assert_passes(tmp_path, {str(event): (JOINED, event)}, ())


def test_a_statement_for_an_object_of_the_codes_keeps_its_quotes(tmp_path: Path) -> None:
    for kind in ("x' OR kind = 'note", "note' OR owner = 'u2"):
        assert_blocked(tmp_path, {kind: (STATEMENT, {"kind": kind})}, {"nosql"}, ())
    for event in ({}, {"kind": "task", "text": "it's due"}, {"text": "x' OR owner = 'u2"}):
        assert_passes(tmp_path, {str(event): (STATEMENT, event)}, ())


def test_commands_in_bytes_are_judged_as_in_text(tmp_path: Path) -> None:
    for sid in ("guest\r\nSET flag:maintenance on", "a\r\nDEL session:admin"):
        assert_blocked(tmp_path, {sid: (INLINE, {"sid": sid})}, {"nosql"}, ())
    for sid in ("guest", "5f0c-aa", "Ann Lee", "DEL\tx"):
        assert_passes(tmp_path, {sid: (INLINE, {"sid": sid})}, ())


def test_a_link_begins_with_no_more_than_a_host_that_the_code_asked_for(tmp_path: Path) -> None:
    """What a pattern found in a text may lead to any public host, unless the code asks for some."""
    for link in ("http://shop.example.evil.example/x", "https://docs.examples/api"):
        event = {"comment": f"see {link}"}
        assert_blocked(tmp_path, {link: (LINKS, event)}, {"url"}, ())
    for comment in (
        "https://shop.example/chair and https://docs.example/api?x=1",
        "https://else.example/a",
        "no links, shop.example only",
    ):
        assert_passes(tmp_path, {comment: (LINKS, {"comment": comment})}, ())
