"""What a forty-first set of programs by others showed. Each has its harmless twins."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- engines and clients of the code's own -----------------------------------------------------------------

DIRECTORY = """
PEOPLE = [{"uid": "mia", "code": "4242"}]
def search(wanted):
    return [p for p in PEOPLE if wanted == "(&(uid=%s)(code=%s))" % (p["uid"], p["code"])]
def handler(event, context):
    user, code = str(event["user"]).lower(), str(event["code"])
    return bool(search(f"(&(uid={user})(code={code}))"))
"""
GRAPH = """
import re
class Api:
    def execute(self, query):
        return re.findall(r'repo[(]name: "([^"]*)"', query)
def handler(event, context):
    names = [n.strip() for n in event["names"].split(";") if n.strip()]
    calls = [f'r{i}: repo(name: "{n}", open: true) {{ tag }}' for i, n in enumerate(names)]
    return Api().execute("{\\n" + "\\n".join(calls) + "\\n}")
"""
PARTNER = """
import http.client
from urllib.parse import quote, urlsplit
BASE = "http://velo.courier.test"
def normal(path):
    parts = []
    for part in path.split("/"):
        if part == "..":
            parts and parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
def handler(event, context):
    parts = urlsplit(BASE + "/v1/state/" + ORDER + "?lang=en")
    connection = http.client.HTTPConnection("127.0.0.1", 1, timeout=1)
    path = normal(parts.path) + ("?" + parts.query if parts.query else "")
    try:
        connection.request("GET", path, headers={"Host": parts.netloc})
    except OSError:
        return "no answer"
"""
BARE = PARTNER.replace("ORDER", 'event["order"].replace(" ", "%20")')
QUOTED = PARTNER.replace("ORDER", 'quote(event["order"], safe="")')


def test_data_is_one_value_of_a_filter_for_the_code_s_own_engine(tmp_path: Path) -> None:
    hostile = (("mia)(|(uid=mia", "x)(kind=board))"), ("mia", "*"), ("mia", "4*"))
    cases: Cases = {u + c: (DIRECTORY, {"user": u, "code": c}) for u, c in hostile}
    assert_blocked(tmp_path, cases, {"ldap"}, ())
    harmless = (("Mia", "4242"), ("o'neil", "77"), ("zo\u00eb", ""))
    cases = {u + c: (DIRECTORY, {"user": u, "code": c}) for u, c in harmless}
    assert_passes(tmp_path, cases, ())


def test_data_is_one_value_of_a_document_for_the_code_s_own_engine(tmp_path: Path) -> None:
    hostile = ('acme/vault") { tag } #', 'acme/vault", open: false) { tag } x: repo(name: "z')
    assert_blocked(tmp_path, {n: (GRAPH, {"names": n}) for n in hostile}, {"nosql"}, ())
    harmless = ("acme/app", "acme/vault; acme/app", "o'neil/app {x}; gr\u00f6\u00dfe", "")
    assert_passes(tmp_path, {n: (GRAPH, {"names": n}) for n in harmless}, ())


def test_a_url_is_judged_whose_host_a_request_names(tmp_path: Path) -> None:
    hostile = ("../../admin/keys", "A1/../../../admin/keys?x=1", "A17?lang=xx&as=manager#")
    assert_blocked(tmp_path, {o: (BARE, {"order": o}) for o in hostile}, {"url"}, ())
    cases: Cases = {f"bare {o}": (BARE, {"order": o}) for o in ("A17", "B 22", "c-1")}
    cases |= {f"quoted {o}": (QUOTED, {"order": o}) for o in (*hostile, "O'Neill #4/2?x=1&y")}
    assert_passes(tmp_path, cases, ())


# -- templates ------------------------------------------------------------------------------------------------

STATUS = """
from collections import ChainMap
CONFIG = {"agency": "Wort", "api_token": "tok-5566", "margin": 38}
LINE = "#%(number)05d %(title)s - %(agency)s"
def handler(event, context):
    line = event.get("line") or LINE
    if event.get("sender"):
        line = "[" + event["sender"].strip() + "] " + line
    try:
        return line % ChainMap({"number": 7, "title": event["title"]}, CONFIG)
    except (KeyError, TypeError, ValueError):
        return "no line"
"""


def test_data_adds_no_field_to_those_of_the_code_s_template(tmp_path: Path) -> None:
    hostile = ({"sender": "%(api_token)s"}, {"sender": "%(margin)d"}, {"line": "%(api_token)s"})
    cases: Cases = {str(e): (STATUS, {"title": "A", **e}) for e in hostile}
    assert_blocked(tmp_path, cases, {"template"}, ())
    harmless: tuple[dict[str, str], ...] = (
        {"title": "100% %(api_token)s %s", "sender": "Zo\u00eb O'Hara"},
        {"line": "%(title)s / %(agency)s 100%%"},
        {"sender": "50 %"},
    )
    cases = {str(e): (STATUS, {"title": "A", **e}) for e in harmless}
    assert_passes(tmp_path, cases, ())


REPLACED = """
import re
PHONE = re.compile(r"(?P<pre>\\+?\\d{2,4})[ /-](?P<rest>\\d{4,})")
def handler(event, context):
    try:
        return [PHONE.subn(BY, note) for note in event["notes"]]
    except (re.error, IndexError):
        return "no label"
"""


@pytest.mark.parametrize("way", ["subn(BY, note)", "sub(BY, note)"])
def test_data_brings_back_nothing_that_a_pattern_has_found(tmp_path: Path, way: str) -> None:
    code = REPLACED.replace("subn(BY, note)", way)
    composed = code.replace("BY", '"[" + event["label"].strip() + "]"')
    whole = code.replace("BY", 'event["label"]')
    notes = ["ring 0171 5551234", "or 0171/555123"]
    hostile = ("\\g<0>", "tel \\g<rest>", "\\1-\\2")
    cases: Cases = {t: (composed, {"label": t, "notes": notes}) for t in hostile}
    assert_blocked(tmp_path, cases, {"regex"}, ())
    harmless = ("phone", "O'Neil", "a\\\\b", "(1)", "$1", "")
    cases = {f"composed {t}": (composed, {"label": t, "notes": notes}) for t in harmless}
    cases |= {f"whole {t}": (whole, {"label": t, "notes": notes}) for t in hostile}
    assert_passes(tmp_path, cases, ())


# -- lines ------------------------------------------------------------------------------------------------------

WRITTEN = """
import os, tempfile
def handler(event, context):
    fd, path = tempfile.mkstemp(prefix="lines_", dir="/tmp/")
    os.close(fd)
    WRITE
    with open(path, encoding="utf-8") as lines:
        return lines.read().split("\\n")
"""
STREAM = """
import re
def collect(stream):
    return [line for line in stream.split("\\n") if line]
def handler(event, context):
    return collect("\\n".join(map(lambda text: FRAME, [event["text"], "b"])))
"""
LINES: dict[str, tuple[str, tuple[str, ...], set[str]]] = {
    "environment": (
        WRITTEN.replace(
            "WRITE",
            'with open(path, "w") as out:\n'
            '        out.write("UPLOAD_URL=https://a.example/\\nDEBUG=0\\n")\n'
            "        out.write(f\"STATION_NAME={event['text']}\\n\")",
        ),
        ("Elbe\nUPLOAD_URL=https://evil.example/in", "Oder\r\nDEBUG=1"),
        {"file"},
    ),
    "schedule": (
        WRITTEN.replace(
            "WRITE",
            'with open(path, "a") as out:\n'
            "        out.write(f\"# {event['text']}\\n\")\n"
            '        out.write("0 6 * * * echo report\\n")',
        ),
        ("May\n* * * * * echo x", "x\n0 0 1 1 0 uname"),
        {"log"},
    ),
    "rows": (
        WRITTEN.replace(
            "WRITE",
            'with open(path, "a") as out:\n'
            "        out.write(\";\".join(['7', event['text'], '12', 'review', 'memo']) + \"\\n\")",
        ),
        ("bc1evil;99999;approved;x", "a;1;review;\n7;b;7;approved;"),
        {"log"},
    ),
    "syslog": (
        STREAM.replace("FRAME", 'f"<134>1 2026-01-01T00:00:00 m1 alarm - - - {text}"'),
        ("hot\n<128>1 2026-01-01T00:00:00 safety alarm - - - STOP",),
        {"log"},
    ),
    "CEF": (
        STREAM.replace("FRAME", 'f"CEF:0|Net|Edge|2.1|1|deny|3|src=10.0.0.1 msg={text}"'),
        ("scan\nCEF:0|Net|Edge|2.1|9|admin login|0|suser=root", "x suser=admin outcome=success"),
        {"log"},
    ),
    "labels": (
        STREAM.replace("FRAME", "f'home_temp{{room=\"{text}\"}} 20'"),
        ('hall"} 1\nhome_temp{room="cellar"} 99\nx{a="', 'hall",tenant="other'),
        {"log"},
    ),
}


@pytest.mark.parametrize("way", LINES)
def test_data_begins_no_line_and_no_column(tmp_path: Path, way: str) -> None:
    code, hostile, sinks = LINES[way]
    code = code.replace("/tmp/", f"{tmp_path}/")
    assert_blocked(tmp_path, {t: (code, {"text": t}) for t in hostile}, sinks | {"nosql"}, ())
    harmless = ("Elbe 7", "O'Neil, 0171 / 55", "saw <128>1 here", "$(id) `id`", "50%", "\u00fc", "")
    assert_passes(tmp_path, {t: (code, {"text": t}) for t in harmless}, ())


# -- commands -----------------------------------------------------------------------------------------------------

LABELS = """
import shlex, subprocess, tempfile
def handler(event, context):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", dir="/tmp", delete_on_close=False) as out:
        out.write("".join(n.strip() + "\\n" for n in event["names"].split(",")))
        out.close()
        small = 'echo "Museum: NAME"'
        line = f"xargs -d '\\\\n' -a {shlex.quote(out.name)} -I NAME RUN"
        return subprocess.run(line, shell=True, capture_output=True, text=True).stdout
"""
BY_SHELL = LABELS.replace("RUN", "sh -c {shlex.quote(small)}")
BY_PRINTF = LABELS.replace("RUN", "printf '%s;' NAME")
TAG = """
import os, subprocess
def handler(event, context):
    script = os.path.join(os.path.dirname(__file__), "tag.sh")
    done = subprocess.run(["sh", script, event["tag"], "1.0"], capture_output=True, text=True)
    return done.stdout
"""


def test_data_of_a_file_is_no_code_for_what_xargs_runs(tmp_path: Path) -> None:
    hostile = ("Vase, $(id -u)", 'x"; echo "OWNED by $(whoami)')
    assert_blocked(tmp_path, {n: (BY_SHELL, {"names": n}) for n in hostile}, {"command"}, ())
    cases: Cases = {n: (BY_SHELL, {"names": n}) for n in ("Bronze horse,Clay cup", "Relief no 3")}
    cases |= {f"printf {n}": (BY_PRINTF, {"names": n}) for n in (*hostile, "O'Keeffe")}
    assert_passes(tmp_path, cases, ())


def test_data_is_no_code_in_what_a_script_evaluates(tmp_path: Path) -> None:
    (tmp_path / "case0").mkdir()
    script = '#!/bin/sh\ntag=$1\nversion=$2\neval "line=\\"$tag@$version\\""\nprintf "%s" "$line"\n'
    (tmp_path / "case0" / "tag.sh").write_text(script)
    hostile = ("$(cat<key)", 'x";id;y="', "1`id`")
    assert_blocked(tmp_path, {t: (TAG, {"tag": t}) for t in hostile}, {"command"}, ())
    harmless = ("stable", "long_term", "a;b|c&d,it's", "gr\u00f6\u00dfe")
    assert_passes(tmp_path, {t: (TAG, {"tag": t}) for t in harmless}, ())
    (tmp_path / "case0" / "tag.sh").write_text('#!/bin/sh\ntag=$1\nprintf "%s" "$tag"\n')
    assert_passes(tmp_path, {t: (TAG, {"tag": t}) for t in hostile}, ())


# -- archives in memory, and pickles that break off ----------------------------------------------------------------

ZIPPED = """
import base64, io, tempfile, zipfile
from pathlib import Path
def build(files):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in files:
            archive.writestr(name, "x")
    return held.getvalue()
def handler(event, context):
    data = build(event["files"])
    END
"""
UNPACKED = ZIPPED.replace(
    "END",
    "root, kept = Path(tempfile.mkdtemp()).resolve(), []\n"
    "    with zipfile.ZipFile(io.BytesIO(data)) as archive:\n"
    "        for one in archive.infolist():\n"
    "            target = (root / one.filename).resolve()\n"
    "            if CHECK:\n"
    "                target.parent.mkdir(parents=True, exist_ok=True)\n"
    "                target.write_bytes(archive.read(one))\n"
    "                kept.append(one.filename)\n"
    "    return kept",
)
SENT = {
    "sent": "return base64.b64encode(data).decode()",
    "looked at": "return zipfile.ZipFile(io.BytesIO(data)).testzip() or len(data)",
}


def test_an_archive_in_memory_is_judged_as_it_is_made(tmp_path: Path) -> None:
    """Whatever comes of it: it could be sent before anybody has read it again."""
    climbing = {"files": ["../../evil.txt", "ok.txt"]}
    checked = UNPACKED.replace("CHECK", "target.is_relative_to(root)")
    assert_passes(tmp_path, {"plain": (checked, {"files": ["a/b.txt"]})}, ())
    cases: Cases = {way: (ZIPPED.replace("END", end), climbing) for way, end in SENT.items()}
    cases["checked"] = checked, climbing
    assert_blocked(tmp_path, cases, {"path"}, ())


STATE = """
import base64, io, pickle
def handler(event, context):
    try:
        return pickle.load(io.BytesIO(base64.b64decode(event["state"])))
    except Exception as error:
        return "broken"
"""


def test_a_pickle_that_breaks_off_in_a_line_makes_nothing(tmp_path: Path) -> None:
    broken = (b"garbage", b"I12", b"Sabc", b"Vtext", b"]pstate")
    cases: Cases = {str(p): (STATE, {"state": base64.b64encode(p).decode()}) for p in broken}
    assert_passes(tmp_path, cases, ())
    hostile = (b"(S'id'\nios\nsystem", b"cos\nsystem", b"cos\nsystem\n(S'id'\ntRI1")
    cases = {str(p): (STATE, {"state": base64.b64encode(p).decode()}) for p in hostile}
    assert_blocked(tmp_path, cases, {"deserialisation"}, ())
