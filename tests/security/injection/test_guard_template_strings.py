"""Template strings (PEP 750, Python 3.14), which a program or its library puts together."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="syntax of Python 3.14")

RENDERED = """
import sqlite3
def shown(template):
    return "".join(p if isinstance(p, str) else format(p.value, p.format_spec) for p in template)
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("create table t (name, pin)")
    name = event["name"]
    return db.execute(shown(t"SELECT name FROM t WHERE name = '{name}'")).fetchall()
"""
BOUND = """
import sqlite3
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("create table t (name, pin)")
    name = event["name"]
    template = t"SELECT name FROM t WHERE name = {name}"
    return db.execute("?".join(template.strings), [i.value for i in template.interpolations]).fetchall()
"""
PAGE = """
from html import escape
def handler(event, context):
    name = event["name"]
    page = t"<p title='{name}'>{name}</p>"
    body = "".join(p if isinstance(p, str) else SHOWN(p.value) for p in page)
    return {"status": 200, "headers": {"content-type": "text/html"}, "body": body}
"""


def test_data_in_a_template_string_is_data(tmp_path: Path) -> None:
    cases: Cases = {
        "a name": (RENDERED, {"name": "Ada Lovelace"}),
        "bound": (BOUND, {"name": "x' OR '1'='1"}),
        "escaped": (PAGE.replace("SHOWN", "escape"), {"name": "<b>it's</b>"}),
    }
    assert_passes(tmp_path, cases, ("sqlite3",))


def test_what_ends_its_place_is_stopped(tmp_path: Path) -> None:
    cases: Cases = {
        "a quote": (RENDERED, {"name": "x' OR '1'='1"}),
        "markup": (PAGE.replace("SHOWN", "str"), {"name": "<script>alert(1)</script>"}),
    }
    assert_blocked(tmp_path, cases, {"sql", "response"}, ("sqlite3",))
