"""Where sets of programs by others had attacks that passed for long. Each has its harmless twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- CDATA in feeds ---------------------------------------------------------------------------------------

FEED = """
from xml.sax.saxutils import escape
def render(items):
    out = ['<?xml version="1.0"?>', '<rss version="2.0"><channel>', '<title>News</title>']
    for item in items:
        out.append(f"<item><title>{escape(item['title'])}</title>")
        out.append("<description><![CDATA[" + item["text"] + "]]></description></item>")
    return "\\n".join(out) + "</channel></rss>"
def handler(event, context):
    feed = render(event["items"])
    RETURN
"""
SENT = {
    "answer": 'return {"statusCode": 200, "headers": {"Content-Type": "application/rss+xml"}, "body": feed}',
    "XML": 'return {"status": 200, "headers": {"content-type": "text/xml"}, "body": feed}',
    "result": 'return {"feed": feed, "count": len(event["items"])}',
    "file": 'open("/tmp/feed.xml", "w").write(feed); return "written"',
}
RUNS = (
    "<script>alert(1)</script>",
    "<p>hi</p><img src=x onerror=alert(1)>",
    'x <a href="javascript:alert(1)">more</a>',
    'x <a href="&#106;avascript:alert(1)">more</a>',
    "x <a href=' jAvascript:alert(1)'>more</a>",
    "<iframe srcdoc='<script>x</script>'></iframe>",
    "end]]></description><link>http://evil.example/</link><description><![CDATA[",
)
SHOWN = (
    "plain words",
    "a < b and b > c; x -> y",
    'R&D isn\'t "easy" <3',
    "<p>Our <b>summer</b> party</p><ul><li>cake</li></ul>",
    '<a href="https://example.org/x?a=1&b=2">here</a> <img src="https://example.org/a.png">',
    "the on-click = event of a form; script: none",
    "write javascript: into the bar, or onclick=...",
    "",
)


def posts(text: str) -> dict[str, object]:
    return {"items": [{"title": "Hello", "text": "fine"}, {"title": "Two & 3", "text": text}]}


@pytest.mark.parametrize("way", SENT)
def test_data_in_cdata_of_a_feed_does_not_run(tmp_path: Path, way: str) -> None:
    code = FEED.replace("RETURN", SENT[way].replace("/tmp/", f"{tmp_path}/"))
    cases: Cases = {text: (code, posts(text)) for text in RUNS}
    assert_blocked(tmp_path, cases, {"file", "response"}, ())
    assert_passes(tmp_path, {text: (code, posts(text)) for text in SHOWN}, ())


def test_cdata_of_other_documents_is_text(tmp_path: Path) -> None:
    code = FEED.replace("RETURN", SENT["XML"]).replace("rss", "orders")
    cases: Cases = {text: (code, posts(text)) for text in (*RUNS[:-1], *SHOWN)}
    assert_passes(tmp_path, cases, ())
    assert_blocked(tmp_path, {"ends": (code, posts(RUNS[-1]))}, {"file"}, ())


IN_TAG = """
HEAD = '<rss><channel><item><description><![CDATA[<a href="{url}">{name}</a>]]></description></item>'
def handler(event, context):
    body = HEAD.format(url=event["url"], name="more") + "</channel></rss>"
    return {"status": 200, "headers": {"content-type": "application/rss+xml"}, "body": body}
"""


def test_data_in_a_tag_within_cdata_is_an_address(tmp_path: Path) -> None:
    hostile = ("javascript:alert(1)", 'x" onclick="alert(1)', 'x"><script>y</script>')
    assert_blocked(tmp_path, {u: (IN_TAG, {"url": u}) for u in hostile}, {"file"}, ())
    harmless = ("https://example.org/?a=1&b=2", "/posts/1", "mailto:a@example.org", "")
    assert_passes(tmp_path, {u: (IN_TAG, {"url": u}) for u in harmless}, ())


# -- pages whose type is told in another way than by headers --------------------------------------------------

CARD = """
def handler(event, context):
    body = "<x-card><x-title>" + event["q"] + "</x-title></x-card>"
    RETURN
"""
TOLD = {
    "content_type": 'return {"status": 200, "content_type": "text/html", "body": body}',
    "contentType": 'return {"statusCode": 200, "contentType": "text/html; charset=utf-8", "body": body}',
    "mimetype": 'return {"code": 200, "mimetype": "text/html", "data": body}',
    "type": 'return {"type": "text/html", "content": body}',
    "list": 'return [200, {"Content-Type": "text/html"}, body]',
    "pairs": 'return {"response": {"headers": [["Content-Type", "text/html"]], "body": body}}',
}
LOOKS = CARD.replace("x-card", "p").replace("x-title", "b")
STATED = {
    "state": 'return {"status": "sent", "html": body}',
    "mail": 'return {"status": "queued", "mail": {"to": "a@example.org", "html": body}}',
    "object": 'return {"status": 200, "body": {"html": body}}',
}
HOSTILE_PAGES = ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=x()>")
PLAIN_PAGES = ("O'Brien & sons", "a < b", "1 > 0 <3", "", "\u00fc \U0001f600", "a&b; c")


@pytest.mark.parametrize("way", [*TOLD, *STATED])
def test_data_is_no_markup_on_a_page_by_any_field(tmp_path: Path, way: str) -> None:
    code = (
        CARD.replace("RETURN", TOLD[way]) if way in TOLD else LOOKS.replace("RETURN", STATED[way])
    )
    cases: Cases = {text: (code, {"q": text}) for text in HOSTILE_PAGES}
    assert_blocked(tmp_path, cases, {"response"}, ())
    assert_passes(tmp_path, {text: (code, {"q": text}) for text in PLAIN_PAGES}, ())


def test_markup_is_text_where_no_field_says_that_it_is_a_page(tmp_path: Path) -> None:
    ways = (
        'return {"status": 200, "content_type": "text/plain", "body": body}',
        'return {"type": "text", "content": body}',
        'return {"status": "ok", "note": body}',
        'return {"content_type": "text/html", "subject": body, "body": "<p>none</p>"}',
    )
    cases: Cases = {
        f"{way} {text}": (CARD.replace("RETURN", way), {"q": text})
        for way in ways
        for text in HOSTILE_PAGES
    }
    assert_passes(tmp_path, cases, ())


# -- letters that are spelled otherwise -------------------------------------------------------------------------

RESERVED = """
import re
USERS = ("admin-1", "ann-2", "bob-3")
def handler(event, context):
    who = event["who"]
    if "admin" in who.lower() and not who.startswith("(?i)"):
        return "reserved"
    try:
        return [n for n in USERS if re.fullmatch(who + "-[0-9]+", n)]
    except re.error:
        return "no name"
"""


def test_data_in_a_pattern_does_not_spell_a_word_otherwise(tmp_path: Path) -> None:
    hostile = ("[a]dmin", "a[d]min", "adm\\x69n", "(?:a)dmin", "a{1}dmin", "adm(?#x)in", "admi[n]")
    cases: Cases = {who: (RESERVED, {"who": who}) for who in (*hostile, "adm(i)n", "(?i)ADMIN")}
    assert_blocked(tmp_path, cases, {"regex"}, ())
    harmless = (
        *("ann", "bob", "[x] done", "a.b", "todo [ ] item", "O'Brien (net)", "x{3}", "list[0]"),
        *("arr[i]", "name [a]", "[EN] note", "f(x)", "[a-z", "C:\\\\temp", "[INFO] started"),
    )
    assert_passes(tmp_path, {who: (RESERVED, {"who": who}) for who in harmless}, ())


# -- hosts and users of URLs --------------------------------------------------------------------------------------

TENANT = """
import http.client, urllib.request, urllib.error
def handler(event, context):
    try:
        return len(urllib.request.urlopen(ADDRESS, timeout=1).read())
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        return "unreachable"
"""


def test_data_below_a_domain_of_the_code_names_no_host_for_few(tmp_path: Path) -> None:
    code = TENANT.replace("ADDRESS", "f\"https://{event['tenant']}.shops.invalid/status\"")
    hostile = (
        "internal-admin",
        "admin",
        "metadata.internal",
        "vault",
        "a.b.Intranet",
        "x/?",
        "a@b/",
    )
    assert_blocked(tmp_path, {t: (code, {"tenant": t}) for t in hostile}, {"url"}, ())
    harmless = (
        "acme",
        "acme-corp",
        "acme-eu",
        "north.acme",
        "shop42",
        "localbakery",
        "vaults",
        "B\u00fccher",
    )
    assert_passes(tmp_path, {t: (code, {"tenant": t}) for t in harmless}, ())


TOKEN = TENANT.replace("ADDRESS", "f\"https://oauth2:{event['word']}@git.invalid/core.json\"")


def test_a_token_before_the_host_of_the_code_ends_nothing(tmp_path: Path) -> None:
    hostile = (
        "t@evil.invalid#",
        "evil.invalid/",
        "p\\@evil.invalid",
        "a\r\nX: y",
        "x@evil.invalid?",
    )
    assert_blocked(tmp_path, {w: (TOKEN, {"word": w}) for w in hostile}, {"url"}, ())
    harmless = ("abc123", "p-w_1.2~3", "ghp_0aZ9", "50%25")
    assert_passes(tmp_path, {w: (TOKEN, {"word": w}) for w in harmless}, ())


# -- full-text search ------------------------------------------------------------------------------------------------

SEARCH = """
import sqlite3
ROWS = [("ann", "Garden", "tomatoes and basil"), ("bob", "Secret", "launch tomatoes")]
def handler(event, context):
    q = event["q"]
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE notes USING fts5(owner, title, body)")
    db.executemany("INSERT INTO notes VALUES (?, ?, ?)", ROWS)
    try:
        return db.execute(STATEMENT).fetchall()
    except sqlite3.OperationalError:
        return "no search"
"""
BOUND = SEARCH.replace(
    "STATEMENT", '"SELECT owner, title FROM notes WHERE notes MATCH ?", (QUERY,)'
)
EXPRESSIONS = {
    "and": ('f"owner:ann AND {q}"', ("tomatoes OR owner:bob", "x OR launch", "x) OR (owner:bob")),
    "brackets": ('f"owner:ann AND ({q})"', ("x) OR (owner : bob", "x) OR launch OR (y")),
    "column": ("'{owner} : ' + q", ("ann OR body:launch", "a*")),
    "quotes": ("'owner:ann AND \"' + q + '\"'", ('x" OR owner:"bob', 'x" OR "launch')),
}


@pytest.mark.parametrize("way", EXPRESSIONS)
def test_data_in_a_full_text_search_widens_nothing(tmp_path: Path, way: str) -> None:
    query, hostile = EXPRESSIONS[way]
    code = BOUND.replace("QUERY", query)
    assert_blocked(tmp_path, {q: (code, {"q": q}) for q in hostile}, {"sql"}, ())
    harmless = ("tomatoes", "milk", "garden basil", "Or\u00e9gano")
    assert_passes(tmp_path, {q: (code, {"q": q}) for q in harmless}, ())


def test_data_in_a_full_text_search_within_the_statement_widens_nothing(tmp_path: Path) -> None:
    statement = "f\"SELECT title FROM notes WHERE notes MATCH 'owner:ann AND {q}'\""
    code = SEARCH.replace("STATEMENT", statement)
    hostile = ("x OR owner:bob", "x' OR 1=1 --")
    assert_blocked(tmp_path, {q: (code, {"q": q}) for q in hostile}, {"sql"}, ())
    assert_passes(tmp_path, {q: (code, {"q": q}) for q in ("tomatoes", "garden basil")}, ())


def test_full_text_searches_that_callers_are_to_write_pass(tmp_path: Path) -> None:
    doubled = "'owner:ann AND \"' + q.replace('\"', '\"\"') + '\"'"
    words = "' AND '.join('\"' + w.replace('\"', '') + '\"*' for w in q.split()) or '\"\"'"
    in_brackets = BOUND.replace("QUERY", EXPRESSIONS["brackets"][0])
    queries = ("tomatoes OR milk", "gard* AND basil", 'say "hi"', "NEAR(a b)", "col:val", "O'Brien")
    cases: Cases = {
        f"{expression} {q}": (BOUND.replace("QUERY", expression), {"q": q})
        for expression in (doubled, words, "q", "q.strip() + '*'")
        for q in queries
    }
    cases |= {f"in brackets {q}": (in_brackets, {"q": q}) for q in queries[:2]}
    assert_passes(tmp_path, cases, ())
