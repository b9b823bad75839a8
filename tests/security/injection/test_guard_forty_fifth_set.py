"""What a forty-fifth set of programs by others showed. Each has its harmless twins."""

from __future__ import annotations

import time
from pathlib import Path

from casemate.guard.notes import REPLACED, Made
from casemate.guard.origin import Origin, Span
from casemate.guard.substituting import moved_in
from casemate.guard.url import links
from casemate.guard.written.alike import adds_tag
from casemate.guard.written.by_look import judge_controls
from support.guard_cases import Cases, assert_blocked, assert_passes

ORIGIN = Origin("event", ("v",))

# -- harmless: what the code has escaped ----------------------------------------------------------

ENVIRONMENT = r"""
import os, subprocess, tempfile
def double(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
def handler(event, context):
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, ".env"), "w") as f:
        f.write("H=/srv\nD=" + double("$H/" + event["v"].strip().lstrip("/")) + "\n")
    return subprocess.run(
        ["sh", "-c", '. ./.env; echo "$D"'], cwd=folder, capture_output=True, text=True
    ).stdout
"""


def test_quotes_that_are_escaped_within_double_quotes_are_text(tmp_path: Path) -> None:
    harmless = ('my "data" dir; rm -rf x && y | z', "/cache\\x/", '"', "a\\", "O'Neil", "d/v1")
    assert_passes(tmp_path, {v: (ENVIRONMENT, {"v": v}) for v in harmless}, ())
    bare = ENVIRONMENT.replace('.replace("\\\\", "\\\\\\\\").replace(\'"\', \'\\\\"\')', "")
    cases: Cases = {
        v: (ENVIRONMENT, {"v": v}) for v in ("d$(id)", "`id`", "${X:-$(id)}", 'a"$(id)')
    }
    cases = {**cases, **{f"bare {v}": (bare, {"v": v}) for v in ('x"; id; "', 'a" ; id #')}}
    assert_blocked(tmp_path, cases, {"command"}, ())


DOCUMENT = """
import json
def execute(text):
    return text
def handler(event, context):
    name = str(json.loads(event["body"])["name"])[:80]
    return execute("mutation { rename(name: %s) { id } }" % WRITTEN)
"""


def test_a_literal_that_the_event_s_json_has_as_well_is_one_value(tmp_path: Path) -> None:
    bodies = (r'{"name": "x\") { salary } y: z(name: \"z"}', '{"name": "Ann { O\'Neil } #1"}')
    quoted = DOCUMENT.replace("WRITTEN", "json.dumps(name, ensure_ascii=False)")
    assert_passes(tmp_path, {b: (quoted, {"body": b}) for b in bodies}, ())
    bare = DOCUMENT.replace("WRITTEN", "'\"' + name + '\"'")
    assert_blocked(tmp_path, {"bare": (bare, {"body": bodies[0]})}, {"nosql"}, ())


TABLE = """
import csv, io, sqlite3
def handler(event, context):
    head, *rows = csv.reader(io.StringIO(event["csv"]))
    names = [name.strip().lower().replace(" ", "_") for name in head]
    con = sqlite3.connect(":memory:")
    con.executescript("create table s(" + ", ".join(f"{n} text" for n in names) + ");")
    con.executemany(f"insert into s values({','.join('?' * len(names))})", rows)
    return con.execute("select count(*) from s").fetchone()[0]
"""


def test_columns_of_a_table_from_a_file_may_have_had_blanks(tmp_path: Path) -> None:
    plain = "Id,First Name,Amount\n1,Ann,2.5\n2,O'Neil,3\n"
    assert_passes(tmp_path, {"plain": (TABLE, {"csv": plain})}, ())
    hostile = '"a text);\tdrop\ttable\tc;\tcreate\ttable\tz(b"\n1\n'
    assert_blocked(tmp_path, {"hostile": (TABLE, {"csv": hostile})}, {"sql"}, ())


def test_spans_are_where_they_were_once_signs_are_replaced() -> None:
    for source, old, new, at in (
        ('a "b" c', '"', '\\"', (2, 5)),
        ("aXXbXXc", "XX", "", (1, 6)),
        ("aXXbXXc", "XX", "----", (2, 5)),  # begins and ends within what was replaced
        ("abc", "z", "y", (1, 2)),
        ("''''", "'", "''", (1, 3)),
    ):
        text = source.replace(old, new)
        found = moved_in(
            text, Made(text, REPLACED, (source, old, new)), [Span(*at, ORIGIN, exact=True)]
        )
        assert found is not None
        (span,) = found
        # Nothing of the data is outside of its span.
        before, after = source[: at[0]], source[at[1] :]
        assert before.replace(old, new).startswith(text[: span.start]), source
        assert after.replace(old, new).endswith(text[span.end :]), source


# -- formats that the code writes and reads ------------------------------------------------------------------

VALUES = """
import json, yaml
T = "app:\\n  owner: {owner}\\n  image:\\n    tag: {tag}\\nsafe:\\n  root: false\\n"
def handler(event, context):
    text = T.format(owner=json.dumps(event["owner"]), tag=event["tag"].strip())
    return list(yaml.safe_load(text))
"""


def test_a_quoted_value_beside_it_hides_no_other_of_yaml(tmp_path: Path) -> None:
    hostile = ("v1\n    repository: evil.test/x\n  replicas: 900", "v1\nsafe: {}")
    cases: Cases = {t: (VALUES, {"owner": "ann", "tag": t}) for t in hostile}
    assert_blocked(tmp_path, cases, {"deserialisation"}, ("yaml",))
    for owner, tag in (("ann", "v1.2"), ("a: b\nc: d", "sha-1"), ("!!python/x []", "2024.05")):
        assert_passes(tmp_path, {tag: (VALUES, {"owner": owner, "tag": tag})}, ("yaml",))


POINTS = """
def read(text):
    return [line.split(" ") for line in text.split("\\n") if line.strip()]
def handler(event, context):
    lines = [
        f"temp,billing=acme,device={r['d'].replace(' ', '_')} value={float(r['t'])},note={r['n']} 5"
        for r in event["rows"]
    ]
    return read("\\n".join(lines))
"""


def _row(device: str, note: str = '"x"') -> dict[str, str]:
    return {"d": device, "t": "1.5", "n": note}


def test_data_is_one_tag_of_a_point(tmp_path: Path) -> None:
    hostile = (
        [_row("d1,billing=free")],
        [_row("a"), _row("d1,billing=free,room=x")],
        [_row("d1\ntemp,billing=free,device=d9 value=1 5\ntemp,a=b")],
    )
    cases: Cases = {str(n): (POINTS, {"rows": rows}) for n, rows in enumerate(hostile)}
    assert_blocked(tmp_path, cases, {"header", "nosql"}, ())
    harmless = (
        [_row("sensor 12")],
        [_row("dev-\u00fc_1:2.3"), _row("d2")],
        [_row("a\\,billing\\=b")],
        [_row("d", '"said ,billing=x"')],
        [],
    )
    assert_passes(tmp_path, {str(n): (POINTS, {"rows": r}) for n, r in enumerate(harmless)}, ())
    assert not adds_tag('t,a=b value=1,note="', "x,billing=c")


HOSTS = r"""
import re
TOKEN = re.compile(r'\s*(?:("(?:\\.|[^"\\])*")|([{};])|([^\s{};"]+))')
def tokens(text):
    i = 0
    while i < len(text):
        m = TOKEN.match(text, i)
        if not m or m.end() == i:
            break
        i = m.end()
        yield m[0].strip()
def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
def handler(event, context):
    out = ["server {", "  listen 443 ssl;"]
    out.append("  server_name " + " ".join(n.strip() for n in event["names"]) + ";")
    out.append(f"  add_header X-Note {quoted(event.get('note', ''))};")
    return list(tokens("\n".join([*out, event.get("more", ""), "}"])))
"""


def test_data_is_one_word_of_a_block(tmp_path: Path) -> None:
    hostile = (
        "a.test; root /etc",
        "a; location /x { alias /etc/; } server_name b",
        "a;} server { b",
    )
    cases: Cases = {v: (HOSTS, {"names": ["b.test", v]}) for v in hostile}
    assert_blocked(tmp_path, cases, {"file"}, ())
    harmless: tuple[dict[str, object], ...] = (
        {"names": ["a.test", "*.b\u00fccher.test"]},
        {"names": ["a.test"], "note": 'it\'s "fine"; really { }'},
        {"names": [], "note": "line\n root /etc;"},
        {"names": ["a.test"], "note": "C:\\x\\"},
        {"names": ["a.test"], "more": "location /x {\n  root /srv/x;\n}"},
    )
    assert_passes(tmp_path, {str(e): (HOSTS, e) for e in harmless}, ())


CHAT = """
import json, re
CONTROL = re.compile(r"<([^<>]*)>")
def esc(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
def handler(event, context):
    found = []
    for number, ticket in enumerate(event["tickets"]):
        link = f"<https://desk.test/t/{number}|#{number}>"
        text = f"{link} *{esc(ticket.get('title', ''))}*\\nby {ticket['name']}"
        found += CONTROL.findall(json.loads(json.dumps({"text": text}))["text"])
    return found
"""


def test_data_calls_nobody_in_a_chat(tmp_path: Path) -> None:
    hostile = ("<!channel>", "<!here|now", "<https://evil.test/x|Desk login>")
    cases: Cases = {v: (CHAT, {"tickets": [{"name": "Ann"}, {"name": v}]}) for v in hostile}
    assert_blocked(tmp_path, cases, {"file"}, ())
    harmless = (
        {"name": "O'Neil", "title": "<!channel> <https://a.test|b>"},
        {"name": "\u674e \U0001f600", "title": "a < b && c > d"},
        {"name": "ann (<ann@x.test>)", "title": ""},
        {"name": "<https://a.test/x|a.test>"},
        {"name": "<!DOCTYPE html> <@U0123ABC>"},
    )
    assert_passes(tmp_path, {str(t): (CHAT, {"tickets": [t]}) for t in harmless}, ())
    # All of it is the event's: a message that is passed on.
    passed = 'import re\nreturn re.findall("<([^<>]*)>", event["v"])'
    assert_passes(tmp_path, {"on": (passed, {"v": "<https://a.test|b>\n<!here>"})}, ())


SENT = """
import json, urllib.request
def handler(event, context):
    text = f"<https://desk.test/t/1|#1>\\nby {event['v']}"
    request = urllib.request.Request("http://127.0.0.1:9/hook", json.dumps({"text": text}).encode())
    try:
        urllib.request.urlopen(request, timeout=1)
    except OSError:
        return "no answer"
"""


def test_nor_in_one_that_is_sent(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {"call": (SENT, {"v": "<!everyone>"})}, {"file"}, ())
    assert_passes(tmp_path, {"name": (SENT, {"v": "Ann <ann@x.test>"})}, ())


# -- links ----------------------------------------------------------------------------------------------------

LINK = """
from email.message import EmailMessage
from email.mime.text import MIMEText
from urllib.parse import urlsplit
def handler(event, context):
    url = f"https://{event['v'].strip().lower()}.example.app/reset?u=1&t=tok"
    return READ
"""
READS = {
    "mail": "EmailMessage().set_content('Hello,\\n\\n' + url + '\\n')",
    "older mail": "MIMEText('see ' + url).as_string()[:1]",
    "answer": "{'statusCode': 202, 'text': f'see {url}'}",
    "result": "[{'to': 'ann', 'link': url}]",
    "cut": "urlsplit(url).hostname",
}


def test_data_ends_no_host_of_a_link(tmp_path: Path) -> None:
    hostile = ("evil.test/", "evil.test#", " evil.test?x=", "evil.test\\", "evil.test x")
    cases: Cases = {
        f"{name} {v}": (LINK.replace("READ", read), {"v": v})
        for name, read in READS.items()
        for v in hostile
    }
    assert_blocked(tmp_path, cases, {"file", "response", "url"}, ())
    harmless = ("Acme", "New York", "acme-eu", "b\u00fccher", "a.b", "localhost", "")
    cases = {
        f"{name} {v}": (LINK.replace("READ", read), {"v": v})
        for name, read in READS.items()
        for v in harmless
    }
    assert_passes(tmp_path, cases, ())


def test_links_of_the_event_s_own_may_be_any(tmp_path: Path) -> None:
    code = """
from urllib.parse import urlsplit
def handler(event, context):
    url = f"https://{event['t']}.example.app/x"
    return {"url": url, "text": f"{event['v']} and https://a.example.app/{event['v']}.html"}
"""
    values = ("https://evil.test/?a=1#b", "a/b?c#d", "see https://x.test/.example.app now")
    assert_passes(tmp_path, {v: (code, {"t": "acme", "v": v}) for v in values}, ())


CLICKED = """
from urllib.parse import parse_qsl, quote, urlsplit
def handler(event, context):
    url = f"https://news.test/u?l=a&src={event['v']}&a={quote(event['to'], safe='@')}&m=1"
    return dict(parse_qsl(urlsplit(url).query))
"""


def test_data_cuts_no_parameters_off(tmp_path: Path) -> None:
    cases: Cases = {v: (CLICKED, {"v": v, "to": "a@x.test"}) for v in ("s#", "#", "a#b&c")}
    assert_blocked(tmp_path, cases, {"deserialisation"}, ())
    harmless = (("may+sale", "a@x.test"), ("", "c#d%26@x.test"), ("b", "a&keep=none@x.test"))
    assert_passes(tmp_path, {v: (CLICKED, {"v": v, "to": to}) for v, to in harmless}, ())
    last = CLICKED.replace("&a={quote(event['to'], safe='@')}&m=1", "")
    assert_passes(tmp_path, {"last": (last, {"v": "x#top", "to": ""})}, ())


def test_all_is_judged_in_linear_time() -> None:
    begun = time.process_time()
    part = "/" * 20_000
    text = ("https://" + part + ".example.app/ ") * 3
    spans = [
        Span(8 + n * (len(text) // 3), 8 + len(part) + n * (len(text) // 3), ORIGIN, exact=True)
        for n in range(3)
    ]
    assert links.judge(text, spans) is not None
    many = "https://a" * 7_000
    ends = [Span(n * 9 + 8, n * 9 + 9, ORIGIN, exact=True) for n in range(7_000)]
    assert links.judge(many, ends) is None
    text = "<https://a.test/x|y>\n" + "<https://a|" * 5_000
    judge_controls(text, [Span(21, len(text), ORIGIN, exact=True)])
    source = '"' * 30_000
    made = Made("", REPLACED, (source, '"', '\\"'))
    each = [Span(n, n + 1, ORIGIN, exact=True) for n in range(30_000)]
    assert moved_in(source.replace('"', '\\"'), made, each) is not None
    assert time.process_time() - begun < 3


NAMES = """
import fnmatch
def handler(event, context):
    names = ["report_1.txt", "a.jpg"]
    found = [n for n in names if fnmatch.fnmatch(n, "*.jpg") or fnmatch.fnmatchcase(n, "x")]
    return found + fnmatch.filter(names, "report_" + event["v"] + "*.txt")
"""


def test_a_pattern_beside_literal_ones_is_looked_at(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {v: (NAMES, {"v": v}) for v in ("[0-9]*", "1*")}, {"path"}, ())
    assert_passes(tmp_path, {v: (NAMES, {"v": v}) for v in ("1", "o'neil")}, ())


SED = r"""
import os, subprocess, tempfile
def left(s):
    for ch in "\\/.*[]^$":
        s = s.replace(ch, "\\" + ch)
    return s.replace("\n", " ")
def handler(event, context):
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "g.sed"), "w") as f:
        f.write(f"s/{LEFT}/y/g\n")
    return subprocess.run(
        ["sed", "-f", "g.sed"], cwd=folder, input="x", capture_output=True, text=True
    ).stdout
"""


def test_what_is_escaped_before_a_value_is_a_part_of_it(tmp_path: Path) -> None:
    escaped = SED.replace("LEFT", "left(event['v'])")
    harmless = ("[x]", "a/b.*", "$5", "name", "[a]/[b]", "/e id")
    assert_passes(tmp_path, {v: (escaped, {"v": v}) for v in harmless}, ())
    bare = SED.replace("LEFT", "event['v']")
    cases: Cases = {v: (bare, {"v": v}) for v in ("x/y/e\ns/a", "x/id/e;s/a")}
    assert_blocked(tmp_path, cases, {"command"}, ())
