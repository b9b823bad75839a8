"""What a sixth set of programs showed, whose author had not read the guard: classes, not cases."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from casemate.guard.command.arguments import Argument
from casemate.guard.command.unknown_code import plain
from casemate.guard.core import Guard
from casemate.guard.nosql import paths
from casemate.guard.origin import Origin, Span
from casemate.guard.pages import judgement as pages
from casemate.guard.verdict import BlockedError
from casemate.guard.written import records
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

PRELOAD = (
    "email.message",
    "email.mime.text",
    "lxml.etree",
    "xmltodict",
    "pymongo.collection",
    "sqlite3",
)
SINKS = {"code", "command", "file", "header", "log", "nosql", "response", "sql", "xml"}

NODE = "import subprocess\nsubprocess.run(['node', '-e', {code}], capture_output=True)"
SHOWN = NODE.format(code="\"console.log('hi ' + '\" + event['v'] + \"')\"")
RUN = NODE.format(code="\"require('child_process').execSync('ls \" + event['v'] + \"')\"")
JQ = "import subprocess\nsubprocess.run(['jq', '-n', {code}], capture_output=True)"
JQ_TEXT = JQ.format(code="'{a: 1} | select(.n == \"' + event['v'] + '\")'")
JQ_KEYS = JQ.format(code="'{id: 1} | {' + ', '.join(event['v']) + '}'")
READ = (
    "import subprocess\nsubprocess.run(['sh', '-c', 'while read -r f; do eval \"ls \\\\\"$f\\\\\"\"; "
    "done'], input='\\n'.join(event['v']) + '\\n', text=True, capture_output=True)"
)
SUBJECT = (
    "import subprocess\nsubprocess.run(['openssl', 'req', '-subj', f\"/O=x/CN={event['v']}\"], "
    "input='', text=True, capture_output=True)"
)
CURL = (
    "import subprocess\nsubprocess.run(['curl', '-q', '-s', '-K', '-'], input=f'url = "
    '"file:///dev/null"\\nheader = "X-A: {event["v"]}"\\n\', text=True, capture_output=True)'
)
MAILER = (
    "import subprocess\nfrom pathlib import Path\np = Path('/tmp/sendmail')\n"
    "p.write_text('#!/bin/cat\\n')\np.chmod(0o755)\n"
    "subprocess.run([str(p), '-t'], input=f\"To: a@b.test\\nSubject: {event['v']}\\n\\nhi\\n\", "
    "text=True, capture_output=True)"
)
MAKE = (
    "from pathlib import Path\n"
    "Path('/tmp/Makefile').write_text(f\"NAME := {event['v']}\\nall:\\n\\t@echo hi\\n\")"
)
MAIL = (
    "from email.message import EmailMessage\nm = EmailMessage()\nm.set_content('x')\n"
    "m.add_alternative(f\"<p>{event['v']}</p>\", subtype='html')"
)
PART = "from email.mime.text import MIMEText\nMIMEText('<p>' + event['v'] + '</p>', 'html')"
LINK = (
    "import html\nfrom email.message import EmailMessage\nm = EmailMessage()\n"
    "m.set_content(f\"<a href='{html.escape(event['v'])}'>x</a>\", subtype='html')"
)
XML = "import xmltodict\nxmltodict.parse(f\"<o><n id='{event['i']}'>{event['v']}</n></o>\")"
XSL = (
    'from lxml import etree\netree.fromstring(\'<x:stylesheet version="1.0" xmlns:x="http://www.w3'
    '.org/1999/XSL/Transform"><x:template match="/"><a href="{}"/><x:value-of select="{}"/>'
    "</x:template></x:stylesheet>'.format(event.get('h', 'x'), event['v']))"
)


def answer(kind: str, body: str) -> str:
    """Return a handler that answers a text of a content type."""
    return f"return {{'status': 200, 'headers': {{'content-type': '{kind}'}}, 'body': {body}}}"


BUTTON = answer("text/html", "f\"<button onclick=\\\"pick('{event['v']}')\\\">x</button>\"")
STYLE = answer("text/html", "f\"<style>p {{ color: {event['v']} }}</style>\"")
FEED = answer("application/rss+xml", "f\"<rss><title>{event['v']}</title></rss>\"")
TARGET = (
    "import socket\na, b = socket.socketpair()\n"
    "a.sendall(f\"GET {event['v']} HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n\".encode())"
)
LOG = (
    "with open('/tmp/a.log', 'a') as f:\n"
    "    f.write(f\"2026 {event['a']} {'FAIL'} user={event.get('v', 'x')}\\n\")"
)
TRAIL = (
    "with open('/tmp/trail', 'a') as f:\n"
    "    print('key=1|role=viewer|by=' + event['v'] + '|what=x', file=f)"
)
LOOKUP = (
    "import operator\nclass Rates:\n    def __init__(self):\n        self.held = {'a': 1}\n"
    "def handler(event, context):\n    return str(operator.attrgetter(event['v'])(Rates()))"
)
LIMITS = "return eval(f\"dict({event['v']})\")"
FILLED = "return eval(f\"dict(role='viewer', name='{event['v']}')\")"
PIPE = (
    "from pymongo.collection import Collection\nc = Collection.__new__(Collection)\n"
    "try:\n    c.aggregate([{'$match': {'a': 1}}] + event['v'])\nexcept Exception:\n    pass"
)
TABLE = (
    "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('CREATE TABLE docs (title, token)')\n"
    "c.execute(f\"SELECT title FROM docs WHERE 1 AND {event['v']} LIKE ?\", ('x',))"
)
BRANCH = (
    "import subprocess\n"
    "subprocess.run(['git', 'check-ref-format', {option}, event['v']], capture_output=True)"
)

VULNERABLE: Cases = {
    "node: ends its literal": (SHOWN, {"v": "' + process.env.X + '"}),
    "node: a literal that is run": (RUN, {"v": "x; id"}),
    "jq: out of a text": (JQ_TEXT, {"v": '") or ("" == "'}),
    "jq: code within a text": (JQ_TEXT, {"v": "\\(env.HOME)"}),
    "jq: a key with a value": (JQ_KEYS, {"v": ["id", "t: env.HOME"]}),
    "a line that is evaluated": (READ, {"v": ["a", '"; id; "']}),
    "another field of a subject": (SUBJECT, {"v": "x/CN=admin.test"}),
    "a configuration of curl": (CURL, {"v": 'x"\nurl = "file:///etc/passwd'}),
    "a configuration of curl by escapes": (CURL, {"v": "x\\r\\nX-B: 1"}),
    "a mail that is piped": (MAILER, {"v": "x\nBcc: all@e.test"}),
    "a function of make": (MAKE, {"v": "x$(shell id)"}),
    "a function of make after signs": (MAKE, {"v": "x$$$(shell id)"}),
    "markup in a mail": (MAIL, {"v": "<script src=//e.test></script>"}),
    "markup in an old mail": (PART, {"v": "<form action=//e.test>"}),
    "a script as an address of a mail": (LINK, {"v": "javascript:alert(1)"}),
    "an element of xmltodict": (XML, {"i": "1", "v": "x</n><n>y"}),
    "an attribute of xmltodict": (XML, {"i": "1' a='2", "v": "x"}),
    "a path in a stylesheet": (XSL, {"v": "//secret/@name"}),
    "a path in braces": (XSL, {"v": "@a", "h": "{//secret}"}),
    "an element of a feed": (FEED, {"v": "x</title><link>http://e.test</link><title>"}),
    "a script of an attribute": (BUTTON, {"v": "'-alert(1)-'"}),
    "a script of an attribute by entities": (BUTTON, {"v": "&#39;-alert(1)-&#39;"}),
    "a style that fetches": (STYLE, {"v": "url(//e.test)"}),
    "a target that climbs": (TARGET, {"v": "/a/../../x"}),
    "a target with a line end": (TARGET, {"v": "/a HTTP/1.1\r\nX-A: 1"}),
    "a record that data ends": (LOG, {"a": "1.2.3.4 OK user=z\nx"}),
    "a field of a trail": (TRAIL, {"v": "eve|role=admin"}),
    "a record of a trail": (TRAIL, {"v": "eve\nkey=2"}),
    "a method of an attribute": (LOOKUP, {"v": "held.update"}),
    "an argument of dict": (FILLED, {"v": "x', admin=True, y='"}),
    "a call in dict": (LIMITS, {"v": "a=print(1)"}),
    "a map that is spread": (LIMITS, {"v": "**globals()"}),
    "a hidden column with its table": (TABLE, {"v": "docs.token"}),
    "a column of another table": (TABLE, {"v": "other.title"}),
    "an option of git": (BRANCH.format(option="'x'"), {"v": "--output=/tmp/x"}),
    "a stage": (PIPE, {"v": [{"$lookup": {"from": "users", "as": "u", "pipeline": []}}]}),
    "an order by what is hidden": (PIPE, {"v": [{"$sort": {"password": 1}}]}),
}

SAFE: Cases = {
    **{
        f"node {n}": (SHOWN, {"v": v})
        for n, v in enumerate(('a "b" (c); d < e', "${x} // y", "/* x */"))
    },
    **{f"jq {n}": (JQ_TEXT, {"v": v}) for n, v in enumerate(("O'Brien | x; (y) $z", ".[] {a}"))},
    "jq: keys": (JQ_KEYS, {"v": ["id", "name"]}),
    "lines": (READ, {"v": ["a.txt", "b c.txt", "missing (1).txt"]}),
    "a subject": (SUBJECT, {"v": "O'Brien; (UK) -- + Ltd"}),
    "curl": (CURL, {"v": "Weekly: O'Brien & co; 50% -- done"}),
    "a mail's subject": (MAILER, {"v": "Weekly: done"}),
    "make": (MAKE, {"v": "Big shop & $$(x) for $5"}),
    "text in a mail": (MAIL, {"v": "2 < 3 & 5 > 4"}),
    "a link in a mail": (LINK, {"v": "https://a.test/?x='y'"}),
    "xmltodict": (XML, {"i": "a-1", "v": '2 > 1 &amp; "so" much; <b>x</b>'}),
    "an attribute in a stylesheet": (XSL, {"v": "@price"}),
    "a feed": (FEED, {"v": "a < b & c > d"}),
    "a text in an attribute": (BUTTON, {"v": "Blue lamp (large), 5 W; new ${x}"}),
    "a colour": (STYLE, {"v": "rgba(1, 2, 3, 0.5)"}),
    "a target": (TARGET, {"v": "/status?q=a:b&x=%0d%0a"}),
    "words of a log": (LOG, {"a": "1.2.3.4", "v": "O'Brien FAIL user=root"}),
    "lines of a log": (LOG, {"a": "1.2.3.4", "v": "one\ntwo"}),
    "a trail": (TRAIL, {"v": "a=b; -- ok\nrole: admin asked"}),
    "an attribute": (LOOKUP, {"v": "held"}),
    "limits": (LIMITS, {"v": "cpu=90, low=-5, note='a; b -- c'"}),
    "a column with its table": (TABLE, {"v": "docs.title"}),
    "a branch": (BRANCH.format(option="'--branch'"), {"v": "--output=/tmp/x"}),
    "paging": (PIPE, {"v": [{"$sort": {"title": -1}}, {"$skip": 5}, {"$limit": 5}]}),
}


def test_attacks_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, placed(VULNERABLE, tmp_path), SINKS, PRELOAD)


def test_harmless_uses_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(SAFE, tmp_path), PRELOAD)


def _watched(name: str, guard: Guard, made: str) -> Any:
    """Return a stand-in of a library's module with the methods that the guard wraps."""
    library = ModuleType(name)
    exec(made, vars(library))
    paths.patches("nosql")[name](guard, library)
    return library


def _passes(call: Any, *given: Any) -> bool:
    try:
        call(*given)
    except BlockedError:
        return False
    return True


GRAPHQL = "class Parser:\n    def __init__(self, source, no_location=False): pass"
TINYDB = "class Query:\n    def matches(self, regex, flags=0): pass\n    search = matches"


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        ('ann") { name } admin x: user(name: "y', False),
        ("O'Brien { x } (y) # no comment", True),
        ("ann", True),
    ],
)
def test_a_value_in_a_document_of_graphql(value: str, passes: bool) -> None:
    guard = Guard("/function/code")
    library = _watched("graphql.language.parser", guard, GRAPHQL)
    guard.begin({"v": value, "own": "{ all }"})
    assert _passes(library.Parser, f'query {{ user(name: "{value}") {{ name }} }}') is passes
    assert _passes(library.Parser, value)  # a client's own


def test_a_pattern_of_tinydb() -> None:
    guard = Guard("/function/code")
    library = _watched("tinydb.queries", guard, TINYDB)
    guard.begin({"a": ".*|bob", "b": "o'brien-x"})
    assert not _passes(library.Query().matches, "^.*|bob@example$")
    assert _passes(library.Query().matches, "^o'brien-x@example$")
    assert _passes(library.Query().search, ".*|bob")  # one that is the event's is meant


def test_hostile_texts_take_linear_time() -> None:
    origin = Origin("event", "/v")
    started = time.process_time()
    text = "a|b=" * 30_000
    records.judge_trail("x|b=1 " + text, [Span(6, len(text) + 6, origin, True)])
    many = [Span(n, n + 1, origin, True) for n in range(0, 60_000, 2)]
    records.judge_trail("x=1|" * 15_000, many)
    page = "<b onclick=\"f('" + "a;" * 30_000 + "')\">"
    pages.judge(page, [Span(n, n + 2, origin, True) for n in range(15, 60_000, 2)], ())
    for name in ("node", "jq"):
        plain(Argument('"' * 60_000, [Span(n, n + 1, origin, True) for n in range(60_000)]), name)
    assert time.process_time() - started < 2.0
