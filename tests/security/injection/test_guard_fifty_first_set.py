"""What small everyday programs of our own, and a fifty-first set by others, showed, with twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes

# -- dictionaries that are put over a key of the code's ---------------------------------------------

VIEWS = """
import json
def handler(event, context):
    asked = {"page": 1, "tenant": event.get("tenant", "t1"), **json.loads(event.get("view") or "{}")}
    return asked["tenant"]
"""
UNITED = """
import json
class Notes:
    def find(self, asked):
        return [n for n in ({"owner_id": 1}, {"owner_id": 2}) if n.items() >= asked.items()]
def mine(event):
    return {"owner_id": int(event["me"])}
def handler(event, context):
    notes, saved = Notes(), json.loads(event.get("saved", "{}"))
    wide = mine(event)
    wide.update(event.get("filter") or {})
    return notes.find({"owner_id": int(event["me"])} | saved), notes.find(wide)
"""
RECORDS = """
def handler(event, context):
    ticket = {"id": 1, "owner": event["me"].title(), "state": "open"}
    ticket.update(event["changes"])
    settings = {"owner": "nobody", "size": 10, **event["changes"]}
    last = {**event["changes"], "owner": event["me"]}
    return ticket, settings, last
"""


def test_a_dictionary_of_the_event_replaces_no_tenant_of_the_codes(tmp_path: Path) -> None:
    for view in ('{"tenant": "t2"}', '{"tag": "x", "tenant": ""}'):
        assert_blocked(tmp_path, {view: (VIEWS, {"view": view})}, {"attributes"}, ())
    for view in ("", '{"tag": "tenant"}', '{"tenant": "t1"}', '{"page": 2}'):
        assert_passes(tmp_path, {view: (VIEWS, {"view": view})}, ())
    for event in ({"saved": '{"owner_id": 2}'}, {"filter": {"owner_id": 2}}):
        event = {"me": "1", **event}
        assert_blocked(tmp_path, {str(event): (UNITED, event)}, {"attributes"}, ())
    for event in ({"saved": '{"owner_id": 1}'}, {"filter": {"title": "owner_id"}}):
        event = {"me": "1", **event}
        assert_passes(tmp_path, {str(event): (UNITED, event)}, ())


def test_defaults_and_records_may_be_changed(tmp_path: Path) -> None:
    for changes in ({"owner": "bo"}, {"state": "closed"}, {}):
        event = {"me": "ann", "changes": changes}
        assert_passes(tmp_path, {str(changes): (RECORDS, event)}, ())


# -- signs of LIKE in what is compared with a secret ------------------------------------------------

LIKES = """
import re, sqlite3
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE session(token, who)")
    db.execute("CREATE TABLE reset(code, email)")
    db.execute("CREATE TABLE product(code, title)")
    token, code = event.get("token", ""), re.sub(r"[\\\\s-]+", "%", event.get("code", "").strip())
    db.execute("SELECT who FROM session WHERE token LIKE ?", (token,))
    db.execute("SELECT email FROM reset WHERE email = :m AND lower(code) LIKE :c", {"m": "a", "c": code})
    q = event.get("q", "")
    found = "SELECT code FROM product WHERE title LIKE ? OR code LIKE ?"
    return db.execute(found, (q, f"%{q}%")).fetchall()
"""


def test_signs_of_like_find_no_secret(tmp_path: Path) -> None:
    for event in (
        {"token": "%"},
        {"token": "____"},
        {"token": "9f%"},
        {"code": "%"},
        {"code": "___"},
        {"code": "8%"},
    ):
        assert_blocked(tmp_path, {str(event): (LIKES, event)}, {"sql"}, ())
    for event in (
        {"token": "ab_c9"},
        {"code": "220 917"},
        {"code": "22-09-17"},
        {"q": "50%"},
        {"q": "%"},
        {"q": "snake_case"},
        {"q": "B_"},
    ):
        assert_passes(tmp_path, {str(event): (LIKES, event)}, ())


# -- elements as the code writes them ---------------------------------------------------------------

ASSERTION = """
import base64
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape
def handler(event, context):
    roles = "".join(f"<Role>{r}</Role>" for r in event.get("roles", []) if r in ("staff", "guest"))
    shown = event["shown"].replace("&", "&amp;")
    text = f'<User><Name kind="shown">{shown}</Name><Note>{escape(event.get("note", ""))}</Note>{roles}</User>'
    root = ET.fromstring(base64.b64decode(base64.b64encode(text.encode())))
    return [r.text for r in root.iter("Role")]
"""


def test_no_value_is_an_element_that_the_code_writes(tmp_path: Path) -> None:
    for shown in ("<Role>admin</Role>", "Eve <Role>admin</Role>", '<Name kind="role">x</Name>'):
        assert_blocked(tmp_path, {shown: (ASSERTION, {"shown": shown})}, {"xml"}, ())
    for event in (
        {"shown": "Ann & Bo", "roles": ["staff", "root"]},
        {"shown": "<b>Ann</b>"},
        {"shown": "Ann", "note": "<Role>admin</Role>"},
        {"shown": "&lt;Role&gt;"},
    ):
        assert_passes(tmp_path, {str(event): (ASSERTION, event)}, ())
