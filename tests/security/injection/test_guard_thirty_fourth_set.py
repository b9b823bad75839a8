"""What a thirty-fourth set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from casemate.guard.command import reading
from casemate.guard.origin import Origin, Span
from support.guard_cases import Cases, assert_blocked, assert_passes

# -- texts that a template of the standard library leaves as they are ------------------------------

FILL = """
import os, shutil, string, tempfile
def handler(event, context):
    values = {"title": event["title"], "package": "p_" + event["title"].lower()}
    folder = tempfile.mkdtemp()
    for name in ("index.html", "$package.txt"):
        text = string.Template(string.Template(name).safe_substitute(values)).safe_substitute(values)
        path = os.path.join(folder, string.Template(text).safe_substitute(values))
        with open(path, "w") as file:
            file.write(string.Template("<b>$title</b>").substitute(values))
    names = sorted(os.listdir(folder))
    shutil.rmtree(folder)
    return names
"""


def test_a_template_without_a_place_is_no_text_of_its_own(tmp_path: Path) -> None:
    cases: Cases = {t: (FILL, {"title": t}) for t in ('A "b"', "Shop", "index.html")}
    assert_passes(tmp_path, cases, ())


def test_what_is_put_into_a_template_is_found_there(tmp_path: Path) -> None:
    cases: Cases = {"step": (FILL, {"title": "x/../../../../../../etc/cron.d/x"})}
    assert_blocked(tmp_path, cases, {"path"}, ())


# -- quotes that are doubled in names --------------------------------------------------------------

UPLOAD = """
import csv, io, sqlite3
def q(name):
    return '"' + name.replace('"', '""') + '"'
def handler(event, context):
    rows = list(csv.reader(io.StringIO(event["data"])))
    heads = [" ".join(h.split()) for h in rows[0]]
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE TABLE t ({', '.join((q(h) if event.get('quoted', 1) else h) + ' TEXT' for h in heads)})")
    return [r[1] for r in db.execute("SELECT * FROM pragma_table_info('t')")]
"""


def test_headings_with_quotes_become_names(tmp_path: Path) -> None:
    cases: Cases = {
        text: (UPLOAD, {"data": text + "\nx,y\n"})
        for text in ('What\'s this?,Who said "hi"?', '"a ""b""",c', '""""""', 'say ""hi"" there,"')
    }
    assert_passes(tmp_path, cases, ())


def test_headings_that_are_not_quoted_do_not(tmp_path: Path) -> None:
    event = {"data": 'a TEXT); DROP TABLE "u" --,b\n', "quoted": 0}
    assert_blocked(tmp_path, {"bare": (UPLOAD, event)}, {"sql"}, ())


# -- a formula that is taken apart and written as SQL ----------------------------------------------

FORMULA = """
import ast, sqlite3
BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
def sql(node):
    if isinstance(node, ast.Expression): return sql(node.body)
    if isinstance(node, ast.Constant): return repr(node.value)
    if isinstance(node, ast.Name) and node.id in ("price", "qty"): return f'"{node.id}"'
    if isinstance(node, ast.BinOp): return f"({sql(node.left)} {BINARY[type(node.op)]} {sql(node.right)})"
    raise ValueError(type(node).__name__)
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.executescript("CREATE TABLE line(price REAL, qty INT); INSERT INTO line VALUES (10, 3)")
    text = event["formula"]
    made = sql(ast.parse(text, mode="eval")) if event.get("parsed", 1) else "".join(c for c in text if c != ";")
    return [r[0] for r in db.execute(f"SELECT {made} FROM line")]
"""


def test_a_formula_that_is_written_anew_has_the_codes_signs(tmp_path: Path) -> None:
    cases: Cases = {t: (FORMULA, {"formula": t}) for t in ("price * (1 - qty / 100)", "2*3-1")}
    assert_passes(tmp_path, cases, ())


def test_one_that_is_not_has_the_events(tmp_path: Path) -> None:
    event = {"formula": "(select group_concat(name) from sqlite_master)", "parsed": 0}
    assert_blocked(tmp_path, {"as it is": (FORMULA, event)}, {"sql"}, ())


# -- settings for curl, forms of it, and what a shell is given beside its script -------------------

CURL = """
import subprocess
def value(text):
    return '"' + text.replace("\\\\", "\\\\\\\\").replace('"', '\\\\"') + '"'
def handler(event, context):
    quoted = value(event["ref"]) if event.get("escaped", 1) else '"' + event["ref"] + '"'
    lines = "header = " + quoted + "\\nmax-time = 1\\n"
    return subprocess.run(["true", "curl", "-K", "-"], input=lines, text=True).returncode if event.get("other") else subprocess.run(["curl", "-K", "-"], input=lines, text=True, capture_output=True).returncode
"""


def test_a_value_for_curl_may_have_escaped_quotes(tmp_path: Path) -> None:
    texts = ('campaign "spring"', "C:\\new\\report", 'a\\"b')
    cases: Cases = {t: (CURL, {"ref": t}) for t in texts}
    assert_passes(tmp_path, cases, ())


@pytest.mark.parametrize(
    "text", ['x"\nurl = "http://127.0.0.1', 'x" next', "x\\", "x\\nX-Role: admin"]
)
def test_one_that_ends_its_value_may_not(tmp_path: Path, text: str) -> None:
    cases: Cases = {"bare": (CURL, {"ref": text, "escaped": 0})}
    assert_blocked(tmp_path, cases, {"command"}, ())


@pytest.mark.parametrize("part", ['\\\\"', "\\", '"', '"\\', "\\a", "a"])
def test_a_long_value_for_curl_is_read_in_linear_time(part: str) -> None:
    value = (part * 100_000)[:100_000]
    text = f'header = "{value}"\n'
    span = Span(10, 10 + len(value), Origin("event", "/ref", ()), exact=True)
    begun = time.process_time()
    reading.judge_settings("curl", ["-K", "-"], text, [span])
    assert time.process_time() - begun < 0.5


FORM = """
import subprocess
def handler(event, context):
    return subprocess.run(["curl", "-m", "1", "-F", "text=" + event["text"], "http://127.0.0.1:1/"], capture_output=True).returncode
"""


def test_a_field_of_a_form_is_no_file(tmp_path: Path) -> None:
    harmless = ("mail me: bob@example.com", "1 < 2; or not", "a=@b")
    assert_passes(tmp_path, {t: (FORM, {"text": t}) for t in harmless}, ())
    hostile = ("@/etc/passwd", "</etc/passwd", "x;type=text/html")
    assert_blocked(tmp_path, {t: (FORM, {"text": t}) for t in hostile}, {"command"}, ())


STDIN = """
import subprocess
PROGRAM = 'for who in "$@"; do printf "%s\\\\n" "$who"; done'
def handler(event, context):
    words = ["--"] if event.get("ended", 1) else []
    return subprocess.run(["bash", "-s", *words, *event["people"]], input=PROGRAM, capture_output=True, text=True).stdout
"""


def test_what_a_script_from_standard_input_is_given_is_data(tmp_path: Path) -> None:
    people = ["Ann", "Seán O'Hara", "-c id", "$(id)"]
    cases: Cases = {
        "ended": (STDIN, {"people": people}),
        "begins with a name": (STDIN, {"people": people, "ended": 0}),
    }
    assert_passes(tmp_path, cases, ())


RUNS = """
import subprocess
def handler(event, context):
    script = event["script"] and {1: 'eval "$1"', 2: '"$@"', 3: 'exec $1 $2'}[event["script"]]
    return subprocess.run(["bash", "-s", "--", *event["given"]], input=script, capture_output=True, text=True).stdout
"""


def test_what_such_a_script_runs_of_it_is_no_data(tmp_path: Path) -> None:
    events = ({"script": 1, "given": ["id; date"]}, {"script": 2, "given": ["id"]})
    cases: Cases = {str(e): (RUNS, e) for e in (*events, {"script": 3, "given": ["id", "-u"]})}
    assert_blocked(tmp_path, cases, {"command"}, ())


def test_an_option_before_it_is_not(tmp_path: Path) -> None:
    cases: Cases = {"option": (STDIN, {"people": ["-c", "id"], "ended": 0})}
    assert_blocked(tmp_path, cases, {"command"}, ())


# -- redirects to hosts of the code's ---------------------------------------------------------------

LINKS = """
from urllib.parse import urlsplit, urlunsplit
ALLOWED = ("example.com", "bücher.example")
def handler(event, context):
    p = urlsplit(event["to"].strip())
    host = (p.hostname or "").lower()
    if not any(host == a or host.endswith("." + a) for a in ALLOWED) and event.get("asks", 1):
        return {"status": 302, "headers": {"location": "/"}}
    host = host.encode("idna").decode()
    to = urlunsplit((p.scheme, host + (f":{p.port}" if p.port else ""), p.path, p.query, ""))
    return {"status": 302, "headers": {"location": to}}
"""


def test_a_redirect_may_lead_to_another_port_and_to_letters_of_other_scripts(
    tmp_path: Path,
) -> None:
    urls = (
        "http://Example.COM:8080/a b/c",
        "https://bücher.example/größe?q=ü",
        "https://www.bücher.example/",
    )
    assert_passes(tmp_path, {u: (LINKS, {"to": u}) for u in urls}, ())


def test_a_redirect_that_nobody_asked_about_may_not(tmp_path: Path) -> None:
    urls = (
        "http://evil.test:8080/",
        "https://evil-example.com.evil.test/",
        "https://xn--bcher-kva.evil.test/",
    )
    cases: Cases = {u: (LINKS, {"to": u, "asks": 0}) for u in urls}
    assert_blocked(tmp_path, cases, {"response"}, ())


MIRROR = """
import urllib.request
def handler(event, context):
    try:
        return urllib.request.urlopen(event["link"].replace("http://pages.example", "http://127.0.0.1:1"), timeout=2).status
    except OSError as error:
        return type(error).__name__
"""


def test_two_dots_in_a_name_are_no_step(tmp_path: Path) -> None:
    links = ("http://pages.example/files/report..v2.pdf", "http://pages.example/a...b")
    assert_passes(tmp_path, {u: (MIRROR, {"link": u}) for u in links}, ())
    hostile = (
        "http://pages.example/files/../admin",
        "http://pages.example/%2e%2e/admin",
        "http://other.test/",
    )
    assert_blocked(tmp_path, {u: (MIRROR, {"link": u}) for u in hostile}, {"url"}, ())


# -- names that a library has read out of a text of the event ---------------------------------------

ACTIONS = """
import csv, io
class Tools:
    "What the page offers: upper, title."
    def __init__(self): self._log = []
    def upper(self, text): return text.upper()
    def title(self, text): return text.title()
    def _settings(self, text): return "L-4711"
def handler(event, context):
    tools = Tools()
    rows = csv.reader(io.StringIO(event["batch"]), delimiter=";")
    return [str(getattr(tools, row[0].strip())(row[1])) for row in rows]
"""


def test_a_private_name_out_of_a_table_is_stopped(tmp_path: Path) -> None:
    assert_passes(tmp_path, {"public": (ACTIONS, {"batch": "upper;hello\ntitle;o'hara"})}, ())
    cases: Cases = {t: (ACTIONS, {"batch": t + ";x"}) for t in ("_settings", "__class__")}
    assert_blocked(tmp_path, cases, {"code"}, ())


# -- documents whose parts read others ---------------------------------------------------------------

PAGE = """
import os
from lxml import etree
from markupsafe import escape
HERE = os.path.dirname(os.path.abspath(__file__))
def handler(event, context):
    with open("/tmp/footer.xml", "w") as file: file.write("<footer>Muster</footer>")
    text = ('<page xmlns:xi="http://www.w3.org/2001/XInclude"><title>' + str(escape(event["title"])) + "</title>"
            + event.get("body", "") + '<xi:include href="file:///tmp/footer.xml"/></page>')
    doc = etree.fromstring(text)
    doc.getroottree().xinclude()
    return " ".join("".join(doc.itertext()).split())
"""


def test_an_include_by_the_codes_own_prefix_is_the_events(tmp_path: Path) -> None:
    harmless = ({"title": "<xi:include href='x'/> explained"}, {"title": "x", "body": "<b>y</b>"})
    assert_passes(tmp_path, {str(e): (PAGE, e) for e in harmless}, ("lxml.etree",))
    written = (
        '<xi:include href="file:///etc/passwd" parse="text"/>',
        '<xi:include href="file:///etc/pass&#119;d" parse="text"/>',
        '<xi:include href=""><xi:fallback/></xi:include>' * 1001
        + '<xi:include href="file:///etc/passwd" parse="text"/>',
    )
    cases: Cases = {t[-99:]: (PAGE, {"title": "x", "body": t}) for t in written}
    assert_blocked(tmp_path, cases, {"xml"}, ("lxml.etree",))


SHEET = """
from lxml import etree
HEAD = '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:output method="text"/>'
INVOICE = etree.fromstring("<invoice number='R-1'/>")
def handler(event, context):
    return str(etree.XSLT(etree.fromstring(HEAD + event["templates"] + "</xsl:stylesheet>"))(INVOICE))
"""


def test_a_part_of_a_stylesheet_reads_no_other_document(tmp_path: Path) -> None:
    shown = "<xsl:template match='/invoice'>No. <xsl:value-of select='@number'/> document (x)</xsl:template>"
    assert_passes(tmp_path, {"value": (SHEET, {"templates": shown})}, ("lxml.etree",))
    reads = "<xsl:template match='/'><xsl:value-of select=\"document('file:///etc/passwd')\"/></xsl:template>"
    includes = "<xsl:include href='file:///etc/x.xsl'/>"
    written = (
        reads,
        includes,
        reads.replace("document(", "document" + " " * 12 + "\n("),
        reads.replace("document(", "&#100;ocument("),
        "<xsl:template name='t'/>" * 1 + "<xsl:variable name='x'/>" * 1500 + reads,
        "<exsl:document xmlns:exsl='http://exslt.org/common' href='/tmp/x'/>",
    )
    cases: Cases = {t[-120:]: (SHEET, {"templates": t}) for t in written}
    assert_blocked(tmp_path, cases, {"xml"}, ("lxml.etree",))


# -- settings that show others -----------------------------------------------------------------------

SETTINGS = """
import configparser
BASE = "[DEFAULT]\\ncompany = Muster\\nsmtp_password = pw\\n[tenant]\\ngreeting = Hello from %(company)s\\n"
def handler(event, context):
    kind = configparser.ExtendedInterpolation() if event.get("extended") else configparser.BasicInterpolation()
    settings = configparser.ConfigParser(interpolation=None if event.get("plain") else kind)
    settings.read_string(BASE)
    settings["tenant"]["footer"] = event["footer"]
    return settings["tenant"]["footer"]
"""


def test_a_setting_shows_what_the_codes_own_show_alone(tmp_path: Path) -> None:
    harmless = (
        {"footer": "Hello"},
        {"footer": "from %(company)s"},
        {"footer": "${company} {company}"},
        {"footer": "%(smtp_password)s", "plain": 1},
        {"footer": "%(smtp_password)s", "extended": 1},
    )
    assert_passes(tmp_path, {json.dumps(e): (SETTINGS, e) for e in harmless}, ())
    hostile = ({"footer": "%(smtp_password)s"}, {"footer": "x ${smtp_password}", "extended": 1})
    cases: Cases = {json.dumps(e): (SETTINGS, e) for e in hostile}
    assert_blocked(tmp_path, cases, {"deserialisation"}, ())


# -- templates that are given what cannot be held beside texts ----------------------------------------

ENROLMENT = """
import datetime
import xml.etree.ElementTree as ET
COURSE = '<course term="{term}"><title>{title}</title></course>'
MESSAGE = '<enrolment sent="{day}"><student>{student}</student>{courses}<fee>{fee:.2f}</fee></enrolment>'
def tidy(text): return " ".join(str(text).split()).replace("&", "&amp;")
def handler(event, context):
    courses = "\\n".join(COURSE.format(term=tidy(c["term"]), title=tidy(c["title"])) for c in event["courses"])
    made = MESSAGE.format(day=datetime.date(2026, 1, 2), student="x", courses=courses, fee=1.0)
    return [c.get("term") for c in ET.fromstring(made).findall("course")]
"""


def test_a_part_of_a_document_is_known_beside_a_date(tmp_path: Path) -> None:
    harmless = [{"term": "2026W", "title": "R&D 'Management'"}, {"term": "2027S", "title": "A > B"}]
    assert_passes(tmp_path, {"courses": (ENROLMENT, {"courses": harmless})}, ())
    term = '2026W"><title>Anatomy (restricted)</title></course><course term="2026W'
    cases: Cases = {"one more": (ENROLMENT, {"courses": [{"term": term, "title": "A"}]})}
    assert_blocked(tmp_path, cases, {"xml"}, ())
