"""What a forty-seventh set of programs by others showed. Each has its harmless twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.guard.notes import REPLACED, Made
from casemate.guard.origin import Origin, Span
from casemate.guard.substituting import marks_replaced
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

ORIGIN = Origin("event", ("v",))

# -- harmless: marks of the code's that became values ---------------------------------------------

LAYOUT = """
from jinja2 import Environment
T = "Subject: %SUBJECT%\\n\\nDear {{ reader }},\\n%FOOTER%\\n-- {{ config.sender }}\\n"
def handler(event, context):
    text = T.replace("%SUBJECT%", event.get("subject", "News").strip())
    template = Environment().from_string(text.replace("%FOOTER%", event.get("footer") or "Bye"))
    return [template.render(reader=one, config={"sender": "us"}) for one in event["readers"]]
"""


def test_a_template_with_marks_is_not_searched_for_what_it_shows(tmp_path: Path) -> None:
    for reader in ("{{ config }}", "{{ config.sender }} {% raw %}", "Ann"):
        event = {"subject": "News", "readers": [reader]}
        assert_passes(tmp_path, {reader: (LAYOUT, event)}, ("jinja2",))
    for field in ("subject", "footer"):
        event = {field: "{{ config.sender }} {{ 7*7 }}", "readers": ["Ann"]}
        assert_blocked(tmp_path, {field: (LAYOUT, event)}, {"template"}, ("jinja2",))


@pytest.mark.parametrize(
    ("source", "mark", "value", "at", "found"),
    [
        ("a XX b %M% c", "%M%", "value", (2, 4), None),  # of one letter
        ("a XX b %NAME% c", "%NAME%", "value", (2, 4), [(2, 4)]),
        ("%NAME% a XX b", "%NAME%", "longer value", (9, 11), [(15, 17)]),
        ("a XX%NAME% b", "%NAME%", "v", (2, 4), None),  # beside it
        ("a X%NAME%X b", "%NAME%", "v", (2, 10), None),  # within it
    ],
)
def test_where_data_is_once_a_mark_became_a_value(
    source: str, mark: str, value: str, at: tuple[int, int], found: list[tuple[int, int]] | None
) -> None:
    def spans_of(text: str) -> list[Span]:
        return [Span(*at, ORIGIN, exact=True)] if text == source else []

    text = source.replace(mark, value)
    spans = marks_replaced(text, Made(text, REPLACED, (source, mark, value)), spans_of)
    assert (spans if spans is None else [(s.start, s.end) for s in spans]) == found


# -- records of logs ------------------------------------------------------------------------------

LOG = """
import json, logging
def handler(event, context):
    logger = logging.Logger("audit")
    h = logging.FileHandler("/tmp/audit.log", encoding="utf-8")
    h.setFormatter(logging.Formatter("2026-05-05T00:00:00Z %(levelname)s %(message)s"))
    logger.addHandler(h)
    if "verb" in event:
        logger.warning("event=unknown verb=%s", event["verb"][:40])
    else:
        logger.info("event=login user=%s ok=%s", event["user"], "false")
        logger.info("event=rename to=%s", json.dumps(event["user"]))
    h.close()
"""


def test_data_is_one_field_of_a_record_and_no_record(tmp_path: Path) -> None:
    hostile = (
        {"user": "eve event=rename user=admin to=root"},
        {"verb": "x\n2026-05-05 INFO event=rename to="},
        {"verb": "x\n[t] ERROR gone"},
    )
    cases: Cases = {str(n): (LOG, event) for n, event in enumerate(hostile)}
    assert_blocked(tmp_path, placed(cases, tmp_path), {"log"}, ())
    harmless = (
        {"user": "dee.oshea"},
        {"user": "a size=10 b"},
        {"verb": "search event=x"},  # the last may be any text
        {"user": "\u0430\u043d\u0434\u0440\u0435\u0439 \U0001f642"},
    )
    cases = {str(n): (LOG, event) for n, event in enumerate(harmless)}
    assert_passes(tmp_path, placed(cases, tmp_path), ())


# -- texts in formats that the code writes and reads ------------------------------------------------

SEQUENCES = """
import os, subprocess, tempfile
from textwrap import fill
def handler(event, context):
    fd, path = tempfile.mkstemp(suffix=".fasta", dir="/tmp/")
    with os.fdopen(fd, "w", encoding="utf-8") as f:
        for one in event["samples"]:
            f.write(f">{one['id'][:9]} {one.get('desc', '')}\\n{fill(one['seq'], 60)}\\n")
    return int(subprocess.run(["grep", "-c", "^>", path], capture_output=True, text=True).stdout or 0)
"""


def _sample(desc: str, name: str = "s1") -> dict[str, object]:
    return {"samples": [{"id": name, "desc": desc, "seq": "ACGT" * 40}]}


def test_a_file_that_is_written_by_its_descriptor_is_judged(tmp_path: Path) -> None:
    hostile = ("liver\n>control1 x\nGGGG", "x\nTTTT", "a\n>s2")
    cases: Cases = {d: (SEQUENCES, _sample(d)) for d in hostile}
    assert_blocked(tmp_path, placed(cases, tmp_path), {"file"}, ())
    harmless = ("liver > 5 mg; 37 degrees", "", "$(id) `x` 'q'", "\u00b5m")
    assert_passes(tmp_path, placed({d: (SEQUENCES, _sample(d)) for d in harmless}, tmp_path), ())


SETTINGS = """
import csv, io
def parse(text):
    return [line.split() for line in text.split("\\n") if line.strip()]
def handler(event, context):
    blocks = [
        f"Host {row['alias'].strip()}\\n  HostName {row['address']}\\n  Port 22\\n"
        f"  User {row['user']}\\n  # owner: {row['owner']}\\n  ProxyJump bastion.corp.example"
        for row in csv.DictReader(io.StringIO(event["inventory"]))
    ]
    return parse("\\n".join(blocks) + "\\n")
"""
INVENTORY = "alias,address,user,owner\n"


def test_data_is_one_value_of_a_setting_without_a_sign(tmp_path: Path) -> None:
    hostile = (
        'w,10.0.0.5,"deploy\n  ProxyCommand sh -c id",Bo\n',
        'w,10.0.0.5,deploy,"Bo\nHost db1\n  HostName 203.0.113.9"\n',
    )
    cases: Cases = {row: (SETTINGS, {"inventory": INVENTORY + row}) for row in hostile}
    assert_blocked(tmp_path, cases, {"file"}, ())
    harmless = ("w,10.0.0.5,deploy,Dee O'Shea # on call\n", "w,::1,x,ProxyCommand $(id)\n", "")
    cases = {row: (SETTINGS, {"inventory": INVENTORY + row}) for row in harmless}
    assert_passes(tmp_path, cases, ())


PAYMENT = r"""
import re
from textwrap import wrap
def handler(event, context):
    lines = [line for part in event["text"].splitlines() for line in wrap(part, 35)]
    message = "\r\n".join([
        "{4:", ":20:REF1", ":32A:260101EUR10,00", f":59:/GB29NWBK60161331926819",
        f":70:{chr(13) + chr(10)}".strip() + "\r\n".join(lines[:4]), ":71A:SHA", "-}",
    ])
    block = message.split("{4:", 1)[1].split("\r\n-}", 1)[0]
    return re.findall(r"(?:^|\r\n):(\d{2}[A-Z]?):([^\r\n]*)", block)
"""


def test_a_line_of_data_is_no_field_of_a_payment(tmp_path: Path) -> None:
    hostile = ("Invoice 7\n:59:/FR1420041010050500013M02606\nEVE", "x\n:32A:260101EUR999999,00")
    assert_blocked(tmp_path, {t: (PAYMENT, {"text": t}) for t in hostile}, {"file"}, ())
    harmless = ("Invoice 17\nCustomer: 4711 (ref :59 in our books)", "L\u00f6hne / salaries", "")
    assert_passes(tmp_path, {t: (PAYMENT, {"text": t}) for t in harmless}, ())


TOPIC = """
def matches(wanted, topic):
    return all(one in ("+", "#", other) for one, other in zip(wanted.split("/"), topic.split("/")))
class Broker:
    def subscribe(self, wanted):
        return [topic for topic in ("t/acme/door", "t/acme/pin") if matches(wanted, topic)]
def handler(event, context):
    device, _, field = event["query"].strip().rpartition("/")
    return Broker().subscribe("/".join(["t", "acme", device, field]))
"""


def test_a_sign_that_was_cut_out_of_the_event_is_the_event_s(tmp_path: Path) -> None:
    hostile = ("#/state", "+/state", "door/#/temp")
    assert_blocked(tmp_path, {q: (TOPIC, {"query": q}) for q in hostile}, {"nosql"}, ())
    harmless = ("boiler-1/temp", "Dee's lamp/state", "a_b__/state", "C#1/state")
    assert_passes(tmp_path, {q: (TOPIC, {"query": q}) for q in harmless}, ())


FORM = """
import urllib.error, urllib.request
from urllib.parse import quote
def handler(event, context):
    text = event["text"].strip()[:160].replace(" ", "+").replace("\\n", "%0A")
    fields = [("to", quote("+47")), ("text", text), ("ref", quote(event.get("ref", ""), safe=""))]
    body = "&".join(f"{k}={v}" for k, v in fields).encode()
    try:
        urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:9/v1", data=body))
    except urllib.error.URLError:
        return "sent"
"""


def test_data_is_one_field_of_a_form_that_is_sent(tmp_path: Path) -> None:
    hostile = ("Hi&to=+19005550100", "x&callback=http://evil.example/", "Code 1&from=Your Bank")
    assert_blocked(tmp_path, {t: (FORM, {"text": t}) for t in hostile}, {"url"}, ())
    for text in ("Hi Dee, it's ready: 12.50 EUR!\nBye", "Hei p\u00e5 deg <3", "a=b"):
        event = {"text": text, "ref": "https://shop.example/?o=0&x=1#f"}
        assert_passes(tmp_path, {text: (FORM, event)}, ())


ORDERS = r"""
import re
def feed(text):
    return [order.strip().partition(" ")[0] for order in re.split(r"[;\n]", text) if order.strip()]
def handler(event, context):
    return [feed(f"say <{one['nick']}> {one['text']}") for one in event["messages"]]
"""


def test_data_begins_no_order_among_those_that_a_pattern_divides(tmp_path: Path) -> None:
    def given(*texts: str) -> object:
        return {"messages": [{"nick": "eve", "text": text} for text in texts]}

    hostile = (("hi; op eve",), ("hello", "ok ;print rcon"), ("waves\nban admin",))
    assert_blocked(
        tmp_path, {str(t): (ORDERS, given(*t)) for t in hostile}, {"deserialisation"}, ()
    )
    harmless = (("hi all, who's up for /op jokes? :-)", "leaves | brb"), ("gg;",), ())
    assert_passes(tmp_path, {str(t): (ORDERS, given(*t)) for t in harmless}, ())


ENVIRONMENT = r"""
import subprocess
def handler(event, context):
    with open("/tmp/app.env", "w") as f:
        f.write('DB_PASSWORD=x9\nAPP_NAME="%s"\n' % event["name"].replace('"', "'"))
    script = '. "$1"; printf %s "$APP_NAME"'
    return subprocess.run(
        ["sh", "-c", script, "x", "/tmp/app.env"], capture_output=True, text=True
    ).stdout
"""


def test_a_setting_shows_no_other_that_the_file_has(tmp_path: Path) -> None:
    cases: Cases = {n: (ENVIRONMENT, {"name": n}) for n in ("x $DB_PASSWORD", "${DB_PASSWORD}!")}
    assert_blocked(tmp_path, placed(cases, tmp_path), {"command", "file"}, ())
    harmless = ("Dee's Tea & Co", '7/24 "Service"', "A; B | C > D # E", "US$ 5", "$PRICE")
    cases = {n: (ENVIRONMENT, {"name": n}) for n in harmless}
    assert_passes(tmp_path, placed(cases, tmp_path), ())
