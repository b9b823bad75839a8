"""Texts that programs put together by signs of their own, and take apart again or hand on."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes, placed

# -- cut again at a sign of the code's ------------------------------------------------------------

CUT = """
SIGN = "~"
def pack(user, role):
    return HOW
def handler(event, context):
    return READ
"""
WAYS = {
    "f": ('f"{user}|{role}"', 'pack(event["u"], "user").split("|")[:2]'),
    "join": ('"|".join([user, role])', 'pack(event["u"], "user").partition("|")'),
    "percent": ('"%s;%s" % (user, role)', 'pack(event["u"], "user").split(";", 1)'),
    "format": ('"{}||{}".format(user, role)', 'pack(event["u"], "user").split("||")'),
    "name": ("user + SIGN + role", 'pack(event["u"], "user").split(SIGN)'),
    "stripped": ('f" {user}|{role} "', 'pack(event["u"], "user").strip().rsplit("|")'),
    "last": ('f"{role}|{user}"', 'pack(event["u"], "user").rpartition("|")'),
    "form": ('"&".join(f"u={one}" for one in (user, role))', 'pack(event["u"], "x").split("&")'),
}


def _cut(name: str, value: str) -> tuple[str, object]:
    how, read = WAYS[name]
    return CUT.replace("HOW", how).replace("READ", read), {"u": value}


def test_data_moves_no_cut(tmp_path: Path) -> None:
    signs = {"percent": ";", "format": "||", "name": "~", "form": "&"}
    hostile = {n: _cut(n, f"bob{signs.get(n, '|')}admin") for n in WAYS}
    assert_blocked(tmp_path, hostile, {"deserialisation"}, ())
    for value in ("bob", "O'Neil / x-y_z.1", "", "a b, c: d"):
        assert_passes(tmp_path, {name: _cut(name, value) for name in WAYS}, ())


KEPT = """
def handler(event, context):
    key = f"{event['kind']}:{event['id']}"
    kind, _, number = key.partition(":")
    kept = ";".join(event["tags"])
    head = f"text/{event['kind']}; charset=utf-8; {event['more']}".split(";")[0]
    hour, minute, second = (event["time"] + ":00").split(":")
    return [kind, number, kept, head, second, event["line"].split("|"), event["line"].split(",")]
"""


def test_what_is_cut_where_the_code_has_joined_it_passes(tmp_path: Path) -> None:
    event = {
        **{"kind": "plain", "id": "urn:isbn:1", "tags": ["a;b", "c"], "more": "q=1; r=2"},
        **{"time": "10:30", "line": "a|b,c|d"},
    }
    assert_passes(tmp_path, {"kept": (KEPT, event)}, ())


# -- handed on ------------------------------------------------------------------------------------

MESSAGE = """
def handler(event, context):
    lines = ["MSH|^~\\\\&|LAB", f"PID|1||{event['id']}^^^MR||{event['name']}", "PV1|1|I"]
    return {"message": "\\r".join(lines), "size": len(lines)}
"""
ANSWER = """
def handler(event, context):
    body = f":20:{event['id']}\\n:32A:260101EUR1,\\n:59:{event['name']}\\n"
    return {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "body": body}
"""
FILE = """
def handler(event, context):
    with open("/tmp/labels.zpl", "w") as f:
        for line in ("^XA", f"^FO9,9^FD{event['id']} {event['name']}^FS", "^XZ"):
            f.write(line + "\\n")
    return {"ok": True}
"""
PAPER = """
from pathlib import Path
def handler(event, context):
    title = event["name"].replace("&", "\\\\&").replace("%", "\\\\%")
    text = "\\\\documentclass{article}\\\\begin{document}\\\\section{%s}\\\\end{document}" % title
    Path("/tmp/paper.tex").write_text(text)
    return text
"""
SENT = """
import socket
def handler(event, context):
    one, other = socket.socketpair()
    one.sendall(f"user={event['name']};id={event['id']};role=user\\n".encode())
    return other.recv(999).decode()
"""
SAMPLES = {
    "message": (MESSAGE, "7\rOBX|1|NM|x"),
    "answer": (ANSWER, "BE1\n:70:FREE"),
    "file": (FILE, "x^FS^FO20,20^FDy"),
    "paper": (PAPER, "x}\\input{/etc/passwd}"),
    "sent": (SENT, "bob;role=admin"),
}


def test_data_is_one_value_of_what_is_handed_on(tmp_path: Path) -> None:
    cases: Cases = {
        name: (code, {"id": "4", "name": value}) for name, (code, value) in SAMPLES.items()
    }
    assert_blocked(tmp_path, placed(cases, tmp_path), {"file", "header", "response"}, ())
    for value in ("O'Neil & Sons", "50% off, now", "a: b; c", "M\u00fcller \U0001f389", ""):
        cases = {n: (code, {"id": "4", "name": value}) for n, (code, _) in SAMPLES.items()}
        assert_passes(tmp_path, placed(cases, tmp_path), ())


# -- hosts, patterns ------------------------------------------------------------------------------

FETCH = """
import urllib.request
SEEN = {"https://api.example.com/a": "a", "https://api.example.com.evil.test/a": "b"}
ALLOWED = ("https://api.example.com", "https://api.example.com.au")
class Recorded(urllib.request.BaseHandler):
    handler_order = 1
    def https_open(self, request):
        raise ValueError("not recorded")
def handler(event, context):
    url = event["url"]
    if not url.startswith(ALLOWED):
        return "no"
    try:
        urllib.request.build_opener(Recorded).open(url)
    except ValueError:
        return SEEN.get(url)
"""


def test_a_host_that_begins_as_one_that_is_asked_for_is_another(tmp_path: Path) -> None:
    hostile = ("https://api.example.com.evil.test/b", "https://api.example.com.evil.test")
    assert_blocked(tmp_path, {url: (FETCH, {"url": url}) for url in hostile}, {"url"}, ())
    for url in ("https://api.example.com/a", "https://api.example.com.au/x", "https://x.test/"):
        assert_passes(tmp_path, {url: (FETCH, {"url": url})}, ())


COMPARED = """
from pathlib import PurePath
def handler(event, context):
    names = ("ann_1.txt", "bob_1.txt")
    return [n for n in names if PurePath(n).match(event["who"] + "_*.txt")]
"""


def test_data_in_a_pattern_for_paths_stands_for_itself(tmp_path: Path) -> None:
    hostile = ("*", "[a-z]nn", "[!x]ob", "a*")
    assert_blocked(tmp_path, {v: (COMPARED, {"who": v}) for v in hostile}, {"path"}, ())
    assert_passes(tmp_path, {v: (COMPARED, {"who": v}) for v in ("ann", "O'Neil", "")}, ())


LIBRARY = """
import json, tempfile
def handler(event, context):
    with tempfile.TemporaryFile("w+") as f:
        f.write(">ref|A checked\\nACGT\\n")
        f.writelines(f">sub|{one['id']} x\\nACGT\\n" for one in json.loads(event["body"]))
        f.seek(0)
        return [line for line in f if line.startswith(">")]
"""


def test_what_stands_beside_the_code_s_own_sign_is_judged_as_well(tmp_path: Path) -> None:
    def given(name: str) -> object:
        return {"body": f'[{{"id": "{name}"}}]'}

    hostile = r"S1\n>ref|B checked\nAAAA\n>sub|S1b"
    assert_blocked(tmp_path, {"forged": (LIBRARY, given(hostile))}, {"header"}, ())
    assert_passes(tmp_path, {n: (LIBRARY, given(n)) for n in ("S1", "A>B", "")}, ())


MANY = """
def handler(event, context):
    with open("/tmp/points.dat", "w") as f, open("/tmp/other.dat", "w") as other:
        other.write("user=" + event["name"] + ";role=user\\n")
        for number in range(event["many"]):
            f.write(f"{number};{event['name']};x\\n")
        f.writelines([f"{number};y;x\\n" for number in range(100)])
        print(event["name"], 1, sep=";", file=f)
    return "done"
"""


def test_a_file_of_many_writes_is_followed_no_further(tmp_path: Path) -> None:
    many = {str(n): (MANY, {"name": "Ann", "many": n}) for n in (0, 1, 63, 64, 65, 500)}
    assert_passes(tmp_path, placed(many, tmp_path), ())
    for number in (1, 500):
        event = {"name": "bob;role=admin", "many": number}
        cases: Cases = {str(number): (MANY, event)}
        assert_blocked(tmp_path, placed(cases, tmp_path), {"file"}, ())


QUOTED = """
import io, re
TOKEN = re.compile(r"'[^']*'|\\w+|[=()]")
def handler(event, context):
    if event["how"] == "tokens":
        return TOKEN.findall(f"owner = 'ann' and x = '{event['v']}'")
    if event["how"] == "words":
        return re.findall(r"\\w+", f"He said '{event['v']}' twice")
    return io.StringIO(f"He said '{event['v']}'").read()
"""


def test_quotes_count_where_a_pattern_finds_texts_in_quotes_alone(tmp_path: Path) -> None:
    hostile = {"how": "tokens", "v": "1' or '1'='1"}
    assert_blocked(tmp_path, {"tokens": (QUOTED, hostile)}, {"nosql"}, ())
    for how, value in (("tokens", "Ann and Bob"), ("words", "it's"), ("read", "it's")):
        assert_passes(tmp_path, {how: (QUOTED, {"how": how, "v": value})}, ())
