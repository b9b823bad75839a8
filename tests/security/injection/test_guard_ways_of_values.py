"""Ways that values go in everyday programs, each with an attack and its harmless twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.guard.pieces import in_quotes, of_format, of_percent
from casemate.guard.shown import shower
from support.guard_cases import Cases, assert_blocked, assert_passes

# -- quotes that `repr` writes ---------------------------------------------------------------------

QUOTED = """
import sqlite3
import xml.etree.ElementTree as ET
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("create table inv (no, total)")
    db.execute("insert into inv values ('1', 5)")
    numbers = [one.get("no") for one in ET.fromstring(event["xml"])]
    queries = [
        "select total from inv where no in (%s)" % ",".join(repr(n) for n in numbers),
        "select total from inv where no in (%s)" % ",".join(map(repr, numbers)),
        f"select total from inv where no = {numbers[0]!r}",
        "select total from inv where no = %r" % numbers[0],
        "select total from inv where no = {!r}".format(numbers[0]),
    ]
    return [db.execute(query).fetchall() for query in queries]
"""


def test_quotes_of_repr_are_none_of_the_values(tmp_path: Path) -> None:
    for xml in ("<x><i no='1'/><i no='2 or 1'/></x>", "<x><i no='b c'/></x>"):
        assert_passes(tmp_path, {xml: (QUOTED, {"xml": xml})}, ())
    hostile = "<x><i no='1&quot; or 1=1 or &quot;&apos;'/></x>"
    assert_blocked(tmp_path, {hostile: (QUOTED, {"xml": hostile})}, {"sql"}, ())


def test_what_repr_put_around_a_text() -> None:
    notes: list[tuple[object, ...]] = []
    shown, showing = shower(notes.append)
    assert showing(repr) is shown
    assert showing(len) is len
    assert shown("a b") == "'a b'"
    assert shown("a\n") == repr("a\n")
    assert shown(5) == "5"
    assert [note[2] for note in notes] == [("'", "a b", "'")]
    assert in_quotes("it's", '"it\'s"') == ('"', "it's", '"')
    assert in_quotes("", "''") is None
    expected = [("no=", True), ("'", True), ("a", False), ("'", True), ("", True)]
    assert of_percent("no=%r", "a") == expected
    assert of_format("no={!r}", ("a",), {}) == expected[:-1]
    assert of_format("{!r:>4}", ("a",), {}) == [("", True), (" 'a'", False)]


# -- texts that come back from where the code has kept them ----------------------------------------

KEPT = """
import base64, json, sqlite3, zlib
from urllib.parse import parse_qs
def handler(event, context):
    text = '{"admin": false, "name": "%s"}' % event["name"]
    if event["by"] == "table":
        db = sqlite3.connect(":memory:")
        db.execute("create table s (data)")
        db.execute("insert into s values (?)", (text,))
        return json.loads(db.execute("select data from s").fetchone()[0])
    if event["by"] == "token":
        token = base64.urlsafe_b64encode(text.encode()).decode() + ".signature"
        return json.loads(base64.urlsafe_b64decode(token.split(".")[0]))
    if event["by"] == "form":
        form = base64.b64encode(f"admin=0&name={event['name']}".encode())
        return parse_qs(base64.b64decode(form).decode())
    if event["by"] == "parts":
        parts = base64.b64encode(f"{event['name']}:user:99".encode()).decode()
        name, role = base64.b64decode(parts).decode().split(":")[:2]
        return [name, role]
    return json.loads(zlib.decompress(zlib.compress(text.encode())))
"""
HOSTILE = 'x", "admin": true, "z": "'


def test_a_text_that_comes_back_is_the_one_that_was_put_together(tmp_path: Path) -> None:
    values = {"table": HOSTILE, "token": HOSTILE, "form": "x&admin=1", "parts": "x:admin"}
    for by in ("table", "token", "form", "parts", "packed"):
        event = {"by": by, "name": values.get(by, HOSTILE)}
        assert_blocked(tmp_path, {by: (KEPT, event)}, {"deserialisation"}, ())
        assert_passes(tmp_path, {by: (KEPT, {"by": by, "name": "admin true {x}, 5"})}, ())


SAVED = """
import json, sqlite3
class Store:
    def find(self, query):
        return [one for one in ("a", "b") if "$ne" in query["tag"] or query["tag"] == one]
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("create table s (data)")
    db.execute("insert into s values (?)", (json.dumps({"owner": "me", "tag": event["tag"]}),))
    return Store().find(json.loads(db.execute("select data from s").fetchone()[0]))
"""
SCRIPT = """
class Store:
    def find(self, query):
        return repr(query)
def handler(event, context):
    return Store().find({"$where": "this.city == '" + event["city"] + "'", "owner": "me"})
"""


def test_a_query_of_a_store_of_its_own_has_no_operator_that_was_kept(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {"kept": (SAVED, {"tag": {"$ne": "x"}})}, {"nosql"}, ())
    assert_passes(tmp_path, {"text": (SAVED, {"tag": "$ne"})}, ())
    assert_blocked(tmp_path, {"script": (SCRIPT, {"city": "x' || '1'=='1"})}, {"nosql"}, ())
    assert_passes(tmp_path, {"script": (SCRIPT, {"city": "x || 1"})}, ())


# -- relays, logs and attributes -------------------------------------------------------------------

RELAY = """
class Relay:
    sent = []
    def sendmail(self, sender, receivers, message):
        self.sent.append(message)
def handler(event, context):
    head = "From: desk@x\\r\\nTo: team@x\\r\\nSubject: [contact] %s\\r\\nReply-To: %s\\r\\n\\r\\n%s"
    mail = head % (event["subject"], event.get("mail", "-"), event.get("text", ""))
    Relay().sendmail("desk@x", ["team@x"], mail)
"""


def test_a_mail_for_a_relay_of_its_own_is_judged(tmp_path: Path) -> None:
    for event in (
        {"subject": "hi\r\nBcc: all@victims.example"},
        {"subject": "hi", "mail": "a@b\nX-Spam: no\n\nnew body"},
    ):
        assert_blocked(tmp_path, {str(event): (RELAY, event)}, {"header"}, ())
    event = {"subject": "hi: Bcc", "text": "line\nBcc: x\n"}
    assert_passes(tmp_path, {"text": (RELAY, event)}, ())


LOGGED = """
import json, logging, sys
log = logging.getLogger("app")
log.addHandler(logging.StreamHandler(sys.stdout))
log.setLevel("INFO")
def handler(event, context):
    log.info("got %s", json.dumps(event, indent=1))
    log.info("note by %s: %s", event.get("who", "-"), event["note"])
"""


def test_a_record_without_a_level_is_followed_by_none_with_one(tmp_path: Path) -> None:
    for note in ("a\nERROR root was signed in", "a\r\n2026-01-01 10:00:00 gone"):
        assert_blocked(tmp_path, {note: (LOGGED, {"note": note})}, {"log"}, ())
    for note in ("one\ntwo\n  three", "Dear all,\n\nErrors happen.\nWarning signs"):
        assert_passes(tmp_path, {note: (LOGGED, {"note": note})}, ())


PATCHED = """
from dataclasses import dataclass
@dataclass
class Task:
    title: str = "t"
    status: str = "open"
    role: str = "user"
    is_admin: bool = False
def handler(event, context):
    task = Task()
    for name, value in event.items():
        if hasattr(task, name):
            setattr(task, name, value)
    return str(task)
"""
UPDATED = """
class User:
    def __init__(self, **given):
        self.role, self.name = "user", ""
        self.__dict__.update(given)
def handler(event, context):
    return User(**event).role
"""
LISTED = """
class User:
    role = "user"
def handler(event, context):
    user = User()
    for name in event:
        if name in {"nick", "role"}:
            setattr(user, name, event[name])
    return user.role
"""


@pytest.mark.parametrize("name", ["role", "is_admin"])
def test_an_attribute_that_gives_rights_is_none_of_the_events(tmp_path: Path, name: str) -> None:
    assert_blocked(tmp_path, {name: (PATCHED, {name: "admin"})}, {"attributes"}, ())


@pytest.mark.parametrize(
    "call", ["object.__setattr__(task, ", "task.__setattr__(", "type(task).__setattr__(task, "]
)
def test_nor_is_one_that_is_set_by_the_method(tmp_path: Path, call: str) -> None:
    code = PATCHED.replace("setattr(task, ", call)
    assert_blocked(tmp_path, {"role": (code, {"role": "admin"})}, {"attributes"}, ())
    assert_passes(tmp_path, {"title": (code, {"title": "x", "status": "done"})}, ())


def test_other_attributes_and_those_that_the_code_lists_pass(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {"role": (UPDATED, {"role": "admin"})}, {"attributes"}, ())
    harmless: Cases = {
        "entered": (PATCHED, {"title": "role", "status": "done"}),
        "not there": (PATCHED, {"balance": 5}),
        "updated": (UPDATED, {"name": "role"}),
        "listed": (LISTED, {"role": "editor", "nick": "x"}),
    }
    assert_passes(tmp_path, harmless, ())
