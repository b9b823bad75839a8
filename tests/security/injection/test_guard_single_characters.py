"""Texts put together character by character, from bytes in a list, or out of unusual containers."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes, placed

_LOOP = """
import os
def handler(event, context):
    command = "echo "
    for c in event["text"]:
        if c in " '":
            command += "\\\\" + c
        else:
            command += c
    return os.system(command)
"""
_GROWN = """
import os
def escaped(text):
    out = ""
    for c in text:
        if c in " '": out += "\\\\" + c
        else: out += c
    return out
def handler(event, context): return os.system("echo " + escaped(event["text"]))
"""
_TABLE = """
import os
NAMES = {"<": "&lt;", ">": "&gt;"}
def escaped(text):
    for c in text: yield NAMES.get(c, c)
def handler(event, context): return os.system("echo '" + "".join(escaped(event["text"])) + "'")
"""
_REPLACED = """
import os
def handler(event, context):
    return os.system("echo " + "".join("_" if c in " |&" else c for c in event["text"]))
"""
_QUOTED = """
import sqlite3
def quoted(text):
    out = "'"
    for c in text: out += "''" if c == "'" else c
    return out + "'"
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (name)")
    return db.execute("SELECT * FROM t WHERE name = " + quoted(event["text"])).fetchall()
"""
_QUOTED_BADLY = _QUOTED.replace("\"''\" if", '"\\\\\'" if')
_WORD = """
import sqlite3
def handler(event, context):
    name = ""
    for c in event["text"]: name += c if c.isalnum() else "_"
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE TABLE t_{name} (a)")
    return db.execute(f"SELECT count(*) FROM t_{name}").fetchone()
"""
_PATH = """
def handler(event, context):
    path = "/tmp/files/"
    for c in event["text"]:
        if c != "\\\\": path += c
    try:
        return open(path).read()
    except FileNotFoundError:
        return None
"""
_FILTERED = """
def handler(event, context):
    return eval("".join(c for c in event["e"] if c not in "\\n\\t;"))
"""
_SUFFIX = """
from pathlib import Path
def handler(event, context):
    path = Path("/tmp/files/a.txt").parent.joinpath(event["text"]).with_suffix(".txt")
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
"""
_NAME = _SUFFIX.replace('.with_suffix(".txt")', '.with_name(event.get("name", "b.txt"))')
_BYTES = """
import os
def handler(event, context): return os.system("echo " + bytes(event["data"]).decode())
"""
_BUFFER = """
import pickle
def handler(event, context):
    buffer = event["buffer"]
    return pickle.loads(b"".join(bytes([n]) for n in buffer["data"]))
"""
_NUMBERS = """
import os
def handler(event, context): return os.system("echo " + " ".join(str(n) for n in event["data"]))
"""
_LINES = """
import json, subprocess
def handler(event, context):
    records = map(json.loads, event["body"].splitlines())
    line = "env " + " ".join(map("{k}={v}".format_map, records)) + " true"
    return subprocess.run(line, shell=True).returncode
"""
_TUPLE = """
import csv, io, subprocess
from typing import NamedTuple
class Row(NamedTuple):
    host: str
    port: str
    def target(self): return "%s:%s" % self
def handler(event, context):
    rows = [Row._make(row) for row in csv.reader(io.StringIO(event["csv"]))]
    return subprocess.run("echo " + " ".join(r.target() for r in rows), shell=True).returncode
"""
_COUNTED = """
import collections, csv, io, os
def handler(event, context):
    row = collections.defaultdict(str, next(csv.DictReader(io.StringIO(event["csv"]))))
    return os.system("echo %(host)s:%(port)s" % row)
"""

ATTACKS: Cases = {
    "a loop that goes on with a command": (_LOOP, {"text": "it's;id"}),
    "a loop that escapes": (_GROWN, {"text": "a b;id"}),
    "a generator that escapes": (_TABLE, {"text": "<b>'; id; '"}),
    "one character for another": (_REPLACED, {"text": "my file;id"}),
    "quotes escaped as the database does not": (_QUOTED_BADLY, {"text": "x' OR 1=1 --"}),
    "a path": (_PATH, {"text": "\\../../etc/hostname"}),
    "what a filter left of code": (_FILTERED, {"e": "__import__('os')\n.getcwd()"}),
    "a path with another suffix": (_SUFFIX, {"text": "../../etc/passwd.x"}),
    "a path with another name": (_NAME, {"text": "../../etc/passwd", "name": "shadow"}),
    "bytes in a list": (_BYTES, {"data": list(b"a;id")}),
    "a buffer that is a pickle": (_BUFFER, {"buffer": {"data": list(b"cos\ngetcwd\n(tR.")}}),
    "JSON lines": (_LINES, {"body": '{"k": "A", "v": "1"}\n{"k": "B", "v": "2;id"}\n'}),
    "a named tuple": (_TUPLE, {"csv": "a,22\nb`id`,23\n"}),
    "a dict of another class": (_COUNTED, {"csv": "host,port\nb`id`,23\n"}),
}
HARMLESS: Cases = {
    "a loop that goes on with a command": (_LOOP, {"text": "it's"}),
    "a loop that escapes": (_GROWN, {"text": "it's a b"}),
    "a generator that escapes": (_TABLE, {"text": "<b>hi; there</b>"}),
    "one character for another": (_REPLACED, {"text": "my file.txt"}),
    "quotes doubled": (_QUOTED, {"text": "x' OR 1=1 --"}),
    "quotes escaped where there are none": (_QUOTED_BADLY, {"text": "Ann Smith; drop"}),
    "a word of what was not": (_WORD, {"text": "a b;c"}),
    "a path": (_PATH, {"text": "a/\\../b.txt"}),
    "what a filter left of a number": (_FILTERED, {"e": "12\n.5"}),
    "a path with another suffix": (_SUFFIX, {"text": "b/../c.md"}),
    "a path with another name": (_NAME, {"text": "b/c.md", "name": "d.txt"}),
    "bytes in a list": (_BYTES, {"data": list(b"abc")}),
    "numbers in a list": (_NUMBERS, {"data": [59, 105, 100]}),
    "JSON lines": (_LINES, {"body": '{"k": "A", "v": "1"}\n{"k": "B", "v": "2"}\n'}),
    "a named tuple": (_TUPLE, {"csv": "a,22\nb,23\n"}),
    "a dict of another class": (_COUNTED, {"csv": "host,port\nb,23\n"}),
}
_SINKS = {"code", "command", "sql", "path", "deserialisation"}
_PRELOAD = ("sqlite3", "pickle")


def test_what_comes_in_single_pieces_is_followed(tmp_path: Path) -> None:
    assert_blocked(tmp_path, placed(ATTACKS, tmp_path), _SINKS, _PRELOAD)


def test_its_harmless_like_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(HARMLESS, tmp_path), _PRELOAD)
