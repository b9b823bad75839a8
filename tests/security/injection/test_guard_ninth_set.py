"""What a ninth set of programs showed, whose author had not read the guard: classes, not cases."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

import pytest

from casemate.guard.objects.judgement import names_of
from casemate.guard.objects.plain import is_of_classes
from casemate.guard.origin import PIECE, Origin, Span
from casemate.guard.pages.judgement import judge as judge_page
from casemate.guard.sql.structure import judge as judge_sql
from casemate.guard.sql.tokens import Dialect
from casemate.guard.written.kinds import Kind, of_name
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

DATA = Origin("event", ("q",))


def _tar(*members: tuple[str, str, bytes]) -> str:
    """Return an archive in base64, of names, what they link to, and the kind of link."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, target, kind in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member, io.BytesIO())
    return base64.b64encode(file.getvalue()).decode()


_LINK, _HARD, _FILE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.REGTYPE
FILTER = 'import json\nwanted = json.loads(\'{"vip": false, "city": "%s"}\' % event[\'t\'])'
CLAUSES = (
    "import json\nlines = ['{\"term\": {\"lang\": \"' + event['t'] + '\"}}', '{}']\n"
    "query = json.loads('[' + ', '.join(lines) + ']')"
)
VALUE = 'import json\nreturn json.loads(f\'{{"a": 1, "b": {event["t"]}}}\')'
LINES = "import json\nreturn json.loads('[' + ','.join(event['t'].split('\\n')) + ']')"
ESCAPED = (
    "import json\ntext = event['t'].replace('\\\\', '\\\\\\\\').replace('\"', '\\\\\"')\n"
    'return json.loads(\'{"note": "%s"}\' % text)'
)
UNPACK = (
    "import base64, io, os, tarfile\nfolder = '/tmp/themes/one'\nbase = '/tmp/themes'\n"
    "os.makedirs(folder, exist_ok=True)\n"
    "file = io.BytesIO(base64.b64decode(event['t']))\n"
    "tarfile.open(fileobj=file).extractall(folder, filter='{filter}')"
)
TRUSTED, LESS = (UNPACK.replace("{filter}", name) for name in ("fully_trusted", "tar"))
LOGFMT = (
    "with open('/tmp/{name}', 'w') as file:\n"
    "    for item in ({'at': '2026-05-04', 'note': event['t'].strip()},):\n"
    "        file.write(' '.join(f'{k}=\"{v}\"' for k, v in item.items()) + '\\n')"
)
ORDERS, ROTATED = (LOGFMT.replace("{name}", name) for name in ("orders.logfmt", "app.log.1"))
STAMP = (
    "import subprocess\nline = f\"sed '1i Invoice {event['t']}' /etc/hostname\"\n"
    "subprocess.run(line, shell=True, check=False, capture_output=True)"
)
APPEND = (
    "import subprocess\n"
    "subprocess.run(['sed', '-n', '$a\\\\\\n' + event['t'] + '\\np', '/etc/hostname'], check=False, "
    "capture_output=True)"
)
WISH = (
    "import html\nwish = event['t'].replace('\\n', '<br>')\n"
    "page = '<dl>{}</dl>'.format(f'<dd>{wish}</dd>')\n"
    "return {'status': 200, 'headers': {'content-type': 'text/html'}, 'body': page}"
)
DECODED = WISH.replace("('\\n', '<br>')", "('&lt;', '<')")
PORT = (
    "import http.client\nhost = '127.0.0.1:1808' + str(event.get('shard', 1))\n"
    "try:\n    http.client.HTTPConnection(host, timeout=1).request('GET', '/')\n"
    "except OSError:\n    pass"
)
OWN_FILE = """
import os, shlex
def handler(event, context):
    name = shlex.split(event['t'])[0]
    with open(os.path.join('/tmp/claims', name)) as file:
        return file.read()
"""
JOBS = """
import jsonpickle
class MailJob:
    pass
class Shell:
    pass
def handler(event, context):
    return type(jsonpickle.decode(event['t'], classes=[MailJob])).__name__
"""
VULNERABLE: Cases = {
    "JSON: the later key": (FILTER, {"t": 'x", "vip": true, "city": "Bonn'}),
    "JSON: an object": (FILTER, {"t": 'x", "$where": {"a": 1}, "b": "'}),
    "JSON: another clause": (CLAUSES, {"t": 'en"}}, {"match": {"title": "x'}),
    "JSON: a member after a value": (VALUE, {"t": '2, "a": 3'}),
    "JSON: a quote behind a backslash": (FILTER, {"t": 'x\\", "a": "\\'}),
    "archive: a link out of it": (TRUSTED, {"t": _tar(("a", "/etc/hostname", _LINK))}),
    "archive: by steps": (TRUSTED, {"t": _tar(("a/b", "../../x", _LINK))}),
    "archive: into a folder of the code": (TRUSTED, {"t": _tar(("d", "../two", _LINK))}),
    "archive: a hard link": (TRUSTED, {"t": _tar(("a", "../x", _HARD))}),
    "archive: by the filter for tar": (LESS, {"t": _tar(("d", "/var/lib", _LINK))}),
    "log: another line": (ORDERS, {"t": 'x\nat="2026-05-04" note="paid'}),
    "log: that was rotated": (ROTATED, {"t": 'x\nat="2026-05-04" note="paid'}),
    "stamp: a command": (STAMP, {"t": "x\n1e id"}),
    "stamp: after a backslash": (STAMP, {"t": "x\\\n1e id"}),
    "stamp: out of the quotes": (STAMP, {"t": "x' /etc/passwd; id '"}),
    "append: a command": (APPEND, {"t": "x\ne id"}),
    "append: a backslash": (APPEND, {"t": "x\\"}),
    "wish: markup": (WISH, {"t": "a\n<svg onload=alert(1)>"}),
    "wish: markup in parts": (WISH, {"t": "a<img src=x\nonerror=alert(1)>"}),
    "decoded: markup": (DECODED, {"t": "&lt;svg onload=alert(1)>"}),
    "port: another": (PORT, {"shard": 7}),
    "port: a host": (PORT, {"shard": "1@example.com"}),
    "jobs: a class that is not named": (JOBS, {"t": '{"py/object": "app.Shell"}'}),
    "jobs: one more": (
        JOBS,
        {"t": '{"py/object": "app.MailJob", "a": {"py/object": "app.Shell"}}'},
    ),
    "jobs: a call": (JOBS, {"t": '{"py/object": "app.MailJob", "py/reduce": [{}]}'}),
}
HARMLESS: Cases = {
    "JSON: a text": (FILTER, {"t": "Köln; it's {x}, [y]: 1"}),
    "JSON: escaped": (FILTER, {"t": "a \\u00fc \\n b"}),
    "JSON: a language": (CLAUSES, {"t": "en"}),
    "JSON: a whole value": (VALUE, {"t": '{"x": [1, "y"]}'}),
    "JSON: a number": (VALUE, {"t": "-1.5"}),
    "JSON: numbers of a list": (
        "import json\nreturn json.loads('{\"ids\": [%s]}' % event['t'])",
        {"t": "1, -2.5,3"},
    ),
    "JSON: lines": (LINES, {"t": '{"a": 1}\n{"b": "x, y"}'}),
    "JSON: quotes that the code escapes": (ESCAPED, {"t": 'say "hi", \\ ok'}),
    "archive: a link in it": (
        TRUSTED,
        {"t": _tar(("a/x", "", _FILE), ("l", "a/x", _LINK), ("a/m", "../a/x", _LINK))},
    ),
    "archive: a hard link in it": (TRUSTED, {"t": _tar(("./x", "", _FILE), ("y", "./x", _HARD))}),
    "log: one line": (ORDERS, {"t": "it's late; at=noon, a | b"}),
    "stamp: a name": (STAMP, {"t": "2026/001 for Smith & Sons; ${x} > [EU] #1"}),
    "append: a name": (APPEND, {"t": "it's 5 < 6; p & q"}),
    "wish: lines": (WISH, {"t": 'Late; 2 cots\n\nThanks & bye, "x" > 1'}),
    "port: the code's": (PORT, {"id": 1}),
    "port: one that it has": (PORT, {"shard": 1}),
    "jobs: a class of the code": (
        JOBS,
        {"t": '{"py/object": "app.MailJob", "to": "o\'b@x", "subject": "py/reduce explained"}'},
    ),
}


def test_attacks_are_stopped(tmp_path: Path) -> None:
    sinks = {"deserialisation", "path", "log", "command", "response", "url"}
    assert_blocked(tmp_path, placed(VULNERABLE, tmp_path), sinks, ("jsonpickle",))


def test_harmless_values_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(HARMLESS, tmp_path), ("jsonpickle",))


@pytest.mark.parametrize(
    ("order", "passes"),
    [
        ("  due  DESC ", True),
        ("\tdue, total desc\n", True),
        (" (CASE WHEN 1 THEN due END) ", False),
        (" password ", False),
        (" due; ", False),
    ],
)
def test_blanks_around_an_order_say_nothing(order: str, passes: bool) -> None:
    spans = [Span(0, len(order), DATA, exact=True)]
    assert (judge_sql(order, spans, (Dialect.SQLITE,)) is None) is passes


def test_the_file_of_a_module_is_no_path_that_the_code_names(tmp_path: Path) -> None:
    own = tmp_path / "case0" / "app.py"
    case = {"own file": (OWN_FILE, {"t": f"'{own}'"})}
    assert_blocked(tmp_path, case, {"path"}, ())


def _page(before: str, data: str, after: str) -> tuple[str, list[Span]]:
    piece = Span(len(before), len(before + data), DATA.decoded(*PIECE), exact=False)
    return before + data + after, [piece]


@pytest.mark.parametrize(
    ("before", "data", "after"),
    [
        ("<a href", '="http://max.example', '">m</a>'),
        ('<a href="', 'https://a.example/x">https://a.example/x', "</a>"),
        ('<img src="', 'https://a.example/x.png" />', ""),
    ],
)
def test_what_a_library_makes_of_an_address_is_its_own(before: str, data: str, after: str) -> None:
    assert judge_page(*_page(before, data, after), ()) is None


@pytest.mark.parametrize(
    ("before", "data", "after"),
    [
        ("<a href", '="http://a"onmouseover="alert(2)', '">m</a>'),
        ('<a href="', 'http://a" onmouseover="alert(2)', '">m</a>'),
        ('<a href="', 'x"><svg onload=alert(1)', '">m</a>'),
        ("<a ", '="x', '">m</a>'),
    ],
)
def test_a_piece_that_adds_to_a_tag_is_stopped(before: str, data: str, after: str) -> None:
    assert judge_page(*_page(before, data, after), ()) is not None


@pytest.mark.parametrize(
    "name", ["a.logfmt", "a.ltsv", "x/app.log.1", "app.log-2026-05-04", "syslog"]
)
def test_records_are_known_by_the_name_of_their_file(name: str) -> None:
    assert of_name(name) is Kind.RECORDS


@pytest.mark.parametrize("name", ["a.log.txt", "log.1", "1", "catalog-2"])
def test_others_are_none(name: str) -> None:
    assert of_name(name) is None


def test_classes_of_jsonpickle_are_known_as_it_is_given_them() -> None:
    named = {"pathlib.Path"}
    assert names_of(Path) >= {Path.__module__ + ".Path"}
    assert names_of([Path, "x"]) == names_of((Path,)) == names_of({Path})
    assert names_of({"pathlib.Path": Path}) == named
    assert names_of(None) == names_of("pathlib.Path") == frozenset()
    document = {"py/object": "pathlib.Path", "a": [{"b": 1}]}
    assert is_of_classes(document, named)
    assert not is_of_classes(document, ())
    assert not is_of_classes(document | {"py/state": {}}, named)
    assert not is_of_classes(document | {"__class__": 1}, named)
    assert not is_of_classes(document | {"json://{}": 1}, named)
    assert not is_of_classes([{"py/object": ["pathlib.Path"]}], named)
