"""Texts made of numbers or of single characters, and pieces that quotes and tags stand around."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.guard.exponential import is_exponential
from support.guard_cases import Cases, assert_blocked, assert_passes

_SQL = """
import collections, itertools, json, sqlite3, struct
class Text(str): pass
def run(value):
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE users (id INTEGER, name TEXT)")
    return db.execute(value).fetchall()
def handler(event, context):
    return run("SELECT id FROM users WHERE name = '" + ({}) + "'")
"""
_CHARACTERS = """
import itertools, sqlite3
def handler(event, context):
    parts = ("SELECT id FROM users WHERE name = '", event["v"].strip(), "'")
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE users (id INTEGER, name TEXT)")
    return db.execute({}).fetchall()
"""
_EVIL, _NAME = "x' OR 1=1 --", "Ada; select -- all"
_JOINED = """
import traceback
def fail(kind):
    if kind == "file":
        open("x")
    raise KeyError("of-its-own")  # line_of_source
def text(kind, error):
    if kind == "trace":
        return traceback.format_exc()
def handler(event, context):
    kind, way = event["kind"], event["way"]
    try:
        fail(kind)
    except Exception as error:
        found = text(kind, error)
    if way == "header":
        return {"status": 200, "headers": {"x-said": " ".join(found.split())}, "body": "ok"}
"""
_MADE: dict[str, tuple[str, Callable[[int], str] | None, str]] = {
    "characters of codes": ("''.join(chr(int(n)) for n in event['v'].split())", str, " "),
    "mapped codes": ("''.join(map(chr, map(int, event['v'].split())))", str, " "),
    "hexadecimal codes": ("''.join([chr(int(n, 16)) for n in event['v'].split('-')])", hex, "-"),
    "shifted codes": ("''.join(chr(n - 3) for n in json.loads(event['v']))", None, ""),
}


def _codes(text: str, name: str) -> str:
    _, form, separator = _MADE[name]
    if form is None:
        return json.dumps([ord(c) + 3 for c in text])
    return separator.join(form(ord(c)).removeprefix("0x") for c in text)


def _cases(text: str) -> Cases:
    found = {n: (_SQL.format(m[0]), {"v": _codes(text, n)}) for n, m in _MADE.items()}
    data, size = text.encode(), len(text)
    mixed = bytes(b ^ 42 for b in data).hex()
    number = str(int.from_bytes(data, "big"))
    packed = base64.b64encode(bytes([len(data)]) + data).decode()
    swapped = "".join(b + a for a, b in zip((text + " ")[::2], (text + " ")[1::2], strict=False))
    more = {
        "bytes of numbers": ("bytes(b ^ 42 for b in bytes.fromhex(event['v'])).decode()", mixed),
        "a large number": (f"int(event['v']).to_bytes({size}, 'big').decode()", number),
        "a struct": (
            f"struct.unpack_from('{size}s', __import__('base64').b64decode(event['v']), 1)[0]"
            ".decode()",
            packed,
        ),
        "a turned queue": (
            "''.join((lambda d: d.rotate(3) or d)(collections.deque(event['v'])))",
            text[3:] + text[:3],
        ),
        "swapped pairs": (
            "''.join(b + a for a, b in zip(event['v'][::2], event['v'][1::2])).strip()",
            swapped,
        ),
        "written as Python": (
            "__import__('ast').literal_eval(event['v'])['n'].__add__('')",
            repr({"n": text}),
        ),
    }
    found |= {n: (_SQL.format(c), {"v": v}) for n, (c, v) in more.items()}
    chained = ("''.join(itertools.chain(*parts))", "''.join([c for p in parts for c in p])")
    return found | {
        f"chained {n}": (_CHARACTERS.format(c), {"v": text}) for n, c in enumerate(chained)
    }


_SHELL = """
import os, shlex, xml.etree.ElementTree as ET
def handler(event, context):
    return os.system("true " + {}(ET.fromstring(event["v"]).findtext("n")))
"""
_ELEMENT = "<a><n>a&#x27;; id; &#x27;</n></a>"
_BUILDER = """
import ast
from string import Formatter
class Builder(Formatter): pass
def handler(event, context):
    v = next(n.value for n in ast.walk(ast.parse(event["v"])) if isinstance(n, ast.Constant))
    scope = {}
    exec(Builder().format("def f():\\n    return 'hi {}'\\n", v), scope)
    return scope["f"]()
"""
_MAIL = """
import email, email.policy
def handler(event, context):
    body = email.message_from_string(event["v"], policy=email.policy.default).get_content()
    try:
        return open("/nowhere/data/" + body.strip()).read()
    except OSError:
        return None
"""
_HEAD = "Subject: x\nContent-Transfer-Encoding: base64\nContent-Type: text/plain\n\n"
_REGEX = """
import re
def handler(event, context): return bool(re.search(event["v"], "aab"))
"""
_LAZY = """
class Lazy:
    @property
    def __class__(self): raise RuntimeError("nobody has configured this")
settings = Lazy()
def handler(event, context): return "fine"
"""


def _encoded(text: str) -> dict[str, str]:
    return {"v": _HEAD + base64.b64encode(text.encode()).decode() + "\n"}


def test_attacks_are_stopped(tmp_path: Path) -> None:
    cases = dict(_cases(_EVIL)) | {
        "a shell without quoting": (_SHELL.format("str"), {"v": _ELEMENT}),
        "the body of a message": (_MAIL, _encoded("../../etc/passwd")),
        "a pattern": (_REGEX, {"v": "(a|aa)+b"}),
        "quotes that end a text": (_BUILDER, {"v": "x = \"' + str(1) + '\""}),
    }
    assert_blocked(tmp_path, cases, {"sql", "command", "path", "regex", "code", "nosql"}, ())


def test_what_looks_like_it_passes(tmp_path: Path) -> None:
    cases = dict(_cases(_NAME)) | {
        "a shell with quoting": (_SHELL.format("shlex.quote"), {"v": _ELEMENT}),
        "the body of a message": (_MAIL, _encoded("report.txt")),
        "a pattern": (_REGEX, {"v": "(?:[a-z]+ ?-)+b"}),
        "quotes around a value": (_BUILDER, {"v": "x = 'there (you)'"}),
        "an object that raises": (_LAZY, {}),
        # A sign that is a part of a text was looked for in the text that it is a part of.
        "a text of its own that is cut and joined": (_JOINED, {"kind": "trace", "way": "header"}),
    }
    assert_passes(tmp_path, cases, ())


@pytest.mark.parametrize(
    "pattern", ["(a|aa)+b", "(aa?)+$", "(.*a){12}", r"(\s?\w\s?)+!", r"(\w+\.\w+)*x"]
)
def test_turns_that_overlap(pattern: str) -> None:
    assert is_exponential(pattern, outside=True)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$",
        r"(/[\w.-]*)*/?$",
        r"(?:[A-Z][a-z]+ ?)+",
        r"(\d{1,3},)*\d+",
        "([^,]*,)+",
        "(foo|foobar)",
        r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}",
    ],
)
def test_turns_that_do_not_overlap(pattern: str) -> None:
    assert not is_exponential(pattern, outside=True)
