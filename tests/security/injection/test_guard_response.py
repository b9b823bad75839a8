"""Answers, patterns and attributes: what the event may not put into them, and what it may."""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.core import Guard
from casemate.guard.exponential import is_exponential
from casemate.guard.pages.places import MAX_PARTS, parts
from casemate.guard.sinks.response import check_answer
from casemate.guard.verdict import BlockedError
from support.guard_cases import Cases, assert_blocked, assert_passes, run

EVIL = "https://evil.test/phish"


def to(target: str, before: str = "") -> str:
    """Return a handler that redirects."""
    return f"{before}return {{'status': 302, 'headers': {{'location': {target}}}}}"


def header(name: str, value: str, before: str = "") -> str:
    """Return a handler that sets a header."""
    return f"{before}return {{'status': 200, 'headers': {{{name}: {value}}}, 'body': 'x'}}"


VULNERABLE: Cases = {
    "whole target": (to("event['next']"), {"next": EVIL}),
    "query parameter": (
        to("event['queryStringParameters']['r']"),
        {"queryStringParameters": {"r": EVIL}},
    ),
    "without a scheme": (to("event['next']"), {"next": "//evil.test/x"}),
    "backslashes": (to("event['next']"), {"next": "/\\evil.test/x"}),
    "tab": (to("event['next']"), {"next": "/\t/evil.test/x"}),
    "script": (to("event['next']"), {"next": "javascript:alert(1)"}),
    "data": (to("event['next']"), {"next": "data:text/html,x"}),
    "blank before": (to("event['next']"), {"next": " https://evil.test"}),
    "host grows": (to("'https://example.com' + event['p']"), {"p": ".evil.test/"}),
    "credentials": (to("'https://example.com' + event['p']"), {"p": "@evil.test/"}),
    "host": (to("f\"https://{event['h']}/login\""), {"h": "evil.test"}),
    "host header": (
        to("'https://' + event['headers']['host'] + '/login'"),
        {"headers": {"host": "evil.test"}},
    ),
    "beginning checked alone": (
        to("event['n']", "if not event['n'].startswith('/'):\n    raise ValueError\n"),
        {"n": "//evil.test"},
    ),
    "name searched for": (
        to("event['n']", "if 'example.com' not in event['n']:\n    raise ValueError\n"),
        {"n": "https://evil.test/example.com"},
    ),
    "beginning of a host checked": (
        to(
            "event['n']",
            "if not event['n'].startswith('https://example.com'):\n    raise ValueError\n",
        ),
        {"n": "https://example.com.evil.test"},
    ),
    "AWS shape": (
        "return {'statusCode': 301, 'headers': {'Location': event['u']}}",
        {"u": EVIL},
    ),
    "AWS shape, several values": (
        "return {'statusCode': 301, 'multiValueHeaders': {'Location': [event['u']]}}",
        {"u": EVIL},
    ),
    "refresh": (header("'Refresh'", "'0; url=' + event['u']"), {"u": EVIL}),
    "JSON in a string": (
        to("json.loads(event['body'])['next']", "import json\n"),
        {"body": json.dumps({"next": EVIL})},
    ),
    "base64": (
        to("base64.b64decode(event['s']).decode()", "import base64\n"),
        {"s": base64.b64encode(EVIL.encode()).decode()},
    ),
    "URL": (to("unquote(event['s'])", "from urllib.parse import unquote\n"), {"s": quote(EVIL)}),
    "split": (header("'x-name'", "event['n']"), {"n": "a\r\nset-cookie: admin=1"}),
    "split, decoded": (
        header("'x-name'", "unquote(event['n'])", "from urllib.parse import unquote\n"),
        {"n": "a%0d%0aset-cookie:%20admin=1"},
    ),
    "split, name": (header("event['n']", "'1'"), {"n": "a: b\r\nc"}),
    "split, target": (to("'/users/' + event['id']"), {"id": "1\r\nx: y"}),
    "split, list": (
        header("'vary'", "['a', event['n']]"),
        {"n": "b\n\n<script>"},
    ),
    "cookie": (
        header("'set-cookie'", "f\"lang={event['l']}; HttpOnly\""),
        {"l": "de; Domain=evil.test"},
    ),
}

SAFE: Cases = {
    "path": (to("event['next']"), {"next": "/account/orders?page=2#top"}),
    "path without a slash": (to("event['next']"), {"next": "orders/7"}),
    "id in a path": (to("'/users/' + event['id']"), {"id": "4711"}),
    "id in a URL": (to("f\"https://example.com/users/{event['id']}\""), {"id": "ada@b.org"}),
    "quoted query": (
        to(
            "'https://login.example.com/?next=' + quote(event['n'], safe='')",
            "from urllib.parse import quote\n",
        ),
        {"n": EVIL},
    ),
    "hosts allowed": (
        to(
            "event['n']",
            "from urllib.parse import urlsplit\n"
            "if urlsplit(event['n']).hostname not in {'shop.example.com', 'example.com'}:\n"
            "    raise ValueError\n",
        ),
        {"n": "https://shop.example.com/cart"},
    ),
    "host compared": (
        to(
            "target",
            "from urllib.parse import urlsplit\ntarget = event['n']\n"
            "if urlsplit(target).netloc != 'shop.example.com':\n    target = '/'\n",
        ),
        {"n": "https://shop.example.com/a"},
    ),
    "host compared, refused": (
        to(
            "target",
            "from urllib.parse import urlsplit\ntarget = event['n']\n"
            "if urlsplit(target).netloc != 'shop.example.com':\n    target = '/'\n",
        ),
        {"n": EVIL},
    ),
    "table": (to("{'a': 'https://a.example.com'}.get(event['k'], '/')"), {"k": "a"}),
    "beginning checked": (
        to(
            "event['n']",
            "if not event['n'].startswith('https://intra.example.net/'):\n    raise ValueError\n",
        ),
        {"n": "https://intra.example.net/x"},
    ),
    "line breaks taken out": (
        header("'x-name'", "event['n'].replace('\\r', '').replace('\\n', '')"),
        {"n": "a\r\nb: c"},
    ),
    "value of a header": (header("'x-name'", "event['n']"), {"n": "Ada; Lovelace, https://x.y"}),
    "quoted header": (
        header(
            "'content-disposition'",
            "\"attachment; filename*=UTF-8''\" + quote(event['n'])",
            "from urllib.parse import quote\n",
        ),
        {"n": "a\r\nb.txt"},
    ),
    "cookie": (header("'set-cookie'", "f\"id={event['id']}; HttpOnly\""), {"id": "abc123"}),
    "cookie made": (
        "from http.cookies import SimpleCookie\nc = SimpleCookie()\nc['n'] = event['n']\n"
        "return {'status': 200, 'headers': {'set-cookie': c['n'].OutputString()}}",
        {"n": "a; Domain=evil.test"},
    ),
    "body": (
        "return {'status': 200, 'headers': {'content-type': 'text/plain'}, 'body': event['t']}",
        {"t": "a\r\nLocation: https://evil.test"},
    ),
    "no answer of HTTP": ("return {'location': event['u']}", {"u": EVIL}),
    "not a redirect": (header("'x-origin'", "event['u']"), {"u": EVIL}),
    "tenant": (to("f\"https://{event['t']}.example.com/\""), {"t": "www"}),
    "mail": (to("'/sent?to=' + event['m']"), {"m": "ada@example.com"}),
    "JSON": ("import json\nreturn {'status': 200, 'body': json.dumps(event)}", {"a": "\r\n//x"}),
}

LONG = "a" * 80 + "!"
HOSTILE_PATTERNS: Cases = {
    "pattern": ("import re\nreturn re.search(event['p'], 'x')", {"p": "(a+)+$"}),
    "compiled": ("import re\nreturn re.compile(event['p'])", {"p": "([a-z]*)*x"}),
    "in the midst": ("import re\nreturn re.match('^' + event['p'] + '$', 'x')", {"p": "(.*)*"}),
    "subject": ("import re\nreturn bool(re.match(r'^(\\w+)+$', event['t']))", {"t": LONG}),
    "subject, compiled": (
        "import re\nP = re.compile('(a|a)*b')\n"
        "def handler(event, context):\n    return P.search(event['t'])",
        {"t": LONG},
    ),
    "substitution": ("import re\nreturn re.sub('(a*)*b', '', event['t'])", {"t": LONG}),
    "class": (
        "class A:\n    pass\n"
        "def handler(event, context):\n    a = A()\n"
        "    for name, value in event.items():\n        setattr(a, name, value)",
        {"__class__": "x"},
    ),
}
PLAIN_PATTERNS: Cases = {
    "escaped": ("import re\nreturn re.search(re.escape(event['p']), 'x')", {"p": "(a+)+$"}),
    "words": ("import re\nreturn bool(re.search(event['p'], 'ada'))", {"p": "ad."}),
    "long subject": (
        "import re\nreturn bool(re.fullmatch(r'[a-z]+!?', event['t']))",
        {"t": LONG},
    ),
    "mail": (
        "import re\nreturn bool(re.fullmatch(r'[\\w.+-]+@[\\w-]+(?:\\.[\\w-]+)+', event['m']))",
        {"m": "a" * 70 + "@example.com"},
    ),
    "short subject": ("import re\nreturn bool(re.match(r'^(\\w+)+$', event['t']))", {"t": "ada"}),
    "text's own": ("return event['t'].find('(a+)+')", {"t": LONG}),
    "attributes": (
        "class A:\n    pass\n"
        "def handler(event, context):\n    a = A()\n"
        "    for name, value in event.items():\n        setattr(a, name, value)\n"
        "    return a.city",
        {"city": "Bern"},
    ),
}


def test_answers_that_lead_away_or_split_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"response"}, ())


def test_answers_that_stay_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, ())


def test_patterns_of_exponential_time_and_hidden_attributes_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, HOSTILE_PATTERNS, {"regex", "attributes"}, ())


def test_plain_patterns_and_attributes_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, PLAIN_PATTERNS, ())


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a*)*b", "([a-z]+)*!", "(a|a)*b", r"^(\w+\s?)*$", "(.*)*x", "((a+)b?)+"]
)
def test_exponential_patterns_are_known(pattern: str) -> None:
    assert is_exponential(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d+",
        "[a-z]+@[a-z]+",
        "(?:ab+c)+",
        r"(\d+,)*\d+",
        r"[\w.-]+(?:\.[\w-]+)+",
        "(a|b)*",
        "a{2,3}",
        "(x",
        r"^https?://\S+$",
        r"(?:[^'\\]|\\.)*",
    ],
)
def test_usual_patterns_are_not_exponential(pattern: str) -> None:
    assert not is_exponential(pattern)


@given(st.text(alphabet="ab()*+?|[]^$\\d.{}12,", max_size=24))
def test_any_pattern_is_looked_at_in_no_time(pattern: str) -> None:
    before = time.process_time()
    is_exponential(pattern)
    assert time.process_time() - before < 1
    if is_exponential(pattern):
        re.compile(pattern)  # what is no pattern is none of exponential time


def test_a_record_of_an_answer_names_the_handler(tmp_path: Path) -> None:
    [(_, answer)] = run(tmp_path, {"x": (to("event['next']"), {"next": EVIL})}).items()
    [record] = answer.records
    assert (record["place"], record["location"]) == ("app.py:1", "app:handler")


@pytest.mark.parametrize(
    ("source", "status"),
    [("table:links", "passes"), ("bucket:links", "passes"), ("event", "stops")],
)
def test_a_link_that_was_stored_is_the_functions_own(source: str, status: str) -> None:
    guard = Guard()
    guard.begin({"slug": "abc"})
    link = {"url": EVIL}
    guard.add(source, link)
    answer = {"status": 302, "headers": {"location": link["url"]}}
    if status == "passes":
        check_answer(guard, answer)
        part = {"status": 302, "headers": {"location": f"https://{link['url'][8:]}"}}
        check_answer(guard, part)
        split = {"status": 302, "headers": {"location": link["url"] + "\r\nx: y"}}
        guard.add(source, split["headers"])
        answer = split
    with pytest.raises(BlockedError):
        check_answer(guard, answer)


@pytest.mark.parametrize("unit", ["<", "<a ", '<a b="', "</", "<a b=", "<a/ ", "<p>x</p>", "<!--"])
def test_a_page_is_cut_in_linear_time_or_not_further(unit: str) -> None:
    page = unit * (200_000 // len(unit))
    found = parts(page)
    assert len(found) <= MAX_PARTS + 4
    assert found[-1].end == len(page)


@given(st.text(alphabet="<>/!-=\"' abscript", max_size=80))
def test_parts_of_a_page_are_in_order_and_apart(page: str) -> None:
    found = parts(page)
    assert all(part.start <= part.end for part in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
