"""What a twenty-third set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes, placed

pytestmark = pytest.mark.usefixtures("own_temporary_files")

# -- records that the code reads again, and then throws away ---------------------------------------

ACCESS = (
    "import sys\n\nLINES = []\n\ndef handler(event, context):\n    LINES.clear()\n"
    "    path, agent = event['path'], event['agent'].replace('\"', \"'\")\n"
    "    line = {}\n    LINES.append(line)\n    {}\n"
    "    return [each.split()[1] for each in '\\n'.join(LINES).splitlines()]\n"
)
FORMS = {
    "short": 'f\'{event["ip"]} {event["user"]} "GET {path}" 200 "{agent}"\'',
    "common": 'f\'{event["ip"]} - {event["user"]} [30/Nov/2026:06:00:00 +0000] "GET {path} HTTP/1.1"\''
    ' + f\' 200 12 "-" "{agent}"\'',
}
SHOWN = {"printed": "print(line, file=sys.stderr)", "kept": "pass"}
KEPT = (
    "import contextlib, os, shutil, tempfile\n\ndef handler(event, context):\n"
    "    {}\n    log.write(f\"2026-11-30T06:00:00Z DENY plate={{event['plate']}}\\n\")\n"
    "    log.flush()\n    log.seek(0)\n"
    "    found = [line.split()[2] for line in log if line.split()[1] == 'ALLOW']\n"
    "    log.close()\n    {}\n    return found\n"
)
PLACES = {
    "a temporary file": (
        "number, path = tempfile.mkstemp(suffix='.log'); log = os.fdopen(number, 'w+')",
        "os.unlink(path)",
    ),
    "a file": ("path = '/tmp/gate.log'; log = open(path, 'w+')", "os.remove(path)"),
    "a named one": (
        "log = tempfile.NamedTemporaryFile('w+', suffix='.log', delete=False)",
        "os.unlink(log.name)",
    ),
    "a folder": (
        "folder = tempfile.mkdtemp(); log = open(os.path.join(folder, 'gate.log'), 'w+')",
        "shutil.rmtree(folder)",
    ),
}
FORGED = "/a\n198.51.100.1 bob"


def _accesses(path: str, agent: str) -> Cases:
    event = {"ip": "203.0.113.9", "user": "eve", "path": path, "agent": agent}
    return {
        f"{form}, {shown}": (ACCESS.format(line, how), event)
        for form, line in FORMS.items()
        for shown, how in SHOWN.items()
    }


def _kept(plate: str) -> Cases:
    return {
        place: (KEPT.format(begin, end), {"plate": plate}) for place, (begin, end) in PLACES.items()
    }


def test_records_that_are_forged_for_the_code_itself_are_stopped(tmp_path: Path) -> None:
    forged = '/a" 200 "x"\n198.51.100.1 bob "GET /expensive'
    cases = {f"path {name}": case for name, case in _accesses(forged, "cli").items()}
    cases |= {f"agent {n}": c for n, c in _accesses("/", "cli\r\n10.0.0.1 ROOT LOGIN").items()}
    cases |= _kept("Z\n2026-11-30T06:00:00Z ALLOW plate=Z")
    assert_blocked(tmp_path, placed(cases, tmp_path), {"log"}, ())


def test_records_of_one_line_pass(tmp_path: Path) -> None:
    cases = {**_accesses('/a?b="c"', "cli/1.0 (x; y)"), **_kept("HH-AB 123")}
    assert_passes(tmp_path, placed(cases, tmp_path), ())


JOINED = "def handler(event, context):\n    {}\n    return len(text.splitlines())\n"
TEXTS = {
    "a text": "text = ''\n    for name in event['names']:\n"
    "        text += f'INFO user={name} role=guest\\n'\n",
    "a list of records": "text = '\\n'.join([f'INFO user={n} role=guest' for n in event['names']])\n",
    "one record": "text = 'WARNING user=' + event['names'][-1] + ' role=guest'\n",
}
TAKEN = {
    "lines": "return [line for line in text.splitlines() if 'role=admin' in line]\n",
    "split": "return [line for line in text.split('\\n') if 'role=admin' in line]\n",
    "one by one": "line, _, rest = text.partition('\\n')\n    return rest\n",
}


def _texts(name: str) -> Cases:
    return {
        f"{how}, {taken}": (
            f"def handler(event, context):\n    {code}    {end}",
            {"names": ["Ann", name]},
        )
        for how, code in TEXTS.items()
        for taken, end in TAKEN.items()
    }


def test_records_in_a_text_that_is_taken_apart_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _texts("x\nINFO user=y role=admin"), {"log"}, ())


def test_lines_in_such_a_text_that_are_no_records_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _texts("Lima\nand others"), ())


NO_RECORDS: Cases = {
    "a list": (
        "def handler(event, context):\n"
        "    return '\\n'.join(['Order:', '1 ' + event['note']]).splitlines()\n",
        {"note": "two\nthree\n2 four"},
    ),
    "a quoted text": (
        'def handler(event, context):\n    print(f\'note "{event["note"]}"\')\n',
        {"note": "two\nthree"},
    ),
}


def test_texts_of_several_lines_are_no_records(tmp_path: Path) -> None:
    assert_passes(tmp_path, NO_RECORDS, ())


# -- a second request of one connection ------------------------------------------------------------

PATHS = (
    "import http.client\nfrom urllib.parse import quote\n\ndef handler(event, context):\n"
    "    for user in event['users']:\n"
    "        connection = http.client.HTTPConnection('127.0.0.1', 9, timeout=1)\n"
    "        try:\n            connection.request('GET', {})\n        except OSError:\n"
    "            pass\n"
)
ASKED = {
    "as it is": "'/users/' + user + '/profile'",
    "quoted with its signs": "quote('/users/' + user + '/profile?fields=x', safe='/?&=#%@,.:~+')",
}


def _requests(users: list[str]) -> Cases:
    return {name: (PATHS.format(path), {"users": users}) for name, path in ASKED.items()}


def test_steps_up_in_a_later_request_are_stopped(tmp_path: Path) -> None:
    for number, user in enumerate(("x/%2e%2e/%2e%2e/admin#", "../admin/tokens", "a?x=1")):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert_blocked(folder, _requests(["ann", user]), {"url"}, ())


def test_names_in_later_requests_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _requests(["ann", "mei.lin@example.org", "a%20b", "jo_doe-99"]), ())


PROXY = (
    "import http.server, re, threading, urllib.error, urllib.request\n\n"
    "class Proxy(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n"
    "        self.send_response(200)\n        self.send_header('content-length', '2')\n"
    "        self.end_headers()\n        self.wfile.write(b'ok')\n"
    "    def log_message(self, *arguments):\n        pass\n\n"
    "def handler(event, context):\n"
    "    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Proxy)\n"
    "    threading.Thread(target=server.serve_forever, daemon=True).start()\n"
    "    way = {'http': f'http://127.0.0.1:{server.server_port}'}\n"
    "    opener = urllib.request.build_opener(urllib.request.ProxyHandler(way))\n    read = []\n"
    "    for link in re.findall(r'http://[^\\s<>]+', event['text']):\n"
    "        with opener.open(link, timeout=5) as answer:\n            read.append(answer.read())\n"
    "    server.shutdown(); server.server_close()\n    return len(read)\n"
)


def test_links_that_a_proxy_is_asked_for_pass(tmp_path: Path) -> None:
    text = "see http://www.museum.example/a?day=mon&lang=de and http://example.org/x/y.html"
    assert_passes(tmp_path, {"links": (PROXY, {"text": text})}, ())


def test_links_to_the_inside_by_a_proxy_are_stopped(tmp_path: Path) -> None:
    text = "see http://www.museum.example/a and http://169.254.169.254/latest/meta-data"
    assert_blocked(tmp_path, {"links": (PROXY, {"text": text})}, {"url"}, ())


# -- a server of the code's that is for few --------------------------------------------------------

SERVER = (
    "import http.server, threading, urllib.request\n\n{port} = 18733\n\n"
    "class {kind}(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n"
    "        self.send_response(200)\n        self.send_header('content-length', '2')\n"
    "        self.end_headers()\n        self.wfile.write(b'ok')\n"
    "    def log_message(self, *arguments):\n        pass\n\n"
    "def {begin}():\n    http.server.HTTPServer.allow_reuse_address = True\n"
    "    server = http.server.HTTPServer(('127.0.0.1', {port}), {kind})\n"
    "    threading.Thread(target=server.serve_forever, daemon=True).start()\n    return server\n\n"
    "def handler(event, context):\n    server = {begin}()\n    try:\n"
    "        with urllib.request.urlopen(event['url'], timeout=5) as answer:\n"
    "            return answer.read().decode()\n    finally:\n"
    "        server.shutdown(); server.server_close()\n"
)
OF_FEW = {
    "its class": ("PORT", "_Admin", "begin"),
    "its port": ("INTERNAL_PORT", "Status", "begin"),
    "its function": ("PORT", "Status", "serve_management"),
}


def test_servers_of_the_codes_that_are_for_few_are_not_reached(tmp_path: Path) -> None:
    cases = {
        name: (
            SERVER.format(port=port, kind=kind, begin=begin),
            {"url": "http://127.0.0.1:18733/status"},
        )
        for name, (port, kind, begin) in OF_FEW.items()
    }
    assert_blocked(tmp_path, cases, {"url"}, ())


def test_the_one_server_of_the_codes_is_reached(tmp_path: Path) -> None:
    code = SERVER.format(port="PORT", kind="Pictures", begin="begin")
    assert_passes(tmp_path, {"server": (code, {"url": "http://127.0.0.1:18733/a"})}, ())


# -- a module below the code's package, by a pattern that finds its beginning ----------------------

PLUGIN = (
    "import importlib, re\n\ndef handler(event, context):\n    name = event['name']\n"
    "    if not {}:\n        raise ValueError(name)\n"
    "    try:\n        return importlib.import_module(f'plugins.{{name}}')\n"
    "    except ImportError:\n        return 'none'\n"
)
BEGINNINGS = {
    "match": "re.match(r'[a-z_]+', name)",
    "search": "re.search('[a-z]+', name)",
    "a pattern of the code's": "re.compile('^[a-z_]+').match(name)",
}
WHOLES = {
    "fullmatch": "re.fullmatch(r'[a-z_.]+', name)",
    "an end": "re.match(r'[a-z_]+(\\.[a-z_]+)*$', name)",
    "dots": "re.match(r'[\\w.]+', name)",
}


def test_a_module_within_by_a_pattern_of_its_beginning_is_stopped(tmp_path: Path) -> None:
    cases: Cases = {
        name: (PLUGIN.format(check), {"name": "internal.diagnostics"})
        for name, check in BEGINNINGS.items()
    }
    assert_blocked(tmp_path, cases, {"code"}, ())


def test_names_that_a_pattern_has_found_whole_pass(tmp_path: Path) -> None:
    cases: Cases = {n: (PLUGIN.format(c), {"name": "csv.table"}) for n, c in WHOLES.items()}
    cases |= {n: (PLUGIN.format(c), {"name": "csv_table"}) for n, c in BEGINNINGS.items()}
    assert_passes(tmp_path, cases, ())


# -- one sign of the code's that the event has as well ---------------------------------------------

QUOTED = (
    "import sqlite3\n\ndef quote(value):\n    return {}\n\ndef handler(event, context):\n"
    "    db = sqlite3.connect(':memory:')\n    db.execute('CREATE TABLE t (name)')\n"
    "    return db.execute('SELECT * FROM t WHERE name = ' + quote(event['name'])).fetchall()\n"
)
QUOTES = {
    "a sum": '"\'" + str(value).replace("\'", "\'\'") + "\'"',
    "a longer sum": '"\'" + value.strip() + value.replace("\'", "\'\'") + "\'"',
}


def test_an_empty_text_between_signs_of_the_codes_passes(tmp_path: Path) -> None:
    cases: Cases = {
        f"{name} {number}": (QUOTED.format(how), {"name": text, "wish": "'"})
        for name, how in QUOTES.items()
        for number, text in enumerate(("", "Ann", " "))
    }
    assert_passes(tmp_path, cases, ())


def test_a_sign_of_the_event_beside_those_of_the_codes_is_stopped(tmp_path: Path) -> None:
    code = QUOTED.format('"\'" + value + "\'"')
    bare = QUOTED.format('value + "\'"')
    names = ("'", "' OR 1=1 --", "x' OR 'a'='a")
    cases: Cases = {str(n): (code, {"name": text}) for n, text in enumerate(names)}
    cases |= {"opened": (bare, {"name": "'"})}
    assert_blocked(tmp_path, cases, {"sql"}, ())


# -- types of values that the event names ----------------------------------------------------------

TYPED = (
    "import importlib\n\ndef handler(event, context):\n"
    "    module, _, name = event['type'].rpartition('.')\n"
    "    return str(getattr(importlib.import_module(module), name)(event['value']))\n"
)
LOCATED = (
    "import pydoc\n\ndef handler(event, context):\n"
    "    return str(pydoc.locate(event['type'])(event['value']))\n"
)
VALUES = {
    "uuid.UUID": "12345678-1234-5678-1234-567812345678",
    "ipaddress.ip_address": "192.0.2.1",
    "ipaddress.IPv4Network": "192.0.2.0/24",
    "decimal.Decimal": "12.50",
}


def _typed(values: dict[str, str]) -> dict[str, tuple[str, object]]:
    return {
        f"{kind}, {how}": (code, {"type": kind, "value": value})
        for kind, value in values.items()
        for how, code in (("getattr", TYPED), ("locate", LOCATED))
    }


def test_types_of_values_that_the_event_names_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _typed(VALUES), ())


def test_what_else_such_modules_have_is_stopped(tmp_path: Path) -> None:
    names = ("uuid.getnode", "uuid.uuid1", "uuid.os", "os.system")
    cases = _typed(dict.fromkeys(names, "id"))
    cases |= {"imported": (TYPED, {"type": "ipaddress.functools", "value": "id"})}
    assert_blocked(tmp_path, cases, {"code"}, ())


# -- logs in which only some lines are JSON --------------------------------------------------------

MIXED = (
    "import json, os, tempfile\n\ndef handler(event, context):\n    name = event['name']\n"
    "    path = os.path.join(tempfile.mkdtemp(), 'audit.log')\n"
    "    with open(path, 'w') as log:\n        log.write({})\n        log.write({})\n"
    "    with open(path) as log:\n        return log.read()\n"
)
OBJECT = "json.dumps({'who': name}) + '\\n'"
BY_HAND = '\'{"who": "%s"}\\n\' % name'
PLAIN = "'2026-11-30 INFO user ' + repr(name) + '\\n'"


def test_lines_beside_objects_are_not_read_as_json(tmp_path: Path) -> None:
    cases: Cases = {
        name: (MIXED.format(OBJECT, PLAIN), {"name": name})
        for name in ("Ann", "a b", "x=1; y", "50% {off}", '"', "#1")
    }
    assert_passes(tmp_path, cases, ())


def test_objects_by_hand_are_read_as_json_beside_other_lines(tmp_path: Path) -> None:
    cases: Cases = {
        name: (MIXED.format(BY_HAND, PLAIN), {"name": name})
        for name in ('x", "admin": "y', 'x"}\n{"who": "root')
    }
    assert_blocked(tmp_path, cases, {"log"}, ())
