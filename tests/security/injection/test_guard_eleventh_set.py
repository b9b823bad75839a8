"""What own programs by mechanism, and an eleventh and a twelfth set, showed: classes, not cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.guard.evaluation.formulas import is_formula, is_of_values
from casemate.guard.origin import Origin, Span
from casemate.guard.paths.judgement import judge_pattern
from casemate.guard.sinks.response import _cookie
from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("urllib.request", "requests", "httpx")
DATA = Origin("event", ("q",))
TRIED = "import requests\ndef tried(u):\n    try:\n        return requests.get(u, timeout=1)\n    except OSError:\n        return None\n"
HOOK = TRIED + "def handler(event, context):\n    tried(event['url'])\n"
STATUS = TRIED + "def handler(event, context):\n    tried(f\"https://{event['host']}/status\")\n"
AFTER = (
    TRIED
    + "def handler(event, context):\n    tried(event['url'].strip() + '?done=' + event['id'])\n"
)
TENANT = (
    TRIED + "def handler(event, context):\n    tried(f\"https://{event['host']}.example.com/x\")\n"
)
JOINED = (
    TRIED + "from urllib.parse import urljoin\n"
    "def handler(event, context):\n    tried(urljoin('https://api.example.com/v1/', event['url']))\n"
)
BASED = (
    "import httpx\ndef handler(event, context):\n"
    "    with httpx.Client(base_url='https://api.example.com', trust_env=False) as client:\n"
    "        try:\n            client.get(event['url'])\n"
    "        except httpx.HTTPError:\n            pass\n"
)
BEGINNING = (
    TRIED + "def handler(event, context):\n"
    "    if event['url'].startswith('https://api.example.com'):\n        tried(event['url'])\n"
)
SEARCHED = (
    TRIED + "def handler(event, context):\n"
    "    if 'partner.example' in event['url']:\n        tried(event['url'])\n"
)
RULE = (
    "def handler(event, context):\n"
    "    rule = compile(event['e'], '<rule>', 'eval')\n"
    "    return eval(rule, {'__builtins__': {}}, {'amount': 3, 'country': 'DE'})\n"
)
BACK = (
    "from urllib.parse import urlsplit\ndef handler(event, context):\n"
    "    target = event['next']\n"
    "    if urlsplit(target).netloc != event['headers']['host']:\n        target = event['other']\n"
    "    return {'status': 302, 'headers': {'location': target}}\n"
)
SITE = {"headers": {"host": "shop.example.com"}}
FILES = "import glob\nreturn glob.glob(f\"/var/tmp/{event['n']}-*.txt\")"
FOUND = "from pathlib import Path\nreturn list(Path('/var/tmp').glob(f\"{event['n']}/*.txt\"))"

HARMLESS: Cases = {
    "a web hook": (HOOK, {"url": "https://shop.example.net:8443/in/42?t=a-b#x"}),
    "a web hook of other letters": (HOOK, {"url": "https://müller.example/hook"}),
    "a host": (STATUS, {"host": "eu.status.example.org"}),
    "a web hook with more": (AFTER, {"url": " https://hooks.example.org/a\n", "id": "7"}),
    "below a domain that was searched for": (SEARCHED, {"url": "https://a.partner.example/x"}),
    "a sum": ("return eval(event['e'])", {"e": "(3.5 - 1) * 2 ** 3 > 5"}),
    "a rule that is compiled": (RULE, {"e": "amount * 2 > 5 and country in ('DE', 'AT')"}),
    "an address of the same site": (
        BACK,
        SITE | {"next": "https://shop.example.com/a", "other": "/"},
    ),
    "a pattern of the event": (
        "import glob\nreturn glob.glob('/var/tmp/' + event['n'])",
        {"n": "*.txt"},
    ),
    "a name in a pattern": (FILES, {"n": "report [final] 2"}),
}
HOSTILE: Cases = {
    "an address that is not public": (HOOK, {"url": "http://169.254.169.254/latest/"}),
    "one in other digits": (HOOK, {"url": "http://①②⑦.0.0.1/"}),
    "one with dots of other letters": (HOOK, {"url": "http://127\u30020\u30020\u30021:9/"}),
    "one that is encoded": (HOOK, {"url": "http://127%2e0%2e0%2e1/"}),
    "one within a name": (HOOK, {"url": "http://10.0.0.1.nip.io/"}),
    "a name for few": (HOOK, {"url": "https://admin.example.com/"}),
    "credentials": (HOOK, {"url": "https://a:b@shop.example.net/"}),
    "files": (HOOK.replace("requests.get(u, timeout=1)", "__import__('urllib.request').request.urlopen(u)"), {"url": "file:///etc/passwd"}),
    "a part of a host": (TENANT, {"host": "evil.example/"}),
    "a host that hides the rest": (STATUS, {"host": "evil.example/x?"}),
    "in the place of the code's": (JOINED, {"url": "https://evil.example/"}),
    "in the place of a client's": (BASED, {"url": "https://evil.example/"}),
    "past a beginning": (BEGINNING, {"url": "https://api.example.com.evil.example/"}),
    "past a search": (SEARCHED, {"url": "https://evil.example/?partner.example"}),
    "more than a sum": ("return eval(event['e'])", {"e": "2 * len(dir())"}),
    "a rule that reaches out": (RULE, {"e": "().__class__"}),
    "an address of another site": (
        BACK,
        SITE | {"next": "https://shop.example.com.evil.example/", "other": "https://evil.example"},
    ),
    "any name in a pattern": (FILES, {"n": "*"}),
    "any folder in a pattern": (FOUND, {"n": "*"}),
}  # fmt: skip


def span(text: str, part: str) -> Span:
    """Return where data is in a text."""
    start = text.index(part)
    return Span(start, start + len(part), DATA, exact=True)


def test_harmless_values_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, HARMLESS, PRELOAD)


def test_their_hostile_twins_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, HOSTILE, {"url", "code", "path", "response"}, PRELOAD)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("1 + 2", True),
        ("max(1, 2.5) <= 3 and not 0", True),
        ("'a' == 'b'", True),
        ("9 ** 9 ** 9", False),
        ("[0] * 9999999999", False),
        ("'a' * 9999999999", False),
        ("price * 2", False),
        ("open('x')", False),
        ("(1).real", False),
        ("[x for x in (1, 2)]", False),
    ],
)
def test_formulas_of_values(text: str, *, passes: bool) -> None:
    assert is_of_values(text) is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("where(a > 1, sqrt(b) ** 2, 0)", True),
        ("a.between(1, 2)", True),
        ("name.str.contains('x', case=False)", True),
        ("name.str.cat('x')", False),
        ("name.str.contains(name.__class__)", False),
        ("a.pipe(1)", False),
    ],
)
def test_formulas_of_columns(text: str, *, passes: bool) -> None:
    assert is_formula(text, [span(text, text)], columns=True) is passes


@pytest.mark.parametrize(
    ("pattern", "part", "passes"),
    [
        ("/d/*-x.csv", "*", True),
        ("/d/*-x*.csv", "*", False),
        ("/d/a?-*.csv", "a?", True),
        ("/d/??-*.csv", "??", False),
    ],
)
def test_patterns_of_files(pattern: str, part: str, *, passes: bool) -> None:
    assert (judge_pattern(pattern, [span(pattern, part)]) is None) is passes


def test_the_end_of_a_cookie_s_value_adds_nothing() -> None:
    assert _cookie("lang=de; Path=/", [span("lang=de; Path=/", "lang=de; ")]) is None
    assert _cookie("a=b; Domain=x; c", [span("a=b; Domain=x; c", "b; Domain=x")]) is not None
