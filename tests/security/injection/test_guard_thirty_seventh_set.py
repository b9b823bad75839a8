"""What a thirty-seventh set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- links in texts, by another client ---------------------------------------------------------------

PREVIEW = """
import asyncio, re, httpx
async def several(urls):
    async with httpx.AsyncClient(timeout=1.0) as client:
        return await asyncio.gather(*(client.get(url) for url in urls), return_exceptions=True)
async def beside(url):
    async with httpx.AsyncClient(timeout=1.0) as client:
        waiting = client.get(url)
        try:
            async with client.stream("GET", url, auth=("me", "pw")) as answer:
                return answer.status_code
        finally:
            waiting.close()
def handler(event, context):
    urls = [url.rstrip(".") for url in re.findall(r"https?://[^\\s<>]+", event["text"])]
    try:
        {}
    except httpx.HTTPError as error:
        return "off"
"""
READING = {
    "function": "return [httpx.get(url, timeout=1).text for url in urls]",
    "client": "with httpx.Client(timeout=1, trust_env=False) as c: return [c.get(u).text for u in urls]",
    "client, shown headers": "with httpx.Client(timeout=1, headers={'accept': 'text/html'}) as c: return [c.get(u, headers={'User-Agent': 'x'}).text for u in urls]",
    "asynchronous": "return len(asyncio.run(several(urls)))",
}
TELLING = {
    "a token": "return httpx.get(urls[0], headers={'authorization': 'x'}).text",
    "a password": "return httpx.get(urls[0], auth=('me', 'pw')).text",
    "a client's token": "with httpx.Client(headers={'x-key': 'k'}) as c: return c.get(urls[0]).text",
    "a client's password": "with httpx.Client(auth=('me', 'pw')) as c: return c.get(urls[0]).text",
    "cookies": "with httpx.Client(cookies={'a': 'b'}) as c: return c.get(urls[0]).text",
    "a cookie": "return httpx.get(urls[0], cookies={'a': 'b'}).text",
    "parameters": "return httpx.get(urls[0], params={'key': 'k'}).text",
    "a client's parameters": "with httpx.Client(params={'key': 'k'}) as c: return c.get(urls[0]).text",
    "a hook": "with httpx.Client(event_hooks={'request': [print]}) as c: return c.get(urls[0]).text",
    "streamed": "with httpx.stream('GET', urls[0], auth=('me', 'pw')) as r: return r.read().decode()",
    "parameters by requests": "import requests; return requests.get(urls[0], params={'key': 'k'}).text",
    "streamed beside another": "return asyncio.run(beside(urls[0]))",
    "a body": "return httpx.post(urls[0], json={'a': 'b'}).text",
    "a method": "return httpx.delete(urls[0]).text",
    "built before": "with httpx.Client() as c: return c.send(c.build_request('GET', urls[0]), auth=('me', 'pw')).text",
    "a password of another": (
        "with httpx.Client() as c:\n            try: c.get('http://127.0.0.1:9/', auth=('me', 'pw'))\n"
        "            except httpx.HTTPError: pass\n            return c.get(urls[0]).text"
    ),
}
TEXT = "See https://www.example.com/help?id=5&lang=de."


def test_links_in_texts_may_be_read_by_httpx(tmp_path: Path) -> None:
    cases: Cases = {n: (PREVIEW.replace("{}", c), {"text": TEXT}) for n, c in READING.items()}
    assert_passes(tmp_path, cases, ("httpx",))


def test_what_the_code_knows_is_sent_to_no_link(tmp_path: Path) -> None:
    cases: Cases = {n: (PREVIEW.replace("{}", c), {"text": TEXT}) for n, c in TELLING.items()}
    inward = ("http://127.1:9/x", "http://2130706433/", "http://vault.internal/", "http://[::1]/")
    cases |= {u: (PREVIEW.replace("{}", READING["client"]), {"text": u}) for u in inward}
    assert_blocked(tmp_path, cases, {"url"}, ("httpx", "requests"))


# -- an address without its query in a list of the code's ------------------------------------------------

PARTNERS = """
import urllib.error, urllib.request
from urllib.parse import urlsplit
PORT = 9
KNOWN = {"erp": f"http://127.0.0.1:{PORT}/erp/orders"}
def handler(event, context):
    parts = urlsplit(event["to"])
    if f"{parts.scheme}://{parts.netloc}{parts.path}" not in KNOWN.values() and not event.get("any"):
        return None
    try:
        return urllib.request.urlopen(event["to"], b"{}").read().decode()
    except urllib.error.URLError:
        return "off"
"""


def test_an_address_of_a_list_may_have_a_query(tmp_path: Path) -> None:
    known = "http://127.0.0.1:9/erp/orders"
    harmless = (f"{known}?v=2", known, f"{known}#x", "printer")
    assert_passes(tmp_path, {t: (PARTNERS, {"to": t}) for t in harmless}, ())
    hostile = ("http://127.0.0.1:9/admin", "http://10.0.0.1/?http://127.0.0.1:9/erp/orders")
    cases: Cases = {t: (PARTNERS, {"to": t, "any": True}) for t in hostile}
    assert_blocked(tmp_path, cases, {"url"}, ())


# -- a place for a value instead of the value ------------------------------------------------------------

BOUND = """
import sqlite3
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.executescript("create table t(a, b); insert into t values ('x', 1), ('y', 2)")
    name = event["name"]
    sql = f"select a, b from t where b = 1 and a = \\"{name}\\" order by a"
    if event.get("old"):
        return db.execute(sql.replace(event["old"], "?"), ("x",) * event.get("n", 1)).fetchall()
    if '"' not in name:
        return db.execute(sql.replace(f'"{name}"', "?"), (name,)).fetchall()
    return db.execute(sql).fetchall()
"""


def test_a_value_that_the_code_takes_out_again_is_none(tmp_path: Path) -> None:
    harmless = ("x", "Night & Day", "Easy' OR 'a'='a", "Select or Union -- 100%", "null")
    assert_passes(tmp_path, {t: (BOUND, {"name": t}) for t in harmless}, ())
    hostile = {
        "stays": {"name": 'x" or "1"="1'},
        "elsewhere": {"name": 'x" or a <> "z', "old": "b = 1"},
        "signs of the code": {"name": "Night & Day", "old": '"', "n": 2},
    }
    cases: Cases = {name: (BOUND, event) for name, event in hostile.items()}
    assert_blocked(tmp_path, cases, {"sql"}, ())


# -- columns that are counted ---------------------------------------------------------------------------

QUALITY = """
import sqlite3
CHECKS = {
    "null": "SUM(CASE WHEN {col} IS NULL THEN 1 ELSE 0 END)",
    "unique": "COUNT({col}) - COUNT(DISTINCT {col})",
    "empty": "SUM(CASE WHEN TRIM({col}) = '' THEN 1 ELSE 0 END)",
    "value": "MAX(CASE WHEN id = 1 THEN {col} END)",
    "bare": "1 - {col}",
}
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("create table orders(id, email, total, api_key)")
    metric = CHECKS[event["check"]].format(col=event["column"])
    return db.execute(f"SELECT {metric} AS metric, COUNT(*) AS total FROM orders").fetchone()
"""


def test_columns_may_be_counted(tmp_path: Path) -> None:
    cases: Cases = {
        f"{check} {column}": (QUALITY, {"check": check, "column": column})
        for check in ("null", "unique", "empty")
        for column in ("id", "total")
    }
    assert_passes(tmp_path, cases, ())
    hostile = [("null", "api_key"), ("unique", "(select 1)"), ("value", "total"), ("bare", "total")]
    hostile += [("unique", "api_key"), ("empty", "total) = (select 1"), ("null", "1=1 or id")]
    cases = {f"{c} {n}": (QUALITY, {"check": c, "column": n}) for c, n in hostile}
    assert_blocked(tmp_path, cases, {"sql"}, ())


# -- hosts of one word that the code takes out of a URL -----------------------------------------------

REBUILT = """
import os, urllib.request
from urllib.parse import urlsplit
OWN = "http://reports:9/daily"
def handler(event, context):
    os.environ["BACKEND"] = "Ledger"
    if not event["url"].startswith("http://rates") and not event.get("any"):
        return None
    parts = urlsplit(event["url"])
    host = event.get("own") or parts.hostname
    if event.get("setting"):
        host = os.environ["BACKEND"].lower()
    try:
        return urllib.request.urlopen(f"http://{host}:{parts.port}{parts.path}", timeout=1).read().decode()
    except OSError:
        return "off"
"""


def test_a_host_of_one_word_is_the_events_if_its_url_has_it(tmp_path: Path) -> None:
    harmless = (
        {"url": "see other"},
        {"url": "http://reports:9/x", "any": 1},
        {"url": "http://ledger:9/x", "setting": 1, "any": 1},
    )
    assert_passes(tmp_path, {str(e): (REBUILT, e) for e in harmless}, ())
    hostile = (
        {"url": "http://rates:1@metadata:9/x"},
        {"url": "http://localhost:9/x", "any": 1},
        {"url": "http://LocalHost:9/x", "any": 1},
        {"url": "http://2130706433:9/x", "any": 1},
        {"url": "http://report:9/x", "any": 1},
        {"url": "http://local:9/x", "any": 1},
    )
    assert_blocked(tmp_path, {str(e): (REBUILT, e) for e in hostile}, {"url"}, ())
