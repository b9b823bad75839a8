"""What a sixteenth and a seventeenth set of programs by others showed, and small ones of our own.

Each has its hostile twins.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from casemate.guard.fragments import Fragments
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

PRELOAD = ("email.message", "smtplib", "csv", "ldap3", "sqlite3", "jinja2", "urllib.request")
SEND = """
import smtplib
from email.message import EmailMessage
from email.mime.text import MIMEText
class Client(smtplib.SMTP):
    def __init__(self):
        self.sent = []
        super().__init__(local_hostname='x')
    def ehlo_or_helo_if_needed(self): pass
    def mail(self, *a): return 250, b''
    def rcpt(self, *a): return 250, b''
    def data(self, msg): return 250, b''
def handler(event, context):
"""
SHELL = "import subprocess\nreturn subprocess.getoutput({})"
ESCAPE = (
    "import subprocess\ndef handler(event, context):\n    path = '/tmp/' + event['k'].replace('/', '_')\n"
    "    for sign in \" ;|&()'\":\n        path = path.replace(sign, '\\\\' + sign)\n"
    "    return subprocess.getoutput('ls ' + path)\n"
)
QUOTING = "Bcc: is a word\nSubject: order 7"
BODY = {"subject": "order 7", "text": QUOTING}
LDAP = (
    "import ldap3\nSTAR = bytes([42]).decode()\ndef handler(event, context):\n"
    "    c = ldap3.Connection(ldap3.Server('ldap://127.0.0.1'))\n"
    "    c.search('dc=x', f\"(&(uid=ana)(pin={event['k']}))\", attributes=['cn'])\n"
)
WRITE = "import sys\ndef handler(event, context):\n    {}\n"
FOLD = (
    "import json\ndef handler(event, context):\n    line, out = event['k'].replace(';', ','), []\n"
    "    while len(line) > 70:\n        out.append(line[:70])\n        line = ' ' + line[70:]\n"
    "    with open('/tmp/a.ics', 'w') as file:\n        file.write('\\r\\n'.join([*out, line]))\n"
)
GET = (
    "import urllib.request\n{}\ndef handler(event, context):\n"
    "    try:\n        urllib.request.urlopen(event['u'], timeout=0.01)\n    except OSError:\n"
    "        return 'away'\n"
)
FEEDS = "FEEDS = ['http://127.0.0.1:8081/news', 'http://127.0.0.1:8081/blog?lang=en']"
BUILD = (
    "import importlib\n{}\nclass Mail:\n    pass\ndef handler(event, context):\n"
    "    module, _, name = event['k'].rpartition('.')\n"
    "    getattr(importlib.import_module(module), name)()\n"
)
KINDS = "KINDS = ('app.Mail', 'app.Bill')"
SUM = (
    "import json, math\n{}\ndef handler(event, context):\n"
    "    return eval(json.loads(event['k'])['e'], {{'__builtins__': __builtins__, 'math': math}})\n"
)
SUMS = "class Examples:\n    SUMS = ['1 + 1', 'math.sqrt(16)']"
BAD_SUMS = SUMS.replace("SUMS", "BAD_SUMS").replace("math.sqrt(16)", "print(math.sqrt(16))")
TEMPLATE = (
    "import os, jinja2\n# Dear {{ name }},\ndef handler(event, context):\n"
    "    folder = FOLDER\n    loader = jinja2.FileSystemLoader(folder)\n"
    "    return jinja2.Environment(loader=loader).get_template('app.py').render(name=event['k'])\n"
)
UNPACK = (
    "import io, os, tarfile, tempfile\ndef handler(event, context):\n    out = io.BytesIO()\n"
    "    with tarfile.open(fileobj=out, mode='w') as tar:\n"
    "        for name in event['k'], '.x/' + event['k']:\n            tar.addfile(tarfile.TarInfo(name))\n"
    "    os.chdir(os.path.dirname(__file__))\n    out.seek(0)\n"
    "    with tempfile.TemporaryDirectory(dir='/tmp/') as folder:\n"
    "        with tarfile.open(fileobj=out) as tar:\n            tar.extractall(folder, filter='data')\n"
)
REMOVE = (
    "import os\ndef handler(event, context):\n    folder = os.open('/tmp/', os.O_RDONLY)\n"
    "    os.unlink(event['k'], dir_fd=folder)\n"
)
USER = GET.replace("event['u']", "f\"http://{{event['u']}}@127.0.0.1:9/hooks\"", 1)
AS_MEANT: Cases = {
    "what is unpacked and removed again": (UNPACK, {"k": "app.ini"}),
    "a name before a host": (USER.format(""), {"u": "acme-2.eu"}),
    "a URL that is one of a list": (GET.format(FEEDS), {"u": "http://127.0.0.1:8081/news"}),
    "a class of the code's that is one of a list": (BUILD.format(KINDS), {"k": "app.Mail"}),
    "an expression that is one of a list": (SUM.format(SUMS), {"k": '{"e": "math.sqrt(16)"}'}),
    "a template of the code's with a name as the event has it": (
        TEMPLATE.replace("FOLDER", "os.path.dirname(__file__)"),
        {"k": "{{ name }}"},
    ),
    "a text that is folded": (FOLD, {"k": "ab " * 2000}),
    "lines that are written to standard output": (
        WRITE.format("sys.stdout.write('INFO user ' + event['k'] + '\\n')"),
        {"k": "Ana\nLima"},
    ),
    "lines that are written in pieces": (
        WRITE.format("w = sys.stdout.write; w('INFO user '); w(event['k']); w(' is in\\n')"),
        {"k": "Ana\nLima"},
    ),
    "a text after a line that has ended": (
        WRITE.format("sys.stdout.write('INFO begun\\n'); sys.stdout.write(event['k'] + '\\n')"),
        {"k": "Ana\nINFO Lima"},
    ),
    "a text on standard output while a line is begun on the other": (
        WRITE.format("sys.stderr.write('INFO user '); print(event['k'])"),
        {"k": "Ana\nINFO Lima"},
    ),
    "records without line ends": (
        WRITE.format("sys.stdout.write('INFO user ' + event['k'].replace('\\n', ' ') + '\\n')"),
        {"k": "Ana\nINFO root"},
    ),
    "a setting with quotes of the event's": (
        "def handler(event, context):\n    with open('/tmp/a.properties', 'w') as file:\n"
        "        file.write(f\"name={' '.join(event['k'].split())}\\nversion=1\\n\")\n",
        {"k": '" title="'},
    ),
    "a long word that is searched": (
        "import re\ndef handler(event, context):\n"
        "    return len(re.findall('(' + re.escape(event['k']) + ')', event['k']))\n",
        {"k": "a b*" * 1200},
    ),
    "a mail that quotes a line of its own head": (
        SEND
        + "    m = EmailMessage()\n    m['Subject'] = event['subject']\n    m['To'] = 'a@x.example'\n"
        "    m['From'] = 'b@x.example'\n    m.set_content(event['text'])\n    Client().send_message(m)\n",
        BODY,
    ),
    "the same as a text": (
        SEND + "    m = MIMEText(event['text'])\n    m['Subject'] = event['subject']\n"
        "    Client().sendmail('b@x.example', ['a@x.example'], m.as_string())\n",
        BODY,
    ),
    "words that echo shows after the code's": (
        SHELL.format("'echo Title: ' + event['k'] + '; echo done'"),
        {"k": "totals of Q1 -5"},
    ),
    "a path that is escaped by hand": (ESCAPE, {"k": "2026/invoice 12 (final) & co's.pdf"}),
    "a quote at the end of a cell": (
        "import csv, io\ndef handler(event, context):\n    out = io.StringIO()\n"
        "    csv.writer(out).writerow([event['k'], 'x'])\n"
        "    return list(csv.reader(io.StringIO(out.getvalue())))\n",
        {"k": "5' 10\""},
    ),
    "a name and an address in a script": (
        "import jinja2\ndef handler(event, context):\n"
        "    t = jinja2.Environment(autoescape=True).from_string('<p>x</p><script>var o = {{ o | tojson }};</script>')\n"
        "    return {'status': 200, 'headers': {'content-type': 'text/html'}, 'body': t.render(o={'n': event['k']})}\n",
        {"k": '"Ana Lima" <ana@example.com>'},
    ),
}
STOPPED: Cases = {
    "a file removed in another folder": (REMOVE, {"k": "../../evil.ini"}),
    "a file removed by its whole path": (REMOVE, {"k": "/etc/evil.ini"}),
    **{
        f"a host {what}": (USER.format(""), {"u": given})
        for what, given in (
            ("before the code's", "evil.example/"),
            ("by another sign", "x@evil.example#"),
            ("by a backslash", "evil.example\\"),
            ("by a query", "evil.example?"),
        )
    },
    **{
        f"a URL {what}": (GET.format(held), {"u": url})
        for what, held, url in (
            ("at another port", FEEDS, "http://127.0.0.1:8082/news"),
            ("below one of a list", FEEDS, "http://127.0.0.1:8081/news/../admin"),
            ("by another scheme", FEEDS, "https://127.0.0.1:8081/news"),
            ("in a docstring", f'"""{FEEDS}"""', "http://127.0.0.1:8081/news"),
            ("that is alone", FEEDS.partition(",")[0] + "]", "http://127.0.0.1:8081/news"),
            ("that is forbidden", "BLOCKED_" + FEEDS, "http://127.0.0.1:8081/news"),
            ("of a setting", "HOOK = 'http://10.0.0.1/x'", "http://10.0.0.1/x"),
        )
    },
    "a URL that the event has put into a list": (
        GET.format(FEEDS).replace("    try", "    FEEDS.append(event['u'])\n    try", 1),
        {"u": "http://127.0.0.1:8082/"},
    ),
    **{
        f"a class {what}": (BUILD.format(held), {"k": name})
        for what, held, name in (
            ("of Python's that is one of a list", "KINDS = ('os.system', 'app.Bill')", "os.system"),
            ("that is not", KINDS, "app.importlib"),
            ("of Python's", KINDS, "subprocess.Popen"),
        )
    },
    **{
        f"an expression {what}": (SUM.format(held), {"k": json.dumps({"e": text})})
        for what, held, text in (
            ("with one of a list in it", SUMS, "math.sqrt(16) if exit() else 1"),
            # What only calculates passes by itself: this reaches for more.
            ("that is forbidden", BAD_SUMS, "print(math.sqrt(16))"),
            ("that reaches for more", SUMS.replace("1 + 1", "open(0)"), "open(0)"),
        )
    },
    "a template of the event's": (
        TEMPLATE.replace("FOLDER", "'/tmp/'").replace(
            "    loader", "    open('/tmp/app.py', 'w').write('Dear ' + event['k'])\n    loader", 1
        ),
        {"k": "{{ name.__class__ }}"},
    ),
    "a text that is folded and ends its quotes": (
        FOLD.replace("a.ics", "a.sh").replace(
            "'\\r\\n'.join([*out, line])", "'echo \"' + ''.join([*out, line]) + '\"\\n'"
        ),
        {"k": "x" * 4000 + '" && rm -rf a && echo "' + "y" * 2000},
    ),
    "a record that is written to standard output": (
        WRITE.format("sys.stdout.write('INFO user ' + event['k'] + '\\n')"),
        {"k": "Ana\nINFO login of root"},
    ),
    "a record that is written in pieces": (
        WRITE.format(
            "try:\n        for piece in ('INFO user ', event['k'], ' is in'):\n"
            "            sys.stdout.write(piece)\n    finally:\n        print()"
        ),
        {"k": "Ana\nINFO user root"},
    ),
    "a record that is printed in pieces": (
        WRITE.format(
            "try:\n        print('INFO', 'user', end=': ')\n"
            "        print(event['k'], end='')\n    finally:\n        print()"
        ),
        {"k": "Ana\nINFO user: root"},
    ),
    "a record that pieces on standard error begin": (
        WRITE.format("sys.stderr.write('ERROR of '); print(event['k'], file=sys.stderr)"),
        {"k": "Ana\nERROR of root"},
    ),
    "a record on standard error": (
        WRITE.format("print('x'); sys.stderr.write(f\"ERROR {event['k']}\\n\")"),
        {"k": "Ana\rERROR disk full"},
    ),
    "a setting that ends the code's quotes": (
        "def handler(event, context):\n    with open('/tmp/a.conf', 'w') as file:\n"
        '        file.write(f\'name="{event["j"]}{event["k"]}"\\nversion=1\\n\')\n',
        {"j": "x", "k": '"\nrun="id'},
    ),
    "a long pattern": (
        "import re\ndef handler(event, context):\n    return len(re.findall(event['k'], 'x' * 9))\n",
        {"k": "a" * 5000 + "(x+)+y"},
    ),
    "a header by a mail that is put together by hand": (
        SEND
        + "    Client().sendmail('b@x.example', ['a@x.example'], 'Subject: ' + event['k'] + '\\n\\nhi')\n",
        {"k": "hi\nBcc: evil@x.example"},
    ),
    "a header of a message": (
        SEND
        + "    m = MIMEText('hi')\n    m['Subject'] = event['k']\n    Client().send_message(m)\n",
        {"k": "hi\nBcc: evil@x.example"},
    ),
    "a name alone by hand": (
        SEND + "    text = f\"Subject: {event['k']}{event['l']}\\n\\nhi\"\n"
        "    Client().sendmail('b@x.example', ['a@x.example'], text)\n",
        {"k": "hi\nBcc: ", "l": "evil@x.example"},
    ),
    **{
        f"words that echo shows {what}": (SHELL.format(command), {"k": given})
        for what, command, given in (
            ("to another program", "'echo Title: ' + event['k'] + ' | xargs ls'", "a -la /etc"),
            ("in a file", "'echo Title: ' + event['k'] + ' > /tmp/list'", "a b"),
            ("to a command", "'ls $(echo Title: ' + event['k'] + ')'", "a -la /etc"),
            ("in a group", "'(echo Title: ' + event['k'] + ') | xargs ls'", "a -la /etc"),
            ("as options", "'echo ' + event['k']", "-e a"),
            ("first", "'echo ' + event['k']", "a b"),
            ("beside a command", "'echo Title: ' + event['k']", "a; id"),
            ("by a pattern", "'echo Title: ' + event['k']", "a *"),
            ("and a program's", "'echo Title: ' + event['k'] + '; ls ' + event['k']", "a -la"),
        )
    },
    "a path that is escaped in part": (ESCAPE, {"k": "a b`id`"}),
    "a line after what is escaped": (ESCAPE, {"k": "a b\nid"}),
    "the only sign of the event": (LDAP, {"k": "*"}),
    "a cell beside a quote": (
        "import csv, io\ndef handler(event, context):\n"
        "    return list(csv.reader(io.StringIO('\"' + event['k'] + '\",x\\n')))\n",
        {"k": '5","6'},
    ),
    "a backslash before the code's quote": (
        "import sqlite3\ndef handler(event, context):\n"
        "    s = \"SELECT '\" + event['k'].replace(\"'\", \"\\\\'\") + \"'\"\n    sqlite3.connect(':memory:').execute(s)\n",
        {"k": "x\\' OR 1=1 --"},
    ),
}


def test_what_is_as_meant_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(AS_MEANT, tmp_path), PRELOAD)


def test_its_hostile_twins_are_stopped(tmp_path: Path) -> None:
    sinks = {"header", "command", "ldap", "deserialisation", "sql", "log", "file", "regex"}
    sinks |= {"url", "code", "template", "path"}
    assert_blocked(tmp_path, placed(STOPPED, tmp_path), sinks, PRELOAD)


@pytest.mark.parametrize(
    ("text", "inside", "found"),
    [
        ("%(name)s", "insert into item (name, price)", []),
        ("%(name)s", "where lower(item.name) = ?", []),
        ("name) or (1", "where lower(item.name) or (1)", ["name) or (1"]),
        (
            "ends with backslash\\",
            re.escape("ends with backslash\\"),
            ["ends\\ with\\ backslash\\\\"],
        ),
        ("ends with backslash\\", "'ends with backslash\\'", ["ends with backslash\\"]),
        (
            "<p class='x'>\"quoted\"</p>",
            '<h2 title=\'"quoted"\'>"quoted"</h2>',
            ['"quoted"', "quoted"],
        ),
        (
            "pre'><img src=x onerror=alert(1)>",
            "<h2 title='x'><img src=x onerror=alert(1)></h2>",
            ["<img src=x onerror=alert(1)>"],
        ),
        ('"ana lima" <a@x>', '{"n": "\\"ana lima\\" \\u003ca@x"}', ["ana lima"]),
        ('"ana lima\\" <a@x>', '"ana lima\\" + x', ["ana lima\\"]),
    ],
)
def test_pieces_end_where_an_escape_does(text: str, inside: str, found: list[str]) -> None:
    pieces = Fragments()
    pieces.add(text, text)
    assert sorted({inside[start:end] for start, end, _ in pieces.find(inside)}) == found
