"""Handlers that escape, filter or put together data by themselves before a command."""

import json

from support.guard_corpus import Program, b64, body, query, zip_of

_HOSTILE = (
    ["O'Brien", "a; id", "$(id)", "`x`", '"; id; "', "a\\", "a\\'; id; '", "'\"'\"'; id", "a'b'c"],
    ["' ; '", "\n", "*", "~", "#x", "x=1", ""],
)
_VALUES = [{"n": value} for values in _HOSTILE for value in values]


def _safe(code: str) -> Program:
    return Program(code, (), _VALUES)


def _token(name: str) -> dict[str, object]:
    segment = b64(json.dumps({"n": name})).rstrip("=")
    return {"headers": {"authorization": f"Bearer e30.{segment}.x"}}


PROGRAMS = {
    "quotes replaced": _safe(
        r"""
import os
def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"
def handler(event, context):
    return os.system("echo " + quoted(event["n"]) + " >/dev/null")
"""
    ),
    "escaped between double quotes": _safe(
        r"""
import os, re
def quoted(text):
    return '"' + re.sub(r'(["\\$`])', r'\\\1', text) + '"'
def handler(event, context):
    return os.system("printf %s " + quoted(event["n"]) + " >/dev/null")
"""
    ),
    "quoted with a suffix": _safe(
        """
import os, shlex
def handler(event, context):
    name = shlex.quote("/tmp/" + event["n"].strip() + ".png")
    return os.system(f"echo {name} >/dev/null")
"""
    ),
    "quoted between quotes": Program(
        """
import os, shlex
def handler(event, context):
    return os.system(f'echo "{shlex.quote(event["n"])}" >/dev/null')
""",
        [{"n": "$(id)"}, {"n": '"; id; "'}, {"n": "`id`"}],
        [{"n": "O'Brien"}, {"n": "a; b"}],
    ),
    "quotes escaped that do not count": Program(
        """
import os
def handler(event, context):
    return os.system("echo '" + event["n"].replace("'", "\\\\'") + "' >/dev/null")
""",
        [{"n": "x'; id; '"}, {"n": "x' $(id) '", "other": "x $(id) "}],
        [{"n": "plain"}],
    ),
    "filtered by character": Program(
        """
import os
def cleaned(text):
    out = ""
    for character in text:
        out += character if character != "_" else "-"
    return out
def handler(event, context):
    return os.system("echo " + cleaned(event["n"]) + " >/dev/null")
""",
        [{"n": "a; id"}, {"n": "$(id)"}],
        [{"n": "a_b.txt"}],
    ),
    "filtered to lower case": Program(
        """
import os
def handler(event, context):
    name = "".join([c.lower() for c in event["n"] if c.isprintable()])
    return os.system("echo " + name + " >/dev/null")
""",
        [{"n": "A; ID"}],
        [{"n": "A.TXT"}],
    ),
    "put together of two": Program(
        """
import os
def handler(event, context):
    given = event["queryStringParameters"]
    name = given["first"] + given["last"]
    os.system("id -u " + name + " >/dev/null 2>&1")
""",
        [query(first="a;", last="id"), query(first="a$", last="(id)")],
        [query(first="ann", last="lee"), query(first="", last="root")],
    ),
    "text of a parser": Program(
        """
import os
from lxml import etree
def handler(event, context):
    name = etree.fromstring(event["x"]).xpath("string(//f)")
    return os.system("echo " + name + " >/dev/null")
""",
        [{"x": "<a><f>a; id</f></a>"}],
        [{"x": "<a><f>a.txt</f></a>"}],
    ),
    "white space collapsed": Program(
        """
import os, textwrap
def handler(event, context):
    return os.system("echo " + textwrap.shorten(event["n"], 40) + " >/dev/null")
""",
        [{"n": "a;   id"}],
        [{"n": "a.txt"}],
    ),
    "quoted-printable": Program(
        """
import os, quopri
def handler(event, context):
    return os.system("echo " + quopri.decodestring(event["n"]).decode() + " >/dev/null")
""",
        [{"n": "a=3B id"}],
        [{"n": "a.txt"}],
    ),
    "member of an archive": Program(
        """
import base64, io, json, os, zipfile
def handler(event, context):
    data = base64.b64decode(json.loads(event["body"])["zip"])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = archive.read("list.txt").decode().splitlines()[1]
    return os.system("echo " + name + " >/dev/null")
""",
        [body(zip=zip_of("list.txt", "first\na; id\n"))],
        [body(zip=zip_of("list.txt", "first\nsecond\n"))],
    ),
    "padded segment of a token": Program(
        """
import base64, json, os
def claims(token):
    segment = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
def handler(event, context):
    return os.system("echo " + claims(event["headers"]["authorization"])["n"] + " >/dev/null")
""",
        [_token("a; id")],
        [_token("ada")],
    ),
    "evaluated again": Program(
        """
import subprocess
def handler(event, context):
    return subprocess.run(["sh", "-c", "eval echo $1", "sh", event["n"]], capture_output=True).stdout
""",
        [{"n": "x; id"}, {"n": "$(id)"}],
        [{"n": "plain"}],
    ),
}
