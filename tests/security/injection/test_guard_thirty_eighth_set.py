"""What a thirty-eighth set of programs by others showed. Each has its harmless twins."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- patterns of the code's that data widens -----------------------------------------------------------

OWNED = """
import re
NAMES = ["ann/2024-1.txt", "board/2024-2.txt", "news desk/2025-1.txt"]
def handler(event, context):
    owner = event.get("owner") or event.get("pattern") or ""
    try:
        {}
    except re.error as error:
        return "no pattern"
"""
WAYS = {
    "joined": "return [n for n in NAMES if re.match('^' + owner + r'/[0-9]{4}-[0-9]+', n)]",
    "f-string": "return [n for n in NAMES if re.search(rf'^(?P<who>{owner})/(?P<year>\\d+)', n)]",
    "compiled": "m = re.compile('^%s/.*txt$' % owner); return [n for n in NAMES if m.match(n)]",
    "format": "return re.findall('({})/'.format(owner), ' '.join(NAMES))",
    "to a blank": "return [n for n in NAMES if re.match('^' + owner + r'(\\s|$)', n)]",
    "list": "return re.split(''.join(['<', owner, '>']), 'a<ann>b')",
    "replaced": "return [re.sub(owner + '/', '', n) for n in NAMES]",
}
WIDE = (
    ".*",
    "x|.*",
    "(ann|board)",
    "[a-z]+",
    "(?:x|board)",
    r"\w+",
    "[^~]*",
    "ann.*",
    "a(?=n).+",
    ".+?",
)
PLAIN = (
    *("ann", "O'Brien", "news desk", "a.b", "what?", "[INFO] started", "C+", "C++", "1.5 (net)"),
    *("...", "50% & <b>", "\U0001f600", "", "re_compile", "price $5", "a*b", "x{3}", "_-:;,!"),
)


@pytest.mark.parametrize("way", WAYS)
def test_data_widens_no_pattern_of_the_code(tmp_path: Path, way: str) -> None:
    code = OWNED.replace("{}", WAYS[way])
    assert_blocked(tmp_path, {text: (code, {"owner": text}) for text in WIDE}, {"regex"}, ())
    assert_passes(tmp_path, {text: (code, {"owner": text}) for text in PLAIN}, ())


ESCAPED = OWNED.replace(
    "{}", "return [n for n in NAMES if re.match('^' + re.escape(owner) + '/', n)]"
)
OF_CALLERS = {
    "whole": "return [n for n in NAMES if re.search(owner, n)]",
    "anchored": "return [n for n in NAMES if re.match(f'^{owner}$', n)]",
    "with flags": "return [n for n in NAMES if re.match('(?i)(' + owner + ')', n)]",
    "by a wildcard": "return [n for n in NAMES if re.match('ann/' + re.escape(owner).replace(r'\\*', '.*'), n)]",
    "between blanks": "return [n for n in NAMES if re.match(r'\\s*' + owner + r'\\s*$', n)]",
    "words": "return re.findall('|'.join(map(re.escape, owner.split('|'))), ' '.join(NAMES))",
}


def test_patterns_that_callers_are_to_write_pass(tmp_path: Path) -> None:
    cases: Cases = {f"escaped {text}": (ESCAPED, {"owner": text}) for text in WIDE}
    for way, code in OF_CALLERS.items():
        cases |= {f"{way} {t}": (OWNED.replace("{}", code), {"owner": t}) for t in WIDE}
    named = OWNED.replace("{}", WAYS["joined"])
    cases |= {f"named {text}": (named, {"pattern": text}) for text in WIDE}
    assert_passes(tmp_path, cases, ())


# -- mails put into a mailbox -----------------------------------------------------------------------------

OUTBOX = """
import mailbox, tempfile
from email.message import EmailMessage
HEAD = "From: shop@example.org\\nTo: {to}\\nSubject: [{key}] {subject}\\n\\n{text}\\n"
def handler(event, context):
    folder = tempfile.mkdtemp()
    raw = HEAD.format(to="a@example.org", key=1, subject=event["subject"], text=event.get("text", ""))
    BOX
    return "stored"
"""
BOXES = {
    "mbox": "mailbox.mbox(folder + '/box').add(raw.encode())",
    "mbox of text": "mailbox.mbox(folder + '/box').add(raw)",
    "Maildir": "mailbox.Maildir(folder + '/box').add(raw.encode())",
    "MH": "mailbox.MH(folder + '/box').add(raw)",
    "replaced": "box = mailbox.Maildir(folder + '/box'); key = box.add('A: b\\n\\nc'); box[key] = raw",
    "file": "import io; mailbox.Maildir(folder + '/box').add(io.BytesIO(raw.encode()))",
}
MESSAGE = OUTBOX.replace(
    "BOX",
    "message = EmailMessage(); message['Subject'] = event['subject'].replace('\\n', ' ')\n"
    "    message.set_content(event.get('text', ''))\n    mailbox.Maildir(folder + '/box').add(message)",
)


@pytest.mark.parametrize("box", BOXES)
def test_data_begins_no_header_in_a_mailbox(tmp_path: Path, box: str) -> None:
    code = OUTBOX.replace("BOX", BOXES[box])
    hostile = ("Hi\nBcc: eve@evil.example", "Hi\r\nReply-To: eve@evil.example\r\n\r\nbody")
    assert_blocked(tmp_path, {s: (code, {"subject": s}) for s in hostile}, {"header"}, ())
    harmless = (
        {"subject": "O'Brien: can't log in; 100%", "text": "one\nBcc: is only text\n.\nTo: all"},
        {"subject": "Subject: To: Bcc:", "text": "From the start\n> quote"},
        {"subject": "\u00fc \U0001f600 <b>", "text": ""},
    )
    bytes_alone = "raw)" in BOXES[box] or box == "replaced"  # of texts it takes those of ASCII
    taken = harmless[:2] if bytes_alone else harmless
    assert_passes(tmp_path, {str(e): (code, e) for e in taken}, ())
    assert_passes(tmp_path, {str(e): (MESSAGE, e) for e in harmless}, ())


# -- files with code of sed, awk and jq ---------------------------------------------------------------------

SCRIPTED = """
import subprocess, tempfile, os
def handler(event, context):
    folder = tempfile.mkdtemp()
    with open(folder + "/in.txt", "w") as out:
        out.write("To: @NAME@\\nRemark: @REMARK@\\n")
    with open(folder + "/run.txt", "w") as out:
        out.write(SCRIPT)
    done = subprocess.run([PROGRAM, "-f", folder + "/run.txt", folder + "/in.txt"], capture_output=True)
    return done.returncode
"""
SED = SCRIPTED.replace("PROGRAM", "'/usr/bin/sed'").replace(
    "SCRIPT",
    "'\\n'.join('s/@%s@/%s/' % (k, event.get(k, '').replace('/', '\\\\/').replace('&', '\\\\&'))"
    " for k in ('NAME', 'REMARK')) + '\\n'",
)
LINE = """
import subprocess, tempfile
def handler(event, context):
    values = {"NAME": event.get("NAME", ""), "REMARK": event.get("REMARK", "").replace("\\n", " ")}
    script = "; ".join(f"s/@{key}@/{value}/" for key, value in values.items())
    done = subprocess.run(["/usr/bin/sed", "-e", script], input=b"@NAME@ @REMARK@", capture_output=True)
    return done.returncode
"""
AWK = SCRIPTED.replace("PROGRAM", "'/usr/bin/awk'").replace(
    "SCRIPT", "'NR == 1 { print \"' + event['NAME'] + '\" }\\n'"
)


def test_data_ends_no_line_of_a_script_that_sed_reads(tmp_path: Path) -> None:
    hostile = (
        {"NAME": "x\\/\n1e id\n#"},
        {"NAME": "Bo", "REMARK": "\\/\n2d\n1e uname -a; echo x\n#"},
    )
    assert_blocked(tmp_path, {str(e): (SED, e) for e in hostile}, {"command"}, ())
    harmless = (
        {"NAME": "Anna Keller", "REMARK": "leave at the door"},
        {"NAME": "Rest & Relax", "REMARK": "c/o Meier & Sons"},
        {"NAME": "O'Brien; e/1", "REMARK": "ring twice; then 1e wait"},
        {"NAME": '"Joe" $HOME `id`', "REMARK": "a | b > c 50% off <b>"},
        {},
    )
    assert_passes(tmp_path, {str(e): (SED, e) for e in harmless}, ())


def test_data_is_text_in_each_of_several_commands_of_sed(tmp_path: Path) -> None:
    hostile = (
        *("x/; 1e id #", "x/;1e head /etc/passwd #", "x/; 2d; #", "x/;s/a/b", "x/e;s/a/b", "x\\"),
        *("x/w /tmp/made", "x\n1e id"),
    )
    cases = {s: (LINE, {"NAME": s, "REMARK": "r"}) for s in hostile}
    assert_blocked(tmp_path, cases, {"command"}, ())
    harmless = (
        {"NAME": "Ann", "REMARK": "Happy birthday!"},
        {"NAME": "Mr O'Brien", "REMARK": "It's 100% yours; enjoy"},
        {"NAME": "$(id) `id`", "REMARK": "{}[]!?"},
        {"NAME": "e w r d p are commands"},
    )
    assert_passes(tmp_path, {str(e): (LINE, e) for e in harmless}, ())


def test_data_ends_no_text_of_a_script_that_awk_reads(tmp_path: Path) -> None:
    hostile = ('x"; system("id"); print "', 'x" } BEGIN { system("id") } { print "')
    assert_blocked(tmp_path, {s: (AWK, {"NAME": s}) for s in hostile}, {"command"}, ())
    harmless = ("Anna Keller", "O'Brien; $1", "Rest & Relax 50%", "system(1)")
    assert_passes(tmp_path, {s: (AWK, {"NAME": s}) for s in harmless}, ())


# -- folders that the event's text has as well, owners in queries, what is no pickle ---------------------------

MEDIA = """
import os
from pathlib import Path
MEDIA = Path("/tmp/shown/media")
def handler(event, context):
    MEDIA.mkdir(parents=True, exist_ok=True)
    (MEDIA / "a.txt").write_text("x")
    # As a router of a framework's does it, of which nothing is seen.
    name = (globals()["_route"] if "_route" in globals() else event["path"].partition)("/media/")[2]
    file = MEDIA / name
    return file.read_text() if file.is_file() else "none"
"""


def test_a_folder_of_the_code_is_none_of_the_event(tmp_path: Path) -> None:
    cases = {p: (MEDIA, {"path": p}) for p in ("/media/../b.txt", "/media/a/../../b.txt")}
    assert_blocked(tmp_path, cases, {"path"}, ())
    assert_passes(tmp_path, {p: (MEDIA, {"path": p}) for p in ("/media/a.txt", "/media/b.txt")}, ())


OWNERS = """
import pymongo
from urllib.parse import parse_qsl
STORE = pymongo.MongoClient("127.0.0.1", 1, connect=False, serverSelectionTimeoutMS=1).shop.assets
def handler(event, context):
    asked = {}
    for key, value in parse_qsl(event["query"]):
        name, _, operator = key.rstrip("]").partition("[")
        asked[name] = {operator: value} if operator else value
    try:
        return len(list(STORE.find(asked)))
    except pymongo.errors.ServerSelectionTimeoutError:
        return "no server"
"""


def test_whose_a_document_is_is_not_compared_otherwise(tmp_path: Path) -> None:
    hostile = ("owner[$ne]=x", "user[$gt]=a", "tenant_id[$lt]=z", "createdByUser[$ne]=x")
    cases = {q: (OWNERS, {"query": q}) for q in hostile}
    assert_blocked(tmp_path, cases, {"nosql"}, ("pymongo",))
    harmless = ("owner=x", "price[$lt]=5", "kind[$ne]=x", "owner[$eq]=ann", "year[$gte]=2020")
    cases = {q: (OWNERS, {"query": q}) for q in harmless}
    assert_passes(tmp_path, cases, ("pymongo",))


PICKLED = """
import base64, pickle
def handler(event, context):
    try:
        return pickle.loads(base64.b64decode(event["cart"]))
    except Exception as error:
        return "none"
"""


def test_what_is_no_pickle_is_the_code_s_to_refuse(tmp_path: Path) -> None:
    made = (b"abc", b"\x80\x04a.", b"b.", b"R.", b"s", b"\x85.")
    cases: Cases = {str(p): (PICKLED, {"cart": base64.b64encode(p).decode()}) for p in made}
    assert_passes(tmp_path, cases, ())
    made = (
        b"cos\nsystem\n(S'id'\ntR.",
        b"ab(cos\nsystem\n",
        b"(abcos\nsystem\n)R.",
        b"Ncos\nsystem\n)R.",
    )
    cases = {str(p): (PICKLED, {"cart": base64.b64encode(p).decode()}) for p in made[:1] + made[2:]}
    assert_blocked(tmp_path, cases, {"deserialisation"}, ())
