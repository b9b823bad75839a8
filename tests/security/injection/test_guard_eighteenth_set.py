"""What an eighteenth set of programs by others showed, and small ones of our own.

Each has its hostile twins.
"""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes, placed

PRELOAD = ("urllib.request", "sqlite3", "zipfile", "tempfile", "dataclasses")


def _zip(*names: str) -> str:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return base64.b64encode(held.getvalue()).decode()


PREVIEW = (
    "import re, urllib.request\nLINK = re.compile(r'https?://[^\\s<>]+')\n"
    "def handler(event, context):\n    for found in LINK.finditer(event['t']):\n"
    "        url = found{}.rstrip('.,)')\n{}        try:\n"
    "            urllib.request.urlopen({}, timeout=0.01)\n        except OSError:\n            pass\n"
)
FETCH = PREVIEW.format(".group()", "", "url")
SEARCHED = (
    "import re, urllib.request\ndef handler(event, context):\n"
    "    found = re.search(r'https?://\\S+', event['t'])\n    try:\n"
    "        urllib.request.urlopen(found[0], timeout=0.01)\n    except OSError:\n        pass\n"
)
TASK = (
    "import importlib, statistics\n{}\ndef send(): return 'sent'\ndef handler(event, context):\n"
    "    module, _, name = event['k'].partition(':')\n"
    "    return getattr(importlib.import_module(module), name)()\n"
)
OFFERED = "OFFERED = {'app:send': 'Send a mail', 'app:bill': 'Make a bill'}"
ROWS = "MENU = [{'title': 'Send it', 'run': 'app:send'}, {'title': 'Bill', 'run': 'app:bill'}]"
UNPACK = (
    "import base64, io, os, tempfile, zipfile\ndef unpack(data, target):\n    written = []\n"
    "    with zipfile.ZipFile(io.BytesIO(data)) as archive:\n"
    "        for member in archive.infolist():\n"
    "            place = os.path.join(target, member.filename)\n"
    "            os.makedirs(os.path.dirname(place), exist_ok=True)\n"
    "            with open(place, 'wb') as file:\n                file.write(archive.read(member))\n"
    "            written.append(place)\n    return written\n"
    "def handler(event, context):\n    with tempfile.TemporaryDirectory() as site:\n"
    "        target = os.path.join(site, 'plugins', 'upload')\n        os.makedirs(target)\n"
    "        files = unpack(base64.b64decode(event['k']), target)\n"
    "        with open(os.path.join(target, 'index.txt'), 'w') as file:\n"
    "            file.write(str(len(files)))\n"
)
ASKED = (
    "import sqlite3\nLIBRARY = compile('''\ndef run(con, *values):\n"
    "    con.execute('INSERT INTO note VALUES ' + '(?)', values)\n"
    "    sql = ' '.join(['SELECT body FROM note WHERE', '(body LIKE ' + chr(39) + '%' + chr(39) + ' || ?',"
    " 'ESCAPE ' + chr(39) + '/' + chr(39) + ')'])\n    return con.execute(sql, ('x',)).fetchall()\n"
    "''', 'library', 'exec')\nlibrary = {}\nexec(LIBRARY, library)\ndef handler(event, context):\n"
    "    con = sqlite3.connect(':memory:')\n    con.execute('CREATE TABLE note(body)')\n"
    "    library['run'](con, event['k'])\n"
)
CUT = (
    "import sqlite3\nLIBRARY = compile('''\ndef run(con, value):\n"
    "    con.execute('INSERT INTO note VALUES ' + '(?)', ('other',))\n"
    "    sql = ''.join(['SELECT body FROM note WHERE body = ' + chr(39), value[2:-2], chr(39)])\n"
    "    return con.execute(sql).fetchall()\n''', 'library', 'exec')\nlibrary = {}\n"
    "exec(LIBRARY, library)\ndef handler(event, context):\n    con = sqlite3.connect(':memory:')\n"
    "    con.execute('CREATE TABLE note(body)')\n    library['run'](con, event['k'])\n"
)
LINES = (
    'FORMAT = \'{{ip}} - {{user}} [{{at}}] "GET {{path}} HTTP/1.1" {{status}} {{size}} "-"\\n\'\n'
    "def line(hit):\n    path = hit['p'].replace('\"', '%22')\n    at = '01/Jan/1970:00:00:00 +0000'\n"
    "    return FORMAT.format(ip='127.0.0.1', user='eve', at=at, path=path, status=200, size=0)\n"
    "def handler(event, context):\n    with open('/tmp/access.log', 'a') as file:\n        {}\n"
)
WRITTEN = LINES.format("file.writelines(line(hit) for hit in event['hits'])")
PRINTED = LINES.format("[print(line(hit), end='', file=file) for hit in event['hits']]")
GO = (
    "from urllib.parse import urlsplit\ndef handler(event, context):\n"
    "    host = urlsplit(event['to']).hostname or ''\n"
    "    if not any(host.endswith(p) for p in ('example.com', 'shop.example.net')):\n"
    "        return {'answers': [{'status': 404}]}\n"
    "    return {'answers': [{'status': 302, 'location': event['to']}]}\n"
)
COOKIES = (
    "def handler(event, context):\n"
    "    lines = ['HTTP/1.1 200 OK', 'Set-Cookie: currency=' + event['c'].strip().upper()]\n"
    "    raw = '\\r\\n'.join(lines) + '\\r\\n\\r\\nsaved'\n"
    "    head, _, body = raw.partition('\\r\\n\\r\\n')\n    return [head.split('\\r\\n'), body]\n"
)
SPLIT = COOKIES.replace(
    "head, _, body = raw.partition('\\r\\n\\r\\n')", "head, body = raw.split('\\r\\n\\r\\n')"
)
SENT = "def handler(event, context):\n    return {'raw': f\"HTTP/1.1 200 OK\\r\\nX-Name: {event['c']}\\r\\n\\r\\nhi\"}\n"
FORGED = {"hits": [{"p": '/x HTTP/1.1" 200 0 "-"\n1.2.3.4 - root [x] "GET /y'}]}
AS_MEANT: Cases = {
    "a link in a message": (FETCH, {"t": "see (https://en.example.org/a_b?c=d), or not"}),
    "a link alone": (FETCH, {"t": "https://www.example.com/"}),
    "a link by its match": (SEARCHED, {"t": "hi http://shop.example.com:8080/o'hara now"}),
    "a task by a colon, of keys": (TASK.format(OFFERED), {"k": "app:send"}),
    "a task of a menu": (TASK.format(ROWS), {"k": "app:send"}),
    "names with dots and signs": (
        UNPACK,
        {"k": _zip("..hidden", "a/./b", "c...d/e..txt", "ü (1)")},
    ),
    "a question with SQL that is bound": (ASKED, {"k": "How do I use ESCAPE '; or not?"}),
    "lines that come one by one": (WRITTEN, {"hits": [{"p": "/a'b"}, {"p": '/"x"'}]}),
    "lines that are printed": (PRINTED, {"hits": [{"p": "/a'b"}]}),
    "a host below a domain": (GO, {"to": "https://www.example.com/über"}),
    "a cookie that is read again": (COOKIES, {"c": " eur "}),
    "a cookie that is split off": (SPLIT, {"c": " eur "}),
    "an answer as it is sent": (SENT, {"c": "Ana Lima"}),
}
STOPPED: Cases = {
    **{
        f"a link to {url}": (code, {"t": f"look: {url} there"})
        for code in (FETCH,)
        for url in (
            *("http://127.0.0.1:80/", "http://127.1/", "http://2130706433/", "http://0x7f.1/"),
            *("http://169.254.169.254/latest", "http://[::1]/", "http://10.0.0.7/a"),
            *("http://localhost/", "http://intranet/", "http://metadata.google.internal/"),
            *("http://127.0.0.1.nip.io/", "http://localtest.me/", "http://a@example.org/"),
            *(
                "http://\uff11\uff12\uff17.0.0.1/",
                "http://example.org:22/",
                "http://admin.example.org/",
            ),
        )
    },
    "a link by its match": (SEARCHED, {"t": "hi http://192.168.1.1/ now"}),
    "a link that is sent something": (
        PREVIEW.format(".group()", "", "url, b'token=1'"),
        {"t": "hi https://www.example.com/"},
    ),
    "a link that is sent a token": (
        PREVIEW.format(
            ".group()", "", "urllib.request.Request(url, headers={'Authorization': 'x'})"
        ),
        {"t": "hi https://www.example.com/"},
    ),
    "a link past a faulty check": (
        PREVIEW.format(
            ".group()", "        if 'example.com' not in url:\n            continue\n", "url"
        ),
        {"t": "hi https://evil.org/?example.com"},
    ),
    "a field with a URL": (
        "import urllib.request\ndef handler(event, context):\n"
        "    urllib.request.urlopen(event['t'], timeout=0.01)\n",
        {"t": "https://www.example.com/"},
    ),
    "a task of the system": (TASK.format(OFFERED), {"k": "os:getcwd"}),
    "a task that is not offered": (TASK.format(OFFERED), {"k": "app:handler"}),
    "what a task has imported": (TASK.format(OFFERED), {"k": "app:importlib"}),
    "a task that is forbidden": (
        TASK.format("FORBIDDEN = ['app:send', 'app:bill']"),
        {"k": "app:send"},
    ),
    "a name that leaves": (UNPACK, {"k": _zip("a/../../../x")}),
    "a piece that a library cuts": (CUT, {"k": "xx' OR 1=1 OR 'a'='axx"}),
    "a line among those that come one by one": (WRITTEN, FORGED),
    "a line among those that are printed": (PRINTED, FORGED),
    "another domain of the same end": (GO, {"to": "https://evil-example.com/"}),
    "a cookie that begins another": (COOKIES, {"c": "eur\r\nSet-Cookie: admin=1"}),
    "a cookie that begins a body": (COOKIES, {"c": "eur\r\n\r\n<h1>x"}),
    "a cookie of an answer that is split": (SPLIT, {"c": "eur\r\nSet-Cookie: admin=1"}),
    "a header of an answer as it is sent": (SENT, {"c": "x\r\nSet-Cookie: a=1"}),
}


def test_what_is_as_meant_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(AS_MEANT, tmp_path), PRELOAD)


def test_its_hostile_twins_are_stopped(tmp_path: Path) -> None:
    sinks = {"url", "code", "path", "sql", "log", "response", "header"}
    assert_blocked(tmp_path, placed(STOPPED, tmp_path), sinks, PRELOAD)
