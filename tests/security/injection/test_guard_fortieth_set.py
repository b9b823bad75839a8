"""What a fortieth set of programs by others showed. Each has its harmless twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- stores and brokers of the code's own ------------------------------------------------------------------

STORE = """
import json, re
OPS = {"$eq": lambda a, b: a == b, "$ne": lambda a, b: a != b, "$gt": lambda a, b: a > b,
       "$regex": lambda a, b: re.search(b, a) is not None}
class Collection:
    def __init__(self, docs):
        self.docs = docs
    def find(self, asked):
        return [d for d in self.docs if all(self.fits(d.get(k), v) for k, v in asked.items())]
    def find_one(self, asked):
        return next(iter(self.find(asked)), None)
    @staticmethod
    def fits(value, asked):
        if isinstance(asked, dict):
            return all(OPS[op](value, arg) for op, arg in asked.items())
        return value == asked
USERS = Collection([{"mail": "a@example.org", "pin": "4711", "age": 30}])
def handler(event, context):
    body = json.loads(event["body"])
    found = USERS.CALL
    return bool(found)
"""
ASKED = {
    "find": 'find({"mail": body.get("mail"), "pin": body.get("pin")})',
    "find_one": 'find_one({"mail": body.get("mail"), "pin": body.get("pin")})',
    "whole": "find(body)",
}


@pytest.mark.parametrize("way", ASKED)
def test_data_brings_no_operators_to_a_store_of_the_code(tmp_path: Path, way: str) -> None:
    code = STORE.replace("CALL", ASKED[way])
    hostile = (
        '{"mail": "a@example.org", "pin": {"$ne": ""}}',
        '{"mail": {"$regex": "^a"}, "pin": {"$gt": ""}}',
    )
    assert_blocked(tmp_path, {b: (code, {"body": b}) for b in hostile}, {"nosql"}, ())
    harmless = (
        '{"mail": "a@example.org", "pin": "4711"}',
        '{"mail": "$where", "pin": "{\\"$ne\\": 1}"}',
        '{"mail": "x", "pin": 4711}',
        "{}",
    )
    assert_passes(tmp_path, {b: (code, {"body": b}) for b in harmless}, ())


BROKER = """
STATES = {"plant/p1/dev/pump/state": 1, "plant/p1/dev/safety/state": 2}
class Broker:
    def subscribe(self, topic):
        return [t for t in STATES if t == topic]
def handler(event, context):
    device = event["device"]
    if device == "safety" or not device.strip("+#"):
        STATES[device] = 0
    return Broker().subscribe(TOPIC)
"""
TOPICS = {
    "percent": '"plant/%s/dev/%s/state" % ("p1", device)',
    "f-string": 'f"plant/p1/dev/{device}/state"',
    "join": '"/".join(["plant", "p1", "dev", device, "state"])',
    "list": '[(f"plant/p1/dev/{device}/state", 0)][0][0]',
}


@pytest.mark.parametrize("way", TOPICS)
def test_data_stands_for_no_level_of_a_topic(tmp_path: Path, way: str) -> None:
    code = BROKER.replace("TOPIC", TOPICS[way])
    hostile = ("+", "pump/#", "#", "+/+")
    assert_blocked(tmp_path, {d: (code, {"device": d}) for d in hostile}, {"nosql"}, ())
    harmless = ("pump", "valve 2", "c++", "no. #1", "a+b", "", "ger\u00e4t-\u00fc")
    assert_passes(tmp_path, {d: (code, {"device": d}) for d in harmless}, ())
    whole = BROKER.replace("TOPIC", "device")
    own = BROKER.replace("TOPIC", 'f"plant/{device}/+/state"')
    cases: Cases = {f"whole {d}": (whole, {"device": d}) for d in (*hostile, *harmless)}
    cases |= {f"own {d}": (own, {"device": d}) for d in harmless}
    assert_passes(tmp_path, cases, ())


# -- patterns ---------------------------------------------------------------------------------------------------

CARDS = """
import re
CARDS = ["LB-1001", "LB-2002"]
def handler(event, context):
    m = re.match(r"(?:no )?(.*)", event["text"])
    number = m[1].strip()
    return [c for c in CARDS if re.match("LB-" + number + "$", c)]
"""


def test_data_in_a_pattern_matches_no_other_number(tmp_path: Path) -> None:
    hostile = ("[0-9][0-9][0-9][0-9]", ".{4}", r"\d{4}", "[0-9]{2,4}", ".*", "(?:[12]..|.){2,4}")
    assert_blocked(tmp_path, {t: (CARDS, {"text": t}) for t in hostile}, {"regex"}, ())
    harmless = ("1001", "no 2002", "x{3}", "...", "[INFO] a", "a.b", "v1.2.3", "[A-Z] key", "C+")
    assert_passes(tmp_path, {t: (CARDS, {"text": t}) for t in harmless}, ())


# -- templates of % ------------------------------------------------------------------------------------------------

SUBJECTS = """
import sqlite3
RUN = {"period": "2026-01", "amount": 1.5, "api_key": "k-9911"}
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE customer (name TEXT, subject TEXT)")
    line = "Invoice for " + event["name"].strip() + ": %(period)s, %(amount).2f EUR"
    db.execute("INSERT INTO customer VALUES (?, ?)", (event["name"], line))
    for name, subject in db.execute("SELECT name, subject FROM customer"):
        try:
            return subject % {**RUN, "amount": 2.0}
        except (KeyError, TypeError, ValueError):
            return "Invoice"
"""


def test_data_shows_no_hidden_field_of_a_dictionary_by_percent(tmp_path: Path) -> None:
    hostile = ("Eve %(api_key)s", "%(period)s")
    assert_blocked(tmp_path, {n: (SUBJECTS, {"name": n}) for n in hostile}, {"template"}, ())
    harmless = ("O'Hara", "Jos\u00e9 $x {amount}", "100 %", "50% (net)", "%d", "50%", "")
    assert_passes(tmp_path, {n: (SUBJECTS, {"name": n}) for n in harmless}, ())
    numbers = "def handler(event, context):\n    line, n = event['n'], 7\n    return line % n\n"
    assert_passes(tmp_path, {"numbers": (numbers, {"n": 22})}, ())


# -- pages of which nothing tells the type ---------------------------------------------------------------------------

BOARD = """
import html, re
def to_html(text):
    text = html.escape(text).replace("&#x27;", "'")
    return "<p>" + re.sub(r"\\[([^\\]]+)\\]\\(([^)\\s]+)\\)", r"<a href='\\2'>\\1</a>", text) + "</p>"
def handler(event, context):
    page = "<article><h2>News</h2>" + to_html(event["text"]) + "</article>"
    return {"statusCode": 200, HEADERS"body": page}
"""


def test_data_is_no_markup_on_a_page_without_a_type(tmp_path: Path) -> None:
    code = BOARD.replace("HEADERS", "")
    hostile = ("[x](https://a.example/'onmouseover='alert`1`)", "[here](javascript:alert`1`)")
    assert_blocked(tmp_path, {t: (code, {"text": t}) for t in hostile}, {"response"}, ())
    harmless = ("Monday's [plan](https://a.example/?a=1)", "<script>x</script>", "it's {{ n }}", "")
    assert_passes(tmp_path, {t: (code, {"text": t}) for t in harmless}, ())
    plain = BOARD.replace("HEADERS", '"headers": {"Content-Type": "text/plain"}, ')
    whole = 'def handler(event, context): return {"statusCode": 200, "body": event["text"]}'
    cases: Cases = {f"plain {t}": (plain, {"text": t}) for t in hostile}
    cases |= {f"whole {t}": (whole, {"text": t}) for t in ("<p>x</p>", "<div onclick=x>y</div>")}
    assert_passes(tmp_path, cases, ())


# -- lines ----------------------------------------------------------------------------------------------------------------

RELAY = """
class Irc:
    def __init__(self):
        self.said = []
    def sendall(self, data):
        self.said += data.decode().split("\\r\\n")
def handler(event, context):
    irc = Irc()
    irc.sendall(b"NICK relay\\r\\n")
    irc.sendall(f"PRIVMSG #dev :<{event['who']}> {event['text'][:400]}\\r\\n".encode())
    return irc.said
"""
STEP = """
import os, tempfile
def write(path, pairs):
    with open(path, "a", encoding="utf-8") as out:
        for key, value in pairs:
            out.write("%s=%s\\n" % (key, value))
def handler(event, context):
    fd, path = tempfile.mkstemp(prefix="env_", dir="/tmp/")
    os.close(fd)
    write(path, [("CI", "true"), ("DEPLOY_ALLOWED", "false")])
    write(path, [("ISSUE_NUMBER", 7), ("ISSUE_TITLE", event["text"])])
    with open(path, encoding="utf-8") as lines:
        return dict(line.rstrip().partition("=")[::2] for line in lines)
"""
SAMPLES = """
import re
SAMPLE = re.compile(r'^([a-z_]+)\\{(.*)\\} (\\S+)$')
def exposition(host):
    lines = ["# HELP job_seconds Run time."]
    lines.append('job_seconds{host="%s"} %g' % (host, 2.5))
    return "\\n".join(lines) + "\\n"
def scrape(text):
    return [m[1] for line in text.split("\\n") if (m := SAMPLE.match(line))]
def handler(event, context):
    return scrape(exposition(event["text"]))
"""
LINES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "commands": (RELAY, ("hi\r\nKICK #staff admin", "x\nPRIVMSG #staff :keys"), "header"),
    "environment": (STEP, ("hello\nDEPLOY_ALLOWED=true", "a\nb\nPATH=/x"), "log"),
    "samples": (SAMPLES, ("a\njob_ok{} 1\n", 'z"} 1\nup{} 0\n'), "log"),
}


@pytest.mark.parametrize("way", LINES)
def test_data_begins_no_line_that_is_read_again(tmp_path: Path, way: str) -> None:
    code, hostile, sink = LINES[way]
    code = code.replace("/tmp/", f"{tmp_path}/")
    cases: Cases = {t: (code, {"who": "eve", "text": t}) for t in hostile}
    assert_blocked(tmp_path, cases, {sink, "nosql"}, ())
    harmless = (
        "QUIT time; it's **bold**",
        "A=B is set",
        "DEPLOY_ALLOWED=true?",
        "say hi, {x}=1",
        "",
    )
    assert_passes(tmp_path, {t: (code, {"who": "ana", "text": t}) for t in harmless}, ())


# -- commands -----------------------------------------------------------------------------------------------------------------

FETCH = """
import os, subprocess
HERE = os.path.dirname(__file__)
def handler(event, context):
    script = os.path.join(HERE, "fetch.sh")
    done = subprocess.run(["sh", script, "fetch", "origin", event["ref"]], capture_output=True)
    return done.returncode
"""
WITH_OPTIONS = """#!/bin/sh
for a in "$@"; do
  case "$a" in
    --upload-pack=*) pack=${a#--upload-pack=} ;;
  esac
done
exit 0
"""


def test_data_is_no_option_of_a_script_of_the_code(tmp_path: Path) -> None:
    cases: Cases = {"option": (FETCH, {"ref": "--upload-pack=id"})}
    (tmp_path / "case0").mkdir()
    (tmp_path / "case0" / "fetch.sh").write_text(WITH_OPTIONS)
    assert_blocked(tmp_path, cases, {"command"}, ())
    harmless = ("main", "feature/it's-$HOME;id", "v1.0-rc--2")
    assert_passes(tmp_path, {r: (FETCH, {"ref": r}) for r in harmless}, ())
    (tmp_path / "case0" / "fetch.sh").write_text('#!/bin/sh\nprintf "%s" "$2 $3"\n')
    assert_passes(tmp_path, {"text": (FETCH, {"ref": "-- a dash"})}, ())


REDACT = """
import re, subprocess
def handler(event, context):
    words = [ESCAPED for w in event["names"].split(",") if w.strip()]
    script = "; ".join(f"s/{w.strip()}/X/g" for w in words) or "p"
    done = subprocess.run(["sed", script], input=event["text"], capture_output=True, text=True)
    return done.returncode
"""
BY_SIGN = REDACT.replace("ESCAPED", 're.sub(r"([.*^$\\[\\]\\\\])", r"\\\\\\1", w)')


def test_escaped_signs_in_what_sed_looks_for_are_text(tmp_path: Path) -> None:
    hostile = ("Meier/M/; 1e echo x", "x/y/;r /etc/passwd\ns/a", "a/;1e id;s/b", "a\n1e id\n")
    cases: Cases = {n: (BY_SIGN, {"names": n, "text": "Meier"}) for n in hostile}
    # Where nothing escapes its backslash, data has the sign of the code's go on as text.
    bare = REDACT.replace("ESCAPED", "w")
    cases |= {
        n: (bare, {"names": n, "text": "Meier"}) for n in ("a\\", "a\\,/;1e id;", "a\\\\/e;#")
    }
    assert_blocked(tmp_path, cases, {"command"}, ())
    harmless = ("O'Brien-Smith, Dr. X", "M\u00fcller [sic]", "J.R.", "a*b", "50$", "Ann\\Bo", "")
    cases = {n: (BY_SIGN, {"names": n, "text": "Ann"}) for n in harmless}
    assert_passes(tmp_path, cases, ())


# -- code that is none ------------------------------------------------------------------------------------------------------------

DICE = """
import re
def handler(event, context):
    try:
        return RUN(re.sub(r"(\\d)d(\\d)", r"\\1*\\2", event["roll"]))
    except (SyntaxError, NameError, TypeError, ValueError):
        return "no dice"
"""


def test_what_is_no_code_is_the_code_s_to_refuse(tmp_path: Path) -> None:
    code, run = DICE.replace("RUN", "eval"), DICE.replace("RUN", "exec")
    broken = ("2d", "1 +", "__import__('os').system('id'", "print(", "a b", "x = 1 2")
    cases: Cases = {f"eval {t}": (code, {"roll": t}) for t in (*broken, "x = 1", "import os")}
    cases |= {f"exec {t}": (run, {"roll": t}) for t in broken}
    assert_passes(tmp_path, cases, ())
    hostile = (
        "1*__import__('os').getpid()",
        " \t__import__('os').getpid()",
        "__import__('os').getpid()\n",
        "(lambda: __import__('os').getpid())()",
        "__import__('os').getpid() # x",
    )
    cases = {f"eval {t}": (code, {"roll": t}) for t in hostile}
    cases |= {
        f"exec {t}": (run, {"roll": t}) for t in (*hostile[:1], "import os; os.getpid()", "x = 1")
    }
    assert_blocked(tmp_path, cases, {"code"}, ())
