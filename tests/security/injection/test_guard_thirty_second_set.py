"""What a thirty-second set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- addresses and fields that the code puts in the place of the event's ---------------------------

MIRROR = """
import urllib.request
PUBLIC = "https://img.shop.example"
def handler(event, context):
    base = "http://127.0.0.1:%d" % int("9")
    url = event["url"].strip().replace(PUBLIC, base, 1)
    try:
        urllib.request.urlopen(url, timeout=1)
    except OSError:
        return url
"""
SHORT_FORMS = """
class Tenant:
    def __init__(self, flat):
        self.flat, self.pin = flat, "4711"
def handler(event, context):
    text = event["text"].replace("[flat]", "{tenant.flat}").replace("[date]", "{day}")
    return text.format(tenant=Tenant("1. OG"), day="1 March")
"""
RULE = """
def handler(event, context):
    rule = event["rule"].replace("&&", " and ").replace("||", " or ")
    return bool(eval(rule, {"__builtins__": {}}, {"kg": 3, "zone": "oven"}))
"""
DECODED = """
import sqlite3
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("create table t (name, secret)")
    name = event["name"].replace(OLD, NEW)
    return db.execute(f"SELECT name FROM t WHERE name = '{name}'").fetchall()
"""


def test_what_the_code_puts_in_the_place_of_the_events_is_the_codes(tmp_path: Path) -> None:
    cases: Cases = {
        "an address": (MIRROR, {"url": "https://img.shop.example/logo/o%27hara.svg?size=2"}),
        "short forms": (SHORT_FORMS, {"text": "In [flat] on [date]: it's off"}),
        "a word": (DECODED.replace("OLD, NEW", "'[co]', 'Company'"), {"name": "Tea [co]"}),
        "a word for a sign": (RULE, {"rule": "kg > 2 && zone == 'oven'"}),
    }
    assert_passes(tmp_path, cases, ("sqlite3", "urllib.request"))


def test_what_the_event_has_beside_it_is_not(tmp_path: Path) -> None:
    cases: Cases = {
        "another host": (MIRROR, {"url": "http://169.254.169.254/latest"}),
        "a longer host": (MIRROR, {"url": "https://img.shop.example.evil.example/x"}),
        "credentials": (MIRROR, {"url": "https://img.shop.example@10.0.0.1/x"}),
        "another port": (MIRROR, {"url": "https://img.shop.example0/x"}),
        "a step up": (MIRROR, {"url": "https://img.shop.example/a/../../x"}),
        "a field": (SHORT_FORMS, {"text": "[flat] {tenant.__class__}"}),
        "what is hidden": (SHORT_FORMS, {"text": "[flat] {tenant.pin}"}),
        "a quote": (DECODED.replace("OLD, NEW", "'[co]', 'Company'"), {"name": "[co]' OR '1'='1"}),
        "decoded": (DECODED.replace("OLD, NEW", "'%27', chr(39)"), {"name": "%27 OR %271%27=%271"}),
    }
    assert_blocked(tmp_path, cases, {"url", "code", "sql"}, ("sqlite3", "urllib.request"))


PREVIEW = """
import re, urllib.request
from urllib.parse import urlsplit
def handler(event, context):
    found = re.search(r"https?://[^\\s<>]+", event["text"])
    url = found.group(0).rstrip(".,")
    if (urlsplit(url).hostname or "") in {"localhost", "127.0.0.1"}:
        return None
    proxy = urllib.request.ProxyHandler({"http": "http://127.0.0.1:9"})
    try:
        with urllib.request.build_opener(proxy).open(url.replace("https://", "http://", 1), timeout=1) as page:
            return page.read(100).decode()
    except OSError:
        return url
"""


def test_a_link_whose_scheme_is_replaced_is_the_link(tmp_path: Path) -> None:
    """ADR 0176: what the code finds in a text and reads may be any public page."""
    texts = ("see https://www.example.com/a?b=c#d.", "http://example.org/")
    assert_passes(tmp_path, {t: (PREVIEW, {"text": t}) for t in texts}, ("urllib.request",))
    inside = ("see https://10.0.0.1/", "https://169.254.169.254/latest")
    cases: Cases = {t: (PREVIEW, {"text": t}) for t in inside}
    assert_blocked(tmp_path, cases, {"url"}, ("urllib.request",))


def test_an_escape_is_none_of_it(tmp_path: Path) -> None:
    """Browsers read it in a script as the sign that it stands for."""
    page = """
    name = event["name"].replace("'", "&apos;")
    page = f"<button onclick=\\"show('{name}')\\">x</button>"
    return {"status": 200, "headers": {"content-type": "text/html"}, "body": page}
    """
    cases: Cases = {"apos": (page, {"name": "');alert(1);('"})}
    assert_blocked(tmp_path, cases, {"response"}, ())


# -- another port of the web's, below a domain that the code asks for ------------------------------

RETURN = """
from urllib.parse import urlencode, urlsplit
def is_ours(url):
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and (parts.hostname or "").endswith("shop.example")
def handler(event, context):
    url = event["url"]
    if not is_ours(url):
        url = "https://www.shop.example/error"
    url += ("&" if "?" in url else "?") + urlencode({"text": event.get("text", "")})
    return {"status": 302, "headers": {"location": url}, "body": ""}
"""


def test_a_host_below_the_codes_may_have_another_port_of_the_webs(tmp_path: Path) -> None:
    urls = (
        "https://m.shop.example:8443/a/b?x=y",
        "http://shop.example:8080/",
        "https://evil.example",
    )
    assert_passes(tmp_path, {u: (RETURN, {"url": u, "text": "https://x"}) for u in urls}, ())


def test_one_that_only_ends_so_or_is_for_few_may_not(tmp_path: Path) -> None:
    urls = (
        "https://evilshop.example:8443/",
        "https://m.shop.example:22/",
        "https://admin.shop.example:8443/",
    )
    assert_blocked(tmp_path, {u: (RETURN, {"url": u}) for u in urls}, {"response"}, ())


# -- git, after options of its own -----------------------------------------------------------------

GIT = """
import subprocess
def handler(event, context):
    done = subprocess.run(["git", "-C", "/tmp", "-c", "core.quotePath=false", "--no-pager",
                           ARGUMENTS], capture_output=True, text=True)
    return done.returncode
"""


def test_what_git_grep_looks_for_may_begin_with_a_dash(tmp_path: Path) -> None:
    code = GIT.replace("ARGUMENTS", '"grep", "-n", "-F", "-e", event["term"], "--", "a"')
    assert_passes(tmp_path, {t: (code, {"term": t}) for t in ("--verbose", "-x", "a")}, ())


def test_what_other_commands_are_given_may_not(tmp_path: Path) -> None:
    cases: Cases = {
        "log": (
            GIT.replace("ARGUMENTS", '"log", "-e", event["term"]'),
            {"term": "--output=/tmp/x"},
        ),
        "no -e": (GIT.replace("ARGUMENTS", '"grep", event["term"]'), {"term": "-Oid"}),
        "a pager": (
            GIT.replace("ARGUMENTS", '"-c", event["term"], "grep", "-e", "x"'),
            {"term": "core.pager=id"},
        ),
    }
    assert_blocked(tmp_path, cases, {"command"}, ())


# -- an object whose class says how it is shown ----------------------------------------------------

GREETING = """
from dataclasses import dataclass
@dataclass
class User:
    first: str
    pin: str
    def __format__(self, spec):
        return self.first.upper() if spec == "loud" else self.first
def handler(event, context):
    return event["text"].format(user=User("Ana", "4711"))
"""


def test_a_class_that_says_how_it_is_put_into_formats_is_shown(tmp_path: Path) -> None:
    texts = ("Hi {user}", "Hi {user:loud}!")
    assert_passes(tmp_path, {t: (GREETING, {"text": t}) for t in texts}, ())


def test_in_other_ways_it_is_not(tmp_path: Path) -> None:
    texts = ("{user!r}", "{user!s}", "{user!a:loud}", "{user.pin}")
    assert_blocked(tmp_path, {t: (GREETING, {"text": t}) for t in texts}, {"code"}, ())
