"""Texts that the guard once lost on their way to a sink, and harmless ones that it took for data."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes, run

_DB = """
import base64, json, re, sqlite3, string
def db():
    c = sqlite3.connect(":memory:")
    c.execute("CREATE TABLE users(id INTEGER, user_id INTEGER, name TEXT, pw TEXT)")
    return c
"""
_TREE = """
from lxml import etree
def tree(): return etree.fromstring("<r><u n='1'/><u n='2'/></r>")
"""


def _token(text: bytes) -> str:
    return "h." + base64.urlsafe_b64encode(text).decode().rstrip("=") + ".s"


_CLAIMS = """
def handler(event, context):
    part = event["token"].split(".")[1]
    part += "=" * (-len(part) % 4)
    name = json.loads(base64.urlsafe_b64decode(part))["sub"]
    return db().execute(f"SELECT * FROM users WHERE name = '{name}'").fetchall()
"""
_SUBSTITUTED = """
SQL = string.Template("SELECT '$$', name FROM users WHERE id = $id AND name = '${name}'")
def handler(event, context):
    return db().execute(SQL.substitute(event)).fetchall()
"""
_GROUP = """
def handler(event, context):
    found = re.match(r"^/u/(?P<id>[^/]+)/x$", event["path"])
    return db().execute("SELECT name FROM users WHERE user_id = " + found["id"]).fetchall()
"""
_STEPS = """
def handler(event, context):
    return [tree().xpath("//u[@n=" + step + "]")
            for step in event["steps"].split(";")]
"""
_CONCAT = """
def literal(text):
    if "'" not in text: return f"'{text}'"
    return "concat(" + ", \\"'\\", ".join(f"'{part}'" for part in text.split("'")) + ")"
def handler(event, context): return tree().xpath("//u[@n=" + literal(event["n"]) + "]")
"""
_SEPARATOR = """
def handler(event, context):
    words = event["text"].split()
    marks = ",".join("?" * len(words))
    return db().execute(f"SELECT * FROM users WHERE name IN ({marks})", words).fetchall()
"""
_REVERSED = """
def handler(event, context):
    name = "".join(reversed(event["name"]))
    return db().execute(f"SELECT * FROM users WHERE name = '{name}'").fetchall()
"""
_CHAINED = """
from itertools import chain
def handler(event, context):
    parts = chain(["SELECT * FROM users WHERE name = '"], event["name"], ["'"])
    return db().execute("".join(parts)).fetchall()
"""
_BETWEEN_QUOTES = """
def handler(event, context):
    letters = [c for c in event["name"] if c != "."]
    letters.insert(0, "'")
    letters.append("'")
    return db().execute("SELECT * FROM users WHERE name = " + "".join(letters)).fetchall()
"""
_UNESCAPED = """
def handler(event, context):
    text, out, place = event["name"], "", 0
    while place < len(text):
        if text[place] == "\\\\":
            place += 1
        c = text[place]
        out += c
        place += 1
    return db().execute("SELECT * FROM users WHERE name = '" + out + "'").fetchall()
"""
_HALVES = """
def handler(event, context):
    text = event["name"]
    half = len(text) // 2
    name = text[half:] + text[:half]
    return db().execute(f"SELECT * FROM users WHERE name = '{name}'").fetchall()
"""
_CAPWORDS = """
def handler(event, context):
    name = string.capwords(event["name"])
    return db().execute(f"SELECT * FROM users WHERE name = '{name}'").fetchall()
"""
_REPR = """
def handler(event, context):
    return db().execute(f"SELECT * FROM users WHERE name = {event['name']!r}").fetchall()
"""
_ASCII = _REPR.replace("!r", "!a")
_DUMPED = """
def handler(event, context):
    pw = json.dumps({"pw": event["name"]})
    return db().execute(f"UPDATE users SET pw = '{pw}' WHERE id = 1").rowcount
"""
_SPELLED = """
def handler(event, context):
    columns = re.findall(r"\\b(name|pw)\\b", event["sort"])
    return db().execute("SELECT id FROM users ORDER BY " + ", ".join(columns)).fetchall()
"""
_SPELLED_GROUP = """
def handler(event, context):
    columns = [m.group(1) for m in re.finditer("(name|pw) ?", event["sort"])]
    return db().execute("SELECT id FROM users ORDER BY " + ", ".join(columns)).fetchall()
"""
_GROUPS = """
def handler(event, context):
    marks = []
    for place, _ in enumerate(event["names"]):
        marks += ["(", "?", ")"] if place == 0 else [",", "(", "?", ")"]
    sql = "INSERT INTO users (name) VALUES " + "".join(marks)
    return db().execute(sql, event["names"]).rowcount
"""

ATTACKS: Cases = {
    "a character that is the code's, among others": (
        _DB + _BETWEEN_QUOTES,
        {"name": "'.or.'a'='a"},
    ),
    "a word that a pattern finds": (
        _DB + _SPELLED.replace("(name|pw)", "\\w+"),
        {"sort": "reset_token"},
    ),
    "characters the other way round": (_DB + _REVERSED, {"name": "--1=1 RO 'a"}),
    "characters between the code's texts": (_DB + _CHAINED, {"name": "a' OR 1=1 --"}),
    "characters between the code's quotes": (_DB + _BETWEEN_QUOTES, {"name": "a.' O.R 1=1 --"}),
    "characters added to one of two names": (_DB + _UNESCAPED, {"name": "a\\' OR 1=1 \\--"}),
    "halves that changed places": (_DB + _HALVES, {"name": "=1 --ax' OR 1"}),
    "capwords": (_DB + _CAPWORDS, {"name": "a'   or   1=1 --"}),
    "repr with a backslash": (_DB + _REPR, {"name": "a\\' OR 1=1 --\""}),
    "repr with a line's end": (_DB + _REPR, {"name": "a\n\\' OR 1=1 --\""}),
    "ascii": (_DB + _ASCII, {"name": "\xe9\\' OR 1=1 --\""}),
    "JSON with escaped letters": (_DB + _DUMPED, {"name": "\xe9', name = 'x"}),
    "a token's segment": (_DB + _CLAIMS, {"token": _token(b'{"sub": "x\' or 1=1 --"}')}),
    "a short name in a template of texts": (_DB + _SUBSTITUTED, {"id": "id", "name": "x"}),
    "a quote in a template of texts": (_DB + _SUBSTITUTED, {"id": "1", "name": "x' or '1'='1"}),
    "one character of a list": (_TREE + _STEPS, {"steps": "1;."}),
}
HARMLESS: Cases = {
    "the code's marks, in the event as well": (_DB + _SEPARATOR, {"text": "why?, what?, how?"}),
    "the code's groups of marks, in the event as well": (
        _DB + _GROUPS,
        {"names": ["f(?), g(?), h(?)", "x"]},
    ),
    "words that a pattern spells out": (_DB + _SPELLED, {"sort": "name; drop, pw"}),
    "groups that a pattern spells out": (_DB + _SPELLED_GROUP, {"sort": "name pw"}),
    "characters the other way round": (_DB + _REVERSED, {"name": "ada -- x"}),
    "characters between the code's texts": (_DB + _CHAINED, {"name": "ada -- x"}),
    "characters between the code's quotes": (_DB + _BETWEEN_QUOTES, {"name": "a.d.a -- x"}),
    "characters added to one of two names": (_DB + _UNESCAPED, {"name": "a\\d\\a -- x"}),
    "halves that changed places": (_DB + _HALVES, {"name": "love ada -- "}),
    "capwords": (_DB + _CAPWORDS, {"name": "ada   of -- x"}),
    "repr": (_DB + _REPR, {"name": "ada -- x"}),
    "ascii": (_DB + _ASCII, {"name": "\xe9 -- x"}),
    "JSON with escaped letters": (_DB + _DUMPED, {"name": "\xe9, name = x"}),
    "a token's segment": (_DB + _CLAIMS, {"token": _token(b'{"sub": "ada -- x"}')}),
    "a template of texts": (_DB + _SUBSTITUTED, {"id": "1", "name": "$id; -- ${name}"}),
    "a number of a path": (
        _DB + _GROUP.replace('found["id"]', 'found.group("id")'),
        {"path": "/u/7/x"},
    ),
    "a text with both quotes": (_TREE + _CONCAT, {"n": "both \" and ' or '1'='1"}),
    "the code's own separator": (_DB + _SEPARATOR, {"text": "a , b ? ,"}),
}


_DOCUMENT = """
import base64, io, zipfile
from lxml import etree
def handler(event, context):
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(event["file"])))
    parser = etree.XMLParser(resolve_entities=True)
    return etree.fromstring(archive.read("word/document.xml"), parser).findtext("a")
"""


def _archive(text: str) -> str:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", text)
    return base64.b64encode(data.getvalue()).decode()


_ENTITY = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><a>&x;</a></r>'


def test_documents_in_archives_are_known(tmp_path: Path) -> None:
    cases = {"an office document": (_DOCUMENT, {"file": _archive(_ENTITY)})}
    assert_blocked(tmp_path, cases, {"xml"}, ("lxml.etree",))


def test_harmless_and_broken_archives_pass(tmp_path: Path) -> None:
    broken = _archive("<r/>")
    answers = run(
        tmp_path,
        {
            "harmless": (_DOCUMENT, {"file": _archive("<r><a>&lt;!ENTITY</a></r>")}),
            "cut short": (_DOCUMENT, {"file": broken[: len(broken) // 2 // 4 * 4]}),
        },
        ("lxml.etree",),
    )
    assert answers["harmless"].outcome == "ok"
    assert answers["cut short"].outcome == "error"


def test_texts_are_followed_to_the_sink(tmp_path: Path) -> None:
    assert_blocked(tmp_path, ATTACKS, {"sql", "xpath"}, ("sqlite3", "lxml.etree"))


def test_harmless_texts_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, HARMLESS, ("sqlite3", "lxml.etree"))
